"""Runs a function over the cases of an exercise and says what is wrong with it, by name where it can.

A mistake is named for an output (dx, dw, ...) when on every case the output equals what the wrong variant gives, so the
sentence "your dw is what you get when the stride is ignored" is a fact.  Everything here runs in the student's worker.
"""

import copy
import dis
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, edited, every, find, load
from lessons.compare import Difference, difference, equal
from lessons.feedback import Result, settings
from lessons.watch import Watch, nothing

SEED = 20_17  # of the cases


class LibraryCalled(BaseException):
    """The student's function calls the answer.  No Exception: `except Exception` must not hide it."""


@dataclass(frozen=True)
class Outcome:
    """What one call gave: outputs by name, or what it raised; and which of its arguments it changed."""

    outputs: dict[str, Any]
    raised: tuple[str, str] | None = None  # type and message
    where: str = ""  # the student's own line
    changed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """An output; what was raised stands for every output."""
        return self.raised if self.raised else self.outputs.get(name)


@cache
def cases(id: str) -> list[Case]:
    return list(find(id).cases(np.random.default_rng(SEED)))


@cache
def expected(id: str) -> list[Outcome]:
    return [attempt(find(id), find(id).function, case) for case in cases(id)]


@cache
def wrong(id: str, mistake: str) -> list[Outcome]:
    return [attempt(find(id), find(id).variants[mistake], case) for case in cases(id)]


