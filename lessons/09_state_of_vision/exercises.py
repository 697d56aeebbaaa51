"""L9, the state of computer vision: what is asked, the cases, and the mistakes that have a name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, mistake
from mini_nn.ops import Array
from mini_nn.ops.softmax import forward as softmax

HERE = "lessons.09_state_of_vision.exercises"
Rng = np.random.Generator
Network = Callable[[Array], Array]


# ---- the functions of this lesson


def hog(x: Array, cell: int = 4, bins: int = 8) -> Array:
    """Return histograms of oriented gradients of grey images: (N, H / cell, W / cell, bins) for x (N, H, W).

    Of each pixel the gradient (down, right) = np.gradient has a size and a direction.  The direction counts up to a sign: an angle
    from 0 to pi, which falls into one of `bins` equal parts.  A cell x cell square of pixels adds up the sizes in each part.
    Each image is divided by the root of the sum of squares of all its numbers, plus 1e-6.
    """
    down, right = np.gradient(x, axis=(1, 2))
    size = np.hypot(down, right)
    part = (np.arctan2(down, right) % np.pi * bins / np.pi).astype(int) % bins
    votes = size[..., None] * (part[..., None] == np.arange(bins))
    n, height, width = x.shape
    cells = votes.reshape(n, height // cell, cell, width // cell, cell, bins).sum((2, 4))
    return cells / (np.sqrt((cells**2).sum((1, 2, 3), keepdims=True)) + 1e-6)


def iou(a: Array, b: Array) -> Array:
    """Return how well boxes agree, (N,): the area that a[n] and b[n] share, divided by the area that they cover together.

    a, b (N, 4): top, left, bottom, right of boxes with an area; bottom and right are where the box ends, not in it.
    """
    start, end = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.prod(np.maximum(end - start, 0), axis=1)
    both = sum(np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b))
    return shared / (both - shared)


def ensemble(
    models: Sequence[Network], how: str = "probabilities", weights: Sequence[float] | None = None
) -> Network:
    """Return a function of a batch x that gives the probabilities (N, C) of several networks together; each is asked once.

    models: functions of x that give logits (N, C).  weights: a number for each model; their shares of the sum count; None: all alike.
    how = "probabilities": sum_m share_m softmax(logits_m).  "logits": softmax(sum_m share_m logits_m).
    "votes": each model gives its share to its best class.
    """
    shares = np.ones(len(models)) if weights is None else np.array(weights, float)

    def together(x: Array) -> Array:
        z = np.stack([model(x) for model in models])
        p = np.eye(z.shape[2])[z.argmax(2)] if how == "votes" else z if how == "logits" else softmax(z)
        mean = np.tensordot(shares / shares.sum(), p, 1)
        return softmax(mean) if how == "logits" else mean

    return together


def gain_interval(
    first: Array, second: Array, rows: Array, level: float = 0.95
) -> tuple[float, float, float]:
    """Return (gain, low, high): how much more accurate the second is than the first, and the interval of that.

    first, second (n,): 1.0 where this one is right about photograph i, else 0.0.  rows (draws, n): numbers of photographs, a row for
    each time that they are drawn anew.  Both are judged on the same photographs of a row.  low and high are the quantiles
    (np.quantile) between which the share `level` of the gains lies, as much below as above.
    """
    better = second - first
    drawn = better[rows].mean(1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return better.mean(), low, high


def within_budget(
    ways: Mapping[str, tuple[float, Sequence[float]]], budget: float, share: float = 0.95
) -> list[tuple[str, float]]:
    """Return [(name, milliseconds)] of the ways that keep the budget: the most accurate first, of equal ones the faster.

    ways: name -> (accuracy, milliseconds of each run).  The first run warms up and does not count.  A way keeps the budget if `share` of
    the others do: its milliseconds are the quantile `share` of them (np.quantile), and at most `budget`.
    """
    slow = {name: float(np.quantile(runs[1:], share)) for name, (_, runs) in ways.items()}
    kept = [name for name in ways if slow[name] <= budget]
    return [(name, slow[name]) for name in sorted(kept, key=lambda name: (-ways[name][0], slow[name]))]


# ---- how they are called


def use_ensemble(function: Function, case: Case) -> Any:
    """The networks are stored logits; who is asked how often is counted.  The library's answers in float32."""
    asked: list[int] = []

    def network(number: int) -> Network:
        def logits(x: Array) -> Array:
            asked.append(number)
            return np.array(case["logits"][number][x])

        return logits

    together = function([network(m) for m in range(len(case["logits"]))], case["how"], case["weights"])
    p = together(np.arange(case["logits"].shape[1]))
    return p if p is None else np.asarray(p, np.float32), sorted(asked)


