"""Pointwise convolution that reads its input through BatchNorm, activation and gate.  x (M, K), w (K, N), z (M, N).

What makes it fast: a block of rows is activated, multiplied, and summed up for the BatchNorm behind it while it is in the
L2 cache.  On the way back the same block of dL/dz serves both products, and dL/dx is multiplied by the slope of the
activation and summed up for the BatchNorm before it.  The products are the tiles of kernels/tiles/pointwise.py.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

from mini_nn.kernels import kernel, share
from mini_nn.kernels.fused.bend import RAW, activate, bend_back, both, give, moments, norm_back, take
from mini_nn.kernels.fused.scratch import in_panels, scratch, whole
from mini_nn.kernels.tiles.activation import CLAMP
from mini_nn.kernels.tiles.pointwise import PANEL, rows
from mini_nn.kernels.tiles.registers import INLINE, LANES, PART, load, spread, store, zeros
from mini_nn.ops import Array

BOUNDS = (np.float32(-np.inf), np.float32(np.inf))
CACHE = 200_000  # floats of a block and what is made of it: about an L2 cache
TALL = 8 if LANES == 16 else 4  # rows of a tile of dw: AVX-512 has 32 registers, AVX2 16
Loan = Callable[..., Array]  # shape -> an array that holds anything


def spans(m: int, weights: int) -> int:
    """How many partial sums: few where they are large.  It depends on shapes alone, and so do the results."""
    return min(16, max(4, 8 * m // weights))


def forward(
    x: Array, fold: Array, kind: int, gate: Array, pixels: int, w: Array, z: Array, wanted: bool, loan: Loan
) -> Array:
    """z = act(x) @ w into z; sums (2, N) of z and z^2 if wanted."""
    parts = np.zeros((spans(len(x), w.size), 2, w.shape[1]))
    steps = len(x) * w.size // len(parts)
    share(_forward, len(parts), steps, x, fold, kind, gate, pixels, packed(w, loan), z, parts, wanted)
    return parts.sum(0)


def backward(
    g: Array, z: Array, by: Array, x: Array, fold: Array, kind: int, gate: Array, pixels: int, w: Array,
    plus: Array, out: Array, learn: bool, loan: Loan,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return (dw, sums (2, K) for the BatchNorm before, dgate), and put dL/dx, or dL/du of x = act(u), into out.

    Where there are gates, out is dL/d(gated x) and dgate its share for the gates.  plus: added to out (RAW only).
    """
    (k, n), count = w.shape, spans(len(x), w.size)
    panels = -(-n // PANEL)
    parts, dgate = np.zeros((count, 2, k)), np.zeros((count, *gate.shape))
    dw = loan(count, panels * whole(k), PANEL) if learn else np.zeros((count, 0, PANEL), np.float32)
    turned = packed(w.T, loan) if len(out) else np.zeros((0, PANEL), np.float32)
    share(
        _backward, count, 2 * len(x) * w.size // count, g, z, by, x, fold, kind, gate, pixels, turned, plus,
        out, dw, parts, dgate,
    )  # fmt: skip
    if learn:
        some, dw = dw, loan(k, n)
        share(_add_up, panels, len(some) * k * PANEL, some, dw)
    return dw, parts.sum(0), dgate.sum(0)


def packed(w: Array, loan: Loan) -> Array:
    """tiles.pointwise.pack(w), by all threads."""
    panels, depth = -(-w.shape[1] // PANEL), 1 + len(w)
    out = loan(panels * depth, PANEL)
    share(_pack, panels, depth * PANEL, w, out)
    return out


@kernel
def _pack(w, out, start, stop):
    """Panels start:stop."""
    k, n = w.shape
    for p in range(start, stop):
        top, wide = p * (1 + k), min(PANEL, n - p * PANEL)
        out[top : top + 1 + k, wide:] = 0
        out[top] = 0
        for i in range(k):
            for j in range(wide):
                out[top + 1 + i, j] = w[i, p * PANEL + j]


@kernel
def _add_up(some, dw, start, stop):
    """dw = the sum of some, whose panels start:stop lie below one another."""
    k = whole(len(dw))
    for p in range(start, stop):
        for i in range(len(dw)):
            for c in range(0, PANEL, LANES):
                total = load(some[0], p * k + i, c, 1, 1)
                for part in range(1, len(some)):
                    total += load(some[part], p * k + i, c, 1, 1)
                give(dw, i, p * PANEL + c, total)


@njit(**PART)
def room(k, n):
    """An array (rows of a block, k)."""
    return scratch(max(48, min(192, CACHE // (3 * k + 2 * n) // 12 * 12)), k)


@kernel
def _forward(x, fold, kind, gate, pixels, packed, z, parts, wanted, start, stop):
    (m, k), n = x.shape, z.shape[1]
    bent, panels = room(k, n), -(-n // PANEL)
    for span in range(start, stop):
        last = m * (span + 1) // len(parts)
        for top in range(m * span // len(parts), last, len(bent)):
            high = min(len(bent), last - top)
            activate(x, top, high, fold, kind, gate, pixels, bent)
            rows(bent[:high], packed, z[top : top + high], z[:0], CLAMP, BOUNDS, 0, high, 0, panels)
            if wanted:
                moments(z, top, high, parts[span])


@njit(**INLINE)
def outer(xt, dz, dw, i, top, vecs):
    """A tile of dw += x.T @ dz, over the rows of dz: these by themselves first, so that few roundings add up."""
    total = zeros(TALL, vecs)
    for r in range(len(dz)):
        total += spread(xt, i, r, TALL) * load(dz, r, 0, 1, vecs)
    store(dw, top, 0, load(dw, top, 0, TALL, vecs) + total)


@njit(**PART)
def weights(xs, dzs, tall, dw, n, width):
    """dw += x[:n].T @ dz[:n], dz (n, width), all in panels: of LANES columns, of PANEL and of PANEL.  Tiles follow one another in dw."""
    k = len(xs) // tall * LANES
    for p in range(len(dzs) // tall):
        dz = dzs[p * tall : p * tall + n]
        for i in range(0, k, TALL):
            xt = xs[i // LANES * tall : i // LANES * tall + n].T
            if width - p * PANEL > LANES:
                outer(xt, dz, dw, i % LANES, p * k + i, 2)
            else:
                outer(xt, dz, dw, i % LANES, p * k + i, 1)


@kernel
def _backward(g, z, by, x, fold, kind, gate, pixels, packed, plus, out, dw, parts, dgate, start, stop):
    (m, k), n = x.shape, z.shape[1]
    dz, slope, panels = room(n, k), room(k, n), -(-k // PANEL)
    height = min(len(dz), len(slope))
    xs, dzs = in_panels(height, k, LANES), in_panels(height, n, PANEL)
    for span in range(start, stop):
        last = m * (span + 1) // len(parts)
        dw[span] = 0
        for top in range(m * span // len(parts), last, height):
            high = min(height, last - top)
            norm_back(g, z, top, high, by, dz)
            if len(gate):
                activate(x, top, high, fold, kind, gate[:0], pixels, slope)
                gated(slope, gate, top, high, pixels, xs, height)
            else:
                both(x, top, high, fold, kind, xs, slope, height)
            if len(dw[span]):
                beside(dz, high, dzs, height)
                weights(xs, dzs, height, dw[span], high, n)
            if len(out):
                here = out[top : top + high]
                more = plus[top : top + high] if len(plus) else plus
                rows(dz[:high], packed, here, more, CLAMP, BOUNDS, 0, high, 0, panels)
                if len(gate):
                    share_of_gates(here, slope, top, high, pixels, dgate[span])
                elif kind != RAW:
                    bend_back(here, slope, high, x, fold, out, top, parts[span])


@njit(**PART)
def beside(x, n, y, tall):
    """The same n rows in panels of PANEL columns."""
    for r in range(n):
        for c in range(0, x.shape[1], LANES):
            store(y, c // PANEL * tall + r, c % PANEL, take(x, r, c, 1))


@njit(**PART)
def gated(x, gate, at, n, pixels, y, tall):
    """y, in panels, = x times the gate of the image; row 0 is pixel `at` of all images."""
    for r in range(n):
        image = (at + r) // pixels
        for c in range(0, x.shape[1], LANES):
            store(y, c // LANES * tall + r, 0, take(x, r, c, 1) * take(gate, image, c, 1))


@njit(**PART)
def share_of_gates(d, y, at, n, pixels, dgate):
    """dgate of each image += the sum over its pixels of d y."""
    for r in range(n):
        image = (at + r) // pixels
        for c in range(y.shape[1]):
            dgate[image, c] += np.float64(d[r, c] * y[r, c])
