"""Each augmentation against an independent definition: Pillow's, an identity, or the law of its random numbers."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mini_nn import data
from mini_nn.data import augment, sheet
from mini_nn.data.recipe import PRESETS, Recipe, Step, preset


class Fixed:
    """A generator whose uniform numbers are all at one end, to ask for one certain factor."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, size=None):
        value = low + (high - low) * self.share
        return value if size is None else np.full(size, value)


@pytest.fixture
def image(rng):
    """Odd and not square, no two pixels equal: what is swapped or shifted shows."""
    return rng.random((23, 31, 3), np.float32)


def pillow(image, f):
    """Apply f to each channel as a float image of Pillow."""
    planes = [
        np.asarray(f(Image.fromarray(np.ascontiguousarray(image[..., c])))) for c in range(image.shape[2])
    ]
    return np.stack(planes, -1)


def photo(image):
    return Image.fromarray((image * 255).round().astype(np.uint8))


ALWAYS = {"mirror": {"p": 1.0}, "random_erasing": {"p": 1.0}, "affine": {"degrees": 20, "scale": (0.8, 1.2)}}


@pytest.mark.parametrize(
    ("name", "channels"), [(n, c) for n in augment.IMAGES for c in (1, 3) if (n, c) != ("pca_colour", 1)]
)
def test_every_augmentation_keeps_shape_kind_range_and_its_argument(name, channels, rng):
    image = rng.random((17, 21, channels), np.float32)
    before = image.copy()
    for _ in range(20):
        result = augment.IMAGES[name](image, rng, **ALWAYS.get(name, {}))
        assert result.shape == image.shape
        assert result.dtype == np.float32
        assert result.min() >= 0
        assert result.max() <= 1
        assert np.array_equal(image, before)


@pytest.mark.parametrize("name", augment.IMAGES)
def test_every_augmentation_refuses_bytes_and_batches(name, rng):
    for wrong in (np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.float32), [[0.0]]):
        with pytest.raises(ValueError, match=name):
            augment.IMAGES[name](wrong, rng)


def test_mirror_is_pillows(image, rng):
    expected = pillow(image, lambda plane: plane.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.array_equal(augment.mirror(image, rng, p=1), expected)
    assert np.array_equal(augment.mirror(image, rng, p=0), image)


def test_mirror_happens_as_often_as_asked(rng):
    image = np.zeros((1, 2, 1), np.float32)
    image[0, 0] = 1
    share = np.mean([augment.mirror(image, rng, p=0.3)[0, 1, 0] for _ in range(4000)])
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 4000)


def test_random_crop_moves_by_every_shift_equally_often(rng):
    image = np.zeros((9, 9, 1), np.float32)
    image[4, 4] = 1
    places = [tuple(np.argwhere(augment.random_crop(image, rng, padding=2)[..., 0])[0]) for _ in range(2500)]
    seen, counts = np.unique(places, axis=0, return_counts=True)
    assert len(seen) == 25
    assert seen.min() == 2
    assert seen.max() == 6
    assert abs(counts - 100).max() < 5 * np.sqrt(100)


def test_random_crop_pads_with_zeros(rng):
    crops = [augment.random_crop(np.ones((5, 7, 3), np.float32), rng, padding=3) for _ in range(50)]
    assert {crop.shape for crop in crops} == {(5, 7, 3)}
    assert {float(value) for crop in crops for value in np.unique(crop)} == {0.0, 1.0}


@pytest.mark.parametrize("size", [(23, 31), (11, 14), (60, 37), (1, 1)])
@pytest.mark.parametrize("box", [(0, 0, 23, 31), (3, 5, 9, 20), (22, 30, 1, 1)])
def test_resize_is_pillows_bilinear(image, size, box):
    top, left, height, width = box
    expected = pillow(
        image,
        lambda plane: plane.crop((left, top, left + width, top + height)).resize(
            size[::-1], Image.Resampling.BILINEAR
        ),
    )
    assert np.allclose(augment.resize(image, box, size), expected, atol=2e-6)


