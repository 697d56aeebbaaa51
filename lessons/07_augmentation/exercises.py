"""L7, augmentation: what is asked, the cases, and the mistakes that have a name.

A function that draws random numbers is called many times, and facts are compared: which pictures came out, how often, how the
draws are spread.  Every right way to draw gives the same facts; the margins are seven standard deviations wide.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn.data.augment import IMAGENET
from mini_nn.ops import Array

HERE = "lessons.07_augmentation.exercises"
AUGMENT = "mini_nn.data.augment"
Rng = np.random.Generator


# ---- the small functions that only this lesson needs


def flip(
    image: Array, label: int, partner: tuple[int | None, ...], rng: np.random.Generator, p: float = 0.5
) -> tuple[Array, int]:
    """Return (image, label) after mirroring left to right with probability p, where the mirror image has a name.

    image (H, W, C).  partner[label] is the label of the mirror image: the same for a cat, "turn right" for "turn left", and
    None where it is no class at all (a digit): that stays as it is.
    """
    other = partner[label]
    if other is None or rng.random() >= p:
        return image, label
    return image[:, ::-1], other


def colour_shift(x: Array, rng: np.random.Generator, amount: int = 20) -> Array:
    """Return x with a whole number of levels from -amount to amount, both included, added to each channel of each image.

    x (N, H, W, C) uint8, levels 0 to 255 -> uint8.  What would leave 0 to 255 stays at the end of the scale.
    """
    shift = rng.integers(-amount, amount + 1, size=(len(x), 1, 1, x.shape[3]))
    return np.clip(x + shift, 0, 255).astype(np.uint8)


# ---- facts about functions that draw


def many(function: Callable[[Array, Rng], Any], image: Array, times: int, seed: int = 0) -> list[Any]:
    """What it gives, again and again with one generator.  The first call gets the image itself, the others copies."""
    rng = np.random.default_rng(seed)
    return [function(image if i == 0 else image.copy(), rng) for i in range(times)]


def repeats(function: Callable[[Array, Rng], Any], image: Array) -> bool:
    """Whether the same seed gives the same results: the numbers come from rng, and from nowhere else."""
    first, again = (many(function, image.copy(), 12, seed=9) for _ in range(2))
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(first, again, strict=True))


def even(values: Array) -> bool:
    """Whether every value that occurs is about as frequent as every other: within seven standard deviations."""
    counts = np.unique(values, return_counts=True)[1]
    return bool(abs(counts - counts.mean()).max() <= 7 * counts.mean() ** 0.5)


def snapped(value: float, step: float) -> float:
    """The nearest multiple of step."""
    return round(value / step) * step


def factor(value: float, step: float = 1.4) -> float:
    """The nearest power of step; less than 1/50 and more than 16 are "hardly" and "far too much", whatever they are."""
    return round(step ** round(np.log(min(max(value, 0.02), 16.0)) / np.log(step)), 3)


def what_became(got: Any, image: Array) -> str:
    """A picture's change in words."""
    ways = {
        "as it was": image,
        "left and right swapped": image[:, ::-1],
        "upside down": image[::-1],
        "upside down, left and right swapped": image[::-1, ::-1],
        "channels swapped": image[..., ::-1],
    }
    return next((way for way, picture in ways.items() if np.array_equal(got, picture)), "something else")


def use_flip(function: Function, case: Case) -> Any:
    image, known = case["image"], case["image"].copy()

    def one(picture: Array, rng: Rng) -> tuple[str, Any]:
        got, label = function(picture, case["label"], case["partner"], rng, case["p"])
        return what_became(got, known), label

    found = many(one, image, 800)
    share = np.mean([way != "as it was" for way, _ in found])
    return sorted(set(found), key=str), snapped(float(share), 0.25), repeats(one, image)


def use_crop(function: Function, case: Case) -> Any:
    image, n = case["image"], round(case["padding"])
    padded = np.zeros((image.shape[0] + 2 * n, image.shape[1] + 2 * n, image.shape[2]))
    padded[n : n + image.shape[0], n : n + image.shape[1]] = image
    places = {
        padded[i : i + image.shape[0], j : j + image.shape[1]].tobytes(): (i, j)
        for i in range(2 * n + 1)
        for j in range(2 * n + 1)
    }
    found = many(
        lambda picture, rng: np.asarray(function(picture, rng, case["padding"])),
        image,
        1800 if n == 1 else 700,
    )
    offsets = [places.get(np.ascontiguousarray(crop).tobytes(), (-1, -1)) for crop in found]
    others = {crop.tobytes(): crop.tolist() for crop, at in zip(found, offsets, strict=True) if at[0] < 0}
    return (
        sorted({crop.shape for crop in found}),
        sorted({at for at in offsets if at[0] >= 0}),
        [others[key] for key in sorted(others)],
        all(even(np.array(side)) for side in zip(*offsets, strict=True)),
        repeats(lambda picture, rng: function(picture, rng, case["padding"]), image),
    )


