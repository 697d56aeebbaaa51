"""L5, open-source implementations: what is asked, the cases, and the mistakes that have a name."""

import importlib
import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn.core import Layer
from mini_nn.layers import Residual, Sequential
from mini_nn.ops import Array, batch_norm, conv

HERE = "lessons.05_open_source.exercises"
Rng = np.random.Generator
KINDS = ("conv", "depthwise", "pointwise", "dense", "norm")


def convert_weights(kind: str, arrays: Sequence[Array], source: str) -> dict[str, Array]:
    """Return one layer's arrays under our names and in our layout; source is "torch" or "tensorflow".

    | kind      | ours                          | torch          | tensorflow   |
    | conv      | weight (K, K, I, O)           | (O, I, K, K)   | (K, K, I, O) |
    | depthwise | weight (K, K, C)              | (C, 1, K, K)   | (K, K, C, 1) |
    | pointwise | weight (I, O)                 | (O, I, 1, 1)   | (1, 1, I, O) |
    | dense     | weight (I, O), bias (O,)      | (O, I), (O,)   | (I, O), (O,) |
    | norm      | gamma, beta, running_mean, running_var, (C,) each                   |
    torch lists a norm's arrays as weight (which is gamma), bias (beta), running_mean, running_var.  A TensorFlow checkpoint
    lists them by the alphabet: beta, gamma, moving_mean, moving_variance.
    """
    torch, first = source == "torch", arrays[0]
    if kind == "norm":
        scale_and_shift = ("gamma", "beta") if torch else ("beta", "gamma")
        return dict(zip((*scale_and_shift, "running_mean", "running_var"), arrays, strict=True))
    if kind == "conv":
        return {"weight": first.transpose(2, 3, 1, 0) if torch else first}
    if kind == "depthwise":
        return {"weight": first.squeeze(1).transpose(1, 2, 0) if torch else first.squeeze(3)}
    if kind == "pointwise":
        return {"weight": first.squeeze((2, 3)).T if torch else first.squeeze((0, 1))}
    return {"weight": first.T if torch else first, "bias": arrays[1]}


def preprocess(
    image: Array, size: int, resize: int, mean: Sequence[float], std: Sequence[float], channels: str = "RGB"
) -> Array:
    """Return (size, size, 3), what a model card asks for, of an image uint8 (H, W, 3) in RGB.

    1. The shorter side becomes `resize` pixels, the other resize * its length // the shorter one (Pillow, bilinear, on uint8).
    2. The middle size x size of that; of an odd pixel less at the top and at the left.
    3. The channels in the order that the network learned: "RGB" or "BGR".
    4. (x - mean) / std for x in 0..255; mean and std have a number for each channel, in the network's order.
    """
    height, width, _ = image.shape
    shorter = min(height, width)
    tall, wide = resize * height // shorter, resize * width // shorter
    small = np.asarray(Image.fromarray(image).resize((wide, tall), Image.Resampling.BILINEAR))
    top, left = (tall - size) // 2, (wide - size) // 2
    x = small[top : top + size, left : left + size]
    if channels == "BGR":
        x = x[..., ::-1]
    return (x - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)


def first_divergence(mine: Layer, reference: Layer, x: Array, tolerance: float = 1e-4) -> str | None:
    """Return the dotted name of the first layer in mine whose output differs from the reference's, or None.

    Both are trees of the same names: layer.children() lists (name, layer) in the order in which they run, each on what the
    one before it gave; layer(x) is the output.  Every layer of mine is given what the reference's layer is given, so
    that rounding does not add up.  The innermost layer is named; a block all of whose layers agree, and which differs, is
    named itself.  "Differs": another shape, or not ||y - want|| <= tolerance ||want||.
    """
    theirs = dict(reference.children())
    for name, layer in mine.children():
        inner = first_divergence(layer, theirs[name], x, tolerance)
        if inner:
            return f"{name}.{inner}"
        y, want = layer(x), theirs[name](x)
        if y.shape != want.shape or not np.linalg.norm(y - want) <= tolerance * np.linalg.norm(want):
            return name
        x = want
    return None


def which_convention(
    y: Array,
    x: Array,
    w: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    stride: int = 2,
    epsilons: Sequence[float] = (1e-3, 1e-5),
) -> tuple[str, float, float]:
    """Return (padding, eps, error): which of "same" and "symmetric", and which of `epsilons`, gave y, and how well it fits.

    y = gamma (h - mean) / sqrt(var + eps) + beta with h = conv(x, w, stride, padding), whose eps and padding nobody wrote down.
    error = ||y' - y|| / ||y|| of the best pair's y', over all numbers of all images.
    """
    fits = []
    for padding in ("same", "symmetric"):
        h = conv.forward(x, w, stride, padding)
        for eps in epsilons:
            error = np.linalg.norm(batch_norm.forward(h, gamma, beta, mean, var, eps) - y)
            fits.append((float(error / np.linalg.norm(y)), padding, eps))
    error, padding, eps = min(fits)
    return padding, eps, error


