"""The part of Python in which scalar functions are written, which every engine can run.

An interpreter meets a missing return or an `assert` when it gets there; a compiled loop has no way
to stop and would go on with the numbers of the step before. So both are found by reading a
function's bytecode, before anything runs.
"""

from __future__ import annotations

import builtins
import dis
import itertools
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

from neurosim.errors import InputError
from neurosim.local.functions import codes, inside, names, outside, title, uncompiled
from neurosim.values import shown

# Names of `math` that the compilers for CPUs and for GPUs have.
MATH = frozenset(
    {"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh"}
    | {"degrees", "e", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "gamma", "hypot"}
    | {"inf", "isfinite", "isinf", "isnan", "lgamma", "log", "log10", "log1p", "log2"}
    | {"nan", "pi", "pow", "radians", "sin", "sinh", "sqrt", "tan", "tanh", "tau", "trunc"}
)
# Unsupported features by the names of their instructions, most telling first.
UNKNOWN = {
    "RAISE_": "raises an exception",
    "PUSH_EXC_INFO": "handles exceptions",
    "YIELD_|RETURN_GENERATOR|GET_AWAITABLE": "is a generator or a coroutine",
    "BUILD_(LIST|SET|MAP|CONST_KEY_MAP)|(LIST|SET|MAP)_(ADD|APPEND|EXTEND|UPDATE)|DICT_": (
        "makes a list, set or dictionary"
    ),
    "BUILD_STRING|FORMAT_": "makes text",
    "CALL_FUNCTION_EX|UNPACK_EX": "uses a * in a call or an assignment",
    "DELETE_": "deletes a variable",
    "IMPORT_": "imports a module",
    "UNARY_INVERT": "inverts bits (~)",
    "MATCH_|GET_LEN": "matches sequences, mappings or classes",
}
# How instructions say that what they load is about to be called: in their text, or by a neighbour.
CALLED = re.compile(r"NULL(\|self)? \+ .*|.* \+ NULL(\|self)?")
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
LOADS = ("LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF")
# Operators that integers or matrices have, and floats have not.
OPERATORS = {"<<": "shifts bits", ">>": "shifts bits", "@": "multiplies matrices (@)"}
NO_WAY_ON = "RETURN_|RAISE_|RERAISE|JUMP_FORWARD|JUMP_BACKWARD|JUMP_ABSOLUTE|JUMP$"
VARIABLE = re.compile("(LOAD|STORE)_(?:FAST|DEREF|CLOSURE)(?:_BORROW|_CHECK)?")
VARIADIC = 0x04 | 0x08  # flags of code with *args, with **kwargs


def refuse_unsupported(function: Callable[..., Any], owner: str) -> None:
    """Refuse a scalar function that an engine could not run, or that may give no number.

    Functions that it calls are held to the same.

    Raises
    ------
    InputError
        Naming the function, and the first thing that is not supported.
    """
    for name, what in _faults(function, ()):
        through = "" if name == title(function) else f"calls {name}(), which "
        raise InputError(
            f"{owner}: {title(function)}() {through}{what}, which compiled engines cannot do; it "
            f"must return a number on every path, made by arithmetic, comparisons, math, "
            f"conditions, loops and functions that use no more"
        )


