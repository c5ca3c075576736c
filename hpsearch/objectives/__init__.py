"""Objectives: what a setting is measured by.

To add one, write a class in a file of its own and one line in OBJECTIVES: the key that chooses it
in the config's section `objective`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.objectives.base import Context, CrashedError, Names, Objective, ObjectiveError, Steps
from hpsearch.objectives.command import Command
from hpsearch.objectives.mlp import MLP
from hpsearch.objectives.python import PythonFunction

__all__ = [
    "OBJECTIVES",
    "Context",
    "CrashedError",
    "Names",
    "Objective",
    "ObjectiveError",
    "Steps",
    "from_spec",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "trainer": MLP,
    "python": PythonFunction,
    "command": Command,
}


def from_spec(kind: str, spec: Mapping[str, Any]) -> Objective:
    """Build an objective in a worker from what `spec` gave in the parent."""
    return OBJECTIVES[kind].from_spec(spec)
