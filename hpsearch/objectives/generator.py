"""A generator function of the user's that is trained by hand: what runs where its code runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from hpsearch.objectives.base import Context, Metrics, ObjectiveError
from hpsearch.objectives.python import PythonFunction
from hpsearch.objectives.reported import metrics_from
from hpsearch.trial import Params


class GeneratorTraining:
    """A generator function of the user's, which is sent what changes after an epoch.

    It runs the user's code in this process, so it is for a process that may be lost.
    """

    def __init__(self, objective: PythonFunction, params: Params, context: Context) -> None:
        self._objective, self._params, self._context = objective, params, context
        self._running: Generator[Any, dict[str, Any] | None, Any] | None = None
        self.epochs = 0

    def step(self, planned: Sequence[Mapping[str, Any]]) -> Metrics | None:
        """Run one epoch by these changes; return None where the training has come to its end.

        Raises:
            Exception: whatever the user's code raises.
        """
        news = next((dict(c) for c in planned if c["after"] == self.epochs), {})
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
        return metrics_from(reported, self._context.metric)

    def close(self) -> None:
        """Let the generator's `finally` run."""
        if self._running is not None:
            self._running.close()


def check_generator(objective: Any) -> None:
    """Refuse a function that takes no changes while it trains; it is prepared, so imported.

    Raises:
        ObjectiveError: it is no generator, or does not read what its `yield` gives.
    """
    if not objective.takes_changes():
        raise ObjectiveError(
            f"the function {objective.target} takes no changes while it trains: it must yield "
            "after each epoch, and read what yield gives\n"
            "Example: changes = yield {'dev_error': error}"
        )
