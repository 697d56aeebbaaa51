"""The initial loss is log C."""

from dataclasses import dataclass
from math import isfinite, log, sqrt
from typing import Any

import numpy as np

from mini_nn.core import Layer, named_layers
from mini_nn.layers import Dense
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array
from mini_nn.rituals.finding import Finding, Loss, untouched


@dataclass(frozen=True, eq=False)
class InitialLoss(Finding):
    loss: float
    expected: float  # log C
    spread: float  # standard deviation of an image's logits
    limits: tuple[float, float]  # the loss was to be between them


def initial_loss(model: Layer, x: Array, labels: Any, loss: Loss = softmax_cross_entropy) -> InitialLoss:
    """A network that knows nothing gives each of C classes 1 / C, and so loses log C, if its logits are equal.

    They are not quite.  Logits of standard deviation s that know nothing of the labels cost up to s^2 / 2 more (that
    much, were they normal), give or take s / sqrt(N) for N images.  The classifier starts in +-1 / sqrt(C), so F
    features of size about 1 make s at most sqrt(F / 3C): 0.7 with 1,000 classes, but 7 with 10.
    """
    with untouched(model):
        logits, _ = model.forward(x, train=True)
        value, _ = loss(logits, labels)
        spread = sqrt(logits.var(1, dtype=np.float64).mean())
    n, classes = logits.shape
    features = [layer.weight.shape[0] for _, layer in named_layers(model) if isinstance(layer, Dense)]
    widest = sqrt(features[-1] / (3 * classes)) if features else 1.0
    expected, noise = log(classes), 0.01 + 3 * spread / sqrt(n)
    limits = (expected - noise, expected + spread**2 / 2 + noise)
    fault = diagnose(value, limits, spread, widest)
    seen = f"the initial loss is {value:.3g}, log {classes} is {expected:.3g}"
    if not fault and value > limits[0] + 2 * noise:
        seen += f"; logits that differ by {spread:.2g} before they know anything cost up to {spread**2 / 2:.2g} more"
    return InitialLoss(not fault, seen + fault, value, expected, spread, limits)


def diagnose(value: float, limits: tuple[float, float], spread: float, widest: float) -> str:
    """What is wrong with the initial loss; '' if nothing is."""
    if not isfinite(value):
        return ": look for NaN in the images and the weights"
    if value < limits[0]:
        return ": too low for one that knows nothing; is it trained, or do the images hold the labels?"
    if spread > widest:
        return f": the logits differ by {spread:.2g}, {widest:.2g} is the most to expect: the weights are too large"
    if value > limits[1]:
        return f": {limits[1]:.3g} is the most to expect; is the loss a sum and not a mean, or are the labels others?"
    return ""
