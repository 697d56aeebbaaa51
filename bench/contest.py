"""Contestants take turns, each in a process of its own, and are told apart from what else the machine does."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

import numpy as np

from bench.tasks import Task

ROOT = Path(__file__).parents[1]
# glibc's malloc gives large blocks back at once and asks for them again, page by page: half of PyTorch's time at batch 16
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "67108864",
}
PLAYERS = {  # name -> (what the worker is, its environment)
    "ours": ("ours", {}),
    "readable": ("readable", {}),
    "torch": ("torch", {}),
    "torch, tuned malloc": ("torch", TUNED),
    "torch, BN folded": ("folded", TUNED),
    "ONNX Runtime": ("onnx", {}),
}
PAUSE = 0.25  # seconds in which the last one's threads stop spinning
FOREIGN = 0.10  # share of the machine that others may take in a round that counts
LEAST = 3  # rounds that must count
AGREE = 2e-3


class Player:
    """A process that builds and times what it is told."""

    def __init__(self, name: str, threads: int) -> None:
        kind, environment = PLAYERS[name]
        limits = {f"{what}_NUM_THREADS": str(threads) for what in ("OMP", "NUMBA", "OPENBLAS", "MKL")}
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", kind],
            cwd=ROOT,
            env={**os.environ, **limits, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        reply: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        return reply

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Times(NamedTuple):
    """Seconds of each contestant: of the rounds that count, or of all where too few do."""

    task: Task
    threads: int
    rounds: dict[str, list[float]]
    quiet: int  # rounds in which others took less than FOREIGN of the machine
    of: int

    @property
    def fair(self) -> bool:
        return self.quiet >= min(LEAST, self.of)

    def seconds(self, name: str) -> float:
        return median(self.rounds[name])

    def ratio(self, name: str) -> float | None:
        """Theirs / ours, the median over rounds; None where the machine was too busy to say."""
        if not self.fair or name not in self.rounds:
            return None
        return median(
            theirs / mine for theirs, mine in zip(self.rounds[name], self.rounds["ours"], strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task._asdict(), "threads": self.threads, "quiet_rounds": self.quiet, "of": self.of,
            "milliseconds": {
                name: {"median": 1000 * median(some), "min": 1000 * min(some)} for name, some in self.rounds.items()
            },
            "ratio": {name: self.ratio(name) for name in self.rounds if name != "ours"},
        }  # fmt: skip


class Contest:
    """Some contestants, who stay for many tasks."""

    def __init__(self, names: Sequence[str], threads: int = 2) -> None:
        self.threads = threads
        self.players = [Player(name, threads) for name in names]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for player in self.players:
            player.close()

    def time(self, task: Task, rounds: int = 7, seconds: float = 0.3) -> Times:
        """Time the task; in each round every contestant once, in turn from the front and from the back.

        RuntimeError where one does not give the others' answer: then they do not do the same work.
        """
        first = None
        for player in self.players:
            output = player.ask(task=task._asdict())["output"]
            if task.what == "predict":
                first = first or output
                off = np.linalg.norm(np.subtract(output, first)) / np.linalg.norm(first)
                if not off <= AGREE:
                    raise RuntimeError(
                        f"{task}: {player.name} differs from {self.players[0].name} by {off:.1e}"
                    )
        found: list[tuple[bool, dict[str, float]]] = []
        for number in range(rounds):
            before, since, cpu, row = busy(), time.perf_counter(), 0.0, {}
            for player in self.players[:: 1 if number % 2 else -1]:
                reply = player.ask(seconds=seconds)
                row[player.name], cpu = reply["seconds"], cpu + reply["cpu"]
                time.sleep(PAUSE)
            whole = (time.perf_counter() - since) * (os.cpu_count() or 1)
            found.append((before is None or (busy() or 0) - before - cpu < FOREIGN * whole, row))
        quiet = [row for good, row in found if good]
        kept = quiet if len(quiet) >= min(LEAST, rounds) else [row for _, row in found]
        names = [player.name for player in self.players]
        return Times(
            task, self.threads, {name: [row[name] for row in kept] for name in names}, len(quiet), rounds
        )


def busy() -> float | None:
    """Seconds that all processors have worked since the machine started; None where nobody says."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft, steal = map(int, fields[:8])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def peak(task: Task, name: str, threads: int = 2) -> float:
    """Bytes of memory at most, in a process that does nothing else."""
    player = Player(name, threads)
    try:
        player.ask(task=task._asdict())
        return float(player.ask(peak=True)["peak"])
    finally:
        player.close()
