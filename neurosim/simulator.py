"""The simulator: a network, a rule, a chip; run it, look at it, save it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import checkpoint, describe, display
from neurosim.checks import (
    bounded,
    check_learn,
    check_parts,
    check_threads,
    finite_array,
    fitting,
    matching,
)
from neurosim.engines import AUTO, ONE_THREAD, Engine, Plan, Progress, find, resolve
from neurosim.errors import CheckpointError, DeviceError, InputError, KernelError
from neurosim.exclusive import Exclusive
from neurosim.frozen import Frozen
from neurosim.network import Network, Weights
from neurosim.record import Probe, Record, Sampler
from neurosim.substrate import Substrate
from neurosim.values import (
    STEPS,
    nearest,
    require,
    require_count,
    require_flag,
    require_function,
    require_list,
    shown,
)

# Attributes of a simulator; one of a subclass has more.
_HELD = ("_plan", "_engine", "_step", "_epoch", "_reason", "_turns", "_version")
STRETCH = 3e8  # synaptic operations between two looks at the world outside the compiled loop
logger = logging.getLogger("neurosim")


class Copies(Frozen[str, NDArray[np.float32]]):
    """Weight matrices by name, to be read."""

    instead = "it is a copy; to overwrite weights assign a dict: sim.weights = {name: matrix}"


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
    engine : {"cpu", "cuda", "auto", "objects", "emulator"}
        "auto" is "cuda" where there is a GPU to work on and "cpu" elsewhere: `engine` has the
        name and `engine_reason` says why, as the logger ``neurosim`` does (INFO).
    seed : int
        Of all noise, in [0, 2**32). The weights have the network's own seed.
    threads : int
        Threads that share the work of every step (engine "cpu"). However many there are,
        numbers are the same to the bit. It pays for some 300 neurons and more.

    Raises
    ------
    InputError
        For a value or a combination that cannot be simulated.
    DeviceError
        If the engine needs a GPU, and there is none to work on.

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
        substrate = Substrate() if substrate is None else substrate
        check_parts(network, rule, decorrelation, substrate, batch, seed)
        # Copies, as a checkpoint gives them back: they share nothing with the caller's objects.
        network, rule = describe.kept_network(network), describe.kept("rule", rule)
        decorrelation = describe.kept("decorrelation", decorrelation)
        substrate = describe.kept("substrate", substrate)
        chosen, self._reason = _chosen(engine, rule, threads)
        self._plan = Plan(network, rule, decorrelation, substrate, int(batch), int(seed))
        self._version = self._plan.version()
        make = find(chosen, rule)
        initial = self._plan.initial_weights()
        self._engine: Engine = make(self._plan, initial, int(threads))
        if self._plan.chip.programs:
            self._engine.program(initial)
        self._step = self._epoch = 0
        self._turns = Exclusive("Simulator")

    # ------------------------------------------------------------- description

    @property
    def network(self) -> Network:
        """The network's description."""
        return self._plan.network

    @property
    def rule(self) -> Any:
        """The learning rule; of a class that can change, a copy."""
        return describe.kept("rule", self._plan.rule)

    @property
    def decorrelation(self) -> Any:
        """How decorrelating matrices learn; of a class that can change, a copy."""
        return describe.kept("decorrelation", self._plan.decorrelation)

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
    def engine_reason(self) -> str:
        """The engine's name, and why it is this one."""
        return self._reason

    @property
    def step(self) -> int:
        """Steps run so far. It counts the noise: no two steps share a draw."""
        return self._step

    @property
    def epoch(self) -> int:
        """Epochs trained so far, by which learning rates may change; `train` counts them.

        To be set by training that does without `train`.
        """
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = require_count("Simulator", "epoch", epoch, 0, STEPS)

    @property
    def nbytes(self) -> int:
        """Memory of weights, activities, traces and all else the engine keeps [bytes].

        The most it was so far. Data, and the record that a run gives, are not in it.
        """
        return self._engine.nbytes

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={words}" for name, words in self._shown().items())
        return f"Simulator({self.network.sizes}, {told})"

    def _repr_html_(self) -> str:
        network = {"network": self.network, **self._shown()}
        return display.table("Simulator", network | {"memory": f"{self.nbytes / 1e6:.3g} MB"})

    def _shown(self) -> dict[str, str]:
        """Collect the settings, to be shown; of rules those that are not as by default."""
        parts = (self.rule, self.decorrelation)
        told = dict(zip(("rule", "decorrelation"), map(display.brief, parts), strict=True))
        names = ("substrate", "batch", "engine", "seed", "step")
        return told | {name: repr(getattr(self, name)) for name in names}

    # ------------------------------------------------------------------ weights

    @property
    def weights(self) -> Weights:
        """Read-only copies of all weight matrices, float32, ``w[post, pre]``.

        Assign a dict with some or all of them to overwrite them, for example
        ``sim.weights = {"A": 2 * sim.weights["A"]}``. What is then stored is what the chip can
        store: on its levels, below its full scale, and where nothing is stuck.
        """
        with self._turns.reading():
            copies = Copies(self._engine.weights())
        for matrix in copies.values():
            matrix.flags.writeable = False
        return copies

    @weights.setter
    def weights(self, weights: Mapping[str, ArrayLike]) -> None:
        allowed = "a mapping of matrices by name"
        require(isinstance(weights, Mapping), "Simulator", "weights", weights, allowed)
        there, given = self.weights, {}
        for name, values in weights.items():
            if name not in there:
                known = nearest(name, there)
                raise InputError(f"Simulator: weights[{shown(name)}] does not exist; {known}")
            given[name] = finite_array(values, f"weights[{name!r}]", there[name].shape)
        with self._turns.alone("weights"):
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
            Called now and then with the number of steps done. Other threads that ask this
            simulator for something wait for the run to end, so it must not wait for them.

        Returns
        -------
        Record

        Raises
        ------
        InputError
            For wrong shapes, or data that are not finite.
        KernelError
            If a step cannot be computed to its end. The simulator is then of no more use.
        DivergenceError
            At the first step with a number that is not finite.
        """
        check_learn(learn, self._plan.rule, self._plan.decorrelation)
        with self._turns.alone("run"):
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

        Raises
        ------
        InputError
            As from `run`; or if a scalar function, or what it uses, has changed since this
            simulator was made.
        DivergenceError, KernelError
            As from `run`; this simulator is as it was.
        """
        require_flag("Simulator", "noise", noise)
        given = finite_array(inputs, "inputs", (None, None, self.network.inputs.size))
        if self._plan.version() != self._version:
            raise InputError(
                "Simulator: the scalar functions of its rule or neuron models, or what they use, "
                "have changed since it was made; make a new one"
            )
        plan = self._plan.without_learning(given.shape[1], noise)
        with self._turns.reading():
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
        require_function("Simulator", "progress", report, "steps")
        progress, sampler = self._prepare(engine, inputs, targets, learn, probes, outputs, reset)
        engine.begin(rest=bool(reset))
        done = 0
        try:
            for stop in sorted({*sampler.stops, *self._stretches(engine, progress.steps)}):
                progress.start, progress.stop = done, stop + 1
                done = stop + 1  # before the call: an interrupted stretch has drawn its noise
                engine.advance(progress)
                sampler.look(engine, stop)
                if report is not None:
                    report(done)
        except KernelError as error:
            if engine is self._engine:  # not a copy, in which it is evaluated
                self._turns.close(error)
            raise
        finally:
            if count is not None:
                count(done)
        engine.finish()
        return self._record(progress, sampler)

    def _prepare(
        self,
        engine: Engine,
        inputs: ArrayLike,
        targets: ArrayLike,
        learn: bool,
        probes: Iterable[Probe],
        outputs: bool,
        reset: bool,
    ) -> tuple[Progress, Sampler]:
        """Check what a run is given, and make room for what it gives."""
        require_flag("Simulator", "outputs", outputs)
        require_flag("Simulator", "reset", reset)
        network, batch = engine.plan.network, engine.plan.batch
        given = finite_array(inputs, "inputs", (None, batch, network.inputs.size))
        steps = len(given)
        wanted = finite_array(targets, "targets", (steps, batch, network.outputs.size))
        fine = self._step + steps < 2**32
        require(fine, "Simulator", "step", self._step + steps, "below 2**32: noise would repeat")
        rates, decorrelation_rates = engine.plan.rates(self._epoch, self._step, steps)
        progress = Progress(
            inputs=given,
            targets=wanted,
            learn=bool(learn),
            clock=self._step,
            start=0,
            stop=0,
            loss=np.zeros((steps, batch), dtype=np.float32),
            reward=np.zeros((len(network.populations) - 1, steps, batch), dtype=np.float32),
            rates=rates,
            decorrelation_rates=decorrelation_rates,
            outputs=np.zeros(
                (steps * bool(outputs), batch, network.outputs.size), dtype=np.float32
            ),
            events=np.zeros(steps, dtype=np.int64),
            operations=np.zeros(steps, dtype=np.int64),
            writes=np.zeros(steps, dtype=np.int64),
        )
        return progress, Sampler(probes, engine.plan, steps)

    def _record(self, progress: Progress, sampler: Sampler) -> Record:
        """What a run gives."""
        learns = progress.learn and self._plan.comparisons
        return Record(
            loss=progress.loss,
            reward=self._rewards(progress) if learns else {},
            outputs=progress.outputs if len(progress.outputs) else None,
            probes=sampler.result(),
            events=progress.events,
            synaptic_operations=progress.operations,
            weight_writes=progress.writes,
            n_outputs=self.network.outputs.size,
        )

    @staticmethod
    def _stretches(engine: Engine, steps: int) -> set[int]:
        """Last steps of stretches short enough for Ctrl-C and progress bars to be prompt."""
        plan, network = engine.plan, engine.plan.network
        synapses = sum(int(np.prod(network.shape(name))) for name in network.matrices)
        stretch = max(1, int(STRETCH * engine.speed / (synapses * plan.lanes)))
        return {*range(stretch - 1, steps, stretch), steps - 1}

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
        InputError
            If `path` is no path, or `extra` nothing that JSON can hold; or if numbers have
            overflowed: such a state is no longer usable.
        StorageError
            If the file cannot be written.
        """
        fine = extra is None or isinstance(extra, Mapping)
        require(fine, "Simulator", "extra", extra, "None or a mapping")
        with self._turns.alone("save"):
            weights, state, step = self._engine.weights(), self._engine.state(), self._step
        arrays = {f"weights/{name}": w for name, w in weights.items()}
        arrays |= {f"state/{name}": values for name, values in state.items()}
        lost = [name for name, values in arrays.items() if not bounded(values)]
        if lost:
            raise InputError(
                f"Simulator: {lost[0]} holds numbers that are not finite: this state is no longer "
                f"usable, and {os.fspath(path)} is left as it was"
            )
        description = {
            "kind": "simulator",
            "network": describe.network(self.network),
            "rule": describe.thing(self._plan.rule),
            "decorrelation": describe.thing(self._plan.decorrelation),
            "substrate": describe.thing(self.substrate),
            "batch": self.batch,
            "engine": self.engine,
            "seed": self.seed,
            "step": step,
            "epoch": self._epoch,
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
            Another engine than the one that saved it, as for a new simulator.
        threads : int
            As for a new simulator; it is not saved, for it changes nothing but the time taken.
        known : iterable of type
            Your own rules and neuron models, if the simulator has any.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, of another kind or another version.
        DeviceError
            If the engine needs a GPU, and there is none to work on: name another one.
        """
        known = require_list("Simulator", "known", known, "classes")
        for kind in known:
            require(isinstance(kind, type), "Simulator", "known", kind, "a class each")
        headers, saved = checkpoint.look(path)
        if saved.get("kind") != "simulator":
            raise CheckpointError(f"{path}: kind = {saved.get('kind')!r} must be 'simulator'")
        with _whole(path):
            rule = describe.to_thing(saved["rule"], known)
            by = resolve(saved["engine"], rule)[0] if engine is None else engine
        # A wrong name or number is the caller's mistake, not the file's.
        chosen, reason = _chosen(by, rule, threads)
        if engine is not None:
            find(chosen, rule)
        with _whole(path):
            network = describe.to_network(saved["network"], known)
            decorrelation = describe.to_thing(saved["decorrelation"], known)
            substrate = describe.to_thing(saved["substrate"], known)
            batch, seed, step = (saved[name] for name in ("batch", "seed", "step"))
            require_count("Simulator", "step", step, 0, STEPS)
            check_parts(network, rule, decorrelation, substrate, batch, seed)
            fitting(headers, Plan(network, rule, decorrelation, substrate, batch, seed))
            arrays, _ = checkpoint.read(path)
            sim = cls(network, rule, decorrelation, substrate, batch, chosen, seed, threads)
            sim._reason = reason
            weights = matching(arrays, "weights/", sim._engine.weights())
            state = matching(arrays, "state/", sim._engine.state(), sim._plan.remembered)
            sim._go_on_from(weights, state, step, saved.get("epoch", 0))
        return sim

    def _go_on_from(self, weights: Weights, state: dict[str, Any], step: int, epoch: int) -> None:
        self._engine.set_weights(weights)
        self._engine.set_state(state)
        self._step, self.epoch = step, epoch

    def __getstate__(self) -> dict[str, Any]:
        """Give what `save` writes, as objects; memory and machine code belong to this process."""
        plan = self._plan
        with self._turns.alone("pickle"):
            state = {"weights": self._engine.weights(), "state": self._engine.state()}
            return state | {
                "arguments": (
                    *(plan.network, plan.rule, plan.decorrelation, plan.substrate, plan.batch),
                    *(self.engine, plan.seed, self.threads),
                ),
                "step": self._step,
                "epoch": self._epoch,
                "reason": self._reason,
                "own": {name: value for name, value in vars(self).items() if name not in _HELD},
            }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        Simulator.__init__(self, *state["arguments"])
        self._go_on_from(state["weights"], state["state"], state["step"], state["epoch"])
        self._reason = state["reason"]
        vars(self).update(state["own"])


