"""Plans: the same numbers as the model, for every family, odd sizes, batches, threads, and layers without a kernel."""

import threading

import numpy as np
import pytest

from mini_nn import init, models
from mini_nn.blocks import KERAS, TORCH, Block, inverted_residual
from mini_nn.core import Buffer, named_arrays
from mini_nn.inference import bands, keeping, plan
from mini_nn.kernels.tiles import table
from mini_nn.kernels.tiles.table import At
from mini_nn.layers import (
    BatchNorm,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    ReLU,
    ReLU6,
    Sequential,
    Softmax,
)
from mini_nn.ops import Array

SMALL = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.35, "efficientnet_b0": 0.25, "efficientnet_lite0": 0.25}


def settled(model, wide=0.5):
    """The model with values that a training could have left behind; running statistics within `wide` of one another.

    A deep network of random statistics multiplies rounding errors: float32 layers then miss float64 by 3e-3 in B6.
    """
    rng = np.random.default_rng(0)
    init.initialize(model, rng)
    for name, item in named_arrays(model):
        if isinstance(item, Buffer):
            low = 1 - wide if name.endswith("var") else -0.4 * wide
            item.value = rng.uniform(low, low + wide, item.shape).astype(np.float32)
    return model


def images(n, height, width, channels=3) -> Array:
    return np.random.default_rng(1).normal(size=(n, height, width, channels)).astype(np.float32)


def difference(y, expected):
    return np.linalg.norm(y - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_a_plan_gives_the_models_numbers(name, convention):
    model = settled(models.build(name, num_classes=7, width_mult=SMALL[name], convention=convention))
    for height, width, n in ((64, 64, 1), (37, 50, 2), (32, 33, 3)):
        x = images(n, height, width)
        ready = plan.compile(model, (height, width, 3))
        assert ready.readable == []
        assert difference(ready(x), model(x)) < 1e-5
        np.testing.assert_array_equal(ready(x)[:1], ready(x[:1]))  # whoever does the work


ZOO = [
    ("mobilenet_v1", {"width_mult": 0.5}),
    ("mobilenet_v2", {"width_mult": 1.4, "convention": TORCH}),
    ("mobilenet_v2", {"width_mult": 0.75, "stem_stride": 1, "in_channels": 1}),
    *((f"efficientnet_b{i}", {}) for i in range(8)),
    *((f"efficientnet_lite{i}", {}) for i in range(5)),
    ("efficientnet_b0", {"in_channels": 4, "stem_stride": 1, "convention": TORCH}),
]


@pytest.mark.parametrize(("name", "options"), ZOO, ids=lambda v: v if isinstance(v, str) else "+".join(v))
def test_every_network_has_a_plan(name, options):
    model = settled(models.build(name, num_classes=11, **options), wide=0.1)
    channels = options.get("in_channels", 3)
    x = images(2, 33, 46, channels)
    ready = plan.compile(model, (33, 46, channels))
    assert ready.readable == []
    assert difference(ready(x), model(x)) < 1e-4


@pytest.mark.parametrize("n", range(1, 6))
def test_an_image_has_the_same_digits_in_any_batch_and_with_any_threads(n):
    model = settled(models.build("efficientnet_b0", num_classes=70, width_mult=0.25))
    x = images(n, 40, 48)
    singly = [plan.compile(model, (40, 48, 3), threads=1)(one[None])[0] for one in x]
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(plan.compile(model, (40, 48, 3), threads=threads)(x), singly)


def test_on_the_numpy_backend_a_plan_is_the_model(monkeypatch):
    monkeypatch.setenv("MINI_NN_BACKEND", "numpy")
    model = settled(models.build("mobilenet_v2", num_classes=3, width_mult=0.35))
    ready, x = plan.compile(model, (32, 32, 3)), images(2, 32, 32)
    np.testing.assert_array_equal(ready(x), model(x))
    assert ready.readable == ["Network"]


WRONG = [
    (lambda x: x.astype(np.uint8), "uint8.*float32"),
    (lambda x: x.transpose(0, 3, 1, 2).copy(), "channels look first"),
    (lambda x: x[0], "add the batch axis"),
    (lambda x: x[:0], "empty"),
    (lambda x: x[:, :, :40], r"for images of \(64, 64, 3\)"),
]


def test_a_plan_says_what_is_wrong_with_x():
    ready = plan.compile(settled(models.build("mobilenet_v2", width_mult=0.35)), (64, 64, 3))
    for spoil, said in WRONG:
        with pytest.raises(ValueError, match=said):
            ready(spoil(images(2, 64, 64)))


def test_any_layout_of_x_and_float64_will_do():
    model = settled(models.build("mobilenet_v2", num_classes=4, width_mult=0.35))
    ready, x = plan.compile(model, (32, 40, 3)), images(2, 32, 40)
    expected = ready(x)
    frozen = x.copy()
    frozen.flags.writeable = False
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape)  # not aligned
    for other in (np.asfortranarray(x), np.repeat(x, 2, 2)[:, :, ::2], frozen, shifted, x.astype(np.float64)):
        np.testing.assert_array_equal(ready(other), expected)
        assert ready(other).dtype == np.float32


def test_weights_that_cannot_be_are_named():
    model = models.build("mobilenet_v2", width_mult=0.35)
    with pytest.raises(ValueError, match="no value yet"):
        plan.compile(model, (32, 32, 3))
    settled(model)
    dict(named_arrays(model))["stem.conv.weight"].value[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"stem\.conv\.weight is not finite"):
        plan.compile(model, (32, 32, 3))


