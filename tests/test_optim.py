"""Optimisers against torch and Keras, step by step (tests/golden/record_optim.py); freezing, resuming, averaging."""

import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mini_nn import optim
from mini_nn.core import Layer, Parameter, named_arrays, parameters
from mini_nn.layers import BatchNorm, Dense, DepthwiseConv2D, GlobalAveragePool, Sequential

with np.load(Path(__file__).parent / "golden" / "optim.npz", allow_pickle=False) as file:
    ARRAYS = dict(file)
CASES = json.loads(str(ARRAYS["cases"]))
STEPS = {c: made for c, made in CASES.items() if made["make"] in ("SGD", "RMSProp", "Adam", "AdamW")}
CHANGE, GAPS = (
    15,
    (3, 8, 9),
)  # torch's cases: the rate falls before this step; the bias has no gradient in these

EVERY = {
    "SGD": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "SGD dampened": partial(optim.SGD, lr=0.1, momentum=0.9, dampening=0.5),
    "RMSProp": partial(optim.RMSProp, lr=0.01, momentum=0.9, weight_decay=0.01),
    "RMSProp tensorflow": partial(optim.RMSProp, lr=0.01, momentum=0.9, weight_decay=0.01, form="tensorflow"),
    "Adam": partial(optim.Adam, lr=0.01, weight_decay=0.01),
    "AdamW": partial(optim.AdamW, lr=0.01, weight_decay=0.1),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def small(dtype=np.float64, seed=0):
    """All kinds of parameters: depthwise.weight, norm.gamma, norm.beta, dense.weight, dense.bias."""
    pool = GlobalAveragePool()
    model = Sequential(depthwise=DepthwiseConv2D(2, 2), norm=BatchNorm(2), pool=pool, dense=Dense(2, 3))
    rng = np.random.default_rng(seed)
    for _, item in named_arrays(model):
        item.value = rng.standard_normal(item.shape).astype(dtype)
    return model


def joined(model):
    return np.concatenate([p.value.ravel() for p in parameters(model)])


def give(model, flat, dtype=np.float64):
    """Deal a row of numbers out as gradients."""
    for p in parameters(model):
        part, flat = np.split(flat, [np.prod(p.shape)])
        p.grad = part.reshape(p.shape).astype(dtype)


def train(model, optimiser, steps, seed=1):
    """Steps with random gradients."""
    rng, dtype = np.random.default_rng(seed), parameters(model)[0].value.dtype
    for _ in range(steps):
        give(model, rng.standard_normal(21), dtype)
        optimiser.step()


@pytest.mark.parametrize("case", STEPS)
def test_every_step_is_that_of_torch_or_keras(case):
    model, start = small(), iter(ARRAYS["start/w"])
    for p in parameters(model):
        p.value = np.fromiter(start, float, np.prod(p.shape)).reshape(p.shape)
    optimiser = getattr(optim, STEPS[case]["make"])(model, **STEPS[case]["options"])
    for step, (g, expected) in enumerate(zip(ARRAYS["start/g"], ARRAYS[f"{case}/w"], strict=True)):
        give(model, g)
        if step == CHANGE and not case.startswith("keras SGD"):  # Keras has its rate in the velocity
            optimiser.lr *= 0.1
        if step in GAPS and case.startswith("torch"):
            model.dense.bias.grad = None
        optimiser.step()
        np.testing.assert_allclose(joined(model), expected, rtol=1e-11, atol=1e-13, err_msg=f"step {step}")
        assert all(p.grad is None for p in parameters(model))


@every
def test_float32_stays_float32(make):
    model = small(np.float32)
    optimiser = make(model, lr=np.float64(0.01))
    give(model, np.ones(21), np.float64)  # even where a gradient is wider
    optimiser.step()
    optimiser.lr = np.float64(0.02)
    train(model, optimiser, 2)
    assert {p.value.dtype for p in parameters(model)} == {np.dtype(np.float32)}
    arrays = [v for s in optimiser.memory.values() for v in s.values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


@every
def test_nobody_elses_array_is_written_to(make):
    model = small()
    optimiser, ema = make(model), optim.EMA(model)
    given = [item.value for _, item in named_arrays(model)]
    for _ in range(3):
        give(model, np.ones(21))
        given += [p.grad for p in parameters(model)]
        for array in given:
            array.flags.writeable = False  # a write raises
        optim.clip_grad_norm(model, 0.1)
        optim.clip_grad_value(model, 0.1)
        optimiser.step()
        ema.update()


@every
def test_two_runs_are_equal_to_the_last_bit(make):
    one, two = small(np.float32), small(np.float32)
    train(one, make(one), 10)
    train(two, make(two), 10)
    np.testing.assert_array_equal(joined(one), joined(two))


@every
def test_frozen_parameters_are_moved_by_nothing(make):
    model = small()
    optimiser, ema = make(model), optim.EMA(model, 0.5, warmup=False)
    train(model, optimiser, 5)
    give(model, np.ones(21))  # a gradient from before the freezing
    model.norm.gamma.trainable = model.dense.weight.trainable = False
    optim.clip_grad_norm(model, 1e-3)
    frozen = (model.norm.gamma, model.dense.weight, model.norm.running_mean, model.norm.running_var)
    before, loose = [item.value.tobytes() for item in frozen], model.dense.bias.value
    optimiser.step()
    ema.update()
    train(model, optimiser, 5)
    ema.update()
    with ema.applied():
        assert [item.value.tobytes() for item in frozen] == before
        assert not np.array_equal(model.dense.bias.value, loose)
    assert [item.value.tobytes() for item in frozen] == before
    assert model.norm.gamma.grad is None


@every
def test_an_unfrozen_parameter_goes_on_from_where_it_was(make):
    paused, straight = small(), small()
    optimiser, other = make(paused), make(straight)
    train(paused, optimiser, 3, seed=1)
    train(straight, other, 3, seed=1)
    paused.dense.weight.trainable = False
    train(paused, optimiser, 4, seed=2)
    paused.dense.weight.trainable = True
    train(paused, optimiser, 3, seed=3)
    train(straight, other, 3, seed=3)
    np.testing.assert_array_equal(paused.dense.weight.value, straight.dense.weight.value)


@every
@pytest.mark.parametrize("frozen", [False, True])
def test_a_resumed_run_is_equal_to_the_last_bit(make, frozen):
    straight, before = small(np.float32), small(np.float32)
    for model in (straight, before):
        model.norm.beta.trainable = not frozen
    optimiser, first = make(straight), make(before)
    for o, model in (optimiser, straight), (first, before):
        o.lr = 0.03
        train(model, o, 7, seed=1)
    saved = io.BytesIO()
    np.savez(saved, **first.state_dict())
    saved.seek(0)
    after = small(np.float32, seed=9)
    for p, q in zip(parameters(after), parameters(before), strict=True):
        p.value, p.trainable = q.value, q.trainable
    second = make(after)
    train(after, second, 2)  # some other memory, to be forgotten
    for p, q in zip(parameters(after), parameters(before), strict=True):
        p.value = q.value
    with np.load(saved, allow_pickle=False) as state:
        second.load_state_dict(state)
    assert type(second.lr) is float
    train(straight, optimiser, 5, seed=2)
    train(after, second, 5, seed=2)
    np.testing.assert_array_equal(joined(after), joined(straight))


def test_a_state_that_does_not_fit_is_refused_whole():
    model = small()
    optimiser = optim.SGD(model, momentum=0.9)
    train(model, optimiser, 2)
    state = optimiser.state_dict()
    before = {name: np.copy(value) for name, value in state.items()}
    bad = {
        **state,
        "norm.gamma.velocity": np.zeros(3),
        "dense.bias.velocity": np.zeros(3, np.float32),
        "lr": 0.5,
    }
    bad["stem.weight.velocity"] = bad.pop("dense.weight.velocity")
    with pytest.raises(ValueError, match="does not fit this SGD") as error:
        optimiser.load_state_dict(bad)
    for says in (
        r"norm.gamma.velocity is float64 (3,), not float64 (2,)",
        r"dense.bias.velocity is float32 (3,), not float64 (3,)",
        "stem.weight.velocity is unknown",
        "dense.weight.velocity is missing",
    ):
        assert says in str(error.value)
    for name, value in optimiser.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for other in (optim.Adam(small()), optim.RMSProp(small(), form="tensorflow")):
        with pytest.raises(ValueError, match="does not fit"):
            other.load_state_dict(state)
    tensorflow = optim.RMSProp(model, form="tensorflow")
    train(model, tensorflow, 1)
    with pytest.raises(ValueError, match="velocity is unknown"):  # the rate is in it
        optim.RMSProp(small()).load_state_dict(tensorflow.state_dict())
    with pytest.raises(ValueError, match="lr is missing"):
        optimiser.load_state_dict({})
    with pytest.raises(ValueError, match="lr must be"):
        optimiser.load_state_dict({**state, "lr": float("nan")})


def test_a_state_dict_is_a_copy():
    model = small()
    optimiser = optim.SGD(model, momentum=0.9)
    train(model, optimiser, 1)
    state = optimiser.state_dict()
    state["dense.bias.velocity"][:] = 7
    assert not (optimiser.memory[model.dense.bias]["velocity"] == 7).any()
    optimiser.load_state_dict(state)
    state["dense.bias.velocity"][:] = 8
    assert (optimiser.memory[model.dense.bias]["velocity"] == 7).all()


class Twice(Layer):
    """One parameter under two names."""

    def __init__(self):
        self.weight = self.tied = Parameter(2)

    def forward(self, x, train=False):
        raise NotImplementedError

    def backward(self, dy, cache):
        raise NotImplementedError


def test_a_shared_parameter_moves_once():
    model = Twice()
    model.weight.value = np.ones(2)
    optimiser, ema = optim.SGD(model, lr=0.1, weight_decay=1.0), optim.EMA(model, 0.5, warmup=False)
    model.weight.grad = np.array([3.0, 4.0])
    assert optim.clip_grad_norm(model, 100) == 5
    optimiser.step()
    np.testing.assert_allclose(model.weight.value, [0.6, 0.5])
    ema.update()
    np.testing.assert_allclose(ema.average[model.weight], [0.8, 0.75])
    assert set(optimiser.state_dict()) == {"lr", "weight.steps", "weight.velocity"}


def test_a_new_classifier_is_trained_and_averaged_too():
    model = small()
    optimiser, ema = optim.SGD(model, lr=0.1, momentum=0.9), optim.EMA(model, 0.5, warmup=False)
    train(model, optimiser, 2)
    ema.update()
    model.dense = Dense(2, 5)
    for p in (model.dense.weight, model.dense.bias):
        p.value = np.zeros(p.shape)
        p.grad = np.ones(p.shape)
    optimiser.step()
    ema.update()
    assert (model.dense.weight.value == -0.1).all()
    assert ema.state_dict()["dense.weight"].shape == (2, 5)


def test_no_decay_takes_one_kind_or_several():
    assert optim.SGD(small(), no_decay="bias").no_decay == ("bias",)
    model = small()
    before = {name: p.value for name, p in named_arrays(model)}
    optimiser = optim.SGD(model, lr=0.1, weight_decay=0.5, no_decay={"norm", "bias", "depthwise"})
    give(model, np.zeros(21))
    optimiser.step()
    moved = {name for name, p in named_arrays(model) if not np.array_equal(p.value, before[name])}
    assert moved == {"dense.weight"}


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (optim.SGD, {"lr": -0.1}, r"lr must be a number in \[0, inf\), not -0.1"),
        (optim.SGD, {"lr": float("nan")}, "lr must be a number"),
        (optim.SGD, {"lr": "0.1"}, "lr must be a number"),
        (optim.SGD, {"lr": True}, "lr must be a number"),
        (optim.SGD, {"momentum": -1}, "momentum must be"),
        (optim.SGD, {"weight_decay": -1e-4}, "weight_decay must be"),
        (optim.SGD, {"nesterov": True}, "nesterov needs momentum"),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs momentum"),
        (optim.SGD, {"no_decay": ["bn"]}, r"no_decay names \['bn'\]; the kinds are norm, bias, depthwise"),
        (optim.RMSProp, {"form": "keras"}, "form must be"),
        (optim.RMSProp, {"alpha": 1.5}, "alpha must be"),
        (optim.RMSProp, {"eps": -1e-8}, "eps must be"),
        (optim.Adam, {"betas": (0.9, 1.0)}, r"betas\[1\] must be"),
        (optim.Adam, {"betas": 0.9}, "betas must be two numbers"),
        (optim.EMA, {"decay": 1.0}, "decay must be"),
    ],
)
def test_bad_options_are_named(make, options, says):
    with pytest.raises(ValueError, match=says):
        make(small(), **options)


