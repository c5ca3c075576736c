"""Objectives: what a setting is measured by.

To add one, write a class in a file of its own and one line in OBJECTIVES: the key that chooses it
in the config's section `objective`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hpsearch.objectives.base import Context, CrashedError, Names, Objective, ObjectiveError, Steps

__all__ = [
    "OBJECTIVES",
    "Context",
    "CrashedError",
    "Names",
    "Objective",
    "ObjectiveError",
    "Steps",
    "from_spec",
    "objective_class",
]

OBJECTIVES = {
    "trainer": "mlp.MLP",
    "python": "python.PythonFunction",
    "command": "command.Command",
}
"""Where the class of each is: a worker imports the one it runs, and what that needs."""


def objective_class(kind: str) -> type[Objective]:
    """Return the class of an objective by its key in OBJECTIVES."""
    module, name = OBJECTIVES[kind].split(".")
    found: type[Objective] = getattr(import_module(f"hpsearch.objectives.{module}"), name)
    return found


def from_spec(kind: str, spec: Mapping[str, Any]) -> Objective:
    """Build an objective in a worker from what `spec` gave in the parent."""
    return objective_class(kind).from_spec(spec)