def test_random_resized_crop_draws_area_and_ratio_as_asked(rng, monkeypatch):
    boxes = []
    monkeypatch.setattr(augment, "resize", lambda image, box, size: boxes.append(box) or image)
    image = np.zeros((200, 200, 1), np.float32)
    for _ in range(3000):
        augment.random_resized_crop(image, rng, scale=(0.1, 0.5), ratio=(0.5, 2.0))
    top, left, height, width = np.array(boxes).T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 200).all()
    assert (left + width <= 200).all()
    area, ratio = height * width / 200**2, width / height
    assert 0.097 < area.min() < 0.11
    assert 0.48 < area.max() < 0.515
    assert 0.49 < ratio.min() < 0.52
    assert 1.93 < ratio.max() < 2.04
    assert abs(np.median(np.log(ratio))) < 0.05  # as often high as wide
    assert abs(np.mean(area) - 0.3) < 0.02
    assert top.max() - top.min() > 100  # anywhere


def test_random_resized_crop_takes_the_whole_image_when_nothing_fits(rng):
    narrow = rng.random((2, 200, 3), np.float32)
    assert np.allclose(
        augment.random_resized_crop(narrow, rng, scale=(0.9, 1.0), ratio=(1, 1)), narrow, atol=1e-6
    )


def test_random_resized_crop_changes_the_size_when_asked(image, rng):
    assert augment.random_resized_crop(image, rng, size=(8, 12)).shape == (8, 12, 3)


@pytest.mark.parametrize("degrees", [0, 7, -30, 90, 180, 200])
@pytest.mark.parametrize("shape", [(23, 31), (24, 24), (9, 5)])
def test_rotation_is_pillows(degrees, shape, rng):
    image = rng.random((*shape, 3), np.float32)
    expected = pillow(image, lambda plane: plane.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=0))
    got = augment.warp(image, augment.affine_matrix(degrees, 0, 1), fill=0)
    assert different(got, expected) < 0.005


def different(got, expected):
    """The share of pixels that differ: Pillow rounds the outermost ones to either side of the edge."""
    return np.mean(abs(got - expected).max(-1) > 2e-3)


@pytest.mark.parametrize(
    ("degrees", "shear", "scale", "shift"),
    [
        (0, 0, 1, (3, -4)),
        (0, 0, 1.7, (0, 0)),
        (0, 20, 1, (0, 0)),
        (25, -15, 0.6, (2.5, 1.25)),
        (-70, 30, 1.3, (0, 5)),
    ],
)
def test_affine_is_pillows_inverse_map(image, degrees, shear, scale, shift):
    """Pillow wants the map from the new pixel to the old one, in (x, y), from the corner of the first pixel."""
    height, width = image.shape[:2]
    a, s = np.radians(degrees), np.tan(np.radians(shear))
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])  # of (x, y), y downwards
    forward = scale * turn @ np.array([[1, s], [0, 1]])
    back = np.linalg.inv(forward)
    centre = np.array([width / 2, height / 2])
    offset = centre - back @ (centre + np.array(shift)[::-1])
    numbers = (*back[0], offset[0], *back[1], offset[1])
    expected = pillow(
        image,
        lambda plane: plane.transform(
            (width, height), Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR, fillcolor=0
        ),
    )
    got = augment.warp(image, augment.affine_matrix(degrees, shear, scale), shift, fill=0)
    assert different(got, expected) < 0.005
    assert got.std() > 0.05


def test_the_identity_warp_is_exact(image):
    assert np.array_equal(augment.warp(image, np.eye(2)), image)


def test_a_quarter_turn_is_exact_on_a_square(rng):
    image = rng.random((9, 9, 3), np.float32)
    assert np.allclose(augment.warp(image, augment.affine_matrix(90, 0, 1)), np.rot90(image), atol=1e-6)


