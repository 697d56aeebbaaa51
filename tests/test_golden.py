"""Every layer and block against arrays recorded from PyTorch and Keras (tests/golden/record_layers.py).

Neither is needed here.  golden/layers_sources.txt says where each case comes from.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mini_nn import blocks, layers
from mini_nn.core import Buffer, Parameter, named_arrays, parameters

GOLDEN = Path(__file__).parent / "golden"
LIMITS = {np.float64: 1e-12, np.float32: 1e-5}  # of |ours - recorded| / |recorded|


def read(name):
    """{'torch: conv ...': (what it is, {array: value})}, and the versions that made it."""
    with np.load(GOLDEN / f"{name}_layers.npz", allow_pickle=False) as file:
        arrays = dict(file)
    cases, versions = (json.loads(str(arrays.pop(key))) for key in ("cases", "versions"))
    found = {f"{name}: {case}": (made, {}) for case, made in cases.items()}
    for key, array in arrays.items():
        case, _, rest = key.partition("/")
        found[f"{name}: {case}"][1][rest] = array
    return found, versions


FILES = {name: read(name) for name in ("torch", "keras")}
CASES = {**FILES["torch"][0], **FILES["keras"][0]}


def build(make, options):
    """Our layer or block for the name and the options of a case."""
    settled = dict(options)
    for key, value in options.items():
        if key == "act":
            settled[key] = getattr(layers, value)
        elif key == "convention":
            settled[key] = getattr(blocks, value)
        elif key == "block":
            settled[key] = blocks.Block(**value)
        elif key == "conv":
            settled[key] = build(*value)
    return getattr(layers if hasattr(layers, make) else blocks, make)(**settled)


def load(layer, arrays, dtype):
    ours = dict(named_arrays(layer))
    assert set(ours) == {name.removeprefix("value/") for name in arrays if name.startswith("value/")}
    for name, item in ours.items():
        item.value = arrays[f"value/{name}"].astype(dtype)
    return ours


def assert_close(name, ours, recorded, dtype):
    assert ours.dtype == dtype, f"{name} is {ours.dtype}"
    assert ours.shape == recorded.shape, f"{name}: {ours.shape}, recorded {recorded.shape}"
    error, size = np.linalg.norm(ours - recorded), np.linalg.norm(recorded)
    assert error <= LIMITS[dtype] * max(size, 1e-3), (
        f"{name}: |ours - recorded| {error:.1e}, |recorded| {size:.1e}"
    )


@pytest.mark.usefixtures("floor")
@pytest.mark.parametrize("dtype", LIMITS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("case", CASES)
def test_layer_equals_the_recorded_one(case, dtype):
    made, arrays = CASES[case]
    layer = build(made["make"], made["options"])
    ours = load(layer, arrays, dtype)
    for parameter in parameters(layer):
        parameter.trainable = not made["frozen"]
    x, dy = arrays["x"].astype(dtype), arrays["dy"].astype(dtype)
    y, cache = layer.forward(x, train=made["train"])
    assert layer.out_shape(x.shape[1:]) == y.shape[1:]
    assert_close("y", y, arrays["y"], dtype)
    assert_close("dx", layer.backward(dy, cache), arrays["dx"], dtype)
    for name, item in ours.items():
        if isinstance(item, Buffer):
            assert_close(name, item.value, arrays[f"after/{name}"], dtype)
        elif isinstance(item, Parameter) and made["frozen"]:
            assert item.grad is None
        else:
            assert_close(f"gradient of {name}", item.grad, arrays[f"grad/{name}"], dtype)


def test_every_layer_and_block_was_recorded_from_both_frameworks():
    for name, (cases, _) in FILES.items():
        made = {what["make"] for what, _ in cases.values()}
        kinds = {
            kind for kind in layers.__all__ if kind not in ("Sequential", "Residual", "Gate")
        }  # in the blocks
        if name == "torch":
            kinds -= {"StochasticDepth"}  # PyTorch has none
        else:
            kinds -= {"Dropout"} if "StochasticDepth" in made else set()
        kinds |= {"conv_norm_act", "depthwise_separable", "squeeze_excite", "inverted_residual"}
        assert kinds <= made, f"{name} lacks {kinds - made}"


def test_recordings_name_their_versions_and_sources():
    text = (GOLDEN / "layers_sources.txt").read_text(encoding="utf-8")
    for name, (cases, versions) in FILES.items():
        assert {"torch", "keras", "numpy"} <= versions.keys()
        for case, (made, arrays) in cases.items():
            assert f"{case.removeprefix(f'{name}: ')}: {made['source']}" in text
            assert all(array.dtype == np.float64 for array in arrays.values())


@pytest.mark.parametrize("make", ["Conv2D", "DepthwiseConv2D"])
def test_convolutions_were_recorded_for_every_kernel_stride_and_padding(make):
    met = {}
    for made, arrays in (what for what in CASES.values() if what[0]["make"] == make):
        options, (_, h, w, _) = made["options"], arrays["x"].shape
        row = met.setdefault(
            (options["padding"], options.get("kernel_size", 3), options.get("stride", 1)), set()
        )
        row |= {("height", h % 2), ("width", w % 2), ("square", h == w)}
    for kernel_size, stride in product((1, 3, 5), (1, 2, 3)):
        assert len(met["same", kernel_size, stride]) == 6  # odd and even, square and not
        for padding in ("symmetric", "valid", 1):
            assert (padding, kernel_size, stride) in met
