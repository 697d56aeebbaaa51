"""Record what PyTorch and Keras make of small arrays: every layer and block, forward and backward, in float64.

    python tests/golden/record_layers.py            writes torch_layers.npz, keras_layers.npz and layers_sources.txt
    python tests/golden/record_layers.py --check    records again and compares with the files; writes nothing

Nothing here knows mini_nn: a case is a published layer, and the name and options that ours goes by.  In a file,
`cases` is a JSON text, {case: {make, options, source, train, frozen}}, and `versions` another.  The arrays are
`case/x`, `case/dy`, `case/y`, `case/dx`, `case/value/NAME`, `case/grad/NAME`, and `case/after/NAME` for running
statistics after the forward, all in our layout.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before keras is imported

import keras
import keras_layers
import numpy as np
import torch
import torch_layers
from keras.src.backend.common import dtypes
from recorder import Recorder

HERE = Path(__file__).parent


def record():
    """The contents of both files."""
    keras.config.set_floatx("float64")
    dtypes.BIT64_TO_BIT32_DTYPE.pop("float64", None)  # Keras counts in float32 even so, except on TensorFlow
    assert keras.backend.result_type("float64", "float32") == "float64"
    torch.set_num_threads(1)
    found = {}
    for module in (torch_layers, keras_layers):
        found[module.__name__] = out = Recorder()
        for part in module.PARTS:
            part(out)
    return found


def difference(new, old):
    """The largest |new - old| / max |old| over all arrays; infinite where the two files hold different ones."""
    if new.keys() != old.keys() or new["cases"] != old["cases"]:
        return np.inf
    pairs = ((new[name], old[name]) for name in new if "/" in name)
    return max(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300) for a, b in pairs)


def check():
    """Print how far a new recording is from the files, and return the largest difference."""
    worst = 0.0
    for name, out in record().items():
        with np.load(HERE / f"{name}.npz", allow_pickle=False) as file:
            here = difference(out.contents(), dict(file))
        print(f"{name}: {len(out.cases)} cases, largest relative difference {here:.1e}")
        worst = max(worst, here)
    return worst


def write():
    lines = ["Where each case of the recorded layers comes from; record_layers.py writes this file."]
    for name, out in record().items():
        contents = out.contents()
        np.savez_compressed(HERE / f"{name}.npz", **contents)
        lines += ["", f"{name}.npz {contents['versions']}"]
        lines += [f"  {case}: {made['source']}" for case, made in out.cases.items()]
    (HERE / "layers_sources.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--check" not in sys.argv:
        write()
    elif check() > 1e-12:
        sys.exit("the files do not reproduce")
