"""timm's names, in use for MobileNet v1 and v2, EfficientNet, its tf_ variants and Lite  (geffnet has them too)."""

from mini_nn.weights.places import Place

ENDS = {
    ("stem", "conv"): "conv_stem",
    ("stem", "norm"): "bn1",
    ("head", "conv"): "conv_head",
    ("head", "norm"): "bn2",
    ("classifier",): "classifier",
}
CONVS = {"expand": "conv_pw", "depthwise": "conv_dw", "pointwise": "conv_pw", "project": "conv_pwl"}


def spell(place: Place) -> str:
    """stages.1.0.expand.conv -> blocks.1.0.conv_pw; a block without an expansion calls its projection conv_pw."""
    if place.path in ENDS:
        return ENDS[place.path]
    _, stage, block, part, leaf = place.path
    where = f"blocks.{stage}.{block}"
    if part == "se":
        return f"{where}.se.conv_{leaf}"
    if leaf == "norm":
        return f"{where}.bn{[p for p in place.parts if p != 'se'].index(part) + 1}"
    return f"{where}.{CONVS[part] if 'expand' in place.parts or part != 'project' else 'conv_pw'}"
