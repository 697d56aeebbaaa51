"""One photograph looked at several times: in the middle, mirrored, at the corners  (Krizhevsky et al. 2012, section 4.1)."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mini_nn import photos
from mini_nn.inference import keeping
from mini_nn.inference.prediction import Prediction, decide
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

VIEWS = {"centre": 1, "mirrored": 2, "ten": 10}  # forward passes
WIDER = (
    8 / 7
)  # 256 / 224: how much of the photograph there is around a crop, where the preprocessing says nothing


def centre(x: Array, size: int) -> Array:
    """x (n, H, W, C) -> (1, n, size, size, C): the middle; an odd pixel goes as torchvision's CenterCrop has it."""
    check(x, size)
    top, left = (round((side - size) / 2) for side in x.shape[1:3])
    return x[None, :, top : top + size, left : left + size]


def mirrored(x: Array, size: int) -> Array:
    """(2, n, size, size, C): the middle, and the same with left and right exchanged."""
    middle = centre(x, size)
    return np.concatenate([middle, middle[..., ::-1, :]])


def ten(x: Array, size: int) -> Array:
    """(10, n, size, size, C): top left, top right, bottom left, bottom right, centre; then the five of the mirrored image.

    The order is torchvision's TenCrop: view 5 is the top left of the mirrored image, what was the top right.
    """
    check(x, size)
    return np.concatenate([five(x, size), five(x[:, :, ::-1], size)])


def five(x: Array, size: int) -> Array:
    top, bottom, left, right = x[:, :size], x[:, -size:], np.s_[:, :, :size], np.s_[:, :, -size:]
    return np.stack([top[left], top[right], bottom[left], bottom[right], centre(x, size)[0]])


CUTS = {"centre": centre, "mirrored": mirrored, "ten": ten}


def predict(model: Any, x: Array, size: int, how: str | int = "ten") -> Array:
    """Probabilities (n, classes) for a batch of images larger than `size`: the mean over the views of each.

    how: "centre", "mirrored" or "ten", or the number of views, which is that of the forward passes: 1, 2 or 10.
    """
    views = CUTS[named(how)](x, size)
    seen = np.stack([softmax(keeping.predict(model, view)) for view in views])
    return seen.mean(0, dtype=np.float64).astype(np.float32)


class Cropped:
    """A classifier of photographs that looks at each in several crops; it predicts as the classifier does.

    Centre and mirrored views are the classifier's own.  The ten come from the square that its preprocessing cuts its
    centre from (from one 8 / 7 as wide where both are the same).  `passes` are the forward passes of one photograph.
    """

    def __init__(self, classifier: Any, how: str | int = "ten") -> None:
        self.classifier, self.how = classifier, named(how)
        for part in ("model", "preprocess", "classes"):
            if not hasattr(classifier, part):
                raise ValueError(
                    f"crops: {type(classifier).__name__} has no {part}; a transfer.Classifier is needed, or use crops.predict"
                )
        self.passes = VIEWS[self.how]
        self.classes: tuple[str, ...] = tuple(classifier.classes)

    def views(self, source: photos.Source) -> Array:
        """(passes, size, size, 3): what the network is shown of one photograph."""
        how = self.classifier.preprocess
        if self.how != "ten":
            return CUTS[self.how](how(source)[None], how.size)[:, 0]
        wide = how.resize if how.resize > how.size else round(how.size * WIDER)
        return ten(replace(how, size=wide, resize=wide)(source)[None], how.size)[:, 0]

    def probabilities(self, paths: Iterable[photos.Source], batch: int = 8) -> Array:
        """(n, classes), each row the mean over the views."""
        if isinstance(paths, str | os.PathLike):
            raise ValueError(f"crops: a list of photographs is needed: [{str(paths)!r}]")
        rows = [np.zeros((0, len(self.classes)), np.float32)]
        for path in paths:
            x = self.views(path)
            seen = [
                softmax(keeping.predict(self.classifier.model, x[i : i + batch]))
                for i in range(0, len(x), batch)
            ]
            rows.append(np.concatenate(seen).mean(0, keepdims=True))
        return np.concatenate(rows)

    def predict(
        self, paths: Iterable[photos.Source], sure: float | None = None, batch: int = 8
    ) -> list[Prediction]:
        """For each photograph its class, or "not sure", and all probabilities."""
        least = getattr(self.classifier, "sure", None) if sure is None else sure
        return decide(self.probabilities(paths, batch), self.classes, least)


def named(how: str | int) -> str:
    """The name of a way to crop, from its name or its number of views."""
    for name, views in VIEWS.items():
        if how == name or (how == views and not isinstance(how, bool)):
            return name
    raise ValueError(
        f"crops: how must be {', '.join(VIEWS)} or their number of views {list(VIEWS.values())}, not {how!r}"
    )


def check(x: Any, size: Any) -> None:
    if not isinstance(x, np.ndarray) or x.ndim != 4:
        raise ValueError(f"crops: x must be images (n, H, W, C), not {getattr(x, 'shape', type(x).__name__)}")
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= min(x.shape[1:3]):
        raise ValueError(
            f"crops: size must be a whole number from 1 to {min(x.shape[1:3])}, the image's shorter side, not {size!r}"
        )
