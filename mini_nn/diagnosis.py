"""What is odd about a wrong array?  Compare it with the right one and say what is seen, in words."""

from collections.abc import Iterator

import numpy as np

from mini_nn.ops import Array


def message(
    what: str, label: str, method: str, grad: Array, expected: Array, tried: Array, wrong: Array
) -> str:
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    text = (
        f"{what}: d{label} is wrong at {int(wrong.sum())} of {int(tried.sum())} numbers; "
        f"the first is d{label}{list(first)}: expected {expected[first]:.9g}, got {grad[first]:.9g} ({method})"
    )
    seen = list(patterns(grad, expected, wrong)) if tried.all() else []
    return text + (". It looks " + "; it looks ".join(seen) if seen else "")


def patterns(grad: Array, expected: Array, wrong: Array) -> Iterator[str]:
    """What is odd about a wrong gradient, in words."""

    def close(a: Array, b: Array) -> bool:
        return a.shape == b.shape and np.allclose(a, b, 1e-5, 1e-7 * np.abs(expected).max())

    if not np.isfinite(grad).all():
        yield "not finite: a division by zero or an overflow"
        return
    if not grad.any():
        yield "all zero: never written, or lost on the way"
        return
    if close(grad, expected):
        yield "right to five digits, and no further: is something float32 on the way, or a step too large?"
        return
    if close(grad, -expected):
        yield "like the right answer with the wrong sign"
        return
    ratio = float((grad * expected).sum() / (expected * expected).sum()) if expected.any() else np.nan
    if np.isfinite(ratio) and close(grad, ratio * expected):
        yield f"like the right answer times a constant ratio, {ratio:.6g}"
        return
    for a in range(grad.ndim):
        for b in range(a + 1, grad.ndim):
            if grad.shape[a] == grad.shape[b] > 1 and close(grad.swapaxes(a, b), expected):
                yield f"transposed: axes {a} and {b} are swapped"
                return
    for axes in [(0, 1), (0,), (1,)] if grad.ndim > 1 else []:
        if close(np.flip(grad, axes), expected):
            yield f"flipped along {'axes 0 and 1' if len(axes) == 2 else f'axis {axes[0]}'}"
            return
    yield from places(wrong)


def places(wrong: Array) -> Iterator[str]:
    """Where the wrong numbers are: in a border of the image (axes 1 and 2 of four), in one slice of an axis."""
    if wrong.all():
        return
    if wrong.ndim == 4 and min(wrong.shape[1:3]) > 2 and not wrong[:, 1:-1, 1:-1].any():
        yield "right inside and wrong only at the border of the image: padding"
    for axis, size in enumerate(wrong.shape):
        hit = wrong.any(tuple(a for a in range(wrong.ndim) if a != axis))
        if size > 1 and hit.sum() == 1:
            at = int(np.argmax(hit))
            yield f"wrong only at {'the last ' if at == size - 1 else ''}index {at} of axis {axis}"
