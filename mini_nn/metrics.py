"""How good a classifier is, how sure it may be, and how sure we may be of that.

y (n,) are labels from 0, predicted (n,) labels, probabilities and logits (n, C).  Bad shapes, labels out of range,
numbers that are not finite, and nothing at all are ValueErrors.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

COLDEST, HOTTEST = 0.01, 100.0  # the temperatures that are looked at


class PerClass(NamedTuple):
    """A row for each class; what is divided by nothing is 0, as scikit-learn counts.  Printed, a table."""

    classes: tuple[str, ...]
    precision: Array  # of what was called by this name, the share that is right
    recall: Array  # of what is of this class, the share that was found
    f1: Array  # 2 / (1 / precision + 1 / recall)
    support: Array  # how many there are

    def __str__(self) -> str:
        width = max(5, *map(len, self.classes))
        lines = [f"{'class':<{width}} {'precision':>9} {'recall':>7} {'F1':>6} {'count':>6}"]
        for name, p, r, f, n in zip(*self, strict=True):
            lines.append(f"{name:<{width}} {p:>9.3f} {r:>7.3f} {f:>6.3f} {n:>6}")
        p, r, f = (float(values.mean()) for values in (self.precision, self.recall, self.f1))
        return "\n".join([*lines, f"{'mean':<{width}} {p:>9.3f} {r:>7.3f} {f:>6.3f} {self.support.sum():>6}"])


class Reliability(NamedTuple):
    """What was believed and what came true: a number for each bin of confidence; nan where a bin is empty."""

    edges: Array  # (bins + 1,); bin i holds edges[i] < confidence <= edges[i + 1]
    confidence: Array  # (bins,) the mean probability of the class that was chosen
    accuracy: Array  # (bins,) how often it was right
    counts: Array  # (bins,) how many photographs

    @property
    def ece(self) -> float:
        """Expected calibration error: sum_bins counts / n |accuracy - confidence|  (Guo et al. 2017, equation 3)."""
        gap = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((self.counts * gap).sum() / self.counts.sum())


class Interval(NamedTuple):
    """A number, and where it may truly be."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def top_k(scores: Array, y: Array, k: int = 1) -> float:
    """The share of rows whose label is among the k largest scores; of equal scores the first counts as larger, as in argmax.

    scikit-learn's lets the last one win, and does not take two classes.
    """
    scores, y = checked(scores, y)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k must be a whole number from 1 to {scores.shape[1]}, the classes, not {k!r}")
    own = scores[np.arange(len(y)), y][:, None]
    before = np.arange(scores.shape[1]) < y[:, None]
    place = (scores > own).sum(1) + ((scores == own) & before).sum(1)
    return float((place < k).mean())


def confusion(y: Array, predicted: Array, classes: int) -> Array:
    """(classes, classes): how many of the row's class were taken for the column's."""
    y, predicted = paired(y, predicted, classes)
    return sklearn_metrics().confusion_matrix(y, predicted, labels=np.arange(classes))


def per_class(y: Array, predicted: Array, classes: Sequence[str]) -> PerClass:
    """Precision, recall and F1 of each class."""
    if isinstance(classes, str) or not len(classes):
        raise ValueError(f"per_class: classes must be a list of names, not {classes!r}")
    y, predicted = paired(y, predicted, len(classes))
    found = sklearn_metrics().precision_recall_fscore_support(
        y, predicted, labels=np.arange(len(classes)), zero_division=0.0
    )
    return PerClass(tuple(classes), *found)


def reliability(probabilities: Array, y: Array, bins: int = 15) -> Reliability:
    """How often the chosen class is right, for each of `bins` equal parts of its probability."""
    p, y = checked(probabilities, y)
    check_distributions(p)
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"bins must be a whole number from 1, not {bins!r}")
    confidence, right = p.max(1), p.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)  # a confidence on an edge belongs below it
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is nan: nothing is known of an empty bin
        means = [np.bincount(place, values, bins) / count for values in (confidence, right)]
    return Reliability(edges, means[0], means[1], count)


def ece(probabilities: Array, y: Array, bins: int = 15) -> float:
    """Expected calibration error, from 0 (a class believed in with p is right with p) to 1."""
    return reliability(probabilities, y, bins).ece


