"""IDX, the format of MNIST and its kin: `train-images-idx3-ubyte`, .idx, and both as .gz.

Two zero bytes, one byte for the kind of number, one for the count of dimensions, the dimensions as
big-endian 32-bit integers, and the numbers, big-endian.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Wanted
from hpsearch.data.gzipped import unpacking
from hpsearch.errors import DataError

KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The numbers that a file may hold, by the byte that says so."""
BLOCK = 1 << 24
"""Bytes that are unpacked at a time: a damaged header may ask for any number."""


def read_idx(path: Path, wanted: Wanted) -> Arrays:
    """Map an array into memory without loading it.

    Raises:
        DataError: Not an IDX file, or not of the length that its header says.
    """
    with path.open("rb") as file:
        shape, dtype = _header(file, path)
        start = file.tell()
    size = path.stat().st_size - start
    _check_size(size, shape, dtype, path)
    if not size:
        return Arrays(path, np.empty(shape, dtype))
    return Arrays(path, np.asarray(np.memmap(path, dtype, "r", start, shape)))


def read_idx_gz(path: Path, wanted: Wanted) -> Arrays:
    """Unpack an array compressed with gzip, as `read_idx`."""
    with unpacking(path), gzip.open(path) as file:
        shape, dtype = _header(file, path)  # type: ignore[arg-type]
        data = bytearray()
        while len(data) <= _bytes(shape, dtype) and (block := file.read(BLOCK)):
            data += block
    _check_size(len(data), shape, dtype, path)
    return Arrays(path, np.frombuffer(data, dtype).reshape(shape))


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    magic = file.read(4)
    if not magic:
        raise DataError(f"{path}: empty; copy it again")
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in KINDS or not magic[3]:
        way_out = (
            "it is compressed, so end its name with .gz"
            if magic[:2] == b"\x1f\x8b"
            else "copy it again, or, if it is of another format, end its name as that format's do"
        )
        raise DataError(
            f"{path}: not an IDX file: it begins with the bytes {magic.hex()}, and not with 0000"
            f" and what numbers it holds, in how many dimensions; {way_out}"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path}: cut short: its header names {magic[3]} dimensions and ends")
    dimensions: NDArray[Any] = np.frombuffer(sizes, ">u4")
    return tuple(dimensions.tolist()), np.dtype(KINDS[magic[2]])


def _bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return math.prod(shape) * dtype.itemsize


def _check_size(found: int, shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    wanted = _bytes(shape, dtype)
    if found != wanted:
        what = "cut short" if found < wanted else "longer than its header says"
        raise DataError(
            f"{path}: {what}: an array of shape {shape} and dtype {dtype.name} has {wanted} bytes,"
            f" found {'more than ' * (found > wanted)}{min(found, wanted)}; copy it again"
        )
