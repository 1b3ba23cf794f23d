"""Tasks for recurrent networks: arrays in, arrays out, and the baselines that must be beaten.

A task knows nothing of what is trained on it. Importing this package costs an import of NumPy;
pandas and the downloader are imported only when a table is read or fetched.
"""

from tasks.checks import TaskError
from tasks.copying import Copying
from tasks.mackey_glass import MackeyGlass
from tasks.task import Task
from tasks.weather import Weather

__all__ = ["Copying", "MackeyGlass", "Task", "TaskError", "Weather"]
