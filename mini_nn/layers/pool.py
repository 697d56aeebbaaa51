"""Global average pooling."""

from typing import Any

from mini_nn import backend
from mini_nn.core import Layer, Shape, check_grad, check_input
from mini_nn.ops import Array


class GlobalAveragePool(Layer):
    """The mean over all pixels.  x (N, H, W, C) -> y (N, C), or (N, 1, 1, C) with keepdims."""

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = keepdims

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x)
        y = backend.global_average_pool.forward(x)
        return (y[:, None, None] if self.keepdims else y), x

    def backward(self, dy: Array, cache: Any) -> Array:
        check_grad(self, dy, (len(cache), *self.out_shape(cache.shape[1:])))
        return backend.global_average_pool.backward(dy, cache)

    def out_shape(self, shape: Shape) -> Shape:
        return (1, 1, shape[2]) if self.keepdims else shape[2:]
