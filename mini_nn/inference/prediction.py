"""What a classifier of photographs says."""

from collections.abc import Sequence
from typing import NamedTuple

from mini_nn.ops import Array

NOT_SURE = "not sure"


class Prediction(NamedTuple):
    """A class, or "not sure"; and the probability of each class, in the order of the classes."""

    name: str
    probabilities: Array


def decide(probabilities: Array, classes: Sequence[str], sure: float | None = None) -> list[Prediction]:
    """The most probable class of each row, or "not sure" where its probability is below `sure`.

    sure: 1.5 / the number of classes when None, which is clearly above what guessing gives.
    """
    least = 1.5 / len(classes) if sure is None else sure
    return [Prediction(classes[int(p.argmax())] if p.max() >= least else NOT_SURE, p) for p in probabilities]
