"""How parameters move.  rules.py: the formulas.  base.py: the loop that they share.  ema.py: averages.  clip.py."""

from mini_nn.optim.base import KINDS, Optimiser
from mini_nn.optim.clip import clip_grad_norm, clip_grad_value
from mini_nn.optim.ema import EMA
from mini_nn.optim.rules import SGD, Adam, AdamW, RMSProp

__all__ = [
    "EMA",
    "KINDS",
    "SGD",
    "Adam",
    "AdamW",
    "Optimiser",
    "RMSProp",
    "clip_grad_norm",
    "clip_grad_value",
]
