"""The explorer in a real browser: the library's numbers, for a mouse, a keyboard and a telephone."""

import numpy as np
import pytest

from mini_nn import models, profile
from mini_nn.explorer import measures

RANDOM = 200


def random_settings():
    rng = np.random.default_rng(8)
    for i in range(RANDOM):
        name = list(models.MODELS)[i % len(models.MODELS)]
        yield {
            "model": name,
            "width": round(
                float(rng.choice([rng.uniform(0.01, 0.3), rng.uniform(0.3, 3)])), int(rng.integers(1, 5))
            )
            or 0.01,
            "depth": round(float(rng.uniform(0.1, 4)), int(rng.integers(1, 4))),
            "size": int(rng.integers(32, 700)),
            "classes": int(rng.choice([1, 2, 10, 1000, rng.integers(1, 30_000)])),
            "stemStride": int(rng.integers(1, 3)),
        }


def published():
    for name, spec in models.MODELS.items():
        yield {"model": name, "width": spec.width_mult, "depth": spec.depth_mult or 1, "size": spec.resolution,
               "classes": 1000, "stemStride": 2}  # fmt: skip


def build(s):
    depth = s["depth"] if models.MODELS[s["model"]].depth_mult else None
    return models.build(
        s["model"], s["classes"], width_mult=s["width"], depth_mult=depth, stem_stride=s["stemStride"]
    )


SHOWN = """settings => settings.map(setting => {
  const net = network(setting);
  return {
    rows: net.rows.map(r => [r.name, r.kind, r.shape, r.params, r.macs]),
    parts: net.parts.map(p => [p.name, p.fused, p.movedFused,
      p.steps.map(s => [[p.name, s.role].filter(Boolean).join("."), s.inside, s.out, s.params, s.macs, s.held, s.moved, s.field])]),
    sums: [net.params, net.macs, net.opByOp, net.fused, net.field],
  };
})"""


def expected(setting, model=None):
    model, shape = model or build(setting), (setting["size"], setting["size"], 3)
    report, parts = profile.profile(model, shape), measures.parts(model, shape)
    steps = [step for part in parts for step in part.steps]
    plain = lambda row: [list(item) if isinstance(item, tuple) else item for item in row]
    return {
        "rows": [plain(row) for row in report.rows],
        "parts": [[p.name, p.held, p.moved, [plain(step) for step in p.steps]] for p in parts],
        "sums": [
            report.params,
            report.macs,
            max(s.held for s in steps),
            max(p.held for p in parts),
            steps[-1].field,
        ],
    }


@pytest.mark.parametrize("settings", [published, random_settings])
def test_every_row_is_the_library_s(watched, explorer_page, settings):
    given = list(settings())
    found = watched(explorer_page).evaluate(SHOWN, given)
    for setting, shown in zip(given, found, strict=True):
        assert shown == expected(setting), setting
    print(f"{len(given)} settings, {sum(len(one['rows']) for one in found)} rows equal")


def sums(page, panel=0):
    return dict(
        page.locator(".panel")
        .nth(panel)
        .locator(".sums div")
        .evaluate_all(
            "list => list.map(d => [d.children[0].textContent, d.querySelector('dd').firstChild.textContent])"
        )
    )


@pytest.mark.parametrize("name", models.MODELS)
def test_what_is_shown_and_what_is_copied_are_that_network(watched, explorer_page, name, capsys):
    page = watched(explorer_page)
    page.locator("[name=model]").select_option(name)
    size = models.MODELS[name].resolution
    report = profile.profile(models.build(name), (size, size, 3))
    assert sums(page)["parameters"] == f"{report.params:,}"
    assert sums(page)["multiply-adds"] == f"{report.macs:,}"
    exec(page.locator("pre code").text_content(), {})  # noqa: S102  (what a reader would paste)
    assert capsys.readouterr().out == f"{report}\n"


