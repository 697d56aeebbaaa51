"""Batch normalisation, to be run: the twin of ops/batch_norm.py.

What makes it fast: no array of the size of x but the result (NumPy makes one for each + and *), and spans of
pixels go to threads.  Sums are taken in float64, over a fixed number of spans.
"""

from typing import Any

import numpy as np

from mini_nn.kernels import kernel, plain, share
from mini_nn.ops import Array

SPANS = 16


def statistics(x: Array) -> tuple[Array, Array]:
    """The batch's mean and biased variance for each channel, in float64, centred before squaring."""
    (pixels,) = plain(x.reshape(-1, x.shape[-1]))
    n, channels = pixels.shape
    parts, zero = np.zeros((2, SPANS, channels)), np.zeros(channels, x.dtype)
    share(_moments, SPANS, pixels.size // SPANS, pixels, zero, parts)
    mean = parts[0].sum(0) / n
    parts = np.zeros_like(parts)
    share(_moments, SPANS, pixels.size // SPANS, pixels, mean.astype(x.dtype), parts)
    return mean, parts[1].sum(0) / n


def forward(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-3,
) -> Array:
    """Normalise with the given mean and var, or with the batch's own where they are None."""
    if mean is None or var is None:
        mean, var = statistics(x)
    dtype = np.result_type(x, gamma, beta)
    scale = gamma / np.sqrt(var + eps)
    pixels, scale, shift = plain(x.reshape(-1, x.shape[-1]), *_as(dtype, scale, beta - mean * scale))
    y = np.empty_like(pixels)
    share(_scale_shift, len(pixels), pixels.shape[1], pixels, scale, shift, y)
    return y.reshape(x.shape)


def backward(
    dy: Array,
    x: Array,
    gamma: Array,
    beta: Array,  # noqa: ARG001  (the same arguments as forward; no slope depends on beta)
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-3,
    own: bool = False,
) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma, dbeta).  own: the given mean and var are the batch's, so they move with x."""
    if mean is None or var is None:
        (mean, var), own = statistics(x), True
    d, pixels = plain(dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1]))
    n, dtype = len(pixels), pixels.dtype
    inv_std = 1 / np.sqrt(var + eps)
    parts = np.zeros((2, SPANS, pixels.shape[1]))
    share(_slopes, SPANS, pixels.size // SPANS, d, pixels, *_as(dtype, mean, inv_std), parts)
    dbeta, dgamma = parts.sum(1)
    # dx = gamma inv_std (dy - dbeta / n - x_hat dgamma / n) is one product with dy, one with x, and a constant
    by_dy = gamma * inv_std
    by_x = -by_dy * inv_std * dgamma / n if own else np.zeros_like(by_dy)
    constant = -by_dy * dbeta / n - by_x * mean if own else by_x
    dx = np.empty_like(pixels)
    share(_combine, n, pixels.shape[1], d, pixels, *_as(dtype, by_dy, by_x, constant), dx)
    return dx.reshape(x.shape), dgamma.astype(dtype), dbeta.astype(dtype)


def _as(dtype: Any, *arrays: Array) -> list[Array]:
    return [np.array(a, dtype, order="C") for a in arrays]


@kernel
def _moments(x, centre, parts, start, stop):  # type: ignore[no-untyped-def]
    """Sums of x - centre and of its square, for spans start:stop of the pixels."""
    total, square = parts
    for part in range(start, stop):
        for p in range(len(x) * part // len(total), len(x) * (part + 1) // len(total)):
            for c in range(x.shape[1]):
                d = np.float64(x[p, c] - centre[c])
                total[part, c] += d
                square[part, c] += d * d


@kernel
def _scale_shift(x, scale, shift, y, start, stop):  # type: ignore[no-untyped-def]
    for p in range(start, stop):
        for c in range(x.shape[1]):
            y[p, c] = x[p, c] * scale[c] + shift[c]


@kernel
def _slopes(dy, x, mean, inv_std, parts, start, stop):  # type: ignore[no-untyped-def]
    """Sums of dy and of dy x_hat, for spans start:stop of the pixels."""
    dbeta, dgamma = parts
    for part in range(start, stop):
        for p in range(len(x) * part // len(dbeta), len(x) * (part + 1) // len(dbeta)):
            for c in range(x.shape[1]):
                d = np.float64(dy[p, c])
                dbeta[part, c] += d
                dgamma[part, c] += d * ((x[p, c] - mean[c]) * inv_std[c])


@kernel
def _combine(dy, x, by_dy, by_x, constant, dx, start, stop):  # type: ignore[no-untyped-def]
    for p in range(start, stop):
        for c in range(x.shape[1]):
            dx[p, c] = dy[p, c] * by_dy[c] + x[p, c] * by_x[c] + constant[c]
