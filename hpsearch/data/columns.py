"""Tables whose columns have names: which to use, which are categories, which values are missing.

A reader of such a format makes a Table; everything after that is the same for all of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.cells import (
    FILL,
    is_missing,
    missing,
    misspelt_number,
    number_in,
    numbers_in,
    plainest,
)
from hpsearch.data.dataset import Dataset, Group, did_you_mean, listed, locator, shown
from hpsearch.data.labels import Words, join, y_and_classes
from hpsearch.errors import DataError

MOST_CATEGORIES = 100
"""Different words above which a column is taken for names or free text."""
FEW_CATEGORIES = 10
"""Different words up to which a column may be categorical however few its rows are."""


@dataclass(frozen=True)
class Wanted:
    """What the config says of the columns and the labels.

    label: the column to learn; None where it is not named.
    categorical, ignore: names of columns.
    fill: Whether missing values are filled in rather than refused.
    regression: Whether labels are numbers to predict rather than classes.
    inputs: the columns that a model takes; then the file needs no label, and none is read.
    """

    label: str | None = None
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fill: bool = False
    regression: bool = False
    inputs: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its numbers, and the cells that are no numbers.

    numbers: (m,) float64, finite; NaN where the cell is a word.
    words: Words, of the cells at `rows` only: missing values, categories, mistakes.
    rows: (k,) int64, ascending.
    declared: Whether the config says that the cells are categories.
    """

    name: str
    numbers: NDArray[np.float64]
    words: Words
    rows: NDArray[np.int64]
    declared: bool = False

    def lacks(self, word: str) -> bool:
        """Tell whether a word says that there is no value."""
        return is_missing(word, category=self.declared)

    def first(self, code: int) -> int:
        """Return the row of the first cell that holds this word."""
        return int(self.rows[self.words.first(code)])


class ColumnBuilder:
    """Takes the cells of a column, some at a time.

    as_text: Take numbers as words too: labels and declared categories.
    """

    def __init__(self, name: str, *, as_text: bool) -> None:
        self.name = name
        self.as_text = as_text
        self._numbers, self._rows, self._codes = array("d"), array("q"), array("q")
        self._position: dict[str, int] = {}

    def extend(self, cells: Sequence[str]) -> None:
        """Take the next cells."""
        if not self.as_text:
            try:
                self._numbers.extend(numbers_in(cells))
            except ValueError:
                pass
            else:
                return
        for cell in cells:
            text = cell.strip()
            number = None if self.as_text else number_in(text)
            if number is None:
                self._rows.append(len(self._numbers))
                self._codes.append(self._position.setdefault(text, len(self._position)))
                number = np.nan
            self._numbers.append(number)

    def column(self) -> Column:
        """Return what was taken."""
        words = Words(tuple(self._position), np.array(self._codes, np.int64))
        rows = np.array(self._rows, np.int64)
        return Column(self.name, np.array(self._numbers, np.float64), words, rows)


def column_of_words(name: str, words: Words, *, as_text: bool) -> Column:
    """Make a column of texts, each distinct one given once; as ColumnBuilder, cell by cell."""
    values = [None if as_text else number_in(word.strip()) for word in words.words]
    known = np.array([np.nan if value is None else value for value in values])
    numbers = known[words.codes] if len(known) else np.full(len(words.codes), np.nan)
    rows = np.flatnonzero(np.isnan(numbers))
    stripped = tuple(word.strip() for word in words.words)
    used, codes = np.unique(words.codes[rows], return_inverse=True)
    others = Words(tuple(stripped[code] for code in used), codes.astype(np.int64))
    return Column(name, numbers, join([others]), rows)


@dataclass(frozen=True, eq=False)
class Table:
    """A file's columns.

    where: Names the file for a message.
    features: in the order of the file; none of them ignored.
    label: a column of words only; None where no label was asked for.
    row: Names row i for a message, as in `wine.csv:7`.
    """

    where: str
    features: tuple[Column, ...]
    label: Column | None
    row: Callable[[int], str]


