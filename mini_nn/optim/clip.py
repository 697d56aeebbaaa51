"""Gradients cut to size, between backward and step."""

import math

import numpy as np

from mini_nn.core import Layer
from mini_nn.optim.base import moving, number


def clip_grad_norm(model: Layer, max_norm: float) -> float:
    """Scale all gradients together so that their norm is at most max_norm; return the norm that they had.

    g <- g min(1, max_norm / (norm + 1e-6)),  norm = sqrt(sum of g^2 over all)  (Pascanu et al. 2013, algorithm 1).
    A gradient that is not finite makes the norm, and then all gradients, not finite, as in torch.
    """
    limit = math.inf if max_norm == math.inf else number("max_norm", max_norm)
    grads = {p: grad for p, (grad, _) in moving(model).items()}
    with np.errstate(over="ignore", invalid="ignore"):
        norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads.values()))
        scale = float(np.minimum(1.0, limit / (norm + 1e-6)))
        for p, g in grads.items():
            p.grad = g * scale
    return norm


def clip_grad_value(model: Layer, clip_value: float) -> None:
    """Cut every number of every gradient to [-clip_value, clip_value]."""
    limit = number("clip_value", clip_value)
    for p, (grad, _) in moving(model).items():
        p.grad = np.clip(grad, -limit, limit)
