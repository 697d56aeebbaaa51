"""From a tree of layers to a table of steps: BatchNorm folded, weights packed, every buffer given its place."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer, Shape
from mini_nn.kernels import LINE
from mini_nn.kernels.tiles import table as t
from mini_nn.kernels.tiles.pointwise import PANEL, ROWS, pack
from mini_nn.kernels.tiles.registers import LANES
from mini_nn.layers import (
    BatchNorm,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Gate,
    GlobalAveragePool,
    PointwiseConv2D,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Sigmoid,
    Swish,
)  # fmt: skip
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.ops.padding import resolve

KINDS: dict[type[Layer], int] = {ReLU: t.RELU, ReLU6: t.RELU6, Swish: t.SWISH}
OWN_CODE = {(3, 1): t.DW31, (3, 2): t.DW32, (5, 1): t.DW51, (5, 2): t.DW52}
PIECE = 1 << 18  # multiply-adds of a piece: some microseconds
PIECES = 16  # at most, of a step
FOLDED = Conv2D | PointwiseConv2D | DepthwiseConv2D


class Unknown(Exception):
    """There is no kernel for this arrangement of layers."""


class Value(NamedTuple):
    """What flows: a buffer of the arena (None: the image itself), its shape, a gate that was not multiplied in yet."""

    buffer: int | None
    shape: Shape
    gate: int | None = None

    @property
    def pixels(self) -> int:
        return prod(self.shape[:-1])

    @property
    def channels(self) -> int:
        return self.shape[-1]


class Program:
    """Steps for one image of `shape`, and the weights that they read."""

    def __init__(self, shape: Shape, bends: bool, threads: int) -> None:
        self.shape, self.bends, self.threads = shape, bends, threads
        self.steps: list[dict[str, int]] = []  # column -> number; of a column of BUFFERS, a buffer
        self.sizes: list[int] = []  # of the buffers, in floats
        self.weights: list[Array] = []
        self.entry: int | None = (
            None  # the buffer that the image is copied to, where a step cannot read it as it is
        )
        self.out = Value(None, shape)

    def buffer(self, *shape: int) -> int:
        self.sizes.append(prod(shape))
        return len(self.sizes) - 1

    def keep(self, *arrays: Array) -> int:
        """Put the arrays behind one another among the weights; their place."""
        place = sum(array.size for array in self.weights)
        for array in arrays:
            self.weights.append(np.ascontiguousarray(array, np.float32).ravel())
        filler = -sum(array.size for array in arrays) % LINE
        self.weights.append(np.zeros(filler, np.float32))
        return place

    def add(self, op: int, total: int, work: int, multiple: int = 1, **columns: int) -> None:
        """A step over `total` rows (or panels), cut into pieces of a multiple of rows, `work` multiply-adds in all.

        Sums are added up piece by piece, so the pieces must not depend on the number of threads.
        """
        wanted = min(PIECES, 1 << (work // PIECE).bit_length(), -(-total // multiple))
        size = -(-total // (wanted * multiple)) * multiple
        self.steps.append({"OP": op, "PIECES": -(-total // size), "SIZE": size, **columns})

    # one method a kind of layer: what comes in, what goes out

    def lower(self, layers: list[Layer], x: Value) -> Value:
        """Steps for layers one after another; Unknown, and nothing changed, where there are none."""
        before = len(self.steps), len(self.sizes), len(self.weights)
        last, entry = dict(self.steps[-1]) if self.steps else {}, self.entry
        try:
            return self.chain(layers, x)
        except Unknown:
            del self.steps[before[0] :], self.sizes[before[1] :], self.weights[before[2] :]
            self.entry = entry
            if last:
                self.steps[-1] = last
            raise

    def one(self, layer: Layer, x: Value) -> Value:
        if isinstance(layer, Dropout):  # and StochasticDepth: nothing, in prediction
            return x
        if isinstance(layer, Residual):
            return self.residual(layer, x)
        if isinstance(layer, Gate):
            return self.excite(layer, x)
        if type(layer) in (Sequential, Network):
            return self.chain([child for _, child in layer.children()], x)
        if isinstance(layer, FOLDED):
            return self.convolution(layer, None, t.IDENTITY, x)
        if isinstance(layer, GlobalAveragePool):
            return self.pool(layer, x)
        raise Unknown(type(layer).__name__)

    def chain(self, layers: list[Layer], x: Value, residual: Value | None = None) -> Value:
        """Layers one after another; the residual is added to what the last of them gives."""
        groups = units([layer for layer in layers if not isinstance(layer, Dropout)])
        for i, (first, *rest) in enumerate(groups):
            added = residual if i == len(groups) - 1 else None
            if isinstance(first, FOLDED):
                norm = rest.pop(0) if rest and isinstance(rest[0], BatchNorm) else None
                kind = KINDS[type(rest[0])] if rest else t.IDENTITY
                x = self.convolution(first, norm, kind, x, added)
            elif added and type(first) is Sequential:
                x = self.chain([child for _, child in first.children()], x, added)
            elif added:
                raise Unknown("a residual branch that does not end in a convolution")
            else:
                x = self.one(first, x)
        return x

    def residual(self, layer: Residual, x: Value) -> Value:
        x = self.inside(self.settled(x))
        return self.chain([child for _, child in layer.children()], x, x)

    def convolution(
        self, layer: Layer, norm: Layer | None, kind: int, x: Value, residual: Value | None = None
    ) -> Value:
        if kind == t.SWISH and not self.bends:
            raise Unknown("swish in a program of ReLUs")
        w, bias = folded(layer, norm)
        if isinstance(layer, PointwiseConv2D):
            return self.pointwise(w, bias, kind, x, residual)
        if residual is not None:
            raise Unknown("a residual branch that does not end in a pointwise convolution")
        if kind != t.SWISH and self.bends:
            raise Unknown("a spatial convolution without swish, in a program of swish")
        x = self.settled(x)
        if isinstance(layer, DepthwiseConv2D):
            return self.depthwise(layer, w, bias, kind, x)
        return self.stem(layer, w, bias, kind, x)

    def inside(self, x: Value) -> Value:
        """x in the arena, even if it is the image."""
        if x.buffer is not None:
            return x
        if self.entry is None:
            self.entry = self.buffer(*x.shape)
        return x._replace(buffer=self.entry)

    def settled(self, x: Value) -> Value:
        """x with its gate multiplied in."""
        if x.gate is None:
            return x
        assert x.buffer is not None
        self.add(
            t.SCALE, x.pixels, 4 * x.pixels * x.channels,
            X=x.buffer, OTHER=x.gate, M=x.pixels, K=x.channels,
        )  # fmt: skip
        return x._replace(gate=None)

    def pointwise(self, w: Array, bias: Array, kind: int, x: Value, residual: Value | None) -> Value:
        x = self.inside(x)
        (k, n), m, gated = w.shape, x.pixels, {}
        place, panels = self.keep(pack(w, bias)), -(-n // PANEL)
        if x.gate is not None and k * n < m * k:
            gated = {"GATED": self.buffer(panels * (1 + k), PANEL)}
            self.add(
                t.GATE, panels, 4 * k * n, Y=gated["GATED"], OTHER=x.gate, W=place, K=k, N=n,
            )  # fmt: skip
        else:
            x = self.settled(x)
        assert x.buffer is not None
        y = self.buffer(m, n)
        other = {}
        if residual is not None:
            if kind != t.IDENTITY or residual.shape != (*x.shape[:-1], n) or residual.buffer is None:
                raise Unknown("a residual branch whose end does not fit")
            other = {"OTHER": residual.buffer}
        columns = {"X": x.buffer, "Y": y, "W": place, "M": m, "K": k, "N": n, "ACT": kind, **gated, **other}
        if m < ROWS * PIECES and panels > 1:  # few rows: each weight is read by one thread only
            self.add(t.POINTWISE, panels, m * k * n, BY_PANEL=1, **columns)
        else:
            self.add(t.POINTWISE, m, m * k * n, multiple=ROWS, **columns)
        return Value(y, (*x.shape[:-1], n))

    def depthwise(self, layer: DepthwiseConv2D, w: Array, bias: Array, kind: int, x: Value) -> Value:
        k, stride, c = layer.kernel_size, layer.stride, x.channels
        x = self.inside(x)
        assert x.buffer is not None
        ((above, _), (left, _)), (down, across) = resolve(layer.padding, x.shape, k, stride)
        y = self.buffer(down, across, c)
        self.add(
            OWN_CODE.get((k, stride), t.DEPTHWISE) if c >= LANES else t.DEPTHWISE, down, 4 * w.size * down * across,
            X=x.buffer, Y=y, W=self.keep(bias, w), K=c, HEIGHT=x.shape[0], WIDTH=x.shape[1], DOWN=down, ACROSS=across,
            ABOVE=above, LEFT=left, KERNEL=k, STRIDE=stride, ACT=kind,
        )  # fmt: skip
        return Value(y, (down, across, c))

    def stem(self, layer: Any, w: Array, bias: Array, kind: int, x: Value) -> Value:
        if layer.groups != 1:
            raise Unknown("a convolution in groups")
        k, stride, (c, n) = layer.kernel_size, layer.stride, w.shape[2:]
        ((above, _), (left, _)), (down, across) = resolve(layer.padding, x.shape, k, stride)
        y, span = self.buffer(down, across, n), -(-k * k * c // LINE) * LINE
        self.add(
            t.STEM, down, w.size * down * across,
            X=-1 if x.buffer is None else x.buffer, Y=y, W=self.keep(pack(w.reshape(-1, n), bias)), K=c, N=n,
            HEIGHT=x.shape[0], WIDTH=x.shape[1], DOWN=down, ACROSS=across, ABOVE=above, LEFT=left, KERNEL=k, STRIDE=stride, ACT=kind,
            SCRATCH=self.buffer(self.threads, span), SPAN=span,
        )  # fmt: skip
        return Value(y, (down, across, n))

    def excite(self, layer: Gate, x: Value) -> Value:
        parts = [child for _, child in layer.children()]
        kinds = [GlobalAveragePool, PointwiseConv2D, None, PointwiseConv2D, Sigmoid]
        fits = len(parts) == 5 and all(k in (None, type(p)) for p, k in zip(parts, kinds, strict=True))
        source = self.steps[-1] if self.steps else {}
        if not fits or not self.bends or type(parts[2]) is not Swish or x.gate is not None:
            raise Unknown("a gate that is no squeeze-excite")
        if source.get("OP") not in (*OWN_CODE.values(), t.DEPTHWISE) or source["Y"] != x.buffer:
            raise Unknown("squeeze-excite of what is no depthwise convolution's output")
        (wr, br), (we, be) = folded(parts[1], None), folded(parts[3], None)
        c, n = wr.shape
        sums, gate = self.buffer(source["PIECES"], c), self.buffer(c)
        self.steps[-1] = {**source, "SUMS": sums}
        self.add(
            t.EXCITE, 1, 0, OTHER=self.buffer(c + n), Y=gate, SUMS=sums, M=source["PIECES"], K=c, N=n,
            HEIGHT=x.shape[0], WIDTH=x.shape[1], W=self.keep(pack(wr, br), pack(we, be)),
        )  # fmt: skip
        return x._replace(gate=gate)

    def pool(self, layer: GlobalAveragePool, x: Value) -> Value:
        x = self.inside(self.settled(x))
        assert x.buffer is not None
        c = x.channels
        y = self.buffer(c)
        self.add(t.POOL, c, 4 * x.pixels * c, multiple=LINE, X=x.buffer, Y=y, M=x.pixels, K=c)
        return Value(y, layer.out_shape(x.shape))


def units(layers: list[Layer]) -> list[list[Layer]]:
    """Layers that belong together: a convolution, the BatchNorm and the activation behind it."""
    found: list[list[Layer]] = []
    for layer in layers:
        open_ = found and isinstance(found[-1][0], FOLDED) and type(found[-1][-1]) not in KINDS
        if open_ and (type(layer) in KINDS or (isinstance(layer, BatchNorm) and len(found[-1]) == 1)):
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


def folded(layer: Any, norm: Any) -> tuple[Array, Array]:
    """(w, bias) of a convolution, or of one and the BatchNorm behind it: gamma / sqrt(var + eps) goes into w."""
    w, bias = layer.weight.value, getattr(layer, "bias", None)
    shift = np.zeros(w.shape[-1], w.dtype) if bias is None else bias.value
    if norm is not None:
        slope = norm.gamma.value / np.sqrt(norm.running_var.value + norm.eps)
        w, shift = w * slope, (shift - norm.running_mean.value) * slope + norm.beta.value
    return w, shift
