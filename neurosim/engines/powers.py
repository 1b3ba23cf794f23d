"""What compiled scalar functions do otherwise than Numba by itself: powers, and places in tables.

A power of whole numbers is whole to Numba, so that ``2 ** -1`` is 0; ``0.0 ** -1`` raises an
exception; and an exponent that is a truth value calls a function that no library here has.
"""

from __future__ import annotations

import operator
from typing import Any

from numba import types
from numba.core import ir
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import find_const, guard, mk_unique_var
from numba.core.untyped_passes import IRProcessing
from numba.extending import overload

from neurosim.engines.mathematics import power


@register_pass(mutates_CFG=False, analysis_only=False)
class _CallsOfPower(FunctionPass):
    """Call `power` for every ``**``, but for exponents that are constant."""

    _name = "calls_of_power"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        found = [
            (block, statement)
            for block in state.func_ir.blocks.values()
            for statement in block.find_insts(ir.Assign)
            if _is_power(statement.value)
            and not _is_plain(guard(find_const, state.func_ir, statement.value.rhs))
        ]
        for block, statement in found:
            raised, place = statement.value, statement.loc
            called = ir.Var(block.scope, mk_unique_var("power"), place)
            at = block.body.index(statement)
            block.body.insert(at, ir.Assign(ir.Global("power", power, place), called, place))
            statement.value = ir.Expr.call(called, [raised.lhs, raised.rhs], (), place)
        return bool(found)


def _is_power(value: Any) -> bool:
    return isinstance(value, ir.Expr) and value.op == "binop" and value.fn is operator.pow


def _is_plain(exponent: Any) -> bool:
    """Whether a compiler makes products of it: of a negative one a division, which may raise."""
    return type(exponent) is float or (type(exponent) is int and exponent >= 0)


class FloatPowers(CompilerBase):
    """Numba's compiler, with powers of floats."""

    def define_pipelines(self) -> list[Any]:
        made = DefaultPassBuilder.define_nopython_pipeline(self.state)
        made.add_pass_after(_CallsOfPower, IRProcessing)
        made.finalize()
        return [made]


@overload(operator.getitem)
def _number_at(table, place):
    """Look up a number in a table by a whole number, which is a float."""
    if isinstance(table, types.UniTuple) and isinstance(place, types.Float | types.Boolean):
        return lambda table, place: table[int(place)]
    return None
