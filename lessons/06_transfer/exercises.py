"""L6, transfer learning: what is asked, the cases, and the mistakes that have a name."""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn import backend, init
from mini_nn.core import Buffer, Layer, Parameter, named_arrays, named_layers, parameters
from mini_nn.data import Loader
from mini_nn.layers import BatchNorm, Dense, Gate, GlobalAveragePool, PointwiseConv2D, Residual, Sequential
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import Array, batch_norm

HERE = "lessons.06_transfer.exercises"
FREEZE, NEW_HEAD = "mini_nn.transfer.parts:freeze", "mini_nn.transfer.parts:new_head"
Rng = np.random.Generator


def set_trainable(model: Layer, optimiser: Any, names: Collection[str]) -> None:
    """From now on only the layers called `names`, and all in them, learn.  All else keeps its bytes, statistics too.

    A Parameter collects gradients if its `trainable` is True; a BatchNorm moves its running statistics if that of its gamma
    is.  The optimiser does not look at it.  Its step moves every Parameter in the list optimiser.parameters, a gradient
    that is missing counting as 0:
        g = gradient + weight_decay w  (without the second part for those in the set optimiser.no_decay)
        v = momentum v + g;  w = w - lr v,  where v is optimiser.velocity[parameter]
    A later call with other names may bring a layer back; it goes on with the velocity that it had.
    """
    learning = []
    for name, item in named_arrays(model):
        if isinstance(item, Parameter):
            item.trainable = any(name.startswith(f"{layer}.") for layer in names)
            if item.trainable:
                learning.append(item)
    optimiser.parameters = learning


def precompute_features(body: Layer, loader: Loader, cache: dict[str, Array]) -> tuple[Array, Array]:
    """Return (features (n, d), labels (n,)): what the body makes of each image, once, as it is, in the split's order.

    loader is the one that training uses: going over it shuffles, augments and leaves out the last small batch.  The images
    are in loader.split: len(split), split[i] -> (image (H, W, C), label).  body(x) predicts: (N, H, W, C) -> (N, d), no
    more than loader.batch_size images at a time.  cache is a dict for features: for the same values of the body (those of
    all its mini_nn.core.named_arrays) and the same images nothing is computed again; when any of them changes, it is.
    """
    x = np.stack([image for image, _ in loader.split])
    labels = np.array([label for _, label in loader.split])
    content = hashlib.sha256(x.tobytes())
    for _, item in named_arrays(body):
        content.update(item.value.tobytes())
    key = content.hexdigest()
    if key not in cache:
        starts = range(0, len(x), loader.batch_size)
        cache[key] = np.concatenate([body(x[start : start + loader.batch_size]) for start in starts])
    return cache[key], labels


# ---- cases


class PlainSGD:
    """An optimiser that moves all it is given, gradient or not, as many libraries' do."""

    def __init__(self, model: Layer, lr: float, momentum: float, weight_decay: float) -> None:
        self.parameters = parameters(model)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocity: dict[Parameter, Array] = {}
        self.no_decay: set[Parameter] = set()

    def step(self) -> None:
        for p in self.parameters:
            g = np.zeros(p.shape) if p.grad is None else p.grad
            if p not in self.no_decay:
                g = g + self.weight_decay * p.value
            v = self.velocity[p] = self.momentum * self.velocity.get(p, np.zeros(p.shape)) + g
            p.value = p.value - self.lr * v
        for p in self.parameters:
            p.grad = None


@contextmanager
def in_numpy() -> Iterator[None]:
    """BatchNorm without compiled kernels, which would take longer to make than the check takes."""
    before = backend.batch_norm
    backend.batch_norm = batch_norm  # type: ignore[misc]
    try:
        yield
    finally:
        backend.batch_norm = before  # type: ignore[misc]


def stage(width: int) -> Sequential:
    return Sequential(conv=PointwiseConv2D(width, width), norm=BatchNorm(width, momentum=0.3))


