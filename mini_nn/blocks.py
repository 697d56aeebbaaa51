"""Blocks are functions that put layers together; they have no code of their own to differentiate."""

from collections.abc import Callable
from typing import NamedTuple

from mini_nn.core import Layer
from mini_nn.layers import (
    BatchNorm,
    Conv2D,
    DepthwiseConv2D,
    Gate,
    GlobalAveragePool,
    PointwiseConv2D,
    Residual,
    Sequential,
    Sigmoid,
    StochasticDepth,
)
from mini_nn.ops.padding import Padding

Activation = Callable[[], Layer]


class Convention(NamedTuple):
    """What two implementations of one paper disagree about; it travels with a checkpoint."""

    padding: Padding
    eps: float  # BatchNorm's
    momentum: float  # weight of the new batch in the running statistics
    unbiased: bool  # which variance is tracked; with True, one value a channel cannot be trained on

    def norm(self, channels: int) -> BatchNorm:
        return BatchNorm(channels, self.eps, self.momentum, self.unbiased)


KERAS = Convention(padding="same", eps=1e-3, momentum=0.01, unbiased=False)
TORCH = Convention(padding="symmetric", eps=1e-5, momentum=0.1, unbiased=True)


class Block(NamedTuple):
    """One inverted-residual block, every number settled.  Printed, a list of these is the paper's table."""

    in_channels: int
    out_channels: int
    expand_ratio: int
    kernel_size: int
    stride: int
    se_ratio: float = 0.0
    drop_path: float = 0.0

    @property
    def skips(self) -> bool:
        return self.stride == 1 and self.in_channels == self.out_channels


def conv_norm_act(
    conv: Layer, channels: int, act: Activation | None, convention: Convention = KERAS
) -> Sequential:
    """A convolution, BatchNorm over its output channels, and an activation (None: linear)."""
    parts = {"conv": conv, "norm": convention.norm(channels)}
    return Sequential(**parts, **({"act": act()} if act else {}))


def depthwise_separable(
    in_channels: int, out_channels: int, stride: int, act: Activation, convention: Convention = KERAS
) -> Sequential:
    """Filter each channel (3 x 3), then mix the channels (1 x 1)  (MobileNets, figure 3)."""
    spatial = DepthwiseConv2D(in_channels, 3, stride, convention.padding)
    mix = PointwiseConv2D(in_channels, out_channels)
    return Sequential(
        depthwise=conv_norm_act(spatial, in_channels, act, convention),
        pointwise=conv_norm_act(mix, out_channels, act, convention),
    )


def squeeze_excite(channels: int, squeezed: int, act: Activation) -> Gate:
    """Look at the whole image, then turn each channel up or down  (Hu et al. 2017, figure 2)."""
    return Gate(
        pool=GlobalAveragePool(keepdims=True),
        reduce=PointwiseConv2D(channels, squeezed, bias=True),
        act=act(),
        expand=PointwiseConv2D(squeezed, channels, bias=True),
        gate=Sigmoid(),
    )


def inverted_residual(block: Block, act: Activation, convention: Convention = KERAS) -> Sequential:
    """Expand (1 x 1), filter (depthwise), squeeze-excite, project (1 x 1, linear)  (MobileNetV2, figure 4d; MBConv).

    `se_ratio` is of the block's *input* channels, as in EfficientNet's code, not of the expanded ones.
    """
    hidden = block.in_channels * block.expand_ratio
    parts: dict[str, Layer] = {}
    if block.expand_ratio != 1:
        expand = PointwiseConv2D(block.in_channels, hidden)
        parts["expand"] = conv_norm_act(expand, hidden, act, convention)
    spatial = DepthwiseConv2D(hidden, block.kernel_size, block.stride, convention.padding)
    parts["depthwise"] = conv_norm_act(spatial, hidden, act, convention)
    if block.se_ratio:
        parts["se"] = squeeze_excite(hidden, max(1, int(block.in_channels * block.se_ratio)), act)
    project = PointwiseConv2D(hidden, block.out_channels)
    parts["project"] = conv_norm_act(project, block.out_channels, None, convention)
    if not block.skips:
        return Sequential(**parts)
    if block.drop_path:
        parts["drop"] = StochasticDepth(block.drop_path)
    return Residual(**parts)


def stem(
    in_channels: int, out_channels: int, stride: int, act: Activation, convention: Convention
) -> Sequential:
    """The first layer of all these networks: a standard 3 x 3 convolution."""
    conv = Conv2D(in_channels, out_channels, 3, stride, convention.padding)
    return conv_norm_act(conv, out_channels, act, convention)


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, but never more than 10 % less than asked."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
