# %% [markdown]
# # L1 Depthwise separable convolution, MobileNet v1
#
# **A bug report to begin with.** In August 2020 someone was rebuilding MobileNet and timed two layers of a large
# library on the same images, 2 of 64 x 64 pixels with 3 channels. The usual convolution, 3 x 3 with 16 filters,
# took 225 microseconds. The depthwise one, which this lesson is about and which exists to be cheap, took 352 [1].
# "`DepthwiseConv2D` is no faster than `Conv2D`", says the title.
#
# Was the library slow, or the expectation wrong? You will be able to say it with numbers of your own machine.
#
# **You will be able to**
# * count what a convolution costs, and say when splitting it in two saves 80 to 90 % and when it does not,
# * write the depthwise and the pointwise convolution, forward and backward,
# * write down MobileNet v1 as a table, and find a mistake in such a table by its multiply-adds,
# * say what an output pixel has seen of the image, and what the two knobs, width and resolution, do to the cost.
#
# **You need** lesson 0, or at least its section 6. **Time**: printed below. Parts marked *extra* can be left out.

# %%
import time

import numpy as np
from matplotlib.patches import Rectangle

from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from mini_nn import init, models, weights
from mini_nn.core import named_layers
from mini_nn.layers import Conv2D, DepthwiseConv2D, PointwiseConv2D, Sequential
from mini_nn.ops import conv, depthwise, pointwise
from mini_nn.ops.padding import resolve
from mini_nn.plot import MUTED, TRAIN, VALID, figure
from mini_nn.profile import profile

L1 = {known.name: known for known in exercises() if known.lesson == "L1"}
for known in L1.values():
    print(f"{known.minutes:4} minutes  {'core ' if known.core else 'extra'}  {known.id}")
hours = sum(known.minutes for known in L1.values()) / 60
print(f"{hours:.1f} hours of exercises with the extras, and about 40 minutes to read")
assert 1 <= hours <= 3

# %% [markdown]
# ## 1. What a convolution costs
#
# A convolution has `O` filters. Each has `K` x `K` taps for every one of the `C` input channels, and each is
# applied once for every **output** pixel. So, with `OH` x `OW` output pixels and without a bias (BatchNorm follows,
# and has one of its own),
#
#     parameters   = K K C O
#     multiply-adds = K K C O  OH OW
#
# A multiply-add (MAC) is one multiplication and the addition of its result. The papers of these networks count it
# as one; elsewhere a "FLOP" is half of it.
#
# With `groups` a filter sees only `C / groups` channels.

# %%
exercise("L1.conv_cost")

# %% [markdown]
# ## 2. Two jobs, done one after the other
#
# A convolution does two things at once: it **filters** (looks at a pixel's neighbours) and it **mixes** (makes new
# channels out of old ones). For `O` new channels from `C` old ones it keeps `C O` separate filters. MobileNet's
# idea [2] is to do the two jobs one after the other:
#
# * **depthwise**: each channel is filtered by *one* K x K filter of its own. C channels in, C channels out;
# * **pointwise**: at each pixel, the C numbers are mixed to O numbers, by the same `C x O` matrix everywhere. A
#   convolution with K = 1.
#
# Per output pixel that is `K K C + C O` multiply-adds in place of `K K C O`. Divide the one by the other:
#
#     1 / O + 1 / K^2
#
# The number of input channels and the size of the image have gone. For K = 3 the second term is 1/9, and the first
# is small where there are many filters: hence the sentence that one reads everywhere, **"it saves 80 to 90 % of the
# maths"**.
#
# **Predict**: for how many filters O is that true, with K = 3? With K = 5? With K = 1?

# %%
cost = L1["conv_cost"].function
filters = np.array([2, 4, 8, 12, 16, 32, 64, 128, 256, 512, 1024])


def saving(o, k, size=(14, 14), c=64):
    """The share of multiply-adds that the split saves, counted layer by layer."""
    whole, split = cost(size, c, o, k)[1], cost(size, c, c, k, 1, c)[1] + cost(size, c, o, 1)[1]
    return 1 - split / whole


