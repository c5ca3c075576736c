"""Trial and Result: what is asked of an objective, and what came of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
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


def folder_name(number: int) -> str:
    """Name the folder of a trial, among those of its run."""
    return f"{number:04d}"


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
    step: int | None = None
    """Which step of the search this is, counted from 0; None where every trial has one step."""
    start: int = 0
    """Epochs it was trained for in earlier steps."""
    until: int | None = None
    """Epochs after which this step ends; None where it trains to the end."""
    rung: int | None = None
    """Which rung that is, counted from 0; only trials of one rung can be compared."""

    @property
    def order(self) -> int:
        """Its place in the order in which the search deals out work."""
        return self.number if self.step is None else self.step


@dataclass(frozen=True)
class Result:
    """What came of one trial, or of one step of it: a line of the record."""

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
    epochs: int | None = None
    """Epochs that were trained, over all repeats; None where the objective does not count any."""
    step: int | None = None
    """Which step of the search this is; None where every trial has one step."""
    start: int = 0
    """Epochs of its curve that earlier steps of the trial have."""
    rung: int | None = None
    """Which rung the trial was trained to, counted from 0; None without rungs."""

    @property
    def order(self) -> int:
        """Its place in the order in which the search dealt out work."""
        return self.trial if self.step is None else self.step

    @property
    def ended_early(self) -> str | None:
        """How a complete trial came to end before its last epoch; None for any other trial."""
        return self.message if self.status == "complete" else None


def trial_of(result: Result) -> Trial:
    """Return the trial, or the step of one, that a result came of."""
    return Trial(
        result.trial,
        result.params,
        result.unit,
        result.seed,
        result.note,
        step=result.step,
        start=result.start,
        until=None if result.step is None else result.budget,
        rung=result.rung,
    )


def trials_text(count: int) -> str:
    """Count trials in words."""
    return "1 trial" if count == 1 else f"{count} trials"


def numbers_text(numbers: Iterable[int]) -> str:
    """List numbers in their order, those that follow each other as a range: `3, 7 to 12`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(
        f"{first} to {last}" if last > first + 1 else ", ".join(map(str, sorted({first, last})))
        for first, last in ranges
    )


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop; a run's name within stays as it is."""
    return f"{text[:1].upper()}{text[1:]}" + "." * (not text.endswith("."))


def statuses_text(results: Iterable[Result]) -> str:
    """Count how trials ended, the most frequent first: `4 failed, 2 diverged`."""
    counts = Counter(result.status for result in results).most_common()
    return ", ".join(f"{count} {status}" for status, count in counts)


def none_complete_text(name: str, results: Sequence[Result]) -> str | None:
    """Say of a run without a complete trial how its trials ended, and why the first one did.

    None where a trial is complete, or none has ended yet.

    name: The run's.
    """
    if not results or any(result.score is not None for result in results):
        return None
    first = min(results, key=lambda result: result.order)
    why = (first.message or "").partition("\n")[0]
    return (
        f"no trial of the run {name} is complete ({statuses_text(results)}); trial {first.trial} "
        f"{first.status}{': ' * bool(why)}{why}"
    )


def cost(result: Result, goal: str) -> float:
    """Return the score as a cost (lower is better); infinite for a trial without a score."""
    if result.score is None:
        return float("inf")
    return result.score if goal == "minimize" else -result.score


def standing(result: Result, goal: str) -> tuple[float, float]:
    """Return what results are compared by, lower is better; infinite for one without a score.

    A trial that was trained to a higher rung stands before all of the lower ones: the score after
    a few epochs says little of the score after many. One that budget.time ended on its way to a
    rung stands below all that reached one.
    """
    if result.score is None:
        return math.inf, math.inf
    rung = -1 if result.ended_early else result.rung
    return (0 if result.rung is None or rung is None else -rung), cost(result, goal)


def ranked(results: Sequence[Result], goal: str) -> list[Result]:
    """Return the results best first; equal scores by trial number, those without a score last."""
    return sorted(results, key=lambda result: (*standing(result, goal), result.trial))


def joined(results: Iterable[Result]) -> list[Result]:
    """Return one result per trial, by number: what the last of its steps came to.

    Its curve, its epochs and its time are those of all its steps.
    """
    found: dict[int, Result] = {}
    for result in sorted(results, key=lambda result: result.order):
        before = found.get(result.trial)
        found[result.trial] = result if before is None else _longer(before, result)
    return sorted(found.values(), key=lambda result: result.trial)


def of_one_rung(results: Sequence[Result], fewest: int) -> list[Result]:
    """Return one result per trial, of which those with a score can be compared with each other.

    They are those of the highest rung that at least `fewest` trials reached with a score. A trial
    that was stopped below has no score here: it was not good enough to get there, and its score
    after fewer epochs is no measure beside the others. Without rungs these are the results.
    """
    reached: dict[int, int] = {}
    for result in results:
        if _counts(result):
            reached[result.rung or 0] = reached.get(result.rung or 0, 0) + 1
    if all(result.rung is None for result in results):
        return list(results)
    rung = max((each for each, count in reached.items() if count >= fewest), default=0)
    found: dict[int, Result] = {}
    for result in sorted(results, key=lambda result: result.order):
        before = found.get(result.trial)
        if before is not None and before.score is not None:
            continue
        is_there = result.rung == rung and _counts(result)
        one = result if is_there else replace(result, score=None, scores=[])
        found[result.trial] = one if before is None else replace(one, note=before.note)
    return [found[number] for number in sorted(found)]


def _counts(result: Result) -> bool:
    """Tell whether a result is that of a whole step with a score."""
    return result.score is not None and not result.ended_early


def _longer(before: Result, last: Result) -> Result:
    curve = {
        name: [*before.curve.get(name, ())[: last.start], *values]
        for name, values in last.curve.items()
    }
    epochs = None if last.epochs is None else last.epochs + (before.epochs or 0)
    return replace(
        last,
        curve=curve,
        epochs=epochs,
        seconds=round(before.seconds + last.seconds, 6),
        started=before.started,
        note=before.note if last.note is None else {**(before.note or {}), **last.note},
    )
