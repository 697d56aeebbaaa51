"""All that a training run needs to go on, in one file that is written whole or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn.core import Layer, Named, named_arrays, named_layers
from mini_nn.files import written_whole
from mini_nn.layers import Dropout
from mini_nn.ops import Array
from mini_nn.optim import EMA, Optimiser

FILE = "checkpoint.npz"


def save(folder: Path, model: Layer, optimiser: Optimiser, ema: EMA | None, progress: dict[str, Any]) -> None:
    """Write model, optimiser, averages, random generators and `progress` (anything JSON can hold) to the folder."""
    arrays: dict[str, Array] = {f"model/{name}": item.value for name, item in named_arrays(model)}
    numbers: dict[str, Any] = {"progress": progress, "generators": [rng.state for rng in generators(model)]}
    for part, holder in (("optimiser", optimiser), ("ema", ema)):
        state = holder.state_dict() if holder else {}
        arrays |= {f"{part}/{key}": value for key, value in state.items() if isinstance(value, np.ndarray)}
        numbers[part] = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    with written_whole(folder / FILE) as file:
        np.savez(file, json=np.array(json.dumps(numbers)), **arrays)  # type: ignore[arg-type]


def load(folder: Path, model: Layer, optimiser: Optimiser, ema: EMA | None) -> dict[str, Any] | None:
    """Put everything back and return `progress`; None where there is no checkpoint.

    ValueError, with everything as it was, where the file is broken or belongs to another model or optimiser.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # a broken one would stay open
            arrays = {name: file[name] for name in file.files}
        numbers = json.loads(str(arrays.pop("json")))
    except Exception as error:  # zip, zlib, JSON and NumPy each raise their own
        raise ValueError(
            f"{path} is no checkpoint, or it is broken ({error}); delete it to start again"
        ) from error
    parts: dict[str, dict[str, Any]] = {part: dict(numbers[part]) for part in ("optimiser", "ema")} | {
        "model": {}
    }
    for name, array in arrays.items():
        part, _, key = name.partition("/")
        parts[part][key] = array
    own: dict[str, Named] = dict(named_arrays(model))
    shapes = {name: item.shape for name, item in own.items()}
    if shapes != {name: array.shape for name, array in parts["model"].items()}:
        raise ValueError(f"{path} belongs to another network: its arrays have other names or shapes")
    drawn = generators(model)
    if len(drawn) != len(numbers["generators"]) or bool(parts["ema"]) != (ema is not None):
        raise ValueError(f"{path} was made with other dropout layers, or with and without averages (ema)")
    before = optimiser.state_dict()
    optimiser.load_state_dict(parts["optimiser"])
    try:
        if ema:
            ema.load_state_dict(parts["ema"])
    except ValueError:
        optimiser.load_state_dict(before)
        raise
    for name, item in own.items():
        item.value = parts["model"][name]
    for rng, state in zip(drawn, numbers["generators"], strict=True):
        rng.state = state
    return dict(numbers["progress"])


def generators(model: Layer) -> list[Any]:
    """The random generators of all Dropout and StochasticDepth layers, in order."""
    return [p.rng.bit_generator for _, p in named_layers(model) if isinstance(p, Dropout) and p.rng]
