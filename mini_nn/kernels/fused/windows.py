"""The windows of a standard convolution side by side, one row for each output pixel: it becomes a matrix product.

What makes it fast: a row of a window is one piece of memory, and is copied as one.
"""

from mini_nn.kernels import kernel, share
from mini_nn.ops import Array


def gather(x: Array, k: int, stride: int, above: int, left: int, rows: Array) -> None:
    """x (N, H, W, C) -> rows (N, OH, OW, D): D = K K C numbers that an output pixel sees."""
    images = x.reshape(*x.shape[:2], -1)
    share(
        _gather,
        len(x) * rows.shape[1],
        rows.shape[2] * rows.shape[3],
        images,
        x.shape[3],
        k,
        stride,
        above,
        left,
        rows,
    )


@kernel
def _gather(x, channels, k, stride, above, left, rows, start, stop):
    """Rows start:stop of output pixels, counted through all images."""
    _, height, width = x.shape
    _, down, across, _ = rows.shape
    long = k * channels
    for r in range(start, stop):
        n, i = divmod(r, down)
        for j in range(across):
            near = (j * stride - left) * channels
            for a in range(k):
                p = i * stride + a - above
                if 0 <= p < height and near >= 0 and near + long <= width:
                    for c in range(long):
                        rows[n, i, j, a * long + c] = x[n, p, near + c]
                else:
                    for c in range(long):
                        inside = 0 <= p < height and 0 <= near + c < width
                        rows[n, i, j, a * long + c] = x[n, p, near + c] if inside else 0
