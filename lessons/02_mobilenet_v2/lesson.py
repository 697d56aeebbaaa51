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
# # L2 Inverted residuals, linear bottlenecks, MobileNet v2
#
# MobileNet v1 made the convolution cheap. MobileNet v2 asks what should flow **between** the cheap convolutions, and
# answers: as little as possible, and never through a ReLU. One block carries the whole paper. You will write it,
# then the network.
#
# **You will be able to** write the block and the way back through it, say where its ReLUs are and why the last one
# is missing, lay out the whole network from the paper's table, and say which of its advantages you get for free and
# which only with the right code.
#
# **Know first**: depthwise and pointwise convolution (L1), the chain rule as code (L0).
#
# **Time**: 20 minutes for `inverted_residual_forward`, which is core; 70 minutes for the seven exercises that are extra;
# about 40 minutes to read. What is marked *extra* can be left out.

# %%
import os
import time
import tracemalloc
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: one thread is faster than several

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from mini_nn import init, losses, models, optim, profile, schedules
from mini_nn.blocks import Block, inverted_residual, stem
from mini_nn.core import named_layers
from mini_nn.layers import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    PointwiseConv2D,
    ReLU6,
    Residual,
    Sequential,
)
from mini_nn.micro import QUICK  # BatchNorm that follows within some tens of steps
from mini_nn.models.inverted import build_inverted
from mini_nn.models.mobilenet_v2 import TABLE_2, unroll
from mini_nn.ops import depthwise, pointwise
from mini_nn.ops import relu6 as relu6_op  # relu6 alone will be yours

BLUE, ORANGE, GREEN, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#888888",
)  # told apart by colour-blind readers too
assert 80 <= sum(e.minutes for e in exercises() if e.lesson == "L2") <= 100


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
# In 2018 the MobileNet v2 of a well-known library was trained, published, converted, and served from a second model
# zoo. Two years later somebody counted its multiply-adds. The paper says 300 million; this one needed over 400
# million. Yet it had **exactly the same parameters** as the paper's network: the same names, the same shapes. Each
# file loads into the other network without complaint.
#
# (apache/mxnet#9614, onnx/models#353, dmlc/gluon-cv#773.)

# %%
right = profile.profile(models.build("mobilenet_v2"), (224, 224, 3))
print(f"the paper's network: {right.params:,} parameters, {right.macs:,} multiply-adds")
assert (right.params, right.macs) == (3_504_872, 300_774_272)

# %% [markdown]
# *Predict*: what can you change in a convolutional network that changes its cost by a third and not one shape of its
# weights? Keep your guess; the cause has a name further down, after the exercise.
#
# ## 1. The lung: inhale, process, exhale
# A classic residual block (ResNet's bottleneck) is wide at its ends and thin in the middle: the costly 3 x 3
# convolution works on few channels. With a depthwise filter the 3 x 3 is no longer the costly part. So MobileNet v2
# turns the block inside out:
#
# 1. **expand** (inhale): a 1 x 1 convolution from `I` channels to `T = t I`, then ReLU6. `t` is the expansion, 6
#    nearly everywhere;
# 2. **filter** (process): a depthwise 3 x 3 with stride `s`, then ReLU6;
# 3. **project** (exhale): a 1 x 1 convolution from `T` to `O` channels, and **no** activation.
#
# Where `s = 1` and `I = O`, the input is added to the output. That is the *inverted residual*: the shortcut joins
# the thin ends.
#
# *Predict*: at 56 x 56 pixels ResNet-50 has a block of 256, 64, 64, 256 channels and MobileNet v2 one of 24, 144,
# 144, 24. In which of the two do more numbers cross the shortcut, and by what factor?

# %%
block = inverted_residual(Block(24, 24, expand_ratio=6, kernel_size=3, stride=1), ReLU6)
shape, ours = (56, 56, 24), [(56, 56, 24)]
for _, part in block.children():
    shape = part.out_shape(shape)
    ours.append(shape)
resnet = [(56, 56, c) for c in (256, 64, 64, 256)]  # He et al. 2015, table 1, conv2_x
print(*ours, sep=" -> ")
assert ours == [(56, 56, 24), (56, 56, 144), (56, 56, 144), (56, 56, 24)]


