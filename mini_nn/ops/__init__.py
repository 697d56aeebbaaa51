"""What every operation means: NumPy only, to be read aloud.  A module is `forward` and `backward`.

`forward(x, w, ...)` returns y; `backward(dy, x, w, ...)` returns the gradients of the arrays that come first in
`forward`, in their order.  Arrays keep their dtype; `analytic` operations also take complex numbers, so that
gradcheck can differentiate them with complex steps.  The arguments are never written to.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def channel_sum(a: Array) -> Array:
    """Sum over everything but the channels: a (..., C) -> (C,), added up in float64.

    Adding 100,000 float32 numbers one after another loses three of their seven digits.
    """
    wide = np.result_type(a.dtype, np.float64)
    return a.sum(tuple(range(a.ndim - 1)), dtype=wide).astype(a.dtype)