assert all(np.isclose(saving(o, k), 1 - 1 / o - 1 / k**2) for o in filters for k in (1, 3, 5, 7))
fig, (axes,) = figure(1, 7.5, 4)
axes.axhspan(80, 90, color=MUTED, alpha=0.2, linewidth=0)
axes.text(2, 85, "80 to 90 %", va="center", color=MUTED)
for k, style, colour, side in (
    (7, "-.", MUTED, "bottom"),
    (5, "--s", VALID, "top"),
    (3, "-o", TRAIN, "center"),
):
    line = [100 * saving(o, k) for o in filters]
    axes.semilogx(filters, line, style, base=2, color=colour, markersize=4)
    axes.text(1150, line[-1], f"{k} x {k}", va=side, color=colour)
v1 = [64, 128, 256, 512, 1024]
axes.plot(v1, [100 * saving(o, 3) for o in v1], "o", color=TRAIN, markersize=11, fillstyle="none")
axes.set_xticks(filters, [str(o) for o in filters], fontsize=8)
axes.set(xlabel="filters O", ylabel="multiply-adds saved, %", ylim=(35, 100), xlim=(1.8, 2300))
axes.set_title("What the split saves; rings: the layers of MobileNet v1")
picture(
    fig,
    alt="Share of multiply-adds saved against the number of filters, for filters of 3 x 3, 5 x 5 and 7 x 7. All curves rise and level "
    "off: 3 x 3 at 88.9 percent, 5 x 5 at 96, 7 x 7 at 98. The 3 x 3 curve enters the band of 80 to 90 percent at 12 filters; the "
    "layers of MobileNet v1, 64 to 1024 filters, lie between 87.3 and 88.8 percent. The other two curves leave the band upwards.",
)
for o in (8, 12, 64, 1024):
    print(f"O = {o:4}:  3 x 3 saves {saving(o, 3):.1%}   5 x 5 {saving(o, 5):.1%}   1 x 1 {saving(o, 1):.1%}")
assert saving(11, 3) < 0.8 < saving(12, 3)
assert all(saving(o, 3) < 0.9 for o in filters)
assert saving(24, 5) > 0.9
assert saving(64, 1) < 0

# %% [markdown]
# So: true for 3 x 3 filters from 12 filters on, and it can never reach 90 %, for 1/9 remains. With 5 x 5 the saving
# is larger. A 1 x 1 convolution has nothing to split; doing it in two steps only costs more. The paper's own "8 to
# 9 times less computation" needs a little more than 64 filters:

# %%
times_less = {o: 1 / (1 - saving(o, 3)) for o in (64, 71, 72, 1024)}
print({o: f"{times:.2f} times less" for o, times in times_less.items()})
assert times_less[71] < 8 <= times_less[72] + 1e-9

# %% [markdown]
# ## 3. Depthwise, forward
#
# The formula of lesson 0, without the sum over channels:
#
#     y[n, i, j, c] = sum over a, b of   x[n, s i + a, s j + b, c]  w[a, b, c]
#
# `w` is `(K, K, C)`: one filter for each channel, and channel `c` of `y` comes from channel `c` of `x` alone. It is
# a convolution with as many groups as channels.

# %%
exercise("L1.depthwise_forward")

# %% [markdown]
# ## 4. Depthwise, backward
#
# As before, ask where a number counts. The weight `w[a, b, c]` counts in every output pixel of channel `c`, in
# every image; the pixel `x[n, p, q, c]` counts in every window that holds it, in channel `c`. Channels stay apart
# on the way back as they did on the way there.

# %%
exercise("L1.depthwise_backward")

# %% [markdown]
# ## 5. Pointwise: one matrix product
#
# A 1 x 1 filter sees one pixel. Write all pixels of all images as the rows of a matrix `X` with `N H W` rows and
# `C` columns; then
#
#     Y = X W             W (C, O)
#
# No windows, no padding, no loop. This is the kind of work that computers do best, and that is half of why
# MobileNet is fast.

# %%
exercise("L1.pointwise_forward")

# %% [markdown]
# For the backward pass one needs two rules, and the shapes alone nearly give them away: which product of `dY (N H
# W, O)` with `X` or `W` has the shape of `W`? Which has that of `X`?

# %%
exercise("L1.pointwise_backward")

# %% [markdown]
# **Is the split the same function?** For some convolutions it is. If the filters are `w[a, b, c] v[c, o]`, then
# depthwise with `w` and pointwise with `v` give the same output as the whole convolution. But a convolution has
# room for more: for each input channel a table of `K K` x `O` numbers, of which `w[:, :, c] v[c, :]` can only be
# one of rank 1.

