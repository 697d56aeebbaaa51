"""report.html: one file that opens offline, tells the truth, and gives nobody away."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from photo_folders import COLOURS, fill, picture, tiny_network
from PIL import Image

from mini_nn import folder_check, report, transfer

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page, its text, and whether its tags match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def pictures(self):
        return [base64.b64decode(attrs["src"].split(",")[1]) for attrs in self.all("img")]


def made(folder, out, **options):
    """(the run, the page) of strategy A on a folder."""
    found = folder_check.check(folder, quiet=True)
    options = {"valid": 0.3, "workers": 1, "quiet": True, "cache": out / "cache", **options}
    run = transfer.fit(
        found.splits(options["valid"]), options.pop("strategy", "A"), tiny_network(), **options
    )
    run.config |= {"command": "mini-nn transfer 'my photos'", "versions": report.versions()}
    report.write(run, found, out / "report.html")
    return run, Page((out / "report.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes that differ, with a few photographs that are hard, and one that is in both."""
    folder = fill(tmp_path_factory.mktemp("photos"), count=14)
    for i in range(8):
        picture(COLOURS["dog"], (9, i)).save(folder / "cat" / f"looks like a dog {i}.jpg")
    (folder / "dog" / "the same.jpg").write_bytes((folder / "cat" / "3.jpg").read_bytes())
    (folder / "dog" / "broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    return made(folder, tmp_path_factory.mktemp("run"))


def test_the_page_is_whole_and_loads_nothing(written):
    _, page = written
    for _, attrs in page.elements:
        for name in ("src", "href"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {attrs["href"][1:] for attrs in page.all("a")} <= ids
    assert not page.all("script")
    policy = next(attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")


def test_no_address_is_anywhere_in_the_file(folder, tmp_path):
    made(folder, tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub(r"base64,[^\"]*", "", text))


def test_nothing_that_a_camera_notes_gets_into_the_page(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif.get_ifd(0x8825)[29] = "2024:SECRET"
    folder = fill(tmp_path / "photos", count=8, exif=exif, comment=b"SECRETPLACE")
    with Image.open(folder / "cat" / "0.jpg") as photo:
        assert photo.getexif().get_ifd(0x8825)[2]
    (folder / "dog" / "same.jpg").write_bytes((folder / "cat" / "0.jpg").read_bytes())
    _, page = made(folder, tmp_path)
    assert len(page.pictures()) >= 5
    for data in page.pictures():
        assert b"SECRET" not in data
        with Image.open(io.BytesIO(data)) as image:
            assert not image.getexif()
            assert not image.info.keys() & {"exif", "comment", "icc_profile", "xmp"}


def test_every_picture_can_be_read_aloud(written):
    _, page = written
    alts = [attrs["alt"] for attrs in page.all("img")]
    assert all(len(alt) > 3 for alt in alts)
    assert any("what speaks for" in alt and ("at the" in alt or "in the" in alt) for alt in alts)


def test_the_verdict_and_the_counts_are_the_run_s(written):
    run, page = written
    assert run.verdict in page.text
    for label, name in enumerate(run.classes):
        learn, judge = ((part.y == label).sum() for part in (run.splits.train, run.splits.valid))
        assert f"{name}{learn}{judge}" in page.text
    assert "mini-nn transfer 'my photos'" in page.text
    for name, version in report.versions().items():
        assert f"{name}{version}" in page.text


def test_the_confusion_matrix_is_the_run_s(written):
    run, page = written
    spans = [attrs for attrs in page.all("span") if attrs.get("class") in ("right", "wrong")]
    assert len(spans) == 4
    share = run.confusion / run.confusion.sum(1, keepdims=True)
    assert [attrs["style"] for attrs in spans] == [f"--share:{part:.2f}" for part in share.ravel()]


def test_the_surest_mistake_comes_first(written):
    run, page = written
    chosen = run.probabilities.argmax(1)
    wrong = np.flatnonzero(chosen != run.labels)
    assert len(wrong) > 1
    wrong = wrong[np.argsort(-run.probabilities[wrong].max(1))]
    shown = re.findall(r"is (?:cat|dog), taken for \w+, (\d+%) (\S[^\n<]*?\.jpg)", page.text)
    names = [f"{run.classes[run.labels[i]]}/{run.paths[i].name}" for i in wrong]
    assert [name for _, name in shown] == names[:18]
    assert shown[0][0] == f"{run.probabilities[wrong[0]].max():.0%}"


def test_what_is_wrong_with_the_folder_is_in_the_page(written):
    _, page = written
    assert "cat/3.jpg = dog/the same.jpg" in page.text
    assert "dog/broken.jpg: is empty" in page.text
    assert [attrs["alt"] for attrs in page.all("img")][:2] == ["cat/3.jpg", "dog/the same.jpg"]


def test_names_are_never_markup(tmp_path):
    folder = fill(tmp_path / "photos", ("<script>alert(1)", "dog & 'cat'"), 6)
    (folder / "dog & 'cat'" / '"><img onerror=x src=y>.jpg').write_bytes(b"")
    (folder / "<script>alert(1)" / "$title ${x}.jpg").write_bytes(b"")
    _, page = made(folder, tmp_path)
    assert not page.all("script")
    assert all(not name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert '"><img onerror=x src=y>.jpg: is empty' in page.text
    assert "$title ${x}.jpg" in page.text
    assert "<script>alert(1)" in page.text


def test_a_photograph_that_is_gone_by_then_is_left_out(tmp_path):
    folder = fill(tmp_path / "photos", count=10)
    run, before = made(folder, tmp_path)
    found = folder_check.check(folder, quiet=True)
    for path in run.paths:
        path.unlink()
    report.write(run, found, tmp_path / "again.html")
    page = Page((tmp_path / "again.html").read_text("utf-8"))
    assert len(page.all("img")) < len(before.all("img"))
    assert run.verdict in page.text


def test_with_nothing_held_back_the_page_says_so(tmp_path):
    _, page = made(fill(tmp_path / "photos", count=1), tmp_path)
    assert "nothing to judge by" in page.text


def test_curves_and_many_classes_are_pictures(tmp_path):
    folder = fill(tmp_path / "photos", [f"kind {i}" for i in range(17)], 2)
    _, page = made(folder, tmp_path, strategy="B", epochs=2, size=32, valid=0.5)
    alts = " ".join(attrs["alt"] for attrs in page.all("img"))
    assert "Loss and accuracy in 2 epochs" in alts
    assert "Confusion matrix of 17 classes" in alts
    assert not [attrs for attrs in page.all("span") if attrs.get("class") == "right"]


def test_it_is_readable_on_paper_in_the_dark_and_on_a_telephone(written):
    _, page = written
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))
    style = Path(report.__file__).with_name("report.html").read_text("utf-8")
    for rule in ("@media print", "prefers-color-scheme: dark", "auto-fill"):
        assert rule in style
