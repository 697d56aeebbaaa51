"""What all pictures share: colours, grids, names that can be shown, and a file that is written whole."""

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from mini_nn import photos
from mini_nn.files import written_whole
from mini_nn.ops import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Target = str | Path | IO[bytes]
TRAIN, VALID, MUTED, DARK = (
    "#0072b2",
    "#d55e00",
    "#5a6b7b",
    "#12304b",
)  # Okabe & Ito's blue and vermilion; two greys
SIDE = 160  # pixels of a photograph on a sheet
COLUMNS = 6  # photographs beside each other
FONTS = (  # that have other scripts than Latin, Greek and Cyrillic, where they are installed
    "Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic",
    "Arial Unicode MS", "WenQuanYi Zen Hei", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Nirmala UI",
    "Noto Sans Thai", "Segoe UI", "Segoe UI Emoji", "Noto Emoji",
)  # fmt: skip


def save(figure: "Figure", path: Target) -> None:
    """Write a figure as PNG: whole, or not at all.  A letter that no installed font has becomes a box."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    texts = [one for one in figure.findobj(Text) if isinstance(one, Text)]
    if any(letter > "\u058f" for one in texts for letter in one.get_text()):
        known = {"DejaVu Sans", *get_font_names()}
        for one in texts:
            one.set_fontfamily(["DejaVu Sans", *(font for font in FONTS if font in known)])
    options: dict[str, Any] = {"format": "png", "facecolor": "white", "dpi": 130}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        if not isinstance(path, str | Path):
            figure.savefig(path, **options)
            return
        with written_whole(Path(path)) as file:
            figure.savefig(file, **options)


def text(name: object, most: int = 24) -> str:
    """A name as it is shown: one line, not too long, nothing of it taken for a formula."""
    plain = str(name).encode("utf-8", "replace").decode()
    plain = "".join(letter if letter.isprintable() else " " for letter in plain)
    return (plain if len(plain) <= most else plain[: most - 1] + "\u2026").replace("$", r"\$")


def figure(columns: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    new = Figure(figsize=(width, height), layout="constrained")
    axes = list(np.atleast_1d(new.subplots(1, columns)))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return new, axes


class Sheet:
    """A grid of pictures on one page, each below a few lines of text.  Lengths are inches.

    One pair of axes holds them all: a pair for each would take matplotlib seconds.
    """

    def __init__(
        self, rows: int, columns: int, lines: float, side: float = 1.35, title: str = "", left: float = 0.1
    ) -> None:
        from matplotlib.figure import Figure

        self.side, self.text, self.left, self.top = side, 0.15 * lines + 0.05, left, 0.4 if title else 0.1
        width = left + columns * (side + 0.1)
        height = self.top + rows * (side + self.text + 0.1)
        self.figure = Figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")
        self.axes.text(width / 2, 0.2, title, ha="center", va="center", fontsize=10, color=DARK)

    def place(self, row: int, column: int) -> tuple[float, float]:
        """The left and the upper end of a picture."""
        left = self.left + column * (self.side + 0.1)
        return left, self.top + row * (self.side + self.text + 0.1) + self.text

    def show(self, row: int, column: int, image: Array, said: str = "", **options: Any) -> None:
        """Draw an image (H, W) or (H, W, 3), and what is said above it."""
        x, y = self.place(row, column)
        extent = (x, x + self.side, y + self.side, y)
        self.axes.imshow(image, extent=extent, aspect="auto", **options)
        if said:
            self.axes.text(
                x + self.side / 2, y - 0.04, said, ha="center", va="bottom", fontsize=7, color=DARK
            )


def tile(source: photos.Source) -> Array:
    """A photograph small enough for a sheet, uint8; grey where it cannot be read any more."""
    try:
        photo = Image.fromarray(photos.read(source))
    except photos.PhotoError:
        return np.full((SIDE, SIDE, 3), 200, np.uint8)
    return np.asarray(ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.BICUBIC))
