"""Sweeps: one config and what to vary in; a folder of runs and one table out."""

from neurosim.experiments.sweep.axes import Axes
from neurosim.experiments.sweep.results import load_results
from neurosim.experiments.sweep.runs import Run, runs
from neurosim.experiments.sweep.sweep import Outcome, Sweep

__all__ = ["Axes", "Outcome", "Run", "Sweep", "load_results", "runs"]
