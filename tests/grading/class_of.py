"""A synthetic class of any size: most answers right, some missing, some with one of the mistakes that have a name.

python -m tests.grading.class_of 200 classroom/release/L0/00_gradients.ipynb handed_in
"""

import json
import re
import sys
from pathlib import Path

import numpy as np

from lessons.catalogue import Exercise, find
from tests.grading.kinds import IDS, RIGHT, answered, kinds

SHARES = {"right": 0.6, "mistake": 0.25, "stub": 0.15}  # of the answers
ODD = 8  # one student in so many hands in one of the other kinds


def mistaken(exercise: Exercise) -> dict[str, str]:
    """Mistake -> the answer's text with it, for those that are an edit of the whole answer."""
    found = {}
    for id, mistake in exercise.mistakes.items():
        text, cells = (
            RIGHT[exercise.id],
            dict(zip(mistake.make.__code__.co_freevars, mistake.make.__closure__ or (), strict=True)),
        )
        for old, new in cells["changes"].cell_contents if "changes" in cells else [("", "")]:
            parts = [
                (m.start(), m.end())
                for m in re.finditer(r"\s*".join(map(re.escape, re.findall(r"\w+|\S", old))) or "$^", text)
            ]
            text = text[: parts[0][0]] + new.lstrip() + text[parts[0][1] :] if len(parts) == 1 else ""
        if text:
            found[id] = text
    return found


def main(many: int, released: Path, folder: Path) -> None:
    rng, book = np.random.default_rng(2026), json.loads(released.read_text("utf-8"))
    odd = list(kinds(book, str(folder / "elsewhere.txt"), "mini_nn/ops/relu.py").items())
    wrong = {id: list(mistaken(find(id)).values()) or [RIGHT[id]] for id in IDS}
    liked = {id: rng.dirichlet(np.full(len(wrong[id]), 0.7)) for id in IDS}  # some mistakes are more usual
    for number in range(many):
        student, data = f"student_{number:03d}", b""
        if number % ODD == 0:
            kind, (data, *_) = odd[number // ODD % len(odd)]
            student += f"_{kind}"
        else:
            what = dict(zip(IDS, rng.choice(list(SHARES), len(IDS), p=list(SHARES.values())), strict=True))
            answers = {
                id: RIGHT[id] if w == "right" else str(rng.choice(wrong[id], p=liked[id]))
                for id, w in what.items()
                if w != "stub"
            }
            data = json.dumps(answered(book, answers)).encode()
        (folder / student).mkdir(parents=True, exist_ok=True)
        (folder / student / released.name).write_bytes(data)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
