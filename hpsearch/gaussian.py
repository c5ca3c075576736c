"""A Gaussian process: what a few noisy measurements say of a function everywhere.

Plain arrays in, plain arrays out; nothing here knows of trials or spaces. Points are rows of an
(n, d) array. On an axis of numbers two points are as far apart as their coordinates, on an axis of
categories they are 0 or 1 apart.

Sources: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning: algorithm 2.1
(posterior and likelihood), eq. 4.17 (Matern 5/2), eq. 5.9 (gradient). Ament et al. 2023,
arXiv:2310.20708 (log expected improvement).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

JITTER = 1e-8
"""Added to the diagonal, in units of the signal's variance: rounding needs some."""
BOUNDS = {"length": (0.02, 50.0), "signal": (0.05, 20.0), "noise": (1e-6, 2.0)}
"""Between these each hyperparameter is looked for; a length in units of an axis."""
STEPS = 40
"""The fit takes so many steps at most."""


@dataclass(frozen=True)
class Hyper:
    """The hyperparameters of a process whose mean is 0."""

    lengths: tuple[float, ...]
    """The distance on each axis over which values stay alike; one per axis."""
    signal: float
    """The variance of the function's values."""
    noise: float
    """The variance of one measurement."""

    @property
    def logs(self) -> Array:
        """All of them as logarithms: lengths, signal, noise; shape (d + 2,)."""
        return np.log(np.array([*self.lengths, self.signal, self.noise], np.float64))

    @staticmethod
    def of(logs: Array) -> Hyper:
        """Return the hyperparameters that have these logarithms."""
        *lengths, signal, noise = np.exp(logs).tolist()
        return Hyper(tuple(lengths), signal, noise)


@dataclass(frozen=True)
class Prior:
    """What is taken to be likely before anything was measured: normal in each logarithm."""

    means: Array
    """(d + 2,): of log lengths, log signal, log noise."""
    deviations: Array
    """(d + 2,)."""

    def penalty(self, logs: Array) -> tuple[float, Array]:
        """Return minus the log density, up to a constant, and its gradient."""
        away = (logs - self.means) / self.deviations
        return 0.5 * float(away @ away), away / self.deviations


def gaps(points: Array, others: Array, categories: Mask) -> Array:
    """Return the squared distances on each axis: (d, n, m) for (n, d) and (m, d) points.

    categories: (d,), the axes on which points are 0 or 1 apart.
    """
    away = points.T[:, :, None] - others.T[:, None, :]
    squared = np.square(away, out=away)
    squared[categories] = squared[categories] != 0
    return squared


def _matern(squared: Array) -> tuple[Array, Array]:
    """Return Matern 5/2 at squared scaled distances, and minus twice its derivative by them."""
    root = np.sqrt(5.0 * squared)
    fall = np.exp(-root)
    slope = (5.0 / 3.0) * (1.0 + root) * fall
    return (1.0 + root + root * root / 3.0) * fall, slope


def kernel(points: Array, others: Array, categories: Mask, hyper: Hyper) -> Array:
    """Return the covariance of the function's values: (n, m)."""
    scaled = math.sqrt(5.0) / np.asarray(hyper.lengths)
    numbers = ~categories
    a, b = points[:, numbers] * scaled[numbers], others[:, numbers] * scaled[numbers]
    squared = a @ (-2.0 * b.T)
    squared += (a * a).sum(axis=1)[:, None]
    squared += (b * b).sum(axis=1)
    for place in np.flatnonzero(categories):
        squared += (points[:, place, None] != others[:, place]) * scaled[place] ** 2
    root = np.sqrt(np.maximum(squared, 0.0, out=squared))
    squared /= 3.0
    squared += root
    squared += 1.0
    np.exp(np.negative(root, out=root), out=root)
    squared *= root
    squared *= hyper.signal
    return np.asarray(squared)


class Evidence:
    """Minus the log marginal likelihood of the hyperparameters, given measurements."""

    def __init__(
        self,
        points: Array,
        values: Array,
        categories: Mask,
        noise: Array | None = None,
        extra: Array | None = None,
    ) -> None:
        """Take n measurements.

        points: (n, d).
        values: (n,).
        categories: (d,), see `gaps`.
        noise: (n,), the variance of each in units of the noise hyperparameter; 1 where None.
        extra: (n, n), a covariance of the values that is known beforehand.
        """
        self._values = values
        self._noise = np.ones(len(values)) if noise is None else noise
        self._extra = extra
        count, axes = points.shape
        self._flat = gaps(points, points, categories).reshape(axes, count * count)
        self._eye = np.arange(count)

    def at(self, logs: Array) -> tuple[float, Array]:
        """Return minus the log likelihood, and its gradient by the logarithms: (d + 2,).

        An infinite value, where rounding leaves the covariance without a Cholesky factor.
        """
        count, axes = len(self._values), len(logs) - 2
        weights = np.exp(-2.0 * logs[:axes])
        signal, noise = np.exp(logs[axes:]).tolist()
        shape, slope = _matern((weights @ self._flat).reshape(count, count))
        covariance = signal * shape
        if self._extra is not None:
            covariance += self._extra
        covariance[self._eye, self._eye] += noise * self._noise + JITTER * signal
        factor, failed = lapack.dpotrf(covariance, lower=1, overwrite_a=0)
        if failed:
            return math.inf, np.zeros_like(logs)
        solved, _ = lapack.dpotrs(factor, self._values, lower=1)
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse, -1) + np.tril(inverse).T
        value = (
            0.5 * float(self._values @ solved)
            + float(np.log(np.diag(factor)).sum())
            + 0.5 * count * math.log(2 * math.pi)
        )
        outer = np.outer(solved, solved) - inverse  # the gradient is minus half its trace with dK
        by_length = weights * (self._flat @ (outer * slope).ravel()) * signal
        by_signal = signal * (float(np.vdot(outer, shape)) + JITTER * float(np.trace(outer)))
        by_noise = noise * float(np.diag(outer) @ self._noise)
        return value, -0.5 * np.concatenate([by_length, [by_signal, by_noise]])


