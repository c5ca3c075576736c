"""Strategies: which setting to try next.

To add one, write a frozen dataclass in a file of its own, whose fields are the keys that
`method: {name: ..., ...}` takes, and one line in STRATEGIES.
"""

from __future__ import annotations

from hpsearch.strategies.base import Problem, Stage, Strategy, StrategyError, Suggestion
from hpsearch.strategies.bayes import Bayes
from hpsearch.strategies.grid import Grid
from hpsearch.strategies.halving import BLIND, Halving
from hpsearch.strategies.listed import LISTED, Listed
from hpsearch.strategies.own import Own
from hpsearch.strategies.random import Random
from hpsearch.strategies.sobol import Sobol
from hpsearch.strategies.zoom import Zoom

__all__ = [
    "BLIND",
    "LISTED",
    "SEES_NOTHING",
    "STRATEGIES",
    "Halving",
    "Listed",
    "Own",
    "Problem",
    "Stage",
    "Strategy",
    "StrategyError",
    "Suggestion",
]

STRATEGIES: dict[str, type[Strategy]] = {
    "random": Random,
    "grid": Grid,
    "sobol": Sobol,
    "zoom": Zoom,
    "bayes": Bayes,
    "halving": Halving,
}

SEES_NOTHING = (Random, Sobol, Grid, Listed)
"""Those that ask of earlier trials at most their settings, never a result."""