# %%
rng = np.random.default_rng(2)
x, w, v = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 5))
two_steps = pointwise.forward(depthwise.forward(x, w, 2), v)
at_once = conv.forward(x, w[..., None] * v, 2)
print("largest difference:", np.abs(two_steps - at_once).max())
assert np.allclose(two_steps, at_once)
assert (w.size + v.size, w.size * v.shape[1]) == (42, 135)

# %% [markdown]
# *Extra.* How much is given up? Take a real, trained convolution, the first layer of EfficientNet-Lite0 (3 x 3, 3
# channels to 32 filters), and ask for each of its input channels how much of the table's size (the sum of its
# squares) the best product `w v` can hold. **Predict**; for a table of random numbers it is about a fifth.


# %%
def best_product(tables):
    """The share of each table's squares that its best rank-1 product holds: from the singular values."""
    squares = np.linalg.svd(tables.reshape(9, 3, -1).transpose(1, 0, 2), compute_uv=False) ** 2
    return squares[:, 0] / squares.sum(1)


random = best_product(rng.normal(size=(3, 3, 3, 32)))
print("random: ", *(f"{share:.0%}" for share in random))
assert (random < 0.35).all()
try:
    trained = best_product(weights.pretrained("efficientnet_lite0")[0].stem.conv.weight.value)
    print("trained:", *(f"{share:.0%}" for share in trained))
    assert (trained > 0.3).all()
    assert (trained < 0.7).all()
except (ImportError, OSError, ValueError) as missing:  # the weights come from another package
    print("trained: not measured,", missing)

# %% [markdown]
# About half: the split is a real restriction, not the same thing for less. It pays because a network of such layers
# learns to live with it. The paper trained both: 71.7 % of ImageNet right with whole convolutions, 70.6 % with
# split ones [2, table 4], for the costs that we count next. (And MobileNet leaves its first layer whole: with three
# channels in there is little to save.)

# %% [markdown]
# ## 6. The network
#
# A **block** is depthwise, BatchNorm, ReLU6, pointwise, BatchNorm, ReLU6. (ReLU6 is a ReLU that also stops at 6;
# lesson 2 has the reason.) MobileNet v1 is a whole convolution, **13 blocks**, the mean over all pixels, and a
# dense layer that gives a score to each of 1,000 classes. When a block halves the image it doubles the channels, so
# that the cost stays level.
#
# **A second bug report**: in the paper's table 1 the stride of the *last* depthwise layer is 2, but the size that
# follows is that of stride 1. Readers asked which is right [3]. Their networks have the same number of parameters;
# what tells them apart?

# %%
exercise("L1.mobilenet_v1")

# %%
rows_of = L1["mobilenet_v1"].function
printed = L1["mobilenet_v1"].variants["last_stride_of_the_paper"]


def priced(rows):
    """(kind, parameters, multiply-adds) of each row of the table."""
    for kind, before, after, stride, height in rows:
        k, groups = (3 if kind in ("conv", "depthwise") else 1), (before if kind == "depthwise" else 1)
        size = (height * stride, height * stride)
        yield kind, *cost(size, before, after, k, stride, groups)


def total(rows):
    """Parameters and multiply-adds of a whole table."""
    _, params, macs = zip(*priced(rows), strict=True)
    return sum(params), sum(macs)


for name, build in {"the authors' code": rows_of, "the paper's table": printed}.items():
    params, macs = total(build())
    print(f"{name}: {params:,} weights, {macs:,} multiply-adds")
(params, macs), (params_printed, macs_printed) = total(rows_of()), total(printed())
assert params == params_printed
assert (macs, macs_printed) == (568_740_352, 533_833_216)
report = profile(models.build("mobilenet_v1"), (224, 224, 3))
assert (report.params, report.macs) == (4_231_976, 568_740_352)
kinds = [kind for kind, *_ in rows_of()]
assert (kinds.count("depthwise"), len(kinds)) == (13, 28)

# %% [markdown]
# Parameters do not know where a layer is applied; multiply-adds do. The paper gives 569 million, so stride 1 is
# right, as in the authors' code. **Compare both numbers** when you port a network: lesson 2 has one that a model
# zoo shipped with the wrong stride and the right parameters.
#
# (`mobilenet_v1` counts weights only; with BatchNorm's `gamma` and `beta` and the classifier's bias there are
# 4,231,976 parameters.)
#
# **The whole network, with whole convolutions**: replace each pair of layers by one convolution with its stride,
# and count.

