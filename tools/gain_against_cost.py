"""What the tricks of benchmarks gain, and what they cost: crops and ensembles on hands and on spoiled photographs.

python tools/gain_against_cost.py            all three (25 minutes on 2 cores), into results/gain_against_cost.{json,md}
python tools/gain_against_cost.py cost       forward passes and milliseconds alone, for a moment when the machine is idle
python tools/gain_against_cost.py signs      heads trained on 30 hands a class, judged on those held back (needs the
                                             photographs: MINI_NN_SIGN_DIGITS names their folder)
python tools/gain_against_cost.py spoiled    20 labelled photographs, as they are and under ten corruptions
"""

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from spoil import SHORTER, SPOIL, spoiled
from tqdm import tqdm

from mini_nn import data, demo, inference, metrics, transfer, weights
from mini_nn.files import written_whole
from mini_nn.inference import crops
from mini_nn.ops import Array
from mini_nn.transfer import Classifier

RESULTS = Path(__file__).parents[1] / "results"
NETWORKS = "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"  # what can be had without the hub
EACH = 30  # hands a class to learn from
Rows = dict[str, Array]  # by the way to predict: probabilities (photographs, classes)


# --- the ways to predict ----------------------------------------------------------------------------------------------


def ways(members: Sequence[Classifier]) -> dict[str, Any]:
    """Every way by its name."""
    first, ten = members[0], [crops.Cropped(one, "ten") for one in members]
    return {
        "Lite0, centre": first,
        "Lite0, mirrored": crops.Cropped(first, "mirrored"),
        "Lite0, ten-crop": ten[0],
        "Lite1, centre": members[1],
        "Lite2, centre": members[2],
        "Lite0 + 1 + 2, centre": inference.ensemble(members),
        "Lite0 + 1 + 2, logits": inference.ensemble(members, "logits"),
        "Lite0 + 1 + 2, votes": inference.ensemble(members, "votes"),
        "Lite0 + 1 + 2, ten-crop": inference.ensemble(ten),
    }


def answers(members: Sequence[Classifier], sources: Sequence[Any], what: str) -> Rows:
    """The probabilities of every way; each network sees each view once."""
    found = ways(members)
    single = [found[f"Lite{i}, centre"] for i in range(3)]
    tens = found["Lite0 + 1 + 2, ten-crop"].models
    parts: dict[Any, list[Array]] = {one: [] for one in (*single, found["Lite0, mirrored"], *tens)}
    for source in tqdm(sources, what, unit=" photos"):
        for predictor, rows in parts.items():
            rows.append(predictor.probabilities([source]))
    known = {predictor: np.concatenate(rows) for predictor, rows in parts.items()}
    return {
        name: predictor.combine([known[one] for one in predictor.models])
        if isinstance(predictor, inference.Ensemble)
        else known[predictor]
        for name, predictor in found.items()
    }


def pretrained() -> list[Classifier]:
    return [Classifier(*weights.pretrained(name)) for name in NETWORKS]


# --- what is measured -------------------------------------------------------------------------------------------------


def cost() -> dict[str, Any]:
    """Of one photograph alone, reading and resizing it included; all ways take turns."""
    one_photo = list(demo.labelled_photos())[:1]
    found = inference.measure(ways(pretrained()), one_photo, rounds=15)
    return {name: one._asdict() for name, one in found.items()}


def signs() -> dict[str, Any]:
    """A head for each network on the same few hands (strategy A); accuracy on all that the data set holds back."""
    splits = data.load("sign_digits", (224, 224))
    order = np.random.default_rng(0).permutation(len(splits.train))
    few = [i for label in range(10) for i in order[splits.train.y[order] == label][:EACH]]
    part = splits._replace(train=splits.train.take(few))
    members = [transfer.fit(part, "A", name, seed=0).classifier for name in NETWORKS]
    rows = answers(members, splits.valid.paths, "hands")
    return {"photographs": len(splits.valid), "ways": judged(rows, splits.valid.y[:, None])}


def spoil() -> dict[str, Any]:
    """All conditions together, and each alone."""
    labels = demo.labelled_photos()
    members, names = pretrained(), ["as it is", *SPOIL]
    sources = [spoiled(path, name, i) for i, path in enumerate(labels) for name in names]
    rows = answers(members, sources, "spoiled photographs")
    y = np.repeat(np.array(list(labels.values()))[:, None], len(names), 1)
    each = {
        way: dict(zip(names, (p.argmax(1).reshape(y.shape) == y).sum(0).tolist(), strict=True))
        for way, p in rows.items()
    }
    alone = {way: p.reshape(*y.shape, -1)[:, 1:].reshape(-1, p.shape[1]) for way, p in rows.items()}
    return {
        "photographs": len(y),
        "severity": {name: (f.__doc__ or "").strip() for name, f in SPOIL.items()},
        "ways": judged(alone, y[:, 1:]),
        "right of 20": each,
    }


