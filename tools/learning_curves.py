"""Small, medium, large: accuracy on sign_digits by photographs a class and by epoch, into results/learning_curves.*.

python tools/learning_curves.py           measure what is missing (90 minutes on two quiet cores), then draw
python tools/learning_curves.py --draw    draw the pictures and the table from results/learning_curves.json

Stop it whenever you like: each finished cell is in the file, and the next start goes on after it.  Of each class 60 hands,
chosen once, are judged by; the others are drawn from, n a class by seed; photographs of one moment are on one side.  All n
are learned from, without a validation part: nothing is chosen by what is judged.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mini_nn import data, transfer, weights
from mini_nn.data.datasets import SIGNS_COMMIT
from mini_nn.data.splits import PhotoSplit, Splits, stratify
from mini_nn.files import written_whole
from mini_nn.transfer import STRATEGIES, Classifier
from mini_nn.transfer.fitting import settings
from mini_nn.transfer.head import grouped
from mini_nn.transfer.tune import tune

RESULTS = Path(__file__).parents[1] / "results" / "learning_curves"
MODEL = "efficientnet_lite0"
SIZES = {5: 3, 10: 3, 30: 5, 100: 3}  # photographs a class: seeds
WATCHED = 30  # of this size every epoch is judged, too, on half of the test photographs
JUDGED = 600
COLOURS = {"A": "#0072b2", "B": "#009e73", "C": "#d55e00", "scratch": "#5a6b7b"}
MARKS = {"A": "o", "B": "s", "C": "^", "scratch": "x"}
T95 = {3: 4.30, 4: 3.18, 5: 2.78}  # Student's t for a two-sided 95 % interval, by the number of seeds


class Cell(NamedTuple):
    strategy: str
    size: int
    seed: int


def cells() -> list[Cell]:
    """All that is measured; a whole picture comes early, then seed by seed it gets sharper."""
    every = [
        Cell(s, size, seed) for size, seeds in SIZES.items() for seed in range(seeds) for s in STRATEGIES
    ]
    return sorted(every, key=lambda cell: (cell.seed, cell.size))


def photographs() -> tuple[PhotoSplit, PhotoSplit]:
    """(to draw from, to judge by)."""
    splits = data.load("sign_digits")
    paths = (*splits.train.paths, *splits.valid.paths)
    every = PhotoSplit(
        np.concatenate([splits.train.y, splits.valid.y]), splits.classes, paths, splits.train.size
    )
    rank = np.random.default_rng(0).permutation(len(every))
    judged = stratify(every.y, JUDGED / len(every), rank, grouped(list(paths), splits.alike))
    return every.take(np.flatnonzero(~judged)), every.take(np.flatnonzero(judged))


def draw(pool: PhotoSplit, size: int, seed: int) -> PhotoSplit:
    """`size` photographs of each class."""
    order = np.random.default_rng(seed).permutation(len(pool))
    return pool.take([i for label in range(len(pool.classes)) for i in order[pool.y[order] == label][:size]])


def measure(cell: Cell, pool: PhotoSplit, test: PhotoSplit) -> dict[str, Any]:
    """One training, judged once at its end."""
    learn, plan = draw(pool, cell.size, cell.seed), STRATEGIES[cell.strategy]
    began = time.perf_counter()
    if cell.strategy == "A":
        run = transfer.fit(Splits(learn, test, learn.classes), "A", MODEL, cell.seed, quiet=True)
        records, right = run.records, run.counts.right
    else:
        network, how, _ = weights.pretrained(MODEL)
        half = test.take(np.random.default_rng(0).permutation(len(test))[: len(test) // 2])
        judge = half if cell.size == WATCHED else test.take([])
        plan = plan._replace(patience=None)  # every epoch, the last weights
        model, how, records = tune(network, how, plan, (learn, judge), cell.seed, quiet=True)
        chosen = Classifier(model, how, learn.classes).probabilities(test.paths).argmax(1)
        right = int((chosen == test.y).sum())
    return {
        **cell._asdict(),
        "right": right,
        "judged": len(test),
        "training seconds": round(sum(record.seconds for record in records), 1),
        "seconds": round(time.perf_counter() - began, 1),
        "records": [[plain(value) for value in record] for record in records],
    }


def plain(value: float) -> float | None:
    """For JSON, which has no nan."""
    return round(value, 4) if np.isfinite(value) else None


def about() -> dict[str, Any]:
    """What a file of results belongs to."""
    plans = {name: settings(plan._replace(patience=None), 10 * WATCHED) for name, plan in STRATEGIES.items()}
    return {
        "command": "python tools/learning_curves.py",
        "data": f"sign_digits, commit {SIGNS_COMMIT}",
        "model": MODEL,
        "settings": json.loads(json.dumps(plans)),  # epochs: at 30 a class
    }


def measured() -> dict[str, Any]:
    """Everything that there is, after measuring what was missing."""
    file = RESULTS.with_suffix(".json")
    found = json.loads(file.read_text()) if file.exists() else {**about(), "cells": []}
    if any(found.get(key) != value for key, value in about().items()):
        raise SystemExit(f"{file} was measured with other settings; move it away to measure anew")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    done = {Cell(one["strategy"], one["size"], one["seed"]) for one in found["cells"]}
    pool, test = photographs()
    for cell in tqdm([one for one in cells() if one not in done], "learning curves", unit=" cells"):
        found["cells"].append(measure(cell, pool, test))
        whole = {**found, "date": str(date.today()), "machine": machine}
        with written_whole(file) as out:
            out.write((json.dumps(whole) + "\n").replace('}, {"strategy"', '},\n {"strategy"').encode())
    return json.loads(file.read_text())


def shares(found: dict[str, Any], strategy: str, size: int) -> np.ndarray:
    """The accuracy of each seed."""
    rows = [one for one in found["cells"] if (one["strategy"], one["size"]) == (strategy, size)]
    return np.array([one["right"] / one["judged"] for one in rows])


def interval(values: np.ndarray) -> float:
    """Half of the 95 % interval of a mean, by Student's t; nan for fewer than three seeds."""
    return T95[len(values)] * values.std(ddof=1) / len(values) ** 0.5 if len(values) in T95 else np.nan


