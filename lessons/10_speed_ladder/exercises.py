"""L10, the speed ladder: what is asked, the cases, and the mistakes that have a name.

Nothing here is judged by a clock.  Timing is judged with a clock that the check turns, threads with turns that are watched, and a
register tile on a processor that counts its instructions.
"""

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, mistake
from mini_nn.ops import Array
from mini_nn.ops.padding import Padding, pad, resolve, window

HERE = "lessons.10_speed_ladder.exercises"
Rng = np.random.Generator


# ---- the functions of this lesson


def work_of(
    kind: str, height: int, width: int, in_channels: int, out_channels: int, kernel_size: int
) -> tuple[int, int]:
    """Return (FLOP, bytes) of a convolution of one float32 image with stride 1 and 'same' padding: the least that it takes.

    kind: "whole", "depthwise" (out_channels = in_channels) or "pointwise" (kernel_size = 1).  A multiply-add is two FLOP, a
    multiplication and an addition.  Input, weights and output are read or written once each, 4 bytes a number.
    """
    seen = 1 if kind == "depthwise" else in_channels  # channels that a filter sees
    weights = kernel_size**2 * seen * out_channels
    pixels = height * width
    return 2 * pixels * weights, 4 * (pixels * in_channels + weights + pixels * out_channels)


def roofline(flop: float, moved: float, peak_flops: float, peak_bytes: float) -> tuple[float, str]:
    """Return (seconds, limit): how long `flop` operations on `moved` bytes take at least, and what sets it.

    The machine does peak_flops operations and moves peak_bytes bytes in a second, both at the same time.  limit is
    "arithmetic" or "memory".  (Williams, Waterman, Patterson 2009.)
    """
    arithmetic, memory = flop / peak_flops, moved / peak_bytes
    return max(arithmetic, memory), "arithmetic" if arithmetic > memory else "memory"


def best_time(run: Callable[[], Any], clock: Callable[[], float], rounds: int = 5) -> float:
    """Return the seconds that one call of run() takes: the fewest of `rounds` calls, each timed alone.

    clock() gives the seconds since some moment, as time.perf_counter does.  The first call of a compiled function compiles it, and is
    not what you want to know: call once before.
    """
    run()
    found = []
    for _ in range(rounds):
        since = clock()
        run()
        found.append(clock() - since)
    return min(found)


def im2col(x: Array, kernel_size: int, stride: int = 1, padding: Padding = "same") -> Array:
    """Return (N OH OW, K K I): for each output pixel a row with all that its filter sees, so that y = im2col(x) @ w.reshape(K K I, O).

    Rows in the order of the output's pixels; in a row tap by tap, a before b, the channels of a tap together.  The matrix is
    in one piece (C order): a matrix product that gets another one copies it first.
    """
    pads, out = resolve(padding, x.shape[1:3], kernel_size, stride)
    xp = pad(x, pads)
    columns = np.empty((len(x), *out, kernel_size, kernel_size, x.shape[3]), x.dtype)
    for a, b in np.ndindex(kernel_size, kernel_size):
        columns[:, :, :, a, b] = xp[window(a, b, out, stride)]
    return columns.reshape(len(x) * out[0] * out[1], -1)


