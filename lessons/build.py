"""Makes what students and instructors get, from each lesson's lesson.py and exercises.py.

    python -m lessons.build            notebooks/NN_topic.ipynb, solutions/NN_topic.ipynb, the table in lessons/README.md
    python -m lessons.build --work     work/NN_topic.py too, where they are not there yet

Nothing made here is edited by hand: the same sources give the same bytes.  Only notebooks need jupytext.
"""

import json
import re
import shutil
import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lessons import claims, source
from lessons.catalogue import LESSONS, Exercise, every, folders
from mini_nn.files import written_whole

SCORES = LESSONS.parent / "results" / "mutation_scores.json"  # in a clone; an installed package has none
EXERCISE = re.compile(r'exercise\("([\w.]+)"\)')
TABLE = re.compile(r"(?<=<!-- made by lessons.build -->\n).*?(?=<!-- end -->)", re.DOTALL)
REWARD = """## Your functions in a real network
The cell below checks your functions once more and lets those that pass work inside EfficientNet-Lite0, with its published
weights, on a photograph: `mine.show({...}, "cat.jpg")` takes another one. What you wrote into `work/` does the same in a terminal:
`mini-nn predict PHOTO --mine`."""


def lesson_exercises(lesson: str) -> list[Exercise]:
    return [exercise for exercise in every().values() if exercise.lesson == lesson]


def title(lesson: str) -> str:
    """The first heading of lesson.py."""
    path = LESSONS / folders()[lesson] / "lesson.py"
    found = re.search(r"^# # (.+)$", path.read_text("utf-8"), re.MULTILINE) if path.exists() else None
    return found[1].strip() if found else f"{lesson} {folders()[lesson][3:].replace('_', ' ')}"


def scores() -> dict[str, Any]:
    """What tools/mutation_score.py measured, by exercise."""
    return json.loads(SCORES.read_text("utf-8"))["exercises"] if SCORES.is_file() else {}


def strength(id: str) -> str:
    """How strong the check is, where it has been measured."""
    score = scores().get(id)
    if not score or not score["faults"]:
        return ""
    return (
        f"{score['faults']} small faults were put into the solution, one at a time, "
        f"and this check caught {score['caught'] / score['faults']:.0%} of them."
    )


def facts(exercise: Exercise) -> str:
    part = "core" if exercise.core else "extra"
    return f"{part}, {exercise.points} point{'s' * (exercise.points != 1)}, about {exercise.minutes} minutes"


def checked(exercise: Exercise) -> str:
    return f"{exercise.checks} {strength(exercise.id)}".strip()


def work_file(lesson: str) -> str:
    """The text of work/NN_topic.py."""
    exercises = lesson_exercises(lesson)
    imports = source.merged(line for e in exercises for line in source.stub_imports(e))
    top = f'"""{title(lesson)}: your file.\n\nWrite the bodies. `mini-nn learn` checks whenever you save; hints: `mini-nn learn hint`.\n"""'
    return "\n\n\n".join(["\n\n".join([top, "\n".join(imports)]), *map(section, exercises)]) + "\n"


def section(exercise: Exercise) -> str:
    """One exercise of the work file: task, checks, command, stub."""
    rule = f"# --- {exercise.id} ".ljust(source.WIDTH, "-")
    text = [
        facts(exercise) + ".",
        exercise.task,
        f"Checked: {checked(exercise)}",
        f"To check: mini-nn learn check {exercise.id}",
    ]
    lines = [line for part in text if part for line in textwrap.wrap(part, source.WIDTH - 2)]
    return "\n".join([rule, *(f"# {line}" for line in lines), source.stub(exercise).rstrip()])


def prepare(lesson: str, folder: str | Path = "work") -> Path:
    """The student's file, made where it is not there yet; one that is there stays as it is."""
    path = Path(folder, f"{folders()[lesson]}.py")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, work_file(lesson))
    return path


def backup(path: Path) -> Path:
    """A copy of the student's file in `backups` beside it, under a name that no other copy has."""
    copies = path.parent / "backups"
    copies.mkdir(exist_ok=True)
    copy = copies / f"{path.stem}.{datetime.now():%Y-%m-%d_%H%M%S_%f}.py"
    shutil.copy2(path, copy)
    return copy


def write(path: Path, text: str) -> None:
    with written_whole(path) as file:
        file.write(text.encode())


