"""Compile all kernels now, so that nothing waits for it later: `mini-nn warmup`."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from mini_nn import backend, inference, init, models
from mini_nn.core import Layer
from mini_nn.fused import fuse

SIZE = 32  # pixels: what is compiled does not depend on it


def plan(model: Layer, x: np.ndarray) -> None:
    inference.compile(model, x.shape[1:])(x)


def layers(model: Layer, x: np.ndarray) -> None:
    """One training step."""
    y, cache = model.forward(x, train=True)
    model.backward(np.ones_like(y), cache)


def fused(model: Layer, x: np.ndarray) -> None:
    layers(fuse(model), x)


JOBS: tuple[tuple[str, str, Callable[[Layer, np.ndarray], None]], ...] = (
    ("plans of MobileNets and EfficientNet-Lite", "mobilenet_v2", plan),
    ("plans of EfficientNets", "efficientnet_b0", plan),
    ("training", "efficientnet_b0", fused),
    ("training, layer by layer", "efficientnet_b0", layers),
)


def warm() -> Iterator[str]:
    """Compile one job after another; a line for each, with its seconds."""
    if backend.name() == "numpy":
        yield "MINI_NN_BACKEND is numpy: there is nothing to compile"
        return
    rng = np.random.default_rng(0)
    x = rng.random((2, SIZE, SIZE, 3), dtype=np.float32)
    for text, name, job in JOBS:
        model = models.build(name, num_classes=2, width_mult=0.35)
        init.initialize(model, rng)
        since = time.perf_counter()
        job(model, x)
        yield f"{text}: {time.perf_counter() - since:.1f} s"
