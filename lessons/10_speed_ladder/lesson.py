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
# # L10 The speed ladder
#
# One convolution, written seven times. The first version is three lines of mathematics in Python loops, the last one keeps
# its numbers in the processor's registers. Between them lies a factor of ten thousand, and not one of the numbers changes.
#
# **You will be able to** say how fast a layer could be on your machine before you write it, time it so that you would bet on the
# number, name what limits each version, and write the innermost piece of a fast matrix product.
#
# **Know first**: convolution as code (L0), depthwise and pointwise (L1), the block (L2). **Time**: an hour and a quarter for the
# exercises, all of them extras, 45 minutes to read.

# %%
import importlib
import os
import threading
import time

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # one thread until we say otherwise: rungs are compared one by one

import matplotlib.pyplot as plt
import numba
import numpy as np

from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from mini_nn import inference, init, profile
from mini_nn.blocks import Block, inverted_residual
from mini_nn.layers import Conv2D, DepthwiseConv2D, PointwiseConv2D, ReLU6
from mini_nn.ops import conv, depthwise
from mini_nn.ops.padding import pad, resolve

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"
assert 60 <= sum(e.minutes for e in exercises() if e.lesson == "L10") <= 90


def milliseconds(run, times=7):
    """The fewest of some runs, after one that does not count: your exercise below."""
    run()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return 1000 * min(took)


# %% [markdown]
# ## A symptom
# In 2019 somebody summed a matrix with Numba's parallel loop, `y[0, 1] += x[i, j]`, and compared the result with plain
# Python's: different, and different again at the next run, without an error or a warning. (numba/numba#3681; #7133 is called
# "Numbers don't add up?".) The cell does the same to a gradient: `dw += x[p] dy[p]` over 400,000 pixels, half of them in each of
# two threads.
#
# *Predict* what it prints: always right, always wrong, or now so and now so?


# %%
@numba.njit(nogil=True)  # compiled, and without the interpreter's lock: threads run at the same time
def add_pixels(dw, x, dy, start, stop):
    for p in range(start, stop):
        for i in range(x.shape[1]):
            for o in range(dy.shape[1]):
                dw[i, o] += x[p, i] * dy[p, o]


