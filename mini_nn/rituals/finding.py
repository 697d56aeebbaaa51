"""What all rituals share: a finding with a verdict, and a model that is given back as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mini_nn.core import Layer, Parameter, named_arrays, named_layers
from mini_nn.layers import Dropout
from mini_nn.ops import Array
from mini_nn.optim import Optimiser

Loss = Callable[[Array, Any], tuple[float, Array]]
Make = Callable[[Layer], Optimiser]  # optim.Adam, or functools.partial(optim.SGD, lr=0.1, momentum=0.9)


@dataclass(frozen=True, eq=False)
class Finding:
    """ok, and a sentence that says what was seen and what to do.  A finding is true where it is ok."""

    ok: bool
    verdict: str

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'NOT OK'}: {self.verdict}"


@contextmanager
def untouched(model: Layer) -> Iterator[None]:
    """Whatever happens inside, the model has its values, gradients and random generators back afterwards.

    Inside, gradients start at None, and overflow, which an experiment may well meet, makes no warning.
    """
    values = [(item, item.value) for _, item in named_arrays(model)]
    grads = [(item, item.grad) for item, _ in values if isinstance(item, Parameter)]
    drops = [layer for _, layer in named_layers(model) if isinstance(layer, Dropout)]
    states = [(layer.rng.bit_generator, layer.rng.bit_generator.state) for layer in drops if layer.rng]
    try:
        for p, _ in grads:
            p.grad = None
        with np.errstate(all="ignore"):
            yield
    finally:
        for item, value in values:
            item.value = value
        for p, grad in grads:
            p.grad = grad
        for generator, state in states:
            generator.state = state
