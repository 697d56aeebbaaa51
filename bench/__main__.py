"""`make bench` and `make bench-quick`: every table and picture of bench/, from one run on a machine that does nothing else."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench import report
from bench.contest import PLAYERS, Contest, Times, peak
from bench.roofline import machine
from bench.tasks import NETWORKS, Task, units
from mini_nn.files import written_whole

FOLDER = Path(__file__).parent
TRAINING = ("ours", "readable", "torch", "torch, tuned malloc")
FEW = ("ours", "torch, tuned malloc", "ONNX Runtime")


def networks(quick: bool) -> Iterator[tuple[Contest, Task, int]]:
    """Whole networks."""
    names = ["v2"] if quick else list(NETWORKS)
    rounds = 3 if quick else 7
    with Contest(list(PLAYERS)) as everyone:
        for name in names:
            for batch in (1, 16):
                yield everyone, Task("predict", name, batch), rounds
    with Contest(TRAINING) as some:
        for name in names:
            yield some, Task("train", name, 16), rounds


def layers(quick: bool) -> Iterator[tuple[Contest, Task, int]]:
    """Each distinct convolution with its BatchNorm and activation; predicting one image, and a step of 16."""
    if quick:
        return
    every = list(dict.fromkeys(unit for name in ("v1", "v2", "B0") for unit in units(name)))
    norms = list(
        dict.fromkeys(
            f"norm {u.split()[1]} {u.split('->')[1].split()[0]}->{u.split('->')[1]}" for u in every[::4]
        )
    )
    with Contest(("ours", "torch, BN folded")) as two:
        for unit in every:
            yield two, Task("predict", unit), 3
    with Contest(("ours", "readable", "torch, tuned malloc")) as some:
        for unit in every + [norm for norm in norms if not norm.endswith("linear")]:
            for what in ("forward", "backward"):
                yield some, Task(what, unit, 16), 3


def scaling(quick: bool) -> Iterator[tuple[Contest, Task, int]]:
    """What batch, resolution, width, depth and threads do."""
    if quick:
        return
    tasks = [
        *(Task("predict", "v2", batch) for batch in (1, 2, 4, 8, 16, 32, 64)),
        *(Task("predict", "B0", 1, size) for size in (96, 128, 160, 192, 224, 288, 380)),
        *(Task("predict", "v2", 1, 224, width) for width in (0.25, 0.35, 0.5, 0.75, 1.0, 1.4)),
        *(Task("predict", f"B{i}", 1, size) for i, size in enumerate((224, 240, 260, 300, 380))),
    ]
    for threads in (2, 1):
        with Contest(FEW, threads) as three:
            for task in tasks if threads == 2 else (Task("predict", name, 1) for name in NETWORKS):
                yield three, task, 3


PARTS = {part.__name__: part for part in (networks, layers, scaling)}


def measured(part: Callable[[bool], Iterator[tuple[Contest, Task, int]]], quick: bool) -> list[Times]:
    bar = tqdm(part(quick), part.__name__, unit=" tasks")
    found = []
    for contest, task, rounds in bar:
        bar.set_postfix_str(f"{task.what} {task.name} x {task.batch}", refresh=False)
        found.append(contest.time(task, rounds, 0.1 if part is layers else 0.3))
    return found


def memory(quick: bool) -> dict[str, dict[str, float]]:
    """Bytes at most, of a process that trains on 16 images."""
    names = ["v2"] if quick else list(NETWORKS)
    return {name: {player: peak(Task("train", name, 16), player) for player in TRAINING} for name in names}


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="v2 alone, few rounds: two minutes; stores nothing"
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    args = parser.parse_args()
    quick, asked = args.quick, args.parts or list(PARTS)
    if unknown := set(asked) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    began = time.perf_counter()
    roofs = machine()
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "numba", "torch", "onnxruntime")} | {"python": platform.python_version()},
        "roofs": roofs,
        **dict.fromkeys(PARTS, ()),
        "memory": {},
    }  # fmt: skip
    for name in asked:
        times = measured(PARTS[name], quick)
        results[name] = report.with_bounds([t.to_json() for t in times], roofs)
        results["minutes"] = round((time.perf_counter() - began) / 60, 1)
        if not quick:
            keep(results)  # after each part: half an hour is long
    results["memory"] = memory(quick)  # last: a process that compiles needs much more
    if not quick:
        keep(results)
    print(report.text(results))
    return 0


def keep(results: dict[str, Any]) -> None:
    for path, content in (
        ("results.json", json.dumps(results, indent=1) + "\n"),
        ("README.md", report.text(results)),
    ):
        with written_whole(FOLDER / path) as file:
            file.write(content.encode())
    if results["layers"] and results["scaling"]:
        report.pictures(results, FOLDER)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


if __name__ == "__main__":
    raise SystemExit(main())
