"""What the explorer counts, and the file that it writes; tests/site looks at it in a browser."""

import re
import webbrowser

import pytest

from mini_nn import cli, explorer, models, profile
from mini_nn.explorer import measures


def measured(name, size=None):
    size = size or models.MODELS[name].resolution
    return measures.parts(models.build(name), (size, size, 3))


@pytest.mark.parametrize(
    ("name", "op_by_op", "fused"),
    [  # numbers: MobileNetV2's equation 2 by hand, as in lesson 2
        ("mobilenet_v1", 112 * 112 * (32 + 64), 112 * 112 * (32 + 64)),
        ("mobilenet_v2", 112 * 112 * 96 + 56 * 56 * 96, 112 * 112 * (32 + 16)),
        ("efficientnet_b0", 112 * 112 * 96 + 56 * 56 * 96, 112 * 112 * (32 + 16)),
    ],
)
def test_fusing_saves_what_the_paper_says(name, op_by_op, fused):
    parts = measured(name)
    assert max(step.held for part in parts for step in part.steps) == op_by_op
    assert max(part.held for part in parts) == fused


def test_receptive_field_adds_up_by_hand():
    """1 + the sum of (k - 1) times the strides before; v1's is also in Araujo et al. 2019, "Computing receptive fields"."""
    v1 = 1 + 2 * 1 + 2 * 2 * 2 + 2 * 4 * 2 + 2 * 8 * 2 + 2 * 16 * 6 + 2 * 32 - 2 * (1 + 2 + 4 + 8 + 16 - 31)
    assert v1 == 315 == measured("mobilenet_v1")[-1].steps[-1].field


def test_a_shortcut_s_input_waits_and_is_read_again():
    block = next(part for part in measured("efficientnet_b0") if part.name == "stages.1.1")
    thin, wide = 56 * 56 * 24, 56 * 56 * 144
    assert [step.name.split(".")[-1] for step in block.steps] == ["expand", "depthwise", "se", "project"]
    assert [step.held for step in block.steps] == [thin + wide, 2 * wide + thin, wide + thin, wide + 2 * thin]
    params = [step.params for step in block.steps]
    moved = [thin + wide, 2 * wide, 3 * wide, wide + 2 * thin]
    assert [step.moved for step in block.steps] == [4 * (a + b) for a, b in zip(moved, params, strict=True)]
    assert (block.held, block.moved) == (2 * thin, 4 * (2 * thin + sum(params)))


@pytest.mark.parametrize("name", models.MODELS)
def test_steps_add_up_to_the_profile(name):
    size = models.MODELS[name].resolution
    report = profile.profile(models.build(name), (size, size, 3))
    steps = [step for part in measured(name) for step in part.steps]
    assert sum(step.params for step in steps) == report.params
    assert sum(step.macs for step in steps) == report.macs


def test_the_page_asks_for_nothing_and_holds_every_network():
    page = explorer.page()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page
    assert all(f'"{name}"' in page for name in models.MODELS)


def test_explore_writes_the_page(tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target = tmp_path / "one page.html"
    assert cli.main(["explore", "--out", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == explorer.page()
    assert not opened
    assert cli.main(["explore"]) == 0
    assert opened == [(tmp_path / "cache/mini_nn/explorer.html").as_uri()]
    assert "one page.html: open it in your browser" in capsys.readouterr().out


def test_explore_says_what_is_wrong(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["explore", "--out", "page.png"])
    assert "'page.png' does not end in .html" in capsys.readouterr().err
    assert cli.main(["explore", "--out", str(tmp_path / "no" / "page.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err
