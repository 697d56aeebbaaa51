"""The course in a terminal: what a student types, sees, and keeps."""

import json
import queue
import re
import threading
import time

import pytest

from lessons import build, learn
from lessons.catalogue import every, find, folders
from mini_nn import cli

RIGHT = "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
ID = "L0.relu_backward"


@pytest.fixture
def type_(tmp_path, monkeypatch, capsys):
    """Type `mini-nn learn ...` in an empty folder, without a terminal: (exit code, what it said)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    def typed(*words):
        code = cli.main(["learn", *words])
        out, err = capsys.readouterr()
        return code, out + err

    return typed


def write(folder, text, name="relu_backward"):
    """Put a function in the place of the student's stub, as an editor does."""
    path = folder / "work" / f"{folders()['L0']}.py"
    whole = path.read_text()
    stub = build.source.stub(find(f"L0.{name}"))
    assert stub in whole
    path.write_text(whole.replace(stub, text))
    return path


def test_the_first_time_the_file_is_made_and_nothing_is_written_yet(type_, tmp_path):
    code, said = type_()
    assert code == 1
    assert "not written yet" in said
    assert (tmp_path / "work" / f"{folders()['L0']}.py").exists()


def test_a_right_answer_passes_is_remembered_and_leads_to_the_next(type_, tmp_path):
    type_()
    write(tmp_path, RIGHT)
    code, said = type_("check", ID)
    assert code == 0
    assert "Next: L0.numeric_grad" in said
    code, said = type_()
    assert code == 1
    assert "L0.numeric_grad" in said
    _, said = type_("list")
    assert re.search(r"relu_backward +core +1 point +passed", said)
    assert re.search(r"> L0.numeric_grad", said)
    assert f"1 of {len(every())} exercises, 1 of " in said


def test_what_was_right_and_is_wrong_now_is_open_again(type_, tmp_path):
    type_()
    path = write(tmp_path, RIGHT)
    assert type_("check", ID)[0] == 0
    path.write_text(path.read_text().replace("dy * (x > 0)", "dy * (x < 0)"))
    assert type_("check", ID)[0] == 1
    assert "0 of " in type_("list")[1]


def test_hints_come_one_more_each_time(type_):
    hints = find(ID).hints
    for shown in (1, 2, 3, 3):
        code, said = type_("hint", ID)
        assert code == 0
        assert [hint in said for hint in hints] == [i < shown for i in range(3)]
    assert "last one" in said


def test_a_reset_puts_one_stub_back_and_keeps_a_copy(type_, tmp_path):
    type_()
    path = write(tmp_path, RIGHT)
    path.write_text(path.read_text().replace('"""L0', '"""my notes\n\nL0'))
    mine = path.read_text()
    code, said = type_("reset", "relu_backward")
    assert code == 0
    assert "my notes" in path.read_text()
    assert path.read_text().count("your turn") == len(build.lesson_exercises("L0"))
    [copy] = (tmp_path / "work" / "backups").iterdir()
    assert copy.read_text() == mine
    assert copy.name in said


def test_a_reset_of_a_lesson_and_of_a_function_that_is_gone(type_, tmp_path):
    type_()
    path = tmp_path / "work" / f"{folders()['L0']}.py"
    path.write_text("x = 1\n")
    type_("reset", "same_padding")
    assert path.read_text().startswith("x = 1\n")
    assert "def same_padding(" in path.read_text()
    type_("reset", "L0")
    assert path.read_text() == build.work_file("L0")
    assert len(list((tmp_path / "work" / "backups").iterdir())) == 2


def test_a_reset_of_a_file_that_is_no_python_says_which_line(type_, tmp_path):
    type_()
    path = tmp_path / "work" / f"{folders()['L0']}.py"
    path.write_text("def (:\n")
    code, said = type_("reset", "same_padding")
    assert code == 2
    assert "line 1" in said
    assert path.read_text() == "def (:\n"


def test_the_solution_is_shown_after_passing_only(type_, tmp_path):
    code, said = type_("solution", ID)
    assert code == 2
    assert "after that" in said
    type_()
    write(tmp_path, RIGHT)
    type_("check", ID)
    code, said = type_("solution", ID)
    assert code == 0
    assert "return dy * (x > 0)" in said
    assert "mini_nn.ops.relu:backward" in said


@pytest.mark.parametrize(
    "words",
    [("check", "L9.nothing"), ("reset",), ("hint", "L0"), ("list", "--lesson", "77"), ("--lesson", "99")],
)
def test_what_is_not_understood_gets_a_sentence(type_, words):
    code, said = type_(*words)
    assert code == 2
    assert said.startswith("mini-nn: ")
    assert said.count("\n") == 1


def test_a_lesson_is_checked_whole_and_chosen_by_its_number(type_):
    code, said = type_("check", "00")
    assert code == 1
    assert all(exercise.id in said for exercise in build.lesson_exercises("L0"))
    assert "L1." in type_("--lesson", "01")[1]


def test_next_goes_on_without_passing(type_):
    type_()
    assert "Next: L0.numeric_grad" in type_("next")[1]
    assert "L0.numeric_grad" in type_()[1]


def test_a_damaged_list_is_put_aside_and_said(type_, tmp_path):
    type_()
    (tmp_path / "work" / "progress.json").write_text('{"current": 3')
    code, said = type_("list")
    assert code == 0
    assert "progress.damaged.json" in said
    assert (tmp_path / "work" / "progress.damaged.json").read_text() == '{"current": 3'


def test_the_list_of_what_is_done_is_plain_json(type_, tmp_path):
    type_("hint", ID)
    kept = json.loads((tmp_path / "work" / "progress.json").read_text())
    assert kept["exercises"][ID]["hints"] == 1


def test_everything_passed_says_what_to_do_with_it(tmp_path, capsys):
    progress = learn.Progress(tmp_path)
    for id in every():
        progress.row(id).update(kind="passed", passed_on="2026-01-01")
    progress.save()
    assert learn.main(folder=tmp_path) == 0
    assert "--mine" in capsys.readouterr().out


def test_extras_come_after_the_core(tmp_path):
    progress = learn.Progress(tmp_path)
    for exercise in every().values():
        if exercise.core:
            progress.row(exercise.id)["kind"] = "passed"
    assert not learn.following(progress).core


def test_watching_checks_at_every_save_and_goes_on_by_itself(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learn, "POLL", 0.02)
    typed, progress, seen = queue.Queue(), learn.Progress(tmp_path / "work"), []
    thread = threading.Thread(target=lambda: seen.append(learn.watch(progress, find(ID), None, typed)))
    thread.start()
    said = wait_for(capsys, "Save ")
    typed.put("h")
    said += wait_for(capsys, "Hint 1")
    write(tmp_path, "def relu_backward(dy, x):\n    return dy * (x < 0)\n")
    said += wait_for(capsys, "Save ")
    path = tmp_path / "work" / f"{folders()['L0']}.py"
    path.write_text(path.read_text().replace("x < 0", "x > 0"))
    said += wait_for(capsys, "L0.numeric_grad: core")
    typed.put("n")
    said += wait_for(capsys, "L0.conv2d_backward: core")
    typed.put("q")
    thread.join(20)
    assert seen == [1]
    said += capsys.readouterr().out
    assert "✓ L0.relu_backward: right" in said
    assert "goes on at L0.conv2d_backward" in said


def wait_for(capsys, text, seconds=40):
    said, end = "", time.monotonic() + seconds
    while text not in said:
        assert time.monotonic() < end, said
        time.sleep(0.05)
        said += capsys.readouterr().out
    return said
