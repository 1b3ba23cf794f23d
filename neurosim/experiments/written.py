"""Read the config of a run as plain tables, without importing the modules that it names.

A config is a program: tasks and rules of one's own are modules, which `neurosim run` imports. A
report, or a table of results, may be of another user's folder, and runs none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neurosim.errors import CheckpointError, InputError
from neurosim.experiments import config as configs
from neurosim.experiments import registry, settings, tables
from neurosim.experiments.config import Config
from neurosim.experiments.tables import NetworkTable, TrainingTable
from neurosim.substrate import Substrate

NAMED = ("task", "rule", "decorrelation")


@dataclass(frozen=True)
class Written:
    """A config that a run wrote, every default filled in.

    Attributes
    ----------
    path : Path
    given : dict
        Its tables.
    names : dict of str to str
        What it calls its task, its rule and, if it has one, its decorrelation.
    network, training
        The tables of these names, checked.
    substrate : Substrate
    """

    path: Path
    given: dict[str, Any]
    names: dict[str, str]
    network: NetworkTable
    training: TrainingTable
    substrate: Substrate

    @classmethod
    def read(cls, path: Path) -> Written:
        """Read a file.

        Raises
        ------
        CheckpointError
            If it is no config that a run wrote.
        """
        try:
            given = configs.read(path)[0]
            for name, table in given.items():
                if name not in configs.TABLES or not isinstance(table, Mapping):
                    raise InputError(f"[{name}]: is no table of a run's config")
            names = {name: given[name]["name"] for name in NAMED if name in given}
            if not all(isinstance(name, str) for name in names.values()):
                raise InputError(f"names = {names} must be text")
            network = tables.check(NetworkTable, given["network"], "network")
            training = tables.check(TrainingTable, given["training"], "training")
            substrate = tables.build(Substrate, given.get("substrate", {}), "substrate", {})
            return cls(path, given, names, network, training, substrate)
        except (InputError, KeyError) as error:
            said = f"it has no {error}" if isinstance(error, KeyError) else error
            raise CheckpointError(f"{path}: damaged, or not of a run ({said})") from error

    @property
    def own(self) -> str:
        """Which module of one's own it names first, if it does; it is not imported."""
        named = {**self.names, "network.neuron": self.network.neuron}
        return next((f"{what} {name!r}" for what, name in named.items() if ":" in name), "")

    @cached_property
    def digest(self) -> str:
        """As `Config.digest`."""
        training = {k: v for k, v in self.given["training"].items() if k != "epochs"}
        return settings.hashed({**self.given, "training": training})

    def flat(self) -> dict[str, Any]:
        """All fields as one table, its keys such as ``rule.learning_rate.B``."""
        return {
            key: None if value == tables.NONE else value
            for key, value in settings.leaves(self.given)
        }

    @cached_property
    def rules(self) -> dict[str, Any]:
        """Its rule and its decorrelation by their names; None for one that is not known here."""
        found: dict[str, Any] = {}
        for what, known in (("rule", registry.RULES), ("decorrelation", registry.DECORRELATIONS)):
            if what in self.names:
                table = {k: v for k, v in self.given[what].items() if k != "name"}
                found[self.names[what]] = None
                if self.names[what] in known:
                    with suppress(InputError):  # `built` says why
                        built = tables.build(known[self.names[what]], table, what, {})
                        found[self.names[what]] = built
        return found

    @property
    def rule(self) -> Any:
        """The rule, if it is known here."""
        return self.rules[self.names["rule"]]

    @cached_property
    def built(self) -> Config:
        """The config with its task and rules, if none of them is of a module of one's own.

        Raises
        ------
        InputError
            If one is, or it cannot be used here.
        """
        if self.own:
            raise InputError(f"{self.own} is a module of one's own, and looking at a run runs none")
        training = {**self.given["training"], "measures": []}
        return configs.parse({**self.given, "training": training}, self.path.stem, str(self.path))
