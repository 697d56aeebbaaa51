"""What goes into the slots of the page, as HTML."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mini_nn import metrics, plot
from mini_nn.folder_check import Check, several
from mini_nn.ops import Array
from mini_nn.report.pictures import clean, drawn, look, thumbnail
from mini_nn.transfer import STRATEGIES, Run

MISTAKES, LOOKS, LEAKS, LINES = 18, 12, 8, 20  # shown, at most
TABLE = 16  # classes, up to which the confusion matrix is a table
NOTHING = "<p>No photograph was held back, so there is nothing to judge by. Add photographs: two of a class at least.</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Cells are HTML; the first of a row is its name."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    said = f"<caption>{caption}</caption>" if caption else ""
    return f'<div class="wide"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def summary(run: Run, found: Check) -> str:
    """How to take the verdict."""
    most = int(np.argmax(found.counts))
    lines = [
        f"Strategy {run.strategy} was taken: {STRATEGIES[run.strategy].what}.",
        f"To always say {found.classes[most]} would be right {found.counts[most] / len(found.y):.0%} of the time.",
    ]
    if run.cross_validated:
        lines.append("Each photograph was judged by a classifier that had not learned from it.")
    elif len(run.labels) and (len(run.tried) > 1 or run.strategy != "A"):
        lines.append(
            "The held-back photographs also chose the strategy or when to stop, so they flatter a little."
        )
    if found.leaks:
        lines.append("Some photographs are in two classes: see below, and correct that first.")
    return " ".join(map(clean, lines))


def counts(run: Run) -> str:
    parts = run.splits.train.y, run.splits.valid.y
    learn, judge = (np.bincount(y, minlength=len(run.classes)) for y in parts)
    longest = max(learn + judge)
    rows = [
        (
            clean(name),
            str(a),
            str(b),
            f'<span class="bar" style="width:{100 * (a + b) / longest:.0f}%"></span>',
        )
        for name, a, b in zip(run.classes, learn, judge, strict=True)
    ]
    rows.append(("in all", str(learn.sum()), str(judge.sum()), ""))
    return table(("class", "learned from", "held back", ""), rows)


def findings(found: Check) -> str:
    if not found.findings:
        return "<p>All could be read; none is there twice, none is in two classes.</p>"
    parts = []
    for one in found.findings:
        items = "".join(f"<li>{clean(item)}</li>" for item in one.items[:LINES])
        more = f"<li>and {len(one.items) - LINES} more</li>" if len(one.items) > LINES else ""
        parts.append(f"<dt>{clean(one.kind)}</dt><dd>{clean(one.sentence)}<ul>{items}{more}</ul></dd>")
    pictures = "".join(map(partial(leak, found), found.leaks[:LEAKS]))
    return f'<dl>{"".join(parts)}</dl><div class="tiles">{pictures}</div>'


def leak(found: Check, group: list[int]) -> str:
    """The photographs of a group that is in two classes, side by side."""
    names = [found.name(found.paths[i]) for i in group]
    pictures = "".join(
        thumbnail(found.paths[i], name) for i, name in list(zip(group, names, strict=True))[:2]
    )
    return f'<figure class="pair">{pictures}<figcaption>{clean(several(names, " = "))}</figcaption></figure>'


def tried(run: Run) -> str:
    rows = []
    for one in run.tried:
        numbers = f"{one.right} of {one.total}", f"{one.loss:.3f}", f"{one.seconds:.0f} s"
        rows.append((one.strategy, *(("", "", "") if np.isnan(one.loss) else numbers), clean(one.why)))
    return table(("strategy", "held back, right", "surprise", "took", ""), rows)


def curves(run: Run) -> str:
    """The course of the training; for A the strengths of regularisation that were compared."""
    if len(run.records) > 1:
        first, last = run.records[0], run.records[-1]
        held = f", held-back accuracy from {first.valid_accuracy:.0%} to {last.valid_accuracy:.0%}"
        alt = (
            f"Loss and accuracy in {len(run.records)} epochs: training loss from {first.loss:.2f} to {last.loss:.2f}"
            + (held if len(run.labels) else "")
        )
        return f"<figure>{drawn(partial(plot.curves, run.records), alt)}<figcaption>{clean(alt)}.</figcaption></figure>"
    if not run.search:
        return ""
    best = min(run.search, key=lambda one: one.loss)
    rows = [
        (f"{one.strength:g}" + (" (taken)" if one is best else ""), f"{one.loss:.3f}", str(one.right))
        for one in run.search
    ]
    caption = (
        "Regularisation, compared by cross-validation on what is learned from: the smaller, the stronger"
    )
    return table(("C", "surprise", "right"), rows, caption)


def confusion(run: Run) -> str:
    if not len(run.labels):
        return NOTHING
    matrix, names = run.confusion, run.classes
    if len(names) > TABLE:
        alt = f"Confusion matrix of {len(names)} classes: {matrix.trace()} of {matrix.sum()} on the diagonal"
        return f"<figure>{drawn(partial(plot.confusion, matrix, names), alt)}</figure>"
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    rows = [
        (
            clean(name),
            *(cell(int(n), float(part), i == j) for j, (n, part) in enumerate(zip(*row, strict=True))),
        )
        for i, (name, row) in enumerate(zip(names, zip(matrix, share, strict=True), strict=True))
    ]
    head = ("is \\ taken for", *map(clean, names))
    return table(head, rows, "A row for what it is, a column for what it was taken for").replace(
        "<table>", '<table class="confusion">'
    )


def cell(count: int, share: float, right: bool) -> str:
    """A number on a ground whose depth is its share of the row."""
    kind = "right" if right else "wrong"
    return f'<span class="{kind}" style="--share:{share:.2f}">{count or ""}</span>'


def per_class(run: Run) -> str:
    if not len(run.labels):
        return ""
    found = metrics.per_class(run.labels, run.probabilities.argmax(1), run.classes)
    rows = [
        (clean(name), str(n), f"{r:.0%}", f"{p:.0%}", f"{f:.2f}")
        for name, p, r, f, n in zip(*found, strict=True)
    ]
    return table(("class", "held back", "found (recall)", "rightly called so (precision)", "F1"), rows)


def mistakes(run: Run, found: Check) -> str:
    """The surest mistakes first."""
    chosen = run.probabilities.argmax(1)
    wrong = np.flatnonzero(chosen != run.labels)
    if not len(run.labels):
        return NOTHING
    if not len(wrong):
        return f"<p>None: all {len(run.labels)} held-back photographs are right.</p>"
    wrong = wrong[np.argsort(-run.probabilities[wrong, chosen[wrong]], kind="stable")]
    more = f", the {MISTAKES} surest are shown" if len(wrong) > MISTAKES else ""
    return f"<p>{len(wrong)} of {len(run.labels)} are wrong{more}.</p>{tiles(run, found, wrong[:MISTAKES])}"


def looks(run: Run, found: Check) -> str:
    """For each class the photograph that it is surest of and right about."""
    right = run.probabilities.argmax(1) == run.labels
    chosen = []
    for label in range(len(run.classes)):
        where = np.flatnonzero(right & (run.labels == label))
        if len(where):
            chosen.append(where[run.probabilities[where, label].argmax()])
    return tiles(run, found, np.array(chosen[:LOOKS], np.int64)) if chosen else "<p>None is right.</p>"


def tiles(run: Run, found: Check, which: Array) -> str:
    """Photographs with what speaks in them for the class that was chosen."""
    parts = []
    for i in which:
        label = int(run.probabilities[i].argmax())
        is_, taken, p = run.classes[run.labels[i]], run.classes[label], run.probabilities[i, label]
        name = found.name(run.paths[i])
        said = f"{taken}, {p:.0%}" if label == run.labels[i] else f"is {is_}, taken for {taken}, {p:.0%}"
        if seen := look(run.classifier, run.paths[i], label, f"{name}: {said}"):
            caption = f"<b>{clean(said)}</b> <small>{clean(name)}</small>"
            parts.append(
                f'<figure class="pair">{seen.photograph}{seen.map}<figcaption>{caption}</figcaption></figure>'
            )
    return f'<div class="tiles">{"".join(parts)}</div>'


def calibration(run: Run) -> str:
    if not len(run.labels):
        return NOTHING
    p, y = run.probabilities, run.labels
    found = metrics.reliability(p, y, 10 if len(y) >= 100 else 5)
    sure, right = float(p.max(1).mean()), run.accuracy
    tone = (
        "surer than it should be"
        if sure > right + 0.02
        else "less sure than it could be"
        if sure < right - 0.02
        else "as sure as it is right"
    )
    heat = metrics.temperature(np.log(np.maximum(p, 1e-30)), y)
    said = (
        f"On average it is {sure:.0%} sure and {right:.0%} right: {tone}. Expected calibration error {found.ece:.3f} on "
        f"{len(y)} photographs; divided by the temperature {heat:.2f}, its logits would surprise least on these. "
        f"Below {run.classifier.sure:.0%} it says “not sure”."
    )
    alt = f"How often the classifier is right against how sure it is; expected calibration error {found.ece:.3f}"
    return f"<p>{clean(said)}</p><figure>{drawn(partial(plot.reliability, found), alt)}</figure>"


def settings(run: Run) -> str:
    """What it takes to do it again."""
    left_out = (
        "command",
        "learned_from",
        *(["settings"] if run.strategy == "A" else []),
    )  # A's are scikit-learn's
    plain: dict[str, Any] = {k: v for k, v in run.config.items() if k not in left_out}
    rows = []
    for name, value in plain.items():
        inner = value.items() if isinstance(value, dict) else [(name, value)]
        rows += [
            (clean(key), clean(v if isinstance(v, str) else json.dumps(v)))
            for key, v in inner
            if v is not None
        ]
    return table(("setting", "value"), rows)
