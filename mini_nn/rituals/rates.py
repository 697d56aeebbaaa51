"""Which learning rates work."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from mini_nn.core import Layer
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array
from mini_nn.optim import SGD
from mini_nn.rituals.finding import Finding, Loss, Make, untouched
from mini_nn.schedules import Exponential

BLOWN_UP = 4.0  # times the lowest loss: there the test ends
MEMORY = 0.9  # of the moving average that smooths the losses

Batches = Iterable[tuple[Array, Any]]  # pairs (x, labels): a list, or a loader


@dataclass(frozen=True, eq=False)
class RangeTest(Finding):
    suggestion: float | None  # the rate at which half of the fall is done: well below the edge
    rates: list[float]
    losses: list[float]
    smoothed: list[float]


def lr_range(
    model: Layer, batches: Batches, make: Make = SGD, low: float = 1e-5, high: float = 10.0, steps: int = 100,
    loss: Loss = softmax_cross_entropy
) -> RangeTest:  # fmt: skip
    """Raise the rate from low to high, a constant factor a step, until the loss blows up  (Smith 2017, section 3.3).

    The batches are gone through again and again.
    """
    if not 0 < low < high or steps < 10:
        raise ValueError(
            f"lr_range: 0 < low < high and steps of at least 10 are needed, not {low}, {high}, {steps}"
        )
    rate = Exponential(low, high / low, steps - 1)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average, blown_up = 0.0, False
    with untouched(model):
        optimiser = make(model)
        for step, (x, labels) in enumerate(islice(forever(batches), steps)):
            optimiser.lr = rate(step)
            logits, cache = model.forward(x, train=True)
            value, dlogits = loss(logits, labels)
            if isfinite(value):
                average = MEMORY * average + (1 - MEMORY) * value
                rates.append(optimiser.lr)
                losses.append(value)
                smoothed.append(average / (1 - MEMORY ** (step + 1)))
            if not isfinite(value) or value > BLOWN_UP * min(smoothed):
                blown_up = True
                break
            model.backward(dlogits, cache)
            optimiser.step()
    return RangeTest(*judge(rates, losses, smoothed, blown_up), rates, losses, smoothed)


def judge(
    rates: list[float], losses: list[float], smoothed: list[float], blown_up: bool
) -> tuple[bool, str, float | None]:
    """The loss has to fall, by a tenth and by more than it jumps from batch to batch, and then to rise."""
    if len(losses) < 3:
        why = "it blew up at once, lower low" if losses else "there is no batch, or NaN in images or weights"
        return False, f"{len(losses)} losses, too few to judge: {why}", None
    best, first = int(np.argmin(smoothed)), losses[: max(3, len(losses) // 10)]
    begin, lowest = float(np.mean(first)), smoothed[best]
    seen = f"the loss goes from {begin:.3g} to {lowest:.3g} at rate {rates[best]:.2g}"
    if lowest > min(0.9 * begin, begin - float(np.std(first))):
        return False, f"{seen}: no fall to speak of; take more steps, other ends, or look for a bug", None
    if not blown_up and smoothed[-1] < 1.1 * lowest:
        return False, f"{seen} and has not risen by {rates[-1]:.2g}, where the test ends; raise high", None
    half = next(rate for rate, value in zip(rates, smoothed, strict=True) if value <= (begin + lowest) / 2)
    return True, f"{seen}, then up; half of the way down it is at rate {half:.2g}: begin with that", half


def forever(batches: Batches) -> Iterator[tuple[Array, Any]]:
    """Go through the batches again and again, for as long as there are any."""
    found = True
    while found:
        found = False
        for batch in batches:
            found = True
            yield batch
