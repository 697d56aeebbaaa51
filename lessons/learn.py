"""The course in a terminal: your file, a check at every save, hints, and where you were.

`main` is what `mini-nn learn` runs.  What has been done is in work/progress.json; files are backed up before they are reset.
"""

import ast
import inspect
import json
import queue
import re
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import lessons
from lessons import build, source
from lessons.catalogue import Exercise, every, find, folders
from lessons.feedback import Result
from mini_nn.files import written_whole

KEYS = "Enter: check now   h: hint   n: next   l: list   s: solution   r: reset   q: quit"
POLL = 0.4  # seconds between two looks at the file


class Progress:
    """What a student has done: {"current": id, "exercises": {id: {"kind", "hints", "passed_on"}}}, kept in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "progress.json"
        self.current, self.rows = "", dict[str, dict[str, Any]]()
        if self.path.exists():
            try:
                kept = json.loads(self.path.read_text("utf-8"))
                self.current, self.rows = (
                    str(kept["current"]),
                    {str(k): dict(v) for k, v in kept["exercises"].items()},
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                aside = self.path.replace(self.path.with_suffix(".damaged.json"))
                print(f"{self.path} could not be read: it is now {aside.name}, and the list starts anew.")

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as file:
            file.write(json.dumps({"current": self.current, "exercises": self.rows}, indent=1).encode())

    def row(self, id: str) -> dict[str, Any]:
        return self.rows.setdefault(id, {})

    def kind(self, id: str) -> str:
        """What the last check said."""
        return str(self.rows.get(id, {}).get("kind", "not written"))

    def passed(self, id: str) -> bool:
        """Whether it has ever passed."""
        return "passed_on" in self.rows.get(id, {})

    def note(self, result: Result) -> None:
        self.row(result.exercise)["kind"] = result.kind
        if result.passed:
            self.row(result.exercise).setdefault("passed_on", str(date.today()))
        self.save()


def open_exercises(progress: Progress, lesson: str | None = None) -> list[Exercise]:
    """What is still to do: the core path in order, then the extras."""
    left = [e for e in every().values() if progress.kind(e.id) != "passed" and lesson in (None, e.lesson)]
    return sorted(left, key=lambda e: not e.core)


def following(progress: Progress, lesson: str | None = None) -> Exercise | None:
    """The next open exercise after the current one; from the start again when there is none behind it."""
    left = open_exercises(progress, lesson)
    order = {id: i for i, id in enumerate(every())}
    here = order.get(progress.current, -1)
    return next((e for e in left if e.core and order[e.id] > here), left[0] if left else None)


def at(progress: Progress, lesson: str | None = None) -> Exercise | None:
    """Where the student is: the current exercise while it is open, or the next one."""
    known = every().get(progress.current)
    if known and progress.kind(known.id) != "passed" and lesson in (None, known.lesson):
        return known
    return following(progress, lesson)


def meant(word: str) -> list[Exercise]:
    """What a student means: L1.depthwise_backward, depthwise_backward, or a whole lesson: L1, 1, 01."""
    if re.fullmatch(r"L?\d+", word, re.IGNORECASE):
        return build.lesson_exercises(lesson_named(word))
    named = [e for e in every().values() if word in (e.id, e.name)]
    return named if len(named) == 1 else [find(word)]


def lesson_named(word: str) -> str:
    lesson = f"L{int(word.lstrip('Ll') or -1)}" if word.lstrip("Ll").isdecimal() else word
    if lesson not in folders():
        raise ValueError(f"there is no lesson {word!r}; there are {', '.join(folders())}")
    if not build.lesson_exercises(lesson):
        raise ValueError(f"{lesson} has no functions to write: open notebooks/{folders()[lesson]}.ipynb")
    return lesson


def check(progress: Progress, exercise: Exercise) -> Result:
    """Check the student's own file, and remember what came out."""
    result = lessons.check_file(str(build.prepare(exercise.lesson, progress.folder)), exercise.id)
    progress.note(result)
    return result


