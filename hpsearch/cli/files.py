"""Files that a command writes where the user says."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def check_place(path: Path) -> None:
    """Refuse a place that cannot be written before the work begins."""
    from hpsearch.errors import UserError

    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written")


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet."""
    from hpsearch.errors import UserError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} exists already; choose another file") from None
    except FileNotFoundError:
        raise UserError(f"{path}: there is no folder {path.parent}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file as a whole: nothing is left half-written."""
    from hpsearch.errors import UserError

    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise UserError(f"{path}: {error.strerror}") from None
