# %% [markdown]
# # L0 Gradients you can trust
#
# **A bug report to begin with.** In February 2026 a library of fast kernels mended its convolution for one kind of
# chip. What the backward pass sent to the input had been wrong: 43.7 % of the numbers, the worst of them by 49.9.
# Not always; only "under specific parameter combinations" [1]. And in 2018 a reader mended the worked solutions of
# a famous course: the backward pass of a convolution that many had learned from was wrong too [2].
#
# What was wrong in the two is told further down, when you have written such a backward pass yourself. Until then, a
# puzzle: how can a gradient be half wrong, and nobody notices?
#
# **You will be able to**
# * write the gradients of a convolution and of batch normalisation by hand, each line from the line that it undoes,
# * tell whether a gradient is right, and know how much your test can see,
# * say where "same" padding puts its zeros, and why two libraries disagree about it,
# * freeze a BatchNorm so that it stays frozen.
#
# **You need** NumPy (slices, broadcasting) and the chain rule. The letters are explained when they first come; the
# [glossary](../lessons/GLOSSARY.md) maps them to those of Andrew Ng's course and of CS231n.
#
# **Time**: the cell below prints it. Parts marked *extra* can be left out.

# %%
import time

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from mini_nn import blocks, gradcheck, init, models
from mini_nn.data import load
from mini_nn.layers import BatchNorm, Conv2D
from mini_nn.losses import softmax_cross_entropy
from mini_nn.ops import batch_norm, conv, relu
from mini_nn.ops.padding import resolve
from mini_nn.plot import MUTED, TRAIN, VALID, figure
from mini_nn.profile import profile

L0 = {known.name: known for known in exercises() if known.lesson == "L0"}
for known in L0.values():
    print(f"{known.minutes:4} minutes  {'core ' if known.core else 'extra'}  {known.id}")
core = sum(known.minutes for known in L0.values() if known.core)
print(f"{core} minutes of core exercises, and about 50 minutes to read")
assert 60 <= core <= 120

# %% [markdown]
# ## 1. Does a wrong gradient show?
#
# Four names first. A network ends in one number, the **loss** `L`: how wrong it was. A layer takes `x` and makes
# `y`. On the way back it is handed `dy`, which stands for dL/dy: how the loss moves when each number of `y` moves a
# little. From it the layer makes `dx` (dL/dx, for the layer before) and `dw` (dL/dw, to change its own weights
# `w`). That is all that "backward" means.
#
# Each exercise of this course knows mistakes that people make, as working code: `known.variants`. So let us train a
# small network of three convolutions on 4,000 handwritten digits, once with the right backward and three times with
# a wrong one:
#
# * `stride_ignored_in_dx`: `dx` puts its numbers on the wrong pixels,
# * `kernel_flipped_in_dx`: `dx` uses the filters turned by 180 degrees,
# * `overwrite_instead_of_accumulate`: where two windows overlap, `dx` keeps one of the two shares.
#
# **Predict**: of 1,000 digits that it has not seen, how many will each get right? Guessing gives about 100.

# %%
wrong = L0["conv2d_backward"].variants  # mistake -> a backward that makes it
digits = load("mnist_5k")


def small(split):
    """The digits as 16 x 16 pixels, and their labels."""
    x, labels = split.arrays()
    return x.reshape(len(x), 16, 2, 16, 2, 1).mean((2, 4)), labels


def trained(backward, epochs=3, rate=0.1, seed=1):
    """The share of new digits that the network gets right when it learns with this backward."""
    rng = np.random.default_rng(seed)
    (x, labels), (new_x, new_labels) = small(digits.train), small(digits.valid)
    shapes = (3, 3, 1, 8), (3, 3, 8, 16), (3, 3, 16, 32), (128, 10)
    w = [rng.normal(0, (2 / np.prod(s[:-1])) ** 0.5, s).astype("float32") for s in shapes]

    def forward(x, w):
        seen = [x]
        for filters in w[:3]:  # 16 x 16 pixels become 8 x 8, 4 x 4, 2 x 2
            seen += [conv.forward(seen[-1], filters, 2)]
            seen += [relu.forward(seen[-1])]
        return seen, seen[-1].reshape(len(x), -1) @ w[3]

    for batch in np.concatenate([rng.permutation(len(x)).reshape(-1, 50) for _ in range(epochs)]):
        seen, logits = forward(x[batch], w)
        _, dy = softmax_cross_entropy(logits, labels[batch])
        steps = [seen[-1].reshape(len(dy), -1).T @ dy]
        dy = (dy @ w[3].T).reshape(seen[-1].shape)
        for i in (2, 1, 0):
            dy, dw = backward(relu.backward(dy, seen[2 * i + 1]), seen[2 * i], w[i], 2)
            steps.insert(0, dw)
        w = [weights - np.float32(rate) * step for weights, step in zip(w, steps, strict=True)]
    return float((forward(new_x, w)[1].argmax(1) == new_labels).mean())


results = {"right": trained(conv.backward)}
for name in ("stride_ignored_in_dx", "kernel_flipped_in_dx", "overwrite_instead_of_accumulate"):
    results[name] = trained(wrong[name])
