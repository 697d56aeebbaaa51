"""Record from PyTorch and Keras, in float64: the steps of optimisers, losses, clipped gradients and schedules.

    python tests/golden/record_optim.py            writes optim.npz
    python tests/golden/record_optim.py --check    records again and compares with the file; writes nothing

Nothing here knows mini_nn.  In the file, `cases` is a JSON text, {case: {make, options, source}}, `versions` another.
An optimiser's case holds `w`, one row a step: all parameters in the order of SHAPES, flattened and joined, as are
`start/w` and the rows of `start/g`, the gradients.  The rate falls to a tenth before step CHANGE, but for Keras' SGD,
which has the rate in its velocity.  PyTorch's cases go without a gradient for the bias in the steps GAPS.
"""

import os
import sys
from itertools import product
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import numpy as np
import torch
from keras.src.backend.common import dtypes
from recorder import Recorder, numbers
from torch.optim import lr_scheduler

FILE = Path(__file__).parent / "optim.npz"
SHAPES = {
    "depthwise.weight": (2, 2, 2),
    "norm.gamma": (2,),
    "norm.beta": (2,),
    "dense.weight": (2, 3),
    "dense.bias": (3,),
}
KINDS = {"norm": ("norm.gamma", "norm.beta"), "bias": ("dense.bias",), "depthwise": ("depthwise.weight",)}
STEPS, CHANGE, GAPS = 25, 15, (3, 8, 9)
TIMES = range(60)  # of schedules

OPTIMISERS = {  # ours: (torch's name, the options of its cases; no_decay becomes parameter groups)
    "SGD": ("SGD", [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.03},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.03},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.03},
        {"lr": 0.1, "weight_decay": 0.3, "no_decay": ["norm"]},
        {"lr": 0.1, "weight_decay": 0.3, "no_decay": ["bias"]},
        {"lr": 0.1, "weight_decay": 0.3, "no_decay": ["depthwise"]},
    ]),
    "RMSProp": ("RMSprop", [
        {},
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-3},
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "momentum": 0.9},
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "momentum": 0.9, "weight_decay": 0.03},
    ]),
    "Adam": ("Adam", [
        {},
        {"lr": 0.02, "betas": [0.8, 0.95], "eps": 1e-3},
        {"lr": 0.02, "weight_decay": 0.03},
        {"lr": 0.02, "weight_decay": 0.03, "no_decay": ["norm", "bias", "depthwise"]},
    ]),
    "AdamW": ("AdamW", [
        {},
        {"lr": 0.02, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.3},
        {"lr": 0.02, "weight_decay": 0.3, "no_decay": ["norm", "depthwise"]},
    ]),
}  # fmt: skip


