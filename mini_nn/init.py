"""Every initial value, in one table, and the generators of the layers that draw random numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_nn.core import Buffer, Layer, Parameter, Shape, named_layers
from mini_nn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    PointwiseConv2D,
)
from mini_nn.ops import Array

Draw = Callable[[np.random.Generator, Shape], Array]


def he(fan_out: Callable[[Shape], int]) -> Draw:
    """Normal with variance 2 / fan_out, fan_out counting what one input number reaches  (He et al. 2015, section 2.2)."""
    return lambda rng, shape: rng.normal(0, np.sqrt(2 / fan_out(shape)), shape)


def uniform(rng: np.random.Generator, shape: Shape) -> Array:
    """Between -1 / sqrt(classes) and +1 / sqrt(classes)."""
    bound = 1 / np.sqrt(shape[1])
    return rng.uniform(-bound, bound, shape)


WEIGHT: dict[type[Layer], Draw] = {  # EfficientNet's code; the MobileNet papers name no initialiser
    Conv2D: he(lambda w: w[0] * w[1] * w[3]),
    DepthwiseConv2D: he(lambda w: w[0] * w[1]),  # each input number reaches one channel only
    PointwiseConv2D: he(lambda w: w[1]),
    Dense: uniform,
}
CONSTANT = {"bias": 0, "gamma": 1, "beta": 0, "running_mean": 0, "running_var": 1}


def initialize(model: Layer, rng: np.random.Generator, dtype: Any = np.float32) -> Layer:
    """Give every array its first value, and every Dropout its generator.  Returns the model."""
    check(rng)
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"initialize: dtype must be float32 or float64, not {dtype!r}")
    for _, layer in named_layers(model):
        for name, item in vars(layer).items():
            if isinstance(item, Parameter | Buffer):
                item.value = first_value(layer, name, item.shape, rng).astype(dtype)
    return seed(model, rng)


def first_value(layer: Layer, name: str, shape: Shape, rng: np.random.Generator) -> Array:
    """Drawn by the rule of the layer's class (or of the class it extends), or a constant that goes by the name."""
    if name in CONSTANT:
        return np.full(shape, CONSTANT[name])
    rules = [WEIGHT[kind] for kind in type(layer).__mro__ if kind in WEIGHT]
    if name != "weight" or not rules:
        raise ValueError(
            f"init knows no first value for {type(layer).__name__}.{name}: add a rule to init.WEIGHT"
        )
    return rules[0](rng, shape)


def seed(model: Layer, rng: np.random.Generator) -> Layer:
    """Give every Dropout and StochasticDepth a generator of its own.  A loaded model needs this to train."""
    check(rng)
    for _, layer in named_layers(model):
        if isinstance(layer, Dropout):
            layer.rng = np.random.default_rng(rng.integers(2**63))
    return model


def calibrate(model: Layer, x: Array) -> Layer:
    """Set every BatchNorm's running statistics to those of the batch x, so that signals keep their size.

    A network with random weights and untouched statistics maps every image to nearly the same output.
    """
    norms = [layer for _, layer in named_layers(model) if isinstance(layer, BatchNorm)]
    kept = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 1.0
        model.forward(x, train=True)
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
    return model


def check(rng: Any) -> None:
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a np.random.Generator (np.random.default_rng(0)), not {rng!r}")
