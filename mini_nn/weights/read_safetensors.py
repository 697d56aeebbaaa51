"""The safetensors format: 8 bytes that say how long the header is, the header (JSON), the numbers."""

import json
from math import prod
from typing import Any

from mini_nn.ops import Array
from mini_nn.weights.stored import (
    MAX_HEADER,
    Content,
    Span,
    Stored,
    are_counts,
    is_shape,
    itemsize,
    numbers,
    short,
)

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"} | {
    f"{kind}{bits}": f"{name}{bits}"
    for kind, name in (("I", "int"), ("U", "uint"))
    for bits in (8, 16, 32, 64)
}


def read(file: Array) -> Content:
    """Describe the arrays of a safetensors file, every claim of its header checked.

    The format's own rule: the arrays cover all bytes after the header, without gap or overlap.
    """
    size, length = len(file), int.from_bytes(file[:8].tobytes(), "little")
    if size < 8 or length > size - 8:
        raise ValueError(f"truncated: its header claims {length} bytes, the file has {size}")
    if length > MAX_HEADER:
        raise ValueError(f"its header claims {length} bytes, more than any network needs")
    header = json.loads(file[8 : 8 + length].tobytes(), object_pairs_hook=unique)
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata is {short(metadata)}, not a JSON object")
    end, arrays = 8 + length, {}
    for name, claim in sorted(header.items(), key=lambda item: offsets(*item)):
        arrays[name], end = describe(file, name, claim, 8 + length, end)
    if end != size:
        raise ValueError(f"its arrays end at byte {end}, the file at byte {size}: truncated or damaged")
    own = metadata.get("mini_nn")
    return Content("safetensors", arrays, own if isinstance(own, str) else None)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header names the same thing twice")
    return found


def offsets(name: str, claim: Any) -> tuple[int, int]:
    """(begin, end) of an array, in bytes after the header."""
    pair = claim.get("data_offsets") if isinstance(claim, dict) else None
    if not are_counts(pair) or len(pair) != 2:  # type: ignore[arg-type]
        raise ValueError(f"its header gives {short(name)} no sound data_offsets")
    return pair[0], pair[1]  # type: ignore[index]


def describe(file: Array, name: str, claim: dict[str, Any], base: int, end: int) -> tuple[Stored, int]:
    """One array, which must start where the last one ended; and where it ends."""
    begin, stop = offsets(name, claim)
    dtype, shape = claim.get("dtype"), claim.get("shape")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{short(name)} has the unknown dtype {short(dtype)}")
    if not isinstance(shape, list) or not is_shape(shape):
        raise ValueError(f"{short(name)} claims the impossible shape {short(shape)}")
    needed = prod(shape) * itemsize(DTYPES[dtype])
    if base + begin != end or stop - begin != needed:
        raise ValueError(
            f"{short(name)} {tuple(shape)} {dtype} needs {needed} bytes from byte {end - base} on; "
            f"the header says {begin} to {stop}"
        )
    span = Span(file, base + begin, needed)

    def array() -> Array:
        return numbers(span.read(), DTYPES[dtype]).reshape(shape)

    return Stored(tuple(shape), DTYPES[dtype], array), base + stop
