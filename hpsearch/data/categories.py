"""Columns of categories: those that training sees, whatever dev and test hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Dataset, Group, chunks, listed
from hpsearch.data.shares import PARTS, Positions, Rows, learned_parts


def drop_unseen(
    dataset: Dataset, rows: Rows, *, folds: bool = False
) -> tuple[Dataset, tuple[str, ...]]:
    """Remove the columns of words that no training example holds; return notes on them too.

    An example with such a word is 0 in all columns of its category. So what dev and test hold
    changes neither the size of the network nor its training.

    folds: Whether dev is for training too, as it is in all folds but one.
    """
    if not dataset.groups:
        return dataset, ()
    learned = learned_parts(folds=folds)
    held = np.stack([_held(dataset, positions) for positions in rows])  # (part, column)
    seen = np.logical_or.reduce(held[: len(learned)])
    keep = np.ones(len(dataset.features), bool)
    for group in dataset.groups:
        keep[group.first : group.end] = seen[group.first : group.end]
    if keep.all():
        return dataset, ()
    notes = []
    for group in dataset.groups:
        at = np.flatnonzero(~keep[group.first : group.end]) + group.first
        at = at[held[:, at].any(axis=0)]  # the others are only in examples that are not used
        parts = [part for part, of_part in zip(PARTS, held, strict=True) if of_part[at].any()]
        if len(at):
            words = [dataset.features[j].removeprefix(f"{group.name}=") for j in at]
            what = "value" if len(at) == 1 else "values"
            verbs = ("does", "becomes") if len(at) == 1 else ("do", "become")
            notes.append(
                f"{group.name}: {len(at)} {what} of {' and '.join(parts)} {verbs[0]} not occur in"
                f" {' and '.join(learned)} and {verbs[1]} 0: {listed(words)}"
            )
    place = np.concatenate([[0], np.cumsum(keep)])
    assert isinstance(dataset.x, np.ndarray)  # as every table is
    left = replace(
        dataset,
        x=dataset.x[:, keep],
        features=tuple(np.array(dataset.features, dtype=object)[keep]),
        groups=tuple(
            Group(group.name, int(place[group.first]), int(place[group.end]))
            for group in dataset.groups
        ),
    )
    return left, tuple(notes)


def _held(dataset: Dataset, rows: Positions) -> NDArray[np.bool_]:
    """Return, for each column, whether one of the examples has a 1 in it."""
    held = np.zeros(len(dataset.features), bool)
    for some in chunks(rows, len(held)):
        held |= (dataset.take(some) == 1).any(axis=0)
    return held
