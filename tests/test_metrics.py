"""Metrics against scikit-learn and SciPy, or counted by hand."""

import math
import sys
import warnings

import numpy as np
import pytest

from mini_nn import metrics
from mini_nn.ops.softmax import forward as softmax

sklearn = pytest.importorskip("sklearn.metrics", reason="the extra eval is not installed")
stats = pytest.importorskip("scipy.stats")
optimize = pytest.importorskip("scipy.optimize")


@pytest.fixture
def logits(rng):
    return 2 * rng.normal(size=(200, 6))


@pytest.fixture
def y(rng, logits):
    """Drawn from the very probabilities that the logits state."""
    return np.array([rng.choice(6, p=p) for p in softmax(logits)])


# --- how good ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(1, 6))
def test_top_k_is_scikit_learns(logits, y, k):
    assert metrics.top_k(logits, y, k) == pytest.approx(
        sklearn.top_k_accuracy_score(y, logits, k=k, labels=range(6))
    )


def test_top_1_is_argmax_also_where_scores_are_equal(rng):
    scores, y = rng.integers(0, 2, (300, 4)).astype(float), rng.integers(0, 4, 300)
    assert metrics.top_k(scores, y) == (scores.argmax(1) == y).mean()


def test_of_equal_scores_the_first_counts_as_larger():
    scores = np.array([[1.0, 1, 1]] * 3)
    assert [metrics.top_k(scores, np.array([label] * 3), 2) for label in range(3)] == [1, 1, 0]


def test_two_classes_are_classes_too():
    assert metrics.top_k(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])) == 0.5


def test_the_confusion_matrix_by_hand():
    matrix = metrics.confusion([0, 0, 0, 2], [0, 1, 1, 2], 4)
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_precision_recall_and_f1_by_their_definitions(logits, y):
    predicted = logits.argmax(1)
    found = metrics.per_class(y, predicted, list("abcdef"))
    for c in range(6):
        hits = ((y == c) & (predicted == c)).sum()
        p, r = hits / (predicted == c).sum(), hits / (y == c).sum()
        assert found.precision[c] == pytest.approx(p)
        assert found.recall[c] == pytest.approx(r)
        assert found.f1[c] == pytest.approx(2 * p * r / (p + r))
        assert found.support[c] == (y == c).sum()


def test_a_class_that_is_never_seen_has_zeros_and_no_warning():
    found = metrics.per_class(np.array([0, 0]), np.array([0, 1]), ["a", "b", "c"])
    assert found.precision.tolist() == [1, 0, 0]
    assert found.recall.tolist() == [0.5, 0, 0]
    assert found.support.tolist() == [2, 0, 0]


def test_the_table_has_a_line_for_each_class_and_the_means():
    lines = str(metrics.per_class([0, 0, 1, 1], [0, 1, 1, 1], ["a", "Tigger \u732b"])).splitlines()
    assert lines[0].split() == ["class", "precision", "recall", "F1", "count"]
    assert lines[1].split() == ["a", "1.000", "0.500", "0.667", "2"]
    assert lines[2].split() == ["Tigger", "\u732b", "0.667", "1.000", "0.800", "2"]
    assert lines[3].split() == ["mean", "0.833", "0.750", "0.733", "4"]
    assert len({len(line) for line in lines}) == 1


# --- how sure it may be -----------------------------------------------------------------------------------------------


def slow_bins(p, y, bins):
    """Guo et al.'s sums, one photograph at a time."""
    rows = [[] for _ in range(bins)]
    for row, label in zip(p, y, strict=True):
        for i in range(bins):
            if i / bins < row.max() <= (i + 1) / bins:
                rows[i].append((row.max(), row.argmax() == label))
    return rows


@pytest.mark.parametrize("bins", [1, 4, 10])
def test_reliability_and_ece_by_their_definitions(logits, y, bins):
    p = softmax(logits)
    found = metrics.reliability(p, y, bins)
    rows = slow_bins(p, y, bins)
    assert found.counts.tolist() == [len(row) for row in rows]
    error = 0.0
    for i, row in enumerate(rows):
        if row:
            sure, right = np.mean(row, axis=0)
            np.testing.assert_allclose([found.confidence[i], found.accuracy[i]], [sure, right])
            error += len(row) / len(p) * abs(sure - right)
        else:
            assert np.isnan(found.confidence[i])
            assert np.isnan(found.accuracy[i])
    assert metrics.ece(p, y, bins) == pytest.approx(error)


