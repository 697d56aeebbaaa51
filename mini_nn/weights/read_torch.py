"""PyTorch's .pth, without PyTorch: the zip archives of today, and the chain of pickles before version 1.6."""

import io
from math import prod
from typing import Any

import numpy as np

from mini_nn.ops import Array
from mini_nn.weights.stored import (
    MAX_HEADER,
    Content,
    Span,
    Stored,
    are_counts,
    is_shape,
    itemsize,
    numbers,
    short,
)
from mini_nn.weights.torch_pickle import Storage, Tensor, unpickle

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
WRAPPERS = "state_dict", "model_state_dict", "model"  # where training scripts put the tensors


def read_zip(found: dict[str, Span]) -> Content:
    """Describe the tensors of an archive: data.pkl says what data/0, data/1, ... are."""
    pickles = [name for name in found if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"it has {len(pickles)} data.pkl, not one")
    base, record = pickles[0].removesuffix("data.pkl"), found[pickles[0]]
    if record.size > MAX_HEADER:
        raise ValueError(f"its data.pkl claims {record.size} bytes, more than any network needs")
    order = found.get(f"{base}byteorder")
    if order and (order.size > 9 or order.read().tobytes() != b"little"):
        raise ValueError("it was written on a big-endian machine; save it again on a little-endian one")
    tensors = state_dict(unpickle(io.BytesIO(record.read().tobytes())))
    data = {name.removeprefix(f"{base}data/"): span for name, span in found.items()}
    return Content("torch zip", {name: describe(name, tensor, data) for name, tensor in tensors.items()})


def read_legacy(file: Array) -> Content:
    """Describe the tensors of a chain of five pickles, after which come the storages."""
    head = io.BytesIO(file[:MAX_HEADER].tobytes())
    if unpickle(head) != MAGIC:
        raise ValueError("it is a pickle, but not one that torch.save wrote")
    protocol, system = unpickle(head), unpickle(head)
    if protocol != PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it is of an unknown version of torch.save, or written on a big-endian machine")
    storages: dict[str, Storage] = {}
    tensors, keys = state_dict(unpickle(head, storages)), unpickle(head)
    if not isinstance(keys, list) or any(not isinstance(key, str) or key not in storages for key in keys):
        raise ValueError("its list of storages is damaged")
    data = find_storages(file, head.tell(), [storages[key] for key in keys])
    return Content("torch legacy", {name: describe(name, tensor, data) for name, tensor in tensors.items()})


def find_storages(file: Array, at: int, storages: list[Storage]) -> dict[str, Span]:
    """Where each storage lies: from byte `at` on, each as its length (int64) and its numbers."""
    found = {}
    for storage in storages:
        length = int.from_bytes(file[at : at + 8].tobytes(), "little", signed=True)
        span = Span(file, at + 8, storage.numel * itemsize(storage.dtype))
        at = span.start + span.size
        if length != storage.numel or at > len(file):
            raise ValueError(f"truncated or damaged: storage {short(storage.key)} is not where it should be")
        found[storage.key] = span
    return found


def state_dict(value: Any) -> dict[str, Tensor]:
    """The tensors by name, taken out of what training scripts wrap them in."""
    for _ in WRAPPERS:
        wrapped = value if isinstance(value, dict) else {}
        value = next((wrapped[key] for key in WRAPPERS if isinstance(wrapped.get(key), dict)), value)
    if not isinstance(value, dict):
        raise ValueError(f"it holds {short(value)}, not a state_dict")
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, Tensor):
            raise ValueError(f"its {short(name)} is {short(item)}, not a tensor: not a state_dict")
    return value


def describe(name: str, tensor: Tensor, data: dict[str, Span]) -> Stored:
    """One tensor, after checking that each of its numbers lies inside its storage."""
    storage, offset, size, stride = tensor.storage, tensor.offset, tensor.size, tensor.stride
    span = data.get(storage.key)
    if span is None or span.size != storage.numel * itemsize(storage.dtype):
        raise ValueError(
            f"{short(name)}: its storage {short(storage.key)} is missing or not as long as it should be"
        )
    if not (is_shape(size) and are_counts(stride) and are_counts((offset,)) and len(size) == len(stride)):
        raise ValueError(f"{short(name)} claims an impossible size, stride or offset")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and (last >= storage.numel or prod(size) > storage.numel):
        raise ValueError(
            f"{short(name)} {size} with strides {stride} reaches past its storage of {storage.numel} numbers"
        )

    def read() -> Array:
        flat = numbers(span.read(), storage.dtype)[offset:]
        steps = [n * flat.itemsize for n in stride]
        return np.lib.stride_tricks.as_strided(flat, size, steps, writeable=False)

    return Stored(size, storage.dtype, read)
