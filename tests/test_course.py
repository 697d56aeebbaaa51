"""For every exercise of the course: the stub, the solution, the twins, every known mistake, other styles, and the answer called."""

import importlib
import inspect
import re

import numpy as np
import pytest
from other_styles import STYLES

from lessons import judge
from lessons.catalogue import edited, every, find, load
from lessons.compare import equal

EXERCISES = [pytest.param(exercise, id=id) for id, exercise in every().items()]
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{id}-{mistake}")
    for id, exercise in every().items()
    for mistake in exercise.mistakes
]


def judged(exercise, function):
    return judge.judge(exercise, lambda: function)


def stub(exercise):
    """A function of the student's with the right signature and nothing in it."""
    names = {}
    plain = [p.replace(annotation=p.empty) for p in exercise.signature.parameters.values()]
    signature = exercise.signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    exec(f"def {exercise.name}{signature}:\n    raise NotImplementedError('your turn')", names)  # noqa: S102
    return names[exercise.name]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_stub_is_not_written_yet(exercise):
    assert judged(exercise, stub(exercise)).kind == "not written"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_in_a_students_hand_passes(exercise):
    result = judged(exercise, edited(exercise.solution)())
    assert result.passed, result
    assert result.points == exercise.points


@pytest.mark.parametrize("exercise", EXERCISES)
def test_calling_the_answer_is_named(exercise):
    module, _, name = exercise.solution.partition(":")
    module = importlib.import_module(module)

    def reaches(*args, **kwargs):
        return getattr(module, name)(*args, **kwargs)

    assert judged(exercise, reaches).kind == "library"


@pytest.mark.parametrize("exercise", [p for p in EXERCISES if p.values[0].twins])
def test_the_twins_give_the_answer_too(exercise):
    for twin in exercise.twins:
        for case, right in zip(judge.cases(exercise.id), judge.expected(exercise.id), strict=True):
            found = judge.attempt(exercise, load(twin), case)
            assert all(equal(found[name], right[name], 1e-8) for name in exercise.outputs)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_every_mistake_is_named_as_itself(exercise, mistake):
    result = judged(exercise, exercise.variants[mistake])
    assert result.kind == "mistake", result
    assert result.mistake == mistake
    assert exercise.mistakes[mistake].what in str(result)
    assert exercise.mistakes[mistake].look in str(result)


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_gives_numbers_and_not_only_errors(exercise, mistake):
    """A variant that raises everywhere would name every student whose code raises the same."""
    assert not all(outcome.raised for outcome in judge.wrong(exercise.id, mistake))


@pytest.mark.parametrize("exercise", EXERCISES)
def test_cases_are_the_same_every_time_and_quick_to_run(exercise):
    rng = np.random.default_rng
    first, second = list(exercise.cases(rng(1))), list(exercise.cases(rng(1)))
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        assert all(equal(a[k], b[k], 0.0) for k in a if isinstance(a[k], np.ndarray))


@pytest.mark.parametrize("exercise", EXERCISES)
def test_what_a_student_reads_is_complete(exercise):
    assert re.fullmatch(r"L\d+\.[a-z][a-z0-9_]*", exercise.id)
    assert exercise.points >= 1
    assert exercise.minutes >= 1
    assert len(exercise.hints) == 3
    assert all(map(str.strip, (*exercise.hints, exercise.task, exercise.checks)))
    assert inspect.getdoc(exercise.function)
    for mistake in exercise.known:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", mistake.id)
        assert mistake.what[0].isupper() or mistake.what.startswith("dy ")
        assert mistake.what.endswith((".", "`")), mistake.what
        assert mistake.look.endswith((".", ")")), mistake.look
    assert len(exercise.mistakes) == len(exercise.known)


def test_ids_follow_their_folder():
    numbers = [int(id.partition(".")[0].removeprefix("L")) for id in every()]
    assert numbers == sorted(numbers)
    with pytest.raises(ValueError, match=r"there is no exercise 'L1.nothing'"):
        find("L1.nothing")


# ---- right answers in other styles


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_in_another_style_passes(exercise):
    result = judged(exercise, STYLES[exercise.id])
    assert result.passed, result