# %%
rows = rows_of()
whole = [
    ("conv", before, after, stride, height)
    for (_, before, _, stride, _), (_, _, after, _, height) in zip(rows[1:-1:2], rows[2:-1:2], strict=True)
]
whole_params, whole_macs = total([rows[0], *whole, rows[-1]])
print(f"whole: {whole_macs / 1e6:,.0f} million multiply-adds, {whole_params / 1e6:.1f} million weights")
print(f"split: {macs / 1e6:,.0f} million, {params / 1e6:.1f} million")
print(f"{whole_macs / macs:.2f} times fewer: {1 - macs / whole_macs:.1%} saved")
assert round(whole_macs / macs, 2) == 8.56
assert round(1 - macs / whole_macs, 3) == 0.883

# %% [markdown]
# ## 7. Where the work is, and where the time is
#
# **Predict** three shares for the 13 depthwise layers, which gave the network its name: of the parameters, of the
# multiply-adds, and of the *time* on your machine.


# %%
def milliseconds(call, times=7):
    """The best of a few runs, after one that warms up."""
    call()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return 1000 * min(spent)


net = init.initialize(models.build("mobilenet_v1"), np.random.default_rng(3))
x = np.random.default_rng(4).normal(size=(1, 224, 224, 3)).astype("float32")
layers, share = [], {}
names = {"Conv2D": "first convolution", "DepthwiseConv2D": "depthwise", "PointwiseConv2D": "pointwise"}
names |= {"Dense": "classifier"}
for row, layer in zip(report.rows, (one for _, one in named_layers(net) if not one.children()), strict=True):
    spent = milliseconds(lambda: layer(x))
    kind = names.get(row.kind, "BatchNorm, ReLU6, ...")
    share[kind] = np.add(share.get(kind, 0), (row.params, row.macs, spent))
    if row.macs:
        layers.append((kind, row.macs, spent))
    x = layer(x)
sums = sum(share.values())
print(f"{'':22} parameters   multiply-adds   time on this machine   MACs per nanosecond")
for kind, (params_, macs_, spent) in share.items():
    percent = [f"{value:.1%}" for value in (params_, macs_, spent) / sums]
    print("{:22} {:>10} {:>15} {:>16}".format(kind, *percent), f"{macs_ / spent / 1e6:28.1f}")
print(f"in all: {sums[2]:.1f} ms a photograph")
exact = {kind: numbers[:2] / sums[:2] for kind, numbers in share.items()}
assert np.allclose(exact["depthwise"], (0.0105, 0.0306), atol=0.001)
assert np.allclose(exact["pointwise"], (0.742, 0.949), atol=0.001)
assert round(100 * exact["first convolution"][1], 2) == 1.91

# %%
fig, panels = figure(1, 10, 3)
fig.clear()
top, bottom = fig.subplots(2, 1, sharex=True)
fig.set_size_inches(10, 4.6)
looks = {
    "first convolution": ("black", ""),
    "depthwise": (VALID, "///"),
    "pointwise": (TRAIN, ""),
    "classifier": (MUTED, ".."),
}
for axes, column, label in ((top, 1, "million multiply-adds"), (bottom, 2, "milliseconds")):
    for kind, (colour, hatch) in looks.items():
        at = [i for i, one in enumerate(layers) if one[0] == kind]
        heights = [layers[i][column] / (1e6 if column == 1 else 1) for i in at]
        axes.bar(at, heights, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=kind)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
top.legend(frameon=False, ncol=4, loc="upper center", bbox_to_anchor=(0.5, 1.3))
bottom.set_xlabel("layers of MobileNet v1, first to last")
depthwise_share = share["depthwise"] / sums
picture(
    fig,
    alt="Two bar charts over the 28 layers of MobileNet v1: multiply-adds above, milliseconds on this machine below. Above, the pointwise "
    f"layers stand at 26 or 51 million each and the depthwise ones can hardly be seen: {depthwise_share[1]:.1%} of all. Below, the depthwise "
    f"bars have grown to {depthwise_share[2]:.0%} of the time, the classifier and the first convolution are small in both.",
)
assert {round(one[1] / 1e6) for one in layers if one[0] == "pointwise"} == {26, 51}

