"""Docstrings here are plain text, not reStructuredText: a sentence, then formulas and shapes in columns."""

import re

SPECIAL = re.compile(r"([\\*`|_])")
COLUMNS = re.compile(
    r"^ |(?<![.:;!?)])  |->", re.MULTILINE
)  # an indented line, a gap between columns, shapes


def plain(*event):
    """For autodoc-process-docstring, whose last argument is the list of lines to change."""
    lines = event[-1]
    first, *others = "\n".join(lines).strip("\n").split("\n\n")
    lines[:] = prose(first)
    for paragraph in others:
        lines += as_it_stands(paragraph) if COLUMNS.search(paragraph) else prose(paragraph)


def prose(paragraph):
    """Text, what is between backquotes as code."""
    parts = " ".join(paragraph.split()).split("`")
    return [
        "".join(
            f"``{part.strip()}``" if i % 2 and part.strip() else SPECIAL.sub(r"\\\1", part)
            for i, part in enumerate(parts)
        ),
        "",
    ]


def as_it_stands(paragraph):
    """A formula, or shapes in columns: line by line."""
    return [
        ".. code-block:: text",
        "   :class: docstring",
        "",
        *(f"   {line}" for line in paragraph.splitlines()),
        "",
    ]
