"""Pictures: readable in print, and without telling red from green.  matplotlib is imported when the first is drawn.

Each function writes one PNG, whole or not at all, to `path`: a name, or a binary file that is open.  Nothing of pyplot
is used, so no window opens and no state is shared.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from mini_nn import photos
from mini_nn.core import named_layers
from mini_nn.files import written_whole
from mini_nn.inference import looking
from mini_nn.layers import Conv2D
from mini_nn.metrics import Reliability, matrix
from mini_nn.metrics import labels as checked_labels
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Target = str | Path | IO[bytes]
TRAIN, VALID, MUTED, DARK = (
    "#0072b2",
    "#d55e00",
    "#5a6b7b",
    "#12304b",
)  # Okabe & Ito's blue and vermilion; two greys
SIDE = 160  # pixels of a photograph on a sheet
COLUMNS = 6  # photographs beside each other
NUMBERS = 40  # classes, up to which a confusion matrix has room for numbers
FONTS = (  # that have other scripts than Latin, Greek and Cyrillic, where they are installed
    "Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
    "Arial Unicode MS", "WenQuanYi Zen Hei", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Nirmala UI",
    "Noto Sans Thai", "Segoe UI", "Segoe UI Emoji", "Noto Emoji",
)  # fmt: skip


def save(figure: "Figure", path: Target) -> None:
    """Write a figure as PNG: whole, or not at all.  A letter that no installed font has becomes a box."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    texts = [one for one in figure.findobj(Text) if isinstance(one, Text)]
    if any(letter > "\u058f" for one in texts for letter in one.get_text()):
        known = {"DejaVu Sans", *get_font_names()}
        for one in texts:
            one.set_fontfamily(["DejaVu Sans", *(font for font in FONTS if font in known)])
    options: dict[str, Any] = {"format": "png", "facecolor": "white", "dpi": 130}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        if not isinstance(path, str | Path):
            figure.savefig(path, **options)
            return
        with written_whole(Path(path)) as file:
            figure.savefig(file, **options)


def text(name: object, most: int = 24) -> str:
    """A name as it is shown: one line, not too long, nothing of it taken for a formula."""
    plain = str(name).encode("utf-8", "replace").decode()
    plain = "".join(letter if letter.isprintable() else " " for letter in plain)
    return (plain if len(plain) <= most else plain[: most - 1] + "\u2026").replace("$", r"\$")


def figure(columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    new = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(new.subplots(1, columns)))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return new, axes


def sheet(
    rows: int, columns: int, lines: float, side: float = 1.35, title: str = ""
) -> tuple["Figure", list[list["Axes"]]]:
    """A grid of pictures without axes, each with room for some lines of text."""
    from matplotlib.figure import Figure

    new = Figure(figsize=(columns * side + 0.2, rows * (side + 0.17 * lines) + 0.5), layout="constrained")
    axes = new.subplots(rows, columns, squeeze=False).tolist()
    for one in (one for row in axes for one in row):
        one.axis("off")
    if title:
        new.suptitle(title, fontsize=10, color=DARK)
    return new, axes


def tile(source: photos.Source) -> Array:
    """A photograph small enough for a sheet, uint8; grey where it cannot be read any more."""
    try:
        photo = Image.fromarray(photos.read(source))
    except photos.PhotoError:
        return np.full((SIDE, SIDE, 3), 200, np.uint8)
    return np.asarray(ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC))


def curves(records: Sequence[Any], path: Target) -> None:
    """Loss and accuracy by epoch, of train.Records; the held-back half is dashed and labelled at its end."""
    from matplotlib.ticker import MaxNLocator

    if not records:
        raise ValueError("curves: there is no epoch to draw")
    new, (left, right) = figure(2, 9, 3.4)
    epochs = [r.epoch for r in records]
    for axes, what in ((left, "loss"), (right, "accuracy")):
        for values, name, colour, style in (
            ([getattr(r, what) for r in records], "training", TRAIN, "-"),
            ([getattr(r, f"valid_{what}") for r in records], "held back", VALID, "--"),
        ):
            if np.isfinite(values).any():
                axes.plot(epochs, values, style, color=colour, marker=".", label=f"{name}: {values[-1]:.3g}")
        axes.set(xlabel="epoch", title=what)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    right.set_ylim(None, 1.0)
    save(new, path)


