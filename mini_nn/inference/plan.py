"""inference.compile: a model as a plan, which predicts as fast as this machine can."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mini_nn import backend
from mini_nn.core import Layer, Shape, check_input, named_arrays, named_layers
from mini_nn.layers import Sequential, Swish
from mini_nn.models import Network
from mini_nn.ops import Array

if TYPE_CHECKING:
    from mini_nn.inference.lowering import Program


def compile(model: Layer, shape: Shape) -> "Plan":
    """A plan for images of shape (H, W, C): plan(x), x (N, H, W, C), is model(x) within 1e-4 (relative, L2), as float32.

    The plan has its own copy of the weights, BatchNorm folded in: compile again after training, or let inference.predict
    see to that.  Layers for which there is no kernel run as they are, and plan.readable names them; with
    MINI_NN_BACKEND=numpy that is the whole model.  The first call of all compiles kernels, for some seconds, and says so.
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
    return Plan(model, shape)


class Plan:
    """A model made ready for images of one shape.  Any number of threads may call it at once."""

    def __init__(self, model: Layer, shape: Shape) -> None:
        self.model, self.shape, self.out_shape = model, shape, model.out_shape(shape)
        self.parts: list[tuple[str, Ready | Layer]] = (
            [("", model)] if backend.name() == "numpy" else parts(model, shape)
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
        """The memory that all buffers of one prediction share, one operation after another."""
        return max((4 * part.floats for _, part in self.parts if isinstance(part, Ready)), default=0)

    @property
    def buffer_bytes(self) -> int:
        """What the same buffers would take if each had a place of its own."""
        return sum(4 * part.separate for _, part in self.parts if isinstance(part, Ready))

    def __str__(self) -> str:
        steps = sum(len(part.steps) for _, part in self.parts if isinstance(part, Ready))
        text = f"{steps} steps for {' x '.join(map(str, self.shape))}, {self.arena_bytes / 1e6:.1f} MB of buffers"
        return text + (f"; as they are: {', '.join(self.readable)}" if self.readable else "")


def parts(model: Layer, shape: Shape) -> list[tuple[str, "Ready | Layer"]]:
    """Programs, and between them the layers that have no kernel."""
    from mini_nn.inference.lowering import Program, Unknown, units
    from mini_nn.kernels import config

    bends = any(isinstance(layer, Swish) for _, layer in named_layers(model))
    found: list[tuple[str, Ready | Layer]] = []
    current = Program(shape, bends, config.NUMBA_NUM_THREADS)

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


class Ready:
    """A program with its table, its weights and its arenas."""

    def __init__(self, program: "Program") -> None:
        from mini_nn.inference.arena import BUFFERS, lifetimes, places
        from mini_nn.kernels.tiles.table import COLUMNS, POINTWISE, At

        out = program.out.buffer
        assert out is not None
        lives = lifetimes(program.steps, out, program.entry)
        place, self.floats = places(program.sizes, lives)
        self.separate = sum(program.sizes[buffer] for buffer in lives)
        self.steps = np.full((len(program.steps), COLUMNS), -1, np.int64)
        for row, step in zip(self.steps, program.steps, strict=True):
            for column, number in step.items():
                row[At[column]] = place.get(number, -1) if column in BUFFERS else number
        self.steps[:, At.BY_PANEL] = self.steps[:, At.BY_PANEL] == 1
        self.weights = aligned(sum(array.size for array in program.weights))
        np.concatenate([np.zeros(0, np.float32), *program.weights], out=self.weights)
        self.shape, self.out_shape, self.out = program.shape, program.out.shape, place[out]
        self.entry = None if program.entry is None else place[program.entry]
        self.bends, self.threads = program.bends, program.threads
        self.free: list[Array] = []  # arenas that nobody uses
        last = self.steps[-1]
        self.classifies = len(self.steps) > 1 and last[At.OP] == POINTWISE and last[At.M] == 1

    def __call__(self, x: Array) -> Array:
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty((len(x), *self.out_shape), np.float32)
        whole = len(x) // self.threads * self.threads if self.threads > 1 else 0
        if whole:
            self.many(x[:whole], y[:whole])
        for image, out in zip(x[whole:], y[whole:], strict=True):
            out[...] = self.one(image, self.steps, self.out, out.size, self.threads).reshape(out.shape)
        return y

    def many(self, x: Array, y: Array) -> None:
        """Each thread takes whole images, so that what flows stays in its cache; then all classify together."""
        from mini_nn.kernels.tiles.table import At

        steps, place, seen = self.steps, self.out, y.reshape(len(x), -1)
        if self.classifies:
            steps, place = self.steps[:-1], self.steps[-1, At.X]
            seen = np.empty((len(x), self.steps[-1, At.K]), np.float32)
        line = itertools.count()

        def work() -> None:
            while (i := next(line)) < len(x):
                seen[i] = self.one(x[i], steps, place, seen[i].size, 1)

        with_others(work, self.threads)
        if self.classifies:
            self.classify(seen, y.reshape(len(x), -1))

    def one(self, image: Array, steps: Array, place: int, size: int, threads: int) -> Array:
        """The `size` numbers at `place` after some steps for one image."""
        try:
            arena = self.free.pop()
        except IndexError:
            arena = aligned(self.floats)
        flat = image.reshape(-1)
        if self.entry is not None:
            arena[self.entry : self.entry + flat.size] = flat
        self.run(steps, flat, arena, threads)
        found = arena[place : place + size].copy()
        self.free.append(arena)
        return found

    def classify(self, seen: Array, y: Array) -> None:
        """The last step for several images at once: its weights, megabytes of them, are read once for all."""
        from mini_nn.kernels.tiles.pointwise import FEW
        from mini_nn.kernels.tiles.table import At

        step, (k, n) = self.steps[-1:].copy(), (seen.shape[1], y.shape[1])
        arena = aligned(FEW * (k + n))
        step[0, At.X], step[0, At.Y] = 0, FEW * k
        for i in range(
            0, len(seen), FEW
        ):  # no more rows than are done singly: the same digits as for one image
            step[0, At.M] = m = len(seen[i : i + FEW])
            arena[: m * k] = seen[i : i + m].reshape(-1)
            self.run(step, arena, arena, self.threads)
            y[i : i + m] = arena[FEW * k : FEW * k + m * n].reshape(m, n)

    def run(self, steps: Array, image: Array, arena: Array, threads: int) -> None:
        """The threads share each step."""
        from mini_nn.kernels.tiles.program import program
        from mini_nn.kernels.tiles.table import SLOT

        run, meeting, turn = program(self.bends), np.zeros(len(steps) * SLOT, np.int64), itertools.count()
        with_others(lambda: run(steps, self.weights, image, arena, meeting, next(turn)), threads)


def with_others(work: Callable[[], None], threads: int) -> None:
    """Do `work` here and in other threads.  One that has not begun when it is done here is not needed any more."""
    from mini_nn.kernels import pool

    others = [pool().submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        if not other.cancel():
            other.result()


def aligned(floats: int) -> Array:
    """An array that begins where a cache line does: a vector that lies in two lines is read twice."""
    from mini_nn.inference.arena import ALIGN

    whole = np.empty(floats + ALIGN, np.float32)
    start = -(whole.ctypes.data // whole.itemsize) % ALIGN
    return whole[start : start + floats]