def temperature(logits: Array, y: Array) -> float:
    """T > 0 for which softmax(logits / T) surprises least on (logits, y)  (Guo et al. 2017, section 4.2).

    Fit it on photographs that were not learned from.  Above 1 the network was too sure of itself.  Log-probabilities do
    as well as logits.  Where all are right, the colder the better: T is COLDEST, and too few photographs are known.
    """
    z, y = checked(logits, y)
    z = z - z.max(1, keepdims=True)
    own = z[np.arange(len(y)), y].mean()
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(
        60
    ):  # the loss is convex in b = 1 / T: halve the interval in which its derivative changes sign
        b = np.sqrt(low * high)
        slope = (softmax(z * b) * z).sum(1).mean() - own
        low, high = (b, high) if slope < 0 else (low, b)
    return float(1 / np.sqrt(low * high))


def calibrated(logits: Array, temperature: float) -> Array:
    """softmax(logits / temperature), in float64.  The order of the classes stays: the largest stays the largest."""
    if not np.isfinite(temperature) or not temperature > 0:
        raise ValueError(f"the temperature must be a finite number above 0, not {temperature!r}")
    return softmax(matrix(logits) / temperature)


def bootstrap(
    statistic: Callable[..., float], *arrays: Array, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """statistic(*arrays), and the interval that holds `level` of its values on rows drawn again with replacement.

    The arrays have a row a photograph and are drawn together, so the difference of two classifiers on the same
    photographs is `bootstrap(lambda a, b: (a - b).mean(), right_a, right_b)`.  (Efron 1979; percentiles.)
    """
    given = [np.asarray(array) for array in arrays]
    lengths = {len(array) if array.ndim else 0 for array in given}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"bootstrap: arrays with one row a photograph are needed, not {[a.shape for a in given]}"
        )
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(
            f"bootstrap: level {level!r} must be between 0 and 1, resamples {resamples!r} from 1"
        )
    rng, n = np.random.default_rng(seed), lengths.pop()
    value = float(statistic(*given))
    drawn = [
        float(statistic(*(array[rows] for array in given)))
        for rows in (rng.integers(n, size=n) for _ in range(resamples))
    ]
    if not np.isfinite([value, *drawn]).all():
        raise ValueError(
            "bootstrap: the statistic is not finite on some rows; it must be one that any rows can have"
        )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def sklearn_metrics() -> Any:
    try:
        from sklearn import metrics
    except ImportError:
        raise ImportError("these metrics need scikit-learn: pip install 'mini-nn[eval]'") from None
    return metrics


def matrix(scores: Any) -> Array:
    """scores as float64 (n, C), or ValueError."""
    array = np.asarray(scores)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"scores must be numbers of shape (photographs, classes), not {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(1)))
        raise ValueError(f"the scores of photograph {row} are not finite: {array[row]}")
    return array.astype(np.float64)


def labels(y: Any, classes: int) -> Array:
    """y as int64 (n,) with labels from 0 to classes - 1, or ValueError."""
    array = np.asarray(y)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers of shape (photographs,), not {array.dtype} {array.shape}"
        )
    if (wrong := (array < 0) | (array >= classes)).any():
        row = int(wrong.argmax())
        raise ValueError(f"photograph {row} has label {array[row]}; they go from 0 to {classes - 1}")
    return array.astype(np.int64)


def checked(scores: Any, y: Any) -> tuple[Array, Array]:
    found = matrix(scores)
    label = labels(y, found.shape[1])
    if len(found) != len(label):
        raise ValueError(f"there are scores for {len(found)} photographs and labels for {len(label)}")
    return found, label


def paired(y: Any, predicted: Any, classes: Any) -> tuple[Array, Array]:
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 1:
        raise ValueError(f"classes must be their number, not {classes!r}")
    first, second = labels(y, int(classes)), labels(predicted, int(classes))
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} labels and {len(second)} predictions")
    return first, second


def check_distributions(p: Array) -> None:
    """Raise ValueError unless every row is a distribution: logits look much like probabilities."""
    wrong = (p.min(1) < 0) | (np.abs(p.sum(1) - 1) > 1e-3)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"the probabilities of photograph {row} are {p[row]}, which add up to {p[row].sum():.4g}, not to 1; "
            "give softmax(logits)"
        )