def volume(ax, left, size, colour, label):
    """A box of H x W x C drawn to scale: C to the right, H upwards, W into the page."""
    h, w, c = size
    dx, dy = 0.35 * w, 0.35 * w
    faces = (
        ([0, c, c, 0], [0, 0, h, h], 0.55),
        ([0, c, c + dx, dx], [h, h, h + dy, h + dy], 0.3),
        ([c, c + dx, c + dx, c], [0, dy, h + dy, h], 0.8),
    )
    for xs, ys, shade in faces:
        ax.fill([left + x for x in xs], ys, facecolor=colour, alpha=shade, edgecolor="black", linewidth=0.8)
    ax.text(left + c / 2, -6, label, ha="center", va="top")
    return left + c + dx + 34


figure, axes = plt.subplots(2, 1, figsize=(9, 4.2))
for ax, sizes, colour, steps, title in (
    (axes[0], ours, BLUE, ("in", "expanded", "filtered", "projected"), "MobileNet v2, inverted residual"),
    (axes[1], resnet, ORANGE, ("in", "reduced", "filtered", "restored"), "ResNet-50, bottleneck"),
):
    left = 0
    for size, step in zip(sizes, steps, strict=True):
        left = volume(ax, left, size, colour, f"{size[2]}\n{step}")
    ax.set(aspect="equal", xlim=(-14, 850), ylim=(-46, 85))
    ax.set_title(title, loc="left", fontsize=11)
    ax.axis("off")
figure.tight_layout()
picture(
    figure,
    alt="Two rows of four boxes drawn to scale, 56 x 56 pixels each. MobileNet v2: 24, 144, 144, 24 channels, thick in the middle. "
    "ResNet-50: 256, 64, 64, 256 channels, thick at the ends.",
)
print(f"across the shortcut: ResNet {np.prod(resnet[0]):,} numbers, MobileNet v2 {np.prod(ours[0]):,}")
assert round(np.prod(resnet[0]) / np.prod(ours[0]), 1) == 10.7

# %% [markdown]
# One unit to the right is one channel, one unit up is one pixel, in both rows. The lung fills in the middle and is
# almost empty between blocks: ResNet carries 10.7 times as many numbers from block to block.
#
# ## 2. The pieces
# **ReLU6** is `y = min(max(x, 0), 6)`. The ceiling was chosen for phones that compute with 8 bits: numbers that stay
# between 0 and 6 can share one fixed scale.

# %%
exercise("L2.relu6")

# %% [markdown]
# And back. The slope is 1 strictly between 0 and 6, and 0 elsewhere. At the two kinks there is no slope; everybody
# takes 0.

# %%
exercise("L2.relu6_backward")

# %% [markdown]
# Before any arithmetic, the **plan** of a block. Three questions are where real implementations went wrong: what
# happens at `t = 1`? Which layer has the stride? When is there something to add?

# %%
exercise("L2.inverted_residual_rows")

# %% [markdown]
# Now the block in numbers. BatchNorm is left out here; in the network it follows each of the three convolutions.

# %%
exercise("L2.inverted_residual_forward")

# %% [markdown]
# **The library's version** is `blocks.inverted_residual`. It has no arithmetic at all: it puts layers together, and
# the containers do the rest. Where x is added, the block is a `Residual`, otherwise a `Sequential`.

# %%
for spec in (Block(24, 24, 6, 3, 1), Block(24, 32, 6, 3, 2), Block(32, 16, 1, 3, 1)):
    made = inverted_residual(spec, ReLU6)
    print(f"{type(made).__name__:<10}", " -> ".join(name for name, _ in made.children()), " ", spec)
    assert isinstance(made, Residual) == spec.skips
assert "expand" not in dict(made.children())  # t = 1

# %% [markdown]
# ## 3. Why is the last layer linear?
# The paper's argument is a picture, and the picture is an experiment. Take a curve in the plane, a spiral. Put it
# into `m` dimensions with a random matrix, apply ReLU there, and ask: is the curve still there, or did the ReLU
# destroy it?
#
# In letters: `p` is a point of the plane, `T (m, 2)` a matrix of random normal numbers, `h = max(T p, 0)`. If at
# least **two** coordinates of `h` are above zero, they are two equations for the two unknown coordinates of `p`: it
# can be found exactly. With one it is known on a line only, with none it is lost.
#
# Each row of T puts a given p on its positive side with probability 1/2, independently of the other rows. So for m
# rows
#
# $$P(\text{at least two}) = 1 - P(\text{none}) - P(\text{exactly one}) = 1 - \frac{1}{2^m} - \frac{m}{2^m} = 1 - \frac{1 + m}{2^m}.$$
#
# *Predict*: what share of the spiral survives in 2, 3, 5 and 15 dimensions?

