"""Strategies B, C and scratch: a few epochs of training, stopped and set back to where the validation part was best."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mini_nn import init, photos, schedules, train
from mini_nn.core import Layer, named_arrays, named_layers
from mini_nn.data import ArraySplit, Loader, PhotoSplit
from mini_nn.features import scaled
from mini_nn.layers import BatchNorm, StochasticDepth
from mini_nn.losses import softmax_cross_entropy
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.transfer.parts import StageRates, Tail, freeze, freeze_norms, new_head, rates
from mini_nn.transfer.strategies import Strategy
from mini_nn.weights.preprocess import Preprocess


class Tuned(NamedTuple):
    model: Network
    preprocess: Preprocess
    records: list[train.Record]


class Prepared(Loader):
    """A Loader whose batches are what the network was trained on: augmented in [0, 1], then scaled."""

    def __init__(self, split: Any, how: Preprocess, *args: Any, **options: Any) -> None:
        super().__init__(split, *args, **options)
        self.how = how

    def batch(self, *args: Any) -> tuple[Array, Array]:
        x, y = super().batch(*args)
        return scaled(x, self.how), y


def resized(how: Preprocess, size: int | None) -> Preprocess:
    """The same preprocessing for images of another size; all of a photograph's shorter side is seen."""
    return how if size is None else replace(how, size=size, resize=size, method="resize")


def in_memory(split: PhotoSplit, how: Preprocess, quiet: bool = False) -> ArraySplit:
    """The window of each photograph that the network sees, uint8, decoded once."""
    x = np.empty((len(split), how.size, how.size, 3), np.uint8)
    for i, path in enumerate(tqdm(split.paths, "reading", disable=True if quiet else None, delay=2)):
        x[i] = how.window(photos.read(path))
    return ArraySplit(split.y, split.classes, x)


def start(model: Network, strategy: Strategy, classes: int, rng: np.random.Generator) -> Network:
    """A copy of the model, with a new head, ready to learn as the strategy says."""
    model = new_head(copy.deepcopy(model), classes, rng)  # type: ignore[assignment]
    for _, layer in named_layers(model):
        if isinstance(layer, StochasticDepth):
            layer.rate = 0.0  # for long training: in a few epochs it only adds noise
        if isinstance(layer, BatchNorm) and not strategy.pretrained:
            layer.momentum = 0.1  # a run of some hundred steps needs statistics that follow
    if strategy.pretrained:
        freeze(model, strategy.until(model))
        freeze_norms(model)
    else:
        head = {name: item.value for name, item in named_arrays(model.classifier)}  # type: ignore[attr-defined]
        init.initialize(model, rng)
        for name, item in named_arrays(model.classifier):  # type: ignore[attr-defined]
            item.value = head[name]
    return model


def learner(model: Network, strategy: Strategy) -> Layer:
    """The model as it trains: nothing is remembered of layers that only predict."""
    return Tail(model, strategy.until(model)) if strategy.pretrained else model


def tune(
    model: Network,
    how: Preprocess,
    strategy: Strategy,
    parts: tuple[PhotoSplit, PhotoSplit],
    seed: int = 0,
    quiet: bool = False,
) -> Tuned:
    """Train a copy of the model on parts[0], judged after each epoch on parts[1] (which may be empty)."""
    how, rng = resized(how, strategy.size), np.random.default_rng(seed)
    model = start(model, strategy, len(parts[0].classes), rng)
    learn, judge = (in_memory(part, how, quiet) for part in parts)
    loader = Prepared(
        learn, how, min(strategy.batch_size, len(learn)), strategy.augment, workers=1, seed=seed
    )
    valid = Prepared(judge, how, 32, None, workers=1, shuffle=False) if len(judge) else None
    optimiser = StageRates(
        model, rates(model, strategy.lr, strategy.body, strategy.decay),
        weight_decay=strategy.weight_decay, no_decay=("norm", "bias"),
    )  # fmt: skip
    epochs = strategy.rounds(len(learn))
    records = train.fit(
        learner(model, strategy),
        loader,
        valid,
        optimiser,
        epochs,
        partial(softmax_cross_entropy, label_smoothing=strategy.label_smoothing),
        schedules.OneCycle(strategy.lr, epochs * len(loader), pct_start=0.2),
        max_norm=5.0,
        quiet=quiet,
    )
    return Tuned(model, how, list(best_kept(model, records, strategy.patience if valid else None)))


def best_kept(model: Layer, records: Iterator[train.Record], patience: int | None) -> Iterator[train.Record]:
    """The records until `patience` epochs brought no smaller validation loss; then the best weights are put back."""
    best, values, since = np.inf, [(item, item.value) for _, item in named_arrays(model)], 0
    for record in records:
        yield record
        since += 1
        if patience is None or record.valid_loss < best:
            best, values, since = record.valid_loss, [(item, item.value) for item, _ in values], 0
        elif since >= patience:
            break
    for item, value in values:
        item.value = value
