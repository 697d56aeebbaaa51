"""What a way to predict costs: forward passes and milliseconds."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Cost(NamedTuple):
    """For one photograph."""

    passes: int  # forward passes
    milliseconds: float  # the median of the rounds
    fastest: float
    slowest: float

    def __str__(self) -> str:
        many = "es" if self.passes > 1 else ""
        return f"{self.passes} forward pass{many}, {self.milliseconds:.0f} ms ({self.fastest:.0f} to {self.slowest:.0f})"


def measure(predictors: Mapping[str, Any], photographs: Sequence[Any], rounds: int = 5) -> dict[str, Cost]:
    """Time each predictor on the same photographs, after one round that does not count.

    predictors: classifiers, Ensembles and Cropped are given the photographs; a network, or another function, a batch
    of arrays.  They take turns in each round, so that a busy moment of the machine hits all of them.
    """
    if not len(photographs) or rounds < 1:
        raise ValueError(f"measure: one photograph and one round at least, not {len(photographs)}, {rounds}")
    seconds: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(rounds + 1):
        for name, predictor in predictors.items():
            call: Callable[[Any], Any] = getattr(predictor, "probabilities", predictor)
            since = time.perf_counter()
            call(photographs)
            seconds[name].append((time.perf_counter() - since) / len(photographs))
    found = {}
    for name, predictor in predictors.items():
        times = 1000 * np.array(seconds[name][1:])
        found[name] = Cost(
            int(getattr(predictor, "passes", 1)),
            float(np.median(times)),
            float(times.min()),
            float(times.max()),
        )
    return found
