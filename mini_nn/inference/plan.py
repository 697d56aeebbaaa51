"""inference.compile: a model as a plan, which predicts as fast as this machine can."""

from typing import TYPE_CHECKING

import numpy as np

from mini_nn import backend
from mini_nn.core import Layer, Shape, check_input, named_arrays, named_layers
from mini_nn.layers import Sequential, Swish
from mini_nn.models import Network
from mini_nn.ops import Array

if TYPE_CHECKING:
    from mini_nn.inference.ready import Ready


def compile(model: Layer, shape: Shape, threads: int | None = None) -> "Plan":
    """A plan for images of shape (H, W, C): plan(x), x (N, H, W, C), is model(x) within 1e-4 (relative, L2), as float32.

    The plan has its own copy of the weights, BatchNorm folded in: compile again after training, or let inference.predict
    see to that.  Layers for which there is no kernel run as they are, and plan.readable names them; with
    MINI_NN_BACKEND=numpy that is the whole model.  threads: how many work on it (Numba's number, NUMBA_NUM_THREADS, if None);
    they change no digit.  The first call of all compiles kernels, for some seconds, and says so.
    Errors: ValueError for a shape that the model cannot take, and for weights that have no value or are not finite.
    """
    given, shape = shape, tuple(shape) if isinstance(shape, tuple | list) else ()
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape)
    if len(shape) != 3 or not whole:
        raise ValueError(
            f"compile: shape must be (height, width, channels), whole numbers from 1, not {given!r}"
        )
    shape = tuple(int(n) for n in shape)
    if isinstance(model, Network):
        model.check(np.broadcast_to(np.float32(0), (1, *shape)))
    for name, item in named_arrays(model):
        if not np.isfinite(item.value).all():
            raise ValueError(f"compile: {name} is not finite (NaN or infinity): the weights are damaged")
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise ValueError(f"compile: threads must be a whole number from 1, not {threads!r}")
    return Plan(model, shape, threads)


class Plan:
    """A model made ready for images of one shape.  Any number of threads may call it at once."""

    def __init__(self, model: Layer, shape: Shape, threads: int | None = None) -> None:
        self.model, self.shape, self.out_shape = model, shape, model.out_shape(shape)
        self.parts: list[tuple[str, Layer | Ready]] = (
            [("", model)] if backend.name() == "numpy" else parts(model, shape, threads)
        )

    def __call__(self, x: Array) -> Array:
        check_input(self.model, x, self.shape[2])
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"this plan is for images of {self.shape}, x is {x.shape}: compile another for it"
            )
        for _, part in self.parts:
            x = part(x)
        return x

    @property
    def readable(self) -> list[str]:
        """The layers that run as they are."""
        return [name or type(part).__name__ for name, part in self.parts if isinstance(part, Layer)]

    @property
    def arena_bytes(self) -> int:
        """The memory that all buffers of one prediction share."""
        return max((4 * part.floats for _, part in self.parts if not isinstance(part, Layer)), default=0)

    @property
    def op_by_op_bytes(self) -> int:
        """What they would share if every operation put out a whole array, inverted residual blocks too."""
        return max((4 * part.op_by_op for _, part in self.parts if not isinstance(part, Layer)), default=0)

    @property
    def buffer_bytes(self) -> int:
        """What the same buffers would take if each had a place of its own."""
        return sum(4 * part.separate for _, part in self.parts if not isinstance(part, Layer))

    def __str__(self) -> str:
        steps = sum(len(part.steps) for _, part in self.parts if not isinstance(part, Layer))
        text = f"{steps} steps for {' x '.join(map(str, self.shape))}, {self.arena_bytes / 1e6:.1f} MB of buffers"
        if self.arena_bytes != self.op_by_op_bytes:
            text += f" ({self.op_by_op_bytes / 1e6:.1f} MB op by op)"
        return text + (f"; as they are: {', '.join(self.readable)}" if self.readable else "")


def parts(model: Layer, shape: Shape, threads: int | None) -> list[tuple[str, "Ready | Layer"]]:
    """Programs, and between them the layers that have no kernel."""
    from mini_nn.inference.lowering import Program, Unknown, units
    from mini_nn.inference.ready import Ready
    from mini_nn.kernels import config

    bends = any(isinstance(layer, Swish) for _, layer in named_layers(model))
    found: list[tuple[str, Ready | Layer]] = []
    current = Program(shape, bends, threads or config.NUMBA_NUM_THREADS)

    def close() -> None:
        current.out = current.settled(current.out)
        if current.steps:
            found.append(("", Ready(current)))

    def walk(layers: list[tuple[str, Layer]]) -> None:
        nonlocal current
        names = {id(layer): name for name, layer in layers}
        for unit in units([layer for _, layer in layers]):
            try:
                current.out = current.lower(unit, current.out)
                continue
            except Unknown:
                pass
            for layer in unit:
                name = names[id(layer)]
                if type(layer) in (Sequential, Network):
                    walk([(f"{name}.{child}".lstrip("."), item) for child, item in layer.children()])
                    continue
                close()
                found.append((name, layer))
                current = Program(layer.out_shape(current.out.shape), bends, current.threads)

    walk([("", model)])
    close()
    return found
