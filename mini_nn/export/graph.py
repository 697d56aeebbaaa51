"""A network's layers as ONNX nodes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mini_nn.core import Layer, Named, Shape
from mini_nn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
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
    Softmax,
    Swish,
)
from mini_nn.ops import Array
from mini_nn.ops.padding import Padding, resolve


class Graph:
    """Nodes and arrays as they are collected.  `add` takes a layer, the name of its input and the shape of one input."""

    def __init__(self, helper: Any, numpy_helper: Any) -> None:
        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def node(self, kind: str, name: str, inputs: list[str], **settings: Any) -> str:
        """Append a node; returns the name of its output."""
        self.nodes.append(self.helper.make_node(kind, inputs, [f"{name}:y"], name, **settings))
        return f"{name}:y"

    def array(self, name: str, item: Named | Array, to: Callable[[Array], Array] = lambda w: w) -> str:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            value = np.array(to(item.value if isinstance(item, Named) else item), np.float32, order="C")
        if not np.isfinite(value).all():
            raise ValueError(
                f"export: {name} is not finite in float32 (NaN or infinity); nothing was written"
            )
        self.arrays.append(self.numpy_helper.from_array(value, name))
        return name

    def add(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        """The nodes of a layer and of all below it; returns the name of the output."""
        for kind in type(layer).__mro__:
            if kind in PLAIN:
                return self.node(PLAIN[kind], name, [x], **({"axis": 1} if kind is Softmax else {}))
            if kind in NODES:
                return NODES[kind](self, layer, name, x, shape)
            if kind is Dropout:  # and StochasticDepth: they do nothing in prediction
                return x
        raise ValueError(f"export: there is no ONNX for {type(layer).__name__} ({name})")

    def chain(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        for part, child in layer.children():
            x = self.add(child, f"{name}.{part}" if name else part, x, shape)
            shape = child.out_shape(shape)
        return x

    def conv(self, layer: Any, name: str, x: str, shape: Shape) -> str:
        """Conv, whose weight is (O, I / groups, K, K)."""
        settings: tuple[int, int, Padding, int]
        if isinstance(layer, PointwiseConv2D):
            settings, to = (1, 1, 0, 1), lambda w: w.T[:, :, None, None]
        elif isinstance(layer, DepthwiseConv2D):
            settings = layer.kernel_size, layer.stride, layer.padding, shape[2]
            to = lambda w: w.transpose(2, 0, 1)[:, None]
        else:
            settings = layer.kernel_size, layer.stride, layer.padding, layer.groups
            to = lambda w: w.transpose(3, 2, 0, 1)
        kernel, stride, padding, groups = settings
        (top, bottom), (left, right) = resolve(padding, shape, kernel, stride)[0]
        inputs = [x, self.array(f"{name}.weight", layer.weight, to)]
        if bias := getattr(layer, "bias", None):
            inputs.append(self.array(f"{name}.bias", bias))
        return self.node(
            "Conv", name, inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups,
            pads=[top, left, bottom, right],
        )  # fmt: skip

    def norm(self, layer: BatchNorm, name: str, x: str, shape: Shape) -> str:
        parts = ("gamma", "beta", "running_mean", "running_var")
        inputs = [x, *(self.array(f"{name}.{part}", getattr(layer, part)) for part in parts)]
        return self.node("BatchNormalization", name, inputs, epsilon=layer.eps)

    def dense(self, layer: Dense, name: str, x: str, shape: Shape) -> str:
        assert layer.bias is not None
        arrays = self.array(f"{name}.weight", layer.weight), self.array(f"{name}.bias", layer.bias)
        return self.node("Gemm", name, [x, *arrays])

    def pool(self, layer: GlobalAveragePool, name: str, x: str, shape: Shape) -> str:
        y = self.node("GlobalAveragePool", name, [x])
        return y if layer.keepdims else self.node("Flatten", f"{name}.flat", [y], axis=1)

    def clip(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        low, high = (self.array(f"{name}.{end}", np.array(float(end))) for end in ("0", "6"))
        return self.node("Clip", name, [x, low, high])

    def swish(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        return self.node("Mul", name, [x, self.node("Sigmoid", f"{name}.sigmoid", [x])])

    def residual(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        return self.node("Add", f"{name}.add", [x, self.chain(layer, name, x, shape)])

    def gate(self, layer: Layer, name: str, x: str, shape: Shape) -> str:
        return self.node("Mul", f"{name}.multiply", [x, self.chain(layer, name, x, shape)])


NODES: dict[type, Callable[[Graph, Any, str, str, Shape], str]] = {
    Sequential: Graph.chain,
    Residual: Graph.residual,
    Gate: Graph.gate,
    Conv2D: Graph.conv,
    DepthwiseConv2D: Graph.conv,
    PointwiseConv2D: Graph.conv,
    Dense: Graph.dense,
    BatchNorm: Graph.norm,
    GlobalAveragePool: Graph.pool,
    ReLU6: Graph.clip,
    Swish: Graph.swish,
}
PLAIN = {ReLU: "Relu", Sigmoid: "Sigmoid", Softmax: "Softmax"}  # nodes without arrays
