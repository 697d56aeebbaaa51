"""What a network sees, kept in a cache: the same bytes however they came about, and never those of something else."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transfer_photos import HOW, SLOW, files, folder, network

import mini_nn
from mini_nn import features, transfer
from mini_nn.core import named_arrays
from mini_nn.data import Recipe, Step
from mini_nn.features import Views

pytest.importorskip("sklearn", reason="features need the extra eval")
pytest.importorskip("joblib", reason="features need the extra eval")
LIGHT = Recipe((Step("brightness", {"amount": 0.5}),))


@pytest.fixture
def photos(tmp_path):
    return files(folder(tmp_path / "photos", 5))


@pytest.fixture
def counted(monkeypatch):
    """The photographs that went through the network, in this process."""
    seen, images = [], features.images
    monkeypatch.setattr(features, "images", lambda s, path, name: seen.append(path) or images(s, path, name))
    return seen


def own(path):
    """A function that does what HOW does."""
    return HOW(path)


def compute(paths, cache=None, model=None, how=HOW, **options):
    return features.compute(model or network(), how, paths, cache, **{"workers": 1, "quiet": True, **options})


def test_a_row_is_what_the_classifier_is_given(photos):
    model = network()
    rows = compute(photos, model=model)
    assert rows.shape == (15, model.classifier.weight.shape[0])
    for path, row in zip(photos, rows, strict=True):
        assert np.array_equal(model.classifier(row[None]), model(HOW(path)[None]))


def test_the_cache_gives_the_same_bytes_and_spares_the_network(photos, tmp_path, counted):
    without = compute(photos)
    assert len(counted) == 15
    assert np.array_equal(compute(photos, tmp_path / "c"), without)
    assert np.array_equal(compute(photos, tmp_path / "c"), without)
    assert len(counted) == 30


def test_new_photographs_alone_are_computed(photos, tmp_path, counted):
    compute(photos[:9], tmp_path / "c")
    compute(photos, tmp_path / "c")
    assert counted[9:] == photos[9:]


def test_two_workers_give_the_same_bytes_as_one(photos, tmp_path):
    assert np.array_equal(compute(photos, tmp_path / "c", workers=2), compute(photos))


def test_the_bytes_do_not_depend_on_the_threads_of_the_arithmetic(photos):
    """A wide network, whose products are large enough to be shared out."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    model = mini_nn.init.initialize(mini_nn.models.build("mobilenet_v1", 3), rng)
    how = replace(HOW, size=96, resize=96)
    with threadpool_limits(2):
        two = compute(photos[:2], model=model, how=how)
    with threadpool_limits(1):
        assert np.array_equal(compute(photos[:2], model=model, how=how), two)


def test_rows_stay_tied_to_photographs_that_move_and_repeat(photos, tmp_path, counted):
    rows = compute(photos, tmp_path / "c")
    order = np.random.default_rng(1).permutation(len(photos))
    moved = [tmp_path / f"moved {i}.png" for i in range(len(photos))]
    for i, path in zip(order, moved, strict=True):
        shutil.copy(photos[i], path)
    found = compute([*moved, moved[0], photos[3]], tmp_path / "c")
    assert np.array_equal(found, rows[[*order, order[0], 3]])
    assert len(counted) == 15


def test_another_photograph_under_the_same_name_is_computed(photos, tmp_path, counted):
    rows = compute(photos, tmp_path / "c")
    shutil.copy(photos[14], photos[0])
    assert np.array_equal(compute(photos, tmp_path / "c")[0], rows[14])
    photos[1].write_bytes(photos[1].read_bytes() + b" ")  # the same pixels, but who knows
    assert np.array_equal(compute(photos, tmp_path / "c")[1], rows[1])
    assert counted[15:] == [photos[1]]


def one_more(name):
    def change(model, monkeypatch):
        item = dict(named_arrays(model))[name]
        item.value = np.nextafter(item.value, np.float32(9))

    return change


