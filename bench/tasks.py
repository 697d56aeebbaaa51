"""What is timed: a network or one layer, predicting or training, the same numbers for every contestant."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mini_nn import init, models
from mini_nn.blocks import TORCH, conv_norm_act
from mini_nn.core import Layer, named_arrays
from mini_nn.layers import BatchNorm, Conv2D, DepthwiseConv2D, PointwiseConv2D, ReLU6, Sequential, Swish
from mini_nn.ops import Array

# Padding on both sides alike: PyTorch and ONNX Runtime do it inside the convolution, so nobody pays for a copy.
CONVENTION = TORCH._replace(momentum=1.0)  # one training step sets the running statistics
NETWORKS = {
    "v1": "mobilenet_v1",
    "v2": "mobilenet_v2",
    "B0": "efficientnet_b0",
    "Lite0": "efficientnet_lite0",
}
FAMILY = {**NETWORKS, **{f"B{i}": f"efficientnet_b{i}" for i in range(5)}}
ACTS = {"relu6": ReLU6, "swish": Swish}


class Task(NamedTuple):
    """One thing to time.  As JSON it goes to every contestant, who builds the same network from it."""

    what: str  # "predict" or "train", "forward" (in training) or "backward"
    name: str  # of FAMILY, or a unit: "pointwise 56x56 24->144 relu6"
    batch: int = 1
    size: int = 224
    width: float | None = None

    def model(self) -> Layer:
        """With values: the papers' initialisers, and statistics of a few random images."""
        if self.name in FAMILY:
            options = {} if self.width is None else {"width_mult": self.width}
            model: Layer = models.build(
                FAMILY[self.name], convention=CONVENTION, dropout=0.0, drop_path=0.0, **options
            )
        else:
            model = unit(self.name)
        init.initialize(model, np.random.default_rng(0))
        model.forward(self.images(4, min(self.size, 96)), train=True)
        for name, item in named_arrays(model):
            if name.endswith("running_var"):
                # without this a deep network multiplies rounding errors by millions, and nobody gives the others' answer
                item.value = item.value + np.float32(0.1)
        return model

    def images(self, batch: int | None = None, size: int | None = None) -> Array:
        shape = self.shape if self.name not in FAMILY or size is None else (size, size, 3)
        x = np.random.default_rng(1).normal(size=(batch or self.batch, *shape))
        return np.asarray(x, np.float32)

    @property
    def shape(self) -> tuple[int, int, int]:
        if self.name in FAMILY:
            return self.size, self.size, 3
        size = self.name.split()[1]
        height, width = map(int, size.split("x"))
        return height, width, int(self.name.split()[2].split("->")[0])


def unit(name: str) -> Layer:
    """The layers of "depthwise3/2 56x56 144->144 relu6": a convolution, BatchNorm, activation; "norm" has no convolution."""
    kind, _, channels, act = name.split()
    i, o = map(int, channels.split("->"))
    if kind == "norm":
        return Sequential(
            norm=BatchNorm(o, CONVENTION.eps, CONVENTION.momentum, CONVENTION.unbiased), act=ACTS[act]()
        )
    if kind == "pointwise":
        return conv_norm_act(PointwiseConv2D(i, o), o, ACTS.get(act), CONVENTION)
    kernel, stride = map(int, kind.removeprefix("depthwise").removeprefix("conv").split("/"))
    conv: Any = (
        DepthwiseConv2D(o, kernel, stride, CONVENTION.padding)
        if kind.startswith("depthwise")
        else Conv2D(i, o, kernel, stride, CONVENTION.padding)
    )
    return conv_norm_act(conv, o, ACTS.get(act), CONVENTION)


def units(network: str, size: int = 224) -> list[str]:
    """The distinct convolutions of a network, as unit names, in order."""
    model = models.build(NETWORKS[network], convention=CONVENTION)
    return list(dict.fromkeys(walk(model, (size, size, 3))))


def walk(layer: Layer, shape: tuple[int, ...]) -> Iterator[str]:
    kinds = [type(child) for _, child in layer.children()]
    conv = layer.children()[0][1] if kinds else None
    if BatchNorm in kinds and isinstance(conv, Conv2D | DepthwiseConv2D | PointwiseConv2D):
        act = next((name for name, kind in ACTS.items() if kind in kinds), "linear")
        head = "pointwise" if isinstance(conv, PointwiseConv2D) else (
            f"{'conv' if isinstance(conv, Conv2D) else 'depthwise'}{conv.kernel_size}/{conv.stride}"
        )  # fmt: skip
        yield f"{head} {shape[0]}x{shape[1]} {shape[2]}->{conv.out_shape(shape)[2]} {act}"
        return
    for _, child in layer.children():
        yield from walk(child, shape)
        shape = child.out_shape(shape)
