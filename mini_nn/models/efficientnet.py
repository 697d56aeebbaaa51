"""EfficientNet-B0 to B7 (Tan & Le 2019, arXiv:1905.11946) and its Lite variants (the authors' code, 2020)."""

from math import ceil
from typing import Any, NamedTuple

from mini_nn.blocks import Block, round_channels
from mini_nn.layers import ReLU6, Swish
from mini_nn.models.inverted import build_inverted
from mini_nn.models.network import Network

DROP_PATH = 0.2


class Row(NamedTuple):
    expand_ratio: int
    kernel_size: int
    stride: int
    out_channels: int
    repeats: int


TABLE_1 = (  # of the paper: its stages 2 to 8; the strides are the authors' code's, the paper prints none
    Row(1, 3, 1, 16, 1),
    Row(6, 3, 2, 24, 2),
    Row(6, 5, 2, 40, 2),
    Row(6, 3, 2, 80, 3),
    Row(6, 5, 1, 112, 3),
    Row(6, 5, 2, 192, 4),
    Row(6, 3, 1, 320, 1),
)


class Scale(NamedTuple):
    """Compound scaling as published: a table, close to the paper's formula but not equal to it."""

    width_mult: float
    depth_mult: float
    resolution: int
    dropout: float


SCALES = {
    "efficientnet_b0": Scale(1.0, 1.0, 224, 0.2),
    "efficientnet_b1": Scale(1.0, 1.1, 240, 0.2),
    "efficientnet_b2": Scale(1.1, 1.2, 260, 0.3),
    "efficientnet_b3": Scale(1.2, 1.4, 300, 0.3),
    "efficientnet_b4": Scale(1.4, 1.8, 380, 0.4),
    "efficientnet_b5": Scale(1.6, 2.2, 456, 0.4),
    "efficientnet_b6": Scale(1.8, 2.6, 528, 0.5),
    "efficientnet_b7": Scale(2.0, 3.1, 600, 0.5),
    "efficientnet_lite0": Scale(1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": Scale(1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": Scale(1.1, 1.2, 260, 0.3),
    "efficientnet_lite3": Scale(1.2, 1.4, 280, 0.3),
    "efficientnet_lite4": Scale(1.4, 1.8, 300, 0.3),
}


def is_lite(name: str) -> bool:
    """Lite: no squeeze-excite, ReLU6 for swish, stem and head never scaled, first and last stage never deepened."""
    return "_lite" in name


def unroll(name: str, width_mult: float, depth_mult: float) -> tuple[tuple[Block, ...], ...]:
    """The table with every number settled: one tuple of Blocks for each row."""
    lite = is_lite(name)
    channels, stages = 32 if lite else round_channels(32 * width_mult), []
    for i, (t, k, s, c, n) in enumerate(TABLE_1):
        out = round_channels(c * width_mult)
        repeats = n if lite and i in (0, len(TABLE_1) - 1) else ceil(n * depth_mult)
        first = Block(channels, out, t, k, s, se_ratio=0.0 if lite else 0.25)
        stages.append((first, *[first._replace(in_channels=out, stride=1)] * (repeats - 1)))
        channels = out
    return tuple(stages)


def build(name: str, width_mult: float, depth_mult: float, options: dict[str, Any]) -> Network:
    """options are those of models.build."""
    lite = is_lite(name)
    head = 1280 if lite else round_channels(1280 * width_mult)
    recipe = (name, {"width_mult": width_mult, "depth_mult": depth_mult, **options})
    return build_inverted(recipe, unroll(name, width_mult, depth_mult), head, ReLU6 if lite else Swish)
