"""weights.load: find every array of the model in a file, check all of them, and only then take their values."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Buffer, Layer, Parameter, named_layers
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.weights import native
from mini_nn.weights.opening import first_bytes, opened
from mini_nn.weights.sources import Source, recognise
from mini_nn.weights.stored import Content, Stored, short

log = logging.getLogger("mini_nn.weights")

FLOATS = "float16", "bfloat16", "float32", "float64"
CLASSIFIER = "classifier.weight", "classifier.bias"


class Loaded(NamedTuple):
    """What a call of `load` did."""

    source: str  # whose names the file has: mini_nn, timm, torchvision, EfficientNet-PyTorch, Keras
    tensors: int  # how many arrays of the model got a value
    note: str  # what the reader should know, or ''


class Wanted(NamedTuple):
    """An array of the model, and the layer that it belongs to."""

    item: Parameter | Buffer
    owner: Layer


def load(model: Layer, path: str | os.PathLike[str], head: str = "strict") -> Loaded:
    """Give the model the values in `path`: .safetensors, .npz, .pth, .h5 or .weights.h5, told from the file itself.

    head='skip' leaves the classifier as it is and ignores the file's.  One ValueError lists all that is
    missing, unused, misshapen or not finite, and the model stays as it was.  A model with values keeps its
    dtype; another takes the file's.  What the file does not tell, such as the padding that timm's values were
    trained with, is logged as a warning and returned.
    """
    done = read_into(model, path, head)
    if done.note:
        log.warning("%s: %s", path, done.note)
    return done


def read_into(model: Layer, path: str | os.PathLike[str], head: str = "strict") -> Loaded:
    """`load` without the warning, for a caller that knows the file's Convention."""
    native.check_model(model)
    if head not in ("strict", "skip"):
        raise ValueError(f"head must be 'strict' or 'skip', not {head!r}")
    file = native.as_path(path)
    wanted = {name: want for name, want in arrays_of(model) if head == "strict" or not in_classifier(name)}
    start = first_bytes(file)
    with naming(file), opened(file, start) as content:
        done, values = find_values(content, wanted, model, head)
    for name, value in values.items():
        wanted[name].item.value = value
    return done


def find_values(
    content: Content, wanted: dict[str, Wanted], model: Layer, head: str
) -> tuple[Loaded, dict[str, Array]]:
    """The new values by name, all of them checked, and what `load` will report."""
    if content.metadata is None:
        source = find(content, wanted, model, head)
        note, whose = expected(source, model), f"of {source.name}"
    else:
        passport = native.read_passport(content.metadata)
        note, whose = native.check_passport(passport, model), f"of mini_nn's {short(passport.model)}"
        source = find(native.with_checksums(content, passport), wanted, model, head)
    try:
        values = match(wanted, source)
    except ValueError as error:
        what = getattr(model, "recipe_name", f"this {type(model).__name__}")
        raise ValueError(f"its arrays, {whose}, do not fit {what}, which is as it was:\n{error}") from error
    return Loaded(source.name, len(values), note), values


def arrays_of(model: Layer) -> Iterator[tuple[str, Wanted]]:
    for where, owner in named_layers(model):
        for name, item in vars(owner).items():
            if isinstance(item, Parameter | Buffer):
                yield f"{where}.{name}" if where else name, Wanted(item, owner)


def in_classifier(name: str) -> bool:
    return name.startswith("classifier.")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever a broken or hostile file makes a parser raise becomes a ValueError that names the file."""
    try:
        yield
    except ImportError:  # of h5py; it says what to install
        raise
    except Exception as error:
        what = "" if isinstance(error, ValueError) else f"it is damaged: {type(error).__name__} "
        raise ValueError(f"{path}: {what}{error}") from error


def find(content: Content, wanted: dict[str, Wanted], model: Layer, head: str) -> Source:
    """Which of the file's arrays is which of ours; with head='skip' its classifier is left out."""
    names = [*wanted, *CLASSIFIER] if head == "skip" else list(wanted)
    source = recognise(content, names, getattr(model, "recipe_name", ""))
    if head == "strict":
        return source
    left_out = {source.theirs[name] for name in CLASSIFIER}
    arrays = {n: a for n, a in source.arrays.items() if n not in left_out and not in_classifier(n)}
    return source._replace(arrays=arrays)


def expected(source: Source, model: Layer) -> str:
    """Say what the names do not: the padding and eps that the values were trained with."""
    notes = [source.note] if source.note else []
    mine = model.convention if isinstance(model, Network) else None
    if source.name == "timm" and mine:
        notes.append(f"the model keeps its {mine}")
    theirs = source.expects
    if theirs and mine and (theirs.padding, theirs.eps) != (mine.padding, mine.eps):
        notes.append(
            f"{source.name}'s networks have padding {theirs.padding!r} and eps {theirs.eps}, the model has "
            f"{mine.padding!r} and {mine.eps} and keeps them: its predictions will be worse"
        )
    return "; ".join(notes)


def match(wanted: dict[str, Wanted], source: Source) -> dict[str, Array]:
    """The model's new values by name; one ValueError with everything that is wrong."""
    kept = next((want.item.value.dtype for want in wanted.values() if want.item.has_value), None)
    values, problems = {}, []
    for name, want in wanted.items():
        theirs = source.theirs[name]
        label = name if theirs == name else f"{name} ({theirs} in the file)"
        if theirs not in source.arrays:
            problems.append(f"missing: {label}")
            continue
        try:
            values[name] = fetch(want, source.arrays[theirs], source, kept)
            check_values(name, values[name])
        except ValueError as error:
            problems.append(f"{label} {error}")
    used = {source.theirs[name] for name in wanted}
    problems += [f"unused: {short(name)}" for name in source.arrays if name not in used]
    if problems:
        raise ValueError("\n".join(f"  {problem}" for problem in problems))
    return values


def fetch(want: Wanted, stored: Stored, source: Source, kept: Any) -> Array:
    """One array in our layout, its own copy, in its own dtype, the model's (`kept`) or the file's."""
    if stored.dtype not in FLOATS:
        raise ValueError(f"holds {stored.dtype}; one of {', '.join(FLOATS)} is needed")
    shape = source.layout(want.owner, np.broadcast_to(np.int8(0), stored.shape)).shape
    if shape != want.item.shape:
        there = f"{stored.shape}" if shape == stored.shape else f"{stored.shape}, here {shape}"
        raise ValueError(f"has the shape {there}; {want.item.shape} is needed")
    dtype = want.item.value.dtype if want.item.has_value else kept
    dtype = dtype or np.dtype(np.float64 if stored.dtype == "float64" else np.float32)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused
        return np.array(source.layout(want.owner, stored.read()), dtype, order="C")


def check_values(name: str, value: Array) -> None:
    if not np.isfinite(value).all():
        raise ValueError(f"is not finite (NaN or infinity) in {value.dtype}")
    if name.endswith("running_var") and (value < 0).any():
        raise ValueError(f"has a negative variance, {value.min()}")
