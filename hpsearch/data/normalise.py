"""Give every input mean 0 and standard deviation 1, by what the training examples show.

Everything runs in chunks of rows, so that data on the disk are never loaded whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import CHUNK, Dataset, chunks, listed
from hpsearch.data.shares import Positions
from hpsearch.errors import DataError

FARTHEST = 1e18
"""Standard deviations from the mean beyond which a square would leave float32."""

NEAREST = 1e-6
"""Standard deviations that the values of a column must span without their farthest one."""
BIG = 20
"""Power of two, about a million, below which no value counts as too large for the others: noise in
the last digits of zeros beside ones is no mistake."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of columns of numbers, each (n,).

    mean, std: std is infinite for a constant column, so that it becomes 0 for any value.
    exponent: of the power of two that a column is divided by before anything is squared.
    """

    mean: Array
    std: Array
    exponent: NDArray[np.int32]

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which columns hold one value only."""
        return np.isinf(self.std)

    def repeat(self, times: int) -> Statistics:
        """Return the statistics of columns that follow each other that often."""
        return Statistics(
            np.tile(self.mean, times),
            np.tile(self.std, times),
            np.tile(self.exponent, times),
        )

    def normalise(self, x: Array) -> Array:
        """Return (x - mean) / std; what overflows is infinite, but 0 in a constant column."""
        with np.errstate(all="ignore"):  # what overflows is refused in words by who calls
            z: Array = np.ldexp(x, -self.exponent) - np.ldexp(self.mean, -self.exponent)
            z /= np.ldexp(self.std, -self.exponent)
        z[:, self.constant] = 0  # not -0, nor NaN where the difference overflows
        return z


