"""Pointwise convolution of few pixels, and the dense layer, to be run: the twin of ops/pointwise.py for float32.

What makes it fast: it leaves BLAS alone.  NumPy's product wakes BLAS's own threads, and these spin for a tenth of a second in
case there is more to do; the kernels that ran meanwhile took twice as long.  A tile of results stays in registers.
"""

import numpy as np
from numba import njit

from mini_nn.kernels import kernel, plain, share
from mini_nn.kernels.tiles.registers import INLINE, LANES, load, spread, store, zeros
from mini_nn.ops import Array
from mini_nn.ops import pointwise as readable

FEW = 256  # pixels: squeeze-excite and classifiers of most batches.  The matrices of more are worth a BLAS
TALL = 8  # rows of a tile
PANEL = 2 * LANES  # its columns


def forward(x: Array, w: Array) -> Array:
    """x (..., I), w (I, O) -> y (..., O)."""
    pixels = x.reshape(-1, x.shape[-1])
    if len(pixels) > FEW or x.dtype != np.float32 or w.dtype != np.float32:
        return readable.forward(x, w)
    return product(pixels, w).reshape(*x.shape[:-1], w.shape[1])


def backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return (dx, dw)."""
    d, pixels = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    if len(d) > FEW or {dy.dtype, x.dtype, w.dtype} != {np.dtype(np.float32)}:
        return readable.backward(dy, x, w)
    dx = np.ascontiguousarray(product(w, d.T).T)  # (w d.T).T is d w.T, and w is read in its order
    return dx.reshape(x.shape), product(pixels.T, d)


def product(a: Array, b: Array) -> Array:
    """a @ b."""
    a, b = plain(a, b)
    y = np.empty((len(a), b.shape[1]), np.float32)
    tiles = -(-len(a) // TALL) * -(-b.shape[1] // PANEL)
    share(_product, tiles, TALL * PANEL * a.shape[1] // LANES, a, b, y)
    return y


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
def _product(a, b, y, start, stop):
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