def choose_columns(
    names: Sequence[str], wanted: Wanted, where: str, header: str, hint: str = ""
) -> tuple[str | None, list[str]]:
    """Return the label's name and those of the features, in their order.

    Where the config asks for a model's inputs these are the features, and there is no label.

    Args:
        names: Of all columns of the file.
        wanted: What the config asks for.
        where: Names the file for a message.
        header: Names the place where the columns' names are.
        hint: What may be wrong with the names as a whole, with a space before.
    Raises:
        DataError: A name is used twice or is not there, or nothing is left to learn from.
    """
    for number, name in enumerate(names, start=1):
        first = list(names).index(name) + 1
        if first != number:
            raise DataError(
                f"{header}: columns {first} and {number} are both called {shown(name)};"
                f" every column needs a name of its own.{hint}"
            )
    known = list(names)
    if wanted.inputs is not None:
        _check_inputs(known, wanted, where, hint)
        return None, list(wanted.inputs)
    if wanted.label is None:
        raise DataError(
            f"{where}: which column holds the class? Name it, as in `label: {known[-1]}`."
            f" Columns: {listed(known)}",
            key="label",
        )
    asked = {"label": (wanted.label,), "categorical": wanted.categorical, "ignore": wanted.ignore}
    for key, columns in asked.items():
        for column in columns:
            if column not in known:
                raise DataError(
                    f"{where}: no column {column!r}.{did_you_mean(column, known)}"
                    f" Columns: {listed(known)}.{hint}",
                    key=key,
                )
            if key != "label" and column == wanted.label:
                raise DataError(f"{column!r} is the label; remove it from {key}", key=key)
    both = [name for name in wanted.categorical if name in wanted.ignore]
    if both:
        raise DataError(
            f"{both[0]!r} is under categorical and under ignore; remove one of them", key="ignore"
        )
    left_out = {wanted.label, *wanted.ignore}
    features = [name for name in known if name not in left_out]
    if not features and wanted.ignore:
        raise DataError(
            f"{header}: every column but the label {wanted.label!r} is under ignore; there is"
            " nothing left to learn it from",
            key="ignore",
        )
    if not features:
        raise DataError(
            f"{header}: the label {wanted.label!r} is the only column; there is nothing to learn"
            " it from"
        )
    return wanted.label, features


def _check_inputs(known: list[str], wanted: Wanted, where: str, hint: str) -> None:
    """Refuse columns that are not those that a model was trained on."""
    inputs = list(wanted.inputs or ())
    not_used = {wanted.label, *wanted.ignore}
    more = [name for name in known if name not in inputs and name not in not_used]
    for name in inputs:
        if name not in known:
            raise DataError(
                f"{where}: no column {name!r}, which the model was trained on."
                f"{did_you_mean(name, more)} Columns: {listed(known)}.{hint}"
            )
    if more:
        raise DataError(
            f"{where}: the model was trained without a column {more[0]!r}."
            f"{did_you_mean(more[0], inputs)} Remove it, or name it with --ignore"
        )


def dataset_of(parts: Sequence[tuple[str, Table]], wanted: Wanted) -> Dataset:
    """Make one data set of the tables of its parts; every category has a column of 0 and 1.

    Also one that training will not see: `categories.drop_unseen` removes those.

    Args:
        parts: (part, table) of each file; the first one gives the columns their order.
        wanted: What the config asks for.
    Raises:
        DataError: The files have different columns, a value is missing or is no number, or the
            labels cannot be learned.
    """
    tables = [table for _, table in parts]
    columns = _aligned(tables)
    sizes = [len(table.features[0].numbers) for table in tables]
    locate = locator(sizes)

    def row(i: int) -> str:
        file, inside = locate(i)
        return tables[file].row(inside)

    joint = [_below(each) for each in columns]
    joint = [_declared(each) if each.name in wanted.categorical else each for each in joint]
    label = _below([table.label for table in tables if table.label is not None])
    kinds = [_is_categorical(column, wanted, row, tables[0].where) for column in joint]
    if not wanted.fill:
        refuse_missing(joint, row)
    x, features, groups = _matrix(joint, kinds)
    place, where = _label_places(row, tables[0], label)
    y, classes = y_and_classes(label.words, place, where, "label", regression=wanted.regression)
    return Dataset(
        x,
        y,
        features,
        classes,
        groups=groups,
        missing=wanted.fill,
        parts=tuple((part, size) for (part, _), size in zip(parts, sizes, strict=True)),
        example=row,
    )


def _label_places(
    row: Callable[[int], str], table: Table, label: Column
) -> tuple[Callable[[int], str], str]:
    column = f"column {label.name!r}"
    return lambda i: f"{row(i)}: {column}", f"{table.where}: {column}"


def _aligned(tables: Sequence[Table]) -> list[list[Column]]:
    """Return, for each feature of the first table, its column in every table."""
    first = tables[0]
    names = [column.name for column in first.features]
    by_name = []
    for table in tables:
        columns = {column.name: column for column in table.features}
        for here, there, lacking in (
            (first, table, [name for name in names if name not in columns]),
            (table, first, [name for name in columns if name not in names]),
        ):
            if lacking:
                raise DataError(
                    f"{there.where}: no column {lacking[0]!r}, which {here.where} has; the files of"
                    " all parts need the same columns, or put it under ignore"
                )
        by_name.append(columns)
    return [[columns[name] for columns in by_name] for name in names]


