"""What every command is made of, and what they share: kinds of words, and how they complain."""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import NamedTuple

MODEL = "model.safetensors"


class Command(NamedTuple):
    """A row of COMMANDS: its name, what it is for, a function args -> exit code, and what it takes."""

    name: str
    help: str
    run: Callable[[Namespace], int]
    takes: Callable[[ArgumentParser], None] = lambda parser: None  # noqa: ARG005
    examples: str = ""


def png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise ArgumentTypeError(f"{text!r} does not end in .png")
    return Path(text)


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def whole(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """'160' or '160x224' (height x width)."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ArgumentTypeError(f"{text!r} is no size: 160, or height x width as 160x224")
    return int(sides[0]), int(sides[-1])


def holds_model(word: str) -> bool:
    """Whether a word names the folder of a run, or its model.safetensors."""
    path = Path(word)
    return os.path.isfile(path / MODEL) or (path.suffix == ".safetensors" and os.path.isfile(path))  # noqa: PTH113


def expand(word: str) -> list[str]:
    """The files that a pattern names: Windows leaves that to the program."""
    if os.path.exists(word):  # noqa: PTH110  (Path.exists raises where a folder may not be entered)
        return [word]
    return sorted(glob(word)) or [word]  # noqa: PTH207  (Path.glob takes no absolute pattern)


def complain(text: str) -> None:
    print(f"mini-nn: {text}", file=sys.stderr, flush=True)
