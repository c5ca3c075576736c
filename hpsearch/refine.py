"""From a run to the config of a narrower one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.config import Config, allowed, refined_yaml
from hpsearch.config.definitions import DEFAULT_TRIALS, MOST_REPEATS
from hpsearch.errors import UserError
from hpsearch.space import Choice
from hpsearch.standings import FEWEST_TO_REFINE, trials_of
from hpsearch.strategies import STRATEGIES, Listed
from hpsearch.strategies.grid import Grid
from hpsearch.trial import Result, ranked
from hpsearch.zoom import zoom


def refined(
    config: Config,
    results: list[Result],
    folder: Path,
    *,
    name: str,
    top: int,
    trials: int | None,
    method: str | None = None,
) -> str:
    """Write the config that searches the box around the best trials.

    Args:
        config: The run's config.
        results: Its finished trials.
        folder: Where the new config will be, so that it finds the data.
        name: The new run's name.
        top: How many of the best trials the box is drawn around.
        trials: How many trials the new run has; None for as many as the old one.
        method: The new run's strategy, a key of STRATEGIES; None for the old one's.
    Raises:
        UserError: nothing varies, or there are fewer than three complete trials.
    """
    complete = [result for result in trials_of(config, results) if result.score is not None]
    if not config.space.axes:
        raise UserError(f"nothing varies in the run {config.name}, so there is nothing to refine")
    if not complete:
        raise UserError(
            f"no trial of the run {config.name} is complete ({len(results)} of {len(results)} "
            "have no score), so there is no region around the best to refine"
            if results
            else f"the run {config.name} has no finished trial yet, so there is nothing to refine"
        )
    if len(complete) < FEWEST_TO_REFINE:
        raise UserError(
            f"the run {config.name} has {len(complete)} complete trials of {len(results)}, and a "
            f"refinement needs at least {FEWEST_TO_REFINE}; raise its budget and run it again"
        )
    if isinstance(config.strategy, Listed):  # a retest, which lists its settings
        method = method or "random"
    if method is not None and method != config.method:
        strategy = _with_points(config, trials) if method == "grid" else STRATEGIES[method]()
        config = replace(config, method=method, strategy=strategy)
    best = ranked(complete, config.goal)[:top]

    bounds = config.space.reach()

    counters = {words["repeat"] for words in config.space.words.values() if "repeat" in words}

    def may_be(parameter: str, value: Any) -> bool:
        if parameter in counters and not 0 <= value <= MOST_REPEATS:
            return False
        if not allowed(config, parameter, value):
            return False
        return not any(config.objective.problems({**bounds, parameter: (value,)}))

    zoomed = zoom(config.space, best, may_be)
    return refined_yaml(config, zoomed, folder, name=name, best=best, trials=trials)


def _with_points(config: Config, trials: int | None) -> Grid:
    """Return a grid that is as fine as the trials have room for, two values a range at least."""
    axes = config.space.axes.values()
    room = float(trials or config.limit or DEFAULT_TRIALS)
    room /= math.prod(len(axis.options) for axis in axes if isinstance(axis, Choice))
    ranges = sum(not isinstance(axis, Choice) for axis in axes)
    return Grid(max(2, math.floor(room ** (1 / ranges) + 1e-9)) if ranges else None)
