"""What a step of a program does: one function each.  `piece` is the piece of the step that this thread took."""

import numpy as np
from numba import njit

from mini_nn.kernels.tiles.activation import SIGMOID, SWISH
from mini_nn.kernels.tiles.conv import convolved_row
from mini_nn.kernels.tiles.depthwise import any_row, row
from mini_nn.kernels.tiles.pointwise import PANEL, one_row, rows
from mini_nn.kernels.tiles.registers import INLINE, PART, matrix
from mini_nn.kernels.tiles.table import (
    ABOVE,
    ACROSS,
    ACT,
    BY_PANEL,
    DOWN,
    DW31,
    DW32,
    DW51,
    DW52,
    GATED,
    HEIGHT,
    IDENTITY,
    KERNEL,
    LEFT,
    OP,
    OTHER,
    RELU6,
    SCRATCH,
    SIZE,
    SPAN,
    STRIDE,
    SUMS,
    WIDTH,
    K,
    M,
    N,
    W,
    X,
    Y,
)  # fmt: skip # isort: skip


@njit(**INLINE)
def bounds(step):
    """The lowest and the highest output of a clamp."""
    low = np.float32(-np.inf) if step[ACT] == IDENTITY else np.float32(0)
    return low, np.float32(6) if step[ACT] == RELU6 else np.float32(np.inf)


