"""Runs trials in parallel through joblib: trials in, results out, in the order they finish.

joblib's threads hold the supervisors, which only wait; every trial runs in a supervisor's child
process. So no code of a trial runs in this process, nothing is pickled, and a trial that takes its
process down takes nothing else with it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from hpsearch.supervisor import Supervisor
    from hpsearch.trial import Result, Trial

Work = tuple["Trial", int | None, int]
"""A trial, the epochs it may take, and which attempt at it this is, from 1."""

SHORT = 1e-3
"""Seconds of a trial below which several are given to a child at once."""
BATCH = 0.05
"""Seconds of work that are given to a child at once, at most."""
MOST = 100
"""Trials that are given to a child at once, at most."""
AHEAD = 0.1
"""Seconds of a trial below which the next one is dealt out while it still runs."""
WEIGHT = 0.2
"""Weight of the latest trial in the average of the seconds that trials take."""


def core_count() -> int:
    """Return the cores this process may use: what `jobs: -1` means."""
    import joblib

    return int(joblib.cpu_count())


def run_trials(
    work: Iterator[Work | None], supervisor: Supervisor, jobs: int
) -> Iterator[Result | None]:
    """Run trials, `jobs` at once; yield each result as it comes, None for one that was halted.

    work: Read lazily, in the thread that asks for results. None says that nothing more can be
        known before another result comes in; where nothing runs any more, that is the end.

    Raises:
        MachineError: no child can be started, or a log cannot be kept.
    """
    pool = _Pool(supervisor, jobs)
    pace = Pace()
    try:
        while True:
            room = jobs * pace.depth - pool.busy
            for batch in shared(next_ones(work, room * pace.size), room):
                pool.give(batch)
            if not pool.busy:
                return
            for result in pool.take():
                if result is not None:
                    pace.add(result)
                yield result
    except BaseException:
        supervisor.halt()
        raise
    finally:
        pool.close()


T = TypeVar("T")


def next_ones(work: Iterator[Work | None], most: int) -> list[Work]:
    """Return what can be dealt out now, at most so many."""
    found: list[Work] = []
    for each in islice(work, max(0, most)):
        if each is None:
            break
        found.append(each)
    return found


def shared(work: Sequence[T], parts: int) -> Iterator[Sequence[T]]:
    """Share out work evenly: where a strategy names few trials, no worker gets all of them."""
    for part in range(parts):
        if each := work[part::parts]:
            yield each


class Pace:
    """How long trials take, and so how many are dealt out ahead."""

    def __init__(self, short: float = SHORT) -> None:
        """Know of no trial yet.

        short: Seconds of a trial below which several are given at once.
        """
        self._short = short
        self._seconds: float | None = None

    def add(self, result: Result) -> None:
        """Take one more result; after a failure nothing is dealt out ahead, as more may follow."""
        if result.score is None:
            self._seconds = None
        elif self._seconds is None:
            self._seconds = result.seconds
        else:
            self._seconds += WEIGHT * (result.seconds - self._seconds)

    @property
    def size(self) -> int:
        """How many trials a child is given at once."""
        if self._seconds is None or self._seconds >= self._short:
            return 1
        return max(1, min(MOST, int(BATCH / max(self._seconds, BATCH / MOST))))

    @property
    def depth(self) -> int:
        """How often each worker is given work, of which it does one after the other.

        A trial that takes long starts as soon as it is dealt out, or a limit would come late.
        """
        return 2 if self._seconds is not None and self._seconds < AHEAD else 1


class _Pool:
    """joblib's threads, each with a batch of trials at a time."""

    def __init__(self, supervisor: Supervisor, jobs: int) -> None:
        from joblib import Parallel, delayed

        self._supervisor, self._jobs = supervisor, jobs
        self._inbox: queue.SimpleQueue[Sequence[Work] | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Result | BaseException | _Ended | None]
        self._outbox = queue.SimpleQueue()
        self.busy = 0
        """Batches that were given and have not ended."""
        parallel = Parallel(
            n_jobs=max(2, jobs),  # of one job joblib makes no thread
            backend="threading",
            return_as="generator_unordered",
            pre_dispatch="all",
            batch_size=1,
        )
        self._threads: Iterator[None] = parallel(delayed(self._serve)() for _ in range(jobs))

    def give(self, batch: Sequence[Work]) -> None:
        """Have a batch of trials run, one after another."""
        self.busy += 1
        self._inbox.put(batch)

    def take(self) -> Iterator[Result | None]:
        """Wait for something to come in; yield the results that are there."""
        item = self._outbox.get()
        while True:
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, _Ended):
                self.busy -= 1
            else:
                yield item
            try:
                item = self._outbox.get_nowait()
            except queue.Empty:
                return

    def _serve(self) -> None:
        while (batch := self._inbox.get()) is not None:
            try:
                for result in self._supervisor.run_all(batch):
                    self._outbox.put(result)
            except BaseException as error:
                self._outbox.put(error)
            self._outbox.put(_ENDED)

    def close(self) -> None:
        """Let the threads end what they were given, and themselves."""
        for _ in range(self._jobs):
            self._inbox.put(None)
        for _ in self._threads:
            pass


class _Ended:
    """Says that a batch has come to its end."""


_ENDED = _Ended()
