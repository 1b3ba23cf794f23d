"""Operations on many vectors at once, as single steps of a compiled function.

Each stands for as many lines as there are vectors. Numba takes its time over every line,
and a loop over them would not be unrolled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from neurosim.engines.vectors import (
    FLAGS,
    IR,
    SIZE,
    WIDTH,
    Vector,
    address,
    exchanged,
    fused,
    prefetch,
    splat,
    vector,
)


def _literals(*kinds: Any) -> list[int]:
    return [kind.literal_value for kind in kinds]


def _further(builder: Any, context: Any, value: Any, kind: Any, times: int) -> Any:
    """An integer, so many times."""
    stride = context.cast(builder, value, kind, types.intp)
    return builder.mul(stride, SIZE(times))


@intrinsic(prefer_literal=True)
def load_tile(typing: Any, numbers: Any, first: Any, n: Any, panels: Any, lanes: Any) -> Any:
    """Read vectors: neighbouring ones for the panels, `n` numbers further for each lane."""
    p, k = _literals(panels, lanes)
    tile = types.UniTuple(vector, p * k)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = address(context, builder, sig, args, IR.element)
        values = []
        for m in range(k):
            lane = builder.gep(start, [_further(builder, context, args[2], sig.args[2], m)])
            for i in range(p):
                place = builder.gep(lane, [SIZE(i * WIDTH)])
                values.append(builder.load(builder.bitcast(place, IR.as_pointer()), align=4))
        return context.make_tuple(builder, tile, values)

    return tile(numbers, first, n, panels, lanes), emit


@intrinsic(prefer_literal=True)
def store_tile(
    typing: Any, tile: Any, numbers: Any, first: Any, n: Any, panels: Any, lanes: Any
) -> Any:
    """Write what `load_tile` read."""
    p, k = _literals(panels, lanes)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = builder.gep(args[1], [context.cast(builder, args[2], sig.args[2], types.intp)])
        values = iter(cgutils.unpack_tuple(builder, args[0]))
        for m in range(k):
            lane = builder.gep(start, [_further(builder, context, args[3], sig.args[3], m)])
            for i in range(p):
                place = builder.gep(lane, [SIZE(i * WIDTH)])
                builder.store(next(values), builder.bitcast(place, IR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(tile, numbers, first, n, panels, lanes), emit


@intrinsic(prefer_literal=True)
def add_products(
    typing: Any, tile: Any, weights: Any, at: Any, panel: Any, sent: Any, first: Any,
    ahead: Any, panels: Any, lanes: Any,
) -> Any:  # fmt: skip
    """Add one column's products to a tile: the panels' weights times what is sent, by lane.

    Weights that lie `ahead` columns further are fetched from memory meanwhile.
    """
    p, k = _literals(panels, lanes)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        totals = cgutils.unpack_tuple(builder, args[0])
        start = builder.gep(args[1], [context.cast(builder, args[2], sig.args[2], types.intp)])
        columns = []
        for i in range(p):
            place = builder.gep(start, [_further(builder, context, args[3], sig.args[3], i)])
            columns.append(builder.load(builder.bitcast(place, IR.as_pointer()), align=4))
            prefetch(builder, builder.gep(place, [builder.mul(args[6], SIZE(WIDTH))]))
        lane = builder.gep(args[4], [context.cast(builder, args[5], sig.args[5], types.intp)])
        for m in range(k):
            payload = builder.load(builder.gep(lane, [SIZE(m)]))
            everywhere = splat(builder, payload)
            for i in range(p):
                totals[m * p + i] = fused(builder, columns[i], everywhere, totals[m * p + i])
        return context.make_tuple(builder, sig.return_type, totals)

    return tile(tile, weights, at, panel, sent, first, ahead, panels, lanes), emit


@intrinsic
def load_rows(typing: Any, numbers: Any, first: Any, n: Any, count: Any) -> Any:
    """Read `WIDTH` vectors, `n` numbers apart; of these the last is number `count` again."""
    rows = types.UniTuple(vector, WIDTH)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = address(context, builder, sig, args, IR.element)
        stride = context.cast(builder, args[2], sig.args[2], types.intp)
        last = builder.sub(context.cast(builder, args[3], sig.args[3], types.intp), SIZE(1))
        values = []
        for k in range(WIDTH):
            there = builder.icmp_signed("<", SIZE(k), last)
            place = builder.gep(start, [builder.mul(builder.select(there, SIZE(k), last), stride)])
            values.append(builder.load(builder.bitcast(place, IR.as_pointer()), align=4))
        return context.make_tuple(builder, rows, values)

    return rows(numbers, first, n, count), emit


@intrinsic
def store_rows(typing: Any, rows: Any, numbers: Any, first: Any, n: Any, count: Any) -> Any:
    """Write the first `count` numbers of `WIDTH` vectors, `n` numbers apart."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        number = ir.IntType(32)
        several, bits = ir.VectorType(number, WIDTH), ir.VectorType(ir.IntType(1), WIDTH)
        start = builder.gep(args[1], [context.cast(builder, args[2], sig.args[2], types.intp)])
        limit = builder.trunc(context.cast(builder, args[4], sig.args[4], types.intp), number)
        nothing = ir.Constant(several, ir.Undefined)
        limits = builder.shuffle_vector(
            builder.insert_element(nothing, limit, number(0)),
            nothing,
            ir.Constant(several, [0] * WIDTH),
        )
        mask = builder.icmp_signed("<", ir.Constant(several, list(range(WIDTH))), limits)
        kind = ir.FunctionType(ir.VoidType(), [IR, IR.as_pointer(), number, bits])
        name = f"llvm.masked.store.v{WIDTH}f32.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        for k, row in enumerate(cgutils.unpack_tuple(builder, args[0])):
            place = builder.gep(start, [_further(builder, context, args[3], sig.args[3], k)])
            pointer = builder.bitcast(place, IR.as_pointer())
            builder.call(function, [row, pointer, number(4), mask])
        return context.get_dummy_value()

    return types.void(rows, numbers, first, n, count), emit