@njit(**INLINE)
def packed(array, at, depth, width):
    """Panels as pointwise.pack makes them."""
    return matrix(array, at, -(-width // PANEL) * (1 + depth), PANEL)


@njit(**PART)
def product(step, weights, arena, kind, piece):
    m, k, n, size = step[M], step[K], step[N], step[SIZE]
    x, y = matrix(arena, step[X], m, k), matrix(arena, step[Y], m, n)
    residual = matrix(arena, max(0, step[OTHER]), m if step[OTHER] >= 0 else 0, n)
    w = packed(weights, step[W], k, n) if step[GATED] < 0 else packed(arena, step[GATED], k, n)
    start, stop, first, last = 0, m, 0, -(-n // PANEL)
    if step[BY_PANEL]:
        first, last = piece * size, min((piece + 1) * size, last)
    else:
        start, stop = piece * size, min((piece + 1) * size, m)
    rows(
        x, w, y, residual, kind, bounds(step), start, stop, first, last
    )  # once: it is long where it is compiled


@njit(**INLINE)
def geometry(step):
    return step[HEIGHT], step[WIDTH], step[DOWN], step[ACROSS], step[ABOVE], step[LEFT]


@njit(**PART)
def filtered(step, weights, arena, kind, piece, k, stride, strip):
    """Some output rows of a depthwise convolution; k, stride and strip are literals."""
    c, across = step[K], step[ACROSS]
    x = matrix(arena, step[X], step[HEIGHT] * step[WIDTH], c)
    y = matrix(arena, step[Y], step[DOWN] * across, c)
    bias, w = matrix(weights, step[W], 1, c), matrix(weights, step[W] + c, k * k, c)
    first = piece * step[SIZE]
    for r in range(first, min(first + step[SIZE], step[DOWN])):
        row(x, w, bias, y, kind, bounds(step), k, stride, strip, geometry(step), r)
        add_up(step, arena, y, piece, r, first)


@njit(**PART)
def filtered_by_any(step, weights, arena, kind, piece):
    c, k = step[K], step[KERNEL]
    x = matrix(arena, step[X], step[HEIGHT] * step[WIDTH], c)
    y = matrix(arena, step[Y], step[DOWN] * step[ACROSS], c)
    bias, w = matrix(weights, step[W], 1, c), matrix(weights, step[W] + c, k * k, c)
    first = piece * step[SIZE]
    for r in range(first, min(first + step[SIZE], step[DOWN])):
        any_row(x, w, bias, y, kind, bounds(step), k, step[STRIDE], geometry(step), r)
        add_up(step, arena, y, piece, r, first)


@njit(**PART)
def band(steps, weights, arena, kind, piece, thread):
    """Some output rows of an inverted residual block: expanded and filtered in the thread's own memory."""
    expand, depthwise, project = steps[1], steps[2], steps[3]
    height, width, down, across, above, left = geometry(depthwise)
    c, wide, n, stride = expand[K], expand[N], project[N], depthwise[STRIDE]
    first = piece * steps[0, SIZE]
    last = min(first + steps[0, SIZE], down)
    top = max(0, first * stride - above)
    bottom = max(top, min(height, (last - 1) * stride - above + depthwise[KERNEL]))
    x = matrix(arena, expand[X] + top * width * c, (bottom - top) * width, c)
    seen = matrix(arena, expand[Y] + thread * expand[SPAN], len(x), wide)
    y = matrix(arena, depthwise[Y] + thread * depthwise[SPAN], (last - first) * across, wide)
    multiplied(x, weights, seen, seen[:0], kind, expand)
    here = bottom - top, width, last - first, across, above + top - first * stride, left
    for r in range(last - first):
        filtered_row(seen, weights, y, kind, depthwise, here, r)
    out = matrix(arena, project[Y] + first * across * n, len(y), n)
    more = max(0, project[OTHER] + first * across * n)
    residual = matrix(arena, more, len(y) if project[OTHER] >= 0 else 0, n)
    multiplied(y, weights, out, residual, kind, project)


@njit(**PART)
def multiplied(x, weights, y, residual, kind, step):
    w = packed(weights, step[W], x.shape[1], y.shape[1])
    rows(x, w, y, residual, kind, bounds(step), 0, len(x), 0, -(-y.shape[1] // PANEL))


@njit(**PART)
def filtered_row(x, weights, y, kind, step, shape, r):
    """A row of a depthwise convolution whose filter is not known while this is compiled."""
    c, k = x.shape[1], step[KERNEL]
    bias, w = matrix(weights, step[W], 1, c), matrix(weights, step[W] + c, k * k, c)
    if step[OP] == DW31:
        row(x, w, bias, y, kind, bounds(step), 3, 1, 9, shape, r)
    elif step[OP] == DW32:
        row(x, w, bias, y, kind, bounds(step), 3, 2, 15, shape, r)
    elif step[OP] == DW51:
        row(x, w, bias, y, kind, bounds(step), 5, 1, 11, shape, r)
    elif step[OP] == DW52:
        row(x, w, bias, y, kind, bounds(step), 5, 2, 17, shape, r)
    else:
        any_row(x, w, bias, y, kind, bounds(step), k, step[STRIDE], shape, r)


@njit(**PART)
def add_up(step, arena, y, piece, r, first):
    """The row's channels into the piece's sums, while they are in the cache: squeeze-excite will want their mean."""
    if step[SUMS] < 0:
        return
    c, across = step[K], step[ACROSS]
    sums = matrix(arena, step[SUMS] + piece * c, 1, c)
    if r == first:
        for j in range(c):
            sums[0, j] = 0
    for p in range(r * across, (r + 1) * across):
        for j in range(c):
            sums[0, j] += y[p, j]


@njit(**PART)
def stem(step, weights, image, arena, kind, piece, thread):
    """Some output rows of a standard convolution."""
    height, width, down, across, above, left = geometry(step)
    c, k, n, stride = step[K], step[KERNEL], step[N], step[STRIDE]
    x = matrix(image, 0, height, width * c) if step[X] < 0 else matrix(arena, step[X], height, width * c)
    w = packed(weights, step[W], k * k * c, n)
    taps = matrix(arena, step[SCRATCH] + thread * step[SPAN], 1, k * k * c)
    first = piece * step[SIZE]
    for r in range(first, min(first + step[SIZE], down)):
        y = matrix(arena, step[Y] + r * across * n, across, n)
        convolved_row(x, w, y, taps, kind, bounds(step), c, k, stride, r * stride - above, left)


@njit(**PART)
def excite(step, weights, arena):
    """The gate of squeeze-excite, from the sums of M pieces: C = K channels, N squeezed, HEIGHT * WIDTH pixels."""
    c, n = step[K], step[N]
    sums = matrix(arena, step[SUMS], step[M], c)
    mean, squeezed = matrix(arena, step[OTHER], 1, c), matrix(arena, step[OTHER] + c, 1, n)
    for j in range(c):
        mean[0, j] = 0
    for piece in range(step[M]):
        for j in range(c):
            mean[0, j] += sums[piece, j]
    for j in range(c):
        mean[0, j] /= np.float32(step[HEIGHT] * step[WIDTH])
    reduce = packed(weights, step[W], c, n)
    expand = packed(weights, step[W] + reduce.size, n, c)
    gates, none = matrix(arena, step[Y], 1, c), matrix(arena, 0, 0, c)
    for p in range(-(-n // PANEL)):
        one_row(mean, reduce, squeezed, none, SWISH, bounds(step), 0, p)
    for p in range(-(-c // PANEL)):
        one_row(squeezed, expand, gates, none, SIGMOID, bounds(step), 0, p)


@njit(**PART)
def scale(step, arena, piece):
    """Some rows of x times the gate, in place."""
    x, g = matrix(arena, step[X], step[M], step[K]), matrix(arena, step[OTHER], 1, step[K])
    first = piece * step[SIZE]
    for i in range(first, min(first + step[SIZE], step[M])):
        for j in range(step[K]):
            x[i, j] *= g[0, j]


@njit(**PART)
def gate(step, weights, arena, piece):
    """Some panels of the next product's weights, each row times its channel's gate: (x g) @ w = x @ (g w)."""
    k, n = step[K], step[N]
    w, out = packed(weights, step[W], k, n), packed(arena, step[Y], k, n)
    first = piece * step[SIZE]
    for p in range(first, min(first + step[SIZE], -(-n // PANEL))):
        top = p * (1 + k)
        for j in range(PANEL):
            out[top, j] = w[top, j]
        for i in range(k):
            g = arena[step[OTHER] + i]
            for j in range(PANEL):
                out[top + 1 + i, j] = w[top + 1 + i, j] * g


@njit(**PART)
def pool(step, arena, piece):
    """The mean over all pixels of some channels."""
    m, c = step[M], step[K]
    x, y = matrix(arena, step[X], m, c), matrix(arena, step[Y], 1, c)
    first, last = piece * step[SIZE], min((piece + 1) * step[SIZE], c)
    for j in range(first, last):
        y[0, j] = 0
    for i in range(m):
        for j in range(first, last):
            y[0, j] += x[i, j]
    for j in range(first, last):
        y[0, j] /= np.float32(m)
