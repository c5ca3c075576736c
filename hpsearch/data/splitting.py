"""Part a data set in train, dev and test, and normalise all three by what train shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Dataset
from hpsearch.errors import DataError

PARTS = ("train", "dev", "test")

FARTHEST = 1e18
"""Standard deviations from the mean beyond which a square would leave float32."""


class Examples(NamedTuple):
    """Inputs and the class of each: x (m, n) float32, C-contiguous; y (m,) int64."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts that share no example, normalised.

    train, dev, test: dev or test is empty only where its fraction is 0.
    mean, std: (n,) float64, of the training examples before normalising. A raw example becomes
        `(x - mean) / std`; std is 1 for a constant column.
    features, classes: names, as in Dataset.
    """

    train: Examples
    dev: Examples
    test: Examples
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    features: tuple[str, ...]
    classes: tuple[str, ...]


def split(dataset: Dataset, fractions: Mapping[str, float], rng: np.random.Generator) -> Split:
    """Part the examples at random, each class in the same proportions, and normalise them.

    Every class has at least one example in train and, unless its fraction is 0, one in dev.

    Args:
        dataset: Every class has at least two examples, as `load` makes sure.
        fractions: Of train, dev and test; each in [0, 1], together 1.
        rng: The same state gives the same split.
    Raises:
        DataError: A part that is asked for would be empty, or a value lies absurdly far from the
            training examples.
    """
    share = np.array([fractions[part] for part in PARTS], dtype=np.float64)
    m = len(dataset.y)
    if share[0] <= 0:
        raise DataError("train: 0 leaves nothing to learn from; give it more", key="split")
    counts = _counts(np.bincount(dataset.y, minlength=len(dataset.classes)), share)
    for part, fraction, size in zip(PARTS, share, counts.sum(axis=0), strict=True):
        if fraction > 0 and size == 0:
            raise DataError(
                f"{part}: {fraction:g} of {m} examples is none; give it more, set it to 0, or add"
                " examples",
                key="split",
            )

    order = rng.permutation(m)
    by_class = order[np.argsort(dataset.y[order], kind="stable")]
    part_of = np.empty(m, np.int8)
    part_of[by_class] = np.repeat(np.tile(np.arange(3), len(counts)), counts.ravel())
    rows = [rng.permutation(np.flatnonzero(part_of == k)) for k in range(3)]

    mean, std, exponent = _statistics(dataset.x[rows[0]])
    train, dev, test = (
        Examples(_normalise(dataset, part, chosen, mean, std, exponent), dataset.y[chosen])
        for part, chosen in zip(PARTS, rows, strict=True)
    )
    return Split(train, dev, test, mean, std, dataset.features, dataset.classes)


def _counts(sizes: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many examples of each class (rows) each part (columns) gets.

    The largest remainder takes what rounding leaves. What a class is rounded up or down is carried
    to the next one, or 1% of a hundred classes of 30 would be nothing instead of 30.
    """
    least = np.array([1, 1 if share[1] > 0 else 0, 0])
    if len(sizes) and sizes.min() < least.sum():
        raise ValueError(f"a class has {sizes.min()} examples; load() refuses such data")
    counts = np.empty((len(sizes), 3), np.int64)
    carried = np.zeros(3)
    for row, size in zip(counts, sizes, strict=True):
        wanted = size * share + carried
        row[:] = np.floor(wanted)
        row[np.argsort(row - wanted, kind="stable")[: size - row.sum()]] += 1
        carried = wanted - row
        while (row < least).any():
            row[np.argmax(row - least)] -= 1
            row[np.argmin(row - least)] += 1
    return counts


def _statistics(
    x: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """Return each column's mean and population standard deviation, and a power of two near it.

    Computed on columns divided by that power of two, which is exact: squares of values near 1e300
    would overflow, those of values near 1e-300 vanish.
    """
    low, high = x.min(axis=0), x.max(axis=0)
    exponent = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
    scaled = np.ldexp(x, -exponent)
    # The bounds hold exactly; rounding would pass the largest float, and would give three times 0.1
    # a deviation of 1e-17 instead of 0.
    with np.errstate(over="ignore"):
        mean = np.clip(np.ldexp(scaled.mean(axis=0), exponent), low, high)
        std = np.minimum(np.ldexp(scaled.std(axis=0), exponent), high / 2 - low / 2)
    constant = std == 0
    return mean, np.where(constant, 1.0, std), np.where(constant, 0, exponent)


def _normalise(
    dataset: Dataset,
    part: str,
    rows: NDArray[np.int64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    exponent: NDArray[np.int32],
) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):  # what overflows is refused below, in words
        z = (np.ldexp(dataset.x[rows], -exponent) - np.ldexp(mean, -exponent)) / np.ldexp(
            std, -exponent
        )
        near = np.abs(z) <= FARTHEST
    if not near.all():
        i, j = divmod(int(np.argmin(near)), near.shape[1])
        raise DataError(
            f"column {dataset.features[j]!r} holds {dataset.x[rows[i], j]:g} in example"
            f" {rows[i] + 1}, more than {FARTHEST:g} standard deviations ({std[j]:g}) from the"
            f" mean of the training examples ({mean[j]:g}); is it a mistake in the {part} data?"
        )
    return np.ascontiguousarray(z, dtype=np.float32)
