"""Named tuples by reference, in compiled code.

Numba hands a named tuple of arrays from function to function number by number, several
hundred of them, and most of the time it takes to compile a loop goes into that. By
reference it is one pointer, from which a function reads the fields that it asks for.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    register_model,
)


class Reference(types.Type):
    """Type of a pointer to a named tuple."""

    def __init__(self, target: Any) -> None:
        self.target = target
        super().__init__(name=f"Reference({target})")

    def field(self, name: str) -> Any:
        """Type of a field; a tuple in a tuple is referred to as well."""
        kind = self.target.types[self.target.fields.index(name)]
        return Reference(kind) if isinstance(kind, types.BaseNamedTuple) else kind


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        target = manager.lookup(kind.target).get_value_type()
        super().__init__(manager, kind, target.as_pointer())


@infer_getattr
class _Fields(AttributeTemplate):
    key = Reference

    def generic_resolve(self, kind: Any, name: str) -> Any:
        return kind.field(name) if name in kind.target.fields else None


@lower_getattr_generic(Reference)
def _read(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    place = cgutils.gep_inbounds(builder, value, 0, kind.target.fields.index(name))
    return place if isinstance(kind.field(name), Reference) else builder.load(place)


@intrinsic
def refer(typing: Any, values: Any) -> Any:
    """Refer to a named tuple; the reference lives as long as the function that made it."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.alloca_once_value(builder, args[0])

    return Reference(values)(values), emit
