"""One array of NumPy: .npy, written by `numpy.save(path, x)`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Wanted
from hpsearch.errors import DataError


def read_npy(path: Path, wanted: Wanted) -> Arrays:
    """Map an array into memory without loading it.

    Raises:
        DataError: Not an .npy file, shorter than its header says, or an array of objects.
    """
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise DataError(
                f"{path}: not an .npy file; write one with numpy.save({path.name!r}, x)"
            )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # numpy raises many kinds for damaged bytes
        raise DataError(f"{path}: {_unreadable(error)}") from None
    return Arrays(path, np.asarray(array))


def _unreadable(error: Exception) -> str:
    if "object" in str(error).lower():
        return (
            "an array of objects, which is not read because it could run code;"
            " save numbers, or text with dtype=str"
        )
    text = " ".join(str(error).split())
    return f"damaged, cut short, or empty: {text}; write it again"
