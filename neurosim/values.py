"""Check values that users give: numbers, counts, flags, choices, functions, lists, paths, sizes.

Every message names the object, the field, the value and what is allowed. A check looks at the
type before it compares: no array, text or object of another library is taken for a number, a
choice or a flag, and none of them ends in an error of Python's own.
"""

from __future__ import annotations

import difflib
import errno
import functools
import inspect
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from neurosim.errors import InputError

# Between these, and 0, float32 holds a number with all its digits.
SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127
STEPS = 2**32  # of a simulator: noise would repeat
EPOCHS = 1_000_000  # of a training: a row each, kept with every checkpoint
SEEDS = 2**32
SIZES = 2**31  # of a population, a batch: they are counted in 32 bits
MANY = 1_000_000  # things in a list that is written out
SHOWN = 500  # characters of a value in a message


def require(ok: bool, owner: str, field: str, value: Any, allowed: str) -> None:
    """Raise `InputError` unless `ok`, naming object, field, value and what is allowed."""
    if not ok:
        raise InputError(f"{owner}: {field} = {shown(value)} must be {allowed}")


def shown(value: Any) -> str:
    """Write a value on one line, of bounded length, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # a whole number of thousands of digits; an object whose repr raises
        text = object.__repr__(value)
    return shortened(" ".join(text.split()) if "\n" in text else text)


def shortened(text: str) -> str:
    """Cut text to a bounded length."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def is_number(value: Any) -> bool:
    """Whether `value` is a finite real number (a bool is not) that float32 can hold."""
    size = abs(_real(value))
    return SMALLEST <= size <= LARGEST or (size == 0 and value == 0)


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number of an integer type; bools and time differences are not."""
    # NumPy says that a timedelta64 is an integer, but nothing can be counted by it.
    whole = isinstance(value, numbers.Integral) and hasattr(value, "__index__")
    return whole and not isinstance(value, bool)


def is_flag(value: Any) -> bool:
    """Whether `value` is True or False, Python's or NumPy's."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def is_one_of(value: Any, choices: Iterable[Any]) -> bool:
    """Whether `value` is one of `choices`, of the same type: text, a whole number or None."""
    return any(_kind(value) is _kind(choice) and value == choice for choice in choices)


def require_number(
    owner: str,
    field: str,
    value: Any,
    within: str = "(-inf, inf)",
    allowed: str | None = None,
    optional: bool = False,
) -> Any:
    """Refuse what is no finite real number in an interval, or leaves it as a float32.

    Parameters
    ----------
    owner, field, value
        As for `require`.
    within : str
        The interval, such as ``"[0, 1)"``.
    allowed : str, optional
        What is allowed, if it is more than the interval says.
    optional : bool
        Whether None is allowed too.

    Returns
    -------
    float or None
        The value as Python's own: a product with one of NumPy's small floats has few digits.
    """
    if optional and value is None:
        return None
    real, held = _real(value), _as_float32(_real(value))
    if is_number(value) and _inside(real, within) and _inside(held, within):
        return real
    low, high = _ends(within)
    if allowed is None:
        allowed = f"a number in {within}"
        if high == math.inf:
            above = "" if low == -math.inf else f" {'>=' if within[0] == '[' else '>'} {low:g}"
            allowed = f"a finite number{above}"
    if math.isfinite(real) and _inside(real, within):
        allowed += f"; float32 makes {held:g} of it"
    require(False, owner, field, value, f"None or {allowed}" if optional else allowed)


def require_name(owner: str, field: str, value: Any) -> None:
    """Refuse what is no text, or holds half a character (a lone surrogate), which no file can."""
    fine = isinstance(value, str) and not any("\ud800" <= sign <= "\udfff" for sign in value)
    require(fine, owner, field, value, "text, without lone surrogates")


def require_count(
    owner: str,
    field: str,
    value: Any,
    low: int,
    high: int | None = None,
    of: str = "",
    optional: bool = False,
) -> Any:
    """Refuse what is no whole number of at least `low` and less than `high`.

    Parameters
    ----------
    owner, field, value
        As for `require`.
    low, high : int
    of : str
        What is counted, for the message.
    optional : bool
        Whether None is allowed too.

    Returns
    -------
    int or None
        The value as Python's own: a sum or product of NumPy's small integers overflows.
    """
    fine = is_count(value) and low <= value and (high is None or value < high)
    allowed = f"a whole number of {of}" if of else "a whole number"
    if high is None:
        allowed += f" >= {low}"
    else:
        power = high.bit_length() - 1
        allowed += f" in [{low}, {f'2**{power}' if high == 2**power > MANY else high})"
    allowed = f"None or {allowed}" if optional else allowed
    require(fine or (optional and value is None), owner, field, value, allowed)
    return None if value is None else int(value)


def require_flag(owner: str, field: str, value: Any) -> None:
    """Refuse what is neither True nor False: text, lists and numbers stand for neither."""
    require(is_flag(value), owner, field, value, "True or False")


