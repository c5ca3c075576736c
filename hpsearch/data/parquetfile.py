"""Tables of Apache Parquet: .parquet, read by pyarrow, which is installed on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data.columns import Column, Table, Wanted, choose_columns, column_of_words
from hpsearch.data.labels import Words
from hpsearch.errors import DataError


def read_parquet(path: Path, wanted: Wanted) -> Table:
    """Read the columns of numbers, booleans and text; a null is a missing value.

    Raises:
        DataError: pyarrow is not installed, the file is no Parquet, a column is of another kind,
            or as `columns.choose_columns`.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow; install it with"
            " `pip install 'hpsearch[parquet]'`, or save the table as .csv",
            key="source",
        ) from None
    with path.open("rb") as file:
        try:
            parquet = pq.ParquetFile(file)
            names = list(parquet.schema_arrow.names)
            label, features = choose_columns(names, wanted, str(path), str(path))
            chosen = [*features, *([] if label is None else [label])]
            _check_kinds(parquet.schema_arrow, chosen, path, pa.types)
            table = parquet.read(columns=chosen)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}: damaged, or not a Parquet file: {' '.join(str(error).split())};"
                " write it again"
            ) from None
    if not table.num_rows:
        raise DataError(f"{path}: columns and no rows; every row is one example")
    text = {label, *wanted.categorical}
    read = {
        name: _column(table.column(name), name, name in text, path) for name in table.schema.names
    }
    return Table(
        str(path),
        tuple(read[name] for name in features),
        None if label is None else read[label],
        lambda i: f"{path}: row {i + 1}",
    )


def _check_kinds(schema: Any, names: list[str], path: Path, kinds: Any) -> None:
    """Refuse columns that are neither numbers nor text."""
    for name in names:
        kind = schema.field(name).type
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        numbers = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)
        text = kinds.is_string(kind) or kinds.is_large_string(kind)
        if not (numbers or text or kinds.is_boolean(kind) or kinds.is_null(kind)):
            nested = " nested" if kinds.is_nested(kind) else ""
            raise DataError(
                f"{path}: column {name!r} is of the{nested} type {kind}; numbers and text are"
                " read, so put it under data.ignore, or save it as numbers"
            )


def _column(cells: Any, name: str, as_text: bool, path: Path) -> Column:
    """Turn a column of pyarrow into ours."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (is_text or as_text or pa.types.is_null(kind)):
        numbers = np.array(pc.cast(cells, pa.float64(), safe=False).to_numpy(), np.float64)
        infinite = np.flatnonzero(np.isinf(numbers))
        if len(infinite):
            i = int(infinite[0])
            raise DataError(f"{path}: row {i + 1}: column {name!r} is {numbers[i]}, not finite")
        rows = np.flatnonzero(np.isnan(numbers))
        return Column(
            name, numbers, Words(("",) if len(rows) else (), np.zeros(len(rows), np.int64)), rows
        )
    encoded = cells.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    values = ["" if value is None else str(value) for value in encoded.dictionary.to_pylist()]
    codes = np.array(encoded.indices.fill_null(len(values)), np.int64)
    return column_of_words(name, Words((*values, ""), codes), as_text=as_text)
