"""Augmentations in a row, as data: what was done to the images can be printed, saved with a run, and made stronger."""

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from mini_nn.data import augment
from mini_nn.ops import Array

AMOUNTS = {"padding", "degrees", "shear", "translate", "amount", "std", "area", "alpha"}  # 0 is no change
RANGES = {"scale", "ratio", "area", "aspect"}  # (lowest, highest)
BATCHES: dict[str, Callable[..., tuple[Array, Array]]] = {"mixup": augment.mixup}


class Step(NamedTuple):
    name: str  # of a function in augment
    parameters: dict[str, Any] = {}  # noqa: RUF012


@dataclass(frozen=True)
class Recipe:
    """Steps, one after the other, and how strongly: `strength` multiplies every amount.

    0 changes nothing, 1 is as written, 2 is twice as far; `scale` and `ratio` go further from 1, a probability never grows.
    """

    steps: tuple[Step, ...] = field(default=())
    strength: float = 1.0

    def __post_init__(self) -> None:
        strength: Any = self.strength
        if not isinstance(strength, int | float) or not 0 <= strength < np.inf:
            raise ValueError(f"strength must be a number of at least 0, not {strength!r}")
        object.__setattr__(self, "steps", tuple(checked(step) for step in self.steps))

    def __call__(self, image: Array, rng: np.random.Generator) -> Array:
        """One image through every step that takes an image."""
        augment.check_image(image, "Recipe")
        for name, settings in self.settings():
            if name in augment.IMAGES:
                image = augment.IMAGES[name](image, rng, **settings)
        return image

    def batch(self, x: Array, y: Array, rng: np.random.Generator, classes: int) -> tuple[Array, Array]:
        """A batch through the steps that take a batch (mixup); y becomes (N, classes) shares if there is one."""
        for name, settings in self.settings():
            if name in BATCHES:
                x, y = BATCHES[name](x, y, rng, **{"classes": classes, **settings})
        return x, y

    def settings(self) -> list[Step]:
        """The steps with the parameters that are used: those written, times the strength."""
        return [
            Step(name, {k: scaled(k, v, self.strength) for k, v in given.items()})
            for name, given in self.steps
        ]

    def stronger(self, times: float) -> Self:
        return replace(self, strength=self.strength * times)

    def __str__(self) -> str:
        lines = [f"strength {self.strength:g}"]
        for (name, written), (_, used) in zip(self.steps, self.settings(), strict=True):
            shown = [
                f"{k}={short(used[k])}" + (f" (of {short(v)})" if used[k] != v else "")
                for k, v in written.items()
            ]
            lines.append(f"  {name}({', '.join(shown)})")
        return "\n".join(lines)

    def to_json(self) -> str:
        return json.dumps({"strength": self.strength, "steps": self.steps})

    @classmethod
    def from_json(cls, text: str) -> Self:
        try:
            given = json.loads(text)
            steps = tuple(Step(name, dict(parameters)) for name, parameters in given["steps"])
            return cls(steps, given["strength"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no recipe: {error!r}") from error


def checked(step: Iterable[Any]) -> Step:
    """The step with every parameter written out, defaults too, or ValueError naming what is wrong with it."""
    name, given = step
    functions: dict[str, Callable[..., Any]] = {**augment.IMAGES, **BATCHES}
    if name not in functions:
        raise ValueError(f"there is no augmentation {name!r}; there are {', '.join(functions)}")
    fixed = {"image", "rng", "x", "y", "classes"}
    known = {k: p.default for k, p in inspect.signature(functions[name]).parameters.items() if k not in fixed}
    for key in given:
        if key not in known:
            raise ValueError(f"{name} has no parameter {key!r}; it has {', '.join(known)}")
    settings = {key: plain(given.get(key, default)) for key, default in known.items()}
    for key, value in settings.items():
        numbers = np.ravel(np.array(value, float)) if key in {"p", *RANGES, *AMOUNTS} else np.zeros(0)
        if not np.all(np.isfinite(numbers) & (numbers >= 0)) or (key == "p" and value > 1):
            raise ValueError(
                f"{name}: {key} must be {'a share' if key == 'p' else 'at least 0'}, not {value!r}"
            )
        if (
            isinstance(value, tuple)
            and key in {"scale", "ratio", "area"}
            and (len(value) != 2 or value[0] > value[1])
        ):
            raise ValueError(f"{name}: {key} must be (lowest, highest), not {value!r}")
    return Step(name, settings)


def scaled(name: str, value: Any, strength: float) -> Any:
    if name == "p":
        return value * min(strength, 1)
    if name == "scale":
        return tuple(max(1 + strength * (side - 1), min(side, 0.05)) for side in value)
    if name == "ratio":
        return tuple(side**strength for side in value)
    if name == "area":
        return tuple(min(share * strength, 1.0) for share in value)
    return value * strength if name in AMOUNTS else value


def plain(value: Any) -> Any:
    """Tuples and Python's numbers only, so that a recipe is equal to itself after JSON."""
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def short(value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return f"{len(value)} x {len(value[0])}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(short, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


CROP = Step("random_resized_crop", {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)})
MIRROR = Step("mirror", {"p": 0.5})
PRESETS = {  # published settings, to start from and to strengthen
    "none": Recipe(),
    # Ciresan et al. 2010, section 3: turned by up to 15 degrees, scaled by up to 15 %; no mirroring of digits
    "digits": Recipe((Step("affine", {"degrees": 15, "scale": (0.85, 1.15), "fill": 0.0}),)),
    # He et al. 2015, section 4.2
    "cifar": Recipe((Step("random_crop", {"padding": 4}), MIRROR)),
    # Krizhevsky et al. 2012, section 4.1: 224 of 256 pixels a side
    "alexnet": Recipe(
        (
            Step("random_resized_crop", {"scale": (0.7656, 0.7656), "ratio": (1, 1)}),
            MIRROR,
            Step("pca_colour", {"std": 0.1}),
        )
    ),
    # fb.resnet.torch, datasets/imagenet.lua
    "resnet": Recipe(
        (
            CROP,
            Step("brightness", {"amount": 0.4}),
            Step("contrast", {"amount": 0.4}),
            Step("saturation", {"amount": 0.4}),
            Step("pca_colour", {"std": 0.1}),
            MIRROR,
        )
    ),
    # EfficientNet's code, preprocessing.py, before AutoAugment
    "efficientnet": Recipe((CROP, MIRROR)),
    # torchvision's references for MobileNetV2's second weights, without TrivialAugment and CutMix
    "torchvision": Recipe((CROP, MIRROR, Step("random_erasing", {"p": 0.1}), Step("mixup", {"alpha": 0.2}))),
}


def preset(name: str, strength: float = 1.0) -> Recipe:
    """A published recipe by name, with a strength of its own."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], strength=strength)