def test_a_whole_shift_moves_pixels_down_and_right(image):
    moved = augment.warp(image, np.eye(2), (2, 3), fill=0.25)
    assert np.allclose(moved[2:, 3:], image[:-2, :-3], atol=1e-6)
    assert (moved[:2] == 0.25).all()
    assert (moved[:, :3] == 0.25).all()


def test_no_fill_repeats_the_edge(image):
    moved = augment.warp(image, np.eye(2), (2, 0))
    assert np.allclose(moved[0], image[0], atol=1e-6)


def test_turning_there_and_back_nearly_returns(rng):
    ramp = np.linspace(0, 1, 41, dtype=np.float32)
    smooth = np.stack([np.add.outer(ramp, ramp) / 2, np.multiply.outer(ramp, ramp)], -1)
    there = augment.warp(smooth, augment.affine_matrix(33, 10, 1.2))
    back = augment.warp(there, np.linalg.inv(augment.affine_matrix(33, 10, 1.2)))
    assert abs(back - smooth)[15:-15, 15:-15].max() < 1e-3


def test_affine_draws_within_its_bounds(rng, monkeypatch):
    seen = []
    monkeypatch.setattr(augment, "affine_matrix", lambda *drawn: seen.append(drawn) or np.eye(2))
    shifts = []
    monkeypatch.setattr(augment, "warp", lambda image, matrix, shift, fill: shifts.append(shift) or image)
    for _ in range(2000):
        augment.affine(np.zeros((10, 20, 1), np.float32), rng, 30, 10, 0.1, (0.5, 2))
    low, high = np.min(seen, 0), np.max(seen, 0)
    assert np.allclose(low, [-30, -10, 0.5], atol=0.2)
    assert np.allclose(high, [30, 10, 2], atol=0.2)
    assert np.allclose(np.max(shifts, 0), [1, 2], atol=0.02)
    assert np.allclose(np.min(shifts, 0), [-1, -2], atol=0.02)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
@pytest.mark.parametrize(
    ("f", "pillows"),
    [
        (augment.brightness, ImageEnhance.Brightness),
        (augment.contrast, ImageEnhance.Contrast),
        (augment.saturation, ImageEnhance.Color),
    ],
)
def test_colour_is_pillows(f, pillows, share, rng):
    image = (rng.random((19, 14, 3)) * 0.9 + 0.05).astype(np.float32)
    image = np.asarray(photo(image), np.float32) / np.float32(255)
    expected = np.asarray(pillows(photo(image)).enhance(1 - 0.6 + 1.2 * share), np.float32)
    assert abs(f(image, Fixed(share), 0.6) * 255 - expected).max() <= 2  # Pillow rounds greys and means


@pytest.mark.parametrize("f", [augment.brightness, augment.contrast, augment.saturation])
def test_a_factor_of_one_changes_nothing(f, image):
    assert np.allclose(f(image, Fixed(0.5), 0.8), image, atol=1e-6)


@pytest.mark.parametrize("f", [augment.brightness, augment.contrast, augment.saturation])
def test_a_factor_never_becomes_negative(f, image):
    assert np.array_equal(f(image, Fixed(0.0), 5), f(image, Fixed(0.0), 1))


def test_contrast_and_saturation_keep_their_grey(rng):
    image = (0.4 + 0.2 * rng.random((8, 9, 3))).astype(np.float32)
    assert np.allclose(
        augment.grey(augment.contrast(image, Fixed(0.9), 0.5)).mean(), augment.grey(image).mean(), atol=1e-6
    )
    assert np.allclose(
        augment.grey(augment.saturation(image, Fixed(0.9), 0.5)), augment.grey(image), atol=1e-6
    )


def test_channel_shift_adds_one_number_a_channel(rng):
    image = (0.4 + 0.2 * rng.random((8, 9, 3))).astype(np.float32)
    shifts = np.array(
        [np.ptp(augment.channel_shift(image, rng, 0.2) - image, axis=(0, 1)) for _ in range(50)]
    )
    assert shifts.max() < 1e-6
    drawn = np.array([(augment.channel_shift(image, rng, 0.2) - image)[0, 0] for _ in range(3000)])
    assert abs(drawn).max() <= 0.2 + 1e-6
    assert np.allclose(drawn.std(0), 0.2 / np.sqrt(3), rtol=0.06)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.08


