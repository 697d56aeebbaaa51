"""An exported network answers in ONNX Runtime as it does here, or there is no file."""

import json

import numpy as np
import pytest
from PIL import Image

from mini_nn import blocks, export, init, micro, models, weights
from mini_nn.core import named_arrays, named_layers
from mini_nn.export import graph, writing
from mini_nn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Gate,
    GlobalAveragePool,
    PointwiseConv2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)
from mini_nn.models.network import Network
from mini_nn.transfer import Classifier
from mini_nn.weights.preprocess import Preprocess

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

HOW = Preprocess(40, 46, "resize", "bilinear", (123.0, 116.0, 103.0), (58.0, 57.0, 56.0))


def small(name, convention, rng, classes=5, **options):
    """A narrow network whose BatchNorms have the statistics of a batch, so that every layer's numbers matter."""
    shorter = {"depth_mult": 0.5 * models.MODELS[name].depth_mult} if "efficientnet" in name else {}
    model = models.build(name, classes, convention, width_mult=0.25, **shorter, **options)
    return alive(init.initialize(model, rng), rng, options.get("in_channels", 3))


def alive(model, rng, channels=3):
    for key, item in named_arrays(model):
        if key.endswith(("gamma", "beta", "bias")):
            item.value = rng.uniform(0.5, 1.5, item.shape).astype(np.float32)
    for _, layer in named_layers(model):
        if isinstance(layer, BatchNorm):
            layer.momentum = 1.0
    model.forward(rng.normal(size=(8, 64, 64, channels)).astype(np.float32), train=True)
    return model


def answer(path, x):
    return runtime.InferenceSession(path).run(None, {"x": x})[0]


@pytest.mark.parametrize("convention", [blocks.KERAS, blocks.TORCH], ids=["keras", "torch"])
@pytest.mark.parametrize("name", models.MODELS)
def test_every_network_answers_alike_at_odd_and_even_sizes(tmp_path, rng, name, convention):
    model = small(name, convention, rng)
    path = tmp_path / "net.onnx"
    done = export.onnx(model, path, (47, 66))
    assert done.difference < 1e-4
    assert done.shape == (47, 66, 3)
    x = rng.normal(size=(3, 47, 66, 3)).astype(np.float32)  # another number of images than was checked with
    np.testing.assert_allclose(answer(path, x), model(x), atol=1e-4 * np.abs(model(x)).max())
    onnx.checker.check_model(str(path), full_check=True)


def test_the_conventions_pad_differently(tmp_path, rng):
    keras = small("mobilenet_v2", blocks.KERAS, rng)
    torch = models.build("mobilenet_v2", 5, blocks.KERAS._replace(padding="symmetric"), width_mult=0.25)
    for (_, item), (_, other) in zip(named_arrays(torch), named_arrays(keras), strict=True):
        item.value = other.value
    x = rng.normal(size=(1, 64, 64, 3)).astype(np.float32)
    export.onnx(keras, tmp_path / "keras.onnx", 64)
    export.onnx(torch, tmp_path / "torch.onnx", 64)
    first, second = answer(tmp_path / "keras.onnx", x), answer(tmp_path / "torch.onnx", x)
    assert np.abs(first - second).max() > 1e-2 * np.abs(first).max()
    np.testing.assert_allclose(second, torch(x), atol=1e-4 * np.abs(first).max())


def test_pretrained_weights(tmp_path):
    model, preprocess, classes = weights.pretrained("efficientnet_lite0")
    path = tmp_path / "lite0.onnx"
    done = export.onnx(Classifier(model, preprocess, classes), path)
    assert done.output == "probabilities"
    assert done.difference < 1e-4
    from matplotlib.cbook import get_sample_data

    x = preprocess(get_sample_data("grace_hopper.jpg", asfileobj=False))[None]
    p = answer(path, x)
    np.testing.assert_allclose(p.sum(), 1, atol=1e-5)
    assert classes[p.argmax()] == classes[model(x).argmax()]


def test_a_network_of_grey_images(tmp_path):
    model = micro.trained()
    done = export.onnx(model, tmp_path / "digits.onnx", 32)
    assert (done.shape, done.output) == ((32, 32, 1), "logits")
    x = np.random.default_rng(0).random((4, 32, 32, 1), np.float32)
    np.testing.assert_allclose(answer(tmp_path / "digits.onnx", x), model(x), atol=1e-4)


def test_every_other_layer_and_padding(tmp_path, rng):
    """What the three families do not use: groups, biases, ReLU, Softmax, int and valid padding, BatchNorm of features."""
    layers = {
        "stem": Conv2D(3, 8, 5, 3, padding=1, bias=True),
        "relu": ReLU(),
        "grouped": Conv2D(8, 12, 3, 2, padding="valid", groups=4),
        "gate": Gate(pool=GlobalAveragePool(keepdims=True), mix=PointwiseConv2D(12, 12, bias=True), sig=Sigmoid()),
        "inner": Sequential(GlobalAveragePool(), BatchNorm(12), Softmax()),
        "classifier": Dense(12, 4),
    }  # fmt: skip
    options = {"num_classes": 4, "in_channels": 3, "convention": blocks.KERAS}
    model = alive(init.initialize(Network(("mobilenet_v1", options), **layers), rng), rng)
    assert export.onnx(model, tmp_path / "odd.onnx", (50, 41)).difference < 1e-4
    x = rng.normal(size=(2, 50, 41, 3)).astype(np.float32)
    np.testing.assert_allclose(answer(tmp_path / "odd.onnx", x), model(x), atol=1e-5)


