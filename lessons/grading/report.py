"""What an instructor and each student read: pages, tables to import, and the class's mistakes with a picture.

All text that came from a submission is escaped, and names in tables begin with a letter or a digit, so that neither a browser
nor a spreadsheet runs anything.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lessons import build
from lessons.build import write
from lessons.catalogue import find
from lessons.grading.collect import Submission
from mini_nn.files import written_whole

Graded = list[tuple[Submission, dict[str, Any]]]
KINDS = {  # of an answer, for the picture: label, colour, hatch; they differ in print too
    "passed": ("right", "#0072b2", ""),
    "mistake": ("a mistake with a name", "#e69f00", "//"),
    "other": ("wrong in another way", "#d9d9d9", "xx"),
    "not written": ("not written", "#ffffff", ""),
}
STYLE = """<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111;background:#fff}
table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}img{max-width:100%}</style>"""


def write_all(graded: Graded, manifest: dict[str, Any], root: Path, scores: dict[str, float]) -> Path:
    """Write everything; the folder of the class's report."""
    lesson, folder = manifest["lesson"], root / "report" / manifest["lesson"]
    folder.mkdir(parents=True, exist_ok=True)
    for s, result in graded:
        page = root / "feedback" / s.student / lesson / f"{manifest['notebook']}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        write(page, feedback(s, result, manifest, scores))
    write(folder / "grades.csv", table(moodle(graded, manifest, scores)))
    write(folder / "canvas.csv", table(canvas(graded, manifest)))
    write(
        folder / "class.csv",
        table(
            [("exercise", "mistake", "students", "of", "what they do", "where to look"), *mistakes(graded)]
        ),
    )
    figure = picture(graded, manifest)
    with written_whole(folder / "class.png") as file:
        figure.savefig(file, format="png", dpi=130)
    write(folder / "class.html", class_page(graded, manifest, scores))
    return folder


def table(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def moodle(graded: Graded, manifest: dict[str, Any], scores: dict[str, float]) -> list[list[Any]]:
    """For Moodle, which asks what each column is, and for spreadsheets: points and feedback for each exercise."""
    ids = list(manifest["points"])
    head = ["student", *(name for id in ids for name in (id, f"{id} feedback")), "total", "of", "remarks"]
    rows = []
    for s, result in graded:
        got = {row["id"]: row for row in result["rows"]}
        cells = [x for id in ids for x in ((got[id]["points"], said(got[id])) if got else ("", ""))]
        rows.append(
            [s.student, *cells, number(scores[s.student]) if got else "", worth(manifest), remarks(s, result)]
        )
    return [head, *rows]


def canvas(graded: Graded, manifest: dict[str, Any]) -> list[list[Any]]:
    """For Canvas's gradebook: its five columns, then an assignment for each exercise, and the most points in the second row."""
    ids = list(manifest["points"])
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *ids]
    rows = [["Points Possible", "", "", "", "", *manifest["points"].values()]]
    for s, result in graded:
        got = {row["id"]: row["points"] for row in result["rows"]}
        rows.append(
            [s.student, s.canvas, "", "" if s.canvas else s.student, "", *(got.get(id, "") for id in ids)]
        )
    return [head, *rows]


def said(row: dict[str, Any]) -> str:
    title = str(row["title"]).partition(": ")[2]
    return f"{title}. {row['text']}".strip()


def remarks(s: Submission, result: dict[str, Any]) -> str:
    seen = dict.fromkeys(f"{where} {what}" for where, what, _ in result["incidents"])
    return "; ".join([*([f"not graded: {s.problem}"] if s.problem else []), *s.remarks, *seen])


def worth(manifest: dict[str, Any]) -> int:
    return sum(manifest["points"].values()) + sum(manifest["explain"].values())


def number(points: float) -> int | float:
    return int(points) if points == int(points) else points


def mistakes(graded: Graded) -> list[tuple[Any, ...]]:
    """(exercise, mistake, students, of how many, what they do, where to look), the most frequent first."""
    rows = [row for _, result in graded for row in result["rows"]]
    seen = Counter((row["id"], row["mistake"]) for row in rows if row["mistake"])
    of = Counter(row["id"] for row in rows)
    known = {(id, m): find(id).mistakes[m] for id, m in seen}
    return [(id, m, n, of[id], known[id, m].what, known[id, m].look) for (id, m), n in seen.most_common()]


def states(graded: Graded, manifest: dict[str, Any]) -> dict[str, Counter[str]]:
    """Exercise -> how many answers are of each of KINDS."""
    counts: dict[str, Counter[str]] = {id: Counter() for id in manifest["points"]}
    for _, result in graded:
        for row in result["rows"]:
            counts[row["id"]][row["kind"] if row["kind"] in KINDS else "other"] += 1
    return counts


