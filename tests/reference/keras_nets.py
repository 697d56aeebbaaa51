"""Published Keras networks under our names.  Their arrays lie in memory as ours do: only the shapes differ."""

import os
import re

os.environ["KERAS_BACKEND"] = "torch"  # its autograd is the judge; before keras is imported

import keras
import numpy as np
import torch
from compare import Run
from keras import applications, layers
from keras.src.backend.common import dtypes

V1_STAGES = (1, 2, 2, 6, 2)  # blocks, as our stages divide them
V2_STAGES = (1, 2, 3, 4, 3, 3, 1)
ROLES = {"weight": "kernel", "running_mean": "moving_mean", "running_var": "moving_variance"}
FRAME = {  # Keras's layer, ours
    "conv1": "stem.conv", "conv1_bn": "stem.norm", "conv1_relu": "stem.act",  # MobileNet
    "Conv1": "stem.conv", "bn_Conv1": "stem.norm", "Conv1_relu": "stem.act",  # MobileNetV2
    "stem_conv": "stem.conv", "stem_bn": "stem.norm", "stem_activation": "stem.act",  # EfficientNet
    "Conv_1": "head.conv", "Conv_1_bn": "head.norm", "out_relu": "head.act",
    "top_conv": "head.conv", "top_bn": "head.norm", "top_activation": "head.act",
    "avg_pool": "pool", "conv_preds": "classifier", "predictions": "classifier",
}  # fmt: skip
V1_BLOCK = {"": "conv", "_bn": "norm", "_relu": "act"}
V2_BLOCK = {
    "expand": "expand.conv", "expand_BN": "expand.norm", "expand_relu": "expand.act",
    "depthwise": "depthwise.conv", "depthwise_BN": "depthwise.norm", "depthwise_relu": "depthwise.act",
    "project": "project.conv", "project_BN": "project.norm", "add": "",
}  # fmt: skip
MBCONV = {
    "expand_conv": "expand.conv", "expand_bn": "expand.norm", "expand_activation": "expand.act",
    "dwconv": "depthwise.conv", "bn": "depthwise.norm", "activation": "depthwise.act",
    "se_reduce": "se.reduce", "se_expand": "se.expand", "se_excite": "se",
    "project_conv": "project.conv", "project_bn": "project.norm", "add": "",
}  # fmt: skip


def place(number, stages):
    """'i.j' of block `number` of all."""
    for i, repeats in enumerate(stages):
        if number < repeats:
            return f"{i}.{number}"
        number -= repeats
    raise ValueError(f"no block {number}")


def our_name(name):
    """Our name for the Keras layer `name`, or None."""
    if found := re.fullmatch(r"conv_(dw|pw)_(\d+)(|_bn|_relu)", name):
        unit = {"dw": "depthwise", "pw": "pointwise"}[found[1]]
        return f"stages.{place(int(found[2]) - 1, V1_STAGES)}.{unit}.{V1_BLOCK[found[3]]}"
    if found := re.fullmatch(r"(?:expanded_conv|block_(\d+))_(.*)", name):
        inner = V2_BLOCK.get(found[2])
        return None if inner is None else f"stages.{place(int(found[1] or 0), V2_STAGES)}.{inner}".rstrip(".")
    if found := re.fullmatch(r"block(\d)([a-z])_(.*)", name):
        inner = MBCONV.get(found[3])
        return (
            None if inner is None else f"stages.{int(found[1]) - 1}.{ord(found[2]) - 97}.{inner}".rstrip(".")
        )
    return "pool" if name.startswith("global_average_pooling2d") else FRAME.get(name)


def keras_net(kind, shape, dtype, **options):
    """A network of keras.applications for images of `shape`; EfficientNet's divides by 255 first."""
    with_dtype(dtype)
    build = getattr(applications, kind)
    model = build(input_shape=shape, weights=None, classifier_activation=None, **options)
    return KerasReference(model, 255 if kind.startswith("EfficientNet") else 1)


