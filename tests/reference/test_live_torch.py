"""Whole networks beside PyTorch's: geffnet (timm's ancestor) and EfficientNet-PyTorch."""

from functools import partial

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make reference")
pytest.importorskip("geffnet", reason="geffnet is not installed: make reference")
pytest.importorskip("efficientnet_pytorch", reason="efficientnet-pytorch is not installed: make reference")

from compare import Case, check, programs
from torch_nets import geffnet_net, lukemelas_net

from mini_nn.blocks import KERAS, TORCH

TF = KERAS._replace(momentum=0.1, unbiased=True)  # TensorFlow's padding and eps in PyTorch's BatchNorm
LUKEMELAS = KERAS._replace(unbiased=True)


def timm(network, name, convention, size, **options):
    """geffnet's `name`; the options are those of both."""
    make = partial(geffnet_net, name, **options)
    return Case(network, f"geffnet {name}", make, convention, size, tuple(options.items()))


def luke(number, size):
    make = partial(lukemelas_net, f"efficientnet-b{number}")
    reference = f"EfficientNet-PyTorch b{number}"
    return Case(f"efficientnet_b{number}", reference, make, LUKEMELAS, size)


V2 = [timm("mobilenet_v2", "mobilenetv2_100", TORCH, size) for size in ((64, 64), (75, 53), (48, 65))]
B0 = [
    *(timm("efficientnet_b0", "efficientnet_b0", TORCH, size) for size in ((64, 96), (75, 53))),
    *(timm("efficientnet_b0", "tf_efficientnet_b0", TF, size) for size in ((64, 64), (75, 53))),
    *(luke(0, size) for size in ((64, 48), (65, 65))),
]
B1 = [
    timm("efficientnet_b1", "efficientnet_b1", TORCH, (64, 64)),
    timm("efficientnet_b1", "tf_efficientnet_b1", TF, (75, 53)),
    luke(1, (65, 48)),
]
B2 = [
    timm("efficientnet_b2", "efficientnet_b2", TORCH, (75, 53)),
    timm("efficientnet_b2", "tf_efficientnet_b2", TF, (64, 64)),
    luke(2, (48, 65)),
]
LITE_SIZES = ((64, 64), (75, 53), (65, 64))
LITE = [
    timm("efficientnet_lite0", "efficientnet_lite0", TORCH, (64, 49)),
    *(
        timm(f"efficientnet_lite{i}", f"tf_efficientnet_lite{i}", TF, size)
        for i, size in enumerate(LITE_SIZES)
    ),
]
OTHERS = [  # images as small as may be, a stem without stride, other classes
    timm("mobilenet_v2", "mobilenetv2_100", TORCH, (32, 33), num_classes=7),
    timm("mobilenet_v2", "mobilenetv2_100", TORCH, (40, 33), stem_stride=1),
    timm("efficientnet_b0", "tf_efficientnet_b0", TF, (33, 40), stem_stride=1, num_classes=7),
]


@pytest.mark.parametrize(("case", "program"), programs(V2 + B0 + B1 + B2 + LITE))
def test_network_equals_pytorchs(case, program):
    check(case, program)


@pytest.mark.parametrize(("case", "program"), programs(OTHERS, ["float64 inference"]))
def test_network_with_other_options_equals_pytorchs(case, program):
    check(case, program)
