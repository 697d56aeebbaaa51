"""The nouns: a Parameter is trained, a Buffer is remembered, a Layer is a tree of both."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from mini_nn.ops import Array

Shape = tuple[int, ...]


class Named:
    """An array with a shape from the start and a value only later: building a network takes no memory."""

    def __init__(self, *shape: int) -> None:
        if not all(isinstance(n, int | np.integer) and n >= 1 for n in shape):
            raise ValueError(
                f"channels and kernel sizes are whole numbers from 1; {shape} is no shape of an array"
            )
        self.shape = tuple(int(n) for n in shape)
        self._value: Array | None = None

    @property
    def has_value(self) -> bool:
        return self._value is not None

    @property
    def value(self) -> Array:
        if self._value is None:
            raise ValueError(
                f"a {type(self).__name__} of shape {self.shape} has no value yet: call "
                "init.initialize(model, rng) or weights.load(model, path) first"
            )
        return self._value

    @value.setter
    def value(self, array: Array) -> None:
        kind = type(self).__name__
        if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64):
            given = getattr(array, "dtype", type(array).__name__)
            raise ValueError(f"a {kind} holds a float32 or float64 array, not {given}")
        if array.shape != self.shape:
            raise ValueError(f"a {kind} of shape {self.shape} was given an array of {array.shape}")
        self._value = array

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.shape}"


class Parameter(Named):
    """An array that training changes.  `trainable = False` freezes it."""

    def __init__(self, *shape: int) -> None:
        super().__init__(*shape)
        self.grad: Array | None = None
        self.trainable = True

    def add_grad(self, grad: Array) -> None:
        """Gradients of several uses of a parameter add up; a frozen parameter collects none."""
        if self.trainable:
            self.grad = grad if self.grad is None else self.grad + grad


class Buffer(Named):
    """An array that running changes (a moving average): saved with the model, never trained."""


class Layer(ABC):
    """A function with parameters and its hand-written derivative.

    `forward` returns the output and the *cache*: exactly the values that `backward` will need.  Nothing about
    a call is kept on the layer, so one layer may be called twice before going back.
    """

    @abstractmethod
    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        """Return (y, cache)."""

    @abstractmethod
    def backward(self, dy: Array, cache: Any) -> Array:
        """Add dL/dparameter to each parameter's grad and return dx = dL/dx."""

    def __call__(self, x: Array) -> Array:
        """Predict: forward, remembering nothing."""
        return self.forward(x)[0]

    def out_shape(self, shape: Shape) -> Shape:
        """The output's shape for one input of `shape`, both without the batch."""
        return shape

    def macs(self, shape: Shape) -> int:
        """Multiply-adds for one input of `shape` (H, W, C).  Bias, norm, activation, pooling and sums count 0."""
        return 0

    def children(self) -> list[tuple[str, "Layer"]]:
        return [(name, item) for name, item in vars(self).items() if isinstance(item, Layer)]


def named_layers(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield (dotted name, layer) for the layer itself ('') and all below it, in the order of definition."""
    yield prefix, layer
    for name, child in layer.children():
        yield from named_layers(child, f"{prefix}.{name}" if prefix else name)


def named_arrays(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Parameter | Buffer]]:
    """Yield (dotted name, Parameter or Buffer), in the order of definition."""
    for where, owner in named_layers(layer):
        for name, item in vars(owner).items():
            if isinstance(item, Parameter | Buffer):
                yield prefix + (f"{where}.{name}" if where else name), item


def parameters(layer: Layer) -> list[Parameter]:
    return [item for _, item in named_arrays(layer) if isinstance(item, Parameter)]


def check_input(who: Layer, x: Any, channels: int | None = None, ndim: int | None = 4) -> None:
    """Raise ValueError, naming the layer and what is wrong, unless x is an array that the layer can take."""
    name = type(who).__name__
    if not isinstance(x, np.ndarray):
        raise ValueError(f"{name}: x must be a NumPy array, not {type(x).__name__}")
    if x.dtype not in (np.float32, np.float64):
        hint = "x.astype(np.float32)" + (" / 255 for pixels" if x.dtype.kind in "iu" else "")
        raise ValueError(f"{name}: x is {x.dtype}; float32 or float64 is needed: {hint}")
    axes = {4: "(N, H, W, C)", 2: "(N, C)", None: "(..., C)"}[ndim]
    if x.ndim < 2 or (ndim is not None and x.ndim != ndim):
        batch = "; add the batch axis with x[None]" if x.ndim == 3 and ndim == 4 else ""
        raise ValueError(f"{name}: x has shape {x.shape}, {axes} is needed{batch}")
    if 0 in x.shape:
        raise ValueError(f"{name}: x is empty, its shape is {x.shape}")
    if channels is not None and x.shape[-1] != channels:
        swapped = x.ndim == 4 and x.shape[1] == channels
        hint = "; channels look first (NCHW): use x.transpose(0, 2, 3, 1)" if swapped else ""
        raise ValueError(f"{name}: x {x.shape} has {x.shape[-1]} channels, {channels} are needed{hint}")


def check_grad(who: Layer, dy: Any, shape: Shape) -> None:
    """Raise ValueError unless dy is a float array of the output's shape."""
    given = dy.shape if isinstance(dy, np.ndarray) else type(dy).__name__
    if given != shape or dy.dtype not in (np.float32, np.float64):
        kind = f" {dy.dtype}" if isinstance(dy, np.ndarray) else ""
        raise ValueError(
            f"{type(who).__name__}: dy is {given}{kind}; the output's {shape} in float32 or float64 is needed"
        )
