"""Confidence intervals hold the true figure as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.intervals import LEVEL, bootstrap, of_mean, wilson


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0, 0.2775), (10, 100, 0.0552, 0.1744), (7, 10, 0.3968, 0.8922), (5, 5, 0.5655, 1)],
)
def test_wilsons_interval_is_that_of_the_tables(
    count: int, total: int, low: float, high: float
) -> None:
    assert wilson(count, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6), st.data())
def test_wilsons_interval_holds_the_share_and_mirrors(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    low, high = wilson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    assert low < high
    mirrored = wilson(total - count, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("total", [20, 180])
def test_wilsons_interval_holds_the_truth_in_95_of_100_samples_on_average(total: int) -> None:
    intervals = [wilson(count, total) for count in range(total + 1)]
    covered = []
    for share in np.linspace(0.01, 0.99, 99):
        logs = [
            math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
            + k * math.log(share) + (total - k) * math.log(1 - share)
            for k in range(total + 1)
        ]  # fmt: skip
        covered.append(
            sum(
                math.exp(log)
                for log, (low, high) in zip(logs, intervals, strict=True)
                if low <= share <= high
            )
        )
    assert np.mean(covered) == pytest.approx(LEVEL, abs=0.01)


def test_the_bootstrap_of_a_mean_is_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=400)
    found = bootstrap(lambda rows: {"mean": float(values[rows].mean())}, 400, rng, resamples=4000)
    half = 1.96 * values.std() / 20
    expected = (values.mean() - half, values.mean() + half)
    # An end is a quantile of 4,000 draws: its standard error is 0.035 standard errors of the mean.
    assert found["mean"] == pytest.approx(expected, abs=0.2 * half / 1.96)


def test_the_interval_of_a_mean_is_students() -> None:
    middle, interval = of_mean([1, 2, 3, 4, 5])
    assert middle == 3
    assert interval == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-4)


def test_values_that_agree_by_chance_are_as_uncertain_as_they_are_said_to_be() -> None:
    assert of_mean([2, 2, 2])[1] == (2, 2)
    low, high = of_mean([2, 2, 2], least_deviation=1.0)[1]
    assert high - low == pytest.approx(2 * 4.3027 / math.sqrt(3), abs=1e-4)
    assert of_mean([2.0])[1] == (-math.inf, math.inf)
