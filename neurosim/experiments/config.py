"""A config: one TOML file that says all about one experiment."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from neurosim.engines import AUTO, ENGINES, resolve
from neurosim.errors import InputError, is_one_of, nearest, require_path, shown
from neurosim.experiments import measures, registry, tables
from neurosim.experiments.held_out import HeldOut
from neurosim.experiments.tables import BaselinesTable, NetworkTable, TrainingTable
from neurosim.network import Network, rnn
from neurosim.simulator import Simulator
from neurosim.substrate import Substrate
from neurosim.substrate.presets import CHIPS

SWEEP = "sweep"  # of a file that `neurosim sweep` reads
TABLES = ("task", "network", "rule", "decorrelation", "substrate", "training", "baselines")


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

    def wiring(self) -> Network:
        """Describe the network."""
        model = registry.plugin(self.network.neuron, registry.NEURONS, "neuron")
        table = {} if self.network.tau == 1 else {"tau": self.network.tau}
        return rnn(
            self.task.n_inputs,
            self.network.hidden,
            self.task.n_targets,
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
        """The whole config, every default filled in, as TOML can hold it."""
        whole = {
            "task": {"name": self.names["task"], **tables.as_table(self.task)},
            "network": tables.plain(self.network.model_dump()),
            "rule": {"name": self.names["rule"], **tables.as_table(self.rule)},
            # What is not named is ideal.
            "substrate": tables.plain(self.substrate.assumed),
            "training": tables.plain(self.training.model_dump()),
            "baselines": tables.plain(self.baselines.model_dump()),
        }
        if self.decorrelation is not None:
            whole["decorrelation"] = {
                "name": self.names["decorrelation"],
                **tables.as_table(self.decorrelation),
            }
        # A task with a batch of its own has the training's: saying it twice invites a difference.
        whole["task"].pop("batch", None)
        return {name: whole[name] for name in TABLES if name in whole}

    @cached_property
    def shown(self) -> Any:
        """What training sees of the task: without the part that is held out, if one is."""
        part = self.training.held_out
        return HeldOut(self.task, part) if part else self.task

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides what is learned in an epoch: not of the number of epochs."""
        resolved = self.resolved()
        del resolved["training"]["epochs"]
        return _hash(resolved)

    @property
    def digests(self) -> set[str]:
        """Its digests on every engine: a run may have begun on another one."""
        return {self.digest, *(self.on(engine).digest for engine in ENGINES)}

    @cached_property
    def identity(self) -> str:
        """Hash of the whole config: of all that decides what comes out."""
        return _hash(self.resolved())

    def flat(self) -> dict[str, Any]:
        """The resolved config as one table, its keys such as ``rule.learning_rate.B``."""
        return dict(_leaves(self.resolved()))

    def differences(self, other: Config) -> dict[str, tuple[Any, Any]]:
        """Fields, as ``table.key``, in which this config and `other` differ, with both values."""
        mine, its = _flat(self.resolved()), _flat(other.resolved())
        keys = [*mine, *(key for key in its if key not in mine)]
        pairs = {key: (mine.get(key), its.get(key)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def load(
    source: str | os.PathLike[str], overrides: Iterable[str] = (), seed: int | None = None
) -> Config:
    """Read a config.

    Parameters
    ----------
    source : str or path-like
        A TOML file, or the name of a config that comes with neurosim.
    overrides : iterable of str
        Such as ``"rule.learning_rate=1e-3"``; values as in TOML, or text.
    seed : int, optional
        The one seed of weights, noise and data, whatever the config says.

    Raises
    ------
    InputError
        If there is no such config, or something in it cannot be used; one line per problem.
    """
    given, name, where = read(source, overrides)
    return parse(changed(given, {}, seed), name, where)


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
        given = tables.read(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as TOML ({error})") from error
    for text in overrides:
        try:
            _put(given, *override(text))
        except InputError as error:
            says = str(error)
            raise InputError(says if "--set" in says else f"--set {text}: {says}") from error
    return given, path.stem, str(path)


def changed(
    given: Mapping[str, Any], settings: Mapping[str, Any], seed: int | None = None
) -> dict[str, Any]:
    """Copy a config's tables, with some fields set.

    Parameters
    ----------
    given : mapping
    settings : mapping of str to value
        By field, such as ``"rule.learning_rate"``; or whole tables, such as ``"rule"``.
    seed : int, optional
        The one seed of weights, noise and data, whatever the config says.

    Raises
    ------
    InputError
        If a field lies below something that is no table.
    """
    made = copy.deepcopy(dict(given))
    for field, value in settings.items():
        _put(made, field, copy.deepcopy(value))
    if seed is not None:
        made.setdefault("training", {})["seed"] = seed
        for name in ("network", "task"):
            if isinstance(made.get(name), dict):
                made[name].pop("seed", None)
    return made


def parse(given: Mapping[str, Any], name: str, where: str) -> Config:
    """Check a config given as plain tables; `where` says in errors where it is from.

    Raises
    ------
    InputError
        One line per problem.
    """
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
        substrate = attempt(_substrate, given)
        defaults = training or TrainingTable()
        attempt(_engine, defaults.engine)
        attempt(measures.find, defaults.measures)
        task, task_name = attempt(_task, given, defaults) or (None, "")
        rule, rule_name = attempt(_rule, given) or (None, "")
        decorrelation, its_name = attempt(_decorrelation, given) or (None, "")
        attempt(_neuron, network)
        if decorrelation is not None and network is not None and network.decorrelate is False:
            problems.append("[network] decorrelate = False: must be left out with [decorrelation]")
    if problems:
        raise InputError(f"{where}:\n  " + "\n".join(problems).replace("\n", "\n  "))
    chosen, reason = resolve(training.engine, rule)
    auto = training.engine == AUTO
    fill: dict[str, Any] = {}
    if network.seed is None:
        fill["seed"] = training.seed
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
    )


def preferring(given: Mapping[str, Any], engine: str | None) -> dict[str, Any]:
    """Copy a config's tables, with an engine unless they name one; None: with none."""
    made = copy.deepcopy(dict(given))
    training = made.setdefault("training", {}) if engine is not None else None
    if isinstance(training, dict):  # or whoever checks the config says that it is no table
        training.setdefault("engine", engine)
    return made


def _named(given: Mapping[str, Any], where: str, known: Iterable[str], default: str | None) -> Any:
    table = dict(given.get(where, {}))
    name = table.pop("name", default)
    if not isinstance(name, str):
        says = "missing" if name is None else f"{shown(name)} must be text"
        raise InputError(f"[{where}] name: {says}; known: {', '.join(known)}")
    return name, table


def _task(given: Mapping[str, Any], training: TrainingTable) -> tuple[Any, str]:
    name, table = _named(given, "task", registry.tasks(), None)
    cls = registry.task(name)
    known = {f.name for f in fields(cls)} if is_dataclass(cls) else set()
    batch = table.get("batch", training.batch)
    if batch != training.batch and "batch" in known:
        says = f"must be that of [training], {training.batch}; leave it out"
        raise InputError(f"[task] batch = {shown(batch)}: {says}")
    for key in ("batch", "seed"):
        if key in known:
            table.setdefault(key, getattr(training, key))
    elsewhere = {} if set(table) <= known else _keys_of_others(name)
    return tables.build(cls, table, "task", elsewhere), name


def _keys_of_others(task: str) -> dict[str, str]:
    found = {}
    for name in registry.tasks():
        cls = registry.task(name)
        if name != task and is_dataclass(cls):
            found.update({f.name: f"task {name!r}" for f in fields(cls)})
    return found


def _rule(given: Mapping[str, Any]) -> tuple[Any, str]:
    name, table = _named(given, "rule", registry.RULES, None)
    return tables.build(registry.plugin(name, registry.RULES, "rule"), table, "rule", {}), name


def _substrate(given: Mapping[str, Any]) -> Substrate:
    """A chip from its fields, or from a preset and the fields that differ."""
    table = dict(given.get("substrate", {}))
    name = table.pop("preset", "ideal")
    if not is_one_of(name, CHIPS):
        raise InputError(
            f"[substrate] preset = {shown(name)} does not exist; {nearest(name, CHIPS)}"
        )
    start = {f.name: getattr(CHIPS[name], f.name) for f in fields(Substrate)}
    built: Substrate = tables.build(Substrate, {**start, **table}, "substrate", {})
    return built


def _decorrelation(given: Mapping[str, Any]) -> tuple[Any, str]:
    if "decorrelation" not in given:
        return None, ""
    known = registry.DECORRELATIONS
    name, table = _named(given, "decorrelation", known, "Decorrelation")
    cls = registry.plugin(name, known, "decorrelation")
    return tables.build(cls, table, "decorrelation", {}), name


def _engine(name: str) -> None:
    known = [*ENGINES, AUTO]
    if name not in known:
        raise InputError(f"[training] engine = {name!r} does not exist; {nearest(name, known)}")


def _neuron(network: NetworkTable | None) -> None:
    if network is not None:
        registry.plugin(network.neuron, registry.NEURONS, "[network] neuron")


def _locate(source: str | os.PathLike[str]) -> Path:
    path = require_path("config", "source", source)
    if path.is_file():
        return path
    known = registry.configs()
    if str(source) in known:
        return known[str(source)]
    raise InputError(
        f"config {str(source)!r}: neither a file nor the name of a config; "
        f"{nearest(str(source), known)}"
    )


def override(text: str) -> tuple[str, Any]:
    """Read ``table.key=value``; the value as in TOML, or text.

    Raises
    ------
    InputError
        If it is not of this form.
    """
    field, equals, right = text.partition("=")
    if not equals or "." not in field or not all(field.strip().split(".")):
        raise InputError(f"--set {text}: must be table.key=value")
    return field.strip(), tables.value(right)


def _put(given: dict[str, Any], field: str, value: Any) -> None:
    *above, last = field.split(".")
    if len(above) > tables.DEEPEST:
        raise InputError(f"nested more than {tables.DEEPEST} deep")
    table = given
    for key in above:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"{key!r} is not a table")
    table[last] = value


def _no_table(key: str) -> str:
    if key == SWEEP:
        return f"[{SWEEP}]: this config is of many runs; start it with: neurosim sweep"
    return f"[{key}]: no such table; {nearest(key, TABLES)}"


def _hash(resolved: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _flat(resolved: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": v for name, table in resolved.items() for key, v in table.items()}