for name, share in results.items():
    print(f"{name:<34} {share * 1000:4.0f} of 1,000 right")
assert min(results.values()) > 0.6
assert results["overwrite_instead_of_accumulate"] > results["right"] - 0.05
assert results["kernel_flipped_in_dx"] < results["right"] - 0.01

# %% [markdown]
# All of them learn. One wrong gradient is about as good as the right one here; another costs some points, and who
# would have known what to expect? A wrong gradient often still points somewhat downhill, and the later layers make
# up for it. So the falling loss is **no** test of a gradient. We need a real one.

# %% [markdown]
# ## 2. How the exercises work
#
# Each has a stub with a docstring. Fill it in, run the cell, then the `check`. Where your answer equals a known
# mistake, the check says its name. `show` prints the library's version once yours is right. To get used to it, a
# small one.
#
# ReLU is `y = max(x, 0)`, number by number. Where `x` is above 0, `y` moves as `x` does: slope 1. Below, `y` stays
# 0: slope 0. The chain rule says: `dx = dy * slope`.

# %%
exercise("L0.relu_backward")

# %% [markdown]
# And at 0 itself? There is no slope; left and right disagree. The library takes 0, as others do. It is a choice,
# and a checker that happens to step across 0 will see something in between. We come back to that in the questions.

# %% [markdown]
# ## 3. A derivative that needs no thought
#
# To test a gradient we need another way to get it, one so plain that it cannot be wrong. Move one number of `x` by
# a small step `h`, and see how far the loss moves.
#
# But which loss? The layer knows nothing of the network behind it. It needs to know nothing: all that matters of it
# is in `dy`. The made-up loss
#
#     L(x) = sum(f(x) * dy)              dy: any fixed numbers, of the shape of f(x)
#
# has dL/dy = `dy` exactly. So draw `dy` at random, and ask the layer's backward for the gradient of *this* loss.
#
# A step to one side gives `(L(x + h) - L(x)) / h`. Taylor's series says what that misses: about `h / 2` times the
# second derivative. A step to both sides,
#
#     dx[i] = (L(x with x[i] + h) - L(x with x[i] - h)) / (2 h)
#
# loses that term by symmetry. What is left shrinks as `h^2`: a tenth of the step, a hundredth of the error.

# %%
exercise("L0.numeric_grad")

# %% [markdown]
# **How small should `h` be?** Two errors pull in opposite directions. The one that Taylor's series names falls with
# `h`. But a float64 has 16 digits, and `L(x + h) - L(x - h)` cancels most of them: that error is about `1e-16 / h`,
# and it *grows* as `h` falls. A float32 has 7 digits.
#
# There is a way around. Let the step be imaginary: for a function made of plus, times, exp and the like,
#
#     f(x + ih) = f(x) + ih f'(x) - h^2 f''(x) / 2 - ...   so   f'(x) = Im f(x + ih) / h
#
# Nothing is subtracted, so nothing cancels, and `h` may be as small as one likes [3]. NumPy takes complex numbers
# without being asked.
#
# **Predict** the four curves before you look: the error of the gradient of batch normalisation, against `h`. Where
# is the best `h` for float64? How good does float32 ever get?

# %%
rng = np.random.default_rng(1)
x, dy = rng.normal(size=(4, 3, 2, 2)), rng.normal(size=(4, 3, 2, 2))
gamma, beta = np.array([1.5, -0.7]), np.array([0.2, 0.1])
# the library's, which the rest of this lesson puts to the test
exact = batch_norm.backward(dy, x, gamma, beta)[0]


directions = np.eye(x.size).reshape(-1, *x.shape)  # one number of x at a time


def error(kind, h):
    """The largest error of the slopes that a step h gives, relative to the largest slope."""
    dtype = {"float32": np.float32, "complex step": complex}.get(kind, float)
    above, scale, shift = (a.astype(dtype) for a in (dy, gamma, beta))

    def losses(move):
        return np.array(
            [
                (batch_norm.forward((x + move * e).astype(dtype), scale, shift) * above).sum()
                for e in directions
            ]
        )

    if kind == "complex step":
        slopes = losses(1j * h).imag / h
    elif kind == "one side":
        slopes = (losses(h) - losses(0)) / h
    else:
        slopes = (losses(h) - losses(-h)) / (2 * h)
    return np.abs(slopes - exact.ravel()).max() / np.abs(exact).max()


steps = 10.0 ** np.arange(-14, 0.1, 0.5)
curves = {
    kind: [error(kind, h) for h in steps] for kind in ("float32", "one side", "both sides", "complex step")
}
fig, (axes,) = figure(1, 7.5, 4.2)
styles = {  # colour, line, and where its name stands
    "float32": ("both sides, float32", VALID, "--s", (3e-13, 6)),
    "one side": ("one side, float64", MUTED, ":^", (3e-11, 8e-4)),
    "both sides": ("both sides, float64", TRAIN, "-o", (4e-9, 1.5e-11)),
    "complex step": ("complex step, float64", "black", "-.", (4e-14, 2e-15)),
}
for kind, (name, colour, style, (left, height)) in styles.items():
    axes.loglog(steps, np.maximum(curves[kind], 1e-17), style, color=colour, markersize=4)
    axes.text(left, height, name, color=colour)
