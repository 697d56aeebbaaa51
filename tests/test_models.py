"""Whole networks: any size, any batch, every option; and what they refuse."""

import tracemalloc

import numpy as np
import pytest

from mini_nn import core, init, profile
from mini_nn.blocks import KERAS, TORCH
from mini_nn.layers import Dropout, StochasticDepth
from mini_nn.models import MODELS, build

SMALL = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.1, "efficientnet_b0": 0.1, "efficientnet_lite0": 0.1}


def test_the_names_are_the_published_ones():
    names = ["mobilenet_v1", "mobilenet_v2", *(f"efficientnet_b{i}" for i in range(8))]
    assert list(MODELS) == [*names, *(f"efficientnet_lite{i}" for i in range(5))]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize("train", [False, True], ids=["predict", "train"])
def test_backward_of_a_whole_network_is_its_slope_in_any_direction(name, convention, train, rng):
    """Move x and all parameters a little, all at once: the loss changes by the product of gradient and direction."""
    options = {"num_classes": 3, "convention": convention, "dropout": 0, "drop_path": 0}
    model = init.initialize(build(name, width_mult=SMALL[name], **options), rng, np.float64)
    x = rng.standard_normal((4, 70, 75, 3))
    for array, item in core.named_arrays(
        model
    ):  # a beta of 0 leaves silent channels exactly on the kink of ReLU6
        if array.endswith("beta"):
            item.value = rng.standard_normal(item.shape)
    init.calibrate(model, x)
    y, cache = model.forward(x, train=train)
    dy = rng.standard_normal(y.shape)
    values = [x, *(p.value for p in core.parameters(model))]
    grads = [model.backward(dy, cache), *(p.grad for p in core.parameters(model))]
    for _ in range(3):
        direction = [rng.standard_normal(a.shape) * (np.abs(a).mean() + 0.01) for a in values]
        losses = []
        for step in (1e-10, -1e-10):  # small: deep layers amplify it, and kinks are everywhere
            for value, d in zip(values, direction, strict=True):
                np.add(value, step * d, out=value)
            losses.append(float((model.forward(x, train=train)[0] * dy).sum()))
            for value, d in zip(values, direction, strict=True):
                np.subtract(value, step * d, out=value)
        slope = sum(float((g * d).sum()) for g, d in zip(grads, direction, strict=True))
        scale = np.sqrt(sum(float((g * d * g * d).sum()) for g, d in zip(grads, direction, strict=True)))
        assert (losses[0] - losses[1]) / 2e-10 == pytest.approx(slope, rel=1e-4, abs=1e-4 * scale)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 35)], ids=str)
@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=["keras", "torch"])
def test_any_size_and_batch_goes_forward_and_back(name, size, convention, rng):
    model = init.initialize(build(name, num_classes=4, width_mult=SMALL[name], convention=convention), rng)
    for batch in (1, 3):
        x = rng.standard_normal((batch, *size, 3), dtype=np.float32)
        for train in (False, batch > 1):
            y, cache = model.forward(x, train=train)
            dy = rng.standard_normal(y.shape, dtype=np.float32)
            kept = x.copy(), dy.copy()
            dx = model.backward(dy, cache)
            assert y.shape == (batch, 4)
            assert dx.shape == x.shape
            assert dx.dtype == y.dtype == np.float32
            np.testing.assert_array_equal(x, kept[0])
            np.testing.assert_array_equal(dy, kept[1])
        assert model.out_shape(x.shape[1:]) == (4,)


@pytest.mark.parametrize("name", SMALL)
def test_images_of_a_batch_do_not_see_each_other_in_prediction(name, rng):
    model = init.initialize(build(name, num_classes=4, width_mult=SMALL[name]), rng, np.float64)
    x = rng.standard_normal((3, 37, 32, 3))
    np.testing.assert_allclose(model(x)[1], model(x[1:2])[0], rtol=1e-9, atol=1e-12)


def test_building_takes_no_memory():
    tracemalloc.start()
    model = build("efficientnet_b7")
    assert tracemalloc.get_traced_memory()[1] < 3e6  # 66 million parameters would be 265 MB
    tracemalloc.stop()
    assert not any(item.has_value for _, item in core.named_arrays(model))
    assert all(p.grad is None for p in core.parameters(model))


def test_a_network_without_values_refuses_to_predict():
    with pytest.raises(ValueError, match="has no value yet"):
        build("mobilenet_v1")(np.zeros((1, 32, 32, 3), np.float32))


