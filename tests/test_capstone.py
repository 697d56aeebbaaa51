"""The capstone's rubric: what a program judges, on work that is right and on work that is not."""

import importlib
import json
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="transfer learning needs the extra eval")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

from transfer_photos import HOW, folder, network

from mini_nn import export, folder_check, metrics, transfer
from mini_nn.core import named_arrays

rubric = importlib.import_module("lessons.99_capstone.rubric")
BY_PROGRAM = [row.name for row in rubric.RUBRIC if row.judge]


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """Work that is right, and its test photographs."""
    place = tmp_path_factory.mktemp("capstone")
    learn, test = folder(place / "learn", 12, seed=1), folder(place / "test", 12, seed=2)
    run = transfer.fit(
        learn, "A", model=(network(), HOW), seed=0, cache=place / "cache", workers=1, quiet=True
    )
    found = folder_check.check(test, quiet=True)
    p = run.classifier.probabilities(found.paths)
    hot = metrics.temperature(np.log(p), found.y)
    hot = hot if hot < 1 else 0.5  # the colours are easy: colder is better
    for name, item in named_arrays(run.classifier.model):
        if name.startswith("classifier."):
            item.value = np.float32(item.value / hot)
    run.config["learned_from"] = folder_check.check(learn, quiet=True).marks(run.splits.train.paths)
    run.save(place / "run")
    export.onnx(run.classifier, place / "net.onnx")
    p = run.classifier.probabilities(found.paths)
    claims = {
        "right": int((p.argmax(1) == found.y).sum()),
        "total": len(p),
        "surprise": rubric.surprise(p, found.y),
        "temperature": hot,
        "budget": 0.7,
    }
    (place / "claims.json").write_text(json.dumps(claims))
    (place / "report.md").write_text(rubric.TEMPLATE)
    return place


@pytest.fixture
def work(handed_in, tmp_path, monkeypatch):
    """A copy to spoil; the network that times are compared with is as quick to make as this one, and slower."""
    copy = tmp_path / "work"
    shutil.copytree(handed_in, copy)
    monkeypatch.setattr(rubric.weights, "pretrained", lambda name: (network(), HOW, ("a", "b", "c")))
    monkeypatch.setattr(rubric, "seconds", lambda *_: {"yours": 1.0, "Lite0": 2.0})
    monkeypatch.setattr(rubric.transfer, "Classifier", lambda *_: None)
    return copy


def points(work):
    return {mark.row.name: mark.points for mark in rubric.grade(work, work / "test")}


def claim(work, **changes):
    path = work / "claims.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_points_add_up_to_a_hundred_and_a_program_gives_eighty():
    assert sum(row.points for row in rubric.RUBRIC) == 100
    assert sum(row.points for row in rubric.RUBRIC if row.judge) == 80


def test_right_work_gets_every_point_that_a_program_gives(work):
    found = points(work)
    assert {name: found[name] for name in BY_PROGRAM} == {
        row.name: row.points for row in rubric.RUBRIC if row.judge
    }
    assert all(
        found[question] == 0 for question in rubric.QUESTIONS
    )  # the template's words are not the student's


def test_an_answer_is_for_a_person(work):
    text = (work / "report.md").read_text()
    (work / "report.md").write_text(
        text.replace("(your answer, 60 words or more)", "It confuses 3 and 8.", 1)
    )
    assert [mark.points for mark in rubric.grade(work, work / "test") if mark.row.judge is None] == [
        None,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("changes", "row", "share"),
    [
        ({"right": 1}, "accuracy", 0.5),
        ({"total": 999}, "accuracy", 0.5),
        ({"surprise": 0.9}, "calibration", 0.5),
        ({"temperature": 1.0}, "calibration", 0),
        ({"temperature": -2}, "calibration", 0),
        ({"temperature": float("nan")}, "calibration", 0),
        ({"budget": 0.4}, "latency budget", 0),
        ({"budget": 0.9}, "latency budget", 0),
        ({"budget": "quick"}, "latency budget", 0),
    ],
)
def test_what_is_claimed_is_measured_again(work, changes, row, share):
    claim(work, **changes)
    assert points(work)[row] == share * next(r.points for r in rubric.RUBRIC if r.name == row)


def test_the_processors_time_is_measured_and_not_the_clocks():
    class Waiting:
        def __init__(self, work, wait):
            self.work, self.wait = work, wait

        def probabilities(self, paths):
            time.sleep(self.wait)
            until = time.process_time() + self.work
            while time.process_time() < until:
                pass

    found = rubric.seconds({"works": Waiting(0.02, 0), "waits": Waiting(0.005, 0.04)}, [])
    assert 0.02 <= found["works"] < 0.04
    assert 0.005 <= found["waits"] < 0.01


def test_photographs_that_were_learned_from_are_no_test(work):
    some = next((work / "learn" / "red").iterdir())
    shutil.copy(some, work / "test" / "red" / "again.png")
    learned = {path.name for path in (work / "learn" / "red").iterdir()}
    for name in learned:
        shutil.copy(work / "learn" / "red" / name, work / "test" / "red" / f"learned-{name}")
    assert points(work)["honest test"] == 0


def test_a_folder_with_few_or_doubtful_photographs_loses_points(work):
    twice = next((work / "test" / "red").iterdir())
    shutil.copy(twice, work / "test" / "blue" / twice.name.replace(".", "-copy."))
    assert points(work)["photographs"] == 5
    for path in sorted((work / "test" / "green").iterdir())[3:]:
        path.unlink()
    assert points(work)["photographs"] == 0


@pytest.mark.parametrize("spoil", ["missing", "no model", "another network"])
def test_an_export_that_does_not_give_the_same_is_none(work, spoil):
    path = work / "net.onnx"
    if spoil == "missing":
        path.unlink()
    elif spoil == "no model":
        path.write_bytes(b"not a model")
    else:
        classifier = transfer.load(work / "run")
        for name, item in named_arrays(classifier.model):
            if name.startswith("classifier."):
                item.value = -item.value
        export.onnx(classifier, path, probabilities=True)
    assert points(work)["export"] == 0


def test_what_is_missing_gets_no_points_and_a_reason(work):
    shutil.rmtree(work / "run")
    (work / "claims.json").write_text("[]")
    marks = rubric.grade(work, work / "test")
    assert [mark.points for mark in marks if mark.row.judge and mark.row.name != "photographs"] == [0] * 5
    assert all(mark.why for mark in marks)
    with pytest.raises(ValueError, match="is not a folder"):
        rubric.grade(work, work / "nowhere")


def test_the_table_and_the_command(work, capsys):
    assert rubric.main([str(work), str(work / "test")]) == 0
    assert "| **so far** | **80** | **100** |" in capsys.readouterr().out
    assert rubric.main([str(work), str(work / "nowhere")]) == 2
