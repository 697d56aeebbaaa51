"""What a network is inside: its first filters, and what each stage makes of an image."""

from typing import Any

import numpy as np

from mini_nn.core import named_layers
from mini_nn.inference import looking
from mini_nn.layers import Conv2D
from mini_nn.ops import Array
from mini_nn.plot.frame import Sheet, Target, save


def filters(model: Any, path: Target) -> None:
    """What each filter of the first convolution looks for: weights above 0 bright, 0 grey, in the colours that they act on."""
    conv = next((layer for _, layer in named_layers(model) if isinstance(layer, Conv2D)), None)
    if conv is None or conv.weight.shape[2] not in (1, 3):
        raise ValueError("filters: the model has no first convolution on images of 1 or 3 channels")
    w = conv.weight.value
    count, columns = w.shape[3], min(16, w.shape[3])
    page = Sheet(-(-count // columns), columns, 0, 0.5, f"{count} filters of {w.shape[0]} x {w.shape[1]}")
    for i in range(count):
        one = w[..., i]
        shown = 0.5 + 0.5 * one / max(float(np.abs(one).max()), 1e-12)
        shown = np.broadcast_to(shown, (*shown.shape[:2], 3))
        page.show(i // columns, i % columns, shown, interpolation="nearest")
    save(page.figure, path)


def feature_maps(model: Any, x: Array, path: Target, channels: int = 8) -> None:
    """What each stage makes of one image x (H, W, C), prepared: the channels that vary most, each from its least to its most."""
    found = looking.stages(model, x[None])
    page = Sheet(len(found), channels, 0, 0.9, left=1)
    for row, (name, y) in enumerate(found.items()):
        h, w, c = y.shape[1:]
        middle = page.place(row, 0)[1] + page.side / 2
        page.axes.text(0.9, middle, f"{name}\n{h} x {w}\n{c} channels", ha="right", va="center", fontsize=7)
        best = np.argsort(-y[0].std((0, 1)), kind="stable")[:channels]
        for column, channel in enumerate(best):
            page.show(row, column, y[0, :, :, channel], cmap="gray", interpolation="nearest")
    save(page.figure, path)