def statistics(blocks: Callable[[], Iterator[Array]]) -> Statistics:
    """Return each column's mean and population standard deviation, in two passes over the blocks.

    Computed on columns divided by a power of two near their largest value, which is exact: squares
    of values near 1e300 would overflow, those of values near 1e-300 vanish.

    blocks: gives the same finite (k, n) arrays in each pass.
    Source: Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing
    sample variances", for how the blocks' figures are joined.
    """
    low = high = np.empty(0)
    for block in blocks():
        least, most = block.min(axis=0), block.max(axis=0)
        low = np.minimum(low, least) if low.size else least
        high = np.maximum(high, most) if high.size else most
    exponent = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
    count, centre, squares = 0, np.zeros_like(low), np.zeros_like(low)
    for block in blocks():
        scaled = np.ldexp(block, -exponent)
        mean = scaled.mean(axis=0)
        scaled -= mean
        spread = np.square(scaled, out=scaled).sum(axis=0)
        if not count:
            count, centre, squares = len(block), mean, spread
            continue
        step, joint = mean - centre, count + len(block)
        squares += spread + step * step * (count * len(block) / joint)
        centre += step * (len(block) / joint)
        count = joint
    # The bounds hold exactly; rounding would pass the largest float, and would give three times 0.1
    # a deviation of 1e-17 instead of 0.
    with np.errstate(over="ignore"):
        mean = np.clip(np.ldexp(centre, exponent), low, high)
        std = np.minimum(np.ldexp(np.sqrt(squares / count), exponent), high / 2 - low / 2)
    return Statistics(mean, np.where(std == 0, np.inf, std), exponent)


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Turns examples as they were read into what the network sees.

    fill: (n,), what a missing value becomes; None where none is missing.
    """

    dataset: Dataset
    fill: Array | None
    inputs: Statistics

    def blocks(self, rows: Positions, part: str) -> Iterator[NDArray[np.float32]]:
        """Yield the examples normalised, (k, n) at a time.

        Raises:
            DataError: A value lies absurdly far from the training examples.
        """
        for some in chunks(rows, len(self.dataset.features)):
            raw = _filled(self.dataset, self.fill, some)
            z = self.inputs.normalise(raw)
            near = np.abs(z) <= FARTHEST
            if not near.all():
                i, j = divmod(int(np.argmin(near)), near.shape[1])
                raise DataError(
                    f"{self.dataset.example(int(some[i]))}: column {self.dataset.features[j]!r}"
                    f" holds {raw[i, j]:g}, more than {FARTHEST:g} standard deviations"
                    f" ({self.inputs.std[j]:g}) from the mean of the training examples"
                    f" ({self.inputs.mean[j]:g}); is it a mistake in the {part} data?"
                )
            yield z.astype(np.float32)

    def notes(self) -> tuple[str, ...]:
        """Say which columns, or channels of an image, tell nothing."""
        constant, names, what = self.inputs.constant, self.dataset.features, "column"
        if self.dataset.image is not None:
            channels = self.dataset.image[2]
            constant, names, what = constant[:channels], tuple(map(str, range(channels))), "channel"
        found = [names[j] for j in np.flatnonzero(constant)]
        if not found:
            return ()
        verb = f"{what} becomes" if len(found) == 1 else f"{what}s become"
        return (f"{len(found)} constant {verb} 0: {listed(found)}",)


def fit(dataset: Dataset, train: Positions, used: Positions) -> Normaliser:
    """Learn from the training examples how to normalise.

    Columns of a table one by one; an image's pixels together, channel by channel, so that an image
    that is flipped or moved is still an image.

    Args:
        dataset: As read.
        train: The training examples.
        used: All examples that will be normalised; only their missing values are looked for.
    Raises:
        DataError: A column with missing values has no value among the training examples, or one
            value of a column is so far out that no other ones could be told apart.
    """
    n = len(dataset.features)
    columns = n if dataset.image is None else dataset.image[2]
    fill = _fill(dataset, train, used) if dataset.missing else None

    def blocks() -> Iterator[Array]:
        for some in chunks(train, n):
            yield _filled(dataset, fill, some).reshape(-1, columns)

    inputs = statistics(blocks)
    lone = _lone_value(blocks, inputs)
    if lone is not None:
        j, value = lone
        i, j = _first_place(dataset, train, j, columns, value)
        raise DataError(
            f"{dataset.example(i)}: column {dataset.features[j]!r} holds {value:g},"
            f" {_so_far_out(inputs.std[j % columns])} Correct it, remove the row, or put the column"
            " under ignore"
        )
    return Normaliser(dataset, fill, inputs.repeat(n // columns))


def _lone_value(
    blocks: Callable[[], Iterator[Array]], found: Statistics
) -> tuple[int, float] | None:
    """Return (column, value) of a value beside which all others of its column become the same.

    The smallest or the largest one, however often it occurs, without which the column's values
    still differ, but by less than NEAREST standard deviations.

    blocks, found: as given to `statistics`, and what it returned.
    """
    columns = np.flatnonzero((found.exponent > BIG) & ~found.constant)
    if not len(columns):
        return None
    ends = np.empty((0, len(columns)))
    for block in blocks():
        ends = _ends(np.concatenate([ends, _ends(block[:, columns])]))
    low, second, last, high = ends / 2  # halves, since the difference may pass the largest float
    limit = NEAREST * (found.std[columns] / 2)
    for value, span in ((high, last - low), (low, high - second)):
        lone = np.flatnonzero((span > 0) & (span < limit))
        if len(lone):
            return int(columns[lone[0]]), float(value[lone[0]] * 2)
    return None


def _ends(x: Array) -> Array:
    """Return the smallest, second, last but one and largest of each column's different values."""
    low, high = x.min(axis=0), x.max(axis=0)
    second = np.where(x > low, x, high).min(axis=0)
    last = np.where(x < high, x, low).max(axis=0)
    return np.stack([low, second, last, high])


def _first_place(
    dataset: Dataset, rows: Positions, column: int, columns: int, value: float
) -> tuple[int, int]:
    """Return the first of the examples that holds a value, and in which column.

    columns: How many different columns, or channels of an image, follow each other.
    """
    for some in chunks(np.sort(rows), len(dataset.features)):
        held = dataset.take(some)[:, column::columns] == value
        if held.any():
            i, place = divmod(int(np.argmax(held)), held.shape[1])
            return int(some[i]), column + place * columns
    raise AssertionError(f"no example holds {value}")


