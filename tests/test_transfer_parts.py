"""Freezing, splitting, new heads and rates: what learns moves, what does not keeps its bytes."""

import numpy as np
import pytest
from transfer_photos import HOW, files, folder, network

from mini_nn import features, init, models, transfer
from mini_nn.core import Parameter, named_arrays, named_layers, parameters
from mini_nn.layers import BatchNorm, Dropout, StochasticDepth
from mini_nn.losses import softmax_cross_entropy
from mini_nn.optim import EMA, SGD

FAMILIES = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0")


def stages_of(model):
    return [name for name, _ in dict(model.children())["stages"].children()]


def moving(model):
    """The layers just below the model, and its stages, that have something to train."""
    names = [n for n, p in named_arrays(model) if isinstance(p, Parameter) and p.trainable]
    return {".".join(n.split(".")[: 2 if n.startswith("stages") else 1]) for n in names}


def batch(rng, n=6, classes=3):
    return rng.normal(size=(n, 32, 32, 3)).astype(np.float32), np.arange(n) % classes


@pytest.mark.parametrize("name", FAMILIES)
def test_freeze_until_a_stage_freezes_what_comes_before_it(name, rng):
    model = network(name)
    numbers = stages_of(model)
    middle = numbers[len(numbers) // 2]
    assert transfer.freeze(model, until=f"stages.{middle}") is model
    after = {f"stages.{number}" for number in numbers[numbers.index(middle) :]}
    assert moving(model) == after | {part for part in ("head", "classifier") if hasattr(model, part)}
    assert moving(transfer.freeze(model)) == {"classifier"}
    assert moving(transfer.freeze(model, until="stages.0")) == {*map("stages.{}".format, numbers)} | (
        {"classifier"} | ({"head"} if hasattr(model, "head") else set())
    )
    transfer.unfreeze(model)
    assert all(p.trainable for p in parameters(model))


def test_version_1_has_a_stage_for_each_resolution():
    model = models.build("mobilenet_v1", 3)
    sizes, shape = [], model.stem.out_shape((224, 224, 3))
    for _, stage in model.stages.children():
        shape = stage.out_shape(shape)
        sizes.append(shape[0])
    assert sizes == [112, 56, 28, 14, 7]


def test_freezing_forgets_gradients_that_are_already_there(rng):
    model, (x, y) = network(), batch(rng)
    logits, cache = model.forward(x, train=True)
    model.backward(softmax_cross_entropy(logits, y)[1], cache)
    transfer.freeze(model)
    assert {name for name, p in named_arrays(model) if isinstance(p, Parameter) and p.grad is not None} == {
        "classifier.weight",
        "classifier.bias",
    }


def cuts(model):
    """Every layer that is no part of a sum or product, in each depth."""
    inside = ()
    for name, layer in named_layers(model):
        if not name or name.startswith(inside):
            continue
        yield name
        if type(layer).__name__ in ("Residual", "Gate"):
            inside = (*inside, f"{name}.")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_two_halves_are_the_model_wherever_it_is_cut(name, rng):
    model, (x, _) = network(name), batch(rng, 2)
    whole, own = model(x), dict(named_arrays(model))
    found = list(cuts(model))
    assert len(found) > 20
    for at in found:
        lower, upper = transfer.split(model, at)
        assert np.array_equal(upper(lower(x)), whole), at
        halves = [*named_arrays(lower), *named_arrays(upper)]
        assert len(halves) == len(own)
        assert all(own[name] is item for name, item in halves), at
        assert next(iter(named_layers(upper)))[1].children()[0][0] == at.split(".", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("stages.1.1.depthwise", "cannot cut at 'stages.1.1.depthwise': it is inside a Residual block"),
        ("stages.1.1.project.norm", "inside a Residual block; cut before or after it"),
        ("stages.1.1.nothing", "inside a Residual block"),
        ("stages.9", "no layer 'stages.9': nothing in it is called '9'; there are 0, 1, 2, 3, 4, 5, 6"),
        ("stage.1", "no layer 'stage.1': nothing in it is called 'stage'; there are stem, stages"),
        ("stem.conv.weight", "no layer 'stem.conv.weight': nothing in it is called 'weight'"),
        ("", "given by its name, such as 'stages.5', not ''"),
        (5, "given by its name, such as 'stages.5', not 5"),
        (None, "not None"),
    ],
)
def test_where_a_network_cannot_be_cut_is_said(at, said):
    model = network("mobilenet_v2")
    for function in transfer.split, transfer.freeze:
        with pytest.raises(ValueError, match=said):
            function(model, at)
    assert all(p.trainable for p in parameters(model))


def test_a_gate_cannot_be_cut():
    model = network("efficientnet_b0")
    gate = next(name for name, layer in named_layers(model) if type(layer).__name__ == "Gate")
    gate_alone = next(layer for name, layer in named_layers(model) if name == gate)
    with pytest.raises(ValueError, match="inside a Gate block"):
        transfer.split(gate_alone, gate_alone.children()[1][0])


