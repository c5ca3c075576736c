"""How much each parameter matters: how much worse a model of the ranks predicts without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.report import forest
from hpsearch.report.forest import Errors
from hpsearch.scales import Array
from hpsearch.trial import Result, standing

FEWEST = 10
"""From fewer trials nothing can be told."""
MOST = 500
"""Of more trials an even choice is looked at, best to worst: more tells little more."""
MISSING = "importance needs scikit-learn: pip install 'hpsearch[report]'"


@dataclass(frozen=True)
class Importance:
    """The importance of each parameter, most first."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    """The loss of explained variance when the parameter's values are shuffled: about 0 for one
    that does not matter."""
    errors: tuple[float, ...]
    """The standard error of each: over the trials, the mean of their shuffles."""
    explained: float
    """The share of the variance of ranks that the model explains on trials it has not seen; where
    that is near 0 the values mean nothing."""
    trials: int


def importance(
    units: Mapping[str, Mapping[int, float]],
    results: Sequence[Result],
    goal: str,
    errors: Errors = forest.errors,
) -> Importance | str:
    """Return how much each parameter matters for the rank of a trial; or why that is not known.

    A random forest learns a trial's rank from its point on the parameters' own scales, and is asked
    about trials that it has not seen, with one parameter shuffled at a time. Ranks rather than
    scores, so that a few huge losses do not decide; a diverged trial is as bad as the worst. It is
    the same at every call.

    units: Where each trial stands on the axis of each varied parameter that it has, in [0, 1].
    errors: What asks the forest.

    Source: Breiman 2001, Machine Learning 45, p. 5-32, section 10 (permutation importance).
    """
    judged = [each for each in results if each.score is not None or each.status == "diverged"]
    scored = sum(each.score is not None for each in judged)
    if not units:
        return "no parameter varies"
    if scored < FEWEST:
        return f"at least {FEWEST} trials with a score are needed, and there are {scored}"
    judged.sort(key=lambda each: (*standing(each, goal), each.trial))
    if len(judged) > MOST:
        judged = [judged[i] for i in np.linspace(0, len(judged) - 1, MOST).round().astype(int)]
    # A parameter that a trial does not have is off its axis.
    places = np.array([[at.get(each.trial, -1.0) for at in units.values()] for each in judged])
    ranks = _ranks([standing(each, goal) for each in judged])
    if np.ptp(ranks) == 0:
        return "all trials have the same score"
    try:
        base, shuffled = errors(places, ranks)
    except ImportError:
        return MISSING
    losses = shuffled - base[:, np.newaxis]
    means = losses.mean(axis=0)
    deviations = losses.std(axis=0, ddof=1) / math.sqrt(len(judged))
    names = list(units)
    best = sorted(range(len(names)), key=lambda i: (-means[i], i))
    return Importance(
        tuple(names[i] for i in best),
        tuple(round(float(means[i]), 4) for i in best),
        tuple(round(float(deviations[i]), 4) for i in best),
        round(1 - float(base.mean()), 4),
        len(judged),
    )


def _ranks(keys: Sequence[tuple[float, float]]) -> Array:
    """Return ranks in [0, 1] of keys in their order; equal ones have the mean of theirs."""
    levels = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    which = np.array([levels[key] for key in keys])
    counts = np.bincount(which)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[which] / max(1, len(keys) - 1))
