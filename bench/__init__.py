"""Measured side by side: this library, PyTorch and ONNX Runtime, on the same networks with the same weights.  `make bench`."""