def split(flat):
    """{name: array} from one row."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(SHAPES.items(), parts, strict=True)}


def start():
    """Start values, and gradients from 1e-6 to 1e3 in size."""
    size = int(sum(np.prod(shape) for shape in SHAPES.values()))
    scale = 10.0 ** np.linspace(-6, 3, size)[np.random.default_rng(0).permutation(size)]
    return numbers("start", "w", size), numbers("start", "g", (STEPS, size)) * scale


def torch_steps(name, options, w, g):
    """The parameters after each step."""
    options = dict(options)
    spared = {item for kind in options.pop("no_decay", ()) for item in KINDS[kind]}
    params = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in split(w).items()}
    groups = [
        {"params": [p for key, p in params.items() if key not in spared]},
        {"params": [p for key, p in params.items() if key in spared], "weight_decay": 0.0},
    ]
    optimiser = getattr(torch.optim, name)(groups, **options, foreach=False)
    for step, row in enumerate(g):
        for group in optimiser.param_groups:
            group["lr"] *= 0.1 if step == CHANGE else 1
        for key, grad in split(row).items():
            absent = key == "dense.bias" and step in GAPS
            params[key].grad = None if absent else torch.tensor(grad)
        optimiser.step()
        yield np.concatenate([p.detach().numpy().ravel() for p in params.values()])


def keras_steps(optimiser, w, g, ones=False):
    falls = not isinstance(optimiser, keras.optimizers.SGD)
    variables = [keras.Variable(value, dtype="float64") for value in split(w).values()]
    optimiser.build(variables)
    for velocity in optimiser._velocities if ones else ():
        velocity.assign(np.ones(velocity.shape))
    for step, row in enumerate(g):
        if falls and step == CHANGE:
            optimiser.learning_rate = optimiser.learning_rate * 0.1
        optimiser.apply([keras.ops.convert_to_tensor(grad) for grad in split(row).values()], variables)
        yield np.concatenate([keras.ops.convert_to_numpy(v).ravel() for v in variables])


def optimisers(out):
    w, g = start()
    out.arrays |= {"start/w": w, "start/g": g}
    for ours, (theirs, cases) in OPTIMISERS.items():
        for options in cases:
            case = f"torch {ours} {' '.join(f'{k}={v}' for k, v in options.items())}".strip()
            out.add(
                case, ours, options, f"torch.optim.{theirs}", {"w": list(torch_steps(theirs, options, w, g))}
            )
    rates = {"learning_rate": 0.02}
    tensorflow = {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "form": "tensorflow"}
    decay = {"rho": 0.9, "epsilon": 1e-3}
    ko = keras.optimizers
    for ours, options, theirs, ones in (
        ("SGD", {"lr": 0.02, "momentum": 0.9}, ko.SGD(**rates, momentum=0.9), False),
        (
            "SGD",
            {"lr": 0.02, "momentum": 0.9, "nesterov": True},
            ko.SGD(**rates, momentum=0.9, nesterov=True),
            False,
        ),
        ("RMSProp", tensorflow, ko.RMSprop(**rates, **decay), True),  # Keras starts at 0, TensorFlow at 1
        ("RMSProp", {**tensorflow, "momentum": 0.9}, ko.RMSprop(**rates, **decay, momentum=0.9), True),
        (
            "Adam",
            {"lr": 0.02, "eps": 0.0},
            ko.Adam(**rates, epsilon=0.0),
            False,
        ),  # only without eps are they the same
        (
            "AdamW",
            {"lr": 0.02, "eps": 0.0, "weight_decay": 0.3},
            ko.AdamW(**rates, epsilon=0.0, weight_decay=0.3),
            False,
        ),
    ):
        case = f"keras {ours} {' '.join(f'{k}={v}' for k, v in options.items())}"
        source = f"keras.optimizers.{type(theirs).__name__}{', mean square started at ones' if ones else ''}"
        out.add(case, ours, options, source, {"w": list(keras_steps(theirs, w, g, ones))})


def losses(out):
    rng = np.random.default_rng(1)
    logits, hard, soft = rng.standard_normal((6, 4)), rng.integers(0, 4, 6), rng.dirichlet(np.ones(4), 6)
    weights = np.array([0.5, 2.0, 0.0, 1.5])
    for size, kind, e, weighted in product((1.0, 1e4), ("hard", "soft"), (0.0, 0.1), (False, True)):
        x = torch.tensor(logits * size, requires_grad=True)
        labels, given = hard if kind == "hard" else soft, torch.tensor(weights) if weighted else None
        loss = torch.nn.functional.cross_entropy(x, torch.tensor(labels), weight=given, label_smoothing=e)
        loss.backward()
        arrays = {"logits": x.detach(), "labels": labels, "loss": loss.detach(), "dlogits": x.grad}
        arrays |= {"class_weights": weights} if weighted else {}
        case = f"loss {kind} x{size:g} smoothing {e}{' weighted' if weighted else ''}"
        out.add(
            case, "softmax_cross_entropy", {"label_smoothing": e}, "torch.nn.functional.cross_entropy", arrays
        )


def clipping(out):
    grads = {key: value / 100 for key, value in split(start()[1][0]).items()}
    for limit in (0.1, 3.0, 1e6):
        for make in ("clip_grad_norm", "clip_grad_value"):
            params = [
                torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in SHAPES.values()
            ]
            for p, grad in zip(params, grads.values(), strict=True):
                p.grad = torch.tensor(grad)
            norm = getattr(torch.nn.utils, f"{make}_")(params, limit)
            arrays = {"before": np.concatenate([grad.ravel() for grad in grads.values()])}
            arrays["after"] = np.concatenate([p.grad.numpy().ravel() for p in params])
            arrays |= {"norm": norm} if norm is not None else {}
            out.add(f"{make} {limit}", make, {"limit": limit}, f"torch.nn.utils.{make}_", arrays)


def torch_rates(make, lr):
    """The rate of each step under a scheduler of torch."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr)
    scheduler = make(optimiser)
    for _ in TIMES:
        yield optimiser.param_groups[0]["lr"]
        optimiser.step()
        scheduler.step()


