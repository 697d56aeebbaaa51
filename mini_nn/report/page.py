"""The page: a template with slots, and what goes into each."""

import platform
from datetime import datetime
from importlib import metadata
from pathlib import Path
from string import Template

from mini_nn import __version__, backend
from mini_nn.files import written_whole
from mini_nn.folder_check import Check
from mini_nn.report import sections
from mini_nn.report.pictures import clean
from mini_nn.transfer import Run

PACKAGES = ("numpy", "numba", "pillow", "scikit-learn", "joblib")


def versions() -> dict[str, str]:
    """Of what had a part in the result."""
    found = {"mini_nn": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "system": f"{platform.system()} {platform.machine()}", "backend": backend.name()}


def write(run: Run, found: Check, target: Path) -> None:
    """Write the report of a run on the folder that was looked over: one file, whole or not at all."""
    template = Template(Path(__file__).with_name("report.html").read_text("utf-8"))
    slots = {
        "title": clean(f"{found.base.resolve().name}: {len(run.classes)} classes"),
        "verdict": clean(run.verdict),
        "summary": sections.summary(run, found),
        "counts": sections.counts(run),
        "findings": sections.findings(found),
        "tried": sections.tried(run),
        "curves": sections.curves(run),
        "confusion": sections.confusion(run),
        "classes": sections.per_class(run),
        "mistakes": sections.mistakes(run, found),
        "looks": sections.looks(run, found),
        "calibration": sections.calibration(run),
        "command": clean(run.config.get("command", "transfer.fit")),
        "settings": sections.settings(run),
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    with written_whole(target) as file:
        file.write(template.substitute(slots).encode())
