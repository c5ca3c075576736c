"""Objectives: what a setting is measured by.

To add one, write a class in a file of its own and one line in OBJECTIVES: the key that chooses it
in the config's section `objective`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from hpsearch.objectives.mlp import MLP
from hpsearch.trial import Params


class Objective(Protocol):
    """Built from plain data in every worker, then asked for one trial after another."""

    def prepare(self) -> None:
        """Do once per worker what every trial needs: imports, reading the data."""

    def evaluate(self, params: Params, seed: int) -> Iterator[Mapping[str, float]]:
        """Yield every metric after each epoch; the last ones count.

        params: what the trial varies; constants are the objective's own.
        seed: the only source of chance.
        """

    def epochs(self, params: Params) -> int | None:
        """Return how many epochs a trial may take; None where none are counted."""

    def spec(self) -> dict[str, Any]:
        """Return the plain data that `from_spec` builds an equal objective from."""


OBJECTIVES: dict[str, type[MLP]] = {"trainer": MLP}


def from_spec(kind: str, spec: Mapping[str, Any]) -> Objective:
    """Build an objective in a worker from what `spec` gave in the parent."""
    return OBJECTIVES[kind].from_spec(spec)
