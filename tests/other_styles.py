"""A right answer to every exercise that looks nothing like the library's: loops for products, einsum for loops, another order
of summation, lists for arrays and tuples, float32 where it is allowed."""

import itertools
import math
import pickletools
import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from mini_nn.blocks import round_channels
from mini_nn.core import Parameter, named_arrays, named_layers
from mini_nn.layers import Dense, Gate, Residual
from mini_nn.models.mobilenet_v1 import channels
from mini_nn.ops.padding import pad, resolve

# ---- L0


def numeric_grad(f, x, dy, h=1e-5):
    z = np.array(x)
    flat, found = z.reshape(-1), []
    for i, value in enumerate(x.ravel().tolist()):
        flat[i] = value + h
        up = np.vdot(f(z), dy)
        flat[i] = value - h
        found.append((up - np.vdot(f(z), dy)) / (2 * h))
        flat[i] = value
    return np.array(found).reshape(x.shape).tolist()


def same_padding(n, kernel_size, stride):
    total = max(((n + stride - 1) // stride - 1) * stride + kernel_size - n, 0)
    return [total // 2, (total + 1) // 2]


def conv2d_forward(x, w, stride=1, padding="same", groups=1):
    pads, (oh, ow) = resolve(padding, x.shape[1:3], len(w), stride)
    xp, k = pad(x, pads), len(w)
    y = np.empty((len(x), oh, ow, w.shape[3]))
    ci, co = w.shape[2], w.shape[3] // groups
    for g, i, j in np.ndindex(groups, oh, ow):
        here = xp[:, i * stride : i * stride + k, j * stride : j * stride + k, g * ci : (g + 1) * ci]
        some = slice(g * co, (g + 1) * co)
        y[:, i, j, some] = np.einsum("nabc,abco->no", here, w[..., some])
    return y


def conv2d_backward_dw(dy, x, kernel_size):
    windows = np.lib.stride_tricks.sliding_window_view(x, dy.shape[1:3], (1, 2))  # (N, K, K, I, OH, OW)
    return np.einsum("nabchw,nhwo->abco", windows, dy)


def conv2d_backward_dx(dy, w):
    k = len(w)
    around = np.pad(dy, ((0, 0), (k - 1, k - 1), (k - 1, k - 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (k, k), (1, 2))  # (N, H, W, O, K, K)
    return np.einsum("nhwoab,abio->nhwi", windows, w[::-1, ::-1])


def conv2d_backward(dy, x, w, stride=1, padding="same", groups=1):
    ((top, bottom), (left, right)), _ = resolve(padding, x.shape[1:3], len(w), stride)
    xp, k = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))), len(w)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    ci, co = w.shape[2], w.shape[3] // groups
    for n, i, j in np.ndindex(dy.shape[:3]):
        for g in range(groups):
            here = (
                slice(i * stride, i * stride + k),
                slice(j * stride, j * stride + k),
                slice(g * ci, (g + 1) * ci),
            )
            up = dy[n, i, j, g * co : (g + 1) * co]
            dxp[n][here] += w[..., g * co : (g + 1) * co] @ up
            dw[..., g * co : (g + 1) * co] += xp[n][here][..., None] * up
    return [dxp[:, top : top + x.shape[1], left : left + x.shape[2]], dw.tolist()]


def batch_norm_forward(x, gamma, beta, eps=1e-3):
    m = x.size // x.shape[-1]
    mean = np.einsum("nhwc->c", x) / m
    var = np.einsum("nhwc,nhwc->c", x - mean, x - mean) / m
    return ((x - mean) * (gamma * (var + eps) ** -0.5) + beta).tolist()


def batch_norm_backward(dy, x, gamma, eps=1e-3):
    """Three steps back: through the division, the variance, the mean."""
    axes, m = (0, 1, 2), x.size // x.shape[-1]
    centred = x - x.mean(axes)
    std = np.sqrt((centred**2).mean(axes) + eps)
    d = dy * gamma
    dvar = (d * centred).sum(axes) * -0.5 / std**3
    dcentred = d / std + dvar * 2 * centred / m
    return [dcentred - dcentred.sum(axes) / m, (dy * centred / std).sum(axes), dy.sum(axes)]


def batch_norm_frozen(x, gamma, beta, running_mean, running_var, train, frozen=False, momentum=0.1, eps=1e-3):
    if frozen or not train:
        return [gamma / np.sqrt(running_var + eps) * (x - running_mean) + beta, running_mean, running_var]
    rows = x.reshape(-1, x.shape[3])
    mean, biased, unbiased = rows.mean(0), rows.var(0), rows.var(0, ddof=1)
    y = gamma / np.sqrt(biased + eps) * (x - mean) + beta
    moved = running_mean + momentum * (mean - running_mean), running_var + momentum * (unbiased - running_var)
    return [y, *moved]


def find_the_bug(forward, backward):
    """The convolution is linear in x and in w: <dy, forward(u, w)> = <dx, u> for unit vectors u, without a small step."""
    rng = np.random.default_rng(5)
    for shape, filters, stride in (
        ((2, 6, 7, 3), (3, 3, 3, 2), 2),
        ((2, 4, 6, 1), (2, 2, 1, 3), 1),
        ((1, 7, 5, 2), (2, 2, 2, 2), 3),
    ):
        x, w = rng.normal(size=shape), rng.normal(size=filters)
        dy = rng.normal(size=forward(x, w, stride).shape)
        dx, dw = map(np.asarray, backward(dy, x, w, stride))
        if dx.shape != x.shape or dw.shape != w.shape:
            return True
        for gradient, loss in (
            (dx, lambda u, w=w, s=stride, dy=dy: np.vdot(forward(u, w, s), dy)),
            (dw, lambda u, x=x, s=stride, dy=dy: np.vdot(forward(x, u, s), dy)),
        ):
            for i in np.ndindex(gradient.shape):
                unit = np.zeros(gradient.shape)
                unit[i] = 1
                if not math.isclose(gradient[i], loss(unit), rel_tol=1e-7, abs_tol=1e-9):
                    return True
    return False


def complex_step_grad(f, x, dy, h=1e-30):
    steps = np.eye(x.size).reshape(x.size, *x.shape)
    return np.reshape([np.vdot(dy, f(x + 1j * h * one).imag) / h for one in steps], x.shape)


# ---- L1


def conv_cost(size, in_channels, filters, kernel_size, stride=1, groups=1):
    one = kernel_size**2 * in_channels / groups
    pixels = math.ceil(size[0] / stride) * math.ceil(size[1] / stride)
    return [round(one * filters), round(one * filters * pixels)]


def depthwise_forward(x, w, stride=1, padding="same"):
    ((top, bottom), (left, right)), (oh, ow) = resolve(padding, x.shape[1:3], len(w), stride)
    xp = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))).astype(np.float32)
    taps = [
        xp[:, a : a + (oh - 1) * stride + 1 : stride, b : b + (ow - 1) * stride + 1 : stride]
        * w[a, b].astype(np.float32)
        for a, b in np.ndindex(w.shape[:2])
    ]
    return sum(reversed(taps))


