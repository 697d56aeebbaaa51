"""How strong is each exercise's check?  Small faults of the solution, one at a time, and how many the check refuses.

    python tools/mutation_score.py            all exercises; writes results/mutation_scores.json and .md
    python tools/mutation_score.py L0 swish   those whose id has one of these words

An exercise is measured again only when its solution, its lesson or the judge has changed; --again measures all.  A fault that
changes nothing that can be asked for is equivalent: it is listed, with a sentence, in tools/equivalent_faults.json.  A sentence
there that begins with "missed: " says why a fault survives that is none of these: it counts against the check.
"""

import hashlib
import inspect
import json
import multiprocessing
import os
import platform
import signal
import sys
import time
import warnings
from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the clone's lessons, installed or not

from lessons import compare, faults, judge, source
from lessons.catalogue import LESSONS, every, find, folders
from mini_nn.files import written_whole

RESULTS = ROOT / "results" / "mutation_scores.json"
EQUIVALENT = Path(__file__).with_name("equivalent_faults.json")
SECONDS = 10  # of CPU for one fault, as a student's function has; or 10 times what the solution takes, if that is less
MEMORY = 3 << 30  # bytes
GOAL = 0.95
MISSED = "missed: "


class Endless(BaseException):
    """The fault never ends, or not in time."""


def stop(*_: Any) -> None:
    raise Endless


def limits() -> None:
    """Once in each process that measures."""
    import resource

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))


def caught(id: str, fault: faults.Fault, seconds: float) -> bool:
    """Whether any case tells the faulty function from the solution."""
    exercise, right = find(id), judge.expected(id)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        function = fault.function(exercise)
        for case, want in zip(judge.cases(id), right, strict=True):
            found = judge.attempt(exercise, function, case)
            same = all(
                compare.equal(found[name], want[name], exercise.tolerance) for name in exercise.outputs
            )
            if not same or found.changed != want.changed:
                return True
    except (Exception, Endless):  # noqa: BLE001  (a table that cannot be made, endless recursion, too much memory)
        return True
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return False


def measure(id: str) -> dict[str, Any]:
    """One exercise's row."""
    start = time.process_time()
    judge.expected(id)
    seconds = min(SECONDS, 10 * (time.process_time() - start) + 1)
    known, all_of_them = equivalent().get(id, {}), faults.faults(find(id))
    left = {
        fault.name: known.get(fault.name, MISSED) for fault in all_of_them if not caught(id, fault, seconds)
    }
    survivors = {name: why.removeprefix(MISSED) for name, why in left.items() if why.startswith(MISSED)}
    return {
        "faults": len(all_of_them) - len(left) + len(survivors),
        "caught": len(all_of_them) - len(left),
        "survivors": survivors,
        "equivalent": {name: why for name, why in left.items() if name not in survivors},
        "digest": digest(id),
        "seconds": round(time.process_time() - start, 1),
    }


def equivalent() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(EQUIVALENT.read_text("utf-8"))
    return found


def digest(id: str) -> str:
    """Of everything that the score rests on."""
    lesson = LESSONS / folders()[find(id).lesson]
    files = [p for p in sorted(lesson.glob("*.py")) if p.name != "lesson.py"]
    files += [Path(module.__file__ or "") for module in (compare, faults, judge, source)]
    files.append(Path(inspect.getfile(find(id).function)))
    told = json.dumps(equivalent().get(id, {})).encode()
    return hashlib.sha256(told + b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def page(rows: dict[str, Any], when: str) -> str:
    """results/mutation_scores.md."""
    judged, killed = sum(r["faults"] for r in rows.values()), sum(r["caught"] for r in rows.values())
    same = sum(len(r["equivalent"]) for r in rows.values())
    lines = [
        "# How strong the checks are",
        "",
        f"{when}; `make scores`. Faults made from each solution's syntax tree (lessons/faults.py), one at a time, beyond the named",
        f"mistakes: {killed} of {judged} are caught ({killed / judged:.1%}). {same} more change nothing that could be asked for.",
        "",
        "| exercise | faults | caught | | equivalent |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {id} | {r['faults']} | {r['caught']} | {r['caught'] / max(r['faults'], 1):.0%} | {len(r['equivalent'])} |"
            for id, r in rows.items()
        ),
    ]
    for title, key in ("## Survivors", "survivors"), ("## Equivalent, and why", "equivalent"):
        lines += ["", title]
        for id, r in rows.items():
            lines += [f"\n{id}\n"] if r[key] else []
            lines += [f"* `{name}`: {why or '**no reason given yet**'}" for name, why in r[key].items()]
    return "\n".join(lines) + "\n"


def measured() -> dict[str, Any]:
    """The rows that are kept, of exercises that there still are."""
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"exercises": {}}
    return {id: row for id, row in kept["exercises"].items() if id in every()}


def keep(rows: dict[str, Any], when: str) -> None:
    """Write results/mutation_scores.json and .md, after each exercise: what is measured is kept."""
    texts = {RESULTS: json.dumps({"exercises": rows, "when": when}, indent=1) + "\n"}
    texts[RESULTS.with_suffix(".md")] = page(rows, when)
    for path, text in texts.items():
        with written_whole(path) as file:
            file.write(text.encode())


def main() -> int:
    parser = ArgumentParser(description="Measure the checks of the exercises.")
    parser.add_argument("words", nargs="*", help="parts of exercise ids (all)")
    parser.add_argument("--again", action="store_true", help="also what has not changed since")
    args = parser.parse_args()
    rows = measured()
    stale = [id for id in every() if args.again or rows.get(id, {}).get("digest") != digest(id)]
    stale = [id for id in stale if not args.words or any(word in id for word in args.words)]
    when = f"{date.today()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    spawn = multiprocessing.get_context("spawn")  # never fork beside compiled kernels
    with ProcessPoolExecutor(os.cpu_count(), spawn, limits) as pool:
        for id, row in zip(stale, pool.map(measure, stale), strict=True):
            rows = measured() | {id: row}
            print(
                f"{id:<32} {row['caught']:>4} of {row['faults']:<4} {row['seconds']:>6} s",
                *row["survivors"],
                sep="\n    ",
            )
            keep({known: rows[known] for known in every() if known in rows}, when)
    if not rows:
        return 0
    score = sum(r["caught"] for r in rows.values()) / sum(r["faults"] for r in rows.values())
    print(f"{score:.1%} over the course; the goal is {GOAL:.0%}")
    return 0 if score >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