def test_a_gradient_of_another_shape_is_refused_before_anything_moves():
    model = small()
    optimiser, before = optim.SGD(model, lr=0.1), joined(model)
    give(model, np.ones(21))
    model.dense.bias.grad = np.ones(1)
    with pytest.raises(ValueError, match=r"dense.bias has shape \(3,\), its gradient \(1,\)"):
        optimiser.step()
    np.testing.assert_array_equal(joined(model), before)


@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("clip")])
def test_clipping_is_that_of_torch(case):
    model = small()
    give(model, ARRAYS[f"{case}/before"])
    norm = getattr(optim, CASES[case]["make"])(model, CASES[case]["options"]["limit"])
    after = np.concatenate([p.grad.ravel() for p in parameters(model)])
    np.testing.assert_allclose(after, ARRAYS[f"{case}/after"], rtol=1e-12)
    if f"{case}/norm" in ARRAYS:
        assert norm == pytest.approx(ARRAYS[f"{case}/norm"].item(), rel=1e-13)
        assert type(norm) is float


def test_clipping_float32_counts_in_float64():
    model = small(np.float32)
    give(model, np.full(21, 1e30), np.float32)  # the squares do not fit
    assert optim.clip_grad_norm(model, 1.0) == pytest.approx(1e30 * np.sqrt(21))
    assert model.dense.bias.grad.dtype == np.float32
    assert model.dense.bias.grad[0] == pytest.approx(1 / np.sqrt(21))


