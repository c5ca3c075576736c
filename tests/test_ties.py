"""Which trials cannot be told apart from the best."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.report.ties import critical_value, tied

DUNNETT = {  # one-sided, 95%, from the published table; 1 to 9 comparisons
    5: (2.02, 2.44, 2.68, 2.85, 2.98, 3.08, 3.16, 3.24, 3.30),
    10: (1.81, 2.15, 2.34, 2.47, 2.56, 2.64, 2.70, 2.76, 2.81),
    100_000: (1.64, 1.92, 2.06, 2.16, 2.23, 2.29, 2.34, 2.38, 2.42),
}


@pytest.mark.parametrize("degrees", DUNNETT)
def test_critical_values_are_those_of_the_published_table(degrees: int) -> None:
    for count, expected in enumerate(DUNNETT[degrees], start=1):
        assert critical_value(count, degrees) == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize(("degrees", "expected"), [(1, 6.3138), (2, 2.9200), (30, 1.6973)])
def test_for_one_comparison_they_are_students(degrees: int, expected: float) -> None:
    assert critical_value(1, degrees) == pytest.approx(expected, rel=2e-3)


def board(scores: list[list[float]]) -> list[bool]:
    """Return for each trial, in the given order, whether it is tied with the best."""
    order = sorted(range(len(scores)), key=lambda i: statistics.fmean(scores[i]))
    ranked = [scores[i] for i in order]
    found = tied([statistics.fmean(each) for each in ranked], ranked)
    return [found[order.index(i)] for i in range(len(scores))]


@pytest.mark.parametrize(
    ("trials", "repeats", "spread"), [(2, 2, 0.0), (5, 2, 0.0), (25, 3, 0.0), (25, 3, 0.2)]
)
def test_the_truly_best_trial_is_kept_however_many_there_are(
    trials: int, repeats: int, spread: float
) -> None:
    """Trial 0 is the best, but as little as can be; with `spread` worse trials scatter more."""
    draw = random.Random(0)
    rounds, kept = 1000, 0
    for _ in range(rounds):
        scores = [
            [draw.gauss(spread * i, 1 + spread * i) for _ in range(repeats)] for i in range(trials)
        ]
        first = statistics.fmean(scores[0])
        found = board(scores)
        kept += found[0] or first == min(map(statistics.fmean, scores))
    # 95% or more is promised: five standard errors below fail by chance once in three million.
    assert kept / rounds >= 0.95 - 5 * (0.95 * 0.05 / rounds) ** 0.5


def test_a_trial_that_is_clearly_worse_is_told_apart() -> None:
    draw = random.Random(1)
    scores = [[draw.gauss(mean, 1) for _ in range(3)] for mean in (0, 0, 0, 20, 20, 20)]
    assert board(scores)[3:] == [False] * 3


def test_bad_trials_that_scatter_widely_do_not_blur_the_good_ones() -> None:
    good = [[i, i + 0.1, i + 0.2] for i in range(6)]
    bad = [[100.0 * i, 200.0 * i, 300.0 * i] for i in range(1, 7)]
    assert board([*good, *bad]) == board(good) + [False] * 6 == [False] * 12


def test_without_scatter_only_equal_scores_are_tied() -> None:
    assert board([[1.0, 1.0], [1.0, 1.0], [1.5, 1.5]]) == [True, True, False]


def test_without_repeats_nothing_is_known() -> None:
    assert tied([1.0, 1.0], [[], [1.0]]) == [False, False]
    assert tied([1.0], [[1.0, 2.0]]) == [False]
    assert tied([], []) == []


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(numbers, max_size=4), min_size=1, max_size=8))
def test_whatever_the_scores_the_ties_begin_with_the_best(scores: list[list[float]]) -> None:
    costs = sorted(range(len(scores)))
    found = tied([float(each) for each in costs], scores)
    assert len(found) == len(scores)
    assert found[0] == any(found[1:])
