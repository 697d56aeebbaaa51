"""Plant one mistake at a time in a copy of the library and see which kind of test catches it.

    python tools/plant_faults.py              all of them; writes results/planted_faults.md (about 20 minutes)
    python tools/plant_faults.py padding SE   those whose name has one of these words; writes nothing

A mistake that nothing catches is a missing test.  Each is an exact piece of a file and what to put in its place.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

ROOT = Path(__file__).parents[1]
DERIVATIVE = "matches or slope"
KINDS = {  # kind: pytest's arguments
    "meaning": [
        *(f"tests/test_{t}.py" for t in ("convolutions", "ops", "layers", "blocks", "models", "init")),
        "-k",
        f"not ({DERIVATIVE})",
    ],
    "derivative": [
        *(f"tests/test_{t}.py" for t in ("convolutions", "ops", "layers", "blocks", "models")),
        "-k",
        DERIVATIVE,
    ],
    "twins": ["tests/test_kernels.py"],
    "convention": ["tests/test_golden.py", "tests/test_counts.py"],
}


class Fault(NamedTuple):
    name: str
    file: str
    old: str
    new: str


FAULTS = [
    Fault("padding: the odd pixel at the top", "ops/padding.py", "return total // 2, total - total // 2", "return total - total // 2, total // 2"),
    Fault("padding: height and width swapped", "ops/padding.py", "return (pads[0], pads[1])", "return (pads[1], pads[0])"),
    Fault("padding: symmetric for 'same'", "ops/padding.py", "return total // 2, total - total // 2", "return kernel_size // 2, kernel_size // 2"),
    Fault("padding: symmetric of an even filter", "ops/padding.py", "padding = kernel_size // 2", "padding = (kernel_size - 1) // 2"),
    Fault("conv: filter flipped", "ops/conv.py", "@ w[a, b]\n    return y", "@ w[-1 - a, -1 - b]\n    return y"),
    Fault("conv: dx overwritten, not added", "ops/conv.py", "dxp[here] += dy", "dxp[here] = dy"),
    Fault("conv: dw sees a stride of 1", "ops/conv.py", "np.tensordot(xp[here]", "np.tensordot(xp[window(a, b, out, 1)]"),
    Fault("conv: groups in the wrong order", "ops/conv.py", "np.split(x, groups, -1), np.split(w, groups, -1)\n", "np.split(x, groups, -1)[::-1], np.split(w, groups, -1)\n"),
    Fault("depthwise: dx of the flipped filter", "ops/depthwise.py", "dy * w[a, b]\n", "dy * w[-1 - a, -1 - b]\n"),
    Fault("depthwise: dw from the unpadded side", "ops/depthwise.py", "channel_sum(dy * xp[here])", "channel_sum(dy * np.roll(xp, 1, 1)[here])"),
    Fault("depthwise kernel: last row of the filter lost", "kernels/depthwise.py", "min(k, h + top - i * stride)):\n                for b in range(max", "min(k - 1, h + top - i * stride)):\n                for b in range(max"),
    Fault("depthwise kernel: dx ignores the remainder", "kernels/depthwise.py", "if skipped or not 0 <= i < oh", "if not 0 <= i < oh"),
    Fault("depthwise kernel: dw misses the first column", "kernels/depthwise.py", "first = max(0,", "first = max(1,"),
    Fault("pointwise: dx without the transpose of a square w", "ops/pointwise.py", "(d @ w.T)", "(d @ (w if w.shape[0] == w.shape[1] else w.T))"),
    Fault("pointwise: bias averaged over the batch", "layers/pointwise.py", "self.bias.add_grad(channel_sum(dy))", "self.bias.add_grad(channel_sum(dy) / len(dy))"),
    Fault("norm: eps outside the root", "ops/batch_norm.py", "1 / np.sqrt(var + eps)", "1 / (np.sqrt(var) + eps)"),
    Fault("norm: variance over n - 1", "ops/batch_norm.py", "sum(axes, dtype=wide) / n\n\n\ndef forward", "sum(axes, dtype=wide) / max(n - 1, 1)\n\n\ndef forward"),
    Fault("norm: the mean's slope forgotten", "ops/batch_norm.py", "(dy - dbeta / n - x_hat", "(dy - x_hat"),
    Fault("norm: the variance's slope forgotten", "ops/batch_norm.py", " - x_hat * (dgamma / n))", ")"),
    Fault("norm kernel: the variance's slope forgotten", "kernels/batch_norm.py", "-by_dy * inv_std * dgamma / n", "0 * by_dy * inv_std * dgamma / n"),
    Fault("norm: Keras's eps in the wrong place of the table", "blocks.py", 'padding="same", eps=1e-3', 'padding="same", eps=1e-5'),
    Fault("norm: the other variance tracked", "layers/norm.py", "if self.unbiased else var", "if not self.unbiased else var"),
    Fault("norm: momentum inverted", "layers/norm.py", "(1 - self.momentum) * old + self.momentum * new", "self.momentum * old + (1 - self.momentum) * new"),
    Fault("norm: frozen statistics drift", "layers/norm.py", "        if own:\n            mean, var = self.track(x)\n", "        if train:\n            mean, var = self.track(x)\n"),
    Fault("norm: batch statistics in prediction", "layers/norm.py", "own = train and self.gamma.trainable", "own = self.gamma.trainable"),
    Fault("SE: squeeze taken from the wide inside", "blocks.py", "int(block.in_channels * block.se_ratio)", "int(hidden * block.se_ratio)"),
    Fault("SE: gate without its sigmoid", "blocks.py", "gate=Sigmoid()", "gate=Swish()"),
    Fault("gate: the gate's path lost", "layers/compose.py", "return dy * g + super().backward(dg, inner)", "super().backward(dg, inner)\n        return dy * g"),
    Fault("gate: the scale's path lost", "layers/compose.py", "return dy * g + super().backward(dg, inner)", "return super().backward(dg, inner) + 0 * dy"),
    Fault("residual: the skip's gradient lost", "layers/compose.py", "return dy + super().backward(dy, cache)", "return super().backward(dy, cache)"),
    Fault("residual: skip although the image shrinks", "blocks.py", "return self.stride == 1 and self", "return self"),
    Fault("block: activation after the projection", "blocks.py", "block.out_channels, None, convention)", "block.out_channels, act, convention)"),
    Fault("block: expansion at t = 1", "blocks.py", "if block.expand_ratio != 1:", "if block.expand_ratio:"),
    Fault("v1: stride 2 in the last block, as printed", "models/mobilenet_v1.py", "(Row(1024, 2), Row(1024, 1))", "(Row(1024, 2), Row(1024, 2))"),
    Fault("v2: the strides a model zoo shipped", "models/mobilenet_v2.py", "Row(6, 64, 4, 2),\n    Row(6, 96, 3, 1)", "Row(6, 64, 4, 1),\n    Row(6, 96, 3, 2)"),
    Fault("B0: strides of two stages swapped", "models/efficientnet.py", "Row(6, 3, 2, 80, 3),\n    Row(6, 5, 1, 112, 3)", "Row(6, 3, 1, 80, 3),\n    Row(6, 5, 2, 112, 3)"),
    Fault("B0: a 3 x 3 filter for a 5 x 5", "models/efficientnet.py", "Row(6, 5, 2, 192, 4)", "Row(6, 3, 2, 192, 4)"),
    Fault("EfficientNet: repeats rounded down", "models/efficientnet.py", "else ceil(n * depth_mult)", "else int(n * depth_mult)"),
    Fault("EfficientNet: head not scaled", "models/efficientnet.py", "else round_channels(1280 * width_mult)", "else 1280"),
    Fault("Lite: first stage deepened", "models/efficientnet.py", "i in (0, len(TABLE_1) - 1)", "i == len(TABLE_1) - 1"),
    Fault("rounding: without the 10 % rule", "blocks.py", "if rounded < 0.9 * channels else rounded", "if rounded < 0 else rounded"),
    Fault("drop path: starts at one", "models/inverted.py", "rate * (i + j) / total", "rate * (i + j + 1) / total"),
    Fault("stochastic depth: each number on its own", "layers/stochastic.py", "return (shape[0], *[1] * (len(shape) - 1))", "return shape"),
    Fault("dropout: not rescaled", "layers/stochastic.py", " / x.dtype.type(1 - self.rate)", ""),
    Fault("dropout: a new mask on the way back", "layers/stochastic.py", "return dy * cache", "return dy * self.rng.permutation(cache)"),
    Fault("relu6: leaks above 6", "ops/relu6.py", "dy * ((x > 0) & (x < 6))", "dy * (x > 0)"),
    Fault("relu6: a slope at exactly 6", "ops/relu6.py", "(x < 6)", "(x <= 6)"),
    Fault("swish: slope is the sigmoid alone", "ops/swish.py", "dy * (s + x * s * (1 - s))", "dy * s"),
    Fault("swish kernel: one coefficient of the series", "kernels/swish.py", "C4 + r * (C5", "C4 + r * (C6"),
    Fault("sigmoid: its own slope missing", "ops/sigmoid.py", "dy * y * (1 - y)", "dy * y"),
    Fault("softmax: the sum forgotten", "ops/softmax.py", "(dy - (dy * y).sum(-1, keepdims=True))", "dy"),
    Fault("pool: 1 / (H W) forgotten on the way back", "ops/global_average_pool.py", " / (h * w)", ""),
    Fault("parameters: the last gradient wins", "core.py", "grad if self.grad is None else self.grad + grad", "grad"),
    Fault("sums in float32", "ops/__init__.py", "dtype=wide).astype(a.dtype)", "dtype=a.dtype)"),
    Fault("threads: the last span lost", "kernels/__init__.py", "pairwise(cuts[1:])", "pairwise(cuts[1:-1])"),
    Fault("init: depthwise counts all channels", "init.py", "DepthwiseConv2D: he(lambda w: w[0] * w[1])", "DepthwiseConv2D: he(lambda w: w[0] * w[1] * w[2])"),
    Fault("init: fan in for fan out", "init.py", "Conv2D: he(lambda w: w[0] * w[1] * w[3])", "Conv2D: he(lambda w: w[0] * w[1] * w[2])"),
]  # fmt: skip


def verdicts(fault: Fault) -> list[str]:
    """The kinds of test that catch the fault."""
    with tempfile.TemporaryDirectory() as place:
        for part in ("mini_nn", "tests"):
            shutil.copytree(
                ROOT / part, Path(place, part), ignore=shutil.ignore_patterns("__pycache__", "reference")
            )
        shutil.copy(ROOT / "pyproject.toml", place)
        target = Path(place, "mini_nn", fault.file)
        text = target.read_text(encoding="utf-8")
        if text.count(fault.old) < 1:
            raise SystemExit(
                f"{fault.name}: {fault.file} has no {fault.old!r}: the fault must follow the code"
            )
        target.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        env = os.environ | {"PYTHONPATH": place, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        codes = {
            kind: subprocess.run(
                [*command, *args], cwd=place, env=env, capture_output=True, check=False
            ).returncode
            for kind, args in KINDS.items()
        }
    strange = {kind: code for kind, code in codes.items() if code not in (0, 1)}
    if strange:  # neither passed nor failed: the tests did not run
        raise SystemExit(f"{fault.name}: pytest ended with {strange}")
    return [kind for kind, code in codes.items() if code]


def table(caught: dict[str, list[str]]) -> str:
    lines = [
        "# Planted faults, and which kind of test catches them",
        "",
        f"{date.today()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}; `make mutants`.",
        "",
        f"| fault | {' | '.join(KINDS)} |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    lines += [
        f"| {name} | {' | '.join('x' if k in by else '' for k in KINDS)} |" for name, by in caught.items()
    ]
    sums = [sum(kind in by for by in caught.values()) for kind in KINDS]
    lines += [
        f"| **caught, of {len(caught)}: {sum(map(bool, caught.values()))}** | {' | '.join(map(str, sums))} |",
        "",
    ]
    return "\n".join(lines)


def main(words: list[str]) -> int:
    if any(verdicts(Fault("no fault", "core.py", "import", "import"))):
        raise SystemExit("the tests fail before anything is planted")
    faults = [f for f in FAULTS if not words or any(word in f.name for word in words)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(tqdm(pool.map(verdicts, faults), total=len(faults), unit="fault"))
    caught = {fault.name: by for fault, by in zip(faults, results, strict=True)}
    print(table(caught))
    if not words:
        (ROOT / "results").mkdir(exist_ok=True)
        (ROOT / "results/planted_faults.md").write_text(table(caught), encoding="utf-8")
    missed = [name for name, by in caught.items() if not by]
    print(f"nothing catches: {', '.join(missed)}" if missed else "every fault is caught")
    return len(missed)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