# %%
angle = np.linspace(0.5, 4 * np.pi, 200)  # the centre is left out: it is 0 under any matrix
spiral = np.stack([angle * np.cos(angle), angle * np.sin(angle)]) / angle.max()


def through_relu(m, rng):
    """(number of active coordinates of each point, the point as far as they tell)."""
    matrix = rng.normal(size=(m, 2))
    active = matrix @ spiral > 0
    found = [
        np.linalg.pinv(matrix[on]) @ (matrix[on] @ p) if on.any() else np.zeros(2)
        for on, p in zip(active.T, spiral.T, strict=True)
    ]
    return active.sum(0), np.array(found).T


rng, draws, sizes = np.random.default_rng(7), 500, (2, 3, 5, 10, 15, 30)
print("  m   formula   measured over", draws, "matrices")
for m in sizes:
    active = np.einsum("kmd,dn->kmn", rng.normal(size=(draws, m, 2)), spiral) > 0
    measured, expected = (active.sum(1) >= 2).mean(), 1 - (1 + m) / 2**m
    print(f"{m:3d}   {expected:7.4f}   {measured:7.4f}")
    assert abs(measured - expected) < 0.03

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6))
for ax, m in zip(axes, (2, 3, 5, 10, 15), strict=True):
    count, found = through_relu(m, np.random.default_rng(3))
    ax.plot(*spiral, color="#cccccc", linewidth=1, zorder=0)
    for some, colour, mark, label in (
        (count >= 2, BLUE, "o", "two or more: exact"),
        (count == 1, ORANGE, "x", "one: on a line"),
        (count == 0, "black", "s", "none: lost"),
    ):
        ax.scatter(*found[:, some], s=14 if mark == "x" else 7, color=colour, marker=mark, label=label)
    exact = np.isclose(found, spiral).all(0)
    assert np.array_equal(exact, count >= 2)  # what the counting says is what solving the equations gives
    ax.set(
        title=f"m = {m}: {exact.mean():.0%} exact",
        xticks=[],
        yticks=[],
        aspect="equal",
        xlim=(-1.1, 1.1),
        ylim=(-1.1, 1.1),
    )
figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncol=3, frameon=False)
figure.tight_layout(rect=(0, 0.1, 1, 1))
picture(
    figure,
    alt="A spiral sent through a random matrix and a ReLU, then recovered as far as possible, in 2, 3, 5, 10 and 15 dimensions. In 2 and 3 "
    "dimensions large parts collapse onto lines or the centre; from 10 dimensions on the spiral is whole.",
)

# %% [markdown]
# These are five single matrices; the table above is the mean over 500. In few dimensions it is a lottery: one matrix
# keeps half of the spiral and the next one none of it. From ten dimensions on about one point in a hundred is lost,
# or fewer.
#
# Read it as advice for the block. Inside, where there are `t = 6` times as many channels, ReLU is safe. At the thin
# ends it is not: so there it is left out. With the two dimensions of our plane, t = 6 means m = 12.

# %%
print(f"m = 2: {1 - 3 / 4:.0%} kept on average;  m = 12: {1 - 13 / 2**12:.1%}")

# %% [markdown]
# **Where the claim is loose.** Losing part of the input is also what a ReLU is *for*: a network that keeps
# everything is one big matrix. And a trained matrix is not a random one. Whether the missing ReLU helps is a
# question for an experiment: section 6 has it.
#
# ## 4. Going back: the chain and the sum
# A network is layers one after the other (the chain rule) and shortcuts (the sum rule). Each is three lines at most.

# %%
exercise("L2.sequential_backward")

# %%
exercise("L2.residual_backward")

# %% [markdown]
# ### "Shortcuts help gradients flow"
# Everybody says so, and usually adds "they would vanish otherwise". Let us look. We stack 32 blocks of 16 channels
# with random weights, as a training would begin, send a random gradient in at the end, and write down its size in
# front of each block: once with the shortcuts, once with the same blocks and no shortcut.
#
# *Predict*: without shortcuts, what is left of the gradient after 32 blocks: a millionth, a tenth, all of it, or
# more?


# %%
def tower(blocks, skips, channels, t):
    """Equal blocks with their shortcuts, or the same without."""
    made = [inverted_residual(Block(channels, channels, t, 3, 1), ReLU6, QUICK) for _ in range(blocks)]
    return made if skips else [Sequential(**dict(b.children())) for b in made]


