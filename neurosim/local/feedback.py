"""Rules that broadcast the outputs' errors: what they must not have."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from neurosim.errors import InputError
from neurosim.values import require_number, require_one_of


def check_feedback_numbers(rule: Any) -> None:
    """Refuse a gain or a rate of feedback that is none; a rule without them is fine.

    Raises
    ------
    InputError
        Naming the option.
    """
    owner = type(rule).__name__
    if hasattr(rule, "feedback_gain"):
        require_number(owner, "feedback_gain", rule.feedback_gain, "(0, inf)")
    if hasattr(rule, "feedback_rate"):
        allowed = "a number in (0, 2); beyond, guesses diverge"
        require_number(owner, "feedback_rate", rule.feedback_rate, "(0, 2)", allowed)


def check_feedback(rule: Any) -> None:
    """Refuse options that mean nothing to a rule with feedback, and wrong values of its own.

    Raises
    ------
    InputError
        Naming the option.
    """
    owner = type(rule).__name__
    check_feedback_numbers(rule)
    schedules = ("online", "window", "sequence") if rule.passes > 1 else ("online", "sequence")
    require_one_of(owner, "schedule", rule.schedule, schedules)
    for field in fields(rule):
        if field.name in getattr(rule, "options_without_meaning", ()):
            value = getattr(rule, field.name)
            if value != field.default:
                raise InputError(
                    f"{owner}: {field.name} = {value!r} does nothing: credit is each output's "
                    f"error, weighed by feedback, and no reward; leave it out"
                )
