"""What the machine can do at best: multiply-adds a second, and bytes a second from memory."""

import time

import numpy as np

from bench.tasks import Task
from mini_nn.profile import profile


def machine() -> dict[str, float]:
    """The two roofs: FLOP/s of a large matrix product on all cores, and bytes/s, read and written, of a large copy."""
    a, b = np.ones((2048, 2048), np.float32), np.ones((2048, 2048), np.float32)
    out = np.empty_like(a)
    source = np.ones(1 << 25, np.float32)  # 128 MB: no cache holds it
    target = np.empty_like(source)
    product = fastest(lambda: np.matmul(a, b, out))
    copy = fastest(lambda: np.copyto(target, source))
    return {"flops": 2 * 2048**3 / product, "bytes": 2 * source.nbytes / copy}


def fastest(run: object, times: int = 7) -> float:
    assert callable(run)
    found = []
    for _ in range(times):
        since = time.perf_counter()
        run()
        found.append(time.perf_counter() - since)
    return min(found)


def work(task: Task) -> tuple[float, float]:
    """(FLOP, bytes) of predicting once: two for a multiply-add; input, output and weights once each."""
    model = task.model()
    found = profile(model, task.shape)
    numbers = task.batch * (np.prod(task.shape) + np.prod(model.out_shape(task.shape))) + found.params
    return 2.0 * found.macs * task.batch, 4.0 * float(numbers)


def bound(task: Task, roofs: dict[str, float]) -> float:
    """Seconds that no program can beat: the arithmetic at the first roof or the bytes at the second, whichever is longer."""
    flop, moved = work(task)
    return max(flop / roofs["flops"], moved / roofs["bytes"])
