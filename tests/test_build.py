"""What students get is made from the lessons' sources, gives nothing away, and is up to date."""

import ast
import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lessons import build, claims, faults, source
from lessons.catalogue import LESSONS, Exercise, every, folders

ROOT = Path(__file__).parents[1]
needs_jupytext = pytest.mark.skipif(
    not importlib.util.find_spec("jupytext"), reason="jupytext is not installed"
)


def toy(id="L0.twice", solution="mini_nn.ops.depthwise:backward", **more):
    plain = {"cases": lambda rng: [], "known": (), "hints": ("one", "two", "three"), "checks": "All."}
    return Exercise(id, solution, ("dx", "dw"), points=1, minutes=1, **plain | more)


def squeezed(text):
    """Without any space; comments stay: a solution in a comment is given away too."""
    return "".join(text.split())


def leaks(exercise, artefacts):
    """(artefact, line) of every telling line of the exercise's solution or its twins that stands in one."""
    lines = {line for where in (exercise.solution, *exercise.twins) for line in source.telling_lines(where)}
    return [(name, line) for name, text in artefacts.items() for line in lines if line in text]


@pytest.fixture(scope="module")
def artefacts():
    """Everything that students are given, squeezed: stored notebooks, work files, lesson.py."""
    found = {f"work/{lesson}": squeezed(build.work_file(lesson)) for lesson in folders()}
    for lesson in folders():
        found[f"{lesson}/lesson.py"] = squeezed(
            (LESSONS / folders()[lesson] / "lesson.py").read_text("utf-8")
        )
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        found[path.name] = squeezed("".join(line for cell in cells for line in cell["source"]))
    return found


@pytest.mark.parametrize("exercise", every().values(), ids=list(every()))
def test_no_line_of_a_solution_stands_in_what_students_get(exercise, artefacts):
    assert leaks(exercise, artefacts) == []


def test_a_planted_line_of_a_solution_is_found_however_it_is_spaced():
    exercise = toy()
    told = "if True:\n\t dw[a,b]  =  channel_sum( dy*xp[here] )   # a comment\n"
    assert leaks(exercise, {"a file": squeezed(told)}) == [("a file", "dw[a,b]=channel_sum(dy*xp[here])")]


def test_every_exercise_has_lines_that_would_give_it_away_or_is_one_short_line():
    for exercise in every().values():
        if not list(source.telling_lines(exercise.solution)):
            assert len(source.definition(exercise).body) <= 4, exercise.id


@pytest.mark.parametrize("exercise", every().values(), ids=list(every()))
def test_the_stub_has_the_solutions_head_and_docstring(exercise):
    names = {}
    exec("\n".join(source.stub_imports(exercise)) + "\n" + source.stub(exercise), names)  # noqa: S102
    stub = names[exercise.name]
    assert list(stub.__code__.co_varnames) == list(exercise.signature.parameters)
    assert stub.__defaults__ == inspect.unwrap(exercise.function).__defaults__
    assert (exercise.function.__doc__ or exercise.task).split() == stub.__doc__.split()
    arguments = [None] * sum(p.default is p.empty for p in exercise.signature.parameters.values())
    with pytest.raises(NotImplementedError, match="your turn"):
        stub(*arguments)


@pytest.mark.parametrize("lesson", folders())
def test_a_work_file_has_every_exercise_with_task_check_and_command(lesson):
    text = build.work_file(lesson)
    defined = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    exercises = build.lesson_exercises(lesson)
    assert defined == [e.name for e in exercises]
    for exercise in exercises:
        assert f"mini-nn learn check {exercise.id}\n" in text
    exec(compile(text, "work.py", "exec"), {"__name__": "work"})  # noqa: S102


def test_a_long_head_has_an_argument_a_line():
    lines = source.stub(toy()).splitlines()
    assert lines[:2] == ["def twice(", "    dy: Array,"]
    assert '    padding: Padding = "same",' in lines


def test_an_import_steps_aside_for_a_function_that_the_student_writes_in_the_same_file(monkeypatch):
    some = {
        e.id: e for e in (toy("L0.pad"), toy("L0.other", needs="from mini_nn.ops.padding import crop, pad"))
    }
    monkeypatch.setattr(build, "every", lambda: some)
    monkeypatch.setattr(source, "every", lambda: some)
    assert "import Padding, crop, pad as pad_op\n" in build.work_file("L0")
    cell = source.solution(some["L0.other"])
    assert "pad as pad_op" in cell
    assert "xp = pad_op(x, pads)" in cell


def test_a_students_file_is_never_overwritten(tmp_path):
    path = build.prepare("L0", tmp_path)
    path.write_text("# mine\n")
    assert build.prepare("L0", tmp_path) == path
    assert path.read_text() == "# mine\n"
    copies = {build.backup(path), build.backup(path)}
    assert len(copies) == 2
    assert all(copy.read_text() == "# mine\n" for copy in copies)


@needs_jupytext
@pytest.mark.parametrize("lesson", folders())
def test_the_stored_notebook_is_what_its_sources_give(lesson):
    stored = ROOT / "notebooks" / f"{folders()[lesson]}.ipynb"
    assert stored.read_text("utf-8") == build.notebook(lesson), "run `make notebooks`"


