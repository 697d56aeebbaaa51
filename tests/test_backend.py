"""The two backends, from outside: a fresh process each, as users start them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mini_nn import backend, init, models

BLOCK_NUMBA = (
    "import sys; sys.modules['numba'] = None\n"  # what a machine without Numba does to `import numba`
)
PREDICT = """
import sys, numpy as np
from mini_nn import models, init, profile, gradcheck, blocks, core, weights
model = init.initialize(models.build("efficientnet_b0", num_classes=3, width_mult=0.25), np.random.default_rng(0))
x = np.random.default_rng(1).standard_normal((2, 45, 37, 3), dtype=np.float32)
y, cache = model.forward(x, train=True)
dx = model.backward(y, cache)
print(repr(float(np.abs(model(x)).sum())), float(np.abs(dx).sum()), sys.modules.get("numba") is not None)
"""


def run(code, **env):
    clean = {k: v for k, v in os.environ.items() if k != "MINI_NN_BACKEND"} | env
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean, timeout=300, check=False
    )


def test_both_backends_give_the_same_network_and_numpys_needs_no_numba():
    fast, plain = run(PREDICT), run(BLOCK_NUMBA + PREDICT, MINI_NN_BACKEND="numpy")
    assert fast.stderr + plain.stderr == ""
    (y1, dx1, with_numba), (y2, dx2, without) = fast.stdout.split(), plain.stdout.split()
    assert (with_numba, without) == ("True", "False")
    assert float(y1) == pytest.approx(float(y2), rel=1e-4)
    assert float(dx1) == pytest.approx(float(dx2), rel=1e-3)


def test_a_missing_numba_is_named_with_what_to_type():
    ran = run(BLOCK_NUMBA + PREDICT)
    assert ran.stderr.splitlines()[-1].endswith("pip install numba, or set MINI_NN_BACKEND=numpy")


def test_an_unknown_backend_is_refused():
    ran = run(PREDICT, MINI_NN_BACKEND="cuda")
    assert "MINI_NN_BACKEND is 'cuda'; use 'numba' or 'numpy'" in ran.stderr.splitlines()[-1]


def test_importing_is_light():
    """No Numba, no matplotlib, nothing compiled; the time is in `mini-nn doctor`."""
    heavy = "{'numba', 'llvmlite', 'matplotlib', 'tqdm', 'h5py', 'safetensors', 'huggingface_hub'}"
    code = f"""
import sys
import mini_nn
from mini_nn import models, init, profile, weights, gradcheck, blocks, core
print(sorted({heavy} & set(sys.modules)))
"""
    assert run(code).stdout.strip() == "[]"


def test_an_unknown_operation_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no operation called 'maxpool'"):
        _ = backend.maxpool


def test_the_fixture_really_changes_the_floor(floor, monkeypatch, rng):
    """A kernel that is broken on purpose is felt on its own floor only."""
    from mini_nn.kernels import batch_norm

    model = init.initialize(models.build("mobilenet_v1", num_classes=2, width_mult=0.25), rng)
    monkeypatch.setattr(batch_norm, "forward", lambda x, *_: np.full_like(x, np.nan))
    assert np.isnan(model(np.ones((1, 32, 32, 3), np.float32))).any() == (floor == "kernels")
