"""Vectors of float32 as a Numba type, so that loops say which numbers sit in registers.

A compiler left to itself keeps neither a tile of sums in registers nor a row of signals.
With vectors written out it has no choice, and a rule's scalar function compiles for a
vector of synapses as it does for one: addition, subtraction, multiplication, division,
negation, ``abs``, ``min``, ``max`` and square roots are defined for vectors, mixed with
scalars at will.
"""

from __future__ import annotations

import math
import operator
import os
from itertools import product
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

FEATURES = get_host_cpu_features()


def _width() -> int:
    """Float32 numbers in this machine's widest vector register."""
    chosen = os.environ.get("NEUROSIM_VECTOR_WIDTH")
    if chosen in ("4", "8", "16"):
        return int(chosen)
    return 16 if FEATURES.get("avx512f") else 8 if FEATURES.get("avx") else 4


WIDTH = _width()
# Names of registers; more sums than names are written to memory and read back all the time.
REGISTERS = 16 if FEATURES.get("sse2") and not FEATURES.get("avx512f") else 32

FLOAT, INT, SIZE = ir.FloatType(), ir.IntType(32), ir.IntType(64)
IR = ir.VectorType(FLOAT, WIDTH)
FLAGS = ("reassoc", "nsz", "arcp", "contract", "afn")


class Vector(types.Type):
    """Type of `WIDTH` float32 numbers in a register."""

    def __init__(self) -> None:
        super().__init__(name=f"Vector({WIDTH})")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, IR)


def _mask(lanes: Any) -> Any:
    return ir.Constant(ir.VectorType(INT, len(lanes)), list(lanes))


def splat(builder: Any, number: Any) -> Any:
    """A vector with one number everywhere."""
    nothing = ir.Constant(IR, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(INT, 0))
    return builder.shuffle_vector(first, nothing, _mask([0] * WIDTH))


def _as_vector(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    if isinstance(kind, Vector):
        return value
    return splat(builder, context.cast(builder, value, kind, types.float32))


def address(context: Any, builder: Any, sig: Any, args: Any, kind: Any) -> Any:
    """Where element ``args[1]`` of ``args[0]``, a pointer, lies."""
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(args[0], [index]), kind.as_pointer())


def _ours(*kinds: Any) -> bool:
    """Whether an operation is one of vectors, or of vectors and scalars."""
    scalar = (types.Integer, types.Float)
    some = any(isinstance(kind, Vector) for kind in kinds)
    return some and all(isinstance(kind, (Vector, *scalar)) for kind in kinds)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Read a vector that starts at an index."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(address(context, builder, sig, args, IR), align=4)

    return vector(array, index), emit


@intrinsic
def store(typing: Any, array: Any, index: Any, values: Any) -> Any:
    """Write a vector that starts at an index."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], address(context, builder, sig, args, IR), align=4)
        return context.get_dummy_value()

    return types.void(array, index, values), emit


@intrinsic
def get(typing: Any, array: Any, index: Any) -> Any:
    """Read one number, without asking whether its index is negative."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(address(context, builder, sig, args, FLOAT))

    return types.float32(array, index), emit


