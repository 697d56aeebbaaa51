"""Small faults, made from a function's syntax tree, one at a time: how strong is a check that has never seen them?

An operator, a comparison, a constant, a sign, an axis or an order is changed; a term, a call, an index, a step of a slice or a
statement is left out.  Also in the helpers and tables of the same file that the function rests on.  Left alone are what a
check does not judge: heads, docstrings, casts, and statements that only refuse bad input.
"""

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from lessons import source
from lessons.catalogue import Exercise, Function

BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OTHER_NAME = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "ceil": "floor",
    "floor": "ceil",
    "round": "int",
    "sum": "mean",
    "mean": "sum",
    "zeros": "ones",
    "any": "all",
    "all": "any",
    "argmax": "argmin",
}
SYMMETRIC = {"min", "max", "minimum", "maximum", "result_type", "isinstance", "allclose"}
OVER_AXES = {"sum", "mean", "var", "std", "max", "min", "flip", "expand_dims", "squeeze"}
NOT_JUDGED = {"strict", "dtype"}  # keywords
CASTS = {"astype", "result_type", "copy", "float", "asarray", "array", "list", "tuple"}
QUIET = (ast.JoinedStr, ast.arguments, ast.Raise, ast.ClassDef)  # nothing in them is changed


class Fault(NamedTuple):
    """One change: where, and what is there instead."""

    name: str  # "dxp[here] += dy * w[a, b]  |  dy * w[a, b] -> dy"
    part: str  # the changed function or constant
    text: str  # its new source

    def function(self, exercise: Exercise) -> Function:
        """The solution with this fault, as a function of its own."""
        solution = exercise.function
        names = dict(vars(load_module(solution)))
        for node in source.reached(solution):
            if not isinstance(node, ast.ClassDef):
                exec(self.text if source.label(node) == self.part else ast.unparse(node), names)  # noqa: S102  (our own source)
        function: Function = names[solution.__name__]
        return function


def load_module(function: Function) -> Any:
    import importlib

    return importlib.import_module(function.__module__)


def faults(exercise: Exercise) -> list[Fault]:
    """All of them, each text once."""
    made = dict[str, Fault]()
    for original in source.reached(exercise.function, types=False):
        label = source.label(original)
        if isinstance(original, ast.ClassDef) or label.startswith("check") or label in exercise.free:
            continue
        part = ast.parse(ast.unparse(original)).body[0]  # a copy that may be changed and put right again
        lines = ast.unparse(original).splitlines()
        seen = {ast.unparse(original)}
        for old, new in list(changes(part)):
            what = f"{brief(old)} -> {brief(new)}"
            line = lines[getattr(old, "lineno", 1) - 1].strip()
            Put(old, new).visit(part)
            text = ast.unparse(ast.fix_missing_locations(part))
            Put(new, old).visit(part)
            if text not in seen and compiles(text):
                seen.add(text)
                name = f"{line}  |  {what}"
                again = sum(known.startswith(name) for known in made)
                made[f"{name} #{again + 1}" if again else name] = Fault(name, label, text)
    return [fault._replace(name=name) for name, fault in made.items()]


def compiles(text: str) -> bool:
    try:
        compile(text, "<fault>", "exec")
    except SyntaxError:
        return False
    return True


def brief(node: ast.AST) -> str:
    return "nothing" if isinstance(node, ast.Pass) else " ".join(ast.unparse(node).split())[:90]


class Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(a node, what to put in its place), for all nodes below."""
    for child in ast.iter_child_nodes(node):
        types = (getattr(node, "returns", None), getattr(node, "annotation", None))
        if isinstance(child, QUIET) or guards(child) or child in types:
            continue
        if isinstance(child, ast.keyword) and child.arg in NOT_JUDGED:
            continue
        if isinstance(node, ast.If) and child is node.test:
            yield from ((child, ast.Constant(value)) for value in (True, False))
        if isinstance(node, ast.For) and child is node.iter:
            yield from ((child, new) for new in fewer(node.iter))
        axes = (isinstance(node, ast.Call) and called(node) in OVER_AXES) or getattr(
            node, "arg", ""
        ) == "axis"
        if axes and isinstance(child, ast.Tuple):
            yield from ((child, new) for new in shorter(child))  # the order of axes does not matter
            continue
        yield from ((child, new) for new in others(child))
        yield from changes(child)


def fewer(items: ast.expr) -> Iterator[ast.AST]:
    """Without the first; without the last."""
    every = ast.Call(ast.Name("list", ast.Load()), [items], [])
    for kept in (ast.Slice(ast.Constant(1)), ast.Slice(None, ast.Constant(-1))):
        yield ast.Subscript(every, kept, ast.Load())


def guards(node: ast.AST) -> bool:
    """A statement that only refuses bad input, or a docstring."""
    if isinstance(node, ast.If):
        return not node.orelse and isinstance(node.body[0], ast.Raise)
    if isinstance(node, ast.Expr):
        refuses = isinstance(node.value, ast.Call) and called(node.value).startswith("check")
        return refuses or isinstance(node.value, ast.Constant)
    return False


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return getattr(node.func, "attr", "") or getattr(node.func, "id", "")


def others(node: ast.AST) -> Iterator[ast.AST]:
    """What a slip of the pen makes of one node."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in BINARY:
            yield ast.BinOp(node.left, BINARY[type(node.op)](), node.right)
        yield from (node.left, node.right)
    elif isinstance(node, ast.UnaryOp):
        if not isinstance(node.operand, ast.Constant):  # -1 becomes 0 and -2 by its constant
            yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in COMPARED[type(op)]:
                yield ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
    elif isinstance(node, ast.Constant):
        yield from constants(node.value)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        for i in range(3):
            if parts[i]:
                yield ast.Slice(*(None if i == j else part for j, part in enumerate(parts)))
    elif isinstance(node, ast.Subscript | ast.Attribute):
        if isinstance(node.ctx, ast.Load) and getattr(node, "attr", "T") in ("T", "real", "imag"):
            yield node.value
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        yield from sequences(node)
    elif isinstance(node, ast.Call):
        yield from calls(node)
    elif isinstance(node, ast.stmt):
        yield from statements(node)


def constants(value: Any) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, float):
        yield from (ast.Constant(value * 2), ast.Constant(-value))


def sequences(node: ast.Tuple | ast.List) -> Iterator[ast.AST]:
    """Two neighbours swapped; of constants, one left out."""
    items = node.elts
    for i in range(len(items) - 1):
        yield type(node)([*items[:i], items[i + 1], items[i], *items[i + 2 :]], node.ctx)
    yield from shorter(node)


def shorter(node: ast.Tuple | ast.List) -> Iterator[ast.AST]:
    items = node.elts
    if len(items) > 1 and all(isinstance(item, ast.Constant) for item in items):
        for i in range(len(items)):
            yield type(node)(items[:i] + items[i + 1 :], node.ctx)


def calls(node: ast.Call) -> Iterator[ast.AST]:
    """Two arguments swapped, a keyword or the whole call left out, another function."""
    function = node.func
    name = called(node)
    for i in range(len(node.args) - 1 if name not in SYMMETRIC else 0):
        args = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
        yield ast.Call(function, args, node.keywords)
    for keyword in node.keywords:
        if keyword.arg not in NOT_JUDGED:
            yield ast.Call(function, node.args, [k for k in node.keywords if k is not keyword])
    if name in OTHER_NAME and isinstance(function, ast.Attribute):
        yield ast.Call(ast.Attribute(function.value, OTHER_NAME[name], ast.Load()), node.args, node.keywords)
    elif name in ("min", "max", "any", "all", "round"):
        yield ast.Call(ast.Name(OTHER_NAME[name], ast.Load()), node.args, node.keywords)
    of_module = isinstance(function, ast.Name) or getattr(getattr(function, "value", None), "id", "") in (
        "np",
        "math",
    )
    if name in CASTS:
        return
    if of_module and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield node.args[0]
    elif not of_module and isinstance(function, ast.Attribute):
        yield function.value


def statements(node: ast.stmt) -> Iterator[ast.AST]:
    """A statement left out, or overwriting in place of adding."""
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
        if type(node.op) in BINARY:
            yield ast.AugAssign(node.target, BINARY[type(node.op)](), node.value)
        yield ast.Pass()
    elif isinstance(node, ast.Expr) or (
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
    ):
        yield ast.Pass()
