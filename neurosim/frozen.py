"""Values that do not change once an object has taken them."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, NoReturn, TypeVar

from neurosim.errors import InputError
from neurosim.values import is_count

Key = TypeVar("Key")
Value = TypeVar("Value")


class Frozen(dict[Key, Value]):
    """A dict that does not change: it can be hashed, copied, pickled and written as JSON.

    Raises
    ------
    InputError
        For an attempt to change it.
    """

    instead: ClassVar[str] = (
        "it belongs to an object that does not change; build another one, for example with "
        "dataclasses.replace()"
    )

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        keys = ", ".join(map(repr, self))
        raise InputError(f"the table of {keys} is read-only: {self.instead}")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[Key, Value]]]:
        return type(self), (dict(self),)


def frozen(value: Any) -> Any:
    """Turn a value into plain Python that does not change.

    Numbers of any library become int and float, lists tuples, mappings `Frozen`, whatever is in
    them included. All else is left as it is: whether it is allowed is not decided here.
    """
    if value is None or type(value) in (bool, int, float, str, Frozen):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if is_count(value):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        try:
            return float(value)
        except Exception:  # a fraction beyond all floats, or another library's number
            return value
    if isinstance(value, Mapping):
        return Frozen({frozen(key): frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    return value


def freeze(owner: Any) -> None:
    """Make every field of a frozen dataclass `frozen`, as its ``__post_init__`` ends."""
    for field in fields(owner):
        object.__setattr__(owner, field.name, frozen(getattr(owner, field.name)))
