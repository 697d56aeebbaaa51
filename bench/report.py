"""The results as Markdown and as pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.roofline import bound, work
from bench.tasks import Task
from mini_nn.plot.frame import DARK, TRAIN, VALID, figure, save

HEAD = """# Speed, measured side by side

Medians of rounds in which all took turns, each in a process of its own; same weights, same inputs, padding as PyTorch pads,
{date}, {machine}; {versions}. `make bench` repeats it ({minutes} minutes on a machine that does nothing else).
How the numbers came about, and what was tried in vain: [NOTES.md](NOTES.md).
"x" is their time divided by ours: above 1, ours is the quicker. Where fewer than three rounds were undisturbed there is no ratio, but "busy".

"""


def text(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    parts = [HEAD.format(**{**results, "versions": versions})]
    parts.append(
        "## Whole networks, milliseconds a batch of 224 x 224\n\n" + table(results["networks"], label)
    )
    if results["memory"]:
        parts.append("## Memory of a training step of 16 images, MB at most\n\n" + memory(results["memory"]))
    if results["layers"] and results["scaling"]:
        parts.append("![Every layer under the roofs](roofline.png)\n\n![What size does](scaling.png)\n")
        parts.append("## What size does, milliseconds\n\n" + table(results["scaling"], label))
        parts.append("## Layer by layer\n\nA convolution with its BatchNorm and activation (`norm`: no convolution). "
                     "`backward` is there and back.\n\n" + table(results["layers"], label))  # fmt: skip
    roofs = results["roofs"]
    parts.append(
        f"The roofs: {roofs['flops'] / 1e9:.0f} GFLOP/s (a matrix product of 2048), {roofs['bytes'] / 1e9:.0f} GB/s (a copy of 128 MB).\n"
    )
    return "\n".join(parts)


def label(row: dict[str, Any]) -> str:
    task = Task(**row["task"])
    size = f" {task.size}" if task.size != 224 else ""
    width = f" width {task.width}" if task.width else ""
    threads = ", 1 thread" if row["threads"] == 1 else ""
    return f"{task.what} {task.name}{size}{width}, batch {task.batch}{threads}"


def table(rows: Sequence[dict[str, Any]], name_of: Any) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["milliseconds"]))
    lines = [f"| | bound | {' | '.join(names)} |", f"|---|---:|{'---:|' * len(names)}"]
    for row in rows:
        cells = [cell(row, name) for name in names]
        least = f"{row['bound']:.2f}" if row["task"]["what"] == "predict" and "bound" in row else ""
        lines.append(f"| {name_of(row)} | {least} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any], name: str) -> str:
    if name not in row["milliseconds"]:
        return ""
    took = row["milliseconds"][name]["median"]
    shown = f"{took:.0f}" if took >= 100 else f"{took:.3g}"
    if name == "ours":
        return shown
    ratio = row["ratio"][name]
    return f"{shown} ({'busy' if ratio is None else f'{ratio:.2f} x'})"


def memory(found: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for network, row in found.items():
        cells = [
            f"{row[n] / 1e6:.0f}" + (f" ({row['ours'] / row[n]:.2f} of it)" if n != "ours" else "")
            for n in names
        ]
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def pictures(results: dict[str, Any], folder: Path) -> None:
    roofline(results, folder / "roofline.png")
    scaling(results, folder / "scaling.png")


def roofline(results: dict[str, Any], path: Path) -> None:
    """FLOP a byte against FLOP/s of every layer that was predicted, under the two roofs."""
    roofs = results["roofs"]
    fig, (axes,) = figure(1, 8, 5)
    left, right = 0.1, 300.0
    ridge = roofs["flops"] / roofs["bytes"]
    axes.plot(
        [left, ridge, right],
        [left * roofs["bytes"] / 1e9, roofs["flops"] / 1e9, roofs["flops"] / 1e9],
        color=DARK,
    )
    for kind, colour, marker in (("pointwise", TRAIN, "o"), ("depthwise", VALID, "^"), ("conv", DARK, "s")):
        some = [
            row
            for row in results["layers"]
            if row["task"]["what"] == "predict" and row["task"]["name"].startswith(kind)
        ]
        points = [(work(Task(**row["task"])), row["milliseconds"]["ours"]["median"] / 1000) for row in some]
        axes.plot(
            [flop / moved for (flop, moved), _ in points], [flop / took / 1e9 for (flop, _), took in points],
            marker, color=colour, label=f"{kind} ({len(points)})", alpha=0.8, markersize=5,
        )  # fmt: skip
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="FLOP a byte (input, output and weights once)",
        ylabel="GFLOP/s, one image",
    )
    axes.set_title("above the slope: the numbers were still in a cache", loc="left", fontsize=9)
    axes.legend(frameon=False)
    save(fig, path)


def scaling(results: dict[str, Any], path: Path) -> None:
    """Milliseconds an image against batch, resolution, width, and the family."""
    two = [row for row in results["scaling"] if row["threads"] == 2]
    groups = (
        ("v2, batch", two[:7], lambda t: t["batch"]),
        ("B0, pixels a side", two[7:14], lambda t: t["size"]),
        ("v2, width", two[14:20], lambda t: t["width"]),
        ("B0 to B4", two[20:], lambda t: int(t["name"][1:])),
    )
    fig, panels = figure(4, 12, 3.4)
    for axes, (title, rows, x_of) in zip(panels, groups, strict=True):
        for (name, colour), style in zip(
            (("ours", TRAIN), ("torch, tuned malloc", VALID), ("ONNX Runtime", DARK)),
            ("-o", "--^", ":s"),
            strict=True,
        ):
            xs = [x_of(row["task"]) for row in rows]
            ys = [row["milliseconds"][name]["median"] / row["task"]["batch"] for row in rows]
            axes.plot(xs, ys, style, color=colour, label=name, markersize=4)
        axes.set(title=title, ylim=(0, None))
    panels[0].set_ylabel("ms an image")
    panels[0].legend(frameon=False, fontsize=8)
    save(fig, path)


def with_bounds(rows: Iterable[dict[str, Any]], roofs: dict[str, float]) -> list[dict[str, Any]]:
    """The rows of predictions, with the milliseconds that the roofs allow."""
    return [
        row
        | ({"bound": 1000 * bound(Task(**row["task"]), roofs)} if row["task"]["what"] == "predict" else {})
        for row in rows
    ]
