"""Every layer and block in Keras (its PyTorch backend gives the gradients); the graphs carry our names."""

from functools import partial
from itertools import cycle, product

import keras
import torch
from keras import layers as kl
from recorder import BLOCKS, MODES, kinks, numbers, start, steep

SIZES = ((5, 6), (4, 4), (7, 3))  # odd, even, non-square
OUT = {1: 3, 2: 4, 4: 8}  # filters for each number of groups
ROLES = {"kernel": "weight", "moving_mean": "running_mean", "moving_variance": "running_var"}


def arrays_of(model, make):
    """(our name, variable, its shape in our layout) for every array.  Names hold '-', since torch forbids '.'."""
    for layer in model.layers:
        path = "" if layer.name == "only" else f"{layer.name.replace('-', '.')}."
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if isinstance(layer, kl.DepthwiseConv2D):
                shape = shape[:3]
            elif len(shape) == 4 and shape[:2] == (1, 1) and make != "Conv2D":
                shape = shape[2:]
            yield path + ROLES.get(variable.name, variable.name), variable, shape


def record(out, case, make, options, graph, x, train=False, frozen=False, source=None):
    """Run the graph (a layer, or a function of a symbolic x) on x (a shape: normal numbers) and a random dy."""
    arrays = {"x": numbers(case, "x", x) if isinstance(x, tuple) else x}
    inputs = keras.Input(arrays["x"].shape[1:])
    model = keras.Model(inputs, graph(inputs))
    model.trainable = not frozen
    settled = list(arrays_of(model, make))
    for name, variable, shape in settled:
        arrays[f"value/{name}"] = start(case, name, shape)
        variable.assign(arrays[f"value/{name}"].reshape(variable.shape))
    tx = torch.from_numpy(arrays["x"].copy()).requires_grad_()
    y = model(tx, training=train)
    arrays["y"] = y.detach().numpy()
    arrays["dy"] = numbers(case, "dy", arrays["y"].shape)
    y.backward(torch.from_numpy(arrays["dy"]))
    arrays["dx"] = tx.grad.numpy()
    for name, variable, shape in settled:
        if "running" in name:
            arrays[f"after/{name}"] = variable.value.detach().numpy().copy()
        elif not frozen:
            arrays[f"grad/{name}"] = variable.value.grad.numpy().reshape(shape)
    out.add(case, make, options, f"keras {source or model.layers[1].made}", arrays, train, frozen)


def only(kind, **options):
    """A graph of one layer that knows how it was made."""
    layer = getattr(kl, kind)(**options, name="only")
    layer.made = f"layers.{kind}({', '.join(f'{key}={value!r}' for key, value in options.items())})"
    return layer


def convolution(out, case, k, s, padding, size, groups, bias):
    shared = {"kernel_size": k, "stride": s, "padding": padding}
    theirs = {"kernel_size": k, "strides": s, "padding": padding}
    options = {"in_channels": 4, "out_channels": OUT[groups], **shared, "groups": groups, "bias": bias}
    layer = only("Conv2D", filters=OUT[groups], **theirs, groups=groups, use_bias=bias)
    record(out, f"conv {case} groups {groups}", "Conv2D", options, layer, (2, *size, 4))
    layer = only("DepthwiseConv2D", **theirs, use_bias=False)
    record(out, f"depthwise {case}", "DepthwiseConv2D", {"channels": 3, **shared}, layer, (2, *size, 3))


def convolutions(out):
    turns = cycle([(1, True), (2, False), (4, True), (1, False)])  # groups, bias
    for k, s, (h, w) in product((1, 2, 3, 5), (1, 2, 3), SIZES):
        convolution(out, f"k{k} s{s} same {h}x{w}", k, s, "same", (h, w), *next(turns))
    for k, s in product((1, 3, 5), (1, 2, 3)):
        convolution(out, f"k{k} s{s} valid", k, s, "valid", (6, 7), *next(turns))
    tiny = ((3, 2, 1, 1), (5, 2, 2, 3), (5, 1, 1, 2), (3, 3, 2, 9))  # images smaller than the filter
    for k, s, h, w in tiny:
        convolution(out, f"k{k} s{s} same {h}x{w}", k, s, "same", (h, w), *next(turns))


