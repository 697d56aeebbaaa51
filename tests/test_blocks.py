"""Blocks: their gradients in both conventions, and the decisions that implementations disagree about."""

import numpy as np
import pytest

from mini_nn import init
from mini_nn.blocks import (
    KERAS,
    TORCH,
    Block,
    Convention,
    conv_norm_act,
    depthwise_separable,
    inverted_residual,
    round_channels,
    squeeze_excite,
)
from mini_nn.core import named_arrays, named_layers
from mini_nn.gradcheck import check_layer
from mini_nn.layers import Conv2D, ReLU6, Residual, StochasticDepth, Swish

BLOCKS = {
    "conv_norm_act": lambda c: conv_norm_act(Conv2D(4, 5, 3, 2, c.padding), 5, Swish, c),
    "depthwise_separable": lambda c: depthwise_separable(4, 3, 2, ReLU6, c),
    "squeeze_excite": lambda c: squeeze_excite(4, 2, Swish),
    "v2, t = 1": lambda c: inverted_residual(Block(4, 3, 1, 3, 1), ReLU6, c),
    "v2, stride 2": lambda c: inverted_residual(Block(4, 3, 2, 3, 2), ReLU6, c),
    "v2, skip": lambda c: inverted_residual(Block(4, 4, 2, 3, 1), ReLU6, c),
    "MBConv, skip": lambda c: inverted_residual(Block(4, 4, 2, 5, 1, 0.5, 0.4), Swish, c),
    "MBConv, stride 2": lambda c: inverted_residual(Block(4, 3, 2, 5, 2, 0.25), Swish, c),
}


@pytest.mark.parametrize("train", [False, True], ids=["predict", "train"])
@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize("name", BLOCKS)
def test_backward_matches_differences(name, convention, train, floor, rng):
    block = init.initialize(BLOCKS[name](convention), rng, np.float64)
    for array, item in named_arrays(block):
        if array.split(".")[-1] in ("beta", "bias", "running_mean"):
            item.value = 0.3 * rng.standard_normal(item.shape)
    assert check_layer(block, rng.standard_normal((2, 5, 4, 4)), rng, train=train)


def test_the_conventions_are_the_published_ones():
    assert Convention("same", 1e-3, 0.01, False) == KERAS
    assert Convention("symmetric", 1e-5, 0.1, True) == TORCH


@pytest.mark.parametrize(
    ("block", "skips"),
    [
        (Block(8, 8, 6, 3, 1), True),
        (Block(8, 8, 6, 3, 2), False),  # the image shrinks
        (Block(8, 16, 6, 3, 1), False),  # the channels change, and there is no projection on the skip
    ],
    ids=str,
)
def test_only_blocks_that_keep_the_shape_skip(block, skips):
    assert isinstance(inverted_residual(block, ReLU6), Residual) == skips == block.skips


def test_an_expansion_of_1_has_no_expand_layer():
    assert "expand" not in dict(inverted_residual(Block(8, 16, 1, 3, 1), ReLU6).children())


def test_the_projection_is_linear():
    project = dict(inverted_residual(Block(8, 16, 6, 3, 1), ReLU6).children())["project"]
    assert [name for name, _ in project.children()] == ["conv", "norm"]


@pytest.mark.parametrize(("channels", "squeezed"), [(8, 2), (24, 6), (2, 1)])
def test_squeeze_is_a_quarter_of_the_blocks_input(channels, squeezed):
    """Of the input, not of the six times wider inside: that alone would make B0 8.4 million parameters."""
    block = inverted_residual(Block(channels, 16, 6, 3, 1, se_ratio=0.25), Swish)
    assert dict(named_layers(block))["se.reduce"].weight.shape == (6 * channels, squeezed)


def test_squeeze_excite_comes_between_the_filter_and_the_projection():
    names = [name for name, _ in inverted_residual(Block(8, 8, 6, 3, 1, 0.25, 0.1), Swish).children()]
    assert names == ["expand", "depthwise", "se", "project", "drop"]


def test_a_dropped_branch_leaves_the_skip(rng):
    block = init.initialize(inverted_residual(Block(4, 4, 2, 3, 1, drop_path=0.5), ReLU6), rng, np.float64)
    assert isinstance(dict(block.children())["drop"], StochasticDepth)
    x = rng.standard_normal((64, 3, 3, 4))
    unchanged = (block.forward(x, train=True)[0] == x).all((1, 2, 3))
    assert 16 < unchanged.sum() < 48


@pytest.mark.parametrize(
    ("asked", "given"),
    [(8, 8), (3, 8), (11.9, 16), (12, 16), (44, 48), (33, 32), (35.2, 32), (36, 40), (71, 72)],
)
def test_round_channels_goes_to_the_nearest_eight_but_never_down_by_a_tenth(asked, given):
    assert round_channels(asked) == given
    assert given >= 0.9 * asked