def require_one_of(
    owner: str, field: str, value: Any, choices: Iterable[Any], allowed: str | None = None
) -> None:
    """Refuse what is none of `choices`, by value and type."""
    choices = tuple(choices)
    allowed = f"one of {', '.join(map(str, choices))}" if allowed is None else allowed
    require(is_one_of(value, choices), owner, field, value, allowed)


def require_function(
    owner: str, field: str, value: Any, *given: str, optional: bool = True
) -> None:
    """Refuse what is no function of so many arguments, which `given` names.

    A function that does not tell what it takes, as some of Python's own, is believed.
    `optional` says whether None is allowed too.
    """
    fine = callable(value) or (optional and value is None)
    if callable(value):
        try:
            inspect.signature(value).bind(*given)
        except TypeError:
            fine = False
        except ValueError:
            pass
    allowed = f"a function of ({', '.join(given)})"
    require(fine, owner, field, value, f"None or {allowed}" if optional else allowed)


def require_list(owner: str, field: str, values: Any, allowed: str) -> list[Any]:
    """Write an iterable out; refuse what is none, text, a mapping, or has no end."""
    text = isinstance(values, str | bytes | bytearray | memoryview)
    require(not text and not isinstance(values, Mapping), owner, field, values, allowed)
    said = ""
    try:
        size = len(values) if hasattr(values, "__len__") else 0
        said = shown(values) if size == 0 else ""  # as it is before it has given anything
        found = list(islice(values, MANY + 1)) if size <= MANY else []
    except Exception as error:  # it is no iterable, or its own code raises
        why = "" if isinstance(error, TypeError) else f" ({type(error).__name__}: {error})"
        raise InputError(
            f"{owner}: {field} = {said or shown(values)} must be {allowed}{why}"
        ) from error
    if max(size, len(found)) > MANY:
        said = said or shown(values)
        raise InputError(f"{owner}: {field} = {said} must be {allowed}; at most {MANY:,} of them")
    return found


def require_path(owner: str, field: str, value: Any) -> Path:
    """Refuse what is no path, or an empty one; give it as `Path`."""
    text, fine = None, False
    try:
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        fine = isinstance(text, str) and text != ""
        os.lstat(str(text))
    except OSError as error:
        fine = fine and error.errno != errno.ENAMETOOLONG
    except Exception:  # characters that no path can have; an object's own code
        fine = False
    require(fine, owner, field, value, "a path: text that is not empty, or a pathlib.Path")
    return Path(str(text))


def require_memory(owner: str, what: str, nbytes: int) -> None:
    """Refuse what takes more memory than this process can have, before it is allocated.

    Parameters
    ----------
    owner : str
    what : str
        What would take it, with the numbers that make it so large.
    nbytes : int
        How much that is, at the least [bytes].
    """
    if nbytes > memory():
        raise InputError(
            f"{owner}: {what} would take {_bytes(nbytes)} of memory; "
            f"this process can have {_bytes(memory())}"
        )


@functools.cache
def memory() -> int:
    """Find how much memory this process can have at most [bytes]."""
    found = []
    with suppress(AttributeError, OSError, ValueError):  # Windows does not say
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ImportError, OSError):  # Windows has no such limits
        from resource import RLIMIT_AS, getrlimit

        found.append(getrlimit(RLIMIT_AS)[0])
    with suppress(OSError, ValueError):  # a container may have less than the machine
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min((n for n in found if n > 0), default=2**40)


def nearest(name: object, known: Iterable[str]) -> str:
    """Suggest the known name that `name` was probably meant to be."""
    known = sorted(known)
    text = name if isinstance(name, str) else shown(name)
    close = difflib.get_close_matches(text[:SHOWN], known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known) or 'none'}"


def _real(value: Any) -> float:
    """Turn a real number into Python's float, all else into NaN."""
    if not isinstance(value, numbers.Real):
        return math.nan
    if isinstance(value, numbers.Integral) and not is_count(value):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except Exception:  # another library's number, or what only says that it is one
        return math.nan


def _as_float32(value: float) -> float:
    """Round a number to float32: to 0 or infinity where that cannot hold it."""
    if not SMALLEST <= abs(value) <= LARGEST:
        return math.copysign(math.inf, value) if abs(value) > 1 else 0.0 * value
    fraction, exponent = math.frexp(value)
    return math.ldexp(round(fraction * 2**24), exponent - 24)


@functools.cache
def _ends(within: str) -> tuple[float, float]:
    low, high = map(float, within[1:-1].split(","))
    return low, high


def _inside(value: float, within: str) -> bool:
    low, high = _ends(within)
    above = value >= low if within[0] == "[" else value > low
    return above and (value <= high if within[-1] == "]" else value < high)


def _kind(value: Any) -> Any:
    """Find the type by which a value is compared: text, whole number, flag, None or another."""
    if value is None or is_flag(value):
        return None if value is None else bool
    return int if is_count(value) else str if isinstance(value, str) else object


def _bytes(n: int) -> str:
    """Write a number of bytes."""
    size, units = float(min(n, 10**300)), ("bytes", "kB", "MB", "GB", "TB")
    power = min(int(math.log10(max(size, 1)) // 3), len(units) - 1)
    return f"{size / 1000**power:.3g} {units[power]}"