def fused(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Vector ``x * y + z``, rounded once where the machine can; none of it is reordered."""
    kind = ir.FunctionType(IR, [IR] * 3)
    name = f"llvm.fmuladd.v{WIDTH}f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [x, y, z])


def prefetch(builder: Any, place: Any) -> None:
    """Have a cache line fetched that will be needed soon."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    reading, into_second_cache, data = number(0), number(2), number(1)
    builder.call(function, [builder.bitcast(place, byte), reading, into_second_cache, data])


@intrinsic
def add_product(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """Vector x times a number y, plus vector z."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return fused(builder, args[0], splat(builder, args[1]), args[2])

    return vector(x, types.float32, z), emit


@intrinsic
def but(typing: Any, lane: Any) -> Any:
    """Vector of ones, but for a zero in one lane (none, if there is no such lane)."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        which = builder.trunc(context.cast(builder, args[0], sig.args[0], types.int64), INT)
        kind = ir.VectorType(INT, WIDTH)
        nothing = ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(nothing, which, ir.Constant(INT, 0))
        everywhere = builder.shuffle_vector(first, nothing, _mask([0] * WIDTH))
        there = builder.icmp_signed("==", everywhere, _mask(range(WIDTH)))
        zeros, ones = ir.Constant(IR, [0.0] * WIDTH), ir.Constant(IR, [1.0] * WIDTH)
        return builder.select(there, zeros, ones)

    return vector(lane), emit


def exchanged(builder: Any, one: Any, other: Any, span: int) -> tuple[Any, Any]:
    """Two vectors that have traded every other run of `span` lanes."""
    low = [i + WIDTH - span if i & span else i for i in range(WIDTH)]
    high = [i + WIDTH if i & span else i + span for i in range(WIDTH)]
    return tuple(builder.shuffle_vector(one, other, _mask(lanes)) for lanes in (low, high))


@intrinsic
def transpose(typing: Any, rows: Any) -> Any:
    """Exchange rows and lanes of a tuple of `WIDTH` vectors."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        block = cgutils.unpack_tuple(builder, args[0])
        span = 1
        while span < WIDTH:
            for i in range(WIDTH):
                if not i & span:
                    pair = exchanged(builder, block[i], block[i + span], span)
                    block[i], block[i + span] = pair
            span *= 2
        return context.make_tuple(builder, sig.return_type, block)

    return rows(rows), emit


@intrinsic
def extract(typing: Any, values: Any, lane: Any) -> Any:
    """One number of a vector."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not isinstance(sig.args[0], Vector):
            return context.cast(builder, args[0], sig.args[0], types.float32)
        return builder.extract_element(args[0], builder.trunc(args[1], INT))

    return types.float32(values, types.int64), emit


@intrinsic
def insert(typing: Any, values: Any, lane: Any, number: Any) -> Any:
    """A vector with one number replaced."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        single = context.cast(builder, args[2], sig.args[2], types.float32)
        return builder.insert_element(args[0], single, builder.trunc(args[1], INT))

    return vector(values, types.int64, number), emit


@intrinsic
def widely(typing: Any) -> Any:
    """Let the loops of the calling function use vectors as wide as the machine has them.

    LLVM uses half of them on machines whose clock once fell when they were used.
    """

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        set.add(builder.function.attributes, f'"prefer-vector-width"="{32 * WIDTH}"')
        return context.get_dummy_value()

    return types.void(), emit


def _compute(context: Any, builder: Any, name: str, args: Any) -> Any:
    if name in ("<", ">"):  # of two numbers the second if it is so; a NaN stays where it is
        left, right = args
        return builder.select(builder.fcmp_ordered(name, right, left), right, left)
    if hasattr(builder, name):
        return getattr(builder, name)(*args, flags=FLAGS)
    kind = ir.FunctionType(IR, [IR] * len(args))
    full = f"llvm.{name}.v{WIDTH}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, full), args)


def _define(function: Any, name: str, arity: int) -> None:
    class Typing(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            fits = len(args) == arity and not kws and _ours(*args)
            return signature(vector, *args) if fits else None

    infer_global(function)(Typing)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(args, sig.args, strict=True)
        values = [_as_vector(context, builder, *pair) for pair in pairs]
        return _compute(context, builder, name, values)

    for kinds in product((Vector, types.Number), repeat=arity):
        if Vector in kinds:
            lower_builtin(function, *kinds)(emit)


OPERATIONS: dict[Any, tuple[str, int]] = {
    operator.add: ("fadd", 2),
    operator.sub: ("fsub", 2),
    operator.mul: ("fmul", 2),
    operator.truediv: ("fdiv", 2),
    operator.iadd: ("fadd", 2),
    operator.isub: ("fsub", 2),
    operator.imul: ("fmul", 2),
    operator.itruediv: ("fdiv", 2),
    min: ("<", 2),
    max: (">", 2),
    operator.neg: ("fneg", 1),
    abs: ("fabs", 1),
    math.sqrt: ("sqrt", 1),
}
for _function, (_name, _arity) in OPERATIONS.items():
    _define(_function, _name, _arity)
