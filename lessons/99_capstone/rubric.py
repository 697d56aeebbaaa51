"""The capstone's rubric: what is looked at, for how many points, and the part of it that a program judges.

    python -m lessons.99_capstone.rubric HANDED_IN TEST_PHOTOS

HANDED_IN holds run/ (written by transfer.fit), net.onnx, claims.json and report.md; TEST_PHOTOS a folder with a sub-folder
for each class.  Nothing that was handed in is believed: every number of claims.json is measured again.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mini_nn import evaluation, folder_check, metrics, transfer, weights
from mini_nn.ops import Array

LEAST = 10  # test photographs of a class
LIMIT = 0.75  # the largest budget that may be set, as a share of what Lite0 takes at 224 x 224
TIMED, ROUNDS = 8, 5
QUESTIONS = (
    "Whom does it serve, and what does a mistake cost?",
    "What does it get wrong, and why?",
    "What did you try, and what did each thing gain?",
    "More photographs, or more engineering: what next?",
)
TEMPLATE = "# My classifier\n\n" + "".join(
    f"## {question}\n\n(your answer, 60 words or more)\n\n" for question in QUESTIONS
)


class HandedIn:
    """What a student handed in, and the photographs that it is judged by; each part is read when it is first asked for."""

    def __init__(self, work: Path, test: Path) -> None:
        for place in (work, test):
            if not place.is_dir():
                raise ValueError(f"{place} is not a folder")
        self.work = work
        self.found = folder_check.check(test, quiet=True)

    @cached_property
    def classifier(self) -> transfer.Classifier:
        return transfer.load(self.work / "run")

    @cached_property
    def claims(self) -> dict[str, float]:
        try:
            given = json.loads((self.work / "claims.json").read_text("utf-8"))
            return {
                name: float(given[name]) for name in ("right", "total", "surprise", "temperature", "budget")
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"claims.json cannot be used: {error!r}") from error

    @cached_property
    def photographs(self) -> evaluation.Labelled:
        return evaluation.labelled(self.found, self.classifier.classes)

    @cached_property
    def probabilities(self) -> Array:
        return self.classifier.probabilities(self.photographs.paths)


class Verdict(NamedTuple):
    share: float | np.floating  # of the row's points, from 0 to 1
    why: str


class Row(NamedTuple):
    name: str
    points: int
    what: str  # what is asked for
    judge: Callable[[HandedIn], Verdict] | None = None  # None: a person reads it


def surprise(probabilities: Array, y: Array) -> float:
    """The mean of -log p of the true class: what calibration makes small."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-12)).mean())


def photographs(given: HandedIn) -> Verdict:
    found = given.found
    wrong = [
        str(finding).splitlines()[0]
        for finding in found.findings
        if finding.kind in ("in two classes", "broken")
    ]
    if len(found.classes) < 2 or min(found.counts) < LEAST:
        counts = ", ".join(f"{name} {n}" for name, n in zip(found.classes, found.counts, strict=True))
        wrong.append(f"two classes with {LEAST} photographs each are needed, there are: {counts or 'none'}")
    return Verdict(
        1 - min(1, len(wrong) / 2),
        "; ".join(wrong) or f"{len(found.paths)} photographs, nothing wrong with them",
    )


def honest(given: HandedIn) -> Verdict:
    fresh = evaluation.fresh(given.work / "run", given.found, given.photographs)
    if fresh is None:
        return Verdict(0, "run/config.json does not say what was learned from")
    learned = int((~fresh).sum())
    return Verdict(float(learned == 0), f"{learned} of the {len(fresh)} test photographs were learned from")


def accuracy(given: HandedIn) -> Verdict:
    y = given.photographs.y
    counts = transfer.Counts(int((given.probabilities.argmax(1) == y).sum()), len(y))
    true = (given.claims["right"], given.claims["total"]) == (counts.right, counts.total)
    guess = np.bincount(y).max() / len(y)  # who always says the most frequent class
    better = counts.interval()[0] > guess
    why = f"measured {counts}, claimed {given.claims['right']:g} of {given.claims['total']:g}; guessing gives {guess:.0%}"
    return Verdict(np.mean([true, better]), why)


def calibration(given: HandedIn) -> Verdict:
    y, hot = given.photographs.y, given.claims["temperature"]
    if not 0 < hot < np.inf or hot == 1:
        return Verdict(0, f"no temperature was set: {hot:g}")
    now, before = (
        surprise(given.probabilities, y),
        surprise(metrics.calibrated(np.log(given.probabilities + 1e-12), 1 / hot), y),
    )
    true, better = abs(now - given.claims["surprise"]) <= 0.01 * now + 1e-4, now < before
    why = f"mean surprise {now:.3f}, {before:.3f} before the temperature {hot:.2f}; claimed {given.claims['surprise']:.3f}"
    return Verdict(np.mean([true, better]), why)


