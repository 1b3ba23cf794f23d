"""The simulator: a network, a rule, a chip; run it, look at it, save it."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import checkpoint, describe
from neurosim.checks import check_decorrelation, check_rule, check_threads, finite_array, matching
from neurosim.engines import Engine, Plan, Progress, find
from neurosim.errors import CheckpointError, InputError, is_count, nearest, require
from neurosim.network import Network, Weights
from neurosim.record import Probe, Record, Sampler
from neurosim.substrate import Substrate

STRETCH = 3e8  # synaptic operations between two looks at the world outside the compiled loop


class Simulator:
    """A network that learns on a simulated chip.

    Parameters
    ----------
    network : Network
        For example from `rnn`.
    rule : learning rule, optional
        For example ``ANP(learning_rate=1e-4)``; or `BPTT`, the referee, which runs on
        engine "cpu", in one thread. None: projections do not learn.
    decorrelation : Decorrelation or LocalDecorrelation, optional
        How the decorrelating matrices learn. None: they stay what they are.
    substrate : Substrate, optional
        Hardware assumptions; the ideal chip by default.
    batch : int
        Replicas of the network that run side by side, each on its own data.
    engine : {"cpu", "objects"}
    seed : int
        Of all noise, in [0, 2**32). The weights have the network's own seed.
    threads : int
        Threads that share the work of every step (engine "cpu"). However many there are,
        numbers are the same to the bit. It pays for some 300 neurons and more.

    Raises
    ------
    InputError
        For a value or a combination that cannot be simulated.

    Examples
    --------
    >>> import numpy as np, neurosim as ns
    >>> net = ns.rnn(1, 20, 1, seed=1)
    >>> sim = ns.Simulator(net, rule=ns.ANP(learning_rate=1e-3), batch=2, seed=1)
    >>> record = sim.run(np.ones((5, 2, 1)), np.zeros((5, 2, 1)), learn=True)
    >>> record.loss.shape
    (5, 2)
    """

    def __init__(
        self,
        network: Network,
        rule: Any = None,
        decorrelation: Any = None,
        substrate: Substrate | None = None,
        batch: int = 1,
        engine: str = "cpu",
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        require(isinstance(network, Network), "Simulator", "network", network, "a Network")
        substrate = Substrate() if substrate is None else substrate
        fine = isinstance(substrate, Substrate)
        require(fine, "Simulator", "substrate", substrate, "a Substrate")
        require(is_count(batch) and batch >= 1, "Simulator", "batch", batch, "an int >= 1")
        fine = is_count(seed) and 0 <= seed < 2**32
        require(fine, "Simulator", "seed", seed, "a whole number in [0, 2**32)")
        check_threads(threads)
        check_rule(rule)
        check_decorrelation(decorrelation, network)
        self._plan = Plan(network, rule, decorrelation, substrate, int(batch), int(seed))
        make = find(engine, rule)
        initial = self._plan.initial_weights()
        self._engine: Engine = make(self._plan, initial, int(threads))
        if self._plan.chip.programs:
            self._engine.program(initial)
        self._step = 0

    # ------------------------------------------------------------- description

    @property
    def network(self) -> Network:
        """The network's description."""
        return self._plan.network

    @property
    def rule(self) -> Any:
        """The learning rule."""
        return self._plan.rule

    @property
    def decorrelation(self) -> Any:
        """How decorrelating matrices learn."""
        return self._plan.decorrelation

    @property
    def substrate(self) -> Substrate:
        """The hardware assumptions."""
        return self._plan.substrate

    @property
    def batch(self) -> int:
        """Number of replicas."""
        return self._plan.batch

    @property
    def seed(self) -> int:
        """Seed of all noise."""
        return self._plan.seed

    @property
    def threads(self) -> int:
        """Threads that share the work of every step."""
        return self._engine.threads

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self._engine.name

    @property
    def step(self) -> int:
        """Steps run so far. It counts the noise: no two steps share a draw."""
        return self._step

    @property
    def nbytes(self) -> int:
        """Memory of weights, activities, traces and all else the engine keeps [bytes].

        The most it was so far. Data, and the record that a run gives, are not in it.
        """
        return self._engine.nbytes

    def __repr__(self) -> str:
        sizes = "-".join(str(p.size) for p in self.network.populations)
        return (
            f"Simulator({sizes}, rule={self.rule!r}, decorrelation={self.decorrelation!r}, "
            f"substrate={self.substrate!r}, batch={self.batch}, engine={self.engine!r}, "
            f"seed={self.seed}, step={self.step})"
        )

    # ------------------------------------------------------------------ weights

    @property
    def weights(self) -> Weights:
        """Copies of all weight matrices, float32, ``w[post, pre]``.

        Assign a dict with some or all of them to overwrite them. What is then stored is what
        the chip can store: on its levels, below its full scale, and where nothing is stuck.
        """
        return self._engine.weights()

    @weights.setter
    def weights(self, weights: Mapping[str, ArrayLike]) -> None:
        there, given = self._engine.weights(), {}
        for name, values in weights.items():
            if name not in there:
                known = nearest(name, there)
                raise InputError(f"Simulator: weights[{name!r}] does not exist; {known}")
            given[name] = finite_array(values, f"weights[{name!r}]", there[name].shape)
        self._engine.program(given)

    # --------------------------------------------------------------------- time

    def run(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        learn: bool = True,
        *,
        probes: Iterable[Probe] = (),
        outputs: bool = False,
        reset: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> Record:
        """Run one sequence in every replica.

        Parameters
        ----------
        inputs : array_like, (T, batch, n_in)
        targets : array_like, (T, batch, n_out)
        learn : bool
            Whether weights change.
        probes : iterable of Probe
            States to record.
        outputs : bool
            Whether to record the baseline outputs.
        reset : bool
            Start from rest. False: go on from the activity the last run ended with.
            Episodes and eligibilities end with a run in any case.
        progress : callable, optional
            Called now and then with the number of steps done.

        Returns
        -------
        Record

        Raises
        ------
        InputError
            For wrong shapes, or data that are not finite.
        DivergenceError
            At the first step with a number that is not finite.
        """
        if learn and self.rule is None and self.decorrelation is None:
            raise InputError(
                "Simulator: learn = True needs a rule or a decorrelation; neither was given"
            )
        return self._run(
            self._engine, inputs, targets, learn, probes, outputs, reset, progress, self._count
        )

    def evaluate(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        probes: Iterable[Probe] = (),
        noise: bool = True,
    ) -> Record:
        """Run sequences from rest without learning, leaving this simulator as it is.

        On a noisy chip noise is that of this step, and none that learning will meet: to
        look twice gives the same twice.

        Parameters
        ----------
        inputs : array_like, (T, series, n_in)
            Any number of series.
        targets : array_like, (T, series, n_out)
        probes : iterable of Probe
        noise : bool
            Whether the chip's dynamic noise is on; what is frozen always is. See
            `Substrate.without_noise`.

        Returns
        -------
        Record
            With the outputs.
        """
        given = finite_array(inputs, "inputs", (None, None, self.network.inputs.size))
        plan = self._plan.without_learning(given.shape[1], noise)
        engine = type(self._engine)(plan, self._engine.weights(), self.threads)
        engine.set_ages(self._engine.ages())
        return self._run(engine, given, targets, False, probes, True, True, None, None)

    def _count(self, steps: int) -> None:
        self._step += steps

    def _run(
        self,
        engine: Engine,
        inputs: ArrayLike,
        targets: ArrayLike,
        learn: bool,
        probes: Iterable[Probe],
        outputs: bool,
        reset: bool,
        report: Callable[[int], None] | None,
        count: Callable[[int], None] | None,
    ) -> Record:
        plan = engine.plan
        network, batch = plan.network, plan.batch
        given = finite_array(inputs, "inputs", (None, batch, network.inputs.size))
        steps = len(given)
        wanted = finite_array(targets, "targets", (steps, batch, network.outputs.size))
        fine = self._step + steps < 2**32
        require(fine, "Simulator", "step", self._step + steps, "below 2**32: noise would repeat")
        sampler = Sampler(probes, plan, steps)
        progress = Progress(
            inputs=given,
            targets=wanted,
            learn=learn,
            clock=self._step,
            start=0,
            stop=0,
            loss=np.zeros((steps, batch), dtype=np.float32),
            reward=np.zeros((len(network.populations) - 1, steps, batch), dtype=np.float32),
            outputs=np.zeros((steps * outputs, batch, network.outputs.size), dtype=np.float32),
            events=np.zeros(steps, dtype=np.int64),
            operations=np.zeros(steps, dtype=np.int64),
            writes=np.zeros(steps, dtype=np.int64),
        )
        stops = sorted({*sampler.stops, *self._stretches(plan, steps), steps - 1})
        engine.begin(rest=reset)
        done = 0
        try:
            for stop in stops:
                progress.start, progress.stop = done, stop + 1
                engine.advance(progress)
                done = stop + 1
                sampler.look(engine, stop)
                if report is not None:
                    report(done)
        finally:
            if count is not None:
                count(done)
        engine.finish()
        return Record(
            loss=progress.loss,
            reward=self._rewards(progress) if learn and plan.comparisons else {},
            outputs=progress.outputs if outputs else None,
            probes=sampler.result(),
            events=progress.events,
            synaptic_operations=progress.operations,
            weight_writes=progress.writes,
            n_outputs=network.outputs.size,
        )

    @staticmethod
    def _stretches(plan: Plan, steps: int) -> range:
        """Last steps of stretches short enough for Ctrl-C and progress bars to be prompt."""
        network = plan.network
        synapses = sum(int(np.prod(network.shape(name))) for name in network.matrices)
        stretch = max(1, int(STRETCH / (synapses * plan.lanes)))
        return range(stretch - 1, steps, stretch)

    def _rewards(self, progress: Progress) -> dict[str, NDArray[np.float32]]:
        order = [p.name for p in self.network.populations[1:]]
        return {p.name: progress.reward[order.index(p.post)] for p in self.network.projections}

    # ------------------------------------------------------------ save and load

    def save(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write everything that going on needs to one file, whole or not at all.

        Parameters
        ----------
        path : path-like
        extra : mapping, optional
            Anything JSON can hold, given back by `checkpoint.read`.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        arrays = {f"weights/{name}": w for name, w in self._engine.weights().items()}
        arrays |= {f"state/{name}": values for name, values in self._engine.state().items()}
        description = {
            "kind": "simulator",
            "network": describe.network(self.network),
            "rule": describe.thing(self.rule),
            "decorrelation": describe.thing(self.decorrelation),
            "substrate": describe.thing(self.substrate),
            "batch": self.batch,
            "engine": self.engine,
            "seed": self.seed,
            "step": self.step,
            "extra": dict(extra or {}),
        }
        checkpoint.write(path, arrays, description)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        engine: str | None = None,
        threads: int = 1,
        known: Iterable[type] = (),
    ) -> Simulator:
        """Read what `save` wrote; going on equals never having stopped, bit for bit.

        Parameters
        ----------
        path : path-like
        engine : str, optional
            Another engine than the one that saved it.
        threads : int
            As for a new simulator; it is not saved, for it changes nothing but the time taken.
        known : iterable of type
            Your own rules and neuron models, if the simulator has any.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, of another kind or another version.
        """
        arrays, saved = checkpoint.read(path)
        if saved.get("kind") != "simulator":
            raise CheckpointError(f"{path}: kind = {saved.get('kind')!r} must be 'simulator'")
        with _whole(path):
            rule = describe.to_thing(saved["rule"], known)
        if engine is not None:
            find(engine, rule)  # a wrong name is the caller's mistake, not the file's
        check_threads(threads)
        with _whole(path):
            sim = cls(
                describe.to_network(saved["network"], known),
                rule=rule,
                decorrelation=describe.to_thing(saved["decorrelation"], known),
                substrate=describe.to_thing(saved["substrate"], known),
                batch=saved["batch"],
                engine=engine or saved["engine"],
                seed=saved["seed"],
                threads=threads,
            )
            sim._engine.set_weights(matching(arrays, "weights/", sim._engine.weights()))
            sim._engine.set_state(matching(arrays, "state/", sim._engine.state()))
            sim._step = operator.index(saved["step"])
        return sim


@contextmanager
def _whole(path: str | os.PathLike[str]) -> Iterator[None]:
    """Blame the file for what is missing or wrong in it."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path}: incomplete ({type(error).__name__}: {error})") from error