# ---- cases


def hog_cases(rng: Rng) -> Iterator[Case]:
    for shape, cell, bins in (((1, 2, 2), 2, 2), ((2, 4, 6), 2, 3), ((2, 6, 3), 3, 8), ((1, 8, 4), 4, 5)):
        yield {"x": rng.random(shape), "cell": cell, "bins": bins}
    bright = np.zeros((2, 4, 4))
    bright[1] = 9 * rng.random((4, 4))
    yield {"x": bright, "cell": 2, "bins": 4}


def iou_cases(_: Rng) -> Iterator[Case]:
    a = np.array([[0.0, 0, 4, 2], [2, 1, 6, 8], [0, 0, 3, 3], [5, 5, 9, 7], [1, 1, 3, 3], [4, 0, 6, 9]])
    b = np.array([[0.0, 0, 2, 2], [4, 3, 9, 6], [3, 1, 5, 4], [0, 0, 2, 3], [0, 5, 4, 9], [4, 0, 6, 9]])
    yield {"a": a[:1], "b": b[:1]}
    yield {"a": a, "b": b}
    yield {"a": b / 4, "b": a / 4}


def ensemble_cases(rng: Rng) -> Iterator[Case]:
    for networks, n, classes, weights in (
        (2, 1, 3, None),
        (3, 4, 5, (2, 1, 3)),
        (4, 3, 4, (0.5, 0, 0.25, 1)),
    ):
        z = 3 * rng.normal(size=(networks, n, classes))
        for how in ("probabilities", "logits", "votes"):
            yield {"logits": z, "how": how, "weights": weights}
    far = np.array([[[800.0, 790, 0]], [[-900, -895, -896]]])
    for how in ("probabilities", "logits"):
        yield {"logits": far, "how": how, "weights": None}


def crop_cases(rng: Rng) -> Iterator[Case]:
    for shape, size in (((1, 3, 3, 1), 1), ((2, 4, 6, 1), 2), ((2, 6, 5, 2), 3), ((3, 4, 5, 3), 4)):
        yield {"x": (1 + rng.permutation(int(np.prod(shape)))).reshape(shape) / 64.0, "size": size}


def gain_cases(rng: Rng) -> Iterator[Case]:
    for n, draws, level in ((4, 7, 0.5), (9, 30, 0.8), (25, 60, 0.95)):
        first = (rng.random(n) < 0.5).astype(float)
        second = np.maximum(first, rng.random(n) < 0.5)
        second[0], first[0] = 0.0, 1.0
        yield {"first": first, "second": second, "rows": rng.integers(n, size=(draws, n)), "level": level}


def budget_cases(_: Rng) -> Iterator[Case]:
    one = {"slow": (0.8, (90.0, 30, 31, 32, 60)), "fast": (0.7, (95.0, 10, 11, 12, 10))}
    yield {"ways": one, "budget": 20.0, "share": 0.75}
    yield {"ways": one, "budget": 32.0, "share": 0.75}
    yield {"ways": one, "budget": 9.0, "share": 0.5}
    many = {
        "a": (0.62, (9.0, 10, 12, 11, 14)),
        "b": (0.71, (40.0, 24, 20, 22, 26)),
        "c": (0.71, (80.0, 19, 18, 21, 17)),
        "d": (0.75, (7.0, 41, 20, 22, 21)),
        "e": (0.69, (90.0, 8, 9, 7, 60)),
        "f": (0.52, (2.0, 3, 2, 4, 3)),
        "g": (0.62, (5.0, 13, 14, 12, 15)),
    }
    for budget, share in ((25.0, 0.95), (25.0, 0.5), (25.7, 0.95), (41.0, 1.0), (12.0, 0.0)):
        yield {"ways": many, "budget": budget, "share": share}


