"""The paper's figures, each as one command: run what is missing, then table, figure, summary."""

from neurosim.experiments.reproduce.run import Report, join, reproduce
from neurosim.experiments.reproduce.spec import Reproduction, load, names

__all__ = ["Report", "Reproduction", "join", "load", "names", "reproduce"]
