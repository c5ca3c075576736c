"""Arrays of NumPy: .npz, written by `numpy.savez(path, x=x, y=y)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Dataset, did_you_mean, encode, listed
from hpsearch.errors import DataError


def read_npz(path: Path, label: str | None) -> Dataset:
    """Read the arrays x, one example per first index, and y, its class.

    x of more than two dimensions is flattened per example. y is (m,) or (m, 1) whole numbers or
    text, or (m, C) one-hot.
    """
    if label is not None:
        raise DataError(
            f"{path}: an .npz file has no columns to name: its array y is the label."
            " Remove `label`",
            key="label",
        )
    arrays = _read_arrays(path)
    features, x = _table(arrays["x"], path)
    labels = _labels(arrays["y"], path)
    if len(labels) != len(x):
        raise DataError(
            f"{path}: x has {len(x)} examples and y has {len(labels)};"
            " both need one row per example"
        )
    y, classes = encode(labels, lambda i: f"{path}: y[{i}]", f"{path}: y", key=None)
    return Dataset(x, y, features, classes)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise DataError(
                f"{path}: not an .npz file; write one with numpy.savez({path.name!r}, x=x, y=y)"
            )
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                names = list(archive.files)
                arrays = {name: archive[name] for name in ("x", "y") if name in names}
        except Exception as error:  # numpy, zipfile and zlib raise a dozen kinds for damaged bytes
            raise DataError(f"{path}: {_unreadable(error)}") from None
    for name in ("x", "y"):
        if name not in arrays:
            raise DataError(
                f"{path}: no array {name!r}.{did_you_mean(name, names)}"
                f" It holds: {listed(names)}; x and y are needed"
            )
        if not isinstance(arrays[name], np.ndarray):
            raise DataError(f"{path}: {name} is not an array of NumPy")
    return arrays


def _unreadable(error: Exception) -> str:
    if "Object arrays" in str(error):
        return (
            "x or y is an object array, which is not read because it could run code;"
            " save numbers, or text with dtype=str"
        )
    return f"damaged, or not an .npz file: {error}; write it again"


def _table(x: NDArray[Any], path: Path) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names of the features, x_0 or x_0_0 by position, and x as (m, n) float64."""
    if x.dtype.kind not in "buif":
        raise DataError(f"{path}: x is of dtype {x.dtype}; numbers are needed (integers or floats)")
    if x.ndim < 2 or x.size == 0:
        raise DataError(
            f"{path}: x has shape {x.shape}; (examples, features) is needed, neither of them 0"
        )
    with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes inf, refused below
        finite = np.isfinite(table := x.reshape(len(x), -1).astype(np.float64))
    if not finite.all():
        index = np.unravel_index(int(np.argmin(finite)), x.shape)
        place = ", ".join(str(int(i)) for i in index)
        raise DataError(
            f"{path}: x[{place}] is {x[index]}; every value must be finite, so fill it in or"
            " remove the example"
        )
    features = tuple("_".join(["x", *map(str, index)]) for index in np.ndindex(x.shape[1:]))
    return features, table


def _labels(y: NDArray[Any], path: Path) -> list[str]:
    if y.dtype.kind not in "buifU":
        raise DataError(f"{path}: y is of dtype {y.dtype}; whole numbers or text are needed")
    if y.ndim == 2 and y.shape[1] > 1:
        return _from_one_hot(y, path)
    if y.ndim not in (1, 2) or y.size == 0:
        raise DataError(f"{path}: y has shape {y.shape}; (examples,) or one-hot is needed")
    return [str(value).strip() for value in y.ravel().tolist()]


def _from_one_hot(y: NDArray[Any], path: Path) -> list[str]:
    if y.dtype.kind == "U":
        raise DataError(f"{path}: y has shape {y.shape}; text labels are one per example")
    wrong = np.flatnonzero(((y != 0) & (y != 1)).any(axis=1) | (np.count_nonzero(y, axis=1) != 1))
    if len(wrong):
        raise DataError(
            f"{path}: y[{wrong[0]}] is not one-hot; with shape {y.shape} every row needs"
            " a single 1 among zeros"
        )
    return [str(k) for k in y.argmax(axis=1).tolist()]
