"""The formulas, with torch's names: w is a parameter, g its gradient, s what is remembered of it between steps."""

from collections.abc import Collection

import numpy as np

from mini_nn.core import Layer
from mini_nn.ops import Array
from mini_nn.optim.base import Memory, Optimiser, number

Kinds = Collection[str]


class SGD(Optimiser):
    """v <- momentum v + (1 - dampening) g;  w <- w - lr v,  or w - lr (g + momentum v) with nesterov.

    The first v is g, whatever the dampening.  Sutskever et al. 2013, in torch's form: the rate is not in v.
    """

    def __init__(
        self, model: Layer, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False, *, no_decay: Kinds = ()
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, no_decay)
        self.momentum, self.dampening = number("momentum", momentum), number("dampening", dampening)
        self.nesterov = bool(nesterov)
        if nesterov and not (momentum > 0 and dampening == 0):
            raise ValueError(
                f"nesterov needs momentum above 0 and dampening 0, not {momentum} and {dampening}"
            )

    def start(self, w: Array) -> Memory:
        return {"velocity": np.zeros_like(w)}

    def update(self, w: Array, g: Array, s: Memory) -> Array:
        if self.momentum:
            fresh = 1.0 if s["steps"] == 1 else 1 - self.dampening
            v = s["velocity"] = self.momentum * s["velocity"] + fresh * g
            g = g + self.momentum * v if self.nesterov else v
        return w - self.lr * g


class RMSProp(Optimiser):
    """Divide each gradient by its recent size  (Tieleman & Hinton 2012, lecture 6e).  m is the mean of g^2.

    form="torch"       m starts at 0;  d <- momentum d + g / (sqrt(m) + eps);     w <- w - lr d
    form="tensorflow"  m starts at 1;  v <- momentum v + lr g / sqrt(m + eps);    w <- w - v

    The second is that of the papers' code (tf.train.RMSPropOptimizer), where alpha is called decay.
    """

    def __init__(
        self, model: Layer, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, form: str = "torch", *, no_decay: Kinds = ()
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, no_decay)
        if form not in ("torch", "tensorflow"):
            raise ValueError(f'form must be "torch" or "tensorflow", not {form!r}')
        self.alpha, self.eps = number("alpha", alpha, 1), number("eps", eps)
        self.momentum, self.form = number("momentum", momentum), form

    def start(self, w: Array) -> Memory:
        if self.form == "torch":
            return {"mean_square": np.zeros_like(w), "direction": np.zeros_like(w)}
        return {"mean_square": np.ones_like(w), "velocity": np.zeros_like(w)}

    def update(self, w: Array, g: Array, s: Memory) -> Array:
        m = s["mean_square"] = self.alpha * s["mean_square"] + (1 - self.alpha) * g * g
        if self.form == "torch":
            d = s["direction"] = self.momentum * s["direction"] + g / (np.sqrt(m) + self.eps)
            return w - self.lr * d
        v = s["velocity"] = self.momentum * s["velocity"] + self.lr * g / np.sqrt(m + self.eps)
        return w - v


class Adam(Optimiser):
    """Momentum and RMSProp together, each corrected for its start at 0  (Kingma & Ba 2015, algorithm 1)."""

    def __init__(
        self, model: Layer, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, *, no_decay: Kinds = ()
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, no_decay)
        if np.shape(betas) != (2,):
            raise ValueError(f"betas must be two numbers in [0, 1), not {betas!r}")
        self.betas = (number("betas[0]", betas[0], 1), number("betas[1]", betas[1], 1))
        self.eps = number("eps", eps)

    def start(self, w: Array) -> Memory:
        return {"mean": np.zeros_like(w), "mean_square": np.zeros_like(w)}

    def update(self, w: Array, g: Array, s: Memory) -> Array:
        (beta1, beta2), t = self.betas, s["steps"]
        m = s["mean"] = beta1 * s["mean"] + (1 - beta1) * g
        v = s["mean_square"] = beta2 * s["mean_square"] + (1 - beta2) * g * g
        m, v = m / (1 - beta1**t), v / (1 - beta2**t)
        return w - self.lr * m / (np.sqrt(v) + self.eps)


class AdamW(Adam):
    """Adam whose weight decay shrinks w itself: it is not divided by a gradient's size  (Loshchilov & Hutter 2019)."""

    def __init__(
        self, model: Layer, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, *, no_decay: Kinds = ()
    ) -> None:  # fmt: skip
        super().__init__(model, lr, betas, eps, weight_decay, no_decay=no_decay)

    def decay(self, w: Array, g: Array) -> tuple[Array, Array]:
        return w * (1 - self.lr * self.weight_decay), g
