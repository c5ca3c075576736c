"""How much each parameter matters: how much worse a model of the ranks predicts without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.scales import Array
from hpsearch.space import Space
from hpsearch.trial import Result, standing

FEWEST = 10
"""From fewer trials nothing can be told."""
MOST = 500
"""Of more trials an even choice is looked at, best to worst: more tells little more."""
FOLDS, TREES, SHUFFLES = 4, 40, 4
MISSING = "importance needs scikit-learn: pip install 'hpsearch[report]'"


@dataclass(frozen=True)
class Importance:
    """The importance of each parameter, most first."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    """The loss of explained variance when the parameter's values are shuffled: about 0 for one
    that does not matter."""
    errors: tuple[float, ...]
    """The standard deviation of each over the folds and shuffles."""
    explained: float
    """The share of the variance of ranks that the model explains on trials it has not seen; where
    that is near 0 the values mean nothing."""
    trials: int


def importance(space: Space, results: Sequence[Result], goal: str) -> Importance | str:
    """Return how much each parameter matters for the rank of a trial; or why that is not known.

    A random forest learns a trial's rank from its point on the parameters' own scales, and is asked
    about trials that it has not seen, with one parameter shuffled at a time. Ranks rather than
    scores, so that a few huge losses do not decide; a diverged trial is as bad as the worst. It is
    the same at every call.

    Source: Breiman 2001, Machine Learning 45, p. 5-32, section 10 (permutation importance).
    """
    judged = [each for each in results if each.score is not None or each.status == "diverged"]
    scored = sum(each.score is not None for each in judged)
    if not space.axes:
        return "no parameter varies"
    if scored < FEWEST:
        return f"at least {FEWEST} trials with a score are needed, and there are {scored}"
    judged.sort(key=lambda each: (*standing(each, goal), each.trial))
    if len(judged) > MOST:
        judged = [judged[i] for i in np.linspace(0, len(judged) - 1, MOST).round().astype(int)]
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError:
        return MISSING

    places = np.array([_point(space, each) for each in judged])
    ranks = _ranks([standing(each, goal) for each in judged])
    if np.ptp(ranks) == 0:
        return "all trials have the same score"
    rng = np.random.default_rng(0)
    order = rng.permutation(len(judged))
    losses: list[list[float]] = []
    explained = []
    for fold in range(FOLDS):
        unseen = order[fold::FOLDS]
        seen = np.setdiff1d(order, unseen)
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=fold, n_jobs=1)
        forest.fit(places[seen], ranks[seen])
        # One call for all shuffles of all parameters: a call costs more than its rows.
        asked = [places[unseen]]
        for column in range(places.shape[1]):
            for _ in range(SHUFFLES):
                shuffled = places[unseen].copy()
                shuffled[:, column] = rng.permutation(shuffled[:, column])
                asked.append(shuffled)
        answers = forest.predict(np.concatenate(asked)).reshape(len(asked), len(unseen))
        variance = np.var(ranks)
        unexplained = np.mean((answers - ranks[unseen]) ** 2, axis=1) / variance
        explained.append(1 - unexplained[0])
        losses.extend((unexplained[1:] - unexplained[0]).reshape(-1, SHUFFLES).T.tolist())
    means, spreads = np.mean(losses, axis=0), np.std(losses, axis=0, ddof=1)
    names = list(space.axes)
    best = sorted(range(len(names)), key=lambda i: (-means[i], i))
    return Importance(
        tuple(names[i] for i in best),
        tuple(round(float(means[i]), 4) for i in best),
        tuple(round(float(spreads[i]), 4) for i in best),
        round(float(np.mean(explained)), 4),
        len(judged),
    )


def _point(space: Space, result: Result) -> list[float]:
    """Return a trial's place; a parameter that it does not have is off its axis."""
    return [
        axis.to_unit(result.params[name]) if name in result.params else -1.0
        for name, axis in space.axes.items()
    ]


def _ranks(keys: Sequence[tuple[float, float]]) -> Array:
    """Return ranks in [0, 1] of keys in their order; equal ones have the mean of theirs."""
    levels = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    which = np.array([levels[key] for key in keys])
    counts = np.bincount(which)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[which] / max(1, len(keys) - 1))
