"""Pictures: readable in print, and without telling red from green.  matplotlib is imported when the first is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mini_nn.files import written_whole
from mini_nn.ops import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALID, MUTED = (
    "#0072b2",
    "#d55e00",
    "#5a6b7b",
)  # blue and vermilion: Okabe & Ito's, told apart by all eyes


def save(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG: whole, or not at all."""
    with written_whole(Path(path)) as file:
        figure.savefig(file, format="png", facecolor="white", dpi=130)


def figure(columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    new = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(new.subplots(1, columns)))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return new, axes


def curves(records: Sequence[Any], path: str | Path) -> None:
    """Loss and accuracy by epoch, of train.Records; the held-back half is dashed and labelled at its end."""
    from matplotlib.ticker import MaxNLocator

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


def confusion(matrix: Array, classes: Sequence[str], path: str | Path) -> None:
    """matrix (C, C): how many images of the row's class were taken for the column's; a row's colour is its share."""
    side = max(3.6, 0.45 * len(classes) + 1.6)
    new, (axes,) = figure(1, side + 0.4, side)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(matrix > 0):
        axes.text(
            j,
            i,
            str(int(matrix[i, j])),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if share[i, j] > 0.5 else "#12304b",
        )
    axes.set_xticks(
        range(len(classes)),
        classes,
        rotation=45 if max(map(len, classes)) > 2 else 0,
        ha="right" if max(map(len, classes)) > 2 else "center",
    )
    axes.set_yticks(range(len(classes)), classes)
    right = int(np.trace(matrix))
    axes.set(
        xlabel="taken for",
        ylabel="is",
        title=f"{right} of {int(matrix.sum())} right, {right / max(matrix.sum(), 1):.1%}",
    )
    save(new, path)


def rates(test: Any, path: str | Path) -> None:
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
