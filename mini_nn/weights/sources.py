"""Whose names a file has: mini_nn's, timm's, torchvision's, EfficientNet-PyTorch's, or Keras's."""

from collections.abc import Callable
from typing import NamedTuple

from mini_nn.blocks import KERAS, TORCH, Convention
from mini_nn.core import Layer
from mini_nn.layers import Conv2D, DepthwiseConv2D, PointwiseConv2D
from mini_nn.ops import Array
from mini_nn.weights import efficientnet_pytorch, keras, timm, torchvision
from mini_nn.weights.places import Spell, rename
from mini_nn.weights.stored import Content, Stored

TORCH_ENDINGS = {
    "weight": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "running_mean": ".running_mean",
    "running_var": ".running_var",
}
TORCHVISION_B5 = TORCH._replace(eps=1e-3, momentum=0.01)  # and B6, B7: they came from EfficientNet-PyTorch


class Source(NamedTuple):
    """How to find our arrays among the file's."""

    name: str
    arrays: dict[str, Stored]  # the file's, without what no network here has
    theirs: dict[str, str]  # our name -> the file's
    layout: Callable[[Layer, Array], Array]
    expects: Convention | None = None  # padding and eps that the source's networks have, if its names tell
    note: str = ""


def recognise(content: Content, names: list[str], model: str) -> Source:
    """Match the file's arrays with ours, called `names`, in the network `model` (a key of MODELS, or '')."""
    arrays = content.arrays
    if content.metadata is not None:
        return Source("mini_nn", arrays, {name: name for name in names}, as_it_is)
    if content.container == "h5":
        return from_keras(arrays, names)
    if arrays and all(name.startswith("module.") for name in arrays):  # torch.nn.DataParallel
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    arrays = {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}

    def has(*starts: str) -> bool:
        return any(name.startswith(starts) for name in arrays)

    def of(source: str, spell: Spell, expects: Convention | None, note: str = "") -> Source:
        theirs = rename(names, spell, TORCH_ENDINGS, source)
        return Source(source, arrays, theirs, from_torch, expects, note)

    if has("_blocks.", "_conv_stem."):
        return of("EfficientNet-PyTorch", efficientnet_pytorch.spell, KERAS)
    if has("blocks.", "conv_stem."):
        note = "timm's names do not tell its tf_ models (padding 'same', eps 1e-3) from the others ('symmetric', 1e-5)"
        return of("timm", timm.spell, None, note)
    if has("features."):
        flat = any(".conv." in name for name in arrays)
        spell = torchvision.spell_v2 if flat else torchvision.spell_efficientnet
        return of("torchvision", spell, TORCHVISION_B5 if model[-2:] in ("b5", "b6", "b7") else TORCH)
    return Source("unknown origin", arrays, {name: name for name in names}, as_it_is)


def from_keras(arrays: dict[str, Stored], names: list[str]) -> Source:
    note = ""
    if any(keras.NORMALIZATION.search(path) for path in arrays):
        note = "the file's normalization layer is not part of the network: normalise the images before"
    layers = {part for path in arrays for part in path.split("/")[:-1]}
    if keras.is_numbered(arrays):
        theirs = rename(names, keras.numbered_spell(layers), keras.NUMBERED, "Keras")
        tidy = keras.tidy_numbered(arrays)
    else:
        theirs = rename(names, keras.legacy_spell(layers), keras.LEGACY, "keras.applications")
        tidy = keras.tidy_legacy(arrays, {name.split("/")[0] for name in theirs.values()})
    return Source("Keras", tidy, theirs, from_hwio, KERAS, note)


def as_it_is(_: Layer, array: Array) -> Array:
    return array


def from_torch(layer: Layer, array: Array) -> Array:
    """OIHW -> HWIO; depthwise (C, 1, K, K) -> (K, K, C); 1 x 1 (O, I, 1, 1) and dense (O, I) -> (I, O)."""
    match layer, array.shape:
        case Conv2D(), (_, _, _, _):
            return array.transpose(2, 3, 1, 0)
        case DepthwiseConv2D(), (_, 1, _, _):
            return array[:, 0].transpose(1, 2, 0)
        case PointwiseConv2D(), (_, _, 1, 1):
            return array[:, :, 0, 0].T
        case PointwiseConv2D(), (_, _):
            return array.T
    return array


def from_hwio(layer: Layer, array: Array) -> Array:
    """Keras's depthwise (K, K, C, 1) -> (K, K, C), 1 x 1 (1, 1, I, O) -> (I, O); the others are as ours."""
    match layer, array.shape:
        case DepthwiseConv2D(), (_, _, _, 1):
            return array[..., 0]
        case PointwiseConv2D(), (1, 1, _, _):
            return array[0, 0]
    return array
