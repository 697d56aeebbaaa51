"""Sheets of photographs: the worst mistakes, what spoke for a class, which look alike to a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from mini_nn import photos
from mini_nn.inference import looking
from mini_nn.metrics import labels, matrix
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax
from mini_nn.plot.frame import COLUMNS, VALID, Sheet, Target, save, text, tile


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
    y = labels(y, p.shape[1])
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
    columns = min(COLUMNS, max(3, len(shown)))
    page = Sheet(max(1, -(-len(shown) // columns)), columns, 3, title=title)
    for i, where in enumerate(shown):
        is_, taken, share = classes[y[where]], classes[chosen[where]], p[where, chosen[where]]
        said = f"is {text(is_, 18)}\ntaken for\n{text(taken, 17)}, {share:.0%}"
        page.show(i // columns, i % columns, tile(paths[where]), said)
    save(page.figure, path)


def cams(sources: Sequence[photos.Source], classifier: Any, path: Target) -> None:
    """Photographs as the classifier sees them, and below each which pixels speak for the class that it chose.

    Yellow is the most of that photograph; the line goes round what has more than half of it.
    """
    if not len(sources):
        raise ValueError("cams: there are no photographs")
    columns = min(COLUMNS, len(sources))
    groups = -(-len(sources) // columns)
    page = Sheet(2 * groups, columns, 1, title="what speaks for the class that was chosen")
    for i, source in enumerate(sources):
        window = classifier.preprocess.window(photos.read(source))
        x = classifier.preprocess(source)[None]
        p = softmax(classifier.model(x))[0]
        heat = looking.class_activation(classifier.model, x, p.argmax(keepdims=True))[0]
        said = f"{text(classifier.classes[p.argmax()], 17)}, {p.max():.0%}"
        page.show(i // columns * 2, i % columns, window, said)
        overlay(page, i // columns * 2 + 1, i % columns, window, heat)
    save(page.figure, path)


def overlay(page: Sheet, row: int, column: int, window: Array, heat: Array) -> None:
    """The window in grey, and over it the positive part of a map (h, w), enlarged."""
    size = window.shape[1], window.shape[0]
    large = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    share = np.clip(large / max(float(large.max()), 1e-12), 0, 1)
    page.show(row, column, window.mean(2), cmap="gray", vmin=0, vmax=255)
    page.show(row, column, share, cmap="inferno", vmin=0, vmax=1, alpha=0.15 + 0.5 * share)
    if 0 < (share > 0.5).mean() < 1:
        left, top = page.place(row, column)
        across, down = (page.side * (np.arange(n) + 0.5) / n for n in size)
        page.axes.contour(left + across, top + down, share, [0.5], colors="white", linewidths=1)


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
    page = Sheet(len(asked), k + 1, 1, title="each photograph on the left, and the most similar ones")
    for row, query in enumerate(asked):
        cosine = unit @ unit[query]
        cosine[query] = np.inf  # itself first
        for column, where in enumerate(np.argsort(-cosine, kind="stable")[: k + 1]):
            name = text(names[where], 14) if names else ""
            said = f"{name} {cosine[where]:.2f}".strip() if column else name
            page.show(row, column, tile(sources[where]), said)
            if names and names[where] != names[query]:
                frame(page, row, column)
    save(page.figure, path)


def frame(page: Sheet, row: int, column: int) -> None:
    """A dashed line round a picture."""
    from matplotlib.patches import Rectangle

    around = page.place(row, column), page.side, page.side
    page.axes.add_patch(Rectangle(*around, fill=False, edgecolor=VALID, linestyle="--", linewidth=3))
