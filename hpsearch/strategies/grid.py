"""Grid search: every combination of values at equal steps on each parameter's own scale."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from hpsearch.errors import nearest
from hpsearch.fields import STRICT, doc
from hpsearch.scales import Real
from hpsearch.space import Choice, Point
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.strategies.lattice import (
    LISTED,
    Ticks,
    combination,
    combinations,
    is_product,
    tick_count,
    ticks,
)

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Space

MOST = 1_000_000
"""A grid with more settings is a mistake: nobody waits for its end."""

FEWER = "Give fewer points, or take method: random or sobol, which need no grid."
MORE = "Give more points, or take method: random."

Points = Annotated[int, Interval(ge=2, le=MOST)]


@dataclass(frozen=True)
class Grid:
    """Every combination, both ends of each range included; the last parameter changes fastest."""

    __pydantic_config__ = STRICT

    points: Points | dict[str, Points] | None = doc(
        "values per range, for all or for each parameter by name; whole numbers need none and are "
        "then all tried",
        default=None,
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return combination `number`, or None after the last."""
        if is_product(space):
            axes = history.once("ticks", lambda: self._ticks(space))
            count = math.prod(map(len, axes))
            return Suggestion(combination(axes, number)) if number < count else None
        points = history.once("grid", lambda: self._points(space))
        return Suggestion(points[number]) if number < len(points) else None

    def size(self, space: Space) -> int:
        """Return the number of settings."""
        if is_product(space):
            return math.prod(map(len, self._ticks(space)))
        return len(self._points(space))

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield a name that is no range, a range without points, and a grid without end."""
        ranges = {name: axis for name, axis in space.axes.items() if not isinstance(axis, Choice)}
        known = list(dict.fromkeys([*ranges, *map(_base, ranges)]))
        for name in self.points if isinstance(self.points, dict) else ():
            if name not in known:
                meant = nearest(name, known)
                yield Problem(
                    f"method.points names '{name}', which is not a range under parameters",
                    f"Did you mean '{meant}'?" if meant else f"Ranges: {', '.join(known)}.",
                    ("points", name),
                    at_key=True,
                )
        for name, axis in ranges.items():
            if isinstance(axis, Real) and self._of(name) is None:
                example = f"{{{name}: 5}}" if self.points else "5"
                yield Problem(
                    f"a grid over real numbers needs a number of points, and {name} has none",
                    f"Add points: 5, as in method: {{name: grid, points: {example}}}",
                )
                return
        at = () if self.points is None else ("points",)
        count = math.prod(tick_count(axis, self._of(name)) for name, axis in space.axes.items())
        if is_product(space):
            if count > MOST:
                yield Problem(f"the grid has {count:,} settings, more than {MOST:,}", FEWER, at)
            return
        settings = combinations(space, self._ticks(space))
        if settings is None:
            yield Problem(f"the grid has more than {LISTED:,} combinations", FEWER, at)
        elif not settings:
            yield Problem("the constraints exclude every setting of the grid", MORE, at)

    def within(self, names: Collection[str]) -> Grid:
        """Return the grid for a space in which only these parameters vary."""
        if not isinstance(self.points, dict):
            return self
        kept = {name: n for name, n in self.points.items() if {name} & {*names, *map(_base, names)}}
        return Grid(kept or None)

    def at_once(self) -> None:
        """Let any number run at once."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys."""
        return asdict(self)

    def _of(self, name: str) -> int | None:
        if isinstance(self.points, dict):
            return self.points.get(name, self.points.get(_base(name)))
        return self.points

    def _ticks(self, space: Space) -> list[Ticks]:
        return [ticks(axis, self._of(name)) for name, axis in space.axes.items()]

    def _points(self, space: Space) -> list[Point]:
        return [point for point, _ in combinations(space, self._ticks(space)) or []]


def _base(name: str) -> str:
    """Return the name in the config of a parameter that is repeated: hidden_units_2's."""
    return re.sub(r"_\d+$", "", name)
