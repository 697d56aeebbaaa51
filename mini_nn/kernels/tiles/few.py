"""y = a @ b where a or b has few rows: too few to pack the other into panels first."""

from numba import njit

from mini_nn.kernels import kernel
from mini_nn.kernels.tiles.registers import INLINE, LANES, load, spread, store, zeros

TALL = 8  # rows of a tile
PANEL = 2 * LANES  # its columns


@njit(**INLINE)
def tile(a, b, y, i, j, rows, vecs):
    """y[i : i + rows, j : j + LANES vecs]; rows and vecs are literals wherever this is called."""
    total, n = zeros(rows, vecs), y.shape[1] - j
    if n >= vecs * LANES:
        for k in range(a.shape[1]):
            total += spread(a, i, k, rows) * load(b, k, j, 1, vecs)
        store(y, i, j, total)
    else:
        for k in range(a.shape[1]):
            total += spread(a, i, k, rows) * load(b, k, j, 1, vecs, n)
        store(y, i, j, total, n)


@kernel
def product_of_few(a, b, y, start, stop):
    """Tiles start:stop, counted down the columns."""
    down = -(-len(a) // TALL)
    for t in range(start, stop):
        p, i = t // down, t % down * TALL
        if i + TALL > len(a):
            for r in range(i, len(a)):
                tile(a, b, y, r, p * PANEL, 1, 2)
        elif y.shape[1] - p * PANEL > LANES:
            tile(a, b, y, i, p * PANEL, TALL, 2)
        else:
            tile(a, b, y, i, p * PANEL, TALL, 1)
