"""The average of the last many steps: often a better network than the last step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mini_nn.core import Layer, Named, named_arrays, named_layers
from mini_nn.layers import BatchNorm
from mini_nn.ops import Array
from mini_nn.optim.base import fit, identified, number


class EMA:
    """The exponential moving average of a model's parameters and running statistics.

    average <- average + (1 - d) (value - average);  d = decay, or with warmup min(decay, (1 + t) / (10 + t)) at the
    t-th update, as in TensorFlow: a long memory would keep the random start for long.  Frozen arrays are left alone.
    """

    def __init__(self, model: Layer, decay: float = 0.9999, warmup: bool = True) -> None:
        self.model, self.decay, self.warmup = model, number("decay", decay, 1), bool(warmup)
        self.updates = 0
        self.average: dict[Named, Array] = {item: item.value.copy() for _, item in named_arrays(model)}

    def update(self) -> None:
        """Take the model as it is now into the average: once a step, after the optimiser's."""
        self.updates += 1
        t, still = self.updates, frozen(self.model)
        d = min(self.decay, (1 + t) / (10 + t)) if self.warmup else self.decay
        for item in dict.fromkeys(item for _, item in named_arrays(self.model)):
            old, new = self.average.get(item, item.value), item.value
            self.average[item] = new if item in still else old + (1 - d) * (new - old)

    @contextmanager
    def applied(self) -> Iterator[Layer]:
        """`with ema.applied(): ...` lends the model its averages, then gives it back its own arrays."""
        still = frozen(self.model)
        own = {item: item.value for _, item in named_arrays(self.model) if item not in still}
        try:
            for item, value in own.items():
                item.value = self.average.get(item, value)
            yield self.model
        finally:
            for item, value in own.items():
                item.value = value

    def state_dict(self) -> dict[str, Any]:
        """The number of updates and copies of all averages, by "updates" and the arrays' names."""
        averages = {name: self.average.get(item, item.value) for name, item in named_arrays(self.model)}
        return {"updates": self.updates} | {name: average.copy() for name, average in averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state_dict().  ValueError lists all that does not fit; the averages then stay as they were."""
        arrays = dict(named_arrays(self.model))
        fitted = fit("EMA", state, {"updates": 0} | {name: item.value for name, item in arrays.items()})
        self.updates, self.average = fitted["updates"], {item: fitted[name] for name, item in arrays.items()}


def frozen(model: Layer) -> set[Named]:
    """The parameters that are not trainable, and the running statistics of frozen BatchNorms."""
    still: set[Named] = {p for p in identified(model) if not p.trainable}
    for _, layer in named_layers(model):
        if isinstance(layer, BatchNorm) and not layer.gamma.trainable:
            still |= {layer.running_mean, layer.running_var}
    return still
