"""Every layer and block in PyTorch; the module trees carry our names."""

from collections import OrderedDict
from itertools import cycle, product

import numpy as np
import torch
from recorder import BLOCKS, MODES, kinks, numbers, start, steep
from torch import nn

SIZES = ((5, 6), (6, 6), (7, 5))  # odd, even, non-square
OUT = {1: 3, 2: 4, 4: 8}  # filters for each number of groups
SAME = {  # (kernel, stride, height, width): TensorFlow's 'same' by hand: left, right, top, bottom
    (3, 2, 6, 6): (0, 1, 0, 1),
    (3, 2, 5, 6): (0, 1, 1, 1),
    (5, 2, 6, 5): (2, 2, 1, 2),
    (5, 2, 4, 4): (1, 2, 1, 2),
    (3, 3, 7, 8): (0, 1, 1, 1),
    (1, 2, 5, 6): (0, 0, 0, 0),
}


class Spatial(nn.Conv2d):
    """A depthwise convolution."""


class Mix(nn.Conv2d):
    """A 1 x 1 convolution."""


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Gate(nn.Sequential):
    def forward(self, x):
        return x * super().forward(x)


def chain(container=nn.Sequential, **modules):
    return container(OrderedDict(modules))


def ours(leaf, array):
    """An array of `leaf` in our layout: output channels last."""
    if array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)
        if isinstance(leaf, Spatial):
            return array[:, :, 0]
        return array[0, 0] if isinstance(leaf, Mix) else array
    return array.T if array.ndim == 2 else array


def theirs(leaf, array):
    """An array of ours in the layout of `leaf`."""
    if array.ndim == 3:
        return array.transpose(2, 0, 1)[:, None]
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    return array.T[:, :, None, None] if array.ndim == 2 and isinstance(leaf, Mix) else array.T


def arrays_of(module):
    """(our name, tensor, its module) for every array of the tree."""
    for path, leaf in module.named_modules():
        roles = {"weight": "gamma", "bias": "beta"} if hasattr(leaf, "running_mean") else {}
        for name, tensor in [*leaf.named_parameters(recurse=False), *leaf.named_buffers(recurse=False)]:
            if name != "num_batches_tracked":
                yield f"{path}.{roles.get(name, name)}".removeprefix("padded.").lstrip("."), tensor, leaf


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array))


def to_numpy(tensor):
    array = tensor.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def record(out, case, make, options, module, x, train=False, frozen=False):
    """Run `module` on x (a shape: normal numbers) and on a random dy, and keep everything."""
    module = module.double().train(train and not frozen)
    arrays = {"x": numbers(case, "x", x) if isinstance(x, tuple) else x}
    settled = list(arrays_of(module))
    for name, tensor, leaf in settled:
        value = arrays[f"value/{name}"] = start(case, name, ours(leaf, tensor.detach().numpy()).shape)
        tensor.data.copy_(torch.from_numpy(np.ascontiguousarray(theirs(leaf, value))))
    tx = to_torch(arrays["x"]).requires_grad_()
    y = module(tx)
    arrays["y"] = to_numpy(y)
    arrays["dy"] = numbers(case, "dy", arrays["y"].shape)
    y.backward(to_torch(arrays["dy"]))
    arrays["dx"] = to_numpy(tx.grad)
    for name, tensor, leaf in settled:
        if not isinstance(tensor, nn.Parameter):
            arrays[f"after/{name}"] = tensor.numpy()
        elif not frozen:
            arrays[f"grad/{name}"] = ours(leaf, tensor.grad.numpy())
    out.add(case, make, options, "torch " + " ".join(repr(module).split()), arrays, train, frozen)


