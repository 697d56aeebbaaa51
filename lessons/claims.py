"""One page of all that is said of these networks, with what the lessons found: made from each lesson's own table.

A lesson's table is the one under "What is said, and what we found".  The cell after it, and those before, assert its numbers.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from lessons.catalogue import LESSONS, folders

VERDICTS = ("holds", "holds within limits", "loose", "wrong", "not measured here")
HEAD = "| what is said | what we found | verdict |"
TABLE = re.compile(rf"^# {re.escape(HEAD)}\n# \|---\|---\|---\|\n((?:# \|.*\n)+)", re.MULTILINE)
TOP = """# What is said, and what we found

Textbooks, papers and course notes say these things of mobile networks, transfer learning and augmentation. Each was
measured in the lesson that is named, in a cell that fails if the number is not what stands here (run it: it is plain Python).

"""


class Claim(NamedTuple):
    lesson: str
    said: str
    found: str
    verdict: str


def claims() -> Iterator[Claim]:
    """All claims, in the order of the course."""
    for lesson, folder in folders().items():
        path = LESSONS / folder / "lesson.py"
        for table in TABLE.finditer(path.read_text("utf-8") if path.exists() else ""):
            for row in table[1].splitlines():
                cells = [cell.strip() for cell in row.removeprefix("# |").removesuffix("|").split(" | ")]
                if len(cells) != 3 or cells[2] not in VERDICTS:
                    raise ValueError(f"{path}: {row!r} must have three columns, the last one of {VERDICTS}")
                yield Claim(lesson, *cells)


def page(title_of: dict[str, str]) -> str:
    """CLAIMS.md; title_of: lesson -> its title."""
    every = list(claims())
    counts = Counter(claim.verdict for claim in every)
    lines = [
        f"{len(every)} claims: " + ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v]) + ".",
        "",
    ]
    for lesson, folder in folders().items():
        some = [claim for claim in every if claim.lesson == lesson]
        if some:
            lines += [f"## [{title_of[lesson]}]({folder}/lesson.py)", "", HEAD, "|---|---|---|"]
            lines += [f"| {claim.said} | {claim.found} | {claim.verdict} |" for claim in some] + [""]
    return TOP + "\n".join(lines)
