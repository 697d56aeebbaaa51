"""A lesson as the site shows it: where an exercise stands, its task, its hints and what the student starts from."""

import jupytext
import nbformat

from lessons import build, source
from lessons.catalogue import every

HIDDEN = {"tags": ["remove-cell"]}


def read(text):
    """Sphinx's reader: a lesson's text -> a notebook."""
    book = jupytext.reads(text, fmt="py:percent")
    book.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book.cells = [new for cell in book.cells for new in expanded(cell)]
    for i, cell in enumerate(book.cells):
        cell.id = f"cell-{i:03d}"
    return book


def expanded(cell):
    """The cells that stand for one of lesson.py's; the exercise itself is still checked, out of sight."""
    found = build.EXERCISE.fullmatch(cell.source.strip()) if cell.cell_type == "code" else None
    if not found:
        return [cell]
    exercise = every()[found[1]]
    start = "\n".join(source.stub_imports(exercise)) + f"\n\n\n{source.stub(exercise)}"
    command = f"To check yours: `mini-nn learn check {exercise.id}`, or open the notebook."
    told = f"### Exercise\n\n{build.presented(exercise)}\n\n```python\n{start.strip()}\n```\n\n{command}"
    cell.metadata.update(HIDDEN)
    return [nbformat.v4.new_markdown_cell(told), cell]
