"""transfer.fit: from a folder of photographs to a classifier."""

import math
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mini_nn import data, features, weights
from mini_nn.data import Splits
from mini_nn.files import user_cache
from mini_nn.transfer.run import Run
from mini_nn.transfer.strategies import STRATEGIES, Strategy
from mini_nn.transfer.trying import Task, attempts, cross_validated, few

Model = str | tuple[Any, ...]  # a pretrained network's name, or (network, preprocess, ...)
WHOLE = {"size", "epochs", "batch_size", "patience", "views"}
PLAIN = {"lr", "body", "decay", "weight_decay", "label_smoothing"}


def fit(
    source: str | os.PathLike[str] | Splits,
    strategy: str = "auto",
    model: Model = "efficientnet_lite0",
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    valid: float = 0.2,
    cache: str | os.PathLike[str] | None = None,
    workers: int = 2,
    minutes: float = 10.0,
    quiet: bool = False,
    **changes: Any,
) -> Run:
    """Learn the classes of a folder of photographs, one sub-folder a class.

    strategy: a key of STRATEGIES, or "auto": A first, then B and C where `minutes` allow, one of which is kept only if
    it has more of the validation part right.  source: the folder, or Splits of PhotoSplits.  model: the name of a
    pretrained network, or (network, preprocess).  out: a folder for the run, which `load` reads.  cache: a folder for
    A's features (the user's cache when None).  changes: other values of the Strategy, such as epochs=3.
    """
    began = time.perf_counter()
    plans = planned(strategy, changes)
    check(seed, minutes, {"out": out, "cache": cache})
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
    network, preprocess = weights.pretrained(model)[:2] if isinstance(model, str) else model[:2]
    for plan in plans.values():
        plan.until(network)
    splits = source if isinstance(source, Splits) else data.folder(source, valid=valid, seed=seed)
    if len(splits.classes) < 2:
        raise ValueError(
            f"{source} has the one class {', '.join(splits.classes)}; a classifier needs two or more: "
            'photographs of anything else in a folder "other", say'
        )
    place = Path(cache) if cache is not None else user_cache() / "features"
    task = Task(network, preprocess, splits, seed, place, workers, quiet)
    outcomes, tried = attempts(task, plans, began + 60 * minutes)
    kept = next(one.strategy for one in tried if one.kept)
    best = outcomes[kept]
    run = Run(
        kept,
        best.classifier,
        best.records,
        splits.valid.paths,
        splits.valid.y,
        best.probabilities,
        tried,
        0.0,
        {
            "photos": str(source) if not isinstance(source, Splits) else None,
            "strategy": strategy,
            "model": model if isinstance(model, str) else network.recipe_name,
            "seed": seed,
            "valid": valid,
            "settings": settings(plans[kept], len(splits.train)),
        },
        splits,
        best.search,
        cross_validated(task, kept, plans[kept]) if few(splits) else None,
    )
    run.seconds = time.perf_counter() - began
    if out is not None:
        run.save(out)
    return run


def check(seed: Any, minutes: Any, folders: Mapping[str, str | os.PathLike[str] | None]) -> None:
    """Refuse before any work what would fail after it."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0, not {seed!r}")
    if not minutes >= 0:
        raise ValueError(f"minutes must be a number from 0, not {minutes!r}")
    for name, folder in folders.items():
        if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
            raise ValueError(f"{name}={str(folder)!r} is a file; name a folder")


def planned(strategy: str, changes: Mapping[str, Any]) -> dict[str, Strategy]:
    """The strategies to try, by name, with the changes."""
    if strategy not in (*STRATEGIES, "auto"):
        raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)} and auto")
    if unknown := changes.keys() - set(Strategy._fields):
        raise ValueError(f"fit has no option {', '.join(sorted(unknown))}")
    for name in changes.keys() & WHOLE:
        value = changes[name]
        unset = value is None and name not in ("batch_size", "views")
        if not unset and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name} must be a whole number from 1, not {value!r}")
    for name in changes.keys() & PLAIN:
        if not isinstance(changes[name], int | float) or not 0 <= changes[name] < math.inf:
            raise ValueError(f"{name} must be a finite number from 0, not {changes[name]!r}")
    names = ("A", "B", "C") if strategy == "auto" else (strategy,)
    return {name: STRATEGIES[name]._replace(**changes) for name in names}


def settings(strategy: Strategy, photographs: int) -> dict[str, Any]:
    """What the strategy stands for, as JSON."""
    return {
        **strategy._asdict(),
        "epochs": strategy.rounds(photographs),
        "augment": strategy.augment.to_json(),
    }


def sweep(
    source: str | os.PathLike[str] | Splits, settings: Iterable[Mapping[str, Any]], workers: int = 2
) -> list[Run]:
    """A run for each set of fit's keyword arguments, several at a time: sweep("photos/", [{"seed": s} for s in range(5)]).

    Inside `with joblib.parallel_config("dask")` they run on the cluster.
    """
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise ImportError("sweep needs joblib: pip install 'mini-nn[eval]'") from None
    given = [{"workers": 1, "quiet": True, **one} for one in settings]
    with features.cluster():
        return list(Parallel(workers, batch_size=1)(delayed(alone)(source, one) for one in given))


def alone(source: Any, settings: Mapping[str, Any]) -> Run:
    """fit in one process, also where a cluster would take its parts: it takes whole runs."""
    from joblib import parallel_config

    with parallel_config("sequential"):
        return fit(source, **settings)