def gradient_sizes(parts, x, rng):
    """|gradient| in front of each block, last to first, as multiples of the one that came in."""
    caches = []
    for part in parts:
        x, cache = part.forward(x, train=True)
        caches.append(cache)
    dy = rng.normal(size=x.shape).astype(np.float32)
    sizes = [np.linalg.norm(dy)]
    for part, cache in zip(parts[::-1], caches[::-1], strict=True):
        dy = part.backward(dy, cache)
        sizes.append(np.linalg.norm(dy))
    return np.array(sizes) / sizes[0]


measured = {}
for skips in (True, False):
    rng = np.random.default_rng(0)
    parts = tower(32, skips, 16, 6)
    init.initialize(Sequential(*parts), rng)
    x = rng.normal(size=(8, 12, 12, 16)).astype(np.float32)
    measured[skips] = gradient_sizes(parts, x, rng)
    per_block = measured[skips][-1] ** (1 / 32)
    print(
        f"{'with' if skips else 'without'} shortcuts: x {measured[skips][-1]:,.0f} after 32 blocks, x {per_block:.2f} a block"
    )
assert 10 < measured[True][-1] < 100
assert measured[False][-1] > 1e4

figure, ax = plt.subplots(figsize=(7, 3))
ax.semilogy(measured[False], color=ORANGE, marker="x", label="without shortcuts")
ax.semilogy(measured[True], color=BLUE, marker="o", markersize=4, label="with shortcuts")
ax.set(xlabel="blocks that the gradient has come back through", ylabel="its size, x times")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
picture(
    figure,
    alt="The size of the gradient against the number of blocks it came back through, on a logarithmic axis. Without shortcuts it is a straight line up to "
    "about 80,000 times; with shortcuts it rises to about 27 times only.",
)

# %% [markdown]
# It does not vanish. It **explodes**: every block makes it about 1.4 times larger, which is tens of thousands of
# times after 32. That is the work of BatchNorm, which keeps the *values* at one size and pays for it on the way back
# (Yang et al. 2019 show that it must, whatever the initial weights). The shortcut mends it: `dx = dy + ...` has a
# part that no block has touched.
#
# So "shortcuts help" is right, and the usual reason is not the one at work here. Does it matter for learning? We
# need data: digits, drawn with the fonts that come with matplotlib, turned, shifted and made noisy. 480 to learn
# from, 1,000 to judge by.

# %%
FONTS = Path(mpl.get_data_path(), "fonts", "ttf")
NAMES = [
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
    "STIXGeneralItalic.ttf",
]


def drawn(label, rng, size=16):
    """A digit as (size, size, 1): a random font, scale, place and angle, and some noise."""
    font = ImageFont.truetype(str(FONTS / NAMES[rng.integers(len(NAMES))]), int(rng.integers(36, 56)))
    large, (left, top) = Image.new("L", (64, 64)), 32 + rng.integers(-5, 6, 2)
    ImageDraw.Draw(large).text((left, top), str(label), 255, font, anchor="mm")
    large = large.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    small = np.asarray(large.resize((size, size), Image.Resampling.BOX), np.float32) / 255
    return (small + 0.1 * rng.normal(size=small.shape).astype(np.float32))[..., None]


def digits(count, seed):
    rng, labels = np.random.default_rng(seed), np.arange(count) % 10
    return np.stack([drawn(label, rng) for label in labels]), labels


x_train, y_train = digits(480, 0)
x_test, y_test = digits(1000, 1)


def learn(model, seed, epochs=10, batch=30, lr=0.04):
    """Train from scratch and return the share of test digits that are right."""
    rng = np.random.default_rng(seed)
    init.initialize(model, rng)
    optimiser = optim.AdamW(model, lr, betas=(0.9, 0.99), weight_decay=0.02, no_decay=("norm", "bias"))
    steps = len(x_train) // batch
    rate = schedules.OneCycle(lr, epochs * steps)
    for epoch in range(epochs):
        for step, some in enumerate(rng.permutation(len(x_train)).reshape(steps, batch)):
            optimiser.lr = rate(epoch * steps + step)
            logits, cache = model.forward(x_train[some], train=True)
            _, dlogits = losses.softmax_cross_entropy(logits, y_train[some])
            model.backward(dlogits, cache)
            optimiser.step()
    return float((model(x_test).argmax(1) == y_test).mean())


