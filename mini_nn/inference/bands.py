"""Inverted residual blocks in bands of rows: what is expanded, the largest arrays of all, never leaves a thread's cache.

The idea is section 5 of the MobileNetV2 paper (Sandler et al. 2018): a block's memory is that of its ends.
"""

from mini_nn.inference.lowering import OWN_CODE, PIECES, Program
from mini_nn.kernels import LINE
from mini_nn.kernels.tiles import table as t

CACHE = 160 << 10  # floats of a band and what is made of it
WORTH = (
    1 << 18
)  # floats of the expanded array from which bands paid: v2 3 %, at 16 images 5 %, sooner (two cores)
LEAST = 4  # bands, so that some threads have work
OVERLAP = 1 / 3  # at most, of the rows that are expanded: neighbouring bands see them both
Step = dict[str, int]


def in_bands(program: Program) -> list[list[Step]]:
    """The program's steps, those of a band together behind the step that drives them; all others alone."""
    found: list[list[Step]] = []
    waiting = list(program.steps)
    while waiting:
        three = waiting[:3]
        rows = height(*three[:2]) if fits(three) and not program.bends else 0
        found.append(banded(program, three, rows) if rows else waiting[:1])
        del waiting[: 3 if rows else 1]
    return found


def fits(steps: list[Step]) -> bool:
    """Expand, filter, project; and nobody looks at what is in between."""
    ops = [step["OP"] for step in steps]
    if len(ops) < 3 or ops[::2] != [t.POINTWISE] * 2 or ops[1] not in (*OWN_CODE.values(), t.DEPTHWISE):
        return False
    expand, depthwise, project = steps
    inverted = max(expand["K"], project["N"]) < expand["N"] and expand["M"] * expand["N"] >= WORTH
    plain = "SUMS" not in depthwise and "GATED" not in project and inverted
    return plain and depthwise["X"] == expand["Y"] and project["X"] == depthwise["Y"]


def height(expand: Step, depthwise: Step) -> int:
    """Output rows of a band; 0 where too many rows would be expanded twice.  It must not depend on the number of threads."""
    down, stride, more = depthwise["DOWN"], depthwise["STRIDE"], depthwise["KERNEL"] - depthwise["STRIDE"]
    row = depthwise["WIDTH"] * expand["N"] * stride + depthwise["ACROSS"] * expand["N"]
    rows = min(max(1, CACHE // row), -(-down // LEAST))
    rows = -(-down // -(-down // rows))
    return rows if more <= rows * stride * OVERLAP and -(-down // rows) <= PIECES else 0


def banded(program: Program, three: list[Step], rows: int) -> list[Step]:
    """The same three, with memory of each thread's own in between, behind the step that drives them."""
    expand, depthwise, project = three
    wide = expand["N"]
    seen = ((rows - 1) * depthwise["STRIDE"] + depthwise["KERNEL"]) * depthwise["WIDTH"] * wide
    made = rows * depthwise["ACROSS"] * wide
    places = []
    for size in (seen, made):
        span = -(-size // LINE) * LINE
        places.append({"Y": program.buffer(program.threads, span), "SPAN": span})
    return [
        {"OP": t.BAND, "PIECES": -(-depthwise["DOWN"] // rows), "SIZE": rows},
        {**expand, **places[0]},
        {**depthwise, "X": places[0]["Y"], **places[1]},
        {**project, "X": places[1]["Y"]},
    ]
