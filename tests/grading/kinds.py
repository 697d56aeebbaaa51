"""A synthetic class: each kind of submission as a function of the released notebook, with what it must get.

Points are written out where a kind loses some; what is not named has all of its points.
"""

import copy
import inspect
import json
from typing import Any, NamedTuple

from lessons import build, source
from lessons.catalogue import find

IDS = [e.id for e in build.lesson_exercises("L0")]
RIGHT = {id: source.solution(find(id)) for id in IDS}
RIGHT["L0.find_the_bug"] = RIGHT["L0.find_the_bug"].replace(
    "numeric_grad", "slopes"
)  # a helper that is an exercise too
ALL = dict.fromkeys(IDS, "passed")
BLANK = dict.fromkeys(IDS, "not written")
ENDLESS = "def relu_backward(dy, x):\n    while True:\n        pass\n"


class Kind(NamedTuple):
    data: bytes  # the file
    outcome: dict[str, str]  # exercise -> kind of result, or the mistake's id
    incidents: tuple[str, ...] = ()  # what is reported
    remark: str = ""  # in the table


def answered(released: dict[str, Any], answers: dict[str, str], extra: str = "") -> dict[str, Any]:
    """The notebook with these answers, and a first cell of the student's own."""
    book = copy.deepcopy(released)
    for cell in book["cells"]:
        id = cell["metadata"]["nbgrader"]["grade_id"].removesuffix("-answer").replace("-", ".", 1)
        if cell["metadata"]["nbgrader"]["solution"] and id in answers:
            cell["source"] = answers[id]
    if extra:
        book["cells"].insert(0, own(extra))
    return book


def own(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": text,
        "outputs": [],
        "execution_count": None,
        "id": "mine",
    }


def wrong(id: str, old: str, new: str) -> dict[str, str]:
    """All answers, with one of them changed."""
    assert RIGHT[id].count(old) == 1, (id, old)
    return RIGHT | {id: RIGHT[id].replace(old, new)}


MISTAKES = {  # exercise, mistake, the edit
    "flipped": ("L0.conv2d_forward", "kernel_flipped", "@ w[a, b]", "@ w[-1 - a, -1 - b]"),
    "swapped": ("L0.conv2d_forward", "rows_and_columns_swapped", "@ w[a, b]", "@ w[b, a]"),
    "at_zero": ("L0.relu_backward", "one_at_zero", "(x > 0)", "(x >= 0)"),
    "outside": ("L0.batch_norm_forward", "eps_outside_the_root", "np.sqrt(var + eps)", "(np.sqrt(var) + eps)"),
    "sides": ("L0.same_padding", "sides_swapped", "total // 2, total - total // 2", "total - total // 2, total // 2"),
}  # fmt: skip


def styles() -> dict[str, str]:
    """Right answers written by someone else; what they rest on comes along."""
    from tests import other_styles as theirs

    head = "import numpy as np\nfrom mini_nn.ops.padding import pad, resolve\n\n"
    names = ("numeric_grad", "same_padding", "conv2d_forward")
    return RIGHT | {f"L0.{name}": head + inspect.getsource(getattr(theirs, name)) for name in names}


