"""The one place that knows what padding means."""

import numpy as np

from mini_nn.ops import Array

Padding = str | int
Pads = tuple[tuple[int, int], tuple[int, int]]  # (top, bottom), (left, right)


def resolve(
    padding: Padding, size: tuple[int, ...], kernel_size: int, stride: int
) -> tuple[Pads, tuple[int, int]]:
    """Return ((top, bottom), (left, right)) and the output's (height, width) for an input of `size`.

    'same'       TensorFlow's: ceil(n / stride) outputs; an odd pixel goes to the bottom and the right
    'symmetric'  PyTorch's habit: kernel_size // 2 on every side
    'valid'      none
    an int       that many pixels on every side
    """
    if kernel_size < 1 or stride < 1:
        raise ValueError(f"kernel_size {kernel_size} and stride {stride} must be at least 1")
    pads, out = [], []
    for n in size[:2]:
        before, after = _one_side(padding, n, kernel_size, stride)
        pads.append((before, after))
        out.append((n + before + after - kernel_size) // stride + 1)
        if n < 1 or out[-1] < 1:
            raise ValueError(
                f"an image of {size[0]} x {size[1]} is too small for a filter of {kernel_size} x "
                f"{kernel_size} with padding {padding!r}"
            )
    return (pads[0], pads[1]), (out[0], out[1])


def _one_side(padding: Padding, n: int, kernel_size: int, stride: int) -> tuple[int, int]:
    if padding == "same":
        total = max((-(-n // stride) - 1) * stride + kernel_size - n, 0)
        return total // 2, total - total // 2
    if padding == "symmetric":
        padding = kernel_size // 2
    elif padding == "valid":
        padding = 0
    if isinstance(padding, bool) or not isinstance(padding, int | np.integer) or padding < 0:
        raise ValueError(f"padding must be 'same', 'symmetric', 'valid' or an int from 0, not {padding!r}")
    return int(padding), int(padding)


def pad(x: Array, pads: Pads) -> Array:
    """x (N, H, W, C) with zeros around each image."""
    return np.pad(x, ((0, 0), *pads, (0, 0)))


def crop(xp: Array, pads: Pads) -> Array:
    """Undo `pad`."""
    (top, bottom), (left, right) = pads
    return xp[:, top : xp.shape[1] - bottom, left : xp.shape[2] - right]


def window(a: int, b: int, out: tuple[int, int], stride: int) -> tuple[slice, ...]:
    """The pixels of a padded image that tap (a, b) of the filter sees, one for each output pixel."""
    return np.s_[:, a : a + stride * out[0] : stride, b : b + stride * out[1] : stride]
