"""What the operations without windows mean: normalisation, activations, pooling, softmax."""

import numpy as np
import pytest

from mini_nn.gradcheck import check_op
from mini_nn.kernels import batch_norm as fast_batch_norm
from mini_nn.kernels import swish as fast_swish
from mini_nn.ops import batch_norm, channel_sum, global_average_pool, relu, relu6, sigmoid, softmax, swish

ACTIVATIONS = [relu, relu6, sigmoid, swish, fast_swish, softmax]


@pytest.fixture(params=[batch_norm, fast_batch_norm], ids=["ops", "kernels"])
def norm(request):
    return request.param


@pytest.mark.parametrize("op", ACTIVATIONS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 1, 5)], ids=str)
def test_activation_backward_matches_its_forward(op, shape, rng):
    check_op(op, 4 * rng.standard_normal(shape), rng=rng)


def test_pool_backward_matches_its_forward(rng):
    check_op(global_average_pool, rng.standard_normal((2, 3, 4, 5)), rng=rng)


@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (6, 2), (2, 1, 1, 4)], ids=str)
def test_norm_backward_matches_its_forward(norm, given, shape, rng):
    gamma, beta, mean = rng.standard_normal((3, shape[-1]))
    statistics = (mean, rng.uniform(0.5, 2, shape[-1])) if given else (None, None)
    check_op(norm, 2 + rng.standard_normal(shape), gamma, beta, *statistics, 1e-3, rng=rng)


def test_a_normalised_channel_has_mean_beta_and_deviation_gamma(norm, rng):
    x = 5 + 3 * rng.standard_normal((8, 9, 7, 2))
    y = norm.forward(x, np.array([2.0, 0.5]), np.array([1.0, -1.0]), eps=1e-12)
    np.testing.assert_allclose(y.mean((0, 1, 2)), [1, -1], atol=1e-9)
    np.testing.assert_allclose(y.std((0, 1, 2)), [2, 0.5], atol=1e-9)


def test_the_norms_slope_ignores_shifts_and_scalings_of_x(norm, rng):
    """y does not change when x is shifted or scaled, so dx has no component along 1 or along x - mean."""
    x, dy = rng.standard_normal((2, 50, 3))
    dx, _, _ = norm.backward(dy, x, np.ones(3), np.zeros(3), eps=1e-14)
    np.testing.assert_allclose(dx.sum(0), 0, atol=1e-9)
    np.testing.assert_allclose((dx * (x - x.mean(0))).sum(0), 0, atol=1e-9)


def test_statistics_keep_their_digits_far_from_zero(norm, rng):
    """Sums of float32 squares would lose the variance of numbers near 1000 altogether."""
    x = (1000 + rng.standard_normal((64, 56, 56, 2))).astype(np.float32)
    mean, var = norm.statistics(x)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(var, x.astype(np.float64).var((0, 1, 2)), rtol=1e-4)


def test_kinks_have_slope_zero():
    """PyTorch, JAX and Keras agree on this."""
    at = np.array([-1.0, 0, 3, 6, 7])
    assert relu.backward(np.ones(5), at).tolist() == [0, 0, 1, 1, 1]
    assert relu6.backward(np.ones(5), at).tolist() == [0, 0, 1, 0, 0]
    assert relu6.forward(at).tolist() == [0, 0, 3, 6, 6]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", [sigmoid, swish, fast_swish, softmax], ids=lambda op: op.__name__)
def test_nothing_overflows(op, dtype):
    x = np.array([[-1e4, -100, 0, 100, 1e4]], dtype)
    y, dx = op.forward(x), op.backward(np.ones_like(x), x)
    assert y.dtype == dx.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


def test_known_values():
    np.testing.assert_allclose(sigmoid.forward(np.array([0, np.log(3)])), [0.5, 0.75], rtol=1e-15)
    np.testing.assert_allclose(swish.forward(np.array([0, np.log(3)])), [0, 0.75 * np.log(3)], rtol=1e-15)
    np.testing.assert_allclose(softmax.forward(np.log([[1.0, 3.0], [2.0, 2.0]])), [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(sigmoid.forward(np.array([-40.0])), [np.exp(-40)], rtol=1e-12)


@pytest.mark.parametrize("op", [swish, fast_swish], ids=lambda op: op.__name__)
def test_nan_stays_nan(op):
    assert np.isnan(op.forward(np.array([np.nan, 1], np.float32))).tolist() == [True, False]


def test_channel_sum_keeps_its_digits():
    a = np.full((1000, 1000, 2), 0.1, np.float32)  # one channel would be added pairwise by NumPy
    np.testing.assert_allclose(channel_sum(a), [1e5, 1e5], rtol=1e-6)


def test_pool_keeps_its_digits():
    x = np.full((1, 1024, 1024, 2), 0.1, np.float32)
    np.testing.assert_allclose(global_average_pool.forward(x), [[0.1, 0.1]], rtol=1e-6)
