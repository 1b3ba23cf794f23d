"""How many registers a kernel takes, found without a device: by assembling its PTX.

A thread has 255 registers; what does not fit is spilled to memory, and a kernel that spills is
slow. A driver assembles with an assembler of its own, which may differ by a few.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from neurosim.errors import InputError


@dataclass(frozen=True)
class Usage:
    """What a thread of a kernel takes.

    Attributes
    ----------
    registers : int
    spilled_stores, spilled_loads : int
        Bytes, over all instructions that put registers into memory or fetch them back.
    stack : int
        Bytes, spilled registers and arrays of a thread's own included.
    """

    registers: int
    spilled_stores: int
    spilled_loads: int
    stack: int


def registers(ptx: str, capability: tuple[int, int]) -> Usage:
    """Assemble PTX for a device that need not be there, and say what a thread of it takes.

    Parameters
    ----------
    ptx : str
        With one kernel.
    capability : tuple of int
        Compute capability of the device.

    Returns
    -------
    Usage

    Raises
    ------
    ImportError
        Where NVIDIA's linker (nvJitLink and its Python bindings) is not installed.
    InputError
        If the PTX cannot be assembled.
    """
    return usage(_assembled(ptx, f"sm_{capability[0]}{capability[1]}"))


def usage(log: str) -> Usage:
    """Read what an assembler says: nvJitLink, or ``ptxas -v``.

    Parameters
    ----------
    log : str

    Returns
    -------
    Usage
        Functions that a kernel calls are summed up with it.

    Raises
    ------
    InputError
        If it is not said there.
    """
    used = re.findall(r"Used (\d+) registers", log)
    told = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill", log)
    if not used or not told:
        raise InputError(f"registers: the assembler does not tell how many it took: {log.strip()}")
    stack, stores, loads = (sum(map(int, numbers)) for numbers in zip(*told, strict=True))
    return Usage(max(map(int, used)), stores, loads, stack)


def _assembled(ptx: str, target: str) -> str:
    """What is said while PTX is assembled."""
    # By name: a type checker need not have what only a machine with a GPU needs.
    linker: Any = importlib.import_module("cuda.bindings.nvjitlink")
    code, wishes = ptx.encode(), [f"-arch={target}", "-verbose"]
    try:
        handle = linker.create(len(wishes), wishes)
    except linker.nvJitLinkError as error:
        raise InputError(f"registers: nothing here makes code for {target} ({error})") from error
    try:
        linker.add_data(handle, linker.InputType.PTX, code, len(code), "kernel.ptx")
        linker.complete(handle)
        return _log(linker.get_info_log_size, linker.get_info_log, handle)
    except linker.nvJitLinkError as error:
        why = _log(linker.get_error_log_size, linker.get_error_log, handle).strip()
        raise InputError(f"registers: no code for {target} ({error}): {why}") from error
    finally:
        linker.destroy(handle)


def _log(size: Any, get: Any, handle: Any) -> str:
    text = bytearray(size(handle))
    if text:
        get(handle, text)
    return text.decode(errors="replace").rstrip("\0")
