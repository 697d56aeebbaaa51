"""Everything with a forward and a backward.  One file a topic."""

from mini_nn.layers.activation import ReLU, ReLU6, Sigmoid, Softmax, Swish
from mini_nn.layers.compose import Gate, Residual, Sequential
from mini_nn.layers.conv import Conv2D
from mini_nn.layers.depthwise import DepthwiseConv2D
from mini_nn.layers.norm import BatchNorm
from mini_nn.layers.pointwise import Dense, PointwiseConv2D
from mini_nn.layers.pool import GlobalAveragePool
from mini_nn.layers.stochastic import Dropout, StochasticDepth

__all__ = [
    "BatchNorm",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Gate",
    "GlobalAveragePool",
    "PointwiseConv2D",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "StochasticDepth",
    "Swish",
]
