"""Depthwise convolution: each channel is filtered by a K x K filter of its own; channels are not mixed.

    y[n, i, j, c] = sum_{a, b} x[n, s i + a, s j + b, c] w[a, b, c]              (x padded with zeros)

Shapes: x (N, H, W, C), w (K, K, C), y (N, OH, OW, C).  Howard et al. 2017 (MobileNets), eq. 3.
"""

import numpy as np

from mini_nn.ops import Array, channel_sum
from mini_nn.ops.padding import Padding, crop, pad, resolve, window

analytic = True


def forward(x: Array, w: Array, stride: int = 1, padding: Padding = "same") -> Array:
    """x (N, H, W, C), w (K, K, C) -> y (N, OH, OW, C)."""
    check(x, w)
    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads)
    y = np.zeros((len(x), *out, x.shape[3]), np.result_type(x, w))
    for a, b in np.ndindex(w.shape[:2]):
        y += xp[window(a, b, out, stride)] * w[a, b]
    return y


def backward(
    dy: Array, x: Array, w: Array, stride: int = 1, padding: Padding = "same"
) -> tuple[Array, Array]:
    """Return (dx, dw).  Each line undoes the line of `forward` in the same place."""
    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads)
    dxp, dw = np.zeros(xp.shape, np.result_type(dy, w)), np.empty(w.shape, np.result_type(dy, x))
    for a, b in np.ndindex(w.shape[:2]):
        here = window(a, b, out, stride)
        dxp[here] += dy * w[a, b]
        dw[a, b] = channel_sum(dy * xp[here])
    return crop(dxp, pads), dw


def check(x: Array, w: Array) -> None:
    """Raise ValueError where the channels do not fit."""
    if x.shape[-1] != w.shape[-1]:
        raise ValueError(f"depthwise: x has {x.shape[-1]} channels, w has {w.shape[-1]}")
