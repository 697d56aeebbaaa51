"""Which photographs show the same thing: judged on a copy of what was learned, a network looks better than it is."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mini_nn.ops import Array

MAX_BITS = 6  # of 64 that may differ; a saved-again or resized copy differs in 0 to 4, strangers in about 32
MAX_DETAIL = 0.12  # mean difference of two normalised thumbnails: copies 0.01 to 0.09, look-alikes from 0.125
MAX_LEVEL = 32  # grey levels between the means: 15 % brighter is about 25
TAKEN = (0x9003, 0x9004, 0x0132)  # DateTimeOriginal, DateTimeDigitized, DateTime


class Look(NamedTuple):
    """What is remembered of a photograph, about 800 bytes."""

    digest: bytes  # of the pixels
    bits: int  # 64-bit difference hash
    thumbnail: Array  # uint8 (16, 16, 3)
    camera: str
    taken: float | None  # seconds, from EXIF


def look(path: Path, pixels: Array) -> Look:
    """Look at a photograph that was read as uint8 (H, W, 3)."""
    image = Image.fromarray(pixels)
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
    thumbnail = np.asarray(image.resize((16, 16), Image.Resampling.BOX))
    return Look(digest, difference_hash(image), thumbnail, *when(path))


def difference_hash(image: Image.Image) -> int:
    """Is each of 9 x 8 grey cells darker than its right neighbour?  64 bits that survive scaling and JPEG.

    Source: N. Krawetz, "Kind of like that" (2013).
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS))
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


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

    for a, b in [*same(looks), *near(looks), *bursts(looks, burst)]:
        parent[max(root(a), root(b))] = min(root(a), root(b))
    return np.array([root(index) for index in range(len(looks))], np.int64)


def same(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    first: dict[bytes, int] = {}
    for index, item in enumerate(looks):
        yield first.setdefault(item.digest, index), index


def near(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Pairs whose hashes nearly agree and whose thumbnails confirm it.

    The hash alone is not enough: hands before a white wall agree in 60 bits by the hundred.
    """
    if not looks:
        return
    bits = np.array([item.bits for item in looks], np.uint64)
    thumbnails = np.stack([item.thumbnail for item in looks]).astype(np.float32)
    mean = thumbnails.mean((1, 2, 3))
    spread = thumbnails.std((1, 2, 3))
    detail = thumbnails.std((1, 2)).max(1)  # a plain wall has no detail to be recognised by
    for a in np.flatnonzero(detail >= 2):
        close = np.flatnonzero(np.bitwise_count(bits[a + 1 :] ^ bits[a]) <= MAX_BITS) + a + 1
        close = close[(detail[close] >= 2) & (abs(mean[close] - mean[a]) <= MAX_LEVEL)]
        one = (thumbnails[a] - mean[a]) / (spread[a] + 8)
        for b in close:
            other = (thumbnails[b] - mean[b]) / (spread[b] + 8)
            if abs(one - other).mean() < MAX_DETAIL:
                yield int(a), int(b)


def bursts(looks: Sequence[Look], gap: float) -> Iterable[tuple[int, int]]:
    timed = sorted(
        (item.camera, item.taken, index) for index, item in enumerate(looks) if item.taken is not None
    )
    for (camera, taken, a), (next_camera, later, b) in pairwise(timed):
        if camera == next_camera and later - taken <= gap:
            yield a, b