def test_a_nan_in_an_image_is_seen_in_its_answer_alone():
    model = settled(models.build("efficientnet_lite0", num_classes=3, width_mult=0.25))
    x = images(3, 32, 32)
    x[1, 5, 5] = np.nan
    y = plan.compile(model, (32, 32, 3))(x)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def test_predict_notices_training_and_a_new_size():
    model = settled(models.build("mobilenet_v2", num_classes=3, width_mult=0.35))
    for size in (32, 40, 32):
        x = images(2, size, size)
        assert difference(keeping.predict(model, x), model(x)) < 1e-4
        weight = dict(named_arrays(model))["stem.conv.weight"].value
        weight[0, 0, 0, 0] += 1  # in place, as an optimiser may
        assert difference(keeping.predict(model, x), model(x)) < 1e-4
        model.stem.norm.eps += 0.5
        assert difference(keeping.predict(model, x), model(x)) < 1e-4


def test_predict_notices_weights_that_change_places():
    model = settled(models.build("mobilenet_v2", num_classes=3, width_mult=0.35))
    x = images(2, 32, 32)
    keeping.predict(model, x)
    for name in ("stem.conv.weight", "stages.1.0.expand.conv.weight", "classifier.weight"):
        weight = dict(named_arrays(model))[name].value
        weight[...] = weight[..., ::-1].copy()  # the same numbers in another order
        assert difference(keeping.predict(model, x), model(x)) < 1e-4


def test_predict_leaves_what_is_no_network_as_it_is():
    softmax, x = Softmax(), images(1, 2, 3)
    np.testing.assert_array_equal(keeping.predict(softmax, x), softmax(x))


def test_a_plan_refuses_what_it_was_not_made_for():
    model = settled(models.build("mobilenet_v2", width_mult=0.35))
    ready = plan.compile(model, (64, 64, 3))
    with pytest.raises(ValueError, match=r"\(64, 64, 3\).*\(1, 64, 65, 3\)"):
        ready(images(1, 64, 65))
    with pytest.raises(ValueError, match="too small"):
        plan.compile(model, (16, 64, 3))
    for shape in ((64, 64), (64, 64.5, 3), (64, 0, 3), 64, None):
        with pytest.raises(ValueError, match=r"shape must be \(height, width, channels\)"):
            plan.compile(model, shape)
    with pytest.raises(ValueError, match="threads must be a whole number"):
        plan.compile(model, (64, 64, 3), threads=0)


def test_a_layer_without_a_kernel_runs_as_it_is_and_is_named():
    model = settled(
        Sequential(
            narrow=DepthwiseConv2D(3, 3),
            norm=BatchNorm(3),
            act=ReLU(),
            pool=GlobalAveragePool(),
            classifier=Dense(3, 5),
            softmax=Softmax(),
        )
    )
    ready = plan.compile(model, (9, 8, 3))
    assert ready.readable == ["softmax"]
    x = images(4, 9, 8)
    assert difference(ready(x), model(x)) < 1e-6


def test_threads_may_predict_at_once():
    model = settled(models.build("efficientnet_b0", num_classes=5, width_mult=0.25))
    ready, x = plan.compile(model, (64, 64, 3)), images(6, 64, 64)
    expected = [ready(x[i : i + 1]) for i in range(6)]
    found = [None] * 6

    def work(i):
        for _ in range(5):
            found[i] = ready(x[i : i + 1])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    np.testing.assert_array_equal(found, expected)


def test_buffers_share_their_places():
    ready = plan.compile(settled(models.build("mobilenet_v2")), (224, 224, 3), threads=2)
    assert ready.op_by_op_bytes < 0.3 * ready.buffer_bytes
    assert ready.arena_bytes < 0.7 * ready.op_by_op_bytes, "bands: what is expanded is never there as a whole"
    assert "MB of buffers (6.0 MB op by op)" in str(ready)


def bands_of(ready):
    return [step for step in ready.parts[0][1].steps if step[At.OP] == table.BAND]


@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (1, 2)])
@pytest.mark.parametrize(("height", "width"), [(17, 9), (33, 6), (12, 31)])
def test_bands_of_a_block_give_its_numbers(height, width, kernel, stride, convention, monkeypatch):
    monkeypatch.setattr(bands, "WORTH", 1)
    monkeypatch.setattr(bands, "OVERLAP", 9)
    for channels in (11, 24):
        block = settled(inverted_residual(Block(11, channels, 3, kernel, stride), ReLU6, convention))
        x = images(3, height, width, 11)
        ready = plan.compile(block, x.shape[1:])
        (band,) = bands_of(ready)
        assert 2 <= band[At.PIECES] <= 16
        assert difference(ready(x), block(x)) < 1e-5
        np.testing.assert_array_equal(ready(x), plan.compile(block, x.shape[1:], threads=3)(x))


def test_what_is_looked_at_or_does_not_widen_is_not_in_bands(monkeypatch):
    monkeypatch.setattr(bands, "WORTH", 1)
    for name, count in (
        ("mobilenet_v1", 0),
        ("efficientnet_b0", 0),
        ("mobilenet_v2", 4),
    ):  # of 17: smaller maps overlap too much
        model = settled(models.build(name, num_classes=3, width_mult=0.5))
        ready = plan.compile(model, (96, 96, 3))
        assert len(bands_of(ready)) == count
        assert difference(ready(images(2, 96, 96)), model(images(2, 96, 96))) < 1e-4
