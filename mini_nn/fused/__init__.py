"""Training at speed: the same network in a tree of other layers, which share its parameters."""

from mini_nn import backend
from mini_nn.core import Layer


def fuse(model: Layer, dx: bool = True) -> Layer:
    """A twin of the model that trains faster and remembers less: same parameters, same names, same outputs and gradients.

    Convolution, BatchNorm and activation become one layer that stores the convolution's output alone.  What has no kernel
    (float64, channels that are no multiple of 8, other filters than 3 x 3 and 5 x 5) runs as it is.  The twin holds the
    layers that the model has now: fuse again after putting in others.  dx=False: nobody will ask for the slope of the
    images, and backward need not return it.
    """
    if not isinstance(model, Layer):
        raise ValueError(f"fuse takes a Layer, not {type(model).__name__}")
    if backend.name() == "numpy":
        return model
    from mini_nn.fused.tree import twin

    return twin(model, dx)


__all__ = ["fuse"]
