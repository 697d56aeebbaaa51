"""Where the flow of what is not yet computed ends, or is looked at: y = gate f(scale z + shift) + plus, and back."""

import numpy as np
from numba import njit

from mini_nn.kernels import kernel, share
from mini_nn.kernels.fused.bend import (
    SWISH,
    F,
    activate,
    bounds,
    give,
    positive,
    sigmoid,
    slopes,
    take,
)
from mini_nn.kernels.tiles.registers import INLINE, LANES
from mini_nn.ops import Array

SPANS = 16
BLOCK = 1 << 14  # floats of a block, which then is in the cache


def whole(z: Array, fold: Array, kind: int, gate: Array, pixels: int, plus: Array, y: Array) -> None:
    """y = gate f(scale z + shift) + plus, into y; gate and plus may have no rows."""
    share(_whole, len(z), 2 * z.shape[1], z, fold, kind, gate, pixels, plus, y)


def mean(z: Array, fold: Array, kind: int, images: int) -> Array:
    """The mean over the pixels of each image of f(scale z + shift): (images, C)."""
    sums = np.zeros((images, z.shape[1]))
    share(_add_up, images, 2 * z.size // images, z, fold, kind, sums)
    return (sums * (images / len(z))).astype(np.float32)


def back(
    dy: Array, z: Array, fold: Array, kind: int, gate: Array, more: Array, pixels: int, g: Array
) -> Array:
    """g = (gate dy + more) f'(scale z + shift), into g (no rows: g is dy itself); return sums (2, C) of g and g (z - centre).

    gate and more have a row for each image, or none.
    """
    parts = np.zeros((SPANS, 2, z.shape[1]))
    share(_back, SPANS, 2 * z.size // SPANS, dy, z, fold, kind, gate, more, pixels, g, parts)
    return parts.sum(0)


@kernel
def _whole(z, fold, kind, gate, pixels, plus, y, start, stop):
    activate(z, start, stop - start, fold, kind, gate, pixels, y[start:])
    if len(plus):
        for r in range(start, stop):
            for c in range(0, z.shape[1], LANES):
                give(y, r, c, take(y, r, c, 1) + take(plus, r, c, 1))


@kernel
def _add_up(z, fold, kind, sums, start, stop):
    """Images start:stop.  A block of rows in float32, the blocks in float64."""
    pixels, channels = len(z) // len(sums), z.shape[1]
    height = max(1, min(pixels, BLOCK // channels))
    y, total = np.empty((height, channels), np.float32), np.empty((1, channels), np.float32)
    for image in range(start, stop):
        for top in range(0, pixels, height):
            n = min(height, pixels - top)
            activate(z, image * pixels + top, n, fold, kind, z[:0], pixels, y)
            total[:] = 0
            for r in range(n):
                for c in range(0, channels, LANES):
                    give(total, 0, c, take(total, 0, c, 1) + take(y, r, c, 1))
            for c in range(channels):
                sums[image, c] += total[0, c]


@njit(**INLINE)
def slope(u, kind, low, high):
    if kind == SWISH:
        s = sigmoid(u)
        return s + u * s * (F(1) - s)
    return positive(u - low) * positive(high - u)


@kernel
def _back(dy, z, fold, kind, gate, more, pixels, g, parts, start, stop):
    low, high = bounds(kind)
    height = max(4, BLOCK // z.shape[1])
    for span in range(start, stop):
        last = len(z) * (span + 1) // len(parts)
        for top in range(len(z) * span // len(parts), last, height):
            n = min(height, last - top)
            if not len(g):
                slopes(dy, z, top, n, fold, parts[span])
                continue
            for r in range(top, top + n):
                image = r // pixels
                for c in range(0, z.shape[1], LANES):
                    d = take(dy, r, c, 1)
                    if len(gate):
                        d *= take(gate, image, c, 1)
                    if len(more):
                        d += take(more, image, c, 1)
                    u = take(z, r, c, 1) * take(fold, 0, c, 1) + take(fold, 1, c, 1)
                    give(g, r, c, d * slope(u, kind, low, high))
            slopes(g, z, top, n, fold, parts[span])