@pytest.mark.parametrize("classes", [2, 3, 10, 101])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_loss_of_a_new_head_is_log_classes(name, classes, rng):
    model, (x, y) = network(name), batch(rng, 8, 2)
    init.calibrate(model, x)
    below = {key: item.value for key, item in named_arrays(model) if not key.startswith("classifier")}
    assert transfer.new_head(model, classes, rng) is model
    assert model(x).shape == (8, classes)
    assert softmax_cross_entropy(model(x), y)[0] == pytest.approx(np.log(classes), rel=0.01)
    assert np.unique(model.classifier.weight.value).size > classes  # not all the same
    assert all(dict(named_arrays(model))[key].value is value for key, value in below.items())
    assert model.options["num_classes"] == classes


def test_a_network_with_a_new_head_can_train(rng):
    """Its dropouts have a generator."""
    model, (x, _) = models.build("efficientnet_b0", 10, width_mult=0.1, dropout=0.5), batch(rng)
    mini = network("efficientnet_b0")
    for (_, item), (_, given) in zip(named_arrays(model), named_arrays(mini), strict=True):
        if item.shape == given.shape:
            item.value = given.value
    transfer.new_head(model, 3, rng)
    assert np.isfinite(model.forward(x, train=True)[0]).all()
    assert any(isinstance(layer, Dropout) for _, layer in named_layers(model))


def test_the_options_of_the_model_it_was_copied_from_stay(rng):
    import copy

    model = network(classes=7)
    transfer.new_head(copy.copy(model), 3, rng)
    assert model.options["num_classes"] == 7


@pytest.mark.parametrize(
    ("classes", "said"),
    [(1, "whole number from 2, not 1"), (0, "not 0"), (True, "not True"), (2.0, "not 2.0"), ("3", "not '3'")],
)
def test_a_head_for_no_number_of_classes_is_refused(classes, said, rng):
    with pytest.raises(ValueError, match=said):
        transfer.new_head(network(), classes, rng)


def test_what_else_new_head_cannot_do_is_said(rng):
    with pytest.raises(ValueError, match="has no Dense layer called classifier"):
        transfer.new_head(network().stages, 3, rng)
    with pytest.raises(ValueError, match=r"np\.random\.Generator"):
        transfer.new_head(network(), 3, 0)


def test_rates_fall_from_the_head_down():
    model = network("mobilenet_v2")
    found = transfer.rates(model, 1.0, body=0.1, decay=0.5)
    assert list(found) == ["stem", *(f"stages.{n}" for n in stages_of(model)), "head", "classifier"]
    assert found["classifier"] == 1.0
    assert found["head"] == pytest.approx(0.1)
    assert found["stages.6"] == pytest.approx(0.05)
    assert found["stem"] == pytest.approx(0.1 / 2 ** (len(found) - 2))


def steps(model, x, y, optimiser, count=1, ema=None):
    for _ in range(count):
        logits, cache = model.forward(x, train=True)
        model.backward(softmax_cross_entropy(logits, y)[1], cache)
        optimiser.step()
        if ema:
            ema.update()


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_each_stage_moves_by_its_rate(scale, rng):
    """Adam's first step is the rate times the gradient's sign."""
    model, (x, y) = network(), batch(rng)
    before = {name: item.value for name, item in named_arrays(model)}
    found = transfer.rates(model, 1e-2, body=0.3, decay=0.7)
    optimiser = transfer.StageRates(model, found, weight_decay=0)
    optimiser.lr *= scale
    steps(model, x, y, optimiser)
    for stage, rate in found.items():
        moved = [
            abs(item.value - before[name]).max()
            for name, item in named_arrays(model)
            if name.startswith(f"{stage}.") and isinstance(item, Parameter)
        ]
        assert max(moved) == pytest.approx(rate * scale, rel=0.01), stage


def test_stage_rates_go_on_from_their_state(rng):
    x, y = batch(rng)
    models_, optimisers = [network(), network()], []
    for model in models_:
        optimisers.append(transfer.StageRates(model, transfer.rates(model, 1e-3)))
        steps(model, x, y, optimisers[-1], 2)
    fresh = transfer.StageRates(models_[1], transfer.rates(models_[1], 1e-2))
    fresh.load_state_dict(optimisers[1].state_dict())
    steps(models_[0], x, y, optimisers[0], 2)
    steps(models_[1], x, y, fresh, 2)
    for (name, a), (_, b) in zip(*map(named_arrays, models_), strict=True):
        assert np.array_equal(a.value, b.value), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {k: v for k, v in r.items() if k != "stem"}, "rates must be given for stem, stages.0"),
        (lambda r: {**r, "stages.99": 1.0}, r"they were for .*stages\.99"),
        (lambda r: dict.fromkeys(r, 0.0), "all are 0, nothing would be learned"),
        (lambda r: {**r, "stem": -1.0}, "-1.0"),
    ],
)
def test_rates_that_do_not_fit_are_refused(change, said):
    model = network()
    with pytest.raises(ValueError, match=said):
        transfer.StageRates(model, change(transfer.rates(model, 1.0)))


