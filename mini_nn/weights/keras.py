"""The names of keras.applications: the layers' own in a legacy .h5, numbers in order of creation in a .weights.h5."""

import re
from collections import Counter

from mini_nn.weights.places import Place, Spell
from mini_nn.weights.stored import Stored, short

VARIABLES = {
    "weight": "kernel",
    "bias": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
LEGACY = {ours: f"/{theirs}" for ours, theirs in VARIABLES.items()}
NUMBERED = {
    "weight": "/0",
    "bias": "/1",
    "gamma": "/0",
    "beta": "/1",
    "running_mean": "/2",
    "running_var": "/3",
}
NORMALIZATION = re.compile(r"(^|/)normalization(_\d+)?/")  # a layer of keras.applications' EfficientNets
CLASSIFIERS = "conv_preds", "predictions", "Logits", "probs"

V1_PARTS = {"depthwise": "conv_dw", "pointwise": "conv_pw"}
V1_LEAF = {"conv": "", "norm": "_bn"}
V2_ENDS = {
    ("stem", "conv"): "Conv1",
    ("stem", "norm"): "bn_Conv1",
    ("head", "conv"): "Conv_1",
    ("head", "norm"): "Conv_1_bn",
}
V2_PARTS = {part: part for part in ("expand", "depthwise", "project")}  # as ours, and no squeeze-excite
V2_LEAF = {"conv": "", "norm": "_BN"}
EFFICIENTNET_ENDS = {"stem": "stem", "head": "top"}
EFFICIENTNET_PARTS = {
    "expand": {"conv": "expand_conv", "norm": "expand_bn"},
    "depthwise": {"conv": "dwconv", "norm": "bn"},
    "se": {"reduce": "se_reduce", "expand": "se_expand"},
    "project": {"conv": "project_conv", "norm": "project_bn"},
}


def spell_v1(place: Place) -> str:
    """stages.1.0.depthwise.norm -> conv_dw_2_bn."""
    if place.path[0] == "stem":
        return f"conv1{V1_LEAF[place.path[1]]}"
    _, _, _, part, leaf = place.path
    return f"{V1_PARTS[part]}_{place.block + 1}{V1_LEAF[leaf]}"


def spell_v2(place: Place) -> str:
    """stages.1.0.expand.norm -> block_1_expand_BN."""
    if place.path[0] != "stages":
        return V2_ENDS[place.path[0], place.path[1]]
    _, _, _, part, leaf = place.path
    where = f"block_{place.block}" if place.block else "expanded_conv"
    return f"{where}_{V2_PARTS[part]}{V2_LEAF[leaf]}"


def spell_efficientnet(place: Place) -> str:
    """stages.1.0.expand.norm -> block2a_expand_bn."""
    if place.path[0] != "stages":
        end, leaf = place.path
        return f"{EFFICIENTNET_ENDS[end]}_{'bn' if leaf == 'norm' else leaf}"
    _, stage, block, part, leaf = place.path
    return f"block{int(stage) + 1}{chr(ord('a') + int(block))}_{EFFICIENTNET_PARTS[part][leaf]}"


FAMILIES: dict[str, Spell] = {  # told by what the layers of the first block begin with
    "conv_dw_": spell_v1,
    "expanded_conv_": spell_v2,
    "block1a_": spell_efficientnet,
}


def legacy_spell(layers: set[str]) -> Spell:
    """How the file whose groups are `layers` spells a place."""
    found = [start for start in FAMILIES if any(name.startswith(start) for name in layers)]
    if len(found) != 1:
        raise ValueError(
            "its layers are not those of one MobileNet, MobileNetV2 or EfficientNet of keras.applications"
        )
    spell = FAMILIES[found[0]]
    classifier = next((name for name in CLASSIFIERS if name in layers), "predictions")
    return lambda place: classifier if place.path == ("classifier",) else spell(place)


def numbered_spell(layers: set[str]) -> Spell:
    """stages.0.0.depthwise.conv -> depthwise_conv2d: of each kind the first has no number, then come _1, _2, ..."""
    kinds = dict.fromkeys(["conv", "reduce", "expand"], "conv2d") | {"norm": "batch_normalization"}
    kinds["classifier"] = "dense" if "dense" in layers else "conv2d"  # MobileNet v1's is a 1 x 1 convolution
    counts: Counter[str] = Counter()
    known: dict[tuple[str, ...], str] = {}

    def spell(place: Place) -> str:
        if place.path not in known:
            kind = "depthwise_conv2d" if place.path[-2:] == ("depthwise", "conv") else kinds[place.path[-1]]
            known[place.path] = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        return known[place.path]

    return spell


def is_numbered(arrays: dict[str, Stored]) -> bool:
    return any(name.split("/")[-2:-1] == ["vars"] for name in arrays)


def tidy_numbered(arrays: dict[str, Stored]) -> dict[str, Stored]:
    """layers/conv2d_7/vars/0 -> conv2d_7/0."""
    kept: dict[str, Stored] = {}
    for path, array in arrays.items():
        *_, layer, _, i = ("", "", *path.split("/"))
        if not path.startswith("optimizer/") and layer != "seed_generator" and not NORMALIZATION.search(path):
            add(kept, f"{layer}/{i}", array)
    return kept


def tidy_legacy(arrays: dict[str, Stored], layers: set[str]) -> dict[str, Stored]:
    """model_weights/conv1/conv1/kernel:0 -> conv1/kernel; `layers` are the names to look for on the way."""
    kept: dict[str, Stored] = {}
    whole = any(path.startswith("model_weights/") for path in arrays)  # with its optimizer beside it
    for path, array in arrays.items():
        *groups, variable = ("", *path.split("/"))
        layer = next((name for name in groups if name in layers), groups[-1])
        variable = variable.removesuffix(":0").replace("depthwise_kernel", "kernel")
        if path.startswith("model_weights/" if whole else "") and not NORMALIZATION.search(path):
            add(kept, f"{layer}/{variable}", array)
    return kept


def add(kept: dict[str, Stored], name: str, array: Stored) -> None:
    if name in kept:
        raise ValueError(f"it holds {short(name)} twice: more than one network")
    kept[name] = array
