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
# # L9 The state of computer vision: data, hand-engineering, and tricks
#
# Why do papers on vision have so many clever parts, and papers on ads so few? Why do winners of competitions ask ten
# networks about ten crops, and nobody who has customers does? Both questions have one answer each, and both answers can
# be measured on a laptop. You will build features by hand and watch data overtake them, find an object without ever
# having been shown a box, and pay for each point of accuracy in forward passes.
#
# **You will be able to** say from the number of labelled examples whether hand-made knowledge will pay; put several
# networks and several crops together without the usual mistakes; tell a gain from chance; and choose, among narrower,
# smaller and other networks, the best one that keeps a latency budget, with a measurement as the proof.
#
# **Know first**: softmax, augmentation (L7). No backward pass is written here.
#
# **Time**: 20 minutes for `ensemble`, which is core; 80 minutes for the five exercises that are extra; 40 minutes to read.

# %%
import itertools
import json
import os
import time

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # one core: latencies that can be compared, and fast for small matrices

import matplotlib.pyplot as plt
import numpy as np

from lessons import check, exercise, picture, show  # noqa: F401  (for the notebook)
from lessons.catalogue import LESSONS, find, load
from mini_nn import data, inference, init, models, profile
from mini_nn.inference import crops
from mini_nn.ops.softmax import forward as probabilities

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"  # told apart by the colour-blind too
RESULTS = LESSONS.parent / "results"  # in a clone


def library(name):
    """The lesson's own function: not to be looked at before you have written yours."""
    return find(f"L9.{name}").function


few, by_hand, learn = (
    load(f"lessons.09_state_of_vision.race:{name}") for name in ("few", "by_hand", "learn")
)


