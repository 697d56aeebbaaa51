"""What people's folders hold, and that all of it is survived and named."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_nn import folder_check
from mini_nn.folder_check import check


def picture(seed, size=(60, 44)):
    """A scene of smooth blobs: no two alike."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def save(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path):
    for i in range(12):
        save(tmp_path / "cat" / f"{i}.jpg", i)
        save(tmp_path / "dog" / f"{i}.png", 100 + i)
    return tmp_path


def kinds(found):
    return [one.kind for one in found.findings]


def finding(found, kind):
    (one,) = (one for one in found.findings if one.kind == kind)
    return one


def test_a_clean_folder_has_counts_and_nothing_to_say(photos):
    found = check(photos)
    assert (found.classes, found.counts.tolist(), found.findings) == (("cat", "dog"), [12, 12], [])
    assert "2 classes, 24 photographs" in str(found)


def test_whatever_lies_in_a_folder_is_survived_and_named(photos):
    cat = photos / "cat"
    whole = (cat / "0.jpg").read_bytes()
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (cat / "page.jpg").write_text("<!DOCTYPE html><title>404</title>")
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    (cat / "bomb.png").write_bytes(bomb.getvalue())
    (cat / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (cat / "notes.txt").write_text("Tigger")
    (cat / "film.mov").write_bytes(bytes(100))
    (cat / ".hidden.jpg").write_bytes(b"")
    (cat / "away.jpg").symlink_to("nowhere.jpg")
    (cat / "self.jpg").symlink_to("self.jpg")
    (cat / "round").symlink_to(photos)
    (photos / "up").symlink_to(photos.parent)
    save(photos / "misnamed" / "png.jpg", 200, format="PNG")
    save(photos / "misnamed" / "no suffix", 201, format="JPEG")
    save(photos / "misnamed" / "real.txt", 202, format="BMP")
    if hasattr(os, "mkfifo"):
        os.mkfifo(cat / "pipe.jpg")
    found = check(photos)
    assert found.classes == ("cat", "dog", "misnamed")
    assert found.counts.tolist() == [12, 12, 3]
    broken = {path.name: why for path, why in found.broken}
    expected = {
        "empty.jpg": "empty", "cut.jpg": "copy it again", "page.jpg": "no photograph", "bomb.png": "20000 x 20000",
        "phone.jpg": "", "away.jpg": "nowhere", "self.jpg": "nowhere", "pipe.jpg": "not an ordinary file",
    }  # fmt: skip
    assert broken.keys() == {name for name in expected if (cat / name).is_symlink() or (cat / name).exists()}
    for name, why in broken.items():
        assert expected[name] in why
    assert {path.name for path in found.ignored} >= {"notes.txt", "film.mov"}
    assert {"broken", "passed over", "few"} <= set(kinds(found))
    assert "empty: up" in str(found)


def test_a_telephone_s_photograph_opens_or_the_extra_is_named(photos, monkeypatch):
    (photos / "cat" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert "mini-nn[heic]" in finding(check(photos), "broken").items[0]


def test_a_folder_or_file_that_may_not_be_read_is_named(photos, monkeypatch):
    """root may read everything, so the refusal is put in."""
    save(photos / "locked" / "a.jpg", 50)
    real_open, real_list = Path.open, Path.iterdir

    def refuse(path):
        if path.name in ("3.jpg", "locked"):
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(
        Path, "open", lambda path, *words, **more: refuse(path) or real_open(path, *words, **more)
    )
    monkeypatch.setattr(Path, "iterdir", lambda path: refuse(path) or real_list(path))
    found = check(photos)
    assert found.counts.tolist() == [11, 12]
    assert found.broken == ((photos / "cat" / "3.jpg", "cannot be opened: Permission denied"),)
    assert found.empty == ("locked",)
    assert photos / "locked" in found.ignored


def test_folders_that_link_to_each_other_are_walked_once(photos):
    """Twelve of them: 12! ways round."""
    rooms = [photos / "cat" / f"room {i}" for i in range(12)]
    for i, room in enumerate(rooms):
        save(room / f"{i}.jpg", 600 + i)
        for other in rooms:
            (room / f"to {other.name}").symlink_to(other)
    assert check(photos).counts.tolist() == [24, 12]


@pytest.mark.skipif(sys.platform != "linux", reason="these names are Linux's")
def test_strange_names_stay_on_one_line_and_in_the_split(photos):
    for i, name in enumerate(
        [b"new\nline.jpg", b"caf\xe9.jpg", "🐈.jpg".encode(), b"-rf.jpg", b"\x1b[31m.jpg"]
    ):
        path = photos / os.fsdecode(b"caf\xe9 class") / os.fsdecode(name)
        save(path, 300 + i)
    found = check(photos)
    assert found.classes == ("caf\ufffd class", "cat", "dog")
    assert found.counts.tolist() == [5, 12, 12]
    parts = found.splits(0.4)
    assert len(parts.train) + len(parts.valid) == 29
    (photos / os.fsdecode(b"caf\xe9 class") / "bad\nname.jpg").write_bytes(b"")
    said = str(check(photos))
    said.encode()  # no half letters
    assert r"bad\nname.jpg: is empty" in said
    assert "\x1b" not in said


def test_copies_and_near_copies_are_told_apart_and_stay_on_one_side(photos):
    one = photos / "cat" / "3.jpg"
    (photos / "cat" / "copy.jpg").write_bytes(one.read_bytes())
    with Image.open(photos / "dog" / "5.png") as image:
        image.resize((40, 30)).save(photos / "dog" / "small.jpg", quality=70)
    found = check(photos)
    assert finding(found, "copies").items == ("cat/3.jpg = cat/copy.jpg",)
    assert finding(found, "nearly the same").items == ("dog/5.png = dog/small.jpg",)
    for seed in range(8):
        valid = {path.name for path in found.splits(0.3, seed).valid.paths}
        assert len(valid & {"3.jpg", "copy.jpg"}) != 1
        assert len(valid & {"5.png", "small.jpg"}) != 1


@pytest.mark.parametrize("quality", [None, 60])
def test_a_photograph_in_two_classes_is_a_leak(photos, quality):
    with Image.open(photos / "cat" / "3.jpg") as image:
        image.save(
            photos / "dog" / "same.bmp" if quality is None else photos / "dog" / "same.jpg", quality=quality
        )
    found = check(photos)
    assert kinds(found) == ["in two classes"]
    (line,) = finding(found, "in two classes").items
    assert line.startswith("cat/3.jpg = dog/same.")


def test_what_was_taken_in_one_burst_is_no_copy(photos):
    exif = Image.Exif()
    exif[0x0132] = "2024:05:06 07:08:09"
    for i in range(20, 23):
        save(photos / "cat" / f"{i}.jpg", i, exif=exif)
    found = check(photos)
    assert found.alike == []
    valid = {path.name for path in found.splits(0.3).valid.paths}
    assert len(valid & {"20.jpg", "21.jpg", "22.jpg"}) in (0, 3)  # the split keeps it together all the same


def test_parts_of_a_data_set_are_not_taken_for_classes_without_a_word(photos):
    for i, part in enumerate(("train", "val")):
        for k in range(10):
            save(photos / "all" / part / "cat" / f"{k}.jpg", 600 + 20 * i + k)
            save(photos / "all" / part / "dog" / f"{k}.jpg", 700 + 20 * i + k)
    found = check(photos / "all")
    assert kinds(found) == ["deeper"]
    assert "cat, dog" in finding(found, "deeper").sentence
    assert str(photos / "all" / "train") in finding(found, "deeper").sentence
    assert check(photos / "all" / "val").findings == []
    save(photos / "all" / "val" / "0.jpg", 800)  # one that lies in the class itself: these are classes
    assert kinds(check(photos / "all")) == []


def test_uneven_and_small_classes_are_named(photos):
    for i in range(30):
        save(photos / "fox" / f"{i}.jpg", 400 + i)
    save(photos / "owl" / "only.jpg", 500)
    found = check(photos)
    assert kinds(found) == ["few", "uneven"]
    assert "owl (1)" in finding(found, "few").sentence
    assert "cannot be judged" in finding(found, "few").sentence
    uneven = finding(found, "uneven").sentence
    assert all(part in uneven for part in ("fox has 30", "owl has 1", "55%"))
    parts = found.splits()
    assert (parts.valid.y == found.classes.index("owl")).sum() == 0
    assert (parts.train.y == found.classes.index("owl")).sum() == 1


def test_thousands_of_plain_or_equal_photographs_take_no_time(photos):
    plain = [folder_check.examine(save(photos / "wall" / "0.png", 1))] * 3000
    grey = plain[0]._replace(thumbnail=np.full((16, 16), 90, np.uint8))
    looks = plain + [grey._replace(digest=bytes([i % 256, i // 256])) for i in range(3000)]
    many = folder_check.Check(photos, [("cat", photos / "cat" / str(i)) for i in range(6000)], looks)
    assert [len(group) for group in many.alike] == [3000]


def test_what_is_no_folder_is_said_in_a_sentence(photos):
    for path in (photos / "nowhere", photos / "cat" / "0.jpg"):
        with pytest.raises(ValueError, match="is not a folder"):
            check(path)


def test_a_folder_of_nothing_has_no_classes(tmp_path):
    found = check(tmp_path)
    assert (found.classes, found.counts.tolist(), found.findings) == ((), [], [])
    assert "0 classes, 0 photographs" in str(found)


def test_loose_photographs_are_those_in_no_class(photos):
    save(photos / "b.jpg", 1)
    save(photos / "a", 2, format="PNG")
    (photos / "notes.txt").write_text("no")
    assert [path.name for path in folder_check.loose(photos)] == ["a", "b.jpg"]
