"""Fetching a file: continued after an interruption, and never used before its checksum is right."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mini_nn.files import user_cache

TIMEOUT = 30  # seconds without a byte


class DownloadError(ValueError):
    """The file could not be fetched; what was received is kept and continued by the next try."""


def cache() -> Path:
    """Where data sets are kept: MINI_NN_DATA, or the system's place for caches."""
    named = os.environ.get("MINI_NN_DATA")
    return Path(named).expanduser() if named else user_cache() / "data"


def pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise DownloadError("downloading needs the package pooch: pip install 'mini-nn[data]'") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch


def fetch(url: str, checksum: str | None, name: str, folder: Path, progress: bool = True) -> Path:
    """Download `url` to `folder / name` unless it is there; `checksum` is "sha256:..." or "md5:...".

    Pooch moves the file in place when its checksum is right; until then it is `name.part`.
    """
    part = folder / f"{name}.part"
    continued = part.exists()
    try:
        return Path(pooch().retrieve(url, checksum, name, folder, downloader=resuming(part, progress)))
    except DownloadError:
        raise
    except ValueError as error:  # pooch's: the checksum is wrong
        if continued:  # perhaps glued together from two versions of the file: once more, from the start
            return fetch(url, checksum, name, folder, progress)
        raise DownloadError(
            f"{url}: the download is complete, but its checksum is wrong ({error}); it was deleted. Try again "
            "later; if it stays wrong, the file has changed at its source"
        ) from error


def resuming(part: Path, progress: bool) -> Callable[[str, Any, Any], None]:
    """A downloader for pooch that appends to `part`, and hands it over when it is complete."""

    def download(url: str, output: Any, _pooch: Any) -> None:
        import requests

        have = part.stat().st_size if part.exists() else 0
        asked = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        try:
            with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code != 416:  # 416: nothing is left to send
                    receive(url, answer, part, have, progress)
        except requests.RequestException as error:
            kept = part.stat().st_size if part.exists() else 0
            raise DownloadError(
                f"{url} cannot be reached or broke off ({type(error).__name__}); {kept:,} bytes are kept and the next "
                f"try goes on from there. Without a network: put the file at {part.with_suffix('')}"
            ) from error
        part.replace(output)

    return download


def receive(url: str, answer: Any, part: Path, have: int, progress: bool) -> None:
    """Write what the server sends behind the `have` bytes of `part`, or over them if it sends everything."""
    if answer.status_code not in (200, 206):
        raise DownloadError(f"{url}: the server answers {answer.status_code} {answer.reason}")
    kind = answer.headers.get("Content-Type", "").lower()
    if kind.startswith("text/html"):
        raise DownloadError(f"{url}: a web page came instead of the file (a log-in page of the network?)")
    start = have if answer.status_code == 206 else 0
    if start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        raise DownloadError(f"{url}: the server sent another part than asked; delete {part} and try again")
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length else None
    with part.open("ab" if start else "wb") as file, bar(part, start, total, progress) as shown:
        for chunk in answer.iter_content(1 << 16):
            file.write(chunk)
            shown.update(len(chunk))
    if total is not None and part.stat().st_size != total:
        raise DownloadError(
            f"{url} broke off at {part.stat().st_size:,} of {total:,} bytes; try again to go on"
        )


def bar(part: Path, start: int, total: int | None, progress: bool) -> Any:
    from tqdm import tqdm

    name = part.with_suffix("").name
    return tqdm(
        initial=start, total=total, desc=name, unit="B", unit_scale=True, disable=not progress or None
    )
