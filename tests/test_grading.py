"""Grading without nbgrader: strangers' files and code, what is told of a hidden check, what is frozen."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

from lessons import grading, judge, source
from lessons.catalogue import every, find
from lessons.compare import equal
from lessons.feedback import Result
from lessons.grading import collect, release, report, run, wire

IDS = ["L0.relu_backward", "L0.same_padding"]
RIGHT = [(i, source.solution(find(id))) for i, id in enumerate(IDS, 1)]
POINTS = dict.fromkeys(IDS, 2)
RELEASED = {
    "cells": [
        cell
        for id in IDS
        for cell in (
            release.cell("code", "stub", release.cell_id(id, "-answer"), locked=False, solution=True),
            release.cell("code", "check", release.cell_id(id), points=2),
        )
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(autouse=True)
def published_cases(monkeypatch):
    """Judging here uses the hidden cases; other tests, the published ones."""
    caches = (judge.cases, judge.expected, judge.wrong)
    monkeypatch.setattr(judge, "SEED", grading.HIDDEN)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def classroom(tmp_path):
    (tmp_path / "release/L0").mkdir(parents=True)
    (tmp_path / "release/L0/00_gradients.ipynb").write_text(json.dumps(RELEASED))
    return tmp_path


MANIFEST = {"lesson": "L0", "notebook": "00_gradients", "points": POINTS, "explain": {}}


def notebook(*cells):
    return json.dumps({"nbformat": 4, "cells": list(cells)}).encode()


def cell(text, grade_id=None):
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    return {"cell_type": "code", "metadata": metadata, "source": text}


# ---- files


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("alice/00_gradients.ipynb", "alice"),
        ("bob.ipynb", "bob"),
        ("alice/L0/00_gradients.ipynb", "alice"),
        ("../../etc/passwd.ipynb", "etc"),
        ("/etc/cron.d/x.ipynb", "etc"),
        ("=cmd|'calc'.ipynb", "cmd_calc"),
        ("../.ipynb", "ipynb"),
        ("*[a-z]?.ipynb", "a-z"),
        ("Zoë Ånd 李.ipynb", "Zoë_Ånd_李"),
        ("Ann Lee_4711_assignsubmission_file_/00_gradients.ipynb", "Ann_Lee_4711"),
        ("Ann Lee_4711_assignsubmission_file_00_gradients.ipynb", "Ann_Lee_4711"),
        ("leeann_LATE_4711_99_00_gradients.ipynb", "leeann_4711"),
        ("a" * 300 + ".ipynb", "a" * 80),
        ("...ipynb", "nameless"),
    ],
)
def test_a_file_name_decides_nothing_but_who_it_is(name, student):
    assert collect.student(collect.PurePosixPath(name))[0] == student


def test_canvas_downloads_keep_the_students_number():
    assert collect.student(collect.PurePosixPath("leeann_4711_99_00_gradients.ipynb"))[1] == "4711"


def test_the_second_notebook_of_a_student_is_not_guessed_about(classroom, tmp_path):
    folder = tmp_path / "handed in"
    for name in ("Ann/a.ipynb", "ann/b.ipynb", "bob/00_gradients.ipynb", "bob/scratch.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(notebook(cell("1")))
    ann, bob = collect.collect(folder, MANIFEST, classroom)
    assert "several notebooks" in ann.problem
    assert not bob.problem
    assert sorted(p.name for p in (classroom / "submitted").iterdir()) == ["bob"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_to_a_file_elsewhere_is_not_followed(classroom, tmp_path):
    folder, secret = tmp_path / "handed in", tmp_path / "secret.ipynb"
    folder.mkdir()
    secret.write_bytes(notebook(cell("1")))
    (folder / "eve.ipynb").symlink_to(secret)
    (folder / "mal.ipynb").symlink_to("/dev/zero")
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    (folder / "dir.ipynb").mkdir()
    problems = {s.student: s.problem for s in collect.collect(folder, MANIFEST, classroom)}
    assert "elsewhere" in problems["eve"]
    assert "elsewhere" in problems["mal"]
    assert "cannot be read" in problems["loop"]
    assert problems["dir"] == "no file"


def test_a_zip_file_is_read_without_being_unpacked(classroom, tmp_path):
    path = tmp_path / "moodle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Ann Lee_4711_assignsubmission_file_/00_gradients.ipynb", notebook(cell("1")))
        archive.writestr("../../outside.ipynb", notebook(cell("1")))
        archive.writestr("__MACOSX/._x.ipynb", b"\0")
        archive.writestr("bob\\00_gradients.ipynb", b"{")
    found = {s.student: s.problem for s in collect.collect(path, MANIFEST, classroom)}
    assert found["Ann_Lee_4711"] == found["outside"] == ""
    assert "not JSON" in found["bob"]
    assert len(found) == 3
    assert {p.parts[-3] for p in classroom.rglob("submitted/*/*/*")} == {"Ann_Lee_4711", "outside"}
    assert not list(tmp_path.parent.glob("outside*"))


def test_an_empty_folder_and_what_is_neither_are_refused(classroom, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no notebook"):
        collect.collect(tmp_path / "empty", MANIFEST, classroom)
    with pytest.raises(ValueError, match="neither a folder nor a zip file"):
        collect.collect(tmp_path / "nothing.zip", MANIFEST, classroom)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"{}",
        b"[]",
        b'{"cells": 1}',
        b'{"cells": null, "worksheets": [1]}',
        b"[" * 10**5,
        b'"a"',
        b"\xff",
    ],
)
def test_what_is_no_notebook_is_a_sentence(data):
    with pytest.raises(ValueError, match="no notebook"):
        collect.parsed(data)


def test_cells_that_are_none_are_left_out_and_told():
    odd = [
        1,
        None,
        {"cell_type": "code", "source": 7},
        {"cell_type": "code", "metadata": 3, "source": ["a = 1\n", "b"]},
    ]
    cells, remarks = collect.parsed(notebook(*odd))
    assert [c["source"] for c in cells] == ["a = 1\nb"]
    assert "3 cells cannot be read" in remarks


def test_a_clean_notebook_has_every_released_cell_once_and_the_students_between_them():
    answer, check = release.cell_id(IDS[0], "-answer"), release.cell_id(IDS[0])
    cells, _ = collect.parsed(
        notebook(
            cell("help", None),
            cell("mine", answer),
            cell("cheat", check),
            cell("more"),
            cell("again", answer),
        )
    )
    clean, remarks = collect.merged(cells, RELEASED)
    assert [c["source"] for c in clean["cells"]] == [
        "help",
        "mine",
        "check",
        "more",
        "again",
        "# this cell was deleted",
        "check",
    ]
    assert len({c["id"] for c in clean["cells"]}) == 7
    assert any(f"copied cells: {answer}" in r for r in remarks)
    assert any("deleted cells: L0-same_padding" in r for r in remarks)


def test_half_a_character_does_not_reach_a_file():
    cells, _ = collect.parsed(
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = \'\\ud800\'"}]}'
    )
    assert cells[0]["source"] == "x = '?'"


@pytest.mark.parametrize(
    ("cell", "runs"),
    [
        ("x = 7 \\\n  % 3", "x = 7 \\\n  % 3"),
        ("%time\nx = 1", "pass\nx = 1"),
        ("if x:\n    !ls", "if x:\n    pass"),
        ("np.sum?", "pass"),
        ("%%time\nx = 1", "x = 1"),
        ("%%bash\nls", ""),
    ],
)
def test_what_only_ipython_knows_is_left_out(cell, runs):
    assert collect.python(cell) == runs


# ---- code


def test_right_answers_pass_and_a_mistake_has_its_name_and_no_numbers():
    wrong = (1, "def relu_backward(dy, x):\n    return dy * (x >= 0)")
    first, second = run.judged(run.run([wrong, RIGHT[1]], IDS), IDS, POINTS)
    assert (first["mistake"], first["points"], first["worth"]) == ("one_at_zero", 0, 2)
    assert (second["kind"], second["points"]) == ("passed", 2)
    known = find(IDS[0]).mistakes["one_at_zero"]
    assert first["text"] == f"{known.what} {known.look}"


def test_one_answer_cannot_spoil_another():
    cells = [
        (1, "import os, sys\ndef relu_backward(dy, x):\n    os._exit(3)"),
        RIGHT[1],
        (3, "raise SystemExit"),
        (4, "x = ("),
        (5, "sys.stdout.write('x' * 10**7)"),
    ]
    ran = run.run(cells, IDS)
    assert [row["kind"] for row in run.judged(ran, IDS, POINTS)] == ["error", "passed"]
    assert {3: "SystemExit (cell 3, line 1)", 4: "SyntaxError (line 1)"}.items() <= ran.failed.items()
    assert not ran.incidents


def test_forged_answers_are_worth_nothing():
    forged = json.dumps({"found": IDS[0], "outcomes": [], "blank": False, "trouble": ""})
    code = f"import os\nfor n in range(3, 20):\n    try:\n        os.write(n, b'{forged}\\n[[[\\n7\\n')\n    except OSError:\n        pass"
    ran = run.run([(1, code), RIGHT[1]], IDS)
    assert [row["points"] for row in run.judged(ran, IDS, POINTS)] == [0, 2]


def test_a_traceback_that_a_student_prints_accuses_nobody():
    code = "import traceback, warnings\nfrom mini_nn import blocks\ntry:\n    blocks.round_channels('x', None)\nexcept Exception:\n    traceback.print_exc()\nwarnings.warn('mine')"
    ran = run.run([(1, code), *RIGHT], IDS)
    assert not ran.incidents
    assert [row["points"] for row in run.judged(ran, IDS, POINTS)] == [2, 2]


def test_what_waits_for_ever_is_stopped_and_what_works_is_not(monkeypatch):
    monkeypatch.setattr(run, "IDLE_SECONDS", 6)
    waits = "import threading\ndef relu_backward(dy, x):\n    threading.Event().wait()"
    ran = run.run([(1, waits), RIGHT[1]], IDS)
    assert [row["kind"] for row in run.judged(ran, IDS, POINTS)] == ["slow", "passed"]


def test_values_come_back_as_they_went():
    values = {
        "array": np.arange(6.0).reshape(2, 3), "float32": np.float32(0.1), "flag": np.bool_(True), "none": None, "nan": float("nan"),
        "many": (1, [2.5, "text", True], {"a": np.zeros((0, 2), np.uint8), 3: -1}), "big": 10**30, "complex": 1 + 2j,
    }  # fmt: skip
    back = wire.unpack(json.loads(json.dumps(wire.pack(values))))
    assert equal(back, values, 0.0)
    assert back["array"].dtype == np.float64
    assert type(back["many"]) is tuple
    assert isinstance(back["float32"], np.float32)


@pytest.mark.parametrize(
    "value",
    [object(), np.array([object()]), iter([]), np.zeros(10**7)],
    ids=["object", "objects", "iterator", "too large"],
)
def test_what_cannot_be_sent_is_equal_to_nothing(value):
    back = wire.unpack(json.loads(json.dumps(wire.pack(value))))
    assert isinstance(back, wire.Other)
    assert not equal(back, np.zeros(3), 1.0)


@pytest.mark.parametrize(
    "sent",
    [
        {"array": "!", "dtype": "O", "shape": [1], "scalar": False},
        {"tuple": 7},
        {"array": "", "dtype": "f8", "shape": [9], "scalar": False},
    ],
)
def test_a_forged_value_is_an_error_of_the_answer(sent):
    outcome = {"outputs": {"dict": [["dx", sent]]}, "raised": None, "where": "", "changed": []}
    ran = run.Ran({IDS[0]: {"outcomes": [outcome], "blank": False}})
    (row,) = run.judged(ran, IDS[:1], POINTS)
    assert (row["kind"], row["points"]) == ("error", 0)


# ---- what is told


@pytest.mark.parametrize("exercise", every().values(), ids=list(every()))
def test_the_hidden_check_tells_the_mistake_and_not_the_test(exercise):
    for mistake, known in exercise.mistakes.items():
        result = Result(
            exercise.id,
            "mistake",
            "expected 3.5, got 7. The smallest case that shows it: x of shape (2, 3)",
            mistake,
        )
        assert grading.told(result) == f"{known.what} {known.look}"
    for kind in ("shape", "dtype", "nan", "unknown", "error", "slow", "mutated"):
        text = grading.told(
            Result(exercise.id, kind, "dx[0] is 3.5 and should be 7"), "ValueError (cell 1, line 2)"
        )
        assert "3.5" not in text
        assert text


def test_tables_and_pages_carry_nothing_that_runs():
    bad = collect.Submission("eve", "<script>.ipynb", "no notebook: <script>alert(1)</script>")
    row = {
        "id": IDS[0],
        "kind": "error",
        "mistake": None,
        "points": 0,
        "worth": 2,
        "title": "✗ x: an error",
        "text": "It raises <b>Evil</b>.",
    }
    rows = [row, row | {"id": IDS[1]}]
    good = (
        collect.Submission("ann", "a.ipynb"),
        {"rows": rows, "incidents": [["cell 1", "uses the network", "<img>"]], "failed": {"2": "<i>"}},
    )
    graded = [(bad, {"rows": [], "incidents": [], "failed": {}}), good]
    pages = [
        report.feedback(*graded[0], MANIFEST, {}),
        report.feedback(*good, MANIFEST, {"ann": 0.0}),
        report.class_page(graded, MANIFEST, {"ann": 0.0}),
    ]
    assert not any(tag in page for page in pages for tag in ("<script>", "<b>", "<img>", "<i>"))
    assert all(
        cell[:1] not in "=+-@"
        for line in report.moodle(graded, MANIFEST, {"ann": 0.0})
        for cell in map(str, line)
        if cell
    )


def test_the_picture_is_drawn_for_a_class_of_nobody():
    file = io.BytesIO()
    report.picture([], MANIFEST).savefig(file, format="png")
    assert file.getvalue()


# ---- what is frozen


def test_frozen_exercises_are_there_with_the_same_arguments():
    release.unchanged()
    assert release.frozen()


def test_an_exercise_that_is_gone_or_takes_other_arguments_is_named(monkeypatch):
    monkeypatch.setattr(release, "frozen", lambda: {"0.0.1": {"L0.gone": ["x"]}})
    with pytest.raises(ValueError, match=r"L0.gone is frozen since 0.0.1, and is gone"):
        release.unchanged()
    monkeypatch.setattr(release, "frozen", lambda: {"0.0.1": {"L0.relu_backward": ["x"]}})
    with pytest.raises(ValueError, match=r"L0.relu_backward is frozen since 0.0.1 with arguments x"):
        release.unchanged("L0")


def test_a_release_of_other_exercises_is_not_graded(tmp_path):
    with pytest.raises(ValueError, match=r"L0 was not released .* make release N=00"):
        release.manifest("L0", tmp_path)
    (tmp_path / "manifests").mkdir()
    old = {"arguments": {"L0.relu_backward": ["x"]}, "version": "0.0.1"}
    (tmp_path / "manifests/L0.json").write_text(json.dumps(old))
    with pytest.raises(ValueError, match=r"grade with mini_nn 0\.0\.1"):
        release.manifest("L0", tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points", "Expected"),
        ("[pionts]\n", "pionts"),
        ('[points]\n"L0.nothing" = 3', "no exercise"),
        ('[points]\n"L0.relu_backward" = -3', "-3 points"),
        ('[points]\n"L0.relu_backward" = true', "True points"),
        ('leave_out = ["L0.nothing"]', "no exercise"),
        ('[[explain]]\nlesson = "L0"', "each .*explain"),
    ],
)
def test_a_course_that_cannot_be_is_a_sentence(tmp_path, text, said):
    (tmp_path / "course.toml").write_text(text)
    with pytest.raises(ValueError, match=said):
        release.course(tmp_path)


def test_points_are_changed_and_exercises_left_out(tmp_path):
    (tmp_path / "course.toml").write_text(
        'leave_out = ["L0.complex_step_grad"]\n[points]\n"L0.relu_backward" = 7\n'
    )
    asked = {e.id: e.points for e in release.asked("L0", tmp_path)}
    assert asked["L0.relu_backward"] == 7
    assert "L0.complex_step_grad" not in asked
    assert "7 points" in release.assignment("L0", tmp_path)


def test_a_function_counts_as_it_is_at_its_check_and_later_only_if_there_was_none():
    right, wrong = RIGHT[0][1], "def relu_backward(dy, x):\n    return dy"
    stub = "def relu_backward(dy, x):\n    raise NotImplementedError"
    for before, after, kind in (
        (right, wrong, "passed"),
        (wrong, right, "mistake"),
        (stub, right, "passed"),
        ("", right, "passed"),
    ):
        ran = run.run([(1, before), (2, "", IDS[0]), (3, after), RIGHT[1]], IDS)
        assert [row["kind"] for row in run.judged(ran, IDS, POINTS)] == [kind, "passed"]


def test_a_function_that_is_not_there_is_told_with_the_cell_that_fails():
    ran = run.run([(1, "def relu_backward(dy, x:\n    return dy"), RIGHT[1]], IDS)
    assert "cell 1 raises SyntaxError (line 1)" in run.judged(ran, IDS, POINTS)[0]["text"]


def test_what_runs_a_submission_cannot_be_taken_over_by_its_names():
    code = """import sys
for module in list(sys.modules.values()):
    for name in ("judge", "find", "used", "tell", "pack_outcome", "disarmed", "limit_time"):
        if name in vars(module):
            setattr(module, name, None)
"""
    ran = run.run([(1, code), *((i + 1, text) for i, text in RIGHT)], IDS)
    assert [row["points"] for row in run.judged(ran, IDS, POINTS)] == [2, 2]
