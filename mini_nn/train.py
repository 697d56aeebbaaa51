"""One training loop.  The command line, the notebooks and the plots all read the records that it yields."""

import csv
import io
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Self

import numpy as np
from tqdm import tqdm

from mini_nn import checkpoint as saved
from mini_nn import profile, weights
from mini_nn.core import Layer, named_arrays
from mini_nn.data import Loader, Recipe, Split
from mini_nn.files import written_whole
from mini_nn.fused import fuse
from mini_nn.inference import predict
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array
from mini_nn.optim import EMA, Optimiser, clip_grad_norm
from mini_nn.rituals import untouched

Loss = Callable[[Array, Any], tuple[float, Array]]


class Record(NamedTuple):
    """One epoch.  Losses are means over images; valid_* are nan where nothing is held back."""

    epoch: int  # from 1
    loss: float
    accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float  # of the last step
    seconds: float  # of training, waiting for data included, evaluation not


class Stopped(KeyboardInterrupt):
    """Ctrl-C, after everything was saved; str() says where and how to go on."""


class Diverged(FloatingPointError):
    """The loss is no number any more; str() says at which step, in which layer first, and what to try."""


class Sums:
    """Running means of an epoch, that can be saved in its middle."""

    def __init__(self, loss: float = 0.0, right: float = 0.0, seen: int = 0, seconds: float = 0.0) -> None:
        self.loss, self.right, self.seen, self.seconds = loss, right, seen, seconds

    def add(self, loss: float, logits: Array, labels: Array) -> None:
        truth = labels.argmax(1) if labels.ndim == 2 else labels
        self.loss += loss * len(logits)
        self.right += int((logits.argmax(1) == truth).sum())
        self.seen += len(logits)

    def means(self) -> tuple[float, float]:
        return (self.loss / self.seen, self.right / self.seen) if self.seen else (math.nan, math.nan)


