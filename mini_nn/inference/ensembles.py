"""Several networks asked together: a little more accurate, as many times slower  (Krizhevsky et al. 2012, table 2)."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mini_nn import photos
from mini_nn.core import Layer
from mini_nn.inference import keeping
from mini_nn.inference.prediction import Prediction, decide
from mini_nn.layers import Sequential, Softmax
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

HOW = ("probabilities", "logits", "votes")


class Ensemble:
    """Called like a network on a batch (n, H, W, C) it gives probabilities (n, classes), float32, rows adding up to 1.

    Where its members are classifiers of photographs, each with its own preprocessing, `probabilities(paths)` and
    `predict(paths)` are those of a classifier.  `passes` are the forward passes that one photograph costs.
    """

    def __init__(self, models: Sequence[Any], how: str, weights: Array) -> None:
        self.models, self.how, self.weights = tuple(models), how, weights
        self.passes = sum(int(getattr(model, "passes", 1)) for model in models)
        self.classes: tuple[str, ...] | None = getattr(models[0], "classes", None)

    def __call__(self, x: Array) -> Array:
        if not takes_photographs(self.models[0]):
            return self.combine([answers(model, keeping.predict(model, x)) for model in self.models])
        hows = [
            getattr(model, "preprocess", object()) for model in self.models
        ]  # crops have more than one view
        if any(how != hows[0] for how in hows) or not hasattr(self.models[0], "model"):
            raise ValueError(
                "ensemble: its members prepare photographs each in its own way, so no batch is right for all of them; "
                "use .probabilities(paths)"
            )
        return self.combine(
            [softmax(keeping.predict(model.model, x).astype(np.float64)) for model in self.models]
        )

    def probabilities(self, paths: Iterable[photos.Source], batch: int = 8) -> Array:
        """(n, classes) for photographs: paths, PIL images or uint8 arrays."""
        if not takes_photographs(self.models[0]):
            raise ValueError(
                "ensemble: its members are networks, which take a batch: call it, or give it classifiers"
            )
        sources = paths if isinstance(paths, str | os.PathLike) else list(paths)
        return self.combine([model.probabilities(sources, batch) for model in self.models])

    def predict(
        self, paths: Iterable[photos.Source], sure: float | None = None, batch: int = 8
    ) -> list[Prediction]:
        """For each photograph its class, or "not sure", and all probabilities."""
        if self.classes is None:
            raise ValueError("ensemble: its members are networks and name no classes; give it classifiers")
        return decide(self.probabilities(paths, batch), self.classes, sure)

    def combine(self, answers: Sequence[Array]) -> Array:
        """Members' probabilities (n, classes) -> the ensemble's."""
        p = np.stack(same_shape(answers))
        least = np.finfo(p.dtype).tiny  # a probability may have underflowed to 0, which has no logarithm
        p = p.astype(np.float64)
        if self.how == "votes":
            p = np.eye(p.shape[2])[p.argmax(2)]
        elif (
            self.how == "logits"
        ):  # log p is the logits but for a constant in each row, which softmax takes out again
            p = np.log(np.maximum(p, least))
        mean = np.tensordot(self.weights, p, 1)
        return (softmax(mean) if self.how == "logits" else mean).astype(np.float32)


def ensemble(
    models: Iterable[Any], how: str = "probabilities", weights: Sequence[float] | None = None
) -> Ensemble:
    """Ask all models and put their answers together.

    models: networks, or functions of a batch that give logits (or probabilities: rows of numbers from 0 that add up to
    1), or classifiers of photographs (transfer.Classifier).  weights: one number from 0 for each, of which the
    proportions count.
      how="probabilities"  sum_m weight_m softmax(logits_m)
      how="logits"         softmax(sum_m weight_m logits_m)
      how="votes"          each model has one vote, for its best class; equal votes: the class that comes first
    """
    members = list(models)
    if not members:
        raise ValueError("ensemble: there are no models")
    if how not in HOW:
        raise ValueError(f"ensemble: how must be one of {', '.join(HOW)}, not {how!r}")
    for model in members:
        if not takes_photographs(model) and not callable(model):
            raise ValueError(f"ensemble: {model!r} is no network, function or classifier")
    if len({takes_photographs(model) for model in members}) > 1:
        raise ValueError(
            "ensemble: some members take batches and some photographs; give networks only, or classifiers only"
        )
    lists = {tuple(model.classes) for model in members if getattr(model, "classes", None)}
    if len(lists) > 1:
        raise ValueError(
            "ensemble: the members must know the same classes in the same order; these know "
            + "; and these ".join(", ".join(names) for names in sorted(lists))
        )
    return Ensemble(members, how, shares(weights, len(members)))


def takes_photographs(model: Any) -> bool:
    """A classifier, which reads and prepares photographs itself; an ensemble is one if its members are."""
    if isinstance(model, Ensemble):
        return takes_photographs(model.models[0])
    return hasattr(model, "probabilities")


def shares(weights: Sequence[float] | None, count: int) -> Array:
    """Weights that add up to 1."""
    given = np.ones(count) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or given.min() < 0 or not given.sum() > 0:
        raise ValueError(
            f"ensemble: {count} weights are needed, numbers from 0 and not all 0; they were {weights!r}"
        )
    return given / given.sum()


def answers(model: Any, output: Array) -> Array:
    """A member's output as probabilities (n, classes), float64."""
    if not isinstance(output, np.ndarray) or output.ndim != 2 or not np.isfinite(output).all():
        raise ValueError(f"ensemble: {type(model).__name__} must give finite numbers (n, classes)")
    wide = output.astype(np.float64)
    if isinstance(model, Layer):
        ends = model.children()[-1:] if isinstance(model, Sequential) else [("", model)]
        done = bool(ends) and isinstance(ends[0][1], Softmax)
    else:
        done = bool((wide.min() >= 0) and np.all(np.abs(wide.sum(1) - 1) < 1e-4))
    return wide if done else softmax(wide)


def same_shape(answers: Sequence[Array]) -> Sequence[Array]:
    shapes = {answer.shape for answer in answers}
    if len(shapes) > 1:
        raise ValueError(f"ensemble: the members' answers have different shapes, {sorted(shapes)}")
    return answers
