"""A whole network: what a model of any family is, once it is built."""

from typing import Any

from mini_nn.blocks import Convention
from mini_nn.core import Layer, check_input
from mini_nn.layers import Dense, Dropout, GlobalAveragePool, Sequential
from mini_nn.ops import Array

MIN_SIZE = 32  # pixels; five strides of 2 leave one


class Network(Sequential):
    """A Sequential that knows its recipe (name, options) and refuses images that it cannot take.

    x (N, H, W, in_channels), float32 or float64, H and W from 32 -> logits (N, num_classes).
    """

    def __init__(self, recipe: tuple[str, dict[str, Any]], **layers: Layer) -> None:
        super().__init__(**layers)
        self.recipe_name, self.options = recipe

    @property
    def convention(self) -> Convention:
        return self.options["convention"]

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        self.check(x)
        return super().forward(x, train)

    def __call__(self, x: Array) -> Array:
        self.check(x)
        return super().__call__(x)

    def check(self, x: Array) -> None:
        check_input(self, x, self.options["in_channels"])
        if min(x.shape[1:3]) < MIN_SIZE:
            raise ValueError(
                f"{self.recipe_name}: images of {x.shape[1]} x {x.shape[2]} pixels are too small; "
                f"height and width must be at least {MIN_SIZE}"
            )


def assemble(
    recipe: tuple[str, dict[str, Any]], stem: Layer, stages: Layer, head: Layer | None, features: int
) -> Network:
    """The frame that all families share; `features` is the number of channels that the classifier sees."""
    options = recipe[1]
    return Network(
        recipe,
        stem=stem,
        stages=stages,
        **({"head": head} if head else {}),
        pool=GlobalAveragePool(),
        **({"dropout": Dropout(options["dropout"])} if options["dropout"] else {}),
        classifier=Dense(features, options["num_classes"]),
    )