# ---- mistakes

HOG, IOU, ENSEMBLE, GAIN, BUDGET = (
    f"{HERE}:{n}" for n in ("hog", "iou", "ensemble", "gain_interval", "within_budget")
)
TEN = "mini_nn.inference.crops:ten"
PART, CELLS = "% np.pi * bins / np.pi", "votes.reshape(n, height // cell, cell, width // cell, cell, bins)"
ALL_TEN = "five(x, size), five(x[:, :, ::-1], size)"

HOGS = (
    mistake(
        "sign_of_the_direction_kept",
        "Your directions go all the way round: an edge from dark to light and one from light to dark are two kinds.",
        "Take the angle modulo pi, and let the parts cover 0 to pi.",
        HOG,
        (PART, "% (2 * np.pi) * bins / (2 * np.pi)"),
    ),
    mistake(
        "down_and_right_swapped",
        "Your angle is measured from the wrong axis: down and right have changed places.",
        "np.gradient gives the slope along axis 1, rows, first; the angle is np.arctan2(down, right).",
        HOG,
        ("np.arctan2(down, right)", "np.arctan2(right, down)"),
    ),
    mistake(
        "size_ignored",
        "Every pixel counts one, however small its gradient is.",
        "A pixel adds the size of its gradient to its part, so that flat areas say nothing.",
        HOG,
        ("size[..., None] * (part", "1.0 * (part"),
    ),
    mistake(
        "size_squared",
        "Your sizes are squares: down^2 + right^2.",
        "The size of (down, right) is the root: np.hypot(down, right).",
        HOG,
        ("np.hypot(down, right)", "down**2 + right**2"),
    ),
    mistake(
        "cells_mixed_up",
        "Your cells mix pixels of different places.",
        "Rows split into (H / cell, cell), columns into (W / cell, cell): reshape to (n, H / cell, cell, W / cell, cell, bins) and add up axes 2 and 4.",
        HOG,
        (CELLS, "votes.reshape(n, height // cell, width // cell, cell, cell, bins)"),
        (".sum((2, 4))", ".sum((3, 4))"),
    ),
    mistake(
        "mean_for_sum",
        "Your cells are means and their squares are not made up for: the 1e-6 counts for more than it should.",
        "Add the sizes up.",
        HOG,
        (".sum((2, 4))", ".sum((2, 4)) / 1e4"),
    ),
    mistake(
        "not_normalised",
        "Your histograms are not divided by anything: twice the contrast gives twice the numbers.",
        "Divide each image by the root of the sum of squares of all its numbers, plus 1e-6.",
        HOG,
        ("cells / (np.sqrt((cells**2).sum((1, 2, 3), keepdims=True)) + 1e-6)", "cells"),
    ),
    mistake(
        "each_cell_normalised",
        "You divide each cell by its own size: empty corners become as loud as the strokes.",
        "One number for the whole image: the sum of squares runs over cells and bins.",
        HOG,
        ("(1, 2, 3)", "3"),
    ),
    mistake(
        "batch_normalised",
        "You divide by the size of the whole batch.",
        "One number for each image: axis 0 stays.",
        HOG,
        ("(1, 2, 3)", "(0, 1, 2, 3)"),
    ),
    mistake(
        "sum_of_sizes_for_root_of_squares",
        "You divide by the sum of the numbers.",
        "By the root of the sum of their squares: the length of the vector.",
        HOG,
        ("np.sqrt((cells**2).sum((1, 2, 3), keepdims=True))", "cells.sum((1, 2, 3), keepdims=True)"),
    ),
    mistake(
        "nothing_divided_by_nothing",
        "An image without any edge gives nan: you divide 0 by 0.",
        "That is what the 1e-6 in the denominator is for.",
        HOG,
        (" + 1e-6", ""),
    ),
)

