"""Fused layers are twins of the readable ones: same outputs, gradients, statistics and draws, in every mode of training."""

import gc
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from numba import njit

from mini_nn import core, data, gradcheck, init, layers, losses, models, optim, train
from mini_nn.blocks import KERAS, TORCH, Block, conv_norm_act, inverted_residual
from mini_nn.fused import fuse
from mini_nn.fused.arena import Arena
from mini_nn.kernels.fused import bend, depthwise, join, pointwise
from mini_nn.ops import depthwise as plain_depthwise
from mini_nn.ops import swish
from mini_nn.ops.padding import resolve

SMALL = {  # name: options; channels that fill no vector, drop path, both conventions, odd and non-square images
    "mobilenet_v1": ({"width_mult": 0.3, "convention": TORCH}, (33, 41)),
    "mobilenet_v2": ({"width_mult": 0.35, "convention": KERAS, "drop_path": 0.3}, (32, 47)),
    "efficientnet_b0": ({"width_mult": 0.5, "convention": TORCH, "drop_path": 0.4, "dropout": 0.3}, (49, 40)),
    "efficientnet_lite0": ({"width_mult": 0.5, "convention": KERAS}, (35, 64)),
}


def build(name, dtype=np.float32):
    model = models.build(name, num_classes=7, **SMALL[name][0])
    rng = np.random.default_rng(0)
    init.initialize(model, rng)
    for key, item in core.named_arrays(model):
        last = key.rpartition(".")[2]
        low, high = {"gamma": (0.5, 1.5), "running_var": (0.5, 2), "weight": (0, 0)}.get(last, (-0.3, 0.3))
        if low or high:
            item.value = rng.uniform(low, high, item.shape)
        item.value = item.value.astype(dtype)
    return model


def batch(name, n=3, dtype=np.float32):
    rng = np.random.default_rng(1)
    return rng.random((n, *SMALL[name][1], 3)).astype(dtype), rng.integers(0, 7, n)


def step(model, net, x, y, train=True):
    """(logits, dx, gradients, running statistics) of one step through `net`, which has the model's parameters."""
    init.seed(model, np.random.default_rng(2))
    for p in core.parameters(model):
        p.grad = None
    logits, cache = net.forward(x, train)
    dx = net.backward(losses.softmax_cross_entropy(logits, y)[1], cache)
    arrays = dict(core.named_arrays(model))
    grads = {k: p.grad for k, p in arrays.items() if isinstance(p, core.Parameter)}
    return logits, dx, grads, {k: b.value for k, b in arrays.items() if isinstance(b, core.Buffer)}


def error(got, want, scale):
    return np.linalg.norm(got.astype(np.float64) - want) / scale


def agree(name, change=lambda model: None, train=True):
    """Readable float32 and fused float32 are compared with readable float64: fused may be no worse than twice readable."""
    results = []
    for dtype, fused in ((np.float64, False), (np.float32, False), (np.float32, True)):
        model = build(name, dtype)
        change(model)
        before = {k: b.value for k, b in core.named_arrays(model) if isinstance(b, core.Buffer)}
        net = fuse(model) if fused else model
        results.append((*step(model, net, *batch(name, dtype=dtype), train), before))
    exact, readable, fused = results
    for i, what in enumerate(("logits", "dx")):
        scale = np.linalg.norm(exact[i])
        assert fused[i].dtype == np.float32
        assert error(fused[i], exact[i], scale) <= 2 * error(readable[i], exact[i], scale) + 1e-6, what
    assert {k for k, g in fused[2].items() if g is None} == {k for k, g in exact[2].items() if g is None}
    largest = max(np.linalg.norm(g) for g in exact[2].values() if g is not None)
    off = {
        key: [error(grads[key], want, max(np.linalg.norm(want), 1e-3 * largest)) for grads in (fused[2], readable[2])]
        for key, want in exact[2].items()
        if want is not None
    }  # fmt: skip  # some are 0 but for rounding
    typical = np.sqrt(
        np.mean([r**2 for _, r in off.values()])
    )  # one of a hundred is off by less as luck has it
    assert not {key: pair for key, pair in off.items() if pair[0] > 3 * (pair[1] + typical) + 1e-6}
    for key, want in exact[3].items():
        assert error(fused[3][key], want, np.linalg.norm(want)) < 1e-5, key
    return fused


