"""First values: their laws, their dtype, and the generators of random layers."""

import numpy as np
import pytest

from mini_nn import core, init, layers, models
from mini_nn.blocks import Block, inverted_residual


@pytest.mark.parametrize(
    ("layer", "std"),
    [
        (layers.Conv2D(64, 96, 3), np.sqrt(2 / (9 * 96))),
        (layers.DepthwiseConv2D(4000, 5), np.sqrt(2 / 25)),
        (layers.PointwiseConv2D(128, 256), np.sqrt(2 / 256)),
        (layers.Dense(500, 100), 0.1 / np.sqrt(3)),
    ],
    ids=lambda a: type(a).__name__,
)
def test_weights_have_the_published_deviation(layer, std, rng):
    value = init.initialize(layer, rng).weight.value
    assert value.std() == pytest.approx(std, rel=0.02)
    assert abs(value.mean()) < 5 * std / np.sqrt(value.size)


def test_the_classifier_is_uniform(rng):
    value = init.initialize(layers.Dense(500, 100), rng).weight.value
    assert 0.0999 < np.abs(value).max() <= 0.1


def test_constants(rng):
    norm = init.initialize(layers.BatchNorm(3), rng)
    assert [a.value.tolist() for a in (norm.gamma, norm.beta, norm.running_mean, norm.running_var)] == [
        [1] * 3,
        [0] * 3,
        [0] * 3,
        [1] * 3,
    ]
    assert init.initialize(layers.Dense(2, 3), rng).bias.value.tolist() == [0, 0, 0]


def test_a_seed_gives_the_same_network_again():
    nets = [
        init.initialize(models.build("mobilenet_v2", width_mult=0.1), np.random.default_rng(7))
        for _ in range(2)
    ]
    for (_, a), (_, b) in zip(*map(core.named_arrays, nets), strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        assert a.value.dtype == np.float32
    x = np.ones((2, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(nets[0].forward(x, train=True)[0], nets[1].forward(x, train=True)[0])


def test_initialising_float64_makes_everything_float64(rng):
    model = init.initialize(models.build("mobilenet_v1", width_mult=0.25), rng, np.float64)
    assert {item.value.dtype for _, item in core.named_arrays(model)} == {np.dtype(np.float64)}


def test_calibrate_gives_every_norm_the_statistics_of_the_batch(rng):
    block = init.initialize(inverted_residual(Block(4, 6, 2, 3, 1), layers.ReLU6), rng, np.float64)
    x = 5 * rng.standard_normal((8, 6, 5, 4))
    init.calibrate(block, x)
    expand = dict(block.children())["expand"]
    z = x @ expand.conv.weight.value
    np.testing.assert_allclose(expand.norm.running_mean.value, z.mean((0, 1, 2)))
    np.testing.assert_allclose(expand.norm.running_var.value, z.var((0, 1, 2)))
    assert expand.norm.momentum == 0.01
    np.testing.assert_allclose(block(x), block.forward(x, train=True)[0], rtol=1e-9)


class Mine(layers.PointwiseConv2D):
    """A student's own layer."""


def test_a_layer_of_ones_own_takes_the_rule_of_its_parent(rng):
    assert init.initialize(Mine(3, 200), rng).weight.value.std() == pytest.approx(0.1, rel=0.1)


def test_an_array_without_a_rule_is_named(rng):
    layer = layers.ReLU()
    layer.slope = core.Parameter(3)
    with pytest.raises(ValueError, match=r"ReLU\.slope"):
        init.initialize(layer, rng)


@pytest.mark.parametrize("wrong", [0, None, np.random, np.random.RandomState(0)], ids=repr)
def test_the_generator_must_be_one(wrong):
    with pytest.raises(ValueError, match="default_rng"):
        init.initialize(layers.Dense(2, 2), wrong)


@pytest.mark.parametrize("dtype", [np.float16, int, np.complex64])
def test_only_float32_and_float64(dtype, rng):
    with pytest.raises(ValueError, match="float32 or float64"):
        init.initialize(layers.Dense(2, 2), rng, dtype)


def test_a_value_must_fit_its_parameter():
    parameter = core.Parameter(2, 3)
    for value, says in [
        (np.zeros((3, 2)), r"\(2, 3\).*\(3, 2\)"),
        ([[0]], "list"),
        (np.zeros((2, 3), int), "int64"),
    ]:
        with pytest.raises(ValueError, match=says):
            parameter.value = value
