"""Which example goes where: train, dev and test, or the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.cells import number_in
from hpsearch.data.dataset import Dataset, listed, shown
from hpsearch.errors import DataError

PARTS = ("train", "dev", "test")
MANY = 10
"""Different labels above which whole numbers may well be measurements."""

Positions = NDArray[np.int64]
"""(k,) positions of examples in a Dataset."""


class Rows(NamedTuple):
    """The positions of the examples of each part; no example is in two of them."""

    train: Positions
    dev: Positions
    test: Positions


def share_out(
    dataset: Dataset,
    shares: Mapping[str, float],
    rng: np.random.Generator,
    *,
    stratify: bool = True,
) -> Rows:
    """Choose at random which examples of the training file are in which part.

    A part that has a file of its own is that file, in its order.

    Args:
        dataset: As read.
        shares: By part. Fractions that add up to 1, or counts (int), of which some may be unused.
            Empty where nothing is to be shared out.
        rng: The same state gives the same parts.
        stratify: Each class in the same proportions, with one example or more in train and, unless
            it gets none at all, in dev.
    Raises:
        DataError: A part that is asked for would be empty, or a class has too few examples.
    """
    found = _rows_of_files(dataset)
    if shares:
        count = dict(dataset.parts).get("train", len(dataset.y))
        found |= _shared(dataset, count, shares, rng, stratify=stratify)
    nothing = np.empty(0, np.int64)
    return Rows(*(found.get(part, nothing) for part in PARTS))


def _rows_of_files(dataset: Dataset) -> dict[str, Positions]:
    """Return the examples of each part that has a file of its own."""
    found: dict[str, Positions] = {}
    start = 0
    for part, size in dataset.parts:
        found[part] = np.arange(start, start + size)
        start += size
    return found


def refuse_unknown_classes(dataset: Dataset, *, folds: bool = False) -> None:
    """Refuse a class that only the file of dev or test holds: no network can learn it.

    folds: Whether dev is for training too, as it is in all folds but one.
    """
    files = _rows_of_files(dataset)
    if not dataset.classes or not files:
        return
    learned = [part for part in learned_parts(folds=folds) if part in files]
    known = np.zeros(len(dataset.classes), bool)
    known[dataset.y[np.concatenate([files[part] for part in learned])]] = True
    if known.all():
        return
    first = int(np.argmin(known[dataset.y]))
    here = dataset.y[first]
    others = [shown(dataset.classes[k]) for k in np.flatnonzero(~known) if k != here]
    raise DataError(
        f"{dataset.example(first)}: class {shown(dataset.classes[here])} does not occur in"
        f" {' and '.join(learned)}"
        + (f", and neither do {listed(others)}" if others else "")
        + ", so that it cannot be learned; add examples of it there, or remove them here"
    )


def learned_parts(*, folds: bool) -> tuple[str, ...]:
    """Return the parts that are for training: with folds also dev, as in all folds but one."""
    return PARTS[:2] if folds else PARTS[:1]


def _shared(
    dataset: Dataset,
    m: int,
    shares: Mapping[str, float],
    rng: np.random.Generator,
    *,
    stratify: bool,
) -> dict[str, Positions]:
    """Share out the first m examples."""
    wanted = np.array([shares.get(part, 0) for part in PARTS], dtype=np.float64)
    if wanted[0] <= 0:
        raise DataError("train: 0 leaves nothing to learn from; give it more", key="split")
    by_count = isinstance(shares["train"], int)
    groups = _groups(dataset, stratify=stratify)[:m]
    sizes = np.bincount(groups)
    if by_count:
        counts = _exact_counts(dataset, sizes, wanted, m)
    else:
        _check_pairs(dataset, sizes, groups, to_dev=wanted[1] > 0)
        counts = _counts(sizes, wanted, _least(sizes, wanted))
    for part, share, size in zip(PARTS, wanted, counts.sum(axis=0), strict=False):
        if share > 0 and size == 0:
            raise DataError(
                f"{part}: {share:g} of {m} examples is none; give it more, set it to 0, or add"
                " examples",
                key="split",
            )
    order = rng.permutation(m)
    by_class = order[np.argsort(groups[order], kind="stable")]
    part_of = np.empty(m, np.int8)
    columns = np.arange(counts.shape[1])
    part_of[by_class] = np.repeat(np.tile(columns, len(counts)), counts.ravel())
    rows = [rng.permutation(np.flatnonzero(part_of == k)) for k in range(3)]
    return {part: each for part, each in zip(PARTS, rows, strict=True) if part in shares}


def _groups(dataset: Dataset, *, stratify: bool) -> NDArray[np.int64]:
    """Return the number of what each example is shared out with: its class, or all."""
    if stratify and dataset.classes:
        return dataset.y
    return np.zeros(len(dataset.y), np.int64)


def _least(sizes: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many examples of each class (rows) a part (columns) must have."""
    least = np.zeros((len(sizes), len(share)), np.int64)
    least[:, 0] = 1
    least[:, 1] = share[1] > 0
    least[sizes == 0] = 0
    return least


def _check_pairs(
    dataset: Dataset, sizes: NDArray[np.int64], groups: NDArray[np.int64], *, to_dev: bool
) -> None:
    """Refuse a class that cannot be both in train and in dev."""
    single = np.flatnonzero(sizes == 1)
    if not to_dev or not len(single):
        return
    if not dataset.classes or len(sizes) == 1:
        raise DataError(f"{dataset.example(0)} is the only one; at least 2 are needed")
    first = int(np.flatnonzero(groups == single[0])[0])
    others = [shown(dataset.classes[k]) for k in single[1:]]
    raise DataError(
        f"{dataset.example(first)}: class {shown(dataset.classes[single[0]])} has 1 example"
        + (f", and so have {listed(others)}" if others else "")
        + "; every class needs at least 2, one to train on and one to judge by."
        f" Add examples, remove or merge the class, or set `stratify: false`{_if_numbers(dataset)}"
    )


