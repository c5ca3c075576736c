"""What a config says that is allowed, but probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.scales import Integer, Real

if TYPE_CHECKING:
    from hpsearch.config.load import Config


def traps(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (parameter, sentence) for what is allowed but probably not meant."""
    for name, parts in config.space.entries.items():
        axis = config.space.axes[parts[0]]
        if isinstance(axis, Real | Integer):
            yield from ((name, text) for text in _scale_traps(axis))
    yield from config.space.unused()
    yield from config.objective.idle(config.space.reach())
    settings, trials = config.space.settings(), config.limit
    if trials and settings < trials and config.space.axes:
        yield (
            "",
            (
                f"there are only {settings:.0f} distinct settings for {trials} trials: "
                "some will be tried more than once, with other seeds"
            ),
        )
    if config.size and config.budget.trials and config.size > config.budget.trials:
        yield (
            "",
            (
                f"the {config.method} has {config.size:,} settings and the budget is "
                f"{config.budget.trials:,} trials: the rest will not be tried"
            ),
        )
    at_once, patience = config.strategy.at_once(), config.budget.patience
    if at_once and patience and patience <= at_once[1]:
        step = "step" if config.in_steps else "trial"
        yield (
            "",
            (
                f"budget.patience is {patience} and method.{at_once[0]} {at_once[1]}: a {step} "
                f"sees no result of the {at_once[1] - 1} before it, so the search may well end "
                "before what is good was followed"
            ),
        )
    if not config.space.axes and trials != 1:
        yield "", "nothing varies: the trials differ in their seed only"
    if config.goal != config.objective.METRICS.get(config.metric_name, config.goal):
        yield "", f"the goal is to {config.goal} {config.metric_name}: is that what you want?"


def _scale_traps(axis: Real | Integer) -> Iterator[str]:
    low, high = axis.scale.min, axis.scale.max
    if axis.name == "log" and low >= 0.5 and 0.99 <= high < 1:
        yield (
            f"a log scale up to {high:g} hardly tries values near 1, where 1 - value matters; "
            "scale: one_minus_log does"
        )
    if axis.name == "one_minus_log" and isinstance(axis, Real) and low < 0.5 and high > 0.9:
        yield (
            f"a one_minus_log scale spends half of the trials above {axis.text(_middle(axis))}; it "
            "is for a β near 1"
        )
    if axis.name != "linear":
        return
    if low > 0 and round(high / low, 6) >= 1000:  # 1e-4 to 0.1, whatever the last bit says
        share = (high - high / 10) / (high - low)
        yield (
            f"a linear scale from {low:g} to {high:g} spends {share:.0%} of the trials above "
            f"{high / 10:g}; scale: log gives every decade its share"
        )
    elif (
        isinstance(axis, Real)
        and 0 <= low < high < 1
        and (low >= 0.5 or high >= 0.99)
        and round((1 - low) / (1 - high), 6) >= 10
    ):
        yield (
            f"a linear scale up to {high:g} hardly tries values near 1, where 1 - value matters; "
            "scale: one_minus_log does"
        )


def _middle(axis: Real) -> float:
    return float(axis.scale.at(np.asarray(0.5)))
