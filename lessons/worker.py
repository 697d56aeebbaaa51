"""The process in which a student's function runs, so that an endless loop or a huge array cannot hurt the notebook.

It stays warm between checks.  CPU time and memory are limited where the system has limits (Linux, macOS); wall-clock time is
limited everywhere, generously, so that a busy machine fails no right answer.  This is no prison: it protects from accidents.
Requests are pickles from the parent; answers are JSON, so the parent never unpickles what a student's code may have made.
"""

import atexit
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import Any

from lessons.catalogue import Function, find
from lessons.feedback import Result

CPU_SECONDS = 10  # for one check; the slowest right answers take under 2
WALL_SECONDS = 120
MEMORY = 2 << 30  # bytes beyond what the process has when it starts
PRINTED = 500  # letters of a student's own output that are shown


STOPPED = {
    "slow": f"It was stopped after {CPU_SECONDS} seconds of work: is there a loop that never ends?",
    "late": f"It was stopped after {WALL_SECONDS} seconds: does it sleep, or wait for something that never comes?",
}


class Worker:
    """The parent's side: one process, started when it is first needed and again whenever it died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | str:
        """The worker's answer, or why there is none."""
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self.start()
            process, late = self.process, threading.Event()
            timer = threading.Timer(WALL_SECONDS, lambda: (late.set(), process.kill()))
            timer.start()
            try:
                body = pickle.dumps(request)
                process.stdin.write(struct.pack("<Q", len(body)) + body)
                process.stdin.flush()
                line = process.stdout.readline()
                answered = json.loads(line) if line.endswith(b"\n") else None
            except (BrokenPipeError, json.JSONDecodeError):
                answered = None
            except KeyboardInterrupt:  # in a notebook: the button "interrupt the kernel"
                self.stop()
                raise
            finally:
                timer.cancel()
            if answered is not None:
                return answered
            why = self.death(process)
            return "late" if late.is_set() else why

    def start(self) -> None:
        path = os.pathsep.join(p for p in sys.path if p)  # a clone that is not installed works too
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lessons.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=os.name == "posix",  # Ctrl-C is for the parent
        )

    def death(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        self.stop()
        if code in (-getattr(signal, "SIGXCPU", 1000), -getattr(signal, "SIGKILL", 1000)):
            return "slow"
        return f"exit {code}"

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                try:
                    if pipe is not None:
                        pipe.close()
                except BrokenPipeError:
                    pass
            self.process = None


WORKER = Worker()
atexit.register(WORKER.stop)


def check(id: str, function: Any) -> Result:
    """Judge a function of a notebook in the worker."""
    exercise = find(id)
    if not callable(function):
        return Result(
            id, "not written", f"{exercise.name} should be a function, not {type(function).__name__}."
        )
    try:
        import cloudpickle
    except ImportError as error:
        raise ImportError("checking needs cloudpickle: pip install cloudpickle") from error
    try:
        body = cloudpickle.dumps(function)
    except Exception as error:  # noqa: BLE001  (whatever the pickle of a stranger's object raises)
        text = f"The function cannot be sent to the process that checks it ({error}): keep open files, locks and the like out of it."
        return Result(id, "error", text)
    result = tell(id, {"function": body})
    if result.kind == "slow" and hasattr(function, "py_func"):  # Numba's
        return replace(result, text=f"{result.text} Compiling counts: try it first without Numba.")
    return result


def check_file(path: str | os.PathLike[str], id: str) -> Result:
    """Judge the function of that name in a student's own file, which runs in the worker."""
    find(id)
    return tell(id, {"path": os.path.abspath(path)})  # noqa: PTH100  (the worker may be in another folder)


def tell(id: str, request: dict[str, Any]) -> Result:
    answer = WORKER.ask({"id": id, **request})
    if isinstance(answer, dict):
        return Result(**answer)
    if answer in STOPPED:
        return Result(id, "slow", STOPPED[answer])
    return Result(
        id,
        "error",
        f"Your function ended the process that ran it ({answer}): no exit(), please, and no endless recursion.",
    )


# ---- the worker's side


def serve() -> None:
    """Answer requests until the parent closes the pipe."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):  # what a student's code reads is empty, and what it prints breaks nothing
        os.dup2(nowhere, number)
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    import lessons.judge  # noqa: F401  (before memory is limited)

    limit_memory()
    while len(head := requests.read(8)) == 8:
        request = pickle.loads(requests.read(struct.unpack("<Q", head)[0]))
        answers.write(json.dumps(answer(request)).encode() + b"\n")
        answers.flush()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    from lessons.judge import judge

    exercise, printed = find(request["id"]), Printed()
    with redirect_stdout(printed), redirect_stderr(printed):
        result = judge(exercise, maker(request), before=limit_time)
    found = vars(result)
    if printed.text and not result.passed:
        found = found | {"text": f"{result.text}\nIt printed: {printed.text}"}
    return found


def maker(request: dict[str, Any]) -> Callable[[], Function]:
    """Gives the student's function; called where the library's answer is out of reach already."""
    if "function" in request:
        return lambda: pickle.loads(request["function"])
    path, name = request["path"], find(request["id"]).name

    def from_file() -> Function:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
        names: dict[str, Any] = {"__name__": "student", "__file__": path}
        exec(compile(text, path, "exec"), names)  # noqa: S102  (that is what a check is)
        if name not in names:
            raise NameError(f"{os.path.basename(path)} has no function {name}")  # noqa: PTH119
        return names[name]  # type: ignore[no-any-return]

    return from_file


class Printed(io.StringIO):
    """Keeps the first letters that are printed and drops the rest."""

    text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[:PRINTED]
        return len(text)


def limit_memory() -> None:
    try:
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        return  # Windows and macOS have no such limit


def limit_time() -> None:
    """From now on CPU_SECONDS of work, counted over all threads, however busy the machine is."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


if __name__ == "__main__":
    code = 1
    try:
        serve()
        code = 0
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(code)  # not held up by a thread that a student's function has left behind
