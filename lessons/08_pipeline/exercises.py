"""L8, the parallel input pipeline: what is asked, the cases, and the mistakes that have a name.

Threads are judged by counters and by gates that a job waits at until another one is through, so what comes out does not depend on
how busy the machine is.  A gate opens by itself after a while, and whoever waits for ever is left waiting in a thread of its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import Queue
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake

HERE = "lessons.08_pipeline.exercises"
Rng = np.random.Generator
PATIENCE = 2.5  # seconds until what does not move is called stuck; right answers take milliseconds
GATE = 1.0  # seconds until a gate opens by itself, for answers that never bring the job that opens it
LATER = 0.01  # seconds that a job takes longer than the one that opened its gate


# ---- the functions of this lesson


def random_stream(seed: int, epoch: int, image: int) -> np.random.Generator:
    """Return the generator for one image in one epoch of one training.

    The same three numbers give the same stream, in whichever thread and order they are asked for; any other three give
    another one.  (The library's is `Loader.stream`.)
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, image)))


def prefetch(
    pool: ThreadPoolExecutor, make: Callable[[Any], Any], jobs: Iterable[Any], ahead: int
) -> Iterator[Any]:
    """Yield make(job) for every job, in the order of jobs, while the pool's threads make the next ones.

    While the caller has one result, at most `ahead` others are waiting or in the making: jobs may never end.
    """
    waiting: deque[Future[Any]] = deque()
    for job in jobs:
        waiting.append(pool.submit(make, job))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def made_ahead(make: Callable[[Any], Any], jobs: Iterable[Any], workers: int, ahead: int) -> Iterator[Any]:
    """Yield make(job) in the order of jobs, made by `workers` threads, at most `ahead` beside the one handed out; and end well.

    An error in make reaches the caller in the place of its result.  However the caller leaves (to the end, by an error, by
    break or close()), jobs that have not begun are dropped, and the threads have ended before this does.
    """
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for job in jobs:
            waiting.append(pool.submit(make, job))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def pipeline_rate(
    making: float, training: float, workers: int, threads: int = 1, cores: int = 2
) -> tuple[float, str]:
    """Return (batches per second, what sets it) from two rates that were measured alone.

    making: batches per second that one thread makes.  training: that the network trains on when they are ready, with its
    arithmetic on `threads` cores.  workers = 0: one after the other, "in turn".  Else the smallest of three rates:
    "loading", all workers together; "training"; "cores", as many batches as the cores have seconds for: one takes
    1 / making of one core and 1 / training of `threads` cores.
    """
    if workers == 0:
        return 1 / (1 / making + 1 / training), "in turn"
    rates = {
        "loading": workers * making,
        "training": training,
        "cores": cores / (1 / making + threads / training),
    }
    slowest = min(rates, key=lambda name: rates[name])
    return rates[slowest], slowest


# ---- judging streams


def use_stream(function: Function, case: Case) -> Any:
    """Deal the images of some epochs to threads, one after the other, and see which draws are equal."""
    seed, workers = case["seed"], case["workers"]
    epochs, images = range(3), (0, 1, 2, 3, 5, 1000, 1001, 2000)

    def draws(seed: int, workers: int) -> dict[tuple[int, int], tuple[float, ...]]:
        found: dict[tuple[int, int], tuple[float, ...]] = {}

        def work(epoch: int, some: tuple[int, ...]) -> None:
            for image in some:
                found[epoch, image] = tuple(function(seed, epoch, image).random(3).tolist())

        for epoch in epochs:  # a new epoch has new threads, as in most libraries
            for worker in range(workers):
                within(lambda epoch=epoch, worker=worker: work(epoch, images[worker::workers]))  # type: ignore[misc]
        return found

    first, alone, other = draws(seed, workers), draws(seed, 1), draws(seed + 1, workers)
    seen: dict[tuple[float, ...], tuple[int, int]] = {}
    same = [
        (what, seen[drawn]) for what, drawn in sorted(first.items()) if seen.setdefault(drawn, what) != what
    ]
    numbers = [number for drawn in (*first.values(), *other.values()) for number in drawn]
    return (
        [f"epoch {e}, image {i} draws as epoch {k}, image {j}" for (e, i), (k, j) in same],
        first == alone,
        len(set(numbers)) == len(numbers) or bool(same),
    )


# ---- judging threads


