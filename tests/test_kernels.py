"""The twins say the same, whatever the layout of the arrays and however many threads work."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from mini_nn import kernels
from mini_nn.kernels import batch_norm, conv, depthwise, pointwise, swish
from mini_nn.ops import batch_norm as plain_batch_norm
from mini_nn.ops import conv as plain_conv
from mini_nn.ops import depthwise as plain_depthwise
from mini_nn.ops import pointwise as plain_pointwise
from mini_nn.ops import swish as plain_swish

SHAPES = [(1, 1, 1, 1), (2, 1, 7, 3), (1, 6, 1, 5), (3, 7, 8, 9), (2, 33, 34, 16)]
DTYPES = [np.float32, np.float64]


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=DTYPES, ids=lambda d: d.__name__)
def dtype(request):
    return request.param


@pytest.fixture(params=["serial", "threads"], autouse=True)
def threads(request, monkeypatch):
    """Everything twice: in one piece, and cut into spans however small the work is."""
    monkeypatch.setattr(kernels, "WORTH", np.inf if request.param == "serial" else 0)


def same(got, want, dtype, factor=100):
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=factor * np.finfo(dtype).eps * max(1, np.abs(b).max()))


@pytest.mark.parametrize(
    "window", [(3, 1, "same"), (3, 2, "same"), (5, 2, "symmetric"), (5, 3, 4), (1, 2, "valid")], ids=str
)
def test_depthwise_twins_agree(shape, dtype, window, rng):
    k, *how = window
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((k, k, shape[3])).astype(dtype)
    y = plain_depthwise.forward(x, w, *how)
    dy = rng.standard_normal(y.shape).astype(dtype)
    same([depthwise.forward(x, w, *how)], [y], dtype)
    same(depthwise.backward(dy, x, w, *how), plain_depthwise.backward(dy, x, w, *how), dtype)


@pytest.mark.parametrize(
    "window", [(3, 1, "same"), (3, 2, "same"), (5, 3, "symmetric"), (1, 2, "valid")], ids=str
)
def test_conv_twins_agree(shape, dtype, window, rng):
    k, *how = window
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((k, k, shape[3], 4)).astype(dtype)
    y = plain_conv.forward(x, w, *how)
    dy = rng.standard_normal(y.shape).astype(dtype)
    same([conv.forward(x, w, *how)], [y], dtype)
    same(conv.backward(dy, x, w, *how), plain_conv.backward(dy, x, w, *how), dtype)


@pytest.mark.parametrize("outputs", [1, 16, 33, 70])
def test_pointwise_twins_agree(shape, dtype, outputs, rng):
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((shape[3], outputs)).astype(dtype)
    y = plain_pointwise.forward(x, w)
    dy = rng.standard_normal(y.shape).astype(dtype)
    same([pointwise.forward(x, w)], [y], dtype)
    same(pointwise.backward(dy, x, w), plain_pointwise.backward(dy, x, w), dtype)
    features = x[:, 0, 0]
    same([pointwise.forward(features, w)], [plain_pointwise.forward(features, w)], dtype)


@pytest.mark.parametrize("own", [False, True])
def test_batch_norm_twins_agree(shape, dtype, own, rng):
    x, dy = rng.standard_normal((2, *shape)).astype(dtype)
    gamma, beta = rng.standard_normal((2, shape[3])).astype(dtype)
    mean, var = plain_batch_norm.statistics(x) if own else rng.uniform(0.5, 2, (2, shape[3]))
    same(batch_norm.statistics(x), plain_batch_norm.statistics(x), dtype)
    arguments = (x, gamma, beta, mean, var, 1e-3)
    same([batch_norm.forward(*arguments)], [plain_batch_norm.forward(*arguments)], dtype)
    same(
        batch_norm.backward(dy, *arguments, own), plain_batch_norm.backward(dy, *arguments, own), dtype, 1000
    )


def test_swish_twins_agree(dtype, rng):
    x = np.concatenate([np.linspace(-100, 100, 5001), 3 * rng.standard_normal(777)]).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    same([swish.forward(x)], [plain_swish.forward(x)], dtype, 1)
    same([swish.backward(dy, x)], [plain_swish.backward(dy, x)], dtype, 20)


def test_any_layout_of_memory_gives_the_same(rng):
    w = rng.standard_normal((3, 3, 4)).astype(np.float32)
    x = rng.standard_normal((2, 6, 5, 4)).astype(np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    layouts = [np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1][::-1], frozen]
    for other in layouts:
        np.testing.assert_array_equal(depthwise.forward(other, w, 2), depthwise.forward(x, w, 2))
        np.testing.assert_array_equal(swish.forward(other), swish.forward(x))
        np.testing.assert_array_equal(batch_norm.statistics(other), batch_norm.statistics(x))


def test_mixed_dtypes_follow_numpys_rule(rng):
    x, w = rng.standard_normal((1, 5, 5, 2)).astype(np.float32), rng.standard_normal((3, 3, 2))
    assert depthwise.forward(x, w).dtype == plain_depthwise.forward(x, w).dtype == np.float64


def test_the_number_of_threads_changes_no_bit(rng, monkeypatch):
    x = rng.standard_normal((4, 9, 8, 6)).astype(np.float32)
    dy, w, one = (
        np.ascontiguousarray(x[::-1]),
        rng.standard_normal((3, 3, 6)).astype(np.float32),
        np.ones(6, np.float32),
    )
    results = []
    for number in (1, 2, 3, 8):
        monkeypatch.setattr(kernels.config, "NUMBA_NUM_THREADS", number)
        results.append(
            [*depthwise.backward(dy, x, w), *batch_norm.statistics(x), *batch_norm.backward(dy, x, one, one)]
        )
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_threads_of_the_caller_may_meet_in_a_kernel(rng):
    x, w = (
        rng.standard_normal((4, 20, 21, 8)).astype(np.float32),
        rng.standard_normal((3, 3, 8)).astype(np.float32),
    )
    expected, wrong = depthwise.forward(x, w), []

    def work():
        for _ in range(20):
            if not np.array_equal(depthwise.forward(x, w), expected):
                wrong.append(1)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not wrong
    assert not any(caller.is_alive() for caller in callers)


def test_an_error_in_a_span_reaches_the_caller(threads):
    def worker(start, stop):
        if stop == 10:
            raise ZeroDivisionError("in the last span")

    with pytest.raises(ZeroDivisionError, match="in the last span"):
        kernels.share(worker, 10, 1)


CHILD = """
import multiprocessing, sys
import numpy as np
from mini_nn import kernels
from mini_nn.kernels import depthwise
kernels.WORTH = 0
x, w = np.ones((2, 9, 9, 8), np.float32), np.ones((3, 3, 8), np.float32)
def work(queue):
    queue.put(float(depthwise.forward(x, w).sum()))
if __name__ == "__main__":
    depthwise.forward(x, w)  # the pool of threads exists before the fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=work, args=(queue,))
    child.start()
    print(queue.get(timeout=60) == float(depthwise.forward(x, w).sum()))
    child.join(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_kernels_work_after_a_fork():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout.strip() == "True", ran.stderr


def test_the_cache_folder_is_named_by_the_sources(tmp_path, monkeypatch):
    before = kernels.cache_folder()
    assert before.is_dir()
    copy = tmp_path / "kernels"
    shutil.copytree(kernels.Path(kernels.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernels, "__file__", str(copy / "__init__.py"))
    assert kernels.cache_folder.__wrapped__() == before
    for edited in (
        copy / "swish.py",
        copy / "tiles" / "registers.py",
    ):  # a kernel, and what other kernels call
        edited.write_text(edited.read_text() + "\n# edited\n")
        after = kernels.cache_folder.__wrapped__()
        assert after != before
        before = after


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    assert kernels.cache_folder.__wrapped__().is_dir()
