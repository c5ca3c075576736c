"""The same small data in every format, and what to read them with."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.data import READERS, Dataset, DataSource, Split, prepare, read
from hpsearch.errors import DataError
from hpsearch.seeds import stream

HALVES = (("train", 0.5), ("dev", 0.5))

IDX_CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def source_of(source: Any, label: Any, folder: Path, **keys: Any) -> DataSource:
    """Return what a config would make of these keys; mappings may be dicts."""
    values = {"source": source, "label": label, "fractions": HALVES, "seed": 0, **keys}
    plain = {k: tuple(v.items()) if isinstance(v, dict) else v for k, v in values.items()}
    return DataSource(folder=str(folder), **plain)


def load(source: Any, label: Any, folder: Path, **keys: Any) -> Dataset:
    """Read, and neither split nor normalise."""
    return read(source_of(source, label, folder, **keys))


def splits(source: Any, label: Any, folder: Path, **keys: Any) -> tuple[Split, ...]:
    """Read, split and normalise, as a process does that was just started."""
    prepare.cache_clear()
    return prepare(source_of(source, label, folder, **keys).fingerprinted(), stream)


def refusal(source: Any, label: Any, folder: Path, **keys: Any) -> tuple[str, str | None]:
    """Return the message, with the folder's name cut off, and the key."""
    with pytest.raises(DataError) as caught:
        splits(source, label, folder, **keys)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{folder}{os.sep}", ""), caught.value.key


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> str:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def idx_bytes(array: Any, kind: str = "u1") -> bytes:
    """Return an array as an IDX file."""
    array = np.asarray(array)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, IDX_CODES[kind], array.ndim, *array.shape)
    return header + array.astype(kind).tobytes()


def example_of(ending: str, folder: Path, x: Any, y: Any) -> tuple[str, str | None]:
    """Write whole numbers x (m, n) and classes y (m,) in a format; return the source and label."""
    x, y, name = np.asarray(x), np.asarray(y), f"t{ending}"
    columns = [f"x_{j}" for j in range(x.shape[1])]
    if ending in (".csv", ".csv.gz"):
        rows = [",".join(map(str, [*row, label])) for row, label in zip(x, y, strict=True)]
        return write(folder, "\n".join([",".join([*columns, "kind"]), *rows]), name), "kind"
    if ending == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({**dict(zip(columns, x.T, strict=True)), "kind": y}), folder / name)
        return name, "kind"
    if ending == ".npz":
        np.savez(folder / name, x=x, y=y)
        return name, None
    if ending == ".npy":
        np.save(folder / name, x)
        np.save(folder / "y.npy", y)
        return name, "y.npy"
    assert ending in READERS  # the rest are IDX
    return write(folder, idx_bytes(x), name), write(folder, idx_bytes(y), f"y{ending}")
