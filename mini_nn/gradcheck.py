"""Is a hand-written backward right?  Compare it with derivatives that need no thought.

The loss is sum(y * dy) with a random dy, and every number of every array is tried.

complex steps   f'(x) = Im f(x + ih) / h with h = 1e-30: no difference is taken, so no digit is lost.  For analytic
                operations of NumPy (Squire & Trapp 1998, SIAM Review 40, 110).
differences     (f(x + h) - f(x - h)) / 2h in float64, for everything else.  Where a number disagrees, smaller steps are
                tried, so that a kink within h of a number is no false alarm.
"""

import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Buffer, Layer, Parameter, named_arrays, named_layers
from mini_nn.diagnosis import message
from mini_nn.ops import Array

log = logging.getLogger(__name__)  # every check that passes leaves a Row here
COMPLEX_STEP = 1e-30
STEPS = (1e-5, 1e-6, 1e-7)


class Row(NamedTuple):
    """One checked gradient; error is the largest difference, relative to the largest entry of the gradient."""

    what: str
    array: str
    method: str
    error: float


def check_op(
    op: Any,
    x: Array,
    *how: Any,
    rng: np.random.Generator,
    rtol: float | None = None,
    entries: int | None = None,
) -> list[Row]:
    """Check op.backward(dy, x, *how) against op.forward(x, *how); AssertionError says what is wrong.

    op: a module, or anything with a forward and a backward.  backward returns the gradients of forward's first arrays.
    entries: how many numbers of each array to try, chosen by rng; all by default.
    """
    arguments = (x, *how)
    labels = [*inspect.signature(op.forward).parameters][: len(arguments)]
    refuse_float32(*zip(labels, arguments, strict=False))
    name = getattr(op, "__name__", type(op).__name__).removeprefix("mini_nn.")
    dy = rng.standard_normal(np.shape(op.forward(*arguments)))
    owned = [a for a in (dy, *arguments) if isinstance(a, np.ndarray)]
    before = [a.copy() for a in owned]
    given = op.backward(dy, *arguments)
    require(all(map(np.array_equal, owned, before)), f"{name}: backward or forward wrote to its arguments")
    report = []
    for i, grad in enumerate(given if isinstance(given, tuple | list) else (given,)):
        array = np.array(arguments[i])
        where = chosen(array, entries, rng)

        def forward(a: Array, i: int = i) -> Array:
            return op.forward(*arguments[:i], a, *arguments[i + 1 :])

        if getattr(op, "analytic", False):
            slopes: Slopes = complex_slopes(forward, array, dy, where)
            limit = 1e-12 if rtol is None else rtol
        else:
            slopes = Differences(partial(forward, array), array, dy, where)
            limit = 1e-6 if rtol is None else rtol
        report.append(compare(name, labels[i], grad, array, slopes, limit))
    return report


def check_layer(
    layer: Layer,
    x: Array,
    rng: np.random.Generator,
    train: bool = False,
    rtol: float = 1e-6,
    entries: int | None = None,
) -> list[Row]:
    """Check layer.backward for x and every Parameter; AssertionError says what is wrong.  The layer stays as it was.

    Random layers draw the same numbers each time.  Frozen parameters must collect no gradient.
    entries: how many numbers of each array to try, chosen by rng; all by default.
    """
    arrays = dict(named_arrays(layer))
    refuse_float32(("x", x), *((name, item.value) for name, item in arrays.items()))
    x, name, state = x.copy(), type(layer).__name__, Snapshot(layer)

    def forward() -> tuple[Array, Any]:
        return state.replay(lambda: layer.forward(x, train))

    try:
        y, cache = forward()
        dy = rng.standard_normal(y.shape)
        owned = {"x": x, "dy": dy} | {label: item.value for label, item in arrays.items()}
        before = {label: array.copy() for label, array in owned.items()}
        for item in arrays.values():
            if isinstance(item, Parameter):
                item.grad = None
        grads = {"x": layer.backward(dy, cache)} | collected(arrays)
        again = {"x": layer.backward(dy, cache)} | collected(arrays)
        for label, array in owned.items():
            same = np.array_equal(array, before[label])
            require(same, f"{name}: forward or backward wrote to {label}, which it does not own")
        for label, grad in grads.items():
            times = 1 if label == "x" else 2  # gradients of parameters are added to what is there
            require(
                np.allclose(again[label], times * grad, 1e-9, 1e-12),
                f"{name}: a second backward does not add d{label} once more: it changed its cache, or it "
                "assigns where it should add",
            )
        report = []
        for label, grad in grads.items():
            where = chosen(owned[label], entries, rng)
            slopes = Differences(lambda: forward()[0], owned[label], dy, where)
            report.append(compare(name, label, grad, owned[label], slopes, rtol))
        return report
    finally:
        state.restore()


def collected(arrays: dict[str, Any]) -> dict[str, Array]:
    """The gradients of the trainable parameters; frozen ones must have none."""
    grads = {}
    for label, item in arrays.items():
        if isinstance(item, Parameter):
            require(item.trainable or item.grad is None, f"d{label}: a frozen parameter has a gradient")
            require(not item.trainable or item.grad is not None, f"d{label}: backward adds no gradient")
            if item.grad is not None:
                grads[label] = item.grad
    return grads


