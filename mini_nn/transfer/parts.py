"""Which part of a network learns: freeze, split, a new head, and a rate for each stage."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mini_nn import init
from mini_nn.core import Layer, named_arrays, named_layers, parameters
from mini_nn.layers import BatchNorm, Dense, Gate, Residual, Sequential
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.optim import AdamW, Optimiser

HEAD = "classifier"


def freeze(model: Layer, until: str = HEAD) -> Layer:
    """Freeze all that comes before `until`; that and all after it trains.  Returns the model.

    freeze(model, until="stages.5") freezes the stem and stages 0 to 4.  What is frozen keeps its bytes, the running
    statistics of BatchNorm included.
    """
    before, after = split(model, until)
    for p in parameters(before):
        p.trainable, p.grad = False, None
    for p in parameters(after):
        p.trainable = True
    return model


def unfreeze(model: Layer) -> Layer:
    """Let every parameter train.  Returns the model."""
    for p in parameters(model):
        p.trainable = True
    return model


def freeze_norms(model: Layer) -> Layer:
    """Freeze every BatchNorm: a few small batches know less of its statistics than ImageNet did.  Returns the model."""
    for _, layer in named_layers(model):
        if isinstance(layer, BatchNorm):
            for p in parameters(layer):
                p.trainable, p.grad = False, None
    return model


def split(model: Layer, at: str) -> tuple[Sequential, Sequential]:
    """(lower, upper): upper begins with the layer `at`, and upper(lower(x)) is model(x).

    Both share the model's parameters, under the same names.  ValueError where there is no such layer, or where it is
    inside a residual block: half of a sum cannot run alone.
    """
    if not isinstance(at, str) or not at:
        raise ValueError(f"split: the layer is given by its name, such as 'stages.5', not {at!r}")
    return cut(model, at.split("."), at)


def cut(layer: Layer, path: list[str], at: str) -> tuple[Sequential, Sequential]:
    children = layer.children()
    names = [name for name, _ in children]
    if isinstance(layer, Residual | Gate):
        raise ValueError(
            f"cannot cut at {at!r}: it is inside a {type(layer).__name__} block; cut before or after it"
        )
    if not isinstance(layer, Sequential) or path[0] not in names:
        there = f"; there are {', '.join(names)}" if names else ""
        raise ValueError(f"there is no layer {at!r}: nothing in it is called {path[0]!r}{there}")
    i = names.index(path[0])
    before, after = dict(children[:i]), dict(children[i:])
    if path[1:]:
        lower, upper = cut(children[i][1], path[1:], at)
        after[path[0]] = upper
        if lower.children():
            before[path[0]] = lower
    return Sequential(**before), Sequential(**after)


class Tail(Layer):
    """A model of which only what comes after the cut learns: the lower part predicts, and remembers nothing."""

    def __init__(self, model: Layer, at: str) -> None:
        self.lower, self.upper = split(model, at)

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        return self.upper.forward(self.lower(x), train)

    def backward(self, dy: Array, cache: Any) -> Array:
        """dL/d(what the upper part was given), not dL/dx."""
        return self.upper.backward(dy, cache)


def new_head(model: Layer, classes: int, rng: np.random.Generator) -> Layer:
    """Put a new classifier for `classes` classes on the model, which is changed and returned.

    Its weights are so small that the first loss is log(classes): no class is preferred.  Dropouts draw from rng.
    """
    init.check(rng)
    old = getattr(model, HEAD, None)
    if not isinstance(old, Dense):
        raise ValueError(f"new_head: this {type(model).__name__} has no Dense layer called {HEAD}")
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 2:
        raise ValueError(f"new_head: classes must be a whole number from 2, not {classes!r}")
    dtype = next(
        (item.value.dtype for _, item in named_arrays(model) if item.has_value), np.dtype(np.float32)
    )
    d = old.weight.shape[0]
    head = Dense(d, int(classes))
    assert head.bias is not None
    # a feature has a size of about 1, so a logit of d such products has about 0.001
    head.weight.value = rng.normal(0, 0.001 / np.sqrt(d), head.weight.shape).astype(dtype)
    head.bias.value = np.zeros(head.bias.shape, dtype)
    setattr(model, HEAD, head)
    if isinstance(model, Network):
        model.options = {**model.options, "num_classes": int(classes)}
    return init.seed(model, rng)


def stages(model: Layer) -> Iterator[tuple[str, Layer]]:
    """The parts that get a rate of their own, from the input to the output: stem, stages.0, ..., head, classifier."""
    for name, layer in model.children():
        if name == "stages":
            yield from ((f"stages.{number}", stage) for number, stage in layer.children())
        elif parameters(layer):
            yield name, layer


def rates(model: Layer, lr: float, body: float = 0.1, decay: float = 1.0) -> dict[str, float]:
    """A learning rate for each stage: lr for the classifier, lr * body for the last stage below it, and `decay` times
    less for each one further down: early layers see edges, which are the same in all photographs."""
    names = [name for name, _ in stages(model)]
    last = len(names) - 2
    return {name: lr if name == HEAD else lr * body * decay ** (last - i) for i, name in enumerate(names)}


class StageRates(Optimiser):
    """AdamW with a rate for each stage.  lr is the classifier's; setting it, as a schedule does, scales all."""

    def __init__(self, model: Layer, rates: Mapping[str, float], **options: Any) -> None:
        found = dict(stages(model))
        if rates.keys() != found.keys():
            raise ValueError(f"rates must be given for {', '.join(found)}; they were for {', '.join(rates)}")
        self.top = max(rates.values())
        if not self.top > 0:
            raise ValueError("rates: all are 0, nothing would be learned")
        self.rates = dict(rates)
        self.parts = {name: AdamW(layer, rates[name], **options) for name, layer in found.items()}
        first = next(iter(self.parts.values()))
        super().__init__(model, self.top, first.weight_decay, first.no_decay)

    @property
    def lr(self) -> float:
        """The largest rate; the others are in proportion."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        for name, part in self.parts.items():
            part.lr = value * self.rates[name] / self.top
        self._lr = float(value)

    def step(self) -> None:
        for part in self.parts.values():
            part.step()

    def start(self, w: Array) -> dict[str, Any]:
        raise NotImplementedError("the parts remember")

    def update(self, w: Array, g: Array, s: dict[str, Any]) -> Array:
        raise NotImplementedError("the parts step")

    def state_dict(self) -> dict[str, Any]:
        states = {name: part.state_dict() for name, part in self.parts.items()}
        return {"lr": self.lr} | {f"{n}.{key}": v for n, state in states.items() for key, v in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, part in self.parts.items():
            start = f"{name}."
            part.load_state_dict({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
        self.lr = state["lr"]