def attempt(
    exercise: Exercise, function: Function, case: Case, after: Callable[[], None] = nothing
) -> Outcome:
    """Call the function on a copy of the case; after() runs right after it."""
    given = copy.deepcopy(dict(case))
    try:
        try:
            with np.errstate(all="ignore"):
                outputs = named(exercise.outputs, exercise.use(function, given))
        finally:
            after()
    except (LibraryCalled, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  (SystemExit too: an answer does not leave)
        return Outcome(
            {}, (type(error).__name__, said(error)), own_line(error, function), changed(given, case)
        )
    return Outcome(outputs, changed=changed(given, case))


def said(error: BaseException) -> str:
    """What an error says, if it can."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (a student's own class)
        return ""


def named(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The outputs by name; a wrong number of them stays together, for `difference` to see."""
    if len(names) == 1:
        return {names[0]: value}
    if not isinstance(value, tuple | list) or len(value) != len(names):
        return dict.fromkeys(names, Missing(len(names), value))
    return dict(zip(names, value, strict=True))


@dataclass(frozen=True)
class Missing:
    """In place of an output, where not as many came back as were asked for."""

    wanted: int
    value: Any

    def __str__(self) -> str:
        many = isinstance(self.value, tuple | list)
        got = f"{len(self.value)} values" if many else f"one {type(self.value).__name__}"
        return f"it should return {self.wanted} values, and returns {'None' if self.value is None else got}"


def changed(given: Case, case: Case) -> tuple[str, ...]:
    """The arguments that were written to."""
    arrays = ((name, value) for name, value in case.items() if isinstance(value, np.ndarray | list | dict))
    return tuple(name for name, value in arrays if not equal(given[name], value, 0.0))


def own_line(error: BaseException, function: Function | None) -> str:
    """The last line of the student's own code on the way to the error."""
    if isinstance(error, SyntaxError):
        return f"(line {error.lineno}: {(error.text or '').strip()})"
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames[-1:]
    return f"(line {own[-1].lineno}: {own[-1].line or ''})".replace(": )", ")") if own else ""


def judge(
    exercise: Exercise, make: Callable[[], Function], before: Callable[[], None] = lambda: None
) -> Result:
    """Say whether the function that make() gives is right, and if not, why.  before() runs right before make, and again
    before the calls."""
    answer, right = Answer(exercise), expected(exercise.id)
    given = cases(exercise.id)
    with guarded(exercise) as called:
        watch = Watch()
        before()
        try:
            try:
                function = make()
            finally:
                watch.put_back()
            before()
            found = [attempt(exercise, function, case, watch.put_back) for case in given]
        except LibraryCalled:
            found = []
        except MemoryError:
            return answer(
                "slow",
                "It asks for more memory than a check may use: is there an array that grows in a loop?",
            )
        except BaseException as error:  # noqa: BLE001
            return answer(
                "error",
                f"Your code cannot be run: {type(error).__name__}: {said(error)} {own_line(error, None)}".rstrip(),
            )
    if called:
        return answer("library", f"It calls {called[0]}, which is the answer. Write the steps yourself.")
    if watch.changed:
        return answer(
            "error",
            f"It changes {watch.changed[0]}, which everybody else uses too: give yours a name of its own.",
        )
    if blank := not_written(function, found):
        return answer("not written", blank)
    return verdict(answer, found, right)


def verdict(answer: "Answer", found: list[Outcome], right: list[Outcome]) -> Result:
    exercise = answer.exercise
    pairs = list(zip(found, right, strict=True))
    slack = 1e-4 if exercise.float32 and any(map(in_float32, found)) else exercise.tolerance
    bad = [name for name in exercise.outputs if any(not equal(f[name], r[name], slack) for f, r in pairs)]
    wrote = next((extra for f, r in pairs if (extra := sorted({*f.changed} - {*r.changed}))), None)
    if not bad and not wrote:
        return answer("passed", "")
    whole = next(
        (m for m in exercise.mistakes if found_is(wrong(exercise.id, m), found, exercise.outputs, slack)),
        None,
    )
    known = (
        [(bad[0] if bad else "changed", whole)]
        if whole
        else [
            (output, m) for output in bad or ["changed"] if (m := recognised(exercise, output, found, slack))
        ]
    )
    if known:
        return tell_mistake(answer, known, found, right, slack)
    if not bad and wrote:
        return answer(
            "mutated", f"It writes to its argument {wrote[0]}: make a new array, a + b and not a += b."
        )
    return tell_unknown(answer, bad, found, right, slack)


@dataclass
class Answer:
    """Makes the Result of one exercise."""

    exercise: Exercise

    def __call__(self, kind: str, text: str, mistake: str | None = None) -> Result:
        return Result(self.exercise.id, kind, text, mistake, self.exercise.points)


def not_written(function: Function, found: list[Outcome]) -> str:
    """A sentence where there is nothing to judge yet."""
    if found and all(f.raised and f.raised[0] == "NotImplementedError" for f in found):
        return "It is not written yet: replace `raise NotImplementedError` by your lines."
    code = getattr(function, "__code__", None)
    if code and all(step.opname in IDLE for step in dis.get_instructions(code)):
        return "It is not written yet: its body does nothing with its arguments."
    return ""


IDLE = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "CACHE", "COPY_FREE_VARS"}


def in_float32(outcome: Outcome) -> bool:
    return any(getattr(value, "dtype", None) == np.float32 for value in outcome.outputs.values())


def found_is(theirs: list[Outcome], found: list[Outcome], names: tuple[str, ...], slack: float) -> bool:
    """Whether every output of every case, and what was written to, is as in this wrong variant."""
    return all(
        f.changed == t.changed and all(equal(f[name], t[name], slack) for name in names)
        for f, t in zip(found, theirs, strict=True)
    )


def recognised(exercise: Exercise, output: str, found: list[Outcome], slack: float) -> str | None:
    """The known mistake that gives this output on every case; "changed" asks for the arguments written to."""
    for mistake in exercise.mistakes:
        theirs = wrong(exercise.id, mistake)
        if output == "changed":
            same = all(f.changed == t.changed for f, t in zip(found, theirs, strict=True))
        else:
            same = all(equal(f[output], t[output], slack) for f, t in zip(found, theirs, strict=True))
            right = expected(exercise.id)
            same = same and any(
                not equal(t[output], r[output], slack) for t, r in zip(theirs, right, strict=True)
            )
        if same:
            return mistake
    return None


