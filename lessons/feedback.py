"""What a student is told: the result of a check, as text and as a card in a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

TITLES = {
    "passed": ("✓", "right"),
    "not written": ("…", "not written yet"),
    "shape": ("✗", "wrong shape"),
    "dtype": ("✗", "wrong kind of number"),
    "mutated": ("✗", "an input was changed"),
    "nan": ("✗", "not a number"),
    "slow": ("✗", "too slow, or too large"),
    "library": ("✗", "calls the answer"),
    "mistake": ("✗", "a known mistake"),
    "unknown": ("✗", "not right yet"),
    "error": ("✗", "an error"),
}


@dataclass(frozen=True)
class Result:
    """What became of one check; str() tells the student."""

    exercise: str
    kind: str  # a key of TITLES
    text: str
    mistake: str | None = None  # the id of the known mistake
    worth: int = 0

    @property
    def passed(self) -> bool:
        return self.kind == "passed"

    @property
    def points(self) -> int:
        return self.worth if self.passed else 0

    @property
    def title(self) -> str:
        sign, words = TITLES[self.kind]
        named = f": {self.mistake.replace('_', ' ')}" if self.mistake else ""
        return f"{sign} {self.exercise}: {words}{named}"

    def __str__(self) -> str:
        worth = f" ({self.points} point{'s' * (self.points != 1)})" if self.passed else ""
        return f"{self.title}{worth}" + (f"\n{self.text}" if self.text else "")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """A card that reads in light and dark: sign and words say the status, the bar's style only repeats it."""
        style = "solid" if self.passed else "dashed"
        lines = "".join(
            f"<div style='margin-top:.4em'>{escape(line)}</div>" for line in self.text.splitlines()
        )
        return (
            f"<div role='status' style='border-left:4px {style} currentColor;padding:.4em .8em;margin:.4em 0'>"
            f"<strong>{escape(str(self).splitlines()[0])}</strong>{lines}</div>"
        )


def settings(case: Mapping[str, Any]) -> str:
    """A case in one line: shapes of arrays, and the rest as it is."""
    return ", ".join(f"{name} {brief(value)}" for name, value in case.items())


def brief(value: Any, most: int = 60) -> str:
    if isinstance(value, np.ndarray):
        return f"of shape {value.shape}" if value.size > 6 else str(np.round(value, 4).tolist())
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."
