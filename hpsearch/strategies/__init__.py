"""Strategies: which setting to try next.

To add one, write a frozen dataclass in a file of its own, whose fields are the keys that
`method: {name: ..., ...}` takes, and one line in STRATEGIES.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from hpsearch.strategies.random import Random

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.space import Point, Space
    from hpsearch.trial import Result


class Strategy(Protocol):
    """A pure function of what it may see; it opens no file and keeps nothing between calls."""

    def suggest(
        self, space: Space, results: Sequence[Result], number: int, rng: np.random.Generator
    ) -> Point | None:
        """Return trial `number`'s point in the unit cube.

        results: the finished trials, in any order. What is read from them must be fixed by
            `number` alone (the trials below `number - lag`, say), so that the suggestion does not
            depend on which worker was faster.
        rng: the trial's own stream, the same whenever this is called.
        Returns None while a result that the suggestion needs is still missing.
        """


STRATEGIES: dict[str, type[Strategy]] = {"random": Random}