def _below(columns: Sequence[Column]) -> Column:
    """Return the columns of several files as one."""
    starts = np.cumsum([0, *(len(column.numbers) for column in columns[:-1])])
    return Column(
        columns[0].name,
        np.concatenate([column.numbers for column in columns]),
        join([column.words for column in columns]),
        np.concatenate([c.rows + start for c, start in zip(columns, starts, strict=True)]),
    )


def _declared(column: Column) -> Column:
    """Return a column as one of categories; equal numbers are one when all values are numbers."""
    words = column.words
    if all(is_missing(word) or number_in(word) is not None for word in words.words):
        same = [word if is_missing(word) else plainest(word) for word in words.words]
        place = {word: k for k, word in enumerate(dict.fromkeys(same))}
        codes = np.array([place[word] for word in same], np.int64)
        words = Words(tuple(place), codes[words.codes])
    return replace(column, words=words, declared=True)


def _is_categorical(column: Column, wanted: Wanted, row: Callable[[int], str], where: str) -> bool:
    """Tell whether a column's cells are categories; DataError when they are neither."""
    wrong = [code for code, word in enumerate(column.words.words) if not column.lacks(word)]
    if column.declared:
        if not wrong and wanted.fill:
            raise DataError(f"{where}: column {column.name!r} has no value; put it under ignore")
        return True
    if not wrong:
        return False
    misspelt = {code: misspelt_number(column.words.words[code]) for code in wrong}
    if len(column.rows) < len(column.numbers) or any(misspelt.values()):
        code = min(wrong, key=column.first)
        if any(misspelt.values()) and len(column.rows) == len(column.numbers):
            code = min((code for code in wrong if misspelt[code]), key=column.first)
        word = column.words.words[code]
        says = misspelt[code] or (
            f"is {shown(word)}, not a number; encode the column, or name it under"
            " data.categorical or data.ignore"
        )
        raise DataError(f"{row(column.first(code))}: column {column.name!r} {says}")
    given = int(np.isin(column.words.codes, wrong).sum())
    if len(wrong) > MOST_CATEGORIES or (len(wrong) > FEW_CATEGORIES and 2 * len(wrong) > given):
        raise DataError(
            f"{where}: column {column.name!r} holds {len(wrong)} different words in {given}"
            " examples; that looks like a name or free text. Put it under data.ignore, or under"
            " data.categorical if each word is a category",
            key="ignore",
        )
    return True


def refuse_words(column: Column, row: Callable[[int], str]) -> None:
    """Raise DataError for a cell that is no number where a model takes numbers."""
    for code, word in enumerate(column.words.words):
        if not column.lacks(word):
            says = misspelt_number(word) or (
                f"is {shown(word)}, but the model was trained on numbers there"
            )
            raise DataError(f"{row(column.first(code))}: column {column.name!r} {says}")


def refuse_missing(
    columns: Sequence[Column], row: Callable[[int], str], otherwise: str = FILL
) -> None:
    """Raise DataError for the first value that is missing; `otherwise` is as in `missing`."""
    found = [
        (column.first(code), place, word)
        for place, column in enumerate(columns)
        for code, word in enumerate(column.words.words)
        if column.lacks(word)
    ]
    if found:
        i, place, word = min(found)
        raise DataError(f"{row(i)}: column {columns[place].name!r} {missing(word, otherwise)}")


def _matrix(
    columns: Sequence[Column], categorical: Sequence[bool]
) -> tuple[NDArray[np.float64], tuple[str, ...], tuple[Group, ...]]:
    """Return x, the names of its columns, and which of them stand for one category each."""
    names: list[str] = []
    groups = []
    categories: list[list[str]] = []
    for column, is_category in zip(columns, categorical, strict=True):
        words = sorted(word for word in column.words.words if not column.lacks(word))
        categories.append(words if is_category else [])
        if is_category:
            groups.append(Group(column.name, len(names), len(names) + len(words)))
            names += [f"{column.name}={word}" for word in words]
        else:
            names.append(column.name)
    x = np.zeros((len(columns[0].numbers), len(names)))
    at = 0
    for column, is_category, words in zip(columns, categorical, categories, strict=True):
        if not is_category:
            x[:, at] = column.numbers
            at += 1
            continue
        place = {word: k for k, word in enumerate(words)}
        code = np.array([place.get(word, -1) for word in column.words.words], np.int64)
        code = code[column.words.codes]
        known = code >= 0
        x[column.rows[known], at + code[known]] = 1
        x[column.rows[~known], at : at + len(words)] = np.nan
        at += len(words)
    return x, tuple(names), tuple(groups)
