"""Digits learned in four ways from few and from many examples: what the lesson's stored curves are measured by.

python lessons/09_state_of_vision/race.py     writes results/data_or_knowledge.json; 4 minutes on an idle machine
"""

import json
import os
import platform
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # small matrices: one thread is faster than several

import numpy as np

from mini_nn import data, init, losses, optim, schedules
from mini_nn.blocks import Block, inverted_residual, stem
from mini_nn.files import written_whole
from mini_nn.layers import Dense, GlobalAveragePool, ReLU6, Sequential
from mini_nn.micro import QUICK
from mini_nn.ops import Array

SIZES = (1, 3, 10, 30, 100, 400)  # examples a class
STEPS = {3: 100, 30: 150, 400: 400}  # of training a network on so many
SEEDS = {"pixels": 5, "HOG": 5, "network": 3, "network, shifted digits": 3}


def few(y: Array, n: int, seed: int) -> Array:
    """The numbers of n examples of each of ten classes."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y == label))[:n] for label in range(10)])


def by_hand(x: Array) -> Array:
    """HOG features (N, 512) of digits (N, 32, 32, 1), 500 at a time."""
    hog = import_module("lessons.09_state_of_vision.exercises").hog
    parts = [hog(x[i : i + 500, ..., 0]) for i in range(0, len(x), 500)]
    return np.concatenate(parts).reshape(len(x), -1)


def linear(a: Array, y: Array, b: Array, penalty: float = 0.3) -> Array:
    """Labels for b (M, D) from ridge regression of one-hot labels on a (N, D)."""
    hot = np.eye(10)[y]
    middle, mean = a.mean(0), hot.mean(0)
    a, wide = a - middle, len(a) < a.shape[1]
    square = a @ a.T if wide else a.T @ a  # the smaller of the two
    square += penalty * np.trace(square) / len(a) * np.eye(len(square))
    weight = (
        a.T @ np.linalg.solve(square, hot - mean) if wide else np.linalg.solve(square, a.T @ (hot - mean))
    )
    return np.asarray(((b - middle) @ weight + mean).argmax(1))


def small_network(width: int = 8) -> Sequential:
    """A MobileNet v2 of three blocks, for grey images of any size."""
    rows = ((1, 2, 2), (2, 2, 1), (2, 4, 2))  # channels in and out, in widths; stride
    blocks = [inverted_residual(Block(i * width, o * width, 4, 3, s, 0), ReLU6, QUICK) for i, o, s in rows]
    return Sequential(
        stem=stem(1, width, 2, ReLU6, QUICK),
        blocks=Sequential(*blocks),
        pool=GlobalAveragePool(),
        classifier=Dense(4 * width, 10),
    )


def learn(x: Array, y: Array, seed: int, steps: int, shift: bool) -> Sequential:
    """A small network, trained from scratch on 28 x 28 pixels of x (N, 32, 32, 1): the middle, or anywhere where shift is set."""
    rng, network = np.random.default_rng(seed), small_network()
    init.initialize(network, rng)
    optimiser = optim.AdamW(network, 0.03, betas=(0.9, 0.99), weight_decay=0.02, no_decay=("norm", "bias"))
    rate, batch = schedules.OneCycle(0.03, steps), min(32, len(x))
    order = np.concatenate([rng.permutation(len(x)) for _ in range(-(-steps * batch // len(x)))])
    for step in range(steps):
        some = order[step * batch : (step + 1) * batch]
        places = rng.integers(5, size=(batch, 2)) if shift else np.full((batch, 2), 2)
        seen = np.stack([x[n, i : i + 28, j : j + 28] for n, (i, j) in zip(some, places, strict=True)])
        logits, cache = network.forward(seen, train=True)
        network.backward(losses.softmax_cross_entropy(logits, y[some], label_smoothing=0.05)[1], cache)
        optimiser.lr = rate(step)
        optimiser.step()
    return network


def measured() -> list[dict[str, Any]]:
    """A row for each way, size and seed."""
    digits = data.load("mnist_5k")
    (x, y), (x_valid, y_valid) = digits.train.arrays(), digits.valid.arrays()
    middle = x_valid[:, 2:30, 2:30]
    features = {
        "pixels": (x.reshape(len(x), -1), x_valid.reshape(len(x_valid), -1)),
        "HOG": (by_hand(x), by_hand(x_valid)),
    }
    rows = []
    for way, seeds in SEEDS.items():
        for n in SIZES if way in features else STEPS:
            for seed in range(seeds):
                some = few(y, n, seed)
                if way in features:
                    a, b = features[way]
                    guess = linear(a[some], y[some], b)
                else:
                    guess = learn(x[some], y[some], seed, STEPS[n], "shifted" in way)(middle).argmax(1)
                row = {
                    "way": way,
                    "examples a class": n,
                    "seed": seed,
                    "accuracy": float(np.mean(guess == y_valid)),
                }
                print(row, flush=True)
                rows.append(row)
    return rows


if __name__ == "__main__":
    found = {
        "date": str(date.today()),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "command": "python lessons/09_state_of_vision/race.py",
        "rows": measured(),
    }
    with written_whole(Path(__file__).parents[2] / "results" / "data_or_knowledge.json") as file:
        file.write(json.dumps(found, indent=1).encode() + b"\n")
    sys.exit(0)
