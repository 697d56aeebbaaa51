"""Memory of a thread's own, for what it needs again at once."""

import numpy as np
from numba import njit

from mini_nn.kernels import LINE
from mini_nn.kernels.tiles.registers import LANES, PART


@njit(nogil=True)  # not a PART: Python calls it too
def whole(columns):
    """So many columns that vectors fill them."""
    return -(-columns // LANES) * LANES


@njit(**PART)
def in_line(floats):
    """An array that begins where a cache line does (kernels.aligned, for compiled code)."""
    room = np.empty(floats + LINE, np.float32)
    start = -(room.ctypes.data // room.itemsize) % LINE
    return room[start : start + floats]


@njit(**PART)
def in_panels(rows, columns, wide):
    """A matrix of zeros in panels of `wide` columns, one below the other: who goes down a panel finds its rows side by side."""
    height = -(-columns // wide) * rows
    panels = in_line(height * wide).reshape(height, wide)
    panels[:] = 0
    return panels


@njit(**PART)
def scratch(rows, columns):
    """A matrix that holds anything; its rows begin where cache lines do.

    Long ones lie an odd number of lines apart: rows that are a multiple of 4096 bytes apart push each other out of the L1 cache.
    """
    lines = -(-columns // LINE)
    step = (lines if lines < 4 else lines | 1) * LINE
    return in_line(rows * step).reshape(rows, step)[:, :columns]