def shared_dw(dy: Array, x: Array, turns: int, prange: Callable[[int], Iterator[int]]) -> Array:
    """Return dw = x^T dy of a pointwise convolution, its work shared out: dy (P, O), x (P, I) -> dw (I, O); P pixels.

    `for i in prange(turns)` runs its turns at the same time, each on a thread.  No two of them may write to the same number, not
    even to add to it: one would read the old value before the other has written the new one.  P need not divide by turns.
    """
    cuts = [len(x) * i // turns for i in range(turns + 1)]
    spans = [slice(*cut) for cut in pairwise(cuts)]
    parts = np.zeros((turns, x.shape[1], dy.shape[1]))
    for i in prange(turns):
        parts[i] = x[spans[i]].T @ dy[spans[i]]
    return np.asarray(parts.sum(0))


def tile(machine: Any, x: Array, w: Array, y: Array, i: int, j: int) -> None:
    """Write y[i : i + 6, j : j + 16] = x[i : i + 6] @ w[:, j : j + 16] with a processor that has 16 registers of 8 floats.

    machine.zeros() -> a register of zeros;  machine.load(a, i, j, n) -> a[i, j : j + n] and zeros;  machine.spread(a, i, j) -> a[i, j]
    eight times;  machine.add_product(t, a, b): t = t + a * b;  machine.store(a, i, j, t, n): a[i, j : j + n] = the first n of t.
    8 loads or spreads for each column of x are enough, never more than 15 registers hold something that is still needed, and
    columns beyond y's last one do not exist: there n is below 8.
    """
    n = [min(8, y.shape[1] - j - 8 * v) for v in (0, 1)]
    total = [[machine.zeros() for v in (0, 1)] for m in range(6)]
    for k in range(x.shape[1]):
        row = [machine.load(w, k, j + 8 * v, n[v]) for v in (0, 1)]
        for m in range(6):
            one = machine.spread(x, i + m, k)
            for v in (0, 1):
                machine.add_product(total[m][v], one, row[v])
    for m in range(6):
        for v in (0, 1):
            machine.store(y, i + m, j + 8 * v, total[m][v], n[v])


# ---- judging


class Told:
    """A clock that only a run turns: the first call compiles, the others are as slow as they are told to be."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds, self.now, self.calls = seconds, 100.0, 0

    def run(self) -> None:
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1

    def clock(self) -> float:
        return self.now


def use_clock(function: Function, case: Case) -> tuple[Any, int]:
    told = Told(case["seconds"])
    return function(told.run, told.clock, case["rounds"]), told.calls


def use_im2col(function: Function, case: Case) -> tuple[Any, bool]:
    columns = function(**case)
    return columns, bool(np.asarray(columns).flags.c_contiguous)


class Turns:
    """A prange whose turns run one after the other, and which notes the numbers that more than one of them has written."""

    def __init__(self) -> None:
        self.ran, self.written = 0, dict[str, Array]()

    def __call__(self, count: int) -> Iterator[int]:
        return self.turns(count, sys._getframe(1))  # the caller's arrays are watched

    def turns(self, count: int, frame: FrameType) -> Iterator[int]:
        before = arrays_of(frame)
        for i in range(count):
            kept = {name: (array, array.copy()) for name, array in before.items()}
            yield i
            self.ran += 1
            now = arrays_of(frame)
            for name, (array, old) in kept.items():
                if name not in now:
                    continue
                other = now[name] is not array  # the name stands for another array now
                changed = np.ones(old.shape, bool) if other else ~((array == old) | np.isnan(array))
                self.written[name] = self.written.get(name, np.zeros(old.shape, int)) + changed
                before[name] = now[name]

    @property
    def races(self) -> int:
        return sum(int((times > 1).sum()) for times in self.written.values())


def arrays_of(frame: FrameType) -> dict[str, Array]:
    return {name: value for name, value in frame.f_locals.items() if isinstance(value, np.ndarray)}


def use_turns(function: Function, case: Case) -> tuple[Any, int, bool]:
    turns = Turns()
    dw = function(case["dy"], case["x"], case["turns"], turns)
    return dw, turns.races, turns.ran == case["turns"]


class Machine:
    """A processor with registers of 8 floats that does what it is told, and keeps books."""

    def __init__(self) -> None:
        self.loads, self.outside, self.clock = 0, 0, 0
        self.needed: list[list[int]] = []  # of each register: when it was made, when it was last used

    def made(self, values: Array) -> "Register":
        self.clock += 1
        self.needed.append([self.clock, self.clock])
        return Register(values, len(self.needed) - 1)

    def used(self, *registers: "Register") -> None:
        self.clock += 1
        for register in registers:
            self.needed[register.number][1] = self.clock

    def zeros(self) -> "Register":
        return self.made(np.zeros(8))

    def load(self, a: Array, i: int, j: int, n: int = 8) -> "Register":
        self.loads += 1
        part = a[i, j : j + max(0, n)]
        self.outside += max(0, n) - len(part)
        return self.made(np.concatenate([part, np.zeros(8 - len(part))]))

    def spread(self, a: Array, i: int, j: int) -> "Register":
        self.loads += 1
        return self.made(np.full(8, a[i, j]))

    def add_product(self, t: "Register", a: "Register", b: "Register") -> None:
        self.used(t, a, b)
        t.values = t.values + a.values * b.values

    def store(self, a: Array, i: int, j: int, t: "Register", n: int = 8) -> None:
        self.used(t)
        room = max(0, min(n, a.shape[1] - j))
        self.outside += max(0, n) - room
        a[i, j : j + room] = t.values[:room]

    @property
    def most(self) -> int:
        """Registers that held something still needed, at the worst moment."""
        return max(
            sum(first <= now <= last for first, last in self.needed) for now in range(1, self.clock + 1)
        )


class Register:
    def __init__(self, values: Array, number: int) -> None:
        self.values, self.number = values, number


def use_tile(function: Function, case: Case) -> tuple[Array, int, int, bool]:
    machine, y = Machine(), case["y"].copy()
    function(machine, case["x"], case["w"], y, case["i"], case["j"])
    return y, machine.loads, machine.outside, machine.most <= 15


# ---- cases


def work_cases(_: Rng) -> Iterator[Case]:
    names = ("kind", "height", "width", "in_channels", "out_channels", "kernel_size")
    for row in (
        ("pointwise", 1, 2, 3, 5, 1),
        ("whole", 4, 6, 3, 8, 3),
        ("depthwise", 5, 7, 6, 6, 3),
        ("depthwise", 14, 14, 480, 480, 5),
        ("whole", 112, 112, 3, 32, 5),
        ("pointwise", 56, 56, 24, 144, 1),
    ):
        yield dict(zip(names, row, strict=True))


def roof_cases(_: Rng) -> Iterator[Case]:
    for flop, moved in ((8.0, 2.0), (3e9, 4e8), (1e9, 2.5e7), (5e8, 4e7), (2e6, 6e6)):
        yield {"flop": flop, "moved": moved, "peak_flops": 1.9e11, "peak_bytes": 2.8e10}
    yield {"flop": 12.0, "moved": 9.0, "peak_flops": 2.0, "peak_bytes": 3.0}


def clock_cases(rng: Rng) -> Iterator[Case]:
    yield {"seconds": [4.0, 0.5], "rounds": 1}
    yield {"seconds": [9.0, 0.7, 0.5, 0.9, 0.6, 0.8], "rounds": 5}
    yield {"seconds": [3.0, *(0.2 + rng.random(8)).tolist()], "rounds": 7}
    yield {
        "seconds": [0.1, 0.4, 0.3, 0.6],
        "rounds": 3,
    }  # not compiled: the first call is the quickest, by chance


def im2col_cases(rng: Rng) -> Iterator[Case]:
    for shape, k, stride, padding in (
        ((1, 2, 3, 2), 1, 1, "same"),
        ((1, 3, 4, 2), 2, 1, "valid"),
        ((2, 5, 4, 3), 3, 1, "same"),
        ((2, 6, 7, 2), 3, 2, "same"),
        ((1, 7, 5, 3), 3, 3, "symmetric"),
    ):
        yield {"x": rng.normal(size=shape), "kernel_size": k, "stride": stride, "padding": padding}


def turn_cases(rng: Rng) -> Iterator[Case]:
    for pixels, i, o, turns in ((4, 2, 3, 2), (7, 3, 2, 2), (11, 4, 5, 4), (6, 2, 2, 1), (5, 3, 4, 5)):
        yield {"dy": rng.normal(size=(pixels, o)), "x": rng.normal(size=(pixels, i)), "turns": turns}


def tile_cases(rng: Rng) -> Iterator[Case]:
    for height, depth, width, i, j in (
        (6, 1, 16, 0, 0),
        (6, 5, 16, 0, 0),
        (13, 4, 40, 6, 16),
        (8, 7, 29, 2, 16),
        (6, 3, 20, 0, 8),
        (6, 2, 21, 0, 16),
    ):
        yield {
            "x": rng.normal(size=(height, depth)), "w": rng.normal(size=(depth, width)), "y": rng.normal(size=(height, width)),
            "i": i, "j": j,
        }  # fmt: skip


# ---- mistakes

WORK, ROOF, CLOCK, COLUMNS, TURNS, TILE = (
    f"{HERE}:{name}" for name in ("work_of", "roofline", "best_time", "im2col", "shared_dw", "tile")
)
TOTAL = "total = [[machine.zeros() for v in (0, 1)] for m in range(6)]"
LOOP = """for i in prange(turns):
        parts[i] = x[spans[i]].T @ dy[spans[i]]
    return np.asarray(parts.sum(0))"""
INNER = """one = machine.spread(x, i + m, k)
            for v in (0, 1):
                machine.add_product(total[m][v], one, row[v])"""
TIMED = """run()
    found = []
    for _ in range(rounds):
        since = clock()
        run()
        found.append(clock() - since)
    return min(found)"""

EXERCISES = (
    Exercise(
        "L10.work_of",
        WORK,
        ("flop", "bytes"),
        work_cases,
        (
            mistake("one_flop_a_multiply_add", "You count a multiply-add as one operation.", "A multiplication and an addition: two.", WORK, ("return 2 * pixels", "return pixels")),
            mistake("depthwise_by_gemm", "You let a depthwise filter see all channels: that is the depthwise convolution done as one matrix product, whose matrix is zero nearly everywhere.", "Each depthwise filter sees one channel.", WORK, ('1 if kind == "depthwise" else in_channels', "in_channels")),
            mistake("weights_forgotten", "You leave the weights out of what is moved.", "In the last layers they are most of it.", WORK, ("+ weights + pixels * out_channels", "+ pixels * out_channels")),
            mistake("output_forgotten", "You leave the output out of what is moved.", "Writing costs as much as reading.", WORK, ("+ weights + pixels * out_channels)", "+ weights)")),
            mistake("input_forgotten", "You leave the input out of what is moved.", "Input, weights and output, once each.", WORK, ("pixels * in_channels + weights", "weights")),
            mistake("numbers_for_bytes", "You count numbers in place of bytes.", "A float32 has 4 bytes.", WORK, ("4 * (pixels", "(pixels")),
            mistake("input_for_every_tap", "You read the input once for every tap of the filter.", "The least that it takes is once: the taps find it in the cache.", WORK, ("pixels * in_channels + weights", "kernel_size**2 * pixels * in_channels + weights")),
        ),
        (
            "How many multiply-adds has one output pixel of one filter? How many numbers are there before, and how many after?",
            "A filter has K K numbers for each channel that it sees; a depthwise filter sees one.",
            "weights = K^2 * seen * out_channels; every pixel uses each weight once; 4 bytes for input, weights and output.",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Six layers of the three kinds, exact whole numbers.",
        task="What a layer asks of the machine: arithmetic and traffic.",
    ),
    Exercise(
        "L10.roofline",
        ROOF,
        ("seconds", "limit"),
        roof_cases,
        (
            mistake("added", "You add the two times: as if the machine stopped computing to fetch.", "Both go on at the same time; the longer one counts.", ROOF, ("max(arithmetic, memory)", "arithmetic + memory")),
            mistake("the_shorter_one", "You take the shorter of the two times.", "It is over when the slower of the two is done.", ROOF, ("max(arithmetic, memory)", "min(arithmetic, memory)")),
            mistake("names_swapped", "Your limit is the other one.", "It is memory that limits where moving takes longer.", ROOF, ('"arithmetic" if arithmetic > memory else "memory"', '"memory" if arithmetic > memory else "arithmetic"')),
            mistake("roofs_swapped", "You divide operations by bytes a second and bytes by operations a second.", "Each by its own roof.", ROOF, ("flop / peak_flops, moved / peak_bytes", "flop / peak_bytes, moved / peak_flops")),
            mistake("more_flop_than_bytes", "You say arithmetic wherever there are more operations than bytes.", "Compare the two times: the machine does more operations than it moves bytes in a second.", ROOF, ("arithmetic > memory", "flop > moved")),
        ),
        (
            "How long would each take if the other were free?",
            "Two divisions, and one comparison of times.",
            "arithmetic = flop / peak_flops, memory = moved / peak_bytes; the longer one, and its name.",
        ),
        points=1,
        minutes=5,
        core=False,
        checks="Six layers on two machines, on both sides of the ridge; the seconds to 1e-8 and the name.",
        task="The time that no program on this machine can beat.",
    ),
    Exercise(
        "L10.best_time",
        CLOCK,
        ("seconds", "calls"),
        clock_cases,
        (
            mistake("compile_time_timed", "You time the first call too: it compiles, and no later one does.", "Call once before the clock is read.", CLOCK, (TIMED, TIMED.replace("run()\n    found = []", "found = []", 1).replace("return min(found)", "return sum(found) / rounds"))),
            mistake("first_call_may_be_the_fewest", "You count the first call as one of the rounds.", "Call once before, uncounted; it may be the quickest by chance, and it may compile.", CLOCK, (TIMED, TIMED.replace("run()\n    found = []", "found = []", 1))),
            mistake("mean", "You return the mean. What disturbs a program only ever makes it slower, so the mean measures the disturbance too.", "The fewest seconds are nearest to the program's own.", CLOCK, ("min(found)", "sum(found) / rounds")),
            mistake("median", "You return the median; asked for are the fewest.", "min.", CLOCK, ("min(found)", "sorted(found)[rounds // 2]")),
            mistake("slowest", "You return the slowest call.", "min.", CLOCK, ("min(found)", "max(found)")),
            mistake("all_rounds_together", "You return the seconds of all rounds together.", "Read the clock before and after each call.", CLOCK, ("min(found)", "sum(found)")),
            mistake("clock_read_once", "You read the clock before the first round only, so each round contains those before it, and the fewest seconds are always the first's.", "since = clock() belongs into the loop.", CLOCK, ("for _ in range(rounds):\n        since = clock()", "since = clock()\n    for _ in range(rounds):")),
        ),
        (
            "What does the very first call do that no later one does? What can make a call slower than the program is, and what can make it quicker?",
            "One call before. Then in a loop: clock, run, clock.",
            "run(); then `rounds` times: since = clock(), run(), keep clock() - since; min of what was kept.",
        ),
        points=1,
        minutes=5,
        core=False,
        checks="Four programs with a clock that only they turn; how often they were called is counted.",
        use=use_clock,
        task="A number that you would bet on.",
    ),
    Exercise(
        "L10.im2col",
        COLUMNS,
        ("columns", "in_one_piece"),
        im2col_cases,
        (
            mistake("strided_copies", "The numbers are right, but the matrix is a transposed one: its rows are scattered in memory, and the matrix product copies all of it once more.", "Make an array with a row for each pixel, and fill it.", COLUMNS, ("return columns.reshape(len(x) * out[0] * out[1], -1)", "return np.ascontiguousarray(columns.reshape(len(x) * out[0] * out[1], -1).T).T")),
            mistake("channels_before_taps", "You put the taps of a channel together; asked for are the channels of a tap.", "w.reshape(K K I, O) has a, b, channel in this order.", COLUMNS, ("kernel_size, kernel_size, x.shape[3])", "x.shape[3], kernel_size, kernel_size)"), ("columns[:, :, :, a, b]", "columns[..., a, b]")),
            mistake("taps_transposed", "You put b before a: the columns of the filter before its rows.", "columns[..., a, b, :]: a counts rows.", COLUMNS, ("columns[:, :, :, a, b]", "columns[:, :, :, b, a]")),
            mistake("filter_turned", "You turn the filter round: the first tap sees the last pixel of the window.", "Tap (a, b) sees pixel (i stride + a, j stride + b).", COLUMNS, ("columns[:, :, :, a, b]", "columns[:, :, :, -1 - a, -1 - b]")),
            mistake("stride_ignored", "You take neighbouring windows whatever the stride.", "window(a, b, out, stride).", COLUMNS, ("window(a, b, out, stride)", "window(a, b, out, 1)")),
        ),
        (
            "Which array has an axis for the image, the output's row and column, the tap's row and column, and the channel? What does reshape make of it?",
            "An empty array (N, OH, OW, K, K, I). For each tap one assignment fills a slice of it from the padded input.",
            "For each tap (a, b) write what window(a, b, out, stride) cuts out of the padded input to columns[:, :, :, a, b]; then reshape to two axes.",
        ),
        points=3,
        minutes=15,
        core=False,
        checks="Five shapes with strides 1 to 3 and three paddings; and whether the matrix is in one piece.",
        use=use_im2col,
        task="The convolution as one matrix product: repeat what the filters see.",
        needs="from mini_nn.ops.padding import pad, resolve, window",
    ),
    Exercise(
        "L10.shared_dw",
        TURNS,
        ("dw", "races", "all_turns"),
        turn_cases,
        (
            mistake("race_on_dw", "All turns add to the same dw. On two threads one reads a number before the other has written it, and an addition is lost, now and then.", "Give each turn a dw of its own, and add them up afterwards.", TURNS, ("parts = np.zeros((turns, x.shape[1], dy.shape[1]))", "parts = np.zeros((x.shape[1], dy.shape[1]))"), ("parts[i] = x", "parts[:] += x"), ("parts.sum(0)", "parts")),
            mistake("last_turn_wins", "Every turn writes the whole dw: the last one stays.", "A dw for each turn, added up afterwards.", TURNS, ("parts = np.zeros((turns, x.shape[1], dy.shape[1]))", "parts = np.zeros((x.shape[1], dy.shape[1]))"), ("parts[i] = x", "parts[:] = x"), ("parts.sum(0)", "parts")),
            mistake("last_pixels_lost", "Your turns have len(x) // turns pixels each: what is left over is lost.", "Cut at len(x) * i // turns.", TURNS, ("len(x) * i // turns", "len(x) // turns * i")),
            mistake("mean_of_turns", "You take the mean over the turns.", "The gradient of a sum is a sum.", TURNS, ("parts.sum(0)", "parts.mean(0)")),
            mistake("without_prange", "You work without prange: right, and on one thread.", "for i in prange(turns).", TURNS, ("prange(turns)", "range(turns)")),
        ),
        (
            "Which numbers does each turn write? Can you give every turn numbers of its own?",
            "An array (turns, I, O), one dw for each turn; its sum at the end is done by nobody else.",
            "parts[i] = x[span].T @ dy[span] with span = len(x) * i // turns to len(x) * (i + 1) // turns; parts.sum(0).",
        ),
        points=3,
        minutes=15,
        core=False,
        checks="Five shapes, also where pixels do not divide; every number that two turns have written is counted.",
        use=use_turns,
        task="Two threads, one gradient.",
    ),
    Exercise(
        "L10.tile",
        TILE,
        ("y", "loads", "outside", "fits_into_15_registers"),
        tile_cases,
        (
            mistake("w_for_every_row", "You load w again for each of the six rows.", "Load two vectors of w for a column of x, use them for all rows.", TILE, ("row = [machine.load(w, k, j + 8 * v, n[v]) for v in (0, 1)]\n        for m in range(6):", "for m in range(6):\n            row = [machine.load(w, k, j + 8 * v, n[v]) for v in (0, 1)]")),
            mistake("x_for_every_vector", "You spread a number of x once for each of the two vectors.", "One spread, used twice.", TILE, (INNER, """for v in (0, 1):
                one = machine.spread(x, i + m, k)
                machine.add_product(total[m][v], one, row[v])""")),
            mistake("sums_in_memory", "You keep the sums in y and load and store them at every step: that is what a plain loop does, and why it is slow.", "Twelve registers of zeros before the loop over k; store once, after it.", TILE, (INNER, """one = machine.spread(x, i + m, k)
            for v in (0, 1):
                t = machine.load(y, i + m, j + 8 * v, n[v]) if k else machine.zeros()
                machine.add_product(t, one, row[v])
                machine.store(y, i + m, j + 8 * v, t, n[v])
                total[m][v] = t""")),
            mistake("six_numbers_held", "You spread all six numbers of x before you use the first: 12 sums, 2 of w and 6 of x are 20 registers, and there are 16. The rest goes to memory and back.", "Spread a number, use it twice, forget it.", TILE, ("for m in range(6):\n            one = machine.spread(x, i + m, k)", "six = [machine.spread(x, i + m, k) for m in range(6)]\n        for m, one in enumerate(six):")),
            mistake("no_mask", "You load and store eight numbers where fewer are left: beyond the last column.", "n = min(8, columns that are left).", TILE, ("min(8, y.shape[1] - j - 8 * v)", "8")),
            mistake("begins_with_y", "You add to what was in y before.", "Begin with zeros.", TILE, (TOTAL, "total = [[machine.load(y, i + m, j + 8 * v, n[v]) for v in (0, 1)] for m in range(6)]")),
            mistake("first_row_only", "Every row of your tile is the first one.", "spread(x, i + m, k).", TILE, ("machine.spread(x, i + m, k)", "machine.spread(x, i, k)")),
            mistake("vectors_alike", "Both vectors of your tile are the left one.", "The right one begins at column j + 8.", TILE, ("machine.load(w, k, j + 8 * v, n[v])", "machine.load(w, k, j, n[0])")),
        ),
        (
            "Twelve sums stay where they are for the whole loop. What else must be in a register at one moment?",
            "For each k: two vectors of w; then for each of six rows one number of x, spread, and two add_products.",
            "6 x 2 zeros; loop over k: load w twice; loop over m: spread x[i + m, k], add_product twice; after the loop store, with n columns.",
        ),
        points=4,
        minutes=30,
        core=False,
        checks="Six products, also at the right edge; loads are counted, registers that are still needed, and what lies outside.",
        use=use_tile,
        task="The heart of every fast matrix product, instruction by instruction.",
    ),
)  # fmt: skip
