"""From a name in a config to a file: where it is, and whether it is still the same."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from functools import lru_cache
from pathlib import Path

from hpsearch.data.dataset import did_you_mean, listed
from hpsearch.data.readers import READERS, ending
from hpsearch.data.shipped import DATASETS
from hpsearch.errors import DataError

Stamp = tuple[str, int, int, int]
"""What tells cheaply whether a file is the one it was: path, bytes, time of change, inode."""
SETTLED = 2_000_000_000
"""Nanoseconds after which no other change of a file can have the same time."""


def fingerprint(path: Path, key: str = "source") -> str:
    """Return the SHA-256 of a file's bytes in hex: tells whether data changed since a run.

    Read in pieces; a file that was not changed since is not read again by this process.

    key: The config's key to point at.
    """
    try:
        known = stamp(path)
        return _hashed(path) if known is None else _known_sha256(known)
    except OSError as error:
        raise unreadable(path, error, key) from None


@lru_cache(maxsize=64)
def _known_sha256(known: Stamp) -> str:
    return _hashed(Path(known[0]))


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> Stamp | None:
    """Return what changes when the file is written; OSError when it is not there.

    None while the last change is so recent that another one could have the same time.
    """
    found = path.stat()
    if abs(time.time_ns() - found.st_mtime_ns) < SETTLED:
        return None
    return str(path.absolute()), found.st_size, found.st_mtime_ns, found.st_ino


def find(name: str, folder: Path, key: str = "source", *, shipped: bool = False) -> Path:
    """Return the file at a path that starts at `folder`; DataError unless there is a regular one.

    key: The config's key to point at.
    shipped: Whether the name could have been that of a shipped set.
    """
    path = Path(os.path.normpath(folder / name))  # also through a folder still to be made
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        ours = list(DATASETS) if shipped and key == "source" else []
        known = [*ours, *_readable_files(path.parent, Path(name).parent)]
        what = f"{name!r} is no shipped data set, and there" if ours else "there"
        raise DataError(
            f"{what} is no file {path}.{did_you_mean(name, known)}"
            + (f" Known: {listed(known)}" if known else ""),
            key=key,
        ) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error, key) from None
    if stat.S_ISDIR(mode):
        inside = _readable_files(path, Path(name))
        raise DataError(f"{path} is a folder; a file is needed. In it: {listed(inside)}", key=key)
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is no regular file (a pipe or a device)", key=key)
    return path


def format_of(path: Path, key: str = "source") -> str:
    """Return the key of READERS for a file; DataError when there is none."""
    found = ending(path.name)
    if found is None:
        raise DataError(
            f"{path}: no reader for {path.suffix or 'a name without an ending'}."
            f" Known endings: {listed(READERS)}",
            key=key,
        )
    return found


def _readable_files(folder: Path, prefix: Path) -> list[str]:
    """Return what a config could name in a folder, each as it would be written there."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except (OSError, ValueError):
        return []
    return [str(prefix / name) for name in names if ending(name)]


def unreadable(path: Path, error: OSError | ValueError, key: str = "source") -> DataError:
    """Build the error for a file that the system does not let us read."""
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{str(path)!r} cannot be read: {reason}", key=key)
