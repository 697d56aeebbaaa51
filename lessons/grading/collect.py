"""Whatever students handed in, as clean notebooks: a folder of files or of folders, or a zip file of Moodle's or Canvas's.

Submissions are strangers' files.  Nothing is unpacked, no link is followed, and a name decides nothing but who it is.  A clean
notebook is the released one, cell by cell, with the student's answers in it and the student's other cells between them.
"""

import copy
import json
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lessons.build import write
from lessons.grading.release import Classroom, cell_id

MOST = 100 << 20  # bytes of one notebook, with outputs
MOODLE = re.compile(r"^(?P<who>.+)_assignsubmission_file(?:_.*)?$")
CANVAS = re.compile(r"^(?P<who>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_.+$")
IGNORED = {"__MACOSX", ".ipynb_checkpoints"}


class Found(NamedTuple):
    """A file that was handed in."""

    name: PurePosixPath  # within the folder or the zip file
    read: Callable[[], bytes]


class Submission(NamedTuple):
    student: str  # a name that is safe in a path and in a table
    came_as: str
    problem: str = ""  # why it cannot be graded
    canvas: str = ""  # the number of the student there, if the file's name tells
    remarks: tuple[str, ...] = ()  # what is odd, and does not matter


def collect(source: str | Path, manifest: dict[str, Any], root: Classroom) -> list[Submission]:
    """Write root/submitted/STUDENT/LESSON/NOTEBOOK.ipynb for every student; who they are, and who cannot be graded."""
    groups: dict[str, list[tuple[Found, str, str]]] = {}
    for found in files(Path(source)):
        who, canvas = student(found.name)
        groups.setdefault(who.casefold(), []).append((found, who, canvas))
    if not groups:
        raise ValueError(f"{source} holds no notebook (.ipynb)")
    released = json.loads(
        Path(root, "release", manifest["lesson"], f"{manifest['notebook']}.ipynb").read_text("utf-8")
    )
    return [one(group, manifest, released, Path(root)) for _, group in sorted(groups.items())]


def one(
    group: list[tuple[Found, str, str]], manifest: dict[str, Any], released: dict[str, Any], root: Path
) -> Submission:
    _, who, canvas = group[0]
    right = [found for found, *_ in group if found.name.name == f"{manifest['notebook']}.ipynb"] or [
        found for found, *_ in group
    ]
    names = ", ".join(str(found.name) for found in right)
    if len(right) > 1:
        return Submission(who, names, "several notebooks of one student: keep the one that counts", canvas)
    path = root / "submitted" / who / manifest["lesson"] / f"{manifest['notebook']}.ipynb"
    try:
        cells, remarks = parsed(right[0].read())
        clean, more = merged(cells, released)
    except ValueError as error:
        return Submission(who, names, str(error), canvas)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(clean, indent=1, ensure_ascii=True, sort_keys=True) + "\n"
    if not path.is_file() or path.read_text("utf-8") != text:
        write(path, text)
    return Submission(who, names, "", canvas, (*remarks, *more))


def files(source: Path) -> Iterator[Found]:
    """Every notebook in a folder or in a zip file."""
    if source.is_dir():
        for path in sorted(source.rglob("*.ipynb")):
            name = PurePosixPath(path.relative_to(source).as_posix())
            if not IGNORED & set(name.parts):
                yield Found(name, lambda path=path: read_file(path, source))  # type: ignore[misc]
    elif zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        for info in archive.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if name.suffix.lower() == ".ipynb" and not IGNORED & set(name.parts):
                yield Found(name, lambda info=info: read_member(archive, info))  # type: ignore[misc]
    else:
        raise ValueError(f"{source} is neither a folder nor a zip file of submissions")


def read_file(path: Path, source: Path) -> bytes:
    try:
        if not path.resolve().is_relative_to(source.resolve()):
            raise ValueError("a link to a file elsewhere")
        if not path.is_file():
            raise ValueError("no file")
        if path.stat().st_size > MOST:
            raise ValueError(f"{path.stat().st_size >> 20} MB: more than {MOST >> 20}")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise ValueError(f"cannot be read: {error}") from error


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MOST:
        raise ValueError(f"{info.file_size >> 20} MB: more than {MOST >> 20}")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise ValueError(f"cannot be unpacked: {error}") from error


def student(name: PurePosixPath) -> tuple[str, str]:
    """(who, number at Canvas or ''): the first folder's name, or the file's."""
    parts = [part for part in name.parts if part not in ("/", "..", ".")]
    first = parts[0] if len(parts) > 1 else PurePosixPath(parts[-1]).stem
    if found := MOODLE.match(first):
        return safe(found["who"]), ""
    if len(parts) == 1 and (found := CANVAS.match(first)):
        return safe(f"{found['who']}_{found['id']}"), found["id"]
    return safe(first), ""


