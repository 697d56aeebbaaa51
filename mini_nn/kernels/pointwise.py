"""Pointwise convolution of few pixels, and the dense layer, to be run: the twin of ops/pointwise.py for float32.

What makes it fast: it leaves BLAS alone.  NumPy's product wakes BLAS's own threads, and these spin for a tenth of a second in
case there is more to do; the kernels that ran meanwhile took twice as long.  A tile of results stays in registers.
"""

import numpy as np

from mini_nn.kernels import plain, share
from mini_nn.kernels.tiles.few import PANEL, TALL, product_of_few
from mini_nn.kernels.tiles.registers import LANES
from mini_nn.ops import Array
from mini_nn.ops import pointwise as readable

FEW = 256  # pixels: squeeze-excite and classifiers of most batches.  The matrices of more are worth a BLAS


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
    share(product_of_few, tiles, TALL * PANEL * a.shape[1] // LANES, a, b, y)
    return y
