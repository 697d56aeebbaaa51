"""What goes on inside a network that predicts: what each stage gives, and which pixels speak for a class."""

from typing import Any

import numpy as np

from mini_nn.core import Layer
from mini_nn.layers import GlobalAveragePool
from mini_nn.ops import Array


def stages(model: Layer, x: Array) -> dict[str, Array]:
    """The output of each part of a network, (n, h, w, c) by name: stem, stages.0, ..., and head where there is one."""
    found = {}
    for name, layer in model.children():
        if isinstance(layer, GlobalAveragePool):
            break
        for part, inner in (
            [(f"stages.{i}", stage) for i, stage in layer.children()] if name == "stages" else [(name, layer)]
        ):
            x = inner(x)
            found[part] = x
    return found


def class_activation(model: Any, x: Array, classes: Array | None = None) -> Array:
    """Which pixels speak for a class: (n, h, w), one map an image  (Zhou et al. 2015, equation 2).

    map[n, i, j] = sum_c features[n, i, j, c] weight[c, class_n], features being what the pooling is given.  Its mean
    over the pixels, plus the class's bias, is the logit: the head's sum, before it is added up.
    classes (n,): the class asked about for each image; None: the one that is predicted.
    """
    head = dict(model.children()).get("classifier")
    if head is None or not hasattr(head, "bias"):
        raise ValueError(
            "class_activation: the model must be a network whose last layer is called classifier"
        )
    features = list(stages(model, x).values())[-1]
    weight = head.weight.value
    if classes is None:
        classes = (features.mean((1, 2)) @ weight + head.bias.value).argmax(1)
    classes = np.asarray(classes)
    if (
        classes.shape != (len(x),)
        or classes.dtype.kind not in "iu"
        or not ((classes >= 0) & (classes < weight.shape[1])).all()
    ):
        raise ValueError(
            f"class_activation: classes must be {len(x)} numbers from 0 to {weight.shape[1] - 1}, not {classes!r}"
        )
    return np.einsum("nijc,cn->nij", features, weight[:, classes])