def depthwise_backward(dy, x, w, stride=1, padding="same"):
    pads, _ = resolve(padding, x.shape[1:3], len(w), stride)
    xp, k = pad(x, pads), len(w)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i, j in np.ndindex(dy.shape[1:3]):
        rows, columns = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
        up = dy[:, i, j][:, None, None]
        dxp[:, rows, columns] += up * w
        dw += (up * xp[:, rows, columns]).sum(0)
    top, left = pads[0][0], pads[1][0]
    return dxp[:, top : top + x.shape[1], left : left + x.shape[2]], dw


def pointwise_backward(dy, x, w):
    return [np.einsum("...o,co->...c", dy, w), np.tensordot(x, dy, ([*range(x.ndim - 1)],) * 2)]


def mobilenet_v1(width_mult=1.0, resolution=224, classes=1000):
    scale = lambda c: channels(c, width_mult)
    rows = [["conv", 3, scale(32), 2, math.ceil(resolution / 2)]]
    for out in (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024):
        _, _, c, _, size = rows[-1]
        stride = 2 if len(rows) in (3, 7, 11, 23) else 1
        size = math.ceil(size / stride)
        rows += [["depthwise", c, c, stride, size], ["pointwise", c, scale(out), 1, size]]
    return [*map(tuple, rows), ("dense", rows[-1][2], classes, 1, 1)]


# ---- L2


