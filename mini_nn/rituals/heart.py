"""Learn one batch by heart."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from mini_nn.core import Layer
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array
from mini_nn.optim import Adam
from mini_nn.rituals.finding import Finding, Loss, Make, untouched

IN_A_ROW = 3  # steps at 100 %, so that luck is not taken for learning


@dataclass(frozen=True, eq=False)
class Overfit(Finding):
    losses: list[float]  # one a step
    accuracies: list[float]


def overfit(
    model: Layer,
    x: Array,
    labels: Any,
    make: Make = Adam,
    steps: int = 100,
    loss: Loss = softmax_cross_entropy,
) -> Overfit:
    """A network that cannot learn one batch by heart, 16 images of several classes, will learn nothing else."""
    truth = np.argmax(labels, 1) if np.ndim(labels) == 2 else np.asarray(labels)
    if len(np.unique(truth)) < 2:
        raise ValueError(
            "overfit: all labels are the same, a bias can learn that; take images of several classes"
        )
    if steps < IN_A_ROW:
        raise ValueError(f"overfit: steps is {steps}, at least {IN_A_ROW} are needed")
    losses: list[float] = []
    accuracies: list[float] = []
    with untouched(model):
        optimiser = make(model)
        while len(losses) < steps and accuracies[-IN_A_ROW:] != [1.0] * IN_A_ROW:
            logits, cache = model.forward(x, train=True)
            value, dlogits = loss(logits, labels)
            losses.append(value)
            accuracies.append(float((logits.argmax(1) == truth).mean()))
            if not isfinite(value):
                break
            model.backward(dlogits, cache)
            optimiser.step()
    ok = accuracies[-IN_A_ROW:] == [1.0] * IN_A_ROW and isfinite(losses[-1])
    seen = f"{accuracies[-1]:.1%} of {len(truth)} images after {len(losses)} steps, loss {losses[0]:.3g} to {losses[-1]:.3g}"
    return Overfit(ok, seen if ok else seen + diagnose(losses), losses, accuracies)


def diagnose(losses: list[float]) -> str:
    """Why a batch was not learned by heart."""
    if not isfinite(losses[-1]):
        return ": the loss is not finite; take a smaller rate"
    if min(losses) > 0.9 * losses[0]:
        return ": nothing is learned; are the gradients right (gradcheck), is anything trainable, the rate in range?"
    return (
        ": it learns, but not by heart; take more steps, another rate, less dropout, and look at the labels"
    )
