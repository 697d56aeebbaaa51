"""Does every layer get a gradient?"""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer, Parameter, named_layers
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array
from mini_nn.rituals.finding import Finding, Loss, untouched

RANGE = (
    1e6  # between the layers of new v1, v2 and B0, |gradient| / |weights| differs by factors of 1e3 to 4e4
)


class Row(NamedTuple):
    name: str  # of a layer
    gradient: float  # norm over its trainable parameters together
    weights: float
    ratio: float  # gradient / weights: how fast it would change


@dataclass(frozen=True, eq=False)
class GradientNorms(Finding):
    """Printed, it is a table of the layers."""

    rows: list[Row]

    def __str__(self) -> str:
        wide = max([len("layer"), *(len(row.name) for row in self.rows)])
        lines = [
            f"{r.name:<{wide}}  {r.gradient:>9.2e}  {r.weights:>9.2e}  {r.ratio:>9.2e}" for r in self.rows
        ]
        return "\n".join(
            [f"{'layer':<{wide}}  {'|g|':>9}  {'|w|':>9}  {'|g| / |w|':>9}", *lines, super().__str__()]
        )


def gradient_norms(model: Layer, x: Array, labels: Any, loss: Loss = softmax_cross_entropy) -> GradientNorms:
    """The size of each layer's gradient, alone and measured by the size of its weights, in order of definition."""
    rows = []
    with untouched(model):
        logits, cache = model.forward(x, train=True)
        model.backward(loss(logits, labels)[1], cache)
        for name, layer in named_layers(model):
            own = [p for p in vars(layer).values() if isinstance(p, Parameter) and p.trainable]
            if own:
                g, w = norm([p.grad for p in own]), norm([p.value for p in own])
                rows.append(Row(name, g, w, g / w if w else g))
    return GradientNorms(*judge(rows), rows)


def judge(rows: list[Row]) -> tuple[bool, str]:
    if not rows:
        return False, "nothing is trainable"
    if broken := [row.name for row in rows if not isfinite(row.gradient)]:
        return False, f"the gradient is not finite in {', '.join(broken)}"
    if dead := [row.name for row in rows if row.gradient == 0]:
        return False, f"no gradient reaches {', '.join(dead)}"
    slow, fast = min(rows, key=lambda row: row.ratio), max(rows, key=lambda row: row.ratio)
    seen = f"|gradient| / |weights| from {slow.ratio:.1e} ({slow.name}) to {fast.ratio:.1e} ({fast.name})"
    if fast.ratio > RANGE * slow.ratio:
        return False, f"{seen}: gradients vanish or explode on the way"
    return True, seen


def norm(arrays: list[Array | None]) -> float:
    """sqrt of the sum of all squares; what is missing counts 0."""
    return sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays if a is not None))
