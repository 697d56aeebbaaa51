"""L3, squeeze-and-excitation, swish, MBConv and EfficientNet-B0: what is asked, the cases, the mistakes that have a name."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn.ops import Array, sigmoid, swish

HERE = "lessons.03_efficientnet.exercises"
SWISH = "mini_nn.ops.swish"
Rng = np.random.Generator
Row = tuple[str, int, int, int, int, int]


def gate_backward(dy: Array, x: Array, g: Array) -> tuple[Array, Array]:
    """Return (dx, dg) of y = x * g, the product rule, where each channel of an image has one gate.

    dy, x (N, H, W, C), g (N, 1, 1, C): every pixel of a channel met the same gate, so its gradient adds up over them.
    """
    return dy * g, (dy * x).sum((1, 2), keepdims=True)


def squeeze_excite_forward(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    """Return y = x * g: look at the whole image, then turn each channel up or down.

    s = mean of x over H and W (N, C);  z = swish(s @ w1 + b1) (N, R);  g = sigmoid(z @ w2 + b2) (N, C).
    x, y (N, H, W, C), w1 (C, R), b1 (R,), w2 (R, C), b2 (C,).
    """
    s = x.mean((1, 2))
    g = sigmoid.forward(swish.forward(s @ w1 + b1) @ w2 + b2)
    return x * g[:, None, None, :]


def squeeze_excite_backward(
    dy: Array, x: Array, w1: Array, b1: Array, w2: Array, b2: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return (dx, dw1, db1, dw2, db2) of squeeze_excite_forward.  x reaches y on two roads: directly, and through its mean."""
    h, w = x.shape[1:3]
    s = x.mean((1, 2))
    a = s @ w1 + b1
    z = swish.forward(a)
    g = sigmoid.forward(z @ w2 + b2)
    dg = (dy * x).sum((1, 2))
    du = dg * g * (1 - g)
    da = swish.backward(du @ w2.T, a)
    ds = da @ w1.T
    dx = dy * g[:, None, None, :] + ds[:, None, None, :] / (h * w)
    return dx, s.T @ da, da.sum(0), z.T @ du, du.sum(0)


def se_channels(in_channels: int, expand_ratio: int, se_ratio: float = 0.25) -> tuple[int, int]:
    """Return (channels that are gated, squeezed channels) of squeeze-excite in an MBConv block.

    It gates the expanded channels, in_channels * expand_ratio.  It squeezes to se_ratio of the block's INPUT channels, cut to a
    whole number, at least 1.
    """
    return in_channels * expand_ratio, max(1, int(in_channels * se_ratio))


