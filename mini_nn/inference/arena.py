"""Where each buffer lies: two that are never needed at the same time may share a place."""

from collections.abc import Sequence
from itertools import product

from mini_nn.kernels import LINE

BUFFERS = ("X", "Y", "OTHER", "GATED", "SUMS", "SCRATCH")  # the columns of the table that name a buffer


def lifetimes(
    steps: Sequence[Sequence[dict[str, int]]], last: int, entry: int | None
) -> dict[int, tuple[int, int]]:
    """buffer -> (first, last) of the steps that name it.  Steps that stand together are at work together.

    `last` is read when all is done, `entry` is written before.
    """
    found: dict[int, tuple[int, int]] = {}
    for i, together in enumerate(steps):
        for step, column in product(together, BUFFERS):
            if (buffer := step.get(column, -1)) >= 0:
                found[buffer] = (found.get(buffer, (i, i))[0], i)
    found[last] = (found.get(last, (0, 0))[0], len(steps))
    if entry is not None:
        found[entry] = (0, found.get(entry, (0, 0))[1])
    return found


def places(sizes: list[int], lives: dict[int, tuple[int, int]]) -> tuple[dict[int, int], int]:
    """buffer -> place, and the floats needed in all: the largest first, each at the lowest place that is free for its life."""
    taken: list[tuple[int, int, int]] = []  # (place, end, buffer)
    found: dict[int, int] = {}
    for buffer in sorted(lives, key=lambda b: -sizes[b]):
        first, last = lives[buffer]
        size, place = -(-sizes[buffer] // LINE) * LINE, 0
        for start, end, other in sorted(taken):
            if lives[other][0] <= last and first <= lives[other][1]:
                if place + size <= start:
                    break
                place = max(place, end)
        found[buffer] = place
        taken.append((place, place + size, buffer))
    return found, max((end for _, end, _ in taken), default=0)
