"""The index of a record: a small entry for each of its lines, in a file beside it.

To find the best of a million trials in their lines takes seconds; in their entries a tenth of one.
Nothing is in the index that is not in the record, so it may be lost, and it is used for large
records only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hpsearch.trial import STATUSES, Result

SIZE = 32
"""Bytes of an entry."""
_HEAD = struct.Struct("<qdiIBBH")
_WORDS = struct.Struct("<7I")
_CHECK = struct.Struct("<I")
_WEIGHTS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5)
"""Odd numbers: a word of an entry that changes changes the sum of the words times these."""
_FIELDS = [
    ("end", "<i8"),
    ("score", "<f8"),
    ("trial", "<i4"),
    ("kind", "<u4"),
    ("status", "u1"),
    ("flags", "u1"),
    ("unused", "<u2"),
    ("check", "<u4"),
]
_EARLY, _REPEATED, _STEP = 1, 2, 4
_CHUNK = 1 << 16
"""Entries that are looked at together."""

Entries = Any
"""A NumPy array with the fields of _FIELDS and `start`: where a line begins."""


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
    words = zip(_WORDS.unpack(head), _WEIGHTS, strict=True)
    return head + _CHECK.pack(sum(word * weight for word, weight in words) & 0xFFFFFFFF)


def _kind(result: Result) -> int:
    """Return what is equal for results with the same columns in a table."""
    names = [*result.metrics, "" if result.epochs is None else "\0epochs"]
    return zlib.crc32("\0".join(names).encode(errors="surrogatepass"))


def end_of(entry: bytes) -> int:
    """Return before which byte an entry's line ends; 0 without one."""
    return int(_HEAD.unpack_from(entry)[0]) if entry else 0


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
    import numpy as np

    seen = np.zeros(0, np.bool_)
    count = end = 0
    try:
        for each in _chunks(file):
            if (each["flags"] & (_REPEATED | _STEP)).any() or each["trial"].min() < 0:
                return None
            if each["trial"].max() >= len(seen):
                seen = np.concatenate([seen, np.zeros(each["trial"].max() + 1, np.bool_)])
            seen[each["trial"]] = True
            count += len(each)
            end = int(each["end"][-1])
    except ValueError:
        return None
    if end != size or count != np.count_nonzero(seen):
        return None
    is_whole = limit is not None and len(seen) >= limit and bool(seen[:limit].all())
    best = _Best(sign, top)
    file.seek(0)
    for each in _chunks(file):
        best.add(each[each["trial"] < limit] if is_whole else each)
    return Found(best.trials, is_whole, best.lost, best.early, best.lines())


class _Best:
    """The first rows of a leaderboard, from entries in any order."""

    def __init__(self, sign: int, top: int) -> None:
        self._sign, self._top = sign, top
        self._scored: list[tuple[float, int, int, int]] = []
        self._unscored: list[tuple[float, int, int, int]] = []
        self._kinds: dict[tuple[int, bool], tuple[int, int]] = {}
        self.trials = self.lost = self.early = 0

    def add(self, entries: Entries) -> None:
        """Take more entries."""
        import numpy as np

        has_score = entries["status"] == STATUSES.index("complete")
        self.trials += len(entries)
        self.lost += len(entries) - int(np.count_nonzero(has_score))
        self.early += int(np.count_nonzero(entries["flags"] & _EARLY))
        self._scored = self._first(self._scored, entries[has_score], self._sign)
        self._unscored = self._first(self._unscored, entries[~has_score], 0)
        for kind in np.unique(entries["kind"]).tolist():
            for scored in (True, False):
                if (kind, scored) in self._kinds:
                    continue
                alike = (entries["kind"] == kind) & (has_score == scored)
                for one in entries[alike][:1]:
                    self._kinds[kind, scored] = int(one["start"]), int(one["end"])

    def _first(
        self, known: list[tuple[float, int, int, int]], entries: Entries, sign: int
    ) -> list[tuple[float, int, int, int]]:
        import numpy as np

        costs = sign * entries["score"] if sign else np.zeros(len(entries))
        if len(known) == self._top and self._top:
            near = costs <= known[-1][0]
            entries, costs = entries[near], costs[near]
        order = np.lexsort((entries["trial"], costs))[: self._top]
        columns = (costs[order], *(entries[name][order] for name in ("trial", "start", "end")))
        new = zip(*(column.tolist() for column in columns), strict=True)
        return sorted([*known, *new])[: self._top]

    def lines(self) -> list[tuple[int, int]]:
        """Return where the lines are, each once."""
        firsts = [(start, end) for *_, start, end in (*self._scored, *self._unscored)]
        return list(dict.fromkeys([*firsts, *self._kinds.values()]))


def _chunks(file: BinaryIO) -> Iterator[Entries]:
    """Yield entries, many at once; ValueError when they are not as they were written."""
    import numpy as np

    before = 0
    while data := file.read(_CHUNK * SIZE):
        written = np.frombuffer(data, _FIELDS)
        words = np.frombuffer(data, "<u4").reshape(-1, SIZE // 4)
        sums = (words[:, :-1] * np.array(_WEIGHTS, np.uint32)).sum(axis=1, dtype=np.uint32)
        if (sums != written["check"]).any() or (written["status"] >= len(STATUSES)).any():
            raise ValueError("damaged")
        entries = np.empty(len(written), [*_FIELDS, ("start", "<i8")])
        for name, _ in _FIELDS:
            entries[name] = written[name]
        entries["start"][0], entries["start"][1:] = before, written["end"][:-1]
        before = int(written["end"][-1])
        yield entries


def places(file: BinaryIO, limit: int | None) -> Iterator[tuple[int, int]]:
    """Yield where the lines of an index that `look` found right begin and end, by trial.

    limit: The number of trials that count; None for all.
    """
    import numpy as np

    names = ["trial", "start", "end"]
    parts = [entries[names] for entries in _chunks(file)]
    entries = np.concatenate([part[part["trial"] < (limit or np.inf)] for part in parts])
    for one in entries[np.argsort(entries["trial"])]:
        yield int(one["start"]), int(one["end"])
