"""Pieces of a solution's source: its head and docstring for the student, all of it for the instructor.

Everything is taken from the solution's own file, so that what a student gets follows the library by itself.
"""

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from lessons.catalogue import Exercise, Function, every, load

WIDTH = 100
YOUR_TURN = 'raise NotImplementedError("your turn")'
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class Home(NamedTuple):
    """The file that a function stands in."""

    module: str
    text: str
    imports: dict[str, tuple[str, str]]  # bound name -> (module, name in it, or '' for the module itself)
    definitions: dict[str, Definition]

    @property
    def importable(self) -> bool:
        """No import statement can name lessons.00_gradients."""
        return all(part.isidentifier() for part in self.module.split("."))


@cache
def home(function: Function) -> Home:
    module = inspect.getmodule(function)
    text = inspect.getsource(module) if module else ""
    tree = ast.parse(text)
    return Home(module.__name__ if module else "", text, bound(tree), dict(defined(tree)))


def bound(tree: ast.AST) -> dict[str, tuple[str, str]]:
    """What the import statements bind."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name.split(".")[0]: (a.name, "") for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: (node.module or "", a.name) for a in node.names}
    return found


def defined(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.decorator_list = []  # what a decorator does, such as to register, is no part of an answer
            yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from ((n.id, node) for n in ast.walk(target) if isinstance(n, ast.Name))


def names(node: ast.AST) -> set[str]:
    """The names that are read in it."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def import_lines(wanted: Iterable[str], at: Home, extra: str = "", avoid: Iterable[str] = ()) -> list[str]:
    """The imports that bring these names, and those of `extra`, each once; a name to avoid gets another."""
    also = bound(ast.parse(extra))
    known = (
        ({name: (at.module, name) for name in at.definitions} if at.importable else {}) | at.imports | also
    )
    plain, parts = set[str](), dict[str, set[str]]()
    for name in {*wanted, *also} & known.keys():
        module, part = known[name]
        called = aside(name) if name in avoid else name
        if part:
            parts.setdefault(module, set()).add(part if part == called else f"{part} as {called}")
        else:
            plain.add(
                f"import {module}" if module.split(".")[0] == called else f"import {module} as {called}"
            )
    froms = (f"from {module} import {', '.join(sorted(some))}" for module, some in sorted(parts.items()))
    return [*sorted(plain), *froms]


def taken(exercise: Exercise) -> set[str]:
    """The names that the student will define in the same file, and those that a notebook's cells call."""
    own = {other.name for other in every().values() if other.lesson == exercise.lesson}
    return own | {exercise.name, "check", "exercise", "picture", "show"}


def aside(name: str) -> str:
    """What an import is called whose own name is taken."""
    return f"{name}_op"


def definition(exercise: Exercise) -> ast.FunctionDef:
    node = home(exercise.function).definitions.get(exercise.function.__name__)
    if not isinstance(node, ast.FunctionDef):
        raise ValueError(f"{exercise.id}: {exercise.solution} is not a function at the top of its file")
    return node


def head(exercise: Exercise) -> ast.FunctionDef:
    """The solution's head under the student's name, without the annotations that no import can bring."""
    at, node = home(exercise.function), copy.deepcopy(definition(exercise))
    known = set(dir(__import__("builtins"))) | at.imports.keys() | bound(ast.parse(exercise.needs)).keys()
    known |= at.definitions.keys() if at.importable else set()
    for item in ast.walk(node.args):
        if isinstance(item, ast.arg) and item.annotation and names(item.annotation) - known:
            item.annotation = None
    if node.returns and names(node.returns) - known:
        node.returns = None
    node.name, node.decorator_list, node.body = exercise.name, [], []
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if default and (unknown := names(default) - known):
            raise ValueError(f"{exercise.id}: a default needs {', '.join(unknown)}; write it into `needs`")
    return node


