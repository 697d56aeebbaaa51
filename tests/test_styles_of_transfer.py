"""Right answers to L5 and L6 that are written in another way pass."""

import hashlib
import pickle
from io import BytesIO

import numpy as np
import pytest

from lessons import judge
from lessons.catalogue import find
from mini_nn.core import Parameter, named_arrays, named_layers, parameters
from mini_nn.layers import Dense, Gate, Residual


def by_moveaxis(kind, arrays, source):
    from_torch = source == "torch"
    if kind == "norm":
        a, b, mean, var = arrays
        gamma, beta = (a, b) if from_torch else (b, a)
        return {"running_var": var, "running_mean": mean, "beta": beta, "gamma": gamma}
    w = arrays[0]
    if from_torch and w.ndim == 4:
        w = np.moveaxis(np.moveaxis(w, 1, -1), 0, -1)  # (K, K, I, O), with I = 1 for depthwise
        w = w[:, :, 0] if kind == "depthwise" else w
    elif from_torch:
        w = np.swapaxes(w, 0, 1)
    elif kind == "depthwise":
        w = np.concatenate(list(np.moveaxis(w, 3, 0)), -1)
    found = {"weight": w[0, 0] if kind == "pointwise" else w}
    return found | ({"bias": arrays[1]} if kind == "dense" else {})


def prepared_in_float32(image, size, resize, mean, std, channels="RGB"):
    from PIL import Image

    photo = Image.fromarray(image)
    width, height = photo.size
    if width < height:
        photo = photo.resize((resize, resize * height // width), Image.Resampling.BILINEAR)
    else:
        photo = photo.resize((resize * width // height, resize), Image.Resampling.BILINEAR)
    left, top = (photo.width - size) // 2, (photo.height - size) // 2
    planes = photo.crop((left, top, left + size, top + size)).split()
    planes = planes if channels == "RGB" else planes[::-1]
    scaled = [
        (np.float32(p) - np.float32(m)) / np.float32(s) for p, m, s in zip(planes, mean, std, strict=True)
    ]
    return np.dstack(scaled)


def divergence_by_a_list(mine, reference, x, tolerance=1e-4):
    found = []

    def walk(ours, theirs, x, path):
        for (name, a), (_, b) in zip(ours.children(), theirs.children(), strict=True):
            walk(a, b, x, [*path, name])
            got, want = a(x), b(x)
            size = np.sqrt((want**2).sum())
            fits = got.shape == want.shape and np.sqrt(((got - want) ** 2).sum()) <= tolerance * size
            if not fits:
                found.append(".".join([*path, name]))
            x = want

    walk(mine, reference, x, [])
    return found[0] if found else None


def convention_by_a_table(y, x, w, gamma, beta, mean, var, stride=2, epsilons=(1e-3, 1e-5)):
    from mini_nn.ops import conv

    table = {}
    for eps in epsilons:
        for padding in ("symmetric", "same"):
            h = conv.forward(x, w * (gamma / np.sqrt(var + eps)), stride, padding)  # folded
            guess = h + beta - gamma * mean / np.sqrt(var + eps)
            table[padding, eps] = np.sqrt(((guess - y) ** 2).sum() / (y**2).sum())
    padding, eps = min(table, key=table.get)
    return [padding, eps, table[padding, eps]]


def calls_by_a_harmless_unpickler(data):
    """Python's own unpickler in Python, whose find_class makes classes that only take notes."""
    imported, called = [], []

    def note(name):
        def new(cls, *args, **kwargs):
            called.append(name)
            return object.__new__(cls)

        def ignore(self, *args):
            return None

        names = ("__init__", "__setstate__", "__setitem__", "append", "extend")
        return type(
            "Noted", (), {"__new__": new, **dict.fromkeys(names, lambda self, *a, **k: None), "add": ignore}
        )

    class Reader(pickle._Unpickler):
        def find_class(self, module, name):
            imported.append(f"{module}.{name}")
            return note(imported[-1])

    Reader(BytesIO(data)).load()
    return sorted(set(imported), key=imported.index), sorted(set(called), key=called.index)


def trainable_by_layers(model, optimiser, names):
    chosen = {id(p) for where, layer in named_layers(model) if where in names for p in parameters(layer)}
    optimiser.parameters = []
    for p in parameters(model):
        p.trainable = id(p) in chosen
        if p.trainable:
            optimiser.parameters += [p]


def features_by_slices(body, loader, cache):
    split = loader.split
    labels = [split[i][1] for i in range(len(split))]
    parts = [item.value.tobytes() for _, item in named_arrays(body)]
    parts += [split[i][0].tobytes() for i in range(len(split))]
    key = hashlib.md5(b"|".join(parts)).hexdigest()
    if key in cache:
        return cache[key], np.array(labels)
    rows, start = [], 0
    while start < len(split):
        stop = min(start + max(loader.batch_size - 1, 2), len(split))  # smaller batches than allowed
        rows.extend(body(np.array([split[i][0] for i in range(start, stop)])))
        start = stop
    cache[key] = np.array(rows)
    return cache[key], np.array(labels)


def head_of_zeros(model, classes, rng):
    model.classifier = Dense(model.classifier.weight.shape[0], classes)
    model.classifier.weight.value = np.zeros(model.classifier.weight.shape, np.float32)
    model.classifier.bias.value = np.zeros(classes, np.float32)
    return model


def unfrozen_from_the_end(model, until="classifier"):
    layers = dict(named_layers(model))
    if until not in layers or not until:
        raise ValueError(f"no layer {until}")
    above = until.split(".")[:-1]
    if any(isinstance(layers[".".join(above[: i + 1])], Residual | Gate) for i in range(len(above))):
        raise ValueError(f"{until} is inside a sum")
    learns = True
    for name, p in reversed([(n, p) for n, p in named_arrays(model) if isinstance(p, Parameter)]):
        inside = name.startswith(until + ".")
        if not inside and done_with(until, name, model):
            learns = False
        p.trainable = learns
    return model


def done_with(until, name, model):
    """Whether the array lies before the layer."""
    names = [n for n, _ in named_arrays(model)]
    return names.index(name) < min(i for i, n in enumerate(names) if n.startswith(until + "."))


STYLES = {
    "L5.convert_weights": by_moveaxis,
    "L5.preprocess": prepared_in_float32,
    "L5.first_divergence": divergence_by_a_list,
    "L5.which_convention": convention_by_a_table,
    "L5.pickle_calls": calls_by_a_harmless_unpickler,
    "L6.new_head": head_of_zeros,
    "L6.set_trainable": trainable_by_layers,
    "L6.precompute_features": features_by_slices,
    "L6.unfreeze_from": unfrozen_from_the_end,
}


@pytest.mark.parametrize("id", STYLES)
def test_right_answers_in_another_style_pass(id):
    result = judge.judge(find(id), lambda: STYLES[id])
    assert result.passed, result