def stored(name):
    """Results that were measured beforehand and are kept in the repository; {} where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


digits = data.load("mnist_5k")  # 4,000 to learn from, 1,000 to judge by
(x_train, y_train), (x_valid, y_valid) = digits.train.arrays(), digits.valid.arrays()

# %% [markdown]
# ## A symptom
# A web demo of a well-known framework promised the classical ten-crop: five views of the photograph, five of its mirror
# image, the mean of ten answers. It made ten views. It ran ten forward passes. The answers were fine. Only, somebody who
# looked at the ten pictures saw **two** (BVLC/caffe#1002).
#
# *Predict* the cause. These are the ten views of a photograph of 256 x 256 pixels, and of one of 227 x 227, for a network
# that takes 227:

# %%
photograph = np.random.default_rng(0).random((1, 256, 256, 3))
for side in (256, 227):
    views = crops.ten(photograph[:, :side, :side], 227)
    different = len({view.tobytes() for view in views})
    print(f"{side} x {side}: {len(views)} forward passes, {different} different pictures")
assert different == 2

# %% [markdown]
# Scaled to 227 first, there is nothing left to cut away: all five crops are the same. Ten times the price, for a mirror
# image. Nothing fails, because *nobody measures what a trick brings*. In this lesson you will.
#
# ## 1. Two sources of knowledge
# What a classifier knows comes from two places: from **labelled examples**, and from **people**, who choose features,
# architectures, augmentations. The seed of this course puts it as a spectrum: with little data, more hand-engineering;
# with much data, simple learning and less of it. That is a claim about curves that cross. Let us draw them.
#
# First the hand-made knowledge. Before 2012, vision meant features like this one, *histograms of oriented gradients*
# (HOG). Somebody thought about what matters in a picture: not how bright it is, but where its edges are and which way
# they run. Each step is one idea:
#
# 1. the gradient of each pixel, `(down, right)`: flat areas say nothing;
# 2. its direction up to a sign: black on white is white on black;
# 3. a histogram for each little cell: an edge may move by a pixel;
# 4. one division for the whole image: contrast does not matter.

# %%
exercise("L9.hog")


# %% [markdown]
# What does it make of a digit? Each cell of 4 x 4 pixels becomes 8 numbers, drawn as 8 strokes across the gradients.

# %%
some = [int(np.flatnonzero(y_valid == digit)[1]) for digit in (2, 7, 4)]
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8), layout="constrained")
for (ax, drawn), number in zip(axes.reshape(3, 2), some, strict=True):
    ax.imshow(x_valid[number, ..., 0], cmap="gray")
    cells = by_hand(x_valid[number : number + 1]).reshape(8, 8, 8)
    for i, j, part in np.ndindex(cells.shape):
        angle = (part + 0.5) * np.pi / 8 + np.pi / 2  # along the edge
        reach = 6 * cells[i, j, part] * np.array([np.cos(angle), np.sin(angle)])
        drawn.plot(j + reach[0] * np.array([-1, 1]), i + reach[1] * np.array([-1, 1]), color="black")
    drawn.set(xlim=(-0.5, 7.5), ylim=(7.5, -0.5), aspect="equal")
    for one in (ax, drawn):
        one.set(xticks=[], yticks=[])
picture(
    figure,
    alt="Three handwritten digits, 2, 7 and 4; beside each one its 8 x 8 cells, in which short black strokes follow the outline of the digit.",
)

# %% [markdown]
# ### The race
# Four ways to learn digits from n examples a class, judged on 1,000 others:
#
# * **pixels**: a linear classifier (ridge regression on the labels) that sees brightness. No hand-made knowledge;
# * **HOG**: the same classifier, on your features;
# * **network**: a small MobileNet v2 that sees pixels and has to find its features itself. Its hand-made knowledge is in
#   the architecture: neighbours belong together, and what holds here holds there;
# * **network, shifted digits**: the same, told by augmentation that a digit moved by two pixels is the same digit.
#
# All are in `race.py` beside this text. The curves are **stored results** (`results/data_or_knowledge.json`, made by `python
# lessons/09_state_of_vision/race.py`): five seeds for the linear ones, three for the networks; each seed has its own examples.
#
# *Predict*: which of them is best with 3 examples a class? With 400? Where does the network overtake HOG?


# %%
race = {}
if not stored("data_or_knowledge"):
    print("The stored results are in the repository, not in the installed package: clone it to draw them.")
else:
    kept = stored("data_or_knowledge")
    for row in kept["rows"]:
        race.setdefault(row["way"], {}).setdefault(row["examples a class"], []).append(100 * row["accuracy"])
    figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    looks = ((GREY, "o", ":"), (ORANGE, "s", "-"), (BLUE, "^", "--"), (GREEN, "D", "-"))
    for (way, scores), (colour, marker, line) in zip(race.items(), looks, strict=True):
        means = [np.mean(some) for some in scores.values()]
        ax.plot(list(scores), means, color=colour, marker=marker, linestyle=line, label=way)
        ax.vlines(
            list(scores), [min(v) for v in scores.values()], [max(v) for v in scores.values()], color=colour
        )
    ax.set(xscale="log", xlabel="labelled examples a class", ylabel="% of 1,000 digits that are right")
    ax.set_xticks([1, 3, 10, 30, 100, 400], ["1", "3", "10", "30", "100", "400"])
    ax.minorticks_off()
    ax.set_title(
        f"Stored results of {kept['date']}; lines from the worst to the best seed", fontsize=10, loc="left"
    )
    ax.legend(frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    picture(
        figure,
        alt="Accuracy against labelled examples a class, 1 to 400. HOG lies above pixels everywhere. The network without shifted digits begins far below both, at about 30 % for 3 examples, and ends a "
        "little above HOG at 400. With shifted digits it is close to HOG at 30 examples and above it at 400.",
    )
    T = {
        3: 4.30,
        5: 2.78,
    }  # half the width of a 95 % interval of the mean, in standard errors, for so many seeds
    at = {way: {n: np.mean(scores) for n, scores in found.items()} for way, found in race.items()}
    for way, found in race.items():
        halves = {n: T[len(v)] * np.std(v, ddof=1) / len(v) ** 0.5 for n, v in found.items()}
        print(f"{way:<23}", "  ".join(f"{n}: {at[way][n]:.1f} +- {half:.1f}" for n, half in halves.items()))
    lead = {n: at["HOG"][n] - at["network"][n] for n in race["network"]}
    told = {n: at["network, shifted digits"][n] - at["network"][n] for n in race["network"]}
    ahead = {n: at["HOG"][n] - at["pixels"][n] for n in race["HOG"]}
    for what, points in (
        ("HOG leads the network by", lead),
        ("knowing of shifts brings", told),
        ("HOG leads pixels by", ahead),
    ):
        print(what, ", ".join(f"{value:+.0f} ({n} a class)" for n, value in points.items()))
    assert [round(lead[n]) for n in lead] == [52, 11, -1]
    assert [round(told[n]) for n in told] == [38, 9, 0]
    assert round(ahead[400]) == 10
    assert min(ahead.values()) > 5

# %% [markdown]
# The curves meet, as the notes say: what people put in is worth most where labels are few. HOG leads the network by 52 points with 3 examples a
# class and by 11 with 30; with 400 the network is ahead, by half a point. Two things are less tidy.
#
# * **Hand-made knowledge does not become useless.** With 400 examples a class the same linear classifier is still ten points
#   better on HOG than on pixels. What catches up with HOG is not data alone: it is data *and* a network, whose
#   convolutions are hand-made knowledge too. The knowledge has moved, from features into the architecture.
# * **Augmentation is hand-engineering.** One sentence, "a digit moved by two pixels is the same digit", brings nearly 40
#   points with 3 a class (look at the interval, though: which 3 matters), 9 with 30, and nothing with 400.
#
# ## 2. Boxes are scarce
# For *where* is it, rather than *what* is it, someone has to draw a box, and boxes are dear. Published: 35 seconds for a
# good one in ImageNet, 7 with a better tool (Papadopoulos et al. 2017). A label is a yes or a no.

# %%
labels = 1_281_167  # ImageNet's, for training
voc, coco = 24_640, 2_500_000  # boxes of VOC 2007; COCO's instances
print(f"ImageNet has {labels / voc:.0f} labels for each box of VOC 2007")
print(f"the boxes of VOC at 35 s: {voc * 35 / 3600:,.0f} hours; COCO's 2.5 million: {coco * 35 / 3600:,.0f}")
assert round(labels / voc) == 52
assert round(coco * 35 / 3600, -2) == 24_300

# %% [markdown]
# ### What makes a box right?
# A label is right or wrong. A box is more or less right: **intersection over union**, the area that two boxes share
# divided by the area that they cover together. 0.5 is the usual bar.

# %%
exercise("L9.iou")

# %% [markdown]
# One formula, and three libraries shipped it wrong in three ways: with a pixel added to each side, so that the result
# depends on the unit (fizyr/keras-retinanet#1317); with a pixel added to some of the areas (xg-chu/CrowdDet#47); and
# with the two negative sides of boxes that do not touch multiplied to something positive (yhenon/keras-frcnn#45).
#
# *Predict*: a box of 20 x 20 pixels was drawn two pixels too far to the right and two too low. What is its IoU? And one
# that is two pixels too large on every side?

# %%
true = np.array([[0.0, 0, 20, 20]] * 2)
drawn = np.array([[2.0, 2, 22, 22], [-2, -2, 22, 22]])
print("IoU:", library("iou")(true, drawn).round(2))
assert np.allclose(library("iou")(true, drawn), [0.68, 0.69], atol=0.01)

# %% [markdown]
# Two pixels in twenty, hardly to be seen, cost a third. That is why a good box takes half a minute.
#
# ### What follows from it
# If boxes are scarce, knowledge has to come from elsewhere: from **labels**, which are plenty (start from a network that
# was trained on them), and from **people** (anchors, non-maximum suppression, region proposals: detection is full of
# hand-made parts). Here is the smallest example with both. A digit lies somewhere on 64 x 64 pixels, among eight scraps of
# other digits, 6 x 6 pixels each. No box is ever shown. Ways to find it:
#
# * **by hand alone**: the box around everything that is bright;
# * **from labels alone**: slide a window of 28 x 28 over the picture and ask networks *that were trained on labels*; the
#   box is the window of which they are most sure;
# * **both**: what is bright within that window;
# * **chance**: what is bright within a window that is drawn by lot, to compare with.
#
# *Predict* for each the share of boxes with an IoU of at least 0.5. First the networks: five, on 30 examples a class, alike
# but for their first random numbers. We will need them again.

# %%
chosen = few(y_train, 30, 0)
networks = [learn(x_train[chosen], y_train[chosen], seed, 150, shift=True) for seed in range(5)]
together = inference.ensemble(networks)
middle = x_valid[:, 2:30, 2:30]


def scene(rng):
    """A picture (64, 64), and the box of its digit."""
    canvas = np.zeros((64, 64), np.float32)
    for _ in range(8):
        i, j = rng.integers(8, 16, 2)
        scrap = x_valid[rng.integers(len(x_valid)), i : i + 6, j : j + 6, 0]
        top, left = rng.integers(0, 58, 2)
        canvas[top : top + 6, left : left + 6] = np.maximum(canvas[top : top + 6, left : left + 6], scrap)
    digit, (top, left) = middle[rng.integers(len(middle)), ..., 0], rng.integers(0, 36, 2)
    canvas[top : top + 28, left : left + 28] = np.maximum(canvas[top : top + 28, left : left + 28], digit)
    return canvas, bright(digit) + np.array([top, left, top, left])


def bright(image):
    """Top, left, bottom and right of what is bright; the whole image where nothing is."""
    rows, columns = np.nonzero(image > 0.3) if (image > 0.3).any() else np.nonzero(image > -1)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


PLACES = [(i, j) for i in range(0, 37, 4) for j in range(0, 37, 4)]


def surest(canvas):
    """The corner of the window that the networks are most sure of."""
    windows = np.stack([canvas[i : i + 28, j : j + 28, None] for i, j in PLACES])
    return PLACES[int(together(windows).max(1).argmax())]


rng = np.random.default_rng(1)
scenes = [scene(rng) for _ in range(40)]
found = {"by hand alone": [], "from labels alone": [], "both": [], "chance": []}
for canvas, _ in scenes:
    found["by hand alone"].append(bright(canvas))
    for way, (i, j) in (("both", surest(canvas)), ("chance", PLACES[rng.integers(len(PLACES))])):
        found[way].append(bright(canvas[i : i + 28, j : j + 28]) + np.array([i, j, i, j]))
        if way == "both":
            found["from labels alone"].append([i, j, i + 28, j + 28])
truth = np.array([box for _, box in scenes])
agreement = {way: library("iou")(truth, np.array(boxes)) for way, boxes in found.items()}
for way, values in agreement.items():
    print(f"{way:<18} mean IoU {values.mean():.2f}, {np.mean(values >= 0.5):.0%} are right")
assert np.mean(agreement["by hand alone"] >= 0.5) < 0.1
assert agreement["by hand alone"].mean() < agreement["from labels alone"].mean() < agreement["both"].mean()
share = {way: np.mean(values >= 0.5) for way, values in agreement.items()}
assert max(share["by hand alone"], share["from labels alone"]) < 0.15
assert share["both"] > share["chance"] + 0.1
assert 0.35 < share["both"] < 0.75

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
styles = {"by hand alone": ("white", ":"), "from labels alone": ("#56B4E9", "--"), "both": ("#F0E442", "-")}
good = agreement["both"] >= 0.5
for number, ax in zip([*np.flatnonzero(good)[:2], *np.flatnonzero(~good)[:2]], axes, strict=True):
    ax.imshow(scenes[number][0], cmap="gray")
    for way, (colour, line) in styles.items():
        top, left, bottom, right = found[way][number]
        corner = (left - 0.5, top - 0.5)
        ax.add_patch(
            plt.Rectangle(corner, right - left, bottom - top, fill=False, color=colour, linestyle=line, lw=2)
        )
    ax.set_title(f"IoU {agreement['both'][number]:.2f}", fontsize=9)
    ax.axis("off")
picture(
    figure,
    alt="Four pictures of a digit among scraps of other digits, with three boxes each: dotted around everything bright, dashed the window of 28 x 28 that the networks are surest of, solid the bright part of "
    "that window. In two pictures it fits the digit, in two it has gone to scraps.",
)

# %% [markdown]
# (Two that were found and two that were not. White and dotted: by hand. Blue and dashed: from labels. Yellow: both.) Neither source would do. Labels alone say *roughly there*, more
# often than chance would; the rule made by hand makes a box of it. Real detectors of the years before COCO were built like this, and when boxes became
# more, the hand-made parts became fewer: the same spectrum again.
#
# ## 3. Asking several networks
# Five networks, alike but for their seeds, make different mistakes. Put their answers together:
#
# $$p = \sum_m a_m\, \mathrm{softmax}(z_m), \qquad \text{or} \quad p = \mathrm{softmax}\Big(\sum_m a_m z_m\Big), \qquad \text{or votes},$$
#
# with $z_m$ the logits of network $m$ and $a_m$ its share, 1 / 5 for each of five.

# %%
exercise("L9.ensemble")

# %% [markdown]
# **The library's version** is `inference.ensemble(models, how, weights)`. It takes classifiers of photographs too, and knows
# its price: `passes`.
#
# *Predict*: one of the five networks is right for about 92 % of the digits. How many are five together? Which of the three ways is
# worst?

# %%
logits = np.stack([network(middle) for network in networks])
HOW = ("probabilities", "logits", "votes")


def right(members, how):
    """Which digits these networks together are right about."""
    answers = [lambda _, m=m: logits[m] for m in members]
    return library("ensemble")(answers, how)(None).argmax(1) == y_valid


curve = {
    how: [np.mean([right(m, how).mean() for m in itertools.combinations(range(5), k)]) for k in range(1, 6)]
    for how in HOW
}
singles = logits.argmax(2) == y_valid
print("one network:", " ".join(f"{one:.1%}" for one in singles.mean(1)))
for how, scores in curve.items():
    print(f"{how:<14}", " ".join(f"{k}: {score:.1%}" for k, score in enumerate(scores, 1)))
passes = together.passes
assert passes == 5
assert curve["probabilities"][4] > curve["probabilities"][0] + 0.01
assert curve["votes"][4] < curve["probabilities"][4]
gains = 100 * np.diff(curve["probabilities"])
print("points for each network more:", gains.round(1))
assert gains[0] > gains[1:].max()

# %% [markdown]
# The second network brings most; each one after it costs as much and brings less. Votes throw away how sure each one is, and
# *two* networks that vote can only quarrel: equal votes go to whoever comes first.
#
# ### Gain or chance?
# Five networks were right more often, on these 1,000 digits. On another 1,000? Draw photographs again and again from those that you
# have, with replacement, and see how the gain moves: the *bootstrap*. Both have answered the same photographs, so it is the
# **difference for each photograph** that is drawn.

# %%
exercise("L9.gain_interval")

# %%
rows = np.random.default_rng(0).integers(len(y_valid), size=(2000, len(y_valid)))
five = right(range(5), "probabilities").astype(float)
intervals = {}
for name, other in (
    ("the first network", singles[0]),
    ("the luckiest of the five", singles[singles.mean(1).argmax()]),
):
    gain, low, high = (100 * v for v in library("gain_interval")(other.astype(float), five, rows))
    intervals[name] = (gain, low, high)
    apart = 100 * np.diff(np.quantile(five[rows].mean(1) - other[rows[::-1]].mean(1), [0.025, 0.975]))[0]
    print(
        f"five against {name}: {gain:+.1f} points ({low:+.1f} to {high:+.1f}); unpaired the interval is {apart / (high - low):.1f} times as wide"
    )
assert intervals["the first network"][1] > 0

# %% [markdown]
# The gain over *a* network is no chance. What it is over the *luckiest* of the five is smaller, and that is the fair question: who has
# trained five may also keep the best one, if there are photographs to choose it by that are not the ones to report on.
#
# ## 4. Looking several times
# One network, ten views: top left, top right, bottom left, bottom right, centre, and the same five of the mirror image.

# %%
exercise("L9.ten_crop")

# %% [markdown]
# Now with digits: 28 x 28 from 32 x 32, as in training. *Predict* two numbers, in points: what do the five views bring? What do the ten?

# %%
views = crops.ten(x_valid[::2], 28)  # every second digit, to save time
seen = np.stack(
    [[probabilities(network(view)) for view in views] for network in networks]
)  # (network, view, n, class)
WAYS = {"centre": [4], "centre, mirrored": [4, 9], "five": range(5), "ten": range(10)}
looked = {
    way: (seen[:, list(which)].mean(1).argmax(2) == y_valid[::2]).mean(1) for way, which in WAYS.items()
}
for way, scores in looked.items():
    print(
        f"{way:<17} {len(WAYS[way]):>2} passes: {scores.mean():.1%} ({scores.min():.1%} to {scores.max():.1%})"
    )
five_gain, ten_gain = (100 * (looked[way].mean() - looked["centre"].mean()) for way in ("five", "ten"))
print(f"five views {five_gain:+.1f} points, ten views {ten_gain:+.1f} points")
assert abs(five_gain) < 1.5
assert ten_gain < -5

# %% [markdown]
# Five views are worth next to nothing here: the network was *trained* not to mind a shift. Five more, mirrored, do **harm**: a mirrored 2 is no
# digit, and the network says so with confidence. Multi-crop is augmentation at prediction time; it makes the same claim about labels (L7).
#
# ## 5. Gain against cost: benchmarks and production
# Published results first, so that they can be seen on one axis: GoogLeNet on ImageNet, one network or seven, one crop, ten or 144
# (Szegedy et al. 2014, table 3), and MobileNet v2's of Keras, one crop against ten.

# %%
googlenet = {
    (1, 1): 10.07,
    (1, 10): 9.15,
    (1, 144): 7.89,
    (7, 1): 8.09,
    (7, 10): 7.62,
    (7, 144): 6.67,
}  # top-5 error, %
keras_v2 = {0.35: (17.568, 15.422), 0.5: (13.938, 11.976), 1.0: (9.858, 8.322), 1.4: (7.578, 6.518)}
figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
for count, colour, marker in ((1, BLUE, "o"), (7, ORANGE, "s")):
    points = [(count * views, error) for (some, views), error in googlenet.items() if some == count]
    ax.plot(
        *zip(*points, strict=True),
        color=colour,
        marker=marker,
        label=f"GoogLeNet, {count} network{'s' * (count > 1)}",
    )
for width, errors in keras_v2.items():
    ax.plot([1, 10], errors, color=GREY, linestyle=":", marker=".")
    ax.annotate(
        f"v2, width {width}",
        (10, errors[1]),
        xytext=(6, -3),
        textcoords="offset points",
        fontsize=8,
        color=GREY,
    )
ax.set(xscale="log", xlabel="forward passes for one photograph", ylabel="top-5 error on ImageNet, %")
ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
picture(
    figure,
    alt="Top-5 error against forward passes on a logarithmic axis. GoogLeNet falls from 10.1 % with one pass to 7.9 % with 144, seven networks from 8.1 % with 7 passes to 6.7 % with 1,008. Four MobileNet v2 fall by "
    "one to two points from 1 to 10 passes.",
)
best, alone = googlenet[7, 144], googlenet[1, 1]
print(f"{7 * 144:,} forward passes for {alone - best:.1f} points")
print(f"v2: width 1.0 with ten crops {keras_v2[1.0][1]} %, width 1.4 with one {keras_v2[1.4][0]} %")
assert round(alone - best, 1) == 3.4
wide, narrow = (
    profile.profile(models.build("mobilenet_v2", width_mult=w), (224, 224, 3)).macs for w in (1.4, 1.0)
)
print(f"multiply-adds: {10 * narrow / 1e6:,.0f} M for ten crops, {wide / 1e6:,.0f} M for the wider network")
assert keras_v2[1.4][0] < keras_v2[1.0][1]
assert 10 * narrow > 5 * wide

# %% [markdown]
# The last two lines are the argument against tricks in production, in numbers: a *wider network*, asked once, is more accurate than the
# narrow one asked ten times, for a fifth of the arithmetic.
#
# And on photographs, with this library? The next cell draws **stored results** (`results/gain_against_cost.json`, made by `python
# tools/gain_against_cost.py`; the ways that are timed there are timed on that machine): EfficientNet-Lite0, 1 and 2 with ImageNet weights, on
# 20 labelled photographs spoiled in ten ways, and, where the photographs of hands are at hand, on those.

# %%
measured = stored("gain_against_cost")
PARTS = {"spoiled": "20 photographs, each spoiled in ten ways", "signs": "hands, 30 a class learned"}
PASSES = {
    way: (3 if "+" in way else 1) * (10 if "ten" in way else 2 if "mirrored" in way else 1)
    for way in measured.get("spoiled", {}).get("found", {}).get("ways", {})
}
parts = {name: measured[name]["found"]["ways"] for name in PARTS if name in measured}
if not parts:
    print("The stored results are in the repository, not in the installed package: clone it to draw them.")
else:
    figure, axes = plt.subplots(
        1, len(parts), figsize=(3 + 3.2 * len(parts), 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    compared = [way for way in PASSES if way != "Lite0, centre"]
    names = [f"{way} ({PASSES[way]})" for way in compared]
    for ax, (part, ways) in zip(axes[0], parts.items(), strict=True):
        for place, way in enumerate(compared):
            gain, low, high = (100 * v for v in ways[way]["gain"])
            ax.plot([low, high], [place, place], color=GREY, linewidth=4, alpha=0.5, solid_capstyle="butt")
            ax.plot(gain, place, color=BLUE if low > 0 else ORANGE, marker="o" if low > 0 else "X")
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(xlabel="points gained over Lite0, centre", yticks=range(len(names)), yticklabels=names)
        ax.set_title(f"{PARTS[part]}; stored, {measured[part]['date']}", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].invert_yaxis()
    picture(
        figure,
        alt="Points gained over one look of EfficientNet-Lite0 with 95 % intervals, for mirrored and ten views, larger networks and ensembles of three, forward passes in brackets. On spoiled photographs three "
        "networks together gain about 8 points, ten views 4 to 5; on hands three networks gain about 3, ten views nothing.",
    )
    for way, count in PASSES.items():
        cost = measured.get("cost", {}).get("found", {}).get(way, {})
        assert cost.get("passes", count) == count
        gained = "; ".join(f"{part} {100 * ways[way]['gain'][0]:+.1f}" for part, ways in parts.items())
        ms = f"{cost['milliseconds']:.0f} ms" if cost else "not timed"
        print(f"{way:<24} {count:>2} passes, {ms:<10} points gained: {gained}")
    points = {
        part: {way: [round(100 * v, 1) for v in ways[way]["gain"]] for way in PASSES}
        for part, ways in parts.items()
    }
    three, ten, larger = "Lite0 + 1 + 2, centre", "Lite0, ten-crop", "Lite1, centre"
    assert [points["spoiled"][way][0] for way in (three, ten, larger)] == [8.0, 4.5, 7.5]
    assert points["spoiled"][three][1] > 0 < points["spoiled"][ten][1]
    if "signs" in points:
        assert [points["signs"][way][0] for way in (three, ten, larger)] == [3.4, -0.2, -2.4]
        assert points["signs"][three][1] > 0 > points["signs"][ten][1]
        assert points["signs"][larger][2] > 0

# %% [markdown]
# Orange crosses are gains that may be chance: their interval holds 0.
#
# * **Three networks together** gain in both, 8 points on spoiled photographs and 3.4 on hands, for three passes.
# * **Ten views** gain 4.5 points on spoiled photographs and nothing on hands, for ten passes.
# * **The next larger network**, Lite1 in one pass, gains 7.5 points on spoiled photographs: more than ten views of Lite0. On hands, with a
#   head trained on 300 photographs, it is no better.
#
# So a larger network is the first thing to try, asking again the second, and neither is a law: which of them pays depends on the photographs. What
# *is* certain is the bill.
#
# ### The production advice, step by step
# 1. *Take an architecture that somebody published.* 2. *Take an implementation that somebody checked.* 3. *Take pretrained weights and fine-tune them on your
# photographs.* 4. *Leave the benchmark tricks out.* Step 4 you have just measured. Steps 1 and 2 are L5. For step 3, stored results once more
# (`results/learning_curves.json`, `python tools/learning_curves.py`: hands, EfficientNet-Lite0, judged on 600 others):

# %%
curves = stored("learning_curves")
if curves:
    share = {
        how: [c["right"] / c["judged"] for c in curves["cells"] if (c["strategy"], c["size"]) == (how, 30)]
        for how in ("A", "B", "scratch")
    }
    for how, what in (
        ("scratch", "from random numbers"),
        ("A", "pretrained, a new head"),
        ("B", "pretrained, later stages too"),
    ):
        print(
            f"30 photographs a class, {what:<29} {np.mean(share[how]):.1%} ({len(share[how])} seeds, stored {curves['date']})"
        )
    pretrained = 100 * (np.mean(share["B"]) - np.mean(share["scratch"]))
    print(f"pretrained weights bring {pretrained:.0f} points")
    assert round(pretrained) == 24

# %% [markdown]
# Twenty-four points for a download. Three times the cost of every prediction bought 3 to 8, ten times 4.5 or nothing. That is the order in which to spend
# your time.
#
# ## 6. A budget, met and proved
# "It must answer within 30 milliseconds." A promise like that is about the *slow* runs, on the machine in question, after it has warmed up.

# %%
exercise("L9.within_budget")

# %% [markdown]
# Three knobs make a network cheaper: **width**, **resolution**, and **phi**, which turns depth, width and resolution together (L4). Let the budget be
# 60 % of what MobileNet v2 takes at 224 x 224, on this machine. Accuracies are published ones (ImageNet, one crop; TensorFlow's for v2, the paper's for
# EfficientNet); the times are yours. *Predict*: which knob gives the most accuracy within the budget?

# %%
TOP1 = {  # (network, width, resolution): published top-1, %
    **{
        ("mobilenet_v2", 1.0, r): a
        for r, a in ((224, 71.8), (192, 70.7), (160, 68.8), (128, 65.3), (96, 60.3))
    },
    **{("mobilenet_v2", w, 224): a for w, a in ((0.75, 69.8), (0.5, 65.4), (0.35, 60.3))},
    **{("mobilenet_v2", 0.75, r): a for r, a in ((192, 68.7), (160, 66.4))},
    **{(f"efficientnet_b{phi}", None, r): a for phi, r, a in ((0, 224, 77.1), (1, 240, 79.1))},
}


def label(key):
    name, width, resolution = key
    return f"{name.replace('mobilenet_', '').replace('efficientnet_', '').upper()}{f' x {width}' if width else ''}, {resolution}"


def timed(keys, rounds):
    """Milliseconds of each round, taking turns: of the processor's time, so that a busy machine changes little."""
    found = {key: [] for key in keys}
    for _ in range(rounds):
        for key in keys:
            start = time.process_time()
            built[key](np.zeros((1, key[2], key[2], 3), np.float32))
            found[key].append(1000 * (time.process_time() - start))
    return found


