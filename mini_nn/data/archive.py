"""Unpacking what a stranger packed: everything is checked before the first byte is written."""

import gzip
import io
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

MAX_BYTES = 4 << 30  # unpacked; the largest data set here has 0.8 GB
MAX_RATIO = 100  # unpacked to packed; photographs have 1, text has 10, a bomb 1000
MAX_FILES = 200_000
FREE = 1 << 20  # bytes below which no ratio is a bomb
READERS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError)


class Member(NamedTuple):
    name: str
    size: int
    folder: bool
    oddity: str = ""  # why it may not be unpacked


def unpack(path: Path, target: Path, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> Path:
    """Unpack a .zip, .tar or .tar.gz into the folder `target`, which appears whole or not at all.

    ValueError, before anything is written, for: names that lead outside, links, devices, encryption, a name that comes
    twice, too many files, too many bytes, too high a ratio, and archives that are cut or damaged.
    """
    if target.exists():
        raise ValueError(f"{target} is there already; {path} was not unpacked over it")
    inspect(path, max_bytes, max_ratio)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as place:
        whole = Path(place) / "whole"
        whole.mkdir()
        with opened(path, max_bytes, max_ratio) as members:
            for member, content in members:
                write(member, content, whole)
        whole.replace(target)
    return target


def inspect(path: Path, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> list[Member]:
    """The members of an archive, or ValueError naming the first that may not be unpacked, and why."""
    seen: dict[str, Member] = {}
    total, packed = 0, max(path.stat().st_size, 1)
    with opened(path, max_bytes, max_ratio) as members:
        for member, _ in members:
            total += member.size
            why = member.oddity or bad_name(member.name)
            if member.name in seen and not member.folder:
                why = "its name comes twice"
            elif len(seen) >= MAX_FILES:
                why = f"the archive has more than {MAX_FILES:,} files"
            elif total > max_bytes:
                why = f"unpacked, the archive has more than {max_bytes:,} bytes"
            elif total > FREE and total / packed > max_ratio:
                why = f"the archive grows to more than {max_ratio:g} times its size: a bomb?"
            if why:
                raise ValueError(f"{path}: {member.name!r} is refused: {why}; nothing was unpacked")
            seen[member.name] = member
    return list(seen.values())


def bad_name(name: str) -> str:
    """Why a name may not be used on any system, or ''."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name in (".", "./"):
        return ""
    if not parts or "\0" in name:
        return "it has no name"
    if parts[0] == "/" or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        return "its name is absolute"
    return 'its name leads outside ("..")' if ".." in parts else ""


@contextmanager
def opened(path: Path, max_bytes: int, max_ratio: float) -> Iterator[Iterator[tuple[Member, Any]]]:
    """(member, its content as a file) for each member; what the readers raise becomes a ValueError."""
    most = min(max_bytes, int(max_ratio * path.stat().st_size)) + 16 * FREE
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            if start[:2] == b"PK":
                with zipfile.ZipFile(file) as packed:
                    yield zip_members(packed, path)
            elif start[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as plain:
                    yield tar_members(Bounded(plain, most))
            else:
                yield tar_members(Bounded(file, most))
    except (*READERS, OSError) as error:
        raise ValueError(f"{path} cannot be unpacked: {type(error).__name__}: {error}") from error


def tar_members(file: Any) -> Iterator[tuple[Member, Any]]:
    with tarfile.open(fileobj=file, mode="r|") as packed:
        for info in packed:
            link = "it is a link" if info.issym() or info.islnk() else ""
            odd = "" if info.isreg() or info.isdir() else "it is no plain file"
            sparse = "it is a sparse file" if info.issparse() else ""
            member = Member(info.name, max(info.size, 0), info.isdir(), link or odd or sparse)
            yield member, packed.extractfile(info) if info.isreg() else None


def zip_members(packed: zipfile.ZipFile, path: Path) -> Iterator[tuple[Member, Any]]:
    room = path.stat().st_size
    for info in packed.infolist():
        room -= info.compress_size
        kind = stat.S_IFMT(info.external_attr >> 16)
        odd = "it is a link" if kind == stat.S_IFLNK else ""
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            odd = "it is no plain file"
        elif info.flag_bits & 1:
            odd = "it is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            odd = "its compression is unusual"
        elif room < 0:
            odd = "its members overlap: a bomb?"
        member = Member(info.filename, info.file_size, info.is_dir(), odd)
        yield member, None if odd or info.is_dir() else packed.open(info)


class Bounded(io.RawIOBase):
    """A stream that ends in an error after `most` bytes: headers, too, can be a bomb."""

    def __init__(self, file: Any, most: int) -> None:
        self.file, self.left = file, most

    def read(self, count: int = -1) -> bytes:
        data: bytes = self.file.read(min(count, 1 << 20) if count >= 0 else 1 << 20)
        self.left -= len(data)
        if self.left < 0:
            raise OSError("it grows without an end")
        return data


def write(member: Member, content: Any, whole: Path) -> None:
    """Write one member below `whole`, exactly as many bytes as it declared."""
    place = whole / member.name
    if member.folder:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as file:
        shutil.copyfileobj(content, file)
        if file.tell() != member.size:
            raise ValueError(f"{member.name!r} holds {file.tell():,} bytes, but declares {member.size:,}")