def test_reliability_is_scikit_learns_calibration_curve(logits, y):
    from sklearn.calibration import calibration_curve

    p = softmax(logits)
    found = metrics.reliability(p, y, 10)
    right, sure = calibration_curve(p.argmax(1) == y, p.max(1), n_bins=10)
    there = found.counts > 0
    np.testing.assert_allclose(found.accuracy[there], right)
    np.testing.assert_allclose(found.confidence[there], sure)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25]])
    assert metrics.reliability(p, np.array([0, 0, 0]), 4).counts.tolist() == [0, 1, 1, 1]


def test_ece_of_a_perfect_a_boastful_and_a_coin_tossing_classifier():
    y = np.array([0, 1] * 50)
    assert metrics.ece(np.eye(2)[y], y) == 0
    assert metrics.ece(np.eye(2)[1 - y], y) == 1
    assert metrics.ece(np.eye(2)[np.zeros(100, int)], y) == 0.5
    assert metrics.ece(np.full((100, 2), 0.5), y) == 0


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_the_temperature_undoes_a_factor(rng, factor):
    z = 2 * rng.normal(size=(5000, 4))
    y = np.array([rng.choice(4, p=p) for p in softmax(z)])
    assert metrics.temperature(factor * z, y) == pytest.approx(factor, rel=0.08)


def test_the_temperature_is_where_scipy_finds_the_least_surprise(logits, y):
    z = 3 * logits

    def surprise(t):
        scaled = z / t
        return np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(y)), y])

    expected = optimize.minimize_scalar(
        surprise, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-10}
    )
    assert metrics.temperature(z, y) == pytest.approx(expected.x, rel=1e-4)


def test_log_probabilities_have_the_same_temperature_as_logits(logits, y):
    assert metrics.temperature(np.log(softmax(logits)), y) == pytest.approx(metrics.temperature(logits, y))


def test_the_temperature_lowers_the_calibration_error(logits, y):
    z = 4 * logits
    after = metrics.calibrated(z, metrics.temperature(z, y))
    assert metrics.ece(after, y) < 0.3 * metrics.ece(softmax(z), y)


def test_the_temperature_stays_within_its_bounds():
    z = np.array([[4.0, 0], [0, 4]])
    assert metrics.temperature(z, np.array([0, 1])) == pytest.approx(metrics.COLDEST)
    assert metrics.temperature(z, np.array([1, 0])) == pytest.approx(metrics.HOTTEST)
    assert np.isfinite(metrics.temperature(1e6 * z, np.array([0, 1])))
    assert np.isfinite(metrics.temperature(np.zeros((2, 2)), np.array([0, 1])))