rng = np.random.default_rng(0)
built = {key: init.initialize(models.build(key[0], width_mult=key[1]), rng) for key in TOP1}
runs = timed(TOP1, rounds=5)
FULL = ("mobilenet_v2", 1.0, 224)
budget = 0.6 * float(np.quantile(runs[FULL][1:], 0.9))
kept = library("within_budget")({key: (TOP1[key], runs[key]) for key in TOP1}, budget, 0.9)
print(f"the budget: {budget:.1f} ms")
for key, milliseconds in kept:
    print(f"  {label(key):<18} {TOP1[key]} %  {milliseconds:6.1f} ms")

# %% [markdown]
# That list is a choice, not yet a proof: the first was picked *because* it was fast in these runs. So it is measured once more, and if it
# does not keep its promise, the next one gets its turn.

# %%
proved = None
for winner, _ in kept:
    new = timed([winner], rounds=8)[winner]
    slow = float(np.quantile(new[1:], 0.9))
    print(f"{label(winner)}: 90 % of {len(new) - 1} new runs take at most {slow:.1f} ms of {budget:.1f}")
    if slow <= budget:
        proved = winner
        break
print(
    f"proved: {label(proved)}, {TOP1[proved]} %"
    if proved
    else "nothing keeps it: is something else running here?"
)
counts = {key: profile.profile(built[key], (key[2], key[2], 3)) for key in TOP1}
assert proved is None or counts[proved].macs < counts[FULL].macs

figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
knobs = {
    "resolution": ([k for k in TOP1 if k[:2] == ("mobilenet_v2", 1.0)], BLUE, "o", "-"),
    "width": (
        [FULL, *(k for k in TOP1 if k[0] == "mobilenet_v2" and k[1] < 1 and k[2] == 224)],
        ORANGE,
        "s",
        "--",
    ),
    "phi (EfficientNet)": ([k for k in TOP1 if k[1] is None], GREEN, "D", ":"),
}
for knob, (keys, colour, marker, line) in knobs.items():
    ax.plot(
        [np.median(runs[k][1:]) for k in keys],
        [TOP1[k] for k in keys],
        color=colour,
        marker=marker,
        linestyle=line,
        label=knob,
    )
    for key in keys:
        where = {
            "xytext": (5, -11 if knob == "width" else 5),
            "textcoords": "offset points",
            "fontsize": 8,
            "color": colour,
        }
        ax.annotate(
            str(key[1] if knob == "width" else key[2]), (np.median(runs[key][1:]), TOP1[key]), **where
        )
ax.axvline(budget, color=GREY, linewidth=1)
ax.set(xlabel="milliseconds for one image, here", ylabel="top-1 on ImageNet, %, published", ylim=(58.5, 80.5))
ax.legend(frameon=False, loc="lower right")
ax.spines[["top", "right"]].set_visible(False)
picture(
    figure,
    alt="Published accuracy against milliseconds measured here: MobileNet v2 with falling resolution, with falling width, and EfficientNet B0 and B1. A vertical line marks the budget. The curve for resolution lies "
    "above that for width; EfficientNet is higher still and further to the right.",
)

