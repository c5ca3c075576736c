"""Arrays: x with one example per first index, and y with their labels.

A reader of such a format makes an Arrays; everything after that is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.cells import FILL
from hpsearch.data.columns import Wanted
from hpsearch.data.dataset import CHUNK, Dataset, Stacked, locator
from hpsearch.data.labels import Words, join, y_and_classes
from hpsearch.errors import DataError


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a file holds, unchecked.

    x: perhaps on the disk; never loaded whole.
    y: None where the labels are in a file of their own.
    labels_path: where y comes from.
    """

    path: Path
    x: NDArray[Any]
    y: NDArray[Any] | None = None
    labels_path: Path | None = None


def dataset_of(parts: Sequence[tuple[str, Arrays]], wanted: Wanted) -> Dataset:
    """Make one data set of the arrays of its parts.

    x of more than two dimensions is flattened per example; three are images (m, height, width),
    four are images with channels last. y is (m,) or (m, 1) whole numbers or text, or (m, C)
    one-hot; for regression (m,) or (m, 1) numbers.

    Raises:
        DataError: A wrong dtype or shape, a value that is not finite, or labels that cannot be
            learned.
    """
    files = [each for _, each in parts]
    missing = [check_x(each, fill=wanted.fill) for each in files]
    first = files[0]
    for each in files:
        if each.x.shape[1:] != first.x.shape[1:]:
            raise DataError(
                f"{each.path}: an example has shape {each.x.shape[1:]}, but in {first.path}"
                f" {first.x.shape[1:]}; all parts need the same"
            )
    words = [_words(each) if not wanted.regression else _number_words(each) for each in files]
    sizes = [len(each.x) for each in files]
    locate = locator(sizes)

    def place(i: int) -> str:
        file, row = locate(i)
        return f"{files[file].labels_path}: y[{row}]"

    def example(i: int) -> str:
        file, row = locate(i)
        return f"{files[file].path}: example {row + 1}"

    labels = join(words)
    where = f"{first.labels_path}: y"
    y, classes = y_and_classes(labels, place, where, None, regression=wanted.regression)
    shape = first.x.shape[1:]
    # Flattening an array in Fortran's order would copy all of it; Stacked does so row by row.
    alone = len(files) == 1 and (first.x.ndim == 2 or first.x.flags.c_contiguous)
    return Dataset(
        first.x.reshape(len(first.x), -1) if alone else Stacked([each.x for each in files]),
        y,
        tuple("_".join(["x", *map(str, index)]) for index in np.ndindex(shape)),
        classes,
        image=(*shape, 1)[:3] if len(shape) in (2, 3) else None,
        missing=any(missing),
        parts=tuple((part, size) for (part, _), size in zip(parts, sizes, strict=True)),
        example=example,
    )


def check_x(arrays: Arrays, *, fill: bool, otherwise: str = FILL) -> bool:
    """Return whether values are missing; DataError unless all others are finite numbers.

    fill: Whether they are filled in.
    otherwise: What else can be done where they are not, as in `cells.missing`.
    """
    x, path = arrays.x, arrays.path
    if x.dtype.kind not in "buif":
        raise DataError(f"{path}: x is of dtype {x.dtype}; numbers are needed (integers or floats)")
    if x.ndim < 2 or x.size == 0:
        raise DataError(
            f"{path}: x has shape {x.shape}; (examples, features) is needed, neither of them 0"
        )
    if x.dtype.kind != "f":
        return False
    missing = False
    step = max(1, CHUNK * len(x) // x.size)
    for start in range(0, len(x), step):
        with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, refused below
            block = np.asarray(x[start : start + step]).astype(np.float64)
        wrong = ~np.isfinite(block)
        if not wrong.any():
            continue
        missing = True
        wrong &= ~np.isnan(block) if fill else True
        if not wrong.any():
            continue
        inside = np.unravel_index(int(np.argmax(wrong)), block.shape)
        index = (int(inside[0]) + start, *map(int, inside[1:]))
        hint = f", or {otherwise}" if np.isnan(x[index]) else ""
        raise DataError(
            f"{path}: x[{', '.join(map(str, index))}] is {x[index]}; every value must be finite,"
            f" so fill it in or remove the example{hint}"
        )
    return missing


def _labels(arrays: Arrays, kinds: str, needed: str) -> NDArray[Any]:
    """Return y, whose dtype and length are right."""
    y, path = arrays.y, arrays.labels_path
    assert y is not None
    if y.dtype.kind not in kinds:
        raise DataError(f"{path}: y is of dtype {y.dtype}; {needed} are needed")
    if y.ndim not in (1, 2) or y.size == 0:
        raise DataError(f"{path}: y has shape {y.shape}; (examples,) or one-hot is needed")
    if len(y) != len(arrays.x):
        also = "" if path == arrays.path else f" ({path})"
        raise DataError(
            f"{arrays.path}: x has {len(arrays.x)} examples and y{also} has {len(y)};"
            " both need one row per example"
        )
    return y


def _words(arrays: Arrays) -> Words:
    """Return the labels as texts that name classes."""
    y = _labels(arrays, "buifU", "whole numbers or text")
    if y.ndim == 2 and y.shape[1] > 1:
        y = _from_one_hot(y, arrays.labels_path)
    return _as_words(y)


def _number_words(arrays: Arrays) -> Words:
    """Return the labels as texts that are numbers."""
    y = _labels(arrays, "buifU", "numbers")
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(
            f"{arrays.labels_path}: y has shape {y.shape}; `loss: mse` predicts one number per"
            " example",
            key="label" if arrays.labels_path != arrays.path else None,
        )
    return _as_words(y.astype(np.int8) if y.dtype.kind == "b" else y)


def _as_words(y: NDArray[Any]) -> Words:
    values, codes = np.unique(np.asarray(y).ravel(), return_inverse=True)
    return join([Words(tuple(str(each).strip() for each in values.tolist()), codes)])


def _from_one_hot(y: NDArray[Any], path: Path | None) -> NDArray[np.int64]:
    if y.dtype.kind == "U":
        raise DataError(f"{path}: y has shape {y.shape}; text labels are one per example")
    wrong = np.flatnonzero(((y != 0) & (y != 1)).any(axis=1) | (np.count_nonzero(y, axis=1) != 1))
    if len(wrong):
        raise DataError(
            f"{path}: y[{wrong[0]}] is not one-hot; with shape {y.shape} every row needs"
            " a single 1 among zeros"
        )
    classes: NDArray[np.int64] = y.argmax(axis=1)
    return classes
