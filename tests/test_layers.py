"""Every layer: its gradients, its cache, its shapes and its cost; modes and freezing of the layers that have them."""

import numpy as np
import pytest

from mini_nn import blocks, core, init, layers, profile
from mini_nn.core import named_arrays
from mini_nn.gradcheck import check_layer


def residual_of(*inner):
    return layers.Residual(*inner)


LAYERS = {  # name: (a new layer, the shape of its input)
    "Conv2D": (lambda: layers.Conv2D(3, 4, 3, 2, bias=True), (2, 5, 6, 3)),
    "Conv2D, groups": (lambda: layers.Conv2D(4, 6, 3, 3, "symmetric", groups=2, bias=True), (2, 7, 5, 4)),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, 5, 2), (2, 6, 7, 3)),
    "DepthwiseConv2D, int": (lambda: layers.DepthwiseConv2D(3, 3, 2, 2), (2, 4, 5, 3)),
    "PointwiseConv2D": (lambda: layers.PointwiseConv2D(3, 5), (2, 3, 4, 3)),
    "PointwiseConv2D, bias": (lambda: layers.PointwiseConv2D(3, 5, bias=True), (2, 3, 4, 3)),
    "Dense": (lambda: layers.Dense(4, 3), (5, 4)),
    "BatchNorm": (lambda: layers.BatchNorm(3), (3, 2, 4, 3)),
    "BatchNorm, unbiased": (lambda: layers.BatchNorm(3, 1e-5, 0.1, unbiased=True), (3, 2, 4, 3)),
    "ReLU": (layers.ReLU, (2, 3, 4, 3)),
    "ReLU6": (layers.ReLU6, (2, 3, 4, 3)),
    "Sigmoid": (layers.Sigmoid, (2, 3, 4, 3)),
    "Swish": (layers.Swish, (2, 3, 4, 3)),
    "Softmax": (layers.Softmax, (3, 4)),
    "GlobalAveragePool": (layers.GlobalAveragePool, (2, 3, 4, 3)),
    "GlobalAveragePool, keepdims": (lambda: layers.GlobalAveragePool(keepdims=True), (2, 3, 4, 3)),
    "Dropout": (lambda: layers.Dropout(0.4), (3, 4, 2, 3)),
    "StochasticDepth": (lambda: layers.StochasticDepth(0.4), (5, 2, 3, 2)),
    "Sequential": (lambda: layers.Sequential(layers.PointwiseConv2D(3, 4), layers.Swish()), (2, 3, 2, 3)),
    "Residual": (lambda: residual_of(layers.PointwiseConv2D(3, 3), layers.Swish()), (2, 3, 2, 3)),
    "Residual, dropped": (
        lambda: residual_of(layers.DepthwiseConv2D(3), layers.StochasticDepth(0.5)),
        (4, 3, 2, 3),
    ),
    "Gate": (lambda: blocks.squeeze_excite(4, 2, layers.Swish), (2, 3, 5, 4)),
    "Gate of v1's ReLU6": (lambda: blocks.squeeze_excite(4, 3, layers.ReLU6), (2, 3, 5, 4)),
}


@pytest.fixture(params=LAYERS)
def case(request, rng):
    make, shape = LAYERS[request.param]
    layer = init.initialize(make(), rng, np.float64)
    for name, item in named_arrays(layer):  # no value that hides a mistake: no zeros, no ones, no symmetry
        kind = name.split(".")[-1]
        item.value = (
            rng.uniform(0.5, 1.5, item.shape) if kind == "running_var" else rng.standard_normal(item.shape)
        )
    return layer, 2 * rng.standard_normal(shape)


@pytest.mark.parametrize("train", [False, True], ids=["predict", "train"])
def test_backward_matches_differences(case, train, floor, rng):
    layer, x = case
    assert check_layer(layer, x, rng, train=train)


def test_predicting_equals_forward_and_remembers_nothing(case, floor):
    layer, x = case
    before = {name: dict(vars(part)) for name, part in core.named_layers(layer)}
    y, _ = layer.forward(x)
    np.testing.assert_array_equal(layer(x), y)
    assert before == {name: dict(vars(part)) for name, part in core.named_layers(layer)}