def small_network(seed: int) -> Sequential:
    stages = Sequential(**{number: stage(3) for number in ("0", "1", "10")})
    model = Sequential(stem=stage(3), stages=stages, classifier=PointwiseConv2D(3, 2, bias=True))
    init.initialize(model, np.random.default_rng(seed), np.float64)
    return model


def trainable_cases(_: Rng) -> Iterator[Case]:
    for momentum, decay, calls in (
        (0.0, 0.0, [["classifier"]]),
        (0.0, 0.1, [["classifier"]]),
        (0.9, 0.0, [["classifier"]]),
        (0.9, 0.1, [["classifier", "stages.1"]]),
        (0.8, 0.1, [["classifier"], ["stages.10.conv", "classifier"], ["stem", "stages", "classifier"]]),
        (0.8, 0.1, [[], ["stages.1.norm"]]),
    ):
        yield {"calls": calls, "momentum": momentum, "weight_decay": decay, "seed": len(calls)}


def use_trainable(freeze: Function, case: Case) -> tuple[Any, ...]:
    """Train two steps before the first call and after each."""
    model, rng = small_network(case["seed"]), np.random.default_rng(case["seed"])
    optimiser = PlainSGD(model, 0.1, case["momentum"], case["weight_decay"])
    weights, statistics, flags = [], [], []
    with in_numpy():
        for names in (None, *case["calls"]):
            if names is not None:
                freeze(model, optimiser, names)
            for _ in range(2):
                y, cache = model.forward(rng.normal(size=(4, 2, 3, 3)), train=True)
                model.backward(rng.normal(size=y.shape), cache)
                optimiser.step()
            weights.append({n: i.value for n, i in named_arrays(model) if isinstance(i, Parameter)})
            statistics.append({n: i.value for n, i in named_arrays(model) if isinstance(i, Buffer)})
            flags.append({n: i.trainable for n, i in named_arrays(model) if isinstance(i, Parameter)})
    return weights, statistics, flags


class Watched(Sequential):
    """A body that notes how many images it is given at a time."""

    def __init__(self, **layers: Layer) -> None:
        self.seen: list[int] = []
        super().__init__(**layers)

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.seen.append(len(x))
        return super().forward(x, train)

    def __call__(self, x: Array) -> Array:
        self.seen.append(len(x))
        return super().__call__(x)


def brighter(image: Array, rng: Rng) -> Array:
    """An augmentation."""
    return (image * rng.uniform(0.5, 1)).astype(np.float32)


def feature_cases(rng: Rng) -> Iterator[Case]:
    for n, size in ((4, 2), (7, 3), (5, 8)):
        yield {
            "x": rng.random((n, 2, 3, 3), np.float32),
            "y": rng.permutation(n),
            "batch_size": size,
            "seed": n,
        }


def use_features(precompute: Function, case: Case) -> tuple[Any, ...]:
    """Ask again with the same, with another weight, mean or variance, with other images, and with the first ones."""
    x, rng = case["x"], np.random.default_rng(case["seed"])
    body = Watched(conv=PointwiseConv2D(3, 4), norm=BatchNorm(4, momentum=0.3), pool=GlobalAveragePool())
    init.initialize(body, rng)
    arrays = dict(named_arrays(body))
    first = {name: item.value for name, item in arrays.items()}
    cache: dict[str, Array] = {}
    features, labels, passes = [], [], []
    steps = ((x, ""), (x, ""), *((x, name) for name in arrays), (x[::-1] / 2, ""), (x, ""))
    with in_numpy():
        for images, changed in steps:
            for name, item in arrays.items():
                item.value = first[name] + np.float32(0.5 * (name == changed))
            size = min(case["batch_size"], len(x))
            loader = Loader(
                (np.ascontiguousarray(images), case["y"]), size, brighter, workers=0, seed=1, drop_last=True
            )
            body.seen.clear()
            found, known = precompute(body, loader, cache)
            features.append(np.asarray(found, np.float64))
            labels.append(np.asarray(known))
            passes.append((sum(body.seen), portions(body.seen, size)))
    return features, labels, passes


