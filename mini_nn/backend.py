"""Which twin runs: kernels/ (Numba), or ops/ (NumPy) where MINI_NN_BACKEND=numpy.  Layers ask here.

A twin is imported when it is first used, so that importing mini_nn stays quick and compiles nothing.
"""

import importlib
import os
from types import ModuleType

KERNELS = (
    "batch_norm",
    "conv",
    "depthwise",
    "pointwise",
    "swish",
)  # the topics where a measurement says that it pays


def name() -> str:
    """'numba' or 'numpy'."""
    chosen = os.environ.get("MINI_NN_BACKEND") or "numba"
    if chosen not in ("numba", "numpy"):
        raise ValueError(f"MINI_NN_BACKEND is {chosen!r}; use 'numba' or 'numpy'")
    return chosen


def __getattr__(topic: str) -> ModuleType:
    if topic.startswith("_"):
        raise AttributeError(topic)
    floor = "kernels" if name() == "numba" and topic in KERNELS else "ops"
    try:
        module = importlib.import_module(f"mini_nn.{floor}.{topic}")
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise AttributeError(f"no operation called {topic!r}") from error
        raise ModuleNotFoundError(
            "Numba is not installed: pip install numba, or set MINI_NN_BACKEND=numpy", name="numba"
        ) from error
    globals()[topic] = module  # from now on an ordinary attribute
    return module
