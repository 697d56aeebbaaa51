"""Batch normalisation with its learned scale and shift, and its running statistics."""

from math import prod
from typing import Any

from mini_nn import backend
from mini_nn.core import Buffer, Layer, Parameter, Shape, check_grad, check_input
from mini_nn.ops import Array


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, a channel at a time.  x, y (..., C); the arrays (C,).

    train=True takes the batch's mean and variance and moves the running ones towards them.  Otherwise, and
    whenever the layer is frozen (gamma not trainable), the running ones are used and stay as they are.
    momentum is the weight of the *new* batch (PyTorch's way; Keras's number is 1 - it).  unbiased tracks
    n / (n - 1) times the batch's variance, as PyTorch does, and so refuses n = 1; Keras tracks the biased one.
    """

    def __init__(
        self, channels: int, eps: float = 1e-3, momentum: float = 0.01, unbiased: bool = False
    ) -> None:
        if not eps > 0 or not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm: eps {eps} must be above 0, momentum {momentum} in [0, 1]")
        self.gamma, self.beta = Parameter(channels), Parameter(channels)
        self.running_mean, self.running_var = Buffer(channels), Buffer(channels)
        self.eps, self.momentum, self.unbiased = eps, momentum, unbiased

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        check_input(self, x, self.gamma.shape[0], ndim=None)
        own = train and self.gamma.trainable
        if own:
            mean, var = self.track(x)
        else:
            mean, var = self.running_mean.value, self.running_var.value
        y = backend.batch_norm.forward(x, self.gamma.value, self.beta.value, mean, var, self.eps)
        return y, (x, mean, var, own)

    def backward(self, dy: Array, cache: Any) -> Array:
        x, mean, var, own = cache
        check_grad(self, dy, x.shape)
        dx, dgamma, dbeta = backend.batch_norm.backward(
            dy, x, self.gamma.value, self.beta.value, mean, var, self.eps, own
        )
        self.gamma.add_grad(dgamma)
        self.beta.add_grad(dbeta)
        return dx

    def track(self, x: Array) -> tuple[Array, Array]:
        """Return the batch's statistics, after moving the running ones towards them."""
        mean, var = backend.batch_norm.statistics(x)
        self.follow(x.shape, mean, var)
        return mean, var

    def follow(self, shape: Shape, mean: Array, var: Array) -> None:
        """Move the running statistics towards those of a batch of this shape."""
        n = prod(shape[:-1])
        if self.unbiased and n == 1:
            raise ValueError(
                f"BatchNorm: x {shape} has one value a channel: no variance to learn from; "
                "use a larger batch or image, or train=False"
            )
        tracked = var * (n / (n - 1)) if self.unbiased else var
        for running, new in (self.running_mean, mean), (self.running_var, tracked):
            old = running.value
            running.value = ((1 - self.momentum) * old + self.momentum * new).astype(old.dtype)
