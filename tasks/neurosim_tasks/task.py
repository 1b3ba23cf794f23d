"""What every task offers, whatever it is about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim_tasks import regression
from neurosim_tasks.checks import TaskError, fits, numbers, refuse, shown, whole

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float32]
Pair = tuple[Array, Array]

MEAN, RIDGE, LAGS = "mean", "ridge", "ridge on lags"  # baselines that every task has


class Task(ABC):
    """Series to learn from, series to be judged by, and how an answer is judged.

    Arrays are float32, C-contiguous, read-only and of shape ``(T, series, features)``; `series`
    is a multiple of the task's `batch`, so that the series can be shown `batch` at a time.

    A step's loss is the squared error summed over the outputs; ``mse`` is the mean squared error
    over steps, series and outputs, hence the mean loss divided by `n_targets`.
    """

    lag_padding: ClassVar[Literal["edge", "zero"]] = "edge"
    """What lagged inputs are before a series begins: its first input, or zero."""

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """What each input channel is."""

    @property
    @abstractmethod
    def target_names(self) -> tuple[str, ...]:
        """What each target channel is."""

    @abstractmethod
    def train(self, epoch: int = 0) -> Pair:
        """Return the inputs and targets to learn from in `epoch`, counted from 0."""

    @abstractmethod
    def test(self) -> Pair:
        """Return the inputs and targets to be judged by; always the same, never in `train`."""

    def guesses(self, inputs: Array) -> dict[str, Array]:
        """Return, by name, answers to `inputs` that nothing has to be learnt for.

        Each is finite and has the shape of the targets; no name is one that `baselines` has of
        its own.
        """
        return {}

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return len(self.input_names)

    @property
    def n_targets(self) -> int:
        """Number of target channels."""
        return len(self.target_names)

    def loss(self, outputs: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
        """Return every step's loss: the squared error summed over the outputs.

        Parameters
        ----------
        outputs, targets : array_like, shape (T, series, n_targets)
            What was answered, and what should have been.

        Returns
        -------
        ndarray of float64, shape (T, series)

        Raises
        ------
        TaskError
            If the shapes differ or are not those of the task's targets.
        """
        wanted = f"(T, series, {self.n_targets})"
        answer = numbers(self, "outputs", outputs, wanted).astype(np.float64, copy=False)
        truth = numbers(self, "targets", targets, wanted).astype(np.float64, copy=False)
        if answer.shape != truth.shape or truth.ndim != 3 or truth.shape[2] != self.n_targets:
            raise TaskError(
                f"{type(self).__name__}: outputs of shape {answer.shape} and targets of shape "
                f"{truth.shape} must both have shape {wanted}"
            )
        losses: NDArray[np.float64] = np.square(answer - truth).sum(axis=2)
        return losses

    def score(self, outputs: ArrayLike, targets: ArrayLike) -> dict[str, float]:
        """Judge `outputs` by `targets`.

        Parameters
        ----------
        outputs, targets : array_like, shape (T, series, n_targets)
            What was answered, and what should have been.

        Returns
        -------
        dict of str to float
            ``mse``: mean over steps, series and outputs (not a number if an output is not).

        Raises
        ------
        TaskError
            If the shapes differ or are not those of the task's targets.
        """
        return {"mse": float(self.loss(outputs, targets).mean()) / self.n_targets}

    def baselines(self, lags: int = 24) -> pd.DataFrame:
        """Return what little effort reaches, on the very same split.

        - ``mean``: the training targets' mean, by channel.
        - what `guesses` answers; of a forecast, ``persistence``: it stays as it is now.
        - ``ridge``: linear regression with intercept on the inputs of the same step.
        - ``ridge on lags``: the same on the last `lags` steps' inputs. Before a series' first
          step its inputs are taken to be as `lag_padding` says.

        The ridge's strength is a fixed 1e-6 of the variance of the standardised inputs: it keeps
        collinear inputs solvable and is not tuned, on test or anything else.

        Parameters
        ----------
        lags : int
            Steps of inputs the lagged regression sees, this step's included; 1 or more.

        Returns
        -------
        pandas.DataFrame
            Columns ``train_mse`` (of epoch 0) and ``test_mse``, indexed by ``baseline``.

        Raises
        ------
        TaskError
            If `lags` is not a whole number of at least 1, or `guesses` gives what it must not.
        """
        import pandas as pd

        lags = whole(self, "lags", lags, at_least=1)
        pairs = (self.train(), self.test())
        (train, train_targets), (test, test_targets) = (tuple(map(np.asarray, p)) for p in pairs)
        # The lagged inputs, and their covariances.
        nbytes = 8 * lags * max(train.size, test.size) + 16 * (lags * train.shape[-1]) ** 2
        fits(self, f"lags = {shown(lags)} for {len(train)} steps", nbytes)
        now, past = regression.fit(train, train_targets), (lags, self.lag_padding)
        before = regression.fit(regression.lagged(train, *past), train_targets)

        def errors(inputs: Array, targets: Array) -> dict[str, float]:
            answers = {
                MEAN: np.broadcast_to(train_targets.mean((0, 1), np.float64), targets.shape),
                **self._checked(self.guesses(inputs), targets),
                RIDGE: now(inputs),
                LAGS: before(regression.lagged(inputs, *past)),
            }
            return {name: self._mse(answer, targets) for name, answer in answers.items()}

        columns = {
            "train_mse": errors(train, train_targets),
            "test_mse": errors(test, test_targets),
        }
        return pd.DataFrame(columns).rename_axis("baseline")

    def _mse(self, answer: Array, targets: Array) -> float:
        """Judge an answer by `score`, which a task of one's own may have written anew."""
        scores: Any = self.score(answer, targets)
        mse: Any = scores.get("mse") if isinstance(scores, Mapping) else None
        if np.ndim(mse) or not isinstance(mse, float | int | np.number | np.ndarray):
            allowed = "numbers by name, 'mse' among them"
            raise refuse(self, "what score() returns", scores, allowed)
        return float(mse)

    def _checked(self, guesses: dict[str, Array], targets: Array) -> dict[str, Array]:
        """Refuse guesses that cannot be judged, or would take the place of a baseline."""
        if not isinstance(guesses, Mapping):
            raise refuse(self, "what guesses() returns", guesses, "arrays by name")
        for name, answer in guesses.items():
            if not isinstance(name, str) or name in (MEAN, RIDGE, LAGS):
                allowed = f"text, and none of {MEAN}, {RIDGE}, {LAGS}, which every task has"
                raise refuse(self, "the name of a guess", name, allowed)
            try:
                array = np.ma.filled(np.ma.asanyarray(answer).astype(np.float64), np.nan)
            except (TypeError, ValueError) as error:
                raise refuse(self, f"guess {name!r}", answer, "numbers") from error
            if array.shape != targets.shape:
                allowed = f"{targets.shape}, that of the targets"
                raise refuse(self, f"the shape of guess {name!r}", array.shape, allowed)
            if not np.isfinite(array).all():
                where = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
                raise refuse(self, f"guess {name!r}{where}", float(array[tuple(where)]), "finite")
        return guesses


def freeze(inputs: NDArray[np.floating], targets: NDArray[np.floating]) -> Pair:
    """Return both as float32, contiguous and read-only, so that they can be handed out twice."""
    pair = tuple(np.ascontiguousarray(array, dtype=np.float32) for array in (inputs, targets))
    for array in pair:
        array.flags.writeable = False
    return pair[0], pair[1]
