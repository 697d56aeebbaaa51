"""Preprocessing: the same pixels as the published code takes, from a photograph of any shape."""

import json
from dataclasses import FrozenInstanceError, replace
from math import floor

import numpy as np
import pytest
from PIL import Image

from mini_nn.weights.preprocess import Preprocess

LITE = Preprocess(224, 256, "crop", "bicubic", (127.0,) * 3, (128.0,) * 3)
TIMM = replace(LITE, method="resize", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
SHAPES = [(300, 400), (512, 512), (683, 1024), (37, 53), (200, 201), (1000, 333), (256, 256), (1, 9), (1, 1)]


def photograph(height, width):
    """Soft shapes with some noise, as photographs have."""
    rng = np.random.default_rng(height * width)
    soft = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((width, height), 3)
    noise = rng.integers(-8, 9, (height, width, 3))
    return np.clip(np.asarray(soft) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_crop_is_that_of_efficientnets_authors(shape, interpolation):
    """preprocessing.py of tensorflow/tpu: a centre square of floor(min(H, W) size / (size + 32)), resized."""
    x, (height, width) = photograph(*shape), shape
    side = max(1, floor(224 / (224 + 32) * min(shape)))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    cut = Image.fromarray(x).crop((left, top, left + side, top + side))
    expected = np.asarray(cut.resize((224, 224), {"bilinear": 2, "bicubic": 3}[interpolation]))
    assert np.array_equal(replace(LITE, interpolation=interpolation).window(x), expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(224, 256), (260, 292), (448, 448)])
@pytest.mark.parametrize("shape", SHAPES)
def test_resize_is_that_of_timm(shape, size, interpolation):
    """torchvision's Resize(resize), CenterCrop(size): equal but for the last bit, the order of Pillow's two passes."""
    x, (height, width) = photograph(*shape), shape
    keep, resize = size
    high, wide = (
        (resize, int(resize * width / height)) if height <= width else (int(resize * height / width), resize)
    )
    whole = Image.fromarray(x).resize((wide, high), {"bilinear": 2, "bicubic": 3}[interpolation])
    left, top = round((wide - keep) / 2), round((high - keep) / 2)
    expected = np.asarray(whole.crop((left, top, left + keep, top + keep))).astype(int)
    found = replace(TIMM, size=keep, resize=resize, interpolation=interpolation).window(x)
    assert found.shape == (keep, keep, 3)
    assert np.abs(found - expected).max() <= 2
    assert np.abs(found - expected).mean() < 0.3


def test_squash_takes_the_whole_photograph():
    x = photograph(300, 500)
    expected = np.asarray(Image.fromarray(x).resize((448, 448), 3))
    assert np.array_equal(replace(TIMM, size=448, resize=448, method="squash").window(x), expected)


def test_the_methods_differ():
    x = photograph(300, 500)
    seen = [replace(LITE, method=method).window(x).astype(int) for method in ("crop", "resize", "squash")]
    assert np.abs(seen[0] - seen[2]).max() > 20
    assert 0 < np.abs(seen[0] - seen[1]).max() < 40  # the border alone


def test_numbers_are_scaled_as_published():
    x = photograph(256, 256)
    pixels = LITE.window(x)
    assert np.array_equal(LITE(x), (pixels.astype(np.float32) - 127) / 128)
    torch = (TIMM.window(x) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.abs(TIMM(x) - torch).max() < 1e-6


def test_path_image_and_array_give_the_same(tmp_path):
    x = photograph(60, 90)
    Image.fromarray(x).save(tmp_path / "a.png")
    expected = LITE(x)
    assert expected.dtype == np.float32
    assert expected.shape == (224, 224, 3)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(x)):
        assert np.array_equal(LITE(source), expected)


def test_grey_photographs_have_three_equal_channels():
    y = TIMM(photograph(50, 60)[..., 0])
    assert np.allclose(y * TIMM.std + TIMM.mean, (y * TIMM.std + TIMM.mean)[..., :1], atol=1e-4)


@pytest.mark.parametrize("method", ["crop", "resize", "squash"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 60000), (60000, 1), (2, 3000)])
def test_long_and_thin_photographs_take_no_more_memory_than_others(shape, method):
    """Resizing a 1 x 60,000 photograph as a whole would take 256 x 15 million pixels."""
    x = np.full((*shape, 3), 200, np.uint8)
    y = replace(LITE, method=method)(x)
    assert y.shape == (224, 224, 3)
    assert np.allclose(y, (200 - 127) / 128)


def test_the_photograph_is_left_as_it_was():
    x = photograph(30, 40)
    before = x.copy()
    LITE(x)
    assert np.array_equal(x, before)


def test_the_centre_is_in_the_centre():
    x = np.zeros((256, 512, 3), np.uint8)
    x[:, 256 - 112 : 256 + 112] = 255
    for method in ("crop", "resize"):
        assert (replace(LITE, method=method, interpolation="nearest").window(x) == 255).all()


def test_it_travels_as_plain_values():
    for preprocess in (LITE, TIMM):
        text = json.dumps(preprocess.to_dict())
        assert Preprocess.from_dict(json.loads(text)) == preprocess
    with pytest.raises(FrozenInstanceError):
        LITE.size = 3
    with pytest.raises(ValueError, match="sizes"):
        Preprocess.from_dict({**LITE.to_dict(), "sizes": 3})
    with pytest.raises(ValueError, match="mean"):
        Preprocess.from_dict({"size": 224})


def test_it_says_what_it_does():
    assert str(LITE) == (
        "224 x 224: the centre square of 224/256 of the shorter side (bicubic), then (x - 127) / 128"
    )
    assert "(123.675, 116.28, 103.53)" in str(TIMM)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "corner"}, "'corner'"),
        ({"interpolation": "cubic"}, "'cubic'"),
        ({"size": 0}, "size 0"),
        ({"size": 300}, "300"),
        ({"std": (1.0, 0.0, 1.0)}, "std"),
        ({"mean": (1.0, 0.0)}, "mean"),
    ],
)
def test_nonsense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(LITE, **change)