def notebook(lesson: str, solutions: bool = False) -> str:
    """The lesson as a notebook's JSON: with stubs for students, or with solutions for instructors; no outputs."""
    try:
        import jupytext
    except ImportError as error:
        raise ImportError("notebooks are made with jupytext: pip install 'mini-nn[course]'") from error
    text = (LESSONS / folders()[lesson] / "lesson.py").read_text("utf-8")
    cells = [(c.cell_type, c.source) for c in jupytext.reads(text, fmt="py:percent").cells]
    cells = [new for cell in cells for new in expanded(cell, solutions)] + reward(lesson)
    made: list[dict[str, Any]] = [
        {"cell_type": kind, "id": f"cell-{i:03d}", "metadata": {}, "source": lines.splitlines(keepends=True)}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for i, (kind, lines) in enumerate(cells)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def expanded(cell: tuple[str, str], solutions: bool) -> list[tuple[str, str]]:
    """The cells that stand for one of lesson.py's."""
    found = EXERCISE.fullmatch(cell[1].strip()) if cell[0] == "code" else None
    if not found:
        return [cell]
    exercise = every()[found[1]]
    own = (
        source.solution(exercise)
        if solutions
        else "\n".join(source.stub_imports(exercise)) + f"\n\n\n{source.stub(exercise)}"
    )
    return [
        ("markdown", presented(exercise)),
        ("code", own.strip()),
        ("code", f'check("{exercise.id}", {exercise.name})'),
        ("code", f'show("{exercise.id}")  # the library\'s version, once yours has passed'),
    ]


def presented(exercise: Exercise) -> str:
    hints = (
        f"<details><summary>Hint {i} of {len(exercise.hints)}</summary>\n\n{hint}\n\n</details>"
        for i, hint in enumerate(exercise.hints, 1)
    )
    task = f"{exercise.task}\n\n" if exercise.task else ""
    return f"**{exercise.id}**: {facts(exercise)}.\n\n{task}*Checked*: {checked(exercise)}\n\n" + "\n\n".join(
        hints
    )


def reward(lesson: str) -> list[tuple[str, str]]:
    """The last cells: the student's functions in a real network.  The capstone has none."""
    if not lesson_exercises(lesson):
        return []
    rows = "".join(f'    "{e.id}": {e.name},\n' for e in lesson_exercises(lesson) if e.mine)
    call = f"mine.show({{\n{rows}}})" if rows else "mine.show()  # what has passed in work/"
    return [("markdown", REWARD), ("code", f"from lessons import mine\n\n{call}")]


def table() -> str:
    """The lessons, their exercises and named mistakes, the strength of the checks, the minutes."""
    rows = [
        "| lesson | exercises | named mistakes | generated faults caught | minutes |",
        "|---|---|---:|---:|---:|",
    ]
    for lesson, folder in folders().items():
        some = lesson_exercises(lesson)
        listed = ", ".join(f"`{e.name}`{'' if e.core else ' (extra)'}" for e in some)
        measured = [score for e in some if (score := scores().get(e.id))]
        faults = sum(s["faults"] for s in measured)
        caught = f"{sum(s['caught'] for s in measured)} of {faults}" if faults else "not measured"
        core, all_minutes = (sum(e.minutes for e in some if e.core or extra) for extra in (False, True))
        minutes = str(core) if core == all_minutes else f"{core}, with extras {all_minutes}"
        rows.append(
            f"| [{title(lesson)}]({folder}/lesson.py) | {listed} | {sum(len(e.known) for e in some)} | {caught} | {minutes} |"
        )
    return "\n".join(rows) + "\n"


def artefacts() -> dict[str, str]:
    """Everything that is stored in the repository: path -> text."""
    made = {f"notebooks/{folder}.ipynb": notebook(lesson) for lesson, folder in folders().items()}
    readme = (LESSONS / "README.md").read_text("utf-8")
    titles = {lesson: title(lesson) for lesson in folders()}
    return made | {
        "lessons/README.md": TABLE.sub(lambda _: table(), readme),
        "lessons/CLAIMS.md": claims.page(titles),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(
        "python -m lessons.build", description="Make notebooks and work files from the lessons."
    )
    parser.add_argument(
        "--work", action="store_true", help="the students' files too, where they are not there yet"
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where to write (here)")
    args = parser.parse_args(argv)
    instructors = {
        f"solutions/{folder}.ipynb": notebook(lesson, True) for lesson, folder in folders().items()
    }
    for name, text in (artefacts() | instructors).items():
        path = args.out / name
        if path.parent.name != "lessons" or path.exists():  # the README lives in a clone only
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, text)
            print(path)
    if args.work:
        print(*(prepare(lesson, args.out / "work") for lesson in folders()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
