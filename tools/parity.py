"""How far every layer and block is from PyTorch's and Keras's, recorded in tests/golden: into results/parity.json and .md.

python tools/parity.py
"""

import json
import platform
import sys
from datetime import date
from pathlib import Path

import numpy as np

from mini_nn import backend
from mini_nn.core import Buffer, parameters
from mini_nn.files import written_whole

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from test_golden import CASES, FILES, build, load  # the same cases, read in the same way


def distance(ours, recorded):
    """|ours - recorded| / |recorded|, the latter at least 1e-3."""
    return float(np.linalg.norm(ours - recorded) / max(np.linalg.norm(recorded), 1e-3))


def compare(case, dtype):
    """(of the output and the running statistics, of the gradients), the worst array of each."""
    made, arrays = CASES[case]
    layer = build(made["make"], made["options"])
    ours = load(layer, arrays, dtype)
    for parameter in parameters(layer):
        parameter.trainable = not made["frozen"]
    y, cache = layer.forward(arrays["x"].astype(dtype), train=made["train"])
    back = [distance(layer.backward(arrays["dy"].astype(dtype), cache), arrays["dx"])]
    ahead = [distance(y, arrays["y"])]
    for name, item in ours.items():
        if isinstance(item, Buffer):
            ahead.append(distance(item.value, arrays[f"after/{name}"]))
        elif not made["frozen"]:
            back.append(distance(item.grad, arrays[f"grad/{name}"]))
    return max(ahead), max(back)


def measure():
    """A row for each layer and framework."""
    rows = []
    for kind in dict.fromkeys(made["make"] for made, _ in CASES.values()):
        for name in FILES:
            cases = [
                case for case, (made, _) in CASES.items() if made["make"] == kind and case.startswith(name)
            ]
            if cases:
                found = {"layer": kind, "recorded from": name, "cases": len(cases)}
                for dtype in (np.float64, np.float32):
                    ahead, back = zip(*(compare(case, dtype) for case in cases), strict=True)
                    found |= {
                        f"{dtype.__name__} forward": max(ahead),
                        f"{dtype.__name__} backward": max(back),
                    }
                rows.append(found)
    return rows


def markdown(found):
    head = list(found["rows"][0])
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    lines += [[f"{v:.0e}" if isinstance(v, float) else str(v) for v in row.values()] for row in found["rows"]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    recorded = "; ".join(
        f"{name}: {', '.join(f'{k} {v}' for k, v in versions.items())}"
        for name, versions in found["recorded"].items()
    )
    return f"""# Parity with PyTorch and Keras

{found["date"]}, {found["machine"]}; `{found["command"]}`, backend {found["backend"]}. The worst of |ours - theirs| / |theirs| over all cases of a layer: forward over the
output and the running statistics, backward over dx and all gradients. Recorded with {recorded}. `make reference` compares whole networks, live.

{table}
"""


def main():
    found = {
        "date": date.today().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        "command": "python tools/parity.py",
        "backend": backend.name(),
        "recorded": {name: versions for name, (_, versions) in FILES.items()},
        "rows": measure(),
    }
    for suffix, text in ((".json", json.dumps(found, indent=1) + "\n"), (".md", markdown(found))):
        with written_whole(ROOT / "results" / f"parity{suffix}") as file:
            file.write(text.encode())
    print(markdown(found))


if __name__ == "__main__":
    main()
