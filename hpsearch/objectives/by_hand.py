"""One model that is trained epoch by epoch while a person changes its hyperparameters."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hpsearch.nn.changes import Changes
from hpsearch.objectives.base import Context, Metrics, ObjectiveError
from hpsearch.objectives.mlp import MLP, in_units, keep_state, load_split, restore_state
from hpsearch.objectives.python import PythonFunction
from hpsearch.objectives.reported import metrics_from
from hpsearch.trial import Params, frozen

if TYPE_CHECKING:
    from hpsearch.data import Split

Planned = Sequence[Mapping[str, Any]]
"""What changes when, as `Changes` takes it."""


class Training(Protocol):
    """One model, from its first epoch on."""

    @property
    def epochs(self) -> int:
        """How many were run."""

    def change(self, planned: Planned) -> None:
        """Go by these changes from now on; those of the epochs that were run stay the same."""

    def step(self) -> Metrics | None:
        """Train one epoch, and return its metrics; None where the training has come to its end."""

    def keep(self, path: Path) -> bool:
        """Write the state after this epoch; False where there is none to keep."""

    def restore(self, path: Path, epochs: int) -> None:
        """Go to a state that was kept after so many epochs, unless the file is gone or damaged."""

    def close(self) -> None:
        """Let go of what the training holds."""


class NetworkTraining:
    """The built-in network."""

    def __init__(self, objective: MLP, params: Params, seed: int, split: Split) -> None:
        from hpsearch.nn.train import Examples

        self._split = split
        self._trainer = objective.trainer(objective.settings(params), split, seed)
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

    def close(self) -> None:
        """Do nothing."""


class FunctionTraining:
    """A generator function of the user's, which is sent what changes after an epoch.

    It keeps no state: to go back, it is run again from its first epoch.
    """

    def __init__(
        self, objective: PythonFunction, params: Params, seed: int, metric: str, folder: Path
    ) -> None:
        self._objective, self._params, self._metric = objective, params, metric
        self._context = Context(0, seed, metric, objective.budget, folder)
        self._planned: Planned = ()
        self._running: Generator[Any, dict[str, Any] | None, Any] | None = None
        self.epochs = 0

    def change(self, planned: Planned) -> None:
        """As `Training.change`."""
        self._planned = planned

    def step(self) -> Metrics | None:
        """As `Training.step`."""
        news = next((dict(c) for c in self._planned if c["after"] == self.epochs), {})
        news.pop("after", None)
        if "epochs" in news:
            return None
        try:
            if self._running is None:
                given = {**self._objective.constants, **self._params, **news}
                self._running = self._objective.call(given, self._context)
                reported = next(self._running)
            else:
                reported = self._running.send(news or None)
        except StopIteration:
            return None
        self.epochs += 1
        return metrics_from(reported, self._metric)

    def keep(self, path: Path) -> bool:
        """As `Training.keep`."""
        return False

    def restore(self, path: Path, epochs: int) -> None:
        """As `Training.restore`."""

    def close(self) -> None:
        """Let the generator's `finally` run."""
        if self._running is not None:
            self._running.close()


def training_of(
    objective: MLP | PythonFunction, params: Params, seed: int, *, metric: str, folder: Path
) -> Training:
    """Return a model before its first epoch.

    Args:
        objective: Prepared.
        params: What the objective is given beside its constants.
        metric: What a bare number of a function is called.
        folder: A function's own folder.
    """
    if isinstance(objective, MLP):
        (split,) = load_split(objective.data)
        return NetworkTraining(objective, params, seed, split)
    return FunctionTraining(objective, params, seed, metric, folder)


def check_by_hand(objective: object) -> MLP | PythonFunction:
    """Return the objective, once prepared, if one model of it can be changed while it trains.

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
    elif not objective.takes_changes():
        raise ObjectiveError(
            f"the function {objective.target} takes no changes while it trains: it must yield "
            "after each epoch, and read what yield gives\n"
            "Example: changes = yield {'dev_error': error}"
        )
    if objective.changes:
        raise ObjectiveError(
            "objective.changes is a schedule already, and panda makes one\n"
            "Leave it out of the config."
        )
    return objective
