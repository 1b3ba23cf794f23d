"""How much a network does and how much of it is idle, by the names NeuroBench has for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.neurons import One
from neurosim.record import Probe
from neurosim.simulator import Simulator

ROOM = 2**26  # bytes of activities looked at together


@dataclass(frozen=True)
class Metrics:
    """Complexity of a network that does not learn, after NeuroBench [1]_.

    An execution is one step of one replica.

    Attributes
    ----------
    footprint : int
        ``Footprint``: bytes of the weights, as they are simulated (float32).
    connection_sparsity : float
        ``ConnectionSparsity``: part of the weights that are 0.
    activation_sparsity : float
        ``ActivationSparsity``: part of the hidden activities that are 0, on the test.
    dense : float
        ``SynapticOperations``, ``Dense``: weights, each met once in an execution.
    effective_macs : float
        ``SynapticOperations``, ``Effective_MACs``: of these, weights and inputs that are not 0,
        mean over executions on the test.
    effective_acs : float
        ``SynapticOperations``, ``Effective_ACs``: the same for inputs that are only ever 0, 1 or
        -1, where nothing has to be multiplied.

    References
    ----------
    .. [1] Yik et al. (2025), The neurobench framework for benchmarking neuromorphic computing
       algorithms and systems, Nature Communications 16.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    dense: float
    effective_macs: float
    effective_acs: float


def measure(sim: Simulator, inputs: NDArray[Any], targets: NDArray[Any]) -> Metrics:
    """Measure a simulator's network on data ``(T, series, features)``."""
    network = sim.network
    # Feedback weights teach, they do not answer: they are none of the network's.
    weights = {name: w for name, w in sim.weights.items() if name in network.matrices}
    acting = [p.name for p in network.populations[1:-1] if p.neuron != One()]
    alive = steps = 0
    met = {name: np.zeros(w.shape[1]) for name, w in weights.items()}
    binary = dict.fromkeys(weights, True)
    for part in _parts(sim, inputs, targets):
        steps += part["steps"].size
        alive += sum(int(np.count_nonzero(part[name, "x"])) for name in acting)
        for name in weights:
            came = _arriving(sim, name, part)
            met[name] += np.count_nonzero(came, axis=(0, 1))
            binary[name] &= bool(np.isin(came, (-1, 0, 1)).all())
    effective = {
        name: float(met[name] @ np.count_nonzero(w, axis=0)) for name, w in weights.items()
    }
    total = sum(w.size for w in weights.values())
    neurons = sum(network.population(name).size for name in acting)
    return Metrics(
        footprint=sum(w.nbytes for w in weights.values()),
        connection_sparsity=sum(int((w == 0).sum()) for w in weights.values()) / total,
        activation_sparsity=1 - alive / (steps * neurons) if neurons else 0.0,
        dense=float(total),
        effective_macs=sum(n for name, n in effective.items() if not binary[name]) / steps,
        effective_acs=sum(n for name, n in effective.items() if binary[name]) / steps,
    )


def _parts(sim: Simulator, inputs: Any, targets: Any) -> Iterator[dict[Any, NDArray[Any]]]:
    """Activities and what was sent, some series at a time."""
    network = sim.network
    probes = [Probe(p.name, variable) for p in network.populations for variable in ("x", "s")]
    each = 8 * len(inputs) * sum(p.size for p in network.populations)
    group = max(1, ROOM // each)
    for first in range(0, inputs.shape[1], group):
        some = slice(first, first + group)
        seen = sim.evaluate(inputs[:, some], targets[:, some], probes=probes).probes
        part: dict[Any, NDArray[Any]] = {(p.of, p.variable): seen[p.name] for p in probes}
        yield part | {"steps": np.ones(inputs[:, some].shape[:2], dtype=bool)}


def _arriving(sim: Simulator, matrix: str, part: dict[Any, NDArray[Any]]) -> NDArray[Any]:
    """What a matrix's synapses get, ``(T, series, n_pre)``."""
    for population in sim.network.populations:
        if population.decorrelation == matrix:
            return part[population.name, "x"]
    projection = next(p for p in sim.network.projections if p.name == matrix)
    sent = part[projection.pre, "s"]
    if projection.delay == 0:
        return sent
    return np.concatenate([np.zeros_like(sent[:1]), sent[:-1]])  # from rest