def portions(seen: list[int], size: int) -> str:
    """How the images went through the body: smaller batches than batch_size are fine."""
    if max(seen, default=0) > size:
        return "too many at once"
    return "one at a time" if len(seen) > 1 and max(seen) == 1 else "in batches"


def head_cases(_: Rng) -> Iterator[Case]:
    for d, old, classes in ((32, 10, 3), (32, 5, 12), (64, 1000, 2)):
        yield {"d": d, "old": old, "classes": classes, "seed": d + classes}


def use_head(new_head: Function, case: Case) -> tuple[Any, ...]:
    """Facts about the network with its new head; what is drawn may differ."""
    rng = np.random.default_rng(case["seed"])
    model = Sequential(
        conv=PointwiseConv2D(3, case["d"]), pool=GlobalAveragePool(), classifier=Dense(case["d"], case["old"])
    )
    init.initialize(model, rng)
    before = {name: item.value for name, item in named_arrays(model)}
    back = new_head(model, case["classes"], rng)
    x = rng.normal(size=(200, 1, 1, 3)).astype(np.float32)
    logits = model(x)
    loss, _ = softmax_cross_entropy(logits.astype(np.float64), rng.integers(case["classes"], size=200))
    excess = loss - np.log(logits.shape[1])
    start = "log C" if abs(excess) < 0.02 else "log C and a little" if excess < 1.5 else "far above log C"
    after = {name: item.value for name, item in named_arrays(model)}
    kept = all(np.array_equal(after[n], v) for n, v in before.items() if not n.startswith("classifier"))
    zero = bool((after["classifier.bias"] == 0).all())
    small = bool(np.abs(logits).max() < 1)
    return logits.shape, start, small, zero, kept, str(after["classifier.weight"].dtype), back is model


def many_stages() -> Sequential:
    """Twelve stages; some blocks are sums, one has a gate."""
    stages: dict[str, Layer] = {str(i): Sequential(first=stage(2), second=stage(2)) for i in range(12)}
    stages["3"] = Sequential(first=stage(2), second=Residual(expand=stage(2), project=stage(2)))
    gated = Sequential(spatial=stage(2), se=Gate(reduce=stage(2), expand=stage(2)), project=stage(2))
    stages["4"] = Sequential(first=gated, second=stage(2))
    return Sequential(stem=stage(3), stages=Sequential(**stages), head=stage(2), classifier=Dense(2, 3))


def unfreeze_cases(_: Rng) -> Iterator[Case]:
    for until in (
        "classifier",
        "head",
        "stages.10",
        "stages.2",
        "stages",
        "stem",
        "stages.3.second",
        "stages.4.first.project",
    ):
        yield {"calls": [until]}
        yield {"calls": [until], "frozen": True}
    yield {"calls": ["stages.5", "stages.1", "stages.11"]}
    yield {"calls": ["head", "stages.3.sec", "class"]}
    for inside in (
        "stages.3.second.project",
        "stages.3.second.expand",
        "stages.4.first.se.expand",
        "stages.77",
    ):
        yield {"calls": ["stages.2", inside]}


def use_unfreeze(unfreeze_from: Function, case: Case) -> tuple[Any, ...]:
    """What learns after each call, a refused one too."""
    model, learning, refused = many_stages(), [], []
    for p in parameters(model):
        p.trainable = not case.get("frozen", False)
    for until in case["calls"]:
        try:
            unfreeze_from(model, until)
        except ValueError:
            refused.append(until)
        learning.append([n for n, p in named_arrays(model) if isinstance(p, Parameter) and p.trainable])
    return learning, refused


# ---- wrong variants


def flags_of_weights_only(model: Layer, optimiser: Any, names: Collection[str]) -> None:
    learning = []
    for name, item in named_arrays(model):
        if isinstance(item, Parameter):
            learns = any(name.startswith(f"{layer}.") for layer in names)
            item.trainable = learns or name.endswith(("gamma", "beta"))
            if learns:
                learning.append(item)
    optimiser.parameters = learning