IOUS = (
    mistake(
        "sides_below_zero_multiplied",
        "Boxes that do not touch share an area: two sides below zero multiply to something above.",
        "Cut each side of the shared box at 0 before you multiply.",
        IOU,
        ("np.maximum(end - start, 0)", "end - start"),
    ),
    mistake(
        "cut_after_multiplying",
        "You cut the shared area at 0, and not its sides: two sides below zero multiply to something above.",
        "np.maximum(end - start, 0) first, the product then.",
        IOU,
        ("np.prod(np.maximum(end - start, 0), axis=1)", "np.maximum(np.prod(end - start, axis=1), 0)"),
    ),
    mistake(
        "one_pixel_added",
        "You add a pixel to every side.",
        "bottom and right are where the box ends: its height is bottom - top. With + 1 the result would change with the unit.",
        IOU,
        ("np.maximum(end - start, 0)", "np.maximum(end - start + 1, 0)"),
        ("box[:, 2:] - box[:, :2]", "box[:, 2:] - box[:, :2] + 1"),
    ),
    mistake(
        "one_pixel_added_to_the_boxes",
        "You add a pixel to the sides of the boxes and none to those of what they share: a box does not agree with itself.",
        "The same rule for all areas, and no + 1 in it.",
        IOU,
        ("box[:, 2:] - box[:, :2]", "box[:, 2:] - box[:, :2] + 1"),
    ),
    mistake(
        "shared_counted_twice",
        "You divide by the sum of the two areas, in which what they share counts twice.",
        "Covered together: the sum of the areas less what they share.",
        IOU,
        ("(both - shared)", "both"),
    ),
    mistake(
        "dice",
        "That is 2 shared / (sum of the areas), the Dice coefficient.",
        "Divide what they share by what they cover together.",
        IOU,
        ("shared / (both - shared)", "2 * shared / both"),
    ),
    mistake(
        "of_the_second_box",
        "You divide by the area of one box: a box that covers the whole picture would be perfect.",
        "By what both cover together.",
        IOU,
        ("shared / (both - shared)", "shared / np.prod(b[:, 2:] - b[:, :2], axis=1)"),
    ),
    mistake(
        "enclosing_box",
        "You divide by the box around both.",
        "By what both cover together: the sum of their areas less what they share.",
        IOU,
        (
            "(both - shared)",
            "np.prod(np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2]), axis=1)",
        ),
    ),
    mistake(
        "height_and_width_for_the_end",
        "You take the last two numbers for height and width.",
        "They are bottom and right, where the box ends.",
        IOU,
        ("np.minimum(a[:, 2:], b[:, 2:])", "np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])"),
        ("box[:, 2:] - box[:, :2]", "box[:, 2:]"),
    ),
    mistake(
        "min_and_max_swapped",
        "You take the box around both for what they share.",
        "The shared box starts at the larger of the two tops and ends at the smaller of the two bottoms.",
        IOU,
        ("np.maximum(a[:, :2], b[:, :2]), np.minimum(", "np.minimum(a[:, :2], b[:, :2]), np.maximum("),
    ),
)

