"""The model of a search: a Gaussian process of the cost, on the space's unit cube.

It is made from results alone: the same results give the same model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpsearch.gaussian import BOUNDS, Array, Evidence, Hyper, Mask, Posterior, Prior, fit
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
SKEW = 1.0
"""Costs are warped where the bad half is more than so many times as wide as the good half."""
WORST = 20.0
"""Then a cost is at most so many times as far from the best as the median is."""
LARGEST = 1e150
"""Costs are cut here: the square of a larger one is no number."""
FEWEST_FREE = 5
"""The noise is taken from repeats where they have so many degrees of freedom together."""

Places = npt.NDArray[np.intp]


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


@dataclass(frozen=True)
class Warp:
    """How a cost becomes a value of the process: 0 on average, with variance 1."""

    low: float = 0.0
    bend: float | None = None
    """log(cost - low + bend) is taken; None for the cost itself."""
    high: float = math.inf
    """A cost above is taken for it."""
    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, costs: Array) -> Array:
        """Map costs, of any shape; one below `low` is taken for it."""
        return (self._bent(costs) - self.shift) / self.scale

    def _bent(self, costs: Array) -> Array:
        if self.bend is None:
            return costs
        return np.asarray(np.log(np.clip(costs, self.low, self.high) - self.low + self.bend))

    def back(self, values: Array) -> Array:
        """Map values to costs."""
        bent = values * self.scale + self.shift
        return np.asarray(bent if self.bend is None else np.exp(bent) - self.bend + self.low)

    @staticmethod
    def of(costs: Array) -> Warp:
        """Return the map that suits some costs.

        Where the bad half reaches much further than the good one, a logarithm draws it in: a
        training that diverged must not decide what a difference between two good ones is. The
        logarithm is that of 1 + cost, in units of the good half's width, so that half nearly keeps
        its shape.
        """
        low, middle, high = np.quantile(costs, [0.0, 0.5, 1.0]).tolist()
        if low == high:
            return Warp(shift=low)
        bend = middle - low if 0 < SKEW * (middle - low) < high - middle else None
        high = math.inf if bend is None else low + WORST * bend
        bent = Warp(low, bend, high)._bent(costs)
        scale = float(np.std(bent))
        return Warp(low, bend, high, float(np.mean(bent)), scale if scale > 0 else 1.0)


def prior_of(axes: int, noise: float | None = None) -> Prior:
    """Return the prior of the hyperparameters.

    noise: The variance of a measurement, where repeats have told it.
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
        """Model results.

        A trial without a score is as bad as the worst that has one. Trials with a negative number
        are of an earlier run: their costs may differ from the others' by a constant.

        results: By number; at least one with a score.
        start: Hyperparameters found before.
        refit: Whether to look for better ones. Without either they are what is likely beforehand.
        """
        self.space, self.categories = space, categories(space)
        self.units = np.array([result.unit for result in results])
        self.places = places(space, self.units)
        costs = np.array([cost(result, goal) for result in results])
        good, earlier = np.isfinite(costs), np.array([result.trial < 0 for result in results])
        costs[good] = np.clip(costs[good], -LARGEST, LARGEST)
        if (good & earlier).any() and (good & ~earlier).any():
            costs[earlier] += np.median(costs[good & ~earlier]) - np.median(costs[good & earlier])
        self.warp = Warp.of(costs[good])
        values = np.empty(len(costs))
        values[good] = self.warp(costs[good])
        values[~good] = values[good].max()
        own = good & ~earlier
        self.centres = np.flatnonzero(own if own.any() else good)
        """Which of the results may be the best."""
        repeats = np.array([max(1, len(result.scores)) for result in results])
        noise = np.where(good, repeats[good].max() / repeats, 1.0)
        prior = prior_of(len(space.axes), self._measured_noise(results, goal, int(repeats.max())))
        hyper = start or rounded(Hyper.of(prior.means))

        def measured(kept: Places) -> tuple[Array, Array, Mask, Array, Array | None]:
            before = earlier[kept].astype(np.float64)
            both = before.any() and not before.all()  # else there is nothing to differ from
            extra = OFFSET * np.outer(before, before) if both else None
            return self.places[kept], values[kept], self.categories, noise[kept], extra

        if refit and np.ptp(values) > 0:
            evidence = Evidence(*measured(_spread(values, FITTED)))
            hyper = rounded(fit(evidence, prior, hyper))
        self.hyper = hyper
        points, known, kinds, each, extra = measured(_spread(values, MODELLED))
        self.posterior = Posterior(points, known, kinds, hyper, each, extra)

    def _measured_noise(self, results: Sequence[Result], goal: str, repeats: int) -> float | None:
        """Return the variance of the mean of so many repeats; None where too few tell."""
        squares, free = 0.0, 0
        for result in results:
            if result.score is not None and len(result.scores) > 1:
                sign = 1.0 if goal == "minimize" else -1.0
                values = self.warp(np.clip(sign * np.array(result.scores), -LARGEST, LARGEST))
                squares += float(np.square(values - values.mean()).sum())
                free += len(values) - 1
        if free < FEWEST_FREE:
            return None
        low, high = BOUNDS["noise"]
        return min(max(squares / free / repeats, low), high)

    def with_pending(self, points: Sequence[Point]) -> Posterior:
        """Return the posterior that also knows some settings whose cost is still unknown.

        Each is taken to have the cost that is expected: that leaves the mean as it is, and the
        variance falls as it will when the result comes, whatever that is (kriging believer).
        """
        if not points:
            return self.posterior
        there = places(self.space, np.array(points))
        return self.posterior.given(there, self.posterior.mean(there))


def _spread(values: Array, most: int) -> Places:
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
