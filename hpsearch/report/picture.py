"""What a picture is made of: plain values, which the page and a figure for paper draw alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from hpsearch.report import forest
from hpsearch.report.forest import Errors
from hpsearch.report.importance import Belief
from hpsearch.report.permutation import Importance, importance
from hpsearch.report.table import Run, printable
from hpsearch.scales import Integer, Real
from hpsearch.space import Axis as SpaceAxis
from hpsearch.space import Choice
from hpsearch.story import Story
from hpsearch.trial import Result, none_complete_text, ranked

T = TypeVar("T")

ROLES = {
    "best": "best trial",
    "top": "best tenth",
    "middle": "best half",
    "rest": "other trials",
    "lost": "no score",
    "plain": "",
    "box": "",
    "grid": "",
}
"""What a colour means, and its words in a legend."""

NONE_COMPLETE = "no trial is complete"
"""Why a picture of scores is missing."""

MOST_TRIALS = 600
"""A picture with a point for each trial draws at most so many."""


@dataclass(frozen=True)
class Axis:
    """One side of a panel."""

    label: str
    low: float
    high: float
    """What is shown at first; points may lie beyond."""
    ticks: tuple[tuple[float, str], ...] | None = None
    """Places and what is written there; None for round numbers."""
    measured: bool = False
    """Whether it shows a measured number, which can be looked at on a log scale too."""
    letters: int = 14
    """A tick's text is cut to so many letters."""


@dataclass(frozen=True)
class Line:
    """A line through points; a gap where one is None."""

    x: tuple[float, ...]
    y: tuple[float | None, ...]
    trial: int | None = None


@dataclass(frozen=True)
class Lines:
    """Lines of one role."""

    role: str
    lines: tuple[Line, ...]
    label: str = ""
    """In the legend; that of the role if empty."""
    kind: Literal["lines"] = "lines"


@dataclass(frozen=True)
class Points:
    """Points of one role."""

    role: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    trials: tuple[int, ...] = ()
    """Whose they are, if they are a trial's."""
    label: str = ""
    shape: Literal["dot", "cross", "square", "end"] = "dot"
    kind: Literal["points"] = "points"


@dataclass(frozen=True)
class Bars:
    """Horizontal bars from 0, each with its uncertainty."""

    role: str
    y: tuple[float, ...]
    lengths: tuple[float, ...]
    errors: tuple[float, ...]
    label: str = ""
    kind: Literal["bars"] = "bars"


@dataclass(frozen=True)
class Boxes:
    """Upright bands from `low` to `high`, over the whole height."""

    role: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    texts: tuple[str, ...]
    label: str = ""
    kind: Literal["boxes"] = "boxes"


Marks = Lines | Points | Bars | Boxes


@dataclass(frozen=True)
class Panel:
    """One pair of axes and what is drawn between them."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Marks, ...]
    note: str = ""
    uprights: tuple[Axis, ...] = ()
    """Further axes, which stand upright at 0, 1 and so on."""


@dataclass(frozen=True)
class Picture:
    """One or several panels that tell one thing."""

    name: str
    title: str
    tells: str
    """What to look for, in a sentence or two."""
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and the like."""
    missing: str = ""
    """Why there is no panel, where there is none."""
    choose: bool = False
    """Whether the reader sees one panel at a time."""
    wide: bool = False
    """Whether a panel needs the whole width, on a phone by scrolling."""


