"""neurosim: train recurrent networks with local perturbation rules on a simulated chip."""

from typing import TYPE_CHECKING, Any

from neurosim import bptt, presets, rates
from neurosim.bptt import BPTT
from neurosim.errors import (
    BusyError,
    CheckpointError,
    DeviceError,
    DivergenceError,
    InputError,
    KernelError,
    NeurosimError,
    StorageError,
)
from neurosim.local import NeuronModel, Perturbation
from neurosim.network import Network, Population, Projection, rnn
from neurosim.neurons import Linear, One, ReLU, Tanh
from neurosim.record import Probe, Record
from neurosim.rules import (
    ANP,
    NP,
    RFLO,
    WP,
    Decorrelation,
    LearnedFeedback,
    LocalDecorrelation,
)
from neurosim.simulator import Simulator, side_by_side
from neurosim.substrate import Substrate

if TYPE_CHECKING:
    from neurosim.alignment import Alignment, align
    from neurosim.experiments.baselines import compute as baselines
    from neurosim.experiments.readout import refit_readout
    from neurosim.experiments.sweep import load_results
    from neurosim.training import History, train

__version__ = "0.1.0"

__all__ = [
    "ANP",
    "BPTT",
    "NP",
    "RFLO",
    "WP",
    "Alignment",
    "BusyError",
    "CheckpointError",
    "Decorrelation",
    "DeviceError",
    "DivergenceError",
    "History",
    "InputError",
    "KernelError",
    "LearnedFeedback",
    "Linear",
    "LocalDecorrelation",
    "Network",
    "NeuronModel",
    "NeurosimError",
    "One",
    "Perturbation",
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
    "align",
    "baselines",
    "bptt",
    "load_results",
    "presets",
    "rates",
    "refit_readout",
    "rnn",
    "side_by_side",
    "train",
]


def __getattr__(name: str) -> Any:
    # Imported when asked for: who simulates need not pay for training.
    if name in ("Alignment", "align"):
        from neurosim import alignment

        return getattr(alignment, name)
    if name in ("History", "train"):
        from neurosim import training

        return getattr(training, name)
    if name == "baselines":
        from neurosim.experiments.baselines import compute

        return compute
    if name == "refit_readout":
        from neurosim.experiments.readout import refit_readout

        return refit_readout
    if name == "load_results":
        from neurosim.experiments.sweep import load_results

        return load_results
    raise AttributeError(f"module 'neurosim' has no attribute {name!r}")
