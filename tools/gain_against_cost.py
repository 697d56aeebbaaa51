"""What the tricks of benchmarks gain, and what they cost: crops and ensembles on hands and on spoiled photographs.

python tools/gain_against_cost.py            all three (25 minutes on 2 cores), into results/gain_against_cost.{json,md}
python tools/gain_against_cost.py cost       forward passes and milliseconds alone, for a moment when the machine is idle
python tools/gain_against_cost.py signs      heads trained on 30 hands a class, judged on those held back (needs the
                                             photographs: MINI_NN_SIGN_DIGITS names their folder)
python tools/gain_against_cost.py spoiled    20 labelled photographs, as they are and under ten corruptions
"""

import copy
import io
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from mini_nn import data, demo, inference, metrics, photos, transfer, weights
from mini_nn.files import written_whole
from mini_nn.inference import crops
from mini_nn.ops import Array
from mini_nn.transfer import Classifier

RESULTS = Path(__file__).parents[1] / "results"
NETWORKS = "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"  # what can be had without the hub
EACH = 30  # hands a class to learn from
SHORTER = 288  # pixels: every photograph is brought to this shorter side, then spoiled
Rows = dict[str, Array]  # by the way to predict: probabilities (photographs, classes)


# --- ten ways to spoil a photograph, x float (H, W, 3) in 0..255 -------------------------------------------------------


def noise(x: Array, rng: np.random.Generator) -> Array:
    """Gaussian, standard deviation 46 of 255."""
    return x + rng.normal(0, 46, x.shape)


def shot_noise(x: Array, rng: np.random.Generator) -> Array:
    """As few as 12 photons for white."""
    return rng.poisson(x / 255 * 12) / 12 * 255


def blur(x: Array, _: np.random.Generator) -> Array:
    """Gaussian, 4 pixels."""
    return np.asarray(image(x).filter(ImageFilter.GaussianBlur(4)), float)


def motion(x: Array, _: np.random.Generator) -> Array:
    """17 pixels to the side."""
    padded = np.pad(x, ((0, 0), (8, 8), (0, 0)), mode="reflect")
    return np.mean([padded[:, i : i + x.shape[1]] for i in range(17)], 0)


def darkness(x: Array, _: np.random.Generator) -> Array:
    """A fifth of the light, in 8 bits."""
    return np.floor(x * 0.2)


def glare(x: Array, _: np.random.Generator) -> Array:
    """100 of 255 added, and cut off at white."""
    return x + 100


def low_contrast(x: Array, _: np.random.Generator) -> Array:
    """A fifth of the contrast, in 8 bits."""
    return np.floor(x.mean() + (x - x.mean()) * 0.2)


def jpeg(x: Array, _: np.random.Generator) -> Array:
    """Quality 7."""
    with io.BytesIO() as file:
        image(x).save(file, "JPEG", quality=7)
        return np.asarray(Image.open(file), float)


def pixelate(x: Array, _: np.random.Generator) -> Array:
    """Squares of 5 pixels."""
    height, width = x.shape[:2]
    small = image(x).resize((width // 5, height // 5), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST), float)


def rotation(x: Array, rng: np.random.Generator) -> Array:
    """By 40 degrees to the left or to the right; the border is mirrored."""
    edge = min(x.shape[:2]) // 2
    wide = image(np.pad(x, ((edge, edge), (edge, edge), (0, 0)), mode="reflect"))
    turned = np.asarray(wide.rotate(40 * rng.choice([-1, 1]), Image.Resampling.BICUBIC), float)
    return turned[edge:-edge, edge:-edge]


SPOIL: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    f.__name__.replace("_", " "): f
    for f in (noise, shot_noise, blur, motion, darkness, glare, low_contrast, jpeg, pixelate, rotation)
}


def image(x: Array) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def spoiled(path: Path, name: str, seed: int) -> Array:
    """The photograph, its shorter side SHORTER pixels, as it is or spoiled; uint8."""
    photo = Image.fromarray(photos.read(path))
    scale = SHORTER / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    if name not in SPOIL:
        return np.asarray(photo)
    rng = np.random.default_rng([seed, list(SPOIL).index(name)])
    return np.asarray(image(SPOIL[name](np.asarray(photo, float), rng)))


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
    return [compiled(Classifier(*weights.pretrained(name))) for name in NETWORKS]


def compiled(one: Classifier) -> Classifier:
    """As it is used where answers are wanted soon: its network a plan, whose answers are the same within 1e-4."""
    side = one.preprocess.size
    ready = copy.copy(one)
    ready.model = inference.compile(one.model, (side, side, 3))  # type: ignore[assignment]
    return ready


# --- what is measured -------------------------------------------------------------------------------------------------


def cost() -> dict[str, Any]:
    """One photograph at a time, reading and resizing it included."""
    few = list(demo.labelled_photos())[:4]
    found = inference.measure(ways(pretrained()), few, rounds=7)
    return {name: one._asdict() for name, one in found.items()}


def signs() -> dict[str, Any]:
    """A head for each network on the same few hands (strategy A); accuracy on all that the data set holds back."""
    splits = data.load("sign_digits", (224, 224))
    order = np.random.default_rng(0).permutation(len(splits.train))
    few = [i for label in range(10) for i in order[splits.train.y[order] == label][:EACH]]
    part = splits._replace(train=splits.train.take(few))
    members = [compiled(transfer.fit(part, "A", name, seed=0).classifier) for name in NETWORKS]
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


def markdown(found: dict[str, Any]) -> str:
    """The tables, from the numbers."""
    lines = [
        "# Gain against cost\n",
        "What looking several times, and asking several networks, gains over one look of one network, and what it costs.",
        "Made by `python tools/gain_against_cost.py`; EfficientNet-Lite0 to 2 with ImageNet weights, compiled.\n",
        *(f"* {name}: {part['date']}, {part['machine']}" for name, part in found.items()),
        "\nIntervals hold 95 % of 2,000 draws of the photographs; a gain whose interval holds 0 may be chance.\n",
    ]
    heads = ["way", "forward passes", "ms a photograph", "hands right", "gain", "spoiled right", "gain"]
    lines += ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    times = found.get("cost", {}).get("found", {})
    for way in next(iter(found.values()))["found"].get("ways", times):
        cells = [
            way,
            *(f"{times[way][key]:.0f}" if way in times else "" for key in ("passes", "milliseconds")),
        ]
        for part in ("signs", "spoiled"):
            one = found.get(part, {}).get("found", {}).get("ways", {}).get(way)
            gain = percent(one["gain"], "+") if one and way != "Lite0, centre" else ""
            cells += [percent(one["accuracy"]), gain] if one else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
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


def percent(interval: Sequence[float], sign: str = "") -> str:
    value, low, high = (f"{100 * one:{sign}.1f}" for one in interval)
    return f"{value} % ({low} to {high})"


def main(names: list[str]) -> int:
    if set(names) - PARTS.keys():
        print(__doc__)
        return 2
    path = RESULTS / "gain_against_cost.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
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
