"""The pages that are made of something else: file name -> text."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
import measured

import mini_nn
from lessons import build, claims
from lessons.catalogue import LESSONS, folders
from mini_nn import explorer, models, profile

TEXTS = {  # in the repository -> on the site; those that are there
    "lessons/GLOSSARY.md": "glossary.md",
    "lessons/INSTRUCTORS.md": "instructors.md",
    "lessons/SYLLABUS.md": "syllabus.md",
    "docs/INSTRUCTORS.md": "instructors.md",
    "docs/SYLLABUS.md": "syllabus.md",
    "CONTRIBUTING.md": "contributing.md",
    "THIRD_PARTY.md": "third_party.md",
    "lessons/README.md": "lessons.md",
    "bench/README.md": "measured/speed.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)\s#]+)(#[^)]*)?\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
ROOMS = {  # the floors of the house, from the ground
    "what it means": ["ops"], "what networks are made of": ["core", "layers", "blocks", "models"],
    "how it is fast": ["kernels", "backend", "inference"], "is it right, what does it cost": ["gradcheck", "profile", "explorer"],
    "how it learns": ["init", "losses", "optim", "schedules", "train", "checkpoint", "rituals", "micro"],
    "photographs and weights": ["data", "photos", "weights"],
    "learning from few photographs": ["features", "transfer", "labelling", "folder_check", "metrics", "evaluation", "report"],
    "pictures, files, other programs": ["plot", "files", "export", "diagnosis"],
}  # fmt: skip


def every() -> dict[str, str]:
    """All sources of the site."""
    made = {path.name: path.read_text("utf-8") for path in HERE.glob("*.md")}
    made |= {
        f"lessons/{folder}.py": own_links(text, f"notebooks/{folder}.ipynb")
        for folder, text in lesson_texts()
    }
    made |= {
        place: own_links((ROOT / name).read_text("utf-8"), name)
        for name, place in TEXTS.items()
        if (ROOT / name).exists()
    }
    made |= {
        f"measured/{name}.md": own_links(text, f"results/{name}.md")
        for name, text in measured.pages().items()
    }
    made |= {"inside.py": (HERE / "inside.py").read_text("utf-8")} | dict(api())
    made["claims.md"] = own_links(
        claims.page({lesson: build.title(lesson) for lesson in folders()}), "lessons/CLAIMS.md"
    )
    made["museum.md"] += "\n".join(exhibits())
    lists = {
        "LESSONS": contents("lessons", made),
        "MEASURED": contents("measured", made),
        "TEACHING": teaching(made),
    }
    for slot, text in {"NETWORKS": networks(), **lists}.items():
        made["index.md"] = made["index.md"].replace(slot, text)
    made["api.md"] = made["api.md"].replace("ROOMS", "\n".join(contents_of_api()))
    return made | {"extra/explorer.html": explorer.page("index.html")}


def pictures() -> Iterator[tuple[Path, str]]:
    """(file, place on the site) of what the texts show."""
    yield ROOT / "docs" / "grace_hopper.png", "grace_hopper.png"
    texts = [(ROOT / name, Path(to).parent) for name, to in TEXTS.items()]
    texts += [
        (path, Path("measured")) for folder in ("results", "bench") for path in (ROOT / folder).glob("*.md")
    ]
    for text, to in texts:
        for name in PICTURE.findall(text.read_text("utf-8")) if text.exists() else ():
            yield text.parent / name, (to / name).as_posix()


def lesson_texts() -> Iterator[tuple[str, str]]:
    for folder in folders().values():
        path = LESSONS / folder / "lesson.py"
        if path.exists():
            yield folder, path.read_text("utf-8")


def place(path: str) -> str | None:
    """Where a file of the repository is on the site, if it is."""
    if found := re.fullmatch(r"(?:lessons|notebooks)/(\d\d_\w+)(?:/lesson\.py|\.ipynb)?", path):
        return f"lessons/{found[1]}.py"
    if found := re.fullmatch(r"results/(\w+)\.(md|json)", path):
        return f"measured/{found[1]}.md" if found[1] in measured.pages() else None
    return TEXTS.get(path)


def own_links(text: str, home: str) -> str:
    """Links to files of the repository lead to their pages; what has no page is named."""
    here = Path(place(home) or "claims.md")

    def link(found: re.Match[str]) -> str:
        words, target, _ = found.groups()
        path = (ROOT / home).parent.joinpath(target).resolve()
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else target
        to = place(name)
        if to is None or not (ROOT / name).exists():
            return words if words.strip("`") == name else f"{words} (`{name}`)"
        return f"[{words}]({'../' * (len(here.parts) - 1)}{to})"

    if home.endswith(".ipynb"):  # of a lesson its comments alone: code may look like a link
        return re.sub(r"^# .*$", lambda line: LINK.sub(link, line[0]), text, flags=re.MULTILINE)
    return LINK.sub(link, text)


def contents(folder: str, made: dict[str, str]) -> str:
    return "\n".join(sorted(name.rsplit(".", 1)[0] for name in made if name.startswith(f"{folder}/")))


def teaching(made: dict[str, str]) -> str:
    wanted = ("syllabus.md", "instructors.md", "lessons.md", "contributing.md", "third_party.md")
    return "\n".join(name.removesuffix(".md") for name in wanted if name in made)


def networks() -> str:
    """The README's table, counted again."""
    rows = ["| name | pixels | parameters | multiply-adds |", "|---|---:|---:|---:|"]
    for name, spec in models.MODELS.items():
        report = profile.profile(models.build(name), (spec.resolution, spec.resolution, 3))
        rows.append(f"| `{name}` | {spec.resolution} | {report.params:,} | {report.macs:,} |")
    return "\n".join(rows)


