"""inference.predict: a model's plans, made when they are needed and kept as long as its weights stay as they are."""

from weakref import WeakKeyDictionary

import numpy as np

from mini_nn import backend
from mini_nn.core import Layer, Shape, check_input, named_arrays, named_layers
from mini_nn.inference.plan import Plan, compile
from mini_nn.models import Network
from mini_nn.ops import Array

PRIME = 1021  # no multiple of it is likely to be the distance of two weights that change places
SHAPES = 4  # plans of one model that are kept: each has a copy of the weights
Kept = tuple[int, dict[Shape, Plan]]  # the mark of the weights, and a plan for each shape of images

kept: WeakKeyDictionary[Layer, Kept] = WeakKeyDictionary()


def predict(model: Layer, x: Array) -> Array:
    """model(x), x (N, H, W, C), by a plan where the model is a Network; training it in between is noticed.

    On the NumPy backend, and for a model that is no Network (lessons.mine's), it is model(x) itself.
    """
    if not isinstance(model, Network) or backend.name() == "numpy":
        return model(x)
    check_input(model, x)
    mark, shape = weights_mark(model), x.shape[1:]
    known, plans = kept.get(model, (None, {}))
    if known != mark:
        plans = {}
        kept[model] = mark, plans
    plan = plans.get(shape)
    if plan is None:
        plan = plans[shape] = compile(model, shape)
        for old in list(plans)[:-SHAPES]:
            plans.pop(old, None)
    return plan(x)


def weights_mark(model: Layer) -> int:
    """A number that changes with any weight, and with most exchanges of two: the arrays' bits, added up in PRIME columns."""
    parts: list[object] = [getattr(layer, "eps", 0.0) for _, layer in named_layers(model)]
    for _, item in named_arrays(model):
        raw = np.ascontiguousarray(item.value).reshape(-1).view(np.uint8)
        whole = raw.size // (8 * PRIME) * (8 * PRIME)
        columns = (
            raw[:whole].view(np.uint64).reshape(-1, PRIME).sum(0)
        )  # eight bytes at a time, without a cast
        parts += [id(item), columns.tobytes(), raw[whole:].tobytes()]
    return hash(tuple(parts))
