"""The micro networks and the commands that train and augment, from outside."""

import csv

import numpy as np
import pytest
from PIL import Image

from mini_nn import cli, core, data, micro, profile, train
from mini_nn.layers import Dropout, Gate


@pytest.fixture
def tiny(tmp_path):
    """32 digits-like images of two classes, as an .npz file."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.integers(0, 60, (40, 32, 32, 1), np.uint8)
    x[y == 1, 8:24] += 150
    np.savez(tmp_path / "tiny.npz", x=x, y=y)
    return str(tmp_path / "tiny.npz")


@pytest.mark.parametrize("name", micro.MICRO)
def test_a_micro_network_is_small_real_and_starts_at_log_c(name, tiny):
    splits = micro.splits(tiny)
    model = micro.recipe(name, splits).build(splits)
    parts = dict(core.named_layers(model))
    assert profile.profile(model, (32, 32, 1)).params < 300_000
    assert any(isinstance(p, Gate) for p in parts.values()) == (name == "efficientnet_b0")
    assert not any(isinstance(p, Dropout) for p in parts.values())  # nothing to regularise in so short a run
    loss, _ = train.evaluate(model, [splits.train.arrays()])
    assert loss == pytest.approx(np.log(2), abs=0.2)


def test_photographs_get_another_augmentation_and_large_ones_a_smaller_image():
    y = np.arange(4) % 2
    for side, channels, expected in ((32, 1, ("digits", 1)), (32, 3, ("cifar", 1)), (64, 3, ("cifar", 2))):
        split = data.arrays(np.zeros((4, side, side, channels), np.uint8), y)
        recipe = micro.recipe("mobilenet_v2", data.Splits(split, split, split.classes))
        assert (recipe.augment, recipe.stem_stride) == expected


def test_train_writes_a_run_and_resumes_it(tiny, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", "--data", tiny, "--width", "0.1", "--out", str(out), "--quiet"]
    assert cli.main([*command, "--epochs", "1"]) == 0
    assert {p.name for p in out.iterdir()} == {
        "best.safetensors", "checkpoint.npz", "confusion.png", "curves.png", "history.csv",
    }  # fmt: skip
    assert "images that were held back are right" in capsys.readouterr().out
    assert cli.main([*command, "--epochs", "1"]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert cli.main([*command, "--epochs", "1", "--resume"]) == 0  # nothing left to do
    with (out / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]
    assert [r.epoch for r in micro.history(out)] == [1]


def test_a_rehearsal_judges_and_leaves_the_network_as_it_was(tiny):
    splits = micro.splits(tiny)
    recipe = micro.MICRO["efficientnet_b0"].with_(batch_size=16)
    model = recipe.build(splits)
    before = {name: item.value.copy() for name, item in core.named_arrays(model)}
    found = recipe.rehearse(model, splits, steps=30)
    assert list(found) == ["initial loss", "gradients", "one batch by heart", "rates"]
    assert all(found[name] for name in list(found)[:3]), found
    assert len(found["rates"].rates) <= 30
    for name, item in core.named_arrays(model):
        np.testing.assert_array_equal(item.value, before[name])
    dead = dict(core.named_arrays(model))["stem.conv.weight"]
    dead.value = dead.value * np.float32(np.nan)
    assert not any(recipe.rehearse(model, splits, steps=10).values())


def test_train_rehearses_without_training(tiny, tmp_path, capsys):
    out = tmp_path / "run"
    code = cli.main(["train", "--data", tiny, "--width", "0.1", "--out", str(out), "--rehearse"])
    said = capsys.readouterr().out
    assert code == ("NOT OK" in said)
    assert [line for line in said.splitlines() if line in ("initial loss", "gradients", "rates")]
    assert [p.name for p in out.iterdir()] == ["rates.png"]


def test_a_confusion_counts_every_image_once(tiny):
    splits = micro.splits(tiny)
    model = micro.MICRO["mobilenet_v1"].build(splits)
    matrix = micro.confusion(model, splits.valid)
    assert matrix.sum(1).tolist() == np.bincount(splits.valid.y).tolist()
    predicted = model(splits.valid.arrays()[0]).argmax(1)
    assert matrix.trace() == (predicted == splits.valid.y).sum()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "resnet"], "no micro recipe for 'resnet'"),
        (["--data", "mnist_9k"], "no data set 'mnist_9k'"),
        (["--lr", "-1"], "lr"),
    ],
    ids=str,
)
def test_train_refuses_nonsense_in_a_sentence(words, says, tiny, tmp_path, capsys):
    command = ["train", "--data", tiny, "--out", str(tmp_path / "run"), "--quiet", "--epochs", "1"]
    assert cli.main([*command, *words]) == 2
    assert says in capsys.readouterr().err


def test_augment_draws_a_sheet(tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)).save(photo)
    assert cli.main(["augment", str(photo), "--out", str(tmp_path / "sheet.png"), "--preset", "cifar"]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 500
    assert capsys.readouterr().out.strip().endswith("sheet.png")
    assert cli.main(["augment", str(photo), "--preset", "vivid"]) == 2
    assert "no preset 'vivid'" in capsys.readouterr().err


def test_the_network_that_ships_is_small_has_gates_and_reads_digits():
    assert micro.TRAINED.stat().st_size < 1_000_000
    model = micro.trained()
    assert sum(isinstance(layer, Gate) for layer in dict(core.named_layers(model)).values()) > 3
    _, accuracy = train.evaluate(model, data.Loader(data.load("mnist_5k").valid, 64, shuffle=False))
    assert accuracy > 0.97