def layers(out):
    for bias in (False, True):
        options = {"in_channels": 5, "out_channels": 7, "bias": bias}
        layer = only("Conv2D", filters=7, kernel_size=1, use_bias=bias)
        record(out, f"pointwise bias {bias}", "PointwiseConv2D", options, layer, (2, 3, 4, 5))
    record(out, "dense", "Dense", {"in_channels": 6, "out_channels": 4}, only("Dense", units=4), (3, 6))
    for mode, momentum in [("train", 0.99), ("train", 0.9), ("inference", 0.99), ("frozen", 0.99)]:
        options = {"channels": 5, "eps": 1e-3, "momentum": round(1 - momentum, 6), "unbiased": False}
        case = f"batch_norm {mode} momentum {momentum}"
        layer = only("BatchNormalization", momentum=momentum, epsilon=1e-3)
        x = 3 + numbers(case, "x", (2, 3, 4, 5), 2.0)
        record(out, case, "BatchNorm", options, layer, x, train=mode != "inference", frozen=mode == "frozen")
    options = {"channels": 5, "eps": 1e-3, "momentum": 0.01, "unbiased": False}
    layer = only("BatchNormalization", momentum=0.99, epsilon=1e-3)
    record(out, "batch_norm of one value a channel", "BatchNorm", options, layer, (1, 1, 1, 5), train=True)
    record(out, "relu", "ReLU", {}, only("ReLU"), kinks())
    record(out, "relu6", "ReLU6", {}, only("ReLU", max_value=6), kinks())
    record(out, "sigmoid", "Sigmoid", {}, only("Activation", activation="sigmoid"), steep())
    record(out, "swish", "Swish", {}, only("Activation", activation="swish"), steep())
    record(out, "softmax", "Softmax", {}, only("Activation", activation="softmax"), (4, 7))
    for keepdims in (False, True):
        layer, options = only("GlobalAveragePooling2D", keepdims=keepdims), {"keepdims": keepdims}
        record(out, f"pool keepdims {keepdims}", "GlobalAveragePool", options, layer, (2, 3, 5, 4))
    layer = only("Dropout", rate=0.2, noise_shape=(None, 1, 1, 1))
    record(out, "stochastic depth in prediction", "StochasticDepth", {"rate": 0.2}, layer, (2, 3, 3, 4))


def act(x, kind, name):
    return kl.ReLU(6.0, name=name)(x) if kind == "ReLU6" else kl.Activation("swish", name=name)(x)


def unit(x, conv, name, kind=None):
    conv.name = f"{name}conv"
    x = kl.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}norm")(conv(x))
    return act(x, kind, f"{name}act") if kind else x


def mix(channels):
    return kl.Conv2D(channels, 1, use_bias=False)


def spatial(k, s):
    return kl.DepthwiseConv2D(k, s, padding="same", use_bias=False)


def excite(x, squeezed, kind, name=""):
    g = kl.GlobalAveragePooling2D(keepdims=True)(x)
    g = act(kl.Conv2D(squeezed, 1, name=f"{name}reduce")(g), kind, f"{name}act")
    return kl.multiply([x, kl.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}expand")(g)])


def inverted(x, kind, block):
    i, o, t, k, s, se = block.values()
    y = unit(x, mix(i * t), "expand-", kind) if t > 1 else x
    y = unit(y, spatial(k, s), "depthwise-", kind)
    y = excite(y, int(i * se), kind, "se-") if se else y
    y = unit(y, mix(o), "project-")
    return kl.add([x, y]) if s == 1 and i == o else y


def stem(x):
    return unit(x, kl.Conv2D(6, 3, 2, padding="same", use_bias=False), "", "Swish")


def pair(x, s):
    return unit(unit(x, spatial(3, s), "depthwise-", "ReLU6"), mix(6), "pointwise-", "ReLU6")


def rows():
    """(case, make, options, graph, shape of x, text) for each block of blocks.py in Keras's convention."""
    conv = {"in_channels": 3, "out_channels": 6, "stride": 2, "padding": "same"}
    options = {"conv": ["Conv2D", conv], "channels": 6, "act": "Swish", "convention": "KERAS"}
    text = "Conv2D(6, 3, 2, 'same'), BatchNormalization, swish"
    for h, w in ((6, 6), (7, 4)):
        yield f"conv_norm_act {h}x{w}", "conv_norm_act", options, stem, (3, h, w, 3), text
    for s in (1, 2):
        options = {"in_channels": 4, "out_channels": 6, "stride": s, "act": "ReLU6", "convention": "KERAS"}
        text = f"DepthwiseConv2D(3, {s}, 'same'), Conv2D(6, 1), each with BatchNormalization and ReLU(6)"
        graph = partial(pair, s=s)
        yield f"depthwise_separable s{s}", "depthwise_separable", options, graph, (2, 6, 5, 4), text
    options = {"channels": 6, "squeezed": 2, "act": "Swish"}
    text = "GlobalAveragePooling2D, Conv2D(2, 1), swish, Conv2D(6, 1), sigmoid, multiply"
    graph = partial(excite, squeezed=2, kind="Swish")
    yield "squeeze_excite", "squeeze_excite", options, graph, (2, 4, 3, 6), text
    for name, (block, kind) in BLOCKS.items():
        options = {"block": block, "act": kind, "convention": "KERAS"}
        text = f"Conv2D(1), DepthwiseConv2D 'same', Conv2D(1) with BatchNormalization and {kind}: {block}"
        graph = partial(inverted, kind=kind, block=block)
        yield name, "inverted_residual", options, graph, (2, 6, 5, block["in_channels"]), text


def blocks(out):
    for mode, train in MODES.items():
        for case, make, options, graph, shape, text in rows():
            record(out, f"{case} {mode}", make, options, graph, shape, train, source=text)


PARTS = (convolutions, layers, blocks)