def with_ends(blocks, first, last):
    """Blocks between a stem of `first` channels and a classifier for ten digits."""
    return Sequential(
        stem=stem(1, first, 2, ReLU6, QUICK),
        blocks=Sequential(*blocks),
        pool=GlobalAveragePool(),
        classifier=Dense(last, 10),
    )


deep = {
    skips: learn(with_ends(tower(12, skips, 8, 2), 8, 8), 0, epochs=6, lr=0.02) for skips in (True, False)
}
print(
    f"12 blocks, one run each: {deep[True]:.0%} right with shortcuts, {deep[False]:.0%} without; guessing gives 10 %"
)
assert deep[True] > deep[False] + 0.2

# %% [markdown]
# With 12 blocks the shortcuts make the difference between learning and hardly learning. One run each is enough for a
# gap of this size; it would not be for a small one.
#
# ## 5. The whole network
# Channels are multiples of 8, because the hardware likes them. The authors' rounding has a second rule that many
# forget.

# %%
exercise("L2.make_divisible")

# %% [markdown]
# The paper's table 2: `t` expansion, `c` channels out, `n` blocks in the row, `s` the stride of the row's **first**
# block.

# %%
print("  t    c  n  s")
for row in TABLE_2:
    print(f"{row.expand_ratio:3d} {row.out_channels:4d} {row.repeats:2d} {row.stride:2d}")

# %%
exercise("L2.mobilenet_v2")

# %% [markdown]
# ### The symptom, explained
# Two strides of the table had changed places: the row of 64 channels had stride 1, the row of 96 had stride 2. No
# weight has another shape, since the shape of a filter does not depend on how far it steps. But the four blocks of
# 64 channels work on 28 x 28 pixels in place of 14 x 14: four times as many.

# %%
rows = list(TABLE_2)
assert (rows[3].out_channels, rows[4].out_channels) == (64, 96)
rows[3], rows[4] = rows[3]._replace(stride=1), rows[4]._replace(stride=2)
net = models.build("mobilenet_v2")
zoo = build_inverted(("mobilenet_v2", net.options), unroll(1.0, tuple(rows)), 1280, ReLU6)
wrong = profile.profile(zoo, (224, 224, 3))
print(f"paper {right.params:,} parameters, {right.macs:,} multiply-adds")
print(f"zoo   {wrong.params:,} parameters, {wrong.macs:,} multiply-adds, {wrong.macs / right.macs:.2f} x")
assert wrong.params == right.params
assert round(wrong.macs / 1e6) == 416

# %% [markdown]
# Where did it come from? The paper's first version on arXiv printed the table with a misprint; the reviewer of the
# library's pull request noticed that strides and sizes did not fit together, and the table was mended in the wrong
# place (shicai/MobileNet-Caffe#67 tells the same story of another library).
#
# **What to learn from it**: a checkpoint that loads proves nothing about strides. Neither does the number of
# parameters. Count multiply-adds, or compare one output. The reports name 429 to 430 million: those networks also
# had an expansion in the first block, where t = 1.

# %%
extra = 112 * 112 * 32 * 32  # an expansion from 32 to 32 channels at 112 x 112
print(f"with it: {(wrong.macs + extra) / 1e6:.0f} million")
assert round((wrong.macs + extra) / 1e6) == 429

# %% [markdown]
# **"v1 has 13 layers, v2 has 17."** You will read it in many notes. These are blocks:

# %%
for name in ("mobilenet_v1", "mobilenet_v2"):
    built = models.build(name)
    blocks = sum(len(stage.children()) for _, stage in built.stages.children())
    kinds = (Conv2D, DepthwiseConv2D, PointwiseConv2D)  # Dense is a kind of PointwiseConv2D
    weights = sum(isinstance(layer, kinds) for _, layer in named_layers(built))
    adds = sum(isinstance(layer, Residual) for _, layer in named_layers(built))
    print(f"{name}: {blocks} blocks, {weights} layers with weights, {adds} shortcuts")
    assert (blocks, weights, adds) == {"mobilenet_v1": (13, 28, 0), "mobilenet_v2": (17, 53, 10)}[name]

# %% [markdown]
# (The paper's own text says 19 bottleneck layers; its table adds up to 17.)
#
# ## 6. Does expansion learn more?
# "The expansion lets the block learn richer features." We train three blocks with t = 1, 2, 4 and 6 on the drawn
# digits, three seeds each. Two more networks make it a fair question: t = 6 with a **ReLU6 after the projection** (a
# bug that shipped, open-mmlab/mmpretrain#82), and t = 1 made **wider** until it costs as much as t = 6.
#
# *Predict* the order of the six before you run the cell. It takes half a minute.


