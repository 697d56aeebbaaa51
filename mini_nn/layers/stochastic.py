"""Layers that draw random numbers in training and do nothing in prediction.

They draw from a generator that `init.initialize(model, rng)` or `init.seed(model, rng)` gives them.
"""

from typing import Any

import numpy as np

from mini_nn.core import Layer, Shape, check_grad, check_input
from mini_nn.ops import Array


class Dropout(Layer):
    """Drop each number with probability `rate`; what is left grows by 1 / (1 - rate)  (Srivastava et al. 2014)."""

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"{type(self).__name__}: rate {rate} must be in [0, 1)")
        self.rate = rate
        self.rng: np.random.Generator | None = None

    def mask_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, ndim=None)
        if not train or self.rate == 0:
            return x, None
        if self.rng is None:
            raise ValueError(
                f"{type(self).__name__} has no random generator: call init.seed(model, rng) before training"
            )
        kept = self.rng.random(self.mask_shape(x.shape)) >= self.rate
        mask = kept.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return x * mask, mask

    def backward(self, dy: Array, cache: Any) -> Array:
        if cache is None:
            return dy
        check_grad(self, dy, np.broadcast_shapes(dy.shape, cache.shape))
        return dy * cache


class StochasticDepth(Dropout):
    """Drop a whole residual branch for each sample on its own  (Huang et al. 2016; "drop connect" in EfficientNet's code)."""

    def mask_shape(self, shape: Shape) -> Shape:
        return (shape[0], *[1] * (len(shape) - 1))