@pytest.mark.parametrize("name", SMALL)
def test_whole_networks_train_the_same(name):
    agree(name)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_prediction_is_the_same_and_remembers_no_statistics(name):
    fused = agree(name, train=False)
    assert all(np.array_equal(fused[3][key], fused[4][key]) for key in fused[3])


@pytest.mark.parametrize("name", ["mobilenet_v1", "efficientnet_b0"])
def test_frozen_batch_norms_use_their_statistics_and_keep_their_bytes(name):
    def freeze(model):
        norms = [layer for _, layer in core.named_layers(model) if isinstance(layer, layers.BatchNorm)]
        for norm in norms[::2]:
            norm.gamma.trainable = norm.beta.trainable = False

    fused = agree(name, freeze)
    same = [np.array_equal(fused[3][key], fused[4][key]) for key in fused[3]]
    assert same == [i // 2 % 2 == 0 for i in range(len(same))]


def test_what_is_not_trainable_collects_no_gradient():
    def freeze(model):
        for i, p in enumerate(core.parameters(model)):
            p.trainable = bool(i % 3)

    grads = agree("efficientnet_b0", freeze)[2]
    assert sum(g is None for g in grads.values()) == -(-len(grads) // 3)


def test_the_twin_has_the_same_arrays_under_the_same_names():
    model = build("efficientnet_b0")
    fused = fuse(model)
    assert type(fused).__name__ == "FusedNetwork"
    pairs = zip(core.named_arrays(fused), core.named_arrays(model), strict=True)
    assert all(a == b and one is other for (a, one), (b, other) in pairs)
    assert fused.out_shape((64, 64, 3)) == (7,)
    assert fused.macs((64, 64, 3)) == model.macs((64, 64, 3))
    x, _ = batch("efficientnet_b0")
    np.testing.assert_allclose(fused(x), model(x), rtol=0, atol=1e-5 * np.abs(model(x)).max())


def test_float64_runs_readably_bit_by_bit():
    model = build("efficientnet_b0", np.float64)
    start = {k: a.value for k, a in core.named_arrays(model)}
    results = []
    for net in (model, fuse(model)):
        for k, a in core.named_arrays(model):
            a.value = start[k]
        results.append(step(model, net, *batch("efficientnet_b0", dtype=np.float64)))
    one, other = results
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    assert all(np.array_equal(one[2][k], other[2][k]) for k in one[2])


def test_gradcheck_does_not_notice(rng):
    block = inverted_residual(Block(8, 8, 2, 3, 1, se_ratio=0.25), layers.Swish)
    init.initialize(block, rng)
    for _, item in core.named_arrays(block):
        item.value = item.value.astype(np.float64) + 0.1
    gradcheck.check_layer(fuse(block), rng.standard_normal((2, 5, 4, 8)), rng=rng)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_calls_between_a_forward_and_its_backward_disturb_nothing(name):
    """A second training step, a prediction and a second network's step come in between."""
    model = build(name)
    fused, (x, y) = fuse(model), batch(name)
    want = step(model, fused, x, y)
    init.seed(model, np.random.default_rng(2))
    logits, cache = fused.forward(x, train=True)
    given = logits.copy()
    step(model, fused, x[::-1].copy(), y)
    fused(x)
    for p in core.parameters(model):
        p.grad = None
    dx = fused.backward(losses.softmax_cross_entropy(logits, y)[1], cache)
    assert np.array_equal(given, logits)
    assert np.array_equal(dx, want[1])
    arrays = dict(core.named_arrays(model))
    assert all(np.array_equal(arrays[key].grad, grad) for key, grad in want[2].items())
    again = fused.backward(losses.softmax_cross_entropy(logits, y)[1], cache)
    assert np.array_equal(again, dx)
    for key, grad in want[2].items():
        assert np.array_equal(arrays[key].grad, grad + grad), f"{key}: gradients of two steps add up"


@pytest.mark.parametrize("threads", [1, 3])
def test_results_do_not_depend_on_the_number_of_threads(threads, monkeypatch):
    from mini_nn import kernels

    want = step(model := build("efficientnet_b0"), fuse(model), *batch("efficientnet_b0"))
    monkeypatch.setattr(kernels, "WORTH", 0)
    monkeypatch.setattr(kernels.config, "NUMBA_NUM_THREADS", threads)
    got = step(model := build("efficientnet_b0"), fuse(model), *batch("efficientnet_b0"))
    assert np.array_equal(got[1], want[1])
    assert all(np.array_equal(got[2][key], want[2][key]) for key in want[2])


def test_nothing_that_was_handed_in_is_written_to(rng):
    model = build("efficientnet_b0")
    fused, (x, _) = fuse(model.stages), batch("efficientnet_b0")
    x = model.stem(x)
    y, cache = fused.forward(x, train=True)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    before = [a.copy() for a in (x, y, dy)]
    fused.backward(dy, cache)
    assert all(map(np.array_equal, (x, y, dy), before))


def test_memory_of_a_step_is_used_again_by_the_next():
    model = build("mobilenet_v2")
    fused, (x, y) = fuse(model), batch("mobilenet_v2")
    arena = fused.arena

    def blocks():
        for p in core.parameters(model):
            p.grad = None
        gc.collect()
        return sorted(block.ctypes.data for free in arena.free.values() for block in free)

    step(model, fused, x, y)
    first = blocks()
    step(model, fused, x, y)
    assert blocks() == first


def test_a_block_comes_back_when_the_last_view_is_gone():
    arena = Arena()
    view = arena.empty(3, 4)[1:].reshape(-1)
    assert not arena.free
    view[:] = 1
    del view
    assert len(arena.free[12]) == 1
    arena.empty(4, 3)
    assert len(arena.free[12]) == 1


def test_fit_runs_the_twin_unless_it_is_told_not_to(rng):
    conv = conv_norm_act(layers.Conv2D(1, 4, 3), 4, layers.ReLU6)
    model = layers.Sequential(first=conv, pool=layers.GlobalAveragePool(), classifier=layers.Dense(4, 2))
    init.initialize(model, rng)
    start = [a.value for _, a in core.named_arrays(model)]
    x, y = rng.random((12, 9, 7, 1)).astype(np.float32), np.arange(12) % 2
    ends = []
    for readable in (False, True):
        for value, (_, a) in zip(start, core.named_arrays(model), strict=True):
            a.value = value
        loader = data.Loader(data.arrays(x, y), batch_size=4, workers=0)
        run = train.fit(model, loader, None, optim.SGD(model, 0.1), 2, quiet=True, readable=readable)
        list(run)
        ends.append([a.value for _, a in core.named_arrays(model)])
    assert any(not np.array_equal(a, b) for a, b in zip(*ends, strict=True))  # two ways to add up
    assert all(np.abs(a - b).max() < 1e-5 for a, b in zip(*ends, strict=True))


def test_one_value_a_channel_is_refused_where_the_convention_says_so(rng):
    unit = conv_norm_act(layers.PointwiseConv2D(4, 4), 4, None, TORCH)
    init.initialize(unit, rng)
    with pytest.raises(ValueError, match="one value a channel"):
        fuse(unit).forward(np.ones((1, 1, 1, 4), np.float32), train=True)


def test_wrong_input_is_refused_as_before(rng):
    unit = init.initialize(conv_norm_act(layers.PointwiseConv2D(4, 4), 4, None), rng)
    with pytest.raises(ValueError, match=r"PointwiseConv2D: x .* has 5 channels, 4 are needed"):
        fuse(unit).forward(np.ones((1, 2, 2, 5), np.float32))
    y, cache = fuse(unit).forward(np.ones((1, 2, 2, 4), np.float32))
    with pytest.raises(ValueError, match="dy is"):
        fuse(unit).backward(y[:, :1], cache)
    with pytest.raises(ValueError, match="fuse takes a Layer"):
        fuse("model")


def test_nan_is_not_hidden():
    for name in ("mobilenet_v2", "efficientnet_b0"):
        x, _ = batch(name)
        x[0, 0, 0, 0] = np.nan
        assert np.isnan(fuse(build(name)).forward(x, train=True)[0]).any()


@njit
def moments(z, at, n, sums):
    bend.moments(z, at, n, sums)


def test_the_variance_of_numbers_far_from_0_keeps_its_digits(rng):
    z = (1000 + rng.standard_normal((501, 20))).astype(np.float32)
    sums = np.zeros((2, 20))
    for at in range(0, 501, 100):
        moments(z, at, min(100, 501 - at), sums)
    var = sums[1] / 501 - (sums[0] / 501) ** 2
    np.testing.assert_allclose(var, z.astype(np.float64).var(0), rtol=1e-5)


# the kernels alone, against float64


def bent(u, kind):
    """f(u) and f'(u) in float64."""
    inside = (u > 0) & (u < 6)
    return {
        bend.RAW: (u, np.ones_like(u)),
        bend.LINEAR: (u, np.ones_like(u)),
        bend.RELU: (np.maximum(u, 0), u > 0),
        bend.RELU6: (np.clip(u, 0, 6), inside),
        bend.SWISH: (swish.forward(u), swish.backward(np.ones_like(u), u)),
    }[kind]


def near(got, want, tolerance=1e-5):
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


def inputs(rng, pixels, channels, kind):
    x = rng.standard_normal((pixels, channels)).astype(np.float32)
    fold = rng.standard_normal((3, channels)).astype(np.float32)
    u = x.astype(np.float64) if kind == bend.RAW else x * fold[0].astype(np.float64) + fold[1]
    return (x, fold, *bent(u, kind))


def with_fence(*shape):
    """An array, and a question: is what lies around it untouched?"""
    size = int(np.prod(shape))
    whole = np.full(size + 128, 7.0, np.float32)
    return whole[64 : 64 + size].reshape(shape), lambda: (whole[:64] == 7).all() and (whole[-64:] == 7).all()


KINDS = [bend.RAW, bend.LINEAR, bend.RELU, bend.RELU6, bend.SWISH]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 8, 8), (7, 24, 16), (100, 5, 21), (640, 96, 24), (3, 48, 40), (513, 17, 64)]
)
def test_pointwise_kernels(m, k, n, gated, kind, rng):
    if gated and kind == bend.RAW:
        pytest.skip("an array has no gate")
    x, fold, y, slope = inputs(rng, m, k, kind)
    image, pixels = np.arange(m) // -(-m // 3), -(-m // 3)
    gate = rng.random((3, k)).astype(np.float32) if gated else x[:0]
    w, (z, fence) = rng.standard_normal((k, n)).astype(np.float32), with_fence(m, n)
    sums = pointwise.forward(x, fold, kind, gate, pixels, w, z, True, Arena().empty)
    seen = y * gate[image] if gated else y
    near(z, seen @ w)
    near(sums[0], z.sum(0, dtype=np.float64))
    near(sums[1], np.square(z, dtype=np.float64).sum(0))
    g, by = rng.standard_normal((m, n)).astype(np.float32), rng.standard_normal((3, n)).astype(np.float32)
    out, other = with_fence(m, k)
    plus = rng.standard_normal((m, k)).astype(np.float32) if kind == bend.RAW else x[:0]
    dw, sums, dgate = pointwise.backward(
        g, z, by, x, fold, kind, gate, pixels, w, plus, out, True, Arena().empty
    )
    dz = (g * by[0].astype(np.float64)) + z * by[1].astype(np.float64) + by[2]
    near(dw, seen.T @ dz)
    d = dz @ w.T.astype(np.float64)
    if gated:
        near(out, d)
        near(dgate, np.stack([(d * y)[image == i].sum(0) for i in range(3)]))
    elif kind == bend.RAW:
        near(out, d + plus)
    else:
        near(out, d * slope)
        near(sums, np.stack([(d * slope).sum(0), (d * slope * (x - fold[2])).sum(0)]))
    assert fence()
    assert other()


