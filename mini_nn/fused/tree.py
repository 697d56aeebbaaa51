"""From a tree of readable layers to its twin."""

from collections.abc import Mapping

from mini_nn.core import Layer
from mini_nn.fused.arena import Arena
from mini_nn.fused.chain import FusedGate, FusedNetwork, FusedResidual, FusedSequential
from mini_nn.fused.flow import Flowing
from mini_nn.fused.unit import Unit
from mini_nn.layers import Gate, GlobalAveragePool, Residual, Sequential
from mini_nn.models import Network

CHAINS: dict[type[Layer], type[Flowing]] = {
    Sequential: FusedSequential,
    Residual: FusedResidual,
    Network: FusedNetwork,
}


def twin(model: Layer, dx: bool) -> Layer:
    fused = copied(model, Arena())
    first = fused
    while type(first) in (FusedSequential, FusedNetwork):
        first = first.children()[0][1] if first.children() else model
    if isinstance(first, Unit):
        first.dx = dx
    return fused


def copied(layer: Layer, arena: Arena) -> Layer:
    """The layer's twin: leaves are the layer itself, containers are new."""
    children = layer.children()
    if not children:
        return layer
    kind = type(layer)
    if kind is Sequential and Unit.fits([child for _, child in children]):
        return made(Unit, layer, {"arena": arena, "dx": True})
    new = {name: copied(child, arena) for name, child in children}
    if kind is Gate and type(children[0][1]) is GlobalAveragePool and children[0][1].keepdims:
        return made(FusedGate, layer, new)
    if kind in CHAINS:
        return made(CHAINS[kind], layer, {**new, "arena": arena})
    return made(kind, layer, new)


def made(kind: type[Layer], layer: Layer, changes: Mapping[str, object]) -> Layer:
    """A layer of the kind, with what the layer has, but for the changes."""
    fused = object.__new__(kind)
    vars(fused).update({**vars(layer), **changes})
    return fused
