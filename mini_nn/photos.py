"""Photographs from anywhere: a file of any common format becomes uint8 (H, W, 3), upright, or the error says why not.

Nothing is decoded before its size is known from the header.  Colour profiles are ignored, as they were in training.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

Array = NDArray[Any]
Source = str | os.PathLike[str] | Image.Image | Array

MAX_PIXELS = 1024**3 // 12  # 89 million, Pillow's own limit: a third of a gigabyte once decoded
PART = 2**22  # pixels that are converted at a time
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "HEIF")  # JPEG reads MPO
HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"))
UPRIGHT: dict[Any, Callable[[Array], Array]] = {  # by EXIF orientation; 1 is upright already
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
_opening = threading.Lock()


class PhotoError(ValueError):
    """A photograph that cannot be read: which one, what is wrong, what to do."""


class NoPhotoError(PhotoError, FileNotFoundError):
    """There is no such file."""


def read(source: Source, max_pixels: int = MAX_PIXELS) -> Array:
    """A new array uint8 (H, W, 3), RGB, upright, transparent parts on white.

    source: a path, a PIL image, or a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), its channels in RGB order
    (nothing in an array tells BGR).  16-bit grey becomes round(x / 257).  Of several frames the first counts.
    """
    if isinstance(source, Image.Image):
        return decode(source, f"the PIL image {getattr(source, 'filename', '')}".rstrip(), max_pixels)
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, str | os.PathLike):
        return from_file(Path(source), max_pixels)
    raise PhotoError(f"a photograph is a path, a PIL image or a uint8 array, not {type(source).__name__}")


def from_file(path: Path, max_pixels: int) -> Array:
    try:
        if path.is_dir():
            raise PhotoError(f"{path}: is a folder; name the photographs in it")
        if not path.exists():
            raise NoPhotoError(f"{path}: there is no such file; check the name")
        if not path.is_file():  # opening a pipe would wait for ever
            raise PhotoError(f"{path}: is not an ordinary file")
        with path.open("rb") as file:
            return decode(open_image(file, path), str(path), max_pixels)
    except OSError as error:
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(f"{path}: cannot be opened: {error.strerror or error}") from error


def open_image(file: BinaryIO, path: Path) -> Image.Image:
    """The image's header; no pixel is decoded yet."""
    head = file.read(16)
    if not head:
        raise PhotoError(f"{path}: is empty (0 bytes); copy it again")
    if head[4:12] in HEIC:
        register_heic(path)
    Image.init()
    with _opening:  # Pillow's own check is global and may only warn; decode() has ours
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
        except UnidentifiedImageError:
            raise PhotoError(
                f"{path}: is no photograph in a known format (it begins with {head!r}); save it as JPEG or PNG"
            ) from None
        except Exception as error:  # a damaged header can make Pillow raise anything
            raise PhotoError(f"{path}: its header is damaged ({error}); copy it again") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def register_heic(path: Path) -> None:
    """Pillow reads HEIC with a plugin only."""
    try:
        import pi_heif
    except ImportError:
        raise PhotoError(
            f"{path}: is a HEIC photograph; pip install 'mini-nn[heic]' reads them, or save it as JPEG"
        ) from None
    pi_heif.register_heif_opener()


def decode(image: Image.Image, name: str, max_pixels: int) -> Array:
    """Check the size, decode, turn to RGB, set upright."""
    width, height = image.size
    if not width or not height:
        raise PhotoError(f"{name}: has no pixels, it is {width} x {height}")
    if width * height > max_pixels:
        raise PhotoError(
            f"{name}: is {width} x {height} pixels, more than the {max_pixels:,} that are read; "
            "make it smaller first, or pass max_pixels"
        )
    try:
        image.load()
        pixels = to_rgb_strips(image, name)
    except PhotoError:
        raise
    except Exception as error:  # damaged data can make Pillow raise anything
        raise PhotoError(f"{name}: is damaged or cut off ({error}); copy it again") from error
    return np.ascontiguousarray(turn(image)(pixels))


def to_rgb_strips(image: Image.Image, name: str) -> Array:
    """to_rgb, some rows at a time: all at once would take several times the memory."""
    width, height = image.size
    rows = max(1, PART // width)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        strip[:] = to_rgb(image.crop((0, top, width, top + len(strip))), name)
    return pixels


def to_rgb(image: Image.Image, name: str) -> Array:
    if image.mode in ("F", "LAB"):
        raise PhotoError(f"{name}: has mode {image.mode}, of unknown range; convert it to 8-bit RGB first")
    if image.mode.startswith("I"):  # "I" and "I;16...": Pillow's modes for 16-bit grey
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise PhotoError(
                f"{name}: has mode {image.mode} with values from {grey.min()} to {grey.max()}, beyond 16 bits; "
                "scale it to 8 bits first"
            )
        return np.repeat(((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "La":
        image = image.convert("LA")  # Pillow has no shorter way to RGBA
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return np.array(image.convert("RGB"))


def turn(image: Image.Image) -> Callable[[Array], Array]:
    """What EXIF's orientation asks for; read after decoding, since Pillow turns TIFFs itself."""
    try:
        return UPRIGHT[image.getexif()[ExifTags.Base.Orientation]]
    except Exception:  # noqa: BLE001  # none, 1, or damaged EXIF of any kind: leave it as it is
        return lambda x: x


def from_array(x: Array) -> Array:
    if x.dtype != np.uint8:
        hint = {
            "f": "(x * 255).round().astype(np.uint8) if x is in 0..1",
            "b": "x.astype(np.uint8) * 255",
            "u": "(x // 257).astype(np.uint8) if x has 16 bits",
        }.get(x.dtype.kind, "x.astype(np.uint8) if x is in 0..255")
        raise PhotoError(f"a photograph's array is uint8 (0 to 255), this one is {x.dtype}: use {hint}")
    if x.ndim not in (2, 3):
        batch = "; it looks like a batch: pass one photograph at a time" if x.ndim == 4 else ""
        raise PhotoError(
            f"a photograph's array is (H, W), or (H, W, 1, 3 or 4 channels), not {x.shape}{batch}"
        )
    if x.size == 0:
        raise PhotoError(f"the photograph's array is empty, its shape is {x.shape}")
    if x.ndim == 2:
        x = x[..., None]
    if x.shape[2] not in (1, 3, 4):
        first = "; channels look first: use x.transpose(1, 2, 0)" if x.shape[0] in (1, 3, 4) else ""
        raise PhotoError(
            f"a photograph has 1, 3 or 4 channels, the last axis of {x.shape} has {x.shape[2]}{first}"
        )
    if x.shape[2] == 4:
        return to_rgb(Image.fromarray(np.ascontiguousarray(x)), "the array")
    return np.array(np.broadcast_to(x, (*x.shape[:2], 3)), order="C")