def test_clipping_does_not_hide_a_nan():
    model = small()
    give(model, np.ones(21))
    model.norm.beta.grad[1] = np.nan
    assert np.isnan(optim.clip_grad_norm(model, 1.0))
    assert np.isnan(model.dense.bias.grad).all()
    assert optim.clip_grad_norm(Dense(2, 3), float("inf")) == 0
    with pytest.raises(ValueError, match="max_norm must be"):
        optim.clip_grad_norm(model, -1)


def test_an_average_is_the_weighted_sum_of_all_values():
    model = small()
    optimiser, ema = optim.SGD(model, lr=0.1), optim.EMA(model, 0.9, warmup=False)
    values = [joined(model)]
    for seed in range(6):
        train(model, optimiser, 1, seed)
        ema.update()
        values.append(joined(model))
    expected = 0.9**6 * values[0] + sum(0.1 * 0.9 ** (6 - i) * values[i] for i in range(1, 7))
    with ema.applied() as lent:
        assert lent is model
        np.testing.assert_allclose(joined(model), expected, rtol=1e-13)


def test_the_warm_up_forgets_the_start():
    model = small()
    ema = optim.EMA(model, 0.3)
    bias = model.dense.bias
    expected = bias.value
    for t in range(1, 6):
        bias.value = np.full(3, float(t))
        ema.update()
        d = min(0.3, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * t
    np.testing.assert_allclose(ema.average[bias], expected, rtol=1e-14)
    assert ema.updates == 5


def test_running_statistics_are_averaged_with_the_weights():
    model = small()
    ema = optim.EMA(model, 0.5, warmup=False)
    old, model.norm.running_var.value = model.norm.running_var.value, np.array([5.0, 7.0])
    ema.update()
    with ema.applied():
        np.testing.assert_allclose(model.norm.running_var.value, old / 2 + [2.5, 3.5])


def test_what_is_frozen_is_not_averaged_and_starts_afresh():
    model = small()
    ema = optim.EMA(model, 0.5, warmup=False)
    train(model, optim.SGD(model, lr=0.1), 2)
    items = (model.norm.gamma, model.norm.running_mean, model.norm.running_var)
    for item in items[1:]:
        item.value = item.value + 1
    values = [item.value for item in items]
    model.norm.gamma.trainable = False
    with ema.applied():  # before the average has heard of it
        assert all(item.value is value for item, value in zip(items, values, strict=True))
    ema.update()
    model.norm.gamma.trainable = True
    with ema.applied():  # its past is forgotten
        for item, value in zip(items, values, strict=True):
            np.testing.assert_array_equal(item.value, value)


def test_an_average_holds_no_array_of_others():
    model = small()
    bias = model.dense.bias.value
    ema, before = optim.EMA(model), bias.copy()
    bias[:] = 100
    np.testing.assert_array_equal(ema.average[model.dense.bias], before)


def test_the_model_gets_its_own_arrays_back_whatever_happens():
    model = small()
    ema = optim.EMA(model)
    train(model, optim.SGD(model, lr=0.1), 3)
    ema.update()
    own = [item.value for _, item in named_arrays(model)]

    def fail_in_the_middle():
        with ema.applied():
            train(model, optim.SGD(model, lr=0.1), 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail_in_the_middle()
    assert all(a is item.value for a, (_, item) in zip(own, named_arrays(model), strict=True))


def test_an_average_of_what_never_changes_is_it_to_the_last_bit():
    model = small(np.float32)
    ema, before = optim.EMA(model), joined(model)
    for _ in range(50):
        ema.update()
    with ema.applied():
        np.testing.assert_array_equal(joined(model), before)


def test_averages_resume_to_the_last_bit_and_refuse_what_does_not_fit():
    model = small(np.float32)
    ema = optim.EMA(model)
    train(model, optim.SGD(model, lr=0.1), 3)
    ema.update()
    again = optim.EMA(model)
    again.load_state_dict(ema.state_dict())
    for e in (ema, again):
        e.update()
    for name, value in ema.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value)
    state = ema.state_dict()
    del state["norm.running_var"]
    with pytest.raises(ValueError, match=r"EMA and its model: norm.running_var is missing"):
        again.load_state_dict(state)
    with pytest.raises(ValueError, match="updates is float64"):
        again.load_state_dict({**ema.state_dict(), "updates": 0.5})


def test_an_optimiser_prints_its_settings():
    text = repr(optim.SGD(small(), lr=0.1, momentum=0.9, no_decay="norm"))
    assert (
        text
        == "SGD(lr=0.1, weight_decay=0.0, no_decay=('norm',), momentum=0.9, dampening=0.0, nesterov=False)"
    )
