"""Settings that are listed in the config, as `hpsearch retest` does: each of them once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval, MaxLen, MinLen

from hpsearch.fields import STRICT, doc
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.trial import plain

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Space

LISTED = "listed"
"""The name of the method; not in STRATEGIES, since it searches nothing."""
MOST = 10_000

Coordinate = Annotated[float, Interval(ge=0, le=1)]


@dataclass(frozen=True)
class Listed:
    """The listed points, in their order."""

    __pydantic_config__ = STRICT

    points: Annotated[tuple[tuple[Coordinate, ...], ...], MinLen(1), MaxLen(MOST)] = doc(
        "points of the unit cube, one coordinate for each parameter, as `unit` in trials.jsonl"
    )
    trials: tuple[Annotated[int, Ge(0)], ...] | None = doc(
        "which trial of the parent run each of them is", default=None
    )

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion | None:
        """Return point `number`, or None after the last."""
        if number >= len(self.points):
            return None
        note = None if self.trials is None else {"trial": self.trials[number]}
        return Suggestion(self.points[number], note)

    def size(self, space: Space) -> int:
        """Return the number of points."""
        return len(self.points)

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield a point of another space, and a list of trials that is not one for each point."""
        axes = len(space.axes)
        for i, point in enumerate(self.points):
            if len(point) != axes:
                names = f": {', '.join(space.axes)}" if space.axes else ""
                yield Problem(
                    f"point {i} of method.points has {len(point)} coordinates, and {axes} "
                    f"parameters vary{names}",
                    keys=("points",),
                )
                return
        if self.trials is not None and len(self.trials) != len(self.points):
            yield Problem(
                f"method.trials names {len(self.trials)} trials for {len(self.points)} points",
                keys=("trials",),
            )

    def at_once(self) -> None:
        """Let any number run at once."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys."""
        return {key: plain(value) for key, value in asdict(self).items() if value is not None}