def listed(progress: Progress) -> str:
    """Every exercise with its points and what the last check said."""
    lines = []
    for lesson in folders():
        some = build.lesson_exercises(lesson)
        lines += [f"\n{build.title(lesson)}"] if some else []
        for e in some:
            mark = ">" if e.id == progress.current else " "
            part, points = "core" if e.core else "extra", f"{e.points} point{'s' * (e.points != 1)}"
            state = "" if progress.kind(e.id) == "not written" else progress.kind(e.id)
            lines.append(f"{mark} {e.id:<32} {part:<6} {points:<10} {state}".rstrip())
    return "\n".join([*lines, "", tally(progress)]).strip("\n")


def tally(progress: Progress) -> str:
    done = [e for e in every().values() if progress.kind(e.id) == "passed"]
    points, most = sum(e.points for e in done), sum(e.points for e in every().values())
    return f"{len(done)} of {len(every())} exercises, {points} of {most} points"


def hint(progress: Progress, exercise: Exercise) -> str:
    """The hints so far and one more."""
    row = progress.row(exercise.id)
    row["hints"] = shown = min(row.get("hints", 0) + 1, len(exercise.hints))
    progress.save()
    last = "" if shown < len(exercise.hints) else "\nThat was the last one."
    return "\n".join(f"Hint {i}: {text}" for i, text in enumerate(exercise.hints[:shown], 1)) + last


def reset(progress: Progress, some: list[Exercise], whole: bool) -> str:
    """Put the stub back, or the whole file of a lesson; a copy of the file is kept."""
    path = build.prepare(some[0].lesson, progress.folder)
    copy = build.backup(path)
    build.write(path, build.work_file(some[0].lesson) if whole else with_stub(path, some[0]))
    for exercise in some:
        progress.row(exercise.id)["kind"] = "not written"
    progress.save()
    return f"{path} has the empty {'functions' if whole else some[0].name} again; what you had is in {copy}"


def with_stub(path: Path, exercise: Exercise) -> str:
    """The student's file with one function as it was at first; at the end, where it is missing."""
    text = path.read_text("utf-8")
    try:
        found = [
            n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == exercise.name
        ]
    except SyntaxError as error:
        raise ValueError(
            f"{path}, line {error.lineno}: {error.msg}; mend that line, or take the whole file anew: "
            f"mini-nn learn reset {exercise.lesson}"
        ) from error
    if not found:
        return f"{text.rstrip()}\n\n\n{build.section(exercise)}\n"
    lines, node = text.splitlines(), found[-1]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join([*lines[: first - 1], source.stub(exercise).rstrip(), *lines[node.end_lineno :], ""])


def solution(progress: Progress, exercise: Exercise) -> str:
    if not progress.passed(exercise.id):
        raise ValueError(
            f"{exercise.id} has not passed yet: its solution is shown after that; mini-nn learn hint helps"
        )
    return f"# {exercise.solution}\n{inspect.getsource(exercise.function)}".rstrip()


def presented(progress: Progress, exercise: Exercise) -> str:
    path = build.prepare(exercise.lesson, progress.folder)
    task = f"\n{exercise.task}" if exercise.task else ""
    return f"\n{exercise.id}: {build.facts(exercise)}. In {path}{task}\nChecked: {exercise.checks}"


def finished(progress: Progress, lesson: str | None) -> str:
    what = "Everything" if lesson is None else build.title(lesson)
    return f"{what} has passed. {tally(progress)}.\nYour functions in a real network: mini-nn predict PHOTO --mine"


def once(progress: Progress, exercise: Exercise | None, lesson: str | None = None) -> int:
    """Check the exercise, say what comes next.  0 when it passed."""
    if exercise is None:
        print(finished(progress, lesson))
        return 0
    progress.current = exercise.id
    print(presented(progress, exercise))
    result = check(progress, exercise)
    print(result)
    if result.passed:
        go_on(progress, lesson)
    return 0 if result.passed else 1


