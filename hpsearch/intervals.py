"""How uncertain a figure is: confidence intervals, each with its assumption."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hpsearch.repeats import deviation, mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 1000
"""Enough that another draw of them moves the ends by a twentieth of the interval's width."""


class Interval(NamedTuple):
    """Both ends; the true figure lies between them with probability LEVEL."""

    low: float
    high: float


def wilson(count: float, total: int, level: float = LEVEL) -> Interval:
    """Return the interval of a share, `count` of `total` independent examples.

    Never beyond [0, 1], and of a sensible width also where the share is 0 or 1.

    Source: Wilson 1927, Journal of the American Statistical Association 22, p. 209-212.
    """
    z = _quantile_normal((1 + level) / 2)
    share, square = count / total, z * z / total
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / total + square / total / 4)
    return Interval(
        0.0 if count == 0 else max(0.0, middle - half),
        1.0 if count == total else min(1.0, middle + half),
    )


def _quantile_normal(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def bootstrap(
    measure: Callable[[NDArray[np.int64]], dict[str, float]],
    examples: int,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Return the percentile interval of each figure over examples drawn with replacement.

    Args:
        measure: The figures of the examples at these positions, some of them several times.
        examples: How many there are.
        rng: Draws them.
    Source: Efron 1979, Annals of Statistics 7(1), p. 1-26.
    """
    import numpy as np

    drawn = [measure(rng.integers(examples, size=examples)) for _ in range(resamples)]
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: Interval(*map(float, np.quantile([each[name] for each in drawn], ends)))
        for name in drawn[0]
    }


def of_mean(
    values: Sequence[float], *, least_deviation: float = 0.0, level: float = LEVEL
) -> tuple[float, Interval]:
    """Return the mean of some independent values and its interval by Student's t.

    least_deviation: What the values are taken to scatter by at least: few of them may agree by
        chance. An interval of a single value is as wide as can be.
    Source: Student 1908, Biometrika 6(1), p. 1-25.
    """
    from scipy.special import stdtrit

    middle = mean(values)
    assert middle is not None
    if len(values) < 2:
        return middle, Interval(-math.inf, math.inf)
    error = max(deviation(values), least_deviation) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * error
    return middle, Interval(middle - half, middle + half)
