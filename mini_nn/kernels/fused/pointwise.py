"""Pointwise convolution that reads its input through BatchNorm, activation and gate.  x (M, K), w (K, N), z (M, N).

What makes it fast: a block of rows is activated, multiplied, and summed up for the BatchNorm behind it while it is in the
L2 cache.  On the way back the same block of dL/dz serves both products, and dL/dx is multiplied by the slope of the
activation and summed up for the BatchNorm before it.  The products are the tiles of kernels/tiles/pointwise.py.
"""

import numpy as np
from numba import njit

from mini_nn.kernels import kernel, share
from mini_nn.kernels.fused.bend import RAW, activate, both, give, moments, norm_back, slopes, take
from mini_nn.kernels.tiles.activation import CLAMP
from mini_nn.kernels.tiles.pointwise import PANEL, pack, rows
from mini_nn.kernels.tiles.registers import LANES, load, spread, store, zeros
from mini_nn.ops import Array

BOUNDS = (np.float32(-np.inf), np.float32(np.inf))
CACHE = 80_000  # floats of a block: most of an L2 cache


def spans(m: int, weights: int) -> int:
    """How many partial sums: few where they are large.  It depends on shapes alone, and so do the results."""
    return min(16, max(4, 8 * m // weights))


def forward(
    x: Array, fold: Array, kind: int, gate: Array, pixels: int, w: Array, z: Array, wanted: bool
) -> Array:
    """z = act(x) @ w into z; sums (2, N) of z and z^2 if wanted."""
    parts = np.zeros((spans(len(x), w.size), 2, w.shape[1]))
    steps = len(x) * w.size // len(parts)
    share(_forward, len(parts), steps, x, fold, kind, gate, pixels, pack(w), z, parts, wanted)
    return parts.sum(0)


def backward(
    g: Array, z: Array, by: Array, x: Array, fold: Array, kind: int, gate: Array, pixels: int, w: Array,
    plus: Array, out: Array, learn: bool,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return (dw, sums (2, K) for the BatchNorm before, dgate), and put dL/dx, or dL/du of x = act(u), into out.

    Where there are gates, out is dL/d(gated x) and dgate its share for the gates.  plus: added to out (RAW only).
    """
    k, n = w.shape
    parts = np.zeros((spans(len(x), w.size), 2, k))
    dw = np.zeros((len(parts), k, n) if learn else (len(parts), 0, n), np.float32)
    dgate = np.zeros((len(parts), *gate.shape))
    share(
        _backward, len(parts), 2 * len(x) * w.size // len(parts), g, z, by, x, fold, kind, gate, pixels,
        pack(np.ascontiguousarray(w.T)), plus, out, dw, parts, dgate,
    )  # fmt: skip
    return dw.sum(0), parts.sum(0), dgate.sum(0)


def block(k: int, n: int) -> int:
    return max(48, min(192, CACHE // (3 * k + 2 * n) // 12 * 12))


_block = njit(nogil=True)(block)


@kernel
def _forward(x, fold, kind, gate, pixels, packed, z, parts, wanted, start, stop):
    (m, k), n, none = x.shape, z.shape[1], z[:0]
    height, panels = _block(k, n), -(-n // PANEL)
    bent = np.empty((height, k), np.float32)
    for span in range(start, stop):
        last = m * (span + 1) // len(parts)
        for top in range(m * span // len(parts), last, height):
            high = min(height, last - top)
            if kind == RAW:
                rows(
                    x[top : top + high], packed, z[top : top + high], none, CLAMP, BOUNDS, 0, high, 0, panels
                )
            else:
                activate(x, top, high, fold, kind, gate, pixels, bent, 0)
                rows(bent[:high], packed, z[top : top + high], none, CLAMP, BOUNDS, 0, high, 0, panels)
            if wanted:
                moments(z, top, high, parts[span])


@njit(nogil=True, forceinline=True)
def outer(xt, dz, dw, n, k, j, tall, vecs):
    """A tile of dw += x.T @ dz, over n rows: these by themselves first, so that few roundings add up."""
    total, wide = zeros(tall, vecs), dw.shape[1] - j
    if wide >= vecs * LANES:
        for i in range(n):
            total += spread(xt, k, i, tall) * load(dz, i, j, 1, vecs)
        store(dw, k, j, load(dw, k, j, tall, vecs) + total)
    else:
        for i in range(n):
            total += spread(xt, k, i, tall) * load(dz, i, j, 1, vecs, wide)
        store(dw, k, j, load(dw, k, j, tall, vecs, wide) + total, wide)


@njit(nogil=True)
def weights(x, dz, dw, n):
    """dw += x[:n].T @ dz[:n]."""
    xt, (k, width) = x.T, dw.shape
    for j in range(0, width, PANEL):
        for i in range(0, k - 3, 4):
            outer(xt, dz, dw, n, i, j, 4, 2)
        for i in range(k // 4 * 4, k):
            outer(xt, dz, dw, n, i, j, 1, 2)


@kernel
def _backward(g, z, by, x, fold, kind, gate, pixels, packed, plus, out, dw, parts, dgate, start, stop):
    (m, k), n = x.shape, z.shape[1]
    height, panels = _block(k, n), -(-k // PANEL)
    dz, bent, slope = (
        np.empty((height, n), np.float32),
        np.empty((height, k), np.float32),
        np.empty((height, k), np.float32),
    )
    for span in range(start, stop):
        last = m * (span + 1) // len(parts)
        for top in range(m * span // len(parts), last, height):
            high = min(height, last - top)
            norm_back(g, z, top, high, by, dz, 0)
            if kind == RAW:
                if len(dw[span]):
                    weights(x[top : top + high], dz, dw[span], high)
            else:
                if len(gate):
                    activate(x, top, high, fold, kind, gate[:0], pixels, slope, 0)
                    gated(slope, gate, top, high, pixels, bent)
                else:
                    both(x, top, high, fold, kind, bent, slope, 0)
                if len(dw[span]):
                    weights(bent, dz, dw[span], high)
            if len(out):
                here = out[top : top + high]
                more = plus[top : top + high] if len(plus) else plus
                rows(dz[:high], packed, here, more, CLAMP, BOUNDS, 0, high, 0, panels)
                if len(gate):
                    share_of_gates(here, slope, top, high, pixels, dgate[span])
                elif kind != RAW:
                    times(here, slope, high)
                    slopes(here, x[top : top + high], 0, high, fold, parts[span])


@njit(nogil=True)
def gated(x, gate, at, n, pixels, y):
    """y = x times the gate of the image; row 0 is pixel `at` of all images."""
    for r in range(n):
        image = (at + r) // pixels
        for c in range(0, y.shape[1], LANES):
            give(y, r, c, take(x, r, c, 1) * take(gate, image, c, 1))


@njit(nogil=True)
def times(y, by, n):
    for r in range(n):
        for c in range(0, y.shape[1], LANES):
            give(y, r, c, take(y, r, c, 1) * take(by, r, c, 1))


@njit(nogil=True)
def share_of_gates(d, y, at, n, pixels, dgate):
    """dgate of each image += the sum over its pixels of d y."""
    for r in range(n):
        image = (at + r) // pixels
        for c in range(y.shape[1]):
            dgate[image, c] += np.float64(d[r, c] * y[r, c])
