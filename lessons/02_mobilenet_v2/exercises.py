"""L2, inverted residuals and MobileNet v2: what is asked, the cases, and the mistakes that have a name."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn.blocks import round_channels
from mini_nn.ops import Array, depthwise, pointwise, relu6
from mini_nn.ops.padding import Padding

HERE = "lessons.02_mobilenet_v2.exercises"
RELU6, ROUND = "mini_nn.ops.relu6", "mini_nn.blocks:round_channels"
Rng = np.random.Generator
Row = tuple[str, int, int, int, int]


def inverted_residual_rows(
    in_channels: int, out_channels: int, expand_ratio: int, stride: int
) -> tuple[list[tuple[str, int, int, int, str]], bool]:
    """Return (rows, skip): the block's layers as (kind, channels in, channels out, stride, activation), and whether x is added.

    Kinds are "expand", "depthwise", "project"; activations "relu6" or "linear".  An expand_ratio of 1 has no "expand" layer.
    """
    hidden = in_channels * expand_ratio
    rows = [("expand", in_channels, hidden, 1, "relu6")] if expand_ratio != 1 else []
    rows += [("depthwise", hidden, hidden, stride, "relu6"), ("project", hidden, out_channels, 1, "linear")]
    return rows, stride == 1 and in_channels == out_channels


def inverted_residual_forward(
    x: Array,
    w_expand: Array | None,
    w_depthwise: Array,
    w_project: Array,
    stride: int = 1,
    padding: Padding = "same",
) -> Array:
    """Return y of the block without its BatchNorms: expand, filter, project, and x added where the shapes allow it.

    x (N, H, W, I), w_expand (I, T) or None (then T = I and nothing is expanded), w_depthwise (K, K, T), w_project (T, O).
    ReLU6 follows the expansion and the depthwise layer; the projection is linear.  x is added if stride = 1 and I = O.
    """
    h = x if w_expand is None else relu6.forward(pointwise.forward(x, w_expand))
    h = relu6.forward(depthwise.forward(h, w_depthwise, stride, padding))
    y = pointwise.forward(h, w_project)
    return x + y if stride == 1 and x.shape[3] == y.shape[3] else y


def sequential_backward(layers: Sequence[Any], caches: Sequence[Any], dy: Array) -> Array:
    """Return dx of layers called one after the other; caches[i] is what layers[i].forward remembered.

    layer.backward(dy, cache) -> dx is there for every layer.
    """
    for layer, cache in zip(reversed(layers), reversed(caches), strict=True):
        dy = layer.backward(dy, cache)
    return dy


def residual_backward(branch: Any, cache: Any, dy: Array) -> Array:
    """Return dx of y = x + branch(x).  branch.backward(dy, cache) gives the branch's own share."""
    return dy + branch.backward(dy, cache)


