"""The process that runs one submission: its cells, then each of its functions on the cases.  It judges nothing.

In comes one line of JSON, {"cells": [[number, source, id that is checked after it, if any], ...], "ids": [...], "folder": ...}; out go lines of JSON: where it is, what
a cell or the fence said, and each function's outputs.  Its parent counts a line that is not one of these as nothing.
"""

import json
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lessons import judge
from lessons.catalogue import Exercise, find, load
from lessons.grading import HIDDEN
from lessons.grading.fence import Fence
from lessons.grading.wire import pack_outcome
from lessons.worker import limit_memory, limit_time

Names = dict[str, Any]


def serve() -> None:
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what is printed is dropped, however much it is
        os.dup2(nowhere, number)
    lock, order = threading.Lock(), json.loads(requests.readline())

    def tell(**message: Any) -> None:
        line = json.dumps(message).encode() + b"\n"
        with lock:
            answers.write(line)
            answers.flush()

    run(order["cells"], order["ids"], order["folder"], tell)
    tell(at="end")
    os._exit(0)  # no thread of the submission's keeps the process


def run(cells: list[list[Any]], ids: list[str], folder: str, tell: Callable[..., None]) -> None:
    judge.SEED, judge.own_line = HIDDEN, own_line
    threading.excepthook = sys.unraisablehook = lambda _: None  # type: ignore[assignment]
    for id in ids:
        rehearse(find(id))
    hide_the_course(lambda name: tell(incident="looks for the check", which=f"lessons.{name}"))
    limit_memory()
    Fence(
        folder,
        (file for id in ids for file in answers_of(find(id))),
        lambda what, which: tell(incident=what, which=which),
    ).up()

    sys.modules["__main__"] = main = types.ModuleType("__main__")  # this file's own names are nobody's
    names, left = vars(main), list(ids)
    names |= {"display": nothing, "get_ipython": nothing}
    for number, source, *checked in cells:
        tell(at=number)
        limit_time()
        try:
            exec(compile(source, f"<cell {number}>", "exec"), names)  # noqa: S102  (that is what grading is)
        except BaseException as error:  # noqa: BLE001  (the other cells are run all the same)
            tell(failed=number, error=f"{type(error).__name__} {own_line(error, None)}".strip())
        left = [id for id in left if not (id in checked and used(id, names, tell))]
    for id in left:  # written behind its check, or nowhere
        used(id, names, tell, last=True)


def used(id: str, names: Names, tell: Callable[..., None], last: bool = False) -> bool:
    """Call the function that has the name now on all cases, and tell its outputs; where it is not written only the last time."""
    tell(at=id)
    limit_time()
    exercise, found, trouble = find(id), [], ""
    function = names.get(exercise.name)
    try:
        with disarmed(exercise, lambda: tell(incident="calls the library's answer", which=id)):
            found = [judge.attempt(exercise, function, case) for case in judge.cases(id)]
    except judge.LibraryCalled:
        pass
    except MemoryError:
        trouble = "slow"
    missing = not callable(function)
    blank = missing or bool(judge.not_written(function, found))
    if blank and not last:
        return False
    outcomes = [pack_outcome(outcome) for outcome in found]
    tell(found=id, blank=blank, missing=missing, trouble=trouble, outcomes=outcomes)
    return True


def own_line(error: BaseException, _: Any) -> str:
    """Where in the submission; no line of a file is read for it."""
    if isinstance(error, SyntaxError):
        return f"(line {error.lineno})"
    at, own = error.__traceback__, ""
    while at is not None:
        if (file := at.tb_frame.f_code.co_filename).startswith("<cell "):
            own = f"({file.strip('<>')}, line {at.tb_lineno})"
        at = at.tb_next
    return own


def rehearse(exercise: Exercise) -> None:
    """Make the cases, and use a function that is not written: what the exercise itself reads is read before the fence is up."""

    def stub(*_: Any, **__: Any) -> Any:
        raise NotImplementedError

    load(exercise.solution)  # its file is closed from now on
    for case in judge.cases(exercise.id)[:1]:
        judge.attempt(exercise, stub, case)


def hide_the_course(sought: Callable[[str], None]) -> None:
    """`lessons` is a stand-in whose check() says nothing; the exercises stay, as some look up names in their own files."""

    def missing(name: str) -> Any:
        if not name.startswith("_"):
            sought(name)
        raise AttributeError(f"lessons has no {name} while this is graded")

    stand_in = types.ModuleType("lessons")
    for name in ("check", "check_file", "exercise", "exercises", "mine", "picture", "show"):
        setattr(stand_in, name, nothing)
    for name in [n for n in sys.modules if n.split(".")[0] == "lessons" and not n.endswith(".exercises")]:
        del sys.modules[name]
    stand_in.__getattr__ = missing  # type: ignore[method-assign]
    kinds = types.ModuleType("lessons.catalogue")  # of what a stub's head names
    kinds.Function, kinds.Case = Callable[..., Any], Mapping[str, Any]  # type: ignore[attr-defined]
    sys.modules |= {"lessons": stand_in, "lessons.catalogue": kinds}


def nothing(*_: Any, **__: Any) -> None:
    """What a notebook's own checks do while it is graded."""


def answers_of(exercise: Exercise) -> Iterator[str]:
    """The files that hold the solution and its twins."""
    for place in (exercise.solution, *exercise.twins):
        path = Path(__file__).parents[2].joinpath(*place.partition(":")[0].split(".")).with_suffix(".py")
        yield from map(str, (path, *path.parent.glob(f"__pycache__/{path.stem}.*.pyc")))


@contextmanager
def disarmed(exercise: Exercise, called: Callable[[], None]) -> Iterator[None]:
    """While this lasts the answer and its twins raise, by whatever way they are reached."""

    def refuse(*_: Any, **__: Any) -> Any:
        called()
        raise judge.LibraryCalled

    sys.modules["_refusing"] = stand_in = types.ModuleType("_refusing")
    stand_in.refuse = refuse  # type: ignore[attr-defined]
    places = [p for p in (exercise.solution, *exercise.twins) if p.partition(":")[0] in sys.modules]
    plain = [f for f in map(load, places) if isinstance(f, types.FunctionType) and not f.__code__.co_freevars]
    codes = [function.__code__ for function in plain]
    for function in plain:
        function.__code__ = relay.__code__.replace(co_filename=function.__code__.co_filename)
    try:
        with judge.guarded(exercise) if "numba" in sys.modules else nullcontext([]) as reached:
            yield
    finally:
        for function, code in zip(plain, codes, strict=True):
            function.__code__ = code
        if reached:
            called()


def relay(*args: Any, **kwargs: Any) -> Any:
    import _refusing

    return _refusing.refuse(*args, **kwargs)


if __name__ == "__main__":
    serve()
