"""A config: one TOML file that says all about one experiment."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as field_
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w

from neurosim.describe import alike
from neurosim.engines import AUTO, ENGINES, resolve
from neurosim.errors import InputError, NeurosimError
from neurosim.experiments import measures, named, registry, settings, tables
from neurosim.experiments.held_out import HeldOut
from neurosim.experiments.tables import BaselinesTable, NetworkTable, TrainingTable
from neurosim.files import place, text_of
from neurosim.network import Network, rnn
from neurosim.simulator import Simulator
from neurosim.substrate import Substrate
from neurosim.task import checked
from neurosim.values import (
    SIZES,
    nearest,
    require_count,
    shortened,
    shown,
)

SWEEP = "sweep"  # of a file that `neurosim sweep` reads
TABLES = ("task", "network", "rule", "decorrelation", "substrate", "training", "baselines")
# Tables that a class is built from, every field of it. Of a substrate only what it assumes is
# written: a field that is 0 and one that is None assume the same, nothing.
OBJECTS = ("task", "rule", "decorrelation")
TOML = "text, numbers, true and false, dates, lists and tables"


@dataclass(frozen=True)
class Config:
    """A checked config, its tasks and rules built.

    Attributes
    ----------
    name : str
        Of the file, without folder and suffix.
    task, rule, decorrelation, substrate
        The objects; `decorrelation` is None where the config has none.
    names : dict of str to str
        What the config calls them.
    network, training, baselines
        The tables of these names, defaults filled in. An engine left to "auto" is chosen.
    engine_reason : str
        Which engine was chosen, and why; empty where the config names one.
    where : str
        Where the config is from, for messages.
    """

    name: str
    names: dict[str, str]
    task: Any
    rule: Any
    decorrelation: Any
    substrate: Substrate
    network: NetworkTable
    training: TrainingTable
    baselines: BaselinesTable
    engine_reason: str = ""
    where: str = field_(default="", compare=False)

    def wiring(self) -> Network:
        """Describe the network."""
        owner = f"task {self.names['task']!r}"
        n_inputs, n_targets = (
            require_count(owner, name, getattr(self.task, name, None), 1, SIZES)
            for name in ("n_inputs", "n_targets")
        )
        model = registry.plugin(self.network.neuron, registry.NEURONS, "neuron")
        table = {} if self.network.tau == named.tau(model) else {"tau": self.network.tau}
        return rnn(
            n_inputs,
            self.network.hidden,
            n_targets,
            decorrelate=bool(self.network.decorrelate),
            neuron=tables.build(model, table, "network", {}),
            gain=self.network.gain,
            input_gain=self.network.input_gain,
            recurrent=self.network.recurrent,
            bias=self.network.bias,
            seed=self.network.seed or 0,
        )

    def simulator(self, threads: int = 1) -> Simulator:
        """Build the simulator as it is before training."""
        return Simulator(
            self.wiring(),
            rule=self.rule,
            decorrelation=self.decorrelation,
            substrate=self.substrate,
            batch=self.training.batch,
            engine=self.training.engine,
            seed=self.training.seed,
            threads=threads,
        )

    def on(self, engine: str) -> Config:
        """The same on another engine."""
        return replace(self, training=self.training.model_copy(update={"engine": engine}))

    def resolved(self) -> dict[str, Any]:
        """Give the whole config, every default filled in, as TOML can hold it.

        As it was when first asked for: a task of one's own may change while it is trained on.
        """
        return copy.deepcopy(self._resolved)

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        whole = {
            "task": {tables.NAME: self.names["task"], **tables.as_table(self.task)},
            "network": tables.plain(self.network.model_dump()),
            "rule": {tables.NAME: self.names["rule"], **tables.as_table(self.rule)},
            # What is not named is ideal.
            "substrate": tables.plain(self.substrate.assumed),
            "training": tables.plain(self.training.model_dump()),
            "baselines": tables.plain(self.baselines.model_dump()),
        }
        if self.decorrelation is not None:
            whole["decorrelation"] = {
                tables.NAME: self.names["decorrelation"],
                **tables.as_table(self.decorrelation),
            }
        # A task with a batch of its own has the training's: saying it twice invites a difference.
        whole["task"].pop("batch", None)
        return {name: whole[name] for name in TABLES if name in whole}

    def toml(self) -> str:
        """Write the resolved config as a run's folder holds it."""
        return tomli_w.dumps(self.resolved())

    @cached_property
    def read_back(self) -> Config:
        """The config that the folder of a run describes, by which a run is done and gone on with.

        Raises
        ------
        InputError
            If it is another one: one line per field that TOML cannot hold, and that its class
            does not make again of what is read.
        """
        resolved = self.resolved()
        try:
            given = tables.read(tomli_w.dumps(resolved).encode().decode())
            again = _parsed(given, self.name, self.where)
        except Exception as error:  # the class's own code may raise anything
            known = isinstance(error, InputError)
            why = str(error) if known else f"{type(error).__name__}: {error}"
            lines = [*self._changed_by_toml(), *why.removeprefix(f"{self.where}:\n").splitlines()]
        else:
            lines = list(self._changed_by_reading(again))
            if not lines and not alike(resolved, again.resolved()):
                differ = self.differences(again).items()
                lines = [
                    f"{k} = {was!r}: would be read back as {now!r}" for k, (was, now) in differ
                ]
        if lines:
            what = f"{self.where or self.name}: a run's config.toml would not describe the run:"
            raise InputError("\n  ".join([what, *map(str.strip, lines)]))
        found = replace(again, engine_reason=self.engine_reason)
        vars(found).update(read_back=found, _resolved=again.resolved())
        return found

    def _changed_by_reading(self, again: Config) -> Iterator[str]:
        """Say which fields are others in the config that was read back."""
        for table in OBJECTS:
            one, other = getattr(self, table), getattr(again, table)
            if type(one) is not type(other):
                yield f"[{table}] is {one!r}, and would be read back as {other!r}"
            elif one is not None:
                for name, was, found in tables.unlike(one, other):
                    yield (
                        f"[{table}] {name} = {was!r}: would be read back as {found!r}; have "
                        f"{type(one).__name__}.__post_init__() make the one of the other, or "
                        f"use what TOML has: {TOML}"
                    )

    def _changed_by_toml(self) -> Iterator[str]:
        """Say which fields TOML cannot hold as they are."""
        for table in OBJECTS:
            thing = getattr(self, table)
            for name in () if thing is None else tables.settable(thing):
                value = getattr(thing, name)
                if value is not None and not alike(tables.plain(value), value):
                    yield f"[{table}] {name} = {value!r}: is written as {tables.plain(value)!r}"

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Have the task named where it has no data to show.

        Raises
        ------
        InputError
            In place of the errors by which a task, which knows nothing of neurosim, says so.
        """
        try:
            yield
        except NeurosimError:
            raise
        except (ValueError, OSError) as error:
            raise InputError(f"task {self.names['task']!r}: {error}") from error

    @cached_property
    def shown(self) -> Any:
        """What training sees of the task: without the part that is held out, if one is."""
        part = self.training.held_out
        return HeldOut(self.task, part) if part else checked(self.task, "[task]")

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides what is learned in an epoch: not of the number of epochs."""
        resolved = self.resolved()
        del resolved["training"]["epochs"]
        return settings.hashed(resolved)

    @property
    def digests(self) -> set[str]:
        """Its digests on every engine: a run may have begun on another one."""
        return {self.digest, *(self.on(engine).digest for engine in ENGINES)}

    @cached_property
    def identity(self) -> str:
        """Hash of the whole config: of all that decides what comes out."""
        return settings.hashed(self.resolved())

    def flat(self) -> dict[str, Any]:
        """The resolved config as one table, its keys such as ``rule.learning_rate.B``."""
        return dict(settings.leaves(self.resolved()))

    def differences(self, other: Config) -> dict[str, tuple[Any, Any]]:
        """Fields, as ``table.key``, in which this config and `other` differ, with both values."""
        mine, its = settings.flat(self.resolved()), settings.flat(other.resolved())
        keys = [*mine, *(key for key in its if key not in mine)]
        pairs = {key: (mine.get(key), its.get(key)) for key in keys}
        return {key: pair for key, pair in pairs.items() if not alike(*pair)}