@intrinsic
def zero_rows(typing: Any) -> Any:
    """`WIDTH` vectors of zeros."""
    rows = types.UniTuple(vector, WIDTH)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_tuple(builder, rows, [ir.Constant(IR, [0.0] * WIDTH)] * WIDTH)

    return rows(), emit


@intrinsic
def add_columns(typing: Any, rows: Any, numbers: Any, first: Any, factors: Any) -> Any:
    """Add `WIDTH` neighbouring vectors to as many, all times one vector."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = builder.gep(args[1], [context.cast(builder, args[2], sig.args[2], types.intp)])
        totals = []
        for k, row in enumerate(cgutils.unpack_tuple(builder, args[0])):
            place = builder.gep(start, [SIZE(k * WIDTH)])
            value = builder.load(builder.bitcast(place, IR.as_pointer()), align=4)
            totals.append(fused(builder, value, args[3], row))
        return context.make_tuple(builder, rows, totals)

    return rows(rows, numbers, first, factors), emit


@intrinsic
def sum_lanes(typing: Any, rows: Any) -> Any:
    """Vector of the sums of each of `WIDTH` vectors, lane by lane in pairs."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        block, span = cgutils.unpack_tuple(builder, args[0]), 1
        while len(block) > 1:
            half = []
            for one, other in zip(block[0::2], block[1::2], strict=True):
                low, high = exchanged(builder, one, other, span)
                half.append(builder.fadd(low, high))
            block, span = half, span * 2
        return block[0]

    return vector(rows), emit


