"""The house has floors.  A module may import from the floors below its own, never from its own or above."""

import ast
from pathlib import Path

import pytest

FLOORS = [
    {"ops", "photos", "files"},
    {"kernels", "diagnosis"},
    {"backend"},
    {"core"},
    {"layers"},
    {"blocks", "init", "gradcheck", "profile", "losses", "schedules", "optim"},
    {"models"},
    {"weights", "data"},
    {"rituals", "checkpoint", "inference", "fused"},
    {"train", "features", "metrics", "export"},
    {"transfer", "folder_check"},
    {"labelling", "evaluation", "plot", "demo", "micro", "explorer", "warmup"},
    {"doctor", "report"},
    {"cli"},
]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
PACKAGE = Path(__file__).parents[1] / "mini_nn"
MAY_IMPORT_KERNELS = {"kernels", "inference", "fused", "doctor"}


def imports(path):
    """The rooms of mini_nn that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "mini_nn":
            yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mini_nn."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("mini_nn."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for room in imports(path):
        if here not in ("__init__", room):
            assert FLOOR[room] < FLOOR[here], (
                f"{here} (floor {FLOOR[here]}) imports {room} (floor {FLOOR[room]})"
            )
            assert room != "kernels" or here in MAY_IMPORT_KERNELS, (
                f"{here} imports kernels: ask backend instead"
            )


def test_the_readable_floor_is_numpy_alone():
    for path in (PACKAGE / "ops").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert all(n.split(".")[0] in {"numpy", "mini_nn", "typing"} for n in names), (
                f"{path.name}: {names}"
            )


def test_every_twin_has_its_readable_half():
    for path in (PACKAGE / "kernels").glob("*.py"):
        assert (PACKAGE / "ops" / path.name).exists(), path.name


def test_the_readable_floors_stay_small():
    rooms = ["ops", "layers", "models"]
    files = [p for room in rooms for p in (PACKAGE / room).glob("*.py")]
    files += [PACKAGE / "core.py", PACKAGE / "blocks.py"]
    assert sum(len(p.read_text().splitlines()) for p in files) <= 1500
