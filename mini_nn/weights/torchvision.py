"""torchvision's names, which are positions: those of its mobilenet_v2 and those of its EfficientNets."""

from mini_nn.weights.places import Place

LEAF = {"conv": 0, "norm": 1}
SE = {"reduce": "fc1", "expand": "fc2"}
PARTS = "expand", "depthwise", "se", "project"  # MobileNet v1 has others, torchvision has no v1


def spell_v2(place: Place) -> str:
    """stages.1.0.expand.conv -> features.2.conv.0.0: the blocks in one row, after the stem."""
    if place.path[0] != "stages":
        return spell_end(place, place.blocks + 1)
    part, leaf = known(place)
    i = place.parts.index(part)  # the last part is flat, the others are triples of conv, norm, activation
    inner = f"{i + LEAF[leaf]}" if part == "project" else f"{i}.{LEAF[leaf]}"
    return f"features.{place.block + 1}.conv.{inner}"


def spell_efficientnet(place: Place) -> str:
    """stages.1.0.expand.conv -> features.2.0.block.0.0: the blocks by stage."""
    if place.path[0] != "stages":
        return spell_end(place, place.stages + 1)
    part, leaf = known(place)
    _, stage, block, *_ = place.path
    inner = f"{place.parts.index(part)}.{SE[leaf] if part == 'se' else LEAF[leaf]}"
    return f"features.{int(stage) + 1}.{block}.block.{inner}"


def spell_end(place: Place, last: int) -> str:
    if place.path == ("classifier",):
        return "classifier.1"
    end, leaf = place.path
    return f"features.{ {'stem': 0, 'head': last}[end] }.{LEAF[leaf]}"


def known(place: Place) -> tuple[str, str]:
    _, _, _, part, leaf = place.path
    if part not in PARTS:
        raise KeyError(part)
    return part, leaf
