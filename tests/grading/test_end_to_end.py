"""A synthetic class of every kind, released, graded, killed, graded on: points, names, reports.  `make grading`."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: make grading")

from lessons import build, source
from lessons.catalogue import find
from tests.grading.kinds import HOSTILE, IDS, kinds

ROOT = Path(__file__).parents[2]
POINTS = {id: find(id).points for id in IDS}
COURSE = """[points]
"L0.find_the_bug" = 8

[[explain]]
lesson = "L0"
question = "Why must dy be random in a gradient check?"
points = 4
"""


def command(classroom, *words):
    return [sys.executable, "-m", "lessons.grading", "--classroom", str(classroom), *map(str, words)]


def run(classroom, *words):
    return subprocess.run(command(classroom, *words), cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def klass(tmp_path_factory):
    """(classroom, submissions by student, what was printed): graded with a kill in the middle."""
    base = tmp_path_factory.mktemp("grading")
    classroom, handed_in = base / "classroom", base / "handed in"
    classroom.mkdir()
    (classroom / "course.toml").write_text(COURSE)
    done = run(classroom, "release", "00")
    assert done.returncode == 0, done.stderr
    released = json.loads((classroom / "release/L0/00_gradients.ipynb").read_text())
    some = kinds(released, str(base / "elsewhere.txt"), str(ROOT / "mini_nn/ops/relu.py"))
    for student, kind in some.items():
        path = handed_in / student / "00_gradients.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(kind.data)
    for student, (data, _) in HOSTILE.items():
        (handed_in / f"{student}.ipynb").write_bytes(data)
    killed(classroom, handed_in, after=5)
    done = run(classroom, "grade", "L0", handed_in, "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert not (base / "elsewhere.txt").exists()
    return classroom, some, done.stdout + done.stderr


def killed(classroom, handed_in, after):
    """Grade until some results are there, and kill the whole of it as a power cut would."""
    process = subprocess.Popen(
        command(classroom, "grade", "0", handed_in), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 300
    while len(list(classroom.glob("results/L0/*.json"))) < after and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    process.wait()


@pytest.fixture(scope="module")
def rows(klass):
    text = (klass[0] / "report/L0/grades.csv").read_text("utf-8")
    return {row["student"]: row for row in csv.DictReader(text.splitlines())}


def result(klass, student):
    return json.loads((klass[0] / "results/L0" / f"{student}.json").read_text())


def test_every_kind_gets_its_points_and_its_name(klass, rows):
    worth = POINTS | {"L0.find_the_bug": 8}
    for student, kind in klass[1].items():
        found = {row["id"]: row["mistake"] or row["kind"] for row in result(klass, student)["rows"]}
        assert found == kind.outcome, student
        points = {id: worth[id] * (kind.outcome[id] == "passed") for id in IDS}
        assert {id: int(rows[student][id]) for id in IDS} == points, student
        assert float(rows[student]["total"]) == sum(points.values()), student
        assert rows[student]["of"] == "42"


def test_what_was_tried_is_reported_and_nobody_else_is_accused(klass, rows):
    for student, kind in klass[1].items():
        seen = {what for _, what, _ in result(klass, student)["incidents"]}
        assert seen == set(kind.incidents), student
        assert all(what in rows[student]["remarks"] for what in seen)
        assert kind.remark in rows[student]["remarks"], student


def test_what_is_no_notebook_is_said_and_has_no_points(klass, rows):
    for student, (_, problem) in HOSTILE.items():
        assert problem in rows[student]["remarks"]
        assert rows[student]["total"] == rows[student]["L0.relu_backward"] == ""
        page = (klass[0] / f"feedback/{student}/L0/00_gradients.html").read_text("utf-8")
        assert "Not graded" in page


def test_nbgraders_gradebook_says_the_same(klass, rows):
    from lessons.grading.book import scores

    known = scores("L0", klass[0])
    assert {student: float(row["total"]) for student, row in rows.items() if row["total"]} == known
    assert known.keys() == klass[1].keys()


def test_a_page_names_the_mistake_and_shows_no_case_of_the_hidden_check(klass):
    page = (klass[0] / "feedback/flipped/L0/00_gradients.html").read_text("utf-8")
    assert "kernel flipped" in page
    assert "Networks correlate" in page
    assert "expected" not in page
    assert "smallest case" not in page
    assert str(ROOT) not in page


def test_the_class_table_counts_what_was_planted(klass):
    table = list(csv.DictReader((klass[0] / "report/L0/class.csv").read_text("utf-8").splitlines()))
    found = {(row["exercise"], row["mistake"]): int(row["students"]) for row in table}
    planted = [
        (id, what)
        for kind in klass[1].values()
        for id, what in kind.outcome.items()
        if what in find(id).mistakes
    ]
    assert found == {pair: planted.count(pair) for pair in planted}
    assert [int(row["students"]) for row in table] == sorted(found.values(), reverse=True)
    page = (klass[0] / "report/L0/class.html").read_text("utf-8")
    assert 'alt="Bars: ' in page
    assert (klass[0] / "report/L0/class.png").read_bytes().startswith(b"\x89PNG")


def test_canvas_gets_its_columns(klass):
    lines = list(csv.reader((klass[0] / "report/L0/canvas.csv").read_text("utf-8").splitlines()))
    assert lines[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *IDS]
    assert lines[1][0] == "Points Possible"
    assert [int(n) for n in lines[1][5:]] == [*(POINTS | {"L0.find_the_bug": 8}).values()]


def test_graded_again_nothing_is_run(klass):
    before = {p: p.stat().st_mtime_ns for p in klass[0].glob("results/L0/*.json")}
    done = run(klass[0], "grade", "00", klass[0].parent / "handed in")
    assert done.returncode == 0, done.stderr
    assert before == {p: p.stat().st_mtime_ns for p in klass[0].glob("results/L0/*.json")}


def test_points_are_not_changed_under_submissions(klass):
    course = klass[0] / "course.toml"
    course.write_text(COURSE.replace("= 8", "= 9"))
    done = run(klass[0], "release", "00")
    course.write_text(COURSE)
    assert done.returncode == 2
    assert "there are submissions" in done.stderr


def test_students_get_no_line_of_a_solution_and_no_hidden_line(klass):
    text = (klass[0] / "release/L0/00_gradients.ipynb").read_text("utf-8")
    cells = json.loads(text)["cells"]
    squeezed = "".join("".join("".join(cell["source"]).split()) for cell in cells)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "hidden(" not in text
    for id in IDS:
        assert not [line for line in source.telling_lines(find(id).solution) if line in squeezed], id
    checks = [
        "".join(c["source"]).strip()
        for c in cells
        if c["metadata"]["nbgrader"]["grade"] and c["cell_type"] == "code"
    ]
    assert checks == [f'check("{id}", {find(id).name})' for id in IDS]
    assert "8 points" in text


def test_nbgraders_own_commands_work_in_the_classroom(klass, tmp_path):
    classroom = shutil.copytree(klass[0], tmp_path / "classroom")
    env = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
    }
    for words in (
        ["autograde", "L0", "--student", "flipped", "--force"],
        ["generate_feedback", "L0", "--student", "flipped", "--force"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            cwd=classroom,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "a known mistake: kernel flipped" in (
        classroom / "feedback/flipped/L0/00_gradients.html"
    ).read_text("utf-8")


@pytest.mark.parametrize("lesson", [name for name in build.folders() if build.lesson_exercises(name)])
def test_every_lesson_can_be_released(lesson, tmp_path):
    done = run(tmp_path, "release", lesson)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"manifests/{lesson}.json").is_file()
