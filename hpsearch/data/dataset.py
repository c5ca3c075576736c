"""What every file becomes: a table of numbers with one class, or one target, per row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import nearest

CHUNK = 1 << 20
"""Values that are worked on at a time, so that data larger than the memory can be used."""


class Stacked:
    """Several arrays (m_i, ...), one below the other and flat per example, without copying them."""

    def __init__(self, blocks: Sequence[NDArray[Any]]) -> None:
        self.blocks = tuple(blocks)
        self.ends = np.cumsum([len(block) for block in blocks])
        self.shape = (int(self.ends[-1]), math.prod(blocks[0].shape[1:]))

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the rows at these positions, counted through all blocks."""
        out = np.empty((len(rows), self.shape[1]))
        which = np.searchsorted(self.ends, rows, side="right")
        for k, block in enumerate(self.blocks):
            mine = which == k
            chosen = block[rows[mine] - (self.ends[k] - len(block))]
            out[mine] = chosen.reshape(len(chosen), self.shape[1])
        return out


def locator(sizes: Sequence[int]) -> Callable[[int], tuple[int, int]]:
    """Return what finds example i of several files, one below the other: as (file, row)."""
    ends = np.cumsum(sizes)

    def locate(i: int) -> tuple[int, int]:
        k = int(np.searchsorted(ends, i, side="right"))
        return k, i - int(ends[k]) + sizes[k]

    return locate


def numbered(i: int) -> str:
    """Name example i where nothing more is known of it."""
    return f"example {i + 1}"


class Group(NamedTuple):
    """Which columns stand for the words of one: from `first` to before `end`."""

    name: str
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples as they were read: not yet shuffled, split or normalised.

    x: (m, n) of any integer or float dtype, perhaps on the disk. One row per example, in the file's
        own units. Finite, but for NaN where a value is missing.
    y: (m,). int64 in 0..C-1, a position in `classes`; for regression the float64 target.
    features: the n names of the columns of x.
    classes: the C names of the classes: by value when all are whole numbers, else as text. Empty
        for regression.
    image: (height, width, channels) where a row is an image, in that order.
    groups: the columns that stand for one category each, called `name=word`; a missing one is NaN
        in all columns of its group.
    missing: Whether x may hold NaN.
    parts: (part, examples) of each file in the order of the rows; empty when one source is all.
    example: Names example i for a message.
    """

    x: NDArray[Any] | Stacked
    y: NDArray[Any]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    image: tuple[int, int, int] | None = None
    groups: tuple[Group, ...] = ()
    missing: bool = False
    parts: tuple[tuple[str, int], ...] = ()
    example: Callable[[int], str] = numbered

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a copy of some rows of x as (k, n) float64."""
        return np.array(self.x[rows], dtype=np.float64, copy=True, subok=False)


def chunks(rows: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows, in their order, as many at a time as hold CHUNK values of that width."""
    step = max(1, CHUNK // max(1, width))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def shown(value: object) -> str:
    """Return a value as a message shows it: quoted, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"


def listed(names: Iterable[Any], limit: int = 12) -> str:
    """Return names as a message lists them: the first few, and how many there are."""
    all_names = [str(name) for name in names]
    if len(all_names) <= limit:
        return ", ".join(all_names) or "none"
    return f"{', '.join(all_names[:limit])}, ... ({len(all_names)} in all)"


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the sentence that offers the nearest known name, with a space before, or nothing."""
    name = nearest(word, known)
    return "" if name is None else f" Did you mean {name!r}?"
