"""Compile powers, places in tables and truth values otherwise than Numba by itself.

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

from neurosim.engines.mathematics import ONE, power


@register_pass(mutates_CFG=False, analysis_only=False)
class _PowersOfFloats(FunctionPass):
    """Make the base of every ``**`` a float, and call `power` where the exponent may be negative.

    A constant exponent that is not stays: of it the compiler makes products.
    """

    _name = "powers_of_floats"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        found = [
            (block, statement)
            for block in state.func_ir.blocks.values()
            for statement in block.find_insts(ir.Assign)
            if isinstance(statement.value, ir.Expr)
            and statement.value.op == "binop"
            and statement.value.fn is operator.pow
        ]
        for block, statement in found:
            base, exponent, place = statement.value.lhs, statement.value.rhs, statement.loc
            constant = guard(find_const, state.func_ir, exponent)
            if type(constant) is float or (type(constant) is int and constant >= 0):
                one = _before(block, statement, ir.Const(ONE, place))
                product = ir.Expr.binop(operator.mul, base, one, place)
                statement.value.lhs = _before(block, statement, product)
            else:
                called = _before(block, statement, ir.Global("power", power, place))
                statement.value = ir.Expr.call(called, [base, exponent], (), place)
        return bool(found)


def _before(block: Any, statement: Any, value: Any) -> Any:
    """Assign a value to a new variable before a statement, and give the variable."""
    variable = ir.Var(block.scope, mk_unique_var("power"), statement.loc)
    block.body.insert(block.body.index(statement), ir.Assign(value, variable, statement.loc))
    return variable


class FloatPowers(CompilerBase):
    """Numba's compiler, with powers of floats."""

    def define_pipelines(self) -> list[Any]:
        made = DefaultPassBuilder.define_nopython_pipeline(self.state)
        made.add_pass_after(_PowersOfFloats, IRProcessing)
        made.finalize()
        return [made]


@overload(operator.getitem)
def _number_at(table, place):
    """Look up a number in a table by a whole number, which is a float."""
    if isinstance(table, types.UniTuple) and isinstance(place, types.Float | types.Boolean):
        return lambda table, place: table[int(place)]
    return None


@overload(float)
def _float_of(value):
    """Make a float of a truth value, 0 or 1."""
    return (lambda value: value * ONE) if isinstance(value, types.Boolean) else None
