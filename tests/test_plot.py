"""Pictures: whole or not at all, for any names, and what they show is what was given."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mini_nn import init, metrics, models, plot, train
from mini_nn.plot import frame
from mini_nn.rituals import RangeTest
from mini_nn.transfer import Classifier
from mini_nn.weights.preprocess import Preprocess

NAMES = ("Tigger", "Misty \u732b", "\u043a\u043e\u0448\u043a\u0430", "\u0642\u0637\u0629", "$5 and $6 \\frac", "a\nb\t", "x" * 300, "\udcff",
         "\u0939\u093f\u0928\u094d\u0926\u0940", "\U0001f408", "", "a_b^c{")  # fmt: skip
HOW = Preprocess(32, 36, "resize", "bilinear", (127.5,) * 3, (127.5,) * 3)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were written, in order."""
    figures, real = [], frame.save
    for module in ("measured", "photographs", "inside"):
        monkeypatch.setattr(
            getattr(plot, module), "save", lambda figure, path: (figures.append(figure), real(figure, path))
        )
    return figures


@pytest.fixture
def photographs(rng):
    return [rng.integers(0, 256, (40, 50 + i, 3), dtype=np.uint8) for i in range(7)]


@pytest.fixture(scope="module")
def classifier():
    model = init.initialize(models.build("mobilenet_v2", 3, width_mult=0.1), np.random.default_rng(0))
    return Classifier(model, HOW, NAMES[1:4])


SWEEP = RangeTest(True, "", 0.01, [1e-3, 1e-2, 1e-1], [2.0, 1, 3], [2.0, 1, 3])


def size(picture):
    with Image.open(picture) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def texts(figure):
    from matplotlib.text import Text

    return [one.get_text() for one in figure.findobj(Text) if one.get_text()]


def test_every_picture_is_drawn_for_names_of_any_script(tmp_path, rng, photographs, classifier):
    p = rng.dirichlet(np.ones(len(NAMES)), 7)
    y = rng.integers(0, len(NAMES), 7)
    found = metrics.reliability(p, y)
    records = [train.Record(i, 1.0, 0.5, 1.2, 0.4, 0.0, 1.0) for i in (1, 2)]
    x = rng.normal(size=(33, 40, 3)).astype(np.float32)
    for name, draw in {
        "confusion": lambda to: plot.confusion(metrics.confusion(y, p.argmax(1), len(NAMES)), NAMES, to),
        "mistakes": lambda to: plot.mistakes(photographs, y, p, NAMES, to),
        "reliability": lambda to: plot.reliability(found, to),
        "before and after": lambda to: plot.reliability(found, to, found),
        "cams": lambda to: plot.cams(photographs, classifier, to),
        "filters": lambda to: plot.filters(classifier.model, to),
        "feature maps": lambda to: plot.feature_maps(classifier.model, x, to),
        "neighbours": lambda to: plot.neighbours(rng.normal(size=(7, 9)), photographs, to, names=NAMES[:7]),
        "curves": lambda to: plot.curves(records, to),
        "rates": lambda to: plot.rates(SWEEP, to),
    }.items():
        draw(tmp_path / f"{name}.png")
        assert min(size(tmp_path / f"{name}.png")) > 100, name
    assert len(list(tmp_path.iterdir())) == 10


def test_a_picture_can_go_to_memory():
    memory = io.BytesIO()
    plot.confusion(np.eye(2), "ab", memory)
    assert size(memory)[0] > 100


def test_names_are_shown_as_they_are_and_not_as_formulas(tmp_path, drawn):
    plot.confusion(np.eye(12, dtype=int), NAMES, tmp_path / "a.png")
    shown = texts(drawn[0])
    assert r"\$5 and \$6 \frac" in shown  # a dollar that matplotlib shows as one
    assert "a b " in shown
    assert "x" * 23 + "\u2026" in shown
    assert "?" in shown


