"""A network of ours beside a published one, with the same numbers in both: how far apart, and since where.

A reference (keras_nets.py, torch_nets.py) has
    load(values)              take {our name: array}
    run(x, dlogits, train)    -> Run, under our names and in our layout
    outputs(x, train)         -> {our name of a layer: its output}, for as many as it can tell
    macs(x)                   multiply-adds for one image
"""

import importlib
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest

from mini_nn import backend, blocks, init, models, profile
from mini_nn.core import Buffer, Parameter, named_arrays, named_layers
from mini_nn.layers import ReLU6

LIMITS = {
    "float64": (1e-9, 1e-9),
    "float32": (5e-5, 1e-3),
}  # of |ours - theirs| / |theirs|: forward, gradients
FLOORS = {"ops": "numpy", "kernels": "numba"}
table = []  # a Row for every comparison; conftest.py prints them

Arrays = dict[str, Any]


class Run(NamedTuple):
    logits: np.ndarray
    dx: np.ndarray
    grads: Arrays
    statistics: Arrays  # the running ones, after the forward


class Case(NamedTuple):
    network: str  # our name
    reference: str  # theirs, for the table
    make: Callable[..., Any]  # of the shape of an image and the dtype
    convention: blocks.Convention
    size: tuple[int, int]
    options: tuple[tuple[str, Any], ...] = ()  # of models.build
    batch: int = 4


class Row(NamedTuple):
    case: Case
    program: str
    backend: str
    forward: float
    gradients: float  # all of them and dx, as one vector
    tensor: float  # the worst of a single tensor
    statistics: float


def error(ours, theirs):
    """|ours - theirs| / |theirs|; infinite where the shapes differ or a number is not finite."""
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return np.inf
    size = np.linalg.norm(theirs)
    return float(np.linalg.norm(ours - theirs) / size) if size else float(np.any(ours != 0))