def warm_cosine(optimiser):
    line = lr_scheduler.LinearLR(optimiser, start_factor=0.25, total_iters=10)
    return lr_scheduler.SequentialLR(optimiser, [line, lr_scheduler.CosineAnnealingLR(optimiser, 50)], [10])


def schedules(out):
    cosine = {"lr": 0.4, "steps": 60, "end": 0.01}
    warm = {"then": {"kind": "Cosine", "lr": 0.4, "steps": 50}, "steps": 10}
    for case, make, options, scheduler in (
        (
            "exponential",
            "Exponential",
            {"lr": 0.4, "decay": 0.9, "steps": 1},
            lambda o: lr_scheduler.ExponentialLR(o, 0.9),
        ),
        (
            "steps",
            "Exponential",
            {"lr": 0.4, "decay": 0.9, "steps": 7, "staircase": True},
            lambda o: lr_scheduler.StepLR(o, 7, 0.9),
        ),
        ("cosine", "Cosine", cosine, lambda o: lr_scheduler.CosineAnnealingLR(o, 60, eta_min=0.01)),
        ("warm-up", "Warmup", {**warm, "start": 0.1}, warm_cosine),
    ):
        arrays = {"lr": list(torch_rates(scheduler, 0.4))}
        out.add(f"schedule torch {case}", make, options, f"torch.optim.lr_scheduler ({case})", arrays)
    for options in (
        {},
        {"pct_start": 0.25, "anneal_strategy": "linear", "div_factor": 10.0, "final_div_factor": 100.0},
        {"pct_start": 0.4, "three_phase": True},
        {"pct_start": 0.0},
    ):
        case = f"one-cycle {' '.join(f'{k}={v}' for k, v in options.items())}".strip()
        make = lambda o, options=options: lr_scheduler.OneCycleLR(
            o, 0.4, len(TIMES), cycle_momentum=False, **options
        )
        arrays = {"lr": list(torch_rates(make, 0.4))}
        settled = {"lr": 0.4, "steps": len(TIMES), **options}
        out.add(f"schedule torch {case}", "OneCycle", settled, "torch.optim.lr_scheduler.OneCycleLR", arrays)
    ks = keras.optimizers.schedules
    falling = {"lr": 0.4, "decay": 0.97, "steps": 7.2}
    for case, make, options, schedule in (
        ("exponential", "Exponential", falling, ks.ExponentialDecay(0.4, 7.2, 0.97)),
        (
            "staircase",
            "Exponential",
            {**falling, "staircase": True},
            ks.ExponentialDecay(0.4, 7.2, 0.97, staircase=True),
        ),
        ("cosine", "Cosine", {"lr": 0.4, "steps": 40, "end": 0.04}, ks.CosineDecay(0.4, 40, alpha=0.1)),
        (
            "warm-up",
            "Warmup",
            {**warm, "start": 0.02},
            ks.CosineDecay(0.02, 50, warmup_target=0.4, warmup_steps=10),
        ),
    ):
        arrays = {"lr": [float(schedule(step)) for step in TIMES]}
        out.add(
            f"schedule keras {case}",
            make,
            options,
            f"keras.optimizers.schedules.{type(schedule).__name__}",
            arrays,
        )


def record():
    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)  # Keras counts in float32 even so, except on TensorFlow
    torch.set_num_threads(1)
    out = Recorder()
    for part in (optimisers, losses, clipping, schedules):
        part(out)
    return out.contents()


def check():
    """The largest |new - old| / max |old| over all arrays; infinite where the file holds others."""
    with np.load(FILE, allow_pickle=False) as file:
        old, new = dict(file), record()
    if new.keys() != old.keys() or new["cases"] != old["cases"]:
        return np.inf
    return max(np.abs(new[k] - old[k]).max() / max(np.abs(old[k]).max(), 1e-300) for k in new if "/" in k)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        np.savez_compressed(FILE, **record())
    elif check() > 1e-12:
        sys.exit("the file does not reproduce")