# %%
def three_blocks(t, width=8, linear=True):
    plan, blocks = ((1, 1, 1), (1, 2, 2), (2, 2, 1)), []
    for i, o, stride in plan:
        made = inverted_residual(Block(i * width, o * width, t, 3, stride), ReLU6, QUICK)
        if not linear:
            made.project.act = ReLU6()
        blocks.append(made)
    return with_ends(blocks, width, 2 * width)


settings = {
    "t = 1": {"t": 1},
    "t = 2": {"t": 2},
    "t = 4": {"t": 4},
    "t = 6": {"t": 6},
    "t = 6, ReLU6 after projecting": {"t": 6, "linear": False},
    "t = 1, 3.75 times as wide": {"t": 1, "width": 30},
}
results = {}
print(f"{'':<30} parameters  multiply-adds  right, by seed      mean")
for name, setting in settings.items():
    report = profile.profile(three_blocks(**setting), (16, 16, 1))
    scores = [learn(three_blocks(**setting), seed) for seed in range(3)]
    results[name] = (report.macs, scores)
    print(
        f"{name:<30} {report.params:10,}  {report.macs:13,}  {' '.join(f'{s:.1%}' for s in scores)}   {np.mean(scores):.1%}"
    )

mean = {name: np.mean(scores) for name, (_, scores) in results.items()}
assert mean["t = 6"] > mean["t = 1"] + 0.05
assert mean["t = 6"] > mean["t = 6, ReLU6 after projecting"]
assert mean["t = 1, 3.75 times as wide"] > mean["t = 1"] + 0.05
assert abs(mean["t = 1, 3.75 times as wide"] - mean["t = 6"]) < 0.08
assert abs(results["t = 1, 3.75 times as wide"][0] / results["t = 6"][0] - 1) < 0.03

figure, ax = plt.subplots(figsize=(7.5, 3))
for place, (name, (_, scores)) in enumerate(results.items()):
    odd = name not in list(settings)[:4]
    ax.scatter(scores, [place] * 3, color=ORANGE if odd else BLUE, marker="x" if odd else "o", zorder=2)
    ax.plot([np.mean(scores)] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2)
ax.set(
    yticks=range(len(results)),
    yticklabels=[f"{n}  ({m / 1000:.0f} k)" for n, (m, _) in results.items()],
    xlabel="share of 1,000 test digits that are right",
)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="Share of test digits that are right, three seeds and their mean for each of six networks, with their thousands of multiply-adds. It grows from t = 1 to t = 6; "
    "t = 6 with a ReLU6 after the projection falls back; t = 1 at the cost of t = 6 comes close to it.",
)

# %% [markdown]
# Three things to take away, each as strong as three short runs allow (a dot is a seed: look how far apart they lie;
# t = 4 and t = 6 cannot be told apart here):
#
# * **A larger t is better**, at the same channels. But t = 6 also costs about eight times as much as t = 1.
# * **A ReLU6 after the projection costs several points.** The missing activation is not a detail.
# * **At equal cost, plain width does about as well** on this small task. So "expansion learns more" mostly says
#   "more multiply-adds learn more". What expansion alone buys is the *thin end*: the wide network carries 3.75 times
#   as many numbers from block to block. That is a question of memory, and it comes next.

# %%
ratio = results["t = 6"][0] / results["t = 1"][0]
print(f"t = 6 costs {ratio:.1f} times the multiply-adds of t = 1")
assert 8 < ratio < 8.5

# %% [markdown]
# ## 7. What it costs
# One block of 24 channels, t = 6, at 56 x 56, counted and timed on this machine:

# %%
init.initialize(block, np.random.default_rng(0))
x = np.random.default_rng(1).normal(size=(1, 56, 56, 24)).astype(np.float32)
print(f"{'layer':<16} {'parameters':>10} {'multiply-adds':>14} {'bytes out':>10}")
for row in profile.profile(block, (56, 56, 24)).rows:
    if row.params or row.macs:
        print(f"{row.name:<16} {row.params:10,} {row.macs:14,} {4 * np.prod(row.shape):10,}")
report = profile.profile(block, (56, 56, 24))
print(
    f"in all           {report.params:10,} {report.macs:14,};  {milliseconds(lambda: block(x)):.1f} ms here"
)
by_kind = [row.macs for row in report.rows if row.macs]
assert by_kind[1] / sum(by_kind) < 0.16  # the 3 x 3 is the cheap part

