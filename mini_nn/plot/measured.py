"""Curves and tables as pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_nn.metrics import Reliability
from mini_nn.ops import Array
from mini_nn.plot.frame import DARK, MUTED, TRAIN, VALID, Target, figure, save, text

NUMBERS = 40  # classes, up to which a confusion matrix has room for numbers


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
    from matplotlib.ticker import MaxNLocator

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
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(
        xlabel="how sure it is", ylabel="photographs", xlim=(0, 1), title=f"{int(found.counts.sum())} in all"
    )
    save(new, path)
