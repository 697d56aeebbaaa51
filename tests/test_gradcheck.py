"""The judge is judged: it must let the right pass, catch each planted fault, and say what it sees."""

import re
import types

import numpy as np
import pytest

from mini_nn import init, layers
from mini_nn.gradcheck import check_layer, check_op
from mini_nn.ops import conv, depthwise, relu, swish
from mini_nn.ops.padding import crop, pad, resolve, window


def op(forward, backward, analytic=False):
    return types.SimpleNamespace(forward=forward, backward=backward, analytic=analytic, __name__="yours")


def broken(change):
    """Depthwise convolution whose gradients go through change(dx, dw)."""
    return op(depthwise.forward, lambda dy, x, w, *how: change(*depthwise.backward(dy, x, w, *how)))


def without_border(dx):
    inner = np.zeros_like(dx)
    inner[:, 1:-1, 1:-1] = dx[:, 1:-1, 1:-1]
    return inner


def without_last_row(dx):
    return np.concatenate([dx[:, :-1], 0 * dx[:, -1:]], 1)


SEEN = {
    "sign": (lambda dx, dw: (-dx, dw), "dx.*wrong sign"),
    "ratio": (lambda dx, dw: (dx, dw / 2), "dw.*constant ratio, 0.5"),
    "rounded": (lambda dx, dw: (dx * (1 + 5e-6 * np.array([1, -1, 1])), dw), "dx.*right to five digits"),
    "transposed": (lambda dx, dw: (dx, dw.swapaxes(0, 1)), "dw.*transposed: axes 0 and 1"),
    "flipped": (lambda dx, dw: (dx, dw[::-1, ::-1]), "dw.*flipped along axes 0 and 1"),
    "border": (lambda dx, dw: (without_border(dx), dw), "dx.*only at the border"),
    "last row": (lambda dx, dw: (without_last_row(dx), dw), "dx.*only at the last index 4 of axis 1"),
    "zero": (lambda dx, dw: (dx, 0 * dw), "dw.*all zero"),
    "nan": (lambda dx, dw: (dx * np.nan, dw), "dx.*not finite"),
    "shape": (lambda dx, dw: (dx[:, 1:], dw), r"dx has shape \(2, 4, 6, 3\)"),
    "one number": (
        lambda dx, dw: (dx + 1e-4 * (np.arange(dx.size).reshape(dx.shape) == 77), dw),
        r"dx.*at 1 of 180.*dx\[0, 4, 1, 2\]",
    ),
    "a scalar": (lambda dx, dw: (dx, 0.0), "dw is float"),
}


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_is_caught_and_described(fault, rng):
    change, says = SEEN[fault]
    x, w = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 3, 3))
    with pytest.raises(AssertionError, match=says):
        check_op(broken(change), x, w, 1, "same", rng=rng)


def test_the_message_names_the_first_wrong_number_with_both_values(rng):
    wrong = op(lambda x: x**2, lambda dy, x: 2 * x * dy + (np.arange(4) == 2))
    with pytest.raises(
        AssertionError, match=r"yours: dx is wrong at 1 of 4.*dx\[2\]: expected .*, got "
    ) as caught:
        check_op(wrong, np.array([1.0, 2, 3, 4]), rng=rng)
    text = str(caught.value)
    expected, got = (float(re.search(word + r" (\S+?)[, ]", text)[1]) for word in ("expected", "got"))
    assert got - expected == pytest.approx(1, abs=1e-6)


def convolution_backward(dy, x, w, stride, padding, *, fault):
    """conv.backward, with one of the mistakes that people make."""
    pads, out = resolve(padding, x.shape[1:3], len(w), stride)
    xp = pad(x, pads)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for a, b in np.ndindex(w.shape[:2]):
        here = window(a, b, out, stride)
        seen = window(b, a, out, stride) if fault == "taps swapped" else here
        if fault == "stride ignored":
            seen = window(a, b, out, 1)
        flipped = w[len(w) - 1 - a, len(w) - 1 - b] if fault == "kernel flipped" else w[a, b]
        moved = dy @ (flipped if fault == "w not transposed" and w.shape[2] == w.shape[3] else flipped.T)
        if fault == "overwrites":
            dxp[here] = moved
        else:
            dxp[here] += moved
        source = np.ones_like(dy) if fault == "upstream taken as ones" else dy
        source = source[::-1] if fault == "batch misaligned" else source
        dw[a, b] = np.tensordot(xp[seen], source, ((0, 1, 2), (0, 1, 2)))
    if fault == "mean over the batch":
        dw = dw / len(x)
    if fault == "crop off by one":
        return np.roll(crop(dxp, pads), 1, 1), dw
    return crop(dxp, pads), dw


