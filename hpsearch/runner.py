"""Runs trials in parallel through joblib: trials in, results out, in the order they finish.

joblib's threads hold the supervisors, which only wait; every trial runs in a supervisor's child
process. So no code of a trial runs in this process, nothing is pickled, and a trial that takes its
process down takes nothing else with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.supervisor import Supervisor
    from hpsearch.trial import Result, Trial

Work = tuple["Trial", int | None, int]
"""A trial, the epochs it may take, and which attempt at it this is, from 1."""


def core_count() -> int:
    """Return the cores this process may use: what `jobs: -1` means."""
    import joblib

    return int(joblib.cpu_count())


def run_trials(work: Iterable[Work], supervisor: Supervisor, jobs: int) -> Iterator[Result | None]:
    """Run trials, `jobs` at once; yield each result as it comes, None for one that was halted.

    `work` is read lazily, from another thread, a few trials ahead; it must not wait or raise.
    """
    from joblib import Parallel, delayed

    parallel = Parallel(
        n_jobs=jobs,
        backend="threading",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="n_jobs",  # a trial that is handed out starts at once, or a limit comes late
    )
    run = delayed(supervisor.run)
    results: Iterator[Result | None] = parallel(run(*each) for each in work)
    return results