def tell_mistake(
    answer: Answer, named: list[tuple[str, str]], found: list[Outcome], right: list[Outcome], slack: float
) -> Result:
    """The first mistake with its numbers side by side; the others by name."""
    exercise, (output, first) = answer.exercise, named[0]
    known = exercise.mistakes[first]
    text = f"{known.what} {known.look}"
    seen = smallest(exercise, output, found, right, slack) if output != "changed" else None
    if seen:
        text += f"\n{seen}"
    others = [(o, m) for o, m in named[1:] if m != first]
    for other, mistake in others:
        text += f"\nAnd {other}: {exercise.mistakes[mistake].what}"
    return answer("mistake", text, first)


def smallest(
    exercise: Exercise, output: str, found: list[Outcome], right: list[Outcome], slack: float
) -> Difference | None:
    """The first difference in the first case that has one, with the case's settings."""
    for case, f, r in zip(cases(exercise.id), found, right, strict=True):
        if not equal(f[output], r[output], slack):
            if f.raised and f.raised[0] == "TimeoutError":
                return Difference("slow", f.raised[1], settings(case))
            if f.raised:
                if f.raised[0] == "TypeError" and "argument" in f.raised[1]:
                    return Difference(
                        "error", f"{f.raised[1]}. Its arguments should be {arguments(exercise)}."
                    )
                return Difference(
                    "error", f"It raises {f.raised[0]}: {f.raised[1]} {f.where}".rstrip(), settings(case)
                )
            return difference(output, f[output], r[output], slack)._replace(case=settings(case))
    return None


def arguments(exercise: Exercise) -> str:
    """(dy, x, w, stride=1): without types."""
    plain = [p.replace(annotation=p.empty) for p in exercise.signature.parameters.values()]
    return str(inspect.Signature(plain))


def tell_unknown(
    answer: Answer, outputs: list[str], found: list[Outcome], right: list[Outcome], slack: float
) -> Result:
    """No known mistake: what is odd, where it begins, and the smallest case that shows it."""
    seen = [smallest(answer.exercise, output, found, right, slack) for output in outputs]
    first = min((s for s in seen if s), key=lambda s: KINDS.index(s.kind) if s.kind in KINDS else len(KINDS))
    good = [o for o in answer.exercise.outputs if o not in outputs]
    rest = f"\nRight already: {', '.join(good)}." if good else ""
    return answer(first.kind, f"{first}{rest}")


KINDS = ("slow", "error", "shape", "dtype", "nan", "unknown")


@contextmanager
def guarded(exercise: Exercise) -> Iterator[list[str]]:
    """While this lasts the answer, its twins, and every name bound to them in the library raise; the list says who was called."""
    called: list[str] = []
    answers = {id(load(place)): place.replace(":", ".") for place in (exercise.solution, *exercise.twins)}
    bound = [
        (module, key, value)
        for label, module in list(sys.modules.items())
        if label.partition(".")[0] in ("mini_nn", "lessons") and module is not None
        for key, value in list(vars(module).items())
        if id(value) in answers
    ]

    def refusing(what: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            called.append(what)
            raise LibraryCalled(what)

        return refuse

    for module, key, value in bound:
        setattr(module, key, refusing(answers[id(value)]))
    try:
        yield called
    finally:
        for module, key, value in bound:
            setattr(module, key, value)


def table(which: str) -> Iterator[str]:
    """For those who write exercises: does the solution pass, is every variant named as itself?"""
    for id, exercise in every().items():
        if not id.startswith(which):
            continue
        tried = [("solution", "passed", edited(exercise.solution)())]
        tried += [(mistake, mistake, wrong) for mistake, wrong in exercise.variants.items()]
        for label, wanted, function in tried:
            result = judge(exercise, lambda function=function: function)
            got = result.mistake or result.kind
            told = "" if got == wanted else f"-> {got}: {result.text}"
            yield f"{'BAD ' if told else 'ok  '} {id:28} {label:36} {told}"


if __name__ == "__main__":
    for line in table(sys.argv[1] if len(sys.argv) > 1 else "L"):
        print(line, flush=True)
