"""The loader: the same bytes however many threads make them, and nothing left behind however it ends."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from PIL import Image

from mini_nn import data
from mini_nn.data.recipe import Recipe, Step

RECIPE = Recipe((Step("mirror"), Step("random_crop"), Step("affine", {"degrees": 10}), Step("brightness")))


@pytest.fixture
def split(rng):
    """60 images, not all of one class; the first pixel is the image's number."""
    x = rng.random((61, 9, 11, 3), np.float32)
    x[:, 0, 0, 0] = np.arange(61) / 100
    return data.arrays(x, rng.integers(0, 5, 61), classes="abcde")


def numbers(batch):
    return (batch[0][:, 0, 0, 0] * 100).round().astype(int).tolist()


def as_bytes(loader, epochs=1):
    return [(x.tobytes(), y.tobytes(), x.shape) for _ in range(epochs) for x, y in loader]


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("mini_nn-loader")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    assert threads() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_gives_every_image_once(split, workers):
    loader = data.Loader(split, batch_size=8, workers=workers)
    batches = list(loader)
    assert len(batches) == len(loader) == 8
    assert [len(x) for x, _ in batches] == [8] * 7 + [5]
    order = [number for batch in batches for number in numbers(batch)]
    assert sorted(order) == list(range(61))
    assert order != list(range(61))
    for (x, y), start in zip(batches, range(0, 61, 8), strict=True):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        for row, number in enumerate(order[start : start + 8]):
            assert np.array_equal(x[row], split.x[number])
            assert y[row] == split.y[number]


def test_the_order_is_kept_when_asked(split):
    loader = data.Loader(split, batch_size=10, shuffle=False, drop_last=True)
    assert len(loader) == 6
    assert [number for batch in loader for number in numbers(batch)] == list(range(60))


def test_batches_are_the_same_bytes_for_any_number_of_workers(split):
    recipe = Recipe((*RECIPE.steps, Step("mixup")))
    expected = as_bytes(data.Loader(split, 8, recipe, workers=0, seed=3), epochs=3)
    for workers in (1, 2, 4):
        assert as_bytes(data.Loader(split, 8, recipe, workers=workers, seed=3), epochs=3) == expected


def test_batches_do_not_depend_on_which_thread_is_slow(split):
    class Uneven:
        classes = split.classes

        def __len__(self):
            return len(split)

        def __getitem__(self, index):
            time.sleep(0.004 * (index % 3 == 0))
            return split[index]

    expected = as_bytes(data.Loader(split, 4, RECIPE, workers=0))
    assert as_bytes(data.Loader(Uneven(), 4, RECIPE, workers=4)) == expected