def fit(evidence: Evidence, prior: Prior, start: Hyper) -> Hyper:
    """Return the hyperparameters of highest posterior density that a search from `start` finds."""

    def loss(logs: Array) -> tuple[float, Array]:
        value, gradient = evidence.at(logs)
        if not math.isfinite(value):
            return 1e10, np.zeros_like(logs)
        penalty, slope = prior.penalty(logs)
        return value + penalty, gradient + slope

    bounds = bounds_of(len(start.lengths))
    low, high = np.array(bounds).T
    found = minimize(
        loss,
        np.clip(start.logs, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": STEPS, "ftol": 1e-6, "gtol": 1e-3},
    )
    return Hyper.of(found.x)


def bounds_of(axes: int) -> list[tuple[float, float]]:
    """Return the lowest and the highest logarithm of each hyperparameter."""
    names = ["length"] * axes + ["signal", "noise"]
    return [(math.log(BOUNDS[name][0]), math.log(BOUNDS[name][1])) for name in names]


class Posterior:
    """A process with known hyperparameters, given measurements."""

    def __init__(
        self,
        points: Array,
        values: Array,
        categories: Mask,
        hyper: Hyper,
        noise: Array | None = None,
        extra: Array | None = None,
    ) -> None:
        """Take n measurements: arguments as of `Evidence`."""
        self.points, self.values, self.categories, self.hyper = points, values, categories, hyper
        self._noise, self._extra = noise, extra
        covariance = kernel(points, points, categories, hyper)
        if extra is not None:
            covariance += extra
        each = np.ones(len(values)) if noise is None else noise
        covariance[np.diag_indices(len(values))] += hyper.noise * each + JITTER * hyper.signal
        self._factor = np.asarray(np.linalg.cholesky(covariance), np.float64)
        self._solved = _backward(self._factor, _forward(self._factor, values))

    def given(self, points: Array, values: Array) -> Posterior:
        """Return the posterior that knows some further measurements, noisy as any."""
        count = len(points)
        noise = None if self._noise is None else np.concatenate([self._noise, np.ones(count)])
        extra = None if self._extra is None else np.pad(self._extra, (0, count))
        return Posterior(
            np.concatenate([self.points, points]),
            np.concatenate([self.values, values]),
            self.categories,
            self.hyper,
            noise,
            extra,
        )

    def mean(self, points: Array) -> Array:
        """Return the expected value of the function at (m, d) points: (m,)."""
        return kernel(points, self.points, self.categories, self.hyper) @ self._solved

    def at(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the function, without noise, at (m, d) points."""
        across = kernel(points, self.points, self.categories, self.hyper)
        half = _forward(self._factor, np.ascontiguousarray(across.T))
        left = self.hyper.signal - np.einsum("ij,ij->j", half, half)
        floor = JITTER * self.hyper.signal
        return across @ self._solved, np.sqrt(np.maximum(left, floor))

    def average(self, points: Array) -> tuple[float, float]:
        """Return mean and standard deviation of the function's mean over (m, d) points."""
        across = kernel(points, self.points, self.categories, self.hyper)
        half = _forward(self._factor, across.mean(axis=0))
        own = float(kernel(points, points, self.categories, self.hyper).mean())
        return float((across @ self._solved).mean()), math.sqrt(max(own - float(half @ half), 0.0))


def _forward(factor: Array, values: Array) -> Array:
    return np.asarray(solve_triangular(factor, values, lower=True, check_finite=False))


def _backward(factor: Array, values: Array) -> Array:
    return np.asarray(solve_triangular(factor, values, lower=True, trans=1, check_finite=False))


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the logarithm of E[max(best - f, 0)] for f normal: finite however small that is.

    With z = (best - mean) / deviation it is log(deviation) + log(phi(z) + z Phi(z)). Far below 0
    both terms nearly cancel; there phi is taken out and Phi / phi is a scaled erfc, and further
    out still, where that too has lost its digits, the sum is z^-2 phi(z) (1 - 3 z^-2 ...).

    Source: Ament et al. 2023, section 4.1 and appendix A.1.
    """
    z = (best - mean) / deviation
    log_phi = -0.5 * z * z - 0.5 * math.log(2 * math.pi)
    with np.errstate(all="ignore"):
        near = np.log(np.exp(log_phi) + z * np.exp(log_ndtr(z)))
        ratio = math.sqrt(math.pi / 2) * erfcx(-z / math.sqrt(2))  # Phi(z) / phi(z)
        middle = log_phi + np.log1p(z * ratio)
        inverse = 1.0 / (z * z)
        series = np.log1p(-inverse * (3.0 - inverse * (15.0 - 105.0 * inverse)))
        far = log_phi - 2.0 * np.log(np.abs(z)) + series
    tail = np.where(z > -100.0, middle, far)
    return np.log(deviation) + np.where(z > -1.0, near, tail)
