"""Softmax cross-entropy: against torch (tests/golden/record_optim.py), against differences, and on bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

from mini_nn.losses import softmax_cross_entropy

with np.load(Path(__file__).parent / "golden" / "optim.npz", allow_pickle=False) as file:
    ARRAYS = dict(file)
CASES = {
    c: made for c, made in json.loads(str(ARRAYS["cases"])).items() if made["make"] == "softmax_cross_entropy"
}
LABELS = {
    "class numbers": lambda rng: rng.integers(0, 5, 6),
    "distributions": lambda rng: rng.dirichlet(np.ones(5), 6),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_those_of_torch(case):
    logits, labels, expected, dlogits = (
        ARRAYS[f"{case}/{k}"] for k in ("logits", "labels", "loss", "dlogits")
    )
    weights = ARRAYS.get(f"{case}/class_weights")
    loss, ours = softmax_cross_entropy(logits, labels, **CASES[case]["options"], class_weights=weights)
    assert type(loss) is float
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    np.testing.assert_allclose(ours, dlogits, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("weights", [None, [0.3, 2.0, 1.0, 0.0, 5.0]])
@pytest.mark.parametrize("kind", LABELS)
def test_the_gradient_matches_differences(kind, weights, smoothing, rng):
    logits, labels = 3 * rng.standard_normal((6, 5)), LABELS[kind](rng)

    def f(x):
        return softmax_cross_entropy(x, labels, smoothing, weights)[0]

    ours = softmax_cross_entropy(logits, labels, smoothing, weights)[1]
    for i in np.ndindex(logits.shape):
        h = np.zeros_like(logits)
        h[i] = 1e-3  # the fourth-order formula: error h^4 / 30 times the fifth derivative
        slope = (8 * (f(logits + h) - f(logits - h)) - (f(logits + 2 * h) - f(logits - 2 * h))) / 12e-3
        assert abs(slope - ours[i]) < 1e-9, f"dlogits{i}: {ours[i]}, differences say {slope}"


def test_sure_and_wrong_by_10000_costs_what_it_should():
    for dtype in (np.float32, np.float64):
        logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], dtype)
        assert softmax_cross_entropy(logits, [0, 1]) == (0.0, pytest.approx(np.zeros((2, 3))))
        loss, dlogits = softmax_cross_entropy(logits, [1, 0])
        assert loss == 2e4
        np.testing.assert_array_equal(dlogits, [[0.5, -0.5, 0], [-0.5, 0.5, 0]])
        assert dlogits.dtype == dtype


def test_equal_logits_cost_log_c():
    loss, dlogits = softmax_cross_entropy(np.full((2, 4), 7.0), [3, 0])
    assert loss == pytest.approx(np.log(4), rel=1e-15)
    np.testing.assert_allclose(dlogits, [[0.125, 0.125, 0.125, -0.375], [-0.375, 0.125, 0.125, 0.125]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_class_numbers_are_distributions_with_one_entry(dtype, rng):
    logits, labels = rng.standard_normal((6, 5)).astype(np.float32), rng.integers(0, 5, 6).astype(dtype)
    loss, dlogits = softmax_cross_entropy(logits, labels, 0.2)
    for one_hot in np.eye(5)[labels], np.eye(5, dtype=np.int64)[labels], np.eye(5, dtype=bool)[labels]:
        again, same = softmax_cross_entropy(logits, one_hot, 0.2)
        assert again == loss
        np.testing.assert_array_equal(same, dlogits)
    assert dlogits.dtype == np.float32


def test_the_arguments_are_not_written_to(rng):
    logits, labels, weights = rng.standard_normal((6, 5)), rng.dirichlet(np.ones(5), 6), rng.random(5)
    for array in (logits, labels, weights):
        array.flags.writeable = False
    softmax_cross_entropy(logits, labels, 0.1, weights)


def test_nan_and_infinite_logits_show_in_the_loss_without_a_warning():
    for bad in (np.nan, np.inf):
        assert np.isnan(softmax_cross_entropy(np.array([[0.0, 1.0], [bad, 0.0]]), [0, 0])[0])
    far = np.array([[3e38, -3e38]], np.float32)
    assert softmax_cross_entropy(far, [1])[0] == np.inf
    masked = softmax_cross_entropy(np.array([[-np.inf, 0.0, 0.0]]), [1])
    assert masked[0] == pytest.approx(np.log(2))
    np.testing.assert_allclose(masked[1], [[0, -0.5, 0.5]])


GOOD = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("logits", "labels", "options", "says"),
    [
        (GOOD, [0.0, 1.0], {}, "float64; class numbers are integers"),
        (GOOD, [True, False], {}, "bool; class numbers are integers"),
        (GOOD, ["a", "b"], {}, "class numbers are integers"),
        (GOOD, [0, 3], {}, r"labels\[1\] is 3; with 3 classes it must be from 0 to 2"),
        (GOOD, [-1, 0], {}, r"labels\[0\] is -1"),
        (GOOD, [0, 1, 2], {}, r"labels have shape \(3,\); \(2,\) or \(2, 3\)"),
        (GOOD, [[0], [1]], {}, r"use labels\[:, 0\]"),
        (GOOD, 1, {}, r"labels have shape \(\)"),
        (GOOD, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.1]], {}, r"labels\[1\] is no distribution: it adds up to 1.1"),
        (GOOD, [[0.5, 0.5, 0.0], [1.2, -0.2, 0.0]], {}, "smallest entry is -0.2"),
        (GOOD, [[0.5, 0.5, 0.0], [np.nan, 0.5, 0.5]], {}, r"labels\[1\] is no distribution"),
        (GOOD, [[1.0, 0.0], [0.0, 1.0]], {}, r"labels have shape \(2, 2\)"),
        (np.zeros((0, 3)), np.zeros(0, int), {}, r"logits have shape \(0, 3\)"),
        (np.zeros(3), [0], {}, r"logits have shape \(3,\)"),
        (GOOD.astype(np.float16), [0, 1], {}, "not float16"),
        (GOOD.astype(int), [0, 1], {}, "not int64"),
        ([[0.0, 1.0]], [0], {}, "not list"),
        (GOOD, [0, 1], {"label_smoothing": 1.0}, r"label_smoothing must be a number in \[0, 1\), not 1.0"),
        (GOOD, [0, 1], {"label_smoothing": -0.1}, "not -0.1"),
        (GOOD, [0, 1], {"label_smoothing": np.nan}, "not nan"),
        (GOOD, [0, 1], {"label_smoothing": "0.1"}, "not '0.1'"),
        (GOOD, [0, 1], {"class_weights": [1.0, 2.0]}, "class_weights must be 3 numbers"),
        (GOOD, [0, 1], {"class_weights": [1.0, 2.0, -1.0]}, "finite and at least 0"),
        (GOOD, [0, 1], {"class_weights": [1.0, np.inf, 1.0]}, "finite and at least 0"),
        (GOOD, [0, 1], {"class_weights": [0.0, 0.0, 1.0]}, "0 for every label of this batch"),
    ],
)
def test_bad_input_is_named(logits, labels, options, says):
    with pytest.raises(ValueError, match=says):
        softmax_cross_entropy(logits, labels, **options)
