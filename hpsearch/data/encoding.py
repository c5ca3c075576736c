"""New examples for a trained network: read and normalised as its training examples were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.arrays import Arrays
from hpsearch.data.arrays import check_x as check_array
from hpsearch.data.cells import NOT_FILLED, number_in, plainest
from hpsearch.data.columns import Column, Table, Wanted, refuse_missing, refuse_words
from hpsearch.data.dataset import Dataset, Group, listed
from hpsearch.data.files import find, format_of, unreadable
from hpsearch.data.normalise import Normaliser, Statistics, fit, medians
from hpsearch.data.readers import READERS
from hpsearch.data.shares import Rows
from hpsearch.data.shipped import DATASETS
from hpsearch.data.source import DataSource
from hpsearch.errors import DataError


@dataclass(frozen=True, eq=False)
class Encoding:
    """What turns an example as it is in a file into what the network sees.

    features, groups, image: as in Dataset.
    declared: the columns that the config names as categorical.
    label: the column that was learned, which new examples need not have; None for arrays.
    ignore: other columns that are not used.
    table: Whether the training examples were columns with names.
    fill: (n,), what a missing value becomes; None where missing values are refused.
    inputs: what is subtracted and divided by.
    """

    features: tuple[str, ...]
    groups: tuple[Group, ...]
    image: tuple[int, int, int] | None
    declared: tuple[str, ...]
    label: str | None
    ignore: tuple[str, ...]
    table: bool
    fill: NDArray[np.float64] | None
    inputs: Statistics

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file that are used, in the order of the features."""
        starts = {group.first: group for group in self.groups}
        names, at = [], 0
        while at < len(self.features):
            group = starts.get(at)
            names.append(self.features[at] if group is None else group.name)
            at = at + 1 if group is None else group.end
        return tuple(names)


def encoding_of(source: DataSource, dataset: Dataset, rows: Rows) -> Encoding:
    """Return what new examples need, of a data set whose unseen categories were dropped."""
    normaliser = fit(dataset, rows.train, np.concatenate(rows))
    shipped = DATASETS.get(source.source) if isinstance(source.source, str) else None
    kind = source.label_kind()
    label = source.label if kind == "column" and isinstance(source.label, str) else None
    return Encoding(
        features=dataset.features,
        groups=dataset.groups,
        image=dataset.image,
        declared=source.categorical,
        label=shipped.label if shipped else label,
        ignore=source.ignore,
        table=kind == "column" or (shipped is not None and shipped.drawn is None),
        fill=medians(dataset, rows.train) if source.missing == "median" else None,
        inputs=normaliser.inputs,
    )


def read_inputs(
    path: Path, encoding: Encoding, ignore: tuple[str, ...] = ()
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read new examples; return them as the network sees them, (m, n), and notes on them.

    The file may be of any format in READERS, with or without the label.

    ignore: Columns to leave out beside those that the training left out.
    Raises:
        DataError: The file cannot be read, or its columns are not those of the training examples.
    """
    path = find(path.name, path.parent)
    needed = [name for name in ignore if name in encoding.columns]
    if needed:
        raise DataError(f"the model was trained on the column {needed[0]!r} and cannot ignore it")
    wanted = Wanted(
        label=encoding.label,
        categorical=encoding.declared,
        ignore=(*encoding.ignore, *ignore),
        fill=encoding.fill is not None,
        inputs=encoding.columns,
    )
    try:
        content = READERS[format_of(path)].read(path, wanted)
    except OSError as error:
        raise unreadable(path, error) from None
    if isinstance(content, Table):
        x, notes = _of_table(content, encoding)
        name = content.row
    else:
        x, notes = _of_array(content, encoding), ()

        def name(i: int) -> str:
            return f"{path}: example {i + 1}"

    dataset = Dataset(
        x,
        np.zeros(len(x), np.int64),
        encoding.features,
        (),
        image=encoding.image,
        groups=encoding.groups,
        example=name,
    )
    normaliser = Normaliser(dataset, encoding.fill, encoding.inputs)
    blocks = list(normaliser.blocks(np.arange(len(x)), "new"))
    return np.concatenate(blocks), notes


def _of_array(content: Arrays, encoding: Encoding) -> NDArray[Any]:
    """Return the examples of an array, flat; DataError when they are not like those of training."""
    x, path = content.x, content.path
    if encoding.table and encoding.image is None:
        raise DataError(
            f"{path}: an array has no names, and the model was trained on the columns"
            f" {listed(encoding.columns)}; give it a table (.csv or .parquet)"
        )
    check_array(content, fill=encoding.fill is not None, otherwise=NOT_FILLED)
    flat = (len(encoding.features),)
    image = encoding.image
    shapes = {flat} if image is None else {flat, image, *([image[:2]] if image[2] == 1 else [])}
    if x.shape[1:] not in shapes:
        expected = " or ".join(str(shape) for shape in sorted(shapes, key=len))
        raise DataError(
            f"{path}: an example has shape {x.shape[1:]}, but the model was trained on {expected}"
        )
    return x.reshape(len(x), -1)


def _of_table(table: Table, encoding: Encoding) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the examples of a table, one column for each feature, NaN where a value is missing.

    A category that training did not see is 0 in all columns of its group, and is noted.
    """
    columns = [replace(each, declared=each.name in encoding.declared) for each in table.features]
    groups = {group.name: group for group in encoding.groups}
    if encoding.fill is None:
        refuse_missing(columns, table.row, NOT_FILLED)
    x = np.zeros((len(columns[0].numbers), len(encoding.features)))
    place = {name: j for j, name in enumerate(encoding.features)}
    notes = []
    for column in columns:
        group = groups.get(column.name)
        if group is None:
            refuse_words(column, table.row)
            x[:, place[column.name]] = column.numbers
            continue
        unseen = _fill_group(x[:, group.first : group.end], column, group, encoding)
        if unseen:
            notes.append(
                f"{column.name}: {listed(unseen)} did not occur in training, and counts as none of"
                " its categories"
            )
    return x, tuple(notes)


def _fill_group(
    x: NDArray[np.float64], column: Column, group: Group, encoding: Encoding
) -> list[str]:
    """Write the 0 and 1 of a column of categories; return the words that training did not see."""
    known = [
        name.removeprefix(f"{group.name}=") for name in encoding.features[group.first : group.end]
    ]
    position = {word: k for k, word in enumerate(known)}
    numbers = all(number_in(word) is not None for word in known)
    unseen = dict.fromkeys(f"{value:g}" for value in column.numbers[~np.isnan(column.numbers)][:1])
    for code, word in enumerate(column.words.words):
        rows = column.rows[column.words.codes == code]
        if column.lacks(word):
            x[rows] = np.nan
            continue
        same = plainest(word) if numbers and number_in(word) is not None else word
        if same in position:
            x[rows, position[same]] = 1
        elif len(rows):
            unseen.setdefault(word)
    return list(unseen)
