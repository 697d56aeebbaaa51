"""What a network needs beside parameters and multiply-adds: memory, bytes moved, what an output pixel has seen."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from mini_nn import profile
from mini_nn.core import Layer, Shape, named_layers
from mini_nn.layers import Gate, Residual

BYTES = 4  # of a float32


class Step(NamedTuple):
    """A convolution with its norm and activation, a whole squeeze-excite, the pooling, or the classifier."""

    name: str
    inside: Shape
    out: Shape
    params: int
    macs: int
    held: int  # numbers that must be there at once
    moved: int  # bytes that are read and written
    field: int  # pixels of the image, in one direction, that a pixel of the output has seen


class Part(NamedTuple):
    """What is between two thin ends: the stem, a block, the head, the pooling, the classifier."""

    name: str
    steps: tuple[Step, ...]
    held: int  # when the part runs as one step
    moved: int


def parts(model: Layer, shape: Shape) -> list[Part]:
    """Measure `model` for one image of `shape` (H, W, C), BatchNorm folded away and activations in place.

    held: a step holds its input, its output and, inside a shortcut, the block's input that waits (MobileNetV2, section 5.1)
    moved: 4 bytes for each number of the input, the output and the parameters; the shortcut's sum reads the waiting input
    squeeze-excite reads its input for the mean, and reads and writes it for the product, in place
    field: field + (kernel_size - 1) * jump, with jump the product of all strides before  (squeeze-excite sees everything)
    """
    found: list[Part] = []
    field, jump = 1, 1
    for name, part, given in blocks(model, shape):
        waits = prod(given) if isinstance(part, Residual) else 0
        inner = [(child_name, child) for child_name, child in part.children() if child.children()]
        steps: list[Step] = []
        x = given
        for child_name, child in inner or [("", part)]:
            for _, layer in named_layers(child):
                field += (getattr(layer, "kernel_size", 1) - 1) * jump
                jump *= getattr(layer, "stride", 1)
            steps.append(step(f"{name}.{child_name}".rstrip("."), child, x, waits if steps else 0, field))
            x = child.out_shape(x)
        last = steps[-1]
        steps[-1] = last._replace(moved=last.moved + BYTES * waits)
        ends = prod(given) + prod(x)
        found.append(Part(name, tuple(steps), ends, BYTES * (ends + sum(s.params for s in steps))))
    return found


def blocks(model: Layer, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """(name, part, shape of its input) of every part that computes something."""
    for name, child in model.children():
        if name == "stages":
            for inner_name, stage, given in blocks(child, shape):
                yield from ((f"stages.{inner_name}.{n}", block, x) for n, block, x in blocks(stage, given))
        elif name != "dropout":
            yield name, child, shape
        shape = child.out_shape(shape)


def step(name: str, layer: Layer, shape: Shape, waits: int, field: int) -> Step:
    out, params = layer.out_shape(shape), sum(row.params for row in profile.rows(layer, shape))
    a, b = prod(shape), prod(out)
    touched = 3 * a if isinstance(layer, Gate) else a + b
    held = (a if isinstance(layer, Gate) else a + b) + waits
    return Step(name, shape, out, params, layer.macs(shape), held, BYTES * (touched + params), field)
