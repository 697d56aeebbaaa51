"""Pictures inside of a page: photographs as the network sees them, and where it looked."""

import base64
import io
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mini_nn import photos
from mini_nn.folder_check import shown
from mini_nn.inference import looking
from mini_nn.ops import Array
from mini_nn.transfer import Classifier

SIDE = 168  # pixels of a photograph on the page


class Look(NamedTuple):
    """A photograph as the network sees it, and which pixels speak for a class, both as <img>; where they are."""

    photograph: str
    map: str
    where: str


def clean(text: object) -> str:
    """Text for HTML: one line, nothing of it markup."""
    return escape(shown(str(text)))


def img(data: bytes, kind: str, alt: str, width: int, height: int) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img src="{source}" alt="{clean(alt)}" width="{width}" height="{height}">'


def jpeg(pixels: Array, alt: str) -> str:
    """uint8 (H, W, 3), made small, as <img>."""
    small = Image.fromarray(pixels)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    return img(file.getvalue(), "jpeg", alt, *small.size)


def drawn(draw: Callable[[io.BytesIO], None], alt: str) -> str:
    """What a function of mini_nn.plot draws, as <img>."""
    file = io.BytesIO()
    draw(file)
    width, height = Image.open(file).size
    return img(file.getvalue(), "png", alt, width * 2 // 3, height * 2 // 3)


def thumbnail(path: Path, alt: str) -> str:
    """The whole photograph, small; nothing where it cannot be read any more."""
    try:
        return jpeg(photos.read(path), alt)
    except photos.PhotoError:
        return ""


def look(classifier: Classifier, path: Path, label: int, name: str) -> Look | None:
    """The photograph, and what speaks in it for the class `label`; None where it cannot be read any more."""
    try:
        pixels = photos.read(path)
    except photos.PhotoError:
        return None
    x = classifier.preprocess(pixels)[None]
    heat = looking.class_activation(classifier.model, x, np.array([label]))[0]
    window, where = classifier.preprocess.window(pixels), place(heat)
    spoke = f"{name}: what speaks for {classifier.classes[label]} is {where}"
    return Look(jpeg(window, name), jpeg(overlay(window, heat), spoke), where)


def overlay(window: Array, heat: Array) -> Array:
    """The window (H, W, 3) in grey, and in colours how much of the most each pixel says: uint8 (H, W, 3)."""
    from matplotlib import colormaps

    size = window.shape[1], window.shape[0]
    large = np.asarray(Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    share = np.clip(large / max(float(large.max()), 1e-12), 0, 1)[..., None]
    colour = 255 * colormaps["inferno"](share[..., 0])[..., :3]
    grey = window.mean(2, keepdims=True)
    weight = 0.15 + 0.55 * share
    return np.rint((1 - weight) * grey + weight * colour).astype(np.uint8)


def place(heat: Array) -> str:
    """In which ninth of the picture a map (h, w) is largest."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    high = ("top", "middle", "bottom")[int(3 * (row + 0.5) / heat.shape[0])]
    wide = ("left", "middle", "right")[int(3 * (column + 0.5) / heat.shape[1])]
    return "in the middle" if high == wide else f"at the {high} {wide}"