def mobilenet_v1_same(shape, dtype, alpha=1.0, classes=1000):
    """MobileNet's table in Keras layers: keras.applications pads odd images as if they were even."""
    with_dtype(dtype)

    def unit(x, conv):
        x = layers.BatchNormalization(name=f"{conv.name}_bn")(conv(x))
        return layers.ReLU(6.0, name=f"{conv.name}_relu")(x)

    same = {"padding": "same", "use_bias": False}
    filters = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    inputs = keras.Input(shape)
    x = unit(inputs, layers.Conv2D(int(32 * alpha), 3, strides=2, **same, name="conv1"))
    for n, (c, s) in enumerate(zip(filters, strides, strict=True), 1):
        x = unit(x, layers.DepthwiseConv2D(3, strides=s, **same, name=f"conv_dw_{n}"))
        x = unit(x, layers.Conv2D(int(c * alpha), 1, **same, name=f"conv_pw_{n}"))
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return KerasReference(keras.Model(inputs, layers.Dense(classes, name="predictions")(x)), 1)


def with_dtype(dtype):
    """Keras counts in float32 whatever it is told, except on TensorFlow: take the line out that says so."""
    keras.config.set_floatx(dtype)
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)
    assert keras.backend.result_type(dtype, "float32") == dtype


class KerasReference:
    def __init__(self, model, pixels):
        self.model, self.pixels = model, pixels  # what images in [0, 1] are multiplied by
        self.layers = {}
        for layer in model.layers:
            if ours := our_name(layer.name):
                self.layers.setdefault(
                    ours, layer
                )  # MobileNet has conv_preds and, after it, an empty predictions
            if isinstance(layer, layers.Dropout):
                layer.rate = 0

    def variable(self, name):
        path, _, role = name.rpartition(".")
        return getattr(self.layers[path], ROLES.get(role, role))

    def load(self, values):
        named = {id(self.variable(name)) for name in values}
        for variable in self.model.weights:
            assert id(variable) in named or "normalization" in variable.path, f"nobody fills {variable.path}"
        self.shapes = {name: value.shape for name, value in values.items()}
        for name, value in values.items():
            variable = self.variable(name)
            kernel = [n for n in variable.shape if n > 1]
            assert kernel == [n for n in value.shape if n > 1], (
                f"{name}: {value.shape}, theirs {variable.shape}"
            )
            variable.assign(value.reshape(variable.shape))

    def run(self, x, dlogits, train):
        for variable in self.model.trainable_variables:
            variable.value.grad = None
        tx = torch.from_numpy(x.copy()).requires_grad_()
        logits = self.model(tx * self.pixels, training=train)
        logits.backward(torch.from_numpy(dlogits))
        grads, statistics = {}, {}
        for name, shape in self.shapes.items():
            tensor = self.variable(name).value
            if "running" in name:
                statistics[name] = tensor.detach().numpy().reshape(shape).copy()
            else:
                grads[name] = tensor.grad.numpy().reshape(shape).copy()
        return Run(logits.detach().numpy(), tx.grad.numpy(), grads, statistics)

    def outputs(self, x, train):
        told = keras.Model(self.model.inputs, {name: layer.output for name, layer in self.layers.items()})
        with torch.no_grad():
            seen = told(torch.from_numpy(x) * self.pixels, training=train)
        # the two convolutions of squeeze-excite put out what their activations make of it
        as_put_out = (name.replace("se.reduce", "se.act").replace("se.expand", "se.gate") for name in seen)
        return dict(zip(as_put_out, (tensor.numpy() for tensor in seen.values()), strict=True))

    def macs(self, _):
        weighted = [layer for layer in self.layers.values() if hasattr(layer, "kernel")]
        return sum(int(np.prod(layer.output.shape[1:-1]) * np.prod(layer.kernel.shape)) for layer in weighted)
