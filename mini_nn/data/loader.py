"""Batches, made by threads while the network trains on the ones before."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, current_thread
from typing import Any

import numpy as np

from mini_nn.data.augment import check_image
from mini_nn.data.memory import arrays
from mini_nn.data.recipe import Recipe
from mini_nn.data.splits import Splits
from mini_nn.ops import Array

Batch = tuple[Array, Array]
NAME = "mini_nn-loader"  # of the threads
SHUFFLE, IMAGE, BATCH = range(3)  # what a stream of random numbers is for


class Loader:
    """Iterating over a Loader is an epoch of batches: x float32 (B, H, W, C), y int64 (B,).

    split: a Split, arrays (x, y), or anything with len() and [i] -> (image, label).  augment: a Recipe, or a function
    (image, rng) -> image; a Recipe with mixup makes y float32 (B, classes).  workers: threads beside yours; 0 makes
    each batch when asked.  At most `workers + 1` batches are in the making or waiting, so memory is bounded.

    Every random number is drawn from a stream named by the seed, the epoch and the image, so the batches are the same
    bytes for any number of workers.  `epoch` counts finished epochs, `first` is the batch that the next one begins
    with: set both to resume.
    """

    def __init__(
        self,
        split: Any,
        batch_size: int = 64,
        augment: Callable[[Array, np.random.Generator], Array] | None = None,
        workers: int = 2,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        whole: tuple[tuple[str, Any, int], ...] = (
            ("batch_size", batch_size, 1),
            ("workers", workers, 0),
            ("seed", seed, 0),
        )
        for name, value, least in whole:
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Loader: {name} must be a whole number of at least {least}, not {value!r}")
        if augment is not None and not callable(augment):
            raise ValueError(
                f"Loader: augment must be a Recipe, such as data.preset('digits'), or a function, not {augment!r}"
            )
        if isinstance(split, Splits):
            raise ValueError("Loader: these are all splits of a data set; give one: splits.train")
        if isinstance(split, tuple):
            x, y = split
            split = arrays(x, y, who="Loader")
        self.split, self.batch_size, self.augment = split, batch_size, augment
        self.workers, self.seed, self.shuffle, self.drop_last = workers, seed, shuffle, drop_last
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        """Batches an epoch."""
        whole, rest = divmod(len(self.split), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Generator[Batch]:
        epoch = self.epoch
        order = np.arange(len(self.split))
        if self.shuffle:
            order = self.stream(SHUFFLE, epoch).permutation(order)
        jobs = [
            (epoch, i, order[i * self.batch_size : (i + 1) * self.batch_size])
            for i in range(self.first, len(self))
        ]
        yield from self.made_ahead(jobs) if self.workers else (self.batch(*job) for job in jobs)
        self.epoch, self.first = epoch + 1, 0

    def made_ahead(self, jobs: list[tuple[int, int, Array]]) -> Iterator[Batch]:
        """The batches of the jobs in their order, while threads work on the next ones.

        However the caller leaves (an error, Ctrl-C, break, garbage collection), `finally` runs: what has not begun
        is dropped, what has begun stops at its next image, and the threads end before this function does.
        """
        stop = Event()
        ahead: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(self.workers, NAME)
        try:
            for job in jobs:
                ahead.append(pool.submit(self.batch, *job, stop))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            stop.set()
            # the garbage collector may run in a worker, which cannot wait for itself
            mine = current_thread().name.startswith(NAME)
            pool.shutdown(wait=not mine, cancel_futures=True)

    def batch(self, epoch: int, number: int, indices: Array, stop: Event | None = None) -> Batch:
        """Make one batch.  Runs in a worker."""
        images: list[Array] = []
        labels: list[int] = []
        for index in indices:
            if stop is not None and stop.is_set():
                break
            image, label = self.one(epoch, int(index))
            if images and image.shape != images[0].shape:
                raise ValueError(
                    f"{self.name(int(index))} has shape {image.shape}, the others of its batch {images[0].shape}"
                )
            images.append(image)
            labels.append(label)
        x, y = np.stack(images, dtype=np.float32, casting="same_kind"), np.array(labels, np.int64)
        if isinstance(self.augment, Recipe):
            classes = len(getattr(self.split, "classes", ()))
            return self.augment.batch(x, y, self.stream(BATCH, epoch, number), classes)
        return x, y

    def one(self, epoch: int, index: int) -> tuple[Array, int]:
        """Decode and augment one image; an error says which."""
        try:
            image, label = self.split[index]
            if self.augment is not None:
                image = self.augment(image, self.stream(IMAGE, epoch, index))
            check_image(image, "Loader")
            return image, label
        except Exception as error:
            name = self.name(index)
            if name in str(error):
                raise
            raise ValueError(f"{name}: {type(error).__name__}: {error}") from error

    def name(self, index: int) -> str:
        named = getattr(self.split, "name", None)
        return named(index) if callable(named) else f"image {index}"

    def stream(self, *what: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=what))
