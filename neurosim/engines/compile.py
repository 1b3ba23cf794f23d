"""From Python functions to compiled ones, for Numba's CPU target.

Compiled functions are of three kinds. *Scalar functions* come from rules, neuron models,
noise and substrate, and dissolve in what calls them. *Loops* are the time loop and what it
consists of; no rule goes into them, so one time loop is compiled for all. *Kernels* are
what the loops spend their time in; loops call them by their address, so that a new rule or
neuron model means compiling the few kernels that it is in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import njit, types
from numba.core import ccallback, cgutils
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from neurosim.engines import mathematics
from neurosim.engines.disk_cache import DiskCache
from neurosim.engines.fingerprint import fingerprint
from neurosim.engines.powers import with_float_powers
from neurosim.engines.references import Reference
from neurosim.errors import InputError, KernelError, NeurosimError
from neurosim.local import arguments
from neurosim.local.functions import copied, replaced

if TYPE_CHECKING:
    from neurosim.engines.plan import Plan

FAILURE = "Simulator: a compiled kernel raised an exception; the state is no longer usable"

_CFunc: Any = ccallback.CFunc
_CFuncCompiler: Any = vars(ccallback)["_CFuncCompiler"]

# Sums may be reordered and fused into vector instructions, but infinities and NaNs
# keep their meaning: they are how a simulation that blows up is noticed.
FAST: dict[str, Any] = {
    "fastmath": {"reassoc", "nsz", "arcp", "contract", "afn"},
    "error_model": "numpy",
}
EXACT: dict[str, Any] = {"fastmath": False, "error_model": "numpy"}
# Without Numba's run-time for memory, code that allocates does not compile.
OUTER: dict[str, Any] = {"nogil": True, "_nrt": False}
# What only compiled code calls needs no way in from Python; that way costs most of the time.
INNER: dict[str, Any] = {**OUTER, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# A process that is forked finds no lock held, and nothing half compiled, by a thread it lacks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )

# Decorator for functions over arrays that only compiled code calls.
loop = njit(**INNER, **FAST)


def compiled(function: Callable[..., Any], exact: bool = False) -> Any:
    """Compile a scalar function together with the Python functions it calls.

    Parameters
    ----------
    function : callable
        Plain Python, scalar.
    exact : bool
        Compile without reordered or fused arithmetic, as noise needs.
    """
    return _compiled(function, exact, fingerprint([function]))


@cache
def _compiled(function: Any, exact: bool, version: str) -> Any:
    copy = copied(function, lambda value: _instead(value, exact), mathematics.BUILTINS[exact])
    # A call that is not inlined keeps a loop from being vectorised.
    options = {"forceinline": True, **INNER, **(EXACT if exact else FAST)}
    return njit(**options)(with_float_powers(copy))


def _instead(value: Any, exact: bool) -> Any:
    """Replace what a scalar function uses by what compiled code uses in its place."""
    module = mathematics.exact if exact else mathematics
    return replaced(value, module, mathematics.FUNCTIONS[exact], lambda it: compiled(it, exact))


def adapted(
    function: Callable[..., Any] | None,
    known: Mapping[str, str],
    owner: str,
    exact: bool = False,
) -> Callable[..., Any]:
    """Compile a scalar function behind the full list of what it might ask for.

    The result takes all of `known`, in that order, and hands on what `function`
    asks for. None stands for a function that always answers nothing, 0.
    """
    wanted = None if function is None else tuple(arguments(function, known, owner))
    return _adapter(function, tuple(known), wanted, exact, fingerprint([function]))


@cache
def _adapter(
    function: Any,
    names: tuple[str, ...],
    wanted: tuple[str, ...] | None,
    exact: bool,
    version: str,
) -> Any:
    inner = None if function is None else compiled(function, exact)
    answer = "0" if wanted is None else f"inner({', '.join(wanted)})"
    arithmetic = EXACT if exact else FAST
    made = eval(f"lambda {', '.join(names)}: {answer}", {"inner": inner})
    return njit(**INNER, **arithmetic)(made)


# What kernels take: pointers to float32, uint32 and int64 numbers, integers, float32 numbers,
# unsigned integers of 32 bits.
KINDS = {
    "p": types.CPointer(types.float32),
    "w": types.CPointer(types.uint32),
    "n": types.CPointer(types.int64),
    "i": types.int64,
    "f": types.float32,
    "u": types.uint32,
}


class Kernel(_CFunc):
    """A compiled function with an address.

    Parameters
    ----------
    function : callable
        Returns nothing.
    kinds : sequence
        Of its arguments: letters of `KINDS`, or Numba's types.
    version : str
        Fingerprint of what went into it beside the engine's own sources.
    apart : bool
        Promise that no two of its pointers ever lead to the same number.
    exact : bool
        Compile without reordered or fused arithmetic.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        kinds: Sequence[Any],
        version: str = "",
        apart: bool = True,
        exact: bool = False,
    ) -> None:
        given = tuple(KINDS.get(kind, kind) for kind in kinds)
        options = {**(EXACT if exact else FAST), "_nrt": False}
        super().__init__(function, (given, types.void), locals={}, options=options)
        if apart:
            self._compiler = _Apart(
                function, self._targetdescr, options, {}, pipeline_class=Compiler
            )
        self._cache = DiskCache(function.__name__, fingerprint([]) + version)
        try:
            self.compile()
        finally:  # however it ends, another process or another try need not wait for it
            self._cache.release()
        # The function itself, rather than what Numba wraps around it for callers in C.
        name = self._wrapper_name.removeprefix("cfunc.")
        self.entry = self._library.get_pointer_to_function(name)


