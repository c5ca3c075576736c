"""The table of file formats.

A new format is one function that makes a Table or an Arrays from a path, and its line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.data.arrays import Arrays
from hpsearch.data.columns import Table, Wanted
from hpsearch.data.csvfile import read_csv, read_csv_gz
from hpsearch.data.idxfile import read_idx, read_idx_gz
from hpsearch.data.npyfile import read_npy
from hpsearch.data.npzfile import read_npz
from hpsearch.data.parquetfile import read_parquet


@dataclass(frozen=True)
class Reader:
    """How a format is read.

    read: makes a Table or an Arrays from a path; raises DataError, or OSError from the system.
    label: what the config's `label` names: a `column`, a `file`, or `nothing`.
    """

    read: Callable[[Path, Wanted], Table | Arrays]
    label: str


READERS: dict[str, Reader] = {
    ".csv": Reader(read_csv, "column"),
    ".csv.gz": Reader(read_csv_gz, "column"),
    ".parquet": Reader(read_parquet, "column"),
    ".npz": Reader(read_npz, "nothing"),
    ".npy": Reader(read_npy, "file"),
    ".idx": Reader(read_idx, "file"),
    ".idx.gz": Reader(read_idx_gz, "file"),
    "-ubyte": Reader(read_idx, "file"),
    "-ubyte.gz": Reader(read_idx_gz, "file"),
}
"""What reads a file, by the end of its name."""


def ending(name: str) -> str | None:
    """Return the key of READERS that a file's name ends with, or None."""
    return next((end for end in READERS if name.lower().endswith(end)), None)


def reads_columns(name: str) -> bool:
    """Tell whether a file of that name is a table, in which `label` names a column."""
    end = ending(name)
    return end is not None and READERS[end].label == "column"
