"""The three ways to put layers together are the three rules of differentiation.

Layers go in by name and run in that order; the name becomes part of the parameters' names.
Layers without a name are numbered: 0, 1, 2, ...
"""

from typing import Any

from mini_nn.core import Layer, Shape
from mini_nn.ops import Array


class Sequential(Layer):
    """The chain rule: y = f(x), where f is the layers one after another."""

    def __init__(self, *layers: Layer, **named: Layer) -> None:
        for name, layer in {**{str(i): layer for i, layer in enumerate(layers)}, **named}.items():
            if not isinstance(layer, Layer) or hasattr(type(self), name):
                raise ValueError(f"{type(self).__name__}: {name}={layer!r} is not a layer with a free name")
            setattr(self, name, layer)

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        caches = []
        for _, layer in self.children():
            x, cache = layer.forward(x, train)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Array, cache: Any) -> Array:
        for (_, layer), inner in zip(reversed(self.children()), reversed(cache), strict=True):
            dy = layer.backward(dy, inner)
        return dy

    def __call__(self, x: Array) -> Array:
        for _, layer in self.children():
            x = layer(x)
        return x

    def out_shape(self, shape: Shape) -> Shape:
        for _, layer in self.children():
            shape = layer.out_shape(shape)
        return shape

    def macs(self, shape: Shape) -> int:
        total = 0
        for _, layer in self.children():
            total, shape = total + layer.macs(shape), layer.out_shape(shape)
        return total


class Residual(Sequential):
    """The sum rule: y = x + f(x), so dx = dy + f'(x) dy  (He et al. 2015, figure 2)."""

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        y, cache = super().forward(x, train)
        return self.join(x, y), cache

    def backward(self, dy: Array, cache: Any) -> Array:
        return dy + super().backward(dy, cache)

    def __call__(self, x: Array) -> Array:
        return self.join(x, super().__call__(x))

    def join(self, x: Array, y: Array) -> Array:
        if x.shape != y.shape:
            raise ValueError(f"Residual: x {x.shape} and f(x) {y.shape} must have the same shape")
        return x + y


class Gate(Sequential):
    """The product rule: y = x g(x), g being (N, 1, 1, C)  (squeeze-and-excitation, Hu et al. 2017, equation 4)."""

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        g, cache = super().forward(x, train)
        return self.join(x, g), (x, g, cache)

    def backward(self, dy: Array, cache: Any) -> Array:
        x, g, inner = cache
        dg = (dy * x).sum((1, 2), keepdims=True, dtype="float64").astype(g.dtype)
        return dy * g + super().backward(dg, inner)

    def __call__(self, x: Array) -> Array:
        return self.join(x, super().__call__(x))

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def join(self, x: Array, g: Array) -> Array:
        if g.shape != (len(x), 1, 1, x.shape[-1]):
            raise ValueError(
                f"Gate: the gate's shape is {g.shape}, x {x.shape} wants {(len(x), 1, 1, x.shape[-1])}"
            )
        return x * g
