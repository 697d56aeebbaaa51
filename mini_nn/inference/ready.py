"""A program with its buffers, run for one image by all threads, or for a batch by one thread an image."""

import itertools
from collections.abc import Callable

import numpy as np

from mini_nn.inference.arena import BUFFERS, lifetimes, places
from mini_nn.inference.bands import in_bands
from mini_nn.inference.lowering import Program
from mini_nn.kernels import aligned, pool
from mini_nn.kernels.tiles.pointwise import FEW
from mini_nn.kernels.tiles.program import program as compiled
from mini_nn.kernels.tiles.table import COLUMNS, POINTWISE, SLOT, At
from mini_nn.ops import Array


class Ready:
    """A program with its table, its weights and its arenas."""

    def __init__(self, program: Program) -> None:
        out = program.out.buffer
        assert out is not None
        lives = lifetimes([[step] for step in program.steps], out, program.entry)
        self.op_by_op, self.separate = places(program.sizes, lives)[1], sum(program.sizes[b] for b in lives)
        groups = in_bands(program)
        place, self.floats = places(program.sizes, lifetimes(groups, out, program.entry))
        steps = list(itertools.chain(*groups))
        self.steps = np.full((len(steps), COLUMNS), -1, np.int64)
        for row, step in zip(self.steps, steps, strict=True):
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
        x = np.require(x, np.float32, ["C", "ALIGNED", "WRITEABLE"])  # what the kernels are compiled for
        y = np.empty((len(x), *self.out_shape), np.float32)
        whole = len(x) // self.threads * self.threads if self.threads > 1 else 0
        if whole:
            self.many(x[:whole], y[:whole])
        for image, out in zip(x[whole:], y[whole:], strict=True):
            out[...] = self.one(image, self.steps, self.out, out.size, self.threads).reshape(out.shape)
        return y

    def many(self, x: Array, y: Array) -> None:
        """Each thread takes whole images, so that what flows stays in its cache; then all classify together."""
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
        run, meeting, turn = compiled(self.bends), np.zeros(len(steps) * SLOT, np.int64), itertools.count()
        with_others(lambda: run(steps, self.weights, image, arena, meeting, next(turn), threads), threads)


def with_others(work: Callable[[], None], threads: int) -> None:
    """Do `work` here and in other threads.  One that has not begun when it is done here is not needed any more."""
    others = [pool().submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        if not other.cancel():
            other.result()
