"""Plans: the same numbers as the model, for every family, odd sizes, batches, threads, and layers without a kernel."""

import threading

import numpy as np
import pytest

from mini_nn import init, models
from mini_nn.blocks import KERAS, TORCH
from mini_nn.core import Buffer, named_arrays
from mini_nn.inference import plan
from mini_nn.layers import BatchNorm, Dense, DepthwiseConv2D, GlobalAveragePool, ReLU, Sequential, Softmax
from mini_nn.ops import Array

SMALL = {"mobilenet_v1": 0.25, "mobilenet_v2": 0.35, "efficientnet_b0": 0.25, "efficientnet_lite0": 0.25}


def settled(model):
    """The model with values that a training could have left behind."""
    rng = np.random.default_rng(0)
    init.initialize(model, rng)
    for name, item in named_arrays(model):
        if isinstance(item, Buffer):
            low = 0.5 if name.endswith("var") else -0.2
            item.value = rng.uniform(low, low + 0.5, item.shape).astype(np.float32)
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


def test_a_plan_refuses_what_it_was_not_made_for():
    model = settled(models.build("mobilenet_v2", width_mult=0.35))
    ready = plan.compile(model, (64, 64, 3))
    with pytest.raises(ValueError, match=r"\(64, 64, 3\).*\(1, 64, 65, 3\)"):
        ready(images(1, 64, 65))
    with pytest.raises(ValueError, match="too small"):
        plan.compile(model, (16, 64, 3))
    with pytest.raises(ValueError, match=r"shape must be \(height, width, channels\)"):
        plan.compile(model, (64, 64))


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
    ready = plan.compile(settled(models.build("mobilenet_v2")), (224, 224, 3))
    assert ready.arena_bytes < 0.3 * ready.buffer_bytes
    assert "MB of buffers" in str(ready)
