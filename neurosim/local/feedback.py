"""Rules that broadcast the outputs' errors: what they must not have."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from neurosim.errors import InputError, is_number, require


def check_feedback(rule: Any) -> None:
    """Refuse options that mean nothing to a rule with feedback, and wrong values of its own.

    Raises
    ------
    InputError
        Naming the option.
    """
    owner = type(rule).__name__
    if hasattr(rule, "feedback_gain"):
        gain, allowed = rule.feedback_gain, "a finite number > 0"
        require(is_number(gain) and gain > 0, owner, "feedback_gain", gain, allowed)
    if hasattr(rule, "feedback_rate"):
        rate, allowed = rule.feedback_rate, "a number in (0, 2); beyond, guesses diverge"
        require(is_number(rate) and 0 < rate < 2, owner, "feedback_rate", rate, allowed)
    schedules = ("online", "window", "sequence") if rule.passes > 1 else ("online", "sequence")
    allowed = f"one of {', '.join(schedules)}"
    require(rule.schedule in schedules, owner, "schedule", rule.schedule, allowed)
    for field in fields(rule):
        if field.name in getattr(rule, "options_without_meaning", ()):
            value = getattr(rule, field.name)
            if value != field.default:
                raise InputError(
                    f"{owner}: {field.name} = {value!r} does nothing: credit is each output's "
                    f"error, weighed by feedback, and no reward; leave it out"
                )
