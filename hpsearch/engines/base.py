"""What a search asks of an engine, and what an engine of many machines is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from hpsearch.runner import Work
from hpsearch.trial import Result, Trial

__all__ = ["EVERY", "Cluster", "Engine", "LostError", "Seat", "Work", "Workers"]

EVERY = -1
"""So many trials at once as there is room for."""


@dataclass(frozen=True)
class Workers:
    """Who runs trials at this moment."""

    engine: str
    alive: int
    """How many can be given trials."""
    running: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The trials that each one has, by its name."""


class Engine(Protocol):
    """Runs the trials of one search."""

    deadline: float | None
    """When running trials are to end at their next epoch, by time.monotonic."""

    def planned(self, trial: Trial, epochs: int) -> int:
        """Return how many epochs a trial takes, or a step that ends after `epochs`, at most."""

    def run(self, work: Iterator[Work | None], jobs: int) -> Iterator[Result | None]:
        """Run trials, `jobs` at once; yield each result as it comes, None for one that was halted.

        `work` is read lazily, in the thread that asks for results; it must not wait or raise. None
        says that nothing more can be known before another result comes in; where nothing runs any
        more, that is the end.

        Raises:
            MachineError: what runs the trials is gone.
        """

    def workers(self) -> Workers | None:
        """Return who runs trials now; None where there is nothing to say."""

    def close(self) -> None:
        """Halt what still runs, and end all that was started."""


class LostError(Exception):
    """The worker that was to answer is gone, or can no more be reached."""


@dataclass(frozen=True)
class Seat:
    """A worker of a cluster, as the cluster knows it."""

    slots: int
    """Trials that it runs at once."""
    host: str
    """The machine it is on."""


class Cluster(Protocol):
    """Workers on other machines that call functions of an importable module for us.

    A class of it is built with the address, or None to start one on this machine; how many workers
    that has; and how many seconds an address may take to answer. It decides nothing about trials:
    a function is called once, by the worker that is named, or its future fails with LostError.
    Its methods may be called from several threads.

    Raises:
        MachineError: there is nothing at the address, or nothing could be started.
    """

    def __init__(self, address: str | None, count: int, limit: float) -> None: ...

    def about(self) -> str:
        """Name the cluster in a sentence: `the Dask scheduler at tcp://10.0.0.1:8786`."""

    def seats(self) -> Mapping[str, Seat]:
        """Return the workers there are now, by name; none while the cluster cannot be reached."""

    def call(
        self, worker: str, function: Callable[..., Any], *arguments: Any, beside: bool = False
    ) -> Future[Any]:
        """Have a worker call a function.

        beside: Beside what the worker's slots are doing, for a function that returns at once.
        """

    def give_up(self, worker: str) -> None:
        """Take a worker that does not answer for lost; one that cannot come back may be ended."""

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
