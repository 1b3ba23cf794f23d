"""neurosim: train recurrent networks with local perturbation rules on a simulated chip."""

from typing import TYPE_CHECKING, Any

from neurosim.errors import (
    CheckpointError,
    DivergenceError,
    InputError,
    NeurosimError,
    StorageError,
)
from neurosim.network import Network, Population, Projection, rnn
from neurosim.neurons import Linear, ReLU, Tanh
from neurosim.record import Probe, Record
from neurosim.rules import ANP, NP, WP, Decorrelation, LocalDecorrelation
from neurosim.simulator import Simulator
from neurosim.substrate import Substrate

if TYPE_CHECKING:
    from neurosim.training import History, train

__version__ = "0.1.0"

__all__ = [
    "ANP",
    "NP",
    "WP",
    "CheckpointError",
    "Decorrelation",
    "DivergenceError",
    "History",
    "InputError",
    "Linear",
    "LocalDecorrelation",
    "Network",
    "NeurosimError",
    "Population",
    "Probe",
    "Projection",
    "ReLU",
    "Record",
    "Simulator",
    "StorageError",
    "Substrate",
    "Tanh",
    "__version__",
    "rnn",
    "train",
]


def __getattr__(name: str) -> Any:
    # Imported when asked for: who simulates need not pay for training.
    if name in ("History", "train"):
        from neurosim import training

        return getattr(training, name)
    raise AttributeError(f"module 'neurosim' has no attribute {name!r}")
