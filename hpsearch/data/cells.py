"""What one cell of a table says: a number, a missing value, or a word."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from hpsearch.data.dataset import shown

MISSING = {"", "?", "-", "na", "n/a", "nan", "null", "none"}
"""How a missing value is written, in small letters."""
NO_CATEGORY = {"", "nan", "null"}
"""Those that are missing also where the config says that a column's words are categories."""
COMMA_NUMBER = re.compile(r"[+-]?\d*(,\d+)+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def plain_float(text: str) -> float:
    """Read a number as it is written in data: unlike float(), refuse `1_000` and foreign digits."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def numbers_in(cells: Sequence[str]) -> list[float]:
    """Read many cells at once; ValueError when one is not a finite number."""
    joined = "".join(cells)  # one test for all: per cell it would double the time
    if "_" in joined or not joined.isascii():
        raise ValueError(joined)
    values = list(map(float, cells))
    # A finite sum has finite terms; finite terms may still overflow their sum.
    if not (math.isfinite(sum(values)) or all(map(math.isfinite, values))):
        raise ValueError(joined)
    return values


def number_in(cell: str) -> float | None:
    """Return the finite number that a cell is, or None."""
    try:
        value = plain_float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole_number(text: str) -> int:
    """Return the whole number that a text is known to be, as in `12` or `12.0`."""
    try:
        return int(text)  # exact beyond 2 ** 53, unlike float
    except ValueError:
        return int(float(text))


def plainest(text: str) -> str:
    """Return the one way to write a finite number: `7` for 7.0 and 07."""
    value = plain_float(text)
    return str(whole_number(text)) if value.is_integer() else repr(value)


def is_missing(cell: str, *, category: bool = False) -> bool:
    """Tell whether a cell says that there is no value.

    category: Whether its column is one whose words are categories, as the config says.
    """
    return cell.lower() in (NO_CATEGORY if category else MISSING)


def misspelt_number(cell: str) -> str | None:
    """Say how a cell should be written that is meant as a number; None where it is a word."""
    if COMMA_NUMBER.fullmatch(cell):
        return (
            f"is {shown(cell)}, a number with a comma; write {cell.replace(',', '.')},"
            f" or {cell.replace(',', '')} if it parts the thousands"
        )
    if "_" in cell and number_in(cell.replace("_", "")) is not None:
        return f"is {shown(cell)}; write {cell.replace('_', '')}"
    try:
        value = float(cell)
    except ValueError:
        return None
    if math.isfinite(value):  # digits of another script
        return f"is {shown(cell)}, not a number; write it with the digits 0 to 9"
    return f"is {shown(cell)}, which is not finite; numbers go up to 1.8e308"


FILL = "let `missing: median` under data fill it in"
"""What else can be done about a missing value in a training's data."""
NOT_FILLED = "take a model of a run with `missing: median` under data, which fills it in"
"""What else can be done about one in the data that a model without it is to predict."""


def missing(cell: str, otherwise: str = "") -> str:
    """Say that a value is missing, and what can be done; `otherwise` is another way out."""
    found = "is empty" if not cell else f"is {shown(cell)}"
    if otherwise:
        return f"{found}, a missing value; fill it in, remove the row, or {otherwise}"
    return f"{found}, a missing value; fill it in or remove the row"