def judged(rows: Rows, y: Array) -> dict[str, Any]:
    """Accuracy, and how much better than one network's centre; intervals by drawing photographs again.

    y (photographs, conditions): all conditions of a photograph are drawn together.
    """
    right = {way: (p.argmax(1).reshape(y.shape) == y).mean(1) for way, p in rows.items()}
    base = right["Lite0, centre"]
    return {
        way: {
            "accuracy": metrics.bootstrap(np.mean, one),
            "gain": metrics.bootstrap(lambda a, b: (a - b).mean(), one, base),
        }
        for way, one in right.items()
    }


# --- what is written --------------------------------------------------------------------------------------------------

PARTS = {"cost": cost, "signs": signs, "spoiled": spoil}


HEADS = (
    "way", "forward passes", "ms (median)", "hands right, %", "points gained", "spoiled right, %", "points gained",
)  # fmt: skip


def row(way: str, found: dict[str, Any], times: dict[str, Any]) -> list[str]:
    """The cells of a way; empty where it was not measured."""
    cost = times.get(way)
    cells = [
        way,
        *([f"{cost['passes']}", f"{cost['fastest']:.0f} ({cost['milliseconds']:.0f})"] if cost else ["", ""]),
    ]
    for part in ("signs", "spoiled"):
        one = found.get(part, {}).get("found", {}).get("ways", {}).get(way)
        gain = points(one["gain"], "+") if one and way != "Lite0, centre" else ""
        cells += [points(one["accuracy"]), gain] if one else ["", ""]
    return cells


def markdown(found: dict[str, Any]) -> str:
    """The tables, from the numbers."""
    lines = [
        "# Gain against cost\n",
        "What looking several times, and asking several networks, gains over one look of one network, and what it costs.",
        "Made by `python tools/gain_against_cost.py`; EfficientNet-Lite0 to 2 with ImageNet weights.\n",
        *(f"* {name}: {part['date']}, {part['machine']}" for name, part in found.items()),
        "\nIntervals hold 95 % of 2,000 draws of the photographs; a gain whose interval holds 0 may be chance.\n",
    ]
    lines += ["| " + " | ".join(HEADS) + " |", "|---|" + "---:|" * (len(HEADS) - 1)]
    times = found.get("cost", {}).get("found", {})
    for way in next(iter(found.values()))["found"].get("ways", times):
        lines.append("| " + " | ".join(row(way, found, times)) + " |")
    if times:
        lines.append(
            "\nMilliseconds: to read, resize and predict one photograph, the fastest of 15 rounds in which all ways take turns, "
            "and the median of the rounds, which a busy machine moves."
        )
    if "signs" in found:
        lines.append(
            f"\nHands: a head for each network, trained on {EACH} photographs a class of sign_digits (strategy A), judged on "
            f"{found['signs']['found']['photographs']} that were held back.  The same people are in both, so new people are harder."
        )
    if "spoiled" in found:
        lines += spoiled_tables(found["spoiled"]["found"])
    return "\n".join(lines) + "\n"


def spoiled_tables(found: dict[str, Any]) -> list[str]:
    names = list(next(iter(found["right of 20"].values())))
    said = (
        f"\nSpoiled: the {found['photographs']} labelled photographs of `make run`, their shorter side brought to {SHORTER} "
        "pixels, then spoiled in ten ways; 200 pictures of 20 things, so the intervals are wide.  Right of 20:\n"
    )
    return [
        said,
        "| way | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
        *(
            f"| {way} | " + " | ".join(str(each[name]) for name in names) + " |"
            for way, each in found["right of 20"].items()
        ),
        "\n" + "; ".join(f"*{name}*: {what[:-1].lower()}" for name, what in found["severity"].items()),
    ]


def points(interval: Sequence[float], sign: str = "") -> str:
    """In hundredths, with the interval."""
    value, low, high = (f"{100 * one:{sign}.1f}" for one in interval)
    return f"{value} ({low} to {high})"


def main(names: list[str]) -> int:
    if set(names) - PARTS.keys():
        print(__doc__)
        return 2
    path = RESULTS / "gain_against_cost.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if hasattr(os, "getloadavg"):  # not on Windows
        machine += f", {os.getloadavg()[1]:.0f} programs running before"
    for name in names or PARTS:
        found[name] = {"date": str(date.today()), "machine": machine, "found": PARTS[name]()}
        found = {name: found[name] for name in PARTS if name in found}
        for target, text in (
            (path, json.dumps(found, indent=1) + "\n"),
            (path.with_suffix(".md"), markdown(found)),
        ):
            with written_whole(target) as file:
                file.write(text.encode())
    print(markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
