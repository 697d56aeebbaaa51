"""What a run was, and what came of it: all that a report needs."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mini_nn import train
from mini_nn.data import Splits
from mini_nn.files import written_whole
from mini_nn.ops import Array
from mini_nn.transfer.classifier import FILE, Classifier
from mini_nn.transfer.head import Counts, Search

FEW = 20  # photographs a class: with fewer, one validation part is too small to speak of per cent


class Tried(NamedTuple):
    """One strategy of this run."""

    strategy: str
    right: int  # of the validation part
    total: int
    loss: float  # on it: the mean surprise
    seconds: float
    kept: bool
    why: str

    def __str__(self) -> str:
        if np.isnan(self.loss):  # it was not judged
            return f"{self.strategy}: {self.why}"
        return f"{self.strategy}: {self.right} of {self.total} right, {self.seconds:.0f} s; {self.why}"


@dataclass
class Run:
    """A classifier, and how it did on photographs that it did not learn from.

    The validation part also chose the epoch and, with "auto", the strategy: it flatters a little.
    """

    strategy: str  # that was kept
    classifier: Classifier
    records: list[train.Record]  # one an epoch; A has one
    paths: tuple[Path, ...]  # of the validation part
    labels: Array  # (n,) of the same
    probabilities: Array  # (n, classes)
    tried: list[Tried]
    seconds: float
    config: dict[str, Any]  # what fit was called with, and what it stands for
    splits: Splits  # what was learned from, broken, alike
    search: list[Search] = field(default_factory=list)  # A: the strengths that were tried
    cross_validated: Counts | None = None  # over all photographs, where a class has fewer than FEW

    @property
    def classes(self) -> tuple[str, ...]:
        return self.classifier.classes

    @property
    def counts(self) -> Counts:
        """On the validation part."""
        return Counts(int((self.probabilities.argmax(1) == self.labels).sum()), len(self.labels))

    @property
    def accuracy(self) -> float:
        """The share of the validation part that is right; nan where it is empty."""
        return self.counts.right / len(self.labels) if len(self.labels) else float("nan")

    @property
    def confusion(self) -> Array:
        """(classes, classes): how many validation photographs of the row's class were taken for the column's."""
        matrix = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(matrix, (self.labels, self.probabilities.argmax(1)), 1)
        return matrix

    @property
    def verdict(self) -> str:
        """How good it is, in a sentence; in counts where photographs are few."""
        if self.cross_validated:
            return str(self.cross_validated)
        if not len(self.labels):
            return "no photograph was held back to judge by"
        low, high = self.counts.interval()
        return (
            f"{self.accuracy:.1%} of {len(self.labels)} held-back photographs right ({low:.1%} to {high:.1%})"
        )

    @property
    def why(self) -> str:
        """Why this strategy."""
        return next(one.why for one in self.tried if one.kept)

    def __str__(self) -> str:
        return "\n".join([f"strategy {self.strategy}: {self.verdict}", *(f"  {one}" for one in self.tried)])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write model.safetensors, history.csv and config.json, each whole or not at all."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        self.classifier.save(place / FILE)
        train.write_history(place / "history.csv", self.records)
        found = {
            **self.config,
            "kept": self.strategy,
            "verdict": self.verdict,
            "tried": [one._asdict() for one in self.tried],
            "seconds": round(self.seconds, 1),
            "classes": self.classes,
        }
        with written_whole(place / "config.json") as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())