@dataclass(frozen=True)
class Report:
    """All that a report tells of one run."""

    run: Run
    """With the curves of its results, one for each trial that counts."""
    steps: Sequence[Result]
    """A result for each step: where no trial has several, the run's."""
    ended: str
    """How the run ended, or how far it has come."""
    config: str
    """The text of the config."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    rungs: Sequence[int] = ()
    """The epochs of each rung, under halving."""
    beliefs: Sequence[Belief] = ()
    """What the model says of each parameter, where the search went by one."""
    of_rung: str | None = None
    """Says which rung's scores that model is of; None without rungs."""
    tested: str | None = None
    """How often the test set was opened and what was last seen; None where it never was."""
    story: Story | None = None
    """Of a model that was trained by hand, whose branches are the results; None for a search."""
    errors: Errors = forest.errors
    """What asks the forest that the importance of a parameter is told by."""

    @cached_property
    def ranked(self) -> list[Result]:
        """The trials that have a score, best first."""
        return [each for each in ranked(self.run.results, self.run.goal) if each.score is not None]

    @cached_property
    def good(self) -> list[Result]:
        """The better half of the trials that have a score."""
        return self.ranked[: (len(self.ranked) + 1) // 2]

    @cached_property
    def lost(self) -> list[Result]:
        """The trials without a score, by number."""
        return sorted((each for each in self.run.results if each.score is None), key=_number)

    @cached_property
    def none_complete(self) -> str | None:
        """Says that no trial has a score, and why; None where one has."""
        return none_complete_text(self.run.name, self.run.results)

    @cached_property
    def roles(self) -> dict[int, str]:
        """Each trial's role, by how it ranks."""
        count = len(self.ranked)
        roles = {each.trial: "lost" for each in self.lost}
        for place, each in enumerate(self.ranked):
            tenth, half = place < max(2, count / 10), place < count / 2
            roles[each.trial] = (
                "best" if place == 0 else "top" if tenth else "middle" if half else "rest"
            )
        return roles

    @cached_property
    def drawn(self) -> tuple[list[Result], list[Result], tuple[str, ...]]:
        """The trials with a score and those without that pictures show, and what was left out."""
        return self.thinned(MOST_TRIALS)

    @cached_property
    def places(self) -> dict[str, dict[int, float]]:
        """Where each trial stands on the axis of each parameter that it has, in [0, 1]."""
        found = {}
        for name, axis in self.run.space.axes.items():
            there = [each for each in self.run.results if name in each.params]
            units = places_on(axis, [each.params[name] for each in there])
            found[name] = {each.trial: unit for each, unit in zip(there, units, strict=True)}
        return found

    @cached_property
    def tried(self) -> dict[str, int]:
        """How many different values of each parameter were tried."""
        results = self.run.results
        return {
            name: len({repr(each.params[name]) for each in results if name in each.params})
            for name in self.run.space.axes
        }

    @cached_property
    def importance(self) -> Importance | str:
        """How much each parameter matters, most first; or why that cannot be told."""
        if not self.ranked:
            return NONE_COMPLETE
        return importance(self.places, self.run.results, self.run.goal, self.errors)

    @property
    def parameters(self) -> list[str]:
        """The varied parameters, the most important first where that is known."""
        known = self.importance
        return list(self.run.space.axes) if isinstance(known, str) else list(known.names)

    def thinned(self, most: int) -> tuple[list[Result], list[Result], tuple[str, ...]]:
        """Choose at most `most` trials: the best half of those, and an even choice of the others.

        Returns those with a score, best first; those without; and what was left out, in words.
        """
        scored, lost = self.ranked, self.lost
        if len(scored) + len(lost) <= most:
            return scored, lost, ()
        few = min(len(lost), max(most // 5, most - len(scored)))
        kept, others = scored[: most // 2], scored[most // 2 :]
        scored = [*kept, *evenly(others, most - few - len(kept))]
        total = len(self.run.results)
        words = f"{len(scored) + few:,} of {total:,} trials are drawn: the best {len(kept):,} and "
        return scored, evenly(lost, few), (f"{words}an even choice of the others.",)


def _number(result: Result) -> int:
    return result.trial


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` items at even distances, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[:most])
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def short(value: float) -> float:
    """Round to six significant digits: a picture cannot show more, and its page stays small."""
    return float(f"{value:.6g}")


def usual_range(values: Sequence[float], always: Sequence[float] = ()) -> tuple[float, float, int]:
    """Return the lowest and the highest value but for those far away, and how many those are.

    Far is five times the distance between the quartiles beyond one of them.

    always: Values that are within, however far they are from the others.
    """
    ordered = sorted(values)
    quarter, three = (ordered[int(share * (len(ordered) - 1))] for share in (0.25, 0.75))
    reach = 5 * (three - quarter)
    near = [each for each in ordered if reach == 0 or quarter - reach <= each <= three + reach]
    low, high = min((near[0], *always)), max((near[-1], *always))
    return low, high, sum(not low <= each <= high for each in ordered)


FEW = 10
"""So many epochs or trials each have a tick; else there would be halves of one."""


def whole_ticks(last: int) -> tuple[tuple[float, str], ...]:
    """Return a tick for each whole number from 1 to `last`."""
    return tuple((float(i), str(i)) for i in range(1, last + 1))


HUGE = 8e307
"""An axis ends here, so that it has a length that is a number."""


def score_axis(
    label: str, values: Sequence[float], always: Sequence[float] = ()
) -> tuple[Axis, str]:
    """Return an axis that shows all values, but for a few far away; and a note of those.

    always: Values that are shown, however far they are from the others: those of good trials.
    """
    low, high, beyond = usual_range(values, always)
    margin = 0.06 * high - 0.06 * low or 0.06 * abs(high) or 1
    lie = "1 value lies" if beyond == 1 else f"{beyond:,} values lie"
    words = f"{lie} beyond what is shown; on the page a double-click shows more."
    axis = Axis(label, max(low - margin, -HUGE), min(high + margin, HUGE), measured=True)
    return axis, words if beyond else ""


MOST_OPTIONS = 20
"""So many options of a choice are named at most."""
ABSENT = -0.1
"""Where a parameter stands that a trial does not have, below its axis."""


def parameter_axis(name: str, axis: SpaceAxis, *, absent: bool = False) -> Axis:
    """Return the axis of a parameter on its own scale: places are coordinates in [0, 1].

    absent: Whether to leave room for trials that do not have it.
    """
    values = _ticks(axis)
    texts = _told_apart([printable(axis.text(each)) for each in values], Axis.letters)
    places = [round(axis.to_unit(each), 4) for each in values]
    ticks = list(zip(places, texts, strict=True))
    if absent:
        ticks.insert(0, (ABSENT, "not there"))
    return Axis(name, 1.4 * ABSENT if absent else -0.04, 1.04, tuple(ticks))


def _told_apart(texts: list[str], letters: int) -> list[str]:
    """Cut long texts in their middle, where they would look alike when cut at the end."""
    if len({text[: letters - 1] for text in texts}) == len(set(texts)):
        return texts
    head = letters // 2
    tail = letters - 1 - head
    return [
        text if len(text) <= letters else f"{text[:head]}\u2026{text[-tail:]}" for text in texts
    ]


def _ticks(axis: SpaceAxis) -> Sequence[Any]:
    if isinstance(axis, Choice):
        return evenly(axis.options, MOST_OPTIONS)
    assert isinstance(axis, Real | Integer)
    values = axis.scale.ticks()
    if isinstance(axis, Integer):
        return [round(each) for each in values if each == round(each)] or [int(axis.scale.min)]
    return values


def places_on(axis: SpaceAxis, values: Sequence[Any]) -> list[float]:
    """Return where values stand on their axis: `to_unit` of each, but many at a time."""
    if isinstance(axis, Real):
        units = axis.scale.to_unit(np.asarray(values, np.float64))
        return [round(each, 4) for each in np.clip(units, 0, 1).tolist()]
    known = {repr(each): each for each in values}  # repr: 1 and true are two options
    units_of = {text: round(axis.to_unit(each), 4) for text, each in known.items()}
    return [units_of[repr(each)] for each in values]


def by_role(report: Report, results: Sequence[Result]) -> dict[str, list[Result]]:
    """Sort trials by their role, the least important first, as they are to be drawn."""
    order = ("lost", "rest", "middle", "top", "best")
    groups: dict[str, list[Result]] = {role: [] for role in order}
    for each in results:
        groups[report.roles[each.trial]].append(each)
    return {role: group for role, group in groups.items() if group}