def test_names_follow_the_structure():
    names = [name for name, _ in core.named_arrays(build("efficientnet_b0"))]
    assert names[:5] == [
        "stem.conv.weight",
        "stem.norm.gamma",
        "stem.norm.beta",
        "stem.norm.running_mean",
        "stem.norm.running_var",
    ]
    assert "stages.1.0.expand.norm.gamma" in names
    assert "stages.6.0.se.reduce.bias" in names
    assert names[-2:] == ["classifier.weight", "classifier.bias"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0"])
def test_stem_stride_1_keeps_twice_the_pixels(name):
    shapes = [profile.profile(build(name, stem_stride=s), (32, 32, 3)).rows[0].shape[0] for s in (1, 2)]
    assert shapes == [32, 16]


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_the_papers_unless_asked(name):
    dropout = [p.rate for _, p in core.named_layers(build(name)) if type(p) is Dropout]
    assert dropout == [MODELS[name].dropout]
    other = build(name, dropout=0.5, drop_path=0.0)
    assert [p.rate for _, p in core.named_layers(other) if isinstance(p, Dropout)] == [0.5]
    assert not [
        p for _, p in core.named_layers(build(name, dropout=0, drop_path=0)) if isinstance(p, Dropout)
    ]


def test_drop_path_grows_with_depth_as_published():
    """Block i of B0's 16 drops with 0.2 i / 16; only the nine that skip can."""
    rates = {
        n: p.rate for n, p in core.named_layers(build("efficientnet_b0")) if isinstance(p, StochasticDepth)
    }
    expected = {2: "1.1", 4: "2.1", 6: "3.1", 7: "3.2", 9: "4.1", 10: "4.2", 12: "5.1", 13: "5.2", 14: "5.3"}
    assert rates == pytest.approx({f"stages.{at}.drop": 0.2 * i / 16 for i, at in expected.items()})


def test_multipliers_override_the_papers():
    narrow = build("efficientnet_b0", width_mult=0.5, depth_mult=2.0)
    assert len(dict(narrow.stages.children())["2"].children()) == 4
    assert narrow.classifier.weight.shape == (640, 1000)
    lite = build("efficientnet_lite0", width_mult=2.0, depth_mult=2.0)
    assert [len(stage.children()) for _, stage in lite.stages.children()] == [1, 4, 4, 6, 6, 8, 1]
    assert (lite.stem.conv.weight.shape[3], lite.classifier.weight.shape[0]) == (32, 1280)


@pytest.mark.parametrize("width", [0.35, 0.5, 1.0])
def test_v2s_head_never_gets_thinner(width):
    assert build("mobilenet_v2", width_mult=width).classifier.weight.shape[0] == 1280
    assert build("mobilenet_v2", width_mult=1.4).classifier.weight.shape[0] == 1792


def test_in_channels_reach_the_stem(rng):
    model = init.initialize(build("mobilenet_v2", width_mult=0.1, in_channels=1, num_classes=2), rng)
    assert model(np.zeros((1, 32, 32, 1), np.float32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "resnet50"}, "there is no model 'resnet50'"),
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 2.5}, "num_classes"),
        ({"stem_stride": 3}, "stem_stride"),
        ({"in_channels": -1}, "in_channels"),
        ({"width_mult": 0}, "width_mult"),
        ({"width_mult": "0.5"}, "width_mult"),
        ({"width_mult": float("nan")}, "width_mult"),
        ({"depth_mult": 1.1}, "no depth_mult"),
        ({"dropout": 1}, "dropout"),
        ({"drop_path": -0.1}, "drop_path"),
        ({"convention": "keras"}, "convention"),
    ],
    ids=str,
)
def test_nonsense_is_refused_by_name(options, says):
    with pytest.raises(ValueError, match=says):
        build(**{"name": "mobilenet_v2", **options})


@pytest.fixture(scope="module")
def model():
    return init.initialize(build("mobilenet_v1", num_classes=2, width_mult=0.25), np.random.default_rng(0))


BAD_INPUT = {
    "a list": ([[1.0]], "must be a NumPy array, not list"),
    "rank 3": (np.zeros((32, 32, 3), np.float32), r"x\[None\]"),
    "rank 2": (np.zeros((32, 32), np.float32), "shape"),
    "channels first": (np.zeros((1, 3, 64, 48), np.float32), r"NCHW.*transpose\(0, 2, 3, 1\)"),
    "one channel": (np.zeros((1, 64, 48, 1), np.float32), "has 1 channels, 3 are needed"),
    "integers": (np.zeros((1, 32, 32, 3), np.uint8), r"uint8.*astype\(np.float32\) / 255"),
    "float16": (np.zeros((1, 32, 32, 3), np.float16), "float16"),
    "complex": (np.zeros((1, 32, 32, 3), np.complex64), "complex64"),
    "objects": (np.zeros((1, 32, 32, 3), object), "object"),
    "an empty batch": (np.zeros((0, 32, 32, 3), np.float32), r"empty.*\(0, 32, 32, 3\)"),
    "too small": (np.zeros((1, 31, 40, 3), np.float32), "31 x 40.*at least 32"),
    "another byte order": (np.zeros((1, 32, 32, 3), np.dtype(np.float32).newbyteorder()), "[<>]f4"),
}


@pytest.mark.parametrize("call", ["predict", "forward", "train"])
@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_is_refused_with_its_reason(model, kind, call):
    x, says = BAD_INPUT[kind]
    with pytest.raises(ValueError, match=says):
        model(x) if call == "predict" else model.forward(x, train=call == "train")


@pytest.mark.parametrize(
    "dy", [np.zeros((2, 3), np.float32), np.zeros((2, 2), int), [[0, 0]], np.zeros(2, np.float32)], ids=repr
)
def test_a_gradient_that_does_not_fit_is_refused(model, dy):
    _, cache = model.forward(np.zeros((2, 32, 32, 3), np.float32))
    with pytest.raises(ValueError, match=r"dy is .* \(2, 2\)"):
        model.backward(dy, cache)


def test_profile_prints_a_table_and_refuses_wrong_shapes(model):
    report = profile.profile(model, (64, 48, 3))
    text = str(report)
    assert f"{report.params:,}" in text
    assert f"{report.macs:,}" in text
    assert report.macs == model.macs((64, 48, 3)) == sum(row.macs for row in report.rows)
    assert report.params == sum(p.value.size for p in core.parameters(model))
    for shape, says in [
        ((64, 48, 4), "4 channels"),
        ((64, 48), "height, width, channels"),
        ((0, 48, 3), "height"),
    ]:
        with pytest.raises(ValueError, match=says):
            profile.profile(model, shape)
