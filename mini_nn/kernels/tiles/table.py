"""The table of steps: its columns, and the numbers that say what a step does."""

from enum import IntEnum

# what a step does
STEM, POINTWISE, DW31, DW32, DW51, DW52, DEPTHWISE, EXCITE, SCALE, GATE, POOL, BAND = range(12)
# BAND drives the three steps behind it: expand, filter, project
# what a convolution ends in
IDENTITY, RELU, RELU6, SWISH = range(4)


class At(IntEnum):
    """The columns of the table.  Places count floats from the beginning of the arena, or of the weights."""

    OP = 0
    X = 1  # the input's place
    Y = 2  # the output's
    OTHER = 3  # a residual's (-1: none), or a gate's; of EXCITE, scratch
    W = 4  # the weights' place
    GATED = 5  # the place in the arena of weights that a gate was multiplied into; or -1
    PIECES = 6
    SIZE = 7  # rows (panels where BY_PANEL) in a piece
    BY_PANEL = 8
    M = 9  # rows of x: pixels
    K = 10  # columns of x: channels
    N = 11  # columns of y
    HEIGHT = 12
    WIDTH = 13
    DOWN = 14
    ACROSS = 15
    ABOVE = 16
    LEFT = 17
    KERNEL = 18
    STRIDE = 19
    SUMS = 20  # where each piece puts its channels' sums; or -1
    SCRATCH = 21  # a thread's own place: SCRATCH (in a band: Y) + thread * SPAN
    SPAN = 22
    ACT = 23


COLUMNS = len(At)
SLOT, SHARES = (
    16,
    8,
)  # counters of a step: pieces taken of each share from 0, pieces done at SHARES, in another cache line
(
    OP, X, Y, OTHER, W, GATED, PIECES, SIZE, BY_PANEL, M, K, N,
    HEIGHT, WIDTH, DOWN, ACROSS, ABOVE, LEFT, KERNEL, STRIDE, SUMS, SCRATCH, SPAN, ACT,
) = (int(column) for column in At)  # fmt: skip