# %% [markdown]
# Resolution beats width here: at the same milliseconds it leaves more accuracy. No phi fits, because B0 takes longer than v2 in full; with a budget of
# twice v2's time it would win by over five points. Change `budget` and see.
#
# **Where the claim is loose.** "Half the multiply-adds, half the time": compare the two columns below. And accuracies of two families come from two
# training recipes: half of EfficientNet's lead over the MobileNets was the training (L3).

# %%
print(f"{'':<18} {'multiply-adds':>13} {'time':>6}   against {label(FULL)}")
for key, count in counts.items():
    ratio = np.median(runs[key][1:]) / np.median(runs[FULL][1:])
    print(
        f"{label(key):<18} {count.macs / counts[FULL].macs:12.0%} {ratio:7.0%}   {count.params / 1e6:4.1f} M parameters"
    )
half = counts["mobilenet_v2", 1.0, 160].macs / counts[FULL].macs
assert round(half, 2) == 0.51
assert TOP1["efficientnet_b0", None, 224] - TOP1[FULL] > 5

# %% [markdown]
# ## 7. What it costs
# | | parameters | forward passes | what it needs to be right |
# |---|---|---|---|
# | an ensemble of M | M times | M | M trainings |
# | ten-crop | once | 10 | labels that a mirror does not change |
# | a larger network | more | 1 | one that has been trained |
# | augmentation (L7) | once | 1 | time in training only |