def _if_numbers(dataset: Dataset) -> str:
    """Say how numbers are predicted, where the classes may be meant as numbers."""
    classes = dataset.classes
    if len(classes) <= MANY or any(number_in(name) is None for name in classes):
        return ""
    return (
        f". If these {len(classes)} labels are numbers to predict rather than classes, write"
        " `objective: {trainer: mlp, loss: mse}`"
    )


def _counts(
    sizes: NDArray[np.int64], share: NDArray[np.float64], least: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many examples of each class (rows) each part (columns) gets.

    The largest remainder takes what rounding leaves. What a class is rounded up or down is carried
    to the next one, or 1% of a hundred classes of 30 would be nothing instead of 30.

    sizes: (C,), each at least the sum of its row of `least`.
    share: (p,), together 1.
    """
    counts = np.empty((len(sizes), len(share)), np.int64)
    carried = np.zeros(len(share))
    for row, size, needed in zip(counts, sizes, least, strict=True):
        wanted = size * share + carried
        row[:] = np.floor(wanted)
        row[np.argsort(row - wanted, kind="stable")[: size - row.sum()]] += 1
        carried = wanted - row
        while (row < needed).any():
            row[np.argmax(row - needed)] -= 1
            row[np.argmin(row - needed)] += 1
    return counts


def _exact_counts(
    dataset: Dataset, sizes: NDArray[np.int64], wanted: NDArray[np.float64], m: int
) -> NDArray[np.int64]:
    """As _counts, for a number of examples per part; the last column is what stays unused."""
    if wanted.sum() > m:
        raise DataError(
            f"split asks for {wanted.sum():.0f} examples, but there are {m}; ask for fewer",
            key="split",
        )
    present = int(np.count_nonzero(sizes))
    for part, count in zip(PARTS[:2], wanted, strict=False):
        if 0 < count < present:
            raise DataError(
                f"{part}: {count:.0f} examples cannot hold one of each of {present} classes; give"
                f" it more, or set `stratify: false`{_if_numbers(dataset)}",
                key="split",
            )
    total = np.array([*wanted, m - wanted.sum()])
    least = _least(sizes, total)
    short = np.flatnonzero((sizes > 0) & (sizes < least.sum(axis=1)))
    if len(short):
        raise DataError(
            f"split: class {shown(dataset.classes[short[0]])} has 1 example, which cannot be in"
            " train and in dev; add examples, or set `stratify: false`"
            f"{_if_numbers(dataset)}",
            key="split",
        )
    counts = _counts(sizes, total / m, least)
    # Rounding, and the least that a class needs, may leave a part a few examples off.
    while (over := counts.sum(axis=0) - total.astype(np.int64)).any():
        giver, taker = int(np.argmax(over)), int(np.argmin(over))
        row = int(np.argmax(counts[:, giver] - least[:, giver]))
        counts[row, giver] -= 1
        counts[row, taker] += 1
    return counts


def fold(
    dataset: Dataset,
    rows: Rows,
    folds: int,
    rng: np.random.Generator,
    *,
    stratify: bool = True,
) -> list[Rows]:
    """Share out train and dev together in k folds, each of which is dev once; test stays apart.

    Raises:
        DataError: More folds than examples, or than examples of a class where classes are kept.
    """
    pool = np.concatenate([rows.train, rows.dev])
    groups = _groups(dataset, stratify=stratify)[pool]
    sizes = np.bincount(groups)
    fewest = int(sizes[sizes > 0].min())
    if fewest < folds:
        if dataset.classes and stratify:
            k = int(np.flatnonzero(sizes == fewest)[0])
            what = f"class {shown(dataset.classes[k])} has only {fewest} examples in train and dev"
            way_out = f", add examples, or set `stratify: false`{_if_numbers(dataset)}"
        else:
            what, way_out = f"there are only {fewest} examples in train and dev", ""
        raise DataError(f"folds: {folds}, but {what}; use fewer folds{way_out}", key="folds")
    order = rng.permutation(len(pool))
    by_class = order[np.argsort(groups[order], kind="stable")]
    fold_of = np.empty(len(pool), np.int64)
    fold_of[by_class] = np.arange(len(pool)) % folds  # classes follow each other: each is spread
    return [
        Rows(
            rng.permutation(pool[fold_of != k]),
            rng.permutation(pool[fold_of == k]),
            rows.test,
        )
        for k in range(folds)
    ]


def notes_on(dataset: Dataset, rows: Rows) -> tuple[str, ...]:
    """Say what is worth knowing of a split: examples not used, classes nobody can learn."""
    notes = []
    used = sum(len(part) for part in rows)
    if used < len(dataset.y):
        unused = len(dataset.y) - used
        notes.append(f"{unused} of {len(dataset.y)} examples are not used: split asks for {used}")
    if dataset.classes:
        seen: NDArray[Any] = np.bincount(dataset.y[rows.train], minlength=len(dataset.classes))
        unseen = [shown(dataset.classes[k]) for k in np.flatnonzero(seen == 0)]
        if unseen:
            what = "class has" if len(unseen) == 1 else "classes have"
            notes.append(f"{len(unseen)} {what} no training example: {listed(unseen)}")
    return tuple(notes)
