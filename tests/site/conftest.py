"""A real browser, which may ask for files and for nothing else."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from mini_nn import explorer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
]
AUDIT = Path(__file__).with_name("audit.js").read_text("utf-8")
ROOT = Path(__file__).parents[2]
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}


@pytest.fixture(scope="session")
def browser():
    if not find_spec("playwright"):
        pytest.skip("Playwright is not installed; make site-test installs it")
    if not CHROMIUM:
        pytest.skip("there is no Chromium here; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Watched:
    """A page with what it asked for and what it complained of."""

    def __init__(self, page):
        self.page, self.asked, self.complaints = page, [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def check(self):
        """Nothing may have left the machine, and nothing may have been complained of."""
        assert not self.complaints
        assert all(url.startswith(("file:", "data:")) for url in self.asked), self.asked


@pytest.fixture
def watched(browser):
    """watched(path, size="desktop", scheme="light") opens a file; at the end, nothing may have left or gone wrong."""
    opened = []

    def open_page(path, size="desktop", scheme="light", **options):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        context.set_default_timeout(8000)
        seen = Watched(context.new_page())
        opened.append((context, seen))
        seen.page.goto(path if str(path).startswith("file:") else path.as_uri())
        return seen.page

    yield open_page
    for context, seen in opened:
        context.close()
        seen.check()


@pytest.fixture(scope="session")
def explorer_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    explorer.write(path)
    return path


@pytest.fixture(scope="session")
def audit():
    """audit(page): what is wrong with it for those who see, hear or point otherwise."""

    def look(page):
        wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        too_wide = [f"the page is {wide} pixels wide in a window of {window}"] if wide > window else []
        return page.evaluate(AUDIT) + too_wide

    return look


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    folder = Path(os.environ.get("SITE", ROOT / "out" / "site")).resolve()
    if not (folder / "index.html").exists():
        pytest.skip("the site is not built; make site")
    return folder
