"""y = activate(each channel of x convolved with its own filter + bias); x (images * H * W, C), w (K * K, C), bias (1, C), y (images * OH * OW, C).

What makes it fast: seven neighbouring outputs are computed at once, because their windows share most of their pixels;
channels lie side by side, so that a vector holds one pixel's; nothing is padded, a mask reads zeros outside of the image.
`row` wants C from LANES and a filter that has code of its own; `any_row` takes all others, one output at a time.
"""

from numba import njit

from mini_nn.kernels.tiles.activation import activate
from mini_nn.kernels.tiles.registers import INLINE, LANES, PART, correlate, glimpse, load, put, store, zeros

AHEAD = 7  # outputs computed at once: the sizes of ImageNet's images, 112 to 7, divide by it


@njit(**INLINE)
def row(x, w, bias, y, kind, bounds, k, stride, strip, shape, r):
    """Output row r, counted through all images.  k, stride and strip = 6 stride + k, what seven windows see, are literals."""
    _, width, _, across, _, left = shape
    at, out, low, high = window(shape, k, stride, r)
    for o in range(0, across, AHEAD):
        o = max(0, min(o, across - AHEAD))  # noqa: PLW2901  (a last group that would overhang is moved back)
        near = left - o * stride  # the strip's pixels near:far lie in the image
        group(
            x,
            w,
            bias,
            y,
            kind,
            bounds,
            at - near + left,
            width,
            low,
            high,
            near,
            width + near,
            out + o,
            across,
            k,
            stride,
            strip,
        )


@njit(**PART)
def group(x, w, bias, y, kind, bounds, at, width, low, high, near, far, out, across, k, stride, strip):
    """Outputs out:out+7, whose windows begin at pixel `at`."""
    channels = x.shape[1]
    whole = near <= 0 and strip <= far and across >= AHEAD
    for c in range(0, channels, LANES):
        c = min(c, channels - LANES)  # noqa: PLW2901
        total = zeros(AHEAD, 1) + load(bias, 0, c, 1, 1)
        if whole:
            for i in range(low, high):
                total = correlate(
                    total, load(x, at + i * width, c, strip, 1), load(w, i * k, c, k, 1), stride
                )
            store(y, out, c, activate(total, kind, bounds))
        else:
            for i in range(low, high):
                total = correlate(
                    total, glimpse(x, at + i * width, c, strip, near, far), load(w, i * k, c, k, 1), stride
                )
            put(y, out, c, activate(total, kind, bounds), across)


@njit(**PART)
def border(x, w, bias, y, kind, bounds, at, width, low, high, near, far, out, k):
    """One output, whose window is cut to rows low:high and columns near:far of the filter."""
    channels = x.shape[1]
    for c in range(0, channels, LANES):
        n = channels - c
        total = load(bias, 0, c, 1, 1, n)
        for i in range(low, high):
            for j in range(near, far):
                total += load(x, at + i * width + j, c, 1, 1, n) * load(w, i * k + j, c, 1, 1, n)
        store(y, out, c, activate(total, kind, bounds), n)


@njit(**INLINE)
def any_row(x, w, bias, y, kind, bounds, k, stride, shape, r):
    """The same for filters and strides that have no code of their own: one output at a time."""
    _, width, _, across, _, left = shape
    at, out, low, high = window(shape, k, stride, r)
    for o in range(across):
        near = left - o * stride
        near, far = max(0, near), min(k, width + near)
        border(x, w, bias, y, kind, bounds, at + o * stride, width, low, high, near, far, out + o, k)


@njit(**INLINE)
def window(shape, k, stride, r):
    """(first pixel of the first window, first output, filter rows low:high that meet the image) of output row r.

    shape: (height, width) of the image, of the output, and the padding (above, left).
    """
    height, width, down, across, above, left = shape
    image, i = divmod(r, down)
    top = i * stride - above
    return (image * height + top) * width - left, r * across, max(0, -top), min(k, height - top)
