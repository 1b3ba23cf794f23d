"""What was measured, for people: tables, and whether each aim was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .gpu_timing import CONTENDERS

# The aims, set before anything was measured.
STEP = {False: 10.0, True: 20.0}  # microseconds without D and with, N = 1000, B = 10
STEP_RULES = ("NP", "ANP", "WP")
FASTER = 3.0  # times, than each peer
EPOCH = 0.1  # seconds of Mackey-Glass at full size
FULL_SIZE = {"hidden": 1000, "batch": 10, "steps": 5000}
LIMITS = ("flops", "dram", "l2", "barrier")
NAMES = {"graph": "CUDA graph", "torch": "PyTorch", "jax": "JAX"}

Found = Mapping[str, Any]


def tables(found: Found) -> list[Any]:
    """All that can be shown of what was found so far, as tables of rich."""
    drawn = [_card(found), _agreement(found), _steps(found), _epochs(found)]
    return [table for table in drawn if table is not None and table.row_count]


def _table(title: str, *heads: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for k, head in enumerate(heads):
        table.add_column(head, justify="right" if k else "left")
    return table


def _card(found: Found) -> Any:
    table = _table("Card", "", "")
    for name, value in {**found.get("versions", {}), **found.get("card", {})}.items():
        table.add_row(name, str(value))
    for name, value in found.get("rates", {}).items():
        table.add_row(name, value if isinstance(value, str) else f"{value:.4g}")
    return table


def _agreement(found: Found) -> Any:
    table = _table("Agreement", "", "identical", "largest difference", "of what is allowed")
    for what, results in found.get("agreement", {}).items():
        for name, result in results.items() if what != "tests" else ():
            if "reason" in result:
                table.add_row(f"{what}: {name}", result["reason"])
                continue
            numbers = (result["largest_difference"], result["of_allowed"])
            same = "yes" if result["identical"] else "no"
            table.add_row(f"{what}: {name}", same, *(f"{number:.2g}" for number in numbers))
    return table


def _steps(found: Found) -> Any:
    cases = found.get("cases", [])
    peers = [k for k in CONTENDERS[1:] if any(k in case["contenders"] for case in cases)]
    heads = [f"floor: {name}" for name in LIMITS]
    heads += [head for name in peers for head in (NAMES[name], "ratio")]
    title = "Microseconds a step (ratio: the peer's time by neurosim's)"
    table = _table(title, "rule", "N", "B", "neurosim", *heads)
    for case in cases:
        by, floors = case["contenders"], case["floors"]
        row = [case["name"], str(case["hidden"]), str(case["batch"]), us(by.get("neurosim"))]
        row += [f"{floors[name]:.3g}" if name in floors else "" for name in LIMITS]
        for name in peers:
            ratio = by.get(name, {}).get("ratio")
            row += [us(by.get(name)), "" if ratio is None else f"{ratio:.2f}"]
        table.add_row(*row)
    return table


def _epochs(found: Found) -> Any:
    table = _table("One epoch of Mackey-Glass", "rule", "N", "B", "steps", "s", "s, wall")
    for name, result in found.get("epochs", {}).items():
        if "reason" in result:
            table.add_row(name, "", "", "", result["reason"])
            continue
        sizes = [str(result[key]) for key in ("hidden", "batch", "steps")]
        table.add_row(name, *sizes, f"{result['seconds']:.3f}", f"{result['wall_seconds']:.3f}")
    return table


def us(result: Found | None) -> str:
    """Microseconds of a step; a dash where there are none."""
    if result is None:
        return ""
    return "-" if "reason" in result else f"{1e3 * result['ms_per_step']:.1f}"


def reasons(found: Found) -> list[str]:
    """Why some cases have no number, each reason once."""
    said: dict[str, list[str]] = {}
    for case in found.get("cases", []):
        for name, result in case["contenders"].items():
            if "reason" in result:
                where = f"{case['name']}, N = {case['hidden']}, B = {case['batch']}"
                said.setdefault(f"{name}: {result['reason']}", []).append(where)
    return [
        f"{why} ({where[0] if len(where) == 1 else f'{len(where)} cases'})"
        for why, where in said.items()
    ]


def verdicts(found: Found) -> list[str]:
    """Every aim: met or not, with the ratio; or that it was not measured."""
    lines = _agreed(found.get("agreement", {}))
    cases = found.get("cases", [])
    for decorrelated, most in STEP.items():
        for rule in STEP_RULES:
            lines.append(_fast_enough(cases, rule, decorrelated, most))
    lines += [_faster_than(cases, name) for name in CONTENDERS[1:]]
    for name, result in found.get("epochs", {}).items() or {"all": {}}.items():
        sizes = [result.get(key, full) for key, full in FULL_SIZE.items()]
        where = "N = {}, B = {}, {} steps".format(*sizes)
        what = f"one epoch of Mackey-Glass ({where}) in at most {EPOCH} s, {name}"
        lines.append(_at_most(what, result.get("seconds"), EPOCH, "s"))
    many = found.get("side_by_side", {})
    if "ms_per_step" in many:
        words = f"{many['networks']} networks of {many['hidden']} side by side: "
        times = many.get("times_one_by_one")
        more = "" if times is None else f", {times:.1f} times faster than one by one"
        lines.append(f"{words}{1e3 * many['ms_per_step']:.1f} us a step of all{more}")
    return lines


def _agreed(agreement: Found) -> list[str]:
    aims = {
        "emulator": ("the emulator and the kernel agree to the bit", "identical"),
        "cpu": ("the cpu and the cuda engine agree", "of_allowed"),
        "peers": ("the peers compute what NumPy does", "of_allowed"),
    }
    lines = []
    for name, (what, measure) in aims.items():
        results = agreement.get(name, {})
        known = [result for result in results.values() if "reason" not in result]
        if not known:
            lines.append(f"NOT MEASURED: {what}")
            continue
        good = [r["identical"] if measure == "identical" else r["of_allowed"] <= 1 for r in known]
        count = f"{sum(good)} of {len(results)}"
        worst = max(result["largest_difference"] for result in known)
        met = "met" if sum(good) == len(results) else "NOT MET"
        lines.append(f"{met}: {what}: {count}, largest difference {worst:.2g}")
    tests = agreement.get("tests", {})
    if "passed" in tests:
        lines.append(f"{'met' if tests['passed'] else 'NOT MET'}: tests: {tests['summary']}")
    else:
        lines.append(f"NOT MEASURED: tests of the cuda engine{_why(tests)}")
    return lines


def _why(result: Found) -> str:
    return f" ({result['reason']})" if "reason" in result else ""


def _fast_enough(cases: Sequence[Found], rule: str, decorrelated: bool, most: float) -> str:
    name = f"D{rule}" if decorrelated else rule
    what = f"a step of {name} at N = 1000, B = 10 in at most {most:g} us"
    key = (name, 1000, 10)
    for case in cases:
        if (case["name"], case["hidden"], case["batch"]) == key:
            ms = case["contenders"].get("neurosim", {}).get("ms_per_step")
            return _at_most(what, None if ms is None else 1e3 * ms, most, "us")
    return _at_most(what, None, most, "us")


def _at_most(what: str, value: float | None, most: float, unit: str) -> str:
    if value is None:
        return f"NOT MEASURED: {what}"
    met = "met" if value <= most else "NOT MET"
    return f"{met}: {what}: {value:.3g} {unit}, {value / most:.2f} of it"


def _faster_than(cases: Sequence[Found], name: str) -> str:
    what = f"{FASTER:g} times faster than {NAMES[name]}"
    ratios = {}
    for case in cases:
        ratio = case["contenders"].get(name, {}).get("ratio")
        if ratio is not None:
            ratios[f"{case['name']}, N = {case['hidden']}, B = {case['batch']}"] = ratio
    if not ratios:
        return f"NOT MEASURED: {what}"
    least = min(ratios, key=lambda key: ratios[key])
    good = sum(ratio >= FASTER for ratio in ratios.values())
    met = "met" if good == len(ratios) else "NOT MET"
    return f"{met}: {what}: in {good} of {len(ratios)} cases; least {ratios[least]:.2f} ({least})"
