"""Bad values are refused, by the name of the object, the field and what is allowed."""

from __future__ import annotations

import errno
import functools
import os
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

SHOWN = 500
"""Characters of a value in a message."""


class TaskError(ValueError):
    """A task was asked for something it cannot be, or its data are not what they should be."""


def refuse(owner: object, field: str, value: object, allowed: str) -> TaskError:
    """Return the error that says which `field` of `owner` is wrong and what it must be."""
    return TaskError(f"{type(owner).__name__}: {field} = {shown(value)} must be {allowed}")


def shown(value: object) -> str:
    """Write a value on one line, of bounded length, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # a whole number of thousands of digits; an object whose repr raises
        text = object.__repr__(value)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


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
        allowed += f" and less than {less_than[0]} ({shown(less_than[1])})"
    # True is an int in Python; a batch of True is a mistake.
    # NumPy says that a timedelta64 is an integer, but nothing can be counted by it.
    if isinstance(value, bool) or not (isinstance(value, Integral) and hasattr(value, "__index__")):
        raise refuse(owner, field, value, f"a whole number, {allowed}")
    number = int(value)
    if number < at_least or (less_than is not None and number >= less_than[1]):
        raise refuse(owner, field, number, allowed)
    return number


def real(owner: object, field: str, value: object, at_least: float, at_most: float) -> float:
    """Return `value` as a float, or refuse it.

    Parameters
    ----------
    owner : object
        Whose value it is: its class is named in the message.
    field : str
        What the value is called.
    value : object
        A Python or NumPy number, whole or not; booleans are refused, and what float32 cannot hold.
    at_least, at_most : float
        The limits, themselves allowed.

    Raises
    ------
    TaskError
        If `value` is not a number or lies outside the limits.
    """
    # NumPy says that a timedelta64 is a number; not a number is in no range.
    number = isinstance(value, Real) and not isinstance(value, bool | np.timedelta64)
    fine = number and at_least <= cast(float, value) <= at_most
    if not fine or 0 < abs(cast(float, value)) < float(np.finfo(np.float32).tiny):
        allowed = f"a number that float32 can hold, at least {at_least:g} and at most {at_most:g}"
        raise refuse(owner, field, value, allowed)
    return float(cast(float, value))


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


def some_path(owner: object, field: str, value: Any, allowed: str) -> None:
    """Refuse what no file can be called: no text or path, empty, too long.

    Raises
    ------
    TaskError
        If it is not a path.
    """
    text, fine = None, False
    try:
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        fine = isinstance(text, str) and text != ""
        os.lstat(str(text))
    except OSError as error:
        fine = fine and error.errno != errno.ENAMETOOLONG
    except Exception:  # characters that no path can have; an object's own code
        fine = False
    if not fine:
        raise refuse(owner, field, value, allowed)


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


def fits(owner: object, what: str, nbytes: int) -> None:
    """Refuse what takes more memory than this process can have, before it is allocated.

    Parameters
    ----------
    owner : object
        Whose data they are: its class is named in the message.
    what : str
        What would take it, with the numbers that make it so large.
    nbytes : int
        How much that is, at the least [bytes].

    Raises
    ------
    TaskError
        If it does not fit.
    """
    if nbytes > memory():
        gigabytes = [f"{min(n, 10**300) / 1e9:.3g} GB" for n in (nbytes, memory())]
        raise TaskError(
            f"{type(owner).__name__}: {what} would take {gigabytes[0]} of memory; this process "
            f"can have {gigabytes[1]}"
        )


@functools.cache
def memory() -> int:
    """Return how much memory this process can have at most [bytes]."""
    found = []
    with suppress(AttributeError, OSError, ValueError):  # Windows does not say
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ImportError, OSError):  # Windows has no such limits
        from resource import RLIMIT_AS, getrlimit

        found.append(getrlimit(RLIMIT_AS)[0])
    with suppress(OSError, ValueError):  # a container may have less than the machine
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min((n for n in found if n > 0), default=2**40)


def numbers(owner: object, field: str, values: Any, shape: str) -> NDArray[Any]:
    """Return `values` as an array of numbers with an axis at least, or refuse them.

    Parameters
    ----------
    owner : object
        Whose values they are: its class is named in the message.
    field : str
        What they are called.
    values : object
        What may be an array.
    shape : str
        What is wanted, for the message.

    Raises
    ------
    TaskError
        If they are no numbers.
    """
    try:
        given = np.asanyarray(values)  # a mask of what an object makes of itself is kept
    except Exception as error:  # an object's own conversion to an array can raise anything
        text = f"{type(owner).__name__}: {field} must be numbers of shape {shape} ({error})"
        raise TaskError(text) from error
    if np.ma.is_masked(given):
        text = f"{type(owner).__name__}: {field} must be numbers of shape {shape}, and none masked"
        raise TaskError(text)
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        text = f"{type(owner).__name__}: {field} must be numbers of shape {shape}"
        raise TaskError(f"{text}, not {array.dtype}")
    fits(owner, f"{field} of shape {array.shape}", 8 * array.size)
    return array