def test_the_python_lines_follow_every_field(watched, explorer_page, capsys):
    page = watched(explorer_page)
    page.locator("[name=model]").select_option("efficientnet_b1")
    chosen = {"width": "0.35", "depth": "2.2", "pixels": "97", "classes": "7"}
    for label, value in chosen.items():
        page.get_by_role("spinbutton", name=label, exact=True).fill(value)
    page.get_by_role("combobox", name="first stride").select_option("1")
    model = models.build("efficientnet_b1", 7, width_mult=0.35, depth_mult=2.2, stem_stride=1)
    report = profile.profile(model, (97, 97, 3))
    exec(page.locator("pre code").text_content(), {})  # noqa: S102
    assert capsys.readouterr().out == f"{report}\n"
    assert sums(page)["multiply-adds"] == f"{report.macs:,}"
    again = watched(page.evaluate("location.href"))  # the address holds the choice
    assert sums(again) == sums(page)


def test_phi_is_the_paper_s_formula(watched, explorer_page):
    page = watched(explorer_page)
    page.locator("[name=model]").select_option("efficientnet_b4")
    page.get_by_role("spinbutton", name="phi").fill("1")
    model = models.build("efficientnet_b0", width_mult=1.1, depth_mult=1.2)
    assert sums(page)["multiply-adds"] == f"{profile.profile(model, (258, 258, 3)).macs:,}"
    page.locator("[name=model]").select_option("mobilenet_v2")
    assert page.get_by_role("spinbutton", name="phi").is_disabled()
    assert page.get_by_role("spinbutton", name="depth").is_disabled()


@pytest.mark.parametrize(
    ("field", "value"), [("pixels", "31"), ("width", "0"), ("classes", "2.5"), ("width", "")]
)
def test_nonsense_gets_a_sentence_and_leaves_the_network(watched, explorer_page, field, value):
    page = watched(explorer_page)
    before = sums(page)
    page.get_by_role("spinbutton", name=field, exact=True).fill(value)
    assert field in page.get_by_role("alert").text_content()
    assert page.get_by_role("spinbutton", name=field, exact=True).get_attribute("aria-invalid") == "true"
    assert sums(page) == before
    page.get_by_role("spinbutton", name=field, exact=True).fill("64")
    if field != "width":
        assert page.get_by_role("alert").text_content() == ""


def test_a_block_opens_under_the_pointer_and_under_the_keyboard(watched, explorer_page):
    page = watched(explorer_page)
    page.get_by_role("button", name="stages.3.2").hover()
    detail = page.locator(".detail")
    assert "t 6, c 64, n 4, s 2" in detail.text_content()
    assert [row.split()[0] for row in detail.locator("tbody tr").all_inner_texts()] == [
        "expand",
        "depthwise",
        "project",
    ]
    assert "14 x 14 x 384" in detail.text_content()
    page.get_by_role("button", name="stem").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    assert detail.locator("h2").text_content() == "stages.1.0"
    page.keyboard.press("ArrowRight")
    assert detail.locator("h2").text_content() == "stages.1.1"
    assert "added to its output" in detail.text_content()
    page.keyboard.press("End")
    assert detail.locator("h2").text_content() == "classifier"
    assert page.locator("[aria-pressed=true]").get_attribute("data-name") == "classifier"


def test_everything_can_be_reached_with_the_tab_key_and_is_seen(watched, explorer_page):
    page = watched(explorer_page)
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "() => { const n = document.activeElement; return [n.outerHTML.slice(0, 90), getComputedStyle(n).outlineStyle] }"
        )
        if here[0].startswith("<body"):
            break
        assert here[1] != "none", here
        reached.add(here[0])
    visible = page.evaluate(
        "[...document.querySelectorAll('button, input:enabled, select, a, summary')].map(n => n.outerHTML.slice(0, 90))"
    )
    assert set(visible) <= reached


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("model", ["efficientnet_b7", "mobilenet_v1"])
def test_readable_on_every_screen(watched, audit, explorer_page, size, scheme, model):
    page = watched(f"{explorer_page.as_uri()}#model={model}", size, scheme)
    page.get_by_text("All blocks as a table").click()
    assert audit(page) == []
    small = page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter(n => n.checkVisibility()).filter(n => "
        "{ const r = n.getBoundingClientRect(); return r.width < 24 || r.height < 24 }).map(n => n.outerHTML.slice(0, 90))"
    )
    assert small == []  # WCAG 2.2, 2.5.8: targets of 24 pixels


