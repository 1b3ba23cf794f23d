"""The options of learning by backpropagation through time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from neurosim import rates
from neurosim.bptt.gradient import check_reach
from neurosim.bptt.optimisers import check_optimiser
from neurosim.errors import InputError
from neurosim.frozen import freeze
from neurosim.values import require_one_of

SCHEDULES = ("online", "chunk", "sequence")


@dataclass(frozen=True)
class BPTT:
    """Backpropagation through time, the referee: what gradients would learn. Not local.

    Give it to a `Simulator` like any rule. The hidden layer and the readout follow the
    gradient; D, where there is one, learns by the decorrelation rule at the same moments.

    Parameters
    ----------
    learning_rate : float, schedule or mapping of str to these
        One rate, or one per projection; projections that are not named do not learn. For rates
        that change, see `neurosim.rates`.
    truncate : int, optional
        Every step's loss reaches back over so many steps, its own included.
        ``BPTT(rate, truncate=1)`` is what the paper [1]_ calls BP.
    chunk : int, optional
        Sequences are cut into chunks of so many steps; losses reach back to the start of
        their chunk. With neither: to the start of the sequence.
    optimiser : {"adam", "sgd", "momentum"}
    beta1, beta2, epsilon : float
        Of Adam; `beta1` is also what momentum keeps from one change to the next.
    schedule : {"online", "chunk", "sequence"}, optional
        When weights change: at every step, by the gradient of that step's loss over the
        last `truncate` steps, with the activities as they were and the weights as they
        are; at the end of every chunk, by the mean over its steps; at the end of the
        sequence, by the mean over all its steps. A loss is the mean over replicas. By
        default the first that `truncate` and `chunk` allow.

    Raises
    ------
    InputError
        For a value outside what is allowed, or a combination that makes no sense.

    Notes
    -----
    With ``"online"`` and ``truncate > 1`` the gradient is that of no loss: between the steps
    it spans, the weights have changed. The steps it reaches back over may lie in an earlier
    run, if that was gone on with; chunks begin with every run.

    References
    ----------
    .. [1] Garcia Fernandez, Keemink, van Gerven (2024), Gradient-Free Training of
       Recurrent Neural Networks using Random Perturbations, Table 2.
    """

    learning_rate: float | rates.Schedule | Mapping[str, Any]
    truncate: int | None = None
    chunk: int | None = None
    optimiser: str = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    schedule: str | None = None

    passes: ClassVar[int] = 1

    def __post_init__(self) -> None:
        owner = type(self).__name__
        object.__setattr__(self, "learning_rate", rates.checked(owner, self.learning_rate))
        check_reach(owner, self.truncate, self.chunk)
        check_optimiser(owner, self.optimiser, self.beta1, self.beta2, self.epsilon)
        if self.schedule is None:
            earliest = "online" if self.truncate else "chunk" if self.chunk else "sequence"
            object.__setattr__(self, "schedule", earliest)
        require_one_of(owner, "schedule", self.schedule, (None, *SCHEDULES))
        for schedule, needed in (("online", "truncate"), ("chunk", "chunk")):
            if self.schedule == schedule and getattr(self, needed) is None:
                raise InputError(
                    f"{owner}: schedule = {schedule!r} needs {needed} = a number of steps"
                )
        freeze(self)

    @classmethod
    def budget(cls) -> str:
        """Tell what must be known where: more than a neuron or a synapse can know."""
        return "\n".join(
            [
                f"{cls.__name__}: {cls.passes} pass; not local",
                "  broadcast  error: one number per output and step in each replica, a vector",
                "  neuron     weights of the synapses that leave it, transposed (B, R and D), by",
                "             which errors travel back; its own slope, step by step",
                "  synapse    the signal of its postsynaptic neuron, step by step backwards",
                "  own noise  need not be known",
                "  memory     all activities of the steps that losses reach back over: truncate,",
                "             chunk or the whole sequence; per weight what the optimiser keeps",
            ]
        )
