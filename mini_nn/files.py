"""Files that are written whole or not at all, and the folder for what can be made or fetched again."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def written_whole(target: Path) -> Iterator[IO[Any]]:
    """A new binary file beside `target`, which takes its place at the end; after an error nothing is left of it."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: there is no folder {target.parent}")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def user_cache() -> Path:
    """This system's folder for caches, and in it ours.  XDG_CACHE_HOME names another, on every system."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "mini_nn"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "mini_nn"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "mini_nn"