ENSEMBLES = (
    mistake(
        "averages_labels",
        'In "votes" you average the numbers of the classes: a 1 and a 7 make a 4.',
        "The numbers of classes are names. Count votes: np.eye(C)[best class], and the mean of those.",
        ENSEMBLE,
        (
            'return softmax(mean) if how == "logits" else mean',
            'if how == "votes": return np.eye(z.shape[2])[np.rint(shares / shares.sum() @ z.argmax(2)).astype(int)]\n        return softmax(mean) if how == "logits" else mean',
        ),
    ),
    mistake(
        "softmax_twice",
        "What comes out has been through softmax twice: it is nearly the same for all classes.",
        "The mean of probabilities is probabilities already; only logits need a softmax at the end.",
        ENSEMBLE,
        ('softmax(mean) if how == "logits" else mean', "softmax(mean)"),
    ),
    mistake(
        "softmax_twice_in_each_network",
        "You take softmax of softmax in each network: all of them sound unsure.",
        "The models give logits: one softmax makes them probabilities.",
        ENSEMBLE,
        ("else softmax(z)", "else softmax(softmax(z))"),
    ),
    mistake(
        "no_softmax_at_the_end",
        'With how = "logits" you return the mean of the logits.',
        "Probabilities are wanted: softmax of that mean.",
        ENSEMBLE,
        ('softmax(mean) if how == "logits" else mean', "mean"),
    ),
    mistake(
        "logits_for_probabilities",
        'With how = "probabilities" you average the logits.',
        "Softmax first, the mean then: a network that shouts (large logits) has no more say than another.",
        ENSEMBLE,
        ('else z if how == "logits" else softmax(z)', "else z"),
        ('softmax(mean) if how == "logits" else mean', 'mean if how == "votes" else softmax(mean)'),
    ),
    mistake(
        "probabilities_for_logits",
        'With how = "logits" you average the probabilities.',
        "The mean of the logits first, softmax then.",
        ENSEMBLE,
        ('z if how == "logits" else softmax(z)', "softmax(z)"),
        ('softmax(mean) if how == "logits" else mean', "mean"),
    ),
    mistake(
        "softmax_over_networks",
        "Your softmax runs over the networks.",
        "For one network and one image the probabilities of the classes add up to 1: softmax over the last axis.",
        ENSEMBLE,
        ("else softmax(z)", "else softmax(z.T).T"),
    ),
    mistake(
        "weights_ignored",
        "Your networks all count alike, whatever the weights are.",
        "sum_m share_m p_m: np.tensordot(shares, p, 1), or np.average(p, axis=0, weights=weights).",
        ENSEMBLE,
        ("if weights is None", "if True"),
    ),
    mistake(
        "sum_for_mean",
        "You add up and do not divide: what comes out does not add up to 1, or is too sure.",
        "The weights' shares count: divide them by their sum.",
        ENSEMBLE,
        ("shares / shares.sum()", "shares"),
    ),
    mistake(
        "winner_only",
        'In "votes" you return the winner alone.',
        "Each class has the share of the votes that it got: 2 of 3 is 0.67.",
        ENSEMBLE,
        (
            'return softmax(mean) if how == "logits" else mean',
            'if how == "votes": return np.eye(mean.shape[1])[mean.argmax(1)]\n        return softmax(mean) if how == "logits" else mean',
        ),
    ),
    mistake(
        "asked_twice",
        "You ask every network twice: twice the cost for the same answer.",
        "Call each model once and keep its logits.",
        ENSEMBLE,
        (
            "np.stack([model(x) for model in models])",
            "np.stack([0 * model(x) + model(x) for model in models])",
        ),
    ),
    mistake(
        "exp_overflows",
        "Large logits give nan: exp(800) is infinite.",
        "Subtract the largest logit first, or use the library's softmax, which does.",
        ENSEMBLE,
        ("else softmax(z)", "else np.exp(z) / np.exp(z).sum(-1, keepdims=True)"),
    ),
)