def load(
    source: str | os.PathLike[str], overrides: Iterable[str] = (), seed: int | None = None
) -> Config:
    """Read a config.

    Parameters
    ----------
    source : str or path-like
        A TOML file; or a name: of a file in the current folder's ``configs``, or else of a
        config that comes with neurosim.
    overrides : iterable of str
        Such as ``"rule.learning_rate=1e-3"``; values as in TOML or Python, or text.
    seed : int, optional
        The one seed of weights, noise and data, whatever the config says.

    Raises
    ------
    InputError
        If there is no such config, or something in it cannot be used; one line per problem.
    """
    given, name, where = read(source, overrides)
    return parse(settings.changed(given, {}, seed), name, where)


def read(
    source: str | os.PathLike[str], overrides: Iterable[str] = ()
) -> tuple[dict[str, Any], str, str]:
    """Read a config's tables, unchecked; and its name, and where it is from.

    Raises
    ------
    InputError
        If there is no such config, it is no TOML, or an override has no ``table.key=value``.
    """
    path = _locate(source)
    try:
        given = tables.read(text_of(path).removeprefix("\ufeff"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as TOML ({error})") from error
    for text in overrides:
        try:
            settings.put(given, *settings.override(text))
        except InputError as error:
            says, said = str(error), shortened(text)
            raise InputError(says if "--set" in says else f"--set {said}: {says}") from error
    return given, path.stem, str(path)


def parse(given: Mapping[str, Any], name: str, where: str) -> Config:
    """Check a config given as plain tables; `where` says in errors where it is from.

    The config is returned as a run's folder describes it: written and read back.

    Raises
    ------
    InputError
        One line per problem.
    """
    config = _parsed(given, name, where)
    if alike(given, config.resolved()):  # read back already
        config.__dict__["read_back"] = config
    return config.read_back


def _parsed(given: Mapping[str, Any], name: str, where: str) -> Config:
    """Check a config's tables, and build what they describe."""
    problems: list[str] = []

    def attempt(make: Any, *args: Any) -> Any:
        try:
            return make(*args)
        except InputError as error:
            problems.append(str(error))

    for key, value in given.items():
        if key not in TABLES:
            problems.append(_no_table(key))
        elif not isinstance(value, Mapping):
            problems.append(f"{key} = {shown(value)}: must be a table, [{key}]")
    if not problems:
        training = attempt(tables.check, TrainingTable, given.get("training", {}), "training")
        network = attempt(tables.check, NetworkTable, given.get("network", {}), "network")
        baselines = attempt(tables.check, BaselinesTable, given.get("baselines", {}), "baselines")
        substrate = attempt(named.substrate, given)
        defaults = training or TrainingTable()
        attempt(named.check_engine, defaults.engine)
        attempt(measures.find, defaults.measures)
        task, task_name = attempt(named.task, given, defaults) or (None, "")
        rule, rule_name = attempt(named.rule, given) or (None, "")
        decorrelation, its_name = attempt(named.decorrelation, given) or (None, "")
        attempt(named.check_neuron, network)
        if decorrelation is not None and network is not None and network.decorrelate is False:
            problems.append("[network] decorrelate = False: must be left out with [decorrelation]")
    if problems:
        raise InputError(f"{where}:\n  " + "\n".join(problems).replace("\n", "\n  "))
    chosen, reason = resolve(training.engine, rule)
    auto = training.engine == AUTO
    fill: dict[str, Any] = {}
    if network.seed is None:
        fill["seed"] = training.seed
    if network.tau is None:
        fill["tau"] = named.tau(registry.plugin(network.neuron, registry.NEURONS, "neuron"))
    if network.decorrelate is None:
        fill["decorrelate"] = decorrelation is not None
    return Config(
        name=name,
        names={"task": task_name, "rule": rule_name, "decorrelation": its_name},
        task=task,
        rule=rule,
        decorrelation=decorrelation,
        substrate=substrate,
        network=network.model_copy(update=fill),
        training=training.model_copy(update={"engine": chosen}),
        baselines=baselines,
        engine_reason=reason if auto else "",
        where=where,
    )


def _locate(source: str | os.PathLike[str]) -> Path:
    path = place(source, "config", "source")
    if path.is_file():
        return path
    known = registry.configs()
    if str(source) in known:
        return known[str(source)]
    raise InputError(
        f"config {str(source)!r}: neither a file nor the name of a config; "
        f"{nearest(str(source), known)}"
    )


def _no_table(key: str) -> str:
    if key == SWEEP:
        return f"[{SWEEP}]: this config is of many runs; start it with: neurosim sweep"
    return f"[{key}]: no such table; {nearest(key, TABLES)}"
