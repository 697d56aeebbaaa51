"""Depthwise convolution that reads its input through BatchNorm and activation.  x (N H W, C), w (K, K, C), z (N OH OW, C).

What makes it fast: the rows that a filter sees are activated once, into a ring of K rows that stays in the L2 cache, with
zeros around them so that no window needs a special case.  On the way back the ring holds dL/dz; each row of x meets it once,
for dL/dx and dL/dw together.  Four neighbouring outputs are computed at once.

With stride s, every s-th column of x sees the same taps: a *phase*.  In a phase all is a convolution of stride 1, with the
taps r, r + s, ... of the filter: columns lie in the ring as a matrix (T, s C), one phase beside the other.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from mini_nn.kernels import kernel, share
from mini_nn.kernels.fused.bend import RAW, activate, bend_back, both, give, moments, norm_back, take
from mini_nn.kernels.fused.scratch import in_panels, scratch
from mini_nn.kernels.tiles.registers import LANES, PART, correlate, load, matrix, store, zeros
from mini_nn.ops import Array

AHEAD = 4  # outputs computed at once
SPANS = 16
ROWS = 1 << 14  # floats after which sums are taken, while they are in the cache
Shape = tuple[int, int, int, int, int, int]  # height and width, of x and of z, padding above and left
BUILT = ((3, 1), (3, 2), (5, 1), (5, 2))  # filters and strides that there are kernels for


def forward(
    x: Array, fold: Array, kind: int, w: Array, stride: int, shape: Shape, z: Array, wanted: bool
) -> Array:
    """z into z; sums (2, C) of z and z^2 if wanted."""
    parts, k = np.zeros((SPANS, 2, w.shape[2])), len(w)
    steps = len(z) * w.size // SPANS
    share(_forward(k, stride), SPANS, steps, x, fold, kind, deep(w), shape, z, parts, wanted)
    return parts.sum(0)


def backward(
    g: Array, z: Array, by: Array, x: Array, fold: Array, kind: int, w: Array, stride: int, shape: Shape, out: Array
) -> tuple[Array, Array]:  # fmt: skip
    """Return (dw, sums (2, C) for the BatchNorm before), and put dL/dx, or dL/du of x = act(u), into out."""
    (k, _, c), order = w.shape, by_phase(len(w), stride)
    turned = deep(w)[order]
    parts, dw = np.zeros((SPANS, 2, c)), np.zeros((SPANS, *turned.shape), np.float32)
    steps = 2 * len(x) * w.size // SPANS
    share(_backward(k, stride), SPANS, steps, g, z, by, x, fold, kind, turned, shape, out, dw, parts)
    found = np.empty((k * k, c), np.float32)
    found[order] = dw.sum(0)[:, :c]
    return found.reshape(w.shape), parts.sum(0)


def deep(w: Array) -> Array:
    """(K, K, C) -> (K K, C), with zeros up to a whole vector of channels."""
    return np.pad(w.reshape(-1, w.shape[2]), ((0, 0), (0, -w.shape[2] % LANES)))


def by_phase(k: int, stride: int) -> list[int]:
    """The taps in the order of the kernels: row by row, phase by phase, each phase turned around."""
    return [a * k + b for a in range(k) for r in range(stride) for b in reversed(range(r, k, stride))]


@njit(**PART)
def fill(x, p, height, width, first, fold, kind, ring, at):
    """Row p of the image whose row 0 begins at pixel `first`, activated, into the ring from `at`; zeros outside of it."""
    if 0 <= p < height:
        begin = first + p * width
        activate(x, begin, width, fold, kind, x[:0], width, ring[at:])
    else:
        ring[at : at + width] = 0


@njit(**PART)
def copied(x, n, y, at):
    """y[at : at + n] = x[:n], as far as y has columns; of the assignment itself Numba compiles 3 s of error messages."""
    for r in range(n):
        for c in range(0, y.shape[1], LANES):
            give(y, at + r, c, take(x, r, c, 1))


@njit(nogil=True, inline="always")
def outputs(ring, w, z, i, slots, wide, top, across, k, stride, strip, tail):
    """Output row i of an image, to the rows of z from `top`; slots: the number of rows of the ring, wide: pixels of each."""
    channels = z.shape[1]
    for o in range(0, across, AHEAD):
        whole = o + AHEAD <= across
        for c in range(0, channels, LANES):
            total = zeros(AHEAD, 1)
            for a in range(k):
                at = (i * stride + a) % slots * wide + o * stride
                total = correlate(total, load(ring, at, c, strip, 1), load(w, a * k, c, k, 1), stride)
            if whole:
                give(z, top + o, c, total)
            else:
                store(tail, 0, c, total)
        if not whole:
            copied(tail, across - o, z, top + o)


@cache
def _forward(k: int, stride: int) -> Any:
    strip = (AHEAD - 1) * stride + k

    def run(x, fold, kind, w, shape, z, parts, wanted, start, stop):
        height, width, down, across, above, left = shape
        channels, total = x.shape[1], len(z) // across
        wide = max(left + width, (across + AHEAD) * stride + k)
        ring, tail = scratch(k * wide, w.shape[1]), scratch(AHEAD, w.shape[1])
        ring[:] = 0
        group = max(1, ROWS // (across * channels))
        for span in range(start, stop):
            begin, last, ready = total * span // len(parts), total * (span + 1) // len(parts), 0
            summed = begin
            for r in range(begin, last):
                image, i = divmod(r, down)
                if r == begin or i == 0:
                    ready = i * stride
                for p in range(ready, i * stride + k):  # counted from `above` rows above the image
                    at = p % k * wide + left
                    fill(x, p - above, height, width, image * height * width, fold, kind, ring, at)
                ready = i * stride + k
                outputs(ring, w, z, i, k, wide, r * across, across, k, stride, strip, tail)
                if wanted and (r + 1 - summed == group or r + 1 == last):
                    moments(z, summed * across, (r + 1 - summed) * across, parts[span])
                    summed = r + 1

    return kernel(run)


@njit(nogil=True, inline="always")
def phase(xs, dx, ring, w, dw, at, row, tap, begin, channels, stride, taps, strip):
    """One row of dL/dz (from `at` in the ring) meets one row of x, in one phase, whose first column is row 0 of xs and dx.

    tap: the first of the phase's taps in w and dw.  row: the columns of a phase.  begin: dx is begun, not added to.
    """
    step = stride * (dx.strides[0] // dx.itemsize)
    into = matrix(dx, 0, row, step, step)
    for c in range(0, channels, LANES):
        own = matrix(xs, c * row * stride, row, LANES, LANES * stride)
        ws, found = load(w, tap, c, taps, 1), load(dw, tap, c, taps, 1)
        for t in range(0, row, AHEAD):
            seen = load(ring, at + t, c, strip, 1)
            total = zeros(AHEAD, 1) if begin else load(into, t, c, AHEAD, 1)
            store(into, t, c, correlate(total, seen, ws, 1))
            found = correlate(found, seen, load(own, t, 0, AHEAD, 1), 1)
        store(dw, tap, c, found)


@cache
def _backward(k: int, stride: int) -> Any:
    first, second = -(-k // stride), k // stride if stride == 2 else 1  # taps of the two phases
    ahead, behind = AHEAD + first - 1, AHEAD + second - 1

    def run(g, z, by, x, fold, kind, w, shape, out, dw, parts, start, stop):
        height, width, down, across, above, left = shape
        channels, total = x.shape[1], len(x) // width
        row = -(-((width - 1 + left) // stride + 1) // AHEAD) * AHEAD  # columns of a phase
        wide = max(row, across) + first - 1 + AHEAD
        ring, slope = scratch(k * wide, w.shape[1]), scratch(width, w.shape[1])
        xs, dx = in_panels(row * stride, channels, LANES), scratch(row * stride, w.shape[1])
        ring[:] = 0
        for span in range(start, stop):
            ready = 0
            begin = total * span // len(dw)
            for r in range(begin, total * (span + 1) // len(dw)):
                image, p = divmod(r, height)
                q = p + above
                if r == begin or p == 0:
                    ready = max(0, (q - k + stride) // stride)
                for i in range(ready, min(q // stride + 1, down)):
                    norm_back(g, z, (image * down + i) * across, across, by, ring[i % k * wide + first - 1 :])
                    ready = i + 1
                both(x, r * width, width, fold, kind, xs[left:], slope, row * stride)
                fresh = True
                for a in range(q % stride, k, stride):
                    i = (q - a) // stride
                    if 0 <= i < down and q >= a:
                        at, tap = i % k * wide, a * k
                        phase(xs, dx, ring, w, dw[span], at, row, tap, fresh, channels, stride, first, ahead)
                        if stride == 2:
                            at, tap = at + first - second, tap + first
                            phase(
                                xs[1:], dx[1:], ring, w, dw[span], at, row, tap, fresh, channels, stride, second, behind
                            )  # fmt: skip
                        fresh = False
                if fresh:
                    dx[:] = 0
                if kind == RAW:
                    copied(dx[left:], width, out, r * width)
                else:
                    bend_back(dx[left:], slope, width, x, fold, out, r * width, parts[span])

    return kernel(run)
