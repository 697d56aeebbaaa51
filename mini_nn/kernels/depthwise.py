"""Depthwise convolution, to be run: the twin of ops/depthwise.py.

What makes it fast: no padded copy of x (taps outside the image are skipped), the inner loop runs over contiguous
channels (one SIMD lane each), and rows go to threads.
"""

import numpy as np

from mini_nn.kernels import kernel, plain, share
from mini_nn.ops import Array
from mini_nn.ops.depthwise import check
from mini_nn.ops.padding import Padding, resolve

SPANS = 16  # partial sums of dw; a fixed number, so that the result does not depend on the number of threads


def forward(x: Array, w: Array, stride: int = 1, padding: Padding = "same") -> Array:
    """x (N, H, W, C), w (K, K, C) -> y (N, OH, OW, C)."""
    check(x, w)
    x, w = plain(x, w)
    ((top, _), (left, _)), (oh, ow) = resolve(padding, x.shape[1:3], len(w), stride)
    y = np.empty((len(x), oh, ow, x.shape[3]), x.dtype)
    share(_forward, len(x) * oh, ow * w.size, x, w, stride, top, left, y)
    return y


def backward(
    dy: Array, x: Array, w: Array, stride: int = 1, padding: Padding = "same"
) -> tuple[Array, Array]:
    """Return (dx, dw)."""
    dy, x, w = plain(dy, x, w)
    ((top, _), (left, _)), _ = resolve(padding, x.shape[1:3], len(w), stride)
    n, oh, ow, _ = dy.shape
    dx, parts = np.empty_like(x), np.zeros((SPANS, *w.shape))
    share(_backward_x, n * x.shape[1], ow * w.size, dy, w, stride, top, left, dx)
    share(_backward_w, SPANS, n * oh * ow * w.size // SPANS, dy, x, stride, top, left, parts)
    return dx, parts.sum(0).astype(w.dtype)


@kernel
def _forward(x, w, stride, top, left, y, start, stop):  # type: ignore[no-untyped-def]
    """Rows start:stop of y, counted through all images."""
    _, h, width, channels = x.shape
    k, oh = len(w), y.shape[1]
    for row in range(start, stop):
        m, i = divmod(row, oh)
        for j in range(y.shape[2]):
            y[m, i, j] = 0
            for a in range(max(0, top - i * stride), min(k, h + top - i * stride)):
                for b in range(max(0, left - j * stride), min(k, width + left - j * stride)):
                    p, q = i * stride + a - top, j * stride + b - left
                    for c in range(channels):
                        y[m, i, j, c] += x[m, p, q, c] * w[a, b, c]


@kernel
def _backward_x(dy, w, stride, top, left, dx, start, stop):  # type: ignore[no-untyped-def]
    """Rows start:stop of dx: each collects from the outputs that saw it, so no two threads write one number."""
    _, oh, ow, channels = dy.shape
    k, h = len(w), dx.shape[1]
    for row in range(start, stop):
        m, p = divmod(row, h)
        for q in range(dx.shape[2]):
            dx[m, p, q] = 0
            for a in range(k):
                i, skipped = divmod(p + top - a, stride)
                if skipped or not 0 <= i < oh:
                    continue
                for b in range(k):
                    j, skipped = divmod(q + left - b, stride)
                    if skipped or not 0 <= j < ow:
                        continue
                    for c in range(channels):
                        dx[m, p, q, c] += dy[m, i, j, c] * w[a, b, c]


@kernel
def _backward_w(dy, x, stride, top, left, parts, start, stop):  # type: ignore[no-untyped-def]
    """Sums start:stop of SPANS.  A row of pixels is added up in the arrays' dtype, the rows in float64."""
    _, oh, ow, channels = dy.shape
    _, h, width, _ = x.shape
    rows, k = len(dy) * oh, parts.shape[1]
    one = np.empty(channels, dy.dtype)
    for part in range(start, stop):
        for row in range(rows * part // len(parts), rows * (part + 1) // len(parts)):
            m, i = divmod(row, oh)
            for a in range(max(0, top - i * stride), min(k, h + top - i * stride)):
                p = i * stride + a - top
                for b in range(k):
                    one[:] = 0
                    # from the first to the last output whose tap b is inside the image
                    first = max(0, -((b - left) // stride))
                    for j in range(first, min(ow, (width - 1 + left - b) // stride + 1)):
                        q = j * stride + b - left
                        for c in range(channels):
                            one[c] += dy[m, i, j, c] * x[m, p, q, c]
                    for c in range(channels):
                        parts[part, a, b, c] += one[c]
