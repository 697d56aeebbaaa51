"""Convolution, BatchNorm and activation as one layer: its children are the readable layers, whose parameters it uses."""

from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer, check_input, named_arrays
from mini_nn.fused.arena import Arena
from mini_nn.fused.convolutions import CONVOLUTIONS, NOTHING
from mini_nn.fused.flow import Flowing, Gated, Slope, Value, Wave
from mini_nn.kernels.fused import bend
from mini_nn.layers import BatchNorm, ReLU, ReLU6, Sequential, Swish
from mini_nn.ops import Array

KINDS: dict[type[Layer], int] = {ReLU: bend.RELU, ReLU6: bend.RELU6, Swish: bend.SWISH}


class Kept(NamedTuple):
    """What a fused call remembers."""

    x: Wave
    waved: bool  # x came as a Wave
    out: Wave
    mean: Array
    inv_std: Array
    own: bool  # mean and variance were the batch's


class Unit(Flowing, Sequential):
    """act(norm(conv(x))), of a Sequential with these children; the activation may be missing.  dx: dL/dx is wanted."""

    arena: Arena
    dx: bool

    @staticmethod
    def fits(layers: list[Layer]) -> bool:
        """Whether there are kernels for these layers, one behind another."""
        kinds = [type(layer) for layer in layers]
        there = (
            kinds[0] in CONVOLUTIONS and kinds[1:2] == [BatchNorm] and CONVOLUTIONS[kinds[0]].fits(layers[0])
        )
        return there and (len(kinds) == 2 or (len(kinds) == 3 and kinds[2] in KINDS))

    def parts(self) -> tuple[Any, BatchNorm, int]:
        """(the convolution, the BatchNorm, the kind of the activation)."""
        conv, norm, *act = (layer for _, layer in self.children())
        return conv, norm, KINDS[type(act[0])] if act else bend.LINEAR  # type: ignore[return-value]

    def ready(self) -> bool:
        """All float32: proofs in float64 run readably."""
        return all(item.value.dtype == np.float32 for _, item in named_arrays(self))

    def reads(self, x: Wave) -> bool:
        return self.ready() and CONVOLUTIONS[type(self.parts()[0])].reads(x)

    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        conv, norm, kind = self.parts()
        waved, convolution = isinstance(x, Wave), CONVOLUTIONS[type(conv)]
        if not isinstance(x, Wave):
            check_input(conv, x, convolution.channels(conv))
            if x.dtype != np.float32 or not self.ready():
                return Sequential.forward(self, x, train)
            x = raw(x, self.arena)
        own = train and norm.gamma.trainable
        z, sums = convolution.forward(conv, x, own)
        if own:
            n = z.size // z.shape[3]
            mean = sums[0] / n
            var = np.maximum(sums[1] / n - mean * mean, 0)
            norm.follow(z.shape, mean, var)
        else:
            mean, var = norm.running_mean.value, norm.running_var.value
        inv_std = 1 / np.sqrt(var + norm.eps)
        scale = norm.gamma.value * inv_std
        fold = np.array([scale, norm.beta.value - mean * scale, mean], np.float32)
        out = Wave(z, fold, kind, self.arena)
        return out, Kept(x, waved, out, mean, inv_std, own)

    def ebb(self, slope: Any, cache: Any, plus: Array | None = None) -> Any:
        if not isinstance(cache, Kept):
            dx = Sequential.backward(self, slope, cache)
            return dx if plus is None else dx + plus
        (conv, _, _), x, z = self.parts(), cache.x, cache.out.z
        by = self.norm_back(slope.sums, cache)
        out = self.arena.empty(*x.z.shape) if cache.waved or self.dx else NOTHING
        back = CONVOLUTIONS[type(conv)].backward(conv, slope.g, z, by, x, plus, out)
        if conv.weight.trainable:
            conv.weight.add_grad(back.dw)
        if not cache.waved:
            return out
        return Gated(out, back.dgate) if x.learned else Slope(out, back.sums)

    def norm_back(self, sums: Array, cache: Kept) -> Array:
        """Add the gradients of BatchNorm, and return (3, C): dL/dz is [0] g + [1] z + [2].  ops/batch_norm.py has the formula."""
        _, norm, _ = self.parts()
        z, dbeta = cache.out.z, sums[0]
        dgamma = cache.inv_std * (sums[1] + (cache.out.fold[2] - cache.mean) * dbeta)
        norm.gamma.add_grad(dgamma.astype(np.float32))
        norm.beta.add_grad(dbeta.astype(np.float32))
        by_g, n = norm.gamma.value * cache.inv_std, z.size // z.shape[3]
        by_z = -by_g * cache.inv_std * dgamma / n if cache.own else np.zeros_like(by_g)
        constant = -by_g * dbeta / n - by_z * cache.mean if cache.own else by_z
        return np.array([by_g, by_z, constant], np.float32)


def raw(x: Array, arena: Arena) -> Wave:
    """An array as a Wave."""
    return Wave(np.ascontiguousarray(x), np.zeros((3, x.shape[3]), np.float32), bend.RAW, arena)
