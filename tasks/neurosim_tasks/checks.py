"""Bad values are refused, by the name of the object, the field and what is allowed."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any, SupportsIndex, cast


class TaskError(ValueError):
    """A task was asked for something it cannot be, or its data are not what they should be."""


def refuse(owner: object, field: str, value: object, allowed: str) -> TaskError:
    """Return the error that says which `field` of `owner` is wrong and what it must be."""
    return TaskError(f"{type(owner).__name__}: {field} = {value!r} must be {allowed}")


def whole(
    owner: object,
    field: str,
    value: object,
    at_least: int,
    less_than: tuple[str, int] | None = None,
) -> int:
    """Return `value` as an int, or refuse it.

    Parameters
    ----------
    owner : object
        Whose value it is: its class is named in the message.
    field : str
        What the value is called.
    value : object
        A Python or NumPy integer; booleans and floats, whole or not, are refused.
    at_least : int
        The smallest value allowed.
    less_than : tuple of (str, int), optional
        An upper limit, itself not allowed, and the name of what sets it.

    Raises
    ------
    TaskError
        If `value` is not a whole number or lies outside the limits.
    """
    allowed = f"at least {at_least}"
    if less_than is not None:
        allowed += f" and less than {less_than[0]} ({less_than[1]})"
    try:
        # True is an int in Python; a batch of True is a mistake.
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise refuse(owner, field, value, f"a whole number, {allowed}") from None
    if number < at_least or (less_than is not None and number >= less_than[1]):
        raise refuse(owner, field, number, allowed)
    return number


def place(path: str | os.PathLike[str], field: str) -> Path:
    """Return where the path that `field` gives leads: ``~`` stands for a home folder.

    Raises
    ------
    TaskError
        If there is no such home folder.
    """
    given = Path(path)
    try:
        return given.expanduser()
    except RuntimeError:
        raise TaskError(
            f"Weather: {field} = {str(path)!r} must not begin with {given.parts[0]}, as there is "
            f"no such home folder here (a folder of that name is meant by its whole path)"
        ) from None


def one_of(owner: object, field: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuse a `value` that is not among `choices`, of the same type.

    Raises
    ------
    TaskError
        If it is not.
    """
    # By type as well: 1 == True, and an array compares to an array.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise refuse(owner, field, value, "one of " + ", ".join(repr(c) for c in choices))


def settle(task: object, at_least: dict[str, int]) -> None:
    """Replace whole-number fields of a frozen dataclass by plain ints, each checked.

    Parameters
    ----------
    task : object
        The frozen dataclass, being built.
    at_least : dict of str to int
        The smallest value allowed, by field.

    Raises
    ------
    TaskError
        If a field is not a whole number or is too small.
    """
    for field, smallest in at_least.items():
        object.__setattr__(task, field, whole(task, field, getattr(task, field), smallest))
