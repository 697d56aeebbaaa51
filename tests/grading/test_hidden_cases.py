"""Points depend on no seed: on the cases that count, and on others, answers pass and every mistake has its own name."""

import pytest

from lessons import grading, judge
from lessons.catalogue import edited, every


@pytest.fixture(params=[grading.HIDDEN, 5, 77], ids=lambda seed: f"seed {seed}")
def other_cases(request, monkeypatch):
    caches = (judge.cases, judge.expected, judge.wrong)
    monkeypatch.setattr(judge, "SEED", request.param)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("exercise", every().values(), ids=list(every()))
def test_an_exercise_is_judged_the_same_on_other_numbers(exercise, other_cases):
    def judged(function):
        return judge.judge(exercise, lambda: function)

    assert judged(edited(exercise.solution)()).passed
    named = {id: judged(wrong).mistake for id, wrong in exercise.variants.items()}
    assert named == {id: id for id in exercise.mistakes}
