"""What the three convolutions mean, and that each backward is the slope of its forward.

The shapes are small and crooked on purpose: H != W, strides 1 to 3, rows left over at the end, filters wider than the
image, more filters than channels.  Square images with stride 1 hide most mistakes.
"""

import numpy as np
import pytest

from mini_nn.gradcheck import check_op
from mini_nn.kernels import conv as fast_conv
from mini_nn.kernels import depthwise as fast_depthwise
from mini_nn.ops import conv, depthwise, pointwise
from mini_nn.ops.padding import resolve

WINDOWS = [  # H, W, K, stride, padding
    (5, 7, 3, 1, "same"),
    (6, 5, 3, 2, "same"),
    (7, 8, 5, 2, "same"),
    (6, 8, 3, 2, "symmetric"),
    (8, 6, 3, 3, "valid"),
    (7, 4, 2, 3, "same"),
    (3, 2, 5, 1, "same"),
    (5, 6, 3, 2, 2),
    (4, 5, 1, 2, "valid"),
]
GROUPS = [(4, 6, 1), (4, 6, 2), (3, 6, 3), (2, 2, 2)]  # input channels, filters, groups


@pytest.fixture(params=WINDOWS, ids=str)
def window(request):
    return request.param


@pytest.fixture(params=[conv, fast_conv], ids=["ops", "kernels"])
def conv_op(request):
    return request.param


@pytest.fixture(params=[depthwise, fast_depthwise], ids=["ops", "kernels"])
def depthwise_op(request):
    return request.param


def definition(x, w, stride, padding, groups):
    """The sum of the textbook, one product at a time."""
    (top, left), out = [p[0] for p in resolve(padding, x.shape[1:3], len(w), stride)[0]], None
    out = resolve(padding, x.shape[1:3], len(w), stride)[1]
    y = np.zeros((len(x), *out, w.shape[3]))
    per_group_in, per_group_out = w.shape[2], w.shape[3] // groups
    for n, i, j, o in np.ndindex(y.shape):
        for a, b, c in np.ndindex(w.shape[:3]):
            p, q = i * stride + a - top, j * stride + b - left
            if 0 <= p < x.shape[1] and 0 <= q < x.shape[2]:
                y[n, i, j, o] += x[n, p, q, o // per_group_out * per_group_in + c] * w[a, b, c, o]
    return y


@pytest.mark.parametrize("channels", GROUPS, ids=str)
def test_conv_is_the_sum_of_the_textbook(window, channels, conv_op, rng):
    (h, w, k, stride, padding), (i, o, groups) = window, channels
    x, weight = rng.standard_normal((2, h, w, i)), rng.standard_normal((k, k, i // groups, o))
    expected = definition(x, weight, stride, padding, groups)
    np.testing.assert_allclose(conv_op.forward(x, weight, stride, padding, groups), expected, 1e-12, 1e-12)


@pytest.mark.parametrize("channels", GROUPS, ids=str)
def test_conv_backward_matches_its_forward(window, channels, conv_op, rng):
    (h, w, k, stride, padding), (i, o, groups) = window, channels
    x, weight = rng.standard_normal((2, h, w, i)), rng.standard_normal((k, k, i // groups, o))
    check_op(conv_op, x, weight, stride, padding, groups, rng=rng)


def test_depthwise_is_a_convolution_with_a_group_for_each_channel(window, depthwise_op, rng):
    h, w, k, *how = window
    x, weight = rng.standard_normal((2, h, w, 3)), rng.standard_normal((k, k, 3))
    expected = definition(x, weight[:, :, None], *how, groups=3)
    np.testing.assert_allclose(depthwise_op.forward(x, weight, *how), expected, 1e-12, 1e-12)


def test_depthwise_backward_matches_its_forward(window, depthwise_op, rng):
    h, w, k, *how = window
    check_op(depthwise_op, rng.standard_normal((2, h, w, 3)), rng.standard_normal((k, k, 3)), *how, rng=rng)


def test_a_box_filter_counts_the_neighbours(depthwise_op):
    y = depthwise_op.forward(np.ones((1, 3, 3, 1)), np.ones((3, 3, 1)))
    assert y[0, :, :, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 5), (1, 1, 7, 5)], ids=str)
def test_pointwise_mixes_channels_and_nothing_else(shape, rng):
    x, w = rng.standard_normal(shape), rng.standard_normal((5, 6))
    y = pointwise.forward(x, w)
    for index in np.ndindex(shape[:-1]):
        np.testing.assert_allclose(y[index], sum(x[index][c] * w[c] for c in range(5)), 1e-12, 1e-12)
    check_op(pointwise, x, w, rng=rng)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_is_tensorflows(size, k, stride):
    """ceil(n / stride) outputs; as little padding as that needs; the odd pixel at the end."""
    (before, after), out = (
        resolve("same", (size, size), k, stride)[0][0],
        resolve("same", (size, size), k, stride)[1][0],
    )
    assert out == -(-size // stride)
    assert before <= after <= before + 1
    assert before + after == max((out - 1) * stride + k - size, 0)


@pytest.mark.parametrize(
    ("padding", "size", "k", "stride", "expected"),
    [
        ("same", (224, 225), 3, 2, (((0, 1), (1, 1)), (112, 113))),
        ("same", (112, 113), 5, 2, (((1, 2), (2, 2)), (56, 57))),
        ("symmetric", (224, 225), 3, 2, (((1, 1), (1, 1)), (112, 113))),
        ("symmetric", (8, 9), 5, 2, (((2, 2), (2, 2)), (4, 5))),
        ("valid", (8, 9), 3, 2, (((0, 0), (0, 0)), (3, 4))),
        (3, (8, 9), 3, 2, (((3, 3), (3, 3)), (6, 7))),
    ],
)
def test_padding_of_known_layers(padding, size, k, stride, expected):
    assert resolve(padding, size, k, stride) == expected


@pytest.mark.parametrize("padding", ["SAME", "full", -1, 1.5, None, True, (1, 1)])
def test_unknown_padding_is_refused_by_name(padding):
    with pytest.raises(ValueError, match="padding must be"):
        resolve(padding, (8, 8), 3, 1)


def test_a_filter_larger_than_a_valid_image_is_refused():
    with pytest.raises(ValueError, match="2 x 9 is too small for a filter of 3 x 3"):
        resolve("valid", (2, 9), 3, 1)


@pytest.mark.parametrize("op", [depthwise, fast_depthwise], ids=["ops", "kernels"])
def test_channels_that_do_not_fit_are_refused(op, rng):
    with pytest.raises(ValueError, match="x has 1 channels, w has 4"):
        op.forward(rng.standard_normal((1, 5, 5, 1)), np.ones((3, 3, 4)))


def test_conv_refuses_channels_that_do_not_fit(conv_op, rng):
    with pytest.raises(ValueError, match="x has 4 channels"):
        conv_op.forward(rng.standard_normal((1, 5, 5, 4)), np.ones((3, 3, 3, 2)))