def test_the_confusion_matrix_shows_its_counts_and_the_share_that_is_right(tmp_path, drawn):
    plot.confusion(np.array([[7, 0], [2, 41]]), ["cat", "dog"], tmp_path / "a.png")
    shown = texts(drawn[0])
    assert {"7", "2", "41", "48 of 50 right, 96.0%", "taken for", "is", "cat", "dog"} <= set(shown)
    assert "0" not in shown
    axes = drawn[0].axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[1, 0], [2 / 43, 41 / 43]])


def test_a_matrix_of_hundreds_of_classes_is_still_a_picture(tmp_path, rng):
    plot.confusion(rng.integers(0, 3, (300, 300)), [f"breed {i}" for i in range(300)], tmp_path / "a.png")
    assert max(size(tmp_path / "a.png")) < 3000


def test_mistakes_come_with_the_most_confident_first(tmp_path, drawn, photographs):
    y = np.array([0, 1, 2, 0, 1, 2, 0])
    p = np.full((7, 3), 0.1)
    for i, (best, share) in enumerate(
        [(0, 0.9), (2, 0.6), (2, 0.7), (1, 0.8), (0, 0.5), (2, 0.6), (2, 0.95)]
    ):
        p[i] = (1 - share) / 2
        p[i, best] = share
    plot.mistakes(photographs, y, p, ["a", "b", "c"], tmp_path / "a.png")
    assert texts(drawn[0])[1:] == [
        "is a\ntaken for\nc, 95%",
        "is a\ntaken for\nb, 80%",
        "is b\ntaken for\nc, 60%",
        "is b\ntaken for\na, 50%",
    ]
    np.testing.assert_array_equal(drawn[0].axes[0].images[0].get_array(), plot.tile(photographs[6]))
    plot.mistakes(photographs, y, p, ["a", "b", "c"], tmp_path / "b.png", most=2)
    assert "4 of 7 wrong, the 2 surest of them" in texts(drawn[1])


def test_no_mistakes_is_a_picture_that_says_so(tmp_path, drawn, photographs):
    plot.mistakes(photographs[:2], np.array([0, 1]), np.eye(2), ["a", "b"], tmp_path / "a.png")
    assert texts(drawn[0]) == ["0 of 2 wrong"]


def test_a_photograph_that_has_gone_is_grey(tmp_path):
    assert np.all(plot.tile(tmp_path / "gone.jpg") == 200)
    plot.mistakes([tmp_path / "gone.jpg"], np.array([0]), np.array([[0.1, 0.9]]), "ab", tmp_path / "a.png")


def test_the_reliability_diagram_shows_the_bins_that_are_not_empty(tmp_path, drawn, rng):
    p, y = rng.dirichlet(np.ones(3), 50), rng.integers(0, 3, 50)
    found = metrics.reliability(p, y, 10)
    plot.reliability(found, tmp_path / "a.png")
    left, right = drawn[0].axes
    line = left.lines[1]
    np.testing.assert_array_equal(line.get_xdata(), found.confidence[found.counts > 0])
    np.testing.assert_array_equal(line.get_ydata(), found.accuracy[found.counts > 0])
    assert [bar.get_height() for bar in right.patches] == found.counts.tolist()
    assert f"network: ECE {found.ece:.3f}" in texts(drawn[0])


def test_half_a_photograph_is_no_mark_on_the_axis(tmp_path, drawn):
    plot.reliability(metrics.reliability(np.eye(2), np.array([0, 1]), 10), tmp_path / "a.png")
    assert all(mark == round(mark) for mark in drawn[0].axes[1].get_yticks())


def test_neighbours_are_the_nearest_by_angle(tmp_path, drawn, photographs):
    angles = np.radians([0, 10, 90, 15, 180, 80, 5])
    rows = np.stack([np.cos(angles), np.sin(angles)], 1) * [[1], [5], [1], [9], [1], [2], [0.1]]
    plot.neighbours(rows, photographs, tmp_path / "a.png", queries=[0], k=3, names=list("aabbbba"))
    (axes,) = drawn[0].axes
    assert texts(drawn[0])[1:] == ["a", "a 1.00", "a 0.98", "b 0.97"]
    for one, where in zip(axes.images, [0, 6, 1, 3], strict=True):
        np.testing.assert_array_equal(one.get_array(), plot.tile(photographs[where]))
    (around,) = axes.patches  # another class has a frame
    assert around.get_x() == axes.images[3].get_extent()[0]


