"""Values at equal steps on each parameter's own scale, and their combinations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from hpsearch.history import History
from hpsearch.scales import Integer
from hpsearch.space import Axis, Choice, Point, Space
from hpsearch.trial import Params

TRIES = 100
"""How many draws may be repetitions before the settings that are left are listed."""
LISTED = 20_000
"""The most combinations that are listed one by one."""

Ticks = tuple[float, ...]
"""Coordinates on one axis, in the order of its values."""


def ticks(axis: Axis, points: int | None = None, low: float = 0.0, high: float = 1.0) -> Ticks:
    """Return the coordinates of `points` values at equal steps on the axis's scale.

    The first value is the one at `low`, the last the one at `high`. Of a choice it is every
    option that can be drawn, of whole numbers every one if there are not more than `points`;
    where two values round to the same whole number, it is one.

    points: at least 2; a range of real numbers needs it.
    """
    if isinstance(axis, Choice):
        weights = axis.weights or (1.0,) * len(axis.options)
        pairs = zip(axis.options, weights, strict=True)
        return tuple(axis.to_unit(option) for option, weight in pairs if weight > 0)
    if not isinstance(axis, Integer):
        assert points is not None
        return tuple(np.linspace(low, high, points).tolist())
    first, last = (int(axis.from_unit(np.asarray(end))) for end in (low, high))
    values: Sequence[int] = range(first, last + 1)
    if points is not None and points < len(values):
        start, stop = axis.scale.to_unit(np.asarray([first, last], np.float64)).tolist()
        whole = np.rint(axis.scale.at(np.linspace(start, stop, points))).astype(np.int64)
        values = sorted({first, *np.clip(whole, first, last).tolist(), last})
    return tuple(axis.to_unit(value) for value in values)


def tick_count(axis: Axis, points: int | None) -> int:
    """Return how many ticks there are at most, without making them."""
    if isinstance(axis, Choice):
        return len(ticks(axis))
    assert points is not None or isinstance(axis, Integer)
    if not isinstance(axis, Integer):
        return points or 0
    every = int(axis.scale.max) - int(axis.scale.min) + 1
    return every if points is None else min(every, points)


def is_product(space: Space) -> bool:
    """Tell whether every combination of values is a setting of its own.

    It is not where a parameter has conditions or some combinations are excluded.
    """
    return not (space.clauses or space.constraints)


def combination(axes: Sequence[Ticks], number: int) -> Point:
    """Return combination `number` of all, the last axis changing fastest."""
    point = []
    for each in reversed(axes):
        number, place = divmod(number, len(each))
        point.append(each[place])
    return tuple(reversed(point))


def combinations(space: Space, axes: Sequence[Ticks]) -> list[tuple[Point, Params]] | None:
    """Return every combination that the space allows, each setting once; None for too many.

    In the order of `combination`; a parameter that a setting does not use stands at its first tick.
    """
    found: dict[str, tuple[Point, Params]] = {}
    listed = list(itertools.islice(_leaves(space, axes), LISTED + 1))
    if len(listed) > LISTED:
        return None
    for point, params in listed:
        if space.allows(point):
            found.setdefault(repr(params), (point, params))
    return list(found.values())


def _leaves(
    space: Space,
    axes: Sequence[Ticks],
    point: tuple[float, ...] | None = None,
    decided: frozenset[int] = frozenset(),
) -> Iterator[tuple[Point, Params]]:
    """Yield the combinations of the parameters that each setting uses, and of no others."""
    point = tuple(each[0] for each in axes) if point is None else point
    used = space.params(point)
    places = (i for i, name in enumerate(space.axes) if name in used and i not in decided)
    place = next(places, None)
    if place is None:
        yield point, used
        return
    for u in axes[place]:
        further = (*point[:place], u, *point[place + 1 :])
        yield from _leaves(space, axes, further, decided | {place})


def fresh(space: Space, history: History, number: int, rng: np.random.Generator) -> Point:
    """Draw a point whose setting no earlier trial has, or any when all have been tried."""
    point = space.draw(rng)
    settings = history.once("settings", space.settings)
    if math.isinf(settings) or number >= settings:
        return point
    for _ in range(TRIES):
        if not history.tried(space.params(point), number):
            return point
        point = space.draw(rng)
    if settings > LISTED:
        return point
    every = history.once("every setting", lambda: _every(space)) or []
    left = [each for each, params in every if not history.tried(params, number)]
    return left[rng.integers(len(left))] if left else point


def _every(space: Space) -> list[tuple[Point, Params]] | None:
    return combinations(space, [ticks(axis) for axis in space.axes.values()])
