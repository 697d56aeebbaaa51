"""The lessons: one folder a topic, each with a text that runs and exercises that are checked.

from lessons import check, exercises, show
check("L1.depthwise_backward", my_function)      # right, or what is wrong with it, by name where it can
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lessons.catalogue import Exercise
    from lessons.feedback import Result

__all__ = ["check", "check_file", "exercise", "exercises", "picture", "show"]


def check(id: str, function: Any) -> "Result":
    """Is the function right?  It runs in a process of its own; str() of the result says what is wrong."""
    from lessons import worker

    result = worker.check(id, function)
    note(result)
    return result


def check_file(path: str, id: str) -> "Result":
    """The same for the function of that name in a file."""
    from lessons import worker

    result = worker.check_file(path, id)
    note(result)
    return result


def exercises() -> "list[Exercise]":
    """All exercises, in the order of the course."""
    from lessons.catalogue import every

    return list(every().values())


PASSED: set[str] = set()  # in this process


def note(result: "Result") -> None:
    if result.passed:
        PASSED.add(result.exercise)


def show(id: str) -> None:
    """Print the library's version of an exercise that has been passed."""
    import inspect

    from lessons.catalogue import find

    known = find(id)
    if id in PASSED:
        print(inspect.getsource(known.function))
    else:
        print(f"{id} is not passed yet: its solution is shown after that.")


def exercise(id: str) -> None:
    """In a lesson's own file: the place where the student's cell will be.  The answer itself is checked here."""
    from lessons.catalogue import edited, find

    result = check(id, edited(find(id).solution)())
    assert result.passed, result
    print(f"{id}: {find(id).signature}")


def picture(figure: Any, alt: str) -> None:
    """Show a matplotlib figure with its description for those who do not see it."""
    import base64
    import io

    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError("a picture needs a description: alt='...'")
    try:
        from IPython import get_ipython
        from IPython.display import HTML, display
    except ImportError:
        get_ipython = None
    if get_ipython is not None and get_ipython() is not None:
        from html import escape

        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
        data = base64.b64encode(file.getvalue()).decode()
        display(HTML(f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'))
    plt.close(figure)