def inverted_residual_rows(in_channels, out_channels, expand_ratio, stride):
    t = expand_ratio * in_channels
    rows = (
        ("expand", in_channels, t, 1, "relu6"),
        ("depthwise", t, t, stride, "relu6"),
        ("project", t, out_channels, 1, "linear"),
    )
    return list(rows[expand_ratio == 1 :]), (stride, in_channels) == (1, out_channels)


def inverted_residual_forward(x, w_expand, w_depthwise, w_project, stride=1, padding="same"):
    h = x
    if w_expand is not None:
        h = np.minimum(np.maximum(np.einsum("nhwi,it->nhwt", x, w_expand), 0), 6)
    filters = w_depthwise[:, :, None, :]
    h = conv2d_forward(h, filters, stride, padding, groups=h.shape[3]).clip(0, 6)
    y = np.einsum("nhwt,to->nhwo", h, w_project)
    if x.shape == y.shape and stride == 1:
        y = y + x
    return y


def sequential_backward(layers, caches, dy):
    if not layers:
        return dy
    return sequential_backward(layers[:-1], caches[:-1], layers[-1].backward(dy, caches[-1]))


def residual_backward(branch, cache, dy):
    return np.add(branch.backward(dy, cache), dy)


def make_divisible(channels, divisor=8):
    multiples = range(divisor, int(channels) + 2 * divisor, divisor)
    allowed = [m for m in multiples if m >= 0.9 * channels]
    return min(allowed, key=lambda m: (abs(m - channels), -m))


def blocks_of(table):
    """(t, k, stride, channels) of every block."""
    return [(t, k, s if i == 0 else 1, c) for t, k, s, c, n in table for i in range(n)]


def mobilenet_v2(width_mult=1.0, resolution=224, classes=1000):
    t, n, s = (1, 6, 6, 6, 6, 6, 6), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)
    c = [round_channels(width_mult * v) for v in (16, 24, 32, 64, 96, 160, 320)]
    size, before = (resolution + 1) // 2, round_channels(width_mult * 32)
    rows = [("conv", 3, before, 2, size)]
    for t_, _, stride, after in blocks_of(zip(t, t, s, c, n, strict=True)):
        wide = t_ * before
        if t_ > 1:
            rows += [("expand", before, wide, 1, size)]
        size = (size + stride - 1) // stride
        rows += [("depthwise", wide, wide, stride, size), ("project", wide, after, 1, size)]
        before = after
    head = round_channels(1280 * width_mult) if width_mult > 1 else 1280
    return [*rows, ("head", before, head, 1, size), ("dense", head, classes, 1, 1)]


# ---- L3


def swish_backward(dy, x):
    e = np.exp(-np.abs(x))
    s = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
    return dy * s * (1 + x * (1 - s))


def sigmoid(a):
    return 0.5 + 0.5 * np.tanh(a / 2)


def squeeze_excite_forward(x, w1, b1, w2, b2):
    s = np.einsum("nhwc->nc", x) / (x.shape[1] * x.shape[2])
    a = np.einsum("nc,cr->nr", s, w1) + b1
    g = sigmoid(np.einsum("nr,rc->nc", a * sigmoid(a), w2) + b2)
    return np.stack([image * gate for image, gate in zip(x, g, strict=True)])


def squeeze_excite_backward(dy, x, w1, b1, w2, b2):
    """One image at a time."""
    dx, total = np.empty_like(x), [np.zeros(p.shape) for p in (w1, b1, w2, b2)]
    for n, (image, up) in enumerate(zip(x, dy, strict=True)):
        s = image.mean((0, 1))
        a = s @ w1 + b1
        h = sigmoid(a)
        g = sigmoid(a * h @ w2 + b2)
        du = np.einsum("hwc,hwc->c", up, image) * g * (1 - g)
        da = (w2 @ du) * (h + a * h * (1 - h))
        dx[n] = up * g + w1 @ da / (image.shape[0] * image.shape[1])
        parts = np.outer(s, da), da, np.outer(a * h, du), du
        total = [before + part for before, part in zip(total, parts, strict=True)]
    return [dx, *total]


def se_channels(in_channels, expand_ratio, se_ratio=0.25):
    return [expand_ratio * in_channels, math.floor(in_channels * se_ratio) or 1]


