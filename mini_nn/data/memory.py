"""Data sets that are arrays already: from memory, or from an .npz file."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn.data.splits import ArraySplit, Splits, stratify
from mini_nn.ops import Array

UNREADABLE = (OSError, EOFError, KeyError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def arrays(x: Any, y: Any, classes: Sequence[str] | None = None, who: str = "arrays") -> ArraySplit:
    """A split of x (N, H, W, C) or (N, H, W), uint8 or float in [0, 1], and y (N,) whole numbers from 0."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"{who}: x must be (N, H, W, C) or (N, H, W), not {x.shape}")
    if y.ndim == 2 and y.shape[1] == 1:  # as Keras stores CIFAR-10's
        y = y[:, 0]
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"{who}: y must be {x.shape[:1]} whole numbers, one an image, not {y.dtype} {y.shape}"
        )
    if x.dtype.kind == "f":
        low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
        if not (low >= 0 and high <= 1):  # also when one is NaN
            raise ValueError(f"{who}: x must be in [0, 1]; it goes from {low:g} to {high:g}")
        x = x.astype(np.float32)
    elif x.dtype != np.uint8:
        raise ValueError(f"{who}: x is {x.dtype}; uint8, or float in [0, 1], is needed")
    if len(y) and y.min() < 0:
        raise ValueError(f"{who}: the label {y.min()} is below 0")
    names = tuple(map(str, range(int(y.max()) + 1 if len(y) else 0) if classes is None else classes))
    if len(y) and y.max() >= len(names):
        raise ValueError(f"{who}: the label {y.max()} is none of the {len(names)} classes")
    return ArraySplit(y.astype(np.int64), names, np.ascontiguousarray(x))


def npz(path: str | os.PathLike[str], valid: float = 0.2, seed: int = 0) -> Splits:
    """A data set from an .npz file without pickles: x and y, split here (stratified, by seed); or, already split,
    x_train, y_train and x_valid, y_valid (or x_test, y_test).  `classes`, an array of names, may be with them."""
    path = Path(path)
    found = read_npz(path)
    classes = [str(name) for name in found["classes"]] if "classes" in found else None
    for other in ("valid", "test"):
        if {"x_train", "y_train", f"x_{other}", f"y_{other}"} <= found.keys():
            train, judged = (
                arrays(found[f"x_{part}"], found[f"y_{part}"], classes, f"{path}: {part}")
                for part in ("train", other)
            )
            if train.x.shape[1:] != judged.x.shape[1:]:
                raise ValueError(
                    f"{path}: x_train is {train.x.shape}, x_{other} {judged.x.shape}: other sizes"
                )
            names = max(train.classes, judged.classes, key=len)
            return Splits(replace(train, classes=names), replace(judged, classes=names), names)
    if not {"x", "y"} <= found.keys():
        raise ValueError(
            f"{path} holds {', '.join(found)}; x and y, or x_train, y_train, x_valid, y_valid, are needed"
        )
    every = arrays(found["x"], found["y"], classes, str(path))
    chosen = stratify(every.y, valid, np.random.default_rng(seed).permutation(len(every)))
    return Splits(every.take(np.flatnonzero(~chosen)), every.take(np.flatnonzero(chosen)), every.classes)


def read_npz(path: Path) -> dict[str, Array]:
    try:
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            return {name: file[name] for name in file.files}
    except (*UNREADABLE, ValueError) as error:
        raise ValueError(f"{path} is no .npz file of arrays: {error}") from error
