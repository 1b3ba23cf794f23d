"""Experiments: a config file in, a run directory out."""

from neurosim.experiments.config import Config, load
from neurosim.experiments.run import Experiment

__all__ = ["Config", "Experiment", "load"]
