"""The reward: a real pretrained network that runs with a student's functions in place of the library's.

    mini-nn predict PHOTO --mine                                       with what has passed in work/
    from lessons import mine; mine.show({"L1.depthwise_forward": f})   in a notebook

Only functions that pass their check at that moment are used.  The network runs on NumPy, once with them and once without.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import lessons
from lessons import judge
from lessons.catalogue import Exercise, Function, every, find, folders, load
from lessons.feedback import Result
from mini_nn import backend
from mini_nn.core import Layer
from mini_nn.ops import Array

Checked = list[tuple[Result, Function | None]]  # the function of each result that passed


def from_files(folder: str | Path = "work") -> Checked:
    """Check every function in work/ that a network can use."""
    found: Checked = []
    for exercise in every().values():
        path = Path(folder, f"{folders()[exercise.lesson]}.py")
        if exercise.mine and path.is_file():
            result = lessons.check_file(str(path), exercise.id)
            found.append((result, from_file(path, exercise.name) if result.passed else None))
    return found


def from_file(path: Path, name: str) -> Function:
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), names)  # noqa: S102  (it is the reader's own)
    function: Function = names[name]
    return function


def from_notebook(functions: Mapping[str, Function]) -> Checked:
    results = {id: lessons.check(id, function) for id, function in functions.items() if find(id).mine}
    return [(result, functions[id] if result.passed else None) for id, result in results.items()]


class Mine(Layer):
    """A network that runs with a student's functions; `report` says which ran, how often, and what it changed."""

    def __init__(self, network: Layer, checked: Checked) -> None:
        self.network, self.checked = network, checked
        self.functions = {result.exercise: function for result, function in checked if function}
        if not self.functions:
            raise ValueError(nothing_passed(checked))
        self.calls: Counter[str] = Counter()
        self.difference, self.changed = (
            0.0,
            0,
        )  # the largest, as a share of the largest logit; first places that differ

    def forward(self, x: Array, train: bool = False) -> tuple[Array, Any]:
        with on_numpy():
            right = self.network.forward(x, train)[0]
            with in_place(self.functions, self.calls):
                y = self.network.forward(x, train)[0]
        if np.shape(y) != right.shape:
            raise ValueError(
                f"with your functions the network gives shape {np.shape(y)} in place of {right.shape}"
            )
        self.difference = max(self.difference, float(np.abs(y - right).max() / np.abs(right).max()))
        self.changed += int((y.argmax(-1) != right.argmax(-1)).sum())
        return y, None

    def backward(self, dy: Array, cache: Any) -> Array:
        raise NotImplementedError("it predicts only")

    def report(self) -> str:
        rows = []
        for result, function in self.checked:
            calls = self.calls[result.exercise]
            ran = (
                f"yours, called {calls} time{'s' * (calls != 1)}"
                if calls
                else "yours passes; this network does not call it"
            )
            rows.append(
                f"  {result.exercise:<32} {ran if function else f'the library, for yours is {state(result)}'}"
            )
        same = "the same first place" if not self.changed else f"{self.changed} other first places"
        return "\n".join(
            [
                "Run with your functions:",
                *rows,
                f"Beside the library's own run: {same}; logits differ by at most {self.difference:.1e} of the largest.",
            ]
        )


def state(result: Result) -> str:
    return "not written yet" if result.kind == "not written" else f"not right yet ({result.kind})"


def nothing_passed(checked: Checked) -> str:
    tried = ", ".join(f"{result.exercise} is {state(result)}" for result, _ in checked)
    can = ", ".join(exercise.id for exercise in every().values() if exercise.mine)
    return f"none of your functions can be used yet{f': {tried}' if tried else ''}. A network uses {can}: mini-nn learn"


@contextmanager
def on_numpy() -> Iterator[None]:
    """The readable twins for a while, whatever MINI_NN_BACKEND says."""
    kept = {topic: vars(backend)[topic] for topic in backend.KERNELS if topic in vars(backend)}
    try:
        for topic in backend.KERNELS:
            setattr(backend, topic, load_module(f"mini_nn.ops.{topic}"))
        yield
    finally:
        for topic in backend.KERNELS:
            if topic in kept:
                setattr(backend, topic, kept[topic])
            else:
                delattr(backend, topic)


def load_module(name: str) -> Any:
    __import__(name)
    return sys.modules[name]


@contextmanager
def in_place(functions: Mapping[str, Function], calls: Counter[str]) -> Iterator[None]:
    """Put each function where its exercise says, under every name that the library has for it; put all back at the end."""
    with ExitStack() as undo:
        for id, function in functions.items():
            for place in find(id).mine:
                original = load(place)
                counting = counted(find(id), function, original, calls)
                for module, name in bound_to(original):
                    undo.callback(setattr, module, name, original)
                    setattr(module, name, counting)
        yield


def bound_to(function: Function) -> list[tuple[Any, str]]:
    """The library's modules and names that stand for the function."""
    ours = [
        m for name, m in list(sys.modules.items()) if name.partition(".")[0] == "mini_nn" and m is not None
    ]
    return [
        (module, name) for module in ours for name, value in list(vars(module).items()) if value is function
    ]


def counted(
    exercise: Exercise, function: Function, original: Function, calls: Counter[str]
) -> Callable[..., Any]:
    """The student's function where x has as many axes as in its check, elsewhere the library's: a classifier's (N, C)."""
    axes = {case["x"].ndim for case in judge.cases(exercise.id)}

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and np.ndim(args[0]) not in axes:
            return original(*args, **kwargs)
        calls[exercise.id] += 1
        try:
            y = function(*args, **kwargs)
        except Exception as error:
            given = ", ".join(str(a.shape) if isinstance(a, np.ndarray) else repr(a) for a in args)
            raise ValueError(
                f"{exercise.id}: yours raised {type(error).__name__}: {error} on {given}"
            ) from error
        return np.asarray(y) if isinstance(y, list) and len(exercise.outputs) == 1 else y

    return call


def show(
    functions: Mapping[str, Function] | None = None,
    photo: str | Path | None = None,
    model: str = "efficientnet_lite0",
) -> None:
    """For notebooks: classify a photograph (Grace Hopper's portrait) with these functions, or with those in work/."""
    import matplotlib as mpl

    from mini_nn import demo, weights

    photo = photo or Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
    try:
        network, preprocess, classes = weights.pretrained(model)
        mine = Mine(network, from_files() if functions is None else from_notebook(functions))
        for path, best in demo.predict_photos([photo], mine, preprocess, classes):
            print(path.name, *(f"  {p:6.1%}  {name}" for name, p in best), sep="\n")
        print(mine.report())
    except (
        ValueError,
        ImportError,
        OSError,
    ) as error:  # nothing passed yet, or the weights are not installed
        print(error)
