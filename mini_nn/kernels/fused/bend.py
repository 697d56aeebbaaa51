"""BatchNorm and activation of a few rows: y = f(scale z + shift), its slope, and the sums that BatchNorm needs.

`fold` (3, C) holds scale, shift and centre.  All on tiles of registers, a vector of channels at a time.
Sums are taken of differences to a centre, in float32 over a few rows, and then in float64: sums of squares of what is far
from 0 would lose the digits that the variance is made of.
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from mini_nn.kernels.fused.scratch import scratch
from mini_nn.kernels.tiles.registers import INLINE, LANES, PART, VECTOR, correlate, load, pack, store, unpack

RAW, LINEAR, RELU, RELU6, SWISH = range(5)  # RAW: neither BatchNorm nor activation
F = np.float32
LOG2_E, LN2_HIGH = F(1 / math.log(2)), F(0.693359375)  # as in kernels/swish.py
LN2_LOW = F(math.log(2) - 0.693359375)
C2, C3, C4 = F(5.0000001201e-1), F(1.6666665459e-1), F(4.1665795894e-2)
C5, C6, C7 = F(8.3334519073e-3), F(1.3981999507e-3), F(1.9875691500e-4)
ROUND = F(1.5 * 2**23)  # no float32 near it has a fraction: adding it rounds
INTEGERS = ir.VectorType(ir.IntType(32), LANES)


@intrinsic
def positive(typing, t):
    """1 where t > 0, else 0."""

    def lower(context, builder, signature, args):
        rows = unpack(context, builder, t, args[0])
        zero, one = VECTOR([0.0] * LANES), VECTOR([1.0] * LANES)
        return pack(
            builder,
            [[builder.select(builder.fcmp_ordered(">", v, zero), one, zero) for v in row] for row in rows],
        )

    return t(t), lower


@intrinsic
def times_two_to(typing, t, k):
    """t 2^k, for whole numbers k to which ROUND was added: then they are a float's lowest bits.  Its exponent begins at bit 23."""

    def lower(context, builder, signature, args):
        numbers, powers = (unpack(context, builder, t, x) for x in args)

        def one(number, power):
            up = builder.shl(builder.bitcast(power, INTEGERS), INTEGERS([23] * LANES))
            return builder.bitcast(builder.add(builder.bitcast(number, INTEGERS), up), VECTOR)

        return pack(builder, [list(map(one, *pair)) for pair in zip(numbers, powers, strict=True)])

    return t(t, k), lower


@njit(**INLINE)
def sigmoid(x):
    """1 / (1 + exp(-x)) to the last digits of a float32; exp in two parts as in kernels/swish.py, by Cephes's polynomial (expf)."""
    z = max(min(0.0 - x, F(87)), F(-87))
    k = z * LOG2_E + ROUND
    whole = k - ROUND
    r = (z - whole * LN2_HIGH) - whole * LN2_LOW
    p = ((((r * C7 + C6) * r + C5) * r + C4) * r + C3) * r + C2
    return F(1) / (F(1) + times_two_to(p * (r * r) + (r + F(1)), k))


@njit(**INLINE)
def bounds(kind):
    """The lowest and the highest output of a clamp."""
    low = F(0) if kind in (RELU, RELU6) else F(-np.inf)
    return low, F(6) if kind == RELU6 else F(np.inf)


@njit(**INLINE)
def take(x, i, c, rows):
    """x[i : i + rows, c : c + LANES]; what lies right of the last column is 0."""
    n = x.shape[1] - c
    return load(x, i, c, rows, 1) if n >= LANES else load(x, i, c, rows, 1, n)


@njit(**INLINE)
def give(x, i, c, t):
    """x[i : i + rows, c : c + LANES] = t, as far as x has columns."""
    n = x.shape[1] - c
    if n >= LANES:
        store(x, i, c, t)
    else:
        store(x, i, c, t, n)


@njit(**PART)
def activate(z, at, n, fold, kind, gate, pixels, y):
    """y[:n] = f(z[at : at + n]), times the row of `gate` that belongs to the image, if there are any."""
    low, high = bounds(kind)
    for r in range(n):
        image = (at + r) // pixels
        for c in range(0, z.shape[1], LANES):
            u = take(z, at + r, c, 1)
            if kind != RAW:
                u = u * take(fold, 0, c, 1) + take(fold, 1, c, 1)
                u = u * sigmoid(u) if kind == SWISH else min(max(u, low), high)
            if len(gate):
                u *= take(gate, image, c, 1)
            give(y, r, c, u)


