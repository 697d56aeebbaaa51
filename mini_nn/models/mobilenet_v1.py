"""MobileNet (Howard et al. 2017, arXiv:1704.04861).

The paper prints stride 2 for the last depthwise layer, whose input is already 7 x 7: its authors' code has 1.
"""

from itertools import pairwise
from typing import Any, NamedTuple

from mini_nn.blocks import depthwise_separable, stem
from mini_nn.layers import ReLU6, Sequential
from mini_nn.models.network import Network, assemble

DROPOUT, DROP_PATH, RESOLUTION = 1e-3, 0.0, 224


class Row(NamedTuple):
    out_channels: int
    stride: int


TABLE_1 = (  # of the paper: its 13 pairs of depthwise and pointwise layers, cut where the image shrinks
    (Row(64, 1),),
    (Row(128, 2), Row(128, 1)),
    (Row(256, 2), Row(256, 1)),
    (Row(512, 2), *[Row(512, 1)] * 5),
    (Row(1024, 2), Row(1024, 1)),
)


def channels(c: int, width_mult: float) -> int:
    """v1 cuts the fraction off, where its successors round to a multiple of 8."""
    return max(8, int(c * width_mult))


def unroll(width_mult: float = 1.0) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """The table with every number settled: (in_channels, out_channels, stride) for each block of each stage."""
    widths = [32] + [row.out_channels for stage in TABLE_1 for row in stage]
    settled = pairwise(channels(c, width_mult) for c in widths)
    return tuple(tuple((*next(settled), row.stride) for row in stage) for stage in TABLE_1)


def build(name: str, width_mult: float, options: dict[str, Any]) -> Network:
    """options are those of models.build; drop_path finds no residual branch here."""
    table, convention = unroll(width_mult), options["convention"]
    return assemble(
        (name, {"width_mult": width_mult, **options}),
        stem=stem(options["in_channels"], table[0][0][0], options["stem_stride"], ReLU6, convention),
        stages=Sequential(
            *(Sequential(*(depthwise_separable(*row, ReLU6, convention) for row in s)) for s in table)
        ),
        head=None,
        features=table[-1][-1][1],
    )