axes.set(xlabel="step h", ylabel="largest error / largest slope", ylim=(1e-17, 1e2))
axes.set_title("Error of a numerical derivative")
picture(
    fig,
    alt="Error of four numerical derivatives against the step h, both axes logarithmic. Differences in float64 form a V: to both "
    "sides the best error is about 4e-11 near h = 3e-5, to one side only about 1e-8 near h = 1e-7. In float32 the V sits far "
    "higher, never below about 3e-5, and for tiny steps the error is 1, for nothing moves. The complex step falls as h squared to "
    "about 1e-16 near h = 1e-7 and stays there for all smaller steps.",
)
best = {kind: min(zip(errors, steps, strict=True)) for kind, errors in curves.items()}
for kind, (least, at) in best.items():
    print(f"{kind:<13} best error {least:.0e} at h = {at:.0e}")
assert best["both sides"][0] < 1e-9
assert 1e-6 <= best["both sides"][1] <= 1e-3
assert 1e-9 < best["one side"][0] < 1e-6
assert best["float32"][0] > 1e5 * best["both sides"][0]
assert curves["complex step"][0] < 1e-14

# %% [markdown]
# Read the picture from right to left. All curves fall while Taylor's error rules: the one-sided one with slope 1,
# the others with slope 2. Then rounding takes over and the differences rise again, with slope -1. The complex step
# just stays at the bottom.
#
# Three consequences for the rest of the course. Check gradients in **float64**, never in float32. Use `h` near
# **1e-5** for differences. And use complex steps where they work. They do not for `abs`, `max` and comparisons,
# which look at one number and forget the imaginary part; ReLU is checked by differences.

# %% [markdown]
# *Extra.* Write the complex step yourself: it is two lines shorter than the differences.

# %%
exercise("L0.complex_step_grad")

# %% [markdown]
# ## 4. Where a window looks: padding
#
# A convolution slides a filter of `K` x `K` taps over the image, `s` pixels at a time (`s` is the **stride**). At
# the border the filter hangs out, so zeros are put around the image. How many, and on which side? One axis is
# enough to see it: `n` pixels in a row.
#
# TensorFlow's **"same"** starts from the number of outputs, `ceil(n / s)`. They look at `(outputs - 1) s + K`
# pixels; what is more than `n` must be padding. Half goes before, half after, and an odd one goes **after**.
# PyTorch's habit is to put `K // 2` on both sides and take what comes.
#
# **Predict** for n = 6, K = 3, s = 2: where does the first window start, with either rule?


# %%
def drawn(axes, rule, n, k, s):
    """One row of n pixels with its padding; above it the windows, each over the pixels that it sees."""
    ((before, after), _), (outputs, _) = resolve(rule, (n, n), k, s)
    for pixel in range(-before, n + after):
        real = 0 <= pixel < n
        look = (
            {"facecolor": TRAIN, "edgecolor": TRAIN} if real else {"facecolor": "white", "edgecolor": MUTED}
        )
        axes.add_patch(Rectangle((pixel - 0.45, -0.45), 0.9, 0.9, linestyle="-" if real else "--", **look))
        axes.text(pixel, 0, pixel if real else "0", ha="center", va="center", color="w" if real else "k")
    for i in range(outputs):
        first = s * i - before
        axes.plot([first - 0.4, first + k - 0.6], [1 + 0.45 * i] * 2, color=VALID, linewidth=5)
        axes.text(first + k - 0.45, 1 + 0.45 * i, f"y[{i}]", va="center", fontsize=9)
    axes.set(xlim=(-1.7, n + 1.6), ylim=(-0.7, 2.8), yticks=[], xticks=[])
    axes.set_title(f'"{rule}", n = {n}: {before} before, {after} after', fontsize=10)
    axes.spines[:].set_visible(False)


fig, panels = figure(4, 12, 2.4)
for axes, (rule, n) in zip(
    panels, [("same", 6), ("symmetric", 6), ("same", 7), ("symmetric", 7)], strict=True
):
    drawn(axes, rule, n, 3, 2)
picture(
    fig,
    alt="Rows of 6 and of 7 pixels with windows of 3 that step by 2. Six pixels: 'same' puts no zero before and one after, windows "
    "start at pixels 0, 2, 4; 'symmetric' puts one zero on each side, windows start one pixel further left. Seven pixels: both "
    "rules put one zero on each side, and the windows agree.",
)
(even, _), _ = resolve("same", (6, 6), 3, 2)
(odd, _), _ = resolve("same", (7, 7), 3, 2)
assert even == (0, 1)
assert odd == (1, 1)

# %% [markdown]
# For an even row every window of the one rule sits a pixel to the side of the other's. For an odd row, and for
# stride 1, the two agree: this is why the difference is found late. Now the rule itself, on any `n`, `K` and `s`.

# %%
exercise("L0.same_padding")

