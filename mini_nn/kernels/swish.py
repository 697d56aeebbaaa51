"""Swish, to be run: the twin of ops/swish.py for float32.  (float64 is for proofs, and takes NumPy's.)

What makes it fast: one pass instead of eight, and an exponential that the compiler can turn into SIMD:
exp(z) = 2^k exp(r) with r = z - k ln 2 below 0.35, where eight terms of the series give all digits of a float32,
and 2^k is written straight into a float's exponent bits.
"""

import math

import numpy as np

from mini_nn.kernels import kernel, plain, share
from mini_nn.ops import Array
from mini_nn.ops import swish as readable

BLOCK = 256
F = np.float32
LOG2_E, LN2_HIGH = F(1 / math.log(2)), F(0.693359375)  # high part: few bits, so that k times it is exact
LN2_LOW = F(math.log(2) - 0.693359375)
C2, C3, C4, C5, C6, C7 = (F(1 / math.factorial(i)) for i in range(2, 8))
LOWEST = F(-87)  # exp of less is no longer a normal float32
ONE, HALF, EXPONENT = F(1), F(0.5), np.int32(1 << 23)


def forward(x: Array) -> Array:
    """x -> y, any shape."""
    if x.dtype != np.float32:
        return readable.forward(x)
    (flat,) = plain(x.reshape(-1))
    y = np.empty_like(flat)
    share(_forward, -(-flat.size // BLOCK), 4 * BLOCK, flat, y)
    return y.reshape(x.shape)


def backward(dy: Array, x: Array) -> Array:
    """Return dx."""
    if x.dtype != np.float32 or dy.dtype != np.float32:
        return readable.backward(dy, x)
    d, flat = plain(dy.reshape(-1), x.reshape(-1))
    dx = np.empty_like(flat)
    share(_backward, -(-flat.size // BLOCK), 4 * BLOCK, d, flat, dx)
    return dx.reshape(x.shape)


@kernel
def _sigmoid(x, bits, power, s):  # type: ignore[no-untyped-def]
    """s = sigmoid(x) for at most BLOCK numbers; bits and power are the same memory, as integers and as floats."""
    for i in range(len(x)):
        z = -abs(x[i])
        z = LOWEST if z < LOWEST else z  # noqa: FURB136  (max would lose NaN)
        k = np.int32(z * LOG2_E - HALF)  # cut towards 0, so this rounds to the nearest
        bits[i] = np.int32(k + 127) * EXPONENT
        r = (z - F(k) * LN2_HIGH) - F(k) * LN2_LOW
        s[i] = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
    for i in range(len(x)):
        e = s[i] * power[i]
        s[i] = (e if x[i] < 0 else ONE) / (ONE + e)


@kernel
def _forward(x, y, start, stop):  # type: ignore[no-untyped-def]
    """Blocks start:stop of BLOCK numbers."""
    bits, s = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.float32)
    for block in range(start, stop):
        here = slice(block * BLOCK, min(len(x), (block + 1) * BLOCK))
        xs, ys = x[here], y[here]
        _sigmoid(xs, bits, bits.view(np.float32), s)
        for i in range(len(xs)):
            ys[i] = xs[i] * s[i]


@kernel
def _backward(dy, x, dx, start, stop):  # type: ignore[no-untyped-def]
    bits, s = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.float32)
    for block in range(start, stop):
        here = slice(block * BLOCK, min(len(x), (block + 1) * BLOCK))
        d, xs, dxs = dy[here], x[here], dx[here]
        _sigmoid(xs, bits, bits.view(np.float32), s)
        for i in range(len(xs)):
            dxs[i] = d[i] * (s[i] + xs[i] * s[i] * (ONE - s[i]))
