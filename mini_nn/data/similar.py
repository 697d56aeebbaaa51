"""Which photographs show the same thing: judged on a copy of what was learned, a network looks better than it is."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mini_nn.ops import Array

# of thumbnails: copies saved again, resized, 20 % brighter 0 to 0.02; look-alikes from 0.03, strangers 0.3 to 1
MAX_DISTANCE = 0.025
MAX_COLOUR = 40  # grey levels between the mean colours: 20 % brighter is about 35
MIN_DETAIL = 2  # grey levels of contrast: a plain wall has nothing to be recognised by
BLOCK = 256  # photographs compared with all others at a time
TAKEN = (0x9003, 0x9004, 0x0132)  # DateTimeOriginal, DateTimeDigitized, DateTime


class Look(NamedTuple):
    """What is remembered of a photograph, about 500 bytes."""

    digest: bytes  # of the pixels
    thumbnail: Array  # uint8 (16, 16), grey
    colour: Array  # (3,), the mean
    camera: str
    taken: float | None  # seconds, from EXIF


def look(path: Path, pixels: Array) -> Look:
    """Look at a photograph that was read as uint8 (H, W, 3)."""
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
    small = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX)
    return Look(digest, np.asarray(small.convert("L")), np.asarray(small).mean((0, 1)), *when(path))


def when(path: Path) -> tuple[str, float | None]:
    """The camera's model, and the second at which it says that it took the photograph."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            tags = {**exif, **exif.get_ifd(0x8769)}
    except Exception:  # noqa: BLE001  EXIF is written by a thousand cameras: what cannot be read is not there
        return "", None
    for tag in TAKEN:
        try:
            taken = datetime.strptime(str(tags[tag]).strip("\0 "), "%Y:%m:%d %H:%M:%S")
            return str(tags.get(0x0110, "")), (taken - datetime(1970, 1, 1)).total_seconds()
        except (KeyError, ValueError):
            continue
    return "", None


def groups(looks: Sequence[Look], burst: float = 2.0) -> Array:
    """Number the groups of photographs that belong together: int (N,), equal numbers for one group.

    Together are identical pixels, near-identical ones, and what one camera took with at most `burst` seconds between
    neighbours; and, since it goes on from one to the next, whatever a chain of those connects.
    """
    parent = list(range(len(looks)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for a, b in chain(same(looks), near(looks), bursts(looks, burst)):
        parent[max(root(a), root(b))] = min(root(a), root(b))
    return np.array([root(index) for index in range(len(looks))], np.int64)


def same(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    first: dict[bytes, int] = {}
    for index, item in enumerate(looks):
        yield first.setdefault(item.digest, index), index


def near(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Pairs whose thumbnails agree but for brightness and contrast: 1 - correlation <= MAX_DISTANCE.

    With thumbnails a, b of mean 0 and length 1 that is |a - b|^2 / 2 = 1 - a.b, one matrix product for all pairs.
    """
    if not looks:
        return
    once = sorted({item.digest: index for index, item in enumerate(looks)}.values())  # same() has the copies
    looks = [looks[index] for index in once]
    grey = np.stack([item.thumbnail.ravel() for item in looks]).astype(np.float32)
    grey -= grey.mean(1, keepdims=True)
    detail = grey.std(1)
    unit = grey / np.sqrt((grey**2).sum(1, keepdims=True) + 4 * grey.shape[1])  # nearly 1: noise stays small
    half = (unit**2).sum(1) / 2
    colour = np.stack([item.colour for item in looks])
    for start in range(0, len(looks), BLOCK):
        rows = slice(start, start + BLOCK)
        distance = half[rows, None] + half - unit[rows] @ unit.T
        a, b = np.nonzero(
            (distance <= MAX_DISTANCE) & ((detail[rows, None] >= MIN_DETAIL) & (detail >= MIN_DETAIL))
        )
        a += start
        for i in np.flatnonzero((a < b) & (abs(colour[a] - colour[b]).max(1) <= MAX_COLOUR)):
            yield once[a[i]], once[b[i]]


def bursts(looks: Sequence[Look], gap: float) -> Iterable[tuple[int, int]]:
    timed = sorted(
        (item.camera, item.taken, index) for index, item in enumerate(looks) if item.taken is not None
    )
    for (camera, taken, a), (next_camera, later, b) in pairwise(timed):
        if camera == next_camera and later - taken <= gap:
            yield a, b
