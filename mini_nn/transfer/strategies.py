"""The strategies, as data: what learns, from what start, and how."""

import math
from typing import NamedTuple

from mini_nn.core import Layer
from mini_nn.data import Recipe, Step

# small shifts and other light; no mirroring, which turns some signs, letters and digits into others
MILD = Recipe(
    (
        Step("affine", {"degrees": 10, "translate": 0.08, "scale": (0.88, 1.12)}),
        Step("brightness", {"amount": 0.25}),
        Step("contrast", {"amount": 0.25}),
        Step("saturation", {"amount": 0.25}),
    )
)


STEPS = 180
EPOCHS = 5, 40  # the fewest and the most


class Strategy(NamedTuple):
    """One way to make a classifier of a network that has seen ImageNet."""

    what: str
    last_stages: int | None = None  # how many of the stages learn; 0: the head alone; None: everything
    pretrained: bool = True
    size: int | None = 128  # pixels a side; None: the network's own
    epochs: int | None = None  # None: about STEPS steps, so few photographs are seen more often than many
    lr: float = 5e-3  # of the classifier
    body: float = 0.1  # the rate of the last stage, as a share of lr
    decay: float = 1.0  # and of each stage further down, as a share of the one above it
    batch_size: int = 16
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    patience: int | None = 4  # epochs without a better validation loss; None: all epochs, the last weights
    augment: Recipe = MILD
    views: int = 1  # A: each photograph as it is, and views - 1 fixed variants of it by `augment`

    def rounds(self, photographs: int) -> int:
        """How many epochs."""
        if self.epochs is not None:
            return self.epochs
        least, most = EPOCHS
        return min(max(round(STEPS / math.ceil(photographs / self.batch_size)), least), most)

    def until(self, model: Layer) -> str:
        """The first layer that learns."""
        if self.last_stages is None:
            return model.children()[0][0]
        stages = [name for name, _ in dict(model.children())["stages"].children()]
        if not 0 <= self.last_stages <= len(stages):
            raise ValueError(f"last_stages is {self.last_stages}; the network has {len(stages)} stages")
        return f"stages.{stages[-self.last_stages]}" if self.last_stages else "classifier"


STRATEGIES = {
    "A": Strategy("all layers stay as they are; a new head learns from features computed once", 0, size=None),
    "B": Strategy("the later stages and a new head learn, the early ones stay as they are", 3),
    "C": Strategy("everything learns, from the pretrained start", decay=0.85),
    "scratch": Strategy("everything learns, from random numbers", pretrained=False, lr=3e-3, body=1.0),
}
