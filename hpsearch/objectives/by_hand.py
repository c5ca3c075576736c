"""One model that is trained epoch by epoch while a person changes its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from hpsearch.nn.changes import Changes
from hpsearch.objectives.base import Metrics, ObjectiveError
from hpsearch.objectives.mlp import MLP, in_units, keep_state, load_split, restore_state
from hpsearch.objectives.python import PythonFunction
from hpsearch.trial import frozen

Planned = Sequence[Mapping[str, Any]]
"""What changes when, as `Changes` takes it."""


class FailedError(Exception):
    """The training failed; the text says how. It can be begun anew."""


class StoppedError(Exception):
    """An epoch was interrupted. The training can be begun anew."""


class Training(Protocol):
    """One model, from its first epoch on."""

    @property
    def epochs(self) -> int:
        """How many were run."""

    def change(self, planned: Planned) -> None:
        """Go by these changes from now on; those of the epochs that were run stay the same."""

    def step(self) -> Metrics | None:
        """Train one epoch, and return its metrics; None where the training has come to its end.

        Raises:
            FailedError: the user's code failed, or its process did.
            StoppedError: `interrupt` was called meanwhile.
        """

    def interrupt(self) -> bool:
        """End the epoch that another thread trains; False where that cannot be."""

    def keep(self, path: Path) -> bool:
        """Write the state after this epoch; False where there is none to keep."""

    def restore(self, path: Path, epochs: int) -> None:
        """Go to a state that was kept after so many epochs, unless the file is gone or damaged."""

    def close(self) -> None:
        """Let go of what the training holds."""


class NetworkTraining:
    """The built-in network."""

    def __init__(self, objective: MLP, seed: int) -> None:
        from hpsearch.nn.train import Examples

        (split,) = load_split(objective.data)
        self._split = split
        self._trainer = objective.trainer(objective.settings({}), split, seed)
        self._dev = self._trainer.checked(Examples(*split.dev), "dev")

    @property
    def epochs(self) -> int:
        """How many were run."""
        return self._trainer.epochs

    def change(self, planned: Planned) -> None:
        """As `Training.change`."""
        self._trainer.changes = Changes(
            [{name: frozen(value) for name, value in each.items()} for each in planned]
        )

    def step(self) -> Metrics | None:
        """As `Training.step`."""
        if self._trainer.at_end:
            return None
        self._trainer.run_epoch()
        epoch = self._trainer.figures(self._dev)
        return in_units(epoch.metrics, self._trainer.loss, self._split)

    def keep(self, path: Path) -> bool:
        """As `Training.keep`."""
        keep_state(self._trainer, path)
        return True

    def restore(self, path: Path, epochs: int) -> None:
        """As `Training.restore`."""
        restore_state(self._trainer, path, epochs)

    def interrupt(self) -> bool:
        """Do nothing: an epoch of the network comes to its end by itself."""
        return False

    def close(self) -> None:
        """Do nothing."""


def check_by_hand(objective: object) -> MLP | PythonFunction:
    """Return the objective if one model of it can be changed while it trains.

    Of a function `generator.check_generator` says the rest, where it is imported.

    Raises:
        ObjectiveError: it cannot.
    """
    if isinstance(objective, MLP):
        if objective.data.folds is not None:
            raise ObjectiveError(
                "data.folds trains one network for each fold, and panda watches one\n"
                "Leave data.folds out of the config."
            )
    elif not isinstance(objective, PythonFunction):
        raise ObjectiveError(
            "a command cannot be told of a change while it runs\n"
            "panda takes the built-in trainer, or a Python generator function."
        )
    if objective.changes:
        raise ObjectiveError(
            "objective.changes is a schedule already, and panda makes one\n"
            "Leave it out of the config."
        )
    return objective
