"""Keras's HDF5 files, through h5py (the extra `keras`), following no link out of the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn.weights.stored import Content, Stored, is_shape, short


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """Describe the datasets of an HDF5 file, which stays open for the block."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is an HDF5 file: to read it, pip install 'mini-nn[keras]'") from error
    with h5py.File(path, "r") as file:
        arrays = {name: describe(name, dataset) for name, dataset in datasets(file, h5py)}
        yield Content("h5", arrays)


def datasets(file: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset with its path.  A link that leads elsewhere is refused, and a group that is met twice."""
    todo, seen = [("", file)], set()
    while todo:
        where, group = todo.pop()
        if (address := h5py.h5o.get_info(group.id).addr) in seen:
            raise ValueError(f"{short(where)} is the same group as another one")
        seen.add(address)
        for name in group:
            path = f"{where}/{name}" if where else name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{short(path)} is a {type(link).__name__}, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group):
                todo.append((path, item))


def describe(name: str, dataset: Any) -> Stored:
    """A dataset of plain numbers in the file itself."""
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{short(name)} takes its numbers from another file, which is not read")
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{short(name)} is compressed; save it without compression")
    if not is_shape(dataset.shape) or dataset.dtype.kind not in "fiub":
        raise ValueError(f"{short(name)} holds {short(str(dataset.dtype))}, not numbers")

    return Stored(dataset.shape, dataset.dtype.name, lambda: np.asarray(dataset[()]))
