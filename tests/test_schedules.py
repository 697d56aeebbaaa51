"""Schedules against torch and Keras (tests/golden/record_optim.py); corners, errors, recipes."""

import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mini_nn import optim, schedules
from mini_nn.layers import Dense
from mini_nn.schedules import RECIPES, Constant, Cosine, Exponential, OneCycle, Warmup

with np.load(Path(__file__).parent / "golden" / "optim.npz", allow_pickle=False) as file:
    ARRAYS = dict(file)
CASES = {c: made for c, made in json.loads(str(ARRAYS["cases"])).items() if c.startswith("schedule")}
EXAMPLES = [
    Constant(0.1),
    Exponential(0.1, 0.97, 2.4, staircase=True),
    Cosine(0.1, 10, 0.001),
    Warmup(Exponential(0.1, 0.9, 3), 5, 0.01, delay=False),
    OneCycle(0.1, 20, three_phase=True),
]


@pytest.mark.parametrize("case", CASES)
def test_every_step_has_the_rate_of_torch_and_keras(case):
    schedule = schedules.from_dict({"kind": CASES[case]["make"], **CASES[case]["options"]})
    rates = [schedule(step) for step in range(len(ARRAYS[f"{case}/lr"]))]
    np.testing.assert_allclose(rates, ARRAYS[f"{case}/lr"], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_a_schedule_is_a_function_of_the_step_alone(schedule):
    forward = [schedule(step) for step in range(30)]
    assert [schedule(step) for step in reversed(range(30))] == forward[::-1]
    assert schedule(np.int64(7)) == schedule(7)
    assert all(type(rate) is float and rate >= 0 for rate in forward)


@pytest.mark.parametrize("schedule", EXAMPLES, ids=str)
def test_a_schedule_survives_json(schedule):
    assert schedules.from_dict(json.loads(json.dumps(schedules.to_dict(schedule)))) == schedule


def test_numbers_of_numpy_survive_json():
    state = json.loads(json.dumps(schedules.to_dict(Cosine(np.float32(0.5), np.int64(10)))))
    assert schedules.from_dict(state)(3) == Cosine(0.5, 10)(3)


def test_after_the_last_step_the_rate_stays():
    assert Cosine(0.1, 10, 0.001)(10) == Cosine(0.1, 10, 0.001)(1000) == 0.001
    cycle = OneCycle(0.1, 20)
    assert cycle(1000) == cycle(19) == pytest.approx(0.1 / 25 / 1e4, rel=1e-12)


def test_staircase_falls_only_between_epochs():
    stairs = Exponential(1.0, 0.5, 2.5, staircase=True)
    assert [stairs(step) for step in range(6)] == [1, 1, 1, 0.5, 0.5, 0.25]


def test_warm_up_reaches_the_schedule_that_it_wraps():
    inner = Exponential(1.0, 0.5, 4)
    assert [Warmup(inner, 4, 0.2)(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert Warmup(inner, 4, delay=True)(8) == inner(4)
    assert Warmup(inner, 4, delay=False)(8) == inner(8)
    assert Warmup(lambda step: 3.0 + step, 2)(5) == 6.0


def test_one_cycle_peaks_where_torch_peaks():
    cycle = OneCycle(0.4, 20, pct_start=0.25)
    assert np.argmax([cycle(step) for step in range(20)]) == 4
    assert cycle(4) == 0.4
    assert OneCycle(0.4, 4, pct_start=0.25)(0) == 0.4  # a way up of no length: torch divides by zero


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (partial(Constant, -0.1), "lr must be a number from 0, not -0.1"),
        (partial(Constant, math.nan), "not nan"),
        (partial(Constant, "0.1"), "not '0.1'"),
        (partial(Constant, True), "not True"),
        (partial(Exponential, 0.1, 0, 10), "decay must be a number above 0"),
        (partial(Exponential, 0.1, 0.9, 0), "steps must be a number above 0"),
        (partial(Cosine, 0.1, -5), "steps must be a number above 0"),
        (partial(Cosine, 0.1, 5, -1), "end must be"),
        (partial(Warmup, 0.1, 5), "then must be a schedule"),
        (partial(Warmup, Constant(1), 0), "steps must be a number above 0"),
        (partial(OneCycle, 0.1, 10, pct_start=1.5), "pct_start 1.5 is more than 1"),
        (partial(OneCycle, 0.1, 10, pct_start=0.6, three_phase=True), "pct_start 0.6 is more than 0.5"),
        (partial(OneCycle, 0.1, 10, anneal_strategy="cosine"), "not 'cosine'"),
        (partial(OneCycle, 0.1, 10, div_factor=0), "div_factor"),
        (partial(Constant(0.1), -1), "step must be"),
        (partial(schedules.from_dict, {"kind": "Cos", "lr": 1}), "is no schedule"),
        (partial(schedules.from_dict, {"kind": "Constant", "rate": 1}), "is no schedule"),
        (partial(schedules.from_dict, {"kind": "Constant"}), "is no schedule"),
        (partial(schedules.from_dict, {}), "is no schedule"),
        (partial(schedules.to_dict, Warmup(float, 3)), "can be saved"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_the_published_rates():
    efficientnet = RECIPES["efficientnet"].schedule(steps_per_epoch=1_281_167 / 2048, batch_size=2048)
    assert efficientnet(0) == 0
    assert efficientnet(1564) == pytest.approx(0.128 * 1564 / 3127)  # 5 epochs are 3127 steps
    assert efficientnet(3128) == pytest.approx(0.128 * 0.97**2)  # the stairs count from the start
    assert RECIPES["mobilenet_v2"].schedule(100)(250) == pytest.approx(0.045 * 0.98**2)
    assert RECIPES["mobilenet_v1"].schedule(100)(250) == pytest.approx(0.045 * 0.94)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_recipe_names_an_optimiser_that_takes_its_options(recipe):
    optimiser = getattr(optim, recipe.optimiser)(Dense(2, 3), recipe.lr, **recipe.options)
    assert optimiser.lr == recipe.lr
    assert optimiser.weight_decay > 0