def test_filters_are_bright_above_zero_and_grey_at_zero(tmp_path, drawn, classifier):
    plot.filters(classifier.model, tmp_path / "a.png")
    w = classifier.model.stem.conv.weight.value
    shown = drawn[0].axes[0].images[3].get_array()
    np.testing.assert_array_equal(shown > 0.5, w[..., 3] > 0)
    assert np.abs(shown - 0.5).max() == pytest.approx(0.5)


def test_feature_maps_have_a_row_for_each_stage(tmp_path, drawn, classifier, rng):
    x = rng.normal(size=(64, 32, 3)).astype(np.float32)
    plot.feature_maps(classifier.model, x, tmp_path / "a.png", channels=3)
    assert [text.splitlines()[:2] for text in texts(drawn[0])][:2] == [
        ["stem", "32 x 16"],
        ["stages.0", "32 x 16"],
    ]
    assert len(drawn[0].axes[0].images) == 9 * 3
    maps = classifier.model.stem(x[None])[0]
    best = maps.std((0, 1)).argmax()
    np.testing.assert_array_equal(drawn[0].axes[0].images[0].get_array(), maps[..., best])


def test_a_cam_is_brightest_where_the_map_is():
    heat = np.full((4, 4), -1.0)
    heat[0, 3] = 5
    page = plot.Sheet(1, 1, 0)
    plot.photographs.overlay(page, 0, 0, np.zeros((32, 32, 3), np.uint8), heat)
    share = page.axes.images[1].get_array()
    assert np.unravel_index(share.argmax(), share.shape)[0] < 8
    assert np.unravel_index(share.argmax(), share.shape)[1] >= 24
    assert share[16:, :16].max() == 0
    (line,) = page.axes.collections
    (box,) = [path.get_extents() for path in line.get_paths()]
    left, top = page.place(0, 0)
    assert left + page.side / 2 < box.x0 < box.x1 <= left + page.side
    assert top <= box.y0 < box.y1 < top + page.side / 2
    plot.photographs.overlay(
        page, 0, 0, np.zeros((32, 32, 3), np.uint8), -np.ones((4, 4))
    )  # nothing speaks for it


def test_what_does_not_go_together_is_refused(tmp_path, photographs, classifier, rng):
    to = tmp_path / "a.png"
    p, y = rng.dirichlet(np.ones(3), 7), np.zeros(7, int)
    with pytest.raises(ValueError, match=r"\(2, 3\) does not go with 2 classes"):
        plot.confusion(np.zeros((2, 3)), "ab", to)
    with pytest.raises(ValueError, match="do not go together"):
        plot.mistakes(photographs[:6], y, p, "abc", to)
    with pytest.raises(ValueError, match="do not go together"):
        plot.mistakes(photographs, y, p, "ab", to)
    with pytest.raises(ValueError, match="label 3"):
        plot.mistakes(photographs, y + 3, p, "abc", to)
    with pytest.raises(ValueError, match="no photographs"):
        plot.cams([], classifier, to)
    with pytest.raises(ValueError, match="no epoch"):
        plot.curves([], to)
    with pytest.raises(ValueError, match="7 rows of features and 6 photographs"):
        plot.neighbours(rng.normal(size=(7, 2)), photographs[:6], to)
    with pytest.raises(ValueError, match="first convolution"):
        plot.filters(classifier.model.classifier, to)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "a.png"
    path.write_bytes(b"older")

    def half(figure, file, **options):
        file.write(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(RuntimeError, match="disk full"):
        plot.confusion(np.eye(2), "ab", path)
    assert path.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_pyplot_is_never_imported_nor_matplotlib_before_it_is_needed():
    code = (
        "import io, sys, numpy as np; from mini_nn import plot; assert 'matplotlib' not in sys.modules; "
        "plot.confusion(np.eye(2), 'ab', io.BytesIO()); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