def use_shift(function: Function, case: Case) -> Any:
    """x has a grey pixel at [0, 0] and [1, 1], a bright one at [0, 1] and a dark one at [1, 0]."""
    x, amount = case["x"], case["amount"]
    found = [np.asarray(got) for got in many(lambda y, rng: function(y, rng, amount), x, 1800 // len(x))]
    kind = sorted({f"{got.dtype} {got.shape}" for got in found})
    if kind != [f"uint8 {x.shape}"]:
        return kind, None, None, None, None, None, None
    got = np.stack(found).astype(int)  # (calls, N, 2, 2, C)
    shift = got[:, :, 0, 0] - 128
    pairs = zip(shift.ravel().tolist(), got[:, :, 0, 1].ravel(), got[:, :, 1, 0].ravel(), strict=True)
    return (
        kind,
        np.unique(shift),
        even(shift),
        [bool((got[:, :, 0, 0] == got[:, :, 1, 1]).all()), not (shift == shift[..., :1]).all()],
        not (shift == shift[:, :1]).all() if len(x) > 1 else True,
        {str(s): (int(bright), int(dark)) for s, bright, dark in sorted(pairs)},
        repeats(lambda y, rng: function(y, rng, amount), x),
    )


def use_fit(function: Function, case: Case) -> Any:
    """Numbers as arrays; of an axis and its opposite, the one whose largest number is above zero."""
    given = case["images"]
    values, vectors = function(iter(given) if case["once"] else given)
    vectors = np.array(vectors, float)
    if vectors.ndim == 2:
        largest = np.take_along_axis(vectors, abs(vectors).argmax(0)[None], 0)
        vectors = vectors * np.where(largest < 0, -1, 1)
    return np.array(values, float), vectors


def use_pca(function: Function, case: Case) -> Any:
    """The draws a of many calls, worked out from what was added to a grey image, as multiples of std along each axis."""
    image, std, values, vectors = case["image"], case["std"], case["values"], case["vectors"]

    def one(picture: Array, rng: Rng) -> Array:
        return np.asarray(function(picture, rng, std, values, vectors), np.float64)

    found = many(one, image, 4000)
    added = np.stack(found) - image
    ends = [got for light in (0, 2) for got in many(one, image * light, 100)]
    inside = all(got.min() >= 0 and got.max() <= 1 for got in ends)
    flat = added[:, 0, 0]
    draws = flat @ np.array(vectors) / np.array(values) / std
    centred = draws - draws.mean(0)
    size = centred.std(0)
    far = np.sqrt((draws**2).mean(0))
    shape = (centred / np.maximum(size, 1e-12)) ** 4
    together = np.corrcoef(draws.T + 1e-12 * np.random.default_rng(0).normal(size=draws.T.shape))
    return (
        [factor(float(f)) for f in far],
        [snapped(float(m), 0.5) for m in draws.mean(0) / np.maximum(far, 1e-12)],
        ["bell" if 2.4 < k < 3.7 else "no bell" for k in shape.mean(0)],
        bool(abs(together - np.eye(len(values))).max() < 0.5),
        bool(np.allclose(added, flat[:, None, None], atol=1e-6)),
        len(np.unique(flat.round(9), axis=0)) > 1,
        inside,
        repeats(one, image),
    )


# ---- cases


def distinct(rng: Rng, *shape: int) -> Array:
    """An image in which no two numbers are equal, and none is 0."""
    return np.asarray((1 + rng.permutation(int(np.prod(shape)))).reshape(shape) / 64.0)


def flip_cases(rng: Rng) -> Iterator[Case]:
    cat, left, right, seven = range(4)
    partner = (cat, right, left, None)
    for label, p, shape in (
        (cat, 1.0, (2, 3, 2)),
        (left, 1.0, (2, 3, 3)),
        (seven, 1.0, (2, 2, 1)),
        (cat, 0.0, (1, 2, 1)),
        (right, 0.25, (3, 4, 3)),
        (seven, 0.75, (2, 3, 1)),
    ):
        yield {"image": distinct(rng, *shape), "label": label, "partner": partner, "p": p}


def crop_cases(rng: Rng) -> Iterator[Case]:
    for shape, padding in (((2, 3, 1), 1), ((2, 2, 2), 0), ((3, 2, 2), 1.6)):
        yield {"image": distinct(rng, *shape), "padding": padding}


def matrix_cases(_: Rng) -> Iterator[Case]:
    for degrees, shear, scale in ((0, 0, 1), (90, 0, 1), (0, 0, 2), (0, 30, 1), (20, 0, 0.5), (-25, 12, 1.3)):
        yield {"degrees": float(degrees), "shear": float(shear), "scale": float(scale)}


def warp_cases(rng: Rng) -> Iterator[Case]:
    turned = np.array([[0.8, -0.6], [0.6, 0.8]])
    slanted = np.array([[1.1, 0.2], [0.5, 0.9]])
    for shape, matrix, shift, fill in (
        ((1, 3, 1), np.eye(2), (0, 1), None),
        ((3, 3, 1), np.array([[0.0, -1.0], [1.0, 0.0]]), (0, 0), None),
        ((4, 3, 2), np.eye(2), (0.25, -0.4), None),
        ((5, 4, 1), turned, (0, 0), None),
        ((4, 6, 3), slanted, (0.3, -1.2), None),
        ((5, 6, 2), turned * 0.7, (0.4, 0.1), 0.5),
        ((4, 5, 1), np.eye(2), (1.3, -0.7), 0.0),
        ((3, 2, 1), np.eye(2), (0.5, -0.5), 2.0),  # exactly half a pixel outside
        ((3, 2, 1), np.eye(2), (-0.5, 0.5), 2.0),
    ):
        yield {"image": rng.random(shape), "matrix": matrix, "shift": shift, "fill": fill}


def shift_cases(_: Rng) -> Iterator[Case]:
    for n, channels, amount in ((1, 1, 1), (3, 2, 3)):
        x = np.full((n, 2, 2, channels), 128, np.uint8)
        x[:, 0, 1], x[:, 1, 0] = 254, 1
        yield {"x": x, "amount": amount}


def fit_cases(rng: Rng) -> Iterator[Case]:
    for once, shapes, channels in (
        (False, ((2, 3),), 2),
        (False, ((2, 3), (3, 3)), 3),
        (True, ((3, 2), (5, 4), (2, 2)), 3),
        (True, ((2, 3), (3, 4)), 4),
    ):
        mix = rng.random((channels, channels))
        images = [0.2 * rng.random((*s, channels)) @ mix + 0.3 * rng.random(channels) for s in shapes]
        yield {"images": images, "once": once}


SMALL = (  # two axes at 30 degrees, of unlike length
    (0.28, 0.12),
    ((3**0.5 / 2, -0.5), (0.5, 3**0.5 / 2)),
)
LARGE = ((0.24, 0.018, 0.0045), IMAGENET.vectors)


def pca_cases(_: Rng) -> Iterator[Case]:
    for shape, std, (values, vectors) in (((1, 1, 2), 0.06, SMALL), ((2, 1, 3), 0.15, LARGE)):
        yield {"image": np.full(shape, 0.5), "std": std, "values": values, "vectors": vectors}


# ---- mistakes that all drawing functions share


def own_generator(where: str, old: str, new: str) -> Mistake:
    return mistake(
        "random_of_its_own",
        "Your random numbers do not come from rng: the same seed gives other pictures.",
        "Draw with rng.random, rng.integers, rng.normal: np.random and `random` have a state of their own that nobody can repeat.",
        where,
        (old, new),
    )


FLIP = f"{HERE}:flip"
CROP, MATRIX, WARP = f"{AUGMENT}:random_crop", f"{AUGMENT}:affine_matrix", f"{AUGMENT}:warp"
SHIFT, FIT, PCA = f"{HERE}:colour_shift", f"{AUGMENT}:fit_pca_colour", f"{AUGMENT}:pca_colour"

FLIPPED = (
    mistake(
        "flip_changes_the_label",
        "Your photograph is mirrored and its label is not.",
        "A mirrored 'turn left' is a 'turn right': return partner[label] with the mirrored image.",
        FLIP,
        ("image[:, ::-1], other", "image[:, ::-1], label"),
    ),
    mistake(
        "mirrored_without_a_name",
        "You mirror images whose mirror image is no class.",
        "Where partner[label] is None, image and label stay as they are: a mirrored 7 is no digit.",
        FLIP,
        ("other is None or rng", "rng"),
        ("image[:, ::-1], other", "image[:, ::-1], label if other is None else other"),
    ),
    mistake(
        "upside_down",
        "You swap top and bottom.",
        "Axis 0 counts rows from the top, axis 1 counts columns from the left: left and right are swapped along axis 1.",
        FLIP,
        ("image[:, ::-1]", "image[::-1]"),
    ),
    mistake(
        "turned_by_180_degrees",
        "You swap top and bottom as well as left and right.",
        "Only axis 1, the columns, is turned round.",
        FLIP,
        ("image[:, ::-1]", "image[::-1, ::-1]"),
    ),
    mistake(
        "channels_reversed",
        "You turn the channels round: red becomes blue.",
        "The last axis is colour. Columns are axis 1: image[:, ::-1].",
        FLIP,
        ("image[:, ::-1]", "image[..., ::-1]"),
    ),
    mistake(
        "probability_inverted",
        "You mirror with probability 1 - p.",
        "rng.random() is below p with probability p: mirror then, and not otherwise.",
        FLIP,
        (">= p", "< p"),
    ),
    mistake(
        "always_mirrored",
        "You mirror every time, whatever p is.",
        "Compare one rng.random() with p.",
        FLIP,
        ("rng.random() >= p", "p < 0"),
    ),
    mistake(
        "always_half",
        "You mirror half of the time, whatever p is.",
        "Compare rng.random() with p, not with 0.5.",
        FLIP,
        (">= p", ">= 0.5"),
    ),
    mistake(
        "label_swapped_alone",
        "Your label is the partner's also when nothing was mirrored.",
        "The image that stays as it is keeps its own label.",
        FLIP,
        ("return image, label", "return image, label if other is None else other"),
    ),
    own_generator(FLIP, "rng.random()", "np.random.default_rng().random()"),
)

CROPPED = (
    mistake(
        "last_offset_missing",
        "Your cut never touches the last row and column of the padded image.",
        "There are 2 n + 1 places, 0 to 2 n, and rng.integers(k) stops at k - 1.",
        CROP,
        ("2 * n + 1", "2 * n or 1"),
    ),
    mistake(
        "first_offset_missing",
        "Your cut never touches the first row and column of the padded image.",
        "Offsets start at 0.",
        CROP,
        ("rng.integers(2 * n + 1, size=2)", "rng.integers(min(1, n), 2 * n + 1, size=2)"),
    ),
    mistake(
        "one_offset_for_both",
        "You move the cut along the diagonal only: one draw serves rows and columns.",
        "Draw twice: one offset from the top, another from the left.",
        CROP,
        ("rng.integers(2 * n + 1, size=2)", "(rng.integers(2 * n + 1),) * 2"),
    ),
    mistake(
        "ends_half_as_often",
        "The places at the ends come half as often as the others.",
        "Rounding a rng.uniform gives the two ends half a bin each: draw whole numbers with rng.integers.",
        CROP,
        ("rng.integers(2 * n + 1, size=2)", "np.round(rng.uniform(0, 2 * n, size=2)).astype(int)"),
    ),
    mistake(
        "edge_instead_of_black",
        "You pad with copies of the edge.",
        "The padding is black: zeros, np.pad's default.",
        CROP,
        ("(0, 0)))", "(0, 0)), mode='edge')"),
    ),
    mistake(
        "sides_swapped",
        "Your cut has height and width swapped.",
        "image.shape is (H, W, C): rows from top to top + H, columns from left to left + W.",
        CROP,
        ("top + image.shape[0]", "top + image.shape[1]"),
        ("left + image.shape[1]", "left + image.shape[0]"),
    ),
    mistake(
        "channels_padded",
        "You pad the channels too.",
        "np.pad wants a pair for each axis: (n, n) for rows and columns, (0, 0) for colour.",
        CROP,
        ("((n, n), (n, n), (0, 0))", "n"),
    ),
    mistake(
        "not_cut_to_size",
        "Your cut runs to the end of the padded image, so its size changes.",
        "The result has the size of the image: end the slices at top + H and left + W.",
        CROP,
        ("top : top + image.shape[0]", "top:"),
        ("left : left + image.shape[1]", "left:"),
    ),
    mistake(
        "padding_cut_down",
        "A padding of 1.6 became 1.",
        "A recipe multiplies the padding by its strength, so it may have a fraction: round it.",
        CROP,
        ("round(padding)", "int(padding)"),
    ),
    own_generator(CROP, "rng.integers", "np.random.default_rng().integers"),
)

AFFINE_MATRIX = (
    mistake(
        "degrees_for_radians",
        "You gave degrees to cos and sin.",
        "They want radians: a = degrees pi / 180.",
        MATRIX,
        ("a = radians(degrees)", "a = degrees"),
        ("tan(radians(shear))", "tan(shear)"),
    ),
    mistake(
        "shear_in_degrees",
        "You gave degrees to tan.",
        "tan wants radians, as cos and sin do.",
        MATRIX,
        ("tan(radians(shear))", "tan(shear)"),
    ),
    mistake(
        "turned_the_other_way",
        "You turn with the clock.",
        "Rows count downwards, so in (down, right) a turn against the clock is [[cos, -sin], [sin, cos]].",
        MATRIX,
        ("-sin(a)], [sin(a)", "sin(a)], [-sin(a)"),
    ),
    mistake(
        "right_before_down",
        "Your matrix is for (right, down) in place of (down, right).",
        "The first row gives the new `down`, the first column multiplies the old one: as image[row, column].",
        MATRIX,
        ("scale * turn @ slant", "(scale * turn @ slant)[::-1, ::-1]"),
    ),
    mistake(
        "transposed",
        "Your matrix is transposed.",
        "It multiplies a column: new = matrix @ (down, right).",
        MATRIX,
        ("scale * turn @ slant", "(scale * turn @ slant).T"),
    ),
    mistake(
        "turned_before_shear",
        "You turn first and shear then.",
        "In turn @ slant the factor at the right acts first: the shear.",
        MATRIX,
        ("turn @ slant", "slant @ turn"),
    ),
    mistake(
        "rows_sheared",
        "You shear rows: y += tan(shear) x.",
        "Columns slant: the new `right` is right + tan(shear) down, so tan stands in the second row, first column.",
        MATRIX,
        ("[[1, 0], [tan(radians(shear)), 1]]", "[[1, tan(radians(shear))], [0, 1]]"),
    ),
    mistake(
        "sine_for_tangent",
        "You shear by the sine.",
        "A slant by an angle moves a pixel by tan(angle) for each pixel of height.",
        MATRIX,
        ("tan(radians(shear))", "sin(radians(shear))"),
    ),
    mistake(
        "scale_of_turn_only_in_one_axis",
        "You scale one axis.",
        "scale multiplies the whole matrix.",
        MATRIX,
        ("scale * turn", "np.array([[scale], [1]]) * turn"),
    ),
    mistake(
        "scale_inverted",
        "You divide by scale.",
        "The matrix says where a pixel goes: away from the centre for scale > 1.",
        MATRIX,
        ("scale * turn", "turn / scale"),
    ),
    mistake(
        "inverse",
        "Your matrix is the inverse.",
        "Say where a pixel goes. Where it comes from is the next exercise's business.",
        MATRIX,
        ("scale * turn @ slant", "np.linalg.inv(scale * turn @ slant)"),
    ),
)

WARPED = (
    mistake(
        "not_inverted",
        "You look pixels up where they go, not where they come from.",
        "The new pixel p takes its colour from matrix^-1 (p - shift).",
        WARP,
        ("np.linalg.inv(matrix)", "np.asarray(matrix)"),
    ),
    mistake(
        "corner_instead_of_centre",
        "You turn about the corner [0, 0].",
        "Measure down and right from the centre, ((H - 1) / 2, (W - 1) / 2), and add it again after the matrix.",
        WARP,
        ("np.array([(height - 1) / 2, (width - 1) / 2])", "np.zeros(2)"),
    ),
    mistake(
        "centre_off_by_half",
        "Your centre is (H / 2, W / 2): half a pixel too far down and right.",
        "Pixels 0 to H - 1 have their middle at (H - 1) / 2.",
        WARP,
        ("(height - 1) / 2, (width - 1) / 2", "height / 2, width / 2"),
    ),
    mistake(
        "centre_not_added_again",
        "You subtract the centre and never add it again.",
        "y = back[0, 0] down + back[0, 1] right + the centre's row, and x likewise.",
        WARP,
        ("right + centre[0]", "right"),
        ("right + centre[1]", "right"),
    ),
    mistake(
        "rows_and_columns_swapped",
        "Your matrix is used as if it were for (right, down).",
        "Its first row and column belong to `down`, as in image[row, column].",
        WARP,
        ("np.linalg.inv(matrix)", "np.linalg.inv(matrix)[::-1, ::-1]"),
    ),
    mistake(
        "shift_after_the_matrix",
        "You subtract the shift after going back through the matrix.",
        "Forwards the matrix comes first and the shift second; backwards the shift is taken off first.",
        WARP,
        (" - centre[0] - shift[0]", " - centre[0]"),
        (" - centre[1] - shift[1]", " - centre[1]"),
        ("right + centre[0]", "right + centre[0] - shift[0]"),
        ("right + centre[1]", "right + centre[1] - shift[1]"),
    ),
    mistake(
        "shift_the_wrong_way",
        "Your picture moves the wrong way.",
        "A shift of (1, 0) moves the picture one row down, so the new pixel p looks at p - shift.",
        WARP,
        ("- shift[0]", "+ shift[0]"),
        ("- shift[1]", "+ shift[1]"),
    ),
    mistake(
        "shift_ignored",
        "The shift does nothing.",
        "The new pixel p looks at matrix^-1 (p - shift).",
        WARP,
        ("- shift[0]", ""),
        ("- shift[1]", ""),
    ),
    mistake(
        "nearest_pixel",
        "You take the nearest pixel.",
        "Between four pixels take their bilinear mean, by the shares (1 - low) or low, and (1 - near) or near.",
        WARP,
        ("top, left = np.floor(y), np.floor(x)", "top, left = np.round(y), np.round(x)"),
        ("(y - top)", "(0 * y)"),
        ("(x - left)", "(0 * x)"),
    ),
    mistake(
        "weights_swapped",
        "The farther pixel gets the larger share.",
        "The pixel above counts (1 - low), low being the distance to it; the one below counts low.",
        WARP,
        ("(1 - low, low)", "(low, 1 - low)"),
        ("(1 - near, near)", "(near, 1 - near)"),
    ),
    mistake(
        "cut_towards_zero",
        "Your places between -1 and 0 are cut to 0.",
        "int() cuts towards zero. np.floor(-0.3) is -1.",
        WARP,
        ("np.floor(y), np.floor(x)", "np.trunc(y), np.trunc(x)"),
    ),
    mistake(
        "edges_black",
        "What comes from outside is black, although fill is None.",
        "None: the nearest pixel of the edge, by clipping the row and the column.",
        WARP,
        ("if fill is not None:", "if (fill := fill or 0.0) is not None:"),
    ),
    mistake(
        "fill_ignored",
        "What comes from outside is the edge's colour, although fill is a number.",
        "Where y < -0.5, y > H - 0.5, x < -0.5 or x > W - 0.5, the new pixel is fill.",
        WARP,
        ("= fill", "= result[(y < -0.5) | (y > height - 0.5) | (x < -0.5) | (x > width - 0.5)]"),
    ),
    mistake(
        "outside_begins_at_the_middle",
        "You fill where the place is beyond the middle of the last pixel.",
        "A pixel covers half a unit to each side: outside is y < -0.5 or y > H - 0.5.",
        WARP,
        ("(y < -0.5)", "(y < 0)"),
        ("(y > height - 0.5)", "(y > height - 1)"),
        ("(x < -0.5)", "(x < 0)"),
        ("(x > width - 0.5)", "(x > width - 1)"),
    ),
)

SHIFTED = (
    mistake(
        "uint8_wrap",
        "Your levels wrap around: 254 + 3 became 1.",
        "uint8 holds 0 to 255 and starts again. Add in int, clip, and only then make it uint8.",
        SHIFT,
        ("np.clip(x + shift, 0, 255)", "(x + shift)"),
    ),
    mistake(
        "one_draw_for_the_batch",
        "All images of your batch get the same shift.",
        "Draw a number for each image and channel: size (N, 1, 1, C).",
        SHIFT,
        ("(len(x), 1, 1, x.shape[3])", "(1, 1, 1, x.shape[3])"),
    ),
    mistake(
        "one_draw_for_all_channels",
        "All channels of an image get the same shift: that is brightness, not colour.",
        "Draw a number for each channel: size (N, 1, 1, C).",
        SHIFT,
        ("(len(x), 1, 1, x.shape[3])", "(len(x), 1, 1, 1)"),
    ),
    mistake(
        "a_draw_for_every_pixel",
        "Every pixel gets a shift of its own: that is noise.",
        "The light of a photograph changes as a whole: one number for each image and channel.",
        SHIFT,
        ("(len(x), 1, 1, x.shape[3])", "x.shape"),
    ),
    mistake(
        "last_level_missing",
        "A shift of +amount never comes.",
        "rng.integers(low, high) stops before high: write amount + 1.",
        SHIFT,
        ("amount + 1", "amount"),
    ),
    mistake(
        "only_brighter",
        "Your shifts are never below zero.",
        "Levels go from -amount to amount.",
        SHIFT,
        ("-amount, amount + 1", "0, amount + 1"),
    ),
    mistake(
        "ends_half_as_often",
        "The shifts -amount and amount come half as often as the others.",
        "Rounding a rng.uniform gives the two ends half a bin each: draw whole numbers with rng.integers.",
        SHIFT,
        (
            "rng.integers(-amount, amount + 1, size=(len(x), 1, 1, x.shape[3]))",
            "np.round(rng.uniform(-amount, amount, size=(len(x), 1, 1, x.shape[3]))).astype(int)",
        ),
    ),
    mistake(
        "left_as_int",
        "Your result is no longer uint8.",
        "The rest of the pipeline expects uint8: .astype(np.uint8) after the clipping.",
        SHIFT,
        (".astype(np.uint8)", ""),
    ),
    own_generator(SHIFT, "rng.integers", "np.random.default_rng().integers"),
)

FITTED = (
    mistake(
        "fitted_on_one_image",
        "You used the first image alone.",
        "The colours of a training set: the pixels of all its images.",
        FIT,
        ("if count < 2:", "if False:"),
        ("products = products + pixels.T @ pixels", "products = products + pixels.T @ pixels\n        break"),
    ),
    mistake(
        "fitted_on_the_last_image",
        "You used the last image alone.",
        "Add up over the images: a sum that starts anew with each image forgets the ones before.",
        FIT,
        ("count += len(pixels)", "count = len(pixels)"),
        ("total = total + pixels.sum(0)", "total = pixels.sum(0)"),
        ("products = products + pixels.T @ pixels", "products = pixels.T @ pixels"),
    ),
    mistake(
        "eigenvectors_transposed",
        "Your eigenvectors are the rows.",
        "np.linalg.eigh returns them as columns: vectors[:, i] belongs to values[i]. Turn the order of the columns round, and nothing else.",
        FIT,
        ("vectors[:, ::-1].tolist()", "vectors[:, ::-1].T.tolist()"),
    ),
    mistake(
        "smallest_first",
        "Your smallest eigenvalue comes first.",
        "np.linalg.eigh sorts upwards: turn values round, and the columns of vectors with them.",
        FIT,
        ("values[::-1]", "values"),
        ("vectors[:, ::-1]", "vectors"),
    ),
    mistake(
        "vectors_left_in_order",
        "You turned the eigenvalues round and not the eigenvectors.",
        "vectors[:, i] belongs to values[i]: reverse the columns too.",
        FIT,
        ("vectors[:, ::-1]", "vectors"),
    ),
    mistake(
        "mean_not_subtracted",
        "You did not subtract the mean colour.",
        "A covariance is the mean of (pixel - mean)(pixel - mean)^T, which is the mean product less mean mean^T.",
        FIT,
        ("products / count - np.outer(mean, mean)", "products / count"),
    ),
    mistake(
        "mean_of_each_image",
        "You subtracted from each image its own mean.",
        "The mean colour of the whole training set: else what sets a red photograph apart from a blue one is lost.",
        FIT,
        (
            "pixels = image.reshape(-1, image.shape[-1]).astype(np.float64)",
            "pixels = image.reshape(-1, image.shape[-1]) - image.mean((0, 1))",
        ),
    ),
    mistake(
        "images_count_alike",
        "A small image counts as much as a large one.",
        "Every pixel counts once: divide the sum over all pixels by their number.",
        FIT,
        ("count += len(pixels)", "count += 1"),
        ("pixels.sum(0)", "pixels.mean(0)"),
        ("pixels.T @ pixels", "pixels.T @ pixels / len(pixels)"),
        ("if count < 2:", "if False:"),
    ),
    mistake(
        "mean_colours_only",
        "You took the covariance of the images' mean colours.",
        "Of all pixels: the colours inside a photograph spread too.",
        FIT,
        ("image.reshape(-1, image.shape[-1])", "image.mean((0, 1), keepdims=True)[0]"),
        ("if count < 2:", "if False:"),
    ),
    mistake(
        "one_less",
        "You divided by the number of pixels less one, as np.cov does.",
        "Divide by the number of pixels. (For millions of pixels there is no difference; for this check there is.)",
        FIT,
        (
            "products / count - np.outer(mean, mean)",
            "(products / count - np.outer(mean, mean)) * count / (count - 1)",
        ),
    ),
    mistake(
        "levels_for_shares",
        "Your pixels were 0 to 255.",
        "Leave them in [0, 1]: eigenvalues grow with the square of the scale, and the colours of pca_colour with them.",
        FIT,
        (".astype(np.float64)", ".astype(np.float64) * 255"),
    ),
    mistake(
        "deviations_for_variances",
        "Your values are standard deviations.",
        "The formula of pca_colour takes the eigenvalues of the covariance, which are variances. Singular values would be squared first.",
        FIT,
        ("values[::-1].clip(0)", "np.sqrt(values[::-1].clip(0))"),
    ),
)

PCA_SHIFTED = (
    mistake(
        "eigenvectors_transposed",
        "Your eigenvectors are the rows of `vectors`.",
        "They are its columns: shift = vectors @ (a * values). (a * values) @ vectors takes the rows.",
        PCA,
        ("np.array(vectors)", "np.array(vectors).T"),
    ),
    mistake(
        "uniform_instead_of_normal",
        "Your draws are uniform.",
        "a ~ N(0, std): rng.normal(0, std, 3). A uniform draw never goes beyond its ends, and is spread less.",
        PCA,
        ("rng.normal(0, std, len(values))", "rng.uniform(-std, std, len(values))"),
    ),
    mistake(
        "uniform_from_zero",
        "Your draws are uniform and never below zero.",
        "a ~ N(0, std): rng.normal(0, std, 3).",
        PCA,
        ("rng.normal(0, std, len(values))", "rng.uniform(0, std, len(values))"),
    ),
    mistake(
        "units_of_sigma",
        "You use std as if pixels went from 0 to 255: your shift is 255 times too small.",
        "The pixels, the eigenvalues and std belong together: all for pixels in [0, 1].",
        PCA,
        ("rng.normal(0, std, len(values))", "rng.normal(0, std / 255, len(values))"),
    ),
    mistake(
        "levels_for_shares",
        "Your shift is in levels of 0 to 255: 255 times too large.",
        "The image is in [0, 1], and so is the shift.",
        PCA,
        ("rng.normal(0, std, len(values))", "rng.normal(0, std * 255, len(values))"),
    ),
    mistake(
        "deviations_for_variances",
        "You multiply by the roots of the eigenvalues.",
        "Krizhevsky's formula has a_i l_i with l_i the eigenvalue itself, although its root would be the spread of the colours.",
        PCA,
        ("* values)", "* np.sqrt(values))"),
    ),
    mistake(
        "eigenvalues_left_out",
        "You leave the eigenvalues out: every axis moves as far as the longest.",
        "shift = vectors @ (a * values).",
        PCA,
        ("(rng.normal(0, std, len(values)) * values)", "rng.normal(0, std, len(values))"),
    ),
    mistake(
        "variance_for_deviation",
        "You take std for a variance.",
        "rng.normal(0, std) wants the standard deviation: no root.",
        PCA,
        ("rng.normal(0, std,", "rng.normal(0, std**0.5,"),
    ),
    mistake(
        "one_draw_for_the_batch",
        "Every image gets the same shift.",
        "Draw anew in every call, from the rng that is given: a generator made inside starts again each time.",
        PCA,
        ("rng.normal", "np.random.default_rng(1).normal"),
    ),
    mistake(
        "one_draw_for_all_axes",
        "One draw serves all axes.",
        "a has a number for each eigenvector: rng.normal(0, std, 3).",
        PCA,
        ("rng.normal(0, std, len(values)) * values", "rng.normal(0, std) * np.array(values)"),
    ),
    mistake(
        "a_draw_for_every_pixel",
        "Every pixel gets a shift of its own: that is noise.",
        "One shift for the whole image: the light changes, not the scene.",
        PCA,
        (
            "np.array(vectors) @ (rng.normal(0, std, len(values)) * values)",
            "rng.normal(0, std, image.shape) * values @ np.array(vectors).T",
        ),
    ),
    mistake(
        "not_clipped",
        "Your pixels leave [0, 1].",
        "Clip after adding.",
        PCA,
        ("clip(image + shift)", "image + shift"),
    ),
    own_generator(PCA, "rng.normal", "np.random.default_rng().normal"),
)


EXERCISES = (
    Exercise(
        "L7.flip",
        FLIP,
        ("outcomes", "share", "repeats"),
        flip_cases,
        FLIPPED,
        (
            "Which axis of (H, W, C) runs from left to right? And what is the mirror image of 'turn left'?",
            "image[:, ::-1] swaps left and right. Draw one number and compare it with p. The label is partner[label] only if you mirror.",
            "Nothing to do if partner[label] is None or rng.random() >= p; else the columns reversed and partner[label].",
        ),
        points=1,
        minutes=10,
        core=False,
        checks="Six settings, 800 draws each: which pairs of picture and label come out, and how often; the same seed must repeat them.",
        use=use_flip,
        task="Mirror a photograph, and keep its label true: a cat stays a cat, 'turn left' does not, and a mirrored 7 is nothing.",
    ),
    Exercise(
        "L7.random_crop",
        CROP,
        ("shapes", "offsets", "other_pictures", "even", "repeats"),
        crop_cases,
        CROPPED,
        (
            "An image of H rows fits into H + 2 n rows in how many places?",
            "np.pad with a pair for each axis; two draws with rng.integers, whose end is not included; one slice.",
            "n = round(padding); offsets 0 to 2 n; padded[top : top + H, left : left + W].",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Three settings, 700 cuts or more each: every place of the cut must come, equally often, and no other picture.",
        use=use_crop,
        task="n black pixels around the image, n = round(padding), and the old size cut out at a random place: every place equally likely, rows and columns drawn apart.",
    ),
    Exercise(
        "L7.affine_matrix",
        MATRIX,
        ("matrix",),
        matrix_cases,
        AFFINE_MATRIX,
        (
            "Where does a pixel that is (1, 0) from the centre, one below it, go? And one at (0, 1), to its right? Those are the matrix's two columns.",
            "A turn [[cos, -sin], [sin, cos]] and a shear [[1, 0], [tan, 1]] for (down, right), angles in radians; the shear acts first.",
            "scale * turn @ slant, with turn and slant as in hint 2.",
        ),
        points=2,
        minutes=15,
        core=False,
        checks="Six matrices, each number to 1e-8.",
        task="Affine 1 of 2: the matrix that turns by `degrees` against the clock, slants by `shear` degrees and enlarges by `scale`, about the centre.",
    ),
    Exercise(
        "L7.warp",
        WARP,
        ("new",),
        warp_cases,
        WARPED,
        (
            "For one new pixel p: measured from the centre, which place of the old image does it show?",
            "(y, x) = matrix^-1 (p - centre - shift) + centre; floor gives the pixel above and left, the fractions give the four shares.",
            "Add four terms: image[rows top or top + 1, columns left or left + 1, clipped] times (1 - low or low) times (1 - near or near).",
        ),
        points=4,
        minutes=30,
        checks="Nine small images, turned, slanted, moved and filled, each number to 1e-5.",
        tolerance=1e-5,
        task="Affine 2 of 2: every new pixel p looks up where it comes from, matrix^-1 (p - shift), both measured from the image's centre, and takes the "
        "bilinear mean of the four pixels around that place. matrix and shift are (down, right). A place more than half a pixel outside the image "
        "gives `fill`, or the nearest pixel of the edge where fill is None.",
    ),
    Exercise(
        "L7.colour_shift",
        SHIFT,
        (
            "kind",
            "shifts",
            "even",
            "same_for_pixels_not_for_channels",
            "new_for_each_image",
            "ends",
            "repeats",
        ),
        shift_cases,
        SHIFTED,
        (
            "How many random numbers does a batch need? And what is 254 + 3 in uint8?",
            "size=(N, 1, 1, C) broadcasts over the pixels; uint8 plus int64 is int64, which can be clipped.",
            "Integers from -amount to amount + 1 (not included), added, clipped to 0..255, made uint8.",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="A batch of one image and one of three, 1,800 images each: which shifts come, how often, for whom, and what becomes of levels 1 and 254.",
        use=use_shift,
        task="A batch as it comes from photographs: levels 0 to 255 in uint8. Add one random whole number to each channel of each image.",
    ),
    Exercise(
        "L7.fit_pca_colour",
        FIT,
        ("values", "vectors"),
        fit_cases,
        FITTED,
        (
            "One long table of pixels, (number of pixels, C): its covariance is C x C, whatever the images' sizes.",
            "Keep three sums over the images: how many pixels, their sum, and pixels.T @ pixels. np.linalg.eigh sorts its values upwards.",
            "eigh(products / count - outer(mean, mean)); reverse the values, and the columns of the vectors.",
        ),
        points=3,
        minutes=20,
        core=False,
        checks="Four training sets of 1 to 3 images of unlike sizes, with 2 to 4 channels, to 1e-8; an axis and its opposite count as the same.",
        use=use_fit,
        task="Return (values, vectors): the eigenvalues of the covariance of all pixels, largest first, and the eigenvectors as columns in the same order. "
        "Divide by the number of pixels. `images` may be read once only: a training set does not fit into memory.",
    ),
    Exercise(
        "L7.pca_colour",
        PCA,
        (
            "spread",
            "mean",
            "shape",
            "independent",
            "one_shift_an_image",
            "new_each_time",
            "inside",
            "repeats",
        ),
        pca_cases,
        PCA_SHIFTED,
        (
            "How many random numbers does one photograph need? One for each axis, from a bell curve.",
            "shift = sum over i of p_i a_i l_i, with p_i the columns of `vectors`: a matrix times a column.",
            "a = rng.normal(0, std, 3); clip(image + vectors @ (a * values)) to [0, 1].",
        ),
        points=3,
        minutes=15,
        core=False,
        checks="4,000 calls on each of two sets of axes; from what was added the draws a are worked out, and their spread, shape and independence judged.",
        use=use_pca,
        task="One shift for a whole photograph along the axes of its training set's colours; the result clipped to [0, 1].",
    ),
)
