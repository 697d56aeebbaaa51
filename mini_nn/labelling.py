"""Photographs without classes: a sheet on which like lies beside like, and a table to write the classes into."""

import csv
import io
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from tqdm import tqdm

from mini_nn import photos
from mini_nn.files import written_whole
from mini_nn.folder_check import Item, several, shown
from mini_nn.ops import Array

COLUMNS, ROWS = 10, 15  # photographs on a sheet
SIDE, GAP, LINE = 128, 8, 18  # pixels: a photograph, the room between, a line of text
HEADER = ("number", "file", "class")


def order(features: Array) -> Array:
    """From each photograph to the most similar one that is left: a permutation of range(n).

    similarity = cosine of features (n, d) from which their mean was taken; the first is the one least like the others.
    """
    x = features - features.mean(0)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    here, left, found = int((x @ x.mean(0)).argmin()), np.ones(len(x), bool), list[int]()
    while True:
        found.append(here)
        left[here] = False
        if not left.any():
            return np.array(found)
        here = int(np.where(left, x @ x[here], -np.inf).argmax())


def sheets(paths: Sequence[Path], folder: Path, quiet: bool = False) -> list[Path]:
    """Draw numbered photographs as contact_sheet.png, contact_sheet_2.png, ..., COLUMNS x ROWS on each."""
    written = []
    starts = range(0, len(paths), COLUMNS * ROWS)
    for start in tqdm(starts, "contact sheets", disable=True if quiet else None, delay=2):
        page = start // (COLUMNS * ROWS)
        target = folder / ("contact_sheet.png" if page == 0 else f"contact_sheet_{page + 1}.png")
        with written_whole(target) as file:
            sheet(paths[start : start + COLUMNS * ROWS], start + 1).save(file, "PNG")
        written.append(target)
    return written


def sheet(paths: Sequence[Path], first: int) -> Image.Image:
    """One sheet; the first photograph has the number `first`."""
    columns = min(COLUMNS, len(paths))
    wide, high = SIDE + GAP, SIDE + LINE + GAP
    page = Image.new("RGB", (columns * wide + GAP, -(-len(paths) // columns) * high + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for i, path in enumerate(paths):
        left, top = GAP + i % columns * wide, GAP + i // columns * high
        small = ImageOps.contain(Image.fromarray(photos.read(path)), (SIDE, SIDE))
        page.paste(small, (left + (SIDE - small.width) // 2, top + LINE + (SIDE - small.height) // 2))
        pen.text((left, top), str(first + i), "black", font)
    return page


def write(target: Path, paths: Sequence[Path], base: Path) -> None:
    """A table (CSV, UTF-8) of the photographs in this order, the class of each left empty."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for number, path in enumerate(paths, 1):
        name = path.relative_to(base).as_posix()
        safe = f"./{name}" if name[0] in "=+-@" else name  # a spreadsheet would take it for a formula
        rows.writerow((number, safe, ""))
    with written_whole(target) as file:
        # with a mark that tells Excel that it is UTF-8; names of other bytes keep them
        file.write(text.getvalue().encode("utf-8-sig", "surrogateescape"))


def read(table: str | os.PathLike[str], base: Path) -> list[Item]:
    """(class, photograph) of each row with a class.  ValueError names the lines that are wrong, all in one sentence."""
    path = Path(table)
    if not path.is_file():
        raise ValueError(f"{path}: there is no such table of classes")
    rows = table_of(path)
    items: dict[Path, str] = {}
    wrong: list[str] = []
    for row in rows:
        name, label = (row["file"] or "").strip(), unicodedata.normalize("NFC", (row["class"] or "").strip())
        photo = base / os.path.normpath(name)
        if why := trouble(base, name, label) or clash(items, photo, label):
            wrong.append(f"line {rows.line_num}: {why}")
        elif label:
            items[photo] = label
    if wrong:
        raise ValueError(f"{path}: {several(wrong, '; ')}")
    if not items:
        raise ValueError(
            f"{path}: no row has a class yet; write one into the column class of each photograph"
        )
    return sorted(((label, photo) for photo, label in items.items()), key=lambda item: item[0])


def table_of(path: Path) -> "csv.DictReader[str]":
    """The rows of a table as `write` made it, or as a spreadsheet has saved it."""
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    head = text.partition("\n")[0].strip()
    between = max(",;\t", key=head.count)  # spreadsheets of some languages write ; or tabs
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=between)
    try:
        names = [name.strip().lower() for name in rows.fieldnames or ()]
    except csv.Error:
        names = []
    if not {"file", "class"} <= set(names):
        raise ValueError(
            f"{path}: line 1 must name the columns file and class, it is {shown(head[:60])!r}; save it as CSV UTF-8"
        )
    rows.fieldnames = names
    return rows


def trouble(base: Path, name: str, label: str) -> str:
    """What is wrong with a row by itself."""
    below = Path(os.path.normpath(name))
    if not name:
        return f"the class {shown(label)!r} has no file" if label else ""
    if below.is_absolute() or below.parts[:1] == ("..",):
        return f"{shown(name)!r} is not in {shown(str(base))}"
    if not os.path.lexists(base / below):
        return f"there is no {shown(name)!r} in {shown(str(base))}"
    if any("\ud800" <= letter <= "\udfff" for letter in label):
        return f"the class {shown(label)!r} is not UTF-8; save the table as CSV UTF-8"
    return ""


def clash(items: dict[Path, str], photo: Path, label: str) -> str:
    """Whether an earlier row gave the photograph another class."""
    before = items.get(photo, label)
    return (
        f"{shown(photo.name)!r} is {shown(before)!r} in a line above and {shown(label)!r} here"
        if before != label
        else ""
    )