def convolutions(out):
    turns, sizes = cycle([(1, False), (2, True), (4, False), (1, True)]), cycle(SIZES)  # groups, bias
    for k, s, padding in product((1, 2, 3, 5), (1, 2, 3), ("symmetric", "valid", 1)):
        (groups, bias), size = next(turns), next(sizes)
        pixels = {"symmetric": k // 2, "valid": 0, 1: 1}[padding]
        shared = {"kernel_size": k, "stride": s, "padding": padding}
        options = {"in_channels": 4, "out_channels": OUT[groups], **shared, "groups": groups, "bias": bias}
        conv = nn.Conv2d(4, OUT[groups], k, s, pixels, groups=groups, bias=bias)
        record(out, f"conv k{k} s{s} {padding} groups {groups}", "Conv2D", options, conv, (2, *size, 4))
        conv = Spatial(3, 3, k, s, pixels, groups=3, bias=False)
        options = {"channels": 3, **shared}
        record(out, f"depthwise k{k} s{s} {padding}", "DepthwiseConv2D", options, conv, (2, *size, 3))
    for (k, s, h, w), pads in SAME.items():
        shared, case = {"kernel_size": k, "stride": s, "padding": "same"}, f"k{k} s{s} same {h}x{w}"
        conv = chain(pad=nn.ZeroPad2d(pads), padded=nn.Conv2d(3, 5, k, s, bias=False))
        options = {"in_channels": 3, "out_channels": 5, **shared}
        record(out, f"conv {case}", "Conv2D", options, conv, (2, h, w, 3))
        conv = chain(pad=nn.ZeroPad2d(pads), padded=Spatial(4, 4, k, s, groups=4, bias=False))
        options = {"channels": 4, **shared}
        record(out, f"depthwise {case}", "DepthwiseConv2D", options, conv, (2, h, w, 4))
    options = {"in_channels": 8, "out_channels": 8, "stride": 2, "padding": 3, "groups": 8, "bias": True}
    conv = nn.Conv2d(8, 8, 3, 2, 3, groups=8)
    record(out, "conv of one channel a group", "Conv2D", options, conv, (2, 5, 4, 8))
    options = {"channels": 9, "kernel_size": 7, "stride": 1, "padding": "symmetric"}
    conv = Spatial(9, 9, 7, 1, 3, groups=9, bias=False)
    record(out, "depthwise k7 on 2x3", "DepthwiseConv2D", options, conv, (1, 2, 3, 9))


def layers(out):
    for bias in (False, True):
        options = {"in_channels": 5, "out_channels": 7, "bias": bias}
        conv = Mix(5, 7, 1, bias=bias)
        record(out, f"pointwise bias {bias}", "PointwiseConv2D", options, conv, (2, 3, 4, 5))
    record(out, "dense", "Dense", {"in_channels": 6, "out_channels": 4}, nn.Linear(6, 4), (3, 6))
    modes = [("train", 0.1), ("train", 0.01), ("train", 1.0), ("inference", 0.1), ("frozen", 0.1)]
    for mode, momentum in modes:
        options = {"channels": 5, "eps": 1e-5, "momentum": momentum, "unbiased": True}
        case, norm = f"batch_norm {mode} momentum {momentum}", nn.BatchNorm2d(5, eps=1e-5, momentum=momentum)
        x = 3 + numbers(case, "x", (2, 3, 4, 5), 2.0)
        record(out, case, "BatchNorm", options, norm, x, train=mode != "inference", frozen=mode == "frozen")
    options = {"channels": 4, "eps": 1e-3, "momentum": 0.1, "unbiased": True}
    norm = nn.BatchNorm1d(4, eps=1e-3)
    record(out, "batch_norm of vectors", "BatchNorm", options, norm, (6, 4), train=True)
    record(out, "relu", "ReLU", {}, nn.ReLU(), kinks())
    record(out, "relu6", "ReLU6", {}, nn.ReLU6(), kinks())
    record(out, "sigmoid", "Sigmoid", {}, nn.Sigmoid(), steep())
    record(out, "swish", "Swish", {}, nn.SiLU(), steep())
    scores = numbers("softmax", "x", (4, 7), 3.0)
    scores[1, :2], scores[2, 3] = (900.0, -900.0), 1000.0
    record(out, "softmax", "Softmax", {}, nn.Softmax(-1), scores)
    pool = nn.AdaptiveAvgPool2d(1)
    record(out, "pool keepdims True", "GlobalAveragePool", {"keepdims": True}, pool, (2, 3, 5, 4))
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    record(out, "pool keepdims False", "GlobalAveragePool", {"keepdims": False}, pool, (2, 3, 5, 4))
    record(out, "dropout in prediction", "Dropout", {"rate": 0.5}, nn.Dropout(0.5), (2, 3, 3, 4))


def unit(conv, channels, act=None):
    norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)
    return chain(conv=conv, norm=norm, **({"act": act()} if act else {}))


def mix(i, o, bias=False):
    return Mix(i, o, 1, bias=bias)


def spatial(c, k, s):
    return Spatial(c, c, k, s, k // 2, groups=c, bias=False)


def excite(c, squeezed, act):
    ends = {"reduce": mix(c, squeezed, True), "act": act(), "expand": mix(squeezed, c, True)}
    return chain(Gate, pool=nn.AdaptiveAvgPool2d(1), **ends, gate=nn.Sigmoid())


def inverted(act, i, o, t, k, s, se):
    parts = {"expand": unit(mix(i, i * t), i * t, act)} if t > 1 else {}
    parts["depthwise"] = unit(spatial(i * t, k, s), i * t, act)
    if se:
        parts["se"] = excite(i * t, int(i * se), act)
    parts["project"] = unit(mix(i * t, o), o)
    return chain(Residual if i == o and s == 1 else nn.Sequential, **parts)


def blocks(out):
    """The blocks of blocks.py in PyTorch's convention, in both modes."""
    acts = {"ReLU6": nn.ReLU6, "Swish": nn.SiLU}
    for mode, train in MODES.items():
        conv = {"in_channels": 3, "out_channels": 6, "stride": 2, "padding": "symmetric"}
        options = {"conv": ["Conv2D", conv], "channels": 6, "act": "Swish", "convention": "TORCH"}
        module = unit(nn.Conv2d(3, 6, 3, 2, 1, bias=False), 6, nn.SiLU)
        record(out, f"conv_norm_act {mode}", "conv_norm_act", options, module, (3, 6, 7, 3), train)
        for s in (1, 2):
            options = {"in_channels": 4, "out_channels": 6, "stride": s}
            options |= {"act": "ReLU6", "convention": "TORCH"}
            first, second = unit(spatial(4, 3, s), 4, nn.ReLU6), unit(mix(4, 6), 6, nn.ReLU6)
            case, module = f"depthwise_separable s{s} {mode}", chain(depthwise=first, pointwise=second)
            record(out, case, "depthwise_separable", options, module, (2, 6, 6, 4), train)
        options, module = {"channels": 6, "squeezed": 2, "act": "Swish"}, excite(6, 2, nn.SiLU)
        record(out, f"squeeze_excite {mode}", "squeeze_excite", options, module, (2, 4, 3, 6), train)
        for name, (block, act) in BLOCKS.items():
            options = {"block": block, "act": act, "convention": "TORCH"}
            module, shape = inverted(acts[act], *block.values()), (2, 6, 5, block["in_channels"])
            record(out, f"{name} {mode}", "inverted_residual", options, module, shape, train)


PARTS = (convolutions, layers, blocks)
