"""Decorrelation of what is sent, by matrices: what the rules compute synapse by synapse."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.bptt.gradient import array_of
from neurosim.errors import InputError


def decorrelation(D: Any, s: Any) -> Any:
    """Eq. 6: ``(s s^T - diag(s^2)) D``, the mean over replicas; ``D <- D - rate * it``.

    Parameters
    ----------
    D : array, (N, N)
        ``d[post, pre]``.
    s : array, (..., batch, N)
        What was sent, ``D x``. Any axes before are steps, and summed over.

    Returns
    -------
    array, (N, N)

    Notes
    -----
    The products are taken from the right, which is 4 N^2 operations a step and replica;
    from the left they would be 2 N^3 a step.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Eq. 6.
    """
    D, s = _fitting("bptt.decorrelation", D, s)
    rows = s.reshape(-1, s.shape[-1])
    share = rows / s.shape[-2]
    found = share.T @ (rows @ D)
    found -= (share * rows).sum(axis=0)[:, None] * D
    return found


def local_decorrelation(D: Any, s: Any) -> Any:
    """Eq. 6 without its factor D: ``s s^T - diag(s^2)``, the mean over replicas.

    Parameters and what is returned are those of `decorrelation`; of D only the type matters.
    """
    _, s = _fitting("bptt.local_decorrelation", D, s)
    rows = s.reshape(-1, s.shape[-1])
    found = (rows / s.shape[-2]).T @ rows
    return found - np.diag(np.diag(found))


def _fitting(owner: str, D: Any, s: Any) -> tuple[Any, Any]:
    """Both as arrays; refuse what does not fit together."""
    D, s = array_of(owner, "D", D, "(N, N)"), array_of(owner, "s", s, "(..., batch, N)")
    if s.ndim < 2 or 0 in s.shape or D.shape != (s.shape[-1],) * 2:
        raise InputError(
            f"{owner}: D of shape {D.shape} and s of shape {s.shape} must have shapes (N, N) and "
            f"(..., batch, N)"
        )
    return D, s