# %% [markdown]
# ### v2 against v1
# *Predict*: v2 has a bit more than half of v1's multiply-adds. Is it faster on your machine, and by how much?

# %%
image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
times = {}
for name in ("mobilenet_v1", "mobilenet_v2"):
    built = init.initialize(models.build(name), np.random.default_rng(0))
    count = profile.profile(built, (224, 224, 3))
    times[name] = milliseconds(lambda: built(image), 3)
    print(
        f"{name}: {count.params:,} parameters, {count.macs / 1e6:.0f} M multiply-adds, {times[name]:.0f} ms"
    )
v1 = profile.profile(models.build("mobilenet_v1"), (224, 224, 3))
print(
    f"v2 has {1 - right.macs / v1.macs:.0%} fewer multiply-adds and {1 - right.params / v1.params:.0%} fewer parameters"
)
print(f"and takes {times['mobilenet_v2'] / times['mobilenet_v1']:.2f} times v1's time here")
assert round(1 - right.macs / v1.macs, 2) == 0.47
assert round(1 - right.params / v1.params, 2) == 0.17

# %% [markdown]
# timm's published table has v1 at 4.01 ms and v2 at 5.30 ms on a desktop processor, one image at a time: v2 is the
# *slower* one. A multiply-add is not a unit of time. v2 has twice as many layers, and its wide middle is read and
# written several times.
#
# ### Peak memory (extra)
# "v2 needs less memory" is the last claim, and it hangs on how the block is run. Count the numbers that must be
# there at once, input and output of each step, for the largest step of the network:


# %%
def in_and_out(layer, shape):
    """(numbers in, numbers out) of every convolution."""
    for row in profile.profile(layer, shape).rows:
        if row.macs and len(row.shape) == 3:
            yield np.prod(shape), np.prod(row.shape)
        shape = row.shape


def peak(pairs):
    return max(a + b for a, b in pairs)


whole_blocks, shape = [], models.build("mobilenet_v2").stem.out_shape((224, 224, 3))
for _, stage in net.stages.children():
    for _, part in stage.children():
        whole_blocks.append((np.prod(shape), np.prod(part.out_shape(shape))))
        shape = part.out_shape(shape)
needs = {
    "v1, layer by layer": peak(in_and_out(models.build("mobilenet_v1"), (224, 224, 3))),
    "v2, layer by layer": peak(in_and_out(net, (224, 224, 3))),
    "v2, each block as one step": peak(whole_blocks),
}
for name, numbers in needs.items():
    print(f"{name:<28} {numbers:>9,} numbers, {numbers * 2 / 1024:,.0f} KiB at 16 bits")
assert list(needs.values()) == [1_204_224, 1_505_280, 602_112]

# %% [markdown]
# Run layer by layer, as every ordinary library does, v2 needs **more** than v1: its middle is wide. Only if a block
# runs as *one* step, so that the middle never exists as a whole, the need is halved.
#
# How can it not exist? A channel of the middle depends on no other channel of the middle: expand, filter and project
# a slice of the channels, add its share to the output, and take the next slice. Every weight is used once, the sum
# is the same.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(1, 112, 112, 16)).astype(
    np.float32
)  # the network's largest block: 16 -> 96 -> 24, stride 2
w1, w2, w3 = (rng.normal(size=s).astype(np.float32) for s in ((16, 96), (3, 3, 96), (96, 24)))


def in_slices(count):
    """The block, its hidden channels in `count` slices."""
    total = 0
    for some in np.array_split(np.arange(96), count):
        middle = relu6_op.forward(pointwise.forward(x, w1[:, some]))
        middle = depthwise.forward(middle, np.ascontiguousarray(w2[:, :, some]), 2)
        middle = relu6_op.forward(middle)
        total = total + pointwise.forward(middle, w3[some])
    return total


def peak_bytes(run):
    tracemalloc.start()
    run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


once, used = in_slices(1), {}
print("slices  peak memory      time")
for count in (1, 2, 4, 6, 12, 24):
    assert np.allclose(in_slices(count), once, rtol=1e-4, atol=1e-4 * np.abs(once).max())
    used[count] = peak_bytes(lambda: in_slices(count))
    print(f"{count:6d}  {used[count] / 2**20:7.1f} MiB  {milliseconds(lambda: in_slices(count), 3):6.1f} ms")
assert used[1] > 4 * used[6]