# %%
one = profile.profile(networks[0], (28, 28, 1))
start = time.process_time()
together(middle[:100])
five_passes = time.process_time() - start
print(
    f"our small network: {one.params:,} parameters, {one.macs:,} multiply-adds; five of them {5 * 4 * one.params / 1e3:.0f} kB, {5 * one.macs:,}"
)
print(f"five networks, 100 digits: {1000 * five_passes:.0f} ms")
assert one.params < 20_000

# %% [markdown]
# ## 8. What is said, and what we found
# | what is said | what we found | verdict |
# |---|---|---|
# | "With little data more hand-engineering, with much data less" | on digits HOG leads a network by 52 points with 3 examples a class, by 11 with 30, by none with 400 | holds |
# | "There are two sources of knowledge: labelled data, and hand-engineering" | the second hides in architecture and augmentation too: "a shift changes nothing" brings 38 points with 3 a class, none with 400 | holds within limits |
# | "Hand-engineering becomes unnecessary" | with 400 a class a linear classifier is still 10 points better on HOG than on pixels | loose |
# | "Boxes (COCO, VOC) are scarce, because they are dear" | published: 35 s a box; ImageNet has 52 labels for each box of VOC 2007 | holds |
# | "So detection needs more hand-made parts" | of networks that never saw a box and a rule made by hand, neither finds a digit alone; together they find about half (a window by lot: a quarter) | holds within limits |
# | "Ensembling 3 to 15 networks brings 1 to 2 points" | five networks: 2 to 3 points on digits, the second brings most; three: 3.4 on hands (1.2 to 5.8), 8 on spoiled photographs (4 to 12) | holds within limits |
# | "Average the outputs, not the labels" | votes are worst, and two that vote are no better than one | holds |
# | "Multi-crop of 10 helps" | on spoiled photographs 4.5 points (1 to 8), on hands none (-2.9 to 2.4); on digits it does harm, over 5 points | holds within limits |
# | "Never in production" | ten passes of a narrow v2 are less accurate than one of a wider one, for over 5 times the arithmetic | holds |
# | "Architecture, implementation, pretrained weights, fine-tuning: in that order" | pretrained weights brought 24 points with 30 photographs a class, more than any trick here | holds |
# | "Fewer multiply-adds, faster" | half of the multiply-adds by resolution: your share of the time is in section 6 | holds within limits |

