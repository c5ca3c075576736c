"""Predictions of a model for new examples, as a table."""

from __future__ import annotations

from pathlib import Path

from hpsearch.data import read_inputs
from hpsearch.errors import DataError, UserError
from hpsearch.model import Model
from hpsearch.report.table import Column, Table


def predictions(
    model: Model, path: Path, ignore: tuple[str, ...] = ()
) -> tuple[Table, tuple[str, ...]]:
    """Predict every example of a file; return one row for each, in their order, and notes.

    Columns: `label` and the probability of each class by its name, or for regression `value`.

    Raises:
        UserError: the file cannot be read, or its columns are not those of the training.
    """
    try:
        x, notes = read_inputs(path, model.encoding, ignore)
    except DataError as error:
        raise UserError(str(error)) from None
    found = model.predict(x)
    if model.target is not None:
        return Table((Column("value"),), tuple((float(value),) for value in found)), notes
    columns = (Column("label"), *(Column(f"p({name})") for name in model.classes))
    rows = tuple((model.classes[int(row.argmax())], *map(float, row)) for row in found)
    return Table(columns, rows), notes
