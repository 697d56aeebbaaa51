"""What a network costs, layer by layer, before it has a single number in it; and what each layer makes of an image."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from mini_nn.core import Layer, Parameter, Shape, named_arrays
from mini_nn.ops import Array


class Row(NamedTuple):
    name: str
    kind: str  # the layer's class
    shape: Shape  # of its output, without the batch
    params: int  # numbers that training changes; running statistics are not among them
    macs: int  # multiply-adds for one image


class Report:
    """The rows of a profile, their sums, and a table when printed."""

    def __init__(self, shape: Shape, rows: list[Row]) -> None:
        self.shape, self.rows = shape, rows
        self.params = sum(row.params for row in rows)
        self.macs = sum(row.macs for row in rows)

    def __str__(self) -> str:
        wide = max([len("layer"), *(len(row.name) for row in self.rows)])
        line = f"{{:<{wide}}}  {{:<17}}  {{:>15}}  {{:>12}}  {{:>16}}".format
        rows = [
            line(r.name, r.kind, " x ".join(map(str, r.shape)), f"{r.params:,}", f"{r.macs:,}")
            for r in self.rows
        ]
        head = line("layer", "kind", "output", "parameters", "multiply-adds")
        total = line("in all", "", "", f"{self.params:,}", f"{self.macs:,}")
        rule = "-" * len(head)
        return "\n".join([head, rule, *rows, rule, total])


def profile(model: Layer, shape: Shape) -> Report:
    """Profile `model` for one image of `shape` (H, W, C).  Needs no values."""
    shape = tuple(shape)
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ValueError(f"profile: shape must be (height, width, channels), not {shape}")
    channels = getattr(model, "options", {}).get("in_channels", shape[-1])
    if shape[-1] != channels:
        raise ValueError(f"profile: shape {shape} has {shape[-1]} channels, the model takes {channels}")
    return Report(shape, list(rows(model, shape)))


def rows(layer: Layer, shape: Shape, name: str = "") -> Iterator[Row]:
    if not layer.children():
        arrays = (item for _, item in named_arrays(layer) if isinstance(item, Parameter))
        params = sum(prod(item.shape) for item in arrays)
        yield Row(name, type(layer).__name__, layer.out_shape(shape), params, layer.macs(shape))
    for child_name, child in layer.children():
        yield from rows(child, shape, f"{name}.{child_name}" if name else child_name)
        shape = child.out_shape(shape)


def outputs(model: Layer, x: Array, train: bool = False) -> dict[str, Array]:
    """The output of every layer on the way from x to the logits, by its dotted name, in order."""
    seen: dict[str, Array] = {}
    spied(model, "", seen).forward(x, train)
    return seen


def spied(layer: Layer, name: str, seen: dict[str, Array]) -> Layer:
    """A copy of the tree, with the same parameters, in which every layer also writes its output to `seen`."""
    copy = object.__new__(type(layer))
    vars(copy).update(vars(layer))
    for child_name, child in layer.children():
        setattr(copy, child_name, spied(child, f"{name}.{child_name}" if name else child_name, seen))
    return Spy(copy, name, seen) if name else copy


class Spy(Layer):
    """The layer inside, with a witness."""

    def __init__(self, layer: Layer, name: str, seen: dict[str, Array]) -> None:
        self.layer, self.name, self.seen = layer, name, seen

    def forward(self, x: Array, train: bool = False) -> tuple[Array, None]:
        self.seen[self.name] = self.layer.forward(x, train)[0]
        return self.seen[self.name], None

    def backward(self, dy: Array, cache: None) -> Array:
        raise NotImplementedError("a spied model only goes forward")
