"""The site's pages before Sphinx sees them: links, docstrings, tables; tests/site looks at the result in a browser."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "site"))

import docstrings
import measured
import pages


def test_links_to_files_of_the_repository_lead_to_pages():
    text = "[a](../results/mutation_scores.md) [b](02_mobilenet_v2/lesson.py) [c](faults.py) [`x.py`](x.py) [d](https://e.org) [e](#f)"
    assert pages.own_links(text, "lessons/README.md") == (
        "[a](measured/mutation_scores.md) [b](lessons/02_mobilenet_v2.py) c (`lessons/faults.py`) `x.py` (`lessons/x.py`) "
        "[d](https://e.org) [e](#f)"
    )


def test_links_of_a_lesson_are_those_of_its_notebook_and_its_code_is_left_alone():
    text = "# [letters](../lessons/GLOSSARY.md)\nnets[name](images[name])\n"
    assert (
        pages.own_links(text, "notebooks/02_mobilenet_v2.ipynb")
        == "# [letters](../glossary.md)\nnets[name](images[name])\n"
    )


def test_a_docstring_is_prose_and_columns():
    lines = [
        "Add `a`_b * c.",
        "",
        "    y = x + 1",
        "",
        "x (N, C) -> y (N, C)",
        "",
        "Plain.  More",
        "of it.",
        "",
    ]
    docstrings.plain("app", "function", "name", None, None, lines)
    assert lines == [
        r"Add ``a``\_b \* c.", "",
        ".. code-block:: text", "   :class: docstring", "", "       y = x + 1", "",
        ".. code-block:: text", "   :class: docstring", "", "   x (N, C) -> y (N, C)", "",
        "Plain. More of it.", "",
    ]  # fmt: skip


def test_seeds_become_a_mean_and_its_interval():
    rows = [{"network": "a", "seed": i, "accuracy": v} for i, v in enumerate((0.5, 0.6, 0.7))]
    rows.append({"network": "b", "seed": 0, "accuracy": 0.25})
    half = 4.303 * 0.1 / 3**0.5  # Student's t for two degrees of freedom
    assert measured.over_seeds(rows) == [
        {"network": "a", "seeds": 3, "accuracy": f"0.600 ± {half:.3f}"},
        {"network": "b", "seeds": 1, "accuracy": "0.250 ± 0.000"},
    ]


def test_every_recorded_result_has_a_page_with_its_date():
    made = measured.pages()
    assert {path.stem for path in (ROOT / "results").glob("*.json")} <= made.keys()
    for name, text in made.items():
        assert text.startswith("# "), name
        assert re.search(r"20\d\d-\d\d-\d\d", text), name


def test_every_room_of_the_house_is_on_the_site():
    rooms = [room for some in pages.rooms().values() for room in some]
    assert len(rooms) == len(set(rooms))
    assert {"ops", "layers", "transfer", "inference"} <= set(rooms)
    assert "mini_nn.ops.depthwise" in pages.modules("ops")


def test_every_lesson_gives_the_museum_what_it_opens_with():
    told = "".join(pages.exhibits())
    assert told.count("finds the cause") >= 6
    assert "apache/mxnet#9614" in told


def test_an_exercise_becomes_its_task_and_is_still_checked_out_of_sight():
    pytest.importorskip("jupytext", reason="jupytext is not installed: make")
    reading = pytest.importorskip("reading")
    book = reading.read('# %% [markdown]\n# # T\n\n# %%\nexercise("L2.relu6")\n')
    kinds = [(cell.cell_type, cell.metadata.get("tags")) for cell in book.cells]
    assert kinds == [("markdown", None), ("markdown", None), ("code", ["remove-cell"])]
    assert "def relu6(" in book.cells[1].source
    assert "np.minimum" not in book.cells[1].source  # not the solution
    assert book.cells[2].source == 'exercise("L2.relu6")'
