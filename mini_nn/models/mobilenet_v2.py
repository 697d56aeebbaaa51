"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381)."""

from typing import Any, NamedTuple

from mini_nn.blocks import Block, round_channels
from mini_nn.layers import ReLU6
from mini_nn.models.inverted import build_inverted
from mini_nn.models.network import Network

DROPOUT, DROP_PATH, RESOLUTION = 0.2, 0.0, 224


class Row(NamedTuple):
    expand_ratio: int  # t
    out_channels: int  # c
    repeats: int  # n
    stride: int  # s: of the row's first block; the others have 1


TABLE_2 = (  # the paper's rows in the paper's order
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)


def unroll(width_mult: float = 1.0, table: tuple[Row, ...] = TABLE_2) -> tuple[tuple[Block, ...], ...]:
    """The table with every number settled: one tuple of Blocks for each row."""
    channels, stages = round_channels(32 * width_mult), []
    for t, c, n, s in table:
        out = round_channels(c * width_mult)
        first = Block(channels, out, t, kernel_size=3, stride=s)
        stages.append((first, *[first._replace(in_channels=out, stride=1)] * (n - 1)))
        channels = out
    return tuple(stages)


def build(name: str, width_mult: float, options: dict[str, Any]) -> Network:
    """options are those of models.build.  The last convolution never gets thinner (section 4.1 of the paper)."""
    head = round_channels(1280 * max(1.0, width_mult))
    recipe = (name, {"width_mult": width_mult, **options})
    return build_inverted(recipe, unroll(width_mult), head, ReLU6)
