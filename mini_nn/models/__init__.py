"""The three families: the papers' tables as data, laid out as layers."""

import math
from typing import Any, NamedTuple

import numpy as np

from mini_nn.blocks import KERAS, Convention
from mini_nn.models import efficientnet, mobilenet_v1, mobilenet_v2
from mini_nn.models.network import MIN_SIZE, Network

__all__ = ["MIN_SIZE", "MODELS", "Network", "Spec", "build"]


class Spec(NamedTuple):
    """What the paper says of one network; `build` takes other values."""

    resolution: int  # pixels, of the images that it was published for
    dropout: float
    drop_path: float
    width_mult: float = 1.0
    depth_mult: float | None = None  # None: the family has no such knob


MODELS = {
    "mobilenet_v1": Spec(mobilenet_v1.RESOLUTION, mobilenet_v1.DROPOUT, mobilenet_v1.DROP_PATH),
    "mobilenet_v2": Spec(mobilenet_v2.RESOLUTION, mobilenet_v2.DROPOUT, mobilenet_v2.DROP_PATH),
} | {
    name: Spec(s.resolution, s.dropout, efficientnet.DROP_PATH, s.width_mult, s.depth_mult)
    for name, s in efficientnet.SCALES.items()
}


def build(
    name: str,
    num_classes: int = 1000,
    convention: Convention = KERAS,
    in_channels: int = 3,
    stem_stride: int = 2,
    dropout: float | None = None,
    drop_path: float | None = None,
    width_mult: float | None = None,
    depth_mult: float | None = None,
) -> Network:
    """Return the network `name` (a key of MODELS).  Its parameters have no value and take no memory yet.

    stem_stride 1 is for small images; None takes the paper's value; depth_mult is EfficientNet's alone.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; choose one of {', '.join(MODELS)}")
    spec = MODELS[name]
    if depth_mult is not None and spec.depth_mult is None:
        raise ValueError(f"{name} has no depth_mult, it was {depth_mult}; EfficientNets have one")
    if not isinstance(convention, Convention):
        raise ValueError(f"convention must be a blocks.Convention, not {convention!r}")
    width = number("width_mult", spec.width_mult if width_mult is None else width_mult, 0.01, 10)
    options: dict[str, Any] = {
        "num_classes": whole("num_classes", num_classes, 1),
        "convention": convention,
        "in_channels": whole("in_channels", in_channels, 1),
        "stem_stride": whole("stem_stride", stem_stride, 1, 2),
        "dropout": number("dropout", spec.dropout if dropout is None else dropout, 0, 0.99),
        "drop_path": number("drop_path", spec.drop_path if drop_path is None else drop_path, 0, 0.99),
    }
    if name == "mobilenet_v1":
        return mobilenet_v1.build(name, width, options)
    if name == "mobilenet_v2":
        return mobilenet_v2.build(name, width, options)
    depth = number("depth_mult", spec.depth_mult if depth_mult is None else depth_mult, 0.01, 10)
    return efficientnet.build(name, width, depth, options)


def number(what: str, value: Any, low: float, high: float) -> float:
    """value as a float, or ValueError where it is no number from low to high."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value <= high:
        raise ValueError(f"{what} must be a number from {low} to {high}, not {value!r}")
    return float(value)


def whole(what: str, value: Any, low: int, high: float = math.inf) -> int:
    """value as an int, or ValueError where it is no whole number from low to high."""
    if int(number(what, value, low, high)) != value:
        raise ValueError(f"{what} must be a whole number, not {value!r}")
    return int(value)