def safe(name: str) -> str:
    """Letters, digits and . _ - @ only, none of . - @ first: no path, no pattern, no formula of a spreadsheet."""
    plain = re.sub(r"[^\w.@-]+", "_", unicodedata.normalize("NFKC", name)).strip("._-@")
    return plain[:80] or "nameless"


def parsed(data: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """The cells, each {"kind", "source", "grade_id"}, of a notebook in any version of the format; ValueError says what it is instead."""
    try:
        book = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no notebook: it is not JSON ({str(error)[:80]})") from error
    if not isinstance(book, dict):
        raise ValueError("no notebook: its JSON is no object")
    sheets = book.get("worksheets")
    cells = (
        sheets[0].get("cells")
        if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict)
        else book.get("cells")
    )
    if not isinstance(cells, list):
        raise ValueError(f"no notebook: it has no list of cells (nbformat {book.get('nbformat')!r})")
    found = [plain for cell in cells if (plain := plain_cell(cell))]
    remarks = [] if len(found) == len(cells) else [f"{len(cells) - len(found)} cells cannot be read"]
    if book.get("nbformat") != 4:
        remarks.append(f"written in nbformat {str(book.get('nbformat'))[:20]}, not 4")
    kernel = inside(book, "metadata", "kernelspec", "name")
    if kernel not in (None, "python3", "python"):
        remarks.append(f"made for the kernel {str(kernel)[:40]}; run with Python")
    return found, remarks


def plain_cell(cell: Any) -> dict[str, Any] | None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw", "heading"):
        return None
    source = cell.get("source", cell.get("input", ""))  # nbformat 3 says input
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    kind, id = (
        ("code" if cell["cell_type"] == "code" else "markdown"),
        inside(cell, "metadata", "nbgrader", "grade_id"),
    )
    text = source.encode("utf-8", "replace").decode()  # halves of a character cannot be written to a file
    return {"kind": kind, "source": text, "grade_id": id if isinstance(id, str) else None}


def inside(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def merged(cells: list[dict[str, Any]], released: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The released notebook with the student's answers; other cells stay behind the cell that they followed."""
    known = {inside(cell, "metadata", "nbgrader", "grade_id") for cell in released["cells"]}
    answers, others, at, doubles = dict[str, str](), dict[Any, list[dict[str, Any]]](), None, Counter[str]()
    for cell in cells:
        id = cell["grade_id"]
        doubles[str(id)] += 1
        if id in known and doubles[id] == 1:
            at, answers[id] = id, cell["source"]
        elif cell["source"].strip() and not (id in known and cell["source"] == answers[id]):
            others.setdefault(at, []).append(cell)
    made = [own_cell(cell) for cell in others.get(None, [])]
    for cell in copy.deepcopy(released["cells"]):
        id, facts = cell["metadata"]["nbgrader"]["grade_id"], cell["metadata"]["nbgrader"]
        if facts["solution"]:
            cell["source"] = answers.get(
                id, "" if cell["cell_type"] == "markdown" else "# this cell was deleted"
            )
        made += [cell, *map(own_cell, others.get(id, []))]
    for i, cell in enumerate(made):
        cell["id"] = f"cell-{i:03d}"
    remarks = []
    if gone := [id for id in known if id not in answers and not id.endswith(("-top", "-import", "-task"))]:
        remarks.append(f"deleted cells: {', '.join(sorted(gone)[:6])}" + (" ..." if len(gone) > 6 else ""))
    if again := [id for id in known if doubles[id] > 1]:
        remarks.append(f"copied cells: {', '.join(sorted(again)[:6])}")
    return released | {"cells": made}, remarks


def own_cell(cell: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": cell["kind"], "metadata": {}, "source": cell["source"]}
    return made | ({"execution_count": None, "outputs": []} if cell["kind"] == "code" else {})


def cells(path: Path, ids: Iterable[str]) -> list[tuple[int, str, str]]:
    """What is run of a clean notebook: (number from 1, code, ''), and (number, '', the exercise) for a cell that is graded."""
    found, graded = [], {cell_id(id): id for id in ids}
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"], 1):
        if id := graded.get(str(inside(cell, "metadata", "nbgrader", "grade_id"))):
            found.append((number, "", id))
        elif cell["cell_type"] == "code":
            found.append((number, python("".join(cell["source"])), ""))
    return found


def python(source: str) -> str:
    """The cell without what only IPython knows: %magic, !program, name?"""
    try:
        compile(source, "", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        if source.lstrip().startswith("%%"):
            first, _, rest = source.lstrip().partition("\n")
            return python(rest) if first.split()[0] in ("%%time", "%%timeit", "%%capture") else ""
        return re.sub(r"^(\s*)([%!].*|\??\??[\w.]+\?\??)$", r"\1pass", source, flags=re.MULTILINE)
    return source
