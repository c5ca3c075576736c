"""What every objective is, and what it is told about a trial."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from hpsearch.errors import UserError
from hpsearch.trial import Params

Metrics = Mapping[str, float]
"""What an objective reports after an epoch, or once; a value that is not finite is allowed."""


class ObjectiveError(UserError):
    """The objective cannot be used as the config says: known before any trial runs."""


class CrashedError(Exception):
    """A process that the trial consists of died; the trial may be tried again."""


@dataclass(frozen=True)
class Context:
    """What a trial is told beside its setting."""

    number: int
    seed: int
    """The only source of chance, in 0 .. 2**32 - 1."""
    metric: str
    """The metric that the search is about."""
    budget: int | None
    """Epochs it may take; None where the config gives none."""
    folder: Path
    """The trial's own folder, made when it is first needed."""
    deadline: float | None = None
    """When budget.time is over, by time.monotonic: the trial then ends at its next epoch."""
    start: int = 0
    """Epochs for which earlier steps have trained this trial."""
    until: int | None = None
    """Epochs after which the trial, or this step of it, is ended; None where it ends by itself."""
    in_steps: bool = False
    """Whether it is one step of several."""

    def made(self) -> Path:
        """Return the trial's folder, which exists from then on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder


class Steps(NamedTuple):
    """How an objective trains a trial in several steps."""

    told: bool
    """Whether it is told by its budget when to end; else it is ended when it reports that epoch."""
    resumes: bool
    """Whether a step goes on from where the last one ended; else it begins anew."""


def seen_from(folder: Path, path: Path) -> str:
    """Write the way from a folder, which need not exist yet, to a path."""
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def base_folder(home: Path, place: str | None) -> str:
    """Return where the user's code is: `place`, which starts at the config's own folder."""
    return os.path.normpath(home.resolve() / (place or "."))


@dataclass(frozen=True)
class Names:
    """The varied parameters that trials are given."""

    always: tuple[str, ...] = ()
    """Those of every trial; a repeated one's list under the name that the config has for it."""
    sometimes: tuple[str, ...] = ()
    """Those of some trials only, which have a condition."""
    repeats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Each repeated parameter's names for its single repeats, which are given too."""

    def __iter__(self) -> Iterator[str]:
        yield from self.always
        yield from self.sometimes
        for parts in self.repeats.values():
            yield from parts


class Objective(Protocol):
    """Built from plain data in every worker, then asked for one trial after another."""

    SECTION: ClassVar[type]
    """The dataclass of its own keys in the section `objective`; the first one chooses it."""
    SETTINGS: ClassVar[type | None]
    """One field per hyperparameter, with range, default and help; None when any name will do."""
    METRICS: ClassVar[Mapping[str, str]]
    """What it reports and which way is better; empty when only the user knows."""
    NOT_FINITE: ClassVar[str]
    """The status of a trial whose metric is not finite: `diverged` or `failed`."""
    FEWEST_EPOCHS: ClassVar[int]
    """How many it reports before budget.time may end a trial."""

    @property
    def metrics(self) -> Mapping[str, str]:
        """Those of METRICS that it reports as it is configured, the default first."""

    @property
    def constants(self) -> Params:
        """The hyperparameters that do not vary."""

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """Build the objective from plain data."""

    def spec(self) -> dict[str, Any]:
        """Return the plain data that `from_spec` builds an equal objective from."""

    def section(self, folder: Path) -> dict[str, Any]:
        """Return its own keys in the section `objective` of a config that is in `folder`."""

    def data_section(self, folder: Path) -> dict[str, Any]:
        """Return the section `data` of a config that is in `folder`; empty without data."""

    def identity(self) -> dict[str, Any]:
        """Return, as plain data, what decides a trial's result beside its setting and seed."""

    def sources(self) -> dict[str, str]:
        """Return the SHA-256 of every file that a result depends on, by name."""

    def folder(self) -> Path:
        """Return the folder that relative paths in the config start from."""

    def prepare(self, names: Names) -> None:
        """Do once per worker what every trial needs: imports, reading the data.

        names: The parameters that trials will be given.
        Raises:
            UserError: the objective cannot be used as the config says.
        """

    def steps(self) -> Steps:
        """Return how trials are trained in steps; after `prepare`.

        Raises:
            ObjectiveError: they cannot be ended before their end.
        """

    def evaluate(
        self, params: Params, context: Context
    ) -> Generator[Metrics, bool | None, Metrics | None]:
        """Yield the metrics after each epoch; the last ones count.

        A generator may return other ones, which then count: those of an epoch it went back to. One
        that reports once returns them and yields nothing. A yield gives True when budget.time is
        over or a step at its end: the trial is then to return before its next epoch. A step that
        goes on from an earlier one yields its own epochs only.

        params: What the trial varies, a repeated parameter as a list and one by one; constants are
            the objective's own.
        Raises:
            CrashedError: a process of the trial died.
        """

    def epochs(self, params: Params) -> int | None:
        """Return how many epochs a trial may take; None where none are counted."""

    def problems(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield (parameter, sentence) for settings that clash.

        bounds: for each varied parameter, both ends of its range or all of its options.
        """

    def idle(self, bounds: Mapping[str, tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
        """Yield (parameter, why) for varied parameters that no trial would use."""

    def about(self) -> str:
        """Say on one line what is measured."""

    def notes(self) -> tuple[str, ...]:
        """Return sentences worth knowing before a search, about the data for instance."""
