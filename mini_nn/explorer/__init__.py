"""The explorer: one page that draws any network of these families, for a browser without a network."""

import json
from pathlib import Path
from string import Template
from typing import Any

from mini_nn import __version__, models
from mini_nn.files import written_whole
from mini_nn.models import efficientnet, mobilenet_v1, mobilenet_v2

HERE = Path(__file__).parent
SCRIPTS = ("network.js", "own.js", "draw.js", "view.js")


def tables() -> dict[str, Any]:
    """The papers' tables, as the page reads them."""
    return {
        "version": __version__,
        "models": {name: spec._asdict() for name, spec in models.MODELS.items()},
        "mobilenet_v1": mobilenet_v1.TABLE_1,
        "mobilenet_v2": [
            {"t": r.expand_ratio, "k": 3, "s": r.stride, "c": r.out_channels, "n": r.repeats, "se": 0}
            for r in mobilenet_v2.TABLE_2
        ],
        "efficientnet": [
            {"t": r.expand_ratio, "k": r.kernel_size, "s": r.stride, "c": r.out_channels, "n": r.repeats}
            for r in efficientnet.TABLE_1
        ],
    }


def page(home: str = "") -> str:
    """The whole page; `home` is the address of the course, where there is one to go back to."""
    read = {name: (HERE / name).read_text("utf-8") for name in ("page.html", "style.css", *SCRIPTS)}
    back = f'<a href="{home}">the course</a>' if home else ""
    slots = {
        "style": read["style.css"],
        "script": "".join(read[name] for name in SCRIPTS),
        "home": back,
    }
    return Template(read["page.html"]).substitute(
        slots, version=__version__, data=json.dumps(tables(), separators=(",", ":"))
    )


def write(target: Path) -> None:
    """Write the page: one file, whole or not at all."""
    with written_whole(target) as file:
        file.write(page().encode())
