"""Photographs: every odd but whole file becomes the right pixels, everything else a sentence."""

import io
import os
import sys
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from mini_nn import photos


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path, pixels):
    """Save an image (by default `pixels`) under a name; options go to Pillow."""

    def save(name, image=None, **options):
        path = tmp_path / name
        (Image.fromarray(pixels) if image is None else image).save(path, **options)
        return path

    return save


def refused(source, *words, error=photos.PhotoError, **options):
    with pytest.raises(error) as caught:
        photos.read(source, **options)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert str(word) in str(caught.value), f"{word!r} is not in: {caught.value}"


# --- whole files


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "ppm", "jp2"])
def test_a_file_gives_its_pixels(saved, pixels, ending):
    options = {"irreversible": False} if ending == "jp2" else {}
    assert np.array_equal(photos.read(saved(f"a.{ending}", **options)), pixels)


def test_the_result_is_new_and_may_be_written_to(saved, pixels):
    for source in (saved("a.png"), str(saved("a.png")), Image.fromarray(pixels), pixels, pixels[::-1, ::2]):
        x = photos.read(source)
        assert x.dtype == np.uint8
        assert x.flags.writeable
        assert x.flags.c_contiguous
        assert not np.shares_memory(x, pixels)


@pytest.mark.parametrize("ending", ["png", "tiff", "webp", "jpg"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_turns_the_photograph_upright(saved, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(f"a.{ending}", exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert photos.read(path).shape == ((7, 5, 3) if orientation in (5, 6, 7, 8) else (5, 7, 3))
    assert np.array_equal(photos.read(path), expected)
    with Image.open(path) as image:
        assert np.array_equal(photos.read(image), expected)


def test_the_camera_on_its_side_puts_the_top_left_pixel_top_right(saved):
    x = np.zeros((16, 32, 3), np.uint8)
    x[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    y = photos.read(saved("a.jpg", Image.fromarray(x), exif=exif, quality=95))
    assert y.shape == (32, 16, 3)
    assert y[2, -2].min() > 240
    assert y[2, 2].max() < 15


def test_damaged_exif_says_nothing(saved, pixels):
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"nonsense" * 9):
        assert np.array_equal(photos.read(saved("a.png", exif=exif)), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "La", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_every_mode_of_pillow_looks_the_same(mode, rng):
    """A photograph of soft colours, through each mode and back."""
    soft = Image.fromarray(rng.integers(90, 160, (3, 4, 3), dtype=np.uint8)).resize((32, 24))
    grey = mode in ("1", "L", "LA", "La")
    image = soft.convert("LA").convert("La") if mode == "La" else soft.convert("RGBA").convert(mode)
    image = soft.convert(mode) if mode in ("1", "L", "P", "CMYK", "YCbCr", "HSV") else image
    expected = np.asarray(soft.convert("L").convert("RGB") if grey else soft).astype(int)
    got = photos.read(image)
    assert got.shape == (24, 32, 3)
    if mode == "1":
        assert set(np.unique(got)) <= {0, 255}
    else:
        assert np.abs(got - expected).max() <= (60 if mode == "P" else 6)


def test_transparent_parts_are_white(saved, pixels):
    alpha = np.zeros((5, 7, 1), np.uint8)
    alpha[:2], alpha[2] = 255, 128
    rgba = np.dstack([pixels, alpha])
    expected = np.where(alpha == 255, pixels, 255)
    expected[2] = np.round((pixels[2] * 128.0 + 255 * 127) / 255)
    for source in (rgba, Image.fromarray(rgba), saved("a.png", Image.fromarray(rgba))):
        assert np.abs(photos.read(source).astype(int) - expected).max() <= 1
    grey = Image.fromarray(rgba).convert("LA")
    assert (photos.read(grey)[3:] == 255).all()


@pytest.mark.parametrize("transparency", [1, bytes([255, 0] + [255] * 6)], ids=["index", "table"])
def test_a_palette_with_a_transparent_colour(saved, pixels, transparency):
    palette = Image.fromarray(pixels).quantize(8)
    clear = np.asarray(palette) == 1
    x = photos.read(saved("a.png", palette, transparency=transparency))
    assert clear.any()
    assert (x[clear] == 255).all()
    assert np.array_equal(x[~clear], np.asarray(palette.convert("RGB"))[~clear])


def test_a_palette_with_transparency_beside_it(pixels):
    palette = Image.fromarray(pixels).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    palette.putalpha(255)
    assert palette.mode == "PA"
    assert np.array_equal(photos.read(palette), expected)


def test_a_transparent_colour_of_an_image_without_palette(saved, pixels):
    x = photos.read(saved("a.png", transparency=tuple(int(v) for v in pixels[2, 3])))
    assert (x[2, 3] == 255).all()
    assert np.array_equal(x[0], pixels[0])


@pytest.mark.parametrize("kind", ["png", "tiff", "pgm", "I;16B", "I"])
def test_16_bits_are_scaled_not_cut(saved, tmp_path, kind):
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    if kind == "pgm":
        source = tmp_path / "a.pgm"
        source.write_bytes(b"P5 256 256 65535\n" + deep.astype(">u2").tobytes())
    elif kind in ("png", "tiff"):
        source = saved(f"a.{kind}", Image.fromarray(deep))
    else:
        source = Image.fromarray(deep.astype(np.int32 if kind == "I" else ">u2"))
    x = photos.read(source)
    assert x.shape == (256, 256, 3)
    assert np.array_equal(x[..., 1], np.round(deep / 257))
    assert (x == x[..., :1]).all()


def test_numbers_of_unknown_range_are_refused():
    refused(Image.fromarray(np.array([[0, 70000]], np.int32)), "70000", "16 bits")
    refused(Image.fromarray(np.array([[-1, 5]], np.int32)), "-1")
    refused(Image.fromarray(np.zeros((2, 2), np.float32)), "mode F")


def test_of_several_frames_the_first_counts(saved):
    red, blue = (Image.new("RGB", (16, 8), colour) for colour in ("red", "blue"))
    for name in ("a.gif", "a.png", "a.tiff", "a.webp", "a.mpo"):
        path = saved(name, red, save_all=True, append_images=[blue])
        with Image.open(path) as image:
            assert image.n_frames == 2
        assert np.abs(photos.read(path).astype(int) - [255, 0, 0]).max() < 40


def test_cmyk_jpegs_have_their_colours(saved):
    red = Image.new("RGB", (16, 16), (200, 30, 40))
    x = photos.read(saved("a.jpg", red.convert("CMYK"), quality=95))
    assert np.abs(x.astype(int) - [200, 30, 40]).max() < 12


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_one_pixel_is_a_photograph(saved, mode):
    assert photos.read(saved("a.png", Image.new(mode, (1, 1)))).shape == (1, 1, 3)


def test_the_ending_of_the_name_does_not_matter(saved, pixels):
    path = saved("a.png")
    assert np.array_equal(photos.read(path.rename(path.with_suffix(".jpg"))), pixels)


# --- arrays


def test_arrays_of_any_useful_shape(pixels):
    assert np.array_equal(photos.read(pixels), pixels)
    for grey in (pixels[..., 0], pixels[..., :1]):
        assert np.array_equal(photos.read(grey), pixels[..., :1].repeat(3, 2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x / 255, ["float64", "* 255"]),
        (lambda x: x.astype(np.float32), ["float32", "uint8"]),
        (lambda x: x.astype(np.uint16), ["uint16", "257"]),
        (lambda x: x > 9, ["bool"]),
        (lambda x: x.astype(int), ["int64"]),
        (lambda x: x.transpose(2, 0, 1), ["(3, 5, 7)", "channels look first", "transpose(1, 2, 0)"]),
        (lambda x: x[None], ["(1, 5, 7, 3)", "batch"]),
        (lambda x: x[..., :2], ["(5, 7, 2)", "2"]),
        (lambda x: x[0, 0], ["(3,)"]),
        (lambda x: x[:0], ["empty", "(0, 7, 3)"]),
        (lambda x: x.tolist(), ["list"]),
        (lambda x: x.tobytes(), ["bytes"]),
        (lambda x: None, ["NoneType"]),
    ],
)
def test_a_wrong_array_is_told_what_is_wrong(pixels, change, words):
    refused(change(pixels), *words)


# --- bad files


def test_what_is_no_file(tmp_path, monkeypatch):
    refused(tmp_path / "no.jpg", "no.jpg", "no such file", error=FileNotFoundError)
    refused(tmp_path, tmp_path, "folder")
    refused("x" * 5000, "cannot be opened")
    monkeypatch.chdir(tmp_path)
    refused("", "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    refused(tmp_path / "pipe.jpg", "not an ordinary file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty", "0 bytes"]),
        (b"just some words", ["no photograph", "just some words"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ["no photograph"]),
        (b"\xff\xd8\xff", [""]),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, [""]),
        (b"GIF89a", [""]),
        (b"II*\0\xff\xff\xff\xff", [""]),
    ],
)
def test_a_file_that_is_no_photograph(tmp_path, content, words):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    refused(path, path, *words)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "tiff", "bmp", "jp2"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_cut_off_is_refused(saved, rng, ending, share):
    noise = Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    path = saved(f"a.{ending}", noise)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, path)
    with pytest.raises((ValueError, OSError)):  # Pillow may notice it on opening, before it is ours
        photos.read(Image.open(io.BytesIO(path.read_bytes())))


def test_a_progressive_jpeg_cut_off_is_refused(saved, rng):
    noise = Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
    path = saved("a.jpg", noise, progressive=True)
    path.write_bytes(path.read_bytes()[:3000])
    refused(path, path, "cut off")


def test_a_heic_photograph_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    refused(path, path, "HEIC", "mini-nn[heic]")


def test_pi_heif_is_used_where_it_is(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    called = []
    stub = type(sys)("pi_heif")
    stub.register_heif_opener = lambda: called.append(True)
    monkeypatch.setitem(sys.modules, "pi_heif", stub)
    refused(path, path)
    assert called


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_a_bomb_is_refused_by_its_header(tmp_path, ending):
    """20,000 x 20,000 pixels: named at once, nothing decoded, no warning of Pillow's."""
    path = tmp_path / f"bomb.{ending}"
    Image.new("1", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    if ending == "png":
        content[16:24] = (20000).to_bytes(4, "big") * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    else:
        content[6:10] = (20000).to_bytes(2, "little") * 2
    path.write_bytes(content)
    started = time.perf_counter()
    tracemalloc.start()
    refused(path, path, "20000 x 20000", "max_pixels")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert time.perf_counter() - started < 2


def test_the_limit_can_be_chosen_and_pillows_own_stays(saved, pixels, monkeypatch):
    path = saved("a.png")
    refused(path, "7 x 5", "34", max_pixels=34)
    refused(Image.fromarray(pixels), "7 x 5", max_pixels=34)
    assert photos.read(path, max_pixels=35).shape == (5, 7, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow would refuse
    monkeypatch.setattr(photos, "PART", 7)
    assert photos.read(path).shape == (5, 7, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_large_photographs_are_converted_in_parts(rng, monkeypatch):
    monkeypatch.setattr(photos, "PART", 100)
    x = rng.integers(0, 256, (23, 31, 4), dtype=np.uint8)  # eight parts, the last one shorter
    white = np.round((x[..., :3].astype(float) * x[..., 3:] + 255.0 * (255 - x[..., 3:])) / 255)
    assert np.abs(photos.read(Image.fromarray(x)) - white).max() <= 1
    wide = np.repeat(x, 10, axis=1)  # a row is more than a part
    assert np.array_equal(photos.read(Image.fromarray(wide)), np.repeat(photos.read(x), 10, axis=1))


def test_threads_may_read_at_once(saved, pixels):
    path, results = saved("a.png"), []

    def work():
        results.extend(np.array_equal(photos.read(path), pixels) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 200
    assert Image.MAX_IMAGE_PIXELS is not None
