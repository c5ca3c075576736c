"""Which trials cannot be told apart from the best one, by the scores of their repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from hpsearch.repeats import deviation

if TYPE_CHECKING:
    from hpsearch.report.table import Table

CONFIDENCE = 0.95
FEWEST_POOLED = 5
"""The scatter of at least so many trials is pooled, where there are as many."""
LISTED = 10
"""A sentence names at most so many trials."""


def tied(costs: Sequence[float], scores: Sequence[Sequence[float]]) -> list[bool]:
    """Tell which trials cannot be told apart from the best: which of them may truly be the best.

    The best of many owes its place to luck as well, so to compare it with each other trial at 95%
    would leave the truly best one out too often. This rule keeps that one with 95% confidence,
    however many trials there are: trial i stays if its cost is within d * sqrt(v_i / n_i + v_b /
    n_b) of the best one's, where d is Dunnett's one-sided critical value for all trials together.

    With few repeats a trial's own variance says little. So v is the variance pooled over the better
    half of the trials (bad ones often scatter more), or a trial's own where that is larger.

    Args:
        costs: Mean costs, the lowest first.
        scores: The scores behind each; fewer than two say nothing of the scatter.
    Returns:
        For each trial whether it stays; all False where that leaves the best alone.
    Source: Gupta 1965, Technometrics 7(2), p. 225-245 (subset selection); Hsu 1984, Annals of
        Statistics 12(3), p. 1136-1144 (comparisons with the best).
    """
    deviations = [deviation(each) if len(each) > 1 else None for each in scores]
    own = [None if each is None else each * each for each in deviations]
    known = [i for i, each in enumerate(own) if each is not None]
    pooled_over = known[: max(FEWEST_POOLED, (len(known) + 1) // 2)]
    if not pooled_over or len(costs) < 2:
        return [False] * len(costs)
    degrees = sum(len(scores[i]) - 1 for i in pooled_over)
    squares = sum((own[i] or 0.0) * (len(scores[i]) - 1) for i in pooled_over)
    of_mean = [
        max(each or 0.0, squares / degrees) / max(1, len(repeats))
        for each, repeats in zip(own, scores, strict=True)
    ]
    d = critical_value(len(costs) - 1, degrees)
    stays = [
        cost - costs[0] <= d * math.sqrt(of_mean[0] + each)
        for cost, each in zip(costs, of_mean, strict=True)
    ]
    return stays if any(stays[1:]) else [False] * len(costs)


@lru_cache
def critical_value(count: int, degrees: int) -> float:
    """Return Dunnett's one-sided critical value at 95%: for one comparison it is Student's t.

    That is the d below which all of (Z_j - Z_0) / (sqrt(2) * S), j = 1 .. count, lie with 95%
    probability, where the Z are standard normal and S^2 is chi-square over its degrees of freedom.

    Args:
        count: Comparisons with one common mean.
        degrees: Degrees of freedom of the variance.
    Source: Dunnett 1955, Journal of the American Statistical Association 50, p. 1096-1121.
    """
    z = [i / 4 for i in range(-28, 29)]
    density_z = _shares([-each * each / 2 for each in z])
    spread = 6 / math.sqrt(2 * degrees)  # of log S; its lower tail falls as exp(degrees * log S)
    low, high = -max(spread, 10 / degrees), min(spread, 2.2)
    log_s = [low + (high - low) * i / 40 for i in range(41)]
    density_s = _shares([degrees * (each - math.exp(2 * each) / 2) for each in log_s])

    def probability(d: float) -> float:
        return sum(
            weight_s
            * sum(
                # The probability that a Z_j lies below is erfc(-x / sqrt(2)) / 2.
                weight_z * (0.5 * math.erfc(-each / math.sqrt(2) - d * math.exp(u))) ** count
                for each, weight_z in zip(z, density_z, strict=True)
            )
            for u, weight_s in zip(log_s, density_s, strict=True)
        )

    below, above = 0.0, 2.0
    while probability(above) < CONFIDENCE:
        below, above = above, 2 * above
    while above - below > 1e-3 * above:
        middle = (below + above) / 2
        below, above = (middle, above) if probability(middle) < CONFIDENCE else (below, middle)
    return above


def _shares(logs: Sequence[float]) -> list[float]:
    """Return exp of each, divided by their sum."""
    highest = max(logs)
    weights = [math.exp(each - highest) for each in logs]
    return [weight / sum(weights) for weight in weights]


def ties_text(leaderboard: Table) -> str | None:
    """Say which trials cannot be told apart from the best; None where there are no repeats."""
    names = leaderboard.names
    rows = [dict(zip(names, row, strict=True)) for row in leaderboard.rows]
    ranked = sorted((row for row in rows if row["rank"] is not None), key=lambda row: row["rank"])
    if "tied" not in names or len(ranked) < 2:
        return None

    def named(row: dict[str, object]) -> str:
        return f"{row['trial']} of {row['run']}" if "run" in row else str(row["trial"])

    best, *others = ranked
    level = f"({CONFIDENCE:.0%})"
    same = [named(row) for row in others if row["tied"]]
    if not same:
        return f"The best, trial {named(best)}, stands apart from all others {level}."
    listed, more = same[:LISTED], len(same) - LISTED
    if more > 0:
        listed.append(f"{more} more")
    *first, last = listed
    who = f"Trials {', '.join(first)} and {last}" if first else f"Trial {last}"
    return f"{who} cannot be told apart from the best, trial {named(best)} {level}."
