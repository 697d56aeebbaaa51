"""Our tree of layers as PyTorch modules with the same weights, channels last."""

from typing import Any

import numpy as np
import torch
from torch import nn

from mini_nn import layers as ours
from mini_nn.core import Layer

PLAIN = {ours.ReLU: nn.ReLU, ours.ReLU6: nn.ReLU6, ours.Swish: nn.SiLU, ours.Sigmoid: nn.Sigmoid}


class Added(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return x + super().forward(x)


class Gated(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return x * super().forward(x)


def twin(layer: Layer) -> nn.Module:
    """The module of a layer and of all below it."""
    if type(layer) in PLAIN:
        kind = PLAIN[type(layer)]
        return kind() if kind is nn.Sigmoid else kind(inplace=True)
    if isinstance(layer, ours.Dropout | ours.StochasticDepth):
        return nn.Identity()
    if isinstance(layer, ours.GlobalAveragePool):
        pool = nn.AdaptiveAvgPool2d(1)
        return pool if layer.keepdims else nn.Sequential(pool, nn.Flatten())
    if isinstance(layer, ours.Dense):
        dense = nn.Linear(*layer.weight.shape)
        return filled(dense, layer.weight.value.T, layer.bias)
    if isinstance(layer, ours.BatchNorm):
        norm = nn.BatchNorm2d(len(layer.gamma.value), layer.eps, layer.momentum)
        norm.running_mean.copy_(torch.from_numpy(layer.running_mean.value))
        norm.running_var.copy_(torch.from_numpy(layer.running_var.value))
        return filled(norm, layer.gamma.value, layer.beta)
    if isinstance(layer, ours.PointwiseConv2D):
        i, o = layer.weight.shape
        return filled(
            nn.Conv2d(i, o, 1, bias=layer.bias is not None),
            layer.weight.value.T[:, :, None, None],
            layer.bias,
        )
    if isinstance(layer, ours.DepthwiseConv2D | ours.Conv2D):
        w, k, s = layer.weight.value, layer.kernel_size, layer.stride
        depthwise = isinstance(layer, ours.DepthwiseConv2D)
        channels = (w.shape[2],) * 2 if depthwise else w.shape[2:]
        conv = nn.Conv2d(*channels, k, s, k // 2, groups=w.shape[2] if depthwise else 1, bias=False)
        return filled(conv, w.transpose(2, 0, 1)[:, None] if depthwise else w.transpose(3, 2, 0, 1), None)
    kind = {ours.Residual: Added, ours.Gate: Gated}.get(type(layer), nn.Sequential)
    return kind(*(twin(child) for _, child in layer.children()))


def filled(module: Any, weight: Any, bias: Any) -> Any:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            module.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias.value)))
    return module


def folded(module: nn.Module) -> nn.Module:
    """Every BatchNorm put into the convolution before it: what a careful user of PyTorch does before predicting."""
    for name, child in list(module.named_children()):
        setattr(module, name, folded(child))
    if isinstance(module, nn.Sequential):
        parts = list(module)
        for i in range(len(parts) - 1):
            if isinstance(parts[i], nn.Conv2d) and isinstance(parts[i + 1], nn.BatchNorm2d):
                parts[i], parts[i + 1] = (
                    torch.nn.utils.fuse_conv_bn_eval(parts[i], parts[i + 1]),
                    nn.Identity(),
                )
        for i, part in enumerate(parts):
            module[i] = part
    return module
