"""What an exercise is, and where all of them are found.

A lesson's exercises.py holds EXERCISES, a tuple of these.  The solution is a function of the library, or, for the few
small functions that only the course needs, one in the lesson's own exercises.py.  A wrong variant is the solution with one
edit: `edited(solution, old, new)`, so that it stays in step with the library.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

Function = Callable[..., Any]
Case = Mapping[str, Any]  # the arguments by name
LESSONS = Path(__file__).parent


@dataclass(frozen=True)
class Mistake:
    """A mistake that students make: how to name it, where to look, and a function that makes it."""

    id: str  # "stride_ignored_in_dx"
    what: str  # one sentence that ends "... when the stride is ignored": what was done, as a fact
    look: str  # one sentence: the line or the formula to look at
    make: Callable[[], Function]  # gives the wrong variant, when it is asked for


def plainly(function: Function, case: Case) -> Any:
    """Call the function on the case: how most exercises are used."""
    return function(**case)


@dataclass(frozen=True)
class Exercise:
    """One function to write, and all that is known about it."""

    id: str  # "L1.depthwise_backward"; what follows the dot is the name of the student's function
    solution: str  # "mini_nn.ops.depthwise:backward", module:function
    outputs: tuple[str, ...]  # the names of what it returns: ("dx", "dw")
    cases: Callable[[np.random.Generator], Iterable[Case]]  # from the smallest to the most telling
    known: tuple[Mistake, ...]
    hints: tuple[str, str, str]  # from a nudge to nearly the line
    points: int
    minutes: int
    checks: str  # a sentence for the student: what is compared with what, and how strongly
    task: str = ""  # two or three sentences: what to write; the solution's docstring comes under it
    core: bool = True  # False: an extra, beside the core path
    needs: str = (
        ""  # imports at the top of the student's file: "from mini_nn.ops.padding import pad, resolve"
    )
    use: Callable[[Function, Case], Any] = (
        plainly  # calls the student's function; gives the outputs, in order
    )
    twins: tuple[
        str, ...
    ] = ()  # "mini_nn.kernels.depthwise:backward": they pass too, and are not to be called
    mine: tuple[
        str, ...
    ] = ()  # where `predict --mine` puts the student's function: "mini_nn.ops.depthwise:backward"
    free: tuple[
        str, ...
    ] = ()  # constants of the solution that could be others as well: no fault is made in them
    tolerance: float = 1e-8  # of the largest number of an output, in float64
    float32: bool = True  # whether an answer in float32 is right, to 1e-4, when the inputs are float64

    @property
    def lesson(self) -> str:
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        return self.id.partition(".")[2]

    @cached_property
    def function(self) -> Function:
        return load(self.solution)

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @property
    def mistakes(self) -> dict[str, Mistake]:
        return {mistake.id: mistake for mistake in self.known}

    @cached_property
    def variants(self) -> dict[str, Function]:
        """Every known mistake's wrong function."""
        return {mistake.id: mistake.make() for mistake in self.known}


def load(where: str) -> Function:
    """The function at "module:name"."""
    module, _, name = where.partition(":")
    function: Function = getattr(importlib.import_module(module), name)
    return function


def edited(where: str, *changes: tuple[str, str]) -> Callable[[], Function]:
    """Gives the function at "module:name" with each old text, which must stand in it exactly once, made new."""

    def make() -> Function:
        function = load(where)
        source = without_docstring(inspect.getsource(function))
        for old, new in changes:
            pattern = r"\s*".join(map(re.escape, re.findall(r"\w+|\S", old)))  # however the lines are broken
            if (times := len(re.findall(pattern, source))) != 1:
                raise ValueError(f"{where} has {old!r} {times} times, not once: mend the mistake")
            indent = old[: len(old) - len(old.lstrip())]
            at = re.search(pattern, source)
            assert at is not None
            source = source[: at.start()] + new.removeprefix(indent) + source[at.end() :]
        names = dict(vars(inspect.getmodule(function)))
        exec(compile(source, f"<{where}, edited>", "exec"), names)  # noqa: S102  (our own source)
        wrong: Function = names[function.__name__]
        wrong.__module__ = "a_student"  # it is nobody's import: a pickle carries its code
        return wrong

    return make


def without_docstring(source: str) -> str:
    """The lines of a function but for its decorators, which may register it, and its docstring, whose words are no code to edit."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    lines, first = source.splitlines(keepends=True), node.lineno - 1
    if ast.get_docstring(node) is None or len(node.body) == 1:
        return "".join(lines[first:])
    return "".join(lines[first : node.body[0].lineno - 1] + lines[node.body[0].end_lineno :])


def mistake(id: str, what: str, look: str, where: str, *changes: tuple[str, str]) -> Mistake:
    """A Mistake that is an edit of the function at `where`."""
    return Mistake(id, what, look, edited(where, *changes))


@cache
def folders() -> dict[str, str]:
    """Lesson -> its folder: {"L0": "00_gradients", ...}, in order."""
    found = sorted(p.parent.name for p in LESSONS.glob("[0-9][0-9]_*/exercises.py"))
    return {f"L{int(name[:2])}": name for name in found}


@cache
def every() -> dict[str, Exercise]:
    """All exercises by id, in the order of the course."""
    modules = (importlib.import_module(f"lessons.{folder}.exercises") for folder in folders().values())
    return {exercise.id: exercise for module in modules for exercise in module.EXERCISES}


def find(id: str) -> Exercise:
    """The exercise of that id, or ValueError that says which ones there are."""
    if id not in every():
        near = [known for known in every() if re.search(re.escape(id.partition(".")[2] or id), known)]
        raise ValueError(f"there is no exercise {id!r}; there are {', '.join(near or every())}")
    return every()[id]
