"""One contestant, in a process of its own: told by a line of JSON to build a task, or to time it.

python -m bench.worker ours | readable | torch | folded | onnx
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.tasks import Task
from mini_nn.losses import softmax_cross_entropy
from mini_nn.optim import SGD

Run = Callable[[], Any]


def ours(task: Task, fast: bool = True) -> Run:
    from mini_nn import inference
    from mini_nn.fused import fuse

    model, x = task.model(), task.images()
    if task.what == "predict":
        run: Any = inference.compile(model, task.shape) if fast else model
        return lambda: run(x)
    net = fuse(model, dx=task.what != "train") if fast else model
    if task.what == "train":
        labels, optimiser = np.arange(task.batch) % 1000, SGD(model, lr=1e-3, momentum=0.9)

        def step() -> None:
            logits, cache = net.forward(x, train=True)
            net.backward(softmax_cross_entropy(logits, labels)[1], cache)
            optimiser.step()

        return step
    if task.what == "forward":
        return lambda: net.forward(x, train=True)[0]
    y, _ = net.forward(x, train=True)
    dy = np.asarray(np.random.default_rng(2).normal(size=y.shape), np.float32)

    def there_and_back() -> None:
        _, cache = net.forward(x, train=True)
        net.backward(dy, cache)

    return there_and_back


def torch(task: Task, fold: bool = False) -> Run:
    import torch as library

    from bench.torch_twin import folded, twin

    library.set_num_threads(THREADS)
    module = twin(task.model())
    if fold:
        module = folded(module.eval())
    module = module.to(memory_format=library.channels_last)
    x = library.from_numpy(task.images()).permute(0, 3, 1, 2).contiguous(memory_format=library.channels_last)
    if task.what == "predict":
        module.eval()

        def predict() -> Any:
            with library.inference_mode():
                y = module(x)
            return (y.permute(0, 2, 3, 1) if y.ndim == 4 else y).numpy()

        return predict
    module.train()
    if task.what == "train":
        labels = library.arange(task.batch) % 1000
        optimiser = library.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)
        loss = library.nn.CrossEntropyLoss()

        def step() -> None:
            optimiser.zero_grad(set_to_none=True)
            loss(module(x), labels).backward()
            optimiser.step()

        return step
    if task.what == "forward":
        return lambda: module(x).detach().permute(0, 2, 3, 1).numpy()
    x.requires_grad_()
    dy = library.from_numpy(
        np.asarray(np.random.default_rng(2).normal(size=module(x).permute(0, 2, 3, 1).shape), np.float32)
    )
    dy = dy.permute(0, 3, 1, 2).contiguous(memory_format=library.channels_last)

    def there_and_back() -> None:
        module.zero_grad(set_to_none=True)
        x.grad = None
        module(x).backward(dy)

    return there_and_back


def onnx(task: Task) -> Run:
    import tempfile
    from pathlib import Path

    import onnxruntime

    from mini_nn.export import writing

    if task.what != "predict":
        raise ValueError("ONNX Runtime only predicts")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        path.write_bytes(writing.built(task.model(), task.shape, False, {}).SerializeToString())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = task.images()
    return lambda: session.run(None, {"x": x})[0]


CONTESTANTS: dict[str, Callable[[Task], Run]] = {
    "ours": ours,
    "readable": lambda task: ours(task, fast=False),
    "torch": torch,
    "folded": lambda task: torch(task, fold=True),
    "onnx": onnx,
}


def answer(request: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    if "task" in request:
        state.clear()
        state["run"] = run = CONTESTANTS[sys.argv[1]](Task(**request["task"]))
        y = run()
        run()
        return {
            "output": None
            if y is None
            else np.asarray(y, np.float64).ravel()[:: max(1, y.size // 1000)].tolist()
        }
    if "seconds" in request:
        times, cpu, until = [], time.process_time(), time.perf_counter() + request["seconds"]
        while not times or time.perf_counter() < until:
            since = time.perf_counter()
            state["run"]()
            times.append(time.perf_counter() - since)
        return {"seconds": float(np.median(times)), "calls": len(times), "cpu": time.process_time() - cpu}
    import resource

    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


if __name__ == "__main__":
    import os

    THREADS = int(os.environ["OMP_NUM_THREADS"])
    kept: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), kept)
        except Exception as error:  # noqa: BLE001  (the caller says it)
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
