"""The right answers of every lesson pass, in the answer's own words, and nobody is accused."""

import pytest

from lessons import build, grading, judge, source
from lessons.grading import run

LESSONS = [lesson for lesson in build.folders() if build.lesson_exercises(lesson)]


@pytest.fixture(autouse=True)
def hidden_cases(monkeypatch):
    caches = (judge.cases, judge.expected, judge.wrong)
    monkeypatch.setattr(judge, "SEED", grading.HIDDEN)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_right_answers_pass_and_nobody_is_accused(lesson):
    exercises = build.lesson_exercises(lesson)
    cells = [
        part for i, e in enumerate(exercises) for part in ((2 * i, source.solution(e)), (2 * i + 1, "", e.id))
    ]
    ran = run.run(cells, [e.id for e in exercises])
    rows = run.judged(ran, [e.id for e in exercises], {e.id: e.points for e in exercises})
    assert {row["id"]: row["kind"] for row in rows} == {e.id: "passed" for e in exercises}, ran.failed
    assert ran.incidents == []
    assert ran.failed == {}
