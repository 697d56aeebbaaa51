"""Real networks of the three families, made small enough for a laptop, with the settings that train them.

Narrow, with stem_stride 1 for images of 32 x 32.  The running statistics follow within some tens of steps
(momentum 0.1): a run here has hundreds of steps, where the papers' have a hundred thousand.
"""

import csv
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn import data, init, models, optim, rituals, schedules, train, weights
from mini_nn.blocks import KERAS
from mini_nn.core import Layer, named_arrays
from mini_nn.data import Loader, Recipe, Split, Splits, preset
from mini_nn.losses import softmax_cross_entropy
from mini_nn.models import Network
from mini_nn.ops import Array

QUICK = KERAS._replace(momentum=0.1)


@dataclass(frozen=True)
class Micro:
    """A network and how it is trained: AdamW, one-cycle rate, label smoothing, augmentation of photographs or digits."""

    model: str
    width_mult: float
    depth_mult: float | None = None
    stem_stride: int = 1
    epochs: int = 12
    batch_size: int = 64
    lr: float = 0.03
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    augment: str = "digits"  # of data.PRESETS
    strength: float = 0.4

    def network(self, classes: int, channels: int) -> Network:
        """The network, without a number in it yet."""
        return models.build(
            self.model,
            num_classes=classes,
            in_channels=channels,
            convention=QUICK,
            stem_stride=self.stem_stride,
            width_mult=self.width_mult,
            depth_mult=self.depth_mult,
            dropout=0.0,  # this and drop_path are for large networks and long runs
            drop_path=0.0,
        )

    def build(self, splits: Splits, seed: int = 0) -> Network:
        """The network with its first values, for the classes and the channels of `splits`."""
        model = self.network(len(splits.classes), splits.train[0][0].shape[2])
        init.initialize(model, np.random.default_rng(seed))
        # The classifier starts with values made for 1,000 classes: with 10, the loss would start far above log 10.
        weight = dict(named_arrays(model))["classifier.weight"]
        weight.value = weight.value * np.float32(0.1)
        return model

    def fit(
        self,
        model: Network,
        splits: Splits,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        augment: Recipe | None = None,
        **options: Any,
    ) -> Iterator[train.Record]:
        """train.fit with these settings, or another augmentation; options are fit's own."""
        loader = self.loader(splits, seed, augment)
        return train.fit(
            model,
            loader,
            splits.valid,
            self.optimiser(model),
            epochs=self.epochs,
            loss=partial(softmax_cross_entropy, label_smoothing=self.label_smoothing),
            schedule=schedules.OneCycle(self.lr, len(loader) * self.epochs),
            checkpoint=checkpoint,
            resume=resume,
            **options,
        )

    def loader(self, splits: Splits, seed: int = 0, augment: Recipe | None = None) -> Loader:
        augment = preset(self.augment, self.strength) if augment is None else augment
        return Loader(splits.train, min(self.batch_size, len(splits.train)), augment, workers=1, seed=seed)

    def optimiser(self, model: Layer) -> optim.AdamW:
        return optim.AdamW(
            model,
            lr=self.lr,
            betas=(0.9, 0.99),  # 0.999 remembers a thousand steps: longer than a run here
            weight_decay=self.weight_decay,
            no_decay=("norm", "bias"),
        )

    def rehearse(
        self, model: Network, splits: Splits, seed: int = 0, steps: int = 200
    ) -> dict[str, rituals.Finding]:
        """The rituals before a training, by name; the model is left as it was."""
        batches = self.loader(splits, seed)
        with closing(iter(batches)) as first:
            x, y = next(first)
        return {
            "initial loss": rituals.initial_loss(model, x, y),
            "gradients": rituals.gradient_norms(model, x, y),
            "one batch by heart": rituals.overfit(model, x[:16], y[:16], self.optimiser),
            "rates": rituals.lr_range(model, batches, self.optimiser, low=1e-4, high=1.0, steps=steps),
        }

    def with_(self, **changes: Any) -> "Micro":
        """The same but for what is given and not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


MICRO = {
    "mobilenet_v1": Micro("mobilenet_v1", 0.25, epochs=9),
    "mobilenet_v2": Micro("mobilenet_v2", 0.25, epochs=8),
    "efficientnet_b0": Micro("efficientnet_b0", 0.25, 0.5, epochs=6, lr=0.02),
}

TRAINED = Path(__file__).with_name("micro_b0.safetensors")  # made by `make micro`


def trained() -> Network:
    """The micro EfficientNet-B0 for digits that comes with the package: x (N, 32, 32, 1) in [0, 1] -> logits (N, 10)."""
    model = MICRO["efficientnet_b0"].network(10, 1)
    weights.load(model, TRAINED)
    return model


def recipe(name: str, splits: Splits) -> Micro:
    """The recipe of a family for this data: digits, or photographs in colour."""
    if name not in MICRO:
        raise ValueError(f"there is no micro recipe for {name!r}; there are {', '.join(MICRO)}")
    height, width, channels = splits.train[0][0].shape
    photographs = {"augment": "cifar", "strength": 1.0, "epochs": 25} if channels == 3 else {}
    large = {"stem_stride": 2} if min(height, width) > 40 else {}
    return MICRO[name].with_(**photographs, **large)


def splits(source: str, size: tuple[int, int] | None = None) -> Splits:
    """A data set by its name, from an .npz file, or from a folder of photographs, scaled to `size` (64 x 64)."""
    if Path(source).is_dir():
        return data.folder(source, size=size or (64, 64))
    return data.npz(source) if source.endswith(".npz") else data.load(source, size)


def history(folder: Path) -> list[train.Record]:
    """The records of a run, from its history.csv."""
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        return [
            train.Record(int(row["epoch"]), *(float(row[f]) for f in train.Record._fields[1:]))
            for row in csv.DictReader(file)
        ]


def confusion(model: Layer, split: Split) -> Array:
    """(C, C): how many images of the row's class the model takes for the column's."""
    matrix = np.zeros((len(split.classes),) * 2, np.int64)
    for x, y in Loader(split, 64, shuffle=False, workers=0):
        np.add.at(matrix, (y, model(x).argmax(1)), 1)
    return matrix
