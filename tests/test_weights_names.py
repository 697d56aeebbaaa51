"""The names of timm, torchvision, EfficientNet-PyTorch and Keras, against names read from their own checkpoints."""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

import pytest

from mini_nn import core, models
from mini_nn.weights import efficientnet_pytorch, keras, timm, torchvision
from mini_nn.weights.places import rename
from mini_nn.weights.sources import TORCH_ENDINGS

LISTS = Path(os.environ.get("MINI_NN_SHARED", Path(__file__).parents[2] / "shared")) / "weights"
SPELL = {
    "timm": (timm.spell, TORCH_ENDINGS),
    "torchvision v2": (torchvision.spell_v2, TORCH_ENDINGS),
    "torchvision": (torchvision.spell_efficientnet, TORCH_ENDINGS),
    "EfficientNet-PyTorch": (efficientnet_pytorch.spell, TORCH_ENDINGS),
    "Keras v1": (keras.legacy_spell({"conv_dw_1", "conv_preds"}), keras.LEGACY),
    "Keras v2": (keras.legacy_spell({"expanded_conv_project"}), keras.LEGACY),
    "Keras": (keras.legacy_spell({"block1a_bn"}), keras.LEGACY),
}
NUMBERED = "datasets in the .weights.h5 file (Keras 3.15)"

# sha256 of all names in the checkpoint's order, one a line (num_batches_tracked and Keras's normalization left out)
LISTED = [
    ("mobilenet_v1", "timm", "timm_mobilenetv1_100", "cf1ac8a57cfcac68"),
    ("mobilenet_v2", "timm", "timm_mobilenetv2_100", "de5effb0244829e7"),
    ("efficientnet_b0", "timm", "timm_efficientnet_b0", "6997604e99c70ea8"),
    ("efficientnet_b0", "timm", "timm_tf_efficientnet_b0", "6997604e99c70ea8"),
    ("efficientnet_lite0", "timm", "timm_tf_efficientnet_lite0", "8e6421a1cb662a70"),
    ("mobilenet_v2", "torchvision v2", "torchvision_mobilenet_v2", "7ffe2ec7399a7916"),
    ("efficientnet_b0", "torchvision", "torchvision_efficientnet_b0", "6a4f6a122a9f8bd6"),
    ("efficientnet_lite0", "EfficientNet-PyTorch", "efficientnet_pytorch_lite0", "9b1ebaa3ed0ce9c9"),
    ("mobilenet_v1", "Keras v1", "keras_MobileNet", "d4633ffdb346bc15"),
    ("mobilenet_v2", "Keras v2", "keras_MobileNetV2", "a85e1fbc1887460a"),
    ("efficientnet_b0", "Keras", "keras_EfficientNetB0", "f79f42486ebcc15c"),
]


@cache
def names(model):
    return [name for name, _ in core.named_arrays(models.build(model))]


def theirs(model, source):
    return rename(names(model), *SPELL[source], source)


def listed(file):
    """The names in one of the lists of a checkpoint's names, less what no network here has."""
    path = LISTS / f"{file}.json"
    if not path.exists():
        pytest.skip(f"the lists of names are not at {LISTS}")
    whole = json.loads(path.read_text())
    whole = whole.get("variables in layer order", whole)
    return [n for n in whole if not n.endswith("num_batches_tracked") and not n.startswith("normalization/")]


@pytest.mark.parametrize(("model", "source", "file", "digest"), LISTED)
def test_all_names_in_order_are_the_checkpoints(model, source, file, digest):
    text = "\n".join(theirs(model, source).values())
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest, file


@pytest.mark.parametrize(("model", "source", "file", "digest"), LISTED)
def test_all_names_in_order_are_those_of_the_lists(model, source, file, digest):
    assert list(theirs(model, source).values()) == listed(file)


