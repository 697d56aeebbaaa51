"""Augmentation by hand: each function shows the network one more photograph that could have been taken.

`f(image, rng, ...)` takes and returns float32 (H, W, C) in [0, 1], and leaves its argument alone.  Where 0 is "no change",
a parameter is an amount, which the strength of a Recipe multiplies.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from math import ceil, cos, log, radians, sin, sqrt, tan
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from mini_nn.ops import Array

F = TypeVar("F", bound=Callable[..., Array])
Rng = np.random.Generator
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # what grey a colour has (ITU-R BT.601)
IMAGES: dict[str, Callable[..., Array]] = {}  # what a Recipe may name; add your own with @augmentation


def augmentation(f: F) -> F:
    """Let recipes name f, and let it refuse what is no float image."""

    @wraps(f)
    def checked(image: Array, rng: Rng, *args: Any, **kwargs: Any) -> Array:
        check_image(image, f.__name__)
        return f(image, rng, *args, **kwargs)

    IMAGES[f.__name__] = checked
    return cast(F, checked)


def check_image(image: Any, who: str) -> None:
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.dtype not in (np.float32, np.float64):
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"{who}: an image is float32 (H, W, C) in [0, 1], not {given}")


@augmentation
def mirror(image: Array, rng: Rng, p: float = 0.5) -> Array:
    """Swap left and right with probability p: not for digits and letters."""
    return image[:, ::-1] if rng.random() < p else image


@augmentation
def random_crop(image: Array, rng: Rng, padding: float = 4) -> Array:
    """Put `padding` black pixels around, cut the old size out anywhere  (He et al. 2015, section 4.2)."""
    n = round(padding)
    top, left = rng.integers(2 * n + 1, size=2)
    padded = np.pad(image, ((n, n), (n, n), (0, 0)))
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


@augmentation
def random_resized_crop(
    image: Array,
    rng: Rng,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    size: tuple[int, int] | None = None,
) -> Array:
    """Cut out `scale` of the area with a width / height in `ratio`, and enlarge to `size` (the old one when None).

    Ten tries that fit, else the whole image  (Szegedy et al. 2014, section 6).
    """
    height, width = image.shape[:2]
    box = (0, 0, height, width)
    for _ in range(10):
        area = rng.uniform(*scale) * height * width
        shape = np.exp(rng.uniform(log(ratio[0]), log(ratio[1])))
        h, w = round(sqrt(area / shape)), round(sqrt(area * shape))
        if 0 < h <= height and 0 < w <= width:
            box = (int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
            break
    return clip(resize(image, box, size or (height, width)))


def resize(image: Array, box: tuple[int, int, int, int], size: tuple[int, int]) -> Array:
    """The part (top, left, height, width) as `size`: each new pixel is the mean of the old ones under its tent.

    Rows first, then columns.  A tent is 2 old pixels wide when enlarging (bilinear), 2 new ones when shrinking.
    """
    top, left, height, width = box
    part = image[top : top + height, left : left + width]
    for axis, new in enumerate(size):
        part = np.moveaxis(blend(np.moveaxis(part, axis, 0), new), 0, axis)
    return np.ascontiguousarray(part)


def blend(rows: Array, new: int) -> Array:
    """Resample the first axis to `new` entries."""
    old = len(rows)
    step = old / new
    reach = max(step, 1.0)
    centre = (np.arange(new) + 0.5) * step - 0.5  # of the new pixels, counted in old ones
    first = np.ceil(centre - reach).astype(int)
    result = np.zeros((new, *rows.shape[1:]), np.float32)
    total = np.zeros(new)
    for tap in range(ceil(2 * reach) + 1):
        at = first + tap
        weight = np.where((at >= 0) & (at < old), np.maximum(0, 1 - abs(at - centre) / reach), 0)
        total += weight
        result += rows[at.clip(0, old - 1)] * weight.astype(np.float32).reshape(-1, *[1] * (rows.ndim - 1))
    return np.asarray(result / total.astype(np.float32).reshape(-1, *[1] * (rows.ndim - 1)))


@augmentation
def affine(
    image: Array,
    rng: Rng,
    degrees: float = 0,
    shear: float = 0,
    translate: float = 0,
    scale: tuple[float, float] = (1, 1),
    fill: float | None = None,
) -> Array:
    """Turn by up to `degrees`, shear by up to `shear` degrees, move by up to `translate` of the size, and enlarge by a
    factor in `scale`: one warp.  What was outside is `fill`, or the nearest edge when None."""
    turn, slant = rng.uniform(-degrees, degrees), rng.uniform(-shear, shear)
    down, right = rng.uniform(-translate, translate, 2) * image.shape[:2]
    return clip(warp(image, affine_matrix(turn, slant, rng.uniform(*scale)), (down, right), fill))


def affine_matrix(degrees: float, shear: float, scale: float) -> Array:
    """(2, 2), from where a pixel is, (down, right) of the centre, to where it goes: shear, then scale and turn.

    Positive degrees turn against the clock, as in Pillow; the shear slants columns by x += tan(shear) y.
    """
    a = radians(degrees)
    turn = np.array([[cos(a), -sin(a)], [sin(a), cos(a)]])
    slant = np.array([[1, 0], [tan(radians(shear)), 1]])
    return np.asarray(scale * turn @ slant)


def warp(
    image: Array, matrix: Array, shift: tuple[float, float] = (0, 0), fill: float | None = None
) -> Array:
    """Each new pixel p looks up where it comes from, matrix^-1 (p - shift), measured from the image's centre.

    Backwards, so that no pixel of the result stays empty.  Between four pixels it takes their bilinear mean.
    """
    height, width, channels = image.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])  # pixel i covers i - 0.5 to i + 0.5
    back = np.linalg.inv(matrix)
    down = np.arange(height)[:, None] - centre[0] - shift[0]
    right = np.arange(width)[None, :] - centre[1] - shift[1]
    y = back[0, 0] * down + back[0, 1] * right + centre[0]
    x = back[1, 0] * down + back[1, 1] * right + centre[1]

    top, left = np.floor(y), np.floor(x)
    low, near = (y - top).astype(np.float32), (x - left).astype(np.float32)
    rows = [(top + a).clip(0, height - 1).astype(np.intp) * width for a in (0, 1)]
    columns = [(left + b).clip(0, width - 1).astype(np.intp) for b in (0, 1)]
    pixels = image.reshape(-1, channels)
    result = np.zeros_like(image)
    for row, by_row in zip(rows, (1 - low, low), strict=True):
        for column, by_column in zip(columns, (1 - near, near), strict=True):
            result += pixels.take(row + column, axis=0) * (by_row * by_column)[..., None]
    if fill is not None:
        result[(y < -0.5) | (y > height - 0.5) | (x < -0.5) | (x > width - 0.5)] = fill
    return result


def clip(image: Array) -> Array:
    return np.asarray(np.clip(image, 0, 1))


def factor(rng: Rng, amount: float) -> Array:
    """Between 1 - amount and 1 + amount, but not below 0."""
    return np.asarray(max(0.0, rng.uniform(1 - amount, 1 + amount)), np.float32)


@augmentation
def brightness(image: Array, rng: Rng, amount: float = 0.4) -> Array:
    """Multiply every pixel by one factor: more or less light."""
    return clip(image * factor(rng, amount))


@augmentation
def contrast(image: Array, rng: Rng, amount: float = 0.4) -> Array:
    """Multiply the distance from the image's mean grey."""
    mean = image.dtype.type(grey(image).mean(dtype=np.float64))
    return clip(mean + (image - mean) * factor(rng, amount))


