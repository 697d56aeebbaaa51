"""Weights in files: our own, and those of timm, torchvision, EfficientNet-PyTorch and Keras; pretrained networks."""

from mini_nn.weights.loading import Loaded, load
from mini_nn.weights.native import save
from mini_nn.weights.pretrained import pretrained  # at once: a later import would put the module in its place

__all__ = ["Loaded", "load", "pretrained", "save"]
