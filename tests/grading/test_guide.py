"""docs/INSTRUCTORS.md: a lesson added by its words is one, and what it names is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "INSTRUCTORS.md").read_text("utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the packages with the guide's lesson in it."""
    base = tmp_path_factory.mktemp("guide")
    for package in ("lessons", "mini_nn"):
        shutil.copytree(ROOT / package, base / package, ignore=shutil.ignore_patterns("__pycache__"))
    exercises, text = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    folder = base / re.search(r"`(lessons/\d\d_\w+)/exercises\.py`", GUIDE)[1]
    folder.mkdir()
    (folder / "exercises.py").write_text(exercises, "utf-8")
    (folder / "lesson.py").write_text(text, "utf-8")
    return base


def run(base, *words):
    env = os.environ | {"PYTHONPATH": str(base), "MINI_NN_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, *words], cwd=base, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guides_lesson_is_judged_and_its_mistake_named(extended):
    lines = run(extended, "-m", "lessons.judge", "L20").splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["ok", "L20.halve", "solution"],
        ["ok", "L20.halve", "summed"],
    ]


def test_the_guides_lesson_becomes_a_notebook_and_an_assignment(extended):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed: make grading")
    made = "from lessons import build; print(build.notebook('L20'), build.work_file('L20'))"
    assert "your turn" in run(extended, "-c", made)
    run(extended, "lessons/20_pooling/lesson.py")
    assert "20_pooling.ipynb" in run(extended, "-m", "lessons.grading", "release", "20")


def test_files_and_targets_that_the_guide_names_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", GUIDE, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert (ROOT / "docs" / link).exists(), link
    for module in re.findall(r"python -m ([\w.]+)", GUIDE):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
