"""Real networks of the three families, made small enough for a laptop, with the settings that train them.

Narrow, with stem_stride 1 for images of 32 x 32.  The running statistics follow within some tens of steps
(momentum 0.1): a run here has hundreds of steps, where the papers' have a hundred thousand.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mini_nn import init, models, optim, schedules, train
from mini_nn.blocks import KERAS
from mini_nn.data import Loader, Splits, preset
from mini_nn.losses import softmax_cross_entropy
from mini_nn.models import Network

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
    lr: float = 0.01
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    augment: str = "digits"  # of data.PRESETS
    strength: float = 0.7

    def build(self, splits: Splits, seed: int = 0) -> Network:
        """The network with its first values, for the classes and the channels of `splits`."""
        model = models.build(
            self.model,
            num_classes=len(splits.classes),
            in_channels=splits.train[0][0].shape[2],
            convention=QUICK,
            stem_stride=self.stem_stride,
            width_mult=self.width_mult,
            depth_mult=self.depth_mult,
            drop_path=0.0,  # for deep networks and long runs
        )
        init.initialize(model, np.random.default_rng(seed))
        return model

    def fit(
        self,
        model: Network,
        splits: Splits,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        **options: Any,
    ) -> Iterator[train.Record]:
        """train.fit with these settings; options are fit's own."""
        augment = preset(self.augment, self.strength) if self.augment != "none" else None
        loader = Loader(splits.train, min(self.batch_size, len(splits.train)), augment, workers=1, seed=seed)
        optimiser = optim.AdamW(model, lr=self.lr, weight_decay=self.weight_decay, no_decay=("norm", "bias"))
        return train.fit(
            model,
            loader,
            splits.valid,
            optimiser,
            epochs=self.epochs,
            loss=partial(softmax_cross_entropy, label_smoothing=self.label_smoothing),
            schedule=schedules.OneCycle(self.lr, len(loader) * self.epochs),
            checkpoint=checkpoint,
            resume=resume,
            **options,
        )

    def with_(self, **changes: Any) -> "Micro":
        """The same but for what is given and not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


MICRO = {
    "mobilenet_v1": Micro("mobilenet_v1", 0.25),
    "mobilenet_v2": Micro("mobilenet_v2", 0.25),
    "efficientnet_b0": Micro("efficientnet_b0", 0.25, 0.5),
}
