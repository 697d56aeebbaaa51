"""How Sphinx makes the site: python site/build.py calls it with the pages that it has gathered."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from docstrings import plain

from mini_nn import __version__

project, author, release = "mini_nn", "the mini_nn contributors", __version__
html_title = "mini_nn"
html_context = {"default_mode": "auto"}
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
suppress_warnings = ["mystnb.unknown_mime_type"]
exclude_patterns = ["extra", ".doctrees"]

# Lessons are read as they are, an exercise's place filled with its task; build.py says whether they are run.
nb_custom_formats = {".py": ["reading.read", {}]}
nb_execution_mode = os.environ["SITE_EXECUTE"]
nb_execution_cache_path = os.environ["SITE_CACHE"]
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say shapes, the sources types

html_domain_indices = html_use_index = False
html_theme = "sphinx_book_theme"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = [os.environ["SITE_EXTRA"]]
html_copy_source = html_show_sourcelink = html_show_search_summary = (
    False  # a page opened from a disk cannot fetch another
)
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],  # all of it is in the side bar
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
mathjax_path = "mathjax-tex-svg.js"  # one file, no fonts, nothing loaded later; MathML for those who listen
mathjax_options = {"defer": "defer"}
mathjax3_config = {"options": {"enableMenu": False}, "loader": {"load": ["a11y/assistive-mml"]}}


def setup(app):
    app.connect("autodoc-process-docstring", plain)