def confusion(matrix: Array, classes: Sequence[str], path: Target) -> None:
    """matrix (C, C): how many images of the row's class were taken for the column's; a row's colour is its share."""
    matrix, count = np.asarray(matrix), len(classes)
    if matrix.shape != (count, count) or not count:
        raise ValueError(
            f"confusion: a matrix of {matrix.shape} does not go with {count} classes; (C, C) is needed"
        )
    room = count <= NUMBERS
    side = max(3.6, 0.45 * count + 1.6) if room else 14.0
    new, (axes,) = figure(1, side + 0.4, side)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(matrix > 0) if room else ():
        colour = "white" if share[i, j] > 0.5 else DARK
        axes.text(j, i, str(int(matrix[i, j])), ha="center", va="center", fontsize=8, color=colour)
    shown = range(0, count, -(-count // 70))  # of hundreds of names only some have room
    names = [text(classes[i]) for i in shown]
    turned = max(map(len, names)) > 2
    axes.set_xticks(
        shown,
        names,
        rotation=(45 if room else 90) if turned else 0,
        ha="right" if turned and room else "center",
        fontsize=None if room else 7,
    )
    axes.set_yticks(shown, names, fontsize=None if room else 7)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set(xlabel="taken for", ylabel="is", title=f"{right} of {total} right, {right / max(total, 1):.1%}")
    save(new, path)


def rates(test: Any, path: Target) -> None:
    """A rituals.RangeTest: the loss against the learning rate, and the rate to begin with."""
    new, (axes,) = figure(1, 6, 3.4)
    axes.plot(test.rates, test.losses, color=MUTED, alpha=0.4, label="loss")
    axes.plot(test.rates, test.smoothed, color=TRAIN, label="smoothed")
    if test.suggestion:
        axes.axvline(test.suggestion, color=VALID, linestyle="--", label=f"begin with {test.suggestion:.2g}")
    axes.set(
        xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, 3 * max(test.smoothed[:1], default=1))
    )
    axes.legend(frameon=False)
    save(new, path)


def reliability(found: Reliability, path: Target, after: Reliability | None = None) -> None:
    """How often the network is right when it says 80 %; `after`: the same once its temperature is set."""
    new, (left, right) = figure(2, 8, 3.8)
    left.plot([0, 1], [0, 1], color=MUTED, linewidth=1, label="as sure as right")
    drawn = [("as it is" if after else "network", found, TRAIN, "o-")]
    drawn += [("temperature set", after, VALID, "s--")] if after else []
    centres, width = (found.edges[:-1] + found.edges[1:]) / 2, float(np.diff(found.edges)[0])
    for i, (name, one, colour, style) in enumerate(drawn):
        there = one.counts > 0
        label = f"{name}: ECE {one.ece:.3f}"
        left.plot(one.confidence[there], one.accuracy[there], style, color=colour, markersize=4, label=label)
        wide = width * 0.8 / len(drawn)
        offset = (i - (len(drawn) - 1) / 2) * wide
        right.bar(
            centres + offset, one.counts, wide, color=colour, hatch="//" if i else "", edgecolor="white"
        )
    left.set(xlabel="how sure it is", ylabel="how often it is right", xlim=(0, 1), ylim=(0, 1.02))
    left.legend(frameon=False, fontsize=8)
    right.set(
        xlabel="how sure it is", ylabel="photographs", xlim=(0, 1), title=f"{int(found.counts.sum())} in all"
    )
    save(new, path)


def mistakes(
    paths: Sequence[photos.Source],
    y: Array,
    probabilities: Array,
    classes: Sequence[str],
    path: Target,
    most: int = 18,
) -> None:
    """The photographs that are wrong, the most confident mistake first: what it is, what it was taken for, how surely."""
    p = matrix(probabilities)
    y = checked_labels(y, p.shape[1])
    if not len(paths) == len(y) == len(p) or len(classes) != p.shape[1]:
        raise ValueError(
            f"mistakes: {len(paths)} photographs, {len(y)} labels, probabilities {p.shape} and {len(classes)} classes do "
            "not go together"
        )
    chosen = p.argmax(1)
    wrong = np.flatnonzero(chosen != y)
    wrong = wrong[np.argsort(-p[wrong, chosen[wrong]], kind="stable")]
    shown = wrong[:most]
    title = f"{len(wrong)} of {len(y)} wrong" + (f", the {most} surest of them" if len(wrong) > most else "")
    columns = min(COLUMNS, max(4, len(shown)))
    new, axes = sheet(max(1, -(-len(shown) // columns)), columns, 2.4, title=title)
    for i, where in enumerate(shown):
        one = axes[i // columns][i % columns]
        one.imshow(tile(paths[where]))
        taken, share = text(classes[chosen[where]], 18), p[where, chosen[where]]
        one.set_title(
            f"is {text(classes[y[where]], 18)}\ntaken for {taken}, {share:.0%}", fontsize=7, color=DARK
        )
    save(new, path)


def cams(sources: Sequence[photos.Source], classifier: Any, path: Target) -> None:
    """Photographs as the classifier sees them, and below each which pixels speak for the class that it chose.

    Yellow is the most of that photograph; the line goes round what has more than half of it.
    """
    if not len(sources):
        raise ValueError("cams: there are no photographs")
    columns = min(COLUMNS, len(sources))
    groups = -(-len(sources) // columns)
    new, axes = sheet(2 * groups, columns, 0.8, title="what speaks for the class that was chosen")
    for i, source in enumerate(sources):
        window = classifier.preprocess.window(photos.read(source))
        x = classifier.preprocess(source)[None]
        p = softmax(classifier.model(x))[0]
        heat = looking.class_activation(classifier.model, x, p.argmax(keepdims=True))[0]
        above, below = axes[i // columns * 2][i % columns], axes[i // columns * 2 + 1][i % columns]
        above.imshow(window)
        above.set_title(f"{text(classifier.classes[p.argmax()], 16)}, {p.max():.0%}", fontsize=8, color=DARK)
        overlay(below, window, heat)
    save(new, path)


def overlay(axes: "Axes", window: Array, heat: Array) -> None:
    """The window in grey, and over it the positive part of a map (h, w), enlarged."""
    size = window.shape[1], window.shape[0]
    large = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    share = np.clip(large / max(float(large.max()), 1e-12), 0, 1)
    axes.imshow(window.mean(2), cmap="gray", vmin=0, vmax=255)
    axes.imshow(share, cmap="inferno", vmin=0, vmax=1, alpha=0.15 + 0.5 * share)
    if 0 < (share > 0.5).mean() < 1:
        axes.contour(share, [0.5], colors="white", linewidths=1)


def filters(model: Any, path: Target) -> None:
    """What each filter of the first convolution looks for: weights above 0 bright, 0 grey, in the colours that they act on."""
    conv = next((layer for _, layer in named_layers(model) if isinstance(layer, Conv2D)), None)
    if conv is None or conv.weight.shape[2] not in (1, 3):
        raise ValueError("filters: the model has no first convolution on images of 1 or 3 channels")
    w = conv.weight.value
    count, columns = w.shape[3], min(16, w.shape[3])
    new, axes = sheet(
        -(-count // columns), columns, 0.2, 0.55, f"{count} filters of {w.shape[0]} x {w.shape[1]}"
    )
    for i in range(count):
        one = w[..., i]
        shown = 0.5 + 0.5 * one / max(float(np.abs(one).max()), 1e-12)
        axes[i // columns][i % columns].imshow(np.broadcast_to(shown, (*shown.shape[:2], 3)))
    save(new, path)


def feature_maps(model: Any, x: Array, path: Target, channels: int = 8) -> None:
    """What each stage makes of one image x (H, W, C), prepared: the channels that vary most, each from its least to its most."""
    found = looking.stages(model, x[None])
    new, axes = sheet(len(found), channels + 1, 0.1, 0.9)
    for row, (name, y) in zip(axes, found.items(), strict=True):
        h, w, c = y.shape[1:]
        row[0].text(1, 0.5, f"{name}\n{h} x {w}\n{c} channels", ha="right", va="center", fontsize=7)
        best = np.argsort(-y[0].std((0, 1)), kind="stable")[:channels]
        for axes_, channel in zip(row[1:], best, strict=False):
            axes_.imshow(y[0, :, :, channel], cmap="gray", interpolation="nearest")
    save(new, path)


def neighbours(
    rows: Array,
    sources: Sequence[photos.Source],
    path: Target,
    queries: Sequence[int] | None = None,
    k: int = 5,
    names: Sequence[str] | None = None,
) -> None:
    """For some photographs the k whose features (n, d) point most nearly the same way, and the cosine between them.

    queries: their numbers; the first, the last and some between them when None.  names: one for each photograph; a
    neighbour of another name has a dashed frame.
    """
    rows = matrix(rows)
    n = len(rows)
    if len(sources) != n or (names is not None and len(names) != n) or n < 2:
        raise ValueError(
            f"neighbours: {n} rows of features and {len(sources)} photographs; two or more are needed"
        )
    asked = np.unique(np.linspace(0, n - 1, 6).astype(int)) if queries is None else np.asarray(queries)
    k = min(k, n - 1)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    new, axes = sheet(len(asked), k + 1, 1.3, title="each photograph on the left, and the most similar ones")
    for line, query in zip(axes, asked, strict=True):
        cosine = unit @ unit[query]
        cosine[query] = np.inf  # itself first
        for one, where in zip(line, np.argsort(-cosine, kind="stable"), strict=False):
            one.imshow(tile(sources[where]))
            name = text(names[where], 14) if names else ""
            one.set_title(
                name if where == query else f"{name} {cosine[where]:.2f}".strip(), fontsize=8, color=DARK
            )
            if names and names[where] != names[query]:
                frame(one)
    save(new, path)


def frame(axes: "Axes") -> None:
    """A dashed line round a picture."""
    from matplotlib.patches import Rectangle

    around = Rectangle((0, 0), 1, 1, fill=False, edgecolor=VALID, linestyle="--", linewidth=3)
    around.set(transform=axes.transAxes, clip_on=False)
    axes.add_patch(around)
