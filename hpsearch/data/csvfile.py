"""Tables of text: .csv, and .csv.gz, the same compressed."""

from __future__ import annotations

import csv
import gzip
import io
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from hpsearch.data.cells import number_in
from hpsearch.data.columns import ColumnBuilder, Table, Wanted, choose_columns
from hpsearch.data.gzipped import unpacking
from hpsearch.errors import DataError

BLOCK = 4096
"""Rows that are turned into columns at a time."""


def read_csv(path: Path, wanted: Wanted) -> Table:
    """Read a table whose first line names the columns.

    Columns are separated by a comma, or by a semicolon or tab when the first line says so.

    Raises:
        DataError: No UTF-8, no header, a row of another length, or as `columns.choose_columns`.
    """
    return _parse(path.read_bytes(), path, wanted)


def read_csv_gz(path: Path, wanted: Wanted) -> Table:
    """Read a table compressed with gzip, as `read_csv`."""
    packed = path.read_bytes()
    with unpacking(path):
        data = gzip.decompress(packed)
    return _parse(data, path, wanted)


def csv_header(path: Path) -> list[str]:
    """Return the names of a table's columns, also of a .csv.gz.

    Raises:
        DataError: as `read_csv`.
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        with unpacking(path):
            data = gzip.decompress(data)
    _check_utf8(data, path)
    header = next(_rows(data, _delimiter(data, path), path), (1, []))[1]
    names = [name.strip() for name in header]
    _check_header(names, path)
    return names


def _parse(data: bytes, path: Path, wanted: Wanted) -> Table:
    _check_utf8(data, path)
    rows = _rows(data, _delimiter(data, path), path)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    _check_header(header, path)
    label, features = choose_columns(header, wanted, str(path), f"{path}:1", _header_hint(header))

    builders = [
        (header.index(name), ColumnBuilder(name, as_text=name in (label, *wanted.categorical)))
        for name in (*features, *([] if label is None else [label]))
    ]
    lines = array("q")
    whole = _whole_rows(rows, len(header), path)
    while block := list(islice(whole, BLOCK)):
        lines.extend(line for line, _ in block)
        columns = list(zip(*(cells for _, cells in block), strict=True))
        for place, builder in builders:
            builder.extend(columns[place])
    if not lines:
        raise DataError(f"{path}: a header and no rows; every line below it is one example")
    read = [builder.column() for _, builder in builders]
    labels = None if label is None else read.pop()
    return Table(str(path), tuple(read), labels, lambda i: f"{path}:{lines[i]}")


def _whole_rows(
    rows: Iterator[tuple[int, list[str]]], width: int, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows, all of one width; blank lines may stand at the end only."""
    blank: int | None = None
    for line, cells in rows:
        if len(cells) <= 1 and not "".join(cells).strip():
            blank = blank or line
            continue
        if blank is not None:
            raise DataError(f"{path}:{blank}: a blank line inside the table; remove it")
        if len(cells) != width:
            raise DataError(
                f"{path}:{line}: {len(cells)} cells, but the header names {width} columns"
            )
        yield line, cells


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
    if not header:
        raise DataError(f"{path}:1: a blank line; the first line must name the columns")


def _header_hint(header: list[str]) -> str:
    if all(number_in(name) is not None for name in header):
        return " Line 1 holds only numbers: does the file lack its line of column names?"
    return ""
