"""Whole networks beside those of keras.applications."""

from functools import partial

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make reference")
pytest.importorskip("keras", reason="Keras is not installed: make reference")

from compare import Case, check, programs
from keras_nets import keras_net, mobilenet_v1_same

from mini_nn.blocks import KERAS

KERAS_V2 = KERAS._replace(momentum=1 - 0.999)  # MobileNetV2 alone moves its averages this slowly


def applications(network, kind, size, convention=KERAS, width=1.0, batch=4):
    scaled = {"alpha": width} if network.startswith("mobilenet") else {}
    options = (("width_mult", width),) if scaled else ()
    reference = f"keras {kind}" + (f" {width}" if width != 1 else "")
    return Case(network, reference, partial(keras_net, kind, **scaled), convention, size, options, batch)


V1 = [applications("mobilenet_v1", "MobileNet", size) for size in ((64, 96), (96, 64))]
V1_SAME = [
    Case("mobilenet_v1", "keras layers, padding='same'", mobilenet_v1_same, KERAS, size)
    for size in ((75, 53), (65, 65), (64, 49))
]
V2 = [applications("mobilenet_v2", "MobileNetV2", size, KERAS_V2) for size in ((64, 96), (75, 53), (65, 64))]
B0 = [applications("efficientnet_b0", "EfficientNetB0", size) for size in ((64, 96), (75, 53), (65, 64))]
WIDTHS = [
    applications("mobilenet_v1", "MobileNet", (64, 64), width=0.5),
    applications("mobilenet_v2", "MobileNetV2", (65, 48), KERAS_V2, width=0.35),
    applications("mobilenet_v2", "MobileNetV2", (48, 65), KERAS_V2, width=1.4),
]
PUBLISHED = [  # the size that the papers train at
    applications("mobilenet_v1", "MobileNet", (224, 224), batch=1),
    applications("mobilenet_v2", "MobileNetV2", (224, 224), KERAS_V2, batch=1),
    applications("efficientnet_b0", "EfficientNetB0", (224, 224), batch=1),
]


@pytest.mark.parametrize(("case", "program"), programs(V1 + V1_SAME + V2 + B0))
def test_network_equals_kerass(case, program):
    check(case, program)


@pytest.mark.parametrize(("case", "program"), programs(WIDTHS, ["float64 train"]))
def test_network_of_another_width_equals_kerass(case, program):
    check(case, program)


@pytest.mark.parametrize(("case", "program"), programs(PUBLISHED, ["float64 inference", "float32 inference"]))
def test_network_at_the_published_size_equals_kerass(case, program):
    check(case, program)