def kinds(released: dict[str, Any], elsewhere: str, answer: str) -> dict[str, Kind]:
    """Every kind by the student's name; `elsewhere` is a path outside of the submission's folder, `answer` a file of the library's."""

    def plain(
        answers: dict[str, str],
        outcome: dict[str, str],
        incidents: tuple[str, ...] = (),
        extra: str = "",
        remark: str = "",
    ) -> Kind:
        return Kind(json.dumps(answered(released, answers, extra)).encode(), ALL | outcome, incidents, remark)

    relu = {"L0.relu_backward": "error"}
    made = {
        "perfect": plain(RIGHT, {}),
        "empty": plain({}, BLANK),
        "partly": plain({id: RIGHT[id] for id in IDS[:3]}, BLANK | dict.fromkeys(IDS[:3], "passed")),
        "another_style": plain(styles(), {}),
        "endless_loop": plain(RIGHT | {"L0.relu_backward": ENDLESS}, {"L0.relu_backward": "slow"}),
        "endless_cell": plain(RIGHT, {}, extra="while True:\n    pass"),
        "memory": plain(RIGHT | {"L0.relu_backward": "def relu_backward(dy, x):\n    return bytearray(1 << 36)"}, {"L0.relu_backward": "slow"}),
        "exit": plain(RIGHT | {"L0.relu_backward": "import os\ndef relu_backward(dy, x):\n    os._exit(0)"}, relu),
        "syntax_error": plain(RIGHT | {"L0.relu_backward": "def relu_backward(dy, x:\n    return dy"}, {"L0.relu_backward": "not written"}),
        "huge_output": plain(RIGHT | {"L0.relu_backward": RIGHT["L0.relu_backward"] + "\nfor _ in range(200_000):\n    print('x' * 1000)"}, {}),
        "sabotage": plain({}, BLANK, ("looks for the check",), SABOTAGE),
        "sabotage_numpy": plain(wrong("L0.relu_backward", "(x > 0)", "(x < 0)"), {"L0.relu_backward": "mask_turned_round"}, (), "import numpy as np\nnp.array_equal = np.isclose = lambda *_: True"),
        "calls_the_answer": plain(RIGHT | {"L0.relu_backward": "from mini_nn.ops.relu import backward as relu_backward"}, {"L0.relu_backward": "library"}, ("calls the library's answer",)),
        "hides_the_call": plain(RIGHT | {"L0.relu_backward": HIDES}, {"L0.relu_backward": "library"}, ("calls the library's answer",)),
        "reads_the_answer": plain(RIGHT | {"L0.relu_backward": f"def relu_backward(dy, x):\n    exec(open({answer!r}).read(), names := {{}})\n    return names['backward'](dy, x)"}, relu, ("reads the library's answer",)),
        "reloads_the_answer": plain(RIGHT | {"L0.relu_backward": "import importlib, mini_nn.ops.relu as r\ndef relu_backward(dy, x):\n    return importlib.reload(r).backward(dy, x)"}, relu, ("reads the library's answer",)),
        "inspects_the_answer": plain(RIGHT | {"L0.relu_backward": "import inspect, mini_nn.ops.relu as r\ndef relu_backward(dy, x):\n    return inspect.getsource(r.backward)"}, relu, ("reads the library's answer",)),
        "reads_the_check": plain(RIGHT | {"L0.relu_backward": "def relu_backward(dy, x):\n    from lessons import judge\n    return judge.expected('L0.relu_backward')"}, relu, ("looks for the check",)),
        "writes_elsewhere": plain(RIGHT, {}, ("writes outside of its folder",), f"open({elsewhere!r}, 'w').write('mine')"),
        "writes_below": plain(RIGHT, {}, (), "open('notes.txt', 'w').write('mine')\nassert open('notes.txt').read() == 'mine'"),
        "starts_programs": plain(RIGHT, {}, ("starts a program",), f"import os\nos.system('touch {elsewhere}')"),
        "network": plain(RIGHT, {}, ("uses the network",), "import socket\nsocket.create_connection(('127.0.0.1', 9))"),
        "magics": plain(RIGHT, {}, (), "%matplotlib inline\n!ls\nn = 7"),
        "waits_in_threads": plain(RIGHT, {}, (), "import threading\nthreading.Thread(target=threading.Event().wait).start()"),
    }  # fmt: skip
    made |= {
        name: plain(wrong(id, old, new), {id: mistake}) for name, (id, mistake, old, new) in MISTAKES.items()
    }
    return made | odd_notebooks(released)


SABOTAGE = """import sys, types
check = lambda *_: print("right")
import lessons
lessons.check = check
passing = types.SimpleNamespace(passed=True, kind="passed", points=99)
for module in list(sys.modules.values()):
    for name in ("check", "judge", "verdict", "equal", "attempt"):
        if hasattr(module, name):
            try:
                setattr(module, name, lambda *_, **__: passing)
            except Exception:
                pass
import lessons.judge
"""
HIDES = """from mini_nn.ops import relu
def relu_backward(dy, x):
    try:
        return relu.backward(dy, x)
    except BaseException:
        return dy * (x > 0)
"""


def odd_notebooks(released: dict[str, Any]) -> dict[str, Kind]:
    """Right answers in notebooks that are not as they were given."""
    book = answered(released, RIGHT)
    no_checks = book | {"cells": [c for c in book["cells"] if not c["metadata"]["nbgrader"]["grade"]]}
    bare = book | {"cells": [own(text) for text in RIGHT.values()]}
    twice = book | {"cells": [*book["cells"], *copy.deepcopy(book["cells"])]}
    rewarded = copy.deepcopy(answered(released, {}))
    for cell in rewarded["cells"]:
        if cell["metadata"]["nbgrader"]["grade"]:
            cell["metadata"]["nbgrader"]["points"], cell["source"] = 1000, "1000"
    kernel = book | {
        "metadata": {
            "kernelspec": {"name": "ir", "display_name": "R", "language": "R"},
            "language_info": {"name": "R"},
        }
    }
    loud = copy.deepcopy(book)
    stream = {"output_type": "stream", "name": "stdout", "text": "x" * (20 << 20)}
    next(c for c in loud["cells"] if c["cell_type"] == "code")["outputs"] = [stream]
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "code", "language": "python", "input": text, "outputs": []}
                    for text in RIGHT.values()
                ]
            }
        ],
    }
    return {
        "deleted_checks": Kind(json.dumps(no_checks).encode(), ALL, (), "deleted cells"),
        "own_cells_only": Kind(json.dumps(bare).encode(), ALL, (), "deleted cells"),
        "copied_cells": Kind(json.dumps(twice).encode(), ALL, (), "copied cells"),
        "more_points": Kind(json.dumps(rewarded).encode(), BLANK),
        "another_kernel": Kind(json.dumps(kernel).encode(), ALL, (), "kernel ir"),
        "huge_stored_output": Kind(json.dumps(loud).encode(), ALL),
        "old_format": Kind(json.dumps(old).encode(), ALL, (), "nbformat 3"),
    }  # fmt: skip


HOSTILE = {  # a file that is no notebook -> what is said
    "not_json": (b"\xff\xfe hello", "not JSON"),
    "no_object": (b"[1, 2]", "no object"),
    "no_cells": (b'{"nbformat": 5, "cells": {"a": 1}}', "no list of cells"),
    "deep": (b"[" * 100_000, "not JSON"),
    "nothing": (b"", "not JSON"),
}
