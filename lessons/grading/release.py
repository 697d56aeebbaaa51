"""A lesson's exercises as an nbgrader assignment, and the manifest of what students were given.

A classroom is a folder that nbgrader knows: source/, release/, submitted/, autograded/, feedback/, gradebook.db, and here also
manifests/, results/ and report/.  Its course.toml, which an instructor may write, changes points, leaves exercises out and asks
questions that a person marks.
"""

import dataclasses
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import mini_nn
from lessons import build, source
from lessons.build import write
from lessons.catalogue import Exercise, every, find, folders

FROZEN = Path(__file__).with_name("frozen.json")  # version -> exercise id -> names of its arguments
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TOP = """Write the bodies; `check(...)` under each says what is wrong, by name where it can. Helpers may stand in cells of your own.
Hand in this notebook. It is run once more, on other numbers: each function has to work by itself, without files, programs and network."""
EXPLAIN = "*Your answer, in a few sentences of your own.*"
CONFIG = """# For nbgrader's own commands and its formgrader, in this folder.
from lessons.grading.book import settings

get_config().merge(settings("."))  # noqa: F821
"""
Classroom = str | Path


def course(root: Classroom) -> dict[str, Any]:
    """course.toml: {"points": {id: points}, "leave_out": [ids], "explain": [{"lesson", "question", "points"}]}."""
    path = Path(root, "course.toml")
    if not path.is_file():
        return {"points": {}, "leave_out": [], "explain": []}
    try:
        found = {"points": {}, "leave_out": [], "explain": []} | tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    if unknown := found.keys() - {"points", "leave_out", "explain"}:
        raise ValueError(
            f"{path} has {', '.join(sorted(unknown))}; it may have points, leave_out and explain"
        )
    for id, points in found["points"].items():
        find(id)
        if type(points) is not int or points < 0:
            raise ValueError(f"{path}: {id} has {points!r} points; write a whole number, 0 or more")
    for question in found["explain"]:
        if question.keys() != {"lesson", "question", "points"} or question["lesson"] not in folders():
            raise ValueError(
                f"{path}: each [[explain]] has a lesson ({', '.join(folders())}), a question and points"
            )
    for id in found["leave_out"]:
        find(id)
    return found


def asked(lesson: str, root: Classroom) -> list[Exercise]:
    """The lesson's exercises with the classroom's points."""
    own = course(root)
    some = [e for e in build.lesson_exercises(lesson) if e.id not in own["leave_out"]]
    return [dataclasses.replace(e, points=own["points"].get(e.id, e.points)) for e in some]


def cell_id(exercise: str, part: str = "") -> str:
    return exercise.replace(".", "-") + part


def cell(
    kind: str,
    text: str,
    grade_id: str,
    *,
    locked: bool = True,
    solution: bool = False,
    points: int | None = None,
) -> dict[str, Any]:
    """A cell with what nbgrader wants to know about it; with points it is graded."""
    known: dict[str, Any] = {
        "schema_version": 3,
        "grade_id": grade_id,
        "locked": locked,
        "solution": solution,
        "task": False,
    }
    known |= {"grade": points is not None} | ({"points": points} if points is not None else {})
    made: dict[str, Any] = {"cell_type": kind, "metadata": {"nbgrader": known}, "source": text}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def exercise_cells(exercise: Exercise) -> list[dict[str, Any]]:
    """The task, the answer's cell and the cell that is graded."""
    stub = "\n".join(source.stub_imports(exercise)) + f"\n\n\n{source.stub(exercise).rstrip()}"
    answer = f"{stub}\n\n### BEGIN SOLUTION\n{source.solution(exercise).strip()}\n### END SOLUTION"
    secret = f'from lessons.grading import hidden\nhidden("{exercise.id}", {exercise.name})'
    test = f'check("{exercise.id}", {exercise.name})\n### BEGIN HIDDEN TESTS\n{secret}\n### END HIDDEN TESTS'
    return [
        cell("markdown", build.presented(exercise), cell_id(exercise.id, "-task")),
        cell("code", answer, cell_id(exercise.id, "-answer"), locked=False, solution=True),
        cell("code", test, cell_id(exercise.id), points=exercise.points),
    ]


