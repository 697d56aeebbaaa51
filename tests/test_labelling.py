"""Photographs without classes: the sheet, the table, and what people's spreadsheets make of it."""

import csv
import os

import numpy as np
import pytest
from PIL import Image
from test_folder_check import save

from mini_nn import labelling


@pytest.fixture
def photos(tmp_path):
    for name in ("a.jpg", "b, c.jpg", "=d.jpg", "sub/e.jpg"):
        save(tmp_path / name, len(name))
    return tmp_path


def rows(photos):
    return [photos / name for name in ("b, c.jpg", "a.jpg", "=d.jpg", "sub/e.jpg")]


def filled(photos, classes, encoding="utf-8-sig", between=","):
    """The table as a person fills it in and saves it."""
    table = photos / "labels.csv"
    labelling.write(table, rows(photos), photos)
    with table.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    for line, name in zip(lines[1:], classes, strict=False):
        line[2] = name
    with table.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=between).writerows(lines)
    return table


def test_like_lies_beside_like(rng):
    centres = 5 * rng.normal(size=(4, 16))
    kind = rng.permutation(np.repeat(np.arange(4), 10))
    found = labelling.order(centres[kind] + rng.normal(size=(40, 16)))
    assert sorted(found) == list(range(40))
    assert (np.diff(kind[found]) != 0).sum() == 3


def test_equal_rows_and_a_single_one_have_an_order():
    assert sorted(labelling.order(np.ones((5, 3)))) == list(range(5))
    assert labelling.order(np.ones((1, 3))).tolist() == [0]


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_what_is_filled_in_is_read(photos, between):
    table = filled(photos, ["dog", " Katze ", "", "dog"], between=between)
    assert labelling.read(table, photos) == [
        ("Katze", photos / "a.jpg"), ("dog", photos / "b, c.jpg"), ("dog", photos / "sub" / "e.jpg"),
    ]  # fmt: skip


def test_no_name_is_a_formula_and_it_is_found_again(photos):
    table = filled(photos, ["", "", "dog"])
    assert not set("=+-@") & {line.split(",")[1][0] for line in table.read_text("utf-8-sig").splitlines()}
    assert labelling.read(table, photos) == [("dog", photos / "=d.jpg")]


def test_strange_names_come_back(tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    paths = [
        save(tmp_path / os.fsdecode(name), 1)
        for name in (b"new\nline.jpg", b"caf\xe9.jpg", b"a\xe2\x80\xa8b.jpg")
    ]
    table = tmp_path / "labels.csv"
    labelling.write(table, paths, tmp_path)
    text = table.read_bytes().replace(b'.jpg",', b'.jpg",cat').replace(b".jpg,", b".jpg,cat")
    table.write_bytes(text)
    assert {photo for _, photo in labelling.read(table, tmp_path)} == set(paths)


@pytest.mark.parametrize(
    ("line", "say"),
    [
        ("1,absent.jpg,cat", "line 2: there is no 'absent.jpg'"),
        ("1,../x.jpg,cat", "line 2: '../x.jpg' is not in"),
        ("1,/etc/passwd,cat", "line 2: '/etc/passwd' is not in"),
        ("1,,cat", "line 2: the class 'cat' has no file"),
        ("1,a.jpg,cat\n2,a.jpg,dog", "line 3: 'a.jpg' is 'cat' in a line above and 'dog' here"),
        ("1,a.jpg,caf\udce9", "line 2: the class 'caf\ufffd' is not UTF-8"),
        ("1,a.jpg,cat\n\n2,x.jpg,\n3,y.jpg,cat", "line 4: there is no 'x.jpg'"),
        ("1,a.jpg,", "no row has a class yet"),
        ("", "no row has a class yet"),
    ],
)
def test_bad_rows_are_named_by_line(photos, line, say):
    table = photos / "labels.csv"
    table.write_bytes(f"number,file,class\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"labels\.csv: ") as caught:
        labelling.read(table, photos)
    assert say in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_many_bad_rows_some_are_named_and_the_rest_counted(photos):
    table = photos / "labels.csv"
    table.write_text("number,file,class\n" + "".join(f"{i},{i}.jpg,cat\n" for i in range(40)))
    with pytest.raises(ValueError, match=r"line 2: .*; line 6: .*and 35 more"):
        labelling.read(table, photos)


@pytest.mark.parametrize("text", [b"", b"a.jpg,cat\n", b"\xff\xfen\0u\0m\0", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_such_table_is_said(photos, text):
    table = photos / "labels.csv"
    table.write_bytes(text)
    with pytest.raises(ValueError, match="line 1 must name the columns"):
        labelling.read(table, photos)
    with pytest.raises(ValueError, match="no such table"):
        labelling.read(photos / "absent.csv", photos)


def test_a_sheet_shows_each_photograph_under_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(labelling, "ROWS", 2)
    paths = [tmp_path / f"{i}.png" for i in range(23)]
    for i, path in enumerate(paths):
        Image.new("RGB", (40, 20 + i), (10 * i, 0, 255 - 10 * i)).save(path)
    written = labelling.sheets(paths, tmp_path)
    assert [path.name for path in written] == ["contact_sheet.png", "contact_sheet_2.png"]
    with Image.open(written[1]) as page:
        x = 2 * (labelling.SIDE + labelling.GAP) + labelling.GAP + labelling.SIDE // 2
        assert page.getpixel((x, labelling.GAP + labelling.LINE + labelling.SIDE // 2)) == (220, 0, 35)
        assert page.size == (3 * (labelling.SIDE + labelling.GAP) + labelling.GAP, 162)
