"""What a leaderboard needs to know of a config, and how it is kept beside a run.

To read and check a config takes longer than to find the best of 10,000 trials. A run's config was
checked when the run was made. What came of that is kept, together with all that it came of: it
holds as long as that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from hpsearch import __version__
from hpsearch.errors import UserError
from hpsearch.lines import sealed, unsealed
from hpsearch.space import Space, axis_of
from hpsearch.trial import Params, frozen, plain

FORMAT = 1
"""Raised whenever the same config has another outline than before."""


class Budget(Protocol):
    """When a search ends, besides at a number of trials."""

    @property
    def epochs(self) -> int | None:
        """Epochs in all trials together."""

    @property
    def time(self) -> str | None:
        """A duration."""

    @property
    def patience(self) -> int | None:
        """Trials without a gain."""

    @property
    def failures(self) -> int:
        """Failed trials in a row."""


class Searched(Protocol):
    """What a leaderboard needs to know of a config: a Config, or the outline of one."""

    @property
    def name(self) -> str:
        """The run's name."""

    @property
    def metric_name(self) -> str:
        """What the score is."""

    @property
    def goal(self) -> str:
        """`minimize` or `maximize`."""

    @property
    def optimal_error(self) -> float:
        """The best achievable error."""

    @property
    def method(self) -> str:
        """The strategy's name."""

    @property
    def in_steps(self) -> bool:
        """Whether trials may be trained in several steps."""

    @property
    def size(self) -> int | None:
        """The number of settings after which the strategy has nothing left; None for no end."""

    @property
    def limit(self) -> int | None:
        """The number of trials at which the search ends; None when something else ends it."""

    @property
    def budget(self) -> Budget:
        """Its other limits."""

    @property
    def space(self) -> Space:
        """What varies; an outline's lacks conditions and constraints."""


@dataclass(frozen=True)
class Limits:
    """The limits of an outline; as `Budget`."""

    epochs: int | None
    time: str | None
    patience: int | None
    failures: int


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a leaderboard needs to know of a config; as `Searched`."""

    name: str
    metric_name: str
    goal: str
    optimal_error: float
    method: str
    in_steps: bool
    size: int | None
    limit: int | None
    budget: Limits
    kind: str
    """The objective's key in OBJECTIVES."""
    fixed: Params
    """The settings that do not vary."""
    space: Space

    def encode(self, origin: Mapping[str, Any]) -> bytes | None:
        """Write it as one line; None where it cannot be written so that it is read as it is.

        origin: All that it came of, as plain data.
        """
        plainly = {
            **{name: value for name, value in vars(self).items() if name != "space"},
            "budget": asdict(self.budget),
            "fixed": {name: plain(value) for name, value in self.fixed.items()},
            "axes": {name: axis.spec() for name, axis in self.space.axes.items()},
        }
        try:
            line = sealed({"format": FORMAT, "version": __version__, "of": origin, **plainly})
        except (TypeError, ValueError):
            return None
        return line if decode(line, origin) == self else None


def decode(line: bytes | None, origin: Mapping[str, Any]) -> Outline | None:
    """Read an outline; None where it is damaged, or came of anything but `origin`."""
    try:
        found = unsealed(line or b"", FORMAT, "the outline")
        if (found.pop("version"), found.pop("of")) != (__version__, origin):
            return None
        axes = {name: axis_of(spec) for name, spec in found.pop("axes").items()}
        fixed = {name: frozen(value) for name, value in found["fixed"].items()}
        given = {**found, "budget": Limits(**found["budget"]), "fixed": fixed}
        return Outline(**given, space=Space(axes))
    except (ValueError, TypeError, KeyError, AttributeError, UserError):
        return None
