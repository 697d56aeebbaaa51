"""What a student is told, for each kind of answer, and that nothing an answer does hurts the program that asks."""

import functools
import os
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import mini_nn.ops.relu as under_another_name
from lessons import check, check_file, exercises, show, worker
from lessons.catalogue import find
from lessons.feedback import TITLES

ID = "L0.relu_backward"
pytest.importorskip("cloudpickle")


def right(dy, x):
    return dy * (x > 0)


def half(dy, x):
    return 0.5 * dy * (x > 0)


# ---- every kind, and what the sentence must hold


def todo(dy, x):
    raise NotImplementedError("your turn")


def transposed(dy, x):
    return right(dy, x).T


def whole_numbers(dy, x):
    return right(dy, x).astype(int)


def in_place(dy, x):
    dy *= x > 0
    return dy


def zero_by_zero(dy, x):
    return right(dy, x) / (x > 0)


def endless(dy, x):
    while True:
        pass


def too_large(dy, x):
    return np.ones((10**6, 10**6))


def library(dy, x):
    return under_another_name.backward(dy, x)


def at_zero_too(dy, x):
    return dy * (x >= 0)


def crash(dy, x):
    return dy[:, :, :, :, 0]


KINDS = {
    right: ("passed", "right (1 point)"),
    todo: ("not written", "replace `raise NotImplementedError`"),
    transposed: ("shape", "axes 0 and 2 swapped"),
    whole_numbers: ("dtype", "holds int64, and should hold float64"),
    in_place: ("mutated", "It writes to its argument dy"),
    zero_by_zero: ("nan", "dx[1] is nan; expected 0"),
    too_large: ("slow", "more memory than a check may use"),
    library: ("library", "It calls mini_nn.ops.relu.backward, which is the answer"),
    at_zero_too: ("mistake", "Your slope at x = 0 is 1."),
    half: ("unknown", "a constant ratio, 0.5"),
    crash: ("error", "It raises IndexError: too many indices"),
}


@pytest.mark.parametrize("function", KINDS, ids=[kind for kind, _ in KINDS.values()])
def test_each_kind_has_its_sentence_and_its_card(function):
    kind, sentence = KINDS[function]
    result = check(ID, function)
    assert (result.kind, result.passed) == (kind, kind == "passed"), result
    assert sentence in str(result)
    assert (result.mistake is not None) == (kind == "mistake")
    sign, title = TITLES[kind]
    card = result._repr_html_()
    assert f"{sign} {ID}: {title}" in card  # the words say it, not a colour alone
    assert "Traceback" not in str(result)


def test_there_is_a_case_for_every_kind():
    assert {kind for kind, _ in KINDS.values()} == TITLES.keys()


def test_what_is_wrong_comes_with_the_smallest_case():
    assert "The smallest case that shows it: dy [-1.0, " in str(check(ID, half))


# ---- answers that are no plain function


class Called:
    def __call__(self, dy, x):
        return right(dy, x)


def cell_of_a_notebook():
    limit = 0.0

    def inside(dy, x):
        return dy * (x > limit)

    return inside


def as_tuple(dy, x):
    return tuple(right(dy, x).tolist())


@pytest.mark.parametrize(
    "function",
    [lambda dy, x: dy * (x > 0), Called(), cell_of_a_notebook(), functools.partial(right), as_tuple],
    ids=["lambda", "object", "closure", "partial", "tuple"],
)
def test_whatever_can_be_called_may_be_right(function):
    assert check(ID, function).passed


class LikeATensor:
    shape, dtype = (4,), "float32"


def tensor(dy, x):
    return LikeATensor()


def generator(dy, x):
    return (value for value in dy)


def ragged(dy, x):
    return [[1], [1, 2]]


def nothing(dy, x):
    right(dy, x)


@pytest.mark.parametrize("function", [tensor, generator, ragged, nothing])
def test_what_is_no_array_is_said(function):
    result = check(ID, function)
    assert result.kind == "shape"
    assert "not an array" in str(result) or "is a `return` missing?" in str(result)


def test_what_is_no_function_or_has_other_arguments_is_said():
    assert "should be a function, not int" in str(check(ID, 3))
    assert "Its arguments should be (dy, x)." in str(check(ID, lambda dy: dy))
    assert "Its arguments should be (dy, x)." in str(check(ID, lambda a, b: a))


def test_what_cannot_be_sent_is_said():
    lock = threading.Lock()
    result = check(ID, lambda dy, x: lock and right(dy, x))
    assert (result.kind, "cannot be sent" in str(result)) == ("error", True)


# ---- answers that hurt


class Mute(BaseException):
    def __str__(self):
        raise RuntimeError("not even a message")


def mute(dy, x):
    raise Mute


def leaves(dy, x):
    sys.exit(3)


def leaves_at_once(dy, x):
    os._exit(3)


def forever_deeper(dy, x):
    return forever_deeper(dy, x)


def asks(dy, x):
    return dy * float(input("what now?"))


def talks(dy, x):
    for _ in range(20_000):
        print("and another thing " * 5)
    return half(dy, x)