FAULTS = (
    "stride ignored", "kernel flipped", "overwrites", "upstream taken as ones", "batch misaligned", "taps swapped",
    "w not transposed", "mean over the batch", "crop off by one",
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mistake_in_a_convolutions_backward_is_caught(fault, rng):
    wrong = op(conv.forward, lambda *a: convolution_backward(*a, fault=fault), analytic=True)
    right = op(conv.forward, lambda *a: convolution_backward(*a, fault=None), analytic=True)
    x, w = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 3, 3, 3))
    check_op(right, x, w, 2, "same", rng=rng)
    with pytest.raises(AssertionError, match=r"d[xw] is wrong"):
        check_op(wrong, x, w, 2, "same", rng=rng)


def test_kinks_near_a_number_are_no_false_alarm(rng):
    x = np.array([1e-6, -3e-6, 2.0, -1.0])  # closer to the kink at 0 than the first step
    assert check_op(relu, x, rng=rng)[0].error < 1e-6


def test_complex_steps_lose_no_digits(rng):
    row = check_op(swish, rng.standard_normal((3, 4)), rng=rng)[0]
    assert row.method == "complex step"
    assert row.error < 1e-15


def test_float32_and_what_is_no_array_are_refused(rng):
    x = rng.standard_normal((2, 5, 5, 3))
    single = init.initialize(layers.DepthwiseConv2D(3), rng, np.float32)
    double = init.initialize(layers.DepthwiseConv2D(3), rng, np.float64)
    with pytest.raises(ValueError, match="x is float32"):
        check_layer(double, x.astype(np.float32), rng)
    with pytest.raises(ValueError, match="weight is float32"):
        check_layer(single, x, rng)
    with pytest.raises(ValueError, match="w is float32"):
        check_op(depthwise, x, np.ones((3, 3, 3), np.float32), rng=rng)
    with pytest.raises(ValueError, match="list"):
        check_op(relu, [1.0], rng=rng)


class Wrong(layers.DepthwiseConv2D):
    """A layer with a fault of bookkeeping."""

    def __init__(self, fault):
        super().__init__(3)
        self.fault = fault

    def backward(self, dy, cache):
        grad = self.weight.grad
        dx = super().backward(dy, cache)
        if self.fault == "assigns":
            self.weight.grad = self.weight.grad if grad is None else self.weight.grad - grad
        elif self.fault == "writes dy":
            dy *= 2
        elif self.fault == "writes x":
            cache += 1
        elif self.fault == "no gradient":
            self.weight.grad = None
        elif self.fault == "frozen":
            self.weight.grad = np.zeros(self.weight.shape)
        return dx


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("assigns", "assigns where it should add"),
        ("writes dy", "wrote to dy"),
        ("writes x", "wrote to x"),
        ("no gradient", "adds no gradient"),
        ("frozen", "frozen parameter has a gradient"),
    ],
)
def test_faults_of_bookkeeping_are_caught(fault, says, rng):
    layer = init.initialize(Wrong(fault), rng, np.float64)
    layer.weight.trainable = fault != "frozen"
    with pytest.raises(AssertionError, match=says):
        check_layer(layer, rng.standard_normal((2, 5, 5, 3)), rng)


def test_the_layer_stays_as_it_was(rng):
    layer = layers.Sequential(layers.BatchNorm(3), layers.Dropout(0.5))
    init.initialize(layer, rng, np.float64)
    norm, dropout = vars(layer)["0"], vars(layer)["1"]
    norm.gamma.grad = np.ones(3)
    before = norm.running_mean.value.copy(), norm.running_var.value.copy(), dropout.rng.bit_generator.state
    check_layer(layer, 3 + rng.standard_normal((4, 3)), rng, train=True)
    np.testing.assert_array_equal(norm.running_mean.value, before[0])
    np.testing.assert_array_equal(norm.running_var.value, before[1])
    assert dropout.rng.bit_generator.state == before[2]
    np.testing.assert_array_equal(norm.gamma.grad, np.ones(3))


def test_entries_limits_the_work_and_still_catches_a_sign(rng):
    x, w = rng.standard_normal((2, 9, 9, 3)), rng.standard_normal((3, 3, 3))
    check_op(depthwise, x, w, rng=rng, entries=5)
    with pytest.raises(AssertionError, match="of 5 numbers"):
        check_op(broken(lambda dx, dw: (-dx, dw)), x, w, rng=rng, entries=5)