def fit(
    model: Layer,
    loader: Loader,
    valid: Split | Iterable[Any] | None,
    optimiser: Optimiser,
    epochs: int = 5,
    loss: Loss = softmax_cross_entropy,
    schedule: Callable[[int], float] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    ema: EMA | None = None,
    max_norm: float | None = None,
    quiet: bool = False,
    readable: bool = False,
) -> Iterator[Record]:
    """Train for `epochs` epochs and yield a Record after each.

    valid: a split, batches (x, labels), or None.  schedule: the rate of each step, counted from 0.  ema: its averages
    are judged and kept as the best.  max_norm: clip the gradients' norm.  checkpoint: a folder for checkpoint.npz (to
    resume, bit by bit as if never stopped), best.safetensors and history.csv.  Ctrl-C saves there and raises Stopped.
    readable: run the layers as they are, and not their fused twins (mini_nn.fused), which are faster and smaller.
    """
    folder = None if checkpoint is None else Path(checkpoint)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs must be a whole number from 1, not {epochs!r}")
    if resume and folder is None:
        raise ValueError("resume=True needs checkpoint=, the folder of the run to go on with")
    if len(loader) == 0:
        raise ValueError("the loader has no batch: too few images for its batch_size with drop_last?")
    run = Run(model, loader, optimiser, loss, schedule, ema, max_norm, quiet, folder, readable)
    if folder is not None:
        if (folder / saved.FILE).exists() and not resume:
            raise ValueError(
                f"{folder} holds a run already: resume=True goes on with it, or take another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        if resume:
            run.resume()
    batches = (
        Loader(valid, loader.batch_size, shuffle=False, workers=loader.workers)
        if isinstance(valid, Split)
        else valid
    )
    return run.epochs(epochs, batches)


class Run:
    """The state of one call of fit."""

    def __init__(
        self,
        model: Layer,
        loader: Loader,
        optimiser: Optimiser,
        loss: Loss,
        schedule: Callable[[int], float] | None,
        ema: EMA | None,
        max_norm: float | None,
        quiet: bool,
        folder: Path | None,
        readable: bool = False,
    ) -> None:
        self.twin = model if readable else fuse(model, dx=False)
        self.model, self.loader, self.optimiser, self.loss = model, loader, optimiser, loss
        self.schedule, self.ema, self.max_norm, self.quiet, self.folder = (
            schedule,
            ema,
            max_norm,
            quiet,
            folder,
        )
        self.step, self.epoch, self.batch, self.best = 0, 0, 0, -math.inf
        self.sums, self.history = Sums(), list[Record]()

    def settings(self) -> dict[str, Any]:
        """What must be the same for a resumed run to be the same run."""
        loader = self.loader
        return {
            "schedule": repr(self.schedule) if hasattr(self.schedule, "__dataclass_fields__") else None,
            "batches": [len(loader), loader.batch_size, loader.seed, bool(loader.shuffle)],
            "augment": loader.augment.to_json() if isinstance(loader.augment, Recipe) else None,
            "optimiser": type(self.optimiser).__name__,
        }

    def save(self) -> None:
        if self.folder is not None:
            progress = {
                "step": self.step,
                "epoch": self.epoch,
                "batch": self.batch,
                "best": self.best,
                "sums": vars(self.sums),
                "history": self.history,
                "settings": self.settings(),
            }
            saved.save(self.folder, self.model, self.optimiser, self.ema, progress)

    def resume(self) -> None:
        assert self.folder is not None
        progress = saved.load(self.folder, self.model, self.optimiser, self.ema)
        if progress is None:
            return
        now = self.settings()
        if changed := [
            f"{key}: {progress['settings'][key]} then, {now[key]} now"
            for key in now
            if progress["settings"][key] != now[key]
        ]:
            raise ValueError(f"{self.folder} was trained with other settings ({'; '.join(changed)})")
        self.step, self.epoch, self.batch = progress["step"], progress["epoch"], progress["batch"]
        self.best, self.sums = progress["best"], Sums(**progress["sums"])
        self.history = [Record(*row) for row in progress["history"]]

    def epochs(self, epochs: int, valid: Iterable[Any] | None) -> Iterator[Record]:
        while self.epoch < epochs:
            with Interrupted() as interrupted:
                self.train_epoch(epochs, interrupted)
                self.finish_epoch(valid)
            if interrupted:
                self.stop()
            yield self.history[-1]

    def finish_epoch(self, valid: Iterable[Any] | None) -> None:
        loss, accuracy = self.sums.means()
        with self.ema.applied() if self.ema else nullcontext():
            judged = (math.nan, math.nan) if valid is None else evaluate(self.model, valid, self.loss)
            self.keep_best(accuracy if valid is None else judged[1])
        self.epoch, self.batch = self.epoch + 1, 0
        seconds, self.sums = self.sums.seconds, Sums()
        self.history.append(Record(self.epoch, loss, accuracy, *judged, self.optimiser.lr, seconds))
        self.save()
        if self.folder is not None:
            write_history(self.folder / "history.csv", self.history)

    def keep_best(self, score: float) -> None:
        if score > self.best:
            self.best = score
            if self.folder is not None:
                weights.save(self.model, self.folder / "best.safetensors")

    def train_epoch(self, epochs: int, interrupted: "Interrupted") -> None:
        self.loader.epoch, self.loader.first = self.epoch, self.batch
        total = len(self.loader)
        bar = tqdm(
            total=total * self.loader.batch_size,
            initial=self.batch * self.loader.batch_size,
            desc=f"epoch {self.epoch + 1}/{epochs}",
            unit=" images",
            disable=True if self.quiet else None,  # None: off where nobody watches
        )
        since = time.perf_counter()
        with bar, np.errstate(over="ignore", invalid="ignore"):
            for x, labels in self.loader:
                self.one_step(x, labels)
                self.batch += 1
                before, since = since, time.perf_counter()
                self.sums.seconds += since - before  # waiting for the loader counts too
                bar.update(len(x))
                loss, accuracy = self.sums.means()
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.1%}", refresh=False)
                if interrupted and self.batch < total:
                    self.save()
                    self.stop()

    def one_step(self, x: Array, labels: Array) -> None:
        if self.schedule is not None:
            self.optimiser.lr = self.schedule(self.step)
        logits, cache = self.twin.forward(x, train=True)
        value, dlogits = self.loss(logits, labels)
        if not math.isfinite(value):
            raise Diverged(self.diagnosis(x, value))
        self.twin.backward(dlogits, cache)
        if self.max_norm is not None:
            clip_grad_norm(self.model, self.max_norm)
        self.optimiser.step()
        if self.ema:
            self.ema.update()
        self.sums.add(value, logits, labels)
        self.step += 1

    def stop(self) -> None:
        where = f"epoch {self.epoch + 1}, after batch {self.batch} of {len(self.loader)}"
        kept = f"all is saved in {self.folder}; resume=True (--resume) goes on from here"
        raise Stopped(
            f"stopped in {where}; {kept if self.folder else 'nothing is saved: no checkpoint was asked for'}"
        )

    def diagnosis(self, x: Array, value: float) -> str:
        text = f"the loss is {value} at step {self.step} (epoch {self.epoch + 1}, lr {self.optimiser.lr:g}): "
        broken = [name for name, item in named_arrays(self.model) if not np.isfinite(item.value).all()]
        if not np.isfinite(x).all():
            return text + "the images hold NaN or infinity; look at the data and the augmentation"
        if broken:
            return (
                text
                + f"{broken[0]} holds NaN or infinity since the last step; take a smaller rate, or max_norm=1"
            )
        with untouched(self.model):
            outputs = profile.outputs(self.model, x, train=True)
        first = next((name for name, y in outputs.items() if not np.isfinite(y).all()), "the loss itself")
        return (
            text + f"{first} is the first that is not finite; take a smaller rate, a warm-up, or max_norm=1"
        )


def evaluate(model: Layer, batches: Iterable[Any], loss: Loss = softmax_cross_entropy) -> tuple[float, float]:
    """Mean loss and accuracy over batches (x, labels), predicting."""
    sums = Sums()
    for x, labels in batches:
        logits = predict(model, x)
        sums.add(loss(logits, labels)[0], logits, labels)
    return sums.means()


def write_history(path: Path, history: list[Record]) -> None:
    """All records as a table; the old file stays until the new one is whole."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Record._fields)
    table.writerows(history)
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


class Interrupted:
    """`with Interrupted() as flag`: Ctrl-C makes the flag true and lets the step in hand be finished; twice, it interrupts."""

    def __init__(self) -> None:
        self.hit = False

    def __bool__(self) -> bool:
        return self.hit

    def __enter__(self) -> Self:
        self.main = threading.current_thread() is threading.main_thread()
        if self.main:
            self.before = signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.hit:
            raise KeyboardInterrupt
        self.hit = True

    def __exit__(self, *_: object) -> None:
        if self.main:
            signal.signal(signal.SIGINT, self.before)
