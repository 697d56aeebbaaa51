"""Gathers the pages from the lessons, the docstrings and the recorded results, and lets Sphinx make the site of them.

python site/build.py            out/site, every lesson run (minutes the first time; unchanged ones are remembered)
python site/build.py --quick    the same without running the lessons: no printed results, no pictures in them
"""

import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import pages

HERE = Path(__file__).parent
ROOT = HERE.parent
OUT = ROOT / "out"


def gather(folder: Path) -> None:
    """Every page's source, in one folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages.every().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for picture, name in pages.pictures():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if picture.exists():  # else Sphinx says where it is missed
            shutil.copy(picture, folder / name)


def sphinx(folder: Path, target: Path, execute: str) -> int:
    """Warnings are errors: a link to nothing, a heading out of order, a cell that fails."""
    settings = {"SITE_EXECUTE": execute, "SITE_CACHE": str(OUT / "site-cache"), "SITE_EXTRA": str(folder / "extra"),
                "PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # fmt: skip
    words = [
        "-W",
        "--keep-going",
        "-q",
        "-c",
        str(HERE),
        "-d",
        str(folder / ".doctrees"),
        str(folder),
        str(target),
    ]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words], env=os.environ | settings, check=False
    ).returncode


def main() -> int:
    parser = ArgumentParser("python site/build.py", description="Build the site into out/site.")
    parser.add_argument("--quick", action="store_true", help="do not run the lessons")
    parser.add_argument("--out", type=Path, default=OUT / "site", metavar="FOLDER", help="(out/site)")
    args = parser.parse_args()
    start = time.monotonic()
    folder = OUT / f"{args.out.name}-source"
    gather(folder)
    if (args.out / "objects.inv").exists():  # an older site: its pages must not stay among the new ones
        shutil.rmtree(args.out)
    code = sphinx(folder, args.out, "off" if args.quick else "cache")
    if code == 0:
        size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
        print(
            f"{args.out}/index.html: {size / 2**20:.1f} MB in {time.monotonic() - start:.0f} s; open it in a browser"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