# %%
assert 2 <= round(100 * (curve["probabilities"][4] - curve["probabilities"][0])) <= 3
assert curve["votes"][1] <= curve["votes"][0] + 0.003

# %% [markdown]
# ## Questions
# 1. You have 40 photographs of each of three classes. Where do you look for accuracy first: a new architecture, augmentation, an ensemble?
#
# <details><summary>Answer</summary>
#
# Pretrained weights before all, then augmentation: at this size knowledge from elsewhere is worth tens of points. An ensemble brings a few and
# costs its size in every prediction.
# </details>
#
# 2. Why do the means of logits and of probabilities differ, if softmax is the same function for all networks?
#
# <details><summary>Answer</summary>
#
# The mean of logits multiplies probabilities: a network that is very sure that something is *not* a 3 can veto. The mean of probabilities adds them up: a
# veto counts one fifth. (Large logits count more in the first, so a network that was never calibrated shouts.)
# </details>
#
# 3. Somebody reports "+0.4 points by test-time augmentation" on 500 photographs. What do you ask?
#
# <details><summary>Answer</summary>
#
# 0.4 points of 500 are two photographs. What is the interval of the difference, were the crops chosen on these photographs, and what is the accuracy of the
# next larger network in one pass?
# </details>
#
# 4. Your budget is kept by 90 % of the runs. Is 50 % of a second for the others all right?
#
# <details><summary>Answer</summary>
#
# That is for whoever waits to say, and it is why `share` is an argument: a promise has a share and a bound. With a page that asks ten times, one in three pages
# would meet only fast runs: 0.9 to the tenth is 0.35.
# </details>
#
# 5. Could one train *one* small network to answer like five?
#
# <details><summary>Answer</summary>
#
# Yes: with the five's probabilities as its labels. That is distillation (Hinton, Vinyals, Dean 2015): it keeps part of the gain, at the price of one pass.
# </details>
#
# ## Sources
# * The symptom: BVLC/caffe#1002. IoU: fizyr/keras-retinanet#1317, xg-chu/CrowdDet#47, yhenon/keras-frcnn#45.
# * Dalal, Triggs 2005, *Histograms of Oriented Gradients for Human Detection*: ours has no overlapping blocks.
# * Krizhevsky, Sutskever, Hinton 2012, section 4.1: ten crops. Szegedy et al. 2014, *Going Deeper with Convolutions*, table 3: crops against networks.
# * Ten crops of MobileNet v2: keras-team/keras-applications, README. MobileNet v2 by width and resolution: tensorflow/models, research/slim/nets/mobilenet.
# * Tan, Le 2019, arXiv:1905.11946: accuracies of B0 and B1.
# * Papadopoulos, Uijlings, Keller, Ferrari 2017, *Extreme clicking for efficient object annotation*: seconds for a box. Lin et al. 2014, *Microsoft COCO*: 2.5
#   million instances. Everingham et al., *The PASCAL Visual Object Classes Challenge 2007*: 24,640 objects.
# * Efron 1979, *Bootstrap methods*. Hinton, Vinyals, Dean 2015, arXiv:1503.02531.
