"""Several networks, several crops, what they cost, and what goes on inside."""

import numpy as np
import pytest
from PIL import Image

from mini_nn import inference, init, models, transfer
from mini_nn.core import named_arrays
from mini_nn.inference import crops, looking
from mini_nn.layers import Dense, GlobalAveragePool, Sequential, Softmax
from mini_nn.ops.softmax import forward as softmax
from mini_nn.transfer import Classifier
from mini_nn.weights.preprocess import Preprocess

HOW = Preprocess(32, 40, "resize", "bilinear", (127.5,) * 3, (127.5,) * 3)


def network(seed, classes=3, name="mobilenet_v1"):
    rng = np.random.default_rng(seed)
    model = init.initialize(models.build(name, classes, width_mult=0.1), rng)
    for key, item in named_arrays(model):
        if key.endswith(("gamma", "beta", "bias")):
            item.value = rng.uniform(0.5, 2, item.shape).astype(np.float32)
        if key == "classifier.weight":
            item.value = rng.normal(0, 0.2, item.shape).astype(np.float32)
    return model


@pytest.fixture(scope="module")
def nets():
    return [network(seed) for seed in range(3)]


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 33, 35, 3)).astype(np.float32)


@pytest.fixture
def photographs(rng):
    """Coarse patches of colour, so that a shift of a pixel changes little."""
    patches = [Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)) for _ in range(5)]
    return [np.asarray(one.resize((61, 50 + i), Image.Resampling.BICUBIC)) for i, one in enumerate(patches)]


def classifier(seed, how=HOW, classes=("a", "b", "c"), **options):
    return Classifier(network(seed, len(classes)), how, classes, **options)


# --- ensembles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [1, 2, 5], [0, 0, 3]])
def test_the_three_ways_by_their_definitions(nets, x, weights):
    w = np.array(weights or [1, 1, 1], float)
    w /= w.sum()
    logits = [net(x).astype(float) for net in nets]
    mean_p = sum(a * softmax(z) for a, z in zip(w, logits, strict=True))
    mean_z = softmax(sum(a * z for a, z in zip(w, logits, strict=True)))
    votes = np.zeros((4, 3))
    for a, z in zip(w, logits, strict=True):
        for row, best in enumerate(z.argmax(1)):
            votes[row, best] += a
    for how, expected in (("probabilities", mean_p), ("logits", mean_z), ("votes", votes)):
        y = inference.ensemble(nets, how, weights)(x)
        np.testing.assert_allclose(y, expected, atol=1e-6)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)


def test_probabilities_and_logits_are_different_means():
    """A network that is sure outweighs two that are not, where logits are averaged."""
    loud, quiet = (lambda x, z=z: np.tile(z, (len(x), 1)) for z in ([9.0, 0], [-2.0, 0]))
    members = [loud, quiet, quiet]
    x = np.zeros((1, 2))
    assert inference.ensemble(members, "logits")(x).argmax() == 0
    assert inference.ensemble(members, "probabilities")(x).argmax() == 1
    assert inference.ensemble(members, "votes")(x)[0].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_equal_votes_go_to_the_class_that_comes_first():
    members = [lambda x, c=c: 5 * np.eye(3)[[c]] for c in (2, 1)]
    assert inference.ensemble(members, "votes")(np.zeros((1, 1))).argmax() == 1


@pytest.mark.parametrize("how", ["probabilities", "logits"])
def test_a_member_alone_is_itself(nets, x, how):
    np.testing.assert_allclose(inference.ensemble(nets[:1], how)(x), softmax(nets[0](x)), atol=1e-6)


def test_no_softmax_is_taken_twice(nets, x):
    """What is a distribution already stays one: a network that ends in Softmax, a function, another ensemble."""
    ended = Sequential(net=nets[0], softmax=Softmax())
    expected = softmax(nets[0](x))
    for member in (ended, lambda batch: softmax(nets[0](batch)), inference.ensemble(nets[:1])):
        for how in ("probabilities", "logits"):
            np.testing.assert_allclose(inference.ensemble([member], how)(x), expected, atol=1e-6)


def test_large_logits_do_not_overflow():
    members = [lambda x, z=z: np.array([z]) for z in ([2000.0, 0, -2000], [0, 2000.0, -2000])]
    for how in inference.ensembles.HOW:
        y = inference.ensemble(members, how)(np.zeros((1, 1)))
        np.testing.assert_allclose(y, [[0.5, 0.5, 0]], atol=1e-6)


