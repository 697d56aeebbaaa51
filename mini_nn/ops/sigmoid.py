"""y = 1 / (1 + exp(-x)): a gate between 0 (shut) and 1 (open)."""

import numpy as np

from mini_nn.ops import Array

analytic = True


def forward(x: Array) -> Array:
    """x -> y, any shape.  Only exp of negative numbers is taken, so nothing overflows."""
    e = np.exp(np.where(x.real >= 0, -x, x))
    return np.where(x.real >= 0, 1, e) / (1 + e)


def backward(dy: Array, x: Array) -> Array:
    """Return dx = dy y (1 - y)."""
    y = forward(x)
    return dy * y * (1 - y)