@pytest.mark.parametrize("t", [0.01, 0.3, 1.7, 100.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_never_changes_the_class(rng, t, dtype):
    z = rng.normal(size=(500, 7)).astype(dtype)
    close = z.copy()
    close[:, 3] = np.nextafter(z.max(1).astype(np.float32), np.float32(9)).astype(dtype)  # ahead by a hair
    for one in (z, 50 * z, close):
        np.testing.assert_array_equal(metrics.calibrated(one, t).argmax(1), one.argmax(1))
    np.testing.assert_allclose(metrics.calibrated(z, t).sum(1), 1)


@pytest.mark.parametrize("t", [0, -1, np.nan, np.inf])
def test_a_temperature_that_is_none_is_refused(logits, t):
    with pytest.raises(ValueError, match="temperature must be"):
        metrics.calibrated(logits, t)


# --- how sure we may be -----------------------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_is_scipys(rng):
    x = rng.normal(3, 2, 80)
    found = metrics.bootstrap(np.mean, x, resamples=4000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = stats.bootstrap(
            (x,), np.mean, n_resamples=4000, method="percentile", rng=1
        ).confidence_interval
    assert found.value == x.mean()
    assert found.low == pytest.approx(other.low, abs=0.06)
    assert found.high == pytest.approx(other.high, abs=0.06)


def test_the_interval_holds_the_truth_about_as_often_as_it_says(rng):
    held = 0
    for seed in range(200):
        found = metrics.bootstrap(np.mean, rng.normal(size=50), resamples=200, level=0.8, seed=seed)
        held += found.low <= 0 <= found.high
    assert 0.7 < held / 200 < 0.9


def test_arrays_are_drawn_together(rng):
    right = rng.random(100) < 0.7
    found = metrics.bootstrap(lambda a, b: (a == b).mean(), right, right)
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_the_same_seed_gives_the_same_interval_and_another_one_another(rng):
    x = rng.normal(size=30)
    assert metrics.bootstrap(np.mean, x, seed=4) == metrics.bootstrap(np.mean, x, seed=4)
    assert metrics.bootstrap(np.mean, x, seed=4) != metrics.bootstrap(np.mean, x, seed=5)


def test_an_interval_prints_in_one_line():
    assert str(metrics.Interval(0.85, 0.8, 0.9)) == "0.850 (0.800 to 0.900)"


def test_a_bootstrap_that_has_no_meaning_is_refused(rng):
    x = rng.normal(size=5)
    for arrays in ([x, x[:3]], [np.zeros(0)], [np.float64(3)], []):
        with pytest.raises(ValueError, match="one row a photograph"):
            metrics.bootstrap(lambda *_: 0.0, *arrays)
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap(np.mean, x, level=95)
    with pytest.raises(ValueError, match="resamples"):
        metrics.bootstrap(np.mean, x, resamples=0)
    with pytest.raises(ValueError, match="not finite"):
        metrics.bootstrap(lambda _: math.nan, x)


# --- what is refused --------------------------------------------------------------------------------------------------

P = np.full((3, 4), 0.25)
Y = np.array([0, 1, 3])


@pytest.mark.parametrize("call", [metrics.top_k, metrics.reliability, metrics.ece, metrics.temperature])
@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        (P, np.array([0, 1, 4]), "photograph 2 has label 4; they go from 0 to 3"),
        (P, np.array([0, -1, 2]), "photograph 1 has label -1"),
        (P, Y[:2], "3 photographs and labels for 2"),
        (P, Y.astype(float), "whole numbers"),
        (P, Y[:, None], "whole numbers of shape"),
        (P, np.eye(3, 4), "whole numbers of shape"),
        (P[0], Y, "shape .photographs, classes."),
        (P[:0], Y[:0], "shape .photographs, classes."),
        (P * [[1], [np.nan], [1]], Y, "photograph 1 are not finite"),
        (P * [[1], [1], [np.inf]], Y, "photograph 2 are not finite"),
        (P.astype(str), Y, "must be numbers"),
        (P > 0, Y, "must be numbers"),
    ],
)
def test_bad_scores_and_labels_are_refused_by_name(call, scores, labels, words):
    with pytest.raises(ValueError, match=words):
        call(scores, labels)


@pytest.mark.parametrize("call", [metrics.reliability, metrics.ece])
def test_logits_are_not_taken_for_probabilities(call, logits, y):
    with pytest.raises(ValueError, match=r"photograph 0 .* give softmax"):
        call(logits, y)
    with pytest.raises(ValueError, match="add up to 2"):
        call(2 * P, Y)


@pytest.mark.parametrize("k", [0, 5, 1.5, True, "2"])
def test_k_is_a_number_of_classes(k):
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 4"):
        metrics.top_k(P, Y, k)


@pytest.mark.parametrize("bins", [0, -3, 2.5, True])
def test_bins_are_counted_from_one(bins):
    with pytest.raises(ValueError, match="bins must be"):
        metrics.reliability(P, Y, bins)


def test_labels_and_predictions_must_go_together():
    with pytest.raises(ValueError, match="3 labels and 2 predictions"):
        metrics.confusion(Y, Y[:2], 4)
    with pytest.raises(ValueError, match="label 3"):
        metrics.confusion(Y, Y, 3)
    with pytest.raises(ValueError, match="label 3"):
        metrics.per_class([0, 0, 0], Y, list("abc"))
    with pytest.raises(ValueError, match="list of names"):
        metrics.per_class(Y, Y, [])
    with pytest.raises(ValueError, match="their number"):
        metrics.confusion(Y, Y, "abcd")
    with pytest.raises(ValueError, match="whole numbers"):
        metrics.confusion([], [], 4)


def test_arguments_are_never_written_to(logits, y):
    p = softmax(logits)
    for array in (logits, y, p):
        array.flags.writeable = False
    metrics.top_k(logits, y, 2)
    metrics.reliability(p, y)
    metrics.temperature(logits, y)
    metrics.calibrated(logits, 2.0)
    metrics.per_class(y, y, list("abcdef"))


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'mini-nn\[eval\]'"):
        metrics.confusion(Y, Y, 4)
    assert metrics.top_k(P, Y, 4) == 1  # needs NumPy alone
