"""A matrix in the processor's vector registers, as a type that Numba understands.

SIMD (single instruction, multiple data) in a paragraph: a core has a few registers, 16 to 32, which hold not one number but a
vector of 8 or 16 (LANES), and one instruction multiplies and adds all of them: y = a * b + c, sixteen times.  Two such
instructions can start in each cycle.  But in a cycle only two vectors arrive from the nearest cache, and an instruction's result
is there four cycles later.  A loop that fetches two vectors for each multiplication, or that waits for each sum before the next,
therefore runs at half or an eighth of the speed.  The remedy for both is to hold a small matrix of results, a *tile*, in
registers: many sums that do not wait for one another, and each vector that is fetched is used several times.

    y = zeros(12, 2)                                         24 registers of results
    for k: y += spread(x, i, k, 12) * load(w, k, j, 1, 2)    2 vectors and 12 numbers fetched, 24 instructions

Loops written in Python cannot ask for that; this type can:

    zeros(rows, vecs)                a tile of rows x (LANES vecs) zeros
    load(x, i, j, rows, vecs)        x[i : i + rows, j : j + LANES vecs]
    spread(x, i, k, rows)            x[i : i + rows, k], each number repeated over a vector
    a + b, a - b, a * b, a / b, min(a, b), max(a, b)    by element; one row, one vector or a number stretch, as in NumPy
    correlate(t, x, w, stride)       t[m] + sum over k of x[m stride + k] w[k]: a row of a convolution
    store(x, i, j, t)                x[i : i + rows, j : j + LANES vecs] = t

At borders, and around them:

    load(..., n), store(..., n)      only the first n columns: a *mask* turns lanes off, and what lies there is not touched
    glimpse(x, i, j, rows, first, last)  load of one vector a row, zeros but for the rows first : last
    put(x, i, j, t, last)            store of one vector a row, only the rows below last
    fetch(x, i, j)                   x[i, j] will soon be wanted: bring it nearer meanwhile.  It may lie outside of x
    matrix(a, at, height, width, step)   rows of `width` from a[at], a[at + step], ... as a matrix, without a copy; step: width

The shape of a tile is part of its type.  So the loops of this file run once, while a kernel is compiled, and leave straight
machine code behind: `rows`, `vecs` and `stride` must be written as numbers.  Nothing checks bounds.
LANES is 16 where the processor has AVX-512, else 8, and LLVM makes two instructions of one where vectors have 4 (NEON).
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable
from numba.np import arrayobj

# floats in a vector: 16 with AVX-512; else 8, which is what AVX2 has, and what LLVM splits into two for NEON
LANES = 16 if "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2] else 8
FLOAT, INT = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
# how a function that only compiled code calls is compiled: without the code that would let Python call it
PART = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINE = {**PART, "forceinline": True}  # and copied to where it is called
FUSE = ("contract", "nsz")  # a * b + c may become one instruction, 0 + a is a; nothing else is rearranged


class Tile(types.Type):
    """rows x (8 vecs) floats in rows * vecs registers."""

    def __init__(self, rows: int, vecs: int) -> None:
        self.rows, self.vecs = rows, vecs
        super().__init__(f"Tile({rows}, {vecs})")


@register_model(Tile)
class TileModel(models.PrimitiveModel):
    """To LLVM a tile is an array of vectors; its optimiser puts each into a register."""

    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(VECTOR, tile.rows * tile.vecs))


def unpack(context: Any, builder: Any, kind: Any, value: Any) -> list[list[Any]]:
    """A tile as rows of LLVM vectors; a number is a 1 x 1 tile."""
    if not isinstance(kind, Tile):
        return [[splat(builder, context.cast(builder, value, kind, types.float32))]]
    flat = [builder.extract_value(value, i) for i in range(kind.rows * kind.vecs)]
    return [flat[i : i + kind.vecs] for i in range(0, len(flat), kind.vecs)]


def pack(builder: Any, rows: list[list[Any]]) -> Any:
    """The inverse of unpack."""
    vectors = [vector for row in rows for vector in row]
    tile = ir.Constant(ir.ArrayType(VECTOR, len(vectors)), ir.Undefined)
    for i, vector in enumerate(vectors):
        tile = builder.insert_value(tile, vector, i)
    return tile


def splat(builder: Any, number: Any) -> Any:
    """A vector of equal numbers."""
    empty = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(empty, number, INT(0)), empty, first)


def by_element(emit: Callable[[Any, Any, Any], Any], *functions: Any) -> None:
    """Let Python's own operators work on tiles; emit(builder, a, b) treats one vector."""

    def typing(context: Any) -> Any:
        def result(a: Any, b: Any) -> Tile | None:
            tiles = [t for t in (a, b) if isinstance(t, Tile)]
            return Tile(max(t.rows for t in tiles), max(t.vecs for t in tiles)) if tiles else None

        return result

    def lowering(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (unpack(context, builder, *pair) for pair in zip(signature.args, args, strict=True))
        out = signature.return_type

        def at(t: Any, m: int, v: int) -> Any:
            return t[m % len(t)][v % len(t[0])]  # what has one row, or one vector, stretches

        return pack(
            builder,
            [[emit(builder, at(a, m, v), at(b, m, v)) for v in range(out.vecs)] for m in range(out.rows)],
        )

    for function in functions:
        type_callable(function)(typing)
        for pair in ((Tile, Tile), (Tile, types.Number), (types.Number, Tile)):
            lower_builtin(function, *pair)(lowering)


by_element(lambda llvm, a, b: llvm.fadd(a, b, flags=FUSE), operator.add, operator.iadd)
by_element(lambda llvm, a, b: llvm.fsub(a, b, flags=FUSE), operator.sub, operator.isub)
by_element(lambda llvm, a, b: llvm.fmul(a, b, flags=FUSE), operator.mul, operator.imul)
by_element(lambda llvm, a, b: llvm.fdiv(a, b), operator.truediv, operator.itruediv)
# "unordered": where b is not a number the comparison holds, and a NaN in a (the data) stays NaN
by_element(lambda llvm, a, b: llvm.select(llvm.fcmp_unordered("<", a, b), a, b), min)
by_element(lambda llvm, a, b: llvm.select(llvm.fcmp_unordered(">", a, b), a, b), max)


@intrinsic(prefer_literal=True)
def correlate(typing: Any, total: Any, x: Any, w: Any, stride: Any) -> Any:
    """total[m] + sum over k of x[m stride + k] w[k]: neighbouring windows share the pixels that they both see."""
    step = stride.literal_value

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = list(zip(signature.args, args, strict=True))[:3]
        out, pixels, taps = (unpack(context, builder, *pair) for pair in kinds)
        for q, pixel in enumerate(pixels):
            for m, row in enumerate(out):
                k = q - m * step
                for v in range(len(row) if 0 <= k < len(taps) else 0):
                    product = builder.fmul(pixel[v], taps[k][v], flags=FUSE)
                    row[v] = builder.fadd(row[v], product, flags=FUSE)
        return pack(builder, out)

    return total(total, x, w, types.literal(step)), emit


def places(
    context: Any, builder: Any, kind: Any, array: Any, i: Any, j: Any, rows: int, vecs: int, n: Any = None
) -> Iterator[list[tuple[Any, Any]]]:
    """Row by row the (address, mask) of each vector at array[i, j]; the mask is of columns below n, None for all.

    Any strides will do: a transposed matrix is read as it is.
    """
    array = context.make_array(kind)(context, builder, array)
    down, along = cgutils.unpack_tuple(builder, array.strides)
    down, along = (INT(4) if kind.layout == "F" else down), (INT(4) if kind.layout == "C" else along)
    start = cgutils.pointer_add(builder, array.data, builder.add(builder.mul(i, down), builder.mul(j, along)))
    masks: list[Any] = [None] * vecs
    if n is not None:
        for v in range(vecs):
            columns = ir.Constant(ir.VectorType(INT, LANES), [v * LANES + lane for lane in range(LANES)])
            masks[v] = builder.icmp_signed("<", columns, splat(builder, n))
    for m in range(rows):
        row = cgutils.pointer_add(builder, start, builder.mul(down, INT(m)))
        yield [
            (cgutils.pointer_add(builder, row, 4 * LANES * v, VECTOR.as_pointer()), masks[v])
            for v in range(vecs)
        ]


def masked(builder: Any, name: str, result: Any, *args: Any) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.{name}.v{LANES}f32.p0")
    return builder.call(function, args)


@intrinsic(prefer_literal=True)
def load(typing: Any, x: Any, i: Any, j: Any, rows: Any, vecs: Any, n: Any = None) -> Any:
    tile = Tile(rows.literal_value, vecs.literal_value)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def get(pointer: Any, mask: Any) -> Any:
            if mask is None:
                return builder.load(pointer, align=4, typ=VECTOR)
            return masked(builder, "load", VECTOR, pointer, ir.IntType(32)(4), mask, VECTOR(None))

        found = places(context, builder, x, *args[:3], tile.rows, tile.vecs, args[5] if n else None)
        return pack(builder, [[get(*place) for place in row] for row in found])

    count = types.intp if n else types.Omitted(None)
    return tile(x, types.intp, types.intp, rows, vecs, count), emit


@intrinsic
def store(typing: Any, x: Any, i: Any, j: Any, tile: Any, n: Any = None) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = unpack(context, builder, tile, args[3])
        found = places(context, builder, x, *args[:3], tile.rows, tile.vecs, args[4] if n else None)
        for row, slots in zip(values, found, strict=True):
            for value, (pointer, mask) in zip(row, slots, strict=True):
                if mask is None:
                    builder.store(value, pointer, align=4)
                else:
                    masked(builder, "store", ir.VoidType(), value, pointer, ir.IntType(32)(4), mask)
        return context.get_dummy_value()

    count = types.intp if n else types.Omitted(None)
    return types.none(x, types.intp, types.intp, tile, count), emit


@intrinsic(prefer_literal=True)
def zeros(typing: Any, rows: Any, vecs: Any) -> Any:
    tile = Tile(rows.literal_value, vecs.literal_value)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return pack(builder, [[VECTOR(None)] * tile.vecs] * tile.rows)

    return tile(rows, vecs), emit


@intrinsic(prefer_literal=True)
def spread(typing: Any, x: Any, i: Any, k: Any, rows: Any) -> Any:
    tile = Tile(rows.literal_value, 1)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = places(context, builder, x, *args[:3], tile.rows, 1)
        return pack(
            builder, [[splat(builder, builder.load(place, align=4, typ=FLOAT))] for [(place, _)] in found]
        )

    return tile(x, types.intp, types.intp, rows), emit


@intrinsic
def matrix(typing: Any, array: Any, at: Any, height: Any, width: Any, step: Any = None) -> Any:
    kind = types.Array(array.dtype, 2, "C")

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole, start, rows, columns = args[:4]
        down = args[4] if step else columns
        source = context.make_array(array)(context, builder, whole)
        out, size = context.make_array(kind)(context, builder), source.itemsize
        arrayobj.populate_array(
            out,
            data=cgutils.gep(builder, source.data, start),
            shape=cgutils.pack_array(builder, [rows, columns]),
            strides=cgutils.pack_array(builder, [builder.mul(down, size), size]),
            itemsize=size,
            meminfo=None,  # the caller holds on to the array itself
            parent=None,
        )
        return out._getvalue()

    count = types.intp if step else types.Omitted(None)
    return kind(array, types.intp, types.intp, types.intp, count), emit


@intrinsic(prefer_literal=True)
def glimpse(typing: Any, x: Any, i: Any, j: Any, rows: Any, first: Any, last: Any) -> Any:
    tile = Tile(rows.literal_value, 1)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = places(context, builder, x, *args[:3], tile.rows, 1)
        kept = inside(builder, *args[4:], tile.rows)
        values = [
            [masked(builder, "load", VECTOR, place, ir.IntType(32)(4), mask, VECTOR(None))]
            for [(place, _)], mask in zip(found, kept, strict=True)
        ]
        return pack(builder, values)

    return tile(x, types.intp, types.intp, rows, types.intp, types.intp), emit


@intrinsic
def put(typing: Any, x: Any, i: Any, j: Any, tile: Any, last: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = unpack(context, builder, tile, args[3])
        found = places(context, builder, x, *args[:3], tile.rows, 1)
        for [value], [(place, _)], mask in zip(
            values, found, inside(builder, INT(0), args[4], tile.rows), strict=True
        ):
            masked(builder, "store", ir.VoidType(), value, place, ir.IntType(32)(4), mask)
        return context.get_dummy_value()

    return types.none(x, types.intp, types.intp, tile, types.intp), emit


def inside(builder: Any, first: Any, last: Any, rows: int) -> list[Any]:
    """For each row a mask: all of it where first <= row < last, else nothing."""
    return [
        splat(
            builder,
            builder.and_(builder.icmp_signed("<=", first, INT(m)), builder.icmp_signed("<", INT(m), last)),
        )
        for m in range(rows)
    ]


@intrinsic
def fetch(typing: Any, x: Any, i: Any, j: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ((place, _),) = next(places(context, builder, x, *args, 1, 1))
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, whole, whole, whole])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, whole(0), whole(2), whole(1)])
        return context.get_dummy_value()

    return types.none(x, types.intp, types.intp), emit