@intrinsic
def add_rows(typing: Any, total: Any, rows: Any, numbers: Any, first: Any) -> Any:
    """Add rows of a block, each times a number of its own."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        totals = [args[0], ir.Constant(IR, [0.0] * WIDTH)]  # two, as in sum_over_replicas
        start = builder.gep(args[2], [context.cast(builder, args[3], sig.args[3], types.intp)])
        for i, row in enumerate(cgutils.unpack_tuple(builder, args[1])):
            number = builder.load(builder.gep(start, [SIZE(i)]))
            totals[i % 2] = fused(builder, splat(builder, number), row, totals[i % 2])
        return builder.fadd(*totals)

    return vector(total, rows, numbers, first), emit


@intrinsic(prefer_literal=True)
def get_all(typing: Any, numbers: Any, first: Any, count: Any) -> Any:
    """Read so many numbers."""
    (n,) = _literals(count)
    found = types.UniTuple(types.float32, n)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = address(context, builder, sig, args, IR.element)
        values = [builder.load(builder.gep(start, [SIZE(k)])) for k in range(n)]
        return context.make_tuple(builder, found, values)

    return found(numbers, first, count), emit


@intrinsic
def one_by_one(typing: Any, function: Any, given: Any) -> Any:
    """Call a scalar function for each lane of those of its arguments that are vectors.

    In a loop over places on the stack, which LLVM turns back into vectors if it can.
    """
    several = [isinstance(kind, Vector) for kind in given]
    each = tuple(types.float32 if many else kind for kind, many in zip(given, several, strict=True))
    one = function.get_call_type(typing, each, {})

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        call = context.get_function(function, one)
        context.add_linking_libs(getattr(call, "libs", ()))
        values = cgutils.unpack_tuple(builder, args[1])
        places = [cgutils.alloca_once_value(builder, value) for value in values]
        result = cgutils.alloca_once(builder, IR)

        def lane(place: Any, index: Any) -> Any:
            return builder.gep(builder.bitcast(place, IR.element.as_pointer()), [index])

        with cgutils.for_range(builder, SIZE(WIDTH), intp=SIZE) as loop:
            own = [
                builder.load(lane(place, loop.index)) if many else value
                for place, value, many in zip(places, values, several, strict=True)
            ]
            number = call(builder, own)
            number = context.cast(builder, number, one.return_type, types.float32)
            builder.store(number, lane(result, loop.index))
            body = builder.block
        _keep_loop(builder.module, body.terminator)
        return builder.load(result)

    return vector(function, given), emit


def _keep_loop(module: Any, branch: Any) -> None:
    """Have LLVM vectorise a loop if it can; what it has unrolled it does not vectorise any more."""
    hints = [
        module.add_metadata(["llvm.loop.unroll.disable"]),
        module.add_metadata(["llvm.loop.vectorize.width", ir.IntType(32)(WIDTH)]),
    ]
    own = module.add_metadata([module.add_metadata([f"loop {id(branch)}"])])
    own.operands = (own, *hints)  # that it begins with itself makes it the name of one loop
    branch.set_metadata("llvm.loop", own)


@intrinsic
def signs(typing: Any, words: Any, first: Any, bit: Any, size: Any) -> Any:
    """Vector of +size or -size, from one bit of each word, as `neurosim.noise.sign` has it."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        integer = ir.IntType(32)
        block = ir.VectorType(integer, WIDTH)
        start = builder.gep(args[0], [context.cast(builder, args[1], sig.args[1], types.intp)])
        word = builder.load(builder.bitcast(start, block.as_pointer()), align=4)
        shift = builder.trunc(context.cast(builder, args[2], sig.args[2], types.int64), integer)
        mask = builder.shl(ir.Constant(integer, 1), shift)
        several = builder.insert_element(ir.Constant(block, ir.Undefined), mask, integer(0))
        zeros = ir.Constant(block, [0] * WIDTH)
        several = builder.shuffle_vector(several, ir.Constant(block, ir.Undefined), zeros)
        drawn = builder.icmp_unsigned("!=", builder.and_(word, several), zeros)
        plus = splat(builder, args[3])
        return builder.select(drawn, builder.fneg(plus), plus)

    return vector(words, first, bit, types.float32), emit


@intrinsic
def sum_over_replicas(typing: Any, function: Any, given: Any) -> Any:
    """Call a function once for every replica, and sum.

    Of its arguments, those that are tuples have a value for each replica.
    """
    several = [isinstance(kind, types.UniTuple) for kind in given]
    replicas = max(kind.count for kind in given if isinstance(kind, types.UniTuple))
    each = [kind.dtype if many else kind for kind, many in zip(given, several, strict=True)]
    one = function.get_call_type(typing, tuple(each), {})
    kind = vector if isinstance(one.return_type, Vector) else types.float32

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        call = context.get_function(function, one)
        context.add_linking_libs(getattr(call, "libs", ()))
        values = cgutils.unpack_tuple(builder, args[1])
        terms = []
        for k in range(replicas):
            own = [
                cgutils.unpack_tuple(builder, value)[k] if many else value
                for value, many in zip(values, several, strict=True)
            ]
            term = call(builder, own)
            if kind != vector:
                term = context.cast(builder, term, one.return_type, types.float32)
            terms.append(term)
        # Two sums, for one would be a chain of additions, each waiting for the one before.
        for k in range(2, replicas):
            terms[k % 2] = builder.fadd(terms[k % 2], terms[k], flags=FLAGS)
        return builder.fadd(*terms[:2], flags=FLAGS) if replicas > 1 else terms[0]

    return kind(function, given), emit
