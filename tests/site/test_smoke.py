"""What .ci/run looks at: the explorer against the library, and the first pages of a site built without running lessons."""

import pytest
from test_explorer import SHOWN, expected, published


def test_the_explorer_has_the_library_s_numbers_for_every_network(watched, explorer_page):
    settings = list(published())
    for setting, shown in zip(settings, watched(explorer_page).evaluate(SHOWN, settings), strict=True):
        assert shown == expected(setting), setting


@pytest.mark.parametrize(
    "name", ["index", "explore", "lessons/02_mobilenet_v2", "api/ops", "measured/mutation_scores"]
)
def test_a_page_reads_well(watched, audit, site, name):
    for size, scheme in (("desktop", "light"), ("phone", "dark")):
        assert audit(watched(site / f"{name}.html", size, scheme)) == []


def test_search_finds_something(watched, site):
    page = watched(f"{(site / 'search.html').as_uri()}?q=padding")
    page.wait_for_selector("#search-results li")
