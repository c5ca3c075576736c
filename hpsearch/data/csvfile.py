"""Tables of text: .csv, and .csv.gz, the same compressed."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from hpsearch.data.dataset import (
    Dataset,
    did_you_mean,
    encode,
    listed,
    missing,
    plain_float,
    shown,
)
from hpsearch.errors import DataError

MISSING = {"", "?", "-", "na", "n/a", "nan", "null", "none"}
COMMA_NUMBER = re.compile(r"[+-]?\d*(,\d+)+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def read_csv(path: Path, label: str | None) -> Dataset:
    """Read a table whose first line names the columns: numbers, and one column of labels.

    Columns are separated by a comma, or by a semicolon or tab when the first line says so.
    """
    return _parse(path.read_bytes(), path, label)


def read_csv_gz(path: Path, label: str | None) -> Dataset:
    """Read a table compressed with gzip."""
    packed = path.read_bytes()
    try:
        data = gzip.decompress(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: not a whole gzip file: {error}; copy or compress it again"
        ) from None
    return _parse(data, path, label)


def _parse(data: bytes, path: Path, label: str | None) -> Dataset:
    _check_utf8(data, path)
    rows = _rows(data, _delimiter(data, path), path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    _check_header(header, path)
    at = _label_column(header, label, path)
    features = header[:at] + header[at + 1 :]
    if not features:
        raise DataError(
            f"{path}:1: the label {label!r} is the only column; there is nothing to learn it from"
        )

    x, labels, lines = array("d"), [], []
    blank: int | None = None
    for line, cells in rows:
        if len(cells) <= 1 and not "".join(cells).strip():
            blank = blank or line
            continue
        if blank is not None:
            raise DataError(f"{path}:{blank}: a blank line inside the table; remove it")
        if len(cells) != len(header):
            raise DataError(
                f"{path}:{line}: {len(cells)} cells, but the header names {len(header)} columns"
            )
        labels.append(cells.pop(at).strip())
        lines.append(line)
        try:
            x.extend(_numbers(cells))
        except ValueError:
            column, cell = next(
                pair for pair in zip(features, cells, strict=True) if not _is_number(pair[1])
            )
            raise DataError(f"{path}:{line}: column {column!r} {_wrong(cell.strip())}") from None
    if not lines:
        raise DataError(f"{path}: a header and no rows; every line below it is one example")

    column = f"column {header[at]!r}"
    y, classes = encode(
        labels, lambda i: f"{path}:{lines[i]}: {column}", f"{path}: {column}", key="label"
    )
    table = np.frombuffer(x).reshape(len(lines), len(features))
    return Dataset(table, y, tuple(features), classes)


def _check_utf8(data: bytes, path: Path) -> None:
    if not data.strip():
        raise DataError(f"{path}: empty; the first line must name the columns")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8;"
            " save the file as 'CSV UTF-8', without compression"
        ) from None


def _delimiter(data: bytes, path: Path) -> str:
    """Return the first of comma, semicolon and tab that parts the header in two."""
    for delimiter in ",;\t":
        with suppress(DataError):
            if len(next(_rows(data, delimiter, path), (1, []))[1]) > 1:
                return delimiter
    return ","


def _rows(data: bytes, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it begins on: a quoted cell may span several."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not a valid row of a CSV file: {error}") from None


def _check_header(header: list[str], path: Path) -> None:
    for number, name in enumerate(header, start=1):
        if not name:
            raise DataError(
                f"{path}:1: column {number} has no name"
                + ("; pandas names no index: save with index=False" if number == 1 else "")
            )
        first = header.index(name) + 1
        if first != number:
            raise DataError(
                f"{path}:1: columns {first} and {number} are both called {shown(name)};"
                f" every column needs a name of its own.{_header_hint(header)}"
            )
    if not header:
        raise DataError(f"{path}:1: a blank line; the first line must name the columns")


def _header_hint(header: list[str]) -> str:
    if all(map(_is_number, header)):
        return " Line 1 holds only numbers: does the file lack its line of column names?"
    return ""


def _label_column(header: list[str], label: str | None, path: Path) -> int:
    if label is None:
        raise DataError(
            f"{path}: which column holds the class? Name it, as in `label: {header[-1]}`."
            f" Columns: {listed(header)}",
            key="label",
        )
    if label not in header:
        raise DataError(
            f"{path}: no column {label!r}.{did_you_mean(label, header)}"
            f" Columns: {listed(header)}.{_header_hint(header)}",
            key="label",
        )
    return header.index(label)


def _numbers(cells: list[str]) -> list[float]:
    """Read a row at once; ValueError when a cell is not a finite number."""
    joined = "".join(cells)  # one test for the row: per cell it would double the time
    if "_" in joined or not joined.isascii():
        raise ValueError(joined)
    values = list(map(float, cells))
    # A finite sum has finite terms; finite terms may still overflow their sum.
    if not (math.isfinite(sum(values)) or all(map(math.isfinite, values))):
        raise ValueError(joined)
    return values


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(plain_float(cell))
    except ValueError:
        return False


def _wrong(cell: str) -> str:
    """Say what is wrong with a cell that should be a number, and how to write it."""
    if cell.lower() in MISSING:
        return missing(cell)
    if COMMA_NUMBER.fullmatch(cell):
        return (
            f"is {shown(cell)}, a number with a comma; write {cell.replace(',', '.')},"
            f" or {cell.replace(',', '')} if it parts the thousands"
        )
    if "_" in cell and _is_number(cell.replace("_", "")):
        return f"is {shown(cell)}; write {cell.replace('_', '')}"
    try:
        plain_float(cell)
    except ValueError:
        return (
            f"is {shown(cell)}, not a number; every column but the label holds numbers,"
            " so encode this one or remove it"
        )
    return f"is {shown(cell)}, which is not finite; numbers go up to 1.8e308"