def two_threads(x, dy):
    dw, half = np.zeros((x.shape[1], dy.shape[1])), len(x) // 2
    both = [
        threading.Thread(target=add_pixels, args=(dw, x, dy, *span)) for span in ((0, half), (half, len(x)))
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    return dw


pixels, slopes = np.ones((400_000, 8)), np.ones((400_000, 8))
alone = np.zeros((8, 8))
add_pixels(alone, pixels, slopes, 0, len(pixels))
assert (alone == 400_000).all()
for run in range(5):
    lost = 400_000 - two_threads(pixels, slopes)
    print(f"run {run}: {lost.sum() / (64 * 400_000):.1%} of the additions are lost")
    assert (lost >= 0).all()

# %% [markdown]
# Keep your explanation; the cause has its name in section 5.
#
# ## 1. What is asked, and what is there
# A layer asks for two things: **arithmetic**, counted in FLOP (a multiply-add is two), and **traffic**, the bytes that must come from
# memory or go there. The least traffic is input, weights and output, once each.

# %%
exercise("L10.work_of")

# %% [markdown]
# The machine has a roof for each. We measure them: the arithmetic with a large matrix product, which uses every number
# many times, the traffic with a large copy, which uses every number once.


# %%
def roofs():
    """(FLOP/s, bytes/s) of one thread."""
    a, b = np.ones((1024, 1024), np.float32), np.ones((1024, 1024), np.float32)
    source = np.ones(1 << 24, np.float32)  # 64 MB: no cache holds it
    target = np.empty_like(source)
    product = milliseconds(lambda: a @ b) / 1000
    copy = milliseconds(lambda: np.copyto(target, source)) / 1000
    return 2 * 1024**3 / product, 2 * source.nbytes / copy


peak_flops, peak_bytes = roofs()
ridge = peak_flops / peak_bytes
print(f"your machine, one thread: {peak_flops / 1e9:.0f} GFLOP/s, {peak_bytes / 1e9:.0f} GB/s")
print(f"a layer with fewer than {ridge:.1f} FLOP a byte waits for memory, one with more for arithmetic")

# %%
exercise("L10.roofline")

# %% [markdown]
# Both together are the **roofline** [1]: draw FLOP a byte to the right and FLOP/s upwards, and no program is above the slope or the
# ceiling. *Predict* where the three kinds of convolution stand: which of them wait for memory?

# %%
rng = np.random.default_rng(0)


def intensity(kind, size, i, o, k):
    """(FLOP, bytes) by the formula of the exercise."""
    seen = 1 if kind == "depthwise" else i
    weights = k * k * seen * o
    return 2 * size**2 * weights, 4 * (size**2 * (i + o) + weights)


kinds = {
    "depthwise 3 x 3, 56 x 56 x 144": ("depthwise", 56, 144, 144, 3),
    "depthwise 5 x 5, 14 x 14 x 672": ("depthwise", 14, 672, 672, 5),
    "pointwise, 56 x 56, 24 to 144": ("pointwise", 56, 24, 144, 1),
    "pointwise, 7 x 7, 960 to 320": ("pointwise", 7, 960, 320, 1),
    "whole 3 x 3, 56 x 56, 32 to 64": ("whole", 56, 32, 64, 3),
}
for name, spec in kinds.items():
    flop, moved = intensity(*spec)
    print(f"{name:<32} {flop / 1e6:6.1f} MFLOP {moved / 1e6:5.2f} MB {flop / moved:6.1f} FLOP a byte")
assert (
    intensity(*kinds["depthwise 3 x 3, 56 x 56 x 144"])[0]
    / intensity(*kinds["depthwise 3 x 3, 56 x 56 x 144"])[1]
    < 2.3
)
assert (
    intensity(*kinds["whole 3 x 3, 56 x 56, 32 to 64"])[0]
    / intensity(*kinds["whole 3 x 3, 56 x 56, 32 to 64"])[1]
    > 80
)

# %% [markdown]
# A depthwise filter does a handful of operations for each byte, whatever the program: 9 multiply-adds for a number that is read and one that is
# written. That is why the cheap layer of L1 takes more of the time than of the multiply-adds.
#
# **Where the claim is loose.** "Depthwise layers are memory-bound": from main memory, yes. In a network the input was written a
# moment ago and is often still in a cache, which is several times quicker. Points above the slope are no mistake.
#
# ## 2. A number that you would bet on

# %%
exercise("L10.best_time")

# %% [markdown]
# "Numba does worse than plain Python on its own example" (numba/numba#9517): 0.65 s against 0.0. What was timed?


# %%
def fresh():
    """The same loop, compiled anew."""
    return numba.njit(lambda x: x.sum())


compiled = fresh()
x = np.ones(100_000)
start = time.perf_counter()
compiled(x)
first = 1000 * (time.perf_counter() - start)
later = milliseconds(lambda: compiled(x))
print(f"first call {first:.0f} ms, later ones {later:.3f} ms")
assert first > 20 * later

# %% [markdown]
# ## 3. The ladder
# The layer: 3 x 3, 32 to 64 channels, 'same'. Each rung is a function of (x, w), and each has to pass the grid of L0 before it is
# timed: odd sizes, several images, more filters than channels.


# %%
def loops(x, w):
    """Rung 1: the definition."""
    pads, (oh, ow) = resolve("same", x.shape[1:3], len(w), 1)
    xp = pad(x, pads)
    y = np.zeros((len(x), oh, ow, w.shape[3]), x.dtype)
    for n in range(len(x)):
        for i in range(oh):
            for j in range(ow):
                for o in range(w.shape[3]):
                    total = 0.0
                    for a in range(len(w)):
                        for b in range(len(w)):
                            for c in range(x.shape[3]):
                                total += float(xp[n, i + a, j + b, c]) * float(w[a, b, c, o])
                    y[n, i, j, o] = total
    return y


def windows(x, w):
    """Rung 2: NumPy for each output pixel."""
    pads, (oh, ow) = resolve("same", x.shape[1:3], len(w), 1)
    xp, k = pad(x, pads), len(w)
    y = np.empty((len(x), oh, ow, w.shape[3]), x.dtype)
    for i in range(oh):
        for j in range(ow):
            y[:, i, j] = np.tensordot(xp[:, i : i + k, j : j + k], w, 3)
    return y


def shifted(x, w):
    """Rung 3: a matrix product for each tap.  This is the library's readable version."""
    return conv.forward(x, w)


def by_columns(x, w):
    """Rung 4: one matrix product, of a matrix that repeats each pixel nine times.  You will write im2col below."""
    columns = importlib.import_module("lessons.10_speed_ladder.exercises").im2col(x, len(w))
    return (columns @ w.reshape(-1, w.shape[3])).reshape(*x.shape[:3], -1)


@numba.njit(nogil=True, fastmath=True)
def rows_of(xp, w, y, start, stop):
    """The loops of rung 1, the output channels innermost, compiled."""
    for n in range(y.shape[0]):
        for i in range(start, stop):
            for j in range(y.shape[2]):
                for o in range(y.shape[3]):
                    y[n, i, j, o] = 0
                for a in range(w.shape[0]):
                    for b in range(w.shape[1]):
                        for c in range(w.shape[2]):
                            value = xp[n, i + a, j + b, c]
                            for o in range(y.shape[3]):
                                y[n, i, j, o] += value * w[a, b, c, o]


def compiled_loops(x, w, threads=1):
    """Rungs 5 and 6: compiled, and its rows shared out to threads."""
    pads, out = resolve("same", x.shape[1:3], len(w), 1)
    xp, y = pad(x, pads), np.empty((len(x), *out, w.shape[3]), x.dtype)
    cuts = [out[0] * t // threads for t in range(threads + 1)]
    some = [
        threading.Thread(target=rows_of, args=(xp, w, y, cuts[t], cuts[t + 1])) for t in range(1, threads)
    ]
    for thread in some:
        thread.start()
    rows_of(xp, w, y, cuts[0], cuts[1])
    for thread in some:
        thread.join()
    return y


def registers(x, w):
    """Rung 7: tiles in registers, as inference.compile runs it; made once, before it is timed."""
    layer = Conv2D(w.shape[2], w.shape[3], len(w))
    layer.weight.value = w.astype(np.float32)
    return inference.compile(layer, x.shape[1:])


TWO = min(2, os.cpu_count() or 1)
RUNGS = {
    "1 loops": loops,
    "2 NumPy, a pixel": windows,
    "3 NumPy, a tap": shifted,
    "4 im2col": by_columns,
    "5 Numba": compiled_loops,
    "6 Numba, 2 threads": lambda x, w: compiled_loops(x, w, TWO),
    "7 registers": lambda x, w: registers(x, w)(x),
}
for shape, k, o in (((1, 3, 5, 2), 3, 3), ((2, 6, 5, 3), 3, 4), ((2, 7, 8, 4), 5, 2), ((1, 9, 7, 3), 1, 5)):
    x, w = rng.normal(size=shape).astype(np.float32), rng.normal(size=(k, k, shape[3], o)).astype(np.float32)
    right = conv.forward(x.astype(np.float64), w.astype(np.float64))
    for name, rung in RUNGS.items():
        off = np.abs(rung(x, w) - right).max() / np.abs(right).max()
        assert off < 1e-5, f"{name} is wrong by {off} at {shape}"
print("seven rungs, the same numbers on four shapes")

# %% [markdown]
# *Predict* before you run it: how many times is rung 3 quicker than rung 1? Is compiled code (5) quicker than NumPy (4)?

# %%
x = rng.normal(size=(1, 56, 56, 32)).astype(np.float32)
w = rng.normal(size=(3, 3, 32, 64)).astype(np.float32)
macs = 56 * 56 * 9 * 32 * 64
small = x[:, :5, :5]  # rung 1 gets a few pixels: the whole would take a minute
plan = registers(x, w)
took = {"1 loops": milliseconds(lambda: loops(small, w), 1) * 56 * 56 / 25}
took |= {name: milliseconds(lambda rung=rung: rung(x, w), 5) for name, rung in list(RUNGS.items())[1:6]}
took["7 registers"] = milliseconds(lambda: plan(x))
speed = {name: macs / (t / 1000) for name, t in took.items()}
for name, t in took.items():
    print(
        f"{name:<20} {t:10.2f} ms {speed[name] / 1e6:12,.1f} M multiply-adds/s {took['1 loops'] / t:10,.0f} x"
    )
assert speed["3 NumPy, a tap"] > 100 * speed["1 loops"]
assert speed["7 registers"] > speed["2 NumPy, a pixel"]

figure, ax = plt.subplots(figsize=(7.5, 3))
ax.barh(list(speed), [2 * s / 1e9 for s in speed.values()], color=[BLUE] * 4 + [ORANGE] * 2 + [GREEN])
ax.axvline(peak_flops / 1e9, color=GREY, linestyle="--", label="one thread's roof")
ax.set(xscale="log", xlabel="GFLOP/s (a step of the scale is a factor of ten)")
ax.invert_yaxis()
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="Speed of the seven rungs on a logarithmic scale: "
    + ", ".join(f"{n} {2 * s / 1e9:.3g} GFLOP/s" for n, s in speed.items())
    + ".",
)

# %% [markdown]
# What each step changed:
# * 1 to 2: the interpreter is asked once for a pixel, not once for a multiply-add.
# * 2 to 3: once for a *tap*. Nine large products; the matrix product inside is somebody's register tile.
# * 3 to 4: one product in place of nine, for nine copies of the input. It pays where channels are few, and costs memory.
# * 4 to 5: plain compiled loops. The compiler uses vectors for the innermost loop, but fetches and stores `y` at every step.
# * 5 to 6: two cores. Rows of the output are different numbers, so no two threads write to the same one.
# * 6 to 7: the sums stay in registers, bias and activation are applied there, and it uses both cores too.

# %%
exercise("L10.im2col")

# %% [markdown]
# ## 4. Where they stand under the roof

# %%
flop, moved = intensity("whole", 56, 32, 64, 3)
traffic = {"4 im2col": moved + 2 * 4 * 56 * 56 * 9 * 32}  # the repeated matrix is written and read, too
figure, ax = plt.subplots(figsize=(7.5, 3.8))
reach = np.array([0.05, ridge, 300])
ax.plot(reach, np.minimum(reach * peak_bytes, peak_flops) / 1e9, color="black", label="one thread")
for name, colour in zip(speed, [BLUE] * 4 + [ORANGE] * 2 + [GREEN], strict=True):
    ax.plot(flop / traffic.get(name, moved), 2 * speed[name] / 1e9, "o", color=colour)
    side = "right" if name[0] in "36" else "left"  # neighbours stand on either side
    ax.annotate(f" {name} ", (flop / traffic.get(name, moved), 2 * speed[name] / 1e9), fontsize=8, ha=side)
layers = {
    "depthwise 3 x 3, 56 x 56 x 144": (DepthwiseConv2D(144), (56, 56, 144)),
    "pointwise, 56 x 56, 24 to 144": (PointwiseConv2D(24, 144), (56, 56, 24)),
    "pointwise, 7 x 7, 960 to 320": (PointwiseConv2D(960, 320), (7, 7, 960)),
}
for name, (layer, shape) in layers.items():
    made = inference.compile(init.initialize(layer, rng, np.float32), shape)
    image = rng.normal(size=(1, *shape)).astype(np.float32)
    work, bytes_ = intensity(*kinds[name])
    got = work / (milliseconds(lambda made=made, image=image: made(image), 30) / 1000)
    ax.plot(work / bytes_, got / 1e9, "^", color=GREEN)
    ax.annotate(
        " {}, {} x {}".format(name.split(",")[0], *shape[:2]),
        (work / bytes_, got / 1e9),
        fontsize=7,
        va="top",
    )
    print(f"{name:<32} {work / bytes_:5.1f} FLOP a byte, {got / 1e9:6.1f} GFLOP/s")
ax.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="GFLOP/s", xlim=(0.5, 1500))
ax.legend(frameon=False, loc="lower right")
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="The roofline of this machine, a slope and a ceiling, with the seven rungs below each other at the right and three layers of mobile "
    "networks as triangles: depthwise at the far left, near the slope.",
)

