"""A trained network as an ONNX file, for phones, browsers and servers that know nothing of mini_nn.

The graph takes what the network takes, x (batch, height, width, channels), float32; inside channels come first, as ONNX
has them.  The batch may have any size, height and width are fixed: TensorFlow's padding depends on them.
"""

from mini_nn.export.writing import Exported, onnx

__all__ = ["Exported", "onnx"]
