"""Kernels of register tiles say what NumPy says: any size, tails, strides, one pixel, one row; and touch nothing else.

Every array lies among NaNs, which must still be there afterwards.  The last test runs the others once more with arrays
that end where a page of memory begins that may not be read: there, one vector too far kills the process.
"""

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from mini_nn.kernels import kernel
from mini_nn.kernels.tiles.activation import CLAMP, SIGMOID, SWISH, activate
from mini_nn.kernels.tiles.conv import convolved_row
from mini_nn.kernels.tiles.depthwise import any_row, row
from mini_nn.kernels.tiles.pointwise import FEW, PANEL, ROWS, STEP, pack, rows
from mini_nn.kernels.tiles.registers import (
    LANES,
    correlate,
    glimpse,
    load,
    matrix,
    put,
    spread,
    store,
    zeros,
)  # fmt: skip # isort: skip
from mini_nn.ops import conv, depthwise
from mini_nn.ops.padding import resolve

GUARD = "MINI_NN_TEST_GUARD"
AROUND = 64  # floats
LOW, HIGH = np.float32(-0.5), np.float32(0.75)


def among(values):
    """A copy of the values, and the memory around it."""
    values = np.asarray(values, np.float32)
    if os.environ.get(GUARD):
        size = -(-max(1, values.nbytes) // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = mmap.mmap(-1, size + mmap.PAGESIZE)
        whole = np.frombuffer(pages, np.float32, size // 4)
        end = ctypes.c_void_p(whole.ctypes.data + size)
        assert ctypes.CDLL(None).mprotect(end, mmap.PAGESIZE, 0) == 0
        inner = whole[size // 4 - values.size :]
        around = whole[: size // 4 - values.size]
        around[:] = np.nan
    else:
        whole = np.full(values.size + 2 * AROUND, np.nan, np.float32)
        inner = whole[AROUND : AROUND + values.size]
        around = np.delete(np.arange(whole.size), np.s_[AROUND : AROUND + values.size])
        around = (whole, around)
    inner[:] = values.ravel()
    return inner.reshape(values.shape), around


def untouched(around):
    if isinstance(around, tuple):
        around = around[0][around[1]]
    return bool(np.isnan(around).all())


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def same(y, expected):
    np.testing.assert_allclose(y, expected, rtol=0, atol=3e-5)


# tiles themselves


@kernel
def copied(x, y, n):
    store(y, 0, 0, load(x, 0, 0, 3, 2, n) * 2.0 + load(x, 0, 0, 1, 2, n), n)


@pytest.mark.parametrize("n", [1, LANES - 1, LANES, LANES + 1, 2 * LANES - 1, 2 * LANES])
def test_tails_are_masked(n):
    (x, _), (y, around) = among(normal(3, n)), among(np.zeros((3, n)))
    copied(x, y, n)
    same(y, 2 * x + x[:1])
    assert untouched(around)


@kernel
def arithmetic(a, b, y):
    s, t = load(a, 0, 0, 2, 1), load(b, 0, 0, 2, 1)
    store(y, 0, 0, min(s, t) + max(s, 0.5) - s / t)
    store(y, 2, 0, max(min(s, 1.0), -1.0))


def test_operators_work_by_element_and_a_nan_stays():
    a, b = normal(2, LANES), normal(3, LANES)[:2]
    a[0, 3] = np.nan
    y = np.zeros((4, LANES), np.float32)
    arithmetic(a, b, y)
    np.testing.assert_allclose(y[:2], np.minimum(a, b) + np.maximum(a, np.float32(0.5)) - a / b, rtol=1e-5)
    np.testing.assert_array_equal(y[2:], np.clip(a, -1, 1))


@kernel
def windows(x, w, y, stride_is_two):
    if stride_is_two:
        store(y, 0, 0, correlate(zeros(3, 1), load(x, 0, 0, 7, 1), load(w, 0, 0, 3, 1), 2))
    else:
        store(y, 0, 0, correlate(zeros(3, 1), load(x, 0, 0, 5, 1), load(w, 0, 0, 3, 1), 1))


@pytest.mark.parametrize("stride", [1, 2])
def test_correlate_is_a_row_of_a_convolution(stride):
    x, w, y = normal(7, LANES), normal(3, LANES), np.zeros((3, LANES), np.float32)
    windows(x, w, y, stride == 2)
    same(y, [(x[stride * m : stride * m + 3] * w).sum(0) for m in range(3)])


@kernel
def parts(x, y, first, last, at, width, step):
    put(y, 0, 0, glimpse(x, 0, 0, 4, first, last) + spread(matrix(x, at, 4, width, step), 0, 1, 4), last)


@pytest.mark.parametrize(("first", "last"), [(0, 4), (1, 3), (-2, 2), (2, 9), (0, 0)])
def test_rows_outside_read_as_zeros_and_are_not_written(first, last):
    x, y = normal(8, LANES), np.full((4, LANES), 7, np.float32)
    parts(x, y, first, last, 2, 3, 5)
    seen = np.array([x[m] if first <= m < last else 0 * x[m] for m in range(4)])
    expected = seen + np.array([x.ravel()[2 + 5 * m + 1] for m in range(4)])[:, None]
    same(y[: max(0, last)], expected[: max(0, last)])
    assert (y[max(0, last) :] == 7).all()


@kernel
def activated(x, y):
    store(y, 0, 0, activate(load(x, 0, 0, 1, 1), SIGMOID, (LOW, HIGH)))
    store(y, 1, 0, activate(load(x, 0, 0, 1, 1), SWISH, (LOW, HIGH)))
    store(y, 2, 0, activate(load(x, 0, 0, 1, 1), CLAMP, (LOW, HIGH)))


def test_activations():
    y = np.zeros((3, LANES), np.float32)
    for x in np.linspace(-30, 30, 40 * LANES, dtype=np.float32).reshape(-1, 1, LANES):
        activated(x, y)
        exact = 1 / (1 + np.exp(-x[0].astype(np.float64)))
        assert np.abs(y[0] - exact).max() < 3e-7
        assert np.abs(y[1] - x[0] * exact).max() < 5e-6
        np.testing.assert_array_equal(y[2], np.clip(x[0], LOW, HIGH))
    x[0, 0] = np.nan
    activated(x, y)
    assert np.isnan(y[:, 0]).all()


# kernels


@kernel
def product(x, packed, y, residual, low, high):
    rows(x, packed, y, residual, CLAMP, (low, high), 0, len(x), 0, -(-y.shape[1] // PANEL))


@pytest.mark.parametrize("added", [False, True], ids=["alone", "with a residual"])
@pytest.mark.parametrize(
    "m", sorted({1, 2, FEW, FEW + 1, ROWS - 1, ROWS, ROWS + 1, STEP + 5, 49, 3 * STEP + FEW})
)
def test_pointwise(m, added):
    for n in sorted(
        {1, 7, 8, 9, LANES, LANES + 1, 24, PANEL - 1, PANEL, PANEL + 1, PANEL + LANES, 3 * PANEL + 5}
    ):
        for k in (1, 3, 4, 18):
            w, bias = normal(k, n), normal(n)
            (x, _), (y, around) = among(normal(m, k)), among(np.zeros((m, n)))
            residual, _ = among(normal(m + 1, n)[:m] if added else np.zeros((0, n)))
            product(x, among(pack(w, bias))[0], y, residual, LOW, HIGH)
            same(y, np.clip(x @ w + bias + (residual if added else 0), LOW, HIGH))
            assert untouched(around), (k, n)


def test_pointwise_in_blocks_of_a_deep_matrix():
    x, w = normal(200, 700), normal(700, 40) / 20
    y = np.zeros((200, 40), np.float32)
    product(x, pack(w), y, np.zeros((0, 40), np.float32), LOW, HIGH)
    same(y, np.clip(x @ w, LOW, HIGH))


@kernel
def filtered(x, w, bias, y, shape, images, code, k, stride):
    for r in range(images * shape[2]):
        if code == 31:
            row(x, w, bias, y, CLAMP, (LOW, HIGH), 3, 1, 9, shape, r)
        elif code == 32:
            row(x, w, bias, y, CLAMP, (LOW, HIGH), 3, 2, 15, shape, r)
        elif code == 51:
            row(x, w, bias, y, CLAMP, (LOW, HIGH), 5, 1, 11, shape, r)
        elif code == 52:
            row(x, w, bias, y, CLAMP, (LOW, HIGH), 5, 2, 17, shape, r)
        else:
            any_row(x, w, bias, y, CLAMP, (LOW, HIGH), k, stride, shape, r)


SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (5, 6), (7, 7), (8, 15), (13, 29)]
FILTERS = [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1), (3, 3), (4, 1), (7, 2)]


@pytest.mark.parametrize("padding", ["same", "symmetric", "valid"])
@pytest.mark.parametrize(("k", "stride"), FILTERS)
def test_depthwise(k, stride, padding):
    own = (k, stride) in FILTERS[:4]
    for height, width in SIZES:
        if padding == "valid" and min(height, width) < k:
            continue
        for c in (LANES, LANES + 1, 2 * LANES + 7) if own else (1, 3, LANES - 1, LANES + 3):
            w, bias = normal(k, k, c), normal(c)
            x, _ = among(normal(2, height, width, c))
            expected = np.clip(depthwise.forward(x, w, stride, padding) + bias, LOW, HIGH)
            ((above, _), (left, _)), (down, across) = resolve(padding, (height, width, c), k, stride)
            y, around = among(np.zeros((2 * down * across, c)))
            flat, shape = x.reshape(-1, c), (height, width, down, across, above, left)
            filtered(
                flat,
                among(w.reshape(-1, c))[0],
                among(bias[None])[0],
                y,
                shape,
                2,
                10 * k + stride if own else 0,
                k,
                stride,
            )
            same(y, expected.reshape(y.shape))
            assert untouched(around), (height, width, c)


@kernel
def convolved(x, packed, y, taps, c, k, stride, above, left):
    for r in range(len(y)):
        convolved_row(x, packed, y[r], taps, CLAMP, (LOW, HIGH), c, k, stride, r * stride - above, left)


@pytest.mark.parametrize("padding", ["same", "symmetric", "valid"])
@pytest.mark.parametrize(("k", "stride", "c"), [(3, 2, 3), (3, 1, 1), (5, 3, 2), (1, 1, 4)])
def test_a_standard_convolution(k, stride, c, padding):
    for height, width in [*SIZES, (4, 60)]:
        if padding == "valid" and min(height, width) < k:
            continue
        for n in (1, LANES, PANEL, PANEL + 9):
            w, bias, (x, _) = normal(k, k, c, n), normal(n), among(normal(height, width, c))
            expected = np.clip(conv.forward(x[None], w, stride, padding)[0] + bias, LOW, HIGH)
            ((above, _), (left, _)), _ = resolve(padding, x.shape, k, stride)
            y, around = among(np.zeros(expected.shape))
            packed, taps = among(pack(w.reshape(-1, n), bias))[0], among(np.zeros((1, k * k * c)))[0]
            convolved(x.reshape(height, -1), packed, y, taps, c, k, stride, above, left)
            same(y, expected)
            assert untouched(around), (height, width, n)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect is called as Linux has it")
@pytest.mark.skipif(GUARD in os.environ, reason="this is the second run")
def test_nothing_is_read_behind_the_end():
    chosen = ["-k", "masked or pointwise or depthwise or convolution"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-q", "-x", *chosen],
        env={**os.environ, GUARD: "1"}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "skipped" not in ran.stdout
