"""Quasi-random search: a scrambled Sobol sequence, spread more evenly than random draws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.fields import STRICT
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.strategies.lattice import fresh

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Point, Space

MOST_AXES = 21_201
"""Direction numbers are known up to this dimension."""
BLOCK = 256
"""Points made at once; a power of two keeps the sequence balanced."""
FRUITLESS = 32
"""Blocks without one new setting, after which the sequence is taken to have no more."""
BITS = 30


@dataclass(frozen=True)
class Sobol:
    """Points that fill the unit cube evenly, at any number of trials and on every axis.

    Source: Owen 1998, ACM TOMACS 8:71-102 (scrambling); Joe & Kuo 2008, SIAM J. Sci. Comput.
    30:2635-2654 (direction numbers).
    """

    __pydantic_config__ = STRICT

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion:
        """Return the next point of the sequence whose setting is allowed and new."""
        return Suggestion(sobol_point(space, history, number, rng))

    def size(self, space: Space) -> None:
        """Go on for ever."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield too many parameters."""
        if len(space.axes) > MOST_AXES:
            yield Problem(
                f"a Sobol sequence has at most {MOST_AXES:,} dimensions, and {len(space.axes):,} "
                "parameters vary",
                "Take method: random.",
            )

    def at_once(self) -> None:
        """Let any number run at once."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys, of which there are none."""
        return asdict(self)


def sobol_point(space: Space, history: History, number: int, rng: np.random.Generator) -> Point:
    """Return point `number` of the search's sequence, or a draw where it has no more."""
    if not space.axes:
        return ()
    sequence = history.once("sobol", lambda: _Sequence(space, history.stream("sobol")))
    point = sequence.point(number)
    return fresh(space, history, number, rng) if point is None else point


class _Sequence:
    """The points of a scrambled Sobol sequence that are allowed, each setting once.

    They depend on the space and the stream alone: a point is made when it is first asked for.
    """

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        from scipy.stats import qmc  # slow to import, and few commands need it

        self._space = space
        try:
            self._engine = qmc.Sobol(len(space.axes), bits=BITS, rng=rng)
        except TypeError:  # SciPy before 1.15
            self._engine = qmc.Sobol(len(space.axes), bits=BITS, seed=rng)
        self._points: list[Point] = []
        self._settings = space.settings()
        self._seen: set[str] = set()
        self._fruitless = 0

    def point(self, number: int) -> Point | None:
        """Return a point, or None where the sequence has no further setting."""
        while len(self._points) <= number and self._fruitless < FRUITLESS:
            before = len(self._points)
            self._extend()
            self._fruitless = 0 if len(self._points) > before else self._fruitless + 1
        return self._points[number] if number < len(self._points) else None

    def _extend(self) -> None:
        finite = not math.isinf(self._settings)
        if finite and len(self._seen) >= self._settings:
            self._fruitless = FRUITLESS
            return
        # Its coordinates are multiples of 2**-30 below 1: stretched, so that 1 is reached as 0 is.
        block = (self._engine.random(BLOCK) * (2**BITS / (2**BITS - 1))).clip(0, 1)
        for point in map(tuple, block.tolist()):
            if not self._space.allows(point):
                continue
            if finite:
                key = repr(self._space.params(point))
                if key in self._seen:
                    continue
                self._seen.add(key)
            self._points.append(point)
