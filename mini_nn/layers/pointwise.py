"""A matrix for every pixel (PointwiseConv2D), or for every feature vector (Dense)."""

from math import prod
from typing import Any

from mini_nn import backend
from mini_nn.core import Layer, Parameter, Shape, check_grad, check_input
from mini_nn.ops import Array, channel_sum


class PointwiseConv2D(Layer):
    """A 1 x 1 convolution mixes the channels of each pixel: y = x @ weight + bias.

    x (N, H, W, I) -> y (N, H, W, O); weight (I, O), bias (O,).
    """

    ndim = 4

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        self.weight = Parameter(in_channels, out_channels)
        self.bias = Parameter(out_channels) if bias else None

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, self.weight.shape[0], self.ndim)
        y = backend.pointwise.forward(x, self.weight.value)
        return (y + self.bias.value if self.bias else y), x

    def backward(self, dy: Array, cache: Any) -> Array:
        x = cache
        check_grad(self, dy, (*x.shape[:-1], self.weight.shape[1]))
        dx, dw = backend.pointwise.backward(dy, x, self.weight.value)
        self.weight.add_grad(dw)
        if self.bias:
            self.bias.add_grad(channel_sum(dy))
        return dx

    def out_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.weight.shape[1])

    def macs(self, shape: Shape) -> int:
        return prod(shape[:-1]) * prod(self.weight.shape)


class Dense(PointwiseConv2D):
    """The classifier's layer: x (N, I) -> y (N, O) = x @ weight + bias."""

    ndim = 2

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, bias=True)