@augmentation
def saturation(image: Array, rng: Rng, amount: float = 0.4) -> Array:
    """Multiply each pixel's distance from its own grey."""
    own = grey(image)[..., None]
    return clip(own + (image - own) * factor(rng, amount))


def grey(image: Array) -> Array:
    """(H, W): how bright each pixel looks."""
    if image.shape[2] == 1:
        return np.asarray(image[..., 0])
    return np.asarray(image[..., 0] * LUMA[0] + image[..., 1] * LUMA[1] + image[..., 2] * LUMA[2])


@augmentation
def channel_shift(image: Array, rng: Rng, amount: float = 0.1) -> Array:
    """Add one number to each channel: another colour of light."""
    return clip(image + np.asarray(rng.uniform(-amount, amount, image.shape[2]), np.float32))


class ColourAxes(NamedTuple):
    """How the colours of a training set spread: the eigenvectors of their covariance are the columns of `vectors`."""

    values: tuple[float, ...]
    vectors: tuple[tuple[float, ...], ...]


IMAGENET = ColourAxes(  # of pixels in [0, 1]; rows R, G, B
    (0.2175, 0.0188, 0.0045),
    ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203)),
)


@augmentation
def pca_colour(
    image: Array,
    rng: Rng,
    std: float = 0.1,
    values: tuple[float, ...] = IMAGENET.values,
    vectors: tuple[tuple[float, ...], ...] = IMAGENET.vectors,
) -> Array:
    """Add [p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T, one draw a ~ N(0, std) an image  (Krizhevsky et al. 2012, section 4.1).

    l are eigenvalues of the covariance of pixels in [0, 1], not 0 to 255: the formula is not linear in the pixels' scale.
    """
    if image.shape[2] != len(values):
        raise ValueError(f"pca_colour: the image has {image.shape[2]} channels, the axes have {len(values)}")
    shift = np.asarray(np.array(vectors) @ (rng.normal(0, std, len(values)) * values), np.float32)
    return clip(image + shift)


