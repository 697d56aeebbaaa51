"""Transfer learning: a network that has seen a million photographs learns the classes of a few dozen of yours."""

from mini_nn.inference.prediction import NOT_SURE, Prediction
from mini_nn.transfer.classifier import Classifier, load
from mini_nn.transfer.fitting import fit, sweep
from mini_nn.transfer.head import Counts
from mini_nn.transfer.parts import (
    StageRates,
    Tail,
    freeze,
    freeze_norms,
    new_head,
    rates,
    split,
    unfreeze,
)
from mini_nn.transfer.run import Run, Tried
from mini_nn.transfer.strategies import STRATEGIES, Strategy

__all__ = [
    "NOT_SURE", "STRATEGIES", "Classifier", "Counts", "Prediction", "Run", "StageRates", "Strategy", "Tail", "Tried",
    "fit", "freeze", "freeze_norms", "load", "new_head", "rates", "split", "sweep", "unfreeze",
]  # fmt: skip
