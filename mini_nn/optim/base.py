"""The loop that all optimisers share: who moves, who is spared, what is remembered.

Every step makes new arrays and writes into none, so whoever handed in an array, or kept one, finds it as it was.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer, Parameter, named_layers
from mini_nn.layers import BatchNorm, DepthwiseConv2D
from mini_nn.ops import Array

KINDS = ("norm", "bias", "depthwise")  # what no_decay may name
PIECE = 1 << 15  # numbers that are moved at a time
Memory = dict[str, Any]  # arrays of the parameter's shape, and "steps", the number of its steps


class Optimiser(ABC):
    """Moves the trainable parameters of `model` that have a gradient; the others are left alone.

    weight_decay shrinks all that move, except the kinds in no_decay: "norm" (gamma and beta of BatchNorm), "bias",
    "depthwise".  A frozen parameter keeps its value and its memory, and goes on from there when it is unfrozen.
    """

    def __init__(self, model: Layer, lr: float, weight_decay: float, no_decay: Collection[str]) -> None:
        self.model = model
        self.lr, self.weight_decay = lr, number("weight_decay", weight_decay)
        self.no_decay = (no_decay,) if isinstance(no_decay, str) else tuple(no_decay)
        if unknown := [kind for kind in self.no_decay if kind not in KINDS]:
            raise ValueError(f"no_decay names {unknown}; the kinds are {', '.join(KINDS)}")
        self.memory: dict[Parameter, Memory] = {}

    @property
    def lr(self) -> float:
        """The learning rate.  It may be set between steps."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = number("lr", value)  # a plain float: one of NumPy's would turn float32 into float64

    def step(self) -> None:
        """Move every parameter by its gradient, then set the gradients to None."""
        for p, (grad, its) in moving(self.model).items():
            w, g = p.value, grad.astype(p.value.dtype, copy=False)
            if p not in self.memory:
                self.memory[p] = self.blank(w)
            s = self.memory[p]
            s["steps"] += 1
            decays = bool(self.weight_decay) and its.kind not in self.no_decay
            p.value = self.by_pieces(w, g, s, decays)
        for p in identified(self.model):
            p.grad = None

    def by_pieces(self, w: Array, g: Array, s: Memory, decays: bool) -> Array:
        """The new w.  All is number by number, so a cacheful at a time: what is computed on the way never leaves the cache."""
        new, old = np.empty(w.shape, w.dtype), {k: a for k, a in s.items() if isinstance(a, np.ndarray)}
        kept = {k: np.empty(w.shape, a.dtype) for k, a in old.items()}
        for start in range(0, w.size, PIECE):
            here = slice(start, start + PIECE)
            part = {**s, **{k: a.reshape(-1)[here] for k, a in old.items()}}
            some = w.reshape(-1)[here], g.reshape(-1)[here]
            new.reshape(-1)[here] = self.update(*(self.decay(*some) if decays else some), part)
            for k, a in kept.items():
                a.reshape(-1)[here] = part[k]
        s.update(kept)
        return new

    def decay(self, w: Array, g: Array) -> tuple[Array, Array]:
        """The penalty weight_decay / 2 |w|^2 adds weight_decay w to the gradient."""
        return w, g + self.weight_decay * w

    def blank(self, w: Array) -> Memory:
        return {"steps": 0, **self.start(w)}

    @abstractmethod
    def start(self, w: Array) -> Memory:
        """What is remembered of w before its first step."""

    @abstractmethod
    def update(self, w: Array, g: Array, s: Memory) -> Array:
        """Return the new w, and put what is to be remembered into s."""

    def state_dict(self) -> dict[str, Any]:
        """The rate and all memories: numbers and copies of arrays, by "lr" and "stages.0.conv.weight.velocity"."""
        state: dict[str, Any] = {"lr": self.lr}
        for p, its in identified(self.model).items():
            for what, value in self.memory.get(p, {}).items():
                state[f"{its.name}.{what}"] = np.copy(value) if isinstance(value, np.ndarray) else value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state_dict().  ValueError lists all that does not fit; the optimiser then stays as it was."""
        names = {p: its.name for p, its in identified(self.model).items()}
        blanks = {p: self.blank(p.value) for p in names}
        known = [
            p for p in names if any(f"{names[p]}.{what}" in state for what in blanks[p])
        ]  # others had no gradient
        expected = {f"{names[p]}.{what}": like for p in known for what, like in blanks[p].items()}
        fitted = fit(type(self).__name__, state, {"lr": 0.0, **expected})
        self.lr = fitted["lr"]
        self.memory = {p: {what: fitted[f"{names[p]}.{what}"] for what in blanks[p]} for p in known}

    def __repr__(self) -> str:
        settings = {k.lstrip("_"): v for k, v in vars(self).items() if k not in ("model", "memory")}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in settings.items())})"


class Identity(NamedTuple):
    name: str  # dotted; the first, if a parameter has several
    kind: str  # one of KINDS, or "weight"


def identified(model: Layer) -> dict[Parameter, Identity]:
    """Every parameter of the model, once, with its name and its kind."""
    found: dict[Parameter, Identity] = {}
    for where, layer in named_layers(model):
        for name, item in vars(layer).items():
            if isinstance(item, Parameter):
                norm, depthwise = isinstance(layer, BatchNorm), isinstance(layer, DepthwiseConv2D)
                kind = "norm" if norm else "depthwise" if depthwise else name
                found.setdefault(item, Identity(f"{where}.{name}" if where else name, kind))
    return found


def moving(model: Layer) -> dict[Parameter, tuple[Array, Identity]]:
    """The parameters that are trainable and have a gradient, which must have their shape."""
    found = {}
    for p, its in identified(model).items():
        if p.trainable and p.grad is not None:
            if np.shape(p.grad) != p.shape:
                raise ValueError(f"{its.name} has shape {p.shape}, its gradient {np.shape(p.grad)}")
            found[p] = (p.grad, its)
    return found


def fit(who: str, state: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """Copies of what `state` holds, which must be what `expected` holds in names, shapes and dtypes, or ValueError."""
    wrong = [f"{name} is missing" for name in expected if name not in state]
    wrong += [f"{name} is unknown" for name in state if name not in expected]
    fitted: dict[str, Any] = {}
    for name in [name for name in expected if name in state]:
        value, like = np.array(state[name]), np.asarray(expected[name])
        same = value.dtype == like.dtype if like.ndim else value.dtype.kind == like.dtype.kind
        if value.shape != like.shape or not same:
            wrong.append(f"{name} is {value.dtype} {value.shape}, not {like.dtype} {like.shape}")
        fitted[name] = value if like.ndim else value.item()
    if wrong:
        raise ValueError(f"this state does not fit this {who} and its model: " + "; ".join(wrong))
    return fitted


def number(what: str, value: Any, below: float = math.inf) -> float:
    """value as a float; ValueError unless it is a number from 0 to under `below`."""
    numeric = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not numeric or not 0 <= value < below:
        raise ValueError(f"{what} must be a number in [0, {below}), not {value!r}")
    return float(value)
