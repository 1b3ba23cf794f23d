"""Whole epochs on a GPU: the paper's Mackey-Glass at full size, and many networks at once."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .gpu_floors import Case
from .gpu_timing import Setting, data, reason, release, simulator

CONFIGS = Path(__file__).parents[2] / "configs" / "paper"
RULES = tuple(d + rule for rule in ("np", "anp", "wp") for d in ("", "d"))
MANY, SMALL = 132, 100  # networks, as many as an H100 has multiprocessors; their neurons


def mackey_glass(setting: Setting, say: Callable[[str], None], **smaller: Any) -> dict[str, Any]:
    """Seconds of one epoch of training by every rule, with the paper's settings.

    Parameters
    ----------
    setting : Setting
    say : callable
        Told of every result.
    **smaller
        ``hidden`` and ``steps`` in the place of the paper's, for tests.

    Returns
    -------
    dict
        By config: ``seconds`` by events on the device and ``wall_seconds``, medians; sizes; or
        a ``reason``.
    """
    found: dict[str, Any] = {}
    for name in RULES:
        label = name.upper()
        try:
            found[label] = _epoch(CONFIGS / f"mackey_glass_{name}.toml", setting, smaller)
        except Exception as error:  # the others still say something
            found[label] = {"reason": reason(error)}
        release()
        say(f"Mackey-Glass, {label}: {found[label]}")
    return found


def _epoch(path: Path, setting: Setting, smaller: dict[str, Any]) -> dict[str, Any]:
    import neurosim as ns
    from neurosim_tasks import MackeyGlass

    config = tomllib.loads(path.read_text())
    hidden = smaller.get("hidden", config["network"]["hidden"])
    options = {k: v for k, v in config["task"].items() if k != "name"}
    options["steps"] = smaller.get("steps", options["steps"])
    batch, seed = config["training"]["batch"], config["training"]["seed"]
    task = MackeyGlass(**options, batch=batch, seed=seed)
    rule, decorrelation = (_part(ns, config.get(k)) for k in ("rule", "decorrelation"))
    decorrelate = decorrelation is not None
    net = ns.rnn(task.n_inputs, hidden, task.n_targets, decorrelate=decorrelate, seed=seed)
    sim = ns.Simulator(net, rule, decorrelation, batch=batch, engine=setting.engine, seed=seed)
    inputs, targets = task.train(0)
    records = [sim.run(inputs, targets)]  # compiles
    took = [
        setting.clock(lambda: records.append(sim.run(inputs, targets)))
        for _ in range(setting.repeats)
    ]
    return {
        "seconds": statistics.median(events for events, _ in took),
        "wall_seconds": statistics.median(wall for _, wall in took),
        "hidden": hidden,
        "batch": batch,
        "steps": len(inputs),
        "mse": [records[0].mse, records[-1].mse],
    }


def _part(ns: Any, table: dict[str, Any] | None) -> Any:
    """A rule from its table in a config."""
    if table is None:
        return None
    return getattr(ns, table["name"])(**{k: v for k, v in table.items() if k != "name"})


def many(setting: Setting, ms_alone: float | None = None, steps: int = 2000) -> dict[str, Any]:
    """Milliseconds per step of many small networks in one launch, if neurosim offers it.

    `ms_alone` is what one of them takes; with it comes how many times faster they are together.
    """
    import neurosim as ns

    if not hasattr(ns, "side_by_side"):
        return {"reason": "this neurosim does not run networks side by side"}
    case = Case("NP", SMALL, 10, False)
    try:
        sims = [simulator(case, setting.engine, seed) for seed in range(MANY)]
        # The same data for all, without copies of them.
        given = [np.broadcast_to(values, (MANY, *values.shape)) for values in data(case, steps)]

        def run() -> None:
            ns.side_by_side(sims, *given)

        run()  # compiles
        took = [setting.clock(run)[0] for _ in range(setting.repeats)]
    except Exception as error:
        return {"reason": reason(error)}
    ms = 1e3 * statistics.median(took) / steps
    found = {"networks": MANY, "hidden": SMALL, "batch": 10, "ms_per_step": ms}
    return found | ({} if ms_alone is None else {"times_one_by_one": MANY * ms_alone / ms})