# %% [markdown]
# Everything but rung 4 asks for the same; what differs is how far below its roof it stays. The triangles are the library's kernels, with
# two threads where there are two: they may stand above the line of one.
#
# ### A depthwise convolution by matrix product
# The product is so quick: why not use it for depthwise, too? As one product its matrix holds one filter a channel and zeros everywhere
# else. Libraries did nearly that: grouped convolutions ran one small product for each channel (pytorch/pytorch#13716: "depthwise
# convolution are slow on cpu", 4 to 5 times the time of a whole one).

# %%
x, w = rng.normal(size=(1, 28, 28, 96)).astype(np.float32), rng.normal(size=(3, 3, 96)).astype(np.float32)
as_whole = np.zeros((3, 3, 96, 96), np.float32)
as_whole[:, :, np.arange(96), np.arange(96)] = w
assert np.allclose(conv.forward(x, as_whole), depthwise.forward(x, w), atol=1e-4)
whole, apart = milliseconds(lambda: conv.forward(x, as_whole)), milliseconds(lambda: depthwise.forward(x, w))
print(f"by matrix product {whole:.2f} ms, {np.mean(as_whole == 0):.1%} of it zeros; by taps {apart:.2f} ms")
assert np.isclose(np.mean(as_whole == 0), 1 - 1 / 96)

