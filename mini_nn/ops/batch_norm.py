"""Batch normalisation: give every channel mean 0 and variance 1, then a scale and a shift that are learned.

    y = gamma (x - mean) / sqrt(var + eps) + beta

mean and var are the batch's own (training), or numbers from outside (prediction, and a frozen layer).
x, y (..., C); the rest (C,).  Ioffe & Szegedy 2015, algorithm 1.
"""

import numpy as np

from mini_nn.ops import Array, channel_sum

analytic = True


def statistics(x: Array) -> tuple[Array, Array]:
    """The batch's mean and biased variance for each channel, added up in float64, centred before squaring."""
    n, wide = x.size // x.shape[-1], np.result_type(x.dtype, np.float64)
    axes = tuple(range(x.ndim - 1))
    mean = x.sum(axes, dtype=wide) / n
    centred = x - mean.astype(x.dtype)
    return mean, (centred * centred).sum(axes, dtype=wide) / n


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
    x_hat, _ = normalise(x, mean, var, eps)
    return gamma * x_hat + beta


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
    x_hat, inv_std = normalise(x, mean, var, eps)
    dgamma, dbeta = channel_sum(dy * x_hat), channel_sum(dy)
    if not own:
        return dy * (gamma * inv_std), dgamma, dbeta
    n = x.size // x.shape[-1]  # what the mean and the variance would carry away is taken out
    return (dy - dbeta / n - x_hat * (dgamma / n)) * (gamma * inv_std), dgamma, dbeta


def normalise(x: Array, mean: Array, var: Array, eps: float) -> tuple[Array, Array]:
    """x_hat and 1 / sqrt(var + eps), in the dtype of x."""
    inv_std = (1 / np.sqrt(var + eps)).astype(x.dtype)
    return (x - mean.astype(x.dtype)) * inv_std, inv_std