def seconds(classifiers: Mapping[str, transfer.Classifier], paths: Sequence[Path]) -> dict[str, float]:
    """The processor's seconds for each to name the photographs: of rounds in turn, the fewest.

    Not the clock's: on a busy machine a clock measures the others, too.
    """
    found: dict[str, list[float]] = {name: [] for name in classifiers}
    for _ in range(ROUNDS + 1):
        for name, classifier in classifiers.items():
            since = time.process_time()
            classifier.probabilities(paths)
            found[name].append(time.process_time() - since)
    return {name: min(times[1:]) for name, times in found.items()}


def budget(given: HandedIn) -> Verdict:
    """As a share of Lite0's time in the same rounds, so that it is the same on a slow machine."""
    reference = transfer.Classifier(*weights.pretrained("efficientnet_lite0"))
    cost = seconds({"yours": given.classifier, "Lite0": reference}, given.photographs.paths[:TIMED])
    share, asked = cost["yours"] / cost["Lite0"], given.claims["budget"]
    why = f"{share:.2f} of Lite0's time; the budget was {asked:.2f}, at most {LIMIT}"
    return Verdict(float(share <= asked <= LIMIT), why)


def exported(given: HandedIn) -> Verdict:
    path = given.work / "net.onnx"
    if not path.is_file():
        return Verdict(0, "there is no net.onnx")
    try:
        import onnxruntime
    except ImportError:
        raise ImportError("judging net.onnx needs onnxruntime: pip install 'mini-nn[onnx]'") from None
    x = np.stack([given.classifier.preprocess(one) for one in given.photographs.paths[:TIMED]])
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        theirs = session.run(None, {session.get_inputs()[0].name: x})[0]
    except Exception as error:  # noqa: BLE001  (ONNX Runtime has exceptions of its own)
        return Verdict(0, f"net.onnx does not run: {str(error).splitlines()[0][:120]}")
    ours = given.probabilities[:TIMED]
    worst = float(np.abs(theirs - ours).max()) if theirs.shape == ours.shape else np.inf
    return Verdict(float(worst <= 1e-4), f"net.onnx and run/ differ by {worst:.0e} on {len(x)} photographs")


RUBRIC: tuple[Row, ...] = (
    Row("photographs", 10, f"two classes or more, {LEAST} test photographs of each, none broken, none in two classes", photographs),
    Row("honest test", 15, "no test photograph, nor a copy of it, was learned from", honest),
    Row("accuracy", 15, "as many are right as you claim, and surely more than guessing gives", accuracy),
    Row("calibration", 15, "a temperature is set, the mean surprise is what you claim, and smaller than before", calibration),
    Row("latency budget", 15, f"a photograph takes at most the share of Lite0's time that you set, {LIMIT} or less", budget),
    Row("export", 10, "net.onnx gives the same probabilities in ONNX Runtime", exported),
    *(
        Row(question, 5, "5: numbers of your own, with intervals, and what follows from them; 3: numbers; 1: words only")
        for question in QUESTIONS
    ),
)  # fmt: skip
assert sum(row.points for row in RUBRIC) == 100


class Mark(NamedTuple):
    row: Row
    points: float | None  # None: a person's to give
    why: str


def grade(work: Path, test: Path) -> list[Mark]:
    """A mark for each row; what cannot be judged because a part is missing or broken gets none, with the reason."""
    given, marks = HandedIn(work, test), []
    answers = written(work / "report.md")
    for row in RUBRIC:
        if row.judge is None:
            marks.append(Mark(row, None if answers[row.name] else 0.0, f"{answers[row.name]} words"))
            continue
        try:
            verdict = row.judge(given)
        except (ValueError, OSError) as error:
            verdict = Verdict(0, str(error))
        marks.append(Mark(row, float(row.points * verdict.share), verdict.why))
    return marks


def written(path: Path) -> dict[str, int]:
    """How many words stand under each question; those of the template do not count."""
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    found = dict.fromkeys(QUESTIONS, 0)
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        question, _, answer = part.partition("\n")
        if question.strip() in found:
            found[question.strip()] = len(re.sub(r"\(your answer, .*?\)", "", answer).split())
    return found


def table(marks: Sequence[Mark]) -> str:
    """The marks as Markdown."""
    lines = ["| what | points | of | why |", "|---|---:|---:|---|"]
    for row, points, why in marks:
        lines.append(
            f"| {row.name} | {'a person' if points is None else f'{points:g}'} | {row.points} | {why} |"
        )
    judged = [mark for mark in marks if mark.points is not None]
    got, most = sum(mark.points or 0 for mark in judged), sum(mark.row.points for mark in judged)
    return "\n".join(
        [*lines, f"| **so far** | **{got:g}** | **{most}** | the rest is for a person to read |"]
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m lessons.99_capstone.rubric", description="Judge what was handed in."
    )
    parser.add_argument("work", type=Path, metavar="HANDED_IN", help="run/, net.onnx, claims.json, report.md")
    parser.add_argument("test", type=Path, metavar="TEST_PHOTOS", help="a sub-folder for each class")
    args: Any = parser.parse_args(argv)
    try:
        print(table(grade(args.work, args.test)))
    except (ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