# %% [markdown]
# 96 times the arithmetic, and it is not even 96 times slower: that is how far the readable depthwise stays below the roof.
#
# ## 5. Two threads, one gradient
# The symptom has a name: a **race**. `dw[i, o] += ...` is three steps: read, add, write. Between one thread's read and its write the
# other one writes, and that addition is gone. Forward passes are safe, since every output number has one owner. In a backward pass
# `dw` collects from all pixels, and if the pixels are shared out, everybody adds to the same `dw`.
#
# Numba notices `dw += ...` on a whole array in `prange` and makes partial sums for you; `dw[a, b] += ...` it does not notice. Do it
# yourself, always.

# %%
exercise("L10.shared_dw")

# %% [markdown]
# ## 6. Registers
# The processor multiplies and adds eight floats in one instruction, two such instructions in a cycle. From its nearest cache it can fetch two
# vectors in a cycle. A loop that fetches two for every multiplication stays below half of the roof. So fetch less: hold a small
# block of sums, 6 rows by 2 vectors, in registers, and use each fetched vector two or six times.
#
# | block | sums in registers | loads for each column of x | multiply-adds (vectors) | multiply-adds a load |
# |---|---:|---:|---:|---:|
# | 1 x 1 | 1 | 2 | 1 | 0.5 |
# | 2 x 2 | 4 | 4 | 4 | 1 |
# | 4 x 2 | 8 | 6 | 8 | 1.33 |
# | 6 x 2 | 12 | 8 | 12 | 1.5 |
# | 8 x 3 | 24 | 11 | 24 | 2.18 |