class Name(str):
    """A "module.name" that a pickle has looked up."""


def pickle_calls(data: bytes) -> tuple[list[str], list[str]]:
    """Return (imported, called): what pickle.loads(data) would look up, and what it would call.  Nothing is run.

    "module.name", each once, in order.  GLOBAL, INST and STACK_GLOBAL look a name up; REDUCE, NEWOBJ, NEWOBJ_EX, OBJ and INST
    call one.  pickletools.genops(data) yields (opcode, argument, position); opcode.stack_before and stack_after list what
    it takes from the stack and puts there, "stackslice" standing for all down to the last mark.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    imported: list[str] = []
    called: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        kind, takes = opcode.name, [item.name for item in opcode.stack_before]
        start = len(stack) - len(takes)
        if "stackslice" in takes:
            start = len(stack) - 1 - stack[::-1].index("MARK") - takes.index("mark")
        taken, stack = stack[start:], stack[:start]
        value: Any = argument  # a string, if it is one
        if kind == "MARK":
            value = "MARK"
        elif kind in {"GLOBAL", "INST", "STACK_GLOBAL"}:
            value = Name(".".join(taken) if kind == "STACK_GLOBAL" else argument.replace(" ", "."))
            imported.append(value)
        elif kind in {"GET", "BINGET", "LONG_BINGET"}:
            value = memo[argument]
        elif kind in {"DUP", "MEMOIZE"}:
            [value] = taken
        if kind in {"PUT", "BINPUT", "LONG_BINPUT"}:
            memo[argument] = stack[-1]
        elif kind == "MEMOIZE":
            memo[len(memo)] = value
        elif kind in {"REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"}:
            called.append(value if kind == "INST" else taken[kind == "OBJ"])
        stack += [value] * len(opcode.stack_after)
    return list(dict.fromkeys(imported)), [name for name in dict.fromkeys(called) if isinstance(name, Name)]


# ---- cases


def weights_cases(rng: Rng) -> Iterator[Case]:
    for k, i, o in ((1, 2, 2), (3, 4, 4), (3, 2, 5), (5, 3, 4)):
        shapes = {
            "torch": ((o, i, k, k), (i, 1, k, k), (o, i, 1, 1), (o, i)),
            "tensorflow": ((k, k, i, o), (k, k, i, 1), (1, 1, i, o), (i, o)),
        }
        for source, four in shapes.items():
            layers = {kind: [rng.normal(size=shape)] for kind, shape in zip(KINDS, four, strict=False)}
            layers["dense"].append(rng.normal(size=o))
            layers["norm"] = [rng.normal(size=o) for _ in range(3)] + [rng.uniform(0.5, 2, o)]
            yield {"layers": layers, "source": source}


def use_weights(convert: Function, case: Case) -> tuple[Any, ...]:
    return tuple(convert(kind, case["layers"][kind], case["source"]) for kind in KINDS)


IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
HALF, LITE, CAFFE = (
    ((127.5,) * 3,) * 2,
    ((127.0,) * 3, (128.0,) * 3),
    ((103.939, 116.779, 123.68), (1.0,) * 3),
)


def photograph_cases(rng: Rng) -> Iterator[Case]:
    settings = (
        ((6, 6), 4, 6, HALF, "RGB"),
        ((9, 14), 4, 6, LITE, "RGB"),
        ((15, 10), 5, 8, IMAGENET, "RGB"),
        ((13, 21), 7, 7, CAFFE, "BGR"),
        ((20, 11), 6, 9, IMAGENET, "BGR"),
        ((5, 7), 8, 11, LITE, "RGB"),
    )
    for (height, width), size, resize, (mean, std), channels in settings:
        rows, columns = np.indices((height, width))
        smooth = np.stack(
            [20 * rows + 5 * columns, 3 * rows + 15 * columns, 255 - 9 * rows - 4 * columns], -1
        )
        image = np.clip(smooth + rng.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)
        yield {"image": image, "size": size, "resize": resize, "mean": mean, "std": std, "channels": channels}


class Affine(Layer):
    """y = scale x + shift, each a number or one a feature: a layer to try the search on."""

    def __init__(self, scale: Any = 1.0, shift: Any = 0.0) -> None:
        self.scale, self.shift = np.asarray(scale, np.float64), np.asarray(shift, np.float64)

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        return self.scale * x + self.shift, None

    def backward(self, dy: Array, cache: Any) -> Array:
        return self.scale * dy


class Cut(Affine):
    """y = min(x, shift): two of them may agree on one input and not on another."""

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        return np.minimum(x, self.shift), None


class Fewer(Affine):
    """One that loses the last feature."""

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        return super().forward(x, train)[0][..., :-1], None


def tree(join: Callable[..., Layer] = Residual, **changes: Layer) -> Layer:
    """stem; stages.0 with expand and project; stages.1, which may be a sum; head."""

    def part(name: str, scale: float, shift: float) -> Layer:
        return changes.get(name, Affine(scale, shift))

    first = Sequential(expand=part("expand", 1.5, -0.2), project=part("project", -0.7, 0.4))
    second = join(expand=part("widen", 0.6, 0.1), project=part("thin", 1.1, -0.3))
    stages = Sequential(first, second)
    return Sequential(stem=part("stem", 2.0, 0.5), stages=stages, head=part("head", 0.3, 0.0))


def divergence_cases(rng: Rng) -> Iterator[Case]:
    x, mixed = rng.normal(size=(2, 4)), np.array([0.1, -0.1, 0.1, -0.1])
    drifting = {name: Affine(1 + 4e-5) for name in ("stem", "expand", "project", "widen", "thin", "head")}
    plain = {name: Affine() for name in drifting}
    pairs: list[tuple[Layer, Layer]] = [
        (tree(), tree()),
        (tree(head=Affine(0.31)), tree()),
        (tree(stem=Affine(2.0, 0.6)), tree()),
        (tree(project=Affine(-0.7, 0.5), head=Affine(0.2)), tree()),
        (tree(thin=Affine(1.2, -0.3)), tree()),
        (tree(Sequential), tree()),  # the skip is missing: all layers agree, the block does not
        (tree(widen=Affine(0.6, 0.1 + mixed)), tree()),  # a difference whose mean is 0
        (tree(expand=Affine(1.5, 0.3), head=Affine(0.0)), tree(head=Affine(0.0))),  # the end hides it
        (
            tree(expand=Affine(3.0, -0.4), project=Affine(-0.35, 0.4)),
            tree(),
        ),  # two that make up for each other
        (tree(stem=Affine(1.1e-6)), tree(stem=Affine(1e-6))),  # small numbers
        (tree(stem=Affine(1e6, 1.0)), tree(stem=Affine(1e6))),  # large numbers
        (tree(Sequential, **drifting), tree(Sequential, **plain)),  # rounding that would add up
        (tree(project=Affine(np.nan)), tree()),
        (tree(head=Fewer(0.3)), tree()),
        (tree(head=Affine(0.0)), tree(head=Affine(0.0))),  # nothing but zeros
        (
            tree(stem=Affine(40.0), head=Cut(1, 9.0)),
            tree(stem=Affine(40.0), head=Cut(1, 8.0)),
        ),  # only large inputs tell
        (
            tree(stem=Affine(0.01), head=Cut(1, 0.7)),
            tree(stem=Affine(0.01), head=Cut(1, 0.8)),
        ),  # the image itself would
    ]
    for mine, reference in pairs:
        yield {"mine": mine, "reference": reference, "x": x}
    yield {"mine": tree(stem=Affine(2.02, 0.5)), "reference": tree(), "x": x, "tolerance": 0.1}
    yield {"mine": tree(stem=Affine(2.0, 0.5 + 1e-5)), "reference": tree(), "x": x, "tolerance": 1e-7}
    for name in ("stem", "thin"):  # 10 % of the reference's size, 9 % of mine
        large, right = tree(Sequential, **{name: Affine(1.1)}), tree(Sequential, **{name: Affine(1.0)})
        yield {"mine": large, "reference": right, "x": x, "tolerance": 0.095}
    large, right = (Sequential(body=Sequential(only=Affine(scale))) for scale in (1.1, 1.0))
    yield {"mine": large, "reference": right, "x": x, "tolerance": 0.095}
    one = np.zeros((2, 4))
    one[1, 3] = 5e-3  # one number of many
    yield {"mine": tree(stem=Affine(2.0, 0.5 + one)), "reference": tree(), "x": x}
    many = rng.normal(size=(20, 4))
    lone = np.zeros((20, 4))
    lone[7, 2] = 1e-3  # one number off by more than 1e-4, the whole by less
    yield {"mine": tree(stem=Affine(2.0, 0.5 + lone)), "reference": tree(), "x": many}


def convention_cases(rng: Rng) -> Iterator[Case]:
    settings: tuple[tuple[str, float, tuple[int, ...], int, int, float, tuple[float, ...]], ...] = (
        ("same", 1e-3, (1, 6, 6, 2), 3, 2, 0.0, (1e-3, 1e-5)),
        ("symmetric", 1e-5, (1, 6, 8, 2), 3, 2, 0.0, (1e-3, 1e-5)),
        ("symmetric", 1e-3, (2, 8, 6, 3), 3, 2, 1e-6, (1e-3, 1e-5)),
        ("same", 1e-5, (2, 6, 8, 3), 5, 2, 1e-6, (1e-3, 1e-5)),
        ("same", 2e-3, (3, 4, 6, 2), 3, 2, 1e-6, (1e-2, 2e-3, 1e-3, 1e-5)),
        ("symmetric", 1e-2, (3, 8, 8, 2), 3, 2, 1e-6, (1e-5, 1e-3, 1e-2)),
        ("symmetric", 1e-5, (1, 5, 5, 2), 4, 1, 1e-6, (1e-3, 1e-5)),
    )
    for padding, eps, shape, k, stride, noise, epsilons in settings:
        x, w = rng.normal(size=shape), rng.normal(size=(k, k, shape[3], 3)) / k
        gamma, beta, mean = (rng.normal(size=3) for _ in range(3))
        var = np.array([4e-3, 3e-2, 1.0])
        y = batch_norm.forward(conv.forward(x, w, stride, padding), gamma, beta, mean, var, eps)  # type: ignore[arg-type]
        y = y + noise * rng.normal(size=y.shape)
        yield {"y": y, "x": x, "w": w, "gamma": gamma, "beta": beta, "mean": mean, "var": var} | {
            "stride": stride, "epsilons": epsilons
        }  # fmt: skip


TRAPPED: list[str] = []  # who was really called


def trap(text: str) -> str:
    """What a hostile pickle would call; this one only takes a note."""
    TRAPPED.append(text)
    return text


class Hostile:
    """Its pickle calls trap."""

    def __reduce__(self) -> tuple[Any, ...]:
        return trap, ("caught",)


class Made:
    """Its pickle calls its class (NEWOBJ), and fills it (BUILD)."""

    def __init__(self) -> None:
        self.weight = 3


def dumped(thing: Any, protocol: int) -> bytes:
    """Without the framing that differs between versions of Python."""
    file = io.BytesIO()
    pickle.Pickler(file, protocol).dump(thing)
    return file.getvalue()


def pickle_cases(_: Rng) -> Iterator[Case]:
    yield {"data": dumped({"epoch": 3, "rate": 0.1, "names": ["a", "b"]}, 2)}
    yield {"data": dumped(OrderedDict(a=1), 2)}
    yield {"data": dumped(OrderedDict(a=(1, 2)), 4)}
    yield {"data": dumped(len, 0)}  # looked up and not called
    yield {"data": dumped({"weights": [1.0, 2.0], "model": Hostile()}, 2)}
    yield {"data": dumped([Hostile(), len, Hostile(), Made()], 4)}
    yield {"data": dumped([Made(), OrderedDict(), len], 0)}
    module = HERE.encode()
    yield {"data": b"(S'caught'\ni" + module + b"\ntrap\n."}  # INST, of protocol 0
    yield {"data": b"(c" + module + b"\ntrap\nS'caught'\no."}  # OBJ
    # the two words come from the memo, with something between them that is thrown away
    words = b"\x80\x04\x8c\x08builtins\x94\x8c\x03len\x94\x8c\x05other0h\x00\x8c\x04junk0h\x01\x93\x94."
    yield {"data": words}
    # found first, called later by way of the memo; a copy on the stack
    yield {
        "data": b"\x80\x02cbuiltins\nlen\nq\x010h\x01X\x03\x00\x00\x00abc2\x86\x860h\x01(X\x02\x00\x00\x00abtR."
    }
    yield {"data": b"\x80\x04cbuiltins\ndict\n)}\x92."}  # NEWOBJ_EX
    yield {"data": b"\x80\x02]cbuiltins\nlen\nq\x010h\x012X\x01\x00\x00\x00a\x85R00."}
    # a list is filled and thrown away between the two words and their use
    yield {"data": b"\x80\x04\x8c\x08builtins\x8c\x03abs](K\x01K\x02e0\x93."}
    yield {"data": b"\x80\x04\x8c\x08builtins\x8c\x03abs}(K\x01K\x02u0\x93."}
    yield {
        "data": b"(cbuiltins\nlen\n1(lp7\n0cbuiltins\nabs\nr\x00\x01\x00\x000j\x00\x01\x00\x00K\x05\x85Rg7\n."
    }


def use_pickle(listed: Function, case: Case) -> tuple[Any, Any, bool]:
    noted: list[str] = importlib.import_module(HERE).TRAPPED
    noted.clear()
    imported, called = listed(case["data"])
    return list(map(str, imported)), list(map(str, called)), bool(noted)


# ---- wrong variants


def runs_it(data: bytes) -> tuple[list[str], list[str]]:
    """Loads it to see what happens."""
    found: tuple[list[str], list[str]] = ([], [])

    class Listing(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found[0].append(f"{module}.{name}")
            return super().find_class(module, name)

    try:
        Listing(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001
        return found
    return found


def last_two_words(data: bytes) -> tuple[list[str], list[str]]:
    words: list[str] = []
    imported: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("GLOBAL", "INST"):
            imported.append(argument.replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            imported.append(".".join(words[-2:]))
        elif isinstance(argument, str):
            words.append(argument)
    calls = any(
        o.name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST") for o, _, _ in pickletools.genops(data)
    )
    return list(dict.fromkeys(imported)), list(dict.fromkeys(imported)) if calls else []


def each_its_own_way(mine: Layer, reference: Layer, x: Array, tolerance: float = 1e-4) -> str | None:
    def search(mine: Layer, reference: Layer, own: Array, x: Array) -> str | None:
        theirs = dict(reference.children())
        for name, layer in mine.children():
            if inner := search(layer, theirs[name], own, x):
                return f"{name}.{inner}"
            y, want = layer(own), theirs[name](x)
            same = y.shape == want.shape and np.linalg.norm(y - want) <= tolerance * np.linalg.norm(want)
            if not same:
                return name
            own, x = y, want
        return None

    return search(mine, reference, x, x)


def weights(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:convert_weights", *changes)


def prepared(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:preprocess", *changes)


def diverging(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:first_divergence", *changes)


def told(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:which_convention", *changes)


def listing(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{HERE}:pickle_calls", *changes)


CONV, DEPTHWISE = "first.transpose(2, 3, 1, 0) if torch else first", "first.squeeze(1).transpose(1, 2, 0)"
DIFFERS = "np.linalg.norm(y - want) <= tolerance * np.linalg.norm(want)"

EXERCISES = (
    Exercise(
        "L5.convert_weights",
        f"{HERE}:convert_weights",
        KINDS,
        weights_cases,
        (
            weights("oihw_left_as_it_is", "Your conv weight from torch is still (O, I, K, K).", "Height and width come first with us: transpose(2, 3, 1, 0).", (CONV, "first")),
            weights("height_and_width_swapped", "Your conv weight from torch has its rows and columns swapped: the kernel is mirrored along its diagonal.", "Axis 2 of OIHW is the height: it goes first, axis 3 second.", ("first.transpose(2, 3, 1, 0)", "first.transpose(3, 2, 1, 0)")),
            weights("in_and_out_swapped", "Your conv weight from torch ends in (O, I).", "Output channels last: (K, K, I, O).", ("first.transpose(2, 3, 1, 0)", "first.transpose(2, 3, 0, 1)")),
            weights("conv_reshaped", "Your conv weight has the right shape and its numbers are in the wrong places: it was reshaped.", "reshape keeps the order in memory; transpose moves the axes.", ("first.transpose(2, 3, 1, 0)", "first.reshape(*first.shape[2:], first.shape[1], first.shape[0])")),
            weights("hwio_turned_too", "You turn the conv weight of TensorFlow too, which has our layout already.", "Only torch's is OIHW.", (CONV, "first.transpose(2, 3, 1, 0)")),
            weights("depthwise_rows_and_columns_swapped", "Your depthwise weight from torch has its rows and columns swapped.", "(C, 1, K, K) without its axis 1 is (C, height, width): transpose(1, 2, 0).", (DEPTHWISE, "first.squeeze(1).T")),
            weights("depthwise_as_a_conv", "Your depthwise weight from torch was turned like a conv's: an axis of 1 is left.", "(C, 1, K, K) has one filter a channel: take axis 1 away, then the channels go last.", (DEPTHWISE, "first.transpose(2, 3, 1, 0)")),
            weights("depthwise_reshaped", "Your depthwise weight from torch was reshaped: its numbers are in the wrong places.", "reshape keeps the order in memory; transpose moves the axes.", (DEPTHWISE, "first.reshape(*first.shape[2:], len(first))")),
            weights("hwc1_left_as_it_is", "Your depthwise weight from TensorFlow is still (K, K, C, 1).", "The last axis, the multiplier, is always 1 here: take it away.", ("first.squeeze(3)", "first")),
            weights("pointwise_transposed", "Your pointwise weight from torch is (O, I).", "(O, I, 1, 1) without the two ones, transposed: (I, O).", ("first.squeeze((2, 3)).T", "first.squeeze((2, 3))")),
            weights("pointwise_reshaped", "Your pointwise weight has the right shape and its numbers are in the wrong places.", "reshape((I, O)) is not the transpose of (O, I).", ("first.squeeze((2, 3)).T", "first.reshape(first.shape[1], first.shape[0])")),
            weights("dense_not_transposed", "Your dense weight from torch is (O, I).", "torch computes x w.T, we compute x w. With as many inputs as outputs nothing else would notice.", ("first.T if torch else first", "first")),
            weights("dense_always_transposed", "You transpose the dense weight of TensorFlow too.", "TensorFlow's is (I, O) already.", ("first.T if torch else first", "first.T")),
            weights("bias_forgotten", "Your dense layer has no bias.", "arrays[1].", (', "bias": arrays[1]', "")),
            weights("alphabet_forgotten", "You exchanged gamma and beta of TensorFlow.", "A TensorFlow checkpoint lists by the alphabet: beta comes before gamma.", ('("gamma", "beta") if torch else ("beta", "gamma")', '("gamma", "beta")')),
            weights("alphabet_everywhere", "You exchanged gamma and beta of torch.", "torch's weight is gamma, and it comes first.", ('("gamma", "beta") if torch else ("beta", "gamma")', '("beta", "gamma")')),
            weights("mean_and_variance_exchanged", "You exchanged the running mean and the running variance.", "The mean comes first, everywhere. A negative variance would give it away, or a NaN.", ('"running_mean", "running_var")', '"running_var", "running_mean")')),
            weights("statistics_first", "You take the statistics for gamma and beta.", "gamma and beta come first, in one order or the other, then mean and variance.", ('(*scale_and_shift, "running_mean", "running_var")', '("running_mean", "running_var", *scale_and_shift)')),
        ),
        (
            "Write the two layouts of one kind under each other. Which axis of theirs is the first of ours?",
            "transpose lists, for each of our axes, the number of theirs. Axes of length 1 go by an index of 0.",
            "torch's conv: ours is (2, 3, 1, 0) of theirs. Depthwise: take axis 1 away first. Dense and pointwise: .T. TensorFlow needs two indices of 0 and nothing else.",
        ),
        points=3,
        minutes=15,
        checks="Five kinds of layer, both sources, four sizes; as many inputs as outputs too, where shapes tell nothing.",
        use=use_weights,
        task="The same numbers lie in another order in every framework's file. Bring one layer's arrays into ours.",
    ),
    Exercise(
        "L5.preprocess",
        f"{HERE}:preprocess",
        ("x",),
        photograph_cases,
        (
            prepared("always_127_5", "You scale by 127.5 whatever the card says.", "(x - mean) / std with the card's numbers: 127 and 128 are others.", ("(x - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)", "(x - 127.5) / 127.5")),
            prepared("always_128", "You scale by 128 whatever the card says.", "(x - mean) / std with the card's numbers.", ("(x - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)", "(x - 128.0) / 128.0")),
            prepared("scaled_to_1_first", "You divide by 255 before.", "This card's mean and std are for x in 0..255: dividing twice leaves a nearly grey image.", ("(x - np.asarray", "(x / 255 - np.asarray")),
            prepared("not_scaled", "You leave the numbers in 0..255.", "(x - mean) / std.", ("return (x - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)", "return x.astype(np.float64)")),
            prepared("std_forgotten", "You subtract the mean and do not divide.", "(x - mean) / std.", ("/ np.asarray(std, np.float64)", "")),
            prepared("one_mean_for_all", "You take the first channel's mean and std for all three.", "One number a channel.", ("np.asarray(mean, np.float64)", "mean[0]"), ("np.asarray(std, np.float64)", "std[0]")),
            prepared("bgr_forgotten", "Your channels are always in the order RGB.", "A network that learned with OpenCV has seen blue first: x[..., ::-1].", ("x = x[..., ::-1]", "pass")),
            prepared("always_bgr", "Your channels are always in the order BGR.", "Only where the card says so.", ('if channels == "BGR":', "if channels:")),
            prepared("scale_before_the_channels", "You scale before you put the channels in order, so red gets blue's mean.", "mean and std are in the network's order: channels first, then (x - mean) / std.", ("/ np.asarray(std, np.float64)", "/ np.asarray(std, np.float64)[::-1 if channels == 'BGR' else 1]"), ("np.asarray(mean, np.float64)", "np.asarray(mean, np.float64)[::-1 if channels == 'BGR' else 1]")),
            prepared("crop_before_resize", "You cut the middle out of the photograph and resize that: the network sees a much smaller part.", "First the shorter side becomes `resize`, then the middle is cut out.", ("small = np.asarray(Image.fromarray(image).resize((wide, tall), Image.Resampling.BILINEAR))\n    top, left = (tall - size) // 2, (wide - size) // 2\n    x = small[top : top + size, left : left + size]", "top, left = max(height - size, 0) // 2, max(width - size, 0) // 2\n    x = np.asarray(Image.fromarray(image[top : top + size, left : left + size]).resize((size, size), Image.Resampling.BILINEAR))")),
            prepared("squashed", "You resize both sides to the same length: the image is squashed.", "Both sides by the same factor, so that the shorter one becomes `resize`.", ("resize * height // shorter, resize * width // shorter", "resize, resize")),
            prepared("no_crop", "You resize to the final size at once.", "Resize to `resize`, then cut the middle: the border is left out.", ("small = np.asarray(Image.fromarray(image).resize((wide, tall), Image.Resampling.BILINEAR))", "small = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))"), ("small[top : top + size, left : left + size]", "small")),
            prepared("corner", "You cut out the top left corner.", "The middle: (tall - size) // 2 from the top.", ("(tall - size) // 2, (wide - size) // 2", "0, 0")),
            prepared("nearest_pixel", "You resize to the nearest pixel.", "Image.Resampling.BILINEAR: each new pixel is a mean of those it covers.", ("Resampling.BILINEAR", "Resampling.NEAREST")),
            prepared("height_and_width_swapped", "You give resize() the height first.", "Pillow's sizes are (width, height).", ("(wide, tall)", "(tall, wide)")),
        ),
        (
            "Four steps, in the order of the docstring. Which of them change shapes, which change numbers?",
            "Pillow: Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), then np.asarray.",
            "top = (tall - size) // 2 and left in the same way; x[..., ::-1] is BGR; then subtract and divide.",
        ),
        points=3,
        minutes=15,
        checks="Six photographs, wide and tall, larger and smaller than the result; four cards' scales; both orders of channels; every number.",
        tolerance=1e-8,
        core=False,
        needs="from PIL import Image",
        task="What a model card says under \"preprocessing\", as code. Half of what is called a wrong network is a right one that was shown the wrong numbers.",
    ),
    Exercise(
        "L5.first_divergence",
        f"{HERE}:first_divergence",
        ("name",),
        divergence_cases,
        (
            diverging("last_difference", "You name the last layer that differs.", "Return at the first: what comes after it is only a consequence.", ("return name\n        x = want\n    return None", "last = name\n        x = want\n    return last"), ("theirs = dict", "last = None\n    theirs = dict")),
            diverging("blocks_only", "You name the block, not the layer in it.", "Look into a block first, by calling yourself on its children.", ("inner = first_divergence(layer, theirs[name], x, tolerance)", "inner = None")),
            diverging("inner_name_only", "You lose the names of the blocks around the layer.", "f\"{name}.{inner}\".", ('return f"{name}.{inner}"', "return inner")),
            diverging("block_itself_not_compared", "A block all of whose layers agree, and which differs, escapes you: one that lost its skip, say.", "After the look into a block, compare the block's own output.", ("if y.shape", "if not layer.children() and (y.shape"), (DIFFERS + ":", DIFFERS + "):")),
            diverging("where_the_end_differs", "You look only where the block's output differs, so two faults that make up for each other, or a zero later on, hide it.", "Look into every block, whatever comes out of it.", ("inner = first_divergence(layer, theirs[name], x, tolerance)", "inner = np.linalg.norm(layer(x) - theirs[name](x)) > 1e-9 and first_divergence(layer, theirs[name], x, tolerance)")),
            diverging("absolute_tolerance", "You compare with an absolute tolerance: small layers escape, large ones are accused of their rounding.", "Relative to the size of the reference's output.", (DIFFERS, "np.linalg.norm(y - want) <= tolerance")),
            diverging("largest_difference", "You compare the largest difference of a number with the tolerance.", "||y - want|| <= tolerance ||want||: the length of the whole.", (DIFFERS, "np.abs(y - want).max() <= tolerance * np.abs(want).max()")),
            diverging("mean_difference", "You compare the mean difference, in which plus and minus cancel.", "np.linalg.norm of the difference.", (DIFFERS, "abs((y - want).mean()) <= tolerance * np.abs(want).mean()")),
            diverging("nan_passes", "A NaN passes.", "A comparison with NaN is False: say `not (difference <= limit)`, not `difference > limit`.", ("not " + DIFFERS, "np.linalg.norm(y - want) > tolerance * np.linalg.norm(want)")),
            Mistake("rounding_adds_up", "Your layers get what your own layers gave, so rounding adds up until some layer late in the network is accused.", "Give each of your layers what the reference's layer is given: x = want.", lambda: each_its_own_way),
            diverging("always_the_image", "You give every layer the image.", "Each layer is given what the one before it gave.", ("x = want", "pass")),
        ),
        (
            "Walk through both networks side by side. When do you look into a block, when do you compare it?",
            "For each child: first look into it (call yourself), then compare its output; then go on with the reference's output.",
            "inner = your own function on the two children; if it gives a name, put the child's name and a dot before it. Then compare, `not (... <= ...)` because of NaN.",
        ),
        points=4,
        minutes=20,
        checks="24 pairs of networks: no fault, one, two; a lost skip; faults that cancel; rounding; small and large numbers; NaN; a lost feature.",
        task="The tool that finds a bug in an evening instead of a week: where do two networks, which should be the same, part?",
    ),
    Exercise(
        "L5.which_convention",
        f"{HERE}:which_convention",
        ("padding", "eps", "error"),
        convention_cases,
        (
            told("eps_outside_the_root", "Your eps is outside the root.", "sqrt(var + eps), not sqrt(var) + eps.", ("batch_norm.forward(h, gamma, beta, mean, var, eps)", "(gamma * (h - mean) / (np.sqrt(var) + eps) + beta)")),
            told("own_statistics", "You normalise with the batch's own statistics.", "The network predicts: it uses the mean and the variance that it remembers.", ("batch_norm.forward(h, gamma, beta, mean, var, eps)", "batch_norm.forward(h, gamma, beta, None, None, eps)")),
            told("always_same", "You never try \"symmetric\".", "Two paddings, each with every eps.", ('("same", "symmetric")', '("same",)')),
            told("always_symmetric", "You never try \"same\".", "Two paddings, each with every eps.", ('("same", "symmetric")', '("symmetric",)')),
            told("first_eps_only", "You never try another eps than the first.", "Every eps of `epsilons`, with each padding.", ("in epsilons", "in epsilons[:1]")),
            told("usual_eps_only", "You try 1e-3 and 1e-5 whatever `epsilons` says.", "`epsilons` is an argument.", ("in epsilons", "in (1e-3, 1e-5)")),
            told("worst_fit", "You take the worst fit.", "The smallest error.", ("min(fits)", "max(fits)")),
            told("stride_ignored", "You always step by 2.", "`stride` is an argument.", ("conv.forward(x, w, stride, padding)", "conv.forward(x, w, 2, padding)")),
            told("first_image_only", "You compare the first image only.", "The norm goes over all numbers of all images.", ("mean, var, eps) - y)", "mean, var, eps)[0] - y[0])"), ("error / np.linalg.norm(y)", "error / np.linalg.norm(y[0])")),
            told("error_not_relative", "Your error is not relative.", "Divide by ||y||.", ("error / np.linalg.norm(y)", "error")),
            told("error_squared", "Your error is a square.", "A norm is the root of the sum of squares.", ("float(error / np.linalg.norm(y))", "float(error / np.linalg.norm(y)) ** 2")),
            told("scale_forgotten", "You leave gamma and beta out.", "y = gamma x_hat + beta.", ("batch_norm.forward(h, gamma, beta,", "batch_norm.forward(h, np.ones_like(gamma), np.zeros_like(beta),")),
        ),
        (
            "There are only a few candidates. What would each of them have given?",
            "For each padding the convolution, for each eps the normalisation; compare with y.",
            "Collect (error, padding, eps) and take the smallest; the docstring has both formulas.",
        ),
        points=2,
        minutes=12,
        checks="Seven outputs: both paddings, five different eps, kernels of 3, 4 and 5, images that are not square, a little noise.",
        core=False,
        needs="from mini_nn.ops import batch_norm, conv",
        task="A file of weights does not say with which padding and which eps it was trained. One output does.",
    ),
    Exercise(
        "L5.pickle_calls",
        f"{HERE}:pickle_calls",
        ("imported", "called", "was run"),
        pickle_cases,
        (
            Mistake("loads_it", "You loaded the pickle to see what is in it. It has run: whatever it calls has been called.", "pickletools.genops reads the opcodes and runs none.", lambda: runs_it),
            Mistake("last_two_words", "You take the two words that were read last. A pickle may take older ones from its memo, and then yours is a harmless name in place of the real one.", "STACK_GLOBAL takes the top two of the stack: keep the stack and the memo.", lambda: last_two_words),
            listing("stack_global_missed", "You miss the names of protocol 4 and later, which is what Python writes.", "STACK_GLOBAL takes module and name from the stack.", ('{"GLOBAL", "INST", "STACK_GLOBAL"}', '{"GLOBAL", "INST"}')),
            listing("inst_missed", "You miss INST, of the oldest protocol: it looks a name up and calls it.", "Every loader still obeys it.", ('{"GLOBAL", "INST", "STACK_GLOBAL"}', '{"GLOBAL", "STACK_GLOBAL"}')),
            listing("reduce_only", "You count REDUCE as the only call.", "NEWOBJ, NEWOBJ_EX, OBJ and INST call too.", ('{"REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST"}', '{"REDUCE"}')),
            listing("imported_is_called", "You list all that is looked up as called.", "A name is called where an opcode takes it from the stack and calls it; looking up len is not calling it.", ("[name for name in dict.fromkeys(called) if isinstance(name, Name)]", "list(dict.fromkeys(imported))")),
            listing("called_is_not_listed", "You list nothing as called.", "REDUCE calls what lies under its arguments.", ("[name for name in dict.fromkeys(called) if isinstance(name, Name)]", "[]")),
            listing("named_again", "You list a name as often as it is used.", "Each once, in the order of its first time.", ("list(dict.fromkeys(imported))", "imported"), ("dict.fromkeys(called)", "called")),
            listing("names_sorted", "You sort the names.", "In the order in which they are looked up.", ("list(dict.fromkeys(imported))", "sorted(set(imported))")),
        ),
        (
            "A pickle is a program for a machine with a stack. Print pickletools.dis(data) of one and read it.",
            "Keep a list as the stack. For every opcode: take off what stack_before says, put on as many as stack_after says, strings as they are.",
            "With \"stackslice\" in the names of stack_before, take all down to the last mark, and what lies under the mark. GET-like opcodes bring back from the memo what PUT-like ones and MEMOIZE noted.",
        ),
        points=4,
        minutes=30,
        checks="16 pickles of protocols 0 to 4, some written by hand; one that notes whether it was run.",
        core=False,
        needs="import pickletools",
        use=use_pickle,
        task="Say what a pickle would do, without letting it.",
    ),
)  # fmt: skip