def mobilenet_v2(width_mult: float = 1.0, resolution: int = 224, classes: int = 1000) -> list[Row]:
    """Return the network as rows (kind, in_channels, out_channels, stride, height of the output), first to last.

    ("conv", 3, 32, 2, 112); for each block "expand" (not where t = 1), "depthwise", "project"; then
    ("head", 320, 1280, 1, 7), ("dense", 1280, 1000, 1, 1).  The paper's table 2 as (t, c, n, s): (1, 16, 1, 1), (6, 24, 2, 2),
    (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1); s belongs to the first of the n blocks.
    `round_channels(c * width_mult)` scales channels; the head never gets fewer than 1280, and grows for width_mult > 1.
    """
    table = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    height, before = -(-resolution // 2), round_channels(32 * width_mult)
    rows = [("conv", 3, before, 2, height)]
    for t, c, n, s in table:
        after = round_channels(c * width_mult)
        for i in range(n):
            stride = s if i == 0 else 1
            hidden = before * t
            if t != 1:
                rows.append(("expand", before, hidden, 1, height))
            height = -(-height // stride)
            rows += [("depthwise", hidden, hidden, stride, height), ("project", hidden, after, 1, height)]
            before = after
    head = round_channels(1280 * max(1.0, width_mult))
    return [*rows, ("head", before, head, 1, height), ("dense", head, classes, 1, 1)]


# ---- cases


def relu6_cases(rng: Rng) -> Iterator[Case]:
    yield {"x": np.array([-1.0, 0.0, 3.0, 6.0, 7.5])}
    for shape in ((3, 4), (2, 3, 5, 2)):
        yield {"x": rng.normal(size=shape) * 5 + 2}


def relu6_backward_cases(rng: Rng) -> Iterator[Case]:
    for case in relu6_cases(rng):
        yield {"dy": rng.normal(size=case["x"].shape) + 2, **case}


def rows_cases(_: Rng) -> Iterator[Case]:
    for i, o, t, s in (
        (8, 8, 6, 1),
        (8, 8, 6, 2),
        (8, 12, 6, 1),
        (16, 16, 1, 1),
        (32, 16, 1, 1),
        (6, 4, 3, 2),
        (6, 6, 1, 2),
    ):
        yield {"in_channels": i, "out_channels": o, "expand_ratio": t, "stride": s}


def block_cases(rng: Rng) -> Iterator[Case]:
    for shape, t, o, k, stride in (
        ((2, 3, 4, 2), 3, 3, 3, 1),
        ((2, 4, 3, 3), 4, 3, 3, 1),
        ((2, 5, 6, 3), 2, 3, 3, 2),
        ((1, 6, 7, 2), 3, 4, 5, 2),
        ((2, 4, 5, 3), 1, 3, 3, 1),
        ((2, 4, 5, 2), 1, 3, 3, 1),
    ):
        i, hidden = shape[3], shape[3] * t
        yield {
            "x": rng.normal(size=shape) * 3,
            "w_expand": None if t == 1 else rng.normal(size=(i, hidden)) * 2,
            "w_depthwise": rng.normal(size=(k, k, hidden)),
            "w_project": rng.normal(size=(hidden, o)),
            "stride": stride,
        }


class Power(NamedTuple):
    """A layer to try backwards on: y = scale x^power, number by number; the cache is x."""

    power: int
    scale: float

    def forward(self, x: Array) -> tuple[Array, Array]:
        return self.scale * x**self.power, x

    def backward(self, dy: Array, cache: Array) -> Array:
        return dy * (self.scale * self.power * cache ** (self.power - 1))


class Mix(NamedTuple):
    """y = x @ w, w (I, O); the cache is None: dx needs w only."""

    w: Array

    def forward(self, x: Array) -> tuple[Array, None]:
        return x @ self.w, None

    def backward(self, dy: Array, cache: None) -> Array:
        return dy @ self.w.T


def sequential_cases(rng: Rng) -> Iterator[Case]:
    mixes = [Mix(rng.normal(size=size)) for size in ((3, 3), (3, 3), (3, 2))]
    for layers in (
        [Power(2, 3.0)],
        [Power(2, 0.5), Power(3, 2.0)],
        [mixes[0], Power(2, 0.5), mixes[1], Power(3, 0.1), mixes[2]],
    ):
        x, caches = rng.normal(size=(2, 3)) + 1, []
        for layer in layers:
            x, cache = layer.forward(x)
            caches.append(cache)
        yield {"layers": layers, "caches": caches, "dy": rng.normal(size=x.shape)}


def residual_cases(rng: Rng) -> Iterator[Case]:
    for shape in ((2,), (2, 3), (2, 3, 4, 2)):
        yield {"branch": Power(3, 0.3), "cache": rng.normal(size=shape), "dy": rng.normal(size=shape)}


def round_cases(_: Rng) -> Iterator[Case]:
    for c in (
        8,
        16,
        24,
        32,
        3,
        11.9,
        12,
        12.1,
        4.8,
        44.8,
        19.2,
        33.6,
        20,
        60,
        22.4,
        9.6,
        134.4,
        89.6,
        18.0,
        42.0,
    ):
        yield {"channels": c}
    for c, divisor in ((10, 4), (13, 4), (35, 16), (3, 16), (10, 9)):
        yield {"channels": c, "divisor": divisor}


def network_cases(_: Rng) -> Iterator[Case]:
    # at 8 times the width no rounding hides a channel too many
    for width_mult, resolution, classes in (
        (1.0, 224, 1000),
        (0.35, 96, 10),
        (1.4, 224, 1000),
        (0.5, 97, 7),
        (8.0, 32, 2),
    ):
        yield {"width_mult": width_mult, "resolution": resolution, "classes": classes}


def cost_of(rows: Any) -> tuple[int, int]:
    """(parameters of the weights, multiply-adds) of rows as mobilenet_v2 gives them."""
    params = macs = 0
    for kind, i, o, _, height in rows:
        own = {"conv": 9 * i * o, "depthwise": 9 * i}.get(kind, i * o)
        params, macs = params + own, macs + own * height * height
    return params, macs


def use_network(build: Function, case: Case) -> tuple[Any, ...]:
    rows = [tuple(row) for row in build(**case)]
    return len(rows), *cost_of(rows), rows


# ---- wrong variants


def overwriting(dy: Array, x: Array) -> Array:
    np.clip(x, 0, 6, out=x)
    return dy * ((x > 0) & (x < 6))


def adding_in_place(branch: Any, cache: Any, dy: Array) -> Array:
    share = branch.backward(dy.copy(), cache)
    dy += share
    return dy


def block(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:inverted_residual_forward", *changes)


def table(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:mobilenet_v2", *changes)


LINEAR = "The thin ends carry what is left: a ReLU there throws half of it away (the paper's figure 1)."

EXERCISES = (
    Exercise(
        "L2.relu6",
        f"{RELU6}:forward",
        ("y",),
        relu6_cases,
        (
            mistake("leaks_above_6", "Your y grows beyond 6: that is a ReLU.", "min(max(x, 0), 6).", f"{RELU6}:forward", ("np.clip(x, 0, 6)", "np.maximum(x, 0)")),
            mistake("leaks_below_0", "Your y goes below 0.", "min(max(x, 0), 6).", f"{RELU6}:forward", ("np.clip(x, 0, 6)", "np.minimum(x, 6)")),
            mistake("zero_above_6", "Your y is 0 where x is above 6.", "Above 6 it stays at 6.", f"{RELU6}:forward", ("np.clip(x, 0, 6)", "np.where(x > 6, 0, np.maximum(x, 0))")),
            mistake("clipped_at_1", "Your y stops at 1.", "It stops at 6.", f"{RELU6}:forward", ("np.clip(x, 0, 6)", "np.clip(x, 0, 1)")),
            mistake("scaled_to_6", "Your y is scaled, not cut.", "Between 0 and 6 y is x itself.", f"{RELU6}:forward", ("np.clip(x, 0, 6)", "6 * np.clip(x, 0, 1)")),
        ),
        ("What is y for x = -1, 3 and 7?", "Cut x off at 0 from below and at 6 from above.", "np.clip, or minimum of a maximum"),
        points=1,
        minutes=3,
        core=False,
        checks="Three shapes, numbers on both sides of 0 and 6 and exactly there.",
        mine=(f"{RELU6}:forward",),
        task="The activation of both MobileNets: a ReLU that stops at 6, so that eight bits are enough for it.",
    ),
    Exercise(
        "L2.relu6_backward",
        f"{RELU6}:backward",
        ("dx",),
        relu6_backward_cases,
        (
            mistake("leaks_above_6", "Your gradient passes where x is above 6.", "There y is 6 whatever x is: the slope is 0.", f"{RELU6}:backward", ("(x > 0) & (x < 6)", "(x > 0)")),
            mistake("leaks_below_0", "Your gradient passes where x is below 0.", "There y is 0 whatever x is: the slope is 0.", f"{RELU6}:backward", ("(x > 0) & (x < 6)", "(x < 6)")),
            Mistake("cache_overwritten", "You wrote to x, which is the cache: whoever needs it next finds other numbers.", "Make a mask from x; do not clip x in place.", lambda: overwriting),
            mistake("one_at_the_kinks", "Your slope at exactly 0 and 6 is 1.", "Take 0 at both kinks, as PyTorch and Keras do: < and >, not <= and >=.", f"{RELU6}:backward", ("(x > 0) & (x < 6)", "(x >= 0) & (x <= 6)")),
            mistake("upstream_ignored", "Your dx is the slope alone.", "dx = dy * slope.", f"{RELU6}:backward", ("dy * (", "1.0 * (")),
            mistake("gradient_clipped", "You clip dy to 0 ... 6.", "The slope looks at x; dy is multiplied, not cut.", f"{RELU6}:backward", ("dy * ((x > 0) & (x < 6))", "np.clip(dy, 0, 6)")),
            mistake("value_in_place_of_slope", "You multiply by relu6(x), not by its slope.", "The slope is 1 between 0 and 6, 0 elsewhere.", f"{RELU6}:backward", ("((x > 0) & (x < 6))", "np.clip(x, 0, 6)")),
        ),
        ("Where does y move when x moves?", "Between 0 and 6 the slope is 1, elsewhere 0.", "dy times a mask: above 0 and below 6, joined by & because it is number by number"),
        points=1,
        minutes=5,
        core=False,
        checks="Three shapes, numbers on both sides of 0 and 6 and exactly there; x must not change.",
        task="The way back through ReLU6, given dy and the x of the forward pass.",
    ),
    Exercise(
        "L2.inverted_residual_rows",
        f"{HERE}:inverted_residual_rows",
        ("rows", "skip"),
        rows_cases,
        (
            mistake("expansion_taken_as_channels", "You take the expansion t as the number of channels.", "t is a factor: the hidden layer has t times the input's channels.", f"{HERE}:inverted_residual_rows", ("in_channels * expand_ratio", "expand_ratio")),
            mistake("expansion_of_the_output", "Your hidden channels are t times the OUTPUT's.", "The block expands what comes in: hidden = t * in_channels.", f"{HERE}:inverted_residual_rows", ("in_channels * expand_ratio", "out_channels * expand_ratio")),
            mistake("expansion_at_t_1", "You have an expand layer where t = 1.", "With t = 1 there is nothing to expand: the block starts with its depthwise layer.", f"{HERE}:inverted_residual_rows", (" if expand_ratio != 1 else []", "")),
            mistake("relu_after_the_projection", "Your projection has an activation.", LINEAR, f"{HERE}:inverted_residual_rows", ('"linear"', '"relu6"')),
            mistake("skip_at_stride_2", "You add x at stride 2.", "There y has a quarter of x's pixels: nothing to add.", f"{HERE}:inverted_residual_rows", ("stride == 1 and ", "")),
            mistake("skip_where_channels_differ", "You add x where the channels differ.", "MobileNetV2 has no projection on its shortcuts: x is added only where shapes agree.", f"{HERE}:inverted_residual_rows", (" and in_channels == out_channels", "")),
            mistake("stride_in_the_expansion", "Your stride is in the expand layer.", "The depthwise layer steps: it is the only one that looks at windows.", f"{HERE}:inverted_residual_rows", ("in_channels, hidden, 1,", "in_channels, hidden, stride,"), ("hidden, hidden, stride,", "hidden, hidden, 1,")),
            mistake("always_skips", "You always add x.", "Only where stride = 1 and the channels agree.", f"{HERE}:inverted_residual_rows", ("stride == 1 and in_channels == out_channels", "True")),
        ),
        ("Three layers, two, or with a fourth? When is there something to add x to?", "Expand to t times the input's channels, filter with the stride, project without activation.", "skip: the stride is 1 and the channels out are the channels in"),
        points=2,
        minutes=10,
        core=False,
        checks="Seven blocks: t = 1 and more, stride 1 and 2, equal and different channels; every row exactly.",
        task="The plan of the block, before any arithmetic.",
    ),
    Exercise(
        "L2.inverted_residual_forward",
        f"{HERE}:inverted_residual_forward",
        ("y",),
        block_cases,
        (
            block("relu_after_the_projection", "You put an activation after the projection.", LINEAR, ("y = pointwise.forward(h, w_project)", "y = relu6.forward(pointwise.forward(h, w_project))")),
            block("relu_after_the_addition", "You put an activation after the addition.", "That is ResNet's order. Here the sum stays linear.", ("return x + y if stride == 1 and x.shape[3] == y.shape[3] else y", "return relu6.forward(x + y) if stride == 1 and x.shape[3] == y.shape[3] else y")),
            block("skip_at_stride_2", "You add every second pixel of x at stride 2.", "Blocks that shrink the image have no shortcut.", ("x + y if stride == 1 and", "x[:, ::stride, ::stride] + y if")),
            block("projection_shortcut", "You add x where the channels differ, cut or filled up.", "MobileNetV2 adds x only where I = O.", ("return x + y if stride == 1 and x.shape[3] == y.shape[3] else y", "c = min(x.shape[3], y.shape[3])\n    if stride == 1:\n        y[..., :c] += x[..., :c]\n    return y")),
            block("skip_forgotten", "You never add x.", "Where stride = 1 and I = O, y = x + branch(x).", ("return x + y if stride == 1 and x.shape[3] == y.shape[3] else y", "return y")),
            block("activation_at_t_1", "With t = 1 you still put x through ReLU6.", "No expansion, no activation of it: the depthwise layer gets x itself.", ("x if w_expand is None else", "relu6.forward(x) if w_expand is None else")),
            block("no_activation_after_the_expansion", "Your expansion is linear.", "ReLU6 follows it; only the projection is linear.", ("relu6.forward(pointwise.forward(x, w_expand))", "pointwise.forward(x, w_expand)")),
            block("no_activation_after_the_depthwise", "Your depthwise layer is linear.", "ReLU6 follows it; only the projection is linear.", ("relu6.forward(depthwise.forward(h, w_depthwise, stride, padding))", "depthwise.forward(h, w_depthwise, stride, padding)")),
            block("relu_for_relu6", "Your activations do not stop at 6.", "ReLU6: min(max(x, 0), 6).", ("h = x if w_expand is None else relu6.forward(pointwise.forward(x, w_expand))", "h = x if w_expand is None else np.maximum(pointwise.forward(x, w_expand), 0)"), ("h = relu6.forward(depthwise", "h = np.maximum(0, depthwise")),
            block("stride_ignored", "Your depthwise layer has stride 1.", "It is the one that steps.", ("w_depthwise, stride, padding", "w_depthwise, 1, padding")),
        ),
        (
            "Write the order down: expand, filter, project. Where are the activations?",
            "Two ReLU6: after the expansion and after the depthwise layer. None at the end.",
            "pointwise, relu6, depthwise, relu6, pointwise; add x only where stride = 1 and the channels agree",
        ),
        points=3,
        minutes=20,
        checks="Six blocks with and without expansion, stride and skip; to 1e-8.",
        needs="from mini_nn.ops import depthwise, pointwise, relu6",
        task="The block in numbers. The library's depthwise.forward, pointwise.forward and relu6.forward may be used.",
    ),
    Exercise(
        "L2.sequential_backward",
        f"{HERE}:sequential_backward",
        ("dx",),
        sequential_cases,
        (
            mistake("order", "You go through the layers from first to last.", "The last layer was called last, so it is undone first.", f"{HERE}:sequential_backward", ("zip(reversed(layers), reversed(caches), strict=True)", "zip(layers, caches, strict=True)")),
            mistake("caches_mixed_up", "Your layers go backwards and their caches do not.", "Each layer needs its own cache: reverse both.", f"{HERE}:sequential_backward", ("reversed(caches)", "caches")),
            mistake("first_layer_forgotten", "You stop before the first layer.", "dx is the gradient of what went INTO the first layer.", f"{HERE}:sequential_backward", ("zip(reversed(layers), reversed(caches), strict=True)", "zip(reversed(layers[1:]), reversed(caches[1:]), strict=True)")),
            mistake("last_layer_forgotten", "You skip the last layer.", "dy is the gradient of what came OUT of it.", f"{HERE}:sequential_backward", ("zip(reversed(layers), reversed(caches), strict=True)", "zip(reversed(layers[:-1]), reversed(caches[:-1]), strict=True)")),
            mistake("always_the_same_dy", "Each layer gets the dy from the very end.", "What a layer gives back is the dy of the one before: pass it on.", f"{HERE}:sequential_backward", ("dy = layer.backward(dy, cache)", "dx = layer.backward(dy, cache)"), ("return dy", "return dx")),
        ),
        ("The chain rule, as a loop.", "Backwards, each layer with its own cache, each with what the one after it gave.", "Go over zip(reversed(...), reversed(...)); what backward gives is the next dy."),
        points=2,
        minutes=10,
        core=False,
        checks="One, two and five layers whose shapes change on the way.",
        task="The chain rule as a loop: this is all that Sequential does.",
    ),
    Exercise(
        "L2.residual_backward",
        f"{HERE}:residual_backward",
        ("dx",),
        residual_cases,
        (
            mistake("skip_gradient_lost", "Your gradient goes through the branch only.", "x reaches y on two roads, and one of them is the shortcut: add dy.", f"{HERE}:residual_backward", ("dy + branch", "branch")),
            mistake("branch_gradient_lost", "Your gradient takes the shortcut only.", "x reaches y through the branch too.", f"{HERE}:residual_backward", ("dy + branch.backward(dy, cache)", "dy")),
            mistake("counted_twice", "You add dy twice.", "There is one shortcut.", f"{HERE}:residual_backward", ("dy + branch", "dy + dy + branch")),
            mistake("branch_counted_twice", "The branch's input gets the sum of both roads.", "The branch's output got dy, nothing else.", f"{HERE}:residual_backward", ("branch.backward(dy, cache)", "branch.backward(dy + branch.backward(dy, cache), cache)")),
            mistake("averaged", "You take the mean of the two roads.", "Gradients of two roads add up.", f"{HERE}:residual_backward", ("dy + branch.backward(dy, cache)", "(dy + branch.backward(dy, cache)) / 2")),
            Mistake("dy_overwritten", "You added the branch's share into dy itself, which is not yours.", "dy belongs to whoever called: a + b, not a += b.", lambda: adding_in_place),
        ),
        ("y = x + f(x). On how many roads does x reach y?", "The sum rule: each road brings its share.", "dy from the shortcut, branch.backward(dy, cache) from the branch"),
        points=1,
        minutes=5,
        core=False,
        checks="Three shapes; dy must not change.",
        task="The sum rule: this is all that Residual does.",
    ),
    Exercise(
        "L2.make_divisible",
        ROUND,
        ("channels",),
        round_cases,
        (
            mistake("floor", "You always round down.", "The nearest multiple: add half a divisor first.", ROUND, ("channels + divisor / 2", "channels")),
            mistake("no_10_percent_rule", "You round to the nearest multiple, however far down that is.", "If the result is less than 0.9 of what was asked, go one divisor up.", ROUND, ("rounded + divisor if rounded < 0.9 * channels else rounded", "rounded")),
            mistake("ceil", "You always round up.", "To the nearest multiple; up only where down would lose more than 10 %.", ROUND, ("int(channels + divisor / 2) // divisor * divisor", "int(-(-channels // divisor)) * divisor")),
            mistake("rule_turned_round", "Your 10 % rule looks upwards.", "rounded < 0.9 * channels, not channels < 0.9 * rounded.", ROUND, ("rounded < 0.9 * channels", "channels < 0.9 * rounded")),
            mistake("divisor_fixed", "You always round to multiples of 8.", "`divisor` is an argument.", ROUND, ("rounded = max", "divisor = 8\n    rounded = max")),
        ),
        ("Multiples of 8 suit the hardware. Which multiple is nearest?", "int(c + d / 2) // d * d is the nearest; at least d.", "Then: if that is less than 0.9 c, add d."),
        points=2,
        minutes=10,
        core=False,
        checks="24 numbers, among them those where the 10 % rule decides.",
        task="Channels in MobileNetV2 and EfficientNet are multiples of 8. Round like their authors do.",
    ),
    Exercise(
        "L2.mobilenet_v2",
        f"{HERE}:mobilenet_v2",
        ("rows", "params", "macs", "table"),
        network_cases,
        (
            table("stride_table_of_a_zoo", "Your strides are those of a famous model zoo: the same parameters, far more multiply-adds.", "The row of 64 channels has stride 2, the row of 96 has stride 1. Parameters do not notice; multiply-adds do.", ("(6, 64, 4, 2), (6, 96, 3, 1)", "(6, 64, 4, 1), (6, 96, 3, 2)")),
            table("stride_on_every_block", "Every block of a row has the row's stride.", "Only the first of the n blocks steps; the others have stride 1.", ("s if i == 0 else 1", "s")),
            table("stride_on_the_last_block", "Your stride is on the last block of a row.", "The first of the n blocks steps, and the others work on the smaller image.", ("s if i == 0 else 1", "s if i == n - 1 else 1")),
            table("expansion_at_t_1", "Your first block has an expansion.", "t = 1: nothing to expand.", ("if t != 1:", "if t:")),
            table("expansion_of_the_output", "Your hidden channels are t times the output's.", "t times the INPUT's channels.", ("hidden = before * t", "hidden = after * t")),
            table("expansion_taken_as_channels", "Your hidden layer has t channels.", "t is a factor.", ("hidden = before * t", "hidden = t")),
            table("width_on_a_thin_head", "Your head gets thinner with the width.", "The last layer keeps 1280 for width_mult below 1 (section 4.1 of the paper).", ("1280 * max(1.0, width_mult)", "1280 * width_mult")),
            table("head_never_widened", "Your head stays at 1280 for every width.", "It grows with width_mult above 1: 1792 at 1.4.", ("round_channels(1280 * max(1.0, width_mult))", "1280")),
            table("width_not_on_the_stem", "Your first layer keeps 32 channels.", "The multiplier holds for it too.", ("round_channels(32 * width_mult)", "32")),
            table("channels_not_rounded", "Your channels are cut off, not rounded to multiples of 8.", "round_channels(c * width_mult).", ("after = round_channels(c * width_mult)", "after = int(c * width_mult)")),
            table("expansion_on_the_small_image", "Your expand layer works after the stride.", "It comes before the depthwise layer, on the larger image.", ("if t != 1:\n                rows.append((\"expand\", before, hidden, 1, height))\n            height = -(-height // stride)", "height = -(-height // stride)\n            if t != 1:\n                rows.append((\"expand\", before, hidden, 1, height))")),
        ),
        (
            "Go through the table row by row; each row is n blocks, and only the first steps.",
            "Keep the channels before and the height. hidden = before * t. Expand works on the height before the stride.",
            "for t, c, n, s in table: for i in range(n): stride is s where i is 0, otherwise 1; three rows, or two where t = 1",
        ),
        points=4,
        minutes=25,
        core=False,
        checks="Four settings of width, resolution and classes; number of rows, parameters, multiply-adds, every row.",
        needs="from mini_nn.blocks import round_channels",
        use=use_network,
        task="The whole network as a table, from the paper's table 2.",
    ),
)  # fmt: skip
