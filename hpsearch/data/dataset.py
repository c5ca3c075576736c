"""What every reader makes: a table of numbers with one class per row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, nearest


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples as they were read: not yet shuffled, split or normalised.

    x: (m, n) float64, finite. One row per example, in the file's own units.
    y: (m,) int64 in 0..C-1. The class of each example, a position in `classes`.
    features: the n names of the columns of x.
    classes: the C names of the classes: by value when all are whole numbers, else as text.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    features: tuple[str, ...]
    classes: tuple[str, ...]


def plain_float(text: str) -> float:
    """Read a number as it is written in data: unlike float(), refuse `1_000` and foreign digits."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def encode(
    labels: list[str], place: Callable[[int], str], where: str, key: str | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes from 0, and refuse labels nothing can be learned from.

    Args:
        labels: One text per example; `1` and `1.0` are one class when all labels are numbers.
        place: Names the place of example i for a message, as in `wine.csv:7: column 'cultivar'`.
        where: Names the place of all labels.
        key: The config's key to point at when the labels as a whole are no classes.
    Returns:
        The Dataset's y and classes.
    """
    for i, label in enumerate(labels):
        if label.lower() in ("", "nan"):
            raise DataError(f"{place(i)} {missing(label)}")
    distinct = dict.fromkeys(labels)
    try:
        values = {text: plain_float(text) for text in distinct}
    except ValueError:
        classes = tuple(sorted(distinct))
        position = {name: k for k, name in enumerate(classes)}
    else:
        for text, value in values.items():
            if not (math.isfinite(value) and value.is_integer()):
                raise DataError(
                    f"{place(labels.index(text))} is {text}; a label is a text or a whole"
                    " number that names a class, not a measurement",
                    key,
                )
        whole = {text: _whole(text) for text in distinct}
        ordered = sorted(set(whole.values()))
        classes = tuple(map(str, ordered))
        place_of = {value: k for k, value in enumerate(ordered)}
        position = {text: place_of[value] for text, value in whole.items()}
    y = np.fromiter((position[text] for text in labels), np.int64, len(labels))
    _check_sizes(y, classes, place, where, key)
    return y, classes


def _whole(text: str) -> int:
    try:
        return int(text)  # exact beyond 2 ** 53, unlike float
    except ValueError:
        return int(float(text))


def _check_sizes(
    y: NDArray[np.int64],
    classes: tuple[str, ...],
    place: Callable[[int], str],
    where: str,
    key: str | None,
) -> None:
    if len(classes) == 1:
        raise DataError(
            f"{where} holds one class only, {shown(classes[0])}, in all {len(y)} examples;"
            " at least two are needed to tell apart",
            key,
        )
    sizes = np.bincount(y, minlength=len(classes))
    single = np.flatnonzero(sizes == 1)
    if 2 * len(single) > len(classes) and len(classes) > 10:
        raise DataError(
            f"{where} holds {len(classes)} different labels in {len(y)} examples, {len(single)} of"
            " them once only; that looks like a measurement or a row's name, not like classes",
            key,
        )
    if len(single):
        first = int(np.flatnonzero(y == single[0])[0])
        others = [shown(classes[k]) for k in single[1:]]
        raise DataError(
            f"{place(first)}: class {shown(classes[single[0]])} has 1 example"
            + (f", and so have {listed(others)}" if others else "")
            + "; every class needs at least 2, one to train on and one to judge by."
            " Add examples, or remove or merge the class"
        )


def missing(cell: str) -> str:
    """Say that a value is missing."""
    found = "is empty" if not cell else f"is {shown(cell)}"
    return f"{found}, a missing value; fill it in or remove the row"


def shown(value: object) -> str:
    """Return a value as a message shows it: quoted, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"


def listed(names: Iterable[Any], limit: int = 12) -> str:
    """Return names as a message lists them: the first few, and how many there are."""
    all_names = [str(name) for name in names]
    if len(all_names) <= limit:
        return ", ".join(all_names) or "none"
    return f"{', '.join(all_names[:limit])}, ... ({len(all_names)} in all)"


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the sentence that offers the nearest known name, with a space before, or nothing."""
    name = nearest(word, known)
    return "" if name is None else f" Did you mean {name!r}?"