# %% [markdown]
# **What does the wrong rule cost?** Take a MobileNet v1, a quarter as wide as in the paper, and copy its weights,
# every one of them, into a network that pads the other way. **Predict** how far the outputs are apart, relative to
# their size.

# %%
photo = np.random.default_rng(3).normal(size=(1, 224, 224, 3)).astype("float32")
logits = {}
for rule in ("same", "symmetric"):
    net = models.build("mobilenet_v1", width_mult=0.25, convention=blocks.KERAS._replace(padding=rule))
    logits[rule] = init.initialize(net, np.random.default_rng(4))(photo)
apart = np.linalg.norm(logits["same"] - logits["symmetric"]) / np.linalg.norm(logits["same"])
print(f"the same weights, the other padding: outputs differ by {apart:.0%}")
assert 0.03 < apart < 1

# %% [markdown]
# No error, no odd shape, every parameter in its place, and other answers. (The weights are random and the
# photograph is noise: take the number for a warning, not for a loss of accuracy.)
#
# A loose sentence helped: until 2023 Keras's documentation said that with "same" the output has the input's size.
# That holds for stride 1 only [4].

# %% [markdown]
# ## 5. Convolution, forward
#
# One output number is a sum over a window: over the taps (`a`, `b`) of the filter, and over the channels `c` of the
# image.
#
#     y[n, i, j, o] = sum over a, b, c of   x[n, s i + a, s j + b, c]  w[a, b, c, o]
#
# `n` counts images, `i` and `j` rows and columns of the output, `o` the filters (each gives one output channel).
# `x` has its zeros around it already. Arrays have the channels last: `x (N, H, W, C)`, `w (K, K, C, O)`.
#
# With **groups** the channels are cut into `g` runs of neighbours, and each run is a convolution of its own, with
# its own share of the filters: then `w` is `(K, K, C / g, O)`.
#
# Four loops over `n, i, j, o` are right, and slow. Seen the other way round it is short: for a *fixed* tap, what
# does it see, for all outputs at once? A slice of `x` that steps by `s`.

# %%
exercise("L0.conv2d_forward")

# %% [markdown]
# ## 6. Convolution, backward
#
# Look at the formula above and ask of each number on its right side: where does it count?
#
# **A weight** `w[a, b, c, o]` counts in every output pixel of every image, each time multiplied by what its tap
# saw. So `dw` adds up, over `n`, `i`, `j`, the pixel that was seen times what came back for that output:
#
#     dw[a, b, c, o] = sum over n, i, j of   x[n, s i + a, s j + b, c]  dy[n, i, j, o]
#
# First without stride and padding.

# %%
exercise("L0.conv2d_backward_dw")

# %% [markdown]
# **A pixel** counts in every window that holds it. Read the picture of section 4 from the pixels up: for stride 2,
# pixel 2 of the first row (n = 6, "same") is in the windows of `y[0]` and `y[1]`, pixel 3 in that of `y[1]` only.
# Each of those windows saw it with another tap. So what the tap read, it gives back:
#
#     dx[n, s i + a, s j + b, c]   receives   dy[n, i, j, o]  w[a, b, c, o]        for every a, b, i, j, o
#
# Receives, that is: `+=`. Windows overlap.

# %%
exercise("L0.conv2d_backward_dx")

# %% [markdown]
# Now all of it: stride, padding, groups. Two hints from the formulas: they have `s` in them in the same place as
# the forward pass has; and they speak of the *padded* `x`.

# %%
exercise("L0.conv2d_backward")

# %% [markdown]
# ### What the two bugs were
#
# **The worked solutions** had forgotten the stride on the way back: the forward pass read windows at `s i`, the
# backward gave to windows at `i` [2]. With stride 1 that is the same thing.
#
# **The library** made `dx` by a trick: put zeros between the numbers of `dy`, turn the filter round, and convolve
# *forward*. The size of the result has to be given, and it was worked out from the output's size. But several
# inputs give the same output: with K = 3, s = 2 and no padding, 7 and 8 rows both make 3. The last of the 8 is read
# by no window; such **remainder rows** were not counted, and everything after them was shifted [1]. The remainder
# is
#
#     r = (H + padding - K) mod s
#
# and the bug lives where r is not 0. Where does each of the two show?


# %%
def share_wrong(backward, height, stride):
    """The share of dx's numbers that are wrong, or what is odd about its shape."""
    rng = np.random.default_rng(height)
    x, w = rng.normal(size=(2, height, height, 2)), rng.normal(size=(3, 3, 2, 3))
    dy = rng.normal(size=conv.forward(x, w, stride, "valid").shape)
    right, got = (b(dy, x, w, stride, "valid")[0] for b in (conv.backward, backward))
    return f"{(abs(got - right) > 1e-9).mean():.0%}" if got.shape == right.shape else f"{got.shape[1]} rows"


table = {}
print("stride   H   remainder   stride ignored: wrong   remainder rows lost: wrong")
for s in (1, 2, 3):
    for height in (7, 8, 9):
        table[s, height] = [
            share_wrong(wrong[name], height, s) for name in ("stride_ignored_in_dx", "remainder_rows_lost")
        ]
        print(f"{s:6} {height:3} {(height - 3) % s:11} {table[s, height][0]:>23} {table[s, height][1]:>28}")