@pytest.mark.parametrize("name", ["mobilenet_v1", "efficientnet_b0"])
@pytest.mark.parametrize("tail", [False, True], ids=["whole", "tail"])
def test_what_is_frozen_keeps_its_bytes(tail, name, rng):
    """BatchNorm's statistics too; with momentum that is still running, weight decay and an average of the weights."""
    model, (x, y) = network(name), batch(rng)
    optimiser, ema = SGD(model, 0.1, momentum=0.9, weight_decay=0.1), EMA(model, 0.5)
    steps(model, x, y, optimiser, 1, ema)
    at = f"stages.{stages_of(model)[-2]}"
    transfer.freeze(model, until=at)
    frozen = {id(item) for _, item in named_arrays(transfer.split(model, at)[0])}
    before = {key: item.value.tobytes() for key, item in named_arrays(model)}
    averages = {key: ema.average[item].tobytes() for key, item in named_arrays(model)}
    steps(transfer.Tail(model, at) if tail else model, x, y, optimiser, 3, ema)
    for key, item in named_arrays(model):
        assert (item.value.tobytes() == before[key]) == (id(item) in frozen), key
        if id(item) in frozen:
            assert ema.average[item].tobytes() in (before[key], averages[key]), key
    with ema.applied():
        for key, item in named_arrays(model):
            assert id(item) not in frozen or item.value.tobytes() == before[key], key


def test_frozen_norms_keep_their_bytes_while_everything_else_learns(rng):
    model, (x, y) = network(), batch(rng)
    transfer.freeze_norms(model)
    norms = {
        id(item) for _, n in named_layers(model) if isinstance(n, BatchNorm) for _, item in named_arrays(n)
    }
    before = {key: item.value.tobytes() for key, item in named_arrays(model)}
    steps(model, x, y, SGD(model, 0.1, momentum=0.9, weight_decay=0.1), 2)
    for key, item in named_arrays(model):
        assert (item.value.tobytes() == before[key]) == (id(item) in norms), key


def test_the_tail_has_the_gradients_of_the_whole(rng):
    model, (x, y) = network("efficientnet_lite0"), batch(rng)
    for _, layer in named_layers(model):
        if isinstance(layer, Dropout | StochasticDepth):
            layer.rate = 0.0
    at = "stages.4"
    transfer.freeze(model, at)

    def gradients(learner):
        logits, cache = learner.forward(x, train=True)
        learner.backward(softmax_cross_entropy(logits, y)[1], cache)
        found = {
            key: p.grad for key, p in named_arrays(model) if isinstance(p, Parameter) and p.grad is not None
        }
        for p in parameters(model):
            p.grad = None
        return found

    whole, tail = gradients(model), gradients(transfer.Tail(model, at))
    assert whole.keys() == tail.keys()
    assert all(np.array_equal(whole[key], tail[key]) for key in whole)


def test_the_lower_part_of_a_tail_predicts(rng):
    """Nothing is dropped at random in it."""
    model, (x, _) = transfer.freeze(network("efficientnet_b0"), "stages.6"), batch(rng)
    tail = transfer.Tail(model, "stages.6")
    drops = [layer for _, layer in named_layers(tail.lower) if isinstance(layer, Dropout | StochasticDepth)]
    assert drops
    for layer in drops:
        layer.rate = 0.5
    init.seed(model, rng)
    seen = []
    tail.upper.forward = lambda x, train: (seen.append(x), None)
    for _ in range(3):
        tail.forward(x, train=True)
    assert all(np.array_equal(one, tail.lower(x)) for one in seen)


def test_the_head_on_cached_features_has_the_gradients_of_the_whole_network_exactly(tmp_path):
    """One photograph at a time, as the features are computed: every bit is the same."""
    model = transfer.freeze(transfer.new_head(network("efficientnet_lite0"), 3, np.random.default_rng(0)))
    for _, layer in named_layers(model):
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    paths = files(folder(tmp_path / "photos", 4))
    y = np.arange(12) // 4
    for _ in range(2):  # the second time from the cache
        rows = features.compute(model, HOW, paths, tmp_path / "cache", workers=1, quiet=True)

    def gradient(learner, inputs):
        for x, label in zip(inputs, y, strict=True):
            logits, cache = learner.forward(x[None], train=True)
            learner.backward(softmax_cross_entropy(logits, label[None])[1] / len(y), cache)
        found = [model.classifier.weight.grad, model.classifier.bias.grad]
        model.classifier.weight.grad = model.classifier.bias.grad = None
        return found

    end_to_end = gradient(model, [HOW(path) for path in paths])
    cached = gradient(model.classifier, rows)
    assert all(np.array_equal(a, b) for a, b in zip(end_to_end, cached, strict=True))
    assert abs(cached[0]).max() > 1e-3

    # in one batch, a product may be summed in another order
    x = np.stack([HOW(path) for path in paths])
    logits, cache = model.forward(x, train=True)
    model.backward(softmax_cross_entropy(logits, y)[1], cache)
    assert np.allclose(model.classifier.weight.grad, cached[0], rtol=1e-4, atol=1e-5)
