"""Tasks for recurrent networks: arrays in, arrays out, and the baselines that must be beaten.

A task knows nothing of what is trained on it. Importing this package costs an import of NumPy;
pandas and the downloader are imported only when a table is read or fetched.
"""

from neurosim_tasks.checks import TaskError
from neurosim_tasks.copying import Copying
from neurosim_tasks.delayed_xor import DelayedXor
from neurosim_tasks.evidence import Evidence
from neurosim_tasks.flip_flop import FlipFlop
from neurosim_tasks.mackey_glass import MackeyGlass
from neurosim_tasks.parity import Parity
from neurosim_tasks.sine import Sine
from neurosim_tasks.task import Task
from neurosim_tasks.weather import Weather

__all__ = [
    "Copying",
    "DelayedXor",
    "Evidence",
    "FlipFlop",
    "MackeyGlass",
    "Parity",
    "Sine",
    "Task",
    "TaskError",
    "Weather",
]