def test_pca_colour_spreads_as_the_eigenvalues_say(rng):
    """Covariance of the shift = P diag((std l)^2) P^T; ImageNet's: 0.0126 a channel, 3.2 grey levels."""
    image = np.full((2, 2, 3), 0.5, np.float32)
    shifts = np.array([(augment.pca_colour(image, rng) - image)[0, 0] for _ in range(6000)])
    vectors, values = np.array(augment.IMAGENET.vectors), np.array(augment.IMAGENET.values)
    expected = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    assert np.allclose(np.cov(shifts.T), expected, atol=0.06 * expected.max())
    assert np.allclose(shifts.std(0), 0.0126, rtol=0.05)
    assert abs(shifts.mean(0)).max() < 0.001


def test_pca_colour_draws_once_an_image(rng):
    image = (0.4 + 0.2 * rng.random((8, 9, 3))).astype(np.float32)
    assert np.ptp(augment.pca_colour(image, rng, std=0.3) - image, axis=(0, 1)).max() < 1e-6


def test_fitted_axes_are_the_eigenvectors_of_all_pixels(rng):
    mixing = rng.normal(size=(3, 3)) * 0.05
    images = [
        (rng.random((h, w, 3)) @ mixing + 0.5).astype(np.float32) for h, w in ((40, 30), (7, 90), (1, 1))
    ]
    axes = augment.fit_pca_colour(iter(images))
    covariance = np.cov(np.concatenate([i.reshape(-1, 3) for i in images]).T.astype(np.float64), bias=True)
    values, vectors = np.array(axes.values), np.array(axes.vectors)
    assert np.allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-9)
    assert np.allclose(vectors.T @ vectors, np.eye(3))
    assert list(values) == sorted(values, reverse=True)
    with pytest.raises(ValueError, match="no images"):
        augment.fit_pca_colour([])


def test_fitted_axes_go_into_a_recipe(image, rng):
    axes = augment.fit_pca_colour([image])
    recipe = Recipe((Step("pca_colour", {"std": 0.2, **axes._asdict()}),))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe(image, rng).shape == image.shape


def test_random_erasing_erases_one_rectangle_of_noise(rng):
    image = np.full((60, 80, 3), 0.5, np.float32)
    areas, ratios = [], []
    for _ in range(1000):
        rows, columns = np.nonzero((augment.random_erasing(image, rng, p=1) != 0.5).any(-1))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width  # a full rectangle
        areas.append(height * width / 4800)
        ratios.append(height / width)
    assert 0.017 < min(areas) < 0.05
    assert 0.3 < max(areas) < 0.42
    assert min(ratios) > 0.25
    assert max(ratios) < 3.9
    erased = augment.random_erasing(image, rng, p=1)
    noise = erased[(erased != 0.5).any(-1)]
    assert abs(noise.mean() - 0.5) < 0.06
    assert abs(noise.std() - 1 / np.sqrt(12)) < 0.04


def test_random_erasing_happens_as_often_as_asked(rng):
    image = np.full((20, 20, 1), 0.5, np.float32)
    share = np.mean([augment.random_erasing(image, rng, p=0.25) is not image for _ in range(2000)])
    assert abs(share - 0.25) < 0.04


def test_mixup_mixes_images_and_labels_alike(rng):
    x = np.zeros((6, 2, 2, 1), np.float32) + (np.arange(6, dtype=np.float32) / 10)[:, None, None, None]
    y = np.array([0, 1, 2, 3, 4, 5])
    mixed, shares = augment.mixup(x, y, rng, alpha=1.0, classes=6)
    assert mixed.dtype == shares.dtype == np.float32
    assert np.allclose(shares.sum(1), 1)
    assert np.allclose(shares @ (np.arange(6) / 10), mixed[:, 0, 0, 0], atol=1e-6)
    assert (
        len(np.unique(np.diag(shares)[np.count_nonzero(shares, axis=1) > 1].round(5))) <= 1
    )  # one lambda a batch
    with pytest.raises(ValueError, match="label 5"):
        augment.mixup(x, y, rng, classes=5)