def within(work: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What work() gives or raises, in a thread that may be left behind if it never comes back."""
    outcome: dict[str, Any] = {}
    done = threading.Event()

    def run() -> None:
        try:
            outcome["value"] = work()
        except BaseException as error:  # noqa: BLE001  (it is raised again, in the thread that asked)
            outcome["error"] = error
        done.set()

    thread = threading.Thread(target=run, daemon=True, name=HELPER)
    thread.start()
    if not done.wait(seconds):
        raise TimeoutError(
            f"It stands still: nothing came for {seconds:g} seconds. Does one thread wait for another that waits for it?"
        )
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


HELPER = "the check's own"


def new_threads(before: set[threading.Thread]) -> bool:
    """Whether the student's threads are still there."""
    return any(t not in before and t.name != HELPER for t in threading.enumerate())


def soon(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within half a second."""
    end = time.monotonic() + 0.5
    while not true() and time.monotonic() < end:
        time.sleep(0.001)
    return true()


class Counted:
    """Jobs 0, 1, 2, ..., and how many of them have been taken."""

    def __init__(self, many: int) -> None:
        self.many, self.taken = many, 0

    def __iter__(self) -> Iterator[int]:
        for job in range(self.many):
            self.taken += 1
            yield job


class Kitchen:
    """make(job), with gates: a job waits until another one is through.  alone: that other one never came."""

    def __init__(self, waits_for: dict[int, int], breaks: int = -1) -> None:
        self.waits_for, self.breaks, self.alone = waits_for, breaks, False
        self.through = {job: threading.Event() for job in waits_for.values()}

    def make(self, job: int) -> str:
        if job in self.waits_for and not self.alone:
            self.alone = not self.through[self.waits_for[job]].wait(GATE)
            time.sleep(LATER)
        if job in self.through:
            self.through[job].set()
        if job == self.breaks:
            raise ValueError(f"image {job} is broken")
        return f"batch {job}"


def use_prefetch(function: Function, case: Case) -> Any:
    """Take all, and count after each result how many jobs have been taken beyond it.  One more may be in a hand."""
    jobs, kitchen = Counted(case["jobs"]), Kitchen(case["waits_for"])
    got, beyond = [], []

    def consume(pool: ThreadPoolExecutor) -> None:
        for result in function(pool, kitchen.make, jobs, case["ahead"]):
            got.append(result if isinstance(result, str) else type(result).__name__)
            beyond.append(jobs.taken - len(got))

    with ThreadPoolExecutor(2) as pool:
        within(lambda: consume(pool))
    right, ahead = [f"batch {job}" for job in range(case["jobs"])], case["ahead"]
    least = min(beyond[: case["jobs"] - ahead], default=0)
    return (
        sorted(got) == sorted(right),
        ("as asked" if got == sorted(got, key=len) == right else "another")
        if len(got) == len(right)
        else "incomplete",
        got[:1],
        max(beyond, default=0) <= ahead + 1,
        not kitchen.alone and least >= min(ahead, max(ahead - 1, 1)),
    )


@contextmanager
def opened_at_join(gate: threading.Event) -> Iterator[None]:
    """Open the gate as soon as a thread waits for another one to end."""
    join = threading.Thread.join

    def watched(self: threading.Thread, timeout: float | None = None) -> None:
        gate.set()
        join(self, timeout)

    threading.Thread.join = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.join = join  # type: ignore[method-assign]


def use_ahead(function: Function, case: Case) -> Any:
    return (leave_early if case["take"] else to_the_end)(function, case)


def to_the_end(function: Function, case: Case) -> Any:
    kitchen, before = Kitchen(case["waits_for"], case["breaks"]), set(threading.enumerate())
    jobs, got, beyond = Counted(case["jobs"]), list[str](), [0]

    def consume() -> str:
        try:
            for result in function(kitchen.make, iter(jobs), case["workers"], case["ahead"]):
                got.append(str(result))
                beyond.append(jobs.taken - len(got))
        except ValueError as error:
            return str(error)
        return "none"

    error = within(consume)
    bounded = max(beyond) <= case["ahead"] + 1  # one more may be in a hand
    return got, error, bounded, not kitchen.alone, True, soon(lambda: not new_threads(before))


def leave_early(function: Function, case: Case) -> Any:
    """Take some and close, while the next job is at its gate: who is still there, and does another job begin?"""
    gate, at_gate, before = threading.Event(), threading.Event(), set(threading.enumerate())
    jobs, begun = Counted(case["jobs"]), list[int]()

    def make(job: int) -> str:
        begun.append(job)
        if job == case["take"]:
            at_gate.set()
            gate.wait(PATIENCE)
        return f"batch {job}"

    def leave() -> tuple[list[str], bool]:
        results = iter(function(make, iter(jobs), case["workers"], case["ahead"]))
        got = [str(next(results)) for _ in range(case["take"])]
        at_gate.wait(GATE)
        opener = threading.Timer(GATE, gate.set)  # for those who wait in another way
        opener.name, opener.daemon = HELPER, True
        opener.start()
        results.close()  # type: ignore[attr-defined]
        opener.cancel()
        return got, not new_threads(before)

    try:
        with opened_at_join(gate):
            got, gone = within(leave)
    finally:
        gate.set()
    soon(lambda: not new_threads(before) or len(begun) > case["take"] + 1)
    bounded = jobs.taken <= case["take"] + case["ahead"] + 1
    return got, "none", bounded, at_gate.is_set(), len(begun) <= case["take"] + 1, gone


# ---- cases


def stream_cases(_: Rng) -> Iterator[Case]:
    for seed, workers in ((0, 1), (3, 2), (7, 4)):
        yield {"seed": seed, "workers": workers}


def prefetch_cases(_: Rng) -> Iterator[Case]:
    for jobs, ahead, waits_for in ((1, 2, {}), (2, 0, {}), (4, 1, {0: 1}), (14, 3, {0: 1, 5: 6, 9: 10})):
        yield {"jobs": jobs, "ahead": ahead, "waits_for": waits_for}


def ahead_cases(_: Rng) -> Iterator[Case]:
    plain = {"jobs": 4, "workers": 2, "ahead": 2, "waits_for": {0: 1}, "breaks": -1, "take": 0}
    yield plain
    yield {**plain, "jobs": 5, "workers": 3, "ahead": 4, "waits_for": {0: 2}, "breaks": 2}
    yield {**plain, "jobs": 1000, "workers": 1, "ahead": 3, "waits_for": {}, "take": 2}


def rate_cases(_: Rng) -> Iterator[Case]:
    for making, training, workers, threads, cores in (
        (3.0, 6.0, 0, 1, 2),
        (2.0, 10.0, 1, 1, 4),
        (2.0, 10.0, 3, 1, 8),
        (30.0, 4.0, 1, 1, 2),
        (12.0, 8.0, 2, 2, 2),
        (7.7, 0.78, 1, 2, 2),
        (5.0, 9.0, 4, 1, 2),
    ):
        yield {"making": making, "training": training, "workers": workers, "threads": threads, "cores": cores}


# ---- wrong variants that are no edit of the solution

LOCAL = threading.local()
KEPT: list[Any] = []
HANDED_ON: dict[int, Rng] = {}


def stream_of_the_worker(seed: int, epoch: int, image: int) -> Rng:  # noqa: ARG001
    """Each thread starts with the same seed and goes on from there: what workers that are copies of one process do."""
    own: Rng = LOCAL.__dict__.setdefault(f"{seed}", np.random.default_rng(seed))
    return own


def stream_handed_on(seed: int, epoch: int, image: int) -> Rng:  # noqa: ARG001
    return HANDED_ON.setdefault(seed, np.random.default_rng(seed))


def as_finished(
    pool: ThreadPoolExecutor, make: Callable[[Any], Any], jobs: Iterable[Any], ahead: int
) -> Iterator[Any]:
    finished: Queue[Future[Any]] = Queue()
    open_jobs = 0
    for job in jobs:
        pool.submit(make, job).add_done_callback(finished.put)
        open_jobs += 1
        if open_jobs > ahead:
            yield finished.get().result()
            open_jobs -= 1
    for _ in range(open_jobs):
        yield finished.get().result()


def all_at_once(
    pool: ThreadPoolExecutor,
    make: Callable[[Any], Any],
    jobs: Iterable[Any],
    ahead: int,  # noqa: ARG001
) -> Iterator[Any]:
    yield from pool.map(make, jobs)


def unless_broken(future: Future[Any]) -> Iterator[Any]:
    """Its result, or nothing."""
    if future.exception() is None:
        yield future.result()


def quiet(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """None in place of an error."""

    def tried(job: Any) -> Any:
        try:
            return make(job)
        except Exception:  # noqa: BLE001  (that is the mistake)
            return None

    return tried


def fail_first(waiting: Iterable[Future[Any]]) -> None:
    """Raise any error that there is among them."""
    for future in wait(waiting, 0.4, FIRST_EXCEPTION).done:
        future.result()


def fed_by_a_thread(
    make: Callable[[Any], Any], jobs: Iterable[Any], workers: int, ahead: int
) -> Iterator[Any]:
    """The feeder waits for a free place, close() waits for the feeder, and nobody frees a place."""
    places, line = threading.Semaphore(ahead + 1), Queue[Future[Any] | None]()
    pool = ThreadPoolExecutor(workers)

    def feed() -> None:
        for job in jobs:
            places.acquire()
            line.put(pool.submit(make, job))
        line.put(None)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        while (future := line.get()) is not None:
            yield future.result()
            places.release()
    finally:
        feeder.join()
        pool.shutdown(cancel_futures=True)


def written(function: Function) -> Callable[[], Function]:
    return lambda: function


STREAM, PREFETCH, AHEAD, RATE = (
    f"{HERE}:{n}" for n in ("random_stream", "prefetch", "made_ahead", "pipeline_rate")
)
OF_STREAM = "np.random.SeedSequence(seed, spawn_key=(epoch, image))"

STREAMS = (
    Mistake(
        "same_stream_in_every_worker",
        "Every worker draws the same numbers.",
        "A generator for each worker that starts from the same seed gives all workers one stream: name the stream by the image, not by who makes it.",
        written(stream_of_the_worker),
    ),
    mistake(
        "seed_reused_each_epoch",
        "Every epoch draws the same numbers.",
        "The epoch belongs into the seed: else a photograph is cut and mirrored in the same way all through the training.",
        STREAM,
        ("(epoch, image)", "(image,)"),
    ),
    mistake(
        "one_stream_for_all_images",
        "All images of an epoch draw the same numbers.",
        "The image belongs into the seed.",
        STREAM,
        ("(epoch, image)", "(epoch,)"),
    ),
    mistake(
        "always_the_same",
        "Every image of every epoch draws the same numbers.",
        "default_rng(seed) starts anew with each call: epoch and image belong into the seed.",
        STREAM,
        (OF_STREAM, "seed"),
    ),
    mistake(
        "seed_ignored",
        "Another seed gives the same numbers.",
        "The seed belongs into it: else five trainings with five seeds are augmented alike.",
        STREAM,
        ("(seed, spawn_key", "(0, spawn_key"),
    ),
    mistake(
        "numbers_added",
        "Your seed is a sum: epoch 1, image 0 draws as epoch 0, image 1.",
        "SeedSequence and default_rng take several whole numbers, and mix them well.",
        STREAM,
        (OF_STREAM, "seed + epoch + image"),
    ),
    mistake(
        "epochs_overlap",
        "Your seed gives an epoch 1,000 numbers: image 1,000 draws as image 0 of the next epoch.",
        "Do not lay numbers end to end: SeedSequence and default_rng take several of them.",
        STREAM,
        (OF_STREAM, "10**6 * seed + 1000 * epoch + image"),
    ),
    Mistake(
        "depends_on_what_came_before",
        "What an image draws depends on the images before it.",
        "A generator that is handed on goes its way by who asks first, and threads ask in any order: make one anew from the three numbers.",
        written(stream_handed_on),
    ),
)

QUEUES = (
    Mistake(
        "order_lost",
        "Your results come in the order in which they are finished.",
        "Wait for the oldest job, not for the first to be done: a deque of futures, popleft().result().",
        written(as_finished),
    ),
    Mistake(
        "unbounded",
        "You take all jobs before the first result is out.",
        "An epoch of photographs does not fit into memory: submit the next job only when no more than `ahead` are waiting. (pool.map submits all.)",
        written(all_at_once),
    ),
    mistake(
        "newest_first",
        "Your newest job comes first.",
        "Append at the right, take from the left: popleft().",
        PREFETCH,
        (
            "if len(waiting) > ahead: yield waiting.popleft()",
            "if len(waiting) > ahead:\n            yield waiting.pop()",
        ),
    ),
    mistake(
        "one_at_a_time",
        "You wait for each job before the next one begins: nothing is made ahead.",
        "Submit until more than `ahead` futures are waiting, and only then ask the oldest for its result.",
        PREFETCH,
        ("if len(waiting) > ahead:", "if waiting:"),
    ),
    mistake(
        "last_ones_lost",
        "The results that are still waiting when the jobs are out never come.",
        "After the loop over the jobs, empty the queue.",
        PREFETCH,
        ("while waiting: yield waiting.popleft().result()", "waiting.clear()"),
    ),
    mistake(
        "futures_given",
        "You give futures, not results.",
        "future.result() waits for it, and raises what went wrong.",
        PREFETCH,
        (
            "if len(waiting) > ahead: yield waiting.popleft().result()",
            "if len(waiting) > ahead:\n            yield waiting.popleft()",
        ),
        (
            "while waiting: yield waiting.popleft().result()",
            "while waiting:\n        yield waiting.popleft()",
        ),
    ),
)

NEXT = "if len(waiting) > ahead: yield waiting.popleft().result()"
REST = "while waiting: yield waiting.popleft().result()"

ENDS = (
    mistake(
        "unbounded",
        "You take all jobs before the first result is out.",
        "Submit the next job only when no more than `ahead` are waiting: as in prefetch, yield inside the loop over the jobs.",
        AHEAD,
        (NEXT, "pass"),
    ),
    mistake(
        "error_swallowed",
        "A batch that fails is left out, and nobody hears of it.",
        "future.result() raises what make raised: let it through. A training that skips broken files does not know what it was trained on.",
        AHEAD,
        (NEXT, "if len(waiting) > ahead:\n                yield from unless_broken(waiting.popleft())"),
        (REST, "while waiting:\n            yield from unless_broken(waiting.popleft())"),
    ),
    mistake(
        "error_ends_the_epoch",
        "A batch that fails ends the epoch, and nobody hears of it.",
        "`except: return` looks like the end of the data: let the error through, `finally` tidies up all the same.",
        AHEAD,
        ("finally:", "except ValueError:\n        return\n    finally:"),
    ),
    mistake(
        "error_becomes_none",
        "In place of a batch that fails comes None.",
        "Do not catch the error in the thread: the future carries it to whoever asks for the result.",
        AHEAD,
        ("pool = ThreadPoolExecutor(workers)", "pool = ThreadPoolExecutor(workers)\n    make = quiet(make)"),
    ),
    mistake(
        "error_too_early",
        "An error overtakes the good batches before it.",
        "In its own place: raise it when its result is asked for.",
        AHEAD,
        (
            NEXT,
            "if len(waiting) > ahead:\n                fail_first(waiting)\n                yield waiting.popleft().result()",
        ),
    ),
    Mistake(
        "deadlock_on_break",
        "Your close() never returns: it waits for a thread that waits for a free place in the queue.",
        "Nobody will free one. Tell the threads to stop, or do without a feeding thread: submit from the generator itself.",
        written(fed_by_a_thread),
    ),
    mistake(
        "threads_left_behind",
        "Your close() returns while a thread is still working.",
        "Wait for the threads: pool.shutdown(wait=True, ...), which is the default. Else files are read that are being deleted, and Ctrl-C hangs at the exit.",
        AHEAD,
        ("shutdown(cancel_futures=True)", "shutdown(wait=False, cancel_futures=True)"),
    ),
    mistake(
        "threads_never_end",
        "Your threads outlive the generator, even when all has been made.",
        "Whoever makes a pool shuts it down: pool.shutdown() in `finally`.",
        AHEAD,
        ("pool.shutdown(cancel_futures=True)", "KEPT.append(pool)"),
    ),
    mistake(
        "no_finally",
        "After a break nobody shuts the pool down: your shutdown comes after the loop only.",
        "A generator that is closed stops at its yield; what must happen all the same stands in `finally` (or `with`).",
        AHEAD,
        ("finally: pool.shutdown(cancel_futures=True)", "except ZeroDivisionError:\n        pass"),
    ),
    mistake(
        "waiting_jobs_still_made",
        "After a break all waiting jobs are still made.",
        "pool.shutdown(cancel_futures=True) drops what has not begun; `with ThreadPoolExecutor` alone does not.",
        AHEAD,
        ("cancel_futures=True", ""),
    ),
)

RATES = (
    mistake(
        "rates_averaged",
        "One after the other, you take the mean of the two rates.",
        "Times add up, not rates: a batch takes 1 / making + 1 / training seconds.",
        RATE,
        ("1 / (1 / making + 1 / training)", "(making + training) / 2"),
    ),
    mistake(
        "overlap_without_workers",
        "Without workers you let loading and training overlap.",
        "workers = 0: the network waits while a batch is made. The times add up.",
        RATE,
        ("1 / (1 / making + 1 / training)", "min(making, training)"),
    ),
    mistake(
        "workers_ignored",
        "You count one worker.",
        "Each worker makes batches: workers * making.",
        RATE,
        ("workers * making", "making"),
    ),
    mistake(
        "fastest_wins",
        "You take the largest rate.",
        "A pipeline is as fast as its slowest part.",
        RATE,
        ("min(rates", "max(rates"),
    ),
    mistake(
        "no_overlap",
        "You add up the times although there are workers.",
        "With workers a batch is made while the network trains on another one: the slower of the two counts, not the sum.",
        RATE,
        ("if workers == 0:", "if workers >= 0:"),
    ),
    mistake(
        "cores_forgotten",
        "You count more work than the cores have seconds for.",
        "A batch takes 1 / making of one core and 1 / training of `threads` cores: no more than cores / that sum fits into a second.",
        RATE,
        ("cores / (1 / making + threads / training)", "float('inf')"),
    ),
    mistake(
        "threads_forgotten",
        "The training counts as one core.",
        "While it trains, its arithmetic keeps `threads` cores busy: threads / training.",
        RATE,
        ("threads / training", "1 / training"),
    ),
    mistake(
        "workers_times_making_time",
        "For the cores you count the making of a batch once for each worker.",
        "Each batch is made once, by one worker: 1 / making core-seconds.",
        RATE,
        ("cores / (1 / making", "cores / (workers / making"),
    ),
)


EXERCISES = (
    Exercise(
        "L8.random_stream",
        STREAM,
        ("equal_draws", "same_for_any_number_of_workers", "all_numbers_differ"),
        stream_cases,
        STREAMS,
        (
            "Who may the numbers depend on: the worker, the order in which images are asked for, or the image itself?",
            "np.random.default_rng takes a SeedSequence, or a list of whole numbers, and mixes them; adding them up lets different names collide.",
            "Make a new generator from the three numbers, together, in every call, and keep nothing.",
        ),
        points=2,
        minutes=10,
        checks="Eight images in three epochs, dealt to 1, 2 and 4 threads: no two draw alike, and the number of threads changes nothing.",
        use=use_stream,
        task="One generator for one image in one epoch, whoever asks for it and when.",
    ),
    Exercise(
        "L8.prefetch",
        PREFETCH,
        ("complete", "order", "first", "bounded", "made_ahead"),
        prefetch_cases,
        QUEUES,
        (
            "What must be remembered, in which order, between submitting a job and handing its result out?",
            "pool.submit(make, job) returns a Future at once; its result() waits. Keep the futures in a deque.",
            "For each job: submit, append; with more than `ahead` in the deque, yield the oldest one's result. In the end, empty the deque.",
        ),
        points=3,
        minutes=20,
        core=False,
        checks="Four sets of jobs with two threads, in which a later job must be through before an earlier one; counted: what was taken beyond each result.",
        use=use_prefetch,
        task="A generator. The pool is a concurrent.futures.ThreadPoolExecutor; its threads are somebody else's business, the order and the bound are yours.",
        needs="from collections import deque",
    ),
    Exercise(
        "L8.made_ahead",
        AHEAD,
        ("results", "error", "bounded", "at_once", "dropped", "threads_gone"),
        ahead_cases,
        ENDS,
        (
            "At which line does the generator stand when the caller leaves? Which part of a function runs even then?",
            "try ... finally. ThreadPoolExecutor.shutdown waits for the threads and can drop what has not begun. A future carries an error to whoever asks it.",
            "As prefetch, with a pool of your own made before `try`, and in `finally`: shutdown with cancel_futures=True.",
        ),
        points=3,
        minutes=20,
        core=False,
        checks="To the end, with an error in the third batch, and with a close() while a batch is being made: what came, how many jobs were taken, what began later, who is still there.",
        use=use_ahead,
        task="The same with threads of your own: make them, and make sure that they are gone when the generator is, however it is left. "
        "A job that has begun may finish first.",
        needs="from collections import deque\nfrom concurrent.futures import ThreadPoolExecutor",
    ),
    Exercise(
        "L8.pipeline_rate",
        RATE,
        ("rate", "limit"),
        rate_cases,
        RATES,
        (
            "One after the other: which adds up, rates or times? Side by side: what does the slowest do to the others?",
            "Three rates compete: workers * making, training, and the cores' seconds by the core-seconds of a batch.",
            "workers = 0: 1 / (1 / making + 1 / training). Else the smallest of the three, with its name.",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Seven pipelines, each limit at least once; the rate to 1e-8 and the name.",
        task="Before you measure, predict. Return the rate and one of the names 'in turn', 'loading', 'training', 'cores'.",
    ),
)