def test_out_shape_is_the_shape_that_comes_out(case):
    layer, x = case
    assert layer.out_shape(x.shape[1:]) == layer(x).shape[1:]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_the_arrays(case, dtype, floor, rng):
    layer, x = case
    for _, item in named_arrays(layer):
        item.value = item.value.astype(dtype)
    y, cache = layer.forward(x.astype(dtype), train=True)
    dx = layer.backward(rng.standard_normal(y.shape).astype(dtype), cache)
    grads = [item.grad for _, item in named_arrays(layer) if isinstance(item, core.Parameter)]
    assert {a.dtype for a in (y, dx, *grads, *(item.value for _, item in named_arrays(layer)))} == {
        np.dtype(dtype)
    }


def test_a_layer_may_be_called_twice_before_going_back(case, rng):
    layer, x = case
    other = x + rng.standard_normal(x.shape)
    y1, cache1 = layer.forward(x)
    _, cache2 = layer.forward(other)
    dy = rng.standard_normal(y1.shape)
    first = layer.backward(dy, cache1)
    layer.backward(dy, cache2)
    _, again = layer.forward(x)
    np.testing.assert_array_equal(layer.backward(dy, again), first)


def test_gradients_add_up(case, rng):
    layer, x = case
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    layer.backward(dy, cache)
    once = {n: item.grad for n, item in named_arrays(layer) if isinstance(item, core.Parameter)}
    layer.backward(dy, cache)
    for name, item in named_arrays(layer):
        if isinstance(item, core.Parameter):
            np.testing.assert_allclose(item.grad, 2 * once[name])


def test_a_frozen_parameter_collects_no_gradient_and_lets_it_through(case, rng):
    layer, x = case
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    free = layer.backward(dy, cache)
    for item in core.parameters(layer):
        item.trainable, item.grad = False, None
    np.testing.assert_array_equal(layer.backward(dy, cache), free)
    assert all(item.grad is None for item in core.parameters(layer))


@pytest.mark.parametrize("unbiased", [False, True])
def test_running_statistics_move_by_momentum(unbiased, floor, rng):
    norm = init.initialize(layers.BatchNorm(2, 1e-3, 0.25, unbiased), rng, np.float64)
    x = 3 + 2 * rng.standard_normal((3, 4, 5, 2))
    norm.forward(x, train=True)
    np.testing.assert_allclose(norm.running_mean.value, 0.25 * x.mean((0, 1, 2)))
    np.testing.assert_allclose(norm.running_var.value, 0.75 + 0.25 * x.var((0, 1, 2), ddof=int(unbiased)))


@pytest.mark.parametrize("frozen", [False, True])
def test_predicting_and_frozen_norms_leave_their_statistics_alone(frozen, floor, rng):
    norm = init.initialize(layers.BatchNorm(2), rng, np.float32)
    norm.gamma.trainable = not frozen
    x = (3 + 2 * rng.standard_normal((3, 4, 5, 2))).astype(np.float32)
    before = [norm.running_mean.value.tobytes(), norm.running_var.value.tobytes()]
    y, _ = norm.forward(x, train=frozen)
    assert before == [norm.running_mean.value.tobytes(), norm.running_var.value.tobytes()]
    np.testing.assert_allclose(y, x / np.sqrt(np.float32(1.001)), rtol=1e-5)


def test_a_frozen_norms_gradient_matches_differences_in_training(floor, rng):
    norm = init.initialize(layers.BatchNorm(3), rng, np.float64)
    norm.gamma.trainable = False
    rows = check_layer(norm, rng.standard_normal((3, 2, 4, 3)), rng, train=True)
    assert [row.array for row in rows] == ["dx", "dbeta"]


def test_one_value_a_channel_cannot_be_tracked_unbiased(rng):
    x = rng.standard_normal((1, 1, 1, 3))
    with pytest.raises(ValueError, match="one value a channel"):
        init.initialize(layers.BatchNorm(3, unbiased=True), rng, np.float64).forward(x, train=True)
    keras = init.initialize(layers.BatchNorm(3, unbiased=False), rng, np.float64)
    np.testing.assert_array_equal(keras.forward(x, train=True)[0], np.zeros_like(x))


def test_dropout_keeps_the_mean_and_drops_the_rate(rng):
    layer, x = init.seed(layers.Dropout(0.3), rng), np.ones((200, 500))
    y, _ = layer.forward(x, train=True)
    assert set(np.unique(y)) == {0, 1 / 0.7}
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_array_equal(layer(x), x)