def test_classifiers_prepare_photographs_each_in_its_own_way(photographs):
    other = Preprocess(48, 48, "squash", "bicubic", (0, 0, 0), (255, 255, 255))
    members = [classifier(0), classifier(1, other)]
    both = inference.ensemble(members, weights=[3, 1])
    expected = 0.75 * members[0].probabilities(photographs) + 0.25 * members[1].probabilities(photographs)
    np.testing.assert_allclose(both.probabilities(photographs), expected, atol=1e-6)
    assert both.classes == ("a", "b", "c")
    assert both.passes == 2
    for given in (members, [crops.Cropped(members[0])], [inference.ensemble([classifier(0)])]):
        with pytest.raises(ValueError, match="each in its own way"):
            inference.ensemble(given)(np.zeros((1, 32, 32, 3), np.float32))


def test_classifiers_of_one_preprocessing_take_a_batch_too(photographs):
    members = [classifier(0), classifier(1)]
    x = np.stack([HOW(photo) for photo in photographs])
    for how in inference.ensembles.HOW:
        both = inference.ensemble(members, how)
        np.testing.assert_allclose(both(x), both.probabilities(photographs), atol=1e-5)


def test_an_ensemble_predicts_as_a_classifier_does(photographs):
    members = [classifier(0), classifier(1)]
    both = inference.ensemble(members)
    p = both.probabilities(photographs)
    for found, row in zip(both.predict(photographs), p, strict=True):
        np.testing.assert_array_equal(found.probabilities, row)
        assert found.name == ("abc"[row.argmax()] if row.max() >= 0.5 else "not sure")
    assert {one.name for one in both.predict(photographs, sure=1.01)} == {transfer.NOT_SURE}
    assert both.predict([]) == []


def test_members_with_other_classes_are_refused_and_named():
    with pytest.raises(ValueError, match=r"these know a, b, c; and these a, c, b"):
        inference.ensemble([classifier(0), classifier(1, classes=("a", "c", "b"))])
    with pytest.raises(ValueError, match="Misty"):
        inference.ensemble([classifier(0), classifier(1, classes=("Tigger", "Misty"))])


def test_members_with_other_numbers_of_classes_are_refused(x):
    with pytest.raises(ValueError, match=r"different shapes, .*3.*5"):
        inference.ensemble([network(0, 3), network(1, 5)])(x)


@pytest.mark.parametrize(
    ("weights", "how", "words"),
    [
        ([1, 1], "logits", "3 weights"),
        ([1, 1, -1], "logits", "3 weights"),
        ([0, 0, 0], "logits", "not all 0"),
        ([1, 1, np.nan], "logits", "3 weights"),
        ([[1, 1, 1]], "logits", "3 weights"),
        (None, "median", "probabilities, logits, votes, not 'median'"),
    ],
)
def test_nonsense_is_refused_before_any_work(nets, weights, how, words):
    with pytest.raises(ValueError, match=words):
        inference.ensemble(nets, how, weights)


def test_members_must_be_models_of_one_kind(nets, photographs):
    with pytest.raises(ValueError, match="no models"):
        inference.ensemble([])
    with pytest.raises(ValueError, match="'runs/cats' is no network"):
        inference.ensemble(["runs/cats"])
    with pytest.raises(ValueError, match="some photographs"):
        inference.ensemble([nets[0], classifier(0)])
    with pytest.raises(ValueError, match="take a batch"):
        inference.ensemble(nets).probabilities(photographs)
    with pytest.raises(ValueError, match="name no classes"):
        inference.ensemble(nets).predict(photographs)
    with pytest.raises(ValueError, match="finite"):
        inference.ensemble([lambda x: np.full((1, 2), np.nan)])(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="list of photographs"):
        inference.ensemble([classifier(0)]).probabilities("photo.jpg")


# --- crops ------------------------------------------------------------------------------------------------------------


