"""Small folders of photographs, and a small network, for tests of the tool."""

import numpy as np
from PIL import Image

from mini_nn import init, models
from mini_nn.weights.preprocess import Preprocess

COLOURS = {"cat": (200, 60, 40), "dog": (40, 90, 200), "owl": (60, 190, 70)}


def tiny_network():
    """(network, preprocess, classes) as weights.pretrained gives them; it knows nothing but tells colours apart."""
    model = models.build("mobilenet_v2", num_classes=10, width_mult=0.1)
    init.initialize(model, np.random.default_rng(0))
    how = Preprocess(32, 36, "crop", "bilinear", (127.0,) * 3, (128.0,) * 3)
    return model, how, tuple(f"class {i}" for i in range(10))


def picture(colour, seed):
    """Blobs in shades of a colour, 48 x 40; no two alike."""
    rng = np.random.default_rng(seed)
    small = np.clip(np.array(colour) + rng.normal(0, 45, (5, 6, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(small).resize((48, 40), Image.Resampling.BICUBIC)


def fill(folder, classes=("cat", "dog"), count=10, seed=0, **options):
    """count photographs of each class in folder/CLASS/."""
    for k, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            colour = COLOURS.get(name, (90, 90, 90))
            picture(colour, (seed, k, i)).save(folder / name / f"{i}.jpg", **options)
    return folder
