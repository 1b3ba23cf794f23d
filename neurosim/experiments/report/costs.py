"""What a run cost, and what its network would cost elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurosim.bptt import BPTT
from neurosim.experiments import markdown
from neurosim.experiments.markdown import with_unit
from neurosim.experiments.report.energy import COSTS, PICO
from neurosim.experiments.report.neurobench import Metrics, measure
from neurosim.neurons import One
from neurosim.simulator import Simulator
from neurosim.training import COUNTS


def learning(found: Mapping[str, Any]) -> list[str]:
    """Write what learning took; `found` is what `Kept.learned` gives of the run."""
    return ["### Of learning, here", "", *_learning(found)]


def network(sim: Simulator, task: Any, found: Mapping[str, Any]) -> list[str]:
    """Write what the network of a run costs, on the test, and would cost elsewhere.

    Parameters
    ----------
    sim : Simulator
        As it was left.
    task : task
    found : mapping
        What `Kept.learned` gives of the run.
    """
    metrics = measure(sim, *task.test())
    return [
        "### Of the network, by NeuroBench's names",
        "",
        *_network(sim, metrics),
        "",
        "### Energy, elsewhere",
        "",
        *_energy(sim, metrics, found),
    ]


def _learning(found: Mapping[str, Any]) -> list[str]:
    rows: list[tuple[str, str]] = []
    if found["steps"]:
        rows += [
            ("time", duration(found["seconds"])),
            ("learning steps", f"{found['steps']:,}"),
            ("time a step (median epoch)", duration(found["seconds_per_step"])),
        ]
    if found.get("memory"):
        words = "memory of weights, activities, traces and all else the engine keeps"
        rows.append((words, size(found["memory"])))
    for name in COUNTS:
        if name in found:
            rows.append((f"{name.replace('_', ' ')} a step", f"{found[name]:,.0f}"))
    if not rows:
        return ["Nothing was learned."]
    backward = " What goes back through time is not counted." * (found["rule"] == BPTT.__name__)
    return [
        *markdown.table(["", ""], rows),
        "",
        f"A step is of all {found['batch']} replicas and all passes side by side. Events: "
        "numbers that neurons send; synaptic operations: weights that one meets, zero or not; "
        "weight writes: weights told to change. Memory is without the data and the record, which "
        f"grow with the sequence whoever learns.{backward} Engine {found['engine']}.",
    ]


def _network(sim: Simulator, metrics: Metrics) -> list[str]:
    footprint = f"{metrics.footprint:,} bytes"
    bits = sim.substrate.w_bits
    if bits:
        footprint += f" (float32; at this chip's {bits} bits {metrics.footprint * bits // 32:,})"
    rows = [
        ("Footprint", footprint),
        ("ConnectionSparsity", f"{metrics.connection_sparsity:.4f}"),
        ("ActivationSparsity", f"{metrics.activation_sparsity:.4f}"),
        ("SynapticOperations: Dense", f"{metrics.dense:,.0f}"),
        ("SynapticOperations: Effective_MACs", f"{metrics.effective_macs:,.1f}"),
        ("SynapticOperations: Effective_ACs", f"{metrics.effective_acs:,.1f}"),
    ]
    return [
        *markdown.table(["", ""], rows),
        "",
        "Of the trained network when it does not learn, on the test; operations are of one step of "
        "one replica. Definitions after NeuroBench (Yik et al., Nature Communications 16, 2025). "
        "Footprint: the weights. Activation sparsity: of the hidden population. An operation is "
        "effective if neither the weight nor what it meets is 0; it is an accumulation (AC) where "
        "a projection only ever carries 0, 1 or -1, else a multiplication as well (MAC).",
    ]


def _energy(sim: Simulator, metrics: Metrics, found: Mapping[str, Any]) -> list[str]:
    populations = sim.network.populations
    neurons = sum(p.size for p in populations[1:] if p.neuron != One())
    units = sum(p.size for p in populations)
    rows, ranges = [], []
    for cost in COSTS:
        answer = cost.of(metrics.effective_macs, metrics.effective_acs, updated=neurons)
        energies = [answer]
        if found["steps"]:
            step = cost.of(
                multiplied=found["synaptic_operations"],
                written=found["weight_writes"],
                updated=found["events"] * neurons / units,
            )
            energies += [step, step * found["steps"]]
        ranges.append(energies)
        rows.append([cost.where, *map(energy, energies)])
    head = ["if it were", "answer", *(["learning step", "training"] if found["steps"] else [])]
    low, high = ([pick(column) for column in zip(*ranges, strict=True)] for pick in (min, max))
    words = f"Between **{energy(low[0])}** and **{energy(high[0])}** for the answer of one step"
    if found["steps"]:
        words += (
            f", and between **{energy(low[2])}** and **{energy(high[2])}** for the whole training"
        )
    sources = [f"- {cost.where}: {cost.source}." for cost in COSTS]
    return [
        f"{words}: nobody has built this chip, and what an operation costs depends on how. These "
        "are the counts above times what others published.",
        "",
        *markdown.table(head, rows),
        "",
        *sources,
        "",
        "Answer: of one replica, at one step, without learning. Learning step: of all replicas and "
        "passes, zeros counted as well. Not counted: drawing noise, the broadcast, events on their "
        "way between cores, leakage, converters, the computer around it"
        + (", and what goes back through time." if isinstance(sim.rule, BPTT) else "."),
    ]


def size(number: float) -> str:
    """Write a number of bytes."""
    return with_unit(number, {"GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1.0})


def duration(seconds: float) -> str:
    """Write how long something took."""
    return with_unit(seconds, {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6})


def energy(joules: float) -> str:
    """Write an energy."""
    units = {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "nJ": 1e-9, "pJ": PICO}
    return with_unit(joules, units)
