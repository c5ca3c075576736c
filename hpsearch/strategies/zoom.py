"""Zoom: from the whole space to where the good trials are, on each parameter's own scale."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Interval

from hpsearch.fields import STRICT, OneOf, doc
from hpsearch.history import Array
from hpsearch.space import Axis, Choice
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.strategies.grid import MOST, Points
from hpsearch.strategies.lattice import (
    TRIES,
    Ticks,
    combination,
    combinations,
    fresh,
    is_product,
    tick_count,
    ticks,
)
from hpsearch.strategies.sobol import Sobol, sobol_point
from hpsearch.trial import Result, cost, ranked

if TYPE_CHECKING:
    from hpsearch.history import History
    from hpsearch.space import Point, Space

FIRST, FIRST_PER_AXIS = 10, 2
"""rounds: auto. The whole space is looked over for so many trials, the larger of both."""
CANDIDATES, POOL = 15, 200
"""So many of the best are judged again, by what is near them among so many of the latest."""
NEAR = 0.02
"""Near is in units of the spread of the best few, which is taken to be this wide at least."""
ANYWHERE = 0.05
"""Later the share of trials that are points of the whole space."""
FADE = 0.7
"""Each of the best is the centre of a step so many times as often as the next better one."""
NARROWEST, WIDEST = 0.005, 0.3
"""The width of a step, in units of the range; early on it is 1 / trial number at least."""
DEGREES = 3
"""Steps have Student's distribution of so many degrees: mostly small, now and then a wide one."""
AT_END, REDRAWS = 0.2, 8
"""Of the steps beyond an end so many go to it; others are drawn again, so often: all at the end
would be a heap of trials there."""
ANY_OPTION = 0.1
"""The share of steps in which a choice is drawn afresh."""

LAG = 4
"""rounds: auto. How many trials may run at once."""

REACH = 1.0
"""rounds: N. A box reaches this many spreads of the best few trials from the best, each way."""
SMALLEST = 0.025
"""It reaches so far at least, in units of the range: few trials are never trusted more."""
WHOLE = 0.05
"""The share of a round's trials drawn from the whole space, in case the box is wrong."""

FEWEST = 2
"""Complete trials below which nothing is known of where the good ones are."""


