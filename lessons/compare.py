"""Is a student's output the right one?  If not, what is the first thing to say about it?

Numbers are compared to a share of the largest number of the output, so that the order of a sum does not matter.
"""

from typing import Any, NamedTuple

import numpy as np

from mini_nn.diagnosis import patterns


class Difference(NamedTuple):
    kind: str  # "shape", "dtype", "nan", "unknown", "error", "slow"
    text: str
    case: str = ""

    def __str__(self) -> str:
        return f"{self.text}\nThe smallest case that shows it: {self.case}" if self.case else self.text


def numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.number | np.bool_ | int | float | complex)


def like_array(got: Any, want: Any) -> Any:
    """A list of numbers in place of an array is fine."""
    if isinstance(want, np.ndarray) and isinstance(got, list | tuple):
        try:
            return np.array(got)
        except ValueError:
            return got
    return got


def equal(got: Any, want: Any, tolerance: float) -> bool:
    got = like_array(got, want)
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and got.keys() == want.keys()
            and all(equal(got[k], want[k], tolerance) for k in want)
        )
    if isinstance(want, tuple | list):
        many = isinstance(got, tuple | list | np.ndarray) and len(got) == len(want)
        return many and all(equal(g, w, tolerance) for g, w in zip(got, want, strict=True))
    if numeric(want):
        return (
            numeric(got)
            and fits(np.asarray(got), np.asarray(want))
            and close(np.asarray(got), np.asarray(want), tolerance)
        )
    return type(got) is type(want) and bool(got == want)


def fits(got: np.ndarray, want: np.ndarray) -> bool:
    """The same shape, and a kind of number that can stand for the wanted one."""
    return got.shape == want.shape and not dtype_trouble(got, want)


def dtype_trouble(got: np.ndarray, want: np.ndarray) -> str:
    """What is wrong with the kind of number, or ''."""
    if got.dtype == want.dtype or (got.dtype.kind == want.dtype.kind == "i"):
        return ""
    if want.dtype.kind == "f" and got.dtype in (np.float32, np.float64):
        return ""
    if want.dtype.kind == "f" and got.dtype.kind == "i" and got.ndim == 0:
        return ""  # 2 for 2.0
    if want.dtype.kind in "iu" and got.dtype.kind in "iu":
        return ""
    return f"holds {got.dtype}, and should hold {'float64' if want.dtype.kind == 'f' else want.dtype}"


def close(got: np.ndarray, want: np.ndarray, tolerance: float) -> bool:
    return not wrong(got, want, tolerance).any()


def wrong(got: np.ndarray, want: np.ndarray, tolerance: float) -> np.ndarray:
    """Where two arrays of one shape differ."""
    if want.dtype.kind not in "fc" and got.dtype.kind not in "fc":
        return np.asarray(got != want)
    finite = np.abs(want[np.isfinite(want)])
    limit = tolerance * (finite.max() if finite.size else 0.0) + 1e-12
    with np.errstate(all="ignore"):
        same: np.ndarray = (np.abs(got - want) <= limit) | (got == want) | (np.isnan(got) & np.isnan(want))
    return ~same


def difference(name: str, got: Any, want: Any, tolerance: float) -> Difference:
    """The first thing to say about a wrong output."""
    got = like_array(got, want)
    if isinstance(want, dict) and isinstance(got, dict):
        for key in want:
            if key not in got:
                return Difference("shape", f"{name} has no {key!r}.")
            if not equal(got[key], want[key], tolerance):
                return difference(f"{name}[{key!r}]", got[key], want[key], tolerance)
        return Difference(
            "shape", f"{name} has {sorted(map(str, got.keys() - want.keys()))}, which nobody asked for."
        )
    if isinstance(want, tuple | list) and isinstance(got, tuple | list | np.ndarray):
        if len(got) != len(want):
            return Difference("shape", f"{name} has {len(got)} entries; it should have {len(want)}.")
        at = next(i for i, (g, w) in enumerate(zip(got, want, strict=True)) if not equal(g, w, tolerance))
        return difference(f"{name}[{at}]", got[at], want[at], tolerance)
    if not numeric(want):
        return Difference("unknown", f"{name} is {shorten(got)}; expected {shorten(want)}.")
    if not numeric(got):
        plain = (
            "None: is a `return` missing?"
            if got is None
            else f"{shorten(got)}, not {'an array' if np.ndim(want) else 'a number'}."
        )
        return Difference(
            "shape", f"{name}: {got}." if type(got).__name__ == "Missing" else f"{name} is {plain}"
        )
    return arrays(name, np.asarray(got), np.asarray(want), tolerance)


def arrays(name: str, got: np.ndarray, want: np.ndarray, tolerance: float) -> Difference:
    if got.shape != want.shape:
        return Difference("shape", shapes(name, got.shape, want.shape))
    if trouble := dtype_trouble(got, want):
        return Difference("dtype", f"{name} {trouble}.")
    if not np.isfinite(got).all() and np.isfinite(want).all():
        at = tuple(np.argwhere(~np.isfinite(got))[0].tolist())
        return Difference(
            "nan",
            f"{name}{list(at) if at else ''} is {got[at]}; expected {want[at]:.9g}. A division by zero, or an overflow?",
        )
    bad = wrong(got, want, tolerance)
    at = tuple(np.argwhere(bad)[0].tolist())
    if not at:
        return Difference("unknown", f"{name}: expected {number(want)}, got {number(got)}.")
    text = f"{name} is wrong at {bad.sum()} of {bad.size} numbers; the first is {name}{list(at)}: expected {number(want[at])}, got {number(got[at])}."
    seen = "; ".join(patterns(got, want, bad)) if want.dtype.kind == "f" else ""
    return Difference("unknown", f"{text} It looks {seen}." if seen else text)


def shapes(name: str, got: tuple[int, ...], want: tuple[int, ...]) -> str:
    text = f"{name} has shape {got}; it should be {want}."
    if len(got) != len(want):
        return f"{text} It has {len(got)} axes in place of {len(want)}."
    if sorted(got) == sorted(want):
        order = next(
            (a, b)
            for a in range(len(got))
            for b in range(a + 1, len(got))
            if got[a] != want[a] and got[b] == want[a]
        )
        return f"{text} The same numbers in another order: are axes {order[0]} and {order[1]} swapped, a transpose too few or too many?"
    axes = [i for i, (g, w) in enumerate(zip(got, want, strict=True)) if g != w]
    return f"{text} Axis {axes[0]} has {got[axes[0]]} in place of {want[axes[0]]}."


def number(value: Any) -> str:
    return (
        f"{value:.9g}"
        if isinstance(value, np.floating | np.ndarray) and np.asarray(value).dtype.kind == "f"
        else str(value)
    )


def shorten(value: Any, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."
