"""What a submission may not do, noticed by Python's own audit events, refused and reported.

It may read what Python itself is made of and its own folder, and write into its own folder.  It may start no program and use
no network, and the answers' files are closed to it.  This stops what students try, and is no prison: a program that attacks
the interpreter (ctypes, a crafted code object) gets out.  Grade strangers inside a container.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lessons
import mini_nn

PATHS = {  # event -> which of its arguments are paths that it changes
    "os.remove": (0,), "os.rename": (0, 1), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (0, 1), "os.symlink": (0, 1),
    "os.chmod": (0,), "os.chown": (0,), "os.truncate": (0,), "os.utime": (0,), "os.setxattr": (0,), "shutil.rmtree": (0,),
}  # fmt: skip
NEVER = {
    "subprocess.Popen": "starts a program", "os.system": "starts a program", "os.exec": "starts a program",
    "os.posix_spawn": "starts a program", "os.spawn": "starts a program", "os.fork": "starts a process",
    "os.forkpty": "starts a process", "pty.spawn": "starts a program", "os.kill": "sends a signal", "os.killpg": "sends a signal",
    "socket.connect": "uses the network", "socket.bind": "uses the network", "socket.getaddrinfo": "uses the network",
    "socket.sendto": "uses the network", "ctypes.dlopen": "loads a library of C", "gc.get_objects": "searches the memory",
    "gc.get_referrers": "searches the memory",
}  # fmt: skip
LIBRARY, COURSE = (Path(package.__file__).resolve().parent for package in (mini_nn, lessons))
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/dev",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices",
    "/etc/localtime",
)


class Fence:
    """Once up it stays up: Python has no way to take an audit hook back."""

    def __init__(
        self, folder: str | Path, answers: Iterable[str], report: Callable[[str, str], None]
    ) -> None:
        self.folder, self.report = Path(folder).resolve(), report
        self.answers = {str(Path(path).resolve()) for path in answers}
        here = (sys.prefix, sys.base_prefix, sys.exec_prefix, *SYSTEM)
        self.readable = tuple(Path(path).resolve() for path in here)
        self.importable = tuple(
            p for p in (Path(entry).resolve() for entry in sys.path) if p != LIBRARY.parent
        )

    def up(self) -> None:
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self.opened(*args)
        elif event in PATHS:
            for path in (args[i] for i in PATHS[event]):
                if isinstance(path, str | bytes | os.PathLike) and not self.inside(path):
                    self.refuse("writes outside of its folder", os.fsdecode(path))
        elif event in NEVER:
            self.refuse(NEVER[event], str(args[0])[:200] if args else "")
        elif event == "import" and str(args[0]).startswith("lessons."):
            self.refuse("looks for the check", f"import {args[0]}")

    def opened(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, int) or path is None:
            return  # an open file's number
        name = os.fsdecode(path)
        if (flags & WRITING) or (mode and set(mode) & set("wax+")):
            if not self.inside(name) and name != os.devnull:
                self.refuse("writes outside of its folder", name)
            return
        real = Path(name).resolve()
        course, importing = (
            real.is_relative_to(COURSE),
            "<frozen importlib" in sys._getframe(2).f_code.co_filename,
        )
        source = real.is_relative_to(LIBRARY) and real.suffix in (".py", ".pyc") and not importing
        if course or source or str(real) in self.answers:
            self.refuse("looks for the check" if course else "reads the library's answer", name)
        elif not (self.inside(name) or self.known(real, importing)):
            self.refuse("reads outside of its folder", name)

    def known(self, real: Path, importing: bool) -> bool:
        """Whether it belongs to Python, to a package or to the library, and not to the checkout around that, with its tests."""
        where = self.readable + (self.importable if importing else ())
        return real.is_relative_to(LIBRARY) or any(map(real.is_relative_to, where))

    def inside(self, path: Any) -> bool:
        return Path(os.fsdecode(path)).resolve().is_relative_to(self.folder)

    def refuse(self, what: str, which: str) -> None:
        if not telling_of_an_error():
            self.report(what, which)
        raise PermissionError(f"not while this is graded: it {what}: {which}")


def telling_of_an_error() -> bool:
    """Tracebacks and warnings quote lines of source files: refused like the rest, and nobody's fault."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename in (traceback.__file__, warnings.__file__):
            return True
        frame = frame.f_back
    return False
