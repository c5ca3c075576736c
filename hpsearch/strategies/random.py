"""Random search: every trial drawn from the whole space, blind to the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.fields import STRICT
from hpsearch.strategies.base import Problem, Suggestion
from hpsearch.strategies.lattice import fresh

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.history import History
    from hpsearch.space import Space


@dataclass(frozen=True)
class Random:
    """Uniform on each parameter's own scale; a setting that was tried is drawn again.

    Source: Bergstra & Bengio 2012, JMLR 13:281-305: better than a grid when only some parameters
    matter, because every trial tries a new value of each.
    """

    __pydantic_config__ = STRICT

    def suggest(
        self, space: Space, history: History, number: int, rng: np.random.Generator
    ) -> Suggestion:
        """Draw one point."""
        return Suggestion(fresh(space, history, number, rng))

    def size(self, space: Space) -> None:
        """Go on for ever."""

    def problems(self, space: Space, trials: int | None) -> Iterator[Problem]:
        """Yield nothing: it takes every space."""
        yield from ()

    def at_once(self) -> None:
        """Let any number run at once."""

    def identity(self, trials: int | None) -> dict[str, Any]:
        """Return its keys, of which there are none."""
        return asdict(self)
