"""How it is fast: the same functions as in ops/, compiled with Numba, where a measurement says that it pays.

Every kernel is a serial loop that gives the interpreter's lock back (nogil) and works on a span of rows; `share`
hands the spans to a few Python threads.  Numba's own `prange` is not used: its threads wait by spinning, and a
loop that follows a threaded matrix product then stands still for milliseconds (measured: 0.09 ms became 4.5 ms).

Compiled code is kept in a folder named by a hash of these files, because Numba alone does not notice that a
kernel which another kernel calls has changed.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np

from mini_nn.files import user_cache
from mini_nn.ops import Array

config: Any = numba.config
LINE = 16  # floats in a cache line
WORTH = 1 << 19  # inner steps below which waking a thread (about 60 us) costs more than it saves


@cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder for each version of the sources and of Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR")
    folder = (Path(base) if base else user_cache()) / f"kernels-{digest.hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:  # a home that cannot be written: compile once a process owner, somewhere that can
        folder = (
            Path(tempfile.gettempdir())
            / f"mini_nn-{os.getuid() if hasattr(os, 'getuid') else ''}"
            / folder.name
        )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def kernel(function: Callable[..., None]) -> Any:
    """Compile `function` at its first call, without the interpreter's lock, and keep the result on disk."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)  # a test for x / 0 would stop SIMD
    kept, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder())
    try:
        compiled.enable_caching()  # reads the folder now; other people's kernels keep theirs
    finally:
        config.CACHE_DIR = kept
    return compiled


def share(worker: Callable[..., None], total: int, steps: int, *arrays: Any) -> None:
    """Call worker(*arrays, start, stop) for spans that make up range(total), on all threads.

    steps: about how many inner steps one of `total` takes.  Which span is whose never changes a result.
    """
    threads = min(config.NUMBA_NUM_THREADS, total)
    if threads == 1 or total * steps < WORTH:
        worker(*arrays, 0, total)
        return
    cuts = [total * i // threads for i in range(threads + 1)]
    waiting = [pool().submit(worker, *arrays, a, b) for a, b in pairwise(cuts[1:])]
    worker(*arrays, 0, cuts[1])  # the caller works too
    for future in waiting:
        future.result()


@cache
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, config.NUMBA_NUM_THREADS - 1), "mini_nn")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # threads do not survive a fork


def aligned(floats: int) -> Array:
    """A float32 array that begins where a cache line does: a vector that lies in two lines is fetched twice."""
    whole = np.empty(floats + LINE, np.float32)
    start = -(whole.ctypes.data // whole.itemsize) % LINE
    return whole[start : start + floats]


def plain(*arrays: Array) -> list[Array]:
    """The arrays as the kernels want them: one dtype, C order, writeable; so each kernel is compiled once a dtype."""
    dtype = np.result_type(*arrays)
    return [
        a
        if a.dtype == dtype and a.flags.c_contiguous and a.flags.writeable
        else np.array(a, dtype, order="C")
        for a in arrays
    ]