def out_of_the_loader(body: Layer, loader: Loader, cache: Any) -> tuple[Array, Array]:  # noqa: ARG001
    batches = list(loader)
    return np.concatenate([body(x) for x, _ in batches]), np.concatenate([y for _, y in batches])


def against_the_labels(body: Layer, loader: Loader, cache: Any) -> tuple[Array, Array]:  # noqa: ARG001
    return np.concatenate([body(x) for x, _ in loader]), np.array([label for _, label in loader.split])


def augmented_once(body: Layer, loader: Loader, cache: dict[str, Array]) -> tuple[Array, Array]:
    key = hashlib.sha256(b"".join(item.value.tobytes() for _, item in named_arrays(body)))
    for image, _ in loader.split:
        key.update(image.tobytes())
    whole = list(
        Loader(loader.split, loader.batch_size, loader.augment, workers=0, seed=loader.seed, shuffle=False)
    )
    if key.hexdigest() not in cache:
        cache[key.hexdigest()] = np.concatenate([body(x) for x, _ in whole])
    return cache[key.hexdigest()], np.concatenate([y for _, y in whole])


def another(id: str, what: str, look: str, make: Function) -> Mistake:
    return Mistake(id, what, look, lambda: make)


def old_columns(model: Any, classes: int, rng: Rng) -> Any:  # noqa: ARG001
    old = model.classifier
    d = old.weight.shape[0]
    head = Dense(d, classes)
    head.weight.value = np.resize(old.weight.value * 8, (d, classes))
    head.bias.value = np.resize(old.bias.value, classes)  # type: ignore[union-attr]
    model.classifier = head
    return model


def by_order_of_names(model: Layer, until: str = "classifier") -> Layer:
    items = [(name, item) for name, item in named_arrays(model) if isinstance(item, Parameter)]
    start = next((i for i, (name, _) in enumerate(items) if name.startswith(f"{until}.")), None)
    if start is None:
        raise ValueError(until)
    for i, (_, p) in enumerate(items):
        p.trainable = i >= start
    return model


def begins_with_the_letters(model: Layer, until: str = "classifier") -> Layer:
    names = [name for name, _ in named_layers(model) if name.startswith(until)]
    safe_order(model, names[0] if names else until)
    return model


def compared_as_words(model: Layer, until: str = "classifier") -> Layer:
    safe_order(model, until)
    for name, item in named_arrays(model):
        if isinstance(item, Parameter):
            item.trainable = name >= until
    return model


def norms_left(model: Layer, until: str = "classifier") -> Layer:
    safe_order(model, until)
    for _, layer in named_layers(model):
        if isinstance(layer, BatchNorm):
            layer.gamma.trainable = layer.beta.trainable = True
    return model


def safe_order(model: Layer, until: str) -> None:
    from mini_nn.transfer.parts import split

    before, after = split(model, until)
    for part, learns in ((before, False), (after, True)):
        for p in parameters(part):
            p.trainable = learns


