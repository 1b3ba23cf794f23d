"""The paper's claims, held against numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from neurosim.experiments.reproduce.spec import Claim

Scores = Mapping[str, Mapping[int, float]]
"""By method, a score of every seed; infinite where a run came to no result."""

WORDS = {
    "test_mse": "",
    "train_mse": "training error: ",
    "missed": "part of the symbols missed: ",
    "s_covariance": "covariance: ",
    "us_per_step": "µs a step: ",
    "mb": "MB: ",
}
"""What a score is called; the test error needs no name."""

HOLDS, UNCLEAR, DIFFERS = "holds", "not clear", "differs"


@dataclass(frozen=True)
class Finding:
    """What numbers say about a claim, for one pair of methods.

    Attributes
    ----------
    verdict : str
        ``holds``, ``not clear`` or ``differs``.
    words : str
        The numbers.
    """

    claim: Claim
    verdict: str
    words: str


def judge(claims: Iterable[Claim], scores: Mapping[str, Scores]) -> list[Finding]:
    """Hold claims against scores.

    Parameters
    ----------
    claims : iterable of Claim
    scores : mapping
        By name of the score, such as ``test_mse``.

    Returns
    -------
    list of Finding
        One for every pair of methods that a claim is about and that were run.

    Notes
    -----
    "Worse" holds if it is so on every seed, and by the claim's factor on average; differs if it is
    not so on any, or by less; and is not clear otherwise. "Level" holds if the means are within the
    claim's factor.
    """
    found = []
    for claim in claims:
        of = scores.get(claim.score, {})
        for left, right in ((a, b) for a in claim.worse for b in claim.than):
            if left in of and right in of:
                found.append(_worse(claim, left, right, of))
        for left, right in ((a, b) for a in claim.level for b in claim.to):
            if left in of and right in of:
                found.append(_level(claim, left, right, of))
    return found


def _worse(claim: Claim, left: str, right: str, scores: Scores) -> Finding:
    seeds = sorted(set(scores[left]) & set(scores[right]))
    wins = sum(scores[left][s] > scores[right][s] for s in seeds)
    losses = sum(scores[left][s] < scores[right][s] for s in seeds)
    verdict = UNCLEAR
    a, b = (_mean(scores[name]) for name in (left, right))
    if seeds and wins == len(seeds):
        # Worse, but not by as much as is claimed, is not what is claimed.
        verdict = HOLDS if not math.isfinite(a) or a >= claim.by * b else DIFFERS
    elif seeds and losses == len(seeds):
        verdict = DIFFERS
    on = f"worse on {wins} of {len(seeds)} seeds"
    return Finding(claim, verdict, f"{WORDS[claim.score]}{_pair(left, right, scores)}; {on}")


def _level(claim: Claim, left: str, right: str, scores: Scores) -> Finding:
    a, b = (_mean(scores[name]) for name in (left, right))
    lost = sum(math.isinf(v) for v in scores[left].values())
    ratio = a / b if b else math.inf
    verdict = HOLDS if 1 / claim.within <= ratio <= claim.within and not lost else DIFFERS
    return Finding(claim, verdict, f"{WORDS[claim.score]}{_pair(left, right, scores)}")


def _pair(left: str, right: str, scores: Scores) -> str:
    a, b = (_mean(scores[name]) for name in (left, right))
    ratio = f", {a / b:.2f} times" if math.isfinite(a) and math.isfinite(b) and b else ""
    return f"{left} {_said(scores[left])}, {right} {_said(scores[right])}{ratio}"


def _mean(of: Mapping[int, float]) -> float:
    fine = [value for value in of.values() if math.isfinite(value)]
    return float(np.mean(fine)) if fine else math.inf


def _said(of: Mapping[int, float]) -> str:
    lost = sum(not math.isfinite(value) for value in of.values())
    if lost == len(of):
        return "diverged"
    return f"{_mean(of):.3g}" + (f" ({lost} of {len(of)} diverged)" if lost else "")
