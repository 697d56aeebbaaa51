"""The three convolutions on Waves: each calls its kernel with matrices whose rows are pixels."""

from typing import Any, NamedTuple

import numpy as np

from mini_nn.core import Layer
from mini_nn.fused.flow import Wave
from mini_nn.kernels.fused import depthwise, pointwise, windows
from mini_nn.kernels.fused.bend import RAW
from mini_nn.layers import Conv2D, DepthwiseConv2D, PointwiseConv2D
from mini_nn.ops import Array
from mini_nn.ops.padding import crop, pad, resolve, window

NOTHING = np.zeros((0, 1), np.float32)


class Back(NamedTuple):
    """The way back through a convolution."""

    dw: Array
    sums: Array = NOTHING  # of dL/du, where the input was a Wave
    dgate: Array = NOTHING


class Pointwise:
    """x @ w."""

    @staticmethod
    def fits(conv: Any) -> bool:
        return conv.bias is None

    @staticmethod
    def channels(conv: Any) -> int:
        return conv.weight.shape[0]

    @staticmethod
    def reads(x: Wave) -> bool:  # noqa: ARG004
        """Whether the kernel can read the Wave."""
        return True

    @staticmethod
    def forward(conv: Any, x: Wave, wanted: bool) -> tuple[Array, Array]:
        """z, and (2, O) sums of z and z^2 if wanted."""
        w = conv.weight.value
        z = x.arena.empty(*x.z.shape[:3], w.shape[1])
        sums = pointwise.forward(x.rows, x.fold, x.kind, x.gate, x.pixels, w, flat(z), wanted, x.arena.empty)
        return z, sums

    @staticmethod
    def backward(conv: Any, g: Array, z: Array, by: Array, x: Wave, plus: Array | None, out: Array) -> Back:
        """dL/dx plus an array, or dL/du of a Wave, into out (no rows: it is not wanted)."""
        more, learn = NOTHING if plus is None else flat(plus), conv.weight.trainable
        return Back(
            *pointwise.backward(
                flat(g), flat(z), by, x.rows, x.fold, x.kind, x.gate, x.pixels, conv.weight.value, more, flat(out), learn, x.arena.empty
            )
        )  # fmt: skip


class Depthwise:
    """The same with a filter for each channel."""

    @staticmethod
    def fits(conv: Any) -> bool:
        return (conv.kernel_size, conv.stride) in depthwise.BUILT

    @staticmethod
    def channels(conv: Any) -> int:
        return conv.weight.shape[2]

    @staticmethod
    def reads(x: Wave) -> bool:
        return not len(x.gate)

    @staticmethod
    def forward(conv: Any, x: Wave, wanted: bool) -> tuple[Array, Array]:
        shape, w = geometry(conv, x.z), conv.weight.value
        z = x.arena.empty(len(x.z), shape[2], shape[3], w.shape[2])
        return z, depthwise.forward(x.rows, x.fold, x.kind, w, conv.stride, shape, flat(z), wanted)

    @staticmethod
    def backward(conv: Any, g: Array, z: Array, by: Array, x: Wave, plus: Array | None, out: Array) -> Back:
        shape, dx = geometry(conv, x.z), out if len(out) else x.arena.empty(*x.z.shape)
        found = depthwise.backward(
            flat(g), flat(z), by, x.rows, x.fold, x.kind, conv.weight.value, conv.stride, shape, flat(dx)
        )
        if plus is not None:
            out += plus
        return Back(*found)


class Standard:
    """The first layer: its windows side by side, then as Pointwise.  It reads arrays only."""

    @staticmethod
    def fits(conv: Any) -> bool:
        return conv.bias is None and conv.groups == 1

    @staticmethod
    def channels(conv: Any) -> int:
        return conv.in_channels

    @staticmethod
    def reads(x: Wave) -> bool:
        return x.kind == RAW

    @staticmethod
    def side_by_side(conv: Any, x: Wave) -> tuple[Wave, Array]:
        """(windows, weights as a matrix)."""
        w, shape = conv.weight.value.reshape(-1, conv.weight.shape[3]), geometry(conv, x.z)
        rows = x.arena.empty(len(x.z), *shape[2:4], len(w))
        windows.gather(x.z, conv.kernel_size, conv.stride, *shape[4:], rows)
        return x._replace(z=rows), w

    @staticmethod
    def forward(conv: Any, x: Wave, wanted: bool) -> tuple[Array, Array]:
        seen, w = Standard.side_by_side(conv, x)
        z = x.arena.empty(*seen.z.shape[:3], w.shape[1])
        return z, pointwise.forward(seen.rows, x.fold, RAW, NOTHING, 1, w, flat(z), wanted, x.arena.empty)

    @staticmethod
    def backward(conv: Any, g: Array, z: Array, by: Array, x: Wave, plus: Array | None, out: Array) -> Back:
        seen, w = Standard.side_by_side(conv, x)
        spread = x.arena.empty(*seen.z.shape) if len(out) else NOTHING
        dw, *_ = pointwise.backward(
            flat(g), flat(z), by, seen.rows, x.fold, RAW, NOTHING, 1, w, NOTHING, flat(spread), conv.weight.trainable, x.arena.empty
        )  # fmt: skip
        if len(out):
            k, c = conv.kernel_size, conv.weight.shape[2]
            pads, size = resolve(conv.padding, x.z.shape[1:3], k, conv.stride)
            dxp = np.zeros_like(pad(x.z, pads))
            for a, b in np.ndindex(k, k):
                tap = (a * k + b) * c
                dxp[window(a, b, size, conv.stride)] += spread[..., tap : tap + c]
            out[:] = crop(dxp, pads) if plus is None else crop(dxp, pads) + plus
        return Back(dw.reshape(conv.weight.shape) if conv.weight.trainable else dw)


CONVOLUTIONS: dict[type[Layer], Any] = {
    Conv2D: Standard,
    DepthwiseConv2D: Depthwise,
    PointwiseConv2D: Pointwise,
}


def flat(x: Array) -> Array:
    """Pixels as rows."""
    return x.reshape(-1, x.shape[-1])


def geometry(conv: Any, x: Array) -> depthwise.Shape:
    """(height, width) of x and of z, and the padding (above, left)."""
    ((above, _), (left, _)), out = resolve(conv.padding, x.shape[1:3], conv.kernel_size, conv.stride)
    return (x.shape[1], x.shape[2], *out, above, left)