def _so_far_out(std: float) -> str:
    return (
        f"so far out that all other values of the training examples are the same within"
        f" {NEAREST:g} standard deviations ({std:g}); is it a mistake in the train data?"
    )


def _filled(dataset: Dataset, fill: Array | None, rows: Positions) -> Array:
    """Return examples in their own units, (k, n), missing values filled in."""
    x = dataset.take(rows)
    return x if fill is None else np.where(np.isnan(x), fill, x)


def medians(dataset: Dataset, train: Positions) -> Array:
    """Return what a missing value of any column becomes, whether or not one is missing now.

    Raises:
        DataError: A column has no value among the training examples.
    """
    return _medians(dataset, train, np.ones(len(dataset.features), bool))


def _fill(dataset: Dataset, train: Positions, used: Positions) -> Array | None:
    """Return the median of each column; for categories, the most frequent one."""
    for group in dataset.groups:
        if group.first == group.end:
            raise _no_value(group.name)
    n = len(dataset.features)
    lacking = np.zeros(n, bool)
    for some in chunks(used, n):
        lacking |= np.isnan(dataset.take(some)).any(axis=0)
    return _medians(dataset, train, lacking) if lacking.any() else None


def _medians(dataset: Dataset, train: Positions, lacking: NDArray[np.bool_]) -> Array:
    """Return the median of each column that is `lacking` values; the most frequent category."""
    lacking, n = lacking.copy(), len(dataset.features)
    fill = np.zeros(n)
    for name, start, end in dataset.groups:
        if not lacking[start:end].any():
            continue
        counts = np.zeros(end - start)
        for some in chunks(train, n):
            counts += np.nansum(dataset.take(some)[:, start:end], axis=0)
        if not counts.any():
            raise _no_value(name)
        fill[start + int(np.argmax(counts))] = 1
        lacking[start:end] = False
    columns = np.flatnonzero(lacking)
    step = max(1, CHUNK // len(train))
    for at in range(0, len(columns), step):
        some_columns = columns[at : at + step]
        values = np.empty((len(train), len(some_columns)))
        done = 0
        for some in chunks(train, n):
            values[done : done + len(some)] = dataset.take(some)[:, some_columns]
            done += len(some)
        for j, column in zip(some_columns, values.T, strict=True):
            fill[j] = _median(column, dataset.features[j])
    return fill


def _median(column: Array, name: str) -> float:
    known = np.sort(column[~np.isnan(column)])
    if not len(known):
        raise _no_value(name)
    low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
    return float(low if low == high else low / 2 + high / 2)  # the sum may pass the largest float


def _no_value(name: str) -> DataError:
    return DataError(
        f"column {name!r} has no value in the training part, so nothing can be filled in;"
        " put it under ignore",
        key="missing",
    )


def fit_target(dataset: Dataset, train: Positions) -> Statistics:
    """Return the statistics of the targets of the training examples.

    Raises:
        DataError: They are all the same, or would be beside one that is far out.
    """
    y = dataset.y[train][:, None]
    found = statistics(lambda: iter([y]))
    lone = _lone_value(lambda: iter([y]), found)
    if lone is not None:
        i = int(train[y[:, 0] == lone[1]].min())
        raise DataError(
            f"{dataset.example(i)}: the label is {lone[1]:g}, {_so_far_out(found.std[0])} Correct"
            " it, or remove the row"
        )
    if found.constant[0]:
        raise DataError(
            f"the label is {y[0, 0]:g} in all {len(y)} training examples; there is nothing to"
            " learn",
            key="label",
        )
    return found


def normalise_target(
    dataset: Dataset, rows: Positions, target: Statistics, part: str
) -> NDArray[np.float32]:
    """Return the targets of some examples, (k,), in standard deviations from the mean."""
    y = dataset.y[rows]
    z = target.normalise(y[:, None])[:, 0]
    near = np.abs(z) <= FARTHEST
    if not near.all():
        i = int(np.argmin(near))
        raise DataError(
            f"{dataset.example(int(rows[i]))}: the label is {y[i]:g}, more than {FARTHEST:g}"
            f" standard deviations from the mean of the training examples; is it a mistake in the"
            f" {part} data?"
        )
    return z.astype(np.float32)
