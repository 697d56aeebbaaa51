"""Grading a class: nbgrader assignments from the exercises, and a folder of submissions graded.  docs/INSTRUCTORS.md tells how.

release.py   the assignment of a lesson, and its manifest: what is frozen
collect.py   a folder or a zip file of submissions, whatever is in it -> clean notebooks
run.py       one submission: student.py runs it behind fence.py, wire.py brings back numbers, and they are judged here
book.py      nbgrader's gradebook, written by one process
report.py    feedback pages, tables to import, the class's mistakes and their picture
"""

from typing import Any

from lessons.catalogue import find
from lessons.feedback import Result

HIDDEN = 19_49  # the seed of the cases that count; notebooks check themselves on others
ELSEWHERE = "check(...) in your notebook says more about it, on other numbers."
PLAIN = {
    "passed": "",
    "not written": "",
    "shape": f"An output has the wrong shape. {ELSEWHERE}",
    "dtype": f"An output holds the wrong kind of number. {ELSEWHERE}",
    "mutated": "It writes to one of its arguments: make a new array, a + b and not a += b.",
    "nan": f"An output is not a number, or infinite, where it should be finite. {ELSEWHERE}",
    "slow": "It was stopped: it works too long, waits for ever, or asks for too much memory.",
    "library": "It calls the library's own answer.",
    "unknown": f"Not right yet, and no mistake that has a name. {ELSEWHERE}",
}


def told(result: Result, error: str = "") -> str:
    """What a student may know of a hidden check: the mistake and where to look; never a case or a number of it."""
    if result.mistake:
        known = find(result.exercise).mistakes[result.mistake]
        return f"{known.what} {known.look}"
    if result.kind == "not written" and error:
        return f"There is no function of that name: {error}."
    return PLAIN.get(result.kind, f"It raises {error}." if error else "It cannot be run.")


def hidden(id: str, function: Any) -> None:
    """The hidden line of a grading cell, for those who let nbgrader's own kernel run it: AssertionError names the mistake."""
    from lessons import check

    result = check(id, function)
    assert result.passed, f"{result.title}\n{told(result)}"
