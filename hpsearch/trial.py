"""Trial and Result: what is asked of an objective, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Params = dict[str, Any]
"""The settings of a trial by name: numbers, text, booleans or lists of them."""


def frozen(value: Any) -> Any:
    """Turn lists, which JSON and YAML have, into tuples, which settings hold."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Turn tuples into lists: the inverse of `frozen`."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


STATUSES = ("complete", "diverged", "failed", "timeout", "crashed")
"""How a trial can end; only a complete one has a score."""


@dataclass(frozen=True)
class Trial:
    """One setting to try."""

    number: int
    """Counted from 0; with the config's seed it fixes everything about the trial."""
    params: Params
    """All that varies, by name; constants are the objective's own."""
    unit: tuple[float, ...]
    """The point in the unit cube, one coordinate per varied parameter."""
    seed: int
    """The training seed, in 0 .. 2**32 - 1."""
    note: dict[str, Any] | None = None
    """What the strategy has to say of how it came to this trial, as plain data."""


@dataclass(frozen=True)
class Result:
    """What came of one trial: a line of the record."""

    trial: int
    status: str
    """One of STATUSES."""
    params: Params
    unit: tuple[float, ...]
    seed: int
    budget: int | None
    """Epochs the trial was allowed; None where the objective does not count any."""
    score: float | None
    """The metric that the search is about, in its own sign; None unless complete."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Every metric at the end, the mean over repeats; None for one that is not finite."""
    curve: dict[str, list[float | None]] = field(default_factory=dict)
    """Every metric after each epoch."""
    attempts: int = 1
    started: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    message: str | None = None
    """Why the trial is not complete, or ended early."""
    scores: list[float] = field(default_factory=list)
    """The score of each complete repeat, where a setting was tried on several seeds."""
    note: dict[str, Any] | None = None
    """What the strategy has to say of how it came to this trial, as plain data."""

    @property
    def ended_early(self) -> str | None:
        """How a complete trial came to end before its last epoch; None for any other trial."""
        return self.message if self.status == "complete" else None


def trials_text(count: int) -> str:
    """Count trials in words."""
    return "1 trial" if count == 1 else f"{count} trials"


def cost(result: Result, goal: str) -> float:
    """Return the score as a cost (lower is better); infinite for a trial without a score."""
    if result.score is None:
        return float("inf")
    return result.score if goal == "minimize" else -result.score


def ranked(results: Sequence[Result], goal: str) -> list[Result]:
    """Return the results best first; equal scores by trial number, those without a score last."""
    return sorted(results, key=lambda result: (cost(result, goal), result.trial))