def go_on(progress: Progress, lesson: str | None) -> None:
    """Make the next open exercise the current one."""
    following_one = following(progress, lesson)
    progress.current = following_one.id if following_one else progress.current
    progress.save()
    print(f"Next: {following_one.id}" if following_one else finished(progress, lesson))


def keys() -> "queue.Queue[str]":
    """Lines as they are typed; 'q' at the end of input."""
    typed: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            typed.put(line.strip().lower()[:1])
        typed.put("q")

    threading.Thread(target=read, daemon=True).start()
    return typed


def stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:  # an editor is about to put the new file in its place
        return 0, 0
    return found.st_mtime_ns, found.st_size


def watch(
    progress: Progress, exercise: Exercise | None, lesson: str | None, typed: "queue.Queue[str]"
) -> int:
    """Check at every save, until everything has passed or the student leaves."""
    if exercise is None:
        print(finished(progress, lesson))
    while exercise is not None:
        path = build.prepare(exercise.lesson, progress.folder)
        seen = stamp(path)  # before the check: a save during it counts
        if once(progress, exercise, lesson) == 0:
            exercise = at(progress, lesson)
            continue
        print(f"Save {path} and it is checked again.  {KEYS}", flush=True)
        key = ""
        while key == "" and stamp(path) in (seen, (0, 0)):
            try:
                key = typed.get(timeout=POLL) or "check"
            except queue.Empty:
                continue
            if key in ANSWERS:
                print(told(ANSWERS[key], progress, exercise), flush=True)
                key, seen = ("check" if key == "r" else ""), stamp(path)
        if key == "q":
            print(f"{tally(progress)}. `mini-nn learn` goes on at {exercise.id}.")
            return 1
        if key == "n":
            exercise = following(progress, lesson)
    return 0


ANSWERS: dict[str, Callable[[Progress, Exercise], str]] = {
    "h": hint,
    "l": lambda progress, _: listed(progress),
    "s": solution,
    "r": lambda progress, exercise: reset(progress, [exercise], whole=False),
}


def told(answer: Callable[[Progress, Exercise], str], progress: Progress, exercise: Exercise) -> str:
    try:
        return answer(progress, exercise)
    except ValueError as error:
        return str(error)


def main(
    word: str | None = None, which: str | None = None, lesson: str | None = None, folder: str | Path = "work"
) -> int:
    """What `mini-nn learn [WORD] [ID]` does.  0 passed (or told), 1 not passed yet; ValueError for what it does not know."""
    progress, within = Progress(Path(folder)), lesson_named(lesson) if lesson else None
    some = meant(which) if which else [e for e in [at(progress, within)] if e]
    if word == "list":
        print(listed(progress))
        return 0
    if word == "next":
        go_on(progress, within)
        return 0
    if word in ("reset", "solution") and not which:
        raise ValueError(
            f"mini-nn learn {word} wants the exercise: mini-nn learn {word} {some[0].id if some else 'ID'}"
        )
    if word == "reset":
        print(reset(progress, some, whole=len(some) > 1))
        return 0
    if word in ("hint", "solution"):
        if len(some) > 1:
            raise ValueError(f"which one of {which}? {', '.join(e.name for e in some)}")
        print(ANSWERS[word[0]](progress, some[0]) if some else finished(progress, within))
        return 0
    if word == "check" and len(some) > 1:
        return max(once_of(progress, e) for e in some)
    first = next((e for e in some if progress.kind(e.id) != "passed"), some[0] if some else None)
    if word == "check" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return once(progress, first, within)
    try:
        return watch(progress, first, within, keys())
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; `mini-nn learn` goes on at {progress.current}") from None


def once_of(progress: Progress, exercise: Exercise) -> int:
    """One of several: only what came out."""
    result = check(progress, exercise)
    print(f"{result}\n")
    return 0 if result.passed else 1