def test_mixups_lambda_follows_beta(rng):
    x, y = np.zeros((2, 1, 1, 1), np.float32), np.array([0, 1])
    shares = np.array([augment.mixup(x, y, rng, alpha=0.4, classes=2)[1][0, 0] for _ in range(4000)])
    swapped = shares[shares < 1]
    assert abs(swapped.mean() - 0.5) < 0.03
    assert abs(swapped.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.01  # the variance of Beta(a, a)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_and_printing(name):
    recipe = preset(name, strength=1.5)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert "strength 1.5" in str(recipe)
    assert all(step.name in str(recipe) for step in recipe.steps)


@pytest.mark.parametrize("name", PRESETS)
def test_strength_zero_changes_nothing(name, image, rng):
    recipe = preset(name, strength=0)
    assert np.allclose(recipe(image, rng), image, atol=1e-6)
    x, y = recipe.batch(image[None], np.array([1]), rng, 3)
    assert np.array_equal(x, image[None])
    assert y.ravel().tolist() in ([1], [0, 1, 0])


def test_strength_multiplies_what_is_used_and_what_is_printed():
    recipe = Recipe((Step("affine", {"degrees": 10, "scale": (0.9, 1.2)}), Step("mirror")), strength=2)
    affine, mirror = recipe.settings()
    assert affine.parameters["degrees"] == 20
    assert affine.parameters["scale"] == pytest.approx((0.8, 1.4))
    assert mirror.parameters == {"p": 0.5}
    assert "degrees=20 (of 10)" in str(recipe)
    assert recipe.stronger(0.25).settings()[1].parameters == {"p": 0.25}


def test_a_recipe_runs_its_steps_in_order(image):
    recipe = Recipe((Step("mirror", {"p": 1}), Step("brightness", {"amount": 0.5})))
    rng = np.random.default_rng(5)
    expected = augment.brightness(augment.mirror(image, rng, 1), rng, 0.5)
    assert np.array_equal(recipe(image, np.random.default_rng(5)), expected)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (("blur", {}), "blur"),
        (("mirror", {"probability": 1}), "probability"),
        (("mirror", {"p": 1.5}), "p must be a share"),
        (("brightness", {"amount": -1}), "at least 0"),
        (("brightness", {"amount": float("nan")}), "at least 0"),
        (("affine", {"scale": (1.2, 0.8)}), "lowest, highest"),
        (("mixup", {"classes": 3}), "classes"),
    ],
)
def test_a_wrong_recipe_is_refused_when_it_is_written(step, message):
    with pytest.raises(ValueError, match=message):
        Recipe((step,))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"strength": 1}', '{"strength": -1, "steps": []}'])
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  each says something else
        Recipe.from_json(text)


def test_an_own_augmentation_can_be_named(image, rng, monkeypatch):
    monkeypatch.setattr(augment, "IMAGES", dict(augment.IMAGES))

    @augment.augmentation
    def negative(image, rng, amount=1.0):
        return (1 - amount) * image + amount * (1 - image)

    assert np.allclose(Recipe((Step("negative"),))(image, rng), 1 - image)


def test_the_sheet_is_drawn_whole(tmp_path, image, monkeypatch):
    monkeypatch.setattr(sheet, "SIZE", 20)
    out = sheet.draw(photo(image), tmp_path / "new" / "sheet.png", data.preset("cifar"))
    with Image.open(out) as drawn:
        assert drawn.width > 400
        assert drawn.height > 300
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]
    with pytest.raises(ValueError, match=r"sheet\.gif"):
        sheet.draw(photo(image), tmp_path / "sheet.gif")
