"""Every lesson runs: as the instructors' notebook, where its claims are asserted, and as the student's with nothing written.  `make course`."""

import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from lessons import build
from lessons.catalogue import LESSONS, folders

ROOT = Path(__file__).parents[2]
MINUTES = 2  # for each, on two cores
ENV = {"PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def run(text, folder, monkeypatch):
    """The notebook with its outputs; an error in a cell is raised."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the notebook chooses its own
    book = nbformat.reads(text, as_version=4)
    NotebookClient(book, timeout=MINUTES * 60, resources={"metadata": {"path": str(folder)}}).execute()
    return book


def said(cell):
    """What a cell printed or showed, as text."""
    return "".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)


def checks(book):
    return {cell.source: said(cell) for cell in book.cells if cell.source.startswith('check("')}


@pytest.mark.parametrize("lesson", folders())
def test_the_instructors_notebook_runs_and_every_check_passes(lesson, tmp_path, monkeypatch):
    assert "assert " in (LESSONS / folders()[lesson] / "lesson.py").read_text("utf-8")  # of its own claims
    start = time.monotonic()
    book = run(build.notebook(lesson, solutions=True), tmp_path, monkeypatch)
    assert time.monotonic() - start < MINUTES * 60
    for call, text in checks(book).items():
        assert ": right" in text, f"{call}: {text}"
    used = [exercise.id for exercise in build.lesson_exercises(lesson) if exercise.mine]
    report = said(book.cells[-1])
    assert all(f"{id:<32} yours" in report for id in used), report


@pytest.mark.parametrize("lesson", folders())
def test_in_the_students_notebook_nothing_is_written_yet_and_nothing_else_fails(
    lesson, tmp_path, monkeypatch
):
    book = run((ROOT / "notebooks" / f"{folders()[lesson]}.ipynb").read_text("utf-8"), tmp_path, monkeypatch)
    found = checks(book)
    assert len(found) == len(build.lesson_exercises(lesson))
    for call, text in found.items():
        assert "not written yet" in text, f"{call}: {text}"
    shown = [said(cell) for cell in book.cells if cell.source.startswith('show("')]
    assert all("not passed yet" in text for text in shown)
    assert "can be used yet" in said(book.cells[-1]) or not found  # the capstone asks for no function