def test_the_file_says_how_to_use_it(tmp_path, rng):
    model = small("mobilenet_v1", blocks.KERAS, rng, classes=2)
    export.onnx(Classifier(model, HOW, ["Tigger", "Misty \u732b"]), tmp_path / "cats.onnx")
    loaded = onnx.load(tmp_path / "cats.onnx")
    said = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(said["classes"]) == ["Tigger", "Misty \u732b"]
    assert Preprocess.from_dict(json.loads(said["preprocess"])) == HOW
    assert "40 x 40" in said["preprocess_in_words"]
    assert said["model"] == "mobilenet_v1"
    (given,) = runtime.InferenceSession(tmp_path / "cats.onnx").get_inputs()
    assert (given.name, given.shape) == ("x", ["batch", 40, 40, 3])


def test_a_classifier_of_another_size_says_how_to_prepare_that_size(tmp_path, rng):
    one = Classifier(small("mobilenet_v1", blocks.KERAS, rng), HOW, "abcde")
    export.onnx(one, tmp_path / "a.onnx", 80)
    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    how = Preprocess.from_dict(json.loads(said["preprocess"]))
    assert (how.size, how.resize, how.mean) == (80, 92, HOW.mean)
    with pytest.raises(ValueError, match="prepares squares, size was 40 x 50"):
        export.onnx(one, tmp_path / "b.onnx", (40, 50))


def test_the_softmax_can_be_chosen(tmp_path, rng):
    model = small("mobilenet_v1", blocks.KERAS, rng)
    x = rng.normal(size=(1, 40, 40, 3)).astype(np.float32)
    assert export.onnx(model, tmp_path / "p.onnx", 40, probabilities=True).output == "probabilities"
    np.testing.assert_allclose(answer(tmp_path / "p.onnx", x).sum(), 1, atol=1e-5)
    assert (
        export.onnx(Classifier(model, HOW, "abcde"), tmp_path / "l.onnx", probabilities=False).output
        == "logits"
    )
    np.testing.assert_allclose(answer(tmp_path / "l.onnx", x), model(x), atol=1e-3)


def test_it_is_compared_on_photographs_that_are_given(tmp_path, rng):
    photo = Image.fromarray(rng.integers(0, 256, (50, 60, 3), dtype=np.uint8))
    model = small("mobilenet_v1", blocks.KERAS, rng)
    assert export.onnx(model, tmp_path / "a.onnx", 40, photographs=[photo, photo]).photographs == 3
    with pytest.raises(ValueError, match="no photographs"):
        export.onnx(model, tmp_path / "b.onnx", 40, photographs=[])


def test_a_graph_that_answers_otherwise_is_not_written(tmp_path, rng, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"older")
    model = small("mobilenet_v1", blocks.KERAS, rng)
    real = graph.Graph.norm
    monkeypatch.setitem(
        graph.NODES,
        BatchNorm,
        lambda to, layer, *rest: real(to, type("N", (), {**vars(layer), "eps": 0.1}), *rest),
    )
    with pytest.raises(ValueError, match=r"differ by .* nothing was written"):
        export.onnx(model, tmp_path / "net.onnx", 40)
    assert [item.name for item in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == b"older"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_weights_are_refused_by_name(tmp_path, rng, value):
    model = small("mobilenet_v1", blocks.KERAS, rng)
    weight = dict(named_arrays(model))["stages.1.0.depthwise.conv.weight"]
    weight.value = np.full(weight.shape, value, np.float32)
    with pytest.raises(ValueError, match=r"stages\.1\.0\.depthwise\.conv\.weight is not finite"):
        export.onnx(model, tmp_path / "net.onnx", 40)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_said(tmp_path, rng):
    model = small("mobilenet_v1", blocks.KERAS, rng)
    with pytest.raises(ValueError, match="no value yet"):
        export.onnx(models.build("mobilenet_v1"), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="Dense is no Network"):
        export.onnx(Dense(2, 2), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        export.onnx(model, tmp_path / "net.pb")
    with pytest.raises(ValueError, match="at least 32"):
        export.onnx(model, tmp_path / "net.onnx", 31)
    for size in (0, (40, 40, 3), 40.5, "40", (40, -1), True):
        with pytest.raises(ValueError, match="size must be"):
            export.onnx(model, tmp_path / "net.onnx", size)
    with pytest.raises(FileNotFoundError, match="no folder"):
        export.onnx(model, tmp_path / "none" / "net.onnx", 40)
    model.stem.act = type("Square", (ReLU.__mro__[1],), {"op": "relu"})()
    with pytest.raises(ValueError, match=r"no ONNX for Square \(stem\.act\)"):
        export.onnx(model, tmp_path / "net.onnx", 40)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_before_any_work(tmp_path, rng, missing, monkeypatch):
    def without(name):
        raise ImportError(name)

    real = writing.import_module
    monkeypatch.setattr(
        writing, "import_module", lambda name: without(name) if name == missing else real(name)
    )
    with pytest.raises(ImportError, match=r"pip install 'mini-nn\[onnx\]'"):
        export.onnx(small("mobilenet_v1", blocks.KERAS, rng), tmp_path / "net.onnx", 40)
    assert not list(tmp_path.iterdir())
