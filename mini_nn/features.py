"""What a network sees in each photograph, computed once and kept: one row of numbers a photograph.

The cache is a folder for each network, preprocessing, set of views and version of mini_nn, and in it files of rows, each
row under the hash of its photograph's content.  So a row is found again when the photograph moves, and never when it, or
the network, has changed.
"""

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mini_nn import backend, photos
from mini_nn.core import Layer, named_arrays, named_layers
from mini_nn.data import Recipe
from mini_nn.files import written_whole
from mini_nn.ops import Array
from mini_nn.weights.preprocess import Preprocess

log = logging.getLogger("mini_nn.features")

CHUNK = 16  # photographs a task and a file: what a kill can lose for each worker
UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)
Prepare = Callable[[Any], Array]


class Views(NamedTuple):
    """K fixed variants of each photograph: the first as it is, the others by `recipe`, drawn from its content and `seed`."""

    number: int = 1
    recipe: Recipe = Recipe()  # on pixels in [0, 1], before they are scaled for the network
    seed: int = 0


class Source(NamedTuple):
    """All that makes rows, and the key that names it."""

    body: Layer
    preprocess: Prepare
    views: Views
    key: str


def compute(
    model: Layer,
    preprocess: Prepare,
    paths: Iterable[str | os.PathLike[str]],
    cache: str | os.PathLike[str] | None = None,
    workers: int = 2,
    views: Views | None = None,
    quiet: bool = False,
) -> Array:
    """What the classifier of `model` would be given for each photograph: (n, d), in the order of `paths`.

    With views of K > 1, (n, K, d).  One photograph at a time goes through the network, on one core, so a row has the
    same bytes whatever is beside it.  cache: a folder; what is in it is not computed again, what a kill interrupts goes
    on from the last file of rows.  workers: processes, each of which keeps a core busy; inside
    `with joblib.parallel_config("dask")` the cluster's, which must see the photographs under the same paths.
    """
    files = as_paths(paths)
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ValueError(f"features: workers must be a whole number from 1, not {workers!r}")
    views = checked_views(views or Views(), preprocess)
    source = Source(body(model), preprocess, views, "")
    if cache is not None:
        about = description(model, preprocess, views)
        source = source._replace(key=digest(json.dumps(about, sort_keys=True).encode()))
        store = Store(Path(cache) / source.key[:24], source.key, about)
    else:
        store = Store(None, "", {})
    names = [content(path) for path in files]
    missing = {name: path for name, path in zip(names, files, strict=True) if name not in store.rows}
    bar = tqdm(
        desc="features", total=len(set(names)), initial=len(set(names)) - len(missing), unit=" photos",
        disable=True if quiet else None,
    )  # fmt: skip
    with bar:
        for found in computed(source, list(missing.items()), workers):
            store.add(found)
            bar.update(len(found))
    rows = np.stack([store.rows[name] for name in names])
    return rows[:, 0] if views.number == 1 else rows


def as_paths(paths: Any) -> list[Path]:
    if isinstance(paths, str | os.PathLike):
        raise ValueError(f"features: paths must be a list of photographs, not the single {str(paths)!r}")
    files = [Path(path) for path in paths]
    if not files:
        raise ValueError("features: there are no photographs, paths is empty")
    return files


def checked_views(views: Views, preprocess: Any) -> Views:
    if not isinstance(views.number, int) or views.number < 1:
        raise ValueError(f"features: views need a number from 1, not {views.number!r}")
    if views.number > 1 and not isinstance(preprocess, Preprocess):
        raise ValueError("features: views of a photograph need a weights.preprocess.Preprocess")
    return views


def body(model: Layer) -> Layer:
    """All of the model but its classifier: the same layers, in a copy of the outermost one."""
    children = model.children()
    if not children or children[-1][0] != "classifier":
        raise ValueError("features: the model must be a network whose last layer is called classifier")
    copy = object.__new__(type(model))
    vars(copy).update({name: item for name, item in vars(model).items() if name != "classifier"})
    return copy


