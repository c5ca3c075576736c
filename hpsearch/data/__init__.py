"""Data sets: read one by its name or its path, part it in train, dev and test, normalise it.

A new format is one function that makes a Dataset from a path, and its line in READERS.
A new shipped set is one file, its licence beside it, and its line in DATASETS.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.data.csvfile import read_csv, read_csv_gz
from hpsearch.data.dataset import Dataset, did_you_mean, listed
from hpsearch.data.npzfile import read_npz
from hpsearch.data.splitting import PARTS, Examples, Split, split
from hpsearch.errors import DataError

__all__ = [
    "DATASETS",
    "PARTS",
    "READERS",
    "Dataset",
    "Examples",
    "Shipped",
    "Split",
    "fingerprint",
    "load",
    "split",
]

Reader = Callable[[Path, str | None], Dataset]

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".csv.gz": read_csv_gz,
    ".npz": read_npz,
}
"""What reads a file, by the end of its name."""


@dataclass(frozen=True)
class Shipped:
    """A data set that comes with hpsearch.

    file: its name in this folder.
    label: its column of classes; None for an .npz.
    about: one line for a list of the shipped sets.
    """

    file: str
    label: str | None
    about: str

    @property
    def path(self) -> Path:
        """Where the file is on this machine."""
        return Path(__file__).with_name(self.file)


DATASETS: dict[str, Shipped] = {
    "digits": Shipped(
        "digits.csv.gz", "digit", "1,797 handwritten digits, 8 x 8 pixels of 0 to 16, 10 classes"
    ),
}
"""The sets that come with hpsearch, by name."""


def load(source: str, label: str | None, folder: Path) -> Dataset:
    """Read the data set a config names.

    Args:
        source: A key of DATASETS, or a path that is relative to `folder`.
        label: The column that holds the class, for a .csv; None for an .npz and a shipped set.
        folder: Where the config is.
    Raises:
        DataError: Anything that keeps the data from being used, with its place and the way out.
    """
    path = _find(source, folder)
    if source in DATASETS:
        if label is not None:
            raise DataError(
                f"{source} is a shipped data set and knows its label"
                f" ({DATASETS[source].label}). Remove `label: {label}`",
                key="label",
            )
        label = DATASETS[source].label
    suffix = next((end for end in READERS if path.name.lower().endswith(end)), None)
    if suffix is None:
        raise DataError(
            f"{path}: no reader for {path.suffix or 'a name without an ending'}."
            f" Known endings: {listed(READERS)}",
            key="source",
        )
    try:
        return READERS[suffix](path, label)
    except OSError as error:
        raise _unreadable(path, error) from None


def fingerprint(source: str, folder: Path) -> str:
    """Return the SHA-256 of the file's bytes in hex: tells whether data changed since a run."""
    path = _find(source, folder)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _find(source: str, folder: Path) -> Path:
    """Return the file of a shipped set or at a path; DataError unless there is a regular one."""
    if source in DATASETS:
        return DATASETS[source].path
    path = Path(os.path.normpath(folder / source))  # also through a folder still to be made
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        known = [*DATASETS, *_readable_files(path.parent, Path(source).parent)]
        raise DataError(
            f"{source!r} is no shipped data set, and there is no file {path}."
            f"{did_you_mean(source, known)} Known: {listed(known)}",
            key="source",
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(mode):
        inside = _readable_files(path, Path(source))
        raise DataError(
            f"{path} is a folder; a file is needed. In it: {listed(inside)}", key="source"
        )
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is no regular file (a pipe or a device)", key="source")
    return path


def _readable_files(folder: Path, prefix: Path) -> list[str]:
    """Return what a config could name in a folder, each as it would be written there."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except (OSError, ValueError):
        return []
    return [str(prefix / name) for name in names if name.lower().endswith(tuple(READERS))]


def _unreadable(path: Path, error: OSError | ValueError) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{str(path)!r} cannot be read: {reason}", key="source")
