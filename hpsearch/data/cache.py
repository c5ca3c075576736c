"""Where prepared arrays are kept: in this process, or on the disk, where all processes map them.

A folder of the cache is complete or not there: it is written beside and renamed. Who writes it
holds a lock on a file inside, so that what a killed process has left is known and removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LARGE = 64 * 2**20
"""Bytes of prepared inputs above which they are shared rather than held by every process."""
UNUSED = 30 * 24 * 3600
"""Seconds after which a folder that nobody opened is removed."""
ABOUT = "about.json"
LOCK = "writing.lock"
OURS = re.compile(r"\.?(removed-\d+-)*[0-9a-f]{32}(-[a-z0-9_]{8})?")
"""Names of what is made here: whole, half written, or about to go. Nothing else is removed."""


class Keeper(Protocol):
    """Takes arrays block by block."""

    def keep(
        self, name: str, shape: tuple[int, ...], dtype: Any, blocks: Iterable[NDArray[Any]]
    ) -> NDArray[Any]:
        """Return one array of all blocks, one below the other.

        Raises:
            OSError: there is no room.
        """


class Memory:
    """Keeps arrays in this process."""

    def keep(
        self, name: str, shape: tuple[int, ...], dtype: Any, blocks: Iterable[NDArray[Any]]
    ) -> NDArray[Any]:
        """As Keeper."""
        array = np.empty(shape, dtype)
        done = 0
        for block in blocks:
            array[done : done + len(block)] = block
            done += len(block)
        return array


class Folder:
    """Keeps arrays in a folder of the cache, and maps them."""

    def __init__(self, key: str) -> None:
        """Begin a new folder; OSError where the cache cannot be written."""
        try:
            root = cache_root()
        except RuntimeError as error:  # no home folder
            raise OSError(str(error)) from None
        root.mkdir(parents=True, exist_ok=True)
        _remove_unused(root)
        self.final = root / key
        self.path, self._lock = _begin(root, key)

    def keep(
        self, name: str, shape: tuple[int, ...], dtype: Any, blocks: Iterable[NDArray[Any]]
    ) -> NDArray[Any]:
        """As Keeper; written rather than mapped for writing, since a full disk must be an error."""
        path = self.path / f"{name}.npy"
        with path.open("wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).data)
            file.flush()
            os.fsync(file.fileno())
        return map_array(path)

    def finish(self, about: dict[str, Any]) -> None:
        """Give the folder its name; of two processes the first one wins."""
        with (self.path / ABOUT).open("w", encoding="utf-8") as file:
            file.write(json.dumps(about))
            file.flush()
            os.fsync(file.fileno())
        try:
            self.path.rename(self.final)
        except OSError:
            if not self.final.is_dir():
                raise
            self.remove()
        else:
            (self.final / LOCK).unlink(missing_ok=True)
            self._unlock()

    def remove(self) -> None:
        """Remove what was written of it; arrays that are mapped stay usable."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _begin(root: Path, key: str) -> tuple[Path, int | None]:
    """Return a new folder that this process is known to write, and its lock; OSError as Folder."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=root))
        try:
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # another process took it for left behind
            continue
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits for who is just removing it
        except OSError:  # no locks on this file system: nobody else gets one either
            os.close(lock)
            return path, None
        if path.exists():
            return path, lock
        os.close(lock)


def cache_root() -> Path:
    """Return `hpsearch-data` in $HPSEARCH_CACHE, else $XDG_CACHE_HOME, else ~/.cache.

    A folder of our own, since the one that a user names may hold other things.
    Source: XDG Base Directory Specification, which has a relative $XDG_CACHE_HOME ignored.
    """
    shared = os.environ.get("XDG_CACHE_HOME", "")
    base = os.environ.get("HPSEARCH_CACHE") or (shared if os.path.isabs(shared) else "")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "hpsearch-data"


def open_folder(key: str) -> tuple[Path, Any] | None:
    """Return the folder with this key and what `finish` was told; None when it is not there.

    Neither may be whole any more: who finds something missing should `discard` the folder.
    """
    try:
        folder = cache_root() / key
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return None
    except ValueError:
        discard(folder)
        return None
    with suppress(OSError):
        os.utime(folder)
    return folder, about


def map_array(path: Path) -> NDArray[Any]:
    """Map an array that `Folder.keep` wrote; OSError or ValueError when it is not there whole."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    mode = "r" if 0 not in shape else None  # nothing cannot be mapped
    return np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))  # type: ignore[arg-type]


def discard(folder: Path) -> None:
    """Remove a folder: at once gone for all who look for it. Who has it mapped can go on."""
    doomed = folder.with_name(f".removed-{os.getpid()}-{folder.name.lstrip('.')}")
    with suppress(OSError):
        folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _remove_unused(root: Path) -> None:
    """Remove folders of ours that nobody opened for long, and those that a dead process left."""
    for folder in root.iterdir():
        with suppress(OSError):
            if not (OURS.fullmatch(folder.name) and folder.is_dir()):
                continue
            old = time.time() - folder.stat().st_mtime > UNUSED
            if old or folder.name.startswith(".removed-"):
                discard(folder)
            elif folder.name.startswith("."):
                _discard_unless_written(folder)


def _discard_unless_written(folder: Path) -> None:
    """Remove a half written folder; OSError when a process is still writing it."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():  # else it was just finished
            discard(folder)
    finally:
        os.close(lock)