def redefines(dy, x):
    np.abs = np.isfinite = np.allclose = lambda *_: np.True_
    return half(dy, x)


def bribes(dy, x):
    from lessons import compare, judge

    compare.equal = judge.equal = lambda *_: True
    return half(dy, x)


def leaves_a_thread(dy, x):
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return half(dy, x)


def warns(dy, x):
    warnings.warn("careful", stacklevel=1)
    return half(dy, x)


@pytest.mark.parametrize(
    ("function", "kind", "sentence"),
    [
        (mute, "error", "It raises Mute"),
        (leaves, "error", "It raises SystemExit: 3"),
        (leaves_at_once, "error", "ended the process that ran it (exit 3)"),
        (forever_deeper, "error", "RecursionError"),
        (asks, "error", "EOFError"),
        (talks, "unknown", "It printed: and another thing"),
        (redefines, "error", "It changes numpy."),
        (bribes, "error", "It changes lessons.compare.equal"),
        (leaves_a_thread, "unknown", "constant ratio"),
        (warns, "unknown", "constant ratio"),
    ],
)
def test_an_answer_that_hurts_gets_a_sentence_and_the_next_one_is_judged_as_ever(function, kind, sentence):
    result = check(ID, function)
    assert result.kind == kind, result
    assert sentence in str(result)
    assert len(str(result)) < 2000
    assert check(ID, right).passed
    assert check(ID, half).kind == "unknown"


@pytest.fixture
def alone(monkeypatch):
    """A worker of its own, whose limits can be changed."""
    fresh = worker.Worker()
    monkeypatch.setattr(worker, "WORKER", fresh)
    yield monkeypatch
    fresh.stop()


def test_an_endless_loop_is_stopped_and_the_next_answer_is_judged(alone):
    result = check(ID, endless)
    assert result.kind == "slow"
    assert "is there a loop that never ends?" in str(result)
    assert check(ID, right).passed


def test_waiting_for_what_never_comes_is_stopped_by_the_clock(alone):
    assert check(ID, right).passed  # so that the worker is warm
    alone.setattr(worker, "WALL_SECONDS", 1)
    result = check(ID, lambda dy, x: time.sleep(1000))
    assert result.kind == "slow"
    assert "does it sleep" in str(result)


@pytest.mark.parametrize("seen", ["from mini_nn.ops.relu import backward", "import mini_nn.ops.relu as r"])
def test_the_answer_is_recognised_under_every_name_in_a_file_too(seen, tmp_path):
    name = "backward" if "backward" in seen else "r.backward"
    path = tmp_path / "00_gradients.py"
    path.write_text(f"{seen}\n\ndef relu_backward(dy, x):\n    return {name}(dy, x)\n", encoding="utf-8")
    assert check_file(str(path), ID).kind == "library"


def test_catching_everything_does_not_hide_the_answer_being_called():
    def hides(dy, x):
        try:
            return under_another_name.backward(dy, x)
        except BaseException:  # noqa: BLE001
            return right(dy, x)

    assert check(ID, hides).kind == "library"


def test_calling_the_twin_or_the_backend_is_named():
    def twin(x, w, stride=1, padding="same"):
        from mini_nn.kernels import depthwise

        return depthwise.forward(x, w, stride, padding)

    def chosen(x, w, stride=1, padding="same"):
        from mini_nn import backend

        return backend.depthwise.forward(x, w, stride, padding)

    assert check("L1.depthwise_forward", twin).kind == "library"
    assert check("L1.depthwise_forward", chosen).kind == "library"


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("def relu_backward(dy, x)\n    return dy", "error", "line 1"),
        ("x = 3", "error", "has no function relu_backward"),
        ("1 / 0", "error", "ZeroDivisionError"),
        ("import nowhere", "error", "No module named 'nowhere'"),
    ],
)
def test_a_file_that_cannot_be_run_is_said_with_its_line(text, kind, sentence, tmp_path):
    path = tmp_path / "00_gradients.py"
    path.write_text(text, encoding="utf-8")
    result = check_file(str(path), ID)
    assert result.kind == kind
    assert sentence in str(result)


def test_the_public_names_are_as_promised(capsys):
    one = next(e for e in exercises() if e.id == "L1.depthwise_backward")
    assert one.lesson == "L1"
    assert list(one.signature.parameters) == ["dy", "x", "w", "stride", "padding"]
    assert one.mistakes.keys() == one.variants.keys()
    assert one.points > 0
    wrong = check(one.id, one.variants["stride_ignored_in_dx"])
    assert (wrong.passed, wrong.kind, wrong.mistake) == (False, "mistake", "stride_ignored_in_dx")
    assert str(find("L0.conv2d_backward").signature).startswith("(dy: ")
    assert list(find("L0.conv2d_backward").signature.parameters) == [
        "dy", "x", "w", "stride", "padding", "groups",
    ]  # fmt: skip
    show("L3.swish")
    assert "not passed yet" in capsys.readouterr().out
    assert check("L3.swish", lambda x: x / (1 + np.exp(-np.clip(x, -500, None)))).passed
    show("L3.swish")
    assert "def forward" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"there is no exercise 'L1.nothing'"):
        check("L1.nothing", right)