def picture(graded: Graded, manifest: dict[str, Any]) -> Any:
    """Left, what became of each exercise; right, the mistakes that occur most."""
    from matplotlib.figure import Figure

    counts, most = states(graded, manifest), mistakes(graded)[:12]
    figure = Figure(figsize=(13, 1.6 + 0.34 * max(len(counts), len(most), 4)), layout="constrained")
    left, right = figure.subplots(1, 2)
    start = dict.fromkeys(counts, 0)
    for kind, (label, colour, hatch) in KINDS.items():
        many = [counts[id][kind] for id in counts]
        bars = left.barh(
            list(counts),
            many,
            left=list(start.values()),
            label=label,
            color=colour,
            hatch=hatch,
            edgecolor="#333333",
        )
        left.bar_label(
            bars,
            [str(n) if n else "" for n in many],
            label_type="center",
            bbox={"fc": "white", "ec": "none", "pad": 0.8},
            fontsize=8,
        )
        start = {id: start[id] + n for id, n in zip(counts, many, strict=True)}
    left.invert_yaxis()
    left.set(xlabel="submissions", title="each exercise")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    names = [f"{m.replace('_', ' ')}\n{id}" for id, m, *_ in most]
    bars = right.barh(
        range(len(most)), [row[2] for row in most], color=KINDS["mistake"][1], hatch="//", edgecolor="#333333"
    )
    right.bar_label(bars, padding=3)
    right.set_yticks(range(len(most)), names, fontsize=8)
    right.invert_yaxis()
    right.set(
        xlabel="submissions", title="the mistakes that occur most" if most else "no mistake with a name"
    )
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


# ---- pages


def page(title: str, body: str) -> str:
    return f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>{STYLE}</head>\n<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n'


def html_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = ("".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows)
    return f"<table><thead><tr>{top}</tr></thead>\n<tbody>{''.join(f'<tr>{line}</tr>{chr(10)}' for line in lines)}</tbody></table>"


def feedback(
    s: Submission, result: dict[str, Any], manifest: dict[str, Any], scores: dict[str, float]
) -> str:
    """One student's page."""
    title = f"{build.title(manifest['lesson'])}: {s.student}"
    if s.problem:
        return page(title, f"<p>Not graded: {escape(s.problem)}. It came as {escape(s.came_as)}.</p>")
    rows = [(row["id"], f"{row['points']} of {row['worth']}", said(row)) for row in result["rows"]]
    parts = [
        f"<p>{number(scores[s.student])} of {worth(manifest)} points.</p>",
        html_table(("exercise", "points", "what was found"), rows),
    ]
    notes = [
        f"Cell {cell}: {what}"
        for cell, what in sorted(result["failed"].items(), key=lambda item: int(item[0]))
    ]
    notes += [
        *s.remarks,
        *(f"{where} {what}: refused, and your instructor sees it" for where, what, _ in result["incidents"]),
    ]
    if notes:
        parts.append(f"<h2>Noticed</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>")
    if manifest["explain"]:
        parts.append("<p>Answers in words are marked by a person; until then they count 0.</p>")
    return page(title, "\n".join(parts))


def class_page(graded: Graded, manifest: dict[str, Any], scores: dict[str, float]) -> str:
    """The instructor's page."""
    counts, common = states(graded, manifest), mistakes(graded)
    sound = [(s, result) for s, result in graded if not s.problem]
    top = (
        f"most frequent: {common[0][1].replace('_', ' ')} in {common[0][0]}, {common[0][2]} submissions"
        if common
        else "no named mistake"
    )
    alt = f"Bars: what became of each exercise in {len(sound)} submissions, and the mistakes that occur most; {top}."
    mean = sum(scores[s.student] for s, _ in sound) / len(sound) if sound else 0.0
    parts = [
        f"<p>{len(sound)} graded, {len(graded) - len(sound)} not; {mean:.1f} of {worth(manifest)} points on average.</p>",
        f'<img src="class.png" alt="{escape(alt)}">',
        "<h2>Mistakes</h2>",
        html_table(("exercise", "mistake", "students", "of", "what they do", "where to look"), common),
        "<h2>Exercises</h2>",
        html_table(
            ("exercise", *(label for label, *_ in KINDS.values())),
            [(id, *(counts[id][kind] for kind in KINDS)) for id in counts],
        ),
    ]
    seen = [(s.student, *incident) for s, result in graded for incident in result["incidents"]]
    if seen:
        parts += ["<h2>Tried, and refused</h2>", html_table(("student", "where", "what", "which"), seen)]
    if odd := [
        (s.student, s.came_as, remarks(s, {"incidents": []})) for s, _ in graded if s.problem or s.remarks
    ]:
        parts += ["<h2>Odd files</h2>", html_table(("student", "came as", "remark"), odd)]
    return page(f"{build.title(manifest['lesson'])}: the class", "\n".join(parts))
