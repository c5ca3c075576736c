"""The engine of this machine: a supervisor, and threads that wait for its children."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.engines.base import Work
from hpsearch.runner import core_count, run_trials
from hpsearch.supervisor import Supervisor
from hpsearch.trial import Result, Trial

__all__ = ["Local", "core_count"]


class Local:
    """As `engines.base.Engine`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    @property
    def deadline(self) -> float | None:
        """As Engine."""
        return self._supervisor.deadline

    @deadline.setter
    def deadline(self, value: float | None) -> None:
        self._supervisor.deadline = value

    def planned(self, trial: Trial, epochs: int) -> int:
        """As Engine."""
        return self._supervisor.planned(trial, epochs)

    def run(self, work: Iterator[Work | None], jobs: int) -> Iterator[Result | None]:
        """As Engine."""
        return run_trials(work, self._supervisor, jobs)

    def workers(self) -> None:
        """Return None: the number of jobs says it all."""
        return

    def close(self) -> None:
        """As Engine."""
        self._supervisor.close()