def stochastic_depth(
    x: Array, branch: Array, rate: float, train: bool, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return (y, keep): y = x + branch * keep.

    keep (N, 1, 1, 1) is 0 for an image whose branch is dropped, 1 / (1 - rate) for the others, so that the mean stays; all ones
    in prediction.  Draw rng.random(N) once: an image is dropped where its number is below rate.
    """
    shape = (len(x), 1, 1, 1)
    if not train:
        return x + branch, np.ones(shape)
    keep = (rng.random(len(x)) >= rate).reshape(shape) / (1 - rate)
    return x + branch * keep, keep


def stochastic_depth_backward(dy: Array, keep: Array) -> tuple[Array, Array]:
    """Return (dx, dbranch) of y = x + branch * keep, with the keep of the forward pass."""
    return dy, dy * keep


def efficientnet_b0(resolution: int = 224, classes: int = 1000) -> list[Row]:
    """Return B0 as rows (kind, in_channels, out_channels, kernel_size, stride, height of the output), first to last.

    ("conv", 3, 32, 3, 2, 112); for each block "expand" (not where t = 1), "depthwise", "reduce" and "restore" (squeeze-excite,
    height 1), "project", and "skip" where x is added; then ("head", 320, 1280, 1, 1, 7), ("dense", 1280, 1000, 1, 1, 1).
    The paper's table 1 as (t, k, s, c, n): (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1); s belongs to the first of the n blocks.
    """
    table = [
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ]
    height, before = -(-resolution // 2), 32
    rows = [("conv", 3, before, 3, 2, height)]
    for t, k, s, after, n in table:
        for i in range(n):
            stride, hidden, squeezed = s if i == 0 else 1, before * t, max(1, before // 4)
            if t != 1:
                rows.append(("expand", before, hidden, 1, 1, height))
            height = -(-height // stride)
            rows.append(("depthwise", hidden, hidden, k, stride, height))
            rows += [("reduce", hidden, squeezed, 1, 1, 1), ("restore", squeezed, hidden, 1, 1, 1)]
            rows.append(("project", hidden, after, 1, 1, height))
            if stride == 1 and before == after:
                rows.append(("skip", after, after, 1, 1, height))
            before = after
    return [*rows, ("head", before, 1280, 1, 1, height), ("dense", 1280, classes, 1, 1, 1)]


# ---- cases


def swish_cases(rng: Rng) -> Iterator[Case]:
    yield {"x": np.array([-2.0, 0.0, 1.0])}
    yield {"x": rng.normal(size=(2, 3, 4)) * 3}
    yield {"x": np.array([-1000.0, -100.0, 0.5, 100.0, 1000.0])}


def swish_backward_cases(rng: Rng) -> Iterator[Case]:
    for case in swish_cases(rng):
        yield {"dy": rng.normal(size=case["x"].shape) + 2, **case}


def gate_cases(rng: Rng) -> Iterator[Case]:
    for n, h, w, c in ((2, 1, 2, 1), (2, 3, 4, 3), (3, 2, 2, 2)):
        shape = (n, h, w, c)
        yield {"dy": rng.normal(size=shape), "x": rng.normal(size=shape), "g": rng.random((n, 1, 1, c))}


def se_cases(rng: Rng) -> Iterator[Case]:
    for (n, h, w, c), r in (((2, 1, 2, 1), 1), ((2, 3, 4, 3), 2), ((3, 2, 5, 4), 4)):
        yield {
            "x": rng.normal(size=(n, h, w, c)) + 1,
            "w1": rng.normal(size=(c, r)),
            "b1": rng.normal(size=r),
            "w2": rng.normal(size=(r, c)),
            "b2": rng.normal(size=c),
        }


def se_backward_cases(rng: Rng) -> Iterator[Case]:
    for case in se_cases(rng):
        yield {"dy": rng.normal(size=case["x"].shape), **case}


def width_cases(_: Rng) -> Iterator[Case]:
    for i, t, ratio in (
        (32, 1, 0.25),
        (16, 6, 0.25),
        (24, 6, 0.25),
        (3, 4, 0.25),
        (10, 6, 0.25),
        (22, 6, 0.5),
        (40, 6, 0.25),
    ):
        yield {"in_channels": i, "expand_ratio": t, "se_ratio": ratio}


def depth_cases(rng: Rng) -> Iterator[Case]:
    for seed, (n, rate, train) in enumerate(
        ((4, 0.5, True), (6, 0.2, True), (3, 0.5, False), (8, 0.75, True), (2, 0.0, True))
    ):
        shape = (n, 2, 3, 2)
        yield {
            "x": rng.normal(size=shape),
            "branch": rng.normal(size=shape),
            "rate": rate,
            "train": train,
            "seed": seed,
        }


def use_depth(function: Function, case: Case) -> Any:
    given = {name: value for name, value in case.items() if name != "seed"}
    return function(**given, rng=np.random.default_rng(case["seed"]))


def depth_backward_cases(rng: Rng) -> Iterator[Case]:
    for keep in ([2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.25, 1.25, 0.0]):
        yield {"dy": rng.normal(size=(len(keep), 2, 3, 2)), "keep": np.array(keep).reshape(-1, 1, 1, 1)}


def network_cases(_: Rng) -> Iterator[Case]:
    for resolution, classes in ((224, 1000), (97, 10), (160, 7)):
        yield {"resolution": resolution, "classes": classes}


def cost_of(rows: Any) -> tuple[int, int]:
    """(parameters of weights, biases of squeeze-excite and of the classifier, and of BatchNorm; multiply-adds)."""
    params = macs = 0
    for kind, i, o, k, _, height in rows:
        if kind == "skip":
            continue
        weights = k * k * (i if kind == "depthwise" else i * o)
        extra = o if kind in ("reduce", "restore", "dense") else 2 * o
        params, macs = params + weights + extra, macs + weights * height * height
    return params, macs


def use_network(build: Function, case: Case) -> tuple[Any, ...]:
    rows = [tuple(row) for row in build(**case)]
    return len(rows), *cost_of(rows), rows


# ---- wrong variants


def overflowing(x: Array) -> Array:
    e = np.exp(x)  # infinite from 710 on, and inf / inf is not a number
    return x * e / (1 + e)


def element_keep(
    x: Array, branch: Array, rate: float, train: bool, rng: np.random.Generator
) -> tuple[Array, Array]:
    keep = (rng.random(branch.shape) >= rate) / (1 - rate) if train else np.ones((len(x), 1, 1, 1))
    return x + branch * keep, keep


def se(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:squeeze_excite_forward", *changes)


def se_back(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:squeeze_excite_backward", *changes)


def depth(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:stochastic_depth", *changes)


def table(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:efficientnet_b0", *changes)


EXERCISES = (
    Exercise(
        "L3.swish",
        f"{SWISH}:forward",
        ("y",),
        swish_cases,
        (
            Mistake("overflow", "Your exp overflows for large numbers.", "Take exp of negative numbers only: for x < 0, sigmoid(x) = e / (1 + e) with e = exp(x).", lambda: overflowing),
            mistake("sigmoid_only", "Your y is sigmoid(x).", "swish(x) = x * sigmoid(x).", f"{SWISH}:forward", ("x * sigmoid", "sigmoid")),
            mistake("squared", "Your y is x^2 sigmoid(x).", "One x is enough.", f"{SWISH}:forward", ("x * sigmoid", "x * x * sigmoid")),
            mistake("hard_swish", "Your y is the hard swish of MobileNetV3.", "EfficientNet uses the smooth one: x * sigmoid(x).", f"{SWISH}:forward", ("x * sigmoid.forward(x)", "x * ((x + 3).clip(0, 6) / 6)")),
            mistake("gelu", "Your sigmoid takes 1.702 x: that is an approximation of GELU.", "sigmoid(x), with nothing before the x.", f"{SWISH}:forward", ("sigmoid.forward(x)", "sigmoid.forward(1.702 * x)")),
            mistake("sign_of_the_exponent", "Your exponent has the wrong sign.", "sigmoid(x) = 1 / (1 + exp(-x)).", f"{SWISH}:forward", ("sigmoid.forward(x)", "sigmoid.forward(-x)")),
        ),
        ("x times a gate that opens with x.", "sigmoid(x) = 1 / (1 + exp(-x)); exp(1000) is infinite, exp(-1000) is just 0.", "Use np.where: for x >= 0 take exp(-x), for x < 0 take exp(x)."),
        points=2,
        minutes=10,
        core=False,
        checks="Three inputs, with numbers as large as 1000, which must not overflow.",
        twins=("mini_nn.kernels.swish:forward",),
        mine=(f"{SWISH}:forward",),
        task="The activation of EfficientNet. Write the sigmoid too, so that large numbers do not overflow.",
    ),
    Exercise(
        "L3.swish_backward",
        f"{SWISH}:backward",
        ("dx",),
        swish_backward_cases,
        (
            mistake("sigmoid_only", "Your slope is sigmoid(x): one half of the product rule.", "(x s)' = s + x s', s' = s (1 - s).", f"{SWISH}:backward", ("s + x * s * (1 - s)", "s")),
            mistake("sigmoid_slope_only", "Your slope is x s': the other half of the product rule.", "(x s)' = s + x s'.", f"{SWISH}:backward", ("s + x * s * (1 - s)", "x * s * (1 - s)")),
            mistake("without_one_minus_s", "Your s' lacks a factor.", "sigmoid' = s (1 - s).", f"{SWISH}:backward", ("s + x * s * (1 - s)", "s + x * s")),
            mistake("upstream_ignored", "dy was not used.", "dx = dy * slope.", f"{SWISH}:backward", ("dy * (s", "(s")),
            mistake("minus", "Your two halves are subtracted.", "The product rule adds.", f"{SWISH}:backward", ("s + x * s", "s - x * s")),
            mistake("slope_of_sigmoid", "Your slope is the sigmoid's.", "y = x * s, not s.", f"{SWISH}:backward", ("s + x * s * (1 - s)", "s * (1 - s)")),
        ),
        ("A product: two halves.", "s' = s (1 - s).", "dy times (s plus x times s times (1 - s))"),
        points=2,
        minutes=10,
        core=False,
        checks="Three inputs, with numbers as large as 1000.",
        needs="from mini_nn.ops import sigmoid",
        twins=("mini_nn.kernels.swish:backward",),
        task="The way back through swish. The library's sigmoid.forward may be used.",
    ),
    Exercise(
        "L3.gate_backward",
        f"{HERE}:gate_backward",
        ("dx", "dg"),
        gate_cases,
        (
            mistake("gate_not_used", "Your dx is dy: the gate is missing.", "y = x g: dx = dy g.", f"{HERE}:gate_backward", ("dy * g,", "dy,")),
            mistake("not_summed", "Your dg has a number for every pixel.", "One gate served all pixels of its channel: sum over H and W.", f"{HERE}:gate_backward", ("(dy * x).sum((1, 2), keepdims=True)", "dy * x")),
            mistake("averaged", "Your dg is a mean over the pixels.", "It is a sum: each pixel has its share.", f"{HERE}:gate_backward", (".sum((1, 2)", ".mean((1, 2)")),
            mistake("summed_over_the_batch", "Your dg is added up over the images too.", "Each image has its own gates.", f"{HERE}:gate_backward", ("(dy * x).sum((1, 2), keepdims=True)", "np.broadcast_to((dy * x).sum((0, 1, 2), keepdims=True), g.shape)")),
            mistake("roles_swapped", "Your dg has the gate where x belongs.", "y = x g: dg = dy x, summed.", f"{HERE}:gate_backward", ("(dy * x)", "(dy * g)")),
            mistake("axes_dropped", "Your dg is (N, C).", "The gate was (N, 1, 1, C): keepdims=True.", f"{HERE}:gate_backward", (", keepdims=True", "")),
            mistake("upstream_ignored", "Your dg sums x: dy was not used.", "dg = dy x, summed.", f"{HERE}:gate_backward", ("(dy * x)", "(1.0 * x)")),
        ),
        ("The product rule. What multiplied x? What multiplied g?", "dx = dy g. One g met H x W pixels.", "dg: dy * x, summed over axes 1 and 2, axes kept"),
        points=2,
        minutes=10,
        core=False,
        checks="Three shapes; to 1e-8.",
        task="The product rule: this is all that Gate does.",
    ),
    Exercise(
        "L3.squeeze_excite_forward",
        f"{HERE}:squeeze_excite_forward",
        ("y",),
        se_cases,
        (
            se("sum_in_place_of_mean", "You squeeze by the sum.", "The mean over H and W: it does not depend on the image's size.", ("x.mean((1, 2))", "x.sum((1, 2))")),
            se("max_in_place_of_mean", "You squeeze by the largest pixel.", "The mean over H and W.", ("x.mean((1, 2))", "x.max((1, 2))")),
            se("gate_added", "Your gate is added.", "It turns a channel up or down: y = x * g.", ("x * g[:", "x + g[:")),
            se("no_sigmoid", "Your gate has no sigmoid: it can be negative, or grow.", "g = sigmoid(...), between 0 and 1.", ("sigmoid.forward(swish.forward(s @ w1 + b1) @ w2 + b2)", "swish.forward(s @ w1 + b1) @ w2 + b2")),
            se("no_swish", "There is no activation between your two layers: they are one layer then.", "swish after the first.", ("swish.forward(s @ w1 + b1)", "(s @ w1 + b1)")),
            se("relu_in_place_of_swish", "Your inner activation is a ReLU, as in SENet.", "EfficientNet has swish there.", ("swish.forward(s @ w1 + b1)", "np.maximum(s @ w1 + b1, 0)")),
            se("squeezed_over_the_batch", "Your mean runs over the images too.", "Each image looks at itself: axes 1 and 2.", ("x.mean((1, 2))", "np.broadcast_to(x.mean((0, 1, 2)), (len(x), x.shape[3]))")),
            se("first_bias_forgotten", "Your first layer has no bias.", "Both layers have one: no BatchNorm follows them.", ("s @ w1 + b1", "s @ w1")),
            se("second_bias_forgotten", "Your second layer has no bias.", "Both layers have one.", ("@ w2 + b2", "@ w2")),
            se("gate_returned", "You return the gate alone, once for each pixel.", "y = x * g.", ("return x * g[:, None, None, :]", "return 0 * x + g[:, None, None, :]")),
        ),
        ("Squeeze: one number a channel. Excite: two small dense layers. Scale.", "mean over H and W; swish after the first layer, sigmoid after the second.", "g[:, None, None, :] has the shape that x can be multiplied with."),
        points=3,
        minutes=15,
        core=False,
        checks="Three shapes; to 1e-8.",
        needs="from mini_nn.ops import sigmoid, swish",
        task="Squeeze-and-excitation. The library's swish.forward and sigmoid.forward may be used.",
    ),
    Exercise(
        "L3.squeeze_excite_backward",
        f"{HERE}:squeeze_excite_backward",
        ("dx", "dw1", "db1", "dw2", "db2"),
        se_backward_cases,
        (
            se_back("gate_path_lost", "Your dx goes through x only: the gate's road is missing.", "x made the gate as well, through its mean.", (" + ds[:, None, None, :] / (h * w)", "")),
            se_back("scale_path_lost", "Your dx goes through the gate only.", "y = x g: the direct road brings dy g.", ("dy * g[:, None, None, :] + ds", "ds")),
            se_back("mean_forgotten", "Your gate's road lacks 1 / (H W).", "The squeeze was a mean: each pixel has a share of 1 / (H W).", (" / (h * w)", "")),
            se_back("sigmoid_slope_missing", "You passed the sigmoid without its slope.", "du = dg g (1 - g).", ("dg * g * (1 - g)", "dg")),
            se_back("swish_slope_missing", "You passed the swish without its slope.", "da = dz * swish'(a).", ("swish.backward(du @ w2.T, a)", "du @ w2.T")),
            se_back("gate_not_summed_but_averaged", "Your dg is a mean over the pixels.", "One gate served all pixels: sum.", ("(dy * x).sum((1, 2))", "(dy * x).mean((1, 2))")),
            se_back("dw_averaged", "Your dw1 and dw2 are divided by N.", "Sums over the images.", ("s.T @ da, da.sum(0), z.T @ du", "s.T @ da / len(x), da.sum(0), z.T @ du / len(x)")),
            se_back("w2_not_transposed", "You multiply by w2 reshaped, which is not its transpose.", "dz = du @ w2.T.", ("du @ w2.T", "du @ w2.reshape(w2.shape[::-1])")),
            se_back("biases_averaged", "Your db1 and db2 are means over the images.", "Sums.", ("da.sum(0), z.T @ du, du.sum(0)", "da.mean(0), z.T @ du, du.mean(0)")),
        ),
        (
            "Write down the five steps of the forward pass with names: s, a, z, g, y. Go back through them.",
            "dg sums dy x over the pixels; du = dg g (1 - g); then a dense layer, swish, a dense layer; then the mean.",
            "dx has two terms: dy g, and ds / (H W) for every pixel",
        ),
        points=4,
        minutes=30,
        checks="Three shapes, all five gradients, every number, to 1e-8.",
        needs="from mini_nn.ops import sigmoid, swish",
        task="The way back through squeeze-and-excitation. swish.backward(dy, x) of the library may be used.",
    ),
    Exercise(
        "L3.se_channels",
        f"{HERE}:se_channels",
        ("gated", "squeezed"),
        width_cases,
        (
            mistake("from_the_expanded_width", "You squeeze to a quarter of the EXPANDED channels: B0 grows from 5.29 M to 8.42 M parameters.", "se_ratio is of the block's input channels.", f"{HERE}:se_channels", ("max(1, int(in_channels * se_ratio))", "max(1, int(in_channels * expand_ratio * se_ratio))")),
            mistake("gates_the_input", "You gate the block's input channels.", "Squeeze-excite stands after the depthwise layer: it gates the expanded channels.", f"{HERE}:se_channels", ("in_channels * expand_ratio, max", "in_channels, max")),
            mistake("rounded", "You round to the nearest number.", "Cut off: int(...).", f"{HERE}:se_channels", ("int(in_channels * se_ratio)", "round(in_channels * se_ratio + 1e-9)")),
            mistake("no_least_value", "Your squeezed channels can be 0.", "At least 1.", f"{HERE}:se_channels", ("max(1, int(in_channels * se_ratio))", "int(in_channels * se_ratio)")),
            mistake("multiple_of_8", "You round to multiples of 8.", "That rule is for the blocks' channels; the squeeze is small and stays as it is.", f"{HERE}:se_channels", ("max(1, int(in_channels * se_ratio))", "max(8, int(in_channels * se_ratio) // 8 * 8)")),
        ),
        ("What does the gate act on? What is the quarter a quarter of?", "Gated: t times the input's channels. Squeezed: a quarter of the input's channels.", "max(1, int(...))"),
        points=1,
        minutes=5,
        core=False,
        checks="Seven blocks; both numbers exactly.",
        task="How wide is squeeze-excite in an MBConv block? Several libraries shipped the wrong answer.",
    ),
    Exercise(
        "L3.stochastic_depth",
        f"{HERE}:stochastic_depth",
        ("y", "keep"),
        depth_cases,
        (
            Mistake("per_element", "You drop single numbers of the branch: that is dropout.", "One draw for each image: the whole branch stays or goes.", lambda: element_keep),
            depth("not_rescaled", "What is kept is not made larger.", "Divide by 1 - rate, so that the mean over many draws is the branch.", (" / (1 - rate)", " * 1.0")),
            depth("drops_the_skip", "You drop x together with its branch.", "The shortcut always stays: y = x + branch * keep.", ("return x + branch * keep, keep", "return (x + branch) * keep, keep")),
            depth("one_draw_for_the_batch", "All images share one draw.", "rng.random(N): each image its own.", ("rng.random(len(x)) >= rate", "np.full(len(x), rng.random()) >= rate")),
            depth("keeps_with_probability_rate", "You keep where you should drop.", "Dropped where the number is below rate.", (">= rate", "< rate")),
            depth("drops_in_prediction", "You drop in prediction too.", "With train=False the branch stays as it is.", ("if not train:", "if False:")),
            depth("rescaled_in_prediction", "In prediction you scale the branch by 1 - rate.", "That is how the first dropout did it; here what is kept in training is scaled instead.", ("return x + branch, np.ones(shape)", "return x + branch * (1 - rate), np.ones(shape) * (1 - rate)")),
            depth("divided_by_the_rate", "You divide by rate.", "By the share that stays: 1 - rate.", ("/ (1 - rate)", "/ max(rate, 1e-9)")),
        ),
        ("Once an image: does its branch count in this step?", "keep is 0 or 1 / (1 - rate), of shape (N, 1, 1, 1).", "rng.random(N) compared with rate, reshaped, divided by 1 - rate"),
        points=2,
        minutes=15,
        core=False,
        checks="Five settings with a fixed generator; y and keep to 1e-8.",
        use=use_depth,
        task="Stochastic depth: in training, whole branches are left out at random. The network learns to do without each.",
    ),
    Exercise(
        "L3.stochastic_depth_backward",
        f"{HERE}:stochastic_depth_backward",
        ("dx", "dbranch"),
        depth_backward_cases,
        (
            mistake("new_mask_in_backward", "Your branch's gradient does not follow the mask of the forward pass.", "Use the keep that was drawn then; drawing again is another function's gradient.", f"{HERE}:stochastic_depth_backward", ("dy * keep", "dy * np.roll(keep, 1, 0)")),
            mistake("mask_forgotten", "Dropped images get a gradient too.", "A branch that was left out changed nothing: its gradient is 0.", f"{HERE}:stochastic_depth_backward", ("dy * keep", "dy")),
            mistake("mask_without_its_scale", "Your mask has ones where the forward pass had 1 / (1 - rate).", "keep, as it is.", f"{HERE}:stochastic_depth_backward", ("dy * keep", "dy * (keep > 0)")),
            mistake("shortcut_masked", "You mask the shortcut's gradient.", "x was always added: dx = dy.", f"{HERE}:stochastic_depth_backward", ("return dy, dy * keep", "return dy * keep, dy * keep")),
            mistake("swapped", "Your two gradients changed places.", "Return (dx, dbranch).", f"{HERE}:stochastic_depth_backward", ("return dy, dy * keep", "return dy * keep, dy")),
        ),
        ("A sum and a product with constants.", "keep is a constant by now.", "dy for x; dy times keep for the branch"),
        points=1,
        minutes=5,
        core=False,
        checks="Three masks; to 1e-8.",
        task="The way back, with the keep of the forward pass.",
    ),
    Exercise(
        "L3.efficientnet_b0",
        f"{HERE}:efficientnet_b0",
        ("rows", "params", "macs", "table"),
        network_cases,
        (
            table("expansion_of_3_by_3", "Your expansion is a 3 x 3 convolution: B0 grows from 5.3 M to 15 M parameters.", "It is pointwise, 1 x 1: only the depthwise layer looks around.", ('("expand", before, hidden, 1, 1, height)', '("expand", before, hidden, 3, 1, height)')),
            table("kernel_3_everywhere", "All your filters are 3 x 3.", "Three of the seven rows have k = 5.", ("hidden, hidden, k, stride", "hidden, hidden, 3, stride")),
            table("stage_strides_swapped", "Your strides are those of a common misprint: the same parameters, other multiply-adds.", "The row of 80 channels has stride 2, the row of 112 stride 1.", ("(6, 3, 2, 80, 3), (6, 5, 1, 112, 3)", "(6, 3, 1, 80, 3), (6, 5, 2, 112, 3)")),
            table("skip_off", "You never add x.", "Where the stride is 1 and the channels agree, the block has a shortcut.", ("if stride == 1 and before == after:", "if False:")),
            table("skip_at_the_first_of_each_row", "You add x in a row's first block.", "There the channels change: nothing to add to.", ("if stride == 1 and before == after:", "if stride == 1:")),
            table("se_from_the_expanded_width", "You squeeze to a quarter of the expanded channels: 8.42 M parameters.", "A quarter of the block's INPUT channels.", ("max(1, before // 4)", "max(1, before * t // 4)")),
            table("se_missing", "There is no squeeze-excite: that is EfficientNet-Lite, 4.65 M parameters.", "B0 has it in every block, after the depthwise layer.", ('            rows += [("reduce", hidden, squeezed, 1, 1, 1), ("restore", squeezed, hidden, 1, 1, 1)]\n', "")),
            table("expansion_at_t_1", "Your first block has an expansion.", "t = 1: nothing to expand.", ("if t != 1:", "if t:")),
            table("stride_on_every_block", "Every block of a row has the row's stride.", "Only the first of the n blocks steps.", ("s if i == 0 else 1", "s")),
            table("strides_of_the_resolutions", "You took each stride one row too early.", "The paper prints each stage's INPUT size: the stride that leads to the next size belongs to the stage itself.", ("(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)", "(1, 3, 2, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 1, 80, 3), (6, 5, 2, 112, 3), (6, 5, 1, 192, 4), (6, 3, 1, 320, 1)")),
        ),
        (
            "MobileNetV2's block with one more thing in its middle.",
            "Keep the channels before and the height; hidden = t * before; squeezed = before // 4.",
            "expand (if t is not 1), depthwise k x k with the stride, reduce, restore, project, skip where it applies",
        ),
        points=4,
        minutes=25,
        core=False,
        checks="Three settings; number of rows, parameters with BatchNorm's (5,288,548 at 1000 classes), multiply-adds, then every row.",
        use=use_network,
        task="EfficientNet-B0 as a table, from the paper's table 1.",
    ),
)  # fmt: skip
