"""Station files of NOAA's Local Climatological Data, fetched once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from neurosim_tasks.checks import TaskError, place

NOAA_URL = "https://www.ncei.noaa.gov/data/local-climatological-data/access"
TIMEOUT = 60
"""How long the server may be silent [s]."""


def fetch(station: str, year: int, sha256: str | None = None) -> Path:
    """Return the file of a station's year, downloading it unless it is there already.

    Files are kept in the folder named by the environment variable ``NEUROSIM_CACHE``, or in the
    user's cache folder. They are fetched from ``{url}/{year}/{station}.csv``, where url is the
    environment variable ``NEUROSIM_NOAA_URL``, or NOAA's own server.

    Parameters
    ----------
    station : str
        Station identifier of 11 characters.
    year : int
        Calendar year.
    sha256 : str, optional
        What the file must hash to, in hexadecimal. Without it, a file is taken as it comes; a
        connection that breaks is noticed either way, if the server says how long the file is.

    Returns
    -------
    pathlib.Path
        The file, complete.

    Raises
    ------
    TaskError
        If the file cannot be fetched, or is not the one `sha256` asks for; the message has the
        address. Nothing is kept of it then.
    """
    # Here, so that whoever fetches nothing does not pay for the import.
    import pooch

    url = f"{os.environ.get('NEUROSIM_NOAA_URL') or NOAA_URL}/{year}/{station}.csv"
    chosen = os.environ.get("NEUROSIM_CACHE")
    try:
        folder = place(chosen, "NEUROSIM_CACHE") if chosen else _users_cache()
        found = pooch.retrieve(
            url,
            known_hash=None if sha256 is None else f"sha256:{sha256}",
            fname=f"{station}-{year}.csv",
            path=folder / "noaa",
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
        )
    except TaskError:
        raise
    # Errors of the network and the disk are OSErrors, a wrong hash is a ValueError.
    except (OSError, ValueError) as error:
        raise TaskError(f"Weather: cannot fetch {url}: {error}") from error
    return Path(found)


def _users_cache() -> Path:
    """Return the user's cache folder; without a home, as in a container, a temporary one."""
    import pooch

    try:
        return pooch.os_cache("neurosim").expanduser()
    except RuntimeError:
        user = os.getuid() if hasattr(os, "getuid") else ""
        return Path(tempfile.gettempdir()) / f"neurosim-{user}"
