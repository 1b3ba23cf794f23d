"""Reports for people: a run, many runs, or figures done again, each as one HTML file."""

from neurosim.experiments.report.report import write

__all__ = ["write"]
