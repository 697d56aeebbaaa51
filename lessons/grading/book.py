"""nbgrader's side: assignments, and the gradebook, which only one process writes.

Where nbgrader would start a kernel for each submission, `Judged` puts what run.py found into the grading cells; nbgrader reads
points from there as always.  Its own commands in a classroom do the same, by nbgrader_config.py.
"""

import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from lessons.grading import release

try:
    from nbconvert.preprocessors import ClearMetadataPreprocessor
    from nbgrader.api import Gradebook
    from nbgrader.converters import Autograde, GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        NbGraderPreprocessor,
        SaveAutoGrades,
    )
    from sqlalchemy.exc import SAWarning
    from traitlets.config import Config
except ImportError as error:
    raise ImportError("grading needs nbgrader: pip install 'mini-nn[grading]', or make release") from error

if not shutil.which("alembic"):  # nbgrader calls it by name, and .venv need not be activated
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


class Errors(logging.Handler):
    """nbgrader tells of every step; only its errors are kept."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Judged(NbGraderPreprocessor):
    """In place of a kernel: the outputs of the grading cells, from results/LESSON/STUDENT.json."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        known, root = resources["nbgrader"], Path(self.config.CourseDirectory.root)
        path = root / "results" / known["assignment"] / f"{known['student']}.json"
        if not path.is_file():
            raise ValueError(
                f"{path} is missing: make grade N={known['assignment'][1:]:0>2} runs the submissions"
            )
        rows = {release.cell_id(row["id"]): row for row in json.loads(path.read_text("utf-8"))["rows"]}
        for cell in nb.cells:
            if row := rows.get(cell.metadata.get("nbgrader", {}).get("grade_id")):
                cell.outputs = [output(row)]
        return nb, resources


def output(row: dict[str, Any]) -> Any:
    """nbgrader gives no points where there is an error, and all of them where there is none."""
    from nbformat.v4 import new_output

    lines = [row["title"], row["text"]]
    if row["points"] == row["worth"]:
        return new_output("stream", name="stdout", text=f"{row['title']}\n")
    return new_output("error", ename=row["mistake"] or row["kind"], evalue=row["text"], traceback=lines)


def settings(root: str | Path) -> Any:
    config = Config()
    config.CourseDirectory.root = str(Path(root).resolve())
    config.CourseDirectory.course_id = "mini_nn"
    config.ClearSolutions.code_stub = {"python": ""}
    config.Autograde.autograde_preprocessors = [
        Judged,
        ClearMetadataPreprocessor,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    return config


def convert(kind: Any, root: str | Path, lesson: str, student: str) -> None:
    """Run one of nbgrader's converters; RuntimeError with what it says where it fails."""
    config, errors, log = settings(root), Errors(), logging.getLogger("mini_nn.nbgrader")
    log.handlers, log.propagate = [errors], False
    config.CourseDirectory.assignment_id, config.CourseDirectory.student_id = lesson, student
    made = kind(coursedir=CourseDirectory(config=config), config=config)
    made.force, made.log = True, log
    try:
        with warnings.catch_warnings(
            action="ignore", category=SAWarning
        ):  # about how nbgrader uses its database
            made.start()
    except NbGraderException as error:
        raise RuntimeError("nbgrader: " + "\n".join(errors.said or [str(error)])) from error


def generate(lesson: str, root: str | Path) -> None:
    """source/LESSON -> release/LESSON."""
    convert(GenerateAssignment, root, lesson, ".")


def enter(lesson: str, root: str | Path, student: str) -> None:
    """submitted/STUDENT/LESSON -> autograded/STUDENT/LESSON, and its points into the gradebook."""
    convert(Autograde, root, lesson, student)


def scores(lesson: str, root: str | Path) -> dict[str, float]:
    """What the gradebook says: student -> points, with those that a person gave."""
    with Gradebook(
        settings(root).CourseDirectory.get("db_url") or f"sqlite:///{Path(root).resolve() / 'gradebook.db'}"
    ) as book:
        return {s.student_id: float(s.score) for s in book.assignment_submissions(lesson)}
