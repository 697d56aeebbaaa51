"""A folder of photographs, one sub-folder a class: what most people's own data looks like."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from tqdm import tqdm

from mini_nn import photos
from mini_nn.data.similar import Look, groups, look
from mini_nn.data.splits import PhotoSplit, Splits, check_valid, stratify

Broken = Literal["skip", "refuse"]
SUFFIXES = {
    *(
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".gif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
    ),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".avif", ".heic", ".heif"),
}
SNIFFED = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")  # photographs that lost their suffix


def folder(
    path: str | os.PathLike[str],
    size: tuple[int, int] = (224, 224),
    valid: float = 0.2,
    seed: int = 0,
    broken: Broken = "skip",
    burst: float = 2.0,
) -> Splits:
    """Read `path/CLASS/**/PHOTO`: any size and format, upright, in colour, `size` (height, width) when used.

    Each photograph is read once here, to find the broken ones (skipped and listed, or refused in one ValueError) and
    those that belong together, which stay on one side of the split (`burst`: seconds between neighbours of a burst).
    The split is stratified, and depends on the seed and the files' names only: new photographs hardly change it.
    """
    base, size = Path(path), check_size(size)
    check_valid(valid)
    if broken not in ("skip", "refuse"):
        raise ValueError(f'broken must be "skip" or "refuse", not {broken!r}')
    if not base.is_dir():
        raise ValueError(f"{base} is not a folder")
    found, ignored = classes_of(base)
    paths = [(name, item) for name, items in found.items() for item in items]
    with ThreadPoolExecutor(os.cpu_count(), "mini_nn-folder") as pool:
        seen = pool.map(examine, (item for _, item in paths))
        looks = list(
            tqdm(seen, f"reading {base}", len(paths), disable=None, delay=2)
        )  # None: off where nobody watches
    bad = tuple((item, seen) for (_, item), seen in zip(paths, looks, strict=True) if isinstance(seen, str))
    if bad and broken == "refuse":
        lines = "\n".join(f"  {item}: {why}" for item, why in bad)
        raise ValueError(f"{base}: {len(bad)} of {len(paths)} photographs cannot be read:\n{lines}")
    good = [
        (name, item, seen) for (name, item), seen in zip(paths, looks, strict=True) if isinstance(seen, Look)
    ]
    if not good:
        raise ValueError(
            f"{base} has no class sub-folder with a photograph that can be read; it should look like "
            f"{base / 'cat'}, {base / 'dog'}, ... ({len(bad)} broken, {len(ignored)} ignored)"
        )
    names = tuple(name for name in found if any(name == one for one, _, _ in good))
    empty = [base / name for name in found if name not in names]
    together = groups([seen for _, _, seen in good], burst)
    return split_photos(base, [(n, p) for n, p, _ in good], names, size, valid, seed, together)._replace(
        broken=bad, ignored=(*empty, *ignored)
    )


def split_photos(
    base: Path,
    items: list[tuple[str, Path]],
    classes: tuple[str, ...],
    size: tuple[int, int],
    valid: float,
    seed: int,
    together: np.ndarray,
) -> Splits:
    """Split (class, path) pairs.  A photograph's rank is a hash of the seed and its path below the folder."""
    y = np.array([classes.index(name) for name, _ in items], np.int64)
    rank = [
        hashlib.sha256(f"{seed}/{key(path.relative_to(base))}".encode(errors="surrogateescape")).digest()
        for _, path in items
    ]
    judged = stratify(y, valid, rank, together)
    every = PhotoSplit(y, classes, tuple(path for _, path in items), size)
    alike = [np.flatnonzero(together == number) for number in np.unique(together)]
    shown = tuple(tuple(items[i][1] for i in group) for group in alike if len(group) > 1)
    return Splits(
        every.take(np.flatnonzero(~judged)), every.take(np.flatnonzero(judged)), classes, alike=shown
    )


def key(path: Path) -> str:
    """A name to sort by and to hash, the same on every system: one kind of slash, one form of an accent."""
    return unicodedata.normalize("NFC", path.as_posix())


def classes_of(base: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """The photographs of each class sub-folder, in a stable order, and what was passed over."""
    found: dict[str, list[Path]] = {}
    ignored: list[Path] = []
    for entry in listed(base):
        if not entry.is_dir():
            ignored.append(entry)
            continue
        shown = found.setdefault(readable(entry.name), [])
        for item in walk(entry, (Path(os.path.realpath(base)),), set()):
            (shown if is_photo(item) else ignored).append(item)
    return found, ignored


def readable(name: str) -> str:
    """One form of an accent; what is not UTF-8 becomes the sign for that, so that any file can hold the name."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="replace"))


def listed(base: Path) -> list[Path]:
    """What a folder shows, sorted: no hidden files, no leavings of macOS and Windows."""
    seen = [item for item in base.iterdir() if not item.name.startswith((".", "__MACOSX"))]
    return sorted((item for item in seen if item.name not in ("Thumbs.db", "desktop.ini")), key=key)


def walk(item: Path, above: tuple[Path, ...], been: set[Path]) -> Iterable[Path]:
    """The file itself, or all files below a folder; a link that leads back up, or where we have been, is not followed."""
    real = Path(os.path.realpath(item))
    try:
        inside = listed(item) if item.is_dir() else None
    except OSError:  # it may not be entered
        inside = None
    if inside is None:
        yield item
    elif real not in been and not any(folder.is_relative_to(real) for folder in above):
        been.add(real)
        for below in inside:
            yield from walk(below, (*above, real), been)


def is_photo(path: Path) -> bool:
    """By its suffix; without a known one, by its content."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with Image.open(path, formats=SNIFFED):
            return True
    except Exception:  # noqa: BLE001  a parser may say anything of a file that nobody called a photograph
        return False


def examine(path: Path) -> Look | str:
    """What a photograph looks like, or why it cannot be read."""
    try:
        return look(path, photos.read(path))
    except ValueError as error:
        return str(error).removeprefix(f"{path}: ")


def check_size(size: Any) -> tuple[int, int]:
    pair = isinstance(size, tuple | list) and len(size) == 2
    if not pair or not all(isinstance(side, int | np.integer) and side >= 1 for side in size):
        raise ValueError(f"size must be (height, width), two whole numbers of at least 1, not {size!r}")
    return int(size[0]), int(size[1])