CHANGES = {
    "a weight": one_more("stages.3.0.depthwise.conv.weight"),
    "a running mean": one_more("stem.norm.running_mean"),
    "an eps": lambda model, monkeypatch: setattr(model.stem.norm, "eps", 0.5),
    "the backend": lambda model, monkeypatch: monkeypatch.setenv("MINI_NN_BACKEND", "numpy"),
    "the version": lambda model, monkeypatch: monkeypatch.setattr(mini_nn, "__version__", "99"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_changes_with(change, photos, tmp_path, counted, monkeypatch):
    model = network()
    compute(photos, tmp_path / "c", model)
    CHANGES[change](model, monkeypatch)
    found = compute(photos, tmp_path / "c", model)
    assert len(counted) == 30
    assert np.array_equal(found, compute(photos, model=model))


@pytest.mark.parametrize(
    ("how", "views"),
    [
        (replace(HOW, std=(64.0, 64.0, 65.0)), Views()),
        (replace(HOW, interpolation="bicubic"), Views()),
        (HOW, Views(2, LIGHT)),
        (HOW, Views(2, LIGHT.stronger(0.5))),
        (HOW, Views(2, LIGHT, seed=1)),
    ],
    ids=str,
)
def test_the_key_changes_with_preprocessing_and_views(how, views, photos, tmp_path):
    for other in Views(), Views(2), Views(3, LIGHT), Views(2, LIGHT, seed=7):
        compute(photos, tmp_path / "c", views=other)
    found = compute(photos, tmp_path / "c", how=how, views=views)
    assert np.array_equal(found, compute(photos, how=how, views=views))


def test_the_key_does_not_hold_the_classifier(photos, tmp_path, counted):
    model = network()
    rows = compute(photos, tmp_path / "c", model)
    transfer.new_head(model, 7, np.random.default_rng(0))
    transfer.freeze(model)
    assert np.array_equal(compute(photos, tmp_path / "c", model), rows)
    assert len(counted) == 15


def spoil_foreign(place, photos, other):
    """Rows of another network, under this one's folder."""
    compute(photos, other, network(seed=1))
    for mine, theirs in zip(sorted(place.rglob("*.npz")), sorted(other.rglob("*.npz")), strict=True):
        shutil.copy(theirs, mine)


def spoil_row(place, photos, other):
    """One row of another photograph."""
    path = next(place.rglob("*.npz"))
    with np.load(path) as file:
        parts = dict(file)
    parts["rows"] = parts["rows"][::-1]
    np.savez(path, **parts)


def spoil_byte(place, photos, other):
    path = next(place.rglob("*.npz"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil_end(place, photos, other):
    path = next(place.rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:-40])


def spoil_kind(place, photos, other):
    for path, data in zip(place.rglob("*.npz"), (b"", b"no archive", b"PK\x03\x04"), strict=False):
        path.write_bytes(data)


def spoil_pickle(place, photos, other):
    """An array of objects, which only unpickling could read."""
    path = next(place.rglob("*.npz"))
    with np.load(path) as file:
        np.savez(path, **{**file, "rows": np.array([{}], object)}, allow_pickle=True)


@pytest.mark.parametrize(
    "spoil",
    [spoil_foreign, spoil_row, spoil_byte, spoil_end, spoil_kind, spoil_pickle],
    ids=lambda f: f.__name__,
)
def test_a_cache_that_was_spoilt_is_not_used_and_says_so(spoil, photos, tmp_path, caplog):
    rows = compute(photos, tmp_path / "c")
    spoil(tmp_path / "c", photos, tmp_path / "other")
    assert np.array_equal(compute(photos, tmp_path / "c"), rows)
    assert "is not used and its rows are computed again" in caplog.text
    caplog.clear()
    assert np.array_equal(compute(photos, tmp_path / "c"), rows)
    assert not caplog.text  # it was repaired


KILLED = """
import sys
from pathlib import Path
from transfer_photos import SLOW, files, network
from mini_nn import features, transfer
features.compute(network(), SLOW, files(Path(sys.argv[1])), sys.argv[2], workers=int(sys.argv[3]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_computation_goes_on_with_the_same_bytes(workers, tmp_path, counted):
    photos, cache = files(folder(tmp_path / "photos", 8)), tmp_path / "c"
    here = str(Path(__file__).parent)
    words = [
        sys.executable,
        "-c",
        textwrap.dedent(KILLED),
        str(tmp_path / "photos"),
        str(cache),
        str(workers),
    ]
    path = os.pathsep.join([here, str(Path(here).parent)])
    child = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path}, start_new_session=True)
    for _ in range(1200):
        if len(list(cache.rglob("*.npz"))) >= 2 or child.poll() is not None:
            break
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it ended before it could be killed"
    (place,) = cache.iterdir()
    (place / ".half.npz.1234").write_bytes(b"half a file")
    found = compute(photos, cache, how=SLOW)
    assert 0 < len(counted) < len(photos)
    assert np.array_equal(found, compute(photos))


def test_views_are_fixed_variants_of_each_photograph(photos, tmp_path):
    views = Views(3, LIGHT)
    rows = compute(photos, views=views)
    assert rows.shape[:2] == (15, 3)
    assert np.array_equal(rows[:, 0], compute(photos))
    assert not (rows[:, 1] == rows[:, 0]).all(1).any()
    assert not (rows[:, 1] == rows[:, 2]).all(1).any()
    assert np.array_equal(compute(photos[::-1], tmp_path / "c", views=views), rows[::-1])
    assert not np.array_equal(compute(photos, views=views._replace(seed=1))[:, 1], rows[:, 1])


def test_a_view_that_changes_nothing_is_the_photograph(photos):
    rows = compute(photos, views=Views(2, Recipe()))
    assert np.allclose(rows[:, 1], rows[:, 0], atol=1e-5)


def test_a_photograph_that_changes_meanwhile_is_named(photos, monkeypatch):
    images = features.images

    def changing(source, path, name):
        yield from images(source, path, name)
        path.write_bytes(path.read_bytes() + b" ")

    monkeypatch.setattr(features, "images", changing)
    with pytest.raises(ValueError, match=r"00\.png changed while its features were computed"):
        compute(photos)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"paths": []}, "paths is empty"),
        ({"paths": "photo.jpg"}, "must be a list of photographs, not the single 'photo.jpg'"),
        ({"paths": ["there is none.png"]}, r"there is none\.png"),
        ({"workers": 0}, "workers must be a whole number from 1, not 0"),
        ({"workers": True}, "workers must be a whole number from 1, not True"),
        ({"views": Views(0)}, "views need a number from 1, not 0"),
        ({"how": own, "cache": "c"}, "leave cache out for a function of your own"),
        ({"how": own, "views": Views(2)}, "views of a photograph need"),
        ({"model": mini_nn.layers.Sequential()}, "whose last layer is called classifier"),
    ],
    ids=str,
)
def test_what_cannot_be_computed_is_named(wrong, said, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        compute(**{"paths": photos, **wrong})


def test_a_function_of_ones_own_does_without_a_cache(photos):
    assert np.array_equal(compute(photos, how=own, workers=2), compute(photos))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_photograph_is_named_and_the_others_are_kept(workers, photos, tmp_path, counted):
    photos[7].write_bytes(b"no photograph")
    with pytest.raises(ValueError, match=photos[7].name):
        compute(photos, tmp_path / "c", workers=workers)
    assert not list((tmp_path / "c").rglob(".*"))
    rest = [path for path in photos if path != photos[7]]
    assert np.array_equal(compute(rest, tmp_path / "c"), compute(rest))
