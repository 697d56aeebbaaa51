"""What flows between fused layers instead of arrays.

Forward, a Wave: a convolution's output z, and what BatchNorm, activation and gate will make of it; whoever reads it does
that for a few pixels at a time.  Backward, a Slope: dL/du, u = scale z + shift, and the sums that BatchNorm's derivative
needs, which whoever computed dL/du took on the way.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer, check_grad
from mini_nn.fused.arena import Arena
from mini_nn.kernels.fused import join
from mini_nn.kernels.fused.bend import LINEAR
from mini_nn.ops import Array


class Slope(NamedTuple):
    g: Array  # dL/du, like z
    sums: Array  # (2, C): sum g, sum g (z - centre)


class Gated(NamedTuple):
    """Where a Wave has a gate that is learned: half of the way back; the gate goes the other half."""

    d: Array  # dL/d(gate f(u)), like z
    dgate: Array  # (N, C)


class Wave(NamedTuple):
    """gate f(scale z + shift).  z (N, H, W, C); fold (3, C): scale, shift, and what is subtracted from z in sums."""

    z: Array
    fold: Array
    kind: int  # f: bend.LINEAR, RELU, RELU6, SWISH; RAW: this is the array z itself
    arena: Arena
    gate: Array = np.zeros((0, 1), np.float32)  # (N, C), or no rows
    learned: bool = False  # the gate depends on parameters

    @property
    def rows(self) -> Array:
        return self.z.reshape(-1, self.z.shape[3])

    @property
    def pixels(self) -> int:
        return self.z.shape[1] * self.z.shape[2]

    def whole(self, plus: Array | None = None) -> Array:
        """The array, plus another."""
        y, rows = self.arena.empty(*self.z.shape), self.rows
        more = rows[:0] if plus is None else plus.reshape(rows.shape)
        join.whole(rows, self.fold, self.kind, self.gate, self.pixels, more, y.reshape(rows.shape))
        return y

    def back(self, dy: Array) -> "Slope | Gated":
        """What dL/d(the array) means for the layer that made this."""
        dy = np.ascontiguousarray(dy, np.float32)
        if not self.learned:
            return self.bend(dy, self.gate, self.gate[:0])
        y = self._replace(gate=self.gate[:0], learned=False).whole()
        return Gated(dy, (dy * y).sum((1, 2), dtype=np.float64))

    def bend(self, dy: Array, gate: Array, more: Array) -> Slope:
        """The Slope, from dL/df(u) = gate dy + more."""
        rows, straight = self.rows, self.kind == LINEAR and not len(gate) and not len(more)
        g = dy if straight else self.arena.empty(*dy.shape)
        out = rows[:0] if straight else g.reshape(rows.shape)
        d = dy.reshape(rows.shape)
        return Slope(g, join.back(d, rows, self.fold, self.kind, gate, more, self.pixels, out))


Value = Array | Wave


def whole(x: Value) -> Array:
    return x.whole() if isinstance(x, Wave) else x


class Ended(NamedTuple):
    """The cache of a layer that was asked for an array."""

    wave: Wave | None  # what the array was made of
    inner: Any


class Flowing(Layer):
    """A layer that takes and gives Waves: forward and backward follow from flow and ebb."""

    @abstractmethod
    def reads(self, x: Wave) -> bool:
        """Whether flow can take this Wave; it can take any array."""

    @abstractmethod
    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        """Forward: (y, cache)."""

    @abstractmethod
    def ebb(self, slope: Any, cache: Any, plus: Array | None = None) -> Any:
        """Backward.  slope: a Slope or a Gated where y was a Wave.  Returns the same for x; plus is added to an array."""

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        y, cache = self.flow(x, train)
        return whole(y), Ended(y if isinstance(y, Wave) else None, cache)

    def backward(self, dy: Array, cache: Any) -> Array:
        if cache.wave is not None:
            check_grad(self, dy, cache.wave.z.shape)
            dy = cache.wave.back(dy)
        return self.ebb(dy, cache.inner)

    def __call__(self, x: Array) -> Array:
        return whole(self.flow(x, False)[0])
