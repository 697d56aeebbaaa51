"""What the strategies of a run make of the photographs: each tried in turn, the better one kept."""

import copy
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mini_nn import features, train
from mini_nn.core import named_arrays
from mini_nn.data import PhotoSplit, Splits
from mini_nn.losses import softmax_cross_entropy
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax
from mini_nn.transfer.classifier import Classifier
from mini_nn.transfer.head import Counts, Search, fit_head, folds, grouped
from mini_nn.transfer.parts import new_head
from mini_nn.transfer.run import FEW, Tried
from mini_nn.transfer.strategies import Strategy
from mini_nn.transfer.tune import learner, resized, start, tune
from mini_nn.weights.preprocess import Preprocess

TUNED_FOLDS = 3  # of the cross-validation of B, C and scratch, each of which is a training


class Task(NamedTuple):
    """What all strategies of a run are given."""

    model: Network
    preprocess: Preprocess
    splits: Splits
    seed: int
    cache: Path | None
    workers: int
    quiet: bool


class Outcome(NamedTuple):
    """What one strategy made of it."""

    classifier: Classifier
    records: list[train.Record]
    probabilities: Array  # of the validation part
    search: list[Search] = []  # noqa: RUF012


def attempts(
    task: Task, plans: Mapping[str, Strategy], until: float
) -> tuple[dict[str, Outcome], list[Tried]]:
    """Try the strategies in turn; keep the first, and another only if more of the validation part is right."""
    outcomes: dict[str, Outcome] = {}
    tried: list[Tried] = []
    y, best = task.splits.valid.y, -1
    for name, plan in plans.items():
        if outcomes and not len(y):
            tried.append(
                Tried(name, 0, 0, math.nan, 0.0, False, "not tried: nothing is held back to compare by")
            )
            continue
        if outcomes and time.perf_counter() + (expected := estimate(task, plan)) > until:
            why = f"not tried: it would take about {expected / 60:.0f} minutes (see minutes=)"
            tried.append(Tried(name, 0, len(y), math.nan, 0.0, False, why))
            continue
        since = time.perf_counter()
        outcomes[name] = one = attempt(task, name, plan)
        right = int((one.probabilities.argmax(1) == y).sum())
        loss = float(-np.log(one.probabilities[np.arange(len(y)), y] + 1e-12).mean()) if len(y) else math.nan
        if better := right > best:
            tried = [t._replace(kept=False, why="was kept until then") if t.kept else t for t in tried]
        why = plan.what if len(plans) == 1 or best < 0 else (
            f"kept: {right - best} more right than before" if better else "not kept: no more right than before"
        )  # fmt: skip
        best = max(best, right)
        tried.append(Tried(name, right, len(y), loss, time.perf_counter() - since, better, why))
    return outcomes, tried


def attempt(task: Task, name: str, plan: Strategy) -> Outcome:
    if name == "A":
        return head_alone(task, plan)
    parts = task.splits.train, task.splits.valid
    model, how, records = tune(task.model, task.preprocess, plan, parts, task.seed, task.quiet)
    classifier = Classifier(model, how, task.splits.classes)
    return Outcome(classifier, records, classifier.probabilities(task.splits.valid.paths))


def head_alone(task: Task, plan: Strategy) -> Outcome:
    """Strategy A: features, a regularised head on them, and the head put into the network."""
    learn, judge = task.splits.train, task.splits.valid
    x = rows(task, plan, [*learn.paths, *judge.paths])
    since = time.perf_counter()
    rng = np.random.default_rng(task.seed)
    fold = folds(learn.y, grouped(list(learn.paths), task.splits.alike), rng)
    head, _, search = fit_head(x[: len(learn)], learn.y, len(task.splits.classes), fold)
    model = new_head(copy.deepcopy(task.model), len(task.splits.classes), rng)
    arrays = dict(named_arrays(model))
    arrays["classifier.weight"].value, arrays["classifier.bias"].value = head
    logits = head.logits(x[:, 0])
    seconds = time.perf_counter() - since
    judged = measured(logits[: len(learn)], learn.y) + measured(logits[len(learn) :], judge.y)
    how = resized(task.preprocess, plan.size)
    classifier = Classifier(model, how, task.splits.classes)  # type: ignore[arg-type]
    return Outcome(
        classifier, [train.Record(1, *judged, 0.0, seconds)], softmax(logits[len(learn) :]), search
    )


def rows(task: Task, plan: Strategy, paths: list[Path]) -> Array:
    """(n, views, d)."""
    views = features.Views(plan.views, plan.augment)
    how = resized(task.preprocess, plan.size)
    x = features.compute(task.model, how, paths, task.cache, task.workers, views, task.quiet)
    return x.reshape(len(paths), plan.views, -1)


def measured(logits: Array, y: Array) -> tuple[float, float]:
    """Mean loss and accuracy; nan for none."""
    if not len(y):
        return math.nan, math.nan
    return softmax_cross_entropy(logits, y)[0], float((logits.argmax(1) == y).mean())


def estimate(task: Task, plan: Strategy) -> float:
    """Seconds that it would take, cross-validation included: a step is measured, the second, as the first compiles."""
    rng = np.random.default_rng(0)
    layer = learner(start(task.model, plan, len(task.splits.classes), rng), plan)
    side = plan.size or task.preprocess.size
    n = len(task.splits.train)
    size = min(plan.batch_size, n)
    x = rng.normal(size=(size, side, side, 3)).astype(np.float32)
    for _ in range(2):
        since = time.perf_counter()
        logits, cache = layer.forward(x, train=True)
        layer.backward(np.zeros_like(logits), cache)
    trainings = 1 + TUNED_FOLDS if few(task.splits) else 1
    return (time.perf_counter() - since) * plan.rounds(n) * math.ceil(n / size) * trainings


def cross_validated(task: Task, name: str, plan: Strategy) -> Counts | None:
    """How many of all photographs are right, each judged by a classifier that did not learn from it."""
    learn, judge = task.splits.train, task.splits.valid
    every = PhotoSplit(
        np.concatenate([learn.y, judge.y]), learn.classes, (*learn.paths, *judge.paths), learn.size
    )
    rng = np.random.default_rng(task.seed)
    groups = grouped(list(every.paths), task.splits.alike)
    fold = folds(every.y, groups, rng, **({} if name == "A" else {"most": TUNED_FOLDS}))
    if name == "A":
        return fit_head(rows(task, plan, list(every.paths)), every.y, len(every.classes), fold)[1]
    right = 0
    for k in range(fold.max() + 1):
        parts = every.take(np.flatnonzero(fold != k)), every.take(np.flatnonzero(fold == k))
        model, how, _ = tune(
            task.model, task.preprocess, plan, (parts[0], parts[1].take([])), task.seed, task.quiet
        )
        p = Classifier(model, how, every.classes).probabilities(parts[1].paths)
        right += int((p.argmax(1) == parts[1].y).sum())
    total = int((fold >= 0).sum())
    return Counts(right, total, int(fold.max()) + 1) if total else None


def few(splits: Splits) -> bool:
    """A class has so few photographs that one part of them says little."""
    return bool(np.bincount(np.concatenate([splits.train.y, splits.valid.y])).min() < FEW)
