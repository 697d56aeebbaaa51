"""y = x sigmoid(x), also called SiLU (Ramachandran et al. 2017)."""

from mini_nn.ops import Array, sigmoid

analytic = True


def forward(x: Array) -> Array:
    """x -> y, any shape."""
    return x * sigmoid.forward(x)


def backward(dy: Array, x: Array) -> Array:
    """Return dx.  The product rule: the slope of x times s, plus x times the slope of s = sigmoid(x)."""
    s = sigmoid.forward(x)
    return dy * (s + x * s * (1 - s))
