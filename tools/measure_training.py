"""Measure what the README says about training; each experiment writes results/NAME.json and prints a Markdown table.

python tools/measure_training.py digits        accuracy and time of three networks on mnist_5k, 3 seeds (15 minutes)
python tools/measure_training.py signs         sign_digits at 64 x 64 (needs the photographs; 5 minutes)
python tools/measure_training.py augmentation  20 digits a class: without, each transform alone, together (10 minutes)
python tools/measure_training.py dark          30 hands a class, judged in less light (needs the photographs; 5 minutes)
python tools/measure_training.py loader        a training step at 224 x 224 with the loader and without (5 minutes)
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

from mini_nn import data, init, losses, micro, models, optim, train
from mini_nn.data import ArraySplit, Loader, PhotoSplit, Recipe, Splits, Step
from mini_nn.files import written_whole

RESULTS = Path(__file__).parents[1] / "results"
DIGITS = "mobilenet_v1", "mobilenet_v2", "efficientnet_b0"


def digits() -> list[dict[str, Any]]:
    """Held-back accuracy and seconds of training, waiting for the loader included, for each network and seed."""
    splits = data.load("mnist_5k")
    return [run(micro.MICRO[name], splits, seed) for name in DIGITS for seed in range(3)]


def signs() -> list[dict[str, Any]]:
    splits = data.load("sign_digits")
    in_memory = splits._replace(train=splits.train.in_memory(), valid=splits.valid.in_memory())
    return [run(micro.recipe("mobilenet_v2", in_memory), in_memory, seed) for seed in range(3)]


def augmentation() -> list[dict[str, Any]]:
    """20 digits a class: without any, each transform alone, and those that help together."""
    affine = {"fill": 0.0}
    alone = {
        "none": (),
        "turn by up to 15 degrees": (Step("affine", {"degrees": 15, **affine}),),
        "shear by up to 15 degrees": (Step("affine", {"shear": 15, **affine}),),
        "scale by up to 15 %": (Step("affine", {"scale": (0.85, 1.15), **affine}),),
        "shift by up to 10 %": (Step("affine", {"translate": 0.1, **affine}),),
        "crop with padding 3": (Step("random_crop", {"padding": 3}),),
        "brightness 0.5": (Step("brightness", {"amount": 0.5}),),
        "random erasing": (Step("random_erasing", {"p": 0.5}),),
        "mixup 0.2": (Step("mixup", {"alpha": 0.2}),),
        "mirror": (Step("mirror"),),
        "turn, shear, scale and shift": (
            Step("affine", {"degrees": 15, "shear": 15, "scale": (0.85, 1.15), "translate": 0.1, **affine}),
        ),
    }
    whole = data.load("mnist_5k")
    settings = micro.MICRO["mobilenet_v1"].with_(epochs=40, batch_size=20)
    return [
        {
            "augment": name,
            **run(settings, whole._replace(train=a_few(whole.train, 20, seed)), seed, augment=Recipe(steps)),
        }
        for name, steps in alone.items()
        for seed in range(5)
    ]


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
    for seed in range(5):
        few = splits._replace(train=a_few(splits.train, 30, seed).in_memory(), valid=valid)
        for name, steps in {"geometry alone": mild, "geometry and light": mild + light}.items():
            settings = micro.recipe("mobilenet_v1", few).with_(epochs=80, batch_size=32, lr=0.01)
            model = settings.build(few, seed)
            row = run(settings, few, seed, augment=Recipe(steps), model=model)
            _, accuracy = train.evaluate(model, Loader(darker, 64, shuffle=False))
            rows.append({"augment": name, **row, "accuracy in the dark": accuracy})
    return rows


def loader() -> list[dict[str, Any]]:
    """Seconds a batch of 16 at 224 x 224: making it from JPEG files, training on it, and both at once.

    With one thread for the arithmetic the second core is to spare; with two, loader and training share both.
    """
    rows = []
    for threads in ("1", "2"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
        words = [sys.executable, __file__, "loader_row"]
        done = subprocess.run(words, env=os.environ | limits, stdout=subprocess.PIPE, check=True, text=True)
        rows.append({"threads of the arithmetic": threads, **json.loads(done.stdout)})
    return rows


def loader_row(batches: int = 8, rounds: int = 3) -> dict[str, Any]:
    """Medians over rounds in which the ways take turns."""
    rng = np.random.default_rng(0)
    model = init.initialize(models.build("mobilenet_v2", num_classes=10), rng)
    optimiser = optim.SGD(model, lr=1e-3, momentum=0.9)
    recipe = Recipe(
        (
            Step("random_resized_crop", {"size": (224, 224)}),
            Step("mirror"),
            Step("brightness", {"amount": 0.4}),
            Step("contrast", {"amount": 0.4}),
            Step("saturation", {"amount": 0.4}),
        )
    )

    def train_on(ready: Iterable[Any]) -> float:
        start = time.perf_counter()
        for x, y in ready:
            logits, cache = model.forward(x, train=True)
            model.backward(losses.softmax_cross_entropy(logits, y)[1], cache)
            optimiser.step()
        return (time.perf_counter() - start) / batches

    with tempfile.TemporaryDirectory() as folder:
        photos = jpegs(Path(folder), 16 * batches, rng)
        ready = list(Loader(photos, 16, recipe, workers=0))
        train_on(ready[:1])
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in Loader(photos, 16, recipe, workers=0):
                pass
            times["making a batch alone"].append((time.perf_counter() - start) / batches)
            times["training on ready batches"].append(train_on(ready))
            for workers in (0, 1, 2):
                times[f"both, workers={workers}"].append(train_on(Loader(photos, 16, recipe, workers)))
    row = {what: float(np.median(seconds)) for what, seconds in times.items()}
    training, making = row["training on ready batches"], row["making a batch alone"]
    threads = int(os.environ["NUMBA_NUM_THREADS"])
    row["predicted for workers=1"] = max(training, making, (threads * training + making) / 2)
    row["workers=1 / ready"] = row["both, workers=1"] / training
    return row


def jpegs(folder: Path, count: int, rng: np.random.Generator) -> PhotoSplit:
    """Files of 500 x 375, the usual size in ImageNet, cut from one photograph."""
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as photo:
        for i in range(count):
            left, top = rng.integers(0, 100, 2).tolist()
            part = photo.resize((500, 375), box=(left, top, left + 400, top + 300))
            part.save(folder / f"{i:03}.jpg", quality=90)
    paths = tuple(sorted(folder.glob("*.jpg")))
    return PhotoSplit(np.arange(count) % 10, tuple("0123456789"), paths, (256, 256))


def a_few(split: Any, each: int, seed: int) -> Any:
    """`each` images of every class, drawn by seed."""
    order = np.random.default_rng(seed).permutation(len(split))
    return split.take(
        [i for label in range(len(split.classes)) for i in order[split.y[order] == label][:each]]
    )


def run(
    settings: micro.Micro, splits: Splits, seed: int, augment: Any = None, model: Any = None
) -> dict[str, Any]:
    """Train once, and look at the held-back images once, at the end."""
    model = model or settings.build(splits, seed)
    records = list(settings.fit(model, splits._replace(valid=None), seed, augment=augment))
    _, accuracy = train.evaluate(model, Loader(splits.valid, 64, shuffle=False))
    row = {
        "network": settings.model,
        "seed": seed,
        "accuracy": accuracy,
        "seconds": sum(r.seconds for r in records),
    }
    print(row, file=sys.stderr, flush=True)
    return row


T95 = {
    1: np.nan,
    2: 12.71,
    3: 4.30,
    5: 2.78,
}  # Student's t for a two-sided 95 % interval, by the number of seeds


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each network and augmentation: means over the seeds, and the 95 % interval of a mean accuracy."""
    keys = [k for k, v in rows[0].items() if isinstance(v, str)]
    numbers = [k for k in rows[0] if k not in (*keys, "seed")]
    lines = ["| " + " | ".join([*keys, *numbers]) + " |", "|---" * (len(keys) + len(numbers)) + "|"]
    for group in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        own = [row for row in rows if tuple(row[k] for k in keys) == group]
        cells = []
        for name in numbers:
            values = [row[name] for row in own]
            spread = T95[len(values)] * np.std(values, ddof=1) / len(values) ** 0.5 if values[1:] else 0.0
            if name.startswith("accuracy"):
                cells.append(f"{np.mean(values):.1%} +- {spread:.1%}")
            else:
                cells.append(
                    f"{np.mean(values):.3g}" + (f" (at most {max(values):.3g})" if values[1:] else "")
                )
        lines.append("| " + " | ".join([*group, *cells]) + " |")
    return "\n".join(lines)


def main(names: list[str]) -> int:
    if names == ["loader_row"]:  # called by loader, with a number of threads of its own
        print(json.dumps(loader_row()))
        return 0
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