CROPS = (
    mistake(
        "mirrors_missing",
        "Your ten views are five views twice.",
        "The second five are cut from the mirrored image, x[:, :, ::-1].",
        TEN,
        (ALL_TEN, "five(x, size), five(x, size)"),
    ),
    mistake(
        "reshape_order",
        "Your views of different images are mixed up.",
        "View first, image second: stack on axis 0. A reshape from (n, 10, ...) to (10, n, ...) keeps the numbers in their old order; that would be a swapaxes.",
        TEN,
        (
            f"return np.concatenate([{ALL_TEN}])",
            f"views = np.concatenate([{ALL_TEN}])\n    return views.swapaxes(0, 1).reshape(views.shape)",
        ),
    ),
    mistake(
        "image_first",
        "Your result has the image on axis 0 and the view on axis 1.",
        "(10, n, size, size, C): stack on axis 0.",
        TEN,
        (f"np.concatenate([{ALL_TEN}])", f"np.concatenate([{ALL_TEN}]).swapaxes(0, 1)"),
    ),
    mistake(
        "crops_mirrored_one_by_one",
        "You mirror the five crops, so that left and right have changed places in your order.",
        "Mirror the image first and cut the five then: view 5 is the top left of the mirrored image.",
        TEN,
        ("five(x[:, :, ::-1], size)", "five(x, size)[:, :, :, ::-1]"),
    ),
    mistake(
        "upside_down",
        "You turn the image upside down.",
        "Left and right are exchanged: axis 2 of (n, H, W, C).",
        TEN,
        ("x[:, :, ::-1]", "x[:, ::-1]"),
    ),
    mistake(
        "turned_by_180_degrees",
        "You turn the image by 180 degrees.",
        "Only the columns change places: axis 2.",
        TEN,
        ("x[:, :, ::-1]", "x[:, ::-1, ::-1]"),
    ),
    mistake(
        "view_and_mirror_in_pairs",
        "You put each view's mirror image beside it.",
        "All five views of the image come first, then the five of the mirrored one.",
        TEN,
        (f"np.concatenate([{ALL_TEN}])", f"np.concatenate([{ALL_TEN}])[[0, 5, 1, 6, 2, 7, 3, 8, 4, 9]]"),
    ),
    mistake(
        "centre_first",
        "Your centre comes first.",
        "Top left, top right, bottom left, bottom right, centre.",
        TEN,
        (f"np.concatenate([{ALL_TEN}])", f"np.concatenate([{ALL_TEN}])[[4, 0, 1, 2, 3, 9, 5, 6, 7, 8]]"),
    ),
    mistake(
        "columns_first",
        "You go down before you go right: top left, bottom left, top right, bottom right.",
        "Top left, top right, bottom left, bottom right, centre.",
        TEN,
        (f"np.concatenate([{ALL_TEN}])", f"np.concatenate([{ALL_TEN}])[[0, 2, 1, 3, 4, 5, 7, 6, 8, 9]]"),
    ),
    mistake(
        "odd_pixel_cut_down",
        "Your centre is rounded down.",
        "It begins at round((side - size) / 2), as in torchvision's CenterCrop; // cuts down.",
        TEN,
        (
            f"return np.concatenate([{ALL_TEN}])",
            f"views = np.concatenate([{ALL_TEN}])\n    top, left = (x.shape[1] - size) // 2, (x.shape[2] - size) // 2\n    views[4::5] = np.stack([x, x[:, :, ::-1]])[:, :, top : top + size, left : left + size]\n    return views",
        ),
    ),
)

GAINS = (
    mistake(
        "not_paired",
        "You draw photographs anew for each of the two: their interval is wider than it need be.",
        "Both answered the same photographs: take the difference for each photograph, and draw that.",
        GAIN,
        ("better[rows].mean(1)", "second[rows[::-1]].mean(1) - first[rows].mean(1)"),
    ),
    mistake(
        "first_less_second",
        "Your gain has the wrong sign.",
        "How much more accurate the second is: second - first.",
        GAIN,
        ("second - first", "first - second"),
    ),
    mistake(
        "both_tails_at_full_size",
        "You leave out 1 - level on each side: of level 0.95 there are 90 % left.",
        "Half of it on each side: quantiles (1 - level) / 2 and (1 + level) / 2.",
        GAIN,
        ("[(1 - level) / 2, (1 + level) / 2]", "[1 - level, level]"),
    ),
    mistake(
        "level_ignored",
        "Your interval is that of 95 %, whatever the level is.",
        "The quantiles follow from `level`.",
        GAIN,
        ("[(1 - level) / 2, (1 + level) / 2]", "[0.025, 0.975]"),
    ),
    mistake(
        "largest_and_smallest",
        "You return the smallest and the largest gain that was drawn.",
        "The more you draw, the further apart those are. Take quantiles.",
        GAIN,
        ("[(1 - level) / 2, (1 + level) / 2]", "[0, 1]"),
    ),
    mistake(
        "one_standard_deviation",
        "You return the mean less and plus one standard deviation: about 68 %, for any level.",
        "np.quantile of the drawn gains.",
        GAIN,
        (
            "np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])",
            "drawn.mean() - drawn.std(), drawn.mean() + drawn.std()",
        ),
    ),
    mistake(
        "interval_of_the_accuracy",
        "Your interval is that of the second's accuracy, not of the gain.",
        "Two intervals that overlap say little about a difference: draw second - first.",
        GAIN,
        ("better[rows]", "second[rows]"),
    ),
    mistake(
        "of_single_photographs",
        "You take quantiles over single photographs.",
        "A draw is a row of n photographs: its gain is the mean over them, axis 1.",
        GAIN,
        ("better[rows].mean(1)", "better[rows]"),
    ),
    mistake(
        "mean_over_draws",
        "You take the mean over the draws and have a number for each photograph.",
        "rows is (draws, n): mean over axis 1.",
        GAIN,
        (".mean(1)", ".mean(0)"),
    ),
    mistake(
        "relative_gain",
        "Your gain is relative to the first's accuracy.",
        "Points of accuracy: mean(second) - mean(first).",
        GAIN,
        (
            "return better.mean(), low, high",
            "return better.mean() / first.mean(), low / first.mean(), high / first.mean()",
        ),
    ),
)

