"""Standard convolution with a weight and, if asked for, a bias."""

from typing import Any

from mini_nn import backend
from mini_nn.core import Layer, Parameter, Shape, check_grad, check_input
from mini_nn.ops import Array, channel_sum
from mini_nn.ops.padding import Padding, resolve


class Conv2D(Layer):
    """Every output channel looks at every input channel of its group, through K x K windows.

    x (N, H, W, I) -> y (N, OH, OW, O); weight (K, K, I / groups, O), bias (O,).  The formula is in ops/conv.py.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2D: {in_channels} and {out_channels} channels do not divide into {groups} groups"
            )
        self.weight = Parameter(kernel_size, kernel_size, in_channels // groups, out_channels)
        self.bias = Parameter(out_channels) if bias else None
        self.in_channels, self.kernel_size, self.stride = in_channels, kernel_size, stride
        self.padding, self.groups = padding, groups
        resolve(padding, (kernel_size, kernel_size), kernel_size, stride)  # refuse nonsense now

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, self.in_channels)
        y = backend.conv.forward(x, self.weight.value, self.stride, self.padding, self.groups)
        return (y + self.bias.value if self.bias else y), x

    def backward(self, dy: Array, cache: Any) -> Array:
        x = cache
        check_grad(self, dy, (len(x), *self.out_shape(x.shape[1:])))
        dx, dw = backend.conv.backward(dy, x, self.weight.value, self.stride, self.padding, self.groups)
        self.weight.add_grad(dw)
        if self.bias:
            self.bias.add_grad(channel_sum(dy))
        return dx

    def out_shape(self, shape: Shape) -> Shape:
        _, out = resolve(self.padding, shape, self.kernel_size, self.stride)
        return (*out, self.weight.shape[3])

    def macs(self, shape: Shape) -> int:
        oh, ow, o = self.out_shape(shape)
        return oh * ow * o * self.weight.shape[2] * self.kernel_size**2