def test_epochs_and_seeds_differ_and_a_resumed_epoch_is_the_same(split):
    loader = data.Loader(split, 8, RECIPE, seed=1)
    epochs = [as_bytes(loader) for _ in range(3)]
    assert loader.epoch == 3
    assert len({e[0] for e in epochs}) == 3
    resumed = data.Loader(split, 8, RECIPE, seed=1, workers=1)
    resumed.epoch = 2
    assert as_bytes(resumed) == epochs[2]
    assert as_bytes(data.Loader(split, 8, RECIPE, seed=2)) != epochs[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_resumed_in_its_middle(split, workers):
    loader = data.Loader(split, 8, RECIPE, workers=workers)
    first, second = as_bytes(loader), as_bytes(loader)
    loader.epoch, loader.first = 0, 5
    assert as_bytes(loader) == first[5:]
    assert as_bytes(loader) == second  # the next epoch is whole again


def test_each_epoch_has_an_order_and_a_mixture_of_its_own(split):
    loader = data.Loader(split, 61)
    assert numbers(next(iter(loader_at(loader, 0)))) != numbers(next(iter(loader_at(loader, 1))))
    loader = data.Loader(split, 61, Recipe((Step("mixup"),)), shuffle=False)
    shares = [next(iter(loader_at(loader, epoch)))[1] for epoch in (0, 1)]
    assert not np.array_equal(*shares)


def test_no_two_purposes_share_a_stream(split):
    loader = data.Loader(split)
    keys = [(kind, epoch, i) for kind in range(3) for epoch in range(3) for i in range(3)]
    keys += [key[:2] for key in keys if key[2] == 0]
    assert len({loader.stream(*key).integers(2**63) for key in keys}) == len(keys)


def test_an_image_is_augmented_anew_each_epoch(split):
    loader = data.Loader(split.take([0]), 1, Recipe((Step("brightness"),)))
    assert len({next(iter(loader_at(loader, epoch)))[0].tobytes() for epoch in range(20)}) == 20


def loader_at(loader, epoch):
    loader.epoch = epoch
    return loader


def test_the_draw_of_an_image_does_not_depend_on_its_batch(split):
    """The streams are named by the image, so another batch size gives the same images."""
    one, other = (
        {n: x.tobytes() for batch in data.Loader(split, size, bright, workers=2) for n, x in named(batch)}
        for size in (4, 13)
    )
    assert one == other


def bright(image, rng):
    return np.concatenate([image[:1], image[1:] * np.float32(rng.random())])


def named(batch):
    return zip(numbers(batch), batch[0], strict=True)


def test_peeking_at_a_batch_does_not_change_the_run(split):
    loader = data.Loader(split, 8, RECIPE)
    next(iter(loader))
    assert loader.epoch == 0
    assert as_bytes(loader) == as_bytes(data.Loader(split, 8, RECIPE))


def test_two_epochs_at_once_do_not_disturb_each_other(split):
    loader = data.Loader(split, 8, RECIPE)
    pairs = list(zip(loader, loader, strict=True))
    assert all(np.array_equal(a[0], b[0]) for a, b in pairs)


def test_mixup_gives_shares_of_the_classes(split):
    _, y = next(iter(data.Loader(split, 16, Recipe((Step("mixup", {"alpha": 1.0}),)))))
    assert y.dtype == np.float32
    assert y.shape == (16, 5)
    assert np.allclose(y.sum(1), 1)


def test_bytes_are_scaled_and_arrays_are_taken_as_they_are(rng):
    x, y = rng.integers(0, 256, (6, 4, 4, 3), np.uint8), np.arange(6)
    batch, labels = next(iter(data.Loader((x, y), 6, shuffle=False)))
    assert np.array_equal(batch, x.astype(np.float32) / np.float32(255))
    assert labels.tolist() == y.tolist()
    pairs = [(image.astype(np.float32), label) for image, label in zip(x, y, strict=True)]
    assert next(iter(data.Loader(pairs, 6)))[0].max() > 1


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_reaches_the_caller_with_the_files_name(tmp_path, rng, workers):
    for i in range(12):
        (tmp_path / "a").mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a" / f"{i:02}.png")
    split = data.folder(tmp_path, size=(8, 8), valid=0).train
    (tmp_path / "a" / "07.png").write_bytes(b"lost since")
    batches = iter(data.Loader(split, 2, workers=workers, shuffle=False))
    for _ in range(3):  # the batches before it
        next(batches)
    with pytest.raises(ValueError, match=r"07\.png"):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_an_augmentation_names_image_and_cause(split, workers):
    def divide(image, rng):
        return image / (1 // 0)

    with pytest.raises(ValueError, match="image 0: ZeroDivisionError") as error:
        list(data.Loader(split, 4, divide, workers=workers, shuffle=False))
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_images_of_different_shapes_are_named():
    images = [(np.zeros((4, 4, 3), np.float32), 0), (np.zeros((4, 5, 3), np.float32), 0)]
    with pytest.raises(ValueError, match=r"image 1 has shape \(4, 5, 3\)"):
        next(iter(data.Loader(images, 2, shuffle=False)))


def test_an_augmentation_cannot_write_into_the_data(split):
    before = split.x.copy()

    def spoil(image, rng):
        image *= 0
        return image

    with pytest.raises(ValueError, match="read-only"):
        list(data.Loader(split, 4, spoil))
    assert np.array_equal(split.x, before)


def test_leaving_early_ends_the_threads(split):
    for count in range(3):
        for i, _ in enumerate(data.Loader(split, 4, RECIPE, workers=3)):
            assert threads()
            if i == count:
                break
        assert threads() == []
    with pytest.raises(ZeroDivisionError):
        [1 // 0 for _ in data.Loader(split, 4, workers=2)]
    assert threads() == []


def test_a_forgotten_iterator_is_collected_with_its_threads(split):
    loader = data.Loader(split, 4, workers=2)
    iterator = iter(loader)
    next(iterator)
    assert threads()
    cycle = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()
    assert threads() == []
    alive = weakref.ref(loader)
    del loader
    gc.collect()
    assert alive() is None


def test_leaving_does_not_wait_for_whole_batches(split):
    begun = []

    class Slow:
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            begun.append(index)
            time.sleep(0.005)
            return split[index % 61]

    for _ in data.Loader(Slow(), 50, workers=2, shuffle=False):
        before = len(begun)
        break
    assert len(begun) - before <= 4  # the images in hand


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_is_made_than_fits(split, workers):
    made = []

    def count(image, rng):
        made.append(1)
        return image

    taken = 0
    for _ in data.Loader(split, 4, count, workers=workers):
        taken += 1
        time.sleep(0.02)
        assert len(made) <= 4 * (taken + workers)
    assert taken == 16


def test_batches_are_made_while_the_caller_works():
    """The caller's work and the loader's take 20 ms a batch each: together about 20, not 40."""

    class Sleepy:
        def __len__(self):
            return 20

        def __getitem__(self, index):
            time.sleep(0.02)
            return np.zeros((2, 2, 1), np.float32), 0

    start = time.perf_counter()
    for _ in data.Loader(Sleepy(), 1, workers=1):
        time.sleep(0.02)
    assert time.perf_counter() - start < 0.68


SCRIPT = """
import sys, time
import numpy as np
from mini_nn import data
def slow(image, rng):
    time.sleep(0.02)
    return image
loader = data.Loader((np.zeros((400, 4, 4, 1), np.uint8), np.zeros(400, int)), 10, slow, workers=2)
try:
    for i, _ in enumerate(loader):
        print(i, flush=True)
        {work}
except KeyboardInterrupt:
    import threading
    print("threads", threading.active_count(), flush=True)
    sys.exit(3)
"""


@pytest.mark.parametrize("work", ["pass", "time.sleep(0.2)"])
def test_ctrl_c_ends_the_process_and_its_threads(work):
    """While it waits for a batch, and while the caller works."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(work=work)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        assert process.stdout.readline() == "0\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 3
        assert process.stdout.read().endswith("threads 1\n")


def test_a_process_ends_with_an_epoch_half_done():
    script = SCRIPT.format(work="break") + "iterator = iter(loader); next(iterator); print('end')"
    path = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert result.stdout.endswith("end\n")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"workers": -1}, "workers"),
        ({"seed": -1}, "seed"),
        ({"augment": "digits"}, "augment must be"),
    ],
)
def test_wrong_options_are_refused_at_once(split, options, message):
    with pytest.raises(ValueError, match=message):
        data.Loader(split, **options)


def test_all_splits_at_once_are_refused(split):
    with pytest.raises(ValueError, match=r"splits\.train"):
        data.Loader(data.Splits(split, split, split.classes))


def test_an_empty_split_is_an_epoch_without_batches(split):
    loader = data.Loader(split.take([]), 4)
    assert len(loader) == 0
    assert list(loader) == []


def test_kernels_run_beside_the_loader(split, rng):
    """Training's threads and the loader's in one process: neither disturbs the other's numbers."""
    kernels = pytest.importorskip("mini_nn.kernels.depthwise", reason="Numba is not installed")
    x, w = rng.random((8, 33, 33, 16), np.float32), rng.random((3, 3, 16), np.float32)
    expected = kernels.forward(x, w)
    batches = as_bytes(data.Loader(split, 8, RECIPE, workers=0), epochs=4)
    loader, seen = data.Loader(split, 8, RECIPE, workers=3), []
    for _ in range(4):
        for images, labels in loader:
            assert np.array_equal(kernels.forward(x, w), expected)
            seen.append((images.tobytes(), labels.tobytes(), images.shape))
    assert seen == batches


def test_data_needs_no_kernels():
    script = "import sys; import mini_nn.data; print(sorted(m for m in sys.modules if 'numba' in m or 'kernels' in m))"
    path = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert result.stdout == "[]\n"