def _faults(function: Any, callers: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    """List unsupported features of a function and of those it calls, by function name."""
    function = uncompiled(function)
    if not isinstance(function, FunctionType):  # a number, or a built-in function of numbers
        return
    name, code = function.__name__, function.__code__
    if function in callers:
        yield name, "calls itself"
        return
    if code.co_kwonlyargcount or code.co_flags & VARIADIC:
        yield name, "has arguments by keyword only, or any number of them"
    yield from ((name, what) for what in _of_code(code))
    yield from ((name, f"uses math.{what}") for what in _of_math(function))
    yield from ((name, f"uses {what} without calling it") for what in _uncalled(function))
    for used, value in outside(function).items():
        if _large(value):
            yield name, f"uses {used} = {shown(value)}, beyond 2**53"
        yield from _faults(value, (*callers, function))


def _of_math(function: FunctionType) -> Iterator[str]:
    """List names of `math` that a function uses and a compiler lacks."""
    used, known = names(function.__code__), outside(function)
    whole = any(value is math for value in known.values())
    for name in used:
        if whole and name not in known and hasattr(math, name):
            yield from {name} - MATH
        alone = known.get(name)
        if isinstance(alone, BuiltinFunctionType) and alone.__module__ == "math":
            yield from {alone.__name__} - MATH


def _uncalled(function: FunctionType) -> Iterator[str]:
    """List functions that a function uses as values, of which compilers take some."""
    known = vars(builtins) | outside(function)
    elsewhere = {name for name, value in known.items() if callable(value)}
    own = elsewhere & set(function.__code__.co_freevars)
    for code in codes(function.__code__):  # outer functions first: inner ones use their variables
        steps = _steps(code)
        for first, last, name in _loads(steps, elsewhere, own):
            if not _called(steps, first, last):
                yield name


@cache
def _steps(code: CodeType) -> list[dis.Instruction]:
    """List the instructions of code, of one variable each."""
    return [part for step in dis.get_instructions(code) for part in _parts(step, code)]


def _parts(step: dis.Instruction, code: CodeType) -> list[dis.Instruction]:
    """Take an instruction apart that loads or stores two variables; leave out loads of cells."""
    found = VARIABLE.findall(step.opname)
    if not found or "DEREF" in step.opname:
        return [step]
    variables = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    cells = {*code.co_cellvars, *code.co_freevars}  # loaded to be handed to a function inside
    return [
        step._replace(opname=f"{does}_FAST", argval=name)
        for does, name in zip(found, variables, strict=True)
        if does == "STORE" or name not in cells
    ]


def _loads(
    steps: list[dis.Instruction], elsewhere: set[str], own: set[str]
) -> Iterator[tuple[int, int, str]]:
    """Find the instructions, from first to last, that load a function, and what it is called.

    To `own` are added the variables in which functions are kept that are made here.
    """
    for i, step in enumerate(steps):
        last, functions = i, elsewhere if "GLOBAL" in step.opname else own
        if step.opname == "MAKE_FUNCTION":
            while steps[last + 1].opname == "SET_FUNCTION_ATTRIBUTE":
                last += 1
            after = steps[last + 1]
            if after.opname.startswith("STORE_") and not after.is_jump_target:
                own.add(after.argval)
            else:
                # Before its code: a tuple each of its defaults, annotations and variables.
                yield i - 1 - (step.arg or 0).bit_count(), last, "a function"
        elif step.opname in ATTRIBUTES:
            if callable(getattr(math, step.argval, None)):
                yield i - 1, i, f"math.{step.argval}"
        elif (
            step.opname in LOADS
            and step.argval in functions
            and steps[i + 1].opname not in ATTRIBUTES  # which `reach` looks at
        ):
            yield i, i, f"{step.argval}()"


def _called(steps: list[dis.Instruction], first: int, last: int) -> bool:
    """Whether the function that instructions load is called, on every path to them."""
    marked = any(CALLED.fullmatch(step.argrepr) for step in (steps[first], steps[last]))
    if marked or steps[last].opname == "LOAD_METHOD":
        return True
    # Up to Python 3.12 the mark comes before, then after.
    before, after = steps[first - 1], steps[last + 1]
    return (before.opname == "PUSH_NULL" and not steps[first].is_jump_target) or (
        after.opname == "PUSH_NULL" and not after.is_jump_target
    )


@cache
def _of_code(code: CodeType) -> tuple[str, ...]:
    """List unsupported features in the code of a function and of those inside it."""
    steps = list(dis.get_instructions(code))
    found = [
        what for begins, what in UNKNOWN.items() if any(re.match(begins, s.opname) for s in steps)
    ]
    found += ["uses None"] * _uses_none(steps)
    found += ["uses complex numbers"] * any(type(value) is complex for value in code.co_consts)
    found += ["assigns within an expression (:=)"] * _assigns_within(steps)
    operators = [s.argrepr.removesuffix("=") for s in steps if s.opname == "BINARY_OP"]
    found += [OPERATORS[each] for each in operators if each in OPERATORS]
    found += [f"uses {shown(value)}, beyond 2**53" for value in code.co_consts if _large(value)]
    found = found or list(_on_paths(code, steps))
    for inner in inside(code):
        found += _of_code(inner)
    return tuple(found)


def _large(value: Any) -> bool:
    """Whether it is, or holds, an integer that has no float of its own."""
    if isinstance(value, tuple):
        return any(map(_large, value))
    return type(value) is int and abs(value) > 2**53


def _uses_none(steps: list[dis.Instruction]) -> bool:
    """Whether None is more than what a function returns where it returns nothing."""
    return any(
        step.opname == "LOAD_CONST" and step.argval is None and after.opname[:7] != "RETURN_"
        for step, after in itertools.pairwise(steps)
    )


def _assigns_within(steps: list[dis.Instruction]) -> bool:
    """Whether a value is kept on the stack while it is stored, and not to be stored again."""
    before = ""
    for step, after in itertools.pairwise(steps):
        again = f"{step.opname} {after.opname}".count("STORE_") > 1
        if before == "COPY" and step.opname.startswith("STORE_") and not again:
            return True
        before = step.opname
    return False


def _on_paths(code: CodeType, steps: list[dis.Instruction]) -> Iterator[str]:
    """Find missing returns, and variables that are read where they may have no value."""
    at = {step.offset: i for i, step in enumerate(steps)}
    jumps = {*dis.hasjrel, *dis.hasjabs}
    given = frozenset(code.co_varnames[: code.co_argcount]) | frozenset(code.co_freevars)
    # Variables that have a value at an instruction, on every path to it.
    reached: dict[int, frozenset[str]] = {}
    waiting = [(0, given, False)]
    found: dict[str, None] = {}
    while waiting:
        i, given, nothing = waiting.pop()
        before = reached.get(i)
        if before is not None and before <= given and not nothing:
            continue
        given = given if before is None else given & before
        reached[i] = given
        step = steps[i]
        if step.opname == "RETURN_CONST":
            nothing = step.argval is None
        if step.opname.startswith("RETURN_") and nothing:
            found["returns nothing, or None, on one of its paths"] = None
        given, missing = _assigned(step, given)
        found |= {f"reads {name!r} where it may have no value yet": None for name in missing}
        nothing = step.opname == "LOAD_CONST" and step.argval is None
        if step.opcode in jumps:
            waiting.append((at[step.argval], given, False))
        if not re.match(NO_WAY_ON, step.opname):
            waiting.append((i + 1, given, nothing))
    yield from found


def _assigned(step: dis.Instruction, given: frozenset[str]) -> tuple[frozenset[str], list[str]]:
    """Tell which variables have a value after an instruction, and which of its own have none."""
    variables = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    missing = []
    for action, name in zip(VARIABLE.findall(step.opname), variables, strict=False):
        if action == "STORE":
            given |= {name}
        elif name not in given:
            missing.append(name)
    return given, missing
