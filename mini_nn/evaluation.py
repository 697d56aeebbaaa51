"""Classifiers judged on labelled photographs: how many are right, how sure that is, and what each way to ask costs."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mini_nn import inference, metrics
from mini_nn.folder_check import Check, several, shown
from mini_nn.inference import Cost
from mini_nn.ops import Array
from mini_nn.transfer import Counts

TIMED = 8  # photographs that are judged at a time, and that the milliseconds are measured on


class Labelled(NamedTuple):
    """The photographs of a folder whose class a classifier knows, y in its order of classes."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    y: Array
    unknown: dict[str, int]  # classes of the folder that the classifier does not know, and their photographs
    absent: tuple[str, ...]  # classes that the folder has no photograph of

    def differences(self) -> Iterator[str]:
        """What the folder and the classifier do not share, in sentences."""
        if self.unknown:
            counts = several(f"{shown(name)} ({n})" for name, n in self.unknown.items())
            knows = several(map(shown, self.classes))
            yield f"not known, and left out: {counts}; what is judged knows {knows}"
        if self.absent:
            yield f"no photograph of {several(map(shown, self.absent))}: nothing is said of it"


class Score(NamedTuple):
    """How one way to predict did."""

    name: str
    probabilities: Array  # (n, classes)
    counts: Counts
    ece: float
    cost: Cost

    def __str__(self) -> str:
        return f"{self.name}: {self.counts}, calibration error {self.ece:.3f}, {self.cost}"


def labelled(found: Check, classes: Sequence[str]) -> Labelled:
    """ValueError where no photograph is of a class that is known."""
    counts = dict(zip(found.classes, found.counts.tolist(), strict=True))
    unknown = {name: n for name, n in counts.items() if name not in classes}
    keep = [i for i, label in enumerate(found.y) if found.classes[label] not in unknown]
    if not keep:
        theirs = ", ".join(found.classes) or "no class"
        raise ValueError(
            f"{found.base} has {theirs}; what is judged knows {', '.join(classes)}, so there is nothing to judge by"
        )
    y = np.array([classes.index(found.classes[found.y[i]]) for i in keep], np.int64)
    absent = tuple(name for name in classes if name not in counts)
    return Labelled(tuple(classes), tuple(found.paths[i] for i in keep), y, unknown, absent)


def score(
    predictors: Mapping[str, Any], photographs: Labelled, rounds: int = 3, quiet: bool = False
) -> list[Score]:
    """Judge classifiers, inference.crops.Cropped and Ensembles on the same photographs."""
    costs = inference.measure(predictors, photographs.paths[:TIMED], rounds)
    scores = []
    for name, predictor in predictors.items():
        starts = range(0, len(photographs.paths), TIMED)
        bar = tqdm(starts, name, disable=True if quiet else None, delay=2)
        p = np.concatenate([predictor.probabilities(photographs.paths[i : i + TIMED]) for i in bar])
        right = int((p.argmax(1) == photographs.y).sum())
        scores.append(Score(name, p, Counts(right, len(p)), metrics.ece(p, photographs.y), costs[name]))
    return scores


def fresh(run: str | os.PathLike[str], found: Check, photographs: Labelled) -> Array | None:
    """Which photographs the run did not learn from, bool (n,); None where it does not say."""
    try:
        place = Path(run) if Path(run).is_dir() else Path(run).parent
        learned = set(json.loads((place / "config.json").read_bytes())["learned_from"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return np.array([mark not in learned for mark in found.marks(photographs.paths)])


def gain(first: Score, second: Score, y: Array) -> metrics.Interval:
    """How many more of the photographs the second has right, with its interval (bootstrap over photographs)."""
    right = [(one.probabilities.argmax(1) == y).astype(np.float64) for one in (first, second)]
    return metrics.bootstrap(lambda a, b: float((b - a).sum()), *right)


def text(one: Score, photographs: Labelled, fresh: Array | None = None) -> str:
    """A score in words and tables."""
    y, classes = photographs.y, photographs.classes
    chosen = one.probabilities.argmax(1)
    lines = [str(one.counts)]
    if fresh is not None and not fresh.all():
        right = int((chosen == y)[fresh].sum())
        rest = f"of the other {fresh.sum()}, {right} are right" if fresh.any() else "there are no others"
        lines.append(f"{(~fresh).sum()} of these were learned from, which flatters; {rest}")
    if len(classes) > 2:
        lines.append(f"among the first two: {metrics.top_k(one.probabilities, y, 2):.1%}")
    lines.append(str(metrics.per_class(y, chosen, tuple(map(shown, classes)))))
    matrix = metrics.confusion(y, chosen, len(classes))
    np.fill_diagonal(matrix, 0)
    worst = sorted(np.argwhere(matrix), key=lambda cell: -matrix[*cell])
    taken = [f"{shown(classes[i])} for {shown(classes[j])} ({matrix[i, j]})" for i, j in worst]
    if taken:
        lines.append(f"mistaken: {several(taken)}")
    sure = one.probabilities.max(1).mean()
    lines.append(
        f"calibration: {sure:.1%} sure on average, {one.counts.right / one.counts.total:.1%} right, ECE {one.ece:.3f}"
    )
    return "\n".join([*lines, f"cost: {one.cost}"])


def table(scores: Sequence[Score], y: Array) -> str:
    """A line for each way to predict; what the last gains over each other one, and costs."""
    width = max(len(one.name) for one in scores)
    lines = [f"{'':<{width}}  {'right':>13}  {'interval':>12}  {'ECE':>6}  {'passes':>6}  {'ms a photo':>10}"]
    for one in scores:
        low, high = one.counts.interval()
        lines.append(
            f"{one.name:<{width}}  {one.counts.right:>5} of {one.counts.total:>4}  {f'{low:.1%}-{high:.1%}':>12}  "
            f"{one.ece:>6.3f}  {one.cost.passes:>6}  {one.cost.milliseconds:>10.1f}"
        )
    last = scores[-1]
    for one in scores[:-1]:
        more = gain(one, last, y)
        lines.append(
            f"{last.name} against {one.name}: {more.value:+.0f} right (interval {more.low:+.0f} to {more.high:+.0f}), "
            f"{last.cost.milliseconds / one.cost.milliseconds:.1f} times the time"
        )
    return "\n".join(lines)


def plain(scores: Sequence[Score], photographs: Labelled, fresh: Array | None = None) -> dict[str, Any]:
    """The same as plain values, for JSON."""
    y, classes = photographs.y, photographs.classes
    ways = []
    for one in scores:
        chosen = one.probabilities.argmax(1)
        found = metrics.per_class(y, chosen, classes)
        rows = {name: [float(v) for v in values] for name, *values in zip(*found, strict=True)}
        ways.append({
            "name": one.name, "right": one.counts.right, "total": one.counts.total, "interval": one.counts.interval(),
            "ece": one.ece, "passes": one.cost.passes, "milliseconds": one.cost.milliseconds,
            "per_class": {name: dict(zip(found._fields[1:], row, strict=True)) for name, row in rows.items()},
            "confusion": metrics.confusion(y, chosen, len(classes)).tolist(),
        })  # fmt: skip
    return {
        "classes": classes, "scores": ways, "unknown": photographs.unknown, "absent": photographs.absent,
        "learned_from": None if fresh is None else int((~fresh).sum()),
    }  # fmt: skip
