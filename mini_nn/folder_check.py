"""What is in a folder of photographs: how many of each class, and what is broken, there twice, or in two classes."""

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mini_nn.data import Splits, folders
from mini_nn.data.similar import Look, groups
from mini_nn.ops import Array

UNEVEN = 3  # times as many photographs in the largest class as in the smallest
FEW = 10  # photographs of a class, below which it is hardly learned
LINES = 5  # of each finding, in a terminal

Item = tuple[str, Path]  # a class and a photograph


class Finding:
    """Something to know about a folder: a sentence, and what it is about."""

    def __init__(self, kind: str, sentence: str, items: Sequence[str] = ()) -> None:
        self.kind, self.sentence, self.items = kind, sentence, tuple(items)

    def __str__(self) -> str:
        return "\n    ".join(filter(None, [f"{self.kind}: {self.sentence}", several(self.items, "\n    ")]))


class Check:
    """A folder that was looked over.  Every photograph was decoded once; what cannot be read is left out."""

    def __init__(
        self,
        base: Path,
        items: Sequence[Item],
        looks: Sequence[Look],
        broken: Iterable[tuple[Path, str]] = (),
        ignored: Iterable[Path] = (),
        empty: Iterable[str] = (),
    ) -> None:
        self.base, self.looks = base, tuple(looks)
        self.paths = tuple(path for _, path in items)
        self.classes = tuple(dict.fromkeys(name for name, _ in items))
        self.y = np.array([self.classes.index(name) for name, _ in items], np.int64)
        self.broken, self.ignored, self.empty = tuple(broken), tuple(ignored), tuple(empty)

    @property
    def counts(self) -> Array:
        """Photographs that can be read, by class."""
        return np.bincount(self.y, minlength=len(self.classes))

    @cached_property
    def copies(self) -> list[list[int]]:
        """Groups of photographs with the same pixels."""
        same = defaultdict(list)
        for index, look in enumerate(self.looks):
            same[look.digest].append(index)
        return [group for group in same.values() if len(group) > 1]

    @cached_property
    def alike(self) -> list[list[int]]:
        """Groups of photographs that are the same or nearly: saved again, resized, a little brighter."""
        number = groups(self.looks, burst=-1.0)  # not what was merely taken within two seconds
        order = np.argsort(number, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
        return [part.tolist() for part in parts if len(part) > 1]

    @property
    def leaks(self) -> list[list[int]]:
        """Groups of the same or nearly the same photograph in two classes or more."""
        return [group for group in self.alike if len(set(self.y[group])) > 1]

    def splits(self, valid: float = 0.2, seed: int = 0) -> Splits:
        """A part to learn from and one to judge by; what belongs together stays on one side."""
        items = [(self.classes[label], path) for label, path in zip(self.y, self.paths, strict=True)]
        together = groups(self.looks)
        parts = folders.split_photos(self.base, items, self.classes, (224, 224), valid, seed, together)
        return parts._replace(broken=self.broken, ignored=self.ignored)

    def marks(self, paths: Iterable[Path]) -> list[str]:
        """A short hash of each photograph's pixels, by which it is known again."""
        digests = {path: look.digest for path, look in zip(self.paths, self.looks, strict=True)}
        return [digests[path].hex()[:16] for path in paths]

    @property
    def findings(self) -> list[Finding]:
        """What a person should know before a training, the worst first."""
        found = [*self.deeper(), *self.doubles(), *self.unreadable(), *self.uneven()]
        if self.ignored:
            kinds = Counter(path.suffix.lower() or "without a suffix" for path in self.ignored)
            what = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(LINES))
            found.append(
                Finding(
                    "passed over",
                    f"{len(self.ignored)}, no photographs by their name and content ({shown(what)})",
                )
            )
        return found

    def deeper(self) -> Iterable[Finding]:
        """train/cat, train/dog, val/cat, val/dog: how many data sets come."""
        below: dict[int, set[str]] = defaultdict(set)
        for label, path in zip(self.y, self.paths, strict=True):
            parts = path.relative_to(self.base).parts
            below[label].add(parts[1] if len(parts) > 2 else "")
        shared = set.intersection(*below.values()) if len(below) > 1 else set()
        if len(shared) > 1 and not any("" in names for names in below.values()):
            yield Finding(
                "deeper",
                f"each class holds the folders {several(map(shown, sorted(shared)))}; if these are the classes, give a "
                f"folder above them: {shown(str(self.base / self.classes[0]))}",
            )

    def doubles(self) -> Iterable[Finding]:
        if self.leaks:
            yield Finding(
                "in two classes",
                f"{len(self.leaks)} found in more than one class, exactly or nearly the same; one of the classes is wrong: "
                "delete what does not belong there",
                self.named(self.leaks),
            )
        exact = {tuple(group) for group in self.copies}
        inside = [group for group in self.alike if len(set(self.y[group])) == 1]
        same = [group for group in inside if tuple(group) in exact]
        near = [group for group in inside if tuple(group) not in exact]
        kept = "they stay on one side of the split"
        if same:
            yield Finding("copies", f"{len(same)} found more than once; {kept}", self.named(same))
        if near:
            yield Finding("nearly the same", f"{len(near)} found; {kept}", self.named(near))

    def unreadable(self) -> Iterable[Finding]:
        if self.broken:
            alike = defaultdict(list)
            for path, why in self.broken:
                alike[re.sub(r" \(.*\)", "", why)].append(self.name(path))
            reasons = sorted(alike.items(), key=lambda item: -len(item[1]))
            lines = [f"{several(names)}: {shown(why)}" for why, names in reasons]
            yield Finding("broken", f"{len(self.broken)} cannot be read and will be left out", lines)
        if self.empty:
            yield Finding(
                "empty",
                f"{several(map(shown, self.empty))}: no photograph that can be read, so it is no class",
            )

    def uneven(self) -> Iterable[Finding]:
        few = [f"{shown(name)} ({n})" for name, n in zip(self.classes, self.counts, strict=True) if n < FEW]
        if few:
            why = "a class of one cannot be judged" if 1 in self.counts else "expect little of them"
            yield Finding("few", f"{several(few)}: fewer than {FEW} photographs; {why}, add some")
        if len(self.classes) > 1 and max(self.counts) > UNEVEN * min(self.counts):
            most, least = int(np.argmax(self.counts)), int(np.argmin(self.counts))
            yield Finding(
                "uneven",
                f"{shown(self.classes[most])} has {self.counts[most]} photographs, {shown(self.classes[least])} has "
                f"{self.counts[least]}; who always says {shown(self.classes[most])} is right "
                f"{self.counts[most] / len(self.y):.0%} of the time, so compare with that",
            )

    def named(self, found: list[list[int]]) -> list[str]:
        return [several((self.name(self.paths[index]) for index in group), " = ") for group in found]

    def name(self, path: Path) -> str:
        """The path below the folder, on one line."""
        return shown(path.relative_to(self.base).as_posix())

    def __str__(self) -> str:
        width = max([5, *(len(shown(name)) for name in self.classes)])
        bar = 40 / max([40, *self.counts])
        lines = [
            f"{shown(str(self.base))}: {len(self.classes)} classes, {len(self.paths)} photographs",
            *(f"  {shown(name):<{width}} {n:>6} {'#' * max(1, round(n * bar))}"
              for name, n in zip(self.classes, self.counts, strict=True)),
            *(f"  {finding}" for finding in self.findings),
        ]  # fmt: skip
        return "\n".join(lines)