def stochastic_depth(x, branch, rate, train, rng):
    keep = np.ones((len(x), 1, 1, 1))
    if train:
        for n, number in enumerate(rng.random(len(x))):
            keep[n] = 0 if number < rate else 1 / (1 - rate)
    return [branch * keep + x, keep]


def efficientnet_b0(resolution=224, classes=1000):
    table = zip(
        (1, 6, 6, 6, 6, 6, 6),
        (3, 3, 5, 3, 5, 5, 3),
        (1, 2, 2, 2, 1, 2, 1),
        (16, 24, 40, 80, 112, 192, 320),
        (1, 2, 2, 3, 3, 4, 1),
        strict=True,
    )
    size, c = math.ceil(resolution / 2), 32
    found = [("conv", 3, c, 3, 2, size)]
    for t, k, stride, out in blocks_of(table):
        if t == 6:
            found.append(("expand", c, 6 * c, 1, 1, size))
        size = math.ceil(size / stride)
        found.extend(
            [
                ("depthwise", t * c, t * c, k, stride, size),
                ("reduce", t * c, c // 4, 1, 1, 1),
                ("restore", c // 4, t * c, 1, 1, 1),
                ("project", t * c, out, 1, 1, size),
            ]
        )
        found += [("skip", c, c, 1, 1, size)] * (stride == 1 and c == out)
        c = out
    return (*found, ("head", c, 1280, 1, 1, size), ("dense", 1280, classes, 1, 1, 1))


# ---- L4


def round_filters(filters, width_mult):
    return make_divisible(filters * width_mult)


def efficientnet_config(width_mult, depth_mult):
    channels, repeats = (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)
    stem, *wide, head = [round_channels(width_mult * c) for c in (32, *channels, 1280)]
    return [stem, list(zip(wide, [-int(-depth_mult * n // 1) for n in repeats], strict=True)), head]


def phi_of(depth_mult, width_mult, resolution):
    return [math.log(depth_mult, 1.2), math.log(width_mult, 1.1), math.log(resolution / 224, 1.15)]


# ---- L5


def convert_weights(kind, arrays, source):
    if kind == "norm":
        first_two = ("gamma", "beta") if source == "torch" else ("beta", "gamma")
        names = [*first_two, "running_mean", "running_var"]
        return {name: np.array(arrays[i]) for i, name in enumerate(names)}
    first = np.asarray(arrays[0])
    if source == "torch":
        first = np.moveaxis(first, (0, 1), (-1, -2))  # output channels last, those of the input before them
    if kind == "pointwise":
        first = first.reshape(first.shape[2:])
    if kind == "depthwise":
        first = first.reshape(*first.shape[:2], -1)
    return {"weight": first, **({"bias": arrays[1]} if kind == "dense" else {})}


def preprocess(image, size, resize, mean, std, channels="RGB"):
    h, w = image.shape[:2]
    tall, wide = (resize, resize * w // h) if h <= w else (resize * h // w, resize)
    top, left = (tall - size) // 2, (wide - size) // 2
    small = Image.fromarray(image).resize((wide, tall), Image.BILINEAR)
    planes = small.crop((left, top, left + size, top + size)).split()
    order = planes if channels == "RGB" else planes[::-1]
    return np.stack([(np.float64(p) - m) / s for p, m, s in zip(order, mean, std, strict=True)], -1)


def first_divergence(mine, reference, x, tolerance=1e-4):
    def differs(y, want):
        return (
            y.shape != want.shape or not ((y - want) ** 2).sum() ** 0.5 <= tolerance * (want**2).sum() ** 0.5
        )

    for (name, layer), (_, other) in zip(mine.children(), reference.children(), strict=True):
        if found := first_divergence(layer, other, x, tolerance):
            return f"{name}.{found}"
        want = other(x)
        if differs(layer(x), want):
            return name
        x = want
    return None


def which_convention(y, x, w, gamma, beta, mean, var, stride=2, epsilons=(1e-3, 1e-5)):
    best = ("", 0.0, math.inf)
    for padding, eps in itertools.product(("symmetric", "same"), epsilons):
        h = conv2d_forward(x, w, stride, padding)
        error = np.sqrt(((gamma * (h - mean) / np.sqrt(var + eps) + beta - y) ** 2).sum() / (y**2).sum())
        if error < best[2]:
            best = (padding, eps, float(error))
    return list(best)


def pickle_calls(data):
    """A machine with a stack of stacks: a mark opens a new one, as pickle.py does it."""
    stacks, memo, imported, called = [[]], {}, {}, {}

    def look_up(name):
        imported[name] = None
        return ("name", name)

    def call(thing):
        if isinstance(thing, tuple):
            called[thing[1]] = None

    for opcode, argument, _ in pickletools.genops(data):
        kind, stack = opcode.name, stacks[-1]
        if kind == "MARK":
            stacks.append([])
        elif kind == "GLOBAL":
            stack.append(look_up(argument.replace(" ", ".")))
        elif kind == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(look_up(f"{module}.{name}"))
        elif kind in ("INST", "OBJ"):
            inside = stacks.pop()
            call(look_up(argument.replace(" ", ".")) if kind == "INST" else inside[0])
            stacks[-1].append(None)
        elif kind in ("REDUCE", "NEWOBJ"):
            stack.pop()
            call(stack.pop())
            stack.append(None)
        elif kind == "NEWOBJ_EX":
            stack.pop(), stack.pop()
            call(stack.pop())
            stack.append(None)
        elif kind == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif kind.endswith("PUT"):
            memo[argument] = stack[-1]
        elif kind.endswith("GET"):
            stack.append(memo[argument])
        elif kind == "DUP":
            stack.append(stack[-1])
        elif kind == "POP_MARK":
            stacks.pop()
        elif any(
            item.name == "mark" for item in opcode.stack_before
        ):  # TUPLE, LIST, DICT, SETITEMS, APPENDS, ...
            stacks.pop()
            for _ in range([item.name for item in opcode.stack_before].index("mark")):
                stacks[-1].pop()
            stacks[-1].extend([None] * len(opcode.stack_after))
        else:
            del stack[len(stack) - len(opcode.stack_before) :]
            stack += [argument] * len(opcode.stack_after)
    return [list(imported), list(called)]


# ---- L6


def set_trainable(model, optimiser, names):
    every = {name: item for name, item in named_arrays(model) if isinstance(item, Parameter)}
    chosen = [p for name, p in every.items() if name.startswith(tuple(f"{n}." for n in names))]
    for p in every.values():
        p.trainable = p in chosen
    optimiser.parameters[:] = chosen


def precompute_features(body, loader, cache):
    images, labels = zip(*[loader.split[i] for i in range(len(loader.split))], strict=True)
    key = tuple(item.value.tobytes() for _, item in named_arrays(body)), np.stack(images).tobytes()
    if key not in cache:
        size, rows = loader.batch_size, []
        while len(rows) * size < len(images):
            rows.append(body(np.stack(images[len(rows) * size : (len(rows) + 1) * size])))
        cache[key] = np.vstack(rows)
    return [cache[key], list(labels)]


def new_head(model, classes, rng):
    old = model.classifier
    head = Dense(old.weight.shape[0], classes)
    head.weight.value = (1e-4 * rng.standard_normal(head.weight.shape)).astype(old.weight.value.dtype)
    head.bias.value = np.zeros(classes, old.weight.value.dtype)
    model.classifier = head
    return model


def unfreeze_from(model, until):
    names = [name for name, _ in named_layers(model)]
    inside = [
        n
        for n, layer in named_layers(model)
        if isinstance(layer, Residual | Gate) and until.startswith(f"{n}.")
    ]
    if until not in names or inside:
        raise ValueError(f"{until!r} is no place to cut")
    learns = False
    for name, item in named_arrays(model):
        learns = learns or name.startswith(f"{until}.")
        if isinstance(item, Parameter):
            item.trainable = learns
    return model


# ---- L7


def flip(image, label, partner, rng, p=0.5):
    if partner[label] is not None and rng.uniform() < p:
        return [np.flip(image, 1), partner[label]]
    return [image, label]


def random_crop(image, rng, padding=4):
    n, (h, w, c) = round(padding), image.shape
    black = np.zeros((h + 2 * n, w + 2 * n, c), image.dtype)
    black[n : n + h, n : n + w] = image
    top, left = int(rng.integers(0, 2 * n, endpoint=True)), int(rng.integers(0, 2 * n, endpoint=True))
    return black[top : top + h, left : left + w]


def affine_matrix(degrees, shear, scale):
    c, s, t = (f(math.radians(v)) for f, v in ((math.cos, degrees), (math.sin, degrees), (math.tan, shear)))
    return [[scale * (c - s * t), -scale * s], [scale * (s + c * t), scale * c]]


def warp(image, matrix, shift=(0, 0), fill=None):
    h, w, _ = image.shape
    new = np.zeros_like(image)
    for i, j in np.ndindex(h, w):
        moved = np.array([i - (h - 1) / 2 - shift[0], j - (w - 1) / 2 - shift[1]])
        y, x = np.linalg.solve(matrix, moved) + np.array([(h - 1) / 2, (w - 1) / 2])
        if fill is not None and not (-0.5 <= y <= h - 0.5 and -0.5 <= x <= w - 0.5):
            new[i, j] = fill
            continue
        top, left = math.floor(y), math.floor(x)
        for a, b in itertools.product((0, 1), repeat=2):
            part = (1 - abs(y - top - a)) * (1 - abs(x - left - b))
            new[i, j] += part * image[min(max(top + a, 0), h - 1), min(max(left + b, 0), w - 1)]
    return new


def colour_shift(x, rng, amount=20):
    new = np.empty_like(x)
    for n, c in itertools.product(range(len(x)), range(x.shape[3])):
        new[n, ..., c] = np.minimum(
            np.maximum(x[n, ..., c].astype(int) + int(rng.integers(-amount, amount + 1)), 0), 255
        )
    return new


def fit_pca_colour(images):
    pixels = np.concatenate([np.reshape(image, (-1, image.shape[-1])) for image in images])
    _, singular, axes = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)
    return [(singular**2 / len(pixels)).tolist(), axes.T.tolist()]


def pca_colour(image, rng, std=0.1, values=(0.2175, 0.0188, 0.0045), vectors=None):
    moved = np.zeros(len(values))
    for k, (a, l) in enumerate(zip(std * rng.standard_normal(len(values)), values, strict=True)):
        moved += a * l * np.array([row[k] for row in vectors])
    return np.minimum(np.maximum(image + moved, 0), 1).astype(image.dtype)


# ---- L8


def prefetch(pool, make, jobs, ahead):
    """With a queue of futures, filled one job at a time."""
    waiting, jobs = queue.Queue(), iter(jobs)
    for job in itertools.islice(jobs, ahead + 1):
        waiting.put(pool.submit(make, job))
    while not waiting.empty():
        yield waiting.get().result()
        for job in itertools.islice(jobs, 1):
            waiting.put(pool.submit(make, job))


def made_ahead(make, jobs, workers, ahead):
    """With threads of its own: a lock round the iterator, a slot for each result."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting = []
        try:
            for job in jobs:
                waiting = [*waiting, pool.submit(make, job)]
                if len(waiting) == ahead + 1:
                    first, *waiting = waiting
                    yield first.result()
            for future in waiting:
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def pipeline_rate(making, training, workers, threads=1, cores=2):
    if not workers:
        return [making * training / (making + training), "in turn"]
    per_batch = {
        "loading": 1 / (workers * making),
        "training": 1 / training,
        "cores": (1 / making + threads / training) / cores,
    }
    slowest, seconds = max(per_batch.items(), key=lambda item: item[1])
    return [1 / seconds, slowest]


# ---- L9


def hog(x, cell=4, bins=8):
    found = np.zeros((len(x), x.shape[1] // cell, x.shape[2] // cell, bins))
    for n, image in enumerate(x):
        down, right = np.gradient(image)
        for i, j in np.ndindex(image.shape):
            angle = math.atan2(down[i, j], right[i, j])
            angle += math.pi * (angle < 0)
            part = min(int(angle / (math.pi / bins)), bins - 1)
            found[n, i // cell, j // cell, part] += abs(complex(down[i, j], right[i, j]))
        found[n] /= 1e-6 + np.linalg.norm(found[n])
    return found


def iou(a, b):
    found = []
    for (t, l, d, r), (u, k, e, s) in zip(a.tolist(), b.tolist(), strict=True):
        apart = t >= e or u >= d or l >= s or k >= r
        shared = 0 if apart else (min(d, e) - max(t, u)) * (min(r, s) - max(l, k))
        found.append(shared / ((d - t) * (r - l) + (e - u) * (s - k) - shared))
    return found


def ensemble(models, how="probabilities", weights=None):
    """A network after the other, in a class that can be called; logits by the product of probabilities."""
    weights = [1] * len(models) if weights is None else weights

    class Together:
        def __call__(self, x):
            total = 0
            for model, weight in zip(models, weights, strict=True):
                z = np.asarray(model(x))
                z = z - z.max(1)[:, None]
                part = np.exp(z) / np.exp(z).sum(1)[:, None]
                if how == "votes":
                    part = (np.arange(z.shape[1]) == z.argmax(1)[:, None]).astype(float)
                total = total + weight / sum(weights) * (z if how == "logits" else part)
            if how == "logits":
                total = np.exp(total - total.max(1)[:, None])
            return (total / total.sum(1)[:, None]).tolist()

    return Together()


def ten_crop(x, size):
    _, h, w, _ = x.shape
    tops, lefts = (
        [0, 0, h - size, h - size, round((h - size) / 2)],
        [0, w - size] * 2 + [round((w - size) / 2)],
    )
    views = []
    for image in (x, np.flip(x, 2)):
        views += [image[:, t : t + size, l : l + size] for t, l in zip(tops, lefts, strict=True)]
    return np.array(views)


def gain_interval(first, second, rows, level=0.95):
    gains = [np.mean(second[row]) - np.mean(first[row]) for row in rows]
    return [
        np.mean(second) - np.mean(first),
        *np.percentile(gains, [50 - 50 * level, 50 + 50 * level]).tolist(),
    ]


def within_budget(ways, budget, share=0.95):
    kept = []
    for name, (accuracy, (_, *counted)) in ways.items():
        runs = sorted(counted)
        at = share * (len(runs) - 1)
        below = int(at)
        after = runs[min(below + 1, len(runs) - 1)]
        milliseconds = runs[below] + (at - below) * (after - runs[below])
        if not milliseconds > budget:
            kept.append((accuracy, -milliseconds, name))
    return tuple([name, -negative] for _, negative, name in sorted(kept, reverse=True))


# ---- L10


def work_of(kind, height, width, in_channels, out_channels, kernel_size):
    a_filter = {"whole": kernel_size**2 * in_channels, "depthwise": kernel_size**2, "pointwise": in_channels}[
        kind
    ]
    numbers = [height * width * in_channels, a_filter * out_channels, height * width * out_channels]
    return [(a_filter + a_filter) * numbers[2], np.dtype(np.float32).itemsize * sum(numbers)]


def best_time(run, clock, rounds=5):
    def once():
        before = clock()
        run()
        return clock() - before

    once()
    return min(once() for _ in range(rounds))


def im2col(x, kernel_size, stride=1, padding="same"):
    pads, (oh, ow) = resolve(padding, x.shape[1:3], kernel_size, stride)
    xp = pad(x, pads)
    return np.stack([
        xp[n, i * stride : i * stride + kernel_size, j * stride : j * stride + kernel_size].ravel()
        for n, i, j in np.ndindex(len(x), oh, ow)
    ])  # fmt: skip


def shared_dw(dy, x, turns, prange):
    """Every turn owns some rows of dw."""
    dw = np.zeros((x.shape[1], dy.shape[1]))
    for turn in prange(turns):
        for i in range(turn, x.shape[1], turns):
            dw[i] = dy.T @ x[:, i]
    return dw.tolist()


def tile(machine, x, w, y, i, j):
    sums = {(m, v): machine.zeros() for m in range(6) for v in range(2)}
    left, right = (max(0, min(8, y.shape[1] - at)) for at in (j, j + 8))
    for k in range(len(w)):
        a, b = machine.load(w, k, j, left), machine.load(w, k, j + 8, right)
        for m in range(6):
            number = machine.spread(x, i + m, k)
            machine.add_product(sums[m, 1], number, b)
            machine.add_product(sums[m, 0], number, a)
    for (m, v), total in sums.items():
        machine.store(y, i + m, j + 8 * v, total, right if v else left)


STYLES = {
    "L0.relu_backward": lambda dy, x: np.where(x > 0, dy, 0.0).tolist(),
    "L0.numeric_grad": numeric_grad,
    "L0.same_padding": same_padding,
    "L0.conv2d_forward": conv2d_forward,
    "L0.conv2d_backward_dw": conv2d_backward_dw,
    "L0.conv2d_backward_dx": conv2d_backward_dx,
    "L0.conv2d_backward": conv2d_backward,
    "L0.batch_norm_forward": batch_norm_forward,
    "L0.batch_norm_backward": batch_norm_backward,
    "L0.batch_norm_frozen": batch_norm_frozen,
    "L0.find_the_bug": find_the_bug,
    "L0.complex_step_grad": complex_step_grad,
    "L1.conv_cost": conv_cost,
    "L1.depthwise_forward": depthwise_forward,
    "L1.depthwise_backward": depthwise_backward,
    "L1.pointwise_forward": lambda x, w: np.einsum("...c,co->...o", x, w),
    "L1.pointwise_backward": pointwise_backward,
    "L1.mobilenet_v1": mobilenet_v1,
    "L2.relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "L2.relu6_backward": lambda dy, x: np.where((x <= 0) | (x >= 6), 0, dy),
    "L2.inverted_residual_rows": inverted_residual_rows,
    "L2.inverted_residual_forward": inverted_residual_forward,
    "L2.sequential_backward": sequential_backward,
    "L2.residual_backward": residual_backward,
    "L2.make_divisible": make_divisible,
    "L2.mobilenet_v2": mobilenet_v2,
    "L3.swish": lambda x: x * (0.5 + 0.5 * np.tanh(x / 2)),
    "L3.swish_backward": swish_backward,
    "L3.gate_backward": lambda dy, x, g: [g * dy, np.einsum("nhwc,nhwc->nc", dy, x)[:, None, None]],
    "L3.squeeze_excite_forward": squeeze_excite_forward,
    "L3.squeeze_excite_backward": squeeze_excite_backward,
    "L3.se_channels": se_channels,
    "L3.stochastic_depth": stochastic_depth,
    "L3.stochastic_depth_backward": lambda dy, keep: [np.array(dy), np.multiply(keep, dy)],
    "L3.efficientnet_b0": efficientnet_b0,
    "L4.round_filters": round_filters,
    "L4.round_repeats": lambda repeats, depth_mult: -int(-repeats * depth_mult // 1),
    "L4.efficientnet_config": efficientnet_config,
    "L4.cost_factor": lambda depth, width, resolution: np.prod([depth, width, width, resolution, resolution]),
    "L4.solve_gamma": lambda alpha, beta, budget=2.0: math.sqrt(budget / alpha) / beta,
    "L4.phi_of": phi_of,
    "L5.convert_weights": convert_weights,
    "L5.preprocess": preprocess,
    "L5.first_divergence": first_divergence,
    "L5.which_convention": which_convention,
    "L5.pickle_calls": pickle_calls,
    "L6.set_trainable": set_trainable,
    "L6.precompute_features": precompute_features,
    "L6.new_head": new_head,
    "L6.unfreeze_from": unfreeze_from,
    "L7.flip": flip,
    "L7.random_crop": random_crop,
    "L7.affine_matrix": affine_matrix,
    "L7.warp": warp,
    "L7.colour_shift": colour_shift,
    "L7.fit_pca_colour": fit_pca_colour,
    "L7.pca_colour": pca_colour,
    "L8.random_stream": lambda seed, epoch, image: np.random.Generator(np.random.PCG64([seed, epoch, image])),
    "L8.prefetch": prefetch,
    "L8.made_ahead": made_ahead,
    "L8.pipeline_rate": pipeline_rate,
    "L10.work_of": work_of,
    "L10.roofline": lambda flop, moved, peak_flops, peak_bytes: max(
        [moved / peak_bytes, "memory"], [flop / peak_flops, "arithmetic"]
    ),
    "L10.best_time": best_time,
    "L10.im2col": im2col,
    "L10.shared_dw": shared_dw,
    "L10.tile": tile,
    "L9.hog": hog,
    "L9.iou": iou,
    "L9.ensemble": ensemble,
    "L9.ten_crop": ten_crop,
    "L9.gain_interval": gain_interval,
    "L9.within_budget": within_budget,
}
