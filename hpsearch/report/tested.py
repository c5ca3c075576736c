"""What is told of the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.report.table import measure_text


def test_text(tests: Sequence[Mapping[str, Any]]) -> str | None:
    """Say how often the test set was opened and what was last seen; None where it never was.

    tests: What each opening found, as `RunFolder.tests` gives it.
    """
    if not tests:
        return None
    last = tests[-1]
    days = [each["date"][:10] for each in tests]
    often = f"once, on {days[0]}" if len(days) == 1 else f"{len(days)} times, last on {days[-1]}"
    name = last["metric"].removeprefix("dev_")
    name = name if name in last["test"] else next(iter(last["test"]))
    figure, text = last["test"][name], measure_text(f"test_{name}")
    value, low, high = (
        "-" if figure[key] is None else text(figure[key]) for key in ("value", "low", "high")
    )
    return (
        f"The test set was opened {often}: trial {last['trial']}, trained on {last['trained_on']}, "
        f"has test_{name} {value} ({low} to {high}, {last['level']:.0%})."
    )
