"""Published PyTorch networks (geffnet, EfficientNet-PyTorch) under our names and in our layout."""

import re

import geffnet
import numpy as np
import torch
from compare import Run
from efficientnet_pytorch import EfficientNet
from torch import nn

ROLES = {"gamma": "weight", "beta": "bias"}  # of a torch BatchNorm
GEFFNET = {  # geffnet's name (in a block: after `blocks.i.j.`), ours
    "conv_stem": "stem.conv", "bn1": "stem.norm", "act1": "stem.act",
    "conv_head": "head.conv", "bn2": "head.norm", "act2": "head.act",
    "global_pool": "pool", "classifier": "classifier",
}  # fmt: skip
SQUEEZE = {"se": "se", "se.conv_reduce": "se.reduce", "se.act1": "se.act", "se.conv_expand": "se.expand"}
INVERTED = {  # InvertedResidual
    "conv_pw": "expand.conv", "bn1": "expand.norm", "act1": "expand.act",
    "conv_dw": "depthwise.conv", "bn2": "depthwise.norm", "act2": "depthwise.act",
    "conv_pwl": "project.conv", "bn3": "project.norm", **SQUEEZE,
}  # fmt: skip
SEPARABLE = {  # DepthwiseSeparableConv: a block without expansion
    "conv_dw": "depthwise.conv", "bn1": "depthwise.norm", "act1": "depthwise.act",
    "conv_pw": "project.conv", "bn2": "project.norm", **SQUEEZE,
}  # fmt: skip
LUKEMELAS = {
    "_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm",
    "_avg_pooling": "pool", "_fc": "classifier",
}  # fmt: skip
MBCONV = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm", "_se_reduce": "se.reduce", "_se_expand": "se.expand",
    "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip


def geffnet_name(module, path):
    """Our name for the module at `path` of a geffnet network, or None."""
    if found := re.fullmatch(r"blocks\.(\d+)\.(\d+)(?:\.(.*))?", path):
        i, j, rest = found.groups()
        separable = type(module.blocks[int(i)][int(j)]).__name__ == "DepthwiseSeparableConv"
        inner = (SEPARABLE if separable else INVERTED).get(rest) if rest else ""
        return None if inner is None else f"stages.{i}.{j}.{inner}".rstrip(".")
    return GEFFNET.get(path)


def lukemelas_name(module, path):
    """The same for EfficientNet-PyTorch, which numbers the blocks of all stages through."""
    if found := re.fullmatch(r"_blocks\.(\d+)(?:\.(.*))?", path):
        number, rest = int(found[1]), found[2]
        starts = [n for n, b in enumerate(module._blocks) if n == 0 or starts_stage(module._blocks, n, b)]
        stage = max(i for i, start in enumerate(starts) if start <= number)
        inner = MBCONV.get(rest) if rest else ""
        return None if inner is None else f"stages.{stage}.{number - starts[stage]}.{inner}".rstrip(".")
    return LUKEMELAS.get(path)


def starts_stage(blocks, n, block):
    """A stage's first block changes the number of channels, and no other does."""
    return block._block_args.input_filters != block._block_args.output_filters and n > 0


def geffnet_net(name, _shape, dtype, stem_stride=2, **options):
    module = geffnet.create_model(name, pretrained=False, **options)
    module.conv_stem.stride = (stem_stride, stem_stride)
    return TorchReference(module, geffnet_name, dtype)


def lukemelas_net(name, _shape, dtype):
    module = EfficientNet.from_name(
        name, image_size=None, drop_connect_rate=0.0, dropout_rate=0.0
    )  # None: any size
    return TorchReference(module, lukemelas_name, dtype)


class TorchReference:
    def __init__(self, module, name_of, dtype):
        self.module = module.to(getattr(torch, dtype))
        paths = {path: name_of(module, path) for path, _ in module.named_modules() if path}
        modules = dict(module.named_modules())
        self.layers = {ours: modules[path] for path, ours in paths.items() if ours}

    def tensor(self, name):
        path, _, role = name.rpartition(".")
        return getattr(self.layers[path], ROLES.get(role, role))

    def load(self, values):
        named = {id(self.tensor(name)) for name in values}
        for path, tensor in [*self.module.named_parameters(), *self.module.named_buffers()]:
            assert id(tensor) in named or path.endswith("num_batches_tracked"), f"nobody fills {path}"
        self.shapes = {name: value.shape for name, value in values.items()}
        for name, value in values.items():
            tensor = self.tensor(name)
            assert tensor.numel() == value.size, f"{name}: ours {value.shape}, theirs {tuple(tensor.shape)}"
            theirs = value.T  # output channels first
            if tensor.ndim == 4:
                o, i, *kernel = tensor.shape
                theirs = value.reshape(*kernel, i, o).transpose(3, 2, 0, 1)
            tensor.data.copy_(torch.from_numpy(np.ascontiguousarray(theirs)))

    def array(self, name, tensor):
        """A tensor of theirs in our layout."""
        array = tensor.detach().numpy()
        array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        return array.reshape(self.shapes[name]).copy()

    def run(self, x, dlogits, train):
        self.module.train(train)
        self.module.zero_grad()
        tx = to_torch(x).requires_grad_()
        logits = self.module(tx)
        logits.backward(torch.from_numpy(dlogits))
        grads = {
            name: self.array(name, self.tensor(name).grad) for name in self.shapes if "running" not in name
        }
        statistics = {name: self.array(name, self.tensor(name)) for name in self.shapes if "running" in name}
        return Run(logits.detach().numpy(), to_numpy(tx.grad), grads, statistics)

    def outputs(self, x, train):
        self.module.train(train)
        seen = {}

        def hook_for(name):
            def hook(_, __, output):
                seen[name] = to_numpy(output).copy()  # an activation in place would write on it

            return hook

        hooks = [layer.register_forward_hook(hook_for(name)) for name, layer in self.layers.items()]
        with torch.no_grad():
            self.module(to_torch(x))
        for hook in hooks:
            hook.remove()
        return seen

    def macs(self, x):
        outputs = self.outputs(x[:1], train=False)
        weights = {n: m.weight for n, m in self.layers.items() if isinstance(m, nn.Conv2d | nn.Linear)}
        return sum(
            int(np.prod(outputs[name].shape[1:-1])) * weight.numel() for name, weight in weights.items()
        )


def to_torch(x):
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def to_numpy(tensor):
    array = tensor.detach().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
