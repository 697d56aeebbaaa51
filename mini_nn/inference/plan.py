"""inference.compile: a model as a plan, which predicts as fast as this machine can."""

import itertools
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mini_nn import backend
from mini_nn.core import Layer, Shape, check_input, named_layers
from mini_nn.layers import Sequential, Swish
from mini_nn.models import Network
from mini_nn.ops import Array

if TYPE_CHECKING:
    from mini_nn.inference.lowering import Program


def compile(model: Layer, shape: Shape) -> "Plan":
    """A plan for images of shape (H, W, C): plan(x), x (N, H, W, C), is model(x) within 1e-4 (relative, L2).

    The plan has its own copy of the weights, BatchNorm folded in: compile again after training.  Layers for which there is
    no kernel run as they are, and plan.readable names them.
    """
    shape = tuple(int(n) for n in shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"compile: shape must be (height, width, channels), not {shape}")
    if isinstance(model, Network):
        model.check(np.broadcast_to(np.float32(0), (1, *shape)))
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
    from mini_nn.inference.lowering import Program, Unknown
    from mini_nn.kernels import config

    bends = any(isinstance(layer, Swish) for _, layer in named_layers(model))
    found: list[tuple[str, Ready | Layer]] = []
    current = Program(shape, bends, config.NUMBA_NUM_THREADS)

    def close() -> None:
        current.out = current.settled(current.out)
        if current.steps:
            found.append(("", Ready(current)))

    def walk(name: str, layer: Layer) -> None:
        nonlocal current
        try:
            current.out = current.lower(layer, current.out)
        except Unknown:
            if type(layer) in (Sequential, Network):
                for child_name, child in layer.children():
                    walk(f"{name}.{child_name}".lstrip("."), child)
                return
            close()
            found.append((name, layer))
            current = Program(layer.out_shape(current.out.shape), bends, current.threads)

    walk("", model)
    close()
    return found


class Ready:
    """A program with its table, its weights and its arenas."""

    def __init__(self, program: "Program") -> None:
        from mini_nn.inference.arena import BUFFERS, lifetimes, places
        from mini_nn.kernels.tiles.table import COLUMNS, SLOT, At

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
        self.bends, self.threads, self.counters = program.bends, program.threads, len(program.steps) * SLOT
        self.free: list[Array] = []  # arenas that nobody uses

    def __call__(self, x: Array) -> Array:
        x = np.ascontiguousarray(x, np.float32)
        y = np.empty((len(x), *self.out_shape), np.float32)
        if 1 < self.threads <= len(x):
            self.many(x, y)
        else:
            for image, out in zip(x, y, strict=True):
                self.one(image, out, self.threads)
        return y

    def many(self, x: Array, y: Array) -> None:
        """Each thread takes whole images, so that what flows stays in its cache."""
        from mini_nn.kernels import pool

        line = itertools.count()

        def work() -> None:
            while (i := next(line)) < len(x):
                self.one(x[i], y[i], 1)

        others = [pool().submit(work) for _ in range(self.threads - 1)]
        work()
        for other in others:
            other.result()

    def one(self, image: Array, out: Array, threads: int) -> None:
        """One image; the threads share each step."""
        from mini_nn.kernels import pool
        from mini_nn.kernels.tiles.program import program

        run = program(self.bends)
        try:
            arena = self.free.pop()
        except IndexError:
            arena = aligned(self.floats)
        flat = image.reshape(-1)
        if self.entry is not None:
            arena[self.entry : self.entry + flat.size] = flat
        meeting = np.zeros(self.counters, np.int64)
        rest = [
            pool().submit(run, self.steps, self.weights, flat, arena, meeting, i) for i in range(1, threads)
        ]
        run(self.steps, self.weights, flat, arena, meeting, 0)
        for other in rest:
            if not other.cancel():  # one that has not begun is not needed any more
                other.result()
        out[...] = arena[self.out : self.out + prod(self.out_shape)].reshape(self.out_shape)
        self.free.append(arena)


def aligned(floats: int) -> Array:
    """An array that begins where a cache line does: a vector that lies in two lines is read twice."""
    from mini_nn.inference.arena import ALIGN

    whole = np.empty(floats + ALIGN, np.float32)
    start = -(whole.ctypes.data // whole.itemsize) % ALIGN
    return whole[start : start + floats]