# %%
for rows, vectors in ((1, 1), (2, 2), (4, 2), (6, 2), (8, 3)):
    loads, products = rows + vectors, rows * vectors
    fits = products + vectors + 1 <= 16
    print(
        f"{rows} x {vectors}: {products / loads:.2f} multiply-adds a load, {products + vectors + 1} registers, {'fits' if fits else 'does not fit'}"
    )
assert round(12 / 8, 2) == 1.5
assert 24 + 3 + 1 > 16 >= 12 + 2 + 1

# %% [markdown]
# 8 x 3 would be better still, and needs 28 registers where AVX2 has 16: the rest goes to memory and back. (AVX-512 has 32; there the library's
# tile is 12 x 2 of vectors twice as long.)

# %%
exercise("L10.tile")

# %% [markdown]
# **The library's version** is the same program in words that Numba compiles: `mini_nn/kernels/tiles/pointwise.py`, with the type in
# `registers.py`. `zeros(6, 2)` is twelve registers; `spread(x, i, k, 6) * load(w, k, j, 1, 2)` is your two inner loops.
#
# ## 7. The fused block
# Whole networks gain more from what is *not* moved. A plan folds BatchNorm into the weights, applies bias and activation before a
# number leaves its register, adds the shortcut there too, and gives all buffers places in one arena. A block whose middle is large, as here
# six times as wide, runs in *bands* of a few rows: a thread widens them, filters them and narrows them again before it goes on, so the wide
# array never exists as a whole. That is the memory argument of the MobileNetV2 paper (Sandler et al. 2018, section 5).
#
# *Predict*: the block of L2 (24 channels, t = 6, 56 x 56), layer by layer against its plan: how many times quicker, and with how much less memory?