def exhibits() -> Iterator[str]:
    """Each lesson's symptom, word for word."""
    for folder, text in lesson_texts():
        cells = re.split(r"^# %% ?(?:\[markdown\])?.*\n", text, flags=re.MULTILINE)
        told = next((cell for cell in cells if cell.startswith("# ## A symptom")), None)
        if told is None:
            continue
        words = re.sub(r"^# ?", "", told, flags=re.MULTILINE).split("\n## ")[
            1 if told.startswith("# ## A symptom\n## ") else 0
        ]
        lesson = next(key for key, value in folders().items() if value == folder)
        body = own_links(words.removeprefix("## A symptom").strip(), "lessons/MUSEUM.md")
        yield f"\n## {build.title(lesson)}\n\n{body}\n\n[The lesson](lessons/{folder}.py) finds the cause.\n"


def modules(room: str) -> list[str]:
    """A room's modules; a package's own first."""
    package = import_module(f"mini_nn.{room}")
    below = pkgutil.walk_packages(getattr(package, "__path__", []), f"mini_nn.{room}.")
    return [f"mini_nn.{room}", *sorted(found.name for found in below)]


def rooms() -> dict[str, list[str]]:
    """ROOMS, and what has been built since; not the commands, which `mini-nn --help` describes."""
    known = {module.name for module in pkgutil.iter_modules(mini_nn.__path__)} - {"cli", "demo", "doctor"}
    new = sorted(known.difference(*ROOMS.values()))
    return ROOMS | ({"more": new} if new else {})


def api() -> Iterator[tuple[str, str]]:
    for room in (room for some in rooms().values() for room in some):
        parts = [f"# mini_nn.{room}\n"]
        for name in modules(room):
            heading = f"## {name}\n\n" if name.count(".") > 1 else ""
            parts.append(
                f"{heading}```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n   :ignore-module-all:\n```\n"
            )
        yield f"api/{room}.md", "\n".join(parts)


def contents_of_api() -> Iterator[str]:
    for caption, some in rooms().items():
        yield (
            f"```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n"
            + "\n".join(f"api/{room}" for room in some)
            + "\n```\n"
        )