def signature(exercise: Exercise) -> str:
    """The head as text, an argument a line where it is long."""
    node, text = head(exercise), home(exercise.function).text

    def plain(part: ast.expr) -> str:
        return " ".join((ast.get_source_segment(text, part) or "").split())

    def argument(arg: ast.arg, default: ast.expr | None = None) -> str:
        typed = f"{arg.arg}: {plain(arg.annotation)}" if arg.annotation else arg.arg
        return typed + (f"{' = ' if arg.annotation else '='}{plain(default)}" if default else "")

    some = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(some) - len(node.args.defaults)) + node.args.defaults
    parts = [argument(*pair) for pair in zip(some, defaults, strict=True)]
    if node.args.vararg or node.args.kwonlyargs:
        parts.append("*" + (argument(node.args.vararg) if node.args.vararg else ""))
    parts += [argument(*pair) for pair in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    if node.args.kwarg:
        parts.append("**" + argument(node.args.kwarg))
    end = f" -> {plain(node.returns)}:" if node.returns else ":"
    line = f"def {node.name}({', '.join(parts)}){end}"
    return (
        line
        if len(line) <= WIDTH
        else f"def {node.name}(\n{''.join(f'    {p},{chr(10)}' for p in parts)}){end}"
    )


def stub_imports(exercise: Exercise) -> list[str]:
    needs = f"import numpy as np\n{exercise.needs}"
    return import_lines(names(head(exercise)), home(exercise.function), needs, taken(exercise))


def merged(imports: Iterable[str]) -> list[str]:
    """The same imports with each module named once."""
    return import_lines((), Home("", "", {}, {}), "\n".join(imports))


def stub(exercise: Exercise) -> str:
    """The solution's head and docstring, and a body that says whose turn it is."""
    doc = inspect.getdoc(exercise.function) or exercise.task
    raw, end = "r" * ("\\" in doc), "\n" * ("\n" in doc)
    quoted = textwrap.indent(f'{raw}"""{doc}{end}"""', "    ")
    return f"{signature(exercise)}\n{quoted}\n    {YOUR_TURN}\n"


def reached(function: Function, types: bool = True) -> list[Definition]:
    """The functions and constants of the function's own file that it rests on, itself among them, in their order.

    Without `types`, those that only its annotations name are left out.
    """
    definitions, found, waiting = home(function).definitions, dict[int, Definition](), [function.__name__]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in definitions:
            continue
        seen.add(name)
        found[definitions[name].lineno] = definitions[name]
        waiting += foreign(definitions[name], types)
    return [found[line] for line in sorted(found)]


def foreign(node: Definition, types: bool) -> set[str]:
    """The names that it reads and that are not its own arguments and variables."""
    if not types:
        node = UNTYPED.visit(copy.deepcopy(node))
    if not isinstance(node, ast.FunctionDef):
        return names(node)
    arguments = {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
    return names(node) - arguments - {n.id for n in ast.walk(node) if stored(n)}


def stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


class Untyped(ast.NodeTransformer):
    """Takes the annotations away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node


UNTYPED = Untyped()


def solution(exercise: Exercise) -> str:
    """A cell with the solution under the student's name, the imports that it needs, and its helpers where no import can reach."""
    at, node = home(exercise.function), definition(exercise)
    nodes = [node] if at.importable else reached(exercise.function)
    avoid, own = taken(exercise), exercise.function.__name__
    text = "\n\n\n".join(source(at, n) for n in nodes)
    if own != exercise.name:
        text = re.sub(rf"(?<![\w.`]){re.escape(own)}(?=\()", exercise.name, text)
    used = set().union(*map(names, nodes)) - {own, *(label(n) for n in nodes)}
    for name in avoid & used:
        text = re.sub(rf"(?<![\w.`]){name}\b", aside(name), text)
    return (
        "\n".join(import_lines(used, at, f"import numpy as np\n{exercise.needs}", avoid)) + f"\n\n\n{text}\n"
    )


def label(node: Definition) -> str:
    """The name that a definition binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)


def source(at: Home, node: Definition) -> str:
    """Without decorators."""
    return "\n".join(at.text.splitlines()[node.lineno - 1 : node.end_lineno])


def telling_lines(where: str) -> Iterator[str]:
    """The lines of a function that would give it away: its body's, without docstring, comments and spaces, over 25 letters."""
    function = load(where)
    at = home(function)
    nodes = [n for n in reached(function) if isinstance(n, ast.FunctionDef)]
    for node in nodes if not at.importable else [n for n in nodes if n.name == function.__name__]:
        body = node.body[1:] if ast.get_docstring(node) else node.body
        for line in at.text.splitlines()[body[0].lineno - 1 : node.end_lineno] if body else ():
            if len(plain := squeezed(line)) > 25:
                yield plain


def squeezed(line: str) -> str:
    """Without spaces and without a comment at its end."""
    return re.sub(r"\s+", "", re.sub(r"(^|\s)#.*", "", line))
