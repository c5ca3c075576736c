"""One setting tried on several seeds: the mean of its repeats, and how uncertain that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any


def merged(answers: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """Return the answer of a trial from those of its repeats, in their order.

    Every metric is the mean over the repeats, and so is its curve, epoch by epoch over those that
    reached it. Where the last repeat is not complete, the trial is what that one is. Where the last
    one ended early and says so in its message, it counts only if there is no other.

    metric: The one that is the score.
    """
    *before, last = answers
    spent = {"seconds": sum(answer["seconds"] for answer in answers), "epochs": None}
    if last.get("epochs") is not None:
        spent["epochs"] = sum(answer["epochs"] for answer in answers)
    if last["status"] != "complete":
        scores = [answer["score"] for answer in before]
        return {**last, **spent, "scores": scores}
    counted = before if last["message"] is not None and before else answers
    first = counted[0]
    metrics = {
        name: mean(answer["metrics"][name] for answer in counted)
        for name in first["metrics"]
        if all(name in answer["metrics"] for answer in counted)
    }
    curve = {
        name: _mean_curve([answer["curve"][name] for answer in counted])
        for name in first["curve"]
        if all(name in answer["curve"] for answer in counted)
    }
    return {
        **last,
        "score": metrics[metric],
        "metrics": metrics,
        "curve": curve,
        **spent,
        "scores": [answer["score"] for answer in counted],
    }


def _mean_curve(curves: Sequence[Sequence[float | None]]) -> list[float | None]:
    longest = max(map(len, curves))
    return [mean(curve[i] for curve in curves if i < len(curve)) for i in range(longest)]


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean: the same in any order, never beyond the values; None where one is None."""
    numbers: list[float] = []
    for value in values:
        if value is None:
            return None
        numbers.append(value)
    try:
        middle = math.fsum(numbers) / len(numbers)
    except OverflowError:  # the sum is beyond the largest number, which the mean never is
        middle = 2 * math.fsum(number / 2 / len(numbers) for number in numbers)
    return min(max(middle, min(numbers)), max(numbers))  # seven equal ones may round to another


def deviation(scores: Sequence[float]) -> float:
    """Return the standard deviation of what two or more scores are drawn from.

    Its square is the unbiased variance. Infinite where it is beyond the largest number.
    """
    middle = mean(scores)
    assert middle is not None
    return math.hypot(*(score - middle for score in scores)) / math.sqrt(len(scores) - 1)


def standard_error(scores: Sequence[float]) -> float | None:
    """Return the standard error of the mean of scores, sd / sqrt(n).

    None for fewer than two scores, and where it is beyond the largest number.
    """
    if len(scores) < 2:
        return None
    error = deviation(scores) / math.sqrt(len(scores))
    return error if math.isfinite(error) else None
