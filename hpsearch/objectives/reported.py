"""From what a user's code reports to metrics, with a sentence where it is not usable."""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class ReportError(ValueError):
    """What was reported is not what is expected; the text says both."""


def metrics_from(reported: Any, metric: str) -> dict[str, float]:
    """Turn a number or a mapping of names to numbers into metrics.

    Args:
        reported: What the user's code returned, yielded or printed.
        metric: What a bare number is called.
    Raises:
        ReportError: anything else.
    """
    if isinstance(reported, Mapping):
        return {
            str(name): _number(value, f"the metric {name!r}") for name, value in reported.items()
        }
    return {metric: _number(reported, "the result")}


def _number(value: Any, what: str) -> float:
    """Return a number of any library as a float; bools, texts and arrays are none."""
    is_number = isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool)
    # A scalar of NumPy, PyTorch, JAX, TensorFlow: all name their types float32, int64 and so on.
    of_numbers = re.search("int|float", str(getattr(value, "dtype", "float")))
    is_scalar = getattr(value, "shape", None) == () and of_numbers
    if not is_number and not is_scalar:
        raise ReportError(
            f"{what} is {shown(value)}; expected a number, or a dict of names to numbers"
        )
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ReportError(f"{what} is {shown(value)}, which is not a number") from None


def shown(value: Any) -> str:
    """Show a value of any kind, briefly."""
    if value is None:
        return "nothing (None)"
    try:
        text = repr(value)
    except Exception:
        text = "an object that cannot be shown"
    return f"{text[:80]} ({type(value).__name__})"
