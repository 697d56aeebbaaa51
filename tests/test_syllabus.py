"""The syllabus names exercises that are there, and its core path is as short as it says."""

import re

from lessons.catalogue import LESSONS, every, find, folders

TEXT = (LESSONS / "SYLLABUS.md").read_text("utf-8")
IDS = re.compile(r"`(L\d+\.\w+)`")
ROWS = re.findall(r"^\| (L\d+) [^|]*\|[^|]*\|([^|]*)\| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
CORE = [id for _, ids, _, _ in ROWS for id in IDS.findall(ids)]


def test_every_exercise_of_the_syllabus_is_there():
    assert [id for id in IDS.findall(TEXT) if id not in every()] == []


def test_the_core_path_is_at_most_16_exercises_and_12_hours():
    exercises, reading = sum(find(id).minutes for id in CORE), sum(int(row[3]) for row in ROWS)
    assert len(CORE) == len(set(CORE)) == 16
    assert set(CORE) == {id for id, exercise in every().items() if exercise.core}
    assert exercises + reading <= 12 * 60
    for lesson, ids, minutes, _ in ROWS:
        assert int(minutes) == sum(find(id).minutes for id in IDS.findall(ids)), lesson
        assert all(id.startswith(f"{lesson}.") for id in IDS.findall(ids))
    sums = [f"{n // 60} hours {n % 60} minutes" for n in (exercises, reading, exercises + reading)]
    assert re.findall(r"\d+ hours \d+ minutes", TEXT) == sums


def test_reading_is_not_hurried():
    """At most 90 words a minute, which leaves time for the cells and for thought."""
    for lesson, _, _, reading in ROWS:
        path = LESSONS / folders()[lesson] / "lesson.py"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        assert sum(len(line.split()) for line in lines if line.startswith("# ")) <= 90 * int(reading), lesson


def test_every_lesson_of_the_path_is_in_both_schedules():
    three, ten = (TEXT.partition(f"## {weeks} weeks")[2].partition("\n## ")[0] for weeks in ("Three", "Ten"))
    for lesson, *_ in ROWS:
        assert re.search(rf"\b{lesson}\b", three), lesson
        assert re.search(rf"\b{lesson}\b", ten), lesson
