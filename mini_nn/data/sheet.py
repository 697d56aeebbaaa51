"""The before/after sheet: a row for each augmentation, so that its strength is chosen by looking."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mini_nn import photos
from mini_nn.data.augment import mixup
from mini_nn.data.recipe import Recipe, Step, preset
from mini_nn.files import written_whole
from mini_nn.ops import Array

ROWS = {  # at strength 1
    "mirror": Step("mirror", {"p": 0.5}),
    "crop with padding": Step("random_crop", {"padding": 28}),
    "random-resized crop": Step("random_resized_crop", {"scale": (0.5, 1.0)}),
    "rotation": Step("affine", {"degrees": 20}),
    "shear": Step("affine", {"shear": 15}),
    "translation": Step("affine", {"translate": 0.15, "fill": 0.0}),
    "scale": Step("affine", {"scale": (0.7, 1.3), "fill": 0.0}),
    "brightness": Step("brightness", {"amount": 0.4}),
    "contrast": Step("contrast", {"amount": 0.4}),
    "saturation": Step("saturation", {"amount": 0.5}),
    "channel shift": Step("channel_shift", {"amount": 0.1}),
    "PCA colour": Step("pca_colour", {"std": 0.4}),  # AlexNet's 0.1 is hardly seen
    "random erasing": Step("random_erasing", {"p": 1.0, "area": (0.02, 0.2)}),
}
SIZE, GAP, LABEL, TITLE = 160, 6, 250, 30  # pixels
DRAWS = 3  # for each strength
STRENGTHS = (1.0, 2.0)


def draw(photo: Any, out: str | os.PathLike[str], recipe: Recipe | None = None, seed: int = 0) -> Path:
    """Write the sheet of a photograph (what photos.read takes) as a picture; a `recipe` gets a row of its own."""
    fitted = ImageOps.fit(Image.fromarray(photos.read(photo)), (SIZE, SIZE), Image.Resampling.BICUBIC)
    image = np.asarray(fitted, np.float32) / np.float32(255)
    rows = {label(name, step): samples(image, Recipe((step,)), seed) for name, step in ROWS.items()}
    rows["mixup\nwith itself upside down, alpha 0.4"] = mixed(image, seed)
    whole = 'all steps of\nthe preset "resnet"' if recipe is None else "all steps of\nyour recipe"
    rows[whole] = samples(image, recipe or preset("resnet"), seed)
    return save(figure(image, rows), Path(out))


def label(name: str, step: Step) -> str:
    given = ", ".join(
        f"{key.replace('_', ' ')} {value}" for key, value in step.parameters.items() if key != "fill"
    )
    return f"{name}\n{given}"


def samples(image: Array, recipe: Recipe, seed: int) -> list[Array]:
    """DRAWS images for each strength, from the same random numbers."""
    rngs = [(one, np.random.default_rng((seed, i))) for one in STRENGTHS for i in range(DRAWS)]
    return [recipe.stronger(one)(image, rng) for one, rng in rngs]


def mixed(image: Array, seed: int) -> list[Array]:
    """The photograph mixed with itself upside down; draws that do not show are left out."""
    found, i = [], 0
    pair, labels = np.stack([image, image[::-1]]), np.arange(2)
    for strength in np.repeat(STRENGTHS, DRAWS):
        while True:
            x, y = mixup(
                pair, labels, np.random.default_rng((seed, i)), alpha=0.4 * float(strength), classes=2
            )
            i += 1
            if 0.02 < y[0, 1] < 0.98:
                found.append(x[0])
                break
    return found


def figure(image: Array, rows: dict[str, list[Array]]) -> Any:
    """One picture of all cells, labelled at the left and above."""
    from matplotlib.figure import Figure

    cell, columns = SIZE + GAP, 1 + DRAWS * len(STRENGTHS)
    sheet = np.ones((TITLE + len(rows) * cell, LABEL + columns * cell, 3), np.float32)
    drawn = Figure(figsize=(sheet.shape[1] / 100, sheet.shape[0] / 100))
    for row, (name, images) in enumerate(rows.items()):
        for column, shown in enumerate([image, *images]):
            top, left = TITLE + row * cell, LABEL + column * cell
            sheet[top : top + SIZE, left : left + SIZE] = shown
        where = 1 - (TITLE + row * cell + SIZE / 2) / len(sheet)
        drawn.text((LABEL - 12) / sheet.shape[1], where, name, ha="right", va="center", fontsize=9)
    titles = ["as it is", *(f"strength {one:g}" for one in STRENGTHS for _ in range(DRAWS))]
    for column, title in enumerate(titles):
        where = (LABEL + column * cell + SIZE / 2) / sheet.shape[1]
        drawn.text(where, 1 - TITLE / 2 / len(sheet), title, ha="center", va="center", fontsize=10)
    drawn.figimage(sheet, zorder=-1)
    return drawn


def save(sheet: Any, out: Path) -> Path:
    """Write the picture whole or not at all."""
    kind = out.suffix.lower().lstrip(".") or "png"
    if kind not in ("png", "jpg", "jpeg", "pdf", "svg"):
        raise ValueError(f"{out}: a sheet is written as .png, .jpg, .pdf or .svg")
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as file:
        sheet.savefig(file, format=kind, dpi=100)
    return out
