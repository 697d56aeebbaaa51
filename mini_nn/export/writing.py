"""A network as an ONNX file, written once ONNX Runtime gives the same answers."""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mini_nn import photos
from mini_nn.core import Shape
from mini_nn.export.graph import Graph
from mini_nn.files import written_whole
from mini_nn.models import MODELS, Network
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

OPSET, IR = 17, 8  # of 2022: what reads ONNX today reads these
TOLERANCE = 1e-4


class Exported(NamedTuple):
    """What was written, and how far ONNX Runtime's answers were from ours."""

    path: Path
    shape: tuple[int, int, int]  # of one x
    output: str  # "logits" or "probabilities"
    difference: float  # the largest, in units of the largest answer
    photographs: int  # that were compared

    def __str__(self) -> str:
        h, w, c = self.shape
        return (
            f"{self.path}: x (batch, {h}, {w}, {c}) -> {self.output}; ONNX Runtime differs by {self.difference:.0e} "
            f"on {self.photographs} photographs"
        )


def onnx(
    source: Any,
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    probabilities: bool | None = None,
    photographs: Iterable[photos.Source] | None = None,
) -> Exported:
    """Write a Network or a classifier of photographs (transfer.Classifier) to `path`, once ONNX Runtime agrees with it.

    size: pixels a side, or (height, width); the classifier's, or what the network was published for, when None.
    probabilities: end in a softmax; None: for a classifier, not for a network.  photographs: to compare on; one that
    matplotlib brings along when None.  Nothing is written where an answer differs by more than 1e-4 of the
    largest one, where ONNX's checker objects, or where a value is not finite.
    """
    network, how = getattr(source, "model", source), getattr(source, "preprocess", None)
    target = Path(path)
    if not isinstance(network, Network):
        raise ValueError(f"export: {type(source).__name__} is no Network or classifier")
    if target.suffix.lower() != ".onnx":
        raise ValueError(f"export: {target} must end in .onnx")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: there is no folder {target.parent}")
    runtime = package("onnxruntime")
    shape = (*sides(size, how, network), network.options["in_channels"])
    ends = probabilities if probabilities is not None else network is not source
    if how is not None:
        how = resized(how, shape)
    x = batch(photographs, how, shape)
    network.check(x)
    data = built(network, shape, ends, about(source, how, network, shape)).SerializeToString()
    expected = softmax(network(x)) if ends else network(x)
    difference = compared(runtime, data, x, expected)
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{target}: ONNX Runtime's answers differ by {difference:.1e}, more than {TOLERANCE}; nothing was written"
        )
    with written_whole(target) as file:
        file.write(data)
    return Exported(target, shape, "probabilities" if ends else "logits", difference, len(x))


def sides(size: Any, how: Any, network: Network) -> tuple[int, int]:
    """Height and width."""
    found = size if size is not None else how.size if how else MODELS[network.recipe_name].resolution
    pair = tuple(found) if isinstance(found, tuple | list) else (found, found)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in pair)
    if len(pair) != 2 or not whole:
        raise ValueError(f"export: size must be pixels a side or (height, width), not {size!r}")
    return int(pair[0]), int(pair[1])


def resized(how: Any, shape: tuple[int, int, int]) -> Any:
    """The same preprocessing for images of another size."""
    size = shape[0]
    if size != shape[1]:
        raise ValueError(f"export: a classifier prepares squares, size was {shape[0]} x {shape[1]}")
    return (
        how if size == how.size else replace(how, size=size, resize=max(size, how.resize * size // how.size))
    )


def built(network: Network, shape: Shape, ends: bool, metadata: dict[str, str]) -> Any:
    """The checked ModelProto.  ONNX's own helper writes it."""
    library = package("onnx")
    h, w, c = shape
    helper, number = library.helper, library.TensorProto.FLOAT
    graph = Graph(helper, library.numpy_helper)
    y = graph.add(network, "", graph.node("Transpose", "channels_first", ["x"], perm=[0, 3, 1, 2]), shape)
    output = "probabilities" if ends else "logits"
    graph.nodes.append(
        helper.make_node(
            "Softmax" if ends else "Identity", [y], [output], output, **{"axis": 1} if ends else {}
        )
    )
    made = helper.make_graph(
        graph.nodes,
        network.recipe_name,
        [helper.make_tensor_value_info("x", number, ["batch", h, w, c])],
        [helper.make_tensor_value_info(output, number, ["batch", network.options["num_classes"]])],
        graph.arrays,
    )
    model = helper.make_model(
        made, producer_name="mini_nn", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
    )
    helper.set_model_props(model, metadata)
    library.checker.check_model(model, full_check=True)
    return model


def package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ImportError("export needs onnx and onnxruntime: pip install 'mini-nn[onnx]'") from None


def about(source: Any, how: Any, network: Network, shape: Shape) -> dict[str, str]:
    """What the file says of itself: enough to prepare a photograph and to name the answer."""
    from mini_nn import __version__

    found = {
        "mini_nn": __version__,
        "model": network.recipe_name,
        "input": f"x (batch, {shape[0]}, {shape[1]}, {shape[2]}) float32, channels red, green, blue",
    }
    if how is not None:
        found["preprocess"] = json.dumps(how.to_dict())
        found["preprocess_in_words"] = f"{how}, for x in 0..255"
    if classes := getattr(source, "classes", None):
        found["classes"] = json.dumps(list(classes))
    return found


def batch(photographs: Iterable[photos.Source] | None, how: Any, shape: Shape) -> Array:
    """Photographs as the network takes them, and the first one mirrored."""
    if photographs is None:
        from matplotlib.cbook import get_sample_data

        photographs = [get_sample_data("grace_hopper.jpg", asfileobj=False)]
    h, w, channels = shape
    mean, std = (how.mean, how.std) if how else ((127.5,) * 3, (127.5,) * 3)
    rows = []
    for one in photographs:
        pixels = np.asarray(Image.fromarray(photos.read(one)).resize((w, h), Image.Resampling.BICUBIC))
        x = (pixels - np.array(mean, np.float32)) / np.array(std, np.float32)
        rows.append(x if channels == 3 else np.repeat(x.mean(2, keepdims=True), channels, 2))
    if not rows:
        raise ValueError("export: there are no photographs to compare on")
    return np.stack([*rows, rows[0][:, ::-1]]).astype(np.float32)


def compared(runtime: Any, data: bytes, x: Array, expected: Array) -> float:
    """The largest difference of ONNX Runtime's answers, asked for all at once and for the first alone."""
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    together, alone = (session.run(None, {"x": part})[0] for part in (x, x[:1]))
    worst = max(float(np.abs(together - expected).max()), float(np.abs(alone - expected[:1]).max()))
    return worst / (float(np.abs(expected).max()) or 1.0)
