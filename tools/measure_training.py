"""Measure what the README says about training; each experiment writes results/NAME.json and prints a Markdown table.

python tools/measure_training.py digits        accuracy and time of three networks on mnist_5k, 3 seeds (15 minutes)
python tools/measure_training.py signs         sign_digits at 64 x 64 (needs the photographs; 5 minutes)
python tools/measure_training.py augmentation  20 images a class: with, without, each alone, darkened (15 minutes)
python tools/measure_training.py loader        a training step at 224 x 224 with the loader and without (2 minutes)
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn import data, init, losses, micro, models, optim, train
from mini_nn.data import ArraySplit, Loader, Recipe, Splits, Step
from mini_nn.files import written_whole

RESULTS = Path(__file__).parents[1] / "results"
DIGITS = "mobilenet_v1", "mobilenet_v2", "efficientnet_b0"


def digits() -> list[dict[str, Any]]:
    """Held-back accuracy and seconds of training (the evaluation aside), for each network and seed."""
    splits = data.load("mnist_5k")
    return [run(micro.MICRO[name], splits, seed) for name in DIGITS for seed in range(3)]


def signs() -> list[dict[str, Any]]:
    splits = data.load("sign_digits")
    in_memory = splits._replace(train=splits.train.in_memory(), valid=splits.valid.in_memory())
    return [run(micro.recipe("mobilenet_v2", in_memory), in_memory, seed) for seed in range(3)]


def augmentation() -> list[dict[str, Any]]:
    """20 digits a class; the transforms one by one; and photographs of hands that are darker than those trained on."""
    rows = []
    whole = data.load("mnist_5k")
    alone = {
        "none": Recipe(),
        "turn 15 degrees": Recipe((Step("affine", {"degrees": 15, "fill": 0.0}),)),
        "shear 15 degrees": Recipe((Step("affine", {"shear": 15, "fill": 0.0}),)),
        "scale 15 %": Recipe((Step("affine", {"scale": (0.85, 1.15), "fill": 0.0}),)),
        "crop with padding 3": Recipe((Step("random_crop", {"padding": 3}),)),
        "mirror": Recipe((Step("mirror"),)),
        "turn, scale and crop": Recipe(
            (
                Step("affine", {"degrees": 15, "scale": (0.85, 1.15), "fill": 0.0}),
                Step("random_crop", {"padding": 3}),
            )
        ),
    }
    for seed in range(5):
        few = whole._replace(train=a_few(whole.train, 20, seed))
        for name, recipe in alone.items():
            settings = micro.MICRO["mobilenet_v2"].with_(epochs=40, batch_size=20)
            rows.append({"augment": name, **run(settings, few, seed, augment=recipe)})
    return rows


def dark() -> list[dict[str, Any]]:
    """Train on 30 hands a class as they are; judge on the same held-back hands, as they are and at 40 % of the light."""
    rows = []
    splits = data.load("sign_digits")
    valid = splits.valid.in_memory()
    darker = ArraySplit(valid.y, valid.classes, (valid.x * 0.4).astype(np.uint8))
    mild = (Step("affine", {"degrees": 10, "translate": 0.1}),)
    light = (
        Step("brightness", {"amount": 0.7}),
        Step("contrast", {"amount": 0.4}),
        Step("channel_shift", {"amount": 0.1}),
    )
    for seed in range(3):
        few = splits._replace(train=a_few(splits.train, 30, seed).in_memory(), valid=valid)
        for name, steps in {"geometry alone": mild, "geometry and light": mild + light}.items():
            settings = micro.recipe("mobilenet_v2", few).with_(epochs=40, batch_size=32)
            model = settings.build(few, seed)
            row = run(settings, few, seed, augment=Recipe(steps), model=model)
            _, accuracy = train.evaluate(model, Loader(darker, 64, shuffle=False))
            rows.append({"augment": name, **row, "accuracy in the dark": accuracy})
    return rows


def loader() -> list[dict[str, Any]]:
    """Seconds a batch of 16 at 224 x 224: making it, training on it, and both at once."""
    rng = np.random.default_rng(0)
    photos = ArraySplit(
        np.arange(256) % 10, tuple("0123456789"), rng.integers(0, 255, (256, 256, 256, 3), np.uint8)
    )
    model = init.initialize(models.build("mobilenet_v2", num_classes=10), rng)
    optimiser = optim.SGD(model, lr=1e-3, momentum=0.9)
    recipe = Recipe((Step("random_resized_crop", {"size": (224, 224)}), Step("mirror"), Step("brightness")))

    def step(x: Any, y: Any) -> None:
        logits, cache = model.forward(x, train=True)
        model.backward(losses.softmax_cross_entropy(logits, y)[1], cache)
        optimiser.step()

    ready = list(islice(Loader(photos, 16, recipe, workers=0), 4))
    step(*ready[0])
    making = clock(lambda: list(islice(Loader(photos, 16, recipe, workers=0), 4))) / 4
    training = clock(lambda: [step(*batch) for batch in ready]) / 4
    row = {"making a batch alone": making, "training on ready batches": training}
    for workers in (0, 1, 2):
        row[f"both, workers={workers}"] = (
            clock(lambda w=workers: [step(*b) for b in Loader(photos, 16, recipe, w)]) / 16
        )
    row["predicted on 2 cores"] = max(
        training, making, (2 * training + making) / 2
    )  # training keeps both busy
    return [row]


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def a_few(split: Any, each: int, seed: int) -> Any:
    """`each` images of every class, drawn by seed."""
    order = np.random.default_rng(seed).permutation(len(split))
    return split.take(
        [i for label in range(len(split.classes)) for i in order[split.y[order] == label][:each]]
    )


def run(
    settings: micro.Micro, splits: Splits, seed: int, augment: Any = None, model: Any = None
) -> dict[str, Any]:
    """Train once; the accuracy of the last epoch, not of the luckiest."""
    model = model or settings.build(splits, seed)
    records = list(settings.fit(model, splits, seed, augment=augment))
    seconds = sum(r.seconds for r in records)
    row = {
        "network": settings.model,
        "seed": seed,
        "accuracy": records[-1].valid_accuracy,
        "seconds": seconds,
    }
    print(row, file=sys.stderr, flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and spread over seeds of every number, a line for each network and augmentation."""
    keys = [k for k in rows[0] if k in ("network", "augment")]
    numbers = [k for k in rows[0] if k not in (*keys, "seed")]
    lines = ["| " + " | ".join([*keys, *numbers]) + " |", "|---" * (len(keys) + len(numbers)) + "|"]
    for group in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        own = [row for row in rows if tuple(row[k] for k in keys) == group]
        cells = [
            f"{np.mean(v):.4g} ({min(v):.4g} to {max(v):.4g})"
            for v in ([row[n] for row in own] for n in numbers)
        ]
        lines.append("| " + " | ".join([*group, *cells]) + " |")
    return "\n".join(lines)


def main(names: list[str]) -> int:
    experiments = {f.__name__: f for f in (digits, signs, augmentation, dark, loader)}
    if not names or set(names) - experiments.keys():
        print(__doc__)
        return 2
    for name in names:
        rows = experiments[name]()
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        command = f"python tools/measure_training.py {name}"
        found = {"date": str(date.today()), "machine": machine, "command": command, "rows": rows}
        RESULTS.mkdir(exist_ok=True)
        with written_whole(RESULTS / f"{name}.json") as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
