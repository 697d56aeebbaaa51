"""When networks differ, the comparison names the place: faults are planted in one layer of ours."""

from functools import lru_cache, partial
from types import MethodType

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make reference")
pytest.importorskip("keras", reason="Keras is not installed: make reference")
pytest.importorskip("geffnet", reason="geffnet is not installed: make reference")

import numpy as np
from compare import compare, first_layer, prepare
from keras_nets import keras_net
from torch_nets import geffnet_net

from mini_nn import models, ops, profile
from mini_nn.blocks import KERAS, TORCH
from mini_nn.core import named_layers
from mini_nn.layers import BatchNorm, Dense, ReLU6, Sequential, Swish

SIZE = (48, 40)
NETS = {
    "v2 geffnet": ("mobilenet_v2", TORCH, partial(geffnet_net, "mobilenetv2_100")),
    "b0 geffnet": ("efficientnet_b0", TORCH, partial(geffnet_net, "efficientnet_b0")),
    "b0 keras": ("efficientnet_b0", KERAS, partial(keras_net, "EfficientNetB0")),
}


@lru_cache
def reference(net):
    return NETS[net][2]((*SIZE, 3), "float64")


def build(net):
    model = models.build(NETS[net][0], convention=NETS[net][1], dropout=0, drop_path=0)
    return model, np.random.default_rng(3).normal(size=(2, *SIZE, 3))


def report(net, plant, where, train):
    """What the comparison says of a network with the fault `plant` at the layer `where`."""
    model, x = build(net)
    values = prepare(model, x)
    if plant:
        plant(model, where)
    try:
        compare(model, reference(net), values, x, train, floors={"ops": "numpy"})
    except AssertionError as found:
        return str(found)
    return ""


def at(model, where):
    return dict(named_layers(model))[where]


def change(**attributes):
    """Give the layer other options."""
    return lambda model, where: vars(at(model, where)).update(attributes)


def replace(make):
    """Put another layer in its place, made from the old one."""

    def plant(model, where):
        parent, _, name = where.rpartition(".")
        setattr(at(model, parent), name, make(at(model, where)))

    return plant


def method(**methods):
    """Give the layer another forward or backward."""

    def plant(model, where):
        layer = at(model, where)
        for name, function in methods.items():
            setattr(layer, name, MethodType(function, layer))

    return plant


def freeze(model, where):
    at(model, where).gamma.trainable = False


def flipped(layer, dy, cache):
    dx, dw = ops.depthwise.backward(dy, cache, layer.weight.value, layer.stride, layer.padding)
    layer.weight.add_grad(dw[::-1])
    return dx


def gate_forgotten(layer, dy, cache):
    x, g, inner = cache
    Sequential.backward(layer, 0 * (dy * x).sum((1, 2), keepdims=True), inner)
    return dy * g


def mean_forgotten(layer, dy, cache):
    x, mean, var, _ = cache
    return ops.batch_norm.backward(dy, x, layer.gamma.value, layer.beta.value, mean, var, layer.eps, False)[0]


def without_skip(residual):
    return Sequential(**dict(residual.children()))


# fault, the layer it is planted in, train, what must be named
V2_GEFFNET = [
    (change(eps=2e-5), "stages.2.1.expand.norm", False, "layer that diverges is stages.2.1.expand.norm,"),
    (change(padding="same"), "stages.3.0.depthwise.conv", False, "is stages.3.0.depthwise.conv,"),
    (change(padding=2), "stages.0.0.depthwise.conv", False, "is stages.0.0.depthwise.conv, by inf"),
    (replace(lambda _: Swish()), "stages.5.1.depthwise.act", False, "is stages.5.1.depthwise.act,"),
    (replace(without_skip), "stages.1.1", False, "is stages.1.1,"),
    (freeze, "stages.3.2.expand.norm", True, "layer that diverges is stages.3.2.expand.norm,"),
    (
        change(momentum=0.11),
        "stages.5.0.expand.norm",
        True,
        "statistic that diverges is stages.5.0.expand.norm.",
    ),
    (change(unbiased=False), "stages.4.2.project.norm", True, "is stages.4.2.project.norm.running_var,"),
    (method(backward=flipped), "stages.3.1.depthwise.conv", False, "of stages.3.1.depthwise.conv.weight,"),
    (method(backward=Sequential.backward), "stages.2.1", False, "that of stages.2.0.project.norm.beta,"),
    (method(backward=mean_forgotten), "stages.2.1.depthwise.norm", True, "that of stages.2.1.depthwise."),
]
B0_GEFFNET = [
    (replace(lambda _: ReLU6()), "stages.4.1.se.act", False, "is stages.4.1.se.act,"),
    (replace(lambda _: Swish()), "stages.2.0.se.gate", False, "is stages.2.0.se,"),
    (method(backward=gate_forgotten), "stages.5.3.se", False, "that of stages.5.3.se.expand.bias,"),
]
B0_KERAS = [
    (change(eps=1e-5), "stem.norm", False, "layer that diverges is stem.norm,"),
    (change(padding="symmetric"), "stages.2.0.depthwise.conv", False, "is stages.2.0.depthwise.conv,"),
    (replace(lambda _: Swish()), "stages.1.1.se.gate", False, "is stages.1.1.se.gate,"),
    (change(unbiased=True), "stages.6.0.depthwise.norm", True, "is stages.6.0.depthwise.norm.running_var,"),
]
FAULTS = [
    pytest.param(net, *fault, id=f"{net}-{fault[3].split()[-1]}")
    for net, faults in zip(NETS, (V2_GEFFNET, B0_GEFFNET, B0_KERAS), strict=True)
    for fault in faults
]


@pytest.mark.parametrize(("net", "plant", "where", "train", "named"), FAULTS)
def test_comparison_names_the_layer_of_a_planted_fault(net, plant, where, train, named):
    assert named in report(net, plant, where, train)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("net", NETS)
def test_comparison_is_silent_without_a_fault(net, train):
    assert report(net, None, "", train) == ""


@pytest.mark.parametrize("net", NETS)
def test_every_layer_that_both_know_by_name_puts_out_the_same(net):
    model, x = build(net)
    values, told = prepare(model, x), reference(net)
    told.load(values)
    both = profile.outputs(model, x).keys() & told.outputs(x, False).keys()
    assert both >= {name for name, layer in named_layers(model) if isinstance(layer, BatchNorm | Dense)}
    assert first_layer(model, told, values, x, False, 1e-9) == "no layer on the way diverges by itself"
