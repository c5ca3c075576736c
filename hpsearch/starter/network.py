"""A starter config for the built-in network, on digits or on the user's table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpsearch.data.cells import is_missing, misspelt_number
from hpsearch.data.columns import FEW_CATEGORIES, MOST_CATEGORIES, Column, Wanted
from hpsearch.data.csvfile import csv_header, read_csv, read_csv_gz
from hpsearch.errors import DataError, UserError, nearest
from hpsearch.objectives.base import seen_from
from hpsearch.yamlfile import dump

LABELS = (
    *("label", "labels", "target", "class", "y", "outcome", "response", "diagnosis"),
    *("species", "category", "quality", "price", "survived", "churn", "cultivar", "variety"),
)
"""What a column is often called that is to be learned, the likeliest first."""
NAMES = ("id", "index", "uuid", "key", "name", "row", "number")
"""What a column is often called that only names its row."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
MOST_CLASSES = 30
"""Different whole numbers up to which a label is taken for classes."""


@dataclass(frozen=True)
class Guess:
    """What was made of the columns of a table."""

    label: str
    why: str
    regression: bool
    classes: int
    ignore: tuple[str, ...]
    missing: tuple[str, ...]
    """The columns with missing values."""
    rows: int
    features: int


def csv_config(path: Path, label: str | None, folder: Path) -> str:
    """Write a starter config for a table.

    Args:
        path: A .csv or .csv.gz file.
        label: The column to learn; None to guess it.
        folder: Where the config will be.
    Raises:
        UserError: the table cannot be read, or has no such column.
    """
    guess = look_at(path, label)
    data = [f"  source: {dump(seen_from(folder, path))}"]
    kind = "numbers, so regression" if guess.regression else f"{guess.classes} classes"
    data.append(f"  label: {dump(guess.label)}  # {guess.why}: {kind}")
    data.append(f"  split: {_split(guess.rows)}  # {guess.rows:,} rows")
    if guess.ignore:
        words = "a different value in nearly every row, which names the row"
        data.append(f"  ignore: {dump(list(guess.ignore))}  # {words}")
    if guess.missing:
        some = ", ".join(guess.missing[:5])
        data.append(f"  missing: median  # there are missing values: {_on_one_line(some)}")
    train = max(2, int(guess.rows * _shares(guess.rows)[0]))
    metric = "dev_rmse" if guess.regression else "dev_error"
    return _text(
        title=f"A first search on {path.name}: {guess.features} columns to learn from.",
        metric=metric,
        loss="mse" if guess.regression else None,
        data=data,
        rows=guess.rows,
        train=train,
    )


def network_config() -> str:
    """Write a starter config for the digits that ship with hpsearch."""
    data = [
        "  source: digits  # ships with hpsearch; for your own: hpsearch init --csv FILE",
        "  split: {train: 0.6, dev: 0.2, test: 0.2}",
    ]
    return _text(
        title="A first search, on 1,797 handwritten digits.",
        metric="dev_error",
        loss=None,
        data=data,
        rows=1797,
        train=1078,
    )