@njit(**PART)
def both(z, at, n, fold, kind, y, slope, tall):
    """y as above without gates, in panels of LANES columns and `tall` rows (scratch.in_panels), and dy / du: (n, C).

    Of RAW, y is z, and nobody asks for its slope.
    """
    low, high = bounds(kind)
    for r in range(n):
        for c in range(0, z.shape[1], LANES):
            u, place = take(z, at + r, c, 1), c // LANES * tall + r
            if kind == RAW:
                store(y, place, 0, u)
                continue
            u = u * take(fold, 0, c, 1) + take(fold, 1, c, 1)
            if kind == SWISH:
                s = sigmoid(u)
                store(y, place, 0, u * s)
                give(slope, r, c, s + u * s * (F(1) - s))
            else:
                store(y, place, 0, min(max(u, low), high))
                give(slope, r, c, positive(u - low) * positive(high - u))


@njit(**INLINE)
def add_up(some, c, t, d):
    """Add the sums over the rows of t, and of t d, to the two rows of `some`."""
    store(some, 0, c, correlate(load(some, 0, c, 1, 1), t, t * F(0) + F(1), 1))
    store(some, 1, c, correlate(load(some, 1, c, 1, 1), t, d, 1))


@njit(**PART)
def empty_sums(z):
    """Two rows, as long as a row of z."""
    some = scratch(2, z.shape[1] + LANES)
    some[:] = 0
    return some


@njit(**PART)
def moments(z, at, n, sums):
    """Add sum z and sum z^2 over rows at : at + n to sums (2, C), float64: centred on the first row, whatever that is."""
    some = empty_sums(z)
    for r in range(at, at + n - 3, 4):
        for c in range(0, z.shape[1], LANES):
            d = take(z, r, c, 4) - take(z, at, c, 1)
            add_up(some, c, d, d)
    for r in range(at + n // 4 * 4, at + n):
        for c in range(0, z.shape[1], LANES):
            d1 = take(z, r, c, 1) - take(z, at, c, 1)
            add_up(some, c, d1, d1)
    for c in range(z.shape[1] if n else 0):
        centre, one = np.float64(z[at, c]), np.float64(some[0, c])
        sums[0, c] += one + n * centre
        sums[1, c] += some[1, c] + (2 * one + n * centre) * centre


@njit(**PART)
def slopes(g, z, at, n, fold, sums):
    """Add sum g and sum g (z - centre) over rows at : at + n to sums (2, C), float64."""
    some = empty_sums(z)
    for r in range(at, at + n - 3, 4):
        for c in range(0, z.shape[1], LANES):
            add_up(some, c, take(g, r, c, 4), take(z, r, c, 4) - take(fold, 2, c, 1))
    for r in range(at + n // 4 * 4, at + n):
        for c in range(0, z.shape[1], LANES):
            add_up(some, c, take(g, r, c, 1), take(z, r, c, 1) - take(fold, 2, c, 1))
    for c in range(z.shape[1]):
        sums[0, c] += some[0, c]
        sums[1, c] += some[1, c]


@njit(**PART)
def bend_back(d, slope, n, z, fold, g, at, sums):
    """g[at : at + n] = d[:n] slope[:n], back through an activation, and the slopes of these rows."""
    some = empty_sums(z)
    for r in range(0, n - 3, 4):
        for c in range(0, z.shape[1], LANES):
            t = take(d, r, c, 4) * take(slope, r, c, 4)
            give(g, at + r, c, t)
            add_up(some, c, t, take(z, at + r, c, 4) - take(fold, 2, c, 1))
    for r in range(n // 4 * 4, n):
        for c in range(0, z.shape[1], LANES):
            t1 = take(d, r, c, 1) * take(slope, r, c, 1)
            give(g, at + r, c, t1)
            add_up(some, c, t1, take(z, at + r, c, 1) - take(fold, 2, c, 1))
    for c in range(z.shape[1]):
        sums[0, c] += some[0, c]
        sums[1, c] += some[1, c]


@njit(**PART)
def norm_back(g, z, at, n, by, y):
    """y[:n] = by[0] g + by[1] z + by[2]: back through a BatchNorm."""
    for r in range(n):
        for c in range(0, z.shape[1], LANES):
            a = take(g, at + r, c, 1) * take(by, 0, c, 1)
            give(y, r, c, a + (take(z, at + r, c, 1) * take(by, 1, c, 1) + take(by, 2, c, 1)))
