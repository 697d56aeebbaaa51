"""What recording from PyTorch and recording from Keras share: numbers, the rows of blocks, and a file's contents."""

import json
import zlib

import keras
import numpy as np
import torch

MODES = {"inference": False, "train": True}


def numbers(case, what, shape, scale=1.0):
    """Normal numbers that depend on the names alone, so that cases may be added or removed."""
    return scale * np.random.default_rng(zlib.crc32(f"{case}/{what}".encode())).normal(size=shape)


def start(case, name, shape):
    """A value for the array `name`: variances positive, everything else normal."""
    value = numbers(case, name, shape)
    return np.abs(value) + 0.3 if name.endswith("running_var") else value


def kinks(shape=(2, 3, 4, 5)):
    """Numbers that lie exactly on the kinks of ReLU and ReLU6, close to them, and far away."""
    x = numbers("kinks", "x", shape, 4.0)
    x.flat[:12] = (0.0, -0.0, 6.0, 3.0, 6 - 2e-6, 6 + 2e-6, 1e-6, -1e-6, 12.0, -12.0, 6.0, 0.0)
    return x


def steep(shape=(2, 3, 4, 5)):
    """Numbers at which exp, taken carelessly, overflows."""
    x = numbers("steep", "x", shape, 4.0)
    x.flat[:6] = (0.0, 30.0, -30.0, 800.0, -800.0, 1e-8)
    return x


def row(i, o, t, k, s, se=0.0):
    """The options of an inverted-residual block."""
    keys = ("in_channels", "out_channels", "expand_ratio", "kernel_size", "stride", "se_ratio")
    return dict(zip(keys, (i, o, t, k, s, se), strict=True))


BLOCKS = {  # name: (row, activation)
    "v2 t1": (row(6, 4, 1, 3, 1), "ReLU6"),
    "v2 t6 skip": (row(4, 4, 6, 3, 1), "ReLU6"),
    "v2 t6 stride 2": (row(4, 5, 6, 3, 2), "ReLU6"),
    "mbconv1 k3 se": (row(8, 6, 1, 3, 1, 0.25), "Swish"),
    "mbconv1 k3 se skip": (row(8, 8, 1, 3, 1, 0.25), "Swish"),
    "mbconv6 k5 se skip": (row(8, 8, 6, 5, 1, 0.25), "Swish"),
    "mbconv6 k5 se stride 2": (row(8, 4, 6, 5, 2, 0.25), "Swish"),
    "lite k5 stride 2": (row(4, 6, 6, 5, 2), "ReLU6"),
}


class Recorder:
    """The arrays and the descriptions of one file."""

    def __init__(self):
        self.arrays, self.cases = {}, {}

    def add(self, case, make, options, source, arrays, train=False, frozen=False):
        assert case not in self.cases, case
        self.cases[case] = {
            "make": make,
            "options": options,
            "source": source,
            "train": train,
            "frozen": frozen,
        }
        self.arrays |= {f"{case}/{name}": np.ascontiguousarray(array) for name, array in arrays.items()}

    def contents(self):
        versions = {"numpy": np.__version__, "torch": torch.__version__, "keras": keras.__version__}
        texts = {"versions": json.dumps(versions), "cases": json.dumps(self.cases)}
        return {**{name: np.array(text) for name, text in texts.items()}, **self.arrays}
