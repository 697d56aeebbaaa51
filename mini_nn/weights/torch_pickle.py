"""A reader of PyTorch's pickles that can run nothing: the few opcodes and names that torch.save writes, no others.

A pickle is a program for a small stack machine.  This one builds numbers, strings, lists, tuples, dicts and
inert descriptions of tensors.  A global is only ever compared with the names below, never imported.
"""

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

from mini_nn.weights.stored import are_counts, short

MAX_OPCODES = 500_000  # EfficientNet-B7 takes 60,000, with its optimizer three times as many

STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
TENSORS = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
CALLED = TENSORS | {"torch._utils._rebuild_parameter", "collections.OrderedDict"}

NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG1", "FLOAT", "BINFLOAT"}
LITERALS = NUMBERS | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(frozen=True)
class Global:
    """A name that was let through."""

    name: str


@dataclass(frozen=True)
class Storage:
    """`numel` numbers somewhere else in the file, under `key`."""

    dtype: str
    key: str
    numel: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage.  Nothing of it has been checked yet."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


def unpickle(file: BinaryIO, storages: dict[str, Storage] | None = None) -> Any:
    """Read one pickle, from where the file stands to its STOP; note in `storages` what it refers to."""
    machine = Machine({} if storages is None else storages)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name == "STOP":
            return machine.pop(1)[0]
        if count >= MAX_OPCODES:
            raise ValueError(f"its pickle has more than {MAX_OPCODES} opcodes")
        machine.step(opcode.name, argument)
    raise ValueError("its pickle has no end")


class Machine:
    """The stack, the marks in it, the memo of values to be used again, and the storages that were seen."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        push = self.stack.append
        match opcode:
            case "PROTO" | "FRAME":
                pass
            case _ if opcode in LITERALS:
                push(argument)
            case _ if opcode in CONSTANTS:
                push(CONSTANTS[opcode])
            case "EMPTY_DICT":
                push({})
            case "EMPTY_LIST":
                push([])
            case "MARK":
                self.marks.append(len(self.stack))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                push(tuple(self.pop(int(opcode[-1]))))
            case "TUPLE":
                push(tuple(self.pop_mark()))
            case "LIST":
                push(self.pop_mark())
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self.memo[argument] = self.top(object)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.top(object)
            case "BINGET" | "LONG_BINGET" | "GET":
                if argument not in self.memo:
                    raise ValueError(f"its pickle uses a value ({argument}) that it never made")
                push(self.memo[argument])
            case _:
                self.assemble(opcode, argument)

    def assemble(self, opcode: str, argument: Any) -> None:
        """The opcodes that fill a container or, in pickle's own machine, call something."""
        match opcode:
            case "APPEND" | "APPENDS":
                items = self.pop(1) if opcode == "APPEND" else self.pop_mark()
                self.top(list).extend(items)
            case "SETITEM" | "SETITEMS":
                more = pairs(self.pop(2) if opcode == "SETITEM" else self.pop_mark())
                self.top(dict).update(more)
            case "DICT":
                self.stack.append(pairs(self.pop_mark()))
            case "GLOBAL":
                self.stack.append(admit(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                self.stack.append(admit(".".join(short(part) for part in self.pop(2))))
            case "BINPERSID":
                found = storage(*self.pop(1))
                if self.storages.setdefault(found.key, found) != found:
                    raise ValueError(f"its pickle describes storage {short(found.key)} in two ways")
                self.stack.append(found)
            case "REDUCE":
                self.stack.append(call(*self.pop(2)))
            case "BUILD":  # a state_dict's _metadata
                self.pop(1)
                self.top(dict)
            case _:
                if opcode == "INST":
                    admit(argument.replace(" ", ".", 1))
                raise ValueError(
                    f"its pickle uses {opcode}, which torch.save(model.state_dict(), ...) does not"
                )

    def pop(self, n: int) -> list[Any]:
        if len(self.stack) < n:
            raise ValueError("its pickle takes more values than it made")
        items = self.stack[-n:]
        del self.stack[-n:]
        return items

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("its pickle ends a group that it never began")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"its pickle needs a {kind.__name__} where it has none")
        return self.stack[-1]


def pairs(items: list[Any]) -> dict[str | int, Any]:
    """A dict of keys and values in turn; a hostile key could take forever to hash."""
    if len(items) % 2 or any(type(key) not in (str, int) for key in items[::2]):
        raise ValueError("its pickle has a dict whose keys are not all strings or integers")
    return dict(zip(items[::2], items[1::2], strict=True))


def admit(name: str) -> Global:
    """Let one of the known names through; name and refuse any other."""
    if name not in CALLED and name not in STORAGES:
        raise ValueError(
            f"it asks for {short(name)!r}: refused, only plain tensors are read and no code is run; if you trust "
            "the file, load it in PyTorch and torch.save(model.state_dict(), ...)"
        )
    return Global(name)


def storage(pid: Any) -> Storage:
    """('storage', type, key, device, numel), in older files followed by a None."""
    match pid:
        case ("storage", Global(name), str(key), _, numel, *rest):
            if name in STORAGES and are_counts((numel,)) and rest in ([], [None]):
                return Storage(STORAGES[name], key, numel)
    raise ValueError("its pickle refers to something that is not a plain storage")


def call(function: Any, args: Any) -> Any:
    match function, args:
        case Global("collections.OrderedDict"), ():
            return {}
        case Global("torch._utils._rebuild_parameter"), (Tensor() as data, _, _):
            return data
        case Global(name), (Storage() as source, offset, size, stride, *more) if name in TENSORS:
            if len(more) < 3 or more[2:] in ([{}], [None]):  # requires_grad, hooks, whether a view is negated
                return Tensor(source, offset, size, stride)
    raise ValueError("its pickle calls a tensor rebuilder with arguments that torch.save does not write")
