"""Our own files, .safetensors and .npz: the arrays under our names, and beside them, as JSON, what they are."""

import json
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mini_nn.blocks import Convention
from mini_nn.core import Layer, named_arrays
from mini_nn.files import written_whole
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.weights.stored import Content, Stored, short

VERSION = 1
ENDINGS = ".safetensors", ".npz"


class Passport(NamedTuple):
    """What a file of ours says of itself; a layer that is no Network has no model, options and convention."""

    version: int
    model: str | None
    options: dict[str, Any]
    convention: Convention | None
    crc32: dict[str, int]  # of each array's bytes: a damaged file is refused, not believed

    def to_json(self) -> str:
        convention = self.convention and self.convention._asdict()
        return json.dumps({**self._asdict(), "convention": convention}, default=lambda number: number.item())


def save(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write all Parameters and Buffers to `path`, .safetensors or .npz: whole, or not at all.

    A network's name, options and Convention go with them.  ValueError names the first array without a value
    or with one that is not finite.
    """
    check_model(model)
    target = as_path(path)
    if target.suffix.lower() not in ENDINGS:
        raise ValueError(f"weights.save: {target} must end in {' or '.join(ENDINGS)}")
    arrays = {}
    for name, item in named_arrays(model):
        if not item.has_value or not np.isfinite(item.value).all():
            what = "is not finite (NaN or infinity)" if item.has_value else "has no value yet"
            raise ValueError(f"weights.save: {name} {what}; nothing was written")
        arrays[name] = np.ascontiguousarray(item.value)  # safetensors writes other strides wrongly, silently
    text = passport(model, arrays).to_json()
    with written_whole(target) as file:
        if target.suffix.lower() == ".npz":
            about = {"mini_nn": np.frombuffer(text.encode(), np.uint8)}
            np.savez(file, **about, **arrays)  # type: ignore[arg-type]
        else:
            from safetensors.numpy import save as to_bytes

            file.write(to_bytes(arrays, {"mini_nn": text}))


def as_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"a path is needed, not {path!r}")
    return Path(os.fsdecode(path))


def check_model(model: object) -> None:
    if not isinstance(model, Layer):
        raise ValueError(f"weights: the model must be a Layer, not {type(model).__name__}")


def passport(model: Layer, arrays: dict[str, Array]) -> Passport:
    sums = {name: crc32(array) for name, array in arrays.items()}
    if not isinstance(model, Network):
        return Passport(VERSION, None, {}, None, sums)
    options = {key: value for key, value in model.options.items() if key != "convention"}
    return Passport(VERSION, model.recipe_name, options, model.convention, sums)


def crc32(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def read_passport(text: str) -> Passport:
    """Parse what `save` wrote; ValueError where it is something else."""
    found = json.loads(text)
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise ValueError("its metadata are not mini_nn's")
    if found["version"] > VERSION:
        raise ValueError(
            f"it is of version {short(found['version'])}, this mini_nn reads {VERSION}: update it"
        )
    kinds = {"model": str | None, "options": dict, "convention": dict | None, "crc32": dict}
    if found.keys() != set(Passport._fields) or any(not isinstance(found[key], kinds[key]) for key in kinds):
        raise ValueError("its metadata are damaged")
    fields = found["convention"]
    if fields is not None:
        plain = all(
            isinstance(value, str | int | float) and len(str(value)) < 40 for value in fields.values()
        )
        if fields.keys() != set(Convention._fields) or not plain:
            raise ValueError("its Convention is damaged")
        found["convention"] = Convention(**fields)
    return Passport(**found)


def check_passport(passport: Passport, model: Layer) -> str:
    """Refuse another Convention, naming every field that differs.  Returns what else the reader should know."""
    if not isinstance(model, Network):
        return ""
    theirs, mine = passport.convention, model.convention
    if theirs is None:
        return "the file does not say with which Convention its values were trained"
    if theirs != mine:
        pairs = zip(Convention._fields, theirs, mine, strict=True)
        differing = ", ".join(f"{field} ({a!r} there, {b!r} here)" for field, a, b in pairs if a != b)
        raise ValueError(
            f"it was saved with {theirs}, the model has {mine}; they differ in {differing}; "
            "build the model with the file's convention"
        )
    there, here = passport.options.get("stem_stride"), model.options["stem_stride"]
    return "" if there == here else f"the file's network has stem_stride {short(there)}, the model {here}"


def with_checksums(content: Content, passport: Passport) -> Content:
    """The same arrays, each compared with its checksum when it is read."""

    def checked(name: str, stored: Stored) -> Stored:
        def read() -> Array:
            array = stored.read()
            if crc32(array) != passport.crc32.get(name):
                raise ValueError("fails its checksum: the file is damaged")
            return array

        return stored._replace(read=read)

    return content._replace(arrays={name: checked(name, stored) for name, stored in content.arrays.items()})
