"""What .npz and PyTorch's files have in common, a zip archive of uncompressed records; and .npz itself."""

import io
import struct
import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np

from mini_nn.ops import Array
from mini_nn.weights.stored import MAX_HEADER, Content, Span, Stored, is_shape, short

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, length of the name, length of the extra field
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
MAX_NPY_HEADER = 2**14  # bytes; NumPy itself stops at 10,000


def spans(path: Path, file: Array) -> dict[str, Span]:
    """The archive's records, after checking that none is compressed, outside the file, or inside another."""
    found: dict[str, Span] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = short(info.filename)
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise ValueError(
                    f"{name} is compressed ({info.file_size} bytes); save it without compression"
                )
            if info.flag_bits & 1:
                raise ValueError(f"{name} is encrypted")
            if info.filename in found:
                raise ValueError(f"{name} is in the archive twice")
            after = info.header_offset + LOCAL_HEADER.size
            head = file[max(info.header_offset, 0) : max(after, 0)].tobytes()
            if len(head) < LOCAL_HEADER.size or not head.startswith(b"PK\3\4"):
                raise ValueError(f"{name} has no header at byte {info.header_offset}")
            start = after + sum(LOCAL_HEADER.unpack(head)[1:])
            found[info.filename] = Span(file, start, info.file_size, info.CRC)
    check_apart(found.values(), len(file))
    return found


def check_apart(found: Iterable[Span], size: int) -> None:
    end = 0
    for record in sorted(found, key=lambda r: (r.start, r.size)):
        if record.start < end or record.start + record.size > size:
            raise ValueError(
                f"it claims a record of {record.size} bytes at byte {record.start}, "
                f"inside another one or past the file's {size} bytes"
            )
        end = record.start + record.size


def read_npz(found: dict[str, Span]) -> Content:
    """Describe the arrays that np.savez wrote."""
    arrays = {name.removesuffix(".npy"): describe(name, record) for name, record in found.items()}
    own = arrays.pop("mini_nn", None)
    if own and (own.dtype != "uint8" or prod(own.shape) > MAX_HEADER):
        raise ValueError("its metadata are not text")
    return Content("npz", arrays, own.read().tobytes().decode() if own else None)


def describe(name: str, record: Span) -> Stored:
    """One .npy record: a header that NumPy reads, then the numbers."""
    file = io.BytesIO(record._replace(crc=None).read()[:MAX_NPY_HEADER].tobytes())
    try:
        shape, fortran, dtype = NPY_HEADERS[np.lib.format.read_magic(file)](file)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{short(name)} has no sound .npy header: {short(str(error))}") from error
    start = file.tell()
    if not is_shape(shape) or dtype.kind not in "fiub":
        raise ValueError(f"{short(name)} holds {short(str(dtype))} {short(str(shape))}, not numbers")
    if start + prod(shape) * dtype.itemsize != record.size:
        raise ValueError(f"{short(name)} {shape} {dtype} does not fill its record of {record.size} bytes")

    def read() -> Array:
        data = record.read()[start:].view(dtype)
        return data.reshape(shape, order="F" if fortran else "C")

    return Stored(shape, dtype.name, read)
