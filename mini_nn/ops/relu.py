"""y = max(x, 0).  The slope at exactly 0 is taken as 0, as PyTorch, JAX and Keras do."""

import numpy as np

from mini_nn.ops import Array

analytic = False  # a kink at 0


def forward(x: Array) -> Array:
    """x -> y, any shape."""
    return np.maximum(x, 0)


def backward(dy: Array, x: Array) -> Array:
    """Return dx."""
    return dy * (x > 0)