def fit_pca_colour(images: Iterable[Array]) -> ColourAxes:
    """The colour axes of a whole training set, one image (H, W, C) after the other, none kept."""
    count, total, products = 0, np.zeros(1), np.zeros((1, 1))
    for image in images:
        check_image(image, "fit_pca_colour")
        pixels = image.reshape(-1, image.shape[-1]).astype(np.float64)
        count += len(pixels)
        total = total + pixels.sum(0)
        products = products + pixels.T @ pixels
    if count < 2:
        raise ValueError("fit_pca_colour: there are no images")
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    return ColourAxes(tuple(values[::-1].clip(0).tolist()), tuple(map(tuple, vectors[:, ::-1].tolist())))


@augmentation
def random_erasing(
    image: Array,
    rng: Rng,
    p: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
) -> Array:
    """With probability p, fill a rectangle of `area` of the image with noise  (Zhong et al. 2017, algorithm 1)."""
    height, width, channels = image.shape
    if rng.random() >= p:
        return image
    for _ in range(100):
        pixels = rng.uniform(*area) * height * width
        shape = rng.uniform(*aspect)
        h, w = round(sqrt(pixels * shape)), round(sqrt(pixels / shape))
        if 0 < h < height and 0 < w < width:
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            erased = image.copy()
            erased[top : top + h, left : left + w] = rng.random((h, w, channels), np.float32)
            return erased
    return image


def mixup(x: Array, y: Array, rng: Rng, alpha: float = 0.2, classes: int = 10) -> tuple[Array, Array]:
    """Mix a batch with itself in another order: lambda x + (1 - lambda) x[order], the labels likewise.

    x (N, H, W, C), y (N,) labels -> y (N, classes) float32 shares.  lambda ~ Beta(alpha, alpha), one a batch.
    Source: Zhang et al. 2017, equation 1.
    """
    if len(y) and y.max() >= classes:
        raise ValueError(f"mixup: there is a label {y.max()}, but only {classes} classes")
    share = np.float32(rng.beta(alpha, alpha) if alpha > 0 else 1)
    order = rng.permutation(len(x))
    hot = np.eye(classes, dtype=np.float32)[y]
    return clip(share * x + (1 - share) * x[order]), share * hot + (1 - share) * hot[order]