@pytest.mark.parametrize("kind", [bend.RAW, bend.RELU6, bend.SWISH])
@pytest.mark.parametrize("how", [*depthwise.BUILT], ids=str)
@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize(
    "shape", [(2, 7, 9, 8), (1, 1, 1, 5), (3, 8, 11, 20), (1, 14, 13, 40), (2, 2, 3, 16)], ids=str
)
def test_depthwise_kernels(shape, padding, how, kind, rng):
    (k, stride), (n, height, width, c) = how, shape
    x, fold, y, slope = inputs(rng, n * height * width, c, kind)
    w = rng.standard_normal((k, k, c)).astype(np.float32)
    ((above, _), (left, _)), out = resolve(padding, (height, width), k, stride)
    geometry, (z, fence) = (height, width, *out, above, left), with_fence(n * out[0] * out[1], c)
    sums = depthwise.forward(x, fold, kind, w, stride, geometry, z, True)
    want = plain_depthwise.forward(y.reshape(shape), w.astype(np.float64), stride, padding)
    near(z, want.reshape(z.shape))
    near(sums, np.stack([z.sum(0, dtype=np.float64), np.square(z, dtype=np.float64).sum(0)]))
    g, by = rng.standard_normal(z.shape).astype(np.float32), rng.standard_normal((3, c)).astype(np.float32)
    dx, other = with_fence(*x.shape)
    dw, sums = depthwise.backward(g, z, by, x, fold, kind, w, stride, geometry, dx)
    dz = g * by[0].astype(np.float64) + z * by[1].astype(np.float64) + by[2]
    d, want = plain_depthwise.backward(
        dz.reshape(n, *out, c), y.reshape(shape), w.astype(np.float64), stride, padding
    )
    near(dw, want)
    near(dx, d.reshape(x.shape) * slope)
    if kind != bend.RAW:
        near(sums, np.stack([dx.sum(0, dtype=np.float64), (dx * (x - fold[2]).astype(np.float64)).sum(0)]))
    assert fence()
    assert other()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_joins(kind, rng):
    z, fold, y, slope = inputs(rng, 30, 21, kind)
    gate, more = rng.random((2, 3, 21)).astype(np.float32)
    plus, dy = rng.standard_normal((2, 30, 21)).astype(np.float32)
    image, out = np.arange(30) // 10, np.empty_like(z)
    join.whole(z, fold, kind, gate, 10, plus, out)
    near(out, y * gate[image] + plus)
    near(join.mean(z, fold, kind, 3), y.reshape(3, 10, 21).mean(1))
    sums = join.back(dy, z, fold, kind, gate, more, 10, out)
    want = (dy * gate[image].astype(np.float64) + more[image]) * slope
    near(out, want)
    near(sums, np.stack([want.sum(0), (want * (z - fold[2])).sum(0)]))


