"""Several arrays of NumPy in one file: .npz, written by `numpy.savez(path, x=x, y=y)`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Wanted
from hpsearch.data.dataset import did_you_mean, listed
from hpsearch.errors import DataError


def read_npz(path: Path, wanted: Wanted) -> Arrays:
    """Read the arrays x, one example per first index, and y, its label, unless none is asked for.

    Raises:
        DataError: Not an .npz file, damaged, without x or y, or with an array of objects.
    """
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
    for name in ("x", "y") if wanted.inputs is None else ("x",):
        if name not in arrays:
            raise DataError(
                f"{path}: no array {name!r}.{did_you_mean(name, names)}"
                f" It holds: {listed(names)}; {'x is' if wanted.inputs else 'x and y are'} needed"
            )
        if not isinstance(arrays[name], np.ndarray):
            raise DataError(f"{path}: {name} is not an array of NumPy")
    return Arrays(path, arrays["x"], arrays.get("y"), path)


def _unreadable(error: Exception) -> str:
    if "Object arrays" in str(error):
        return (
            "x or y is an object array, which is not read because it could run code;"
            " save numbers, or text with dtype=str"
        )
    return f"damaged, or not an .npz file: {error}; write it again"
