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
# # See inside
#
# One photograph on its way through EfficientNet-Lite0 with its published ImageNet weights: what the first filters look
# for, what each stage makes of it, which pixels speak for the answer. The photograph is matplotlib's sample picture,
# the official portrait of Rear Admiral Grace Hopper (U.S. Navy, public domain). The cells run as they are.

# %%
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
from IPython.display import HTML

from mini_nn import photos, plot, weights
from mini_nn.inference import looking
from mini_nn.ops.softmax import forward as softmax
from mini_nn.report.pictures import drawn, jpeg, look

photograph = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
model, preprocess, classes = weights.pretrained("efficientnet_lite0")
pixels = photos.read(photograph)
x = preprocess(photograph)
print(f"photograph {pixels.shape}, 0 to 255")
print(f"what goes in {x.shape}, {x.min():.2f} to {x.max():.2f}")

# %% [markdown]
# ## What goes in
# The network sees a square from the middle, brought to 224 x 224 pixels. What lies outside it does not count.

# %% tags=["hide-input"]
HTML(
    jpeg(pixels, "The whole portrait: a woman in the dark uniform of the Navy, with cap, before a flag")
    + " "
    + jpeg(
        preprocess.window(pixels),
        "The square from the middle: her face, without the upper part of the cap, and her uniform",
    )
)

# %% [markdown]
# ## The first filters
# The first layer has 32 filters of 3 x 3 pixels and three colours. Grey is 0. Some are edges, light on one side and
# dark on the other, in several directions; some are spots of colour. Nobody chose them; training did.

# %% tags=["hide-input"]
HTML(
    drawn(
        lambda file: plot.filters(model, file),
        "32 small squares of 3 x 3 pixels: edges from dark to light in several directions, and patches of single colours",
    )
)

# %% [markdown]
# ## What each stage makes of it
# For each stage the eight channels that vary most over the photograph, each drawn from its least to its most. Early
# maps still look like her: edges, light and dark. Later ones are coarse, 14 x 14 and then 7 x 7: they say *where*
# something is, no longer what it looks like.

# %% tags=["hide-input"]
HTML(
    drawn(
        lambda file: plot.feature_maps(model, x, file),
        "Nine rows of eight grey maps. The first rows show the portrait's outlines, sharp at 112 x 112; from row to row they "
        "get coarser, and the last rows are 7 x 7 patches of light and dark",
    )
)

# %% [markdown]
# How many numbers is that?

# %%
for name, y in looking.stages(model, x[None]).items():
    zeros = (y <= 0).mean()
    print(
        f"{name:<10} {' x '.join(map(str, y.shape[1:])):<16} {y[0].size:>9,} numbers, {zeros:4.0%} of them 0 or below"
    )

# %% [markdown]
# ## The five best classes
# The last map, 7 x 7 x 1280, is averaged over its 49 places; one matrix product gives 1000 numbers; softmax makes
# probabilities of them.

# %%
p = softmax(model(x[None]))[0]
best = np.argsort(-p)[:5]
for i in best:
    print(f"{p[i]:6.1%}  {classes[i]}")
print(f"{p[best].sum():6.1%}  together; the other {len(p) - 5} share the rest")

# %% [markdown]
# It is not sure, and it says so. ImageNet has no class for a person; it has uniforms, and things that people wear.
#
# ## Which pixels speak for the answer
# The average and the matrix product may change places: give each of the 49 places its own share of a class's logit
# before averaging (Zhou et al. 2015, equation 2). The square, and over it the shares of the three best classes; yellow
# is the most.

# %% tags=["hide-input"]
seeing = SimpleNamespace(model=model, preprocess=preprocess, classes=classes)
looks = [look(seeing, photograph, i, "The portrait") for i in best[:3]]
for i, one in zip(best, looks, strict=False):
    print(f"{classes[i]}: most of it {one.where}")
HTML(" ".join([looks[0].photograph, *(one.map for one in looks)]))

# %% [markdown]
# And the sum is right: the mean of a map plus the class's bias is its logit.

# %%
heat = looking.class_activation(model, x[None], best[:1])[0]
logit = model(x[None])[0, best[0]]
bias = dict(model.children())["classifier"].bias.value[best[0]]
print(
    f"mean of the map {heat.mean():.4f} + bias {bias:.4f} = {heat.mean() + bias:.4f}; the logit is {logit:.4f}"
)
assert np.isclose(heat.mean() + bias, logit, rtol=1e-3)