def joined(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def prepare(model, x, kinks=True, seed=0):
    """Random values of every kind; running statistics of x and as many other images: signals keep their size.

    Where a ReLU6's input is within rounding of 0 or 6, two float32 programs may take different slopes, and their
    gradients then differ by a hundredth.  kinks=False keeps the inputs away: a channel is on, off, or at 6.
    """
    rng = np.random.default_rng(seed)
    init.initialize(model, rng, dtype=np.float64)
    arrays = dict(named_arrays(model))
    for name, item in arrays.items():
        if name.endswith("gamma"):
            item.value = rng.uniform(0.5, 1.5, item.shape)
        elif name.endswith(("beta", "bias")):
            item.value = rng.normal(0, 0.3, item.shape)
    for _, layer in named_layers(model):
        if not kinks and isinstance(getattr(layer, "act", None), ReLU6):
            gamma, beta = layer.norm.gamma, layer.norm.beta
            gamma.value = rng.uniform(0.4, 0.7, gamma.shape)
            beta.value = rng.choice([3.0, -5.0, 11.0], beta.shape, p=[0.7, 0.15, 0.15])
    init.calibrate(model, np.concatenate([x, rng.normal(size=x.shape)]))
    return {name: item.value for name, item in arrays.items()}


def put(model, values):
    for name, item in named_arrays(model):
        item.value = values[name]
        if isinstance(item, Parameter):
            item.grad = None


def run_ours(model, x, dlogits, train):
    logits, cache = model.forward(x, train=train)
    dx = model.backward(dlogits, cache)
    arrays = dict(named_arrays(model))
    trained = {name: item for name, item in arrays.items() if isinstance(item, Parameter)}
    grads = {n: np.zeros(p.shape, x.dtype) if p.grad is None else p.grad for n, p in trained.items()}
    statistics = {name: item.value for name, item in arrays.items() if isinstance(item, Buffer)}
    return Run(logits, dx, grads, statistics)


def without_gradient(model, train):
    """Shifts that the next BatchNorm takes out again: a 1 x 1 convolution of a constant is a constant."""
    if not train or not hasattr(model, "head"):
        return set()
    blocks = [(f"stages.{i}.{j}", b) for i, s in model.stages.children() for j, b in s.children()]
    following = pairwise([*blocks, ("head", model.head)])
    return {
        f"{name}.project.norm.beta"
        for (name, _), (to, b) in following
        if to == "head" or hasattr(b, "expand")
    }


PROGRAMS = {  # dtype, train, values on the kinks of ReLU6 too
    "float64 inference": ("float64", False, True),
    "float64 train": ("float64", True, True),
    "float32 inference": ("float32", False, True),
    "float32 off the kinks": ("float32", False, False),
}


def swish(case):
    return case.network.startswith("efficientnet_b")


def judged(case, program):
    """Whether gradients can be held to the limit: see prepare."""
    return swish(case) or program != "float32 inference"


def programs(cases, names=tuple(PROGRAMS)):
    """pytest parameters (case, program); swish has no kinks to be off."""
    found = []
    for case in cases:
        for program in names:
            if not (swish(case) and program.endswith("kinks")):
                size = "x".join(map(str, case.size))
                found.append(
                    pytest.param(case, program, id=f"{case.network}-{case.reference}-{size}-{program}")
                )
    return found


@lru_cache(maxsize=1)
def settled(case, kinks):
    """Our network for a case, its values and its images, in float64."""
    shape = (*case.size, 3)
    no_chance = {"dropout": 0.0, "drop_path": 0.0}
    model = models.build(case.network, convention=case.convention, **no_chance, **dict(case.options))
    x = np.random.default_rng(2).normal(size=(case.batch, *shape))
    values = prepare(model, x, kinks)
    return model, values, x


@lru_cache(maxsize=1)
def theirs(case, dtype):
    return case.make((*case.size, 3), dtype)


def check(case, program):
    """Compare a case on both of our floors, and write a row each."""
    dtype, train, kinks = PROGRAMS[program]
    (model, values, x), reference = settled(case, kinks), theirs(case, dtype)
    x = x.astype(dtype)
    assert profile.profile(model, x.shape[1:]).macs == reference.macs(x), "multiply-adds differ"
    what = f"{case.network} and {case.reference} at {case.size}, {program}"
    for name, found in compare(model, reference, values, x, train, what, judged(case, program)).items():
        table.append(Row(case, program, name, *found))


def compare(model, reference, values, x, train, what="", hold=True, floors=FLOORS):
    """Raise AssertionError, naming the first layer that diverges, unless both do the same with the values.

    Returns, for each backend, the errors of the logits, of all gradients together, of the worst of them, and of
    the worst running statistic.  hold=False: do not hold the gradients to their limit.
    """
    values = {name: value.astype(x.dtype) for name, value in values.items()}
    reference.load(values)
    rng, classes = np.random.default_rng(1), model.classifier.weight.shape[1]
    dlogits = rng.normal(size=(len(x), classes)).astype(x.dtype)
    them, found = reference.run(x, dlogits, train), {}
    for floor, name in floors.items():
        with pytest.MonkeyPatch.context() as patch:
            for topic in backend.KERNELS:
                twin = importlib.import_module(f"mini_nn.{floor}.{topic}")
                patch.setattr(backend, topic, twin, raising=False)
            put(model, values)
            us, here = run_ours(model, x, dlogits, train), f"{what} ({name})"
            forward = error(us.logits, them.logits)
            limit = LIMITS[str(x.dtype)][0]
            if forward > limit:
                layer = first_layer(model, reference, values, x, train, limit)
                raise AssertionError(f"{here}: logits differ by {forward:.1e} (limit {limit:.0e}); {layer}")
            found[name] = (
                forward,
                *judge_gradients(model, us, them, train, here, hold),
                judge_statistics(us, them, here),
            )
    return found


def judge_statistics(us, them, what):
    """The worst error of a running statistic; AssertionError above the limit."""
    off = {name: error(us.statistics[name], them.statistics[name]) for name in us.statistics}
    for name, here in off.items():
        limit = LIMITS[str(us.dx.dtype)][0]
        assert here <= limit, (
            f"{what}: logits agree, the first statistic that diverges is {name}, by {here:.1e}"
        )
    return max(off.values())


def judge_gradients(model, us, them, train, what, hold):
    """The errors of all gradients and dx as one vector, and of the worst; AssertionError above the limit."""
    limit = LIMITS[str(us.dx.dtype)][1]
    zero = without_gradient(model, train)
    assert us.grads.keys() == them.grads.keys()
    vectors = [joined([*run.grads.values(), run.dx]) for run in (us, them)]
    off = {"x": error(us.dx, them.dx)}
    off |= {name: error(us.grads[name], them.grads[name]) for name in us.grads if name not in zero}
    total, worst = error(*vectors), max(off.values())
    single = limit if us.dx.dtype == np.float64 else np.inf  # in float32 a small tensor may be all rounding
    if hold and (total > limit or worst > single):
        late = next((name for name in reversed(off) if off[name] > limit), max(off, key=off.__getitem__))
        raise AssertionError(
            f"{what}: logits agree, gradients differ by {total:.1e} (limit {limit:.0e}); "
            f"going backwards, the first that diverges is that of {late}, by {off[late]:.1e}"
        )
    for name in zero:
        here, all_of_them = np.linalg.norm(us.grads[name]), np.linalg.norm(vectors[1])
        assert here < limit * all_of_them, f"{what}: {name} should have no gradient"
    return total, worst


def first_layer(model, reference, values, x, train, limit):
    """A sentence with the name of the first layer whose output is off by more than the limit."""
    put(model, values)
    reference.load(values)
    seen = reference.outputs(x, train)
    for name, output in profile.outputs(model, x, train).items():
        if name in seen:
            same = seen[name].reshape(output.shape) if seen[name].size == output.size else seen[name]
            off = error(output, same)
            if off > limit:
                return f"the first layer that diverges is {name}, by {off:.1e}"
    return "no layer on the way diverges by itself"
