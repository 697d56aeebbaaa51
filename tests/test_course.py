"""For every exercise of the course: the stub, the solution, the twins, every known mistake, other styles, and the answer called."""

import importlib
import inspect
import re

import numpy as np
import pytest

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
    assert [id.partition(".")[0] for id in every()] == sorted(id.partition(".")[0] for id in every())
    with pytest.raises(ValueError, match=r"there is no exercise 'L1.nothing'"):
        find("L1.nothing")


# ---- right answers in other styles


def conv_by_einsum(x, w, stride=1, padding="same", groups=1):
    from mini_nn.ops.padding import pad, resolve

    pads, (oh, ow) = resolve(padding, x.shape[1:3], len(w), stride)
    xp, k = pad(x, pads), len(w)
    y = np.empty((len(x), oh, ow, w.shape[3]))
    ci, co = w.shape[2], w.shape[3] // groups
    for g in range(groups):
        part, filters = xp[..., g * ci : (g + 1) * ci], w[..., g * co : (g + 1) * co]
        for i in range(oh):
            for j in range(ow):
                window = part[:, i * stride : i * stride + k, j * stride : j * stride + k]
                y[:, i, j, g * co : (g + 1) * co] = np.einsum("nabc,abco->no", window, filters)
    return y


def conv_backward_by_loops(dy, x, w, stride=1, padding="same", groups=1):
    from mini_nn.ops.padding import crop, pad, resolve

    pads, _ = resolve(padding, x.shape[1:3], len(w), stride)
    xp, k = pad(x, pads), len(w)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    ci, co = w.shape[2], w.shape[3] // groups
    for n, i, j in np.ndindex(dy.shape[:3]):
        for g in range(groups):
            rows = (
                slice(i * stride, i * stride + k),
                slice(j * stride, j * stride + k),
                slice(g * ci, (g + 1) * ci),
            )
            up = dy[n, i, j, g * co : (g + 1) * co]
            dxp[n][rows] += w[..., g * co : (g + 1) * co] @ up
            dw[..., g * co : (g + 1) * co] += xp[n][rows][..., None] * up
    return [crop(dxp, pads), dw.tolist()]


def depthwise_in_float32(x, w, stride=1, padding="same"):
    from mini_nn.ops.padding import pad, resolve, window

    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads).astype(np.float32)
    taps = [xp[window(a, b, out, stride)] * w[a, b].astype(np.float32) for a, b in np.ndindex(w.shape[:2])]
    return sum(reversed(taps))


STYLES = {
    "L0.relu_backward": lambda dy, x: np.where(x > 0, dy, 0.0).tolist(),
    "L0.conv2d_forward": conv_by_einsum,
    "L0.conv2d_backward": conv_backward_by_loops,
    "L0.same_padding": lambda n, kernel_size, stride: [
        max(((n + stride - 1) // stride - 1) * stride + kernel_size - n, 0) // 2,
        (max(((n + stride - 1) // stride - 1) * stride + kernel_size - n, 0) + 1) // 2,
    ],
    "L1.depthwise_forward": depthwise_in_float32,
    "L1.pointwise_forward": lambda x, w: np.einsum("nhwc,co->nhwo", x, w),
    "L1.pointwise_backward": lambda dy, x, w: [
        np.einsum("nhwo,co->nhwc", dy, w),
        np.einsum("nhwc,nhwo->co", x, dy),
    ],
    "L3.swish": lambda x: x * (0.5 + 0.5 * np.tanh(x / 2)),
    "L3.gate_backward": lambda dy, x, g: [g * dy, np.einsum("nhwc,nhwc->nc", dy, x)[:, None, None]],
    "L2.relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
}


@pytest.mark.parametrize("id", STYLES)
def test_right_answers_in_another_style_pass(id):
    result = judged(find(id), STYLES[id])
    assert result.passed, result
