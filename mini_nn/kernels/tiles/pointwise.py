"""y = activate(x @ w + bias + residual), x (M, K), w (K, N): a pointwise convolution whose rows are pixels.

What makes it fast: ROWS rows of two vectors of results stay in registers, so each load is used ROWS times or twice; w is packed
into panels in the order in which they are read, the next one fetched meanwhile, and blocks of x stay in the L2 cache; bias,
residual and activation are applied before a result leaves its register.
"""

import numpy as np
from numba import njit

from mini_nn.kernels.tiles.activation import activate
from mini_nn.kernels.tiles.registers import INLINE, LANES, fetch, load, spread, store, zeros
from mini_nn.ops import Array

PANEL = 2 * LANES
ROWS = (
    12 if LANES == 16 else 6
)  # of a tile two vectors wide: 24 results in AVX-512's 32 registers, 12 in AVX2's 16
STEP = 2 * ROWS  # of one that is one vector wide
FEW = ROWS // 3  # left-over rows that are done singly: sooner than a tile that does most of its rows twice


def pack(w: Array, bias: Array | None = None) -> Array:
    """(K, N) -> panels of PANEL columns, one below the other; each is a row of bias, then K rows."""
    depth, width = w.shape
    padded = np.zeros((1 + depth, -(-width // PANEL) * PANEL), np.float32)
    padded[1:, :width] = w
    if bias is not None:
        padded[0, :width] = bias
    return np.ascontiguousarray(padded.reshape(1 + depth, -1, PANEL).swapaxes(0, 1)).reshape(-1, PANEL)


@njit(**INLINE)
def finish(total, y, residual, kind, bounds, i, j, rows, vecs):
    """Add the residual (no rows: none), activate, store; the last panel may have fewer columns than a tile."""
    n = y.shape[1] - j
    if n >= vecs * LANES:
        if len(residual):
            total += load(residual, i, j, rows, vecs)
        store(y, i, j, activate(total, kind, bounds))
    else:
        if len(residual):
            total += load(residual, i, j, rows, vecs, n)
        store(y, i, j, activate(total, kind, bounds), n)


@njit(**INLINE)
def tile(x, packed, y, residual, kind, bounds, i, p, rows, vecs):
    """The tile of y at row i of panel p; rows and vecs are literals wherever this is called."""
    depth, j = x.shape[1], p * PANEL
    top = p * (1 + depth)
    total = zeros(rows, vecs) + load(packed, top, 0, 1, vecs)
    for k in range(depth):
        fetch(
            packed, top + 1 + depth + k, 0
        )  # the next panel: in the 7 x 7 layers weights come from far away
        fetch(packed, top + 1 + depth + k, LANES)
        total += spread(x, i, k, rows) * load(packed, top + 1 + k, 0, 1, vecs)
    finish(total, y, residual, kind, bounds, i, j, rows, vecs)


@njit(**INLINE)
def one_row(x, packed, y, residual, kind, bounds, i, p):
    """The same for a single row: four sums side by side, because one sum would wait for itself at every step."""
    depth, top = x.shape[1], p * (1 + x.shape[1])
    total = zeros(1, 2) + load(packed, top, 0, 1, 2)
    b, c, d = zeros(1, 2), zeros(1, 2), zeros(1, 2)
    for k in range(0, depth - 3, 4):
        total += spread(x, i, k, 1) * load(packed, top + 1 + k, 0, 1, 2)
        b += spread(x, i, k + 1, 1) * load(packed, top + 2 + k, 0, 1, 2)
        c += spread(x, i, k + 2, 1) * load(packed, top + 3 + k, 0, 1, 2)
        d += spread(x, i, k + 3, 1) * load(packed, top + 4 + k, 0, 1, 2)
    for k in range(depth // 4 * 4, depth):
        total += spread(x, i, k, 1) * load(packed, top + 1 + k, 0, 1, 2)
    finish(total + b + (c + d), y, residual, kind, bounds, i, p * PANEL, 1, 2)


@njit(**INLINE)
def column(x, packed, y, residual, kind, bounds, start, top, bottom, p, rows, vecs):
    """Rows top:bottom of panel p, by tiles.  Of the rows left over a few are done singly; more by a last tile that is moved up."""
    i = top
    while i < bottom:
        if i + rows > bottom:
            if bottom - i <= FEW or bottom - rows < start:
                break
            i = bottom - rows
        tile(x, packed, y, residual, kind, bounds, i, p, rows, vecs)
        i += rows
    while i < bottom:
        one_row(x, packed, y, residual, kind, bounds, i, p)
        i += 1


@njit(**INLINE)
def rows(x, packed, y, residual, kind, bounds, start, stop, first, last):
    """Rows start:stop of panels first:last of y."""
    depth, width = x.shape[1], y.shape[1]
    block = STEP if 4 * depth * width <= 20480 else max(STEP, 98304 // (4 * depth) // STEP * STEP)
    for top in range(start, stop, block):
        bottom = min(top + block, stop)
        for p in range(first, last):
            if width - p * PANEL > LANES:
                column(x, packed, y, residual, kind, bounds, start, top, bottom, p, ROWS, 2)
            else:
                column(x, packed, y, residual, kind, bounds, start, top, bottom, p, STEP, 1)