def several(names: Iterable[str], between: str = ", ") -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = [f"... and {len(every) - LINES} more"] if len(every) > LINES else []
    return between.join([*every[:LINES], *more])


def shown(text: str) -> str:
    """Text on one line that any terminal and file can hold: a file's name may have anything in it."""
    whole = text.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in whole)


def check(folder: str | os.PathLike[str], quiet: bool = False) -> Check:
    """Look over `folder/CLASS/**/PHOTO`.  ValueError where it is no folder; a broken photograph is a finding."""
    base = Path(folder)
    if not base.is_dir():
        raise ValueError(f"{shown(str(base))} is not a folder")
    found, ignored = folders.classes_of(base)
    items = [(name, path) for name, paths in found.items() for path in paths]
    return look_over(base, items, ignored, tuple(found), quiet)


def loose(folder: str | os.PathLike[str]) -> list[Path]:
    """The photographs that lie in the folder itself, in no class."""
    return [path for path in folders.listed(Path(folder)) if not path.is_dir() and folders.is_photo(path)]


def look_over(
    base: Path,
    items: Sequence[Item],
    ignored: Sequence[Path] = (),
    names: Sequence[str] = (),
    quiet: bool = False,
) -> Check:
    """Look at each (class, photograph), several at a time; names: the classes that there should be."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count(), "mini_nn-check") as pool:
        warnings.simplefilter("ignore")  # of Pillow, about headers: what matters, it raises
        seen = pool.map(examine, (path for _, path in items))
        bar = tqdm(seen, "checking", len(items), unit=" photos", disable=True if quiet else None, delay=2)
        both = list(zip(items, bar, strict=True))
    good = [(item, look) for item, look in both if isinstance(look, Look)]
    bad = [(path, why) for (_, path), why in both if isinstance(why, str)]
    here = {name for (name, _), _ in good}
    empty = [name for name in names if name not in here]
    return Check(base, [item for item, _ in good], [look for _, look in good], bad, ignored, empty)


def examine(path: Path) -> Look | str:
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114  (those of Path may raise)
        return "is a link that leads nowhere"
    return folders.examine(path)
