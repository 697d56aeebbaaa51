"""From a photograph to what a network was trained on: the middle of it, resized, its numbers scaled."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from mini_nn import photos
from mini_nn.ops import Array

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
METHODS = {
    "crop": "the centre square of {size}/{resize} of the shorter side",
    "resize": "the shorter side resized to {resize}, then the centre",
    "squash": "both sides resized to {resize}, then the centre",
}


@dataclass(frozen=True)
class Preprocess:
    """preprocess(path | PIL image | uint8 array) -> float32 (size, size, 3), (x - mean) / std for x in 0..255.

    method is a key of METHODS: "crop" is what the authors of EfficientNet evaluate with, "resize" what torchvision
    and timm do; they differ at the border.  Resizing is Pillow's (antialiased), on 8 bits.
    """

    size: int
    resize: int
    method: str
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.interpolation not in FILTERS:
            raise ValueError(
                f"Preprocess: method {self.method!r} must be one of {', '.join(METHODS)}, "
                f"interpolation {self.interpolation!r} one of {', '.join(FILTERS)}"
            )
        if not 1 <= self.size <= self.resize:
            raise ValueError(f"Preprocess: size {self.size} must be from 1 to resize, {self.resize}")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise ValueError(
                f"Preprocess: mean {self.mean} and std {self.std} must be 3 numbers each, std positive"
            )

    def __call__(self, source: photos.Source) -> Array:
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        y: Array = (self.window(photos.read(source)) - mean) / std
        return y

    def window(self, x: Array) -> Array:
        """x uint8 (H, W, 3) -> uint8 (size, size, 3): what the network will see."""
        height, width = x.shape[:2]
        if self.method == "crop":
            side = max(1, min(height, width) * self.size // self.resize)
            top, left = (height - side + 1) // 2, (width - side + 1) // 2
            x, box = x[top : top + side, left : left + side], (0.0, 0.0, float(side), float(side))
        else:
            box = self.box(height, width)
        image = Image.fromarray(np.ascontiguousarray(x))
        return np.asarray(image.resize((self.size, self.size), FILTERS[self.interpolation], box))

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Where the centre of the resized image lies in the original one: resizing only that costs no memory."""
        tall = wide = self.resize
        if self.method == "resize":
            shorter = min(height, width)
            tall, wide = self.resize * height // shorter, self.resize * width // shorter
        top, left = round((tall - self.size) / 2), round((wide - self.size) / 2)
        y, x = height / tall, width / wide
        return left * x, top * y, (left + self.size) * x, (top + self.size) * y

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; from_dict reads them again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Preprocess":
        try:
            return cls(**{**plain, "mean": tuple(plain["mean"]), "std": tuple(plain["std"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"Preprocess: {plain!r} does not describe one: {error}") from None

    def __str__(self) -> str:
        how = METHODS[self.method].format(size=self.size, resize=self.resize)
        mean, std = (
            f"{values[0]:g}" if len(set(values)) == 1 else f"({', '.join(f'{v:g}' for v in values)})"
            for values in (self.mean, self.std)
        )
        return f"{self.size} x {self.size}: {how} ({self.interpolation}), then (x - {mean}) / {std}"
