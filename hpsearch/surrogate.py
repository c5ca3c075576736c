"""The model of a search: a Gaussian process of the cost, on the space's unit cube.

It is made from results alone: the same results give the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.gaussian import Array, Evidence, Hyper, Mask, Posterior, Prior, fit
from hpsearch.space import Choice, Point, Space
from hpsearch.trial import Result, cost

ABSENT = (0.5, -1.0)
"""Where a parameter stands that a setting does not have: a range's middle; for a choice it is like
one more option."""
LENGTH, LENGTH_SPREAD = 0.4, 1.0
"""The prior of a length on an axis: its median for one axis, times the root of their number, and
the standard deviation of its logarithm."""
SIGNAL, SIGNAL_SPREAD = 1.0, 0.7
NOISE, NOISE_SPREAD = 0.03, 1.5
"""The same of both variances, in units of the variance of the costs."""
KNOWN_NOISE_SPREAD = 0.5
"""That of the noise where repeats have measured it."""
OFFSET = 4.0
"""The variance of the constant by which an earlier run's costs may differ."""
FITTED, MODELLED = 150, 300
"""The hyperparameters are fitted to so many trials at most, the model knows so many at most."""


def places(space: Space, points: Array) -> Array:
    """Return where the kernel sees settings: (count, axes) for points of the unit cube.

    Points of the same setting are at the same place.
    """
    found = np.empty_like(points)
    there = space.there(points) if space.clauses else None
    for i, axis in enumerate(space.axes.values()):
        found[:, i] = axis.snap(points[:, i])
        if there is not None:
            found[~there[:, i], i] = ABSENT[isinstance(axis, Choice)]
    return found


def categories(space: Space) -> Mask:
    """Tell which axes are choices: (axes,)."""
    return np.array([isinstance(axis, Choice) for axis in space.axes.values()], dtype=bool)


SKEW = 3.0
MODE = "auto"


@dataclass(frozen=True)
class Warp:
    """How a cost becomes a value of the process: about 0 on average, with variance about 1."""

    low: float
    bend: float | None
    """log(cost - low + bend); None for the cost itself."""
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, costs: Array) -> Array:
        """Map costs."""
        bent = costs
        if self.bend is not None:
            bent = np.log(np.maximum(costs - self.low, 0) + self.bend)
        return (bent - self.shift) / self.scale

    def back(self, values: Array) -> Array:
        """Map values to costs."""
        bent = values * self.scale + self.shift
        return np.asarray(bent if self.bend is None else np.exp(bent) - self.bend + self.low)


def warp_of(costs: Array) -> Warp:
    """Return the map that suits some costs."""
    low, middle, high = np.quantile(costs, [0, 0.5, 1]).tolist()
    bend = None
    if MODE != "none" and high - middle > SKEW * (middle - low) and middle > low:
        bend = middle - low
    if MODE == "log" and middle > low:
        bend = middle - low
    if MODE == "purelog" and low > 0:
        low, bend = 0.0, 1e-3 * middle
    bent = Warp(low, bend)(costs)
    scale = float(np.std(bent))
    return Warp(low, bend, float(np.mean(bent)), scale if scale > 0 else 1.0)


def prior_of(axes: int, noise: float | None = None) -> Prior:
    """Return the prior of the hyperparameters.

    noise: The variance of a measurement, where it is known.
    """
    length = np.log(LENGTH * np.sqrt(axes))
    means = [length] * axes + [np.log(SIGNAL), np.log(NOISE if noise is None else noise)]
    spread = NOISE_SPREAD if noise is None else KNOWN_NOISE_SPREAD
    return Prior(np.array(means), np.array([LENGTH_SPREAD] * axes + [SIGNAL_SPREAD, spread]))


class Surrogate:
    """What some results say of the whole space."""

    def __init__(
        self, space: Space, goal: str, results: Sequence[Result], start: Hyper | None, refit: bool
    ) -> None:
        """Fit.

        results: By number; at least one with a score.
        start: Hyperparameters found before.
        refit: Whether to look for better ones.
        """
        self.space, self.categories = space, categories(space)
        units = np.array([result.unit for result in results])
        self.places = places(space, units)
        costs = np.array([cost(result, goal) for result in results])
        good = np.isfinite(costs)
        self.warp = warp_of(costs[good])
        values = np.full(len(costs), np.nan)
        values[good] = self.warp(costs[good])
        values[~good] = values[good].max()
        self.values = values
        chosen = _spread(values, MODELLED)
        prior = prior_of(len(space.axes))
        hyper = start or Hyper.of(prior.means)
        if refit and np.ptp(values) > 0:
            few = _spread(values, FITTED)
            evidence = Evidence(self.places[few], values[few], self.categories)
            hyper = rounded(fit(evidence, prior, hyper))
        self.hyper = hyper
        self.posterior = Posterior(self.places[chosen], values[chosen], self.categories, hyper)

    def with_pending(self, points: Sequence[Point]) -> Posterior:
        """Return the posterior that also knows some settings whose cost is still unknown.

        Each is taken to have the cost that is expected: that leaves the mean as it is, and the
        variance falls as it will when the result comes, whatever that is (kriging believer).
        """
        if not points:
            return self.posterior
        there = places(self.space, np.array(points))
        return self.posterior.given(there, self.posterior.mean(there))


def _spread(values: Array, most: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the places of at most so many values: a third the best, a third the latest, others."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    third = most // 3
    kept = np.zeros(count, dtype=bool)
    kept[np.argsort(values, kind="stable")[:third]] = True
    kept[count - third :] = True
    left = np.flatnonzero(~kept)
    room = most - int(kept.sum())
    kept[left[np.arange(room) * len(left) // room]] = True
    return np.flatnonzero(kept)


def rounded(hyper: Hyper) -> Hyper:
    """Return hyperparameters as the record keeps them."""
    return Hyper(
        tuple(float(f"{length:.3g}") for length in hyper.lengths),
        float(f"{hyper.signal:.3g}"),
        float(f"{hyper.noise:.3g}"),
    )
