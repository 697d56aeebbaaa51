"""The rituals find what is wrong, leave what is right in peace, and leave the model as it was."""

from functools import partial

import numpy as np
import pytest

from mini_nn import init, losses, models, optim, rituals
from mini_nn.core import named_arrays, parameters
from mini_nn.layers import Dense, Dropout, ReLU, Sequential

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0")
TEMPLATES = np.random.default_rng(7).standard_normal((10, 20))


def images(n=16, classes=10, seed=0):
    """Points around one template a class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (TEMPLATES[labels] + 0.3 * rng.standard_normal((n, 20))).astype(np.float32), labels


def network(classes=10):
    model = Sequential(a=Dense(20, 32), act=ReLU(), drop=Dropout(0.1), b=Dense(32, classes))
    return init.initialize(model, np.random.default_rng(0))


def state(model):
    """Every bit of it."""
    values = [(name, item.value.tobytes()) for name, item in named_arrays(model)]
    drops = [
        layer.rng.bit_generator.state["state"] for layer in vars(model).values() if isinstance(layer, Dropout)
    ]
    return values, [p.grad for p in parameters(model)], drops


BATCH = images()
RITUALS = {
    "initial_loss": lambda model: rituals.initial_loss(model, *BATCH),
    "overfit": lambda model: rituals.overfit(model, *BATCH),
    "lr_range": lambda model: rituals.lr_range(model, [BATCH], steps=20),
    "gradient_norms": lambda model: rituals.gradient_norms(model, *BATCH),
}


@pytest.mark.parametrize("ritual", RITUALS.values(), ids=RITUALS)
def test_the_model_is_left_as_it_was(ritual):
    model = network()
    model.a.bias.grad = np.ones(32, np.float32)
    before = state(model)
    ritual(model)
    after = state(model)
    assert after[0] == before[0]
    assert all(a is b for a, b in zip(after[1], before[1], strict=True))
    assert after[2] == before[2]


def test_also_when_the_ritual_fails():
    model = network()
    before = state(model)
    with pytest.raises(ValueError, match="labels"):
        rituals.gradient_norms(model, BATCH[0], BATCH[1] + 5)
    assert state(model) == before


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    def build(classes):
        model = models.build(request.param, classes, in_channels=1, width_mult=0.25)
        return init.initialize(model, np.random.default_rng(0))

    return build


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_new_networks_begin_near_log_c(family, classes, rng):
    x, labels = rng.standard_normal((8, 32, 32, 1), dtype=np.float32), rng.integers(0, classes, 8)
    found = rituals.initial_loss(family(classes), x, labels)
    assert found, found
    assert found.expected == np.log(classes)
    assert abs(found.loss - np.log(classes)) < (0.5 if classes == 1000 else 10)


def test_new_networks_have_gradients_everywhere(family, rng):
    model = family(10)
    found = rituals.gradient_norms(
        model, rng.standard_normal((8, 32, 32, 1), dtype=np.float32), rng.integers(0, 10, 8)
    )
    assert found, found
    assert found.rows[0].name == "stem.conv"
    assert found.rows[-1].name == "classifier"
    assert "classifier  " in str(found)


def scaled(factor):
    model = network()
    model.b.weight.value = model.b.weight.value * np.float32(factor)
    return model


def test_equal_logits_begin_at_log_c_exactly():
    model = scaled(0)
    model.b.bias.value = model.b.bias.value * 0
    found = rituals.initial_loss(model, *BATCH)
    assert found
    assert found.loss == pytest.approx(np.log(10))


def test_an_initial_loss_says_what_is_wrong():
    too_large = rituals.initial_loss(scaled(30), *BATCH)
    assert not too_large
    assert "weights are too large" in too_large.verdict

    def summed(logits, labels):
        loss, dlogits = losses.softmax_cross_entropy(logits, labels)
        return loss * len(logits), dlogits * len(logits)

    assert "a sum and not a mean" in rituals.initial_loss(network(), *BATCH, loss=summed).verdict
    x, labels = BATCH
    assert "NaN" in rituals.initial_loss(network(), x * np.float32(np.nan), labels).verdict
    trained = network()
    optimiser = optim.Adam(trained, lr=0.01)
    for _ in range(200):
        logits, cache = trained.forward(x, train=True)
        trained.backward(losses.softmax_cross_entropy(logits, labels)[1], cache)
        optimiser.step()
    trained.b.weight.value *= np.float32(0.4)  # its logits are modest, and right
    trained.b.bias.value *= np.float32(0.4)
    found = rituals.initial_loss(trained, x, labels)
    assert "is it trained" in found.verdict, found


def test_a_batch_is_learned_by_heart():
    for make in (partial(optim.Adam, lr=0.01), partial(optim.SGD, lr=0.1, momentum=0.9)):
        found = rituals.overfit(network(), *BATCH, make=make)
        assert found, found
        assert found.accuracies[-3:] == [1, 1, 1]
        assert len(found.losses) == len(found.accuracies) < 100
        assert "100.0% of 16 images" in str(found)
    soft = np.eye(10)[BATCH[1]]
    assert rituals.overfit(network(), BATCH[0], soft, make=partial(optim.Adam, lr=0.01))


def test_what_is_not_learned_is_told_apart():
    frozen = network()
    for p in parameters(frozen):
        p.trainable = False
    assert "nothing is learned" in rituals.overfit(frozen, *BATCH).verdict
    assert (
        "by heart" in rituals.overfit(network(), *BATCH, steps=12, make=partial(optim.Adam, lr=0.01)).verdict
    )
    wild = rituals.overfit(network(), *BATCH, make=partial(optim.SGD, lr=1e25))
    assert not wild
    assert "not finite" in wild.verdict
    contrary = rituals.overfit(
        network(), *BATCH, loss=lambda z, y: (losses.softmax_cross_entropy(z, y)[0], z * 0)
    )
    assert "nothing is learned" in contrary.verdict
    with pytest.raises(ValueError, match="all labels are the same"):
        rituals.overfit(network(), BATCH[0], np.zeros(16, int))
    with pytest.raises(ValueError, match="steps is 0"):
        rituals.overfit(network(), *BATCH, steps=0)


def test_a_range_test_finds_rates_that_work():
    batches = [images(32, seed=seed) for seed in range(4)]
    found = rituals.lr_range(network(), batches, low=1e-4, high=100.0)
    assert found, found
    assert len(found.rates) == len(found.losses) == len(found.smoothed) <= 100
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e6) / 99)
    assert 1e-3 < found.suggestion < 1
    model, steps = network(), 60
    optimiser = optim.SGD(model, lr=found.suggestion)
    history = []
    for step in range(steps):
        logits, cache = model.forward(batches[step % 4][0], train=True)
        loss, dlogits = losses.softmax_cross_entropy(logits, batches[step % 4][1])
        model.backward(dlogits, cache)
        optimiser.step()
        history.append(loss)
    assert history[-1] < 0.7 * history[0]


def test_a_range_test_says_which_way_to_look():
    batches = [images(32, seed=seed) for seed in range(4)]
    low = rituals.lr_range(network(), batches, low=1e-2, high=0.1)
    assert not low
    assert low.suggestion is None
    assert "raise high" in low.verdict
    assert "lower low" in rituals.lr_range(network(), batches, low=1e3, high=1e6).verdict
    assert "no fall" in rituals.lr_range(network(), batches, low=1e-9, high=1e-8).verdict
    assert "no batch" in rituals.lr_range(network(), []).verdict
    nan = [(x * np.float32(np.nan), y) for x, y in batches]
    assert "NaN" in rituals.lr_range(network(), nan).verdict
    once = rituals.lr_range(network(), iter(batches), low=1e-3)  # ends with the batches
    assert len(once.losses) == 4
    assert not once
    with pytest.raises(ValueError, match="0 < low < high"):
        rituals.lr_range(network(), batches, low=1.0, high=0.1)


def test_gradient_norms_name_the_layer():
    model = network()
    assert [row.name for row in rituals.gradient_norms(model, *BATCH).rows] == ["a", "b"]
    model.a.bias.value = model.a.bias.value - 1000  # no ReLU opens
    assert "no gradient reaches a" in rituals.gradient_norms(model, *BATCH).verdict
    model.a.bias.value, model.a.bias.trainable, model.a.weight.trainable = (
        network().a.bias.value,
        False,
        False,
    )
    assert [row.name for row in rituals.gradient_norms(model, *BATCH).rows] == ["b"]
    for p in parameters(model):
        p.trainable = False
    assert rituals.gradient_norms(model, *BATCH).verdict == "nothing is trainable"
    tiny = network()
    tiny.b.weight.value *= np.float32(1e-9)
    assert "vanish" in rituals.gradient_norms(tiny, *BATCH).verdict
    tiny.b.weight.value *= np.float32(np.nan)
    assert "not finite in a, b" in rituals.gradient_norms(tiny, *BATCH).verdict


def test_a_norm_is_over_all_parameters_of_the_layer():
    model = network()
    row = rituals.gradient_norms(model, *BATCH).rows[1]
    weights = np.concatenate([model.b.weight.value.ravel(), model.b.bias.value])
    assert row.weights == pytest.approx(np.linalg.norm(weights))
    assert row.ratio == pytest.approx(row.gradient / row.weights)