def pillows_ten(image, size):
    """torchvision's TenCrop by its documentation, with Pillow: four corners and the centre, then the same of the mirror."""
    height, width = image.shape[:2]
    boxes = [(0, 0), (width - size, 0), (0, height - size), (width - size, height - size)]
    boxes.append((round((width - size) / 2), round((height - size) / 2)))
    found = []
    for photo in (Image.fromarray(image), Image.fromarray(image).transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
        found += [np.asarray(photo.crop((left, top, left + size, top + size))) for left, top in boxes]
    return found


@pytest.mark.parametrize("shape", [(9, 9), (8, 11), (13, 8), (7, 7), (10, 9)])
def test_ten_crops_are_torchvisions_in_its_order(rng, shape):
    x = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    views = crops.ten(x, 7)
    assert views.shape == (10, 2, 7, 7, 3)
    for n in range(2):
        for view, expected in zip(views[:, n], pillows_ten(x[n], 7), strict=True):
            np.testing.assert_array_equal(view, expected)


def test_five_views_that_can_be_read():
    x = np.arange(16).reshape(1, 4, 4, 1)
    corners = [view[0, :, :, 0].tolist() for view in crops.ten(x, 2)]
    assert corners[:5] == [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [12, 13]],
        [[10, 11], [14, 15]],
        [[5, 6], [9, 10]],
    ]
    assert corners[5:7] == [[[3, 2], [7, 6]], [[1, 0], [5, 4]]]  # the mirror's top left was the top right


def test_centre_and_mirrored(rng):
    x = rng.normal(size=(2, 8, 10, 3))
    np.testing.assert_array_equal(crops.centre(x, 4)[0], x[:, 2:6, 3:7])
    np.testing.assert_array_equal(crops.mirrored(x, 4)[1], x[:, 2:6, 3:7][:, :, ::-1])


@pytest.mark.parametrize(("how", "views"), [("centre", 1), ("mirrored", 2), ("ten", 10)])
def test_predict_is_the_mean_over_the_views(nets, rng, how, views):
    x = rng.normal(size=(2, 40, 37, 3)).astype(np.float32)
    seen = [softmax(nets[0](view)) for view in crops.CUTS[how](x, 33)]
    assert len(seen) == views == crops.VIEWS[how]
    np.testing.assert_allclose(crops.predict(nets[0], x, 33, how), np.mean(seen, 0), atol=1e-6)
    np.testing.assert_array_equal(crops.predict(nets[0], x, 33, views), crops.predict(nets[0], x, 33, how))


@pytest.mark.parametrize("method", ["crop", "resize", "squash"])
def test_a_classifiers_centre_is_its_own_and_its_corners_are_around_it(photographs, method):
    how = Preprocess(32, 40, method, "bilinear", (0,) * 3, (255,) * 3)
    one = classifier(0, how)
    own = one.probabilities(photographs)
    np.testing.assert_allclose(crops.Cropped(one, "centre").probabilities(photographs), own, atol=1e-5)
    photo = photographs[0]
    wide = Preprocess(40, 40, method, "bilinear", (0,) * 3, (255,) * 3)(photo)
    ten = crops.Cropped(one, 10)
    np.testing.assert_array_equal(ten.views(photo), crops.ten(wide[None], 32)[:, 0])
    expected = softmax(one.model(ten.views(photo))).mean(0)
    np.testing.assert_allclose(ten.probabilities([photo], batch=3)[0], expected, atol=1e-6)
    assert np.abs(ten.views(photo)[4] - how(photo)).mean() < 0.03


def test_mirrored_views_of_a_photograph_and_of_its_mirror_are_the_same(photographs):
    both = crops.Cropped(classifier(0), "mirrored")
    square = [photo[:50, :50] for photo in photographs]
    mirror = [photo[:, ::-1] for photo in square]
    np.testing.assert_allclose(both.probabilities(square), both.probabilities(mirror), atol=1e-5)
    assert np.abs(both.classifier.probabilities(square) - both.classifier.probabilities(mirror)).max() > 1e-3


def test_where_the_preprocessing_leaves_nothing_around_the_centre_ten_crops_look_closer(photographs):
    one = classifier(0, Preprocess(35, 35, "resize", "bilinear", (0,) * 3, (255,) * 3))
    views = crops.Cropped(one, "ten").views(photographs[0])
    assert views.shape == (10, 35, 35, 3)
    assert np.abs(views[0] - views[3]).max() > 0.1


def test_a_cropped_classifier_predicts_and_can_be_a_member(photographs):
    one, two = crops.Cropped(classifier(0, sure=1.01), 2), crops.Cropped(classifier(1), 10)
    assert {found.name for found in one.predict(photographs)} == {"not sure"}
    assert one.predict(photographs, sure=0)[0].name in "abc"
    both = inference.ensemble([one, two])
    assert both.passes == 12
    expected = (one.probabilities(photographs) + two.probabilities(photographs)) / 2
    np.testing.assert_allclose(both.probabilities(photographs), expected, atol=1e-6)