BUDGETS = (
    mistake(
        "warm_up_counted",
        "Your first run counts: it compiles and fills caches.",
        "runs[1:].",
        BUDGET,
        ("runs[1:]", "runs"),
    ),
    mistake(
        "mean_time",
        "You judge by the mean.",
        "A budget that is kept on average is broken half of the time: take the quantile `share`.",
        BUDGET,
        ("float(np.quantile(runs[1:], share))", "float(np.mean(runs[1:]))"),
    ),
    mistake(
        "fastest_run",
        "You judge by the fastest run.",
        "Good for comparing code, not for a promise: take the quantile `share`.",
        BUDGET,
        ("float(np.quantile(runs[1:], share))", "float(np.min(runs[1:]))"),
    ),
    mistake(
        "slowest_run",
        "You judge by the slowest run: one hiccup decides.",
        "The quantile `share` leaves out the worst.",
        BUDGET,
        ("float(np.quantile(runs[1:], share))", "float(np.max(runs[1:]))"),
    ),
    mistake(
        "share_ignored",
        "You take 95 %, whatever `share` is.",
        "np.quantile(runs[1:], share).",
        BUDGET,
        ("(runs[1:], share)", "(runs[1:], 0.95)"),
    ),
    mistake(
        "other_tail",
        "You take the quantile 1 - share: the fast end.",
        "`share` of the runs must be at most that long.",
        BUDGET,
        ("(runs[1:], share)", "(runs[1:], 1 - share)"),
    ),
    mistake(
        "budget_ignored",
        "Ways that break the budget are in your list.",
        "Keep those whose milliseconds are at most the budget.",
        BUDGET,
        ("if slow[name] <= budget", ""),
    ),
    mistake(
        "budget_not_quite_used",
        "A way that takes exactly the budget is missing.",
        "At most: <=.",
        BUDGET,
        ("<= budget", "< budget"),
    ),
    mistake(
        "fastest_first",
        "Your fastest comes first.",
        "Within the budget, time is free: the most accurate first.",
        BUDGET,
        ("(-ways[name][0], slow[name])", "slow[name]"),
    ),
    mistake(
        "worst_first",
        "Your least accurate comes first.",
        "Sort by -accuracy.",
        BUDGET,
        ("-ways[name][0]", "ways[name][0]"),
    ),
    mistake(
        "ties_left_as_they_come",
        "Of ways that are equally accurate, yours come in the order of the table.",
        "The faster first: sort by (-accuracy, milliseconds).",
        BUDGET,
        ("(-ways[name][0], slow[name])", "-ways[name][0]"),
    ),
    mistake(
        "slower_of_equal_ones_first",
        "Of ways that are equally accurate, your slower one comes first.",
        "sorted(..., reverse=True) turns the milliseconds round as well: sort by (-accuracy, milliseconds).",
        BUDGET,
        ("(-ways[name][0], slow[name])", "(-ways[name][0], -slow[name])"),
    ),
)


