"""Our dotted names, taken apart, so that each source says in a few lines how it spells them."""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple


class Place(NamedTuple):
    """Where an array is in a network of models.build."""

    path: tuple[str, ...]  # the name less the array: ('stages', '1', '0', 'expand', 'norm')
    block: int  # its block, counted through all stages; -1 outside of them
    parts: tuple[str, ...]  # of its block, in order: ('expand', 'depthwise', 'se', 'project')
    blocks: int  # in the whole network
    stages: int


Spell = Callable[[Place], str]


def rename(names: list[str], spell: Spell, endings: dict[str, str], source: str) -> dict[str, str]:
    """Our name -> theirs: what `spell` makes of the layer, and the ending of 'weight', 'gamma', ...

    ValueError where the source has no such network.
    """
    split = [tuple(name.split(".")) for name in names]
    inside = [path for path in split if path[0] == "stages" and len(path) > 4]
    parts = {
        key: tuple(dict.fromkeys(path[3] for path in group))
        for key, group in groupby(inside, key=lambda path: path[1:3])
    }
    index = {key: i for i, key in enumerate(parts)}
    stages = len({stage for stage, _ in parts})
    theirs = {}
    for name, path in zip(names, split, strict=True):
        key = path[1:3] if path[0] == "stages" else ()
        place = Place(path[:-1], index.get(key, -1), parts.get(key, ()), len(parts), stages)
        try:
            theirs[name] = spell(place) + endings[path[-1]]
        except (LookupError, ValueError) as error:
            raise ValueError(f"it has the names of {source}, where no network has a {name!r}") from error
    return theirs