def test_crops_that_do_not_fit_are_refused(rng, nets, photographs):
    x = rng.normal(size=(1, 8, 9, 3))
    for size in (0, 9, 2.5, True):
        for cut in crops.CUTS.values():
            with pytest.raises(ValueError, match="size must be a whole number from 1 to 8"):
                cut(x, size)
    with pytest.raises(ValueError, match=r"images \(n, H, W, C\), not \(8, 9, 3\)"):
        crops.ten(x[0], 4)
    for how in ("five", 5, True, None):
        with pytest.raises(ValueError, match=r"centre, mirrored, ten or their number of views \[1, 2, 10\]"):
            crops.Cropped(classifier(0), how)
    with pytest.raises(ValueError, match="Network has no model"):
        crops.Cropped(nets[0])
    with pytest.raises(ValueError, match="list of photographs"):
        crops.Cropped(classifier(0)).probabilities("photo.jpg")


# --- costs ------------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes only when a predictor says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def predictor(self, *milliseconds, passes=1):
        """Takes the first time for each photograph when it is called first, and so on."""
        ready = iter(milliseconds)

        def probabilities(_, photographs):
            self.now += next(ready) / 1000 * len(photographs)

        return type("Predictor", (), {"probabilities": probabilities, "passes": passes})()


def test_costs_are_medians_after_a_round_that_does_not_count(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(inference.costs, "time", clock)
    quick, slow = clock.predictor(900, 1, 5, 2), clock.predictor(900, 60, 40, 41, passes=10)
    found = inference.measure({"quick": quick, "slow": slow}, [0, 1], rounds=3)
    assert found["quick"] == pytest.approx((1, 2, 1, 5))
    assert found["slow"] == pytest.approx((10, 41, 40, 60))
    assert str(found["slow"]) == "10 forward passes, 41 ms (40 to 60)"
    assert str(found["quick"]).startswith("1 forward pass,")


def test_a_network_is_measured_on_a_batch(nets, x):
    assert inference.measure({"net": nets[0]}, x, rounds=1)["net"].passes == 1
    with pytest.raises(ValueError, match="at least"):
        inference.measure({"net": nets[0]}, x[:0])
    with pytest.raises(ValueError, match="at least"):
        inference.measure({"net": nets[0]}, x, rounds=0)


# --- inside -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0"])
def test_a_class_activation_map_adds_up_to_the_logit(x, name):
    model = network(0, 3, name)
    logits = model(x)
    bias = model.classifier.bias.value
    for label in range(3):
        heat = looking.class_activation(model, x, np.full(len(x), label))
        assert heat.shape == (4, 2, 2)
        np.testing.assert_allclose(heat.mean((1, 2)) + bias[label], logits[:, label], rtol=1e-4, atol=1e-4)


def test_without_a_class_the_map_is_the_predicted_ones(nets, x):
    for net in nets:
        chosen = net(x).argmax(1)
        own = looking.class_activation(net, x)
        np.testing.assert_array_equal(own, looking.class_activation(net, x, chosen))


def test_a_map_lights_up_where_the_class_is():
    """A network of one colour filter: what is red speaks for class 0, and for nothing else."""
    filters = Dense(3, 2)
    filters.weight.value, filters.bias.value = np.array([[1.0, 0], [0, 1], [0, 0]]), np.zeros(2)
    model = Sequential(stem=Sequential(), pool=GlobalAveragePool(), classifier=filters)
    x = np.zeros((1, 4, 4, 3))
    x[0, 1, 2, 0] = 1
    heat = looking.class_activation(model, x, np.array([0]))[0]
    assert heat[1, 2] == 1
    assert heat.sum() == 1


def test_stages_are_the_networks_own_steps(x):
    model = network(0, 3, "mobilenet_v2")
    found = looking.stages(model, x)
    assert list(found) == ["stem", *(f"stages.{i}" for i in range(7)), "head"]
    pooled = found["head"].mean((1, 2))
    np.testing.assert_allclose(model.classifier(pooled), model(x), rtol=1e-4, atol=1e-5)
    assert list(looking.stages(network(0), x))[-1] == "stages.4"


def test_a_map_of_nothing_is_refused(nets, x):
    with pytest.raises(ValueError, match="called classifier"):
        looking.class_activation(nets[0].stem, x)
    for classes in ([0, 1], [0, 1, 2, 3], [0, 1, 2, -1], [0.0, 1, 2, 0]):
        with pytest.raises(ValueError, match="4 numbers from 0 to 2"):
            looking.class_activation(nets[0], x, np.array(classes))
