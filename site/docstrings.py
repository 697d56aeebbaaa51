"""Docstrings here are plain text, not reStructuredText: a sentence, then formulas and shapes in columns."""

import re

SPECIAL = re.compile(r"([\\*`|_])")


def plain(*event):
    """For autodoc-process-docstring, whose last argument is a list of lines to change: the first paragraph becomes text with code in it, the rest stays line by line."""
    lines = event[-1]
    paragraphs = "\n".join(lines).strip().split("\n\n", 1)
    sentence = "".join(
        f"``{part.strip()}``" if i % 2 and part.strip() else SPECIAL.sub(r"\\\1", part)
        for i, part in enumerate(" ".join(paragraphs[0].split()).split("`"))
    )
    lines[:] = [sentence, ""]
    if len(paragraphs) > 1:
        lines += [".. code-block:: text", "   :class: docstring", ""]
        lines += [f"   {line}" for line in paragraphs[1].strip("\n").splitlines()] + [""]
