"""Ten ways to spoil a photograph: x float (H, W, 3) in 0..255, as it comes; what leaves that range is cut off."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mini_nn import photos
from mini_nn.ops import Array

SHORTER = 288  # pixels: every photograph is brought to this shorter side, then spoiled


def noise(x: Array, rng: np.random.Generator) -> Array:
    """Gaussian, standard deviation 46 of 255."""
    return x + rng.normal(0, 46, x.shape)


def shot_noise(x: Array, rng: np.random.Generator) -> Array:
    """As few as 12 photons for white."""
    return rng.poisson(x / 255 * 12) / 12 * 255


def blur(x: Array, _: np.random.Generator) -> Array:
    """Gaussian, 4 pixels."""
    return np.asarray(image(x).filter(ImageFilter.GaussianBlur(4)), float)


def motion(x: Array, _: np.random.Generator) -> Array:
    """17 pixels to the side."""
    padded = np.pad(x, ((0, 0), (8, 8), (0, 0)), mode="reflect")
    return np.mean([padded[:, i : i + x.shape[1]] for i in range(17)], 0)


def darkness(x: Array, _: np.random.Generator) -> Array:
    """A fifth of the light, in 8 bits."""
    return np.floor(x * 0.2)


def glare(x: Array, _: np.random.Generator) -> Array:
    """100 of 255 added, and cut off at white."""
    return x + 100


def low_contrast(x: Array, _: np.random.Generator) -> Array:
    """A fifth of the contrast, in 8 bits."""
    return np.floor(x.mean() + (x - x.mean()) * 0.2)


def jpeg(x: Array, _: np.random.Generator) -> Array:
    """Quality 7."""
    with io.BytesIO() as file:
        image(x).save(file, "JPEG", quality=7)
        return np.asarray(Image.open(file), float)


def pixelate(x: Array, _: np.random.Generator) -> Array:
    """Squares of 5 pixels."""
    height, width = x.shape[:2]
    small = image(x).resize((width // 5, height // 5), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST), float)


def rotation(x: Array, rng: np.random.Generator) -> Array:
    """By 40 degrees to the left or to the right; the border is mirrored."""
    edge = min(x.shape[:2]) // 2
    wide = image(np.pad(x, ((edge, edge), (edge, edge), (0, 0)), mode="reflect"))
    turned = np.asarray(wide.rotate(40 * rng.choice([-1, 1]), Image.Resampling.BICUBIC), float)
    return turned[edge:-edge, edge:-edge]


SPOIL: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    f.__name__.replace("_", " "): f
    for f in (noise, shot_noise, blur, motion, darkness, glare, low_contrast, jpeg, pixelate, rotation)
}


def image(x: Array) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(x), 0, 255).astype(np.uint8))


def spoiled(path: Path, name: str, seed: int) -> Array:
    """The photograph, its shorter side SHORTER pixels, as it is or spoiled; uint8."""
    photo = Image.fromarray(photos.read(path))
    scale = SHORTER / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    if name not in SPOIL:
        return np.asarray(photo)
    rng = np.random.default_rng([seed, list(SPOIL).index(name)])
    return np.asarray(image(SPOIL[name](np.asarray(photo, float), rng)))
