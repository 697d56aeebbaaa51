"""The loop: it learns, it can be killed at any moment and goes on bit by bit, it stops in time and says why."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mini_nn import core, data, init, layers, losses, optim, schedules, train
from mini_nn.data import arrays


def network(seed=0):
    """Small, with everything that has a state: running statistics, dropout, stochastic depth."""
    net = layers.Sequential(
        conv=layers.Conv2D(1, 6, 3, 2),
        norm=layers.BatchNorm(6, momentum=0.1),
        act=layers.Swish(),
        skip=layers.Residual(layers.DepthwiseConv2D(6), layers.StochasticDepth(0.3)),
        pool=layers.GlobalAveragePool(),
        drop=layers.Dropout(0.2),
        classifier=layers.Dense(6, 2),
    )
    return init.initialize(net, np.random.default_rng(seed))


def stripes(n=60, seed=0):
    """Two classes: horizontal and vertical stripes, with noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = np.zeros((n, 8, 8, 1), np.float32)
    x[y == 0, ::2] = 0.8
    x[y == 1, :, ::2] = 0.8
    return arrays(x + 0.2 * rng.random(x.shape, np.float32), y)


def start(**options):
    model = network()
    loader = data.Loader(stripes(), batch_size=16, augment=data.preset("cifar"), workers=1, seed=3)
    optimiser = optim.RMSProp(model, lr=0.01, momentum=0.9, weight_decay=1e-4)
    ema = optim.EMA(model, 0.9)
    schedule = schedules.Warmup(schedules.Cosine(0.01, 20), 4)
    records = train.fit(
        model, loader, stripes(20, 1), optimiser, schedule=schedule, ema=ema, quiet=True, **options
    )
    return model, ema, records


def everything(model, ema):
    state = {name: item.value for name, item in core.named_arrays(model)}
    return {name: a.tobytes() for name, a in state.items()} | {
        f"ema.{name}": np.asarray(a).tobytes() for name, a in ema.state_dict().items()
    }


def same(a, b):
    return [r._replace(seconds=0) for r in a] == [r._replace(seconds=0) for r in b]


def test_it_learns_and_its_records_say_so():
    model = network()
    loader = data.Loader(stripes(), batch_size=16, workers=0)
    schedule = schedules.Cosine(0.05, 48)
    optimiser = optim.SGD(model, lr=0.05, momentum=0.9)
    records = list(
        train.fit(model, loader, stripes(20, 1), optimiser, epochs=12, schedule=schedule, quiet=True)
    )
    assert [r.epoch for r in records] == list(range(1, 13))
    assert records[-1].loss < 0.1 < records[0].loss
    assert records[-1].valid_accuracy == 1.0
    assert records[-1].valid_loss < 0.3
    assert all(r.seconds > 0 for r in records)
    assert records[-1].lr == schedule(47)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_resumed_run_equals_one_that_never_stopped(after, tmp_path):
    whole_model, whole_ema, whole = start(epochs=4)
    whole = list(whole)
    _, _, first = start(epochs=after, checkpoint=tmp_path)
    first = list(first)
    model, ema, rest = start(epochs=4, checkpoint=tmp_path, resume=True)
    rest = list(rest)
    assert same(first + rest, whole)
    assert everything(model, ema) == everything(whole_model, whole_ema)


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
import test_train
from mini_nn import train
step = train.Run.one_step
def slow(self, x, labels):
    print(self.epoch, self.batch, flush=True)
    time.sleep(0.05)
    step(self, x, labels)
train.Run.one_step = slow
for record in test_train.start(epochs=4, checkpoint=sys.argv[1], resume=True)[2]:
    pass
