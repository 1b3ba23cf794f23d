"""Compile powers, places in tables and truth values otherwise than Numba by itself.

A power of whole numbers is whole to Numba, so that ``2 ** -1`` is 0; ``0.0 ** -1`` raises an
exception; and an exponent that is a truth value calls a function that no library here has. So
``**`` is replaced by ``@`` in bytecode, an operator that numbers lack, and ``@`` of two numbers is
defined below as a power of floats. Compilers for CPUs and for GPUs both use that definition.
"""

from __future__ import annotations

import dis
import operator
from types import CodeType, FunctionType

from numba import types
from numba.extending import overload

from neurosim.engines.mathematics import ONE, power

_STEPS = dis.get_instructions(compile("a @ b", "", "eval"))
AT = next(step.arg or 0 for step in _STEPS if step.opname == "BINARY_OP")


def with_float_powers(function: FunctionType) -> FunctionType:
    """Replace every ``**`` of a function by ``@``, in place, and give the function."""
    function.__code__ = _with_at(function.__code__)
    return function


def _with_at(code: CodeType) -> CodeType:
    """Copy code, and that of functions inside it, with ``@`` in place of ``**``."""
    made = bytearray(code.co_code)
    for step in dis.get_instructions(code):
        if step.opname == "BINARY_OP" and step.argrepr in ("**", "**="):
            made[step.offset + 1] = AT
    constants = (_with_at(it) if isinstance(it, CodeType) else it for it in code.co_consts)
    return code.replace(co_code=bytes(made), co_consts=tuple(constants))


@overload(operator.matmul, prefer_literal=True)
def _power(base, exponent):
    """Define ``@`` as a power of floats; with a constant whole exponent, as products."""
    if not all(isinstance(kind, types.Number | types.Boolean) for kind in (base, exponent)):
        return None
    if isinstance(exponent, types.IntegerLiteral) and exponent.literal_value >= 0:
        constant = exponent.literal_value
        return lambda base, exponent: (base * ONE) ** constant
    return lambda base, exponent: power(base, exponent)


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
