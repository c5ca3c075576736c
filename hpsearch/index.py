"""The index of a record: a small entry for each of its lines, in a file beside it.

To find the best of a million trials in their lines takes seconds; in their entries a tenth of one.
Nothing is in the index that is not in the record, so it may be lost, and it is used for large
records only. It is read without NumPy, which takes longer to import than 10,000 entries to read.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import BinaryIO

from hpsearch.trial import STATUSES, Result

SIZE = 32
"""Bytes of an entry."""
_HEAD = struct.Struct("=qdiIBBH")
"""Where the line ends, its score, trial and kind, its status, flags, and nothing."""
_CHECK = struct.Struct("<I")
_EARLY, _REPEATED, _STEP = 1, 2, 4
_COMPLETE = STATUSES.index("complete")
_CHUNK = 1 << 14
"""Entries that are looked at together."""
_SEED = 0x2144DF1C
"""The CRC-32 of whatever is followed by its own CRC-32. An entry's check goes on from it, so it is
also that of any number of whole entries: one computation in C checks all of them."""


def entry(result: Result, end: int) -> bytes:
    """Return the entry of a line of the record that ends before byte `end`."""
    flags = _EARLY if result.ended_early else 0
    flags |= _REPEATED if result.scores else 0
    flags |= _STEP if result.step is not None else 0
    head = _HEAD.pack(
        end,
        float("nan") if result.score is None else result.score,
        result.trial,
        _kind(result),
        STATUSES.index(result.status),
        flags,
        0,
    )
    return head + _CHECK.pack(zlib.crc32(head, _SEED))


def _kind(result: Result) -> int:
    """Return what is equal for results with the same columns in a table."""
    names = [*result.metrics, "" if result.epochs is None else "\0epochs"]
    return zlib.crc32("\0".join(names).encode(errors="surrogatepass"))


def end_of(entry: bytes) -> int:
    """Return before which byte an entry's line ends; 0 without one, or where it is damaged."""
    return int(_HEAD.unpack_from(entry)[0]) if entry and zlib.crc32(entry, _SEED) == _SEED else 0


@dataclass(frozen=True)
class Found:
    """What an index tells of a record of trials that each have one line."""

    trials: int
    """How many count."""
    is_whole: bool
    """Whether all trials that the budget allows are there."""
    lost: int
    """How many of them have no score, and so failed at most."""
    early: int
    """How many of them budget.time ended early."""
    lines: list[tuple[int, int]]
    """Where the lines begin and end that the first rows of a leaderboard are made of, and one line
    of each kind that there is."""


def look(file: BinaryIO, size: int, *, limit: int | None, sign: int, top: int) -> Found | None:
    """Look for the best trials in an index.

    Args:
        file: The index.
        size: Bytes of the record that it is of.
        limit: The number of trials at which the search ends; None where that is open.
        sign: 1 to minimize the score, -1 to maximize it.
        top: How many trials are wanted.
    Returns None where the index does not tell: it is damaged or not of the whole record, trials
    have several lines or several scores.
    """
    seen = bytearray()
    count = end = 0
    try:
        for each in _chunks(file):
            trials = each.trials
            if any(flags & (_REPEATED | _STEP) for flags in set(each.flags)):
                return None
            seen.extend(bytes(max(0, max(trials) + 1 - len(seen))))
            for trial in trials:
                seen[trial] = 1
            count += len(trials)
            end = each.ends[-1]
    except ValueError:
        return None
    if end != size or count != seen.count(1):
        return None
    is_whole = limit is not None and len(seen) >= limit and seen.find(0, 0, limit) < 0
    best = _Best(sign, top)
    file.seek(0)
    for each in _chunks(file):
        best.add(each.below(limit) if is_whole and limit is not None else each)
    return Found(best.trials, is_whole, best.lost, best.early, best.lines())