def test_the_stored_table_of_lessons_is_what_its_sources_give():
    assert build.table() in (LESSONS / "README.md").read_text("utf-8"), "run `make notebooks`"


def test_every_lesson_says_what_is_said_and_what_it_found():
    lessons = {claim.lesson for claim in claims.claims()}
    assert lessons == {
        lesson for lesson in folders() if build.lesson_exercises(lesson)
    }  # the capstone makes none
    page = claims.page({lesson: build.title(lesson) for lesson in folders()})
    assert page == (LESSONS / "CLAIMS.md").read_text("utf-8"), "run `make notebooks`"


def test_a_claim_without_a_verdict_is_refused(monkeypatch, tmp_path):
    (tmp_path / "01_some").mkdir()
    monkeypatch.setattr(claims, "LESSONS", tmp_path)
    monkeypatch.setattr(claims, "folders", lambda: {"L1": "01_some"})
    text = f'# %% [markdown]\n# {claims.HEAD}\n# |---|---|---|\n# | "a" | b, c | holds |\n'
    (tmp_path / "01_some" / "lesson.py").write_text(text)
    assert list(claims.claims()) == [claims.Claim("L1", '"a"', "b, c", "holds")]
    (tmp_path / "01_some" / "lesson.py").write_text(text.replace("holds", "perhaps"))
    with pytest.raises(ValueError, match="three columns, the last one of"):
        list(claims.claims())


@needs_jupytext
@pytest.mark.parametrize("lesson", folders())
@pytest.mark.parametrize("solutions", [False, True])
def test_a_notebook_is_valid_has_ids_by_position_and_no_outputs(lesson, solutions):
    nbformat = pytest.importorskip("nbformat")
    book = json.loads(build.notebook(lesson, solutions))
    nbformat.validate(book)
    assert [cell["id"] for cell in book["cells"]] == [f"cell-{i:03d}" for i in range(len(book["cells"]))]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book["cells"])
    text = "\n".join("".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code")
    asked = bool(build.lesson_exercises(lesson))  # the capstone has no exercises
    assert (source.YOUR_TURN in text) == (asked and not solutions)
    for exercise in build.lesson_exercises(lesson):
        assert f'check("{exercise.id}", {exercise.name})' in text
        assert f'show("{exercise.id}")' in text
    assert ("mine.show(" in text) == asked


@pytest.mark.parametrize("lesson", folders())
def test_a_lesson_presents_each_of_its_exercises_once_in_order(lesson):
    text = (LESSONS / folders()[lesson] / "lesson.py").read_text("utf-8")
    assert build.EXERCISE.findall(text) == [e.id for e in build.lesson_exercises(lesson)]


@pytest.mark.parametrize("exercise", every().values(), ids=list(every()))
def test_the_instructors_cell_defines_the_solution(exercise):
    names = {}
    exec(source.solution(exercise), names)  # noqa: S102
    assert list(names[exercise.name].__code__.co_varnames)[: len(exercise.signature.parameters)] == list(
        exercise.signature.parameters
    )


@needs_jupytext
def test_the_tool_writes_everything_into_the_folder_it_is_given(tmp_path, capsys):
    assert build.main(["--out", str(tmp_path), "--work"]) == 0
    assert (
        len(list(tmp_path.glob("notebooks/*.ipynb")))
        == len(list(tmp_path.glob("work/*.py")))
        == len(folders())
    )
    assert len(list(tmp_path.glob("solutions/*.ipynb"))) == len(folders())


def test_work_files_are_made_without_jupytext():
    program = "import sys; sys.modules['jupytext'] = None; from lessons import build; build.work_file('L0')"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_fault_changes_one_thing_and_the_function_runs_with_it():
    exercise = toy()
    made = {fault.name: fault for fault in faults.faults(exercise)}
    assert len(made) == len(faults.faults(exercise)) > 30
    assert not any(name.startswith("check(") or "-> np.result_type(x, dy)" in name for name in made)
    x, w = np.ones((1, 3, 3, 1)), np.ones((3, 3, 1))
    overwrites = next(
        fault for name, fault in made.items() if name.startswith("dxp[here] += dy * w[a, b]  |  dxp")
    )
    dx, _ = overwrites.function(exercise)(np.ones((1, 3, 3, 1)), x, w)
    right, _ = exercise.function(np.ones((1, 3, 3, 1)), x, w)
    assert right[0, 1, 1, 0] == 9
    assert dx[0, 1, 1, 0] == 1


def test_most_faults_of_every_exercise_are_caught_and_survivors_that_are_excused_have_a_reason():
    scores = build.scores()
    if scores.keys() != every().keys():
        pytest.skip(f"not measured yet: {', '.join(every().keys() - scores.keys())}; run `make scores`")
    caught, judged = (sum(score[key] for score in scores.values()) for key in ("caught", "faults"))
    assert caught / judged >= 0.95
    assert all(score["caught"] / score["faults"] > 0.8 for score in scores.values())
    assert all(len(reason) > 10 for score in scores.values() for reason in score["equivalent"].values())
