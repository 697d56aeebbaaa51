"""Standard convolution: every output channel looks at every input channel, through K x K windows.

    y[n, i, j, o] = sum_{a, b, c} x[n, s i + a, s j + b, c] w[a, b, c, o]        (x padded with zeros)

The depthwise loop with `@` (mix the channels) where that has `*` (keep them apart).
Shapes: x (N, H, W, I), w (K, K, I / groups, O), y (N, OH, OW, O).  Howard et al. 2017 (MobileNets), eq. 1.
"""

import numpy as np

from mini_nn.ops import Array
from mini_nn.ops.padding import Padding, crop, pad, resolve, window

analytic = True


def forward(x: Array, w: Array, stride: int = 1, padding: Padding = "same", groups: int = 1) -> Array:
    """x (N, H, W, I), w (K, K, I / groups, O) -> y (N, OH, OW, O)."""
    check(x, w, groups)
    if groups > 1:  # each group is a convolution of its own
        xs, ws = np.split(x, groups, -1), np.split(w, groups, -1)
        return np.concatenate([forward(*xw, stride, padding) for xw in zip(xs, ws, strict=True)], -1)
    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads)
    y = np.zeros((len(x), *out, w.shape[3]), np.result_type(x, w))
    for a, b in np.ndindex(w.shape[:2]):
        y += xp[window(a, b, out, stride)] @ w[a, b]
    return y


def backward(
    dy: Array, x: Array, w: Array, stride: int = 1, padding: Padding = "same", groups: int = 1
) -> tuple[Array, Array]:
    """Return (dx, dw).  Each line undoes the line of `forward` in the same place."""
    if groups > 1:
        dys, xs, ws = (np.split(array, groups, -1) for array in (dy, x, w))
        grads = [backward(*dxw, stride, padding) for dxw in zip(dys, xs, ws, strict=True)]
        dxs, dws = zip(*grads, strict=True)
        return np.concatenate(dxs, -1), np.concatenate(dws, -1)
    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads)
    dxp, dw = np.zeros(xp.shape, np.result_type(dy, w)), np.empty(w.shape, np.result_type(dy, x))
    for a, b in np.ndindex(w.shape[:2]):
        here = window(a, b, out, stride)
        dxp[here] += dy @ w[a, b].T
        dw[a, b] = np.tensordot(xp[here], dy, ((0, 1, 2), (0, 1, 2)))
    return crop(dxp, pads), dw


def check(x: Array, w: Array, groups: int) -> None:
    """Raise ValueError where the channels do not fit."""
    if x.shape[-1] != w.shape[2] * groups or w.shape[3] % groups:
        raise ValueError(
            f"conv: x has {x.shape[-1]} channels, w {w.shape} with {groups} groups wants "
            f"{w.shape[2] * groups}, and its {w.shape[3]} filters must divide by the groups"
        )