# %% [markdown]
# The network is called after its depthwise layers, and 95 % of its work is matrix products. Now look at the last
# column of the table. On the machine that this was written on, a depthwise layer took about seven times as long for
# a multiply-add as a pointwise one; you see how it is on yours. So the bug report can be answered.
#
# ### Why depthwise layers are slow for what they do
#
# Before a number can be multiplied it has to come from memory. Count, for a layer, the multiply-adds for each byte
# that is read or written (`x`, `w` and `y` once, 4 bytes a number).


# %%
def macs_per_byte(size, c, o, k, groups=1):
    """For stride 1."""
    params, macs = cost(size, c, o, k, 1, groups)
    return macs / (4 * (size[0] * size[1] * (c + o) + params))


shape = (14, 14)
intensity = {
    "whole 3 x 3": macs_per_byte(shape, 512, 512, 3),
    "depthwise": macs_per_byte(shape, 512, 512, 3, 512),
    "pointwise": macs_per_byte(shape, 512, 512, 1),
}
for kind, per_byte in intensity.items():
    print(f"14 x 14 x 512, {kind:<12} {per_byte:6.1f} multiply-adds a byte")
assert 1.0 < intensity["depthwise"] < 9 / 8
assert 25 < intensity["pointwise"] < 40

image = np.random.default_rng(5).normal(size=(2, 64, 64, 3)).astype("float32")
standard, channelwise = (
    init.initialize(layer, np.random.default_rng(6)) for layer in (Conv2D(3, 16, 3), DepthwiseConv2D(3, 3))
)
fewer = standard.macs((64, 64, 3)) / channelwise.macs((64, 64, 3))
slow, quick = (1000 * milliseconds(lambda: layer(image)) for layer in (channelwise, standard))
print(f"the report's layers: {fewer:.0f} times fewer multiply-adds in the depthwise one")
print(
    f"here: depthwise {slow:.0f} microseconds, standard {quick:.0f}: {quick / slow:.1f} times faster, not {fewer:.0f}"
)
assert fewer == 16

# %% [markdown]
# A depthwise layer does 9 multiply-adds for each number that it reads and writes, at most 9/8 for a byte: it waits
# for memory. A pointwise layer uses each number that it has fetched again and again, for all its filters. So in the
# report 16 times fewer multiply-adds could not become 16 times less time; with 3 channels there is also hardly a
# row of numbers for the processor to work on at once, and calling a layer at all takes its microseconds. The
# expectation was wrong: it was for multiply-adds. **Multiply-adds are not time.**
#
# How much of the 8.6 is left on your machine? **Predict**, for a block in the middle of the network and for the
# first one.


# %%
def race(size, c, o):
    """How many times fewer multiply-adds the split has, and how many times less time it takes here."""
    x = np.random.default_rng(7).normal(size=(1, size, size, c)).astype("float32")
    whole, split = Conv2D(c, o, 3), Sequential(DepthwiseConv2D(c, 3), PointwiseConv2D(c, o))
    for layer in (whole, split):
        init.initialize(layer, np.random.default_rng(8))
    fewer = whole.macs(x.shape[1:]) / split.macs(x.shape[1:])
    return fewer, milliseconds(lambda: whole(x)), milliseconds(lambda: split(x))


for size, c, o in ((112, 32, 64), (56, 128, 128), (14, 512, 512)):
    fewer, slow, quick = race(size, c, o)
    print(f"{size:3} x {size:<3} {c:3} to {o:<3}  whole {slow:5.1f} ms, split {quick:4.1f} ms: ", end="")
    print(f"{slow / quick:4.1f} times less time, {fewer:.1f} times fewer multiply-adds")
    assert 7.8 < fewer < 8.9

# %% [markdown]
# ## 8. What an output pixel has seen
#
# The **receptive field** of an output pixel is the part of the image that can change it. A layer of K x K taps adds
# `K - 1` steps, and a step is as many pixels of the image as all strides before it multiply to:
#
#     field -> field + (K - 1) * step,        step -> step * s
#
# Pointwise layers have K = 1 and add nothing: all of the looking around is done by those 3 % of the work.
#
# We can also *measure* it with what lesson 0 made: send a gradient of 1 back from one pixel in the middle, and look
# at which pixels of the image get something, and how much. **Predict**: after how many of the 13 blocks has the
# middle pixel seen the whole photograph of 224 x 224? And does it see all of its field equally well?

