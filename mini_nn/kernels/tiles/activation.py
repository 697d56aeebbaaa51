"""Activations of tiles.  Whether one clamps or bends is known while a kernel is compiled: the other leaves no code."""

from numba import njit

from mini_nn.kernels.tiles.registers import INLINE  # and Numba has learned the arithmetic of tiles

CLAMP, SWISH, SIGMOID = range(3)  # ReLU, ReLU6 and none at all are clamps with other bounds


@njit(**INLINE)
def sigmoid(x):
    """1 / (1 + exp(-x)) within 3e-7: half of 1 + tanh(x / 2), whose quotient of polynomials is Eigen's (ptanh_float)."""
    x = min(max(x, -18.0), 18.0)
    z = x * x
    p = z * 4.37031012579801e-11 + 1.15627324459942e-07
    p = p * z + 6.08574864600143e-05
    p = p * z + 8.51377133304701e-03
    p = p * z + 2.48287947061529e-01
    q = z * 6.10247389755681e-13 + 5.76102136993427e-09
    q = q * z + 6.29106785017040e-06
    q = q * z + 1.70198817374094e-03
    q = q * z + 1.16817656904453e-01
    q = q * z + 9.93151921023180e-01
    return p * x / q + 0.5


@njit(**INLINE)
def activate(x, kind, bounds):
    """kind is a literal; bounds, (low, high), are a clamp's."""
    if kind == SWISH:
        return x * sigmoid(x)
    if kind == SIGMOID:
        return sigmoid(x)
    return min(max(x, bounds[0]), bounds[1])
