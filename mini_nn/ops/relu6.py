"""y = min(max(x, 0), 6): a ReLU that fits a small fixed-point number (Howard et al. 2017, in code).

The slope at exactly 0 and 6 is taken as 0, as PyTorch, JAX and Keras do.
"""

import numpy as np

from mini_nn.ops import Array

analytic = False  # kinks at 0 and 6


def forward(x: Array) -> Array:
    """x -> y, any shape."""
    return np.clip(x, 0, 6)


def backward(dy: Array, x: Array) -> Array:
    """Return dx."""
    return dy * ((x > 0) & (x < 6))
