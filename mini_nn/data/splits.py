"""What a data set is here: a sequence of (image, label), cut into a part to learn from and a part to judge by."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image, ImageOps

from mini_nn import photos
from mini_nn.ops import Array


@dataclass(frozen=True, eq=False)
class Split(ABC):
    """Images with labels: `len(split)`, `split[i]` is (float32 image (H, W, C) in [0, 1], label), `y` all labels."""

    y: Array  # int64 (N,), an index into classes
    classes: tuple[str, ...]

    @abstractmethod
    def image(self, index: int) -> Array:
        """The image as float32 (H, W, C) in [0, 1]."""

    @abstractmethod
    def name(self, index: int) -> str:
        """How an error names the image: a path, or a number."""

    @abstractmethod
    def take(self, indices: Sequence[int] | Array) -> Self:
        """A split of these images only, in this order."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of a split of {len(self)}")
        return self.image(index), int(self.y[index])

    def __iter__(self) -> Iterator[tuple[Array, int]]:
        return (self[index] for index in range(len(self)))

    def arrays(self) -> tuple[Array, Array]:
        """All images at once, x float32 (N, H, W, C) and y int64 (N,): for small sets."""
        if not len(self):
            raise ValueError("this split is empty")
        return np.stack([self.image(index) for index in range(len(self))]), self.y

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images, {len(self.classes)} classes)"


@dataclass(frozen=True, eq=False, repr=False)
class ArraySplit(Split):
    """Images that are in memory: x (N, H, W, C), float32 in [0, 1], or uint8 to save three quarters of the room."""

    x: Array

    def image(self, index: int) -> Array:
        image: Array = self.x[index]
        image.flags.writeable = False  # this view only: an augmentation cannot spoil the data
        return image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image

    def name(self, index: int) -> str:
        return f"image {index}"

    def take(self, indices: Sequence[int] | Array) -> Self:
        chosen = np.asarray(indices, np.int64)
        return replace(self, x=self.x[chosen], y=self.y[chosen])


@dataclass(frozen=True, eq=False, repr=False)
class PhotoSplit(Split):
    """Photographs that stay on disk; each use decodes one anew.  `replace(split, size=(96, 96))` changes the size."""

    paths: tuple[Path, ...]
    size: tuple[int, int]  # height, width

    def image(self, index: int) -> Array:
        return self.pixels(index).astype(np.float32) / np.float32(255)

    def pixels(self, index: int) -> Array:
        """uint8 (H, W, 3): scaled until it covers `size`, aspect ratio kept, and cut out of the middle."""
        photo = Image.fromarray(photos.read(self.paths[index]))
        height, width = self.size
        return np.asarray(ImageOps.fit(photo, (width, height), Image.Resampling.BICUBIC))

    def name(self, index: int) -> str:
        return str(self.paths[index])

    def take(self, indices: Sequence[int] | Array) -> Self:
        chosen = np.asarray(indices, np.int64)
        return replace(self, paths=tuple(self.paths[i] for i in chosen), y=self.y[chosen])

    def in_memory(self) -> ArraySplit:
        """Decode every photograph once and keep the bytes: H * W * 3 for each."""
        x = np.empty((len(self), *self.size, 3), np.uint8)
        for index in range(len(self)):
            x[index] = self.pixels(index)
        return ArraySplit(self.y, self.classes, x)


class Splits(NamedTuple):
    """A data set: what to train on, what to judge by, and what was noticed while it was read."""

    train: Any  # Split: ArraySplit or PhotoSplit
    valid: Any
    classes: tuple[str, ...]
    broken: tuple[tuple[Path, str], ...] = ()  # photographs that cannot be read, and why
    alike: tuple[tuple[Path, ...], ...] = ()  # identical, near-identical or in one burst: kept on one side
    ignored: tuple[Path, ...] = ()  # files that are no photographs, folders without any
    note: str = ""  # to be said beside any result

    def __str__(self) -> str:
        lines = [f"{'class':<20} {'train':>7} {'valid':>7}"]
        for label, name in enumerate(self.classes):
            counts = [int((part.y == label).sum()) for part in (self.train, self.valid)]
            lines.append(f"{name:<20} {counts[0]:>7} {counts[1]:>7}")
        lines.append(f"{'in all':<20} {len(self.train):>7} {len(self.valid):>7}")
        lines += first("broken", [f"{path}: {why}" for path, why in self.broken])
        lines += first("kept on one side", [", ".join(path.name for path in group) for group in self.alike])
        lines += first("ignored", [str(path) for path in self.ignored])
        return "\n".join([*lines, self.note] if self.note else lines)


def first(what: str, lines: list[str], most: int = 5) -> list[str]:
    """A few lines and a count, instead of hundreds."""
    more = [f"{what}: {len(lines) - most} more"] if len(lines) > most else []
    return [f"{what}: {line}" for line in lines[:most]] + more


def check_valid(valid: Any) -> None:
    if not isinstance(valid, int | float) or not 0 <= valid < 1:
        raise ValueError(f"valid must be a share of at least 0 and below 1, not {valid!r}")


def stratify(
    y: Array, valid: float, rank: Sequence[Any] | Array, group: Sequence[int] | Array | None = None
) -> Array:
    """Choose what is judged by: a bool (N,), the same share `valid` of every class, whole groups only.

    `rank` orders the images: the groups that come first are chosen, as long as no class gets more than its share.
    A class of two images or more gives at least one, unless they all are one group; a class of one trains.
    """
    check_valid(valid)
    groups: dict[int, list[int]] = {}
    for index in sorted(range(len(y)), key=lambda index: rank[index]):
        groups.setdefault(index if group is None else int(group[index]), []).append(index)
    size = np.bincount(y)
    share = np.where(size > 1, np.clip(np.rint(valid * size), 1, size - 1), 0) if valid else size * 0
    counts = {key: np.bincount(y[members], minlength=len(size)) for key, members in groups.items()}
    chosen, taken = set(), np.zeros_like(size)

    def choose(key: int) -> None:
        chosen.add(key)
        taken[:] += counts[key]

    for key in groups:
        if np.all(taken + counts[key] <= share):
            choose(key)
    for label in np.flatnonzero((taken == 0) & (share > 0)):  # all its groups are larger than its share
        for key in sorted(groups, key=lambda key: len(groups[key])):
            if (
                counts[key][label]
                and taken[label] == 0
                and np.all((taken + counts[key] < size) | (counts[key] == 0))
            ):
                choose(key)
    judged = np.zeros(len(y), bool)
    judged[[index for key in chosen for index in groups[key]]] = True
    return judged
