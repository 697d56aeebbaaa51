"""The recorded arrays of tests/golden are what PyTorch and Keras say today."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make reference")
pytest.importorskip("keras", reason="Keras is not installed: make reference")

SCRIPT = Path(__file__).parents[1] / "golden" / "record_layers.py"


def test_recording_the_layers_again_gives_the_same_numbers():
    # in a process of its own: recording tells Keras once and for all to count in float64
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
