"""The containers again, with Waves flowing from child to child."""

from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer
from mini_nn.fused.arena import Arena
from mini_nn.fused.flow import Flowing, Value, Wave, whole
from mini_nn.kernels.fused import join
from mini_nn.kernels.fused.bend import LINEAR
from mini_nn.layers import Gate, Residual, Sequential, StochasticDepth
from mini_nn.models import Network
from mini_nn.ops import Array


class Link(NamedTuple):
    """What a chain remembers of a child."""

    cache: Any
    ended: Wave | None = None  # the Wave of which an array was made for this child


MASKED = (
    object()
)  # the cache of a StochasticDepth whose mask became a Wave's gate: nothing is left to do on the way back


class FusedSequential(Flowing, Sequential):
    """The chain rule."""

    arena: Arena

    def reads(self, x: Wave) -> bool:
        first = self.children()[0][1]
        return isinstance(first, Flowing) and first.reads(x)

    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        links = []
        for _, child in self.children():
            x, link = forth(child, x, train)
            links.append(link)
        return x, links

    def ebb(self, slope: Any, cache: Any, plus: Array | None = None) -> Any:
        children = self.children()
        for i in reversed(range(len(children))):
            slope = back(children[i][1], slope, cache[i], plus if i == 0 else None)
        return slope


def forth(child: Layer, x: Value, train: bool) -> tuple[Value, Link]:
    """One child's turn."""
    if isinstance(x, Wave) and type(child) is StochasticDepth and x.kind == LINEAR and not len(x.gate):
        ones = np.ones((len(x.z), 1, 1, 1), np.float32)  # draws as often as x itself would
        mask = child.forward(ones, train)[0][:, 0, 0]
        return x._replace(gate=np.repeat(mask, x.z.shape[3], axis=1)), Link(MASKED)
    if isinstance(x, Wave) and not (isinstance(child, Flowing) and child.reads(x)):
        y, link = forth(child, x.whole(), train)
        return y, link._replace(ended=x)
    if isinstance(child, Flowing):
        y, cache = child.flow(x, train)
        return y, Link(cache)
    y, cache = child.forward(whole(x), train)
    return y, Link(cache)


def back(child: Layer, slope: Any, link: Link, plus: Array | None) -> Any:
    if link.cache is MASKED:
        return slope
    if isinstance(child, Flowing):
        slope = child.ebb(slope, link.cache, plus)
    else:
        slope = child.backward(slope, link.cache)
        slope = slope if plus is None else slope + plus
    return slope if link.ended is None else link.ended.back(slope)


class FusedNetwork(FusedSequential, Network):
    """The same for a whole network, which looks at its images first."""

    def reads(self, x: Wave) -> bool:
        return False

    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        self.check(whole(x))
        return super().flow(x, train)


class FusedResidual(FusedSequential, Residual):
    """The sum rule.  x is added where f(x) becomes an array, and dy where dL/dx of f is written."""

    def reads(self, x: Wave) -> bool:
        return False

    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        x = whole(x)
        y, links = super().flow(x, train)
        if isinstance(y, Wave) and y.z.shape == x.shape and x.dtype == np.float32:
            return y.whole(plus=x), (y, links)
        return self.join(x, whole(y)), (y if isinstance(y, Wave) else None, links)

    def ebb(self, slope: Any, cache: Any, plus: Array | None = None) -> Any:
        wave, links = cache
        dx = super().ebb(slope if wave is None else wave.back(slope), links, slope)
        return dx if plus is None else dx + plus


class FusedGate(Flowing, Gate):
    """The product rule.  The gate g becomes a part of the Wave, and whoever reads it multiplies it in."""

    def reads(self, x: Wave) -> bool:
        return not len(x.gate)

    def flow(self, x: Value, train: bool) -> tuple[Value, Any]:
        if not isinstance(x, Wave):
            return Gate.forward(self, x, train)
        g, caches = join.mean(x.rows, x.fold, x.kind, len(x.z))[:, None, None], []
        for _, child in self.children()[1:]:
            g, cache = child.forward(g, train)
            caches.append(cache)
        if g.shape != (len(x.z), 1, 1, x.z.shape[3]) or g.dtype != np.float32:
            self.join(x.whole(), g)  # raises for the shape
            raise ValueError(f"Gate: x is float32, the gate {g.dtype}; give all parameters one dtype")
        return x._replace(gate=g[:, 0, 0], learned=True), (x, g[:, 0, 0], caches)

    def ebb(self, slope: Any, cache: Any, plus: Array | None = None) -> Any:
        x, g, caches = cache
        if not isinstance(x, Wave):
            dx = Gate.backward(self, slope, cache)
            return dx if plus is None else dx + plus
        dg = slope.dgate.astype(np.float32)[:, None, None]
        for (_, child), inner in zip(reversed(self.children()[1:]), reversed(caches), strict=True):
            dg = child.backward(dg, inner)
        return x.bend(slope.d, g, dg[:, 0, 0] / np.float32(x.pixels))