# %% [markdown]
# The same output with less than a quarter of the memory in six slices. A few slices cost little time, on some
# machines they even save some, because a slice fits into the processor's cache; many slices are slow, because each
# has to read the whole input again. The paper recommends 2 to 5 (section 5.1).
#
# The count above was a lower bound: NumPy's version also pads a copy and keeps a result beside its operand. The
# measured peak of the block in one piece against input and output of its largest step:

# %%
counted = 4 * (112 * 112 * 96 + 56 * 56 * 96)
print(
    f"counted {counted / 2**20:.1f} MiB, measured {used[1] / 2**20:.1f} MiB: {used[1] / counted:.1f} times as much"
)
assert used[1] > 1.3 * counted

# %% [markdown]
# ## 8. What is said, and what we found
# | what is said | what we found | verdict |
# |---|---|---|
# | "ReLU destroys information in thin layers" | in m dimensions a share of (1 + m) / 2^m is lost on average: 75 % at 2, under 1 % from 11 on; a network with that ReLU lost several points | holds within limits |
# | "shortcuts keep gradients from vanishing" | with BatchNorm they *explode* without shortcuts, 1.4 times a block; 12 blocks hardly learn without them | loose |
# | "expansion learns more" | at 8 times the cost; at equal cost width does about as well here; what expansion buys is thin ends | loose |
# | "v2 is twice as fast as v1" | 47 % fewer multiply-adds; your time is printed above | loose |
# | "v2 needs less memory" | 25 % more than v1 layer by layer, half of v1 with fused blocks | holds within limits |
# | "17 layers" | 17 blocks, 53 layers with weights | wrong |

# %%
assert (1 + 11) / 2**11 < 0.01 < (1 + 10) / 2**10
assert needs["v2, layer by layer"] / needs["v1, layer by layer"] == 1.25
assert needs["v2, each block as one step"] / needs["v1, layer by layer"] == 0.5

# %% [markdown]
# ## Questions
# **1.** Why does the block with t = 1 have no expansion, rather than one from 32 to 32 channels?
# <details><summary>Answer</summary>
#
# A 1 x 1 layer that keeps the number of channels could only mix them, at 112 x 112 pixels, where mixing is dearest:
# 12.8 M multiply-adds, more than the whole block has. The stem has just mixed them.
#
# </details>
#
# **2.** Could the shortcut join the wide middles, as in ResNet? What would it cost?
# <details><summary>Answer</summary>
#
# It could. Then the wide tensors would have to be kept from block to block: 6 times as many numbers, and no slicing,
# since a slice of the middle would have to wait for the next block.
#
# </details>
#
# **3.** A colleague loads a checkpoint without errors and gets 3 % less accuracy than published. Parameters agree.
# What do you compare first?
# <details><summary>Answer</summary>
#
# Multiply-adds, which show strides; then one output of the first blocks, which shows padding and BatchNorm's
# epsilon; then the preprocessing. L5 makes a tool of it.
#
# </details>
#
# **4.** With the projection linear, its BatchNorm and the next block's expansion are three linear maps in a row
# (where nothing is added). Could they be one at prediction time?
# <details><summary>Answer</summary>
#
# Without a shortcut, yes: project, BatchNorm and expand multiply to one T x T' matrix. But it would be wide times
# wide, 144 x 192 in place of 144 x 32 and 32 x 192: more work. Thin in the middle is cheap: that is why it is called
# a bottleneck.
#
# </details>

# %%
whole_block = 112 * 112 * (9 * 32 + 32 * 16)  # depthwise and projection of the first block
assert extra > whole_block
assert 144 * 192 > 144 * 32 + 32 * 192

# %% [markdown]
# ## Sources
# * Sandler, Howard, Zhu, Zhmoginov, Chen 2018, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*,
#   arXiv:1801.04381: figure 1 (the spiral), table 2 (the network), section 5.1 (memory), appendix A.
# * He, Zhang, Ren, Sun 2015, *Deep Residual Learning for Image Recognition*, arXiv:1512.03385.
# * Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz 2019, *A Mean Field Theory of Batch Normalization*,
#   arXiv:1902.08129.
# * The symptom: apache/mxnet#9614, onnx/models#353, dmlc/gluon-cv#773, shicai/MobileNet-Caffe#67 and #69. The ReLU:
#   open-mmlab/mmpretrain#82.
# * v1 and v2 on a desktop processor: huggingface/pytorch-image-models, results/benchmark-infer, Core i9-10940X,
#   float32, batch 1.
