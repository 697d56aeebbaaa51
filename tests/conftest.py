"""What all tests share: a seeded generator, both backends, and the table of gradients at the end."""

import importlib
import logging

import numpy as np
import pytest

from mini_nn import backend

checked = []  # gradcheck.Row of every gradient that a test has checked


class Collect(logging.Handler):
    def emit(self, record):
        checked.append(record.row)


log = logging.getLogger("mini_nn.gradcheck")
log.setLevel(logging.DEBUG)
log.propagate = False
log.addHandler(Collect())


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=["ops", "kernels"])
def floor(request, monkeypatch):
    """Run the test with every twin taken from this floor."""
    for topic in backend.KERNELS:
        monkeypatch.setattr(
            backend, topic, importlib.import_module(f"mini_nn.{request.param}.{topic}"), raising=False
        )
    return request.param


def pytest_terminal_summary(terminalreporter):
    """The worst error of each layer, array and method."""
    worst = {}
    for row in checked:
        key = (row.what, row.array, row.method)
        worst[key] = max(worst.get(key, 0.0), row.error)
    if not worst:
        return
    terminalreporter.section(f"{len(checked)} gradients checked; the worst error of each")
    line = "{:<22} {:<44} {:<13} {}".format
    terminalreporter.write_line(line("layer", "array", "method", "worst error"))
    for (what, array, method), error in sorted(worst.items()):
        terminalreporter.write_line(line(what, array, method, f"{error:.1e}"))
