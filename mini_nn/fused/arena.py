"""Memory that is used again: asking the system for pages again and again costs a training step up to half of its time."""

from math import prod
from typing import Any

import numpy as np

from mini_nn.kernels import aligned
from mini_nn.ops import Array


class Arena:
    """Gives float32 arrays.  A block comes back by itself when nobody holds the array, or a view of it, any more."""

    def __init__(self) -> None:
        self.free: dict[int, list[Array]] = {}

    def empty(self, *shape: int) -> Array:
        """An array of the shape that holds anything."""
        size = prod(shape)
        try:
            block = self.free[size].pop()
        except (KeyError, IndexError):
            block = aligned(size)
        return np.asarray(Loan(block, self)).reshape(shape)


class Loan:
    """Stands between a block and the arrays that NumPy makes of it, and lives as long as the last of them."""

    def __init__(self, block: Array, arena: Arena) -> None:
        self.block, self.arena = block, arena
        self.__array_interface__: dict[str, Any] = block.__array_interface__

    def __del__(self) -> None:
        self.arena.free.setdefault(self.block.size, []).append(self.block)
