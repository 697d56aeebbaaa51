"""Grades a lesson's submissions: workers run them, this process alone writes results and the gradebook, and goes on after a kill."""

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lessons.build import write
from lessons.grading import release, run
from lessons.grading.collect import Submission, collect
from lessons.grading.release import Classroom

FIXED = {
    "MINI_NN_BACKEND": "numpy",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
Row = dict[str, Any]


def grade(lesson: str, source: str | Path, root: Classroom, workers: int = 2) -> Path:
    """Grade what is in `source`; the folder with the report.  What has been graded, and not changed since, stays."""
    from lessons.grading import book, report

    if workers < 1:
        raise ValueError(f"{workers} workers: at least 1")
    root, manifest = Path(root), release.manifest(lesson, root)
    submissions = collect(source, manifest, root)
    sound = [s for s in submissions if not s.problem]
    (root / "results" / lesson).mkdir(parents=True, exist_ok=True)
    todo = [s for s in sound if stored(s, manifest, root) is None]
    with tqdm(
        total=len(sound), initial=len(sound) - len(todo), unit="submission", desc=f"{lesson} run"
    ) as bar:
        for s, result in results(todo, manifest, root, workers):
            save(s, manifest, root, result)
            bar.update()
            book.enter(lesson, root, s.student)
            save(s, manifest, root, result | {"entered": True})
    known = book.scores(lesson, root)
    for s in sound:  # a kill came between a result and its entry, or the gradebook is a new one
        found = stored(s, manifest, root)
        if found and not (found.get("entered") and s.student in known):
            book.enter(lesson, root, s.student)
            save(s, manifest, root, found | {"entered": True})
    graded = [
        (s, stored(s, manifest, root) or {"rows": [], "incidents": [], "failed": {}}) for s in submissions
    ]
    return report.write_all(graded, manifest, root, book.scores(lesson, root))


def results(
    todo: list[Submission], manifest: Row, root: Path, workers: int
) -> Iterator[tuple[Submission, Row]]:
    """Each submission with what a worker found, as they come."""
    os.environ |= FIXED  # the workers' too; points are NumPy's, in one thread
    ids = list(manifest["points"])
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        waiting = {
            pool.submit(run.graded, submitted(s, manifest, root), ids, manifest["points"]): s for s in todo
        }
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_parent() -> None:
    """In a worker: when the process that asked is killed, end, and take the submission that runs along."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def submitted(s: Submission, manifest: Row, root: Path) -> Path:
    return root / "submitted" / s.student / manifest["lesson"] / f"{manifest['notebook']}.ipynb"


def digest(s: Submission, manifest: Row, root: Path) -> str:
    """Of the clean notebook and the rules: what a result holds for."""
    rules = json.dumps(manifest, sort_keys=True).encode()
    return hashlib.sha256(submitted(s, manifest, root).read_bytes() + rules).hexdigest()


def stored(s: Submission, manifest: Row, root: Path) -> Row | None:
    path = root / "results" / manifest["lesson"] / f"{s.student}.json"
    if s.problem or not path.is_file():
        return None
    found: Row = json.loads(path.read_text("utf-8"))
    return found if found["digest"] == digest(s, manifest, root) else None


def save(s: Submission, manifest: Row, root: Path, result: Row) -> None:
    path = root / "results" / manifest["lesson"] / f"{s.student}.json"
    write(path, json.dumps(result | {"digest": digest(s, manifest, root)}, indent=1) + "\n")