def _text(
    *, title: str, metric: str, loss: str | None, data: Sequence[str], rows: int, train: int
) -> str:
    epochs = 50 if rows < 1000 else 30 if rows < 50_000 else 10
    largest = max(2, min(256, 2 ** int(np.log2(train / 4)) if train >= 8 else 2))
    smallest = max(2, min(16, largest // 2))
    batch = (
        f"{{scale: log, type: int, min: {smallest}, max: {largest}}}"
        if smallest < largest
        else str(smallest)
    )
    units = 64 if rows < 1000 else 256
    network = f"{{trainer: mlp, epochs: {epochs}{'' if loss is None else f', loss: {loss}'}}}"
    lines = [
        f"# {_on_one_line(title)} Written by hpsearch init.",
        "# What matters most comes first, by experience. To fix a parameter, write its value",
        "# instead of its range; to leave it at its default, delete its line.",
        f"metric: {{name: {metric}, goal: minimize}}",
        f"objective: {network}  # the built-in network",
        "data:",
        *data,
        "parameters:",
        "  # First the learning rate: on a log scale, so that each decade gets its share.",
        "  learning_rate: {scale: log, min: 1e-4, max: 1}",
        "  # Then momentum (1 - it on a log scale), the mini-batch size and the hidden units.",
        "  momentum: {scale: one_minus_log, min: 0.9, max: 0.999}",
        f"  batch_size: {batch}",
        f"  hidden_units: {{scale: log, type: int, min: 8, max: {units}}}",
        "  # Then the number of layers, and how the learning rate falls with the epoch.",
        "  layers: {type: int, min: 1, max: 3}",
        "  decay: {values: [none, exponential, cosine]}",
        "method: random  # each trial tries new values of every parameter, unlike a grid",
        "seed: 0  # the same seed gives the same table",
        "budget: {trials: 30}  # raise it and run again: finished trials stay",
    ]
    return "\n".join(lines) + "\n"


def _shares(rows: int) -> tuple[float, float, float]:
    """Return train, dev and test: the more examples, the smaller the part that judges."""
    if rows < 10_000:
        return 0.6, 0.2, 0.2
    if rows < 100_000:
        return 0.8, 0.1, 0.1
    return (0.9, 0.05, 0.05) if rows < 1_000_000 else (0.98, 0.01, 0.01)


def _split(rows: int) -> str:
    train, dev, test = _shares(rows)
    return f"{{train: {train}, dev: {dev}, test: {test}}}"


def look_at(path: Path, label: str | None) -> Guess:
    """Look at the columns of a table, and guess what is to be learned from what.

    Raises:
        UserError: as `csv_config`.
    """
    if not path.name.lower().endswith((".csv", ".csv.gz")):
        raise UserError(f"{path}: --csv takes a file whose name ends with .csv or .csv.gz")
    read = read_csv_gz if path.name.lower().endswith(".gz") else read_csv
    try:
        header = csv_header(path)
        table = read(path, Wanted(inputs=tuple(header)))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    columns = {column.name: column for column in table.features}
    _check_header(path, columns)
    _check_points(path, columns)
    if label is not None and label not in columns:
        meant = nearest(label, header)
        hint = f"Did you mean '{meant}'? " if meant else ""
        raise UserError(f"{path}: no column '{label}'\n{hint}Columns: {', '.join(header)}.")
    names_rows = [name for name, column in columns.items() if _names_its_row(column)]
    name, why = (label, "as you said") if label is not None else _label(columns, names_rows)
    ignore = tuple(each for each in names_rows if each != name)
    used = [each for each in header if each not in (name, *ignore)]
    if not used:
        raise DataError(f"{path}: besides '{name}' there is no column to learn from")
    kinds = _kinds(columns[name])
    return Guess(
        label=name,
        why=why,
        regression=kinds is None,
        classes=kinds or 0,
        ignore=ignore,
        missing=tuple(each for each in used if _has_missing(columns[each])),
        rows=len(columns[name].numbers),
        features=len(used),
    )


def _check_header(path: Path, columns: Mapping[str, Column]) -> None:
    """Refuse a table whose first line looks like an example rather than like names.

    It does where each name is a number, or a word of its own column; plain whole numbers alone are
    names as well, as of the pixels of an image.
    """
    words = {name: column.words.words for name, column in columns.items()}
    numbers = [name for name in columns if NUMBER.fullmatch(name)]
    if len(numbers) + sum(name in words[name] for name in columns) < len(columns):
        return
    if len(numbers) < len(columns) or not all(map(str.isdecimal, numbers)):
        raise UserError(
            f"{path}:1: '{next(iter(columns))}' and what follows look like an example, and the "
            "first line must name the columns\nAdd a line with a name for each."
        )


def _check_points(path: Path, columns: Mapping[str, Column]) -> None:
    """Refuse a column of numbers that are written with commas, which reading takes for words."""
    for name, column in columns.items():
        words = [word for word in column.words.words if not is_missing(word)]
        wrong = [misspelt_number(word) for word in words]
        if words and all(wrong):
            raise UserError(f"{path}: column '{name}' {wrong[0]}")


def _label(columns: dict[str, Column], names_rows: Sequence[str]) -> tuple[str, str]:
    """Return the column that is likely to be learned, and why."""
    by_lower = {name.lower(): name for name in columns}
    for known in LABELS:
        if known in by_lower and by_lower[known] not in names_rows:
            return by_lower[known], "guessed from its name"
    possible = [name for name in columns if name not in names_rows] or [*columns]
    return possible[-1], "guessed, as it is the last column"


def _kinds(column: Column) -> int | None:
    """Return how many classes a label has; None where it is a number to predict."""
    words = [word for word in column.words.words if not is_missing(word)]
    known = column.numbers[~np.isnan(column.numbers)]
    if words:
        return len(words) + len(np.unique(known))
    different = np.unique(known)
    whole = bool(np.all(different == np.round(different)))
    few = len(different) <= max(2, min(MOST_CLASSES, len(known) // 3))
    return len(different) if whole and few else None


def _names_its_row(column: Column) -> bool:
    """Tell whether a column has another word, or an own number, in nearly every row."""
    words = [word for word in column.words.words if not is_missing(word)]
    count = len(column.numbers)
    if words and len(column.rows) == count:
        often = len(words) > FEW_CATEGORIES and 2 * len(words) > count
        return len(words) > MOST_CATEGORIES or often
    parts = column.name.lower().replace("-", "_").replace(" ", "_").split("_")
    if not set(parts) & set(NAMES) or words:
        return False
    return len(np.unique(column.numbers)) == count


def _has_missing(column: Column) -> bool:
    return any(is_missing(word) for word in column.words.words)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
