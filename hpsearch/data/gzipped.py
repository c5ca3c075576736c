"""What is said of a damaged .gz, whatever is in it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpsearch.errors import DataError


@contextmanager
def unpacking(path: Path) -> Iterator[None]:
    """Turn what gzip raises for damaged bytes into a DataError that names the file."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: not a whole gzip file: {error}; copy or compress it again"
        ) from None
