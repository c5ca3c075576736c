"""What a model of a run's scores says of each parameter: how much it matters, and which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from hpsearch.report.table import Column, Table, measure_text, number_text
from hpsearch.space import Axis, Choice, Space
from hpsearch.trial import Result, of_one_rung

FEWEST = 5
"""Complete trials with different scores below which there is nothing to model."""
POINTS = 256
"""The importance is a mean over so many points of a Sobol sequence."""
STEPS = 8
"""A range is looked at in so many places for its importance."""
SHOWN = 5
"""And in so many for the expected score."""
BEST = 5
"""The expected score is a mean over so many of the best settings."""


IMPORTANCE = (
    "By a Gaussian process of the scores. The importance is a parameter's share of what changing "
    "one parameter alone changes, on average over the whole space; the length scale tells over how "
    "much of its range the score stays alike."
)
OTHER_IMPORTANCE = (
    "The picture of the importance measures something else: how much worse a random forest "
    "predicts the rank of a trial once the values of a parameter are shuffled."
)
EXPECTED = (
    "What is expected where one parameter has this value and the others are as in the best five "
    "settings; low and high are one standard deviation away."
)


@dataclass(frozen=True)
class Tick:
    """What is expected where one parameter has one value."""

    value: Any
    expected: float
    """The median of the score, mean over the best settings."""
    low: float
    high: float
    """One standard deviation to both sides, in the unit of the score; low <= high."""


@dataclass(frozen=True)
class Belief:
    """What the model says of one parameter."""

    parameter: str
    importance: float
    """Its share of all changes, 0 to 1: see `beliefs`."""
    length: float
    """The length scale: over so much of its range the score stays alike; of a choice, the higher,
    the more alike two options are."""
    ticks: tuple[Tick, ...]


def comparable(results: Sequence[Result]) -> list[Result]:
    """Return the results that a model of a run is made of: under halving those of one rung."""
    return of_one_rung(results, FEWEST)


def rung_text(results: Sequence[Result]) -> str | None:
    """Say after how many epochs the scores were taken, as `comparable` chose; None without rungs.

    results: What `comparable` returned.
    """
    there = [result for result in results if result.rung is not None and result.score is not None]
    if not there:
        return None
    return (
        f"The scores are those after {there[0].budget} epochs, the highest rung that enough trials "
        f"have reached: {len(there)} did, and the others count as bad as the worst of them."
    )


def beliefs(space: Space, results: Sequence[Result], goal: str) -> list[Belief]:
    """Fit a Gaussian process to a run, and return what it says of each parameter, in their order.

    The importance is the variance of the expected score when this parameter alone changes, mean
    over the whole space, divided by the sum of the same over all parameters. What is expected along
    a parameter is the mean over the five settings, among those that have it, which the model takes
    to be best: their other parameters stay as they are.

    results: The trials, with and without a score. Empty answer where too few have one, or all of
        them the same.

    Source: Homma & Saltelli 1996, Reliability Engineering & System Safety 52:1-17 (the total effect
    of a parameter, before it is divided by the sum).
    """
    from hpsearch.surrogate import Surrogate, places

    scores = [result.score for result in results if result.score is not None]
    if len(scores) < FEWEST or min(scores) == max(scores) or not space.axes:
        return []
    ordered = sorted(results, key=lambda result: result.trial)
    model = Surrogate(space, goal, ordered, None, refit=True)
    posterior, sign = model.posterior, 1.0 if goal == "minimize" else -1.0
    good = model.centres[np.argsort(posterior.mean(model.places[model.centres]), kind="stable")]
    effects, all_ticks = [], []
    everywhere = _everywhere(len(space.axes))
    for place, axis in enumerate(space.axes.values()):
        along = [_moved(everywhere, place, u) for u in _coordinates(axis, STEPS)]
        means = [posterior.mean(places(space, points)) for points in along]
        effects.append(float(np.var(means, axis=0).mean()))
        there = space.there(model.units[good])[:, place]
        centres = model.units[good[there][:BEST]]
        ticks = []
        for u in _coordinates(axis, SHOWN) if len(centres) else ():
            mean, deviation = posterior.average(places(space, _moved(centres, place, u)))
            ends = model.warp.back(np.array([mean - deviation, mean, mean + deviation])) * sign
            value = axis.from_unit(np.asarray(u)).item()
            ticks.append(Tick(value, float(ends[1]), float(ends.min()), float(ends.max())))
        all_ticks.append(tuple(ticks))
    total = sum(effects) or 1.0
    rows = zip(space.axes, effects, model.hyper.lengths, all_ticks, strict=True)
    return [Belief(name, effect / total, length, ticks) for name, effect, length, ticks in rows]


def _everywhere(axes: int) -> Any:
    from scipy.stats import qmc

    return qmc.Sobol(axes, scramble=False).random(POINTS)


def _coordinates(axis: Axis, count: int) -> list[float]:
    """Return coordinates from one end of an axis to the other, each value once."""
    if isinstance(axis, Choice):
        return [axis.to_unit(option) for option in axis.options]
    return [float(u) for u in np.unique(axis.snap(np.linspace(0, 1, count)))]


def _moved(points: Any, place: int, u: float) -> Any:
    moved = points.copy()
    moved[:, place] = u
    return moved


def importance_table(found: Sequence[Belief]) -> Table:
    """Return one row per parameter, the most important first."""
    rows = tuple(
        (each.parameter, each.importance, each.length)
        for each in sorted(found, key=lambda belief: -belief.importance)
    )
    columns = (Column("parameter"), Column("importance", "{:.0%}".format), Column("length_scale"))
    return Table(columns, rows)


def expected_table(space: Space, found: Sequence[Belief], metric: str) -> Table:
    """Return one row per parameter and value: the expected score, and a standard deviation."""
    rows = tuple(
        (belief.parameter, space.axes[belief.parameter].text(value), *figures)
        for belief in found
        for value, *figures in map(astuple, belief.ticks)
    )
    text = measure_text(metric)
    columns = (
        Column("parameter"),
        Column("value"),
        Column("expected", text),
        Column("low", text),
        Column("high", text),
    )
    return Table(columns, rows)


def beliefs_table(found: Sequence[Belief], metric: str) -> Table:
    """Return all of it in one table, for a program: one row per parameter and value."""
    rows = tuple(
        (belief.parameter, belief.importance, belief.length, *astuple(tick))
        for belief in found
        for tick in belief.ticks
    )
    text = measure_text(metric)
    columns = (
        *(Column("parameter"), Column("importance"), Column("length_scale")),
        *(Column("value", number_text), Column("expected", text)),
        *(Column("low", text), Column("high", text)),
    )
    return Table(columns, rows)
