"""What is to be learned: classes numbered from 0, or targets that are numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.cells import is_missing, missing, number_in, plain_float, whole_number
from hpsearch.data.dataset import shown
from hpsearch.errors import DataError

Place = Callable[[int], str]
"""Names the place of label i for a message, as in `wine.csv:7: column 'cultivar'`."""


@dataclass(frozen=True, eq=False)
class Words:
    """Texts of which many are equal: text i is `words[codes[i]]`.

    words: each one once.
    codes: (m,) integers.
    """

    words: tuple[str, ...]
    codes: NDArray[np.int64]

    def first(self, code: int) -> int:
        """Return the position of the first text with this code."""
        return int(np.argmax(self.codes == code))


def join(parts: Sequence[Words]) -> Words:
    """Return the texts of several as one, in their order."""
    position: dict[str, int] = {}
    codes = []
    for part in parts:
        known = [position.setdefault(word, len(position)) for word in part.words]
        codes.append(np.array(known, np.int64)[part.codes])
    return Words(tuple(position), np.concatenate(codes))


def y_and_classes(
    labels: Words, place: Place, where: str, key: str | None, *, regression: bool
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the Dataset's y and classes: as `encode`, or for regression as `targets`."""
    if regression:
        return targets(labels, place), ()
    return encode(labels, place, where, key)


def encode(
    labels: Words, place: Place, where: str, key: str | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the classes from 0, and refuse labels nothing can be learned from.

    Args:
        labels: One text per example; `1` and `1.0` are one class when all labels are numbers.
        place: Names the place of a label.
        where: Names the place of all labels.
        key: The config's key to point at when the labels as a whole are no classes.
    Returns:
        The Dataset's y and classes.
    """
    for code, word in enumerate(labels.words):
        if is_missing(word):
            other = "; a class of that name needs another one, such as `nothing`" if word else ""
            raise DataError(f"{place(labels.first(code))} {missing(word)}{other}")
    try:
        values = [plain_float(word) for word in labels.words]
    except ValueError:
        classes = tuple(sorted(labels.words))
        number = {word: k for k, word in enumerate(classes)}
        position = [number[word] for word in labels.words]
    else:
        wrong = [
            labels.first(code)
            for code, value in enumerate(values)
            if not (math.isfinite(value) and value.is_integer())
        ]
        if wrong:
            raise DataError(
                f"{place(min(wrong))} is {labels.words[labels.codes[min(wrong)]]}; a label is a"
                " text or a whole number that names a class, not a measurement; to predict a"
                " measurement, write `loss: mse` under objective",
                key,
            )
        whole = [whole_number(word) for word in labels.words]
        ordered = sorted(set(whole))
        classes = tuple(map(str, ordered))
        place_of = {value: k for k, value in enumerate(ordered)}
        position = [place_of[value] for value in whole]
    y = np.array(position, np.int64)[labels.codes]
    _check_classes(y, classes, where, key)
    return y, classes


def _check_classes(
    y: NDArray[np.int64], classes: tuple[str, ...], where: str, key: str | None
) -> None:
    if len(classes) == 1:
        raise DataError(
            f"{where} holds one class only, {shown(classes[0])}, in all {len(y)} examples;"
            " at least two are needed to tell apart",
            key,
        )
    single = np.count_nonzero(np.bincount(y, minlength=len(classes)) == 1)
    if 2 * single > len(classes) and len(classes) > 10:
        raise DataError(
            f"{where} holds {len(classes)} different labels in {len(y)} examples, {single} of"
            " them once only; that looks like a measurement or a row's name, not like classes;"
            " to predict a measurement, write `loss: mse` under objective",
            key,
        )


def targets(labels: Words, place: Place) -> NDArray[np.float64]:
    """Read labels as numbers to predict: (m,) float64, finite.

    Raises:
        DataError: A label is missing, no number, or not finite.
    """
    values = np.empty(len(labels.words))
    for code, word in enumerate(labels.words):
        number = number_in(word)
        if number is None:
            at = place(labels.first(code))
            if is_missing(word):
                raise DataError(f"{at} {missing(word)}")
            raise DataError(
                f"{at} is {shown(word)}, not a finite number; `loss: mse` predicts numbers, so"
                " name another label, or leave `loss` out to tell classes apart",
                "label",
            )
        values[code] = number
    return values[labels.codes]