def side_by_side(
    simulators: Sequence[Simulator],
    inputs: ArrayLike,
    targets: ArrayLike,
    learn: bool = True,
    *,
    outputs: bool = False,
    reset: bool = True,
) -> list[Record]:
    """Run one sequence in each of several simulators; as if each had run it by itself.

    Numbers are those of `Simulator.run`, to the bit. On engine "cuda" all of them run in one
    launch, each on its share of the device: so does a GPU pay for networks that are too small to
    keep it busy. On other engines one runs after the other.

    Parameters
    ----------
    simulators : sequence of Simulator
        Of one engine. On engine "cuda" they may differ in seeds, weights, learning rates and
        other numbers, but not in the network, the batch, the rule or what the chip does.
    inputs : array_like, (simulators, T, batch, n_in)
    targets : array_like, (simulators, T, batch, n_out)
    learn, outputs, reset : bool
        As for `Simulator.run`.

    Returns
    -------
    list of Record

    Raises
    ------
    InputError
        For simulators that cannot run together, wrong shapes, or data that are not finite.
    DivergenceError
        If numbers of a simulator are not finite; the others then have run to the end.
    """
    allowed = "different simulators of one engine, one at least"
    sims = require_list("side_by_side", "simulators", simulators, allowed)
    for sim in sims:
        require(isinstance(sim, Simulator), "side_by_side", "simulators", sim, "Simulators")
    engines = {sim.engine for sim in sims}
    fine = len({id(sim) for sim in sims}) == len(sims) > 0 and len(engines) == 1
    require(fine, "side_by_side", "simulators", [sim.engine for sim in sims], allowed)
    allowed, sequences = f"{len(sims)}, one sequence for each simulator", []
    for name, values in (("inputs", inputs), ("targets", targets)):
        # One by one, as they come: a mask must not be lost.
        sequences.append(require_list("side_by_side", name, values, allowed))
        fine = len(sequences[-1]) == len(sims)
        require(fine, "side_by_side", f"length of {name}", len(sequences[-1]), allowed)
    for sim in sims:
        check_learn(learn, sim.rule, sim.decorrelation)
    with ExitStack() as turns:
        for sim in sorted(sims, key=id):  # in one order, lest two calls wait for each other
            turns.enter_context(sim._turns.alone("side_by_side"))
        return _side_by_side(sims, sequences, learn, outputs, reset)