assert all(table[1, height] == ["0%", "0%"] for height in (7, 8, 9))
assert table[2, 7][1] == "0%"
assert table[2, 8][1] == "7 rows"

# %% [markdown]
# A test with stride 1 sees neither. A test with stride 2 on 7 or 9 rows sees one. That answers the puzzle of the
# beginning: a half-wrong gradient is not noticed because the loss falls anyway, and because the test happened to
# ask where the answer is right.

# %% [markdown]
# ## 7. How much does a test see?
#
# The 18 mistakes that the last exercise knows are 18 wrong backwards. So a test can itself be tested: how many does
# it catch? We start with what one finds in many courses, and mend it one step at a time.
#
# 1. **usual**: two images of 6 x 6, stride 1, and the loss is `sum(y)`, which makes `dy` all ones,
# 2. `dy` drawn at random,
# 3. and stride 2,
# 4. and H even, W odd,
# 5. and a second setting with rows that no window reaches (K = 2, s = 3),
# 6. **the eight settings** of the exercise: with groups, three kinds of padding, more filters than channels.
#
# Every test compares *all* numbers of `dx` and `dw`, in float64, with complex steps. **Predict**: how many of 18
# does the first one catch? Which step buys most?

# %%
rng = np.random.default_rng(5)


def setting(shape, k, filters, stride, padding, groups=1, ones=False):
    """A convolution to test on: (dy, the arguments of its forward)."""
    how = (
        rng.normal(size=shape),
        rng.normal(size=(k, k, shape[3] // groups, filters)),
        stride,
        padding,
        groups,
    )
    y = conv.forward(*how)
    return np.ones(y.shape) if ones else rng.normal(size=y.shape), how


def truth(dy, x, w, *how):
    """dx and dw by complex steps: no backward is involved."""
    return [
        gradcheck.complex_slopes(f, array, dy, np.argwhere(np.ones(array.shape)))
        for f, array in ((lambda z: conv.forward(z, w, *how), x), (lambda z: conv.forward(x, z, *how), w))
    ]


def seen(backward, dy, how, slopes):
    """Does this setting show that the backward is wrong?"""
    try:
        grads = backward(dy, *how)
        pairs = [
            (grad[i], slope) for grad, true in zip(grads, slopes, strict=True) for i, slope in true.items()
        ]
    except (ValueError, IndexError):  # it does not even run
        return True
    return any(g.shape != a.shape for g, a in zip(grads, how, strict=False)) or not np.allclose(
        *np.transpose(pairs), 1e-8, 1e-8
    )


grid = [(case["dy"], tuple(case.values())[1:]) for case in L0["conv2d_backward"].cases(rng)]
remainder = [setting((2, 6, 5, 2), 3, 3, 2, "same"), setting((2, 8, 10, 2), 2, 3, 3, "valid")]
tests = {
    "usual: sum(y), 6 x 6, stride 1": [setting((2, 6, 6, 3), 3, 3, 1, "same", ones=True)],
    "random dy": [setting((2, 6, 6, 3), 3, 3, 1, "same")],
    "and stride 2": [setting((2, 6, 6, 3), 3, 3, 2, "same")],
    "and H even, W odd": [setting((2, 6, 5, 3), 3, 3, 2, "same")],
    "and a remainder": remainder,
    "the eight settings": grid,
}
prepared = {name: [(dy, how, truth(dy, *how)) for dy, how in some] for name, some in tests.items()}
assert not any(seen(conv.backward, *case) for some in prepared.values() for case in some)
caught = np.array(
    [
        [any(seen(backward, *case) for case in some) for some in prepared.values()]
        for backward in wrong.values()
    ]
)

order = np.argsort(-caught.sum(1), kind="stable")
fig, (axes,) = figure(1, 8.5, 6.2)
axes.pcolormesh(caught[order], cmap=ListedColormap(["white", TRAIN]), edgecolors=MUTED, linewidth=0.5)
for row, column in np.argwhere(~caught[order]):
    axes.text(column + 0.5, row + 0.5, "missed", ha="center", va="center", fontsize=8)
axes.set_yticks(np.arange(len(wrong)) + 0.5, [list(wrong)[i].replace("_", " ") for i in order], fontsize=8)
labels = [
    f"{name.replace(': ', chr(10)).replace(', s', ',' + chr(10) + 's')}\n{n} of {len(wrong)}"
    for name, n in zip(tests, caught.sum(0), strict=True)
]
axes.set_xticks(np.arange(len(tests)) + 0.5, labels, fontsize=8)
axes.set_title("Wrong backwards (rows) that a test (columns) catches", fontsize=10)
picture(
    fig,
    alt="A table of 18 wrong backwards against six tests; filled where the test catches the mistake. The usual test, with the loss "
    f"sum(y), a square image and stride 1, catches {caught[:, 0].sum()}. A random upstream gradient, stride 2, unequal sides and a remainder "
    f"bring {', '.join(map(str, caught[:, 1:5].sum(0)))}. The eight settings catch all 18.",
)
print(
    *(f"{count:3} of {len(wrong)}  {name}" for name, count in zip(tests, caught.sum(0), strict=True)),
    sep="\n",
)
assert caught[:, 0].sum() <= 11
assert caught[:, -1].all()
assert (np.diff(caught.sum(0)) >= 0).all()

# %% [markdown]
# With `dy` all ones, mixing up the images of the batch does not show, for all have the same gradient coming back;
# nor does a backward that forgets `dy`. With stride 1, nothing shows that has to do with the stride. Stride 2 on an
# even size even *loses* a mistake that the first two tests caught: there all of the zeros of "same" are at the end,
# so to put them there is right. And what is not in the test at all, such as groups, it cannot see.
#
# None of this is about precision. Every test here compares to eight digits.
#
# The library's own check is `gradcheck.check_op`; it does what column 6 does, for one setting at a time.

# %%
for _, (x, w, *how) in grid:
    rows = gradcheck.check_op(conv, x, w, *how, rng=rng)
print(*rows, sep="\n")
assert max(row.error for row in rows) < 1e-12

# %% [markdown]
# ### Your turn to be the examiner
#
# Write the test. You get a `forward` and a `backward` and say whether the backward is wrong. It is tried on wrong
# ones that it should catch, and on right ones that it must let pass: a test that cries wolf is no better.

# %%
exercise("L0.find_the_bug")

# %% [markdown]
# ## 8. Batch normalisation: three roads
#
# BatchNorm gives every channel mean 0 and variance 1, and then a scale and a shift that are learned [5]:
#
#     y = gamma x_hat + beta,      x_hat = (x - mean) / sqrt(var + eps)
#
# `mean` and `var` are taken over the batch: over all `m = N H W` numbers of the channel. `var` is divided by `m`,
# not `m - 1`. `eps` is small, and keeps us from dividing by 0.

# %%
exercise("L0.batch_norm_forward")

# %% [markdown]
# The gradient for `gamma` and `beta` is plain: `y` is linear in them. For `x` it is not. Each `x` reaches each `y`
# of its channel by **three roads**: directly, by moving the mean, and by moving the variance.
#
# One can walk the three roads with the chain rule. Or ask what `y` cannot feel:
#
# * add the same number to all `x` of a channel: the mean takes it away, and no `y` moves. So the numbers of `dx`
#   must **add up to 0**;
# * stretch all `x` about their mean: the variance takes it back. So `dx` must be **at right angles to** `x_hat`:
#   the sum of `dx * x_hat` is 0.
#
# So the direct road's gradient is right, once its share along these two directions has been removed. That is one
# subtraction for the mean and one for the variance.

# %%
exercise("L0.batch_norm_backward")

# %%
rng = np.random.default_rng(6)
x, dy, gamma, beta = rng.normal(2, 3, (4, 5, 3, 2)), rng.normal(1, 1, (4, 5, 3, 2)), np.ones(2), np.zeros(2)
x_hat = (x - x.mean((0, 1, 2))) / x.std((0, 1, 2))
dx = batch_norm.backward(dy, x, gamma, beta, eps=1e-12)[0]
print("sum of dx:        ", np.abs(dx.sum((0, 1, 2))).max())
print("sum of dx * x_hat:", np.abs((dx * x_hat).sum((0, 1, 2))).max())
print("gradient of sum(y):", np.abs(batch_norm.backward(np.ones_like(dy), x, gamma, beta)[0]).max())
assert np.abs(dx.sum((0, 1, 2))).max() < 1e-10
assert np.abs((dx * x_hat).sum((0, 1, 2))).max() < 1e-10
assert np.abs(batch_norm.backward(np.ones_like(dy), x, gamma, beta)[0]).max() < 1e-12

# %% [markdown]
# The last line is worth a second look. With the loss `sum(y)`, `dx` is 0 altogether: the test with `dy` of ones
# compares zeros with zeros here.
#
# **How wrong is it to leave a road out?** It depends on `m`, the count of numbers in a channel of the batch.
# **Predict**: `dy` at random, the term for the mean left out; how large is the error of `dx` when m = 4? When m =
# 4096, which is 16 images of 16 x 16?

# %%
norm = L0["batch_norm_backward"]
left_out = {
    "no_mean_term": "without the mean's term",
    "no_variance_term": "without the variance's",
    "mean_and_var_as_constants": "without both",
}
sizes = 4 ** np.arange(1, 7)
errors = {name: [] for name in left_out}
for m in sizes:
    x, dy = rng.normal(size=(m, 1, 1, 64)), rng.normal(size=(m, 1, 1, 64))
    right = norm.function(dy, x, np.ones(64))[0]
    for name in left_out:
        got = norm.variants[name](dy, x, np.ones(64))[0]
        errors[name].append(np.linalg.norm(got - right) / np.linalg.norm(right))
fig, (axes,) = figure(1, 6.5, 3.6)
for (name, label), style, colour in zip(
    left_out.items(), ("-o", "--s", ":^"), (TRAIN, VALID, "k"), strict=True
):
    axes.loglog(sizes, errors[name], style, color=colour, label=label)
axes.loglog(sizes, sizes**-0.5, color=MUTED, linewidth=1, label="1 / sqrt(m)")
axes.set(
    xlabel="m, numbers in a channel of the batch",
    ylabel="error of dx, relative",
    title="A missing term hides in a large batch",
)
axes.set_xticks(sizes, [str(m) for m in sizes])
axes.minorticks_off()
axes.legend(frameon=False)
picture(
    fig,
    alt="Relative error of BatchNorm's dx when a term is left out, against m, both axes logarithmic. All three lines fall like one "
    "over the square root of m: from about 1 at m = 4 to between 1 and 3 percent at m = 4096.",
)
print({label: f"{errors[name][0]:.0%} to {errors[name][-1]:.1%}" for name, label in left_out.items()})
assert all(e[0] > 0.5 and e[-1] < 0.04 for e in errors.values())
assert np.allclose(errors["no_mean_term"][1:], sizes[1:] ** -0.5, rtol=0.35)

# %% [markdown]
# In a large batch of unrelated numbers the two terms fade like `1 / sqrt(m)`, and with them the chance to notice
# that they are missing. (In training `dy` and `x_hat` are related, and the terms stay.) A good check is **small**:
# m = 4 shows a hundred percent where m = 4096 shows one or two.

# %% [markdown]
# ### Running statistics, and freezing
#
# To predict for one photograph, BatchNorm cannot look at a batch. So it keeps a **running** mean and variance while
# it trains, and predicts with those:
#
#     running = (1 - momentum) * running + momentum * batch's
#
# `momentum` is the weight of the *new* batch here, as in PyTorch; Keras's number is 1 minus ours. Confusing the two
# gives a layer that believes the last batch only, or none.
#
# **Another bug report**: a MobileNet v1 trained to a falling loss and then called all 10,000 test images class 0,
# so it had exactly 10.0 % right of ten classes. At 27 places its code had computed the new running statistics and
# thrown them away; with them kept, 39.2 % after the same one epoch [6].
#
# And when a trained network is fitted to new photographs with some layers **frozen**? Then `gamma` and `beta` do
# not change, and neither may the statistics: the layer behaves as in prediction, even during training. In Keras the
# statistics of a frozen layer once came from the batch; accuracies fell, and it took until TensorFlow 2 for
# `trainable = False` to mean what people thought it meant [7].

# %%
exercise("L0.batch_norm_frozen")

# %% [markdown]
# **Predict**: a frozen layer that lets its statistics drift is trained on 100 batches of photographs that are
# brighter by 2. It is then asked about a photograph that it knew. By how much has its answer moved?

# %%
step = L0["batch_norm_frozen"]
rng = np.random.default_rng(7)
known_photo, ones, zeros = rng.normal(size=(1, 4, 4, 3)), np.ones(3), np.zeros(3)
moved = {}
for name, layer in {"frozen": step.function, "frozen, but tracks": step.variants["frozen_tracks"]}.items():
    mean, var = zeros, ones
    before = layer(known_photo, ones, zeros, mean, var, train=False)[0]
    for _ in range(100):
        batch = rng.normal(2, 1, (8, 4, 4, 3))
        _, mean, var = layer(batch, ones, zeros, mean, var, train=True, frozen=True)
    after = layer(known_photo, ones, zeros, mean, var, train=False)[0]
    moved[name] = np.abs(after - before).mean()
    print(f"{name:<20} running mean {mean.mean():5.2f}   its answer moved by {moved[name]:.2f}")
assert moved["frozen"] == 0
assert abs(moved["frozen, but tracks"] - 2) < 0.1
layer = init.initialize(BatchNorm(3), rng)
layer.gamma.trainable = False  # the library's: freezing gamma freezes the layer
before = layer.running_mean.value.copy()
layer.forward(np.float32(batch), train=True)
assert np.array_equal(layer.running_mean.value, before)

# %% [markdown]
# ## 9. Where the textbooks are loose
#
# | what is said | what we found | verdict |
# |---|---|---|
# | "take epsilon = 1e-7" (Ng's course, for a step to both sides) | it works, and throws digits away: the cell below | holds within limits |
# | "1e-7 and less you should be happy" (CS231n, with `h = 1e-5`) | the usual test of section 7 compares to 1e-8, and 7 of 18 wrong backwards pass it | loose |
# | "the gradient of a convolution is a convolution with the filter turned round" | for stride 1; else zeros must be put between the numbers of `dy`, and the remainder must be put back: section 6 | holds within limits |
# | "'same' keeps the size" | for stride 1: section 4 | holds within limits |
# | "the loss falls, so the gradient is right" | four of four networks in section 1 | wrong |

# %%
at = {h: float(curves["both sides"][int(np.argmin(abs(np.log(steps / h))))]) for h in (1e-7, 1e-5)}
print(f"error at h = 1e-7: {at[1e-7]:.0e}, at 1e-5: {at[1e-5]:.0e}: {at[1e-7] / at[1e-5]:.0f} times larger")
assert at[1e-7] > 3 * at[1e-5]

# %% [markdown]
# ## 10. What it costs
#
# A convolution of 64 channels to 64, 3 x 3, on 8 images of 28 x 28. **MACs** are multiply-adds: one multiplication
# and the addition that follows, counted as one. The backward pass is two products of the size of the forward pass,
# `dx` and `dw`; **predict** the ratio of the times.


# %%
def milliseconds(call, times=5):
    """The best of a few runs, after one that warms up."""
    call()
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return 1000 * min(spent)


layer = init.initialize(Conv2D(64, 64, 3), np.random.default_rng(8))
x = np.random.default_rng(9).normal(size=(8, 28, 28, 64)).astype("float32")
y, cache = layer.forward(x, train=True)
macs = len(x) * layer.macs(x.shape[1:])
print(f"parameters      {layer.weight.value.size:14,}")
print(f"forward         {macs:14,} MACs  {milliseconds(lambda: layer.forward(x)):7.1f} ms")
print(f"backward        {2 * macs:14,} MACs  {milliseconds(lambda: layer.backward(y, cache)):7.1f} ms")
print(f"kept for later  {x.nbytes:14,} bytes (x)")
assert layer.weight.value.size == 36_864
assert macs == 231_211_008

# %% [markdown]
# And a check by differences? It runs the forward pass twice for each number. For all parameters of a MobileNet v1
# at once that is a long wait, so check **layers, small ones**, and let the chain rule vouch for the network.

# %%
net = init.initialize(models.build("mobilenet_v1"), np.random.default_rng(10))
image = np.random.default_rng(11).normal(size=(1, 224, 224, 3)).astype("float32")
once = milliseconds(lambda: net(image), times=2)
numbers = sum(known.params for known in profile(net, (224, 224, 3)).rows)
print(f"one forward pass {once:.0f} ms; {2 * numbers:,} of them: {2 * numbers * once / 86_400_000:.0f} days")
start = time.perf_counter()
for _, (x, w, *how) in grid:
    gradcheck.check_op(conv, x, w, *how, rng=rng)
print(f"the eight small settings: {time.perf_counter() - start:.2f} s")
assert numbers == 4_231_976

# %% [markdown]
# ## 11. Questions
#
# **1.** Your `dx` agrees with differences everywhere except at three numbers of 400, where it is 0 and the
# difference 0.41. The layer is a ReLU. What happened?
#
# <details><summary>Answer</summary>
#
# Those three `x` lie within `h` of 0. The two steps stand on different sides of the kink, so the difference mixes
# the slopes 0 and 1. Nothing is wrong with `dx`. Take a smaller `h` for these numbers (as `gradcheck` does) or keep
# test inputs away from the kink.
#
# </details>
#
# **2.** Your `dw` is right for a batch of 1 and half of what it should be for a batch of 2. What did you write?
#
# <details><summary>Answer</summary>
#
# A mean over the batch in place of the sum. The loss has divided by N already, and `dy` carries that. A constant
# ratio that depends on N is the sign.
#
# </details>
#
# **3.** To save time someone checks 5 numbers of each gradient, drawn at random, instead of all. The bug: the last
# column of `dx` is lost, on images of 20 columns. How often is it missed?
#
# <details><summary>Answer</summary>
#
# Each draw misses the last column with probability 19/20; all five do with (19/20)^5 = 77 %. A small image with all
# its numbers checked costs less and misses never.
#
# </details>
#
# **4.** Why is `L = sum(y * dy)` with a random `dy` a better loss than `sum(y**2)`, which also gives an uneven
# gradient back?
#
# <details><summary>Answer</summary>
#
# `sum(y**2)` sends back `dy = 2 y`: if the forward pass makes two outputs equal or zero, so is what comes back, and
# a backward that uses `y` where it should use `dy` is off only by a factor. A random `dy` has nothing to do with
# `x`.
#
# </details>
#
# **5.** The complex step needs no choice of `h` and gives 15 digits. Why not use it for everything?
#
# <details><summary>Answer</summary>
#
# The code must be analytic: comparisons, `abs`, `max` and a ReLU look at the size or the sign of a number and break
# it, and so does code compiled for real numbers. And it is no faster: one forward pass in complex numbers for each
# number of `x`.
#
# </details>

# %%
assert round((19 / 20) ** 5, 2) == 0.77

# %% [markdown]
# ## Sources
#
# 1. flagos-ai/FlagGems, pull request 1576 (2026): the numbers of the report, and the remainder as its cause.
# 2. Kulbear/deep-learning-coursera, pull request 34 (2018): "stride missing in conv_backward".
# 3. Squire and Trapp, *Using complex variables to estimate derivatives of real functions*, SIAM Review 40 (1998),
#    110.
# 4. keras-team/keras, issue 15703 (2021). The half-pixel shift between libraries: rwightman's timm, issue 3.
# 5. Ioffe and Szegedy, *Batch normalization*, 2015, arXiv:1502.03167, algorithm 1.
# 6. HomericIntelligence/Odyssey, issue 5543 and pull request 5544 (2026).
# 7. keras-team/keras, pull request 9965 (2018), and Keras's guide to transfer learning.
# 8. CS231n, notes "Neural networks 3", gradient checks. He et al. 2015, arXiv:1502.01852, for the network's first
#    weights in section 1.