class Snapshot:
    """What a forward changes in a layer (buffers, generators) and a backward (grads), to be put back."""

    def __init__(self, layer: Layer) -> None:
        arrays = [item for _, item in named_arrays(layer)]
        self.buffers = [(item, item.value.copy()) for item in arrays if isinstance(item, Buffer)]
        self.grads = [(item, item.grad) for item in arrays if isinstance(item, Parameter)]
        generators = (getattr(part, "rng", None) for _, part in named_layers(layer))
        self.generators = [(g, g.bit_generator.state) for g in generators if g is not None]

    def replay(self, call: Callable[[], Any]) -> Any:
        """call(), from the same random numbers and running statistics every time."""
        for generator, state in self.generators:
            generator.bit_generator.state = state
        for item, value in self.buffers:
            item.value = value.copy()
        return call()

    def restore(self) -> None:
        self.replay(lambda: None)
        for item, grad in self.grads:
            item.grad = grad


class Slopes(dict[Any, float]):
    """The right gradient, by index; noise is what rounding leaves in the loss, step the step that was taken."""

    method, noise, step = "complex step", 0.0, 1.0


def complex_slopes(forward: Callable[[Array], Array], array: Array, dy: Array, where: Array) -> Slopes:
    slopes, moved = Slopes(), array.astype(np.complex128)
    for index in map(tuple, where):
        moved[index] += 1j * COMPLEX_STEP
        slopes[index] = float((forward(moved).imag * dy).sum() / COMPLEX_STEP)
        moved[index] = array[index]
    return slopes


class Differences(Slopes):
    """Slopes of sum(forward() * dy), where `array`, which forward reads, is moved in place and put back."""

    method = "differences"

    def __init__(self, forward: Callable[[], Array], array: Array, dy: Array, where: Array) -> None:
        super().__init__()
        self.loss: Callable[[], float] = lambda: float((forward() * dy).sum())
        self.array = array
        self.noise = float(np.abs(forward() * dy).sum()) * 1e-15
        self.take(where, STEPS[0])

    def take(self, where: Array, step: float) -> None:
        self.step = step
        for index in map(tuple, where):
            kept = self.array[index]
            self.array[index] = kept + step
            up = self.loss()
            self.array[index] = kept - step
            down = self.loss()
            self.array[index] = kept
            self[index] = (up - down) / (2 * step)


def compare(what: str, label: str, grad: Any, array: Array, slopes: Slopes, rtol: float) -> Row:
    """Raise AssertionError unless `grad` is what `slopes` say; return the row for the table."""
    require(isinstance(grad, np.ndarray), f"{what}: d{label} is {type(grad).__name__}, not an array")
    turned = ": it is transposed" if grad.shape == array.shape[::-1] else ""
    require(
        grad.shape == array.shape,
        f"{what}: d{label} has shape {grad.shape}, but {label} has shape {array.shape}{turned}",
    )
    expected, tried = np.zeros(array.shape), np.zeros(array.shape, bool)
    for step in STEPS:  # what disagrees is tried again with a smaller step
        for index, slope in slopes.items():
            expected[index], tried[index] = slope, True
        scale = max(float(np.abs(expected).max(initial=0)), 1e-300)
        wrong = tried & ~(np.abs(grad - expected) <= rtol * scale + slopes.noise / slopes.step)
        if not wrong.any() or not isinstance(slopes, Differences) or step == STEPS[-1]:
            break
        slopes.take(np.argwhere(wrong), STEPS[STEPS.index(step) + 1])
    if wrong.any():
        raise AssertionError(message(what, label, slopes.method, grad, expected, tried, wrong))
    row = Row(what, f"d{label}", slopes.method, float(np.abs(grad - expected)[tried].max(initial=0)) / scale)
    log.debug("%s", row, extra={"row": row})
    return row


def require(ok: bool, otherwise: str) -> None:
    """Like assert, but python -O keeps it."""
    if not ok:
        raise AssertionError(otherwise)


def chosen(array: Array, entries: int | None, rng: np.random.Generator) -> Array:
    """Indices to try: all, or `entries` of them at random."""
    every = np.argwhere(np.ones(array.shape, bool))
    if entries is None or entries >= len(every):
        return every
    return every[np.sort(rng.choice(len(every), entries, replace=False))]


def refuse_float32(*named: tuple[str, Any]) -> None:
    """float32 has seven digits and a difference loses most of them: nothing can be checked in it."""
    for name, array in named:
        if name == "x" and not isinstance(array, np.ndarray):
            raise ValueError(f"gradcheck: x must be a NumPy array, not {type(array).__name__}")
        if isinstance(array, np.ndarray) and array.dtype != np.float64:
            raise ValueError(
                f"gradcheck: {name} is {array.dtype}, float64 is needed: x.astype(np.float64), and "
                "init.initialize(layer, rng, dtype=np.float64)"
            )