def assignment(lesson: str, root: Classroom) -> str:
    """The instructor's version, from which nbgrader makes the students'."""
    exercises, questions = asked(lesson, root), [q for q in course(root)["explain"] if q["lesson"] == lesson]
    if not exercises:
        raise ValueError(f"{lesson} has no exercise left to grade: see leave_out in course.toml")
    cells = [
        cell("markdown", f"# {build.title(lesson)}\n\n{TOP}", cell_id(lesson, "-top")),
        cell("code", "from lessons import check", cell_id(lesson, "-import")),
        *(part for exercise in exercises for part in exercise_cells(exercise)),
    ]
    for i, q in enumerate(questions, 1):
        text = f"**{q['question']}** ({q['points']} points)"
        cells.append(cell("markdown", text, cell_id(lesson, f"-question-{i}")))
        cells.append(
            cell(
                "markdown",
                EXPLAIN,
                cell_id(lesson, f"-explain-{i}"),
                locked=False,
                solution=True,
                points=q["points"],
            )
        )
    for i, one in enumerate(cells):
        one["id"] = f"cell-{i:03d}"
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def release(lesson: str, root: Classroom) -> Path:
    """Make the assignment with nbgrader; the students' notebook."""
    from lessons.grading import book

    unchanged(lesson)
    root, name = Path(root), folders()[lesson]
    new = {
        "lesson": lesson,
        "notebook": name,
        "version": mini_nn.__version__,
        "points": {e.id: e.points for e in asked(lesson, root)},
        "arguments": {e.id: list(e.signature.parameters) for e in asked(lesson, root)},
        "explain": {
            cell_id(lesson, f"-explain-{i}"): q["points"]
            for i, q in enumerate((q for q in course(root)["explain"] if q["lesson"] == lesson), 1)
        },
    }
    path = root / "manifests" / f"{lesson}.json"
    if (
        path.is_file()
        and json.loads(path.read_text("utf-8")) != new
        and any(root.glob(f"submitted/*/{lesson}"))
    ):
        raise ValueError(
            f"{lesson} was released with other exercises or points, and there are submissions: they would be graded by rules that "
            f"students did not see. Take another folder with --classroom, or move {root / 'submitted'} away."
        )
    for folder in (root / "source" / lesson, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if not (root / "nbgrader_config.py").exists():
        write(root / "nbgrader_config.py", CONFIG)
    write(root / "source" / lesson / f"{name}.ipynb", assignment(lesson, root))
    book.generate(lesson, root)
    write(path, json.dumps(new, indent=1) + "\n")
    return root / "release" / lesson / f"{name}.ipynb"


def manifest(lesson: str, root: Classroom) -> dict[str, Any]:
    """What was released; ValueError where the exercises have changed since."""
    path = Path(root, "manifests", f"{lesson}.json")
    if not path.is_file():
        raise ValueError(f"{lesson} was not released in {root}: make release N={lesson[1:]:0>2}")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for id, arguments in found["arguments"].items():
        if id not in every() or list(find(id).signature.parameters) != arguments:
            raise ValueError(
                f"{id} was released with arguments {', '.join(arguments)}, and is another now: grade with mini_nn {found['version']}"
            )
    return found


# ---- ids and arguments of each version of mini_nn: they stay


def frozen() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads(FROZEN.read_text("utf-8"))
    return found


def unchanged(lesson: str = "") -> None:
    """ValueError where an exercise that an earlier version had is gone, or takes other arguments."""
    for version, ids in frozen().items():
        for id, arguments in ids.items():
            if id not in every() and lesson in ("", id.partition(".")[0]):
                raise ValueError(f"{id} is frozen since {version}, and is gone: submissions name it")
            if id in every() and list(inspect.signature(find(id).function).parameters) != arguments:
                raise ValueError(
                    f"{id} is frozen since {version} with arguments {', '.join(arguments)}, and takes others now"
                )


def freeze() -> None:
    """Add this version's new exercises to what is frozen."""
    unchanged()
    known = frozen()
    old = {id for ids in known.values() for id in ids}
    new = {id: list(e.signature.parameters) for id, e in every().items() if id not in old}
    if new:
        known.setdefault(mini_nn.__version__, {}).update(new)
        write(FROZEN, json.dumps(known, indent=1) + "\n")
