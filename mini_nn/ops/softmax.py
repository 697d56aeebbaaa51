"""y_k = exp(x_k) / sum_j exp(x_j): scores become probabilities, over the last axis."""

import numpy as np

from mini_nn.ops import Array

analytic = True


def forward(x: Array) -> Array:
    """x (..., K) -> y (..., K).  The largest score is subtracted first: same result, no overflow."""
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def backward(dy: Array, x: Array) -> Array:
    """Return dx = y (dy - sum_k dy_k y_k)."""
    y = forward(x)
    return y * (dy - (dy * y).sum(-1, keepdims=True))