"""


def child(folder):
    command = [sys.executable, "-c", CHILD, str(folder), str(Path(__file__).parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_killed_in_the_middle_of_epochs_goes_on_bit_by_bit(tmp_path):
    """SIGKILL, SIGKILL, SIGINT: in the first epoch, in the third, and politely."""
    whole_model, whole_ema, whole = start(epochs=4)
    whole = list(whole)
    for stop, kind in (("0 2", signal.SIGKILL), ("2 1", signal.SIGKILL), ("2 2", signal.SIGINT)):
        process = child(tmp_path)
        for line in process.stdout:
            if line.strip() == stop:
                process.send_signal(kind)
                break
        error = process.communicate(timeout=120)[1]
        assert process.returncode != 0
        if kind == signal.SIGINT:
            assert "stopped in epoch 3, after batch 3 of 4; all is saved" in error
    model, ema, rest = start(epochs=4, checkpoint=tmp_path, resume=True)
    list(rest)
    assert everything(model, ema) == everything(whole_model, whole_ema)
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [r.loss for r in whole]
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_ctrl_c_saves_the_middle_of_an_epoch(tmp_path, monkeypatch):
    step = train.Run.one_step

    def interrupted(self, x, labels):
        step(self, x, labels)
        if (self.epoch, self.batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    monkeypatch.setattr(train.Run, "one_step", interrupted)
    _, _, records = start(epochs=3, checkpoint=tmp_path)
    assert next(records).epoch == 1
    with pytest.raises(train.Stopped, match=r"epoch 2, after batch 2 of 4.*resume"):
        next(records)
    monkeypatch.setattr(train.Run, "one_step", step)
    model, ema, rest = start(epochs=3, checkpoint=tmp_path, resume=True)
    rest = list(rest)
    whole_model, whole_ema, whole = start(epochs=3)
    assert same(rest, list(whole)[1:])
    assert everything(model, ema) == everything(whole_model, whole_ema)


def test_the_best_network_is_kept_with_its_averages(tmp_path):
    _, _, records = start(epochs=3, checkpoint=tmp_path)
    records = list(records)
    best = max(records, key=lambda r: r.valid_accuracy)
    loaded = network(1)
    train.weights.load(loaded, tmp_path / "best.safetensors")
    _, accuracy = train.evaluate(loaded, data.Loader(stripes(20, 1), shuffle=False, workers=0))
    assert accuracy == best.valid_accuracy


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    list(start(epochs=1, checkpoint=tmp_path)[2])
    with pytest.raises(ValueError, match="holds a run already"):
        start(epochs=1, checkpoint=tmp_path)


def test_resuming_with_another_schedule_or_network_is_refused(tmp_path):
    list(start(epochs=1, checkpoint=tmp_path)[2])
    model = network()
    loader = data.Loader(stripes(), batch_size=16, workers=0, seed=3)
    arguments = (loader, None, optim.RMSProp(model, lr=0.01, momentum=0.9, weight_decay=1e-4))
    with pytest.raises(ValueError, match=r"schedule: Warmup.* then, None now.*augment"):
        train.fit(model, *arguments, checkpoint=tmp_path, resume=True, ema=optim.EMA(model, 0.9))
    other = init.initialize(layers.Sequential(layers.Dense(3, 2)), np.random.default_rng(0))
    with pytest.raises(ValueError, match="another network"):
        train.fit(other, loader, None, optim.SGD(other, lr=0.1), checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_broken_checkpoint_is_named_and_nothing_changes(tmp_path, damage):
    list(start(epochs=1, checkpoint=tmp_path)[2])
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:2000] if damage is None else damage)
    with pytest.raises(ValueError, match=r"checkpoint\.npz is no checkpoint"):
        start(epochs=2, checkpoint=tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_with_step_layer_and_advice():
    model = network()
    loader = data.Loader(stripes(), batch_size=16, workers=0)
    optimiser = optim.SGD(model, lr=0.1)
    records = train.fit(model, loader, None, optimiser, epochs=3, quiet=True)
    next(records)
    model.classifier.weight.value = np.full((6, 2), 3e38, np.float32)
    with pytest.raises(train.Diverged, match=r"step 4 .*classifier is the first.*smaller rate"):
        next(records)
    model.conv.weight.value = np.full_like(model.conv.weight.value, np.nan)
    with pytest.raises(train.Diverged, match=r"step 0 .*conv\.weight holds NaN"):
        next(train.fit(model, loader, None, optimiser, quiet=True))


def test_frozen_parameters_are_moved_by_nothing():
    model = network()
    for part in (model.conv, model.norm):
        for p in core.parameters(part):
            p.trainable = False
    frozen = {
        name: a.value.tobytes() for part in (model.conv, model.norm) for name, a in core.named_arrays(part)
    }
    ema = optim.EMA(model, 0.5)
    loader = data.Loader(stripes(), batch_size=16, workers=0)
    optimiser = optim.AdamW(model, lr=0.1, weight_decay=0.5)
    list(train.fit(model, loader, None, optimiser, epochs=2, ema=ema, quiet=True))
    now = {
        name: a.value.tobytes() for part in (model.conv, model.norm) for name, a in core.named_arrays(part)
    }
    assert now == frozen
    averaged = ema.state_dict()
    assert all(
        averaged[f"{part}.{name}"].tobytes() == frozen[name]
        for part, name in (("conv", "weight"), ("norm", "running_mean"))
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"resume": True}, "needs checkpoint"),
        ({"epochs": True}, "epochs"),
    ],
    ids=str,
)
def test_nonsense_is_refused_before_any_work(options, says):
    with pytest.raises(ValueError, match=says):
        start(**options)


def test_an_empty_loader_is_refused():
    model = network()
    loader = data.Loader(stripes(10), batch_size=16, drop_last=True)
    with pytest.raises(ValueError, match="no batch"):
        train.fit(model, loader, None, optim.SGD(model, lr=0.1))


def test_losses_with_options_and_plain_batches_for_judging():
    model = network()
    loss = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
    batches = [(stripes(20, 1).x, stripes(20, 1).y)]
    loader = data.Loader(stripes(), batch_size=16, workers=0)
    record = next(
        train.fit(model, loader, batches, optim.SGD(model, lr=0.1), loss=loss, max_norm=1.0, quiet=True)
    )
    assert record.valid_loss == pytest.approx(train.evaluate(model, batches, loss)[0])