def _side_by_side(
    sims: list[Simulator],
    sequences: list[list[Any]],
    learn: bool,
    outputs: bool,
    reset: bool,
) -> list[Record]:
    given = zip(sims, *sequences, strict=True)
    prepared = [sim._prepare(sim._engine, u, y, learn, (), outputs, reset) for sim, u, y in given]
    make = type(sims[0]._engine)
    for sim, engine in zip(sims, make.side_by_side([sim._engine for sim in sims]), strict=True):
        sim._engine = engine
        engine.begin(rest=bool(reset))
    stretches, done = [progress for progress, _ in prepared], 0
    try:
        for stop in sorted(sims[0]._stretches(sims[0]._engine, stretches[0].steps)):
            for progress in stretches:
                progress.start, progress.stop = done, stop + 1
            done = stop + 1  # before the call: an interrupted stretch has drawn its noise
            make.advance_all([sim._engine for sim in sims], stretches)
    except KernelError as error:
        for sim in sims:
            sim._turns.close(error)
        raise
    finally:
        for sim in sims:
            sim._count(done)
    for sim in sims:
        sim._engine.finish()
    return [sim._record(*each) for sim, each in zip(sims, prepared, strict=True)]


def _chosen(engine: str, rule: Any, threads: Any) -> tuple[str, str]:
    """Choose an engine, for so many threads; its name, and why it is this one."""
    check_threads(threads)
    chosen, reason = resolve(engine, rule)
    if engine == AUTO:
        logger.info("engine auto is %s", reason)
    fine = threads == 1 or chosen not in ONE_THREAD
    require(fine, "Simulator", "threads", threads, f"1 with engine = {chosen!r}")
    return chosen, reason


@contextmanager
def _whole(path: str | os.PathLike[str]) -> Iterator[None]:
    """Blame the file for what is missing or wrong in it."""
    try:
        yield
    except (DeviceError, MemoryError):
        raise
    except CheckpointError as error:
        said = str(error)
        raise CheckpointError(said if str(path) in said else f"{path}: {said}") from error
    except Exception as error:  # what a file may hold can raise anything
        raise CheckpointError(f"{path}: damaged ({type(error).__name__}: {error})") from error
