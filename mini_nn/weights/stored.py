"""Arrays in a file, described but not read: shapes are compared before any memory is spent on what a file claims."""

import zlib
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Shape
from mini_nn.ops import Array

MAX_AXES = 8
MAX_HEADER = 4 * 2**20  # bytes of names and shapes; those of EfficientNet-B7 take 0.2 million


class Span(NamedTuple):
    """Some bytes of a file that is mapped into memory, and their checksum where the format has one."""

    file: Array  # uint8: nothing of it is read before it is used
    start: int
    size: int
    crc: int | None = None

    def read(self) -> Array:
        """The bytes (uint8), once the checksum is right."""
        data = self.file[self.start : self.start + self.size]
        if self.crc is not None and zlib.crc32(data.data) != self.crc:
            raise ValueError(f"the record at byte {self.start} fails its checksum: the file is damaged")
        return data


class Stored(NamedTuple):
    """One array of a file.  dtype is NumPy's name for what lies in the file, or 'bfloat16'."""

    shape: Shape
    dtype: str
    read: Callable[[], Array]


class Content(NamedTuple):
    """What a file holds: its arrays by name, and the JSON that weights.save put beside them."""

    container: str
    arrays: dict[str, Stored]
    metadata: str | None = None


def itemsize(dtype: str) -> int:
    """Bytes of one number."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def numbers(data: Array, dtype: str) -> Array:
    """Little-endian bytes -> numbers; bfloat16, the upper half of a float32, is widened without loss."""
    if dtype == "bfloat16":
        return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return data.view(np.dtype(dtype).newbyteorder("<"))


def are_counts(value: object) -> bool:
    """A few whole numbers from 0 up: checked before a file's claims are computed with."""
    return (
        isinstance(value, list | tuple)
        and len(value) <= MAX_AXES
        and all(type(n) is int and 0 <= n < 2**48 for n in value)
    )


def is_shape(value: Any) -> bool:
    return are_counts(value) and prod(value) < 2**48


def short(value: object) -> str:
    """A name or value of the file, cut for a message; a hostile one may have any length and depth."""
    if isinstance(value, int | float | None) and not (isinstance(value, int) and value.bit_length() > 99):
        return repr(value)
    text = value if isinstance(value, str) else f"a {type(value).__name__}"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 120 else text[:120] + "..."