@dataclass(frozen=True)
class Zoom:
    """Look over the whole space, then ever closer around the best trials.

    An axis on which the best few agree gets narrow, one that does not matter stays wide. With
    `rounds: auto` every trial is a round of its own: a step from one of the best. With
    `rounds: N` the trials of a round are drawn from one box, which a person can read.
    """

    __pydantic_config__ = STRICT

    rounds: Annotated[str, OneOf(("auto",))] | Annotated[int, Ge(2)] = doc(
        "how often the region is chosen anew; auto: for every trial", default="auto"
    )
    lag: Annotated[int, Interval(ge=1, le=10_000)] = doc(
        "for rounds: auto, how many trials may run at once: a trial sees those up to lag before it",
        default=LAG,
    )
    start: Annotated[str, OneOf(("sobol", "random"))] = doc(
        "how the whole space is looked over first", default="sobol"
    )
    top: Annotated[int, Interval(ge=3, le=5)] = doc(
        "how many of the best trials say where to look", default=5
    )
    finish: Annotated[str, OneOf(("grid",))] | None = doc(
        "for rounds: N, grid makes the last round a grid in the last box", default=None
    )
    points: Points | None = doc(
        "for finish: grid, values per range; by default as many as the round has room for",
        default=None,
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return what trial `number` tries, or None while it depends on a running trial."""
        if isinstance(self.rounds, int):
            return self._in_rounds(space, history, number, rng)
        if number + len(history.earlier) < _first_trials(space):
            return Suggestion(self._first(space, history, number, rng))
        seen = max(0, number - self.lag + 1)
        if not history.known(seen):
            return None
        if history.earlier:
            known = [*history.earlier, *history.results(seen)]
            return self.propose(space, history, number, rng, known, ())
        best = history.best(CANDIDATES, seen)
        if len(best) == CANDIDATES and space.axes:
            table = history.table(seen, partial(_place, space))
            rows = table[[result.trial for result in best]]
            best = _judged(best, rows, table[max(0, seen - POOL) :], self.top)
        return self._near(space, history, number, rng, best[: self.top], number)

    def propose(
        self,
        space: Space,
        history: History,
        number: int,
        rng: np.random.Generator,
        known: Sequence[Result],
        pending: Sequence[Point],
    ) -> Suggestion:
        """Return what trial `number` tries, given some results, as `rounds: auto` does.

        Those of an earlier run say where to begin. As their scores may differ by a constant, they
        are no longer ranked with this run's when it has enough of its own.
        """
        count = number + sum(result.trial < 0 for result in known)
        if count < _first_trials(space):
            return Suggestion(self._first(space, history, number, rng))
        goal = history.goal
        own = [result for result in known if result.trial >= 0]
        if sum(result.score is not None for result in own) >= CANDIDATES:
            known = own
        complete = [result for result in known if result.score is not None]
        best = ranked(complete, goal)[:CANDIDATES]
        if len(best) == CANDIDATES and space.axes:
            rows, latest = (
                np.array([(cost(result, goal), *_place(space, result)) for result in results])
                for results in (best, known[-POOL:])
            )
            best = _judged(best, rows, latest, self.top)
        return self._near(space, history, number, rng, best[: self.top], count)

    def _near(
        self,
        space: Space,
        history: History,
        number: int,
        rng: np.random.Generator,
        best: Sequence[Result],
        count: int,
    ) -> Suggestion:
        """Step from one of the best of `count` trials; now and then look elsewhere."""
        if len(best) < FEWEST or rng.random() < ANYWHERE:
            return Suggestion(self._first(space, history, number, rng))
        step = _Step(space, best, count, rng)
        point = _new(space, history, number, rng, step.draw)
        return Suggestion(point, {"around": step.centre.trial, "best": [r.trial for r in best]})

    def size(self, space: Space) -> None:
        """Go on for ever."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield rounds that the budget has no room for, and keys that belong to another form."""
        if self.start == "sobol":
            yield from Sobol().problems(space, trials)
        if self.rounds == "auto":
            for key in ("finish", "points"):
                if getattr(self, key) is not None:
                    yield Problem(
                        f"method.{key} is for rounds: N, whose last round can be a grid",
                        "Add rounds: 5, or remove it.",
                        (key,),
                    )
            return
        assert isinstance(self.rounds, int)
        if self.lag != LAG:
            yield Problem(
                "method.lag is for rounds: auto; in rounds as many trials run at once as one has",
                "Remove it.",
                ("lag",),
            )
        if trials is None:
            yield Problem(
                f"rounds: {self.rounds} needs a number of trials, which the rounds share",
                f"Add budget.trials, such as {20 * self.rounds}, or take rounds: auto.",
                ("rounds",),
            )
        elif self.rounds > trials:
            yield Problem(
                f"method.rounds is {self.rounds}, more than the {trials} trials of the budget",
                f"Give at most {trials}, or raise budget.trials.",
                ("rounds",),
            )
        if self.finish is None and self.points is not None:
            yield Problem("method.points is for finish: grid", "Add it.", ("points",))
        if self.finish == "grid" and self.points is not None:
            count = math.prod(tick_count(axis, self.points) for axis in space.axes.values())
            if count > MOST:
                yield Problem(
                    f"the grid of the last round has up to {count:,} settings, more than {MOST:,}",
                    "Give fewer points, or leave them out.",
                    ("points",),
                )

    def at_once(self) -> tuple[str, int] | None:
        """Return the lag; in rounds as many trials run at once as a round has."""
        return ("lag", self.lag) if self.rounds == "auto" else None

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys and, where there are rounds, the trials that they share."""
        return asdict(self) | ({} if self.rounds == "auto" else {"trials": trials})

    def _first(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Point:
        if self.start == "sobol":
            point = sobol_point(space, history, number, rng)
            if math.isinf(history.once("settings", space.settings)):
                return point
            if not history.tried(space.params(point), number):
                return point
        return fresh(space, history, number, rng)

    def _in_rounds(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        assert isinstance(self.rounds, int)
        assert history.trials is not None
        starts = [i * history.trials // self.rounds for i in range(self.rounds)]
        which = bisect_right(starts, number) - 1
        start = starts[which]
        if not history.known(start):
            return None
        box = history.once(("box", which), lambda: _box(space, history.best(self.top, start)))
        note = None
        if number == start:
            sides = {name: side.note() for name, side in box.items()}
            note = {"round": which + 1, "of": self.rounds, "box": sides}
        if which == 0:
            return Suggestion(self._first(space, history, number, rng), note)
        if self.finish == "grid" and which == self.rounds - 1:
            room = history.trials - start
            grid = history.once("last", lambda: self._last(space, box, room))
            if number - start < len(grid):
                point = grid[number - start]
                if not history.tried(space.params(point), number):
                    return Suggestion(point, note)
        if rng.random() < WHOLE:
            return Suggestion(fresh(space, history, number, rng), note)
        point = _new(
            space, history, number, rng, lambda: tuple(side.draw(rng) for side in box.values())
        )
        return Suggestion(point, note)

    def _last(self, space: Space, box: dict[str, Side], room: int) -> list[Point]:
        """Return the last round's grid; of one with too many settings every so many-th."""
        points = self.points or 2
        axes = [side.ticks(points) for side in box.values()]
        while self.points is None:  # as fine as there is room for
            finer = [side.ticks(points + 1) for side in box.values()]
            if finer == axes or math.prod(map(len, finer)) > room:
                break
            axes, points = finer, points + 1
        every = None if is_product(space) else combinations(space, axes) or []
        count = math.prod(map(len, axes)) if every is None else len(every)
        chosen = [i * count // room for i in range(room)] if count > room else range(count)
        return [combination(axes, i) if every is None else every[i][0] for i in chosen]


def _new(
    space: Space,
    history: History,
    number: int,
    rng: np.random.Generator,
    draw: Callable[[], Point],
) -> Point:
    """Draw until the setting is allowed and new; after too many draws one from the whole space."""
    finite = not math.isinf(history.once("settings", space.settings))
    for _ in range(TRIES):
        point = draw()
        if not space.allows(point):
            continue
        if not (finite and history.tried(space.params(point), number)):
            return point
    return fresh(space, history, number, rng)


def _first_trials(space: Space) -> int:
    """Return how many trials look over the whole space first."""
    return max(FIRST, FIRST_PER_AXIS * len(space.axes))


def _judged(best: list[Result], candidates: Array, latest: Array, top: int) -> list[Result]:
    """Return the best trials in the order in which they stand with those around them.

    A training's score is noisy, so the best of many is partly the luckiest, and would be stepped
    from for ever; the mean with its neighbours tells. One without a score is as bad as the median.

    best: Best first.
    candidates: A row for each of them: its cost, then its place.
    latest: The same of the latest trials.
    top: The spread of so many tells what is near.
    """
    known = np.sort(latest[np.isfinite(latest[:, 0]), 0])
    if not len(known):
        return best
    costs = np.minimum(latest[:, 0], known[len(known) // 2])
    around = candidates[:top, 1:] - candidates[:top, 1:].sum(axis=0) / top
    width = np.sqrt(np.einsum("ij,ij->j", around, around) / top)
    width = np.minimum(np.maximum(width, NEAR), WIDEST)
    scaled = np.sqrt(2 / len(width)) / width
    away = candidates[:, None, 1:] * scaled - latest[:, 1:] * scaled
    apart = np.einsum("ijk,ijk->ij", away, away)  # a mean over few axes is slow
    weights = np.exp(-apart)
    weights[apart < 1e-9] = 0  # itself counts once, with its own cost
    judged = (candidates[:, 0] + (weights * costs).sum(axis=1)) / (1 + weights.sum(axis=1))
    return [best[i] for i in np.argsort(judged, kind="stable")]


def _place(space: Space, result: Result) -> Point:
    """Return a trial's point; where it lacks a parameter, every such trial is at the same place."""
    if len(result.params) == len(result.unit):
        return result.unit
    pairs = zip(space.axes, result.unit, strict=True)
    return tuple(u if name in result.params else 0.5 for name, u in pairs)


class _Step:
    """A step from one of the best trials, the better the more often."""

    def __init__(
        self, space: Space, best: Sequence[Result], count: int, rng: np.random.Generator
    ) -> None:
        self._rng, self._best = rng, best
        self._edges = list(accumulate(FADE**place for place in range(len(best))))
        narrowest = max(NARROWEST, 1 / count)
        self._axes: list[tuple[int, bool, list[Result], float]] = []
        for place, (name, axis) in enumerate(space.axes.items()):
            users = [result for result in best if name in result.params]
            spread = _spread([result.unit[place] for result in users])
            width = min(max(spread, narrowest), WIDEST)
            self._axes.append((place, isinstance(axis, Choice), users, width))
        self.centre = best[0]

    def draw(self) -> Point:
        """Return a point; `centre` is then the trial that it was a step from."""
        rng = self._rng
        self.centre = self._best[bisect_right(self._edges, rng.random() * self._edges[-1])]
        point = []
        for place, is_choice, users, width in self._axes:
            if not users or (is_choice and rng.random() < ANY_OPTION):
                point.append(rng.random())
            elif is_choice:
                point.append(users[rng.integers(len(users))].unit[place])
            else:
                from_one = self.centre if self.centre in users else users[0]
                point.append(self._beside(from_one.unit[place], width))
        return tuple(point)

    def _beside(self, unit: float, width: float) -> float:
        """Draw a coordinate around another one."""
        for _ in range(REDRAWS):
            near = unit + width * float(self._rng.standard_t(DEGREES))
            if 0 <= near <= 1 or self._rng.random() < AT_END:
                break
        return min(max(near, 0.0), 1.0)


def _spread(units: Sequence[float]) -> float:
    """Return the standard deviation; as wide as can be where there are fewer than two."""
    if len(units) < FEWEST:
        return WIDEST
    mean = sum(units) / len(units)
    return math.sqrt(sum((unit - mean) ** 2 for unit in units) / len(units))


@dataclass(frozen=True)
class Side:
    """The part of one axis that a round draws from, and why it is that."""

    axis: Axis
    low: float
    high: float
    options: tuple[Any, ...] | None
    because: dict[str, str]

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a coordinate."""
        if self.options is not None:
            return self.axis.to_unit(self.options[rng.integers(len(self.options))])
        return self.low + (self.high - self.low) * float(rng.integers(0, 2**53, endpoint=True)) / (
            2**53
        )

    def ticks(self, points: int) -> Ticks:
        """Return coordinates at equal steps."""
        if self.options is not None:
            return tuple(self.axis.to_unit(option) for option in self.options)
        return ticks(self.axis, points, self.low, self.high)

    def note(self) -> dict[str, Any]:
        """Return the values at both ends, or the options, and the reasons, as plain data."""
        if self.options is not None:
            return {"values": list(self.options), "because": self.because}
        low, high = (self.axis.from_unit(np.asarray(end)).item() for end in (self.low, self.high))
        return {"min": low, "max": high, "because": self.because}


def _box(space: Space, best: Sequence[Result]) -> dict[str, Side]:
    """Return what to draw from on each axis: around the best, as far as the best few spread."""
    return {
        name: _side(
            axis, place, [result for result in best if name in result.params], name, not best
        )
        for place, (name, axis) in enumerate(space.axes.items())
    }


def _side(axis: Axis, place: int, best: Sequence[Result], name: str, first: bool) -> Side:
    listed = ", ".join(str(result.trial) for result in best)
    if len(best) < FEWEST:
        why = "the whole range: no two of the best trials so far have it"
        if first:
            why = "the whole range: it is the first round"
        if not isinstance(axis, Choice):
            return Side(axis, 0.0, 1.0, None, {"min": why, "max": why})
        drawn = ticks(axis)
        options = tuple(axis.from_unit(np.asarray(u)).item() for u in drawn)
        return Side(axis, 0.0, 1.0, options, {"values": why})
    if isinstance(axis, Choice):
        chosen = {repr(result.params[name]) for result in best}
        options = tuple(option for option in axis.options if repr(option) in chosen)
        return Side(axis, 0.0, 1.0, options, {"values": f"what the best trials {listed} chose"})
    centre, *others = (result.unit[place] for result in best)
    spread = math.sqrt(sum((unit - centre) ** 2 for unit in others) / len(others))
    reach = min(max(REACH * spread, SMALLEST), 0.5)
    why = f"trial {best[0].trial} is best, and {listed} spread {spread:.0%} of the range around it"
    because = {"min": why, "max": why}
    low, high = centre - reach, centre + reach
    if low < 0:
        low, high = 0.0, high - low
        because = {"min": "the end of the range", "max": f"{why}; shifted up from the lower end"}
    elif high > 1:
        low, high = low - (high - 1), 1.0
        because = {"min": f"{why}; shifted down from the upper end", "max": "the end of the range"}
    if high - low >= 1:
        because = dict.fromkeys(("min", "max"), f"the whole range: {why}")
    return Side(axis, max(low, 0.0), min(high, 1.0), None, because)