@dataclass(frozen=True)
class _Entries:
    """Some entries, field by field, each of a length."""

    starts: list[int]
    ends: list[int]
    scores: list[float]
    trials: list[int]
    kinds: list[int]
    statuses: bytes
    flags: bytes

    def below(self, limit: int) -> _Entries:
        """Return those of the trials before number `limit`."""
        if max(self.trials) < limit:
            return self
        return self.where([trial < limit for trial in self.trials])

    def where(self, chosen: Iterable[bool]) -> _Entries:
        """Return those that are chosen."""
        chosen = list(chosen)
        lists = (list(compress(each, chosen)) for each in vars(self).values())
        starts, ends, scores, trials, kinds, statuses, flags = lists
        return _Entries(starts, ends, scores, trials, kinds, bytes(statuses), bytes(flags))


class _Best:
    """The first rows of a leaderboard, from entries in any order."""

    def __init__(self, sign: int, top: int) -> None:
        self._sign, self._top = sign, top
        self._scored: list[tuple[float, int, int, int]] = []
        self._unscored: list[tuple[float, int, int, int]] = []
        self._kinds: dict[tuple[int, bool], tuple[int, int]] = {}
        self.trials = self.lost = self.early = 0

    def add(self, entries: _Entries) -> None:
        """Take more entries."""
        count = len(entries.trials)
        lost = count - entries.statuses.count(_COMPLETE)
        self.trials += count
        self.lost += lost
        if any(entries.flags):
            self.early += sum(flags & _EARLY > 0 for flags in entries.flags)
        scored = entries
        if lost:
            has_score = [status == _COMPLETE for status in entries.statuses]
            scored = entries.where(has_score)
            without = entries.where(not each for each in has_score)
            self._unscored = self._first(self._unscored, without, 0)
            self._note_kinds(without, False)
        self._scored = self._first(self._scored, scored, self._sign)
        self._note_kinds(scored, True)

    def _note_kinds(self, entries: _Entries, has_score: bool) -> None:
        for kind in set(entries.kinds):
            if (kind, has_score) not in self._kinds:
                at = entries.kinds.index(kind)
                self._kinds[kind, has_score] = entries.starts[at], entries.ends[at]

    def _first(
        self, known: list[tuple[float, int, int, int]], entries: _Entries, sign: int
    ) -> list[tuple[float, int, int, int]]:
        costs = [sign * score for score in entries.scores] if sign else [0.0] * len(entries.trials)
        if len(known) == self._top:
            worst = known[-1][0]
            near = [cost <= worst for cost in costs]
            entries, costs = entries.where(near), list(compress(costs, near))
        new = zip(costs, entries.trials, entries.starts, entries.ends, strict=True)
        return heapq.nsmallest(self._top, [*known, *new])

    def lines(self) -> list[tuple[int, int]]:
        """Return where the lines are, each once."""
        firsts = [(start, end) for *_, start, end in (*self._scored, *self._unscored)]
        return list(dict.fromkeys([*firsts, *self._kinds.values()]))


def _chunks(file: BinaryIO) -> Iterator[_Entries]:
    """Yield entries, many at once; ValueError when they are not as they were written."""
    before = 0
    while data := file.read(_CHUNK * SIZE):
        if len(data) % SIZE or zlib.crc32(data, _SEED) != _SEED:
            raise ValueError("damaged")
        view = memoryview(data)
        ends = view.cast("q")[::4].tolist()
        scores: list[float] = view.cast("d")[1::4].tolist()  # type: ignore[assignment]
        yield _Entries(
            starts=[before, *ends[:-1]],
            ends=ends,
            scores=scores,
            trials=view.cast("i")[4::8].tolist(),
            kinds=view.cast("I")[5::8].tolist(),
            statuses=data[24::SIZE],
            flags=data[25::SIZE],
        )
        before = ends[-1]


def places(file: BinaryIO, limit: int | None) -> Iterator[tuple[int, int]]:
    """Yield where the lines of an index that `look` found right begin and end, by trial.

    limit: The number of trials that count; None for all.
    """
    starts, ends = array("q"), array("q")
    for each in _chunks(file):
        more = bytes(8 * max(0, max(each.trials) + 1 - len(ends)))
        starts.frombytes(more)
        ends.frombytes(more)
        for trial, start, end in zip(each.trials, each.starts, each.ends, strict=True):
            starts[trial], ends[trial] = start, end
    for start, end in zip(starts[:limit], ends[:limit], strict=True):
        if end:
            yield start, end
