"""How the learning rate changes: a schedule is a function of the step, counted from 0, and knows nothing else.

So it can be printed, drawn before training, saved as a few numbers, and asked for any step when training goes on.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Schedule(ABC):
    """`schedule(step)` is the learning rate of that step, a float.  After its last step a schedule stays where it is."""

    def __call__(self, step: float) -> float:
        return float(self.at(check("step", step)))

    @abstractmethod
    def at(self, step: float) -> float:
        """The formula."""


@dataclass(frozen=True)
class Constant(Schedule):
    """lr."""

    lr: float

    def __post_init__(self) -> None:
        check("lr", self.lr)

    def at(self, step: float) -> float:
        return self.lr


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr decay^(step / steps); with staircase the exponent is cut to a whole number: one drop every `steps`."""

    lr: float
    decay: float
    steps: float
    staircase: bool = False

    def __post_init__(self) -> None:
        check("lr", self.lr)
        check("decay", self.decay, positive=True)
        check("steps", self.steps, positive=True)

    def at(self, step: float) -> float:
        drops = step / self.steps
        return float(self.lr * self.decay ** (math.floor(drops) if self.staircase else drops))


@dataclass(frozen=True)
class Cosine(Schedule):
    """From lr to end along half a cosine, over `steps`  (Loshchilov & Hutter 2017, equation 5, without restarts)."""

    lr: float
    steps: float
    end: float = 0.0

    def __post_init__(self) -> None:
        check("lr", self.lr)
        check("steps", self.steps, positive=True)
        check("end", self.end)

    def at(self, step: float) -> float:
        return self.end + (self.lr - self.end) * (1 + math.cos(math.pi * min(step / self.steps, 1))) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight line from `start` to the first rate of `then`, over `steps`; then `then`  (Goyal et al. 2017, 2.2).

    delay: `then` begins when the warm-up ends.  Without, its clock runs from the start, as in EfficientNet's code.
    """

    then: Callable[[float], float]
    steps: float
    start: float = 0.0
    delay: bool = True

    def __post_init__(self) -> None:
        if not callable(self.then):
            raise ValueError(f"then must be a schedule, not {self.then!r}")
        check("steps", self.steps, positive=True)
        check("start", self.start)

    def at(self, step: float) -> float:
        if step < self.steps:
            return self.start + (self.then(0) - self.start) * step / self.steps
        return self.then(step - self.steps if self.delay else step)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from lr / div_factor to lr, and down to lr / div_factor / final_div_factor, in `steps`  (Smith & Topin 2017).

    pct_start is the share of the way up.  three_phase comes down in as long first, and to the last rate after that.
    The names and the corners (pct_start steps - 1, steps - 1) are torch's; momentum is not cycled.
    """

    lr: float
    steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        for name in ("lr", "pct_start"):
            check(name, getattr(self, name))
        for name in ("steps", "div_factor", "final_div_factor"):
            check(name, getattr(self, name), positive=True)
        if self.pct_start > (0.5 if self.three_phase else 1):
            raise ValueError(f"pct_start {self.pct_start} is more than {0.5 if self.three_phase else 1}")
        if self.anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy must be "cos" or "linear", not {self.anneal_strategy!r}')

    def at(self, step: float) -> float:
        low, up, last = self.lr / self.div_factor, self.pct_start * self.steps - 1, self.steps - 1
        down = [(2 * up, low)] if self.three_phase else []
        corners = [(0, low), (up, self.lr), *down, (last, low / self.final_div_factor)]
        step = min(step, last)
        (a, begin), (b, end) = next(pair for pair in pairwise(corners) if step <= pair[1][0])
        part = (step - a) / (b - a) if b > a else 1.0
        eased = (1 - math.cos(math.pi * part)) / 2 if self.anneal_strategy == "cos" else part
        return begin + (end - begin) * eased


KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Constant, Exponential, Cosine, Warmup, OneCycle)}


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """A schedule as names, numbers and strings, for a checkpoint or JSON."""
    if type(schedule) not in KINDS.values():
        raise ValueError(f"only the schedules of mini_nn.schedules can be saved, not {schedule!r}")
    values = {f.name: getattr(schedule, f.name) for f in fields(schedule)}
    values = {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}
    if "then" in values:
        values["then"] = to_dict(values["then"])
    return {"kind": type(schedule).__name__, **values}


def from_dict(state: Mapping[str, Any]) -> Schedule:
    """The schedule that to_dict() was given."""
    values = {k: from_dict(v) if k == "then" else v for k, v in state.items() if k != "kind"}
    try:
        return KINDS[state["kind"]](**values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{dict(state)} is no schedule; the kinds are {', '.join(KINDS)}") from error


def check(what: str, value: Any, positive: bool = False) -> float:
    """Return value; ValueError unless it is a finite number, at least 0 or above it."""
    numeric = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not numeric or not 0 <= value < math.inf or (positive and value == 0):
        raise ValueError(f"{what} must be a number {'above' if positive else 'from'} 0, not {value!r}")
    return float(value)


class Recipe(NamedTuple):
    """How a network was trained by its authors.  `getattr(optim, r.optimiser)(model, r.lr, **r.options)`."""

    source: str
    optimiser: str  # a class of optim
    options: dict[str, Any]
    lr: float  # for batch_size images a step
    batch_size: int
    decay: float  # the rate falls by this factor
    decay_epochs: float  # every so many epochs
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    ema_decay: float | None = None

    def schedule(self, steps_per_epoch: float, batch_size: int | None = None) -> Schedule:
        """The rate at each step; another batch_size scales it in proportion  (Goyal et al. 2017, section 2.1)."""
        scale = (
            1.0 if batch_size is None else check("batch_size", batch_size, positive=True) / self.batch_size
        )
        epoch = check("steps_per_epoch", steps_per_epoch, positive=True)
        falling = Exponential(self.lr * scale, self.decay, self.decay_epochs * epoch, staircase=True)
        warm = int(self.warmup_epochs * epoch)
        return Warmup(falling, warm, delay=False) if warm else falling


WEIGHTS_ONLY = ("norm", "bias", "depthwise")  # what the slim code spares
RMSPROP = {"alpha": 0.9, "momentum": 0.9, "form": "tensorflow"}
RECIPES = {
    "mobilenet_v1": Recipe(
        "the paper names RMSprop, no numbers; these are of its authors' train script, slim/nets/mobilenet_v1_train.py",
        "SGD", {"weight_decay": 4e-5, "no_decay": WEIGHTS_ONLY}, lr=0.045, batch_size=64, decay=0.94, decay_epochs=2.5
    ),
    "mobilenet_v2": Recipe(
        "arXiv:1801.04381, section 6.1; eps, label smoothing and averaging of slim/nets/mobilenet/README.md",
        "RMSProp", {**RMSPROP, "eps": 1.0, "weight_decay": 4e-5, "no_decay": WEIGHTS_ONLY}, lr=0.045, batch_size=96,
        decay=0.98, decay_epochs=1, label_smoothing=0.1, ema_decay=0.9999
    ),
    "mobilenet_v2_sgd": Recipe(
        "torchvision references/classification, first weights: 300 epochs, 71.88 % top-1",
        "SGD", {"momentum": 0.9, "weight_decay": 4e-5}, lr=0.045, batch_size=256, decay=0.98, decay_epochs=1
    ),
    "efficientnet": Recipe(
        "arXiv:1905.11946, section 5.2, and its authors' code, tpu/models/official/efficientnet: 350 epochs",
        "RMSProp", {**RMSPROP, "eps": 1e-3, "weight_decay": 1e-5, "no_decay": ("norm",)}, lr=0.016, batch_size=256,
        decay=0.97, decay_epochs=2.4, warmup_epochs=5, label_smoothing=0.1, ema_decay=0.9999
    ),
}  # fmt: skip
