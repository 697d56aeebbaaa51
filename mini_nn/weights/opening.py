"""Which kind of file it is, told from its first bytes (the ending only breaks a tie), and its reader."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mini_nn.weights import read_h5, read_safetensors, read_torch, read_zip
from mini_nn.weights.stored import Content, short

PICKLES = ".pth", ".pt", ".pkl", ".pickle", ".bin", ".ckpt"


def first_bytes(path: Path) -> bytes:
    """What tells the format.  OSError where the file cannot be read at all."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is not a regular file")
    with path.open("rb") as file:
        return file.read(512)


@contextmanager
def opened(path: Path, head: bytes) -> Iterator[Content]:
    """What the file, which begins with `head`, holds; ValueError says what is wrong with it."""
    refuse_text(head)
    file = np.memmap(path, np.uint8, "r")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        with read_h5.opened(path) as content:
            yield content
    elif head.startswith((b"PK\3\4", b"PK\5\6")):
        found = read_zip.spans(path, file)
        if "model.weights.h5" in found:
            raise ValueError(
                "it is a .keras archive; model.save_weights('NAME.weights.h5') writes what is read"
            )
        torch = any(name.endswith("data.pkl") for name in found)
        yield read_torch.read_zip(found) if torch else read_zip.read_npz(found)
    elif head[8:9] == b"{" or path.suffix.lower() == ".safetensors":
        yield read_safetensors.read(file)
    elif head.startswith(b"\x80") or path.suffix.lower() in PICKLES:
        yield read_torch.read_legacy(file)
    else:
        raise ValueError(f"it begins with {head[:8]!r}: not safetensors, .npz, PyTorch's .pth or HDF5")


def refuse_text(head: bytes) -> None:
    """The usual things that are downloaded in place of a checkpoint."""
    start = head.lstrip().lower()
    if not head:
        raise ValueError("it is empty")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError("it is a web page, not a checkpoint: the download went wrong")
    if start.startswith(b"version https://git-lfs"):
        raise ValueError("it is a Git LFS pointer, not the checkpoint itself: git lfs pull fetches that")
    if start.startswith((b"{", b"[")) and head[8:9] != b"{":
        raise ValueError(f"it is text, not a checkpoint: {short(head[:60].decode('latin-1'))}")
