"""A whole network in one compiled function: it reads a table of steps, and each thread takes pieces of the current one.

Handing work to a Python thread costs about 60 us, more than many layers take.  So every thread runs this function from the first
step to the last and meets the others in it, at a counter.  A step is a row of whole numbers: what to do, where its
input, output and weights begin in one long array each, the shape, and into how many pieces it is cut.  Which thread takes
which piece never changes a result.
"""

import sys
from functools import cache
from threading import Lock, Timer
from typing import Any

from numba import types

from mini_nn.kernels import kernel
from mini_nn.kernels.tiles import steps as do
from mini_nn.kernels.tiles import table as t
from mini_nn.kernels.tiles.activation import CLAMP, SWISH
from mini_nn.kernels.tiles.meeting import add, wait

PATIENCE = 2.0  # seconds; kernels that were compiled before are there sooner
alone = Lock()
COMPILING = "mini_nn: compiling kernels, once on this machine (5 to 15 s) ...\n"
OP, PIECES, ACT, SLOT, SHARES = t.OP, t.PIECES, t.ACT, t.SLOT, t.SHARES


def program(bends: bool) -> Any:
    """The compiled function for networks of swish and squeeze-excite (bends), or of ReLUs."""
    with alone:  # two threads would compile it twice
        return made(bends)


@cache
def made(bends: bool) -> Any:
    """Compiled now: each kind of network without the other's code.

    run(steps, weights, image, arena, meeting, thread, threads): image is one (H * W * C), meeting SLOT zeros a step.  A thread
    takes the pieces of its own share first: the same rows in step after step, which its cache still holds.  Then it helps the
    others.  Nobody waits for a thread, only for pieces that somebody took: it may come late, or not at all.
    """
    kind = SWISH if bends else CLAMP

    def run(steps, weights, image, arena, meeting, thread, threads):
        shares = min(threads, SHARES)
        s = 0
        while s < len(steps):
            step, helped = steps[s], 0
            while helped < shares:
                share = (thread + helped) % shares
                piece = step[PIECES] * share // shares + add(meeting, s * SLOT + share, 1)
                if piece >= step[PIECES] * (share + 1) // shares:
                    helped += 1
                    continue
                op = step[OP]
                if op == t.POINTWISE:
                    if bends:
                        if step[ACT] == t.SWISH:
                            do.product(step, weights, arena, SWISH, piece)
                        else:
                            do.product(step, weights, arena, CLAMP, piece)
                    else:
                        do.product(step, weights, arena, CLAMP, piece)
                elif op == t.DW31:
                    do.filtered(step, weights, arena, kind, piece, 3, 1, 9)
                elif op == t.DW32:
                    do.filtered(step, weights, arena, kind, piece, 3, 2, 15)
                elif op == t.DW51:
                    do.filtered(step, weights, arena, kind, piece, 5, 1, 11)
                elif op == t.DW52:
                    do.filtered(step, weights, arena, kind, piece, 5, 2, 17)
                elif op == t.DEPTHWISE:
                    do.filtered_by_any(step, weights, arena, kind, piece)
                elif op == t.STEM:
                    do.stem(step, weights, image, arena, kind, piece, thread)
                elif op == t.POOL:
                    do.pool(step, arena, piece)
                elif bends:
                    if op == t.EXCITE:
                        do.excite(step, weights, arena)
                    elif op == t.SCALE:
                        do.scale(step, arena, piece)
                    elif op == t.GATE:
                        do.gate(step, weights, arena, piece)
                else:
                    do.band(steps[s : s + 4], weights, arena, kind, piece, thread)
                add(meeting, s * SLOT + SHARES, 1)
            wait(meeting, s * SLOT + SHARES, step[PIECES])
            s += 4 if step[OP] == t.BAND else 1

    compiled = kernel(run)
    numbers, floats = types.int64[::1], types.float32[::1]
    said = Timer(PATIENCE, sys.stderr.write, [COMPILING])  # nothing else is to be seen meanwhile
    said.start()
    try:
        compiled.compile((types.int64[:, ::1], floats, floats, floats, numbers, types.int64, types.int64))
    finally:
        said.cancel()
    compiled.disable_compile()
    return compiled
