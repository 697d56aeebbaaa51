"""Memory of a thread's own, for what it needs again at once."""

import numpy as np
from numba import njit

from mini_nn.kernels import LINE


@njit(nogil=True)
def scratch(rows, columns):
    """A matrix that holds anything; its rows begin where cache lines do.

    Long ones lie an odd number of lines apart: rows that are a multiple of 4096 bytes apart push each other out of the L1 cache.
    """
    lines = -(-columns // LINE)
    step = (lines if lines < 4 else lines | 1) * LINE
    whole = np.empty(rows * step + LINE, np.float32)
    start = -(whole.ctypes.data // 4) % LINE
    return whole[start : start + rows * step].reshape(rows, step)[:, :columns]
