"""L4, compound scaling: what is asked, the cases, and the mistakes that have a name."""

from collections.abc import Iterator
from math import ceil, log

import numpy as np

from lessons.catalogue import Case, Exercise, mistake
from mini_nn.blocks import round_channels
from mini_nn.models.efficientnet import SCALES

HERE = "lessons.04_compound_scaling.exercises"
Rng = np.random.Generator


def round_filters(filters: int, width_mult: float) -> int:
    """Return filters * width_mult as a multiple of 8: the nearest, but never more than 10 % less than asked, and at least 8."""
    wanted = filters * width_mult
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def round_repeats(repeats: int, depth_mult: float) -> int:
    """Return how many blocks a row has in the deeper network: repeats * depth_mult, rounded up."""
    return ceil(repeats * depth_mult)


def efficientnet_config(width_mult: float, depth_mult: float) -> tuple[int, list[tuple[int, int]], int]:
    """Return (channels of the stem, [(channels, blocks) of each of the seven rows], channels of the head).

    B0's stem has 32 channels, its rows (16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1), its head 1280.  Channels
    are scaled with the library's `round_channels(c * width_mult)`, blocks like round_repeats.
    """
    rows = [(16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1)]
    stages = [(round_channels(c * width_mult), ceil(n * depth_mult)) for c, n in rows]
    return round_channels(32 * width_mult), stages, round_channels(1280 * width_mult)


def cost_factor(depth: float, width: float, resolution: float) -> float:
    """Return how many times the multiply-adds grow when depth, width and resolution grow by these factors (paper, section 3.3)."""
    return depth * width**2 * resolution**2


def solve_gamma(alpha: float, beta: float, budget: float = 2.0) -> float:
    """Return the gamma for which one step of phi costs `budget` times as much: alpha beta^2 gamma^2 = budget.

    alpha, beta, gamma are the bases of depth, width and resolution (the paper's equation 3).
    """
    return float((budget / (alpha * beta**2)) ** 0.5)


def phi_of(depth_mult: float, width_mult: float, resolution: int) -> tuple[float, float, float]:
    """Return the phi that each of a network's three numbers stands for, by the formula of the paper.

    depth = 1.2^phi, width = 1.1^phi, resolution = 224 * 1.15^phi.  If the published table followed its formula, the three would agree.
    """
    return log(depth_mult) / log(1.2), log(width_mult) / log(1.1), log(resolution / 224) / log(1.15)


# ---- cases


def filter_cases(_: Rng) -> Iterator[Case]:
    for filters, width_mult in (
        (32, 1.0),
        (16, 1.1),
        (40, 1.1),
        (24, 1.4),
        (80, 1.2),
        (112, 1.6),
        (320, 2.0),
        (1280, 1.8),
        (3, 1.0),
        (24, 0.5),
        (32, 0.35),
        (16, 0.7),
        (24, 0.75),
        (40, 0.3),
        (60, 0.35),
    ):
        yield {"filters": filters, "width_mult": width_mult}


def repeat_cases(_: Rng) -> Iterator[Case]:
    for depth_mult in (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1):
        for repeats in (1, 2, 3, 4):
            yield {"repeats": repeats, "depth_mult": depth_mult}


def config_cases(_: Rng) -> Iterator[Case]:
    for name in (f"efficientnet_b{i}" for i in range(8)):
        yield {"width_mult": SCALES[name].width_mult, "depth_mult": SCALES[name].depth_mult}
    yield {"width_mult": 8.0, "depth_mult": 1.0}  # no rounding hides a channel too many


def factor_cases(_: Rng) -> Iterator[Case]:
    for depth, width, resolution in (
        (1.0, 1.0, 1.0),
        (2.0, 1.0, 1.0),
        (1.0, 2.0, 1.0),
        (1.0, 1.0, 2.0),
        (1.2, 1.1, 1.15),
        (1.8, 1.4, 380 / 224),
    ):
        yield {"depth": depth, "width": width, "resolution": resolution}


def gamma_cases(_: Rng) -> Iterator[Case]:
    for alpha, beta, budget in ((1.2, 1.1, 2.0), (1.0, 1.0, 2.0), (1.5, 1.05, 2.0), (1.1, 1.2, 3.0)):
        yield {"alpha": alpha, "beta": beta, "budget": budget}


def phi_cases(_: Rng) -> Iterator[Case]:
    for name in (f"efficientnet_b{i}" for i in range(8)):
        scale = SCALES[name]
        yield {"depth_mult": scale.depth_mult, "width_mult": scale.width_mult, "resolution": scale.resolution}


ROUND, REPEAT, CONFIG = f"{HERE}:round_filters", f"{HERE}:round_repeats", f"{HERE}:efficientnet_config"

