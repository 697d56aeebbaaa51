"""y = activate(x convolved with w + bias), a standard convolution; x (H, W * C): a row of the image is a row of numbers.

What makes it fast: the windows of neighbouring outputs are rows of a matrix that overlap in memory, so a product with the
weights needs no copy of them; as in a pointwise convolution a tile of results stays in registers; windows that the image's
border cuts are few, and are copied with zeros around them.
"""

from numba import njit

from mini_nn.kernels.tiles.pointwise import PANEL, ROWS, finish, one_row
from mini_nn.kernels.tiles.registers import INLINE, PART, load, matrix, spread, zeros


@njit(**INLINE)
def tile(x, packed, y, none, kind, bounds, c, k, stride, top, near, o, p):
    """Outputs o, o + 1, ... of panel p; their windows begin at column `near` of the image and lie inside it, row `top` on."""
    height, span = x.shape[0], k * c
    line = p * (1 + k * span)
    total = zeros(ROWS, 2) + load(packed, line, 0, 1, 2)
    for a in range(max(0, -top), min(k, height - top)):
        windows = matrix(x, (top + a) * x.shape[1] + near * c, ROWS, span, stride * c)
        for j in range(span):
            total += spread(windows, 0, j, ROWS) * load(packed, line + 1 + a * span + j, 0, 1, 2)
    finish(total, y, none, kind, bounds, o, p * PANEL, ROWS, 2)


@njit(**PART)
def convolved_row(x, packed, y, taps, kind, bounds, c, k, stride, top, left):
    """A row of outputs, y (OW, N), whose windows begin at row `top`; taps (1, K * K * C) is room for one window."""
    width, across, panels = x.shape[1] // c, len(y), -(-y.shape[1] // PANEL)
    none = matrix(x, 0, 0, y.shape[1])
    inner = -(-left // stride)  # outputs inner:outer see no padding at the sides
    outer = (width - k + left) // stride + 1
    if outer - inner < ROWS:
        outer = inner
    o = 0
    while o < across:
        if inner <= o < outer:
            o = min(o, outer - ROWS)
            for p in range(panels):
                tile(x, packed, y, none, kind, bounds, c, k, stride, top, o * stride - left, o, p)
            o += ROWS
        else:
            copy_window(x, taps, c, k, top, o * stride - left)
            for p in range(panels):
                one_row(taps, packed, y[o : o + 1], none, kind, bounds, 0, p)
            o += 1


@njit(**PART)
def copy_window(x, taps, c, k, top, near):
    """The window at row `top`, column `near` of the image, zeros where it lies outside."""
    height, width = x.shape[0], x.shape[1] // c
    for a in range(k):
        for b in range(k):
            for i in range(c):
                inside = 0 <= top + a < height and 0 <= near + b < width
                taps[0, (a * k + b) * c + i] = x[top + a, (near + b) * c + i] if inside else 0