EIGHT = """
import numpy as np
from mini_nn import core, init, layers
from mini_nn.blocks import Block, inverted_residual
from mini_nn.fused import fuse
from mini_nn.kernels.tiles.registers import LANES
assert LANES == 8
model = init.initialize(inverted_residual(Block(24, 24, 3, 3, 1), layers.ReLU6), np.random.default_rng(0), np.float32)
x = np.random.default_rng(1).normal(size=(2, 9, 7, 24)).astype(np.float32)
for net in (model, fuse(model)):
    y, cache = net.forward(x, train=True)
    found = [y, net.backward(y, cache)]
    for p in core.parameters(model):
        found.append(p.grad)
        p.grad = None
    print(*(repr(float(np.abs(a).sum())) for a in found))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="it asks for a processor with AVX2")
def test_vectors_of_8_train_the_same():
    """On a processor with vectors of 16 the others' code is otherwise never run."""
    env = os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
    ran = subprocess.run(
        [sys.executable, "-c", EIGHT], capture_output=True, text=True, env=env, timeout=300, check=True
    )
    readable, fused = (list(map(float, line.split())) for line in ran.stdout.splitlines())
    assert len(fused) == 11  # y, dx, and three gradients of each convolution
    assert fused == pytest.approx(readable, rel=1e-3)
