"""Strategy A: a regularised softmax head on features, how strong the regularisation is being chosen by cross-validation."""

import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # C of scikit-learn: the inverse of the regularisation
FOLDS = 5


class Head(NamedTuple):
    """logits = features @ weight + bias; weight (d, classes)."""

    weight: Array
    bias: Array

    def logits(self, features: Array) -> Array:
        return (features @ self.weight + self.bias).astype(np.float32)


class Counts(NamedTuple):
    """How many of how many were right, judged on photographs that were not learned from."""

    right: int
    total: int
    folds: int = 1

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """The 95 % interval of the share (Wilson 1927): where the truth may be, given so few photographs."""
        n, p = self.total, self.right / self.total
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def __str__(self) -> str:
        low, high = self.interval()
        how = f" in {self.folds}-fold cross-validation" if self.folds > 1 else ""
        return f"{self.right} of {self.total} right{how}, interval {low:.0%} to {high:.0%}"


class Search(NamedTuple):
    """One strength that was tried: its loss and how many were right, over all folds."""

    strength: float
    loss: float
    right: int


def fit_head(
    features: Array, y: Array, classes: int, fold: Array
) -> tuple[Head, Counts | None, list[Search]]:
    """The head, what cross-validation says of it, and what was tried.  `fold` is that of `folds`.

    features (n, d), or (n, views, d): learned from are all views, judged is the first.
    """
    try:
        import sklearn.linear_model  # noqa: F401  before the limit, which holds for what is loaded
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError:
        raise ImportError("strategy A needs scikit-learn: pip install 'mini-nn[eval]'") from None
    with threadpool_limits(1):  # so small are the products that a second thread costs ten times what it gives
        return searched(features, y, classes, fold)


def searched(
    features: Array, y: Array, classes: int, fold: Array
) -> tuple[Head, Counts | None, list[Search]]:
    views = features.shape[1] if features.ndim == 3 else 1
    first = features.reshape(len(y), views, -1)[:, 0]
    learn, tried = prepared(features.reshape(len(y) * views, -1), y.repeat(views), classes), []
    judged = fold >= 0
    for strength in STRENGTHS if judged.any() else ():
        logits = np.zeros((len(y), classes), np.float32)
        for k in range(int(fold.max()) + 1):
            rest = fold != k
            logits[~rest] = learn(rest.repeat(views), strength).logits(first[~rest])
        loss, _ = softmax_cross_entropy(logits[judged], y[judged])
        tried.append(Search(strength, loss, int((logits[judged].argmax(1) == y[judged]).sum())))
    best = min(tried, key=lambda one: one.loss, default=Search(0.1, math.nan, 0))
    counts = Counts(best.right, int(judged.sum()), int(fold.max()) + 1) if tried else None
    return learn(np.ones(len(y) * views, bool), best.strength), counts, tried


def prepared(features: Array, y: Array, classes: int) -> Callable[[Array, float], Head]:
    """A function (which rows, strength) -> Head, for features that are centred and scaled once.

    With fewer photographs than features, the weights lie in the span of the photographs (the penalty has no use for the
    rest), so the problem is solved there and is much smaller: z = u s of the features' u s v^T.
    """
    x = features.astype(np.float64)
    centre = x.mean(0)
    # the mean length becomes 10: then the strengths above are the ones that matter
    scale = np.sqrt(((x - centre) ** 2).sum(1).mean()) / 10 or 1.0
    x = (x - centre) / scale
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    z = u * s

    def learn(rows: Array, strength: float) -> Head:
        weight, bias = solve(z[rows], y[rows], classes, strength)
        weight = vt.T @ weight / scale
        return Head(weight.astype(np.float32), (bias - centre @ weight).astype(np.float32))

    return learn


def solve(z: Array, y: Array, classes: int, strength: float) -> tuple[Array, Array]:
    """scikit-learn's softmax regression as (weight, bias) for all classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weight, bias = np.zeros((z.shape[1], classes)), np.zeros(classes)
    seen = np.unique(y)
    if len(seen) < 2:  # a fold without the others
        return weight, np.where(np.isin(np.arange(classes), seen), 0.0, -20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early is regularised, too
        found = LogisticRegression(C=strength, max_iter=300).fit(z, y)
    coef, constant = found.coef_, found.intercept_
    if len(seen) == 2:  # one row for both: the second class against the first
        coef, constant = np.concatenate([-coef, coef]) / 2, np.concatenate([-constant, constant]) / 2
    weight[:, seen], bias[seen] = coef.T, constant
    if len(seen) < classes:  # never seen: as good as never said
        bias[np.setdiff1d(np.arange(classes), seen)] = constant.min() - 20
    return weight, bias


def folds(y: Array, groups: Array, rng: np.random.Generator, most: int = FOLDS) -> Array:
    """The fold of each photograph, (n,); -1: always learned from, since its class would vanish otherwise.

    Dealt round, class by class, so that each fold has its share of every class; photographs of one group go together.
    """
    fold, place = np.full(len(y), -1), dict[int, int]()
    counts = [len(np.unique(groups[y == label])) for label in np.unique(y)]
    k = min(most, max(counts))
    for label, count in zip(np.unique(y), counts, strict=True):
        if count > 1:
            start = int(rng.integers(k))
            for i, group in enumerate(rng.permutation(np.unique(groups[y == label]))):
                place.setdefault(int(group), (start + i) % k)
    for i, group in enumerate(groups):
        fold[i] = place.get(int(group), -1)
    return fold


def grouped(paths: list[Path], alike: Iterable[tuple[Path, ...]]) -> Array:
    """A number for each photograph, the same for those that show the same thing."""
    number = {path: i for i, path in enumerate(paths)}
    for group in alike:
        here = [path for path in group if path in number]
        number |= dict.fromkeys(here, number[here[0]] if here else 0)
    return np.array([number[path] for path in paths])
