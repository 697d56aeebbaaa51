"""The functions without parameters.  Their formulas are in ops/, one file each."""

from typing import Any

from mini_nn import backend
from mini_nn.core import Layer, check_grad, check_input
from mini_nn.ops import Array


class Activation(Layer):
    """y = f(x), number by number (Softmax: row by row), any shape.  The cache is x."""

    op: str

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, ndim=None)
        return getattr(backend, self.op).forward(x), x

    def backward(self, dy: Array, cache: Any) -> Array:
        check_grad(self, dy, cache.shape)
        return getattr(backend, self.op).backward(dy, cache)


class ReLU(Activation):
    """y = max(x, 0)."""

    op = "relu"


class ReLU6(Activation):
    """y = min(max(x, 0), 6)."""

    op = "relu6"


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x))."""

    op = "sigmoid"


class Swish(Activation):
    """y = x sigmoid(x)."""

    op = "swish"


class Softmax(Activation):
    """y_k = exp(x_k) / sum_j exp(x_j)."""

    op = "softmax"
