"""A small network, and generated photographs of two or three classes, for the tests of features and transfer."""

import time

import numpy as np
from PIL import Image

from mini_nn import init, models
from mini_nn.weights.preprocess import Preprocess

HOW = Preprocess(32, 32, "resize", "bilinear", (127.0,) * 3, (64.0,) * 3)
COLOURS = {"blue": (60, 90, 220), "green": (60, 200, 80), "red": (220, 70, 60)}


class Slow(Preprocess):
    """Time enough to be killed in."""

    def __call__(self, source):
        time.sleep(0.05)
        return super().__call__(source)


SLOW = Slow(32, 32, "resize", "bilinear", (127.0,) * 3, (64.0,) * 3)


def network(name="mobilenet_v2", seed=0, classes=3):
    """It knows nothing, and tells colours apart."""
    return init.initialize(models.build(name, classes, width_mult=0.1), np.random.default_rng(seed))


def photograph(colour, rng):
    """Blocks of light and dark in one colour: no two look alike."""
    light = rng.uniform(0.8, 1.1, (6, 6, 1)).repeat(8, 0).repeat(8, 1)
    return Image.fromarray(np.clip(light * np.array(colour), 0, 255).astype(np.uint8))


def folder(base, each, classes=tuple(COLOURS), seed=0):
    """base/CLASS/N.png; `each` photographs a class, or a number for every class."""
    rng = np.random.default_rng(seed)
    counts = dict(zip(classes, [each] * len(classes) if isinstance(each, int) else each, strict=True))
    for name, count in counts.items():
        (base / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            photograph(COLOURS[name], rng).save(base / name / f"{i:02}.png")
    return base


def files(base):
    return sorted(base.rglob("*.png"))
