"""Depthwise convolution with its weight."""

from typing import Any

from mini_nn import backend
from mini_nn.core import Layer, Parameter, Shape, check_grad, check_input
from mini_nn.ops import Array
from mini_nn.ops.padding import Padding, resolve


class DepthwiseConv2D(Layer):
    """One K x K filter for each channel; channels are not mixed (MobileNets, arXiv:1704.04861, section 3.1).

    x (N, H, W, C) -> y (N, OH, OW, C); weight (K, K, C).  No bias: BatchNorm, which follows, has one.
    """

    def __init__(
        self, channels: int, kernel_size: int = 3, stride: int = 1, padding: Padding = "same"
    ) -> None:
        self.weight = Parameter(kernel_size, kernel_size, channels)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        resolve(padding, (kernel_size, kernel_size), kernel_size, stride)  # refuse nonsense now

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, self.weight.shape[2])
        return backend.depthwise.forward(x, self.weight.value, self.stride, self.padding), x

    def backward(self, dy: Array, cache: Any) -> Array:
        x = cache
        check_grad(self, dy, (len(x), *self.out_shape(x.shape[1:])))
        dx, dw = backend.depthwise.backward(dy, x, self.weight.value, self.stride, self.padding)
        self.weight.add_grad(dw)
        return dx

    def out_shape(self, shape: Shape) -> Shape:
        _, out = resolve(self.padding, shape, self.kernel_size, self.stride)
        return (*out, shape[2])

    def macs(self, shape: Shape) -> int:
        oh, ow, c = self.out_shape(shape)
        return oh * ow * c * self.kernel_size**2
