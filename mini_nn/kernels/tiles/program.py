"""A whole network in one compiled function: it reads a table of steps, and each thread takes pieces of the current one.

Handing work to a Python thread costs about 60 us, more than many layers take.  So every thread runs this function from the first
step to the last and meets the others in it, at a counter.  A step is a row of whole numbers: what to do, where its
input, output and weights begin in one long array each, the shape, and into how many pieces it is cut.  Which thread takes
which piece never changes a result.
"""

from functools import cache
from typing import Any

from mini_nn.kernels import kernel
from mini_nn.kernels.tiles.meeting import add, wait
from mini_nn.kernels.tiles.steps import act
from mini_nn.kernels.tiles.table import PIECES, SLOT


@cache
def program(kind: int) -> Any:
    """The compiled function for networks whose activation is `kind`: its code holds no other.

    run(steps, weights, image, arena, meeting, thread): image is one (H * W * C), meeting SLOT zeros a step.  Nobody waits
    for a thread, only for pieces that somebody took: a thread may come late, or not at all.
    """

    def run(steps, weights, image, arena, meeting, thread):
        for s in range(len(steps)):
            step = steps[s]
            while True:
                piece = add(meeting, s * SLOT, 1)
                if piece >= step[PIECES]:
                    break
                act(step, weights, image, arena, kind, piece, thread)
                add(meeting, s * SLOT + 8, 1)
            wait(meeting, s * SLOT + 8, step[PIECES])

    return kernel(run)
