"""One submission: its code runs in a process of its own, and what its functions gave is judged here, out of its reach.

Limits count the processor's time.  Waiting is limited too, but only while the process does nothing: a busy machine fails nobody.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lessons import judge
from lessons.catalogue import LESSONS, Exercise, find
from lessons.feedback import Result
from lessons.grading import HIDDEN, told
from lessons.grading.wire import unpack_outcome
from lessons.worker import CPU_SECONDS

IDLE_SECONDS = 60  # without an answer and without work: it waits for something that does not come
LINE = 256 << 20  # bytes of one answer
STOPPED_CELLS = 3  # cells that had to be stopped, after which no other is run
Cell = tuple[int, str] | tuple[int, str, str]  # number, code, the exercise that is checked there


@dataclass
class Ran:
    """What came of one submission."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> {"outcomes", "blank", "trouble"}
    incidents: list[tuple[str, str, str]] = field(default_factory=list)  # where, what, which
    failed: dict[int, str] = field(default_factory=dict)  # cell -> what it raised

    def noted(self, where: Any, message: dict[str, Any]) -> None:
        incident = (
            f"cell {where}" if isinstance(where, int) else str(where),
            str(message["incident"]),
            str(message["which"])[:200],
        )
        if incident not in self.incidents and len(self.incidents) < 50:
            self.incidents.append(incident)


def run(cells: list[Cell], ids: list[str]) -> Ran:
    """Run the cells, then every function; a process that has to be stopped is started again behind the place that stopped it."""
    ran, stopped = Ran(), set[int]()
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        while waiting := [id for id in ids if id not in ran.found]:
            left = [cell for cell in cells if cell[0] not in stopped] if len(stopped) < STOPPED_CELLS else []
            at, death = one_process(left, waiting, folder, ran)
            if at == "end":
                break
            if isinstance(at, int):
                stopped.add(at)
                ran.failed[at] = "TimeoutError" if death == "slow" else f"SystemExit ({death})"
            elif at in waiting:
                ran.found[at] = {"outcomes": [], "blank": False, "trouble": death}
            else:
                raise RuntimeError(f"the process that runs a submission does not start ({death})")
    return ran


def one_process(cells: list[Cell], ids: list[str], folder: str, ran: Ran) -> tuple[Any, str]:
    """(where it was last, how it died); ("end", "") when it came through."""
    at: Any = None
    with Started(folder) as process:
        order = {"cells": cells, "ids": ids, "folder": folder}
        for message in conversation(process, json.dumps(order).encode() + b"\n"):
            if "at" in message:
                at = message["at"]
            elif "incident" in message and "which" in message:
                ran.noted(at, message)
            elif "failed" in message:
                ran.failed[int(message["failed"])] = str(message.get("error"))[:200]
            elif message.get("found") == at and at in ids:
                ran.found.setdefault(at, message)
            if at == "end":
                return at, ""
        code = process.wait()
    return at, "slow" if code in (-24, -9, 137) else f"exit {code}"  # SIGXCPU, or killed


class Started(subprocess.Popen[bytes]):
    """The process, in a folder of its own and with no secrets in its environment; killed at the end of the `with`."""

    def __init__(self, folder: str) -> None:
        keep = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "LANG") if key in os.environ}
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        home = {"HOME": folder, "TMPDIR": folder, "TEMP": folder, "PYTHONPATH": str(LESSONS.parent)}
        fixed = {
            "MINI_NN_BACKEND": "numpy",
            "PYTHONHASHSEED": "0",
            "MPLBACKEND": "Agg",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        super().__init__(
            [sys.executable, "-W", "ignore", "-m", "lessons.grading.student"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=keep | one | home | fixed,
            start_new_session=os.name == "posix",
        )

    def __exit__(self, *_: object) -> None:
        self.kill()
        super().__exit__(*_)  # type: ignore[arg-type]


def conversation(process: subprocess.Popen[bytes], order: bytes) -> Iterator[dict[str, Any]]:
    """The process's messages, until it ends or is killed because nothing goes on."""
    assert process.stdin is not None
    lines: queue.Queue[bytes] = queue.Queue(1000)
    threading.Thread(target=read, args=(process, lines), daemon=True).start()
    try:
        process.stdin.write(order)
        process.stdin.flush()
    except BrokenPipeError:
        return
    worked = 0.0
    while True:
        try:
            line = lines.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            before, worked = worked, cpu_seconds(process.pid)
            if (
                worked - before < 1 or worked - before > 2 * CPU_SECONDS
            ):  # it waits, or has switched its limit off
                process.kill()
            continue
        if not line:
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            yield message


def read(process: subprocess.Popen[bytes], lines: "queue.Queue[bytes]") -> None:
    """Put the process's lines into the queue, and b"" at its end."""
    assert process.stdout is not None
    try:
        while line := process.stdout.readline(LINE):
            if not line.endswith(b"\n"):
                process.kill()
                break
            lines.put(line)
    except ValueError:
        pass  # closed while it was read
    lines.put(b"")


def cpu_seconds(pid: int) -> float:
    """Of all its threads."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


# ---- judged


def judged(ran: Ran, ids: list[str], points: dict[str, int]) -> list[dict[str, Any]]:
    """For each exercise: {"id", "kind", "mistake", "points", "worth", "title", "text"}."""
    rows = []
    for id in ids:
        result, error = verdict(ran, find(id))
        got = points[id] if result.passed else 0
        row = {"id": id, "kind": result.kind, "mistake": result.mistake, "points": got, "worth": points[id]}
        rows.append(row | {"title": result.title, "text": told(result, error)})
    return rows


def verdict(ran: Ran, exercise: Exercise) -> tuple[Result, str]:
    """The result, and what was raised, if that is what is wrong."""
    judge.SEED = HIDDEN  # cases, expected and wrong outputs are made once in a process
    answer, sent = judge.Answer(exercise), ran.found.get(exercise.id, {})
    if (exercise.id, "calls the library's answer", exercise.id) in ran.incidents:
        return answer("library", ""), ""
    if sent.get("trouble"):
        return answer("slow" if sent["trouble"] == "slow" else "error", ""), ""
    if sent.get("blank", True):
        cells = (
            [f"cell {cell} raises {what}" for cell, what in ran.failed.items()] if sent.get("missing") else []
        )
        return answer("not written", ""), ", ".join(cells[:3])
    try:
        found = [unpack_outcome(outcome) for outcome in sent["outcomes"]]
        result = judge.verdict(answer, found, judge.expected(exercise.id))
    except Exception:  # noqa: BLE001  (it came from a stranger's process, and is nothing that ours sends)
        return answer("error", ""), ""
    raised = next((f"{f.raised[0]} {f.where}".strip() for f in found if f.raised), "")
    return result, raised


def graded(path: Path, ids: list[str], points: dict[str, int]) -> dict[str, Any]:
    """What a worker does for one clean notebook: {"rows", "incidents", "failed"}."""
    from lessons.grading.collect import cells

    ran = run(cells(path, ids), ids)
    return {"rows": judged(ran, ids, points), "incidents": ran.incidents, "failed": ran.failed}