def test_usable_within_a_second_and_nothing_jumps(watched, explorer_page):
    page = watched(explorer_page)
    ready, shift = page.evaluate("""new Promise(done => {
      let moved = 0;
      new PerformanceObserver(list => { for (const e of list.getEntries()) moved += e.value; }).observe({type: 'layout-shift', buffered: true});
      const [entry] = performance.getEntriesByType('navigation');
      setTimeout(() => done([entry.domContentLoadedEventEnd, moved]), 500);
    })""")
    print(f"usable after {ready:.0f} ms, layout shift {shift}")
    assert ready < 1000
    assert shift == 0


def test_motion_stops_where_it_is_not_wanted(watched, explorer_page):
    for wanted, expected in [("no-preference", "0.2s"), ("reduce", "0s")]:
        page = watched(explorer_page, reduced_motion=wanted)
        assert page.locator(".bar").first.evaluate("n => getComputedStyle(n).transitionDuration") == expected


def test_two_networks_beside_each_other(watched, explorer_page):
    page = watched(explorer_page)
    page.get_by_role("button", name="put a second network beside it").click()
    page.locator(".panel").nth(1).locator("[name=model]").select_option("efficientnet_lite0")
    assert [sums(page, i)["parameters"] for i in (0, 1)] == ["3,504,872", "4,652,008"]
    again = watched(page.evaluate("location.href"))
    assert [sums(again, i)["parameters"] for i in (0, 1)] == ["3,504,872", "4,652,008"]
    page.get_by_role("button", name="take the second network away").click()
    assert page.locator(".panel").count() == 1


def own_tables(count=30):
    rng = np.random.default_rng(3)
    for _ in range(count):
        rows = [
            [int(rng.integers(1, 7)), int(rng.integers(1, 8)), int(rng.integers(1, 4)), int(rng.integers(1, 300)),
             int(rng.integers(1, 5)), float(rng.choice([0, 0.25, 0.04]))]
            for _ in range(rng.integers(1, 8))
        ]  # fmt: skip
        yield {"model": "own", "width": 1, "depth": 1, "size": int(rng.integers(32, 300)), "classes": int(rng.integers(1, 99)),
               "stemStride": int(rng.integers(1, 3)), "table": "\n".join(" ".join(map(str, row)) for row in rows)}  # fmt: skip


def test_a_table_of_one_s_own_is_what_its_python_lines_build(watched, explorer_page, capsys):
    settings = list(own_tables())
    page = watched(explorer_page)
    lines = page.evaluate("settings => settings.map(pythonLines)", settings)
    for setting, shown, code in zip(settings, page.evaluate(SHOWN, settings), lines, strict=True):
        names = {}
        exec(code, names)  # noqa: S102  (what a reader would paste)
        assert shown == expected(setting, names["model"]), setting
    capsys.readouterr()


def test_a_table_is_pasted_and_its_mistakes_are_named(watched, explorer_page):
    page = watched(explorer_page)
    page.locator("[name=model]").select_option("own")
    assert sums(page)["multiply-adds"] == "300,774,272"  # the table it begins with is MobileNet v2's
    page.locator("[name=table]").fill("(1, 3, 1, 16, 1)\n[6, 5, 2, 24, 2, 0.25]")
    assert page.locator(".blocks button").count() == 1 + 3 + 3
    page.get_by_role("button", name="stages.1.0").hover()
    assert "your table, line 2: t 6, k 5, s 2, c 24, n 2, se 0.25" in page.locator(".detail").text_content()
    again = watched(page.evaluate("location.href"))
    assert sums(again) == sums(page)
    for wrong, said in [
        ("1 3 1 16", "n is a number"),
        ("1 3 x 16 1", "s is a number"),
        ("", "between 1 and 32"),
        ("1 3 1 1.5 1", "c is"),
    ]:
        page.locator("[name=table]").fill(f"6 3 1 8 1\n{wrong}" if wrong else "")
        assert said in page.get_by_role("alert").text_content()
        assert ("line 2" in page.get_by_role("alert").text_content()) == bool(wrong)