# %%
thin = init.initialize(models.build("mobilenet_v1", width_mult=0.25), np.random.default_rng(9), np.float64)
blocks = [thin.stem, *(block for _, stage in thin.stages.children() for _, block in stage.children())]
strides = [row[3] for row in rows if row[0] in ("conv", "depthwise")]
assert len(blocks) == len(strides) == 14


def looked_at(depth, photos=3):
    """Size of dx, for the middle pixel after the first convolution and `depth` blocks, summed over a few random photographs."""
    net, seen = Sequential(*blocks[: depth + 1]), 0
    for seed in range(photos):
        y, cache = net.forward(np.random.default_rng(seed).normal(size=(1, 224, 224, 3)))
        dy = np.zeros(y.shape)
        dy[0, y.shape[1] // 2, y.shape[2] // 2] = np.random.default_rng(seed).normal(size=y.shape[3])
        seen = seen + np.abs(net.backward(dy, cache)[0]).sum(-1)
    return seen


def predicted(depth):
    """By the formula: where the field starts, its first and its last row inside the image, its size."""
    size, field, step, start = 224, 1, 1, 0
    for s in strides[: depth + 1]:
        ((before, _), _), (out, _) = resolve("same", (size, size), 3, s)
        field, start = field + 2 * step, start - before * step
        size, step = out, step * s
    first = start + size // 2 * step
    return first, max(first, 0), min(first + field, 224) - 1, field


def half_of(seen, middle):
    """The side of the square about the middle of the field that holds half of the squares of `seen`."""
    away = np.abs(np.arange(224) - middle)
    rings = np.bincount(np.maximum.outer(away, away).astype(int).ravel(), (seen**2).ravel()).cumsum()
    return 2 * int(np.searchsorted(rings, rings[-1] / 2)) + 1


fig, panels = figure(5, 13, 3.3)
fields, halves = {}, {}
for axes, depth in zip(panels, (1, 4, 6, 11, 13), strict=True):
    seen = looked_at(depth)
    touched = np.flatnonzero(seen.any(1))
    start, first, last, fields[depth] = predicted(depth)
    assert (touched[0], touched[-1]) == (first, last)  # measured and predicted agree to the pixel
    halves[depth] = side = half_of(seen, start + (fields[depth] - 1) / 2)
    axes.imshow(np.sqrt(seen / seen.max()), cmap="magma", extent=(0, 224, 224, 0))
    for corner, length, line in (
        (first, last + 1 - first, "-"),
        (start + (fields[depth] - side) / 2, side, "--"),
    ):
        axes.add_patch(Rectangle((corner, corner), length, length, fill=False, edgecolor="w", linestyle=line))
    axes.set(xticks=(0, 224), yticks=(0, 224))
    axes.set_title(
        f"after block {depth}:\n{fields[depth]} x {fields[depth]}\nhalf in {side} x {side}", fontsize=10
    )
picture(
    fig,
    alt="Five photographs' outlines of 224 x 224 pixels with the gradient of the middle output pixel, after blocks 1, 4, 6, 11 and 13 of "
    "an untrained MobileNet v1. A white square, the predicted field, grows from 7 pixels a side over 27, 59 and 219 to 315, which is more "
    "than the photograph. Inside it the brightness gathers in the middle and fades towards the edge; from block 4 on a dashed square, "
    "about a third to a half as wide, holds half of it.",
)
print({f"after block {depth}": f"{field} pixels" for depth, field in fields.items()})
assert list(fields.values()) == [7, 27, 59, 219, 315]
assert predicted(11)[3] < 224 <= predicted(12)[3]
assert all(halves[depth] < 0.6 * fields[depth] for depth in (4, 6, 11, 13))  # an even light would need 0.71

# %% [markdown]
# After block 11 the field has 219 pixels a side, after block 12 it is larger than the photograph. (The middle pixel
# of 14 is right of the middle, so its field hangs out.) But the white square flatters: the dashed one holds half of
# what comes back, measured as a sum of squares. Many paths lead through the middle of the field and few to its
# corners. These weights are random; a trained network has another picture, but its useful field too is much smaller
# than the formula's [4].

# %% [markdown]
# ## 9. Two knobs
#
# Not every telephone can afford 569 million multiply-adds. The paper gives two knobs. The **width multiplier**
# (`width_mult`, the paper's alpha) multiplies all channels. The **resolution** shrinks the photograph. Both are
# said to act by their square, for a pointwise layer has `C O OH OW` multiply-adds.
#
# **Predict**: with half the channels everywhere, what is left of the multiply-adds? Of the parameters? Of the time?

# %%
widths, sizes = (0.25, 0.5, 0.75, 1.0), (128, 160, 192, 224)


def small(width, size):
    """Parameters, multiply-adds and milliseconds of a MobileNet v1."""
    net = models.build("mobilenet_v1", width_mult=width)
    report = profile(net, (size, size, 3))
    init.initialize(net, np.random.default_rng(10))
    x = np.random.default_rng(11).normal(size=(1, size, size, 3)).astype("float32")
    return report.params, report.macs, milliseconds(lambda: net(x), times=5)


by_width = np.array([small(width, 224) for width in widths])
by_size = np.array([small(1.0, size) for size in sizes])
fig, panels = figure(2, 10, 3.7)
for axes, knob, numbers, what in (
    (panels[0], np.array(widths), by_width, "width multiplier"),
    (panels[1], np.array(sizes) / 224, by_size, "resolution / 224"),
):
    left = 100 * numbers / numbers[-1]
    axes.plot(knob, 100 * knob**2, color=MUTED, linewidth=1, label="its square")
    axes.plot(knob, left[:, 1], "-o", color=TRAIN, label="multiply-adds")
    axes.plot(knob, left[:, 0], "--s", color=VALID, label="parameters")
    axes.plot(knob, left[:, 2], "k:^", label="time on this machine")
    axes.set(xlabel=what, ylabel="% of the full network", ylim=(0, 105), xticks=knob)
    axes.set_xticklabels([f"{value:.2f}" for value in knob])
    axes.legend(frameon=False, fontsize=9)
picture(
    fig,
    alt="What is left of parameters, multiply-adds and time, against the width multiplier (left) and the resolution (right). Multiply-adds "
    "follow the square of either knob, a little above it for the width. Parameters fall with the width more slowly, to 31 percent at one "
    "half, and do not change with the resolution. The measured time is drawn too: "
    f"{by_width[1, 2] / by_width[-1, 2]:.0%} at half the width, {by_size[0, 2] / by_size[-1, 2]:.0%} at 128 pixels.",
)
published = dict(zip(widths, (51.6, 64.3, 68.4, 70.4), strict=True))
for width, (params, macs, spent) in zip(widths, by_width, strict=True):
    print(
        f"width {width:<4}  {int(params):9,} parameters  {int(macs):11,} MACs  {4 * params / 1e6:4.1f} MB ",
        end="",
    )
    print(f"{spent:5.1f} ms   ImageNet {published[width]} %")
for size, (params, macs, spent) in zip(sizes, by_size, strict=True):
    print(
        f"size {size:<5}  {int(params):9,} parameters  {int(macs):11,} MACs  {4 * params / 1e6:4.1f} MB {spent:5.1f} ms"
    )
left = by_width[:, 1] / by_width[-1, 1]
assert np.allclose(left, (0.072, 0.263, 0.572, 1), atol=0.001)
assert np.allclose(by_width[:, 0] / by_width[-1, 0], (0.11, 0.315, 0.612, 1), atol=0.01)
assert np.allclose(by_size[:, 1] / by_size[-1, 1], np.square(sizes) / 224**2, rtol=0.01)

# %% [markdown]
# (The accuracies are Keras's own measurement of the published weights at 224 pixels [5]; we have not trained these
# networks.)
#
# "Alpha squared" is a little too hopeful: depthwise layers and the first convolution shrink with alpha, not with
# its square, and so does the classifier, whose 1,000 classes do not shrink at all. For parameters the classifier
# counts more: half the width leaves 31 % of them. The resolution does follow its square, and leaves the parameters
# alone: the mean over all pixels at the end takes maps of any size.

# %% [markdown]
# ## 10. Where the textbooks are loose
#
# | what is said | what we found | verdict |
# |---|---|---|
# | "a separable convolution saves 80 to 90 % of the maths" | with 3 x 3 and from 12 filters on; the whole of v1: 88.3 %. With 5 x 5 more, with 8 filters 76 %. Of the *time* less: section 7 | holds within limits |
# | "8 to 9 times less computation" (the paper) | from 72 filters on; the first block, with 64, has 7.9; the network 8.56 | holds within limits |
# | "a network of depthwise convolutions" | 3.1 % of the multiply-adds, 1.1 % of the parameters; 95 % of the work is 1 x 1 | loose |
# | "3 x 3 convolution: 1.19 % of the multiply-adds" (the paper's table 2) | 1.91 %; two digits changed places, and the printed column adds up to 99.29 % | wrong |
# | "the last block has stride 2" (its table 1) | stride 1: section 6 | wrong |
# | "the cost falls with alpha squared" | 7.2, 26.3 and 57.2 % for a quarter, a half and three quarters; squares are 6.3, 25 and 56.3 | loose |

# %%
column = [
    round(float(100 * exact[kind][1]), 2)
    for kind in ("pointwise", "depthwise", "first convolution", "classifier")
]
print("multiply-adds, %:", column, "sum", round(sum(column), 2))
assert column == [94.86, 3.06, 1.91, 0.18]
assert round(saving(8, 3), 2) == 0.76
assert round(times_less[64], 1) == 7.9

# %% [markdown]
# ## 11. Questions
#
# **1.** In a block of 14 x 14 x 512, what does it cost to make the depthwise filters 5 x 5 in place of 3 x 3?
#
# <details><summary>Answer</summary>
#
# Depthwise goes from 9 to 25 multiply-adds a number; pointwise stays at 512. (25 - 9) / (9 + 512) = 3.1 % more for
# the block. With whole convolutions it would be 2.8 times as much. Large filters are cheap here, and EfficientNet
# (lesson 3) makes use of it.
#
# </details>
#
# **2.** Between depthwise and pointwise stand BatchNorm and ReLU6. Suppose the ReLU6 were not there. Which single
# layer could do the work of the two?
#
# <details><summary>Answer</summary>
#
# A whole convolution with filters `w[a, b, c] v[c, o]`, as in section 5 (BatchNorm only scales and shifts). With
# the ReLU6 in between the pair can do things that no single convolution can: it gives up rank and gains a bend.
#
# </details>
#
# **3.** Someone puts the stride on the pointwise layer. Shapes and parameters are right. What is wrong?
#
# <details><summary>Answer</summary>
#
# The depthwise layer then works on all pixels, and the pointwise one throws three of four away: wasted work. The
# filters also step by one pixel and not by two, so the trained weights give other numbers. The cell below counts
# it.
#
# </details>
#
# **4.** You shrink photographs from 224 to 112 pixels to be four times faster. The network runs without a change.
# Why does it, and what have you changed besides the cost?
#
# <details><summary>Answer</summary>
#
# Nothing in it knows the size of the image: filters slide, and the mean over all pixels takes maps of any size. But
# every object is half as large in pixels, and the receptive fields have stayed: what a filter was trained to find
# now has another size. The accuracy falls, unless the network is trained at that size.
#
# </details>
#
# **5.** A colleague finds that halving the multiply-adds of a network made it no faster. Name three places to look.
#
# <details><summary>Answer</summary>
#
# Were they depthwise multiply-adds (which wait for memory anyway)? How much time goes into BatchNorm, ReLU6 and the
# like, which count no multiply-adds? Are the layers so small that calling them takes longer than their work?
#
# </details>

# %%
assert round((25 - 9) / (9 + 512), 3) == 0.031
assert round(25 / 9, 1) == 2.8
misplaced = L1["mobilenet_v1"].variants["stride_on_the_pointwise"]()
assert total(misplaced)[0] == total(rows)[0]
print(f"stride on the pointwise layers: {total(misplaced)[1] / total(rows)[1] - 1:+.1%} multiply-adds")

# %% [markdown]
# ## Sources
#
# 1. tensorflow/tensorflow, issue 42172 (2020), "`DepthwiseConv2D` is no faster than `Conv2D`".
# 2. Howard et al., *MobileNets: efficient convolutional neural networks for mobile vision applications*, 2017,
#    arXiv:1704.04861: the split (section 3.1), the network (table 1), the shares (table 2), whole against split
#    (table 4), the knobs (sections 3.3 and 3.4).
# 3. tensorflow/models, issue 1997 (2017), "mobilenet paper typo". The authors' code: `mobilenet_v1.py` in
#    tensorflow/models, research/slim.
# 4. Luo et al., *Understanding the effective receptive field in deep convolutional neural networks*, 2016,
#    arXiv:1701.04128.
# 5. keras-team/keras-applications, README: top-1 accuracies measured with one crop.