def flags(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:set_trainable", *changes)


def features(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:precompute_features", *changes)


def head(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, NEW_HEAD, *changes)


def frozen(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, FREEZE, *changes)


EXERCISES = (
    Exercise(
        "L6.new_head",
        NEW_HEAD,
        ("shape", "first loss", "small logits", "bias is zero", "body as it was", "dtype", "same model"),
        head_cases,
        (
            head("weights_far_too_large", "Your first loss is far above log C: the head is sure of nonsense.", "Small weights, bias 0: all classes about equally likely, loss = log C.", ("head.weight.value = rng", "head.weight.value = 10_000 * rng")),
            head("usual_start", "Your first loss is above log C: the head begins with opinions.", "Far smaller than the usual 1 / sqrt(d), so that logits are nearly 0.", ("head.weight.value = rng", "head.weight.value = 1_000 * rng")),
            another("old_columns_kept", "Your new classes begin with the weights and the bias of old ones.", "New classes have nothing to do with the first C of ImageNet: draw small new weights.", old_columns),
            head("random_bias", "Your bias is random: some classes are preferred from the start.", "bias = 0.", ("np.zeros(head.bias.shape, dtype)", "rng.normal(0, 0.5, head.bias.shape).astype(dtype)")),
            head("one_class_too_many", "Your head has a class too many.", "`classes` columns: \"neither\" is one of them, if there is a folder of it.", ("Dense(d, int(classes))", "Dense(d, int(classes) + 1)")),
            head("body_initialised", "You gave the whole network new values: what it knew is gone.", "Only the classifier is new.", ("return init.seed(model, rng)", "init.initialize(model, rng)\n    return model")),
            head("double_precision", "Your head's weights are float64 in a network of float32.", ".astype of the dtype that the others have.", ("head.weight.shape).astype(dtype)", "head.weight.shape)")),
            head("nothing_returned", "You return something else than the model.", "The same model, changed.", ("return init.seed(model, rng)", "init.seed(model, rng)\n    return head")),
        ),
        (
            "C classes, and no reason to prefer one. What is the loss of a uniform guess?",
            "A Dense(d, classes) with weights of a standard deviation of 0.001 / sqrt(d), say, and a bias of 0, put into model.classifier.",
            "d = model.classifier.weight.shape[0]; values are arrays: head.weight.value = rng.normal(...).astype(...).",
        ),
        points=2,
        minutes=12,
        checks="Three networks: shapes, the first loss (to 0.02), logits below 1, a bias of zeros, an untouched body, float32; not which numbers you draw.",
        use=use_head,
        needs="import numpy as np\nfrom mini_nn.core import Layer\nfrom mini_nn.layers import Dense",
        task="A new classifier on an old network. The first loss tells whether it was put on well.",
    ),
    Exercise(
        "L6.set_trainable",
        f"{HERE}:set_trainable",
        ("weights", "statistics", "trainable"),
        trainable_cases,
        (
            another("bn_statistics_drift", "The running statistics of your frozen BatchNorms drift: they still see your few photographs and forget ImageNet.", "Every Parameter outside `names`, gamma and beta too: a BatchNorm is frozen when its gamma is.", flags_of_weights_only),
            flags("left_in_the_optimiser", "Frozen weights move: their gradient is 0, and weight decay and momentum go on.", "Take what does not learn out of optimiser.parameters.", ("optimiser.parameters = learning", "pass")),
            flags("weight_decay_moves_frozen", "Frozen weights shrink: you emptied their velocity, and weight decay fills it again.", "A weight that stays in optimiser.parameters decays, gradient or not: take it out.", ("optimiser.parameters = learning", "for p in optimiser.parameters:\n        if p not in learning:\n            optimiser.velocity.pop(p, None)")),
            flags("momentum_moves_frozen", "Frozen weights roll on: you took their weight decay away, and the velocity from before still moves them.", "A weight that stays in optimiser.parameters moves by its velocity: take it out.", ("optimiser.parameters = learning", "optimiser.no_decay |= {*optimiser.parameters} - {*learning}")),
            flags("prefix_without_dot", "Your \"stages.1\" lets stages.10 learn too.", "Compare with the name and a dot: \"stages.1.\".", ('f"{layer}."', "layer")),
            flags("never_comes_back", "A layer that was frozen once does not come back.", "Make optimiser.parameters anew from all of the model's, not from those that are left.", ("optimiser.parameters = learning", "optimiser.parameters = [p for p in optimiser.parameters if p.trainable]")),
            flags("velocity_cleared", "You clear the velocities: a layer that comes back starts anew.", "Leave optimiser.velocity alone.", ("optimiser.parameters = learning", "optimiser.parameters = learning\n    optimiser.velocity.clear()")),
            flags("not_below_the_name", "Layers inside the named ones do not learn.", "\"stages.1\" means all whose name begins with \"stages.1.\".", ('name.startswith(f"{layer}.")', 'name.rpartition(".")[0] == layer')),
            flags("turned_round", "You freeze what is named, and let the rest learn.", "trainable is True for those in `names`.", ("any(name.startswith(f\"{layer}.\") for layer in names)", "not any(name.startswith(f\"{layer}.\") for layer in names)")),
            flags("flag_not_set", "You change the optimiser's list only: BatchNorm's statistics still move, and gradients pile up.", "Set `trainable` of every Parameter, to True or to False.", ("item.trainable = any(name.startswith(f\"{layer}.\") for layer in names)\n            if item.trainable:", "if any(name.startswith(f\"{layer}.\") for layer in names):")),
            flags("never_unfrozen", "You freeze, and never set `trainable` to True again.", "A later call may bring a layer back.", ("item.trainable = any(name.startswith(f\"{layer}.\") for layer in names)", "item.trainable = item.trainable and any(name.startswith(f\"{layer}.\") for layer in names)")),
        ),
        (
            "What can change a number in a network? A gradient, and what else?",
            "Three things: the flag of each Parameter (gamma's holds BatchNorm's statistics), the optimiser's list, and nothing more.",
            "Go over named_arrays(model): for a Parameter set trainable by its name, and collect those that learn; they are the new optimiser.parameters.",
        ),
        points=3,
        minutes=15,
        checks="A small network with BatchNorm, trained with momentum and weight decay before and after each call; six sequences of calls, every number.",
        use=use_trainable,
        needs="from mini_nn.core import Parameter, named_arrays",
        task="Freezing, and all the ways in which frozen weights move nevertheless.",
    ),
    Exercise(
        "L6.precompute_features",
        f"{HERE}:precompute_features",
        ("features", "labels", "through the body"),
        feature_cases,
        (
            features("train_mode_batch_norm", "The body runs in training mode: BatchNorm uses each batch's own statistics, so an image's features depend on its neighbours.", "body(x) predicts; body.forward(x, train=True) trains.", ("body(x[start : start + loader.batch_size])", "body.forward(x[start : start + loader.batch_size], train=True)[0]")),
            another("shuffled_against_labels", "The features are in the loader's order and the labels in the split's: every image has another one's label.", "Both from loader.split, in the same loop.", against_the_labels),
            another("taken_from_the_loader", "You take images and labels from the training loader: shuffled, augmented once for ever, and the last small batch is lost.", "Go over loader.split.", out_of_the_loader),
            features("last_partial_batch_lost", "The last small batch is lost.", "Starts 0, B, 2B, ... up to the end; the last slice may be shorter.", ("range(0, len(x), loader.batch_size)", "range(0, len(x) - loader.batch_size + 1, loader.batch_size)")),
            another("augmentation_frozen_in", "One draw of the augmentation is frozen into the features: each image is distorted in the same way for ever.", "The images as they are: loader.split, without loader.augment.", augmented_once),
            features("stale_cache", "Your cache's key does not depend on the network: when its weights change, you get the old features.", "The values of all named_arrays(body) belong to the key.", ("content.update(item.value.tobytes())", "pass")),
            features("stale_cache_for_other_images", "Your cache's key does not depend on the images.", "The images' bytes belong to the key.", ("hashlib.sha256(x.tobytes())", "hashlib.sha256(str(x.shape).encode())")),
            features("buffers_not_in_the_key", "Your cache's key holds the Parameters only: another running mean gives other features, too.", "All named_arrays: Parameters and Buffers.", ("content.update(item.value.tobytes())", "content.update(item.value.tobytes() if isinstance(item, Parameter) else b'')")),
            features("one_key_for_all", "Everything has the same key in your cache.", "A hash of the body's values and the images.", ("key = content.hexdigest()", "key = 'features'")),
            features("never_cached", "You compute everything again each time.", "Look into the cache first, and put into it what you computed.", ("if key not in cache:", "if key:")),
            features("all_at_once", "All images go through the body at once: a thousand photographs need more memory than there is.", "loader.batch_size at a time.", ("starts = range(0, len(x), loader.batch_size)", "starts = [0]"), ("body(x[start : start + loader.batch_size])", "body(x[start:])")),
            features("one_at_a_time", "One image at a time goes through the body: right, and slow.", "loader.batch_size at a time.", ("starts = range(0, len(x), loader.batch_size)", "starts = range(len(x))"), ("body(x[start : start + loader.batch_size])", "body(x[start : start + 1])")),
        ),
        (
            "Which of the loader's services do you want here, and which would spoil the features?",
            "Images and labels from loader.split; body(x) in slices; hashlib.sha256 of the images' bytes and of every array's of the body as key.",
            "key in the cache? Then that. Otherwise np.concatenate over starts 0, B, 2B ..., each slice x[start : start + B].",
        ),
        points=4,
        minutes=20,
        checks="Three sets of images, asked for nine times each: again, with each of the body's five arrays changed, with other images, and with the first ones.",
        use=use_features,
        needs="import hashlib\nfrom mini_nn.core import Layer, named_arrays\nfrom mini_nn.data import Loader",
        tolerance=1e-5,
        task="Strategy A's trick: all frozen layers once for each photograph, and never again.",
    ),
    Exercise(
        "L6.unfreeze_from",
        FREEZE,
        ("what learns", "refused"),
        unfreeze_cases,
        (
            another("cuts_a_residual_block", "You cut inside a residual block or a gate: the frozen half of a sum cannot be computed ahead, as what comes from below is added after it.", "ValueError where a Residual or a Gate is on the way to the layer.", by_order_of_names),
            another("prefix_without_dot", "You take the first layer whose name begins with these letters: \"stages.3.sec\" is no layer, and \"class\" is none.", "Compare the whole name of a layer, or all of it and a dot.", begins_with_the_letters),
            another("compared_as_words", "You compare names as words: \"stages.10\" comes before \"stages.2\", and \"classifier\" before all.", "The order is that of the layers: named_layers or named_arrays.", compared_as_words),
            another("norms_left", "The BatchNorms below the cut still learn.", "All Parameters below it, gamma and beta too.", norms_left),
            frozen("stays_frozen", "What was frozen before stays so: only the parts below the cut are set.", "Set trainable to True from the cut on.", ("p.trainable = True", "pass")),
            frozen("nothing_frozen", "Nothing below the cut is frozen.", "trainable = False for all that comes before.", ("p.trainable, p.grad = False, None", "p.grad = None")),
            frozen("turned_round", "You freeze what comes after, and train what comes before.", "The early layers see edges, which are the same everywhere: those stay.", ("before, after = split(model, until)", "after, before = split(model, until)")),
            frozen("one_stage_only", "All but what comes after is frozen, and the rest never learns again.", "`until` and ALL after it learn.", ("p.trainable = True", "p.trainable = False")),
        ),
        (
            "Two parts: before the layer, and from it on. Where must there be no cut?",
            "Walk down the name, part by part, from the model; a Residual or a Gate on the way means ValueError, before you change anything.",
            "named_arrays(model) comes in the order of the layers: everything before the first name that begins with `until` and a dot is frozen, all from there on learns.",
        ),
        points=3,
        minutes=15,
        checks="30 calls on a network of twelve stages: stages, blocks, the whole; inside sums and gates, and a name that is not there.",
        core=False,
        use=use_unfreeze,
        needs="from mini_nn.core import Layer, Parameter, named_arrays, named_layers\nfrom mini_nn.layers import Gate, Residual",
        task="Strategy B's line. ValueError, and the model as it was, where there is no such layer, or where it lies inside a Residual or a Gate (mini_nn.layers): half of a sum cannot run alone.",
    ),
)  # fmt: skip
