"""Random search: every trial drawn from the whole space, blind to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.fields import STRICT

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.space import Point, Space
    from hpsearch.trial import Result


@dataclass(frozen=True)
class Random:
    """Uniform on each parameter's own scale.

    Source: Bergstra & Bengio 2012, JMLR 13:281-305: better than a grid when only some parameters
    matter, because every trial tries a new value of each.
    """

    __pydantic_config__ = STRICT

    def suggest(
        self,
        space: Space,
        results: Sequence[Result],
        number: int,
        rng: np.random.Generator,
    ) -> Point:
        """Draw one point."""
        return space.draw(rng)
