"""Pointwise (1 x 1) convolution: every pixel's channels are mixed by the same matrix.  One matrix product.

    y[p, o] = sum_c x[p, c] w[c, o]                                            (p counts all pixels)

On x (N, I) the same line is the dense layer of a classifier.
"""

from mini_nn.ops import Array

analytic = True


def forward(x: Array, w: Array) -> Array:
    """x (..., I), w (I, O) -> y (..., O)."""
    pixels = x.reshape(-1, x.shape[-1])  # one large product is faster than one a row of the image
    return (pixels @ w).reshape(*x.shape[:-1], w.shape[1])


def backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """Return (dx, dw)."""
    d, pixels = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return (d @ w.T).reshape(x.shape), pixels.T @ d