def computed(source: Source, missing: list[tuple[str, Path]], workers: int) -> Iterator[dict[str, Array]]:
    """Rows by the content's hash, some photographs at a time, in the order in which they get ready."""
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise ImportError(
            "features.compute needs joblib and scikit-learn: pip install 'mini-nn[eval]'"
        ) from None
    size = min(CHUNK, max(1, -(-len(missing) // (4 * workers))))
    chunks = [missing[i : i + size] for i in range(0, len(missing), size)]
    if chunks:
        with cluster():
            yield from Parallel(
                workers, return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
            )(delayed(rows_of)(source, chunk) for chunk in chunks)


def version() -> str:
    from mini_nn import __version__

    return __version__


@contextmanager
def cluster() -> Iterator[None]:
    """Inside, work may be shared out to a Dask cluster if there is one; each worker must have this mini_nn."""
    from joblib.parallel import get_active_backend

    client = getattr(get_active_backend()[0], "client", None)
    if client is None:
        yield
        return
    for worker, answer in client.run(version, on_error="return").items():
        if answer != version():  # joblib would wait for it for ever
            raise ValueError(f"the worker {worker} has no mini_nn {version()} ({answer}); install it there")
    import dask

    # every task carries the network: what a cluster stores is lost with the worker that has it
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}):
        yield


def rows_of(source: Source, chunk: list[tuple[str, Path]]) -> dict[str, Array]:
    """(K, d) for each photograph of the chunk.  Runs in a worker."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    found = {}
    with threadpool_limits(1):  # a product that is shared out to two threads ends in other digits
        for name, path in chunk:
            # the layers themselves, not a plan of them: so A's gradients are those of the whole network, bit by bit
            found[name] = np.concatenate([source.body(x[None]) for x in images(source, path, name)])
            if content(path) != name:
                raise ValueError(f"{path} changed while its features were computed; compute them again")
    return found


def images(source: Source, path: Path, name: str) -> Iterator[Array]:
    """The views of one photograph as the network takes them."""
    yield source.preprocess(path)
    how = source.preprocess
    for k in range(1, source.views.number):
        assert isinstance(how, Preprocess)
        rng = np.random.default_rng([source.views.seed, k, int(name[:16], 16)])
        pixels = how.window(photos.read(path)).astype(np.float32) / np.float32(255)
        yield scaled(source.views.recipe(pixels, rng), how)


def scaled(pixels: Array, how: Preprocess) -> Array:
    """From [0, 1] to what the network was trained on."""
    y: Array = (pixels * np.float32(255) - np.array(how.mean, np.float32)) / np.array(how.std, np.float32)
    return y


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content(path: Path) -> str:
    """The hash of a photograph's bytes."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise photos.PhotoError(f"{path}: cannot be read: {error.strerror or error}") from error


def weights_hash(model: Layer) -> str:
    """A hash of all layers before the classifier: their kinds, settings and values."""
    whole = hashlib.sha256()
    inner = body(model)
    for name, layer in named_layers(inner):
        settings = {k: v for k, v in vars(layer).items() if isinstance(v, str | int | float | tuple)}
        whole.update(f"{name} {type(layer).__name__} {sorted(settings.items())}\n".encode())
    for name, item in named_arrays(inner):
        whole.update(f"{name} {item.value.dtype} {item.shape}\n".encode())
        whole.update(np.ascontiguousarray(item.value).data)
    return whole.hexdigest()


def description(model: Layer, preprocess: Any, views: Views) -> dict[str, Any]:
    """What a cache belongs to, as JSON; its hash is the key."""
    if not isinstance(preprocess, Preprocess):
        raise ValueError(
            "features: a cache needs a weights.preprocess.Preprocess, which says what it does; "
            "leave cache out for a function of your own"
        )
    return {
        "mini_nn": version(),
        "backend": backend.name(),
        "weights": weights_hash(model),
        "preprocess": preprocess.to_dict(),
        "views": [views.number, views.recipe.to_json(), views.seed] if views.number > 1 else 1,
    }


class Store:
    """The rows that are known, in memory and, with a folder, on disk."""

    def __init__(self, folder: Path | None, key: str, about: dict[str, Any]) -> None:
        self.folder, self.key, self.rows = folder, key, dict[str, Array]()
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "about.json").exists():
            with written_whole(folder / "about.json") as file:
                file.write(json.dumps(about, indent=1).encode())
        for path in sorted(folder.glob("*.npz")):
            try:
                self.rows |= self.read(path)
            except UNREADABLE as error:
                log.warning("%s is not used and its rows are computed again: %s", path, error)
                with suppress(OSError):
                    path.unlink()

    def read(self, path: Path) -> dict[str, Array]:
        """The rows of a file; ValueError unless it was written under this key and is whole."""
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            key, names, rows, check = (file[part] for part in ("key", "names", "rows", "check"))
        if str(key) != self.key:
            raise ValueError("it belongs to another network, preprocessing or version")
        if str(check) != checksum(names, rows) or len(names) != len(rows):
            raise ValueError("it fails its checksum")
        return {str(name): row for name, row in zip(names, rows, strict=True)}

    def add(self, found: dict[str, Array]) -> None:
        """Keep some rows: on disk in a file of their own, which appears whole or not at all."""
        self.rows |= found
        if self.folder is not None:
            names, rows = np.array(list(found)), np.stack(list(found.values()))
            with written_whole(self.folder / f"{digest(''.join(found).encode())[:24]}.npz") as file:
                np.savez(
                    file,
                    key=np.array(self.key),
                    names=names,
                    rows=rows,
                    check=np.array(checksum(names, rows)),
                )


def checksum(names: Array, rows: Array) -> str:
    return digest(
        " ".join(map(str, names)).encode() + str(rows.dtype).encode() + np.ascontiguousarray(rows).tobytes()
    )