# %%
block = init.initialize(inverted_residual(Block(24, 24, 6, 3, 1), ReLU6), rng, np.float32)
x = rng.normal(size=(1, 56, 56, 24)).astype(np.float32)
plan = inference.compile(block, x.shape[1:])
assert np.abs(plan(x) - block(x)).max() < 1e-4 * np.abs(block(x)).max() + 1e-4
readable, planned = milliseconds(lambda: block(x)), milliseconds(lambda: plan(x))
every = sum(4 * int(np.prod(row.shape)) for row in profile.profile(block, x.shape[1:]).rows)
print(f"layer by layer {readable:.2f} ms, plan {planned:.2f} ms: {readable / planned:.1f} x")
print(f"outputs of all layers {every / 1e6:.1f} MB")
one = inference.compile(block, x.shape[1:], threads=1)  # each thread needs a band of its own
print(
    f"arena of the plan {one.arena_bytes / 1e6:.1f} MB; if it ran layer by layer {one.op_by_op_bytes / 1e6:.1f} MB"
)
assert one.arena_bytes < one.op_by_op_bytes < every

# %% [markdown]
# ## 8. What is said, and what we found
# | what is said | what we found | verdict |
# |---|---|---|
# | "Python is slow" | its loops are: a factor of hundreds and more lies between rungs 1 and 3, which are both Python | holds within limits |
# | "compiled code is faster than NumPy" | plain compiled loops against a matrix product: see rungs 4 and 5 on your machine; what counts is whether the sums stay in registers | loose |
# | "depthwise convolutions are memory-bound" | under 2.3 FLOP a byte from memory; in a network the input is often still in a cache | holds within limits |
# | "fewer multiply-adds are faster" | by matrix product a depthwise layer does C times the arithmetic and is far from C times slower | loose |
# | "two threads halve the time" | of what is bound by arithmetic, nearly; a race makes it wrong, and a copy of 64 MB gains little | loose |
#
# ## Questions
# **1.** Your profile says that a layer reaches 20 GFLOP/s of 90. It does 1.5 FLOP a byte, and memory moves 14 GB/s. Is it worth a week?
# <details><summary>Answer</summary>
#
# 1.5 x 14 = 21 GFLOP/s is its roof: it is there already. Fuse it with its neighbour, so that its input never leaves the cache; do not tune its loop.
#
# </details>
#
# **2.** Why are sums over many pixels added up in float64, or in pieces, in this library, and is that slower?
# <details><summary>Answer</summary>
#
# A float32 has 24 bits: beyond 16.8 million a sum of ones stands still. Where the time goes into fetching, the longer addition is hidden.
#
# </details>
#
# **3.** A colleague shows that his kernel is 30 % quicker than a library's, in one run, his first. Name three questions.
# <details><summary>Answer</summary>
#
# Is the answer the same? Was the other one warmed up, compiled, given as many threads? Did they take turns, so that a busy moment hit both?
#
# </details>
#
# **4.** In `shared_dw`, could the turns share out the *input channels* in place of the pixels?
# <details><summary>Answer</summary>
#
# Yes: each turn then owns rows of `dw`, nobody needs partial sums, and every turn reads all of `dy`. It is the better way where channels are many.
#
# </details>

# %%
assert 1.5 * 14 == 21
assert np.float32(2**24) + np.float32(1) == np.float32(2**24)

# %% [markdown]
# ## Sources
# 1. Williams, Waterman, Patterson 2009, *Roofline: an insightful visual performance model for multicore architectures*, CACM 52(4).
# 2. Goto, van de Geijn 2008, *Anatomy of high-performance matrix multiplication*, ACM TOMS 34(3): blocks, packing, register tiles.
# 3. numba/numba#3681, #7133, and pull request #4170, which put the race into the documentation; numba/numba#9517.
# 4. pytorch/pytorch#13716.