EXERCISES = (
    Exercise(
        "L4.cost_factor",
        f"{HERE}:cost_factor",
        ("factor",),
        factor_cases,
        (
            mistake("squares_dropped", "You multiply the three factors.", "A layer's cost has channels twice (in and out) and pixels along two sides: squares for width and resolution.", f"{HERE}:cost_factor", ("width**2 * resolution**2", "width * resolution")),
            mistake("resolution_not_squared", "Your resolution counts once.", "Twice the height AND twice the width of the image: four times the pixels.", f"{HERE}:cost_factor", ("resolution**2", "resolution")),
            mistake("width_not_squared", "Your width counts once.", "Twice the channels in AND out: four times the weights.", f"{HERE}:cost_factor", ("width**2", "width")),
            mistake("depth_squared", "Your depth is squared too.", "Twice the layers cost twice as much.", f"{HERE}:cost_factor", ("return depth", "return depth**2")),
            mistake("added", "You add the three.", "They multiply: more layers, each of them dearer.", f"{HERE}:cost_factor", ("depth * width**2 * resolution**2", "depth + width**2 + resolution**2 - 2")),
        ),
        ("What happens to one layer when its channels double? When the image's sides double?", "Four times each time. Twice the layers: twice.", "depth times width squared times resolution squared"),
        points=1,
        minutes=5,
        core=False,
        checks="Six settings; to 1e-8.",
        task="What does growing cost? The lesson then measures how well this formula holds.",
    ),
    Exercise(
        "L4.round_filters",
        ROUND,
        ("filters",),
        filter_cases,
        (
            mistake("floor", "You always round down.", "The nearest multiple of 8: add 4 first.", ROUND, ("wanted + 4", "wanted")),
            mistake("round", "You round to a whole number, not to a multiple of 8.", "int(c + 4) // 8 * 8.", ROUND, ("rounded = max(8, int(wanted + 4) // 8 * 8)", "return round(wanted)")),
            mistake("no_10_percent_rule", "You round to the nearest multiple, however far down that is.", "If that is less than 0.9 of what was asked, add 8.", ROUND, ("rounded + 8 if rounded < 0.9 * wanted else rounded", "rounded")),
            mistake("ceil", "You always round up.", "To the nearest; up only where down would lose more than 10 %.", ROUND, ("int(wanted + 4) // 8 * 8", "-int(-wanted // 8) * 8")),
            mistake("never_below_the_original", "You never go below the number of filters of B0.", "A width below 1 makes the network thinner.", ROUND, ("max(8, int", "max(filters // 8 * 8, 8, int")),
            mistake("width_ignored", "Your width_mult does nothing.", "wanted = filters * width_mult.", ROUND, ("filters * width_mult", "filters")),
        ),
        ("Which multiple of 8 is nearest to filters * width_mult?", "int(c + 4) // 8 * 8, at least 8.", "Then: if that is less than 0.9 c, add 8."),
        points=1,
        minutes=5,
        core=False,
        checks="Fifteen numbers, with the tie of B2 (44 becomes 48) and widths below 1.",
        task="How many channels has a layer in a wider network?",
    ),
    Exercise(
        "L4.round_repeats",
        REPEAT,
        ("repeats",),
        repeat_cases,
        (
            mistake("floor", "You round down: B1 would be as deep as B0.", "Up: ceil.", REPEAT, ("ceil(repeats * depth_mult)", "int(repeats * depth_mult)")),
            mistake("round", "You round to the nearest number.", "Up: ceil. 2 * 1.1 = 2.2 becomes 3.", REPEAT, ("ceil(repeats * depth_mult)", "round(repeats * depth_mult)")),
            mistake("one_more", "You add one even where the product is whole.", "ceil(2.0) is 2.", REPEAT, ("ceil(repeats * depth_mult)", "int(repeats * depth_mult) + 1")),
            mistake("single_blocks_stay", "Rows of one block stay as they are: that is EfficientNet-Lite's rule.", "B1 to B7 deepen every row, also the first and the last.", REPEAT, ("ceil(repeats * depth_mult)", "1 if repeats == 1 else ceil(repeats * depth_mult)")),
            mistake("factor_rounded", "You round the factor, not the product.", "ceil(repeats * depth_mult).", REPEAT, ("ceil(repeats * depth_mult)", "repeats * ceil(depth_mult)")),
        ),
        ("2.2 blocks: two or three?", "The authors round up.", "math.ceil"),
        points=1,
        minutes=3,
        core=False,
        checks="All rows of B0 to B7.",
        task="How many blocks has a row in a deeper network?",
    ),
    Exercise(
        "L4.efficientnet_config",
        CONFIG,
        ("stem", "stages", "head"),
        config_cases,
        (
            mistake("head_unscaled", "Your head stays at 1280.", "It is scaled too: 2560 in B7. (MobileNetV2 and Lite leave theirs.)", CONFIG, ("round_channels(1280 * width_mult)", "1280")),
            mistake("stem_unscaled", "Your stem stays at 32.", "It is scaled too: 64 in B7.", CONFIG, ("round_channels(32 * width_mult)", "32")),
            mistake("repeats_rounded_down", "Your numbers of blocks are rounded down.", "Up: ceil.", CONFIG, ("ceil(n * depth_mult)", "int(n * depth_mult)")),
            mistake("repeats_rounded", "Your numbers of blocks are rounded to the nearest.", "Up: ceil.", CONFIG, ("ceil(n * depth_mult)", "round(n * depth_mult)")),
            mistake("channels_not_rounded", "Your channels are not multiples of 8.", "round_channels(c * width_mult).", CONFIG, ("round_channels(c * width_mult)", "int(c * width_mult)")),
            mistake("width_and_depth_swapped", "Your width scales the blocks and your depth the channels.", "Width: channels. Depth: blocks.", CONFIG, ("(round_channels(c * width_mult), ceil(n * depth_mult))", "(round_channels(c * depth_mult), ceil(n * width_mult))")),
            mistake("ends_not_deepened", "Your first and last rows keep one block: that is EfficientNet-Lite.", "B1 to B7 deepen every row.", CONFIG, ("ceil(n * depth_mult))", "1 if n == 1 else ceil(n * depth_mult))")),
        ),
        ("Three places have channels: the stem, the rows, the head.", "All three are scaled by the width. Only rows have blocks.", "A list of (scaled channels, ceil of blocks) for each row"),
        points=2,
        minutes=10,
        checks="The published multipliers of B0 to B7, and a width of 8; every number exactly.",
        needs="from mini_nn.blocks import round_channels",
        task="The whole family from B0's table and two numbers.",
    ),
    Exercise(
        "L4.solve_gamma",
        f"{HERE}:solve_gamma",
        ("gamma",),
        gamma_cases,
        (
            mistake("squares_dropped", "You solved alpha beta gamma = budget.", "Width and resolution count twice: alpha beta^2 gamma^2.", f"{HERE}:solve_gamma", ("(budget / (alpha * beta**2)) ** 0.5", "budget / (alpha * beta)")),
            mistake("root_forgotten", "You found gamma squared.", "Take the root.", f"{HERE}:solve_gamma", (" ** 0.5", "")),
            mistake("beta_not_squared", "Your beta is not squared.", "alpha beta^2 gamma^2 = budget.", f"{HERE}:solve_gamma", ("beta**2", "beta")),
            mistake("alpha_squared", "Your alpha is squared too.", "Depth counts once.", f"{HERE}:solve_gamma", ("alpha * beta**2", "alpha**2 * beta**2")),
            mistake("budget_ignored", "Your budget is always 2.", "It is an argument.", f"{HERE}:solve_gamma", ("(budget /", "(2.0 /")),
        ),
        ("Put alpha and beta into the equation. What is left?", "gamma^2 = budget / (alpha beta^2)", "its square root"),
        points=1,
        minutes=5,
        core=False,
        checks="Four settings, among them the paper's alpha = 1.2, beta = 1.1; to 1e-8.",
        task="The paper searched alpha, beta and gamma under one condition. Given two of them, what is the third?",
    ),
    Exercise(
        "L4.phi_of",
        f"{HERE}:phi_of",
        ("phi_depth", "phi_width", "phi_resolution"),
        phi_cases,
        (
            mistake("resolution_not_divided", "You take the logarithm of the resolution itself.", "The formula scales B0's 224: resolution / 224 = 1.15^phi.", f"{HERE}:phi_of", ("resolution / 224", "resolution")),
            mistake("base_forgotten", "Your phis are natural logarithms.", "d = 1.2^phi gives phi = log d / log 1.2.", f"{HERE}:phi_of", ("log(depth_mult) / log(1.2), log(width_mult) / log(1.1), log(resolution / 224) / log(1.15)", "log(depth_mult), log(width_mult), log(resolution / 224)")),
            mistake("bases_swapped", "Your bases of depth and width changed places.", "Depth 1.2, width 1.1, resolution 1.15.", f"{HERE}:phi_of", ("log(depth_mult) / log(1.2), log(width_mult) / log(1.1)", "log(depth_mult) / log(1.1), log(width_mult) / log(1.2)")),
            mistake("linear", "You take the scale for a straight line.", "It is a power: d = 1.2^phi, so a logarithm brings phi back.", f"{HERE}:phi_of", ("log(depth_mult) / log(1.2), log(width_mult) / log(1.1), log(resolution / 224) / log(1.15)", "(depth_mult - 1) / 0.2, (width_mult - 1) / 0.1, (resolution / 224 - 1) / 0.15")),
            mistake("resolution_squared", "Your resolution's phi is that of the pixels.", "1.15 is the base of one side.", f"{HERE}:phi_of", ("log(resolution / 224)", "log((resolution / 224) ** 2)")),
        ),
        ("1.2 to which power is the depth?", "The logarithm of the number divided by the logarithm of the base.", "Three such lines; the resolution is divided by 224 first."),
        points=2,
        minutes=10,
        core=False,
        checks="The published numbers of B0 to B7; to 1e-8.",
        task="Which phi is B3? Ask its depth, its width and its resolution.",
    ),
)  # fmt: skip