def by_size(found: dict[str, Any]) -> Iterator[tuple[str, int, np.ndarray, float]]:
    """(strategy, photographs a class, accuracies, median seconds of training) where there is any."""
    for strategy in STRATEGIES:
        for size in SIZES:
            if len(values := shares(found, strategy, size)):
                times = [
                    one["training seconds"] for one in found["cells"]
                    if (one["strategy"], one["size"]) == (strategy, size)
                ]  # fmt: skip
                yield strategy, size, values, float(np.median(times))


def by_epoch(found: dict[str, Any], strategy: str) -> np.ndarray:
    """(seeds, epochs): the accuracy after each epoch at WATCHED photographs a class."""
    rows = [one for one in found["cells"] if (one["strategy"], one["size"]) == (strategy, WATCHED)]
    return np.array([[record[4] for record in one["records"]] for one in rows])


def picture(found: dict[str, Any]) -> None:
    """results/learning_curves.png: by photographs a class, with intervals, and by epoch at 30 a class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = list(by_size(found))
    for place, strategy in enumerate(STRATEGIES):
        own = [row for row in rows if row[0] == strategy]
        style = {"color": COLOURS[strategy], "marker": MARKS[strategy], "ms": 5}
        if not own:
            continue
        sizes, means = [row[1] * 1.03 ** (place - 1.5) for row in own], [row[2].mean() for row in own]
        left.errorbar(sizes, means, [interval(row[2]) for row in own], capsize=3, label=strategy, **style)
        curves = by_epoch(found, strategy)
        if strategy == "A" and len(curves):
            right.axhline(
                shares(found, "A", WATCHED).mean(), color=COLOURS["A"], ls="--", label="A (no epochs)"
            )
        elif len(curves):
            mean = curves.mean(0)
            right.plot(range(1, len(mean) + 1), mean, label=strategy, **style)
    left.set_xscale("log")
    left.set_xticks(list(SIZES), [str(size) for size in SIZES])
    left.minorticks_off()
    left.set(xlabel="photographs a class", ylabel="accuracy on photographs not learned from", ylim=(0, 1.02))
    right.set(xlabel=f"epoch, at {WATCHED} photographs a class")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.legend(frameon=False, loc="lower right")
    with written_whole(RESULTS.with_suffix(".png")) as file:
        figure.savefig(file, format="png", dpi=130)


def table(found: dict[str, Any]) -> None:
    """results/learning_curves.md: the same in numbers."""
    rows = {(strategy, size): (values, seconds) for strategy, size, values, seconds in by_size(found)}
    lines = [
        f"Accuracy on {JUDGED} photographs of sign_digits that were not learned from, {MODEL}, mean of the seeds",
        "+- 95 % interval of that mean, median seconds of training (of A: of the head, from features that are in the cache).",
        "",
        "| strategy | " + " | ".join(f"{size} a class" for size in SIZES) + " |",
        "|---" * (1 + len(SIZES)) + "|",
    ]
    for strategy, plan in STRATEGIES.items():
        said = []
        for size in SIZES:
            if (strategy, size) not in rows:
                said.append("")
                continue
            values, seconds = rows[strategy, size]
            spread = f" +- {interval(values):.1%}" if np.isfinite(interval(values)) else ""
            said.append(f"{values.mean():.1%}{spread} ({len(values)} seeds, {seconds:.0f} s)")
        lines.append(f"| {strategy}: {plan.what} | " + " | ".join(said) + " |")
    lines += [
        "",
        *epochs(found),
        "",
        f"Measured {found['date']} on {found['machine']}; {found['data']}; `{found['command']}`.",
    ]
    with written_whole(RESULTS.with_suffix(".md")) as file:
        file.write(("\n".join(lines) + "\n").encode())


def epochs(found: dict[str, Any]) -> list[str]:
    """The table by epoch."""
    curves = {name: by_epoch(found, name) for name in STRATEGIES if name != "A"}
    curves = {name: rows.mean(0) for name, rows in curves.items() if len(rows)}
    if not curves:
        return []
    last = max(map(len, curves.values()))
    return [
        f"After each epoch at {WATCHED} a class, on half of the same photographs:",
        "",
        "| strategy | " + " | ".join(map(str, range(1, last + 1))) + " |",
        "|---" + "|---:" * last + "|",
        *(f"| {name} | " + " | ".join(f"{one:.1%}" for one in mean) + " |" for name, mean in curves.items()),
    ]


def main(words: list[str]) -> int:
    if words not in ([], ["--draw"]):
        print(__doc__)
        return 2
    found = json.loads(RESULTS.with_suffix(".json").read_text()) if words else measured()
    picture(found)
    table(found)
    print(RESULTS.with_suffix(".md").read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
