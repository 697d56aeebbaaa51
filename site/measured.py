"""Tables of what was measured, from results/: each with its date, machine and command."""

import json
import statistics
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

TITLES = {
    "augmentation": "Augmentation, with 20 digits a class",
    "dark": "Photographs in less light",
    "digits": "Training on digits",
    "loader": "The loader beside the training",
    "micro_b0": "The micro EfficientNet-B0",
    "lite0_photographs": "Lite0 on 20 photographs",
    "signs": "Training on hands that show digits",
}


@cache
def pages() -> dict[str, str]:
    """Name -> page: what the tools wrote as Markdown as it is, what they wrote as JSON alone as a table."""
    made = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "results").glob("*.md"))}
    if (speed := ROOT / "bench" / "README.md").exists():
        made["speed"] = speed.read_text("utf-8")
    for path in sorted((ROOT / "results").glob("*.json")):
        if path.stem not in made:
            made[path.stem] = page(path.stem, json.loads(path.read_text("utf-8")))
    return {
        name: text if text.startswith("# ") else f"# {words(name)}\n\n{text}" for name, text in made.items()
    }


def words(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def page(name: str, found: dict[str, Any]) -> str:
    rows = found.get("rows", [])
    others = {key: value for key, value in found.items() if key != "rows"}
    told = [f"* {key}: {plain(value)}" for key, value in others.items()]
    text = f"# {words(name)}\n\nFrom `results/{name}.json`:\n\n" + "\n".join(told) + "\n"
    if rows and "seed" in rows[0]:
        text += "\nThe mean over the seeds and its 95 % interval (Student).\n\n" + table(over_seeds(rows))
    elif rows:
        text += "\n" + table(rows)
    return text


def plain(value: Any) -> str:
    """A cell."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(plain, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def over_seeds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each setting in place of one for each seed."""

    def setting(row: dict[str, Any]) -> tuple[tuple[str, str | int], ...]:
        return tuple(
            (key, value) for key, value in row.items() if key != "seed" and isinstance(value, str | int)
        )

    made = []
    for named, some in groupby(sorted(rows, key=setting), key=setting):
        group = list(some)
        numbers = {
            key: interval([row[key] for row in group])
            for key in group[0]
            if key not in ("seed", *dict(named))
        }
        made.append({**dict(named), "seeds": len(group), **numbers})
    return made


def interval(values: list[float]) -> str:
    from scipy.stats import t

    n, mean = len(values), statistics.fmean(values)
    half = float(t.ppf(0.975, n - 1)) * statistics.stdev(values) / n**0.5 if n > 1 else 0.0
    return f"{mean:.3f} ± {half:.3f}" if mean < 10 else f"{mean:.0f} ± {half:.0f}"


def table(rows: list[dict[str, Any]]) -> str:
    head = list(dict.fromkeys(key for row in rows for key in row))
    lines = [head, ["---"] * len(head), *([plain(row.get(key, "")) for key in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