@pytest.mark.parametrize(
    ("model", "source", "ours", "expected"),
    [
        ("mobilenet_v1", "timm", "stages.1.0.pointwise.norm.beta", "blocks.1.0.bn2.bias"),
        ("mobilenet_v2", "timm", "stages.0.0.project.conv.weight", "blocks.0.0.conv_pw.weight"),
        ("mobilenet_v2", "timm", "stages.1.0.expand.conv.weight", "blocks.1.0.conv_pw.weight"),
        ("mobilenet_v2", "timm", "stages.1.0.project.conv.weight", "blocks.1.0.conv_pwl.weight"),
        ("efficientnet_b0", "timm", "stages.0.0.depthwise.norm.gamma", "blocks.0.0.bn1.weight"),
        ("efficientnet_b0", "timm", "stages.1.1.project.norm.gamma", "blocks.1.1.bn3.weight"),
        ("efficientnet_b0", "timm", "stages.1.1.se.expand.bias", "blocks.1.1.se.conv_expand.bias"),
        ("efficientnet_b0", "timm", "head.norm.running_var", "bn2.running_var"),
        ("mobilenet_v2", "torchvision v2", "stages.0.0.project.conv.weight", "features.1.conv.1.weight"),
        ("mobilenet_v2", "torchvision v2", "stages.6.0.depthwise.norm.beta", "features.17.conv.1.1.bias"),
        ("mobilenet_v2", "torchvision v2", "stages.2.2.project.norm.gamma", "features.6.conv.3.weight"),
        ("mobilenet_v2", "torchvision v2", "head.conv.weight", "features.18.0.weight"),
        ("efficientnet_b0", "torchvision", "stages.0.0.se.reduce.bias", "features.1.0.block.1.fc1.bias"),
        ("efficientnet_b0", "torchvision", "stages.6.0.project.norm.beta", "features.7.0.block.3.1.bias"),
        ("efficientnet_b0", "torchvision", "classifier.weight", "classifier.1.weight"),
        ("efficientnet_b7", "torchvision", "head.norm.gamma", "features.8.1.weight"),
        (
            "efficientnet_lite0",
            "EfficientNet-PyTorch",
            "stages.2.1.expand.norm.gamma",
            "_blocks.4._bn0.weight",
        ),
        (
            "efficientnet_b7",
            "EfficientNet-PyTorch",
            "stages.6.3.se.reduce.bias",
            "_blocks.54._se_reduce.bias",
        ),
        ("efficientnet_b0", "EfficientNet-PyTorch", "stem.norm.running_mean", "_bn0.running_mean"),
        ("efficientnet_b0", "EfficientNet-PyTorch", "head.norm.running_mean", "_bn1.running_mean"),
        ("mobilenet_v1", "Keras v1", "stages.3.5.depthwise.norm.beta", "conv_dw_11_bn/beta"),
        ("mobilenet_v2", "Keras v2", "stages.0.0.project.norm.gamma", "expanded_conv_project_BN/gamma"),
        ("mobilenet_v2", "Keras v2", "stages.5.2.expand.conv.weight", "block_15_expand/kernel"),
        (
            "efficientnet_b7",
            "Keras",
            "stages.5.12.expand.norm.running_var",
            "block6m_expand_bn/moving_variance",
        ),
        ("efficientnet_b0", "Keras", "stages.0.0.depthwise.norm.gamma", "block1a_bn/gamma"),
    ],
)
def test_a_name_is_spelled_as_they_spell_it(model, source, ours, expected):
    assert theirs(model, source)[ours] == expected


@pytest.mark.parametrize(
    ("model", "ours", "expected"),
    [
        ("mobilenet_v1", "stem.conv.weight", "conv2d/0"),
        ("mobilenet_v1", "stages.0.0.depthwise.conv.weight", "depthwise_conv2d/0"),
        ("mobilenet_v1", "stages.4.1.pointwise.norm.running_var", "batch_normalization_26/3"),
        ("mobilenet_v1", "classifier.bias", "conv2d_14/1"),
        ("mobilenet_v2", "stages.1.0.expand.conv.weight", "conv2d_2/0"),
        ("mobilenet_v2", "classifier.weight", "dense/0"),
        ("efficientnet_b0", "stages.0.0.se.expand.bias", "conv2d_2/1"),
        ("efficientnet_b0", "stages.6.0.project.conv.weight", "conv2d_63/0"),
        ("efficientnet_b0", "stages.6.0.depthwise.conv.weight", "depthwise_conv2d_15/0"),
    ],
)
def test_keras_3_numbers_the_layers_of_each_kind_as_they_come(model, ours, expected):
    layers = {"dense"} if model != "mobilenet_v1" else set()
    assert rename(names(model), keras.numbered_spell(layers), keras.NUMBERED, "Keras")[ours] == expected


@pytest.mark.parametrize("model", ["MobileNet", "MobileNetV2", "EfficientNetB0"])
def test_keras_3_has_no_other_datasets(model):
    listed(f"keras_{model}")
    found = json.loads((LISTS / f"keras_{model}.json").read_text())[NUMBERED]
    ours = names({"MobileNet": "mobilenet_v1", "MobileNetV2": "mobilenet_v2"}.get(model, "efficientnet_b0"))
    spell = keras.numbered_spell(set() if model == "MobileNet" else {"dense"})
    assert set(rename(ours, spell, keras.NUMBERED, "Keras").values()) == set(keras.tidy_numbered(found))


@pytest.mark.parametrize("source", SPELL)
@pytest.mark.parametrize("model", models.MODELS)
def test_every_network_gets_distinct_names_or_a_reason(model, source):
    """v1 is not in torchvision nor EfficientNet-PyTorch, squeeze-excite not in either v2."""
    try:
        spelled = theirs(model, source)
    except ValueError as error:
        assert f"the names of {source}, where no network has" in str(error)  # noqa: PT017
        assert "v1" in model or source.endswith(("v1", "v2"))
    else:
        assert len(set(spelled.values())) == len(spelled)