def test_stochastic_depth_drops_whole_samples(rng):
    layer, x = init.seed(layers.StochasticDepth(0.25), rng), np.ones((4000, 2, 3, 2))
    y, _ = layer.forward(x, train=True)
    assert (y == y[:, :1, :1, :1]).all()
    assert abs((y[:, 0, 0, 0] == 0).mean() - 0.25) < 0.03


@pytest.mark.parametrize(
    "layer", [layers.Dropout(0.5), layers.StochasticDepth(0.5)], ids=lambda a: type(a).__name__
)
def test_an_unseeded_random_layer_refuses_to_train(layer):
    x = np.ones((2, 3, 3, 1))
    np.testing.assert_array_equal(layer(x), x)
    with pytest.raises(ValueError, match=r"init\.seed"):
        layer.forward(x, train=True)


def test_random_layers_do_not_share_one_stream(rng):
    pair = init.seed(layers.Sequential(layers.Dropout(0.5), layers.Dropout(0.5)), rng)
    masks = pair.forward(np.ones((50, 50)), train=True)[1]
    assert not np.array_equal(masks[0], masks[1])


def test_multiply_adds_count_the_products_of_the_definition():
    cost = {  # output pixels x filters x what each sees
        layers.Conv2D(4, 6, 3, 2, groups=2): 3 * 4 * 6 * 2 * 9,
        layers.DepthwiseConv2D(4, 5, 2): 3 * 4 * 4 * 25,
        layers.PointwiseConv2D(4, 6, bias=True): 5 * 7 * 4 * 6,
        layers.BatchNorm(4): 0,
    }
    for layer, macs in cost.items():
        assert layer.macs((5, 7, 4)) == macs
    assert layers.Dense(4, 6).macs((4,)) == 24
    chain = layers.Sequential(layers.DepthwiseConv2D(4, 5, 2), layers.PointwiseConv2D(4, 6))
    assert chain.macs((5, 7, 4)) == 3 * 4 * 4 * 25 + 3 * 4 * 4 * 6


def test_containers_name_their_layers():
    chain = layers.Sequential(layers.ReLU(), last=layers.Dense(2, 3))
    assert [name for name, _ in named_arrays(layers.Sequential(a=chain))] == ["a.last.weight", "a.last.bias"]
    for bad in ({"forward": layers.ReLU()}, {"act": 3}):
        with pytest.raises(ValueError, match="free name"):
            layers.Sequential(**bad)


def test_residual_and_gate_refuse_shapes_that_would_broadcast(rng):
    x = rng.standard_normal((2, 4, 4, 3))
    skip = init.initialize(layers.Residual(layers.PointwiseConv2D(3, 1)), rng, np.float64)
    with pytest.raises(ValueError, match="same shape"):
        skip(x)
    gate = init.initialize(layers.Gate(layers.PointwiseConv2D(3, 3)), rng, np.float64)
    with pytest.raises(ValueError, match="gate's shape"):
        gate.forward(x)


def test_outputs_witnesses_every_layer(rng):
    block = init.initialize(blocks.squeeze_excite(4, 2, layers.Swish), rng, np.float64)
    x = rng.standard_normal((2, 3, 3, 4))
    seen = profile.outputs(block, x)
    assert list(seen) == ["pool", "reduce", "act", "expand", "gate"]
    np.testing.assert_array_equal(x * seen["gate"], block(x))
    np.testing.assert_allclose(seen["pool"][:, 0, 0], x.mean((1, 2)))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (layers.Conv2D, (-3, 4)),
        (layers.Conv2D, (3.0, 4)),
        (layers.Conv2D, (4, 4, 3, 1, "same", 0)),
        (layers.Conv2D, (4, 6, 3, 1, "same", 4)),
        (layers.Conv2D, (4, 6, 0)),
        (layers.DepthwiseConv2D, (0,)),
        (layers.DepthwiseConv2D, (3, 3, 0)),
        (layers.DepthwiseConv2D, (3, 3, 1, "SAME")),
        (layers.PointwiseConv2D, (3, "4")),
        (layers.BatchNorm, (3, 0)),
        (layers.BatchNorm, (3, 1e-3, 1.5)),
        (layers.Dropout, (1.0,)),
        (layers.StochasticDepth, (-0.1,)),
    ],
    ids=str,
)
def test_layers_that_cannot_be_are_refused_when_they_are_made(kind, arguments):
    with pytest.raises(ValueError, match=r"whole numbers|groups|padding|eps|rate|kernel_size"):
        kind(*arguments)