EXERCISES = (
    Exercise(
        "L9.hog",
        HOG,
        ("histograms",),
        hog_cases,
        HOGS,
        (
            "Four steps: gradients, size and direction of each pixel, a histogram for each cell, one division for each image.",
            "part = (angle % pi * bins / pi) as int, % bins. votes (n, H, W, bins) = size where part equals the bin, else 0.",
            "Split the axes: votes.reshape(n, H // cell, cell, W // cell, cell, bins).sum((2, 4)); divide by sqrt of the sum of squares + 1e-6.",
        ),
        points=4,
        minutes=25,
        checks="Five batches, square and not, one of them with an empty image, each number to 1e-8.",
        core=False,
        task="Knowledge by hand: what a stroke looks like, in numbers that do not change with contrast.",
    ),
    Exercise(
        "L9.iou",
        IOU,
        ("agreement",),
        iou_cases,
        IOUS,
        (
            "What two boxes share is a box: where does it start, where does it end? What if they do not touch?",
            "It starts at the larger of the starts and ends at the smaller of the ends; a side below 0 is 0.",
            "shared = product of max(end - start, 0); divide by area(a) + area(b) - shared.",
        ),
        points=2,
        minutes=10,
        checks="Thirteen pairs of boxes: inside one another, overlapping, touching, apart in one direction and in both; to 1e-8.",
        core=False,
        task="Intersection over union: how a box that was found is judged against the true one.",
    ),
    Exercise(
        "L9.ensemble",
        ENSEMBLE,
        ("probabilities", "asked"),
        ensemble_cases,
        ENSEMBLES,
        (
            "A function may make a function and return it: def together(x): ... and return together, without brackets.",
            "Stack the logits: (M, N, C). Each `how` makes a table of that shape that is averaged over M with the weights' shares.",
            "softmax(z), z or np.eye(C)[z.argmax(2)]; np.tensordot(shares, table, 1); after the mean of logits, softmax.",
        ),
        points=4,
        minutes=20,
        checks="Eleven ensembles of 2 to 4 networks, all three ways, with and without weights, with logits up to 900; counted: how often each network is asked.",
        needs="from mini_nn.ops.softmax import forward as softmax",
        use=use_ensemble,
        twins=("mini_nn.inference.ensembles:ensemble",),
        task="Ask several networks and put their answers together. The batch x is handed to each model as it is.",
    ),
    Exercise(
        "L9.gain_interval",
        GAIN,
        ("gain", "low", "high"),
        gain_cases,
        GAINS,
        (
            "Of each photograph you know two things: was the first right, was the second right. What is the gain of one photograph?",
            "better = second - first is -1, 0 or 1. better[rows] draws them anew: (draws, n).",
            "np.quantile(better[rows].mean(1), [(1 - level) / 2, (1 + level) / 2]).",
        ),
        points=3,
        minutes=15,
        checks="Three pairs of classifiers on 4 to 25 photographs, levels 0.5, 0.8 and 0.95, with the draws given; to 1e-8.",
        core=False,
        task="Is it a gain or is it chance? The draws are given, so that the answer is one number.",
    ),
    Exercise(
        "L9.ten_crop",
        TEN,
        ("views",),
        crop_cases,
        CROPS,
        (
            "Five views of the image, and the same five of its mirror image.",
            "x[:, :size] is the top, x[:, -size:] the bottom, likewise left and right on axis 2. np.stack puts the views on axis 0.",
            "One function for five views; np.concatenate of its results for x and x[:, :, ::-1].",
        ),
        points=3,
        minutes=15,
        checks="Four batches of images that are not square, in which no two pixels are alike.",
        core=False,
        task="Five views: top left, top right, bottom left, bottom right, centre (which begins at round((side - size) / 2)); then the five of the mirrored image.",
    ),
    Exercise(
        "L9.within_budget",
        BUDGET,
        ("kept",),
        budget_cases,
        BUDGETS,
        (
            "Which of the runs count? Which number of them decides? In which order do those that are left come?",
            "np.quantile(runs[1:], share) <= budget. sorted(..., key=...) may compare pairs.",
            "sorted by (-accuracy, milliseconds) gives the most accurate first and, of equal ones, the faster.",
        ),
        points=2,
        minutes=15,
        checks="Eight budgets over tables of two and of seven ways, with runs that warm up, hiccups and ties.",
        core=False,
        task="A budget is a promise about slow runs, not about the mean.",
    ),
)
