"""Where prepared arrays are kept: in this process, or on the disk, where all processes map them.

A folder of the cache is complete or not there: it is written beside and renamed.
"""

from __future__ import annotations

import json
import os
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
        self.path = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=root))

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
        return mapped(path)

    def finish(self, about: dict[str, Any]) -> None:
        """Give the folder its name; of two processes the first one wins."""
        (self.path / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        try:
            self.path.rename(self.final)
        except OSError:
            if not self.final.is_dir():
                raise
            self.remove()

    def remove(self) -> None:
        """Remove what was written of it; arrays that are mapped stay usable."""
        shutil.rmtree(self.path, ignore_errors=True)


def cache_root() -> Path:
    """Return the cache's folder: $HPSEARCH_CACHE, $XDG_CACHE_HOME/hpsearch or ~/.cache/hpsearch."""
    own, base = os.environ.get("HPSEARCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).absolute()
    return (Path(base).absolute() if base else Path.home() / ".cache") / "hpsearch"


def opened(key: str) -> tuple[Path, dict[str, Any]] | None:
    """Return the folder with this key and what `finish` was told; None when it is not there."""
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


def mapped(path: Path) -> NDArray[Any]:
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
    """Remove folders that nobody opened for long."""
    for folder in root.iterdir():
        with suppress(OSError):
            if folder.is_dir() and time.time() - folder.stat().st_mtime > UNUSED:
                discard(folder)
