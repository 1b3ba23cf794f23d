"""What there is on this machine that neurosim uses."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from threadpoolctl import threadpool_info

from neurosim import __version__
from neurosim.engines import AUTO, resolve
from neurosim.engines.cuda import device
from neurosim.errors import InputError
from neurosim.experiments import environment, registry


def examine() -> list[tuple[str, str]]:
    """Look at everything, and say what was found, by name."""
    found = [
        ("neurosim", __version__),
        ("python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("cores", f"{environment.cores()} usable of {os.cpu_count()}"),
    ]
    found += [(name, environment.version(name)) for name in environment.PACKAGES]
    found += [("tasks", ", ".join(registry.tasks()) or "none: install neurosim (pip install -e .)")]
    folders = filter(None, (registry.config_folder(), registry.own_config_folder()))
    places = " and ".join(map(str, folders))
    found += [("configs", f"{len(registry.configs())} in {places}")]
    found += [("threads", "one per run; use the other cores for other runs"), ("BLAS", _blas())]
    found += [("compiled loops", _kernels()), ("NEUROSIM_DATA", _data()), ("GPU", _gpu())]
    found += [("GPU packages", _gpu_packages()), ("engine auto", resolve(AUTO)[1])]
    return found


def _blas() -> str:
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))  # a library shows only once it is loaded
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    words = [f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in pools]
    return "; ".join(words) + " (runs use one)" if words else "none found"


def _kernels() -> str:
    from neurosim.engines import disk_cache

    other = "(set NEUROSIM_CACHE for another folder)"
    try:
        folder = disk_cache.folder()
        count = len(os.listdir(folder)) if os.path.exists(folder) else 0
    except (InputError, OSError) as error:
        return f"not kept: {error} {other}"
    return f"{count} kept in {folder} {other}"


def _data() -> str:
    named = os.environ.get("NEUROSIM_DATA")
    if not named:
        return "not set; the weather task uses the table that comes with it"
    found = Path(os.path.expanduser(named))
    if os.path.isfile(found):
        return f"{named}: the file that the weather task uses"
    if not os.path.isdir(found):
        return f"{named}: no such file or folder; the weather task refuses it"
    if not os.path.isfile(found / "WTH.csv"):
        return f"{named}: has no WTH.csv; the weather task refuses it"
    return f"{named}: has WTH.csv"


def _gpu() -> str:
    why = device.missing()
    if why is not None:
        return f"not used: {why}"
    try:
        return device.words()
    except Exception as error:  # another process may have all of it
        return f"{device.name()}, which does not answer ({error})"


def _gpu_packages() -> str:
    found = ", ".join(f"{name} {it}" for name, it in environment.gpu_packages().items())
    return found or "none installed"
