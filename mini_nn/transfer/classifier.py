"""A trained classifier of photographs, and the one file that holds all it needs."""

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn import models, photos, weights
from mini_nn.core import named_arrays
from mini_nn.files import written_whole
from mini_nn.inference.keeping import predict
from mini_nn.inference.prediction import Prediction, decide
from mini_nn.models import Network
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax
from mini_nn.weights import native
from mini_nn.weights.preprocess import Preprocess

FILE = "model.safetensors"
VERSION = 1


class Classifier:
    """A network, the preprocessing that goes with it, and the names of its classes."""

    def __init__(
        self, model: Network, preprocess: Preprocess, classes: Iterable[str], sure: float | None = None
    ) -> None:
        self.model, self.preprocess, self.classes = model, preprocess, tuple(classes)
        if len(self.classes) != model.options["num_classes"]:
            raise ValueError(
                f"{len(self.classes)} classes are named, the network has {model.options['num_classes']}"
            )
        self.sure = 1.5 / len(self.classes) if sure is None else sure  # clearly above what guessing gives

    def predict(
        self, paths: Iterable[photos.Source], sure: float | None = None, batch: int = 8
    ) -> list[Prediction]:
        """For each photograph its class, "not sure" where the best probability is below `sure`, and all probabilities."""
        least = self.sure if sure is None else sure
        return decide(self.probabilities(paths, batch), self.classes, least)

    def probabilities(self, paths: Iterable[photos.Source], batch: int = 8) -> Array:
        """(n, classes), each row adding up to 1."""
        if isinstance(paths, str | os.PathLike):
            raise ValueError(f"predict takes a list of photographs: predict([{str(paths)!r}])")
        sources = list(paths)
        parts = [
            softmax(predict(self.model, np.stack([self.preprocess(one) for one in sources[i : i + batch]])))
            for i in range(0, len(sources), batch)
        ]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *parts])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything into one .safetensors file, whole or not at all; `weights.load` reads it, too."""
        arrays = {name: np.ascontiguousarray(item.value) for name, item in named_arrays(self.model)}
        if broken := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
            raise ValueError(f"{path}: {broken[0]} is not finite (NaN or infinity); nothing was written")
        from safetensors.numpy import save

        from mini_nn import __version__

        about = json.dumps(
            {
                "version": VERSION,
                "mini_nn": __version__,
                "preprocess": self.preprocess.to_dict(),
                "classes": self.classes,
                "sure": self.sure,
            }
        )
        metadata = {
            "mini_nn": native.passport(self.model, arrays).to_json(),
            "transfer": about,
            "transfer_crc32": str(zlib.crc32(about.encode())),
        }
        with written_whole(Path(path)) as file:
            file.write(save(arrays, metadata))


def load(folder: str | os.PathLike[str]) -> Classifier:
    """The classifier of a run's folder (or of its model.safetensors); nothing else in the folder is read."""
    path = Path(folder)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}; it is the folder that transfer.fit(..., out=...) wrote")
    try:
        passport, about = read_metadata(path)
        model = models.build(passport.model or "", convention=passport.convention, **passport.options)  # type: ignore[arg-type]
        classifier = Classifier(
            model, Preprocess.from_dict(about["preprocess"]), map(str, about["classes"]), float(about["sure"])
        )
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no classifier of mini_nn's, or it is damaged: {error}") from error
    weights.load(model, path)
    return classifier


def read_metadata(path: Path) -> tuple[native.Passport, dict[str, Any]]:
    """What the file says of itself: the network, and how it is used."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"it cannot be read ({error})") from error
    if not {"mini_nn", "transfer", "transfer_crc32"} <= metadata.keys():
        raise ValueError("it names no classes and no preprocessing; transfer.fit writes such files")
    text = metadata["transfer"]
    if str(zlib.crc32(text.encode())) != metadata["transfer_crc32"]:
        raise ValueError("what it says of itself fails its checksum")
    about = json.loads(text)
    if not isinstance(about, dict) or about.get("version", 0) > VERSION:
        raise ValueError(f"it is of version {about.get('version')}, this mini_nn reads {VERSION}: update it")
    return native.read_passport(metadata["mini_nn"]), about
