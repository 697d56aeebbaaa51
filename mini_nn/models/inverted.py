"""What MobileNetV2 and EfficientNet share: a stem, stages of inverted-residual blocks, a 1 x 1 head."""

from typing import Any

from mini_nn.blocks import Activation, Block, conv_norm_act, inverted_residual, stem
from mini_nn.layers import PointwiseConv2D, Sequential
from mini_nn.models.network import Network, assemble

Stages = tuple[tuple[Block, ...], ...]


def build_inverted(recipe: tuple[str, dict[str, Any]], stages: Stages, head: int, act: Activation) -> Network:
    """Lay out the blocks of `stages`; `head` is the width of the last convolution."""
    options = recipe[1]
    convention = options["convention"]
    first, last = stages[0][0].in_channels, stages[-1][-1].out_channels
    layered = (
        Sequential(*(inverted_residual(block, act, convention) for block in stage))
        for stage in with_drop_path(stages, options["drop_path"])
    )
    return assemble(
        recipe,
        stem=stem(options["in_channels"], first, options["stem_stride"], act, convention),
        stages=Sequential(*layered),
        head=conv_norm_act(PointwiseConv2D(last, head), head, act, convention),
        features=head,
    )


def with_drop_path(stages: Stages, rate: float) -> Stages:
    """Block i of all n blocks drops its residual branch with probability rate * i / n (EfficientNet's code)."""
    total, i, out = sum(len(stage) for stage in stages), 0, []
    for stage in stages:
        out.append(tuple(b._replace(drop_path=rate * (i + j) / total) for j, b in enumerate(stage)))
        i += len(stage)
    return tuple(out)
