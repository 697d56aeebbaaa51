"""Classifiers judged on labelled photographs: how many are right, how sure that is, and what each way to ask costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mini_nn import inference, metrics
from mini_nn.folder_check import Check
from mini_nn.inference import Cost
from mini_nn.ops import Array
from mini_nn.transfer import Counts

TIMED = 8  # photographs that the milliseconds are measured on


class Labelled(NamedTuple):
    """The photographs of a folder whose class a classifier knows, y in its order of classes."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    y: Array
    unknown: dict[str, int]  # classes of the folder that the classifier does not know, and their photographs
    absent: tuple[str, ...]  # classes that the folder has no photograph of


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


def score(predictors: Mapping[str, Any], photographs: Labelled, rounds: int = 3) -> list[Score]:
    """Judge classifiers, inference.crops.Cropped and Ensembles on the same photographs."""
    costs = inference.measure(predictors, photographs.paths[:TIMED], rounds)
    scores = []
    for name, predictor in predictors.items():
        p = predictor.probabilities(photographs.paths)
        right = int((p.argmax(1) == photographs.y).sum())
        scores.append(Score(name, p, Counts(right, len(p)), metrics.ece(p, photographs.y), costs[name]))
    return scores


def gain(first: Score, second: Score, y: Array) -> metrics.Interval:
    """How many more of the photographs the second has right, with its interval (bootstrap over photographs)."""
    right = [(one.probabilities.argmax(1) == y).astype(np.float64) for one in (first, second)]
    return metrics.bootstrap(lambda a, b: float((b - a).sum()), *right)