class _Apart(_CFuncCompiler):
    """Compiler of functions whose pointers lead to different places."""

    def _customize_flags(self, flags: Any) -> Any:
        flags = super()._customize_flags(flags)
        flags.noalias = True
        return flags


def _calling(propagates: bool) -> Any:
    """Make the intrinsic that calls a kernel, and looks at its status or returns it."""

    @intrinsic
    def call(typing: Any, address: Any, args: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            values = []
            unpacked = cgutils.unpack_tuple(builder, given[1])
            for kind, value in zip(signature.args[1], unpacked, strict=True):
                if isinstance(kind, types.Array):
                    array = cgutils.create_struct_proxy(kind)(context, builder, value)
                    values.append(array.data)
                elif isinstance(kind, Reference) or kind == types.uint32:
                    values.append(value)
                else:
                    wanted = types.float32 if isinstance(kind, types.Float) else types.int64
                    values.append(context.cast(builder, value, kind, wanted))
            # As Numba calls: first come places for a result, of which there is none, and for the
            # text of an exception.
            places = [ir.IntType(8).as_pointer().as_pointer()] * 2
            nowhere = [cgutils.alloca_once(builder, place.pointee) for place in places]
            kinds = [*places, *(value.type for value in values)]
            function = ir.FunctionType(ir.IntType(32), kinds)
            entry = builder.inttoptr(given[0], function.as_pointer())
            status = builder.call(entry, [*nowhere, *values])
            if not propagates:
                return status
            with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, status)):
                context.call_conv.return_user_exc(builder, KernelError, (FAILURE,))
            return context.get_dummy_value()

        result = types.void if propagates else types.int32
        return result(types.int64, args), emit

    return call


# Call a kernel; of an array it gets the address of the first number. `invoke` passes an exception
# in the kernel on to its caller, `attempt` returns the kernel's status, 0 without an exception.
invoke, attempt = _calling(propagates=True), _calling(propagates=False)


@contextmanager
def compiling(plan: Plan) -> Iterator[None]:
    """Name the scalar function of a plan that cannot be compiled, if one is to blame.

    Raises
    ------
    InputError
        Instead of the compiler's error, several screens about code that is not the user's.
    """
    try:
        yield
    except NeurosimError:
        raise
    except Exception:  # of whatever kind: not all of a compiler's objections are its own errors
        for owner, function, known in plan.scalar_functions():
            why = _why_not(adapted(function, known, owner), len(known))
            if why:
                raise InputError(
                    f"{owner}: {function.__name__}() cannot be compiled ({why}); write it with "
                    f"numbers, math and conditions alone, or use engine = 'objects'"
                ) from None
        raise


def _why_not(function: Any, count: int) -> str:
    """Give the compiler's objection to a function of `count` numbers; empty without one."""
    try:
        function.compile((types.float32,) * count)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines()]
        says = [line for line in lines if line and not line.startswith("Failed in")]
        says = says or [type(error).__name__]
        return " ".join(says[:2] if says[0].endswith(":") else says[:1])[:200]
    made = function.overloads[(types.float32,) * count].signature.return_type
    return "" if isinstance(made, types.Number | types.Boolean) else f"it returns a {made}"
