"""What to try before a long training: experiments of a few seconds, each a function with a verdict.

They run the model as training does and leave it as it was: values, statistics, gradients, random generators.
After the CS231n notes, "Babysitting the learning process".
"""

from mini_nn.rituals.finding import Finding, untouched
from mini_nn.rituals.gradients import GradientNorms, gradient_norms
from mini_nn.rituals.heart import Overfit, overfit
from mini_nn.rituals.rates import RangeTest, lr_range
from mini_nn.rituals.start import InitialLoss, initial_loss

__all__ = [
    "Finding", "GradientNorms", "InitialLoss", "Overfit", "RangeTest",
    "gradient_norms", "initial_loss", "lr_range", "overfit", "untouched",
]  # fmt: skip
