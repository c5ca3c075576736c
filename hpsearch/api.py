"""hpsearch from Python: a search from a script or a notebook, and what it found."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from hpsearch.config import Config, build_config
from hpsearch.config.mapping import document_of
from hpsearch.errors import InVainError, UserError
from hpsearch.finding import find_run
from hpsearch.importing import refuse_while_importing
from hpsearch.report.formats import FORMATS
from hpsearch.report.table import Table, leaderboard, trials_table
from hpsearch.runs import folder_for, load_run, open_config, remarks
from hpsearch.standings import best_of, end_of, run_of, trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result, ranked, trials_text
from hpsearch.warmstart import warm_started

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.engines import Workers
    from hpsearch.loop import Watch

SHOWN = 10
"""Rows of the leaderboard that a notebook shows."""

Given = str | Path | Mapping[str, Any]
"""A config's file, or a dict with the same keys."""


def load_config(config: Given, name: str | None = None) -> Config:
    """Read and check a config and the data that it names, without running anything.

    Args:
        config: A YAML file, or a dict with the same keys. A dict's relative paths start at the
            working folder, and its objective may be a function that is in a file.
        name: The run's name. Default: that in the config, or the file's; a dict must have one.
    Raises:
        UserError: anything wrong with it, with the place; of a dict in the YAML that it becomes.
    """
    if not isinstance(config, Mapping):
        return open_config(Path(config), name)
    if name is None and "name" not in config:
        raise UserError("a config that is a dict needs a name: {'name': 'digits', ...}")
    folder = Path.cwd()
    return build_config(document_of(config, folder), name, "", folder)


class Results(Sequence[Result]):
    """The trials of a run, by number, with their curves; a notebook shows its leaderboard."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        remarks: Sequence[str] = (),
    ) -> None:
        self.config = config
        """The config; `open_run` leaves its data unread, so a search is not begun with that."""
        self.folder = folder
        """The run's folder, from which all of this is read."""
        self.remarks = tuple(remarks)
        """The notes and warnings of this search."""
        self._trials = trials_of(config, folder.results())
        self.ended: str | None = end_of(config, folder, self._trials)
        """Which limit ended the run: trials, epochs, time, patience, failures; `space` when nothing
        was left to try; None while it is not finished."""

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> list[Result]: ...

    def __getitem__(self, place: int | slice) -> Result | list[Result]:
        return self._trials[place]

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name

    @property
    def best(self) -> Result:
        """The best trial.

        Raises:
            UserError: there is none yet, or none has a score.
        """
        return best_of(self.config, self.folder)[0]

    def ranked(self) -> list[Result]:
        """Return the trials best first; those without a score last."""
        return ranked(self._trials, self.config.goal)

    def frame(self) -> pd.DataFrame:
        """Return a pandas frame with a row for each trial and the columns of trials.csv.

        Raises:
            UserError: pandas is not installed.
        """
        table = trials_table(self.config.space, dict(self.config.constants), self._trials)
        return _frame(table.names, table.rows)

    def curves(self) -> pd.DataFrame:
        """Return a pandas frame with a row for each trial and epoch: trial, epoch, each metric.

        Epochs are counted from 1; a value that was not finite is missing.

        Raises:
            UserError: pandas is not installed.
        """
        metrics = list(dict.fromkeys(name for each in self._trials for name in each.curve))
        rows = [
            (each.trial, epoch + 1, *(_at(each.curve.get(name, []), epoch) for name in metrics))
            for each in self._trials
            for epoch in range(max(map(len, each.curve.values()), default=0))
        ]
        return _frame(("trial", "epoch", *metrics), rows)

    def leaderboard(self) -> Table:
        """Return the leaderboard as a table of plain values, best first."""
        return leaderboard([run_of(self.config, self._trials)])

    def __repr__(self) -> str:
        return f"<{trials_text(len(self))} of the run {self.name} in {self.folder.path}>"

    def _repr_html_(self) -> str:
        table = self.leaderboard()
        return FORMATS["html-table"](Table(table.columns, table.rows[:SHOWN]))


def _at(values: Sequence[float | None], place: int) -> float | None:
    return values[place] if place < len(values) else None


def _frame(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise UserError("a frame needs pandas: pip install 'hpsearch[pandas]'") from None
    return pd.DataFrame.from_records(list(rows), columns=list(names))


def open_run(name: str | Path | None = None, *, runs_dir: str | Path = "runs") -> Results:
    """Return what a run has found so far, finished or not; nothing is run.

    Args:
        name: The run's name under `runs_dir`, or its folder. Default: the newest.
        runs_dir: The folder that holds the runs.
    Raises:
        UserError: there is no such run, or its config was changed.
        MachineError: its record is damaged.
    """
    folder = find_run(Path(runs_dir), None if name is None else str(name))
    return Results(load_run(folder, with_data=False), folder)


def search(
    config: Given | Config,
    *,
    name: str | None = None,
    runs_dir: str | Path = "runs",
    jobs: int | None = None,
    warm_start: str | None = None,
    progress: bool | Callable[[Result], None] = False,
) -> Results:
    """Search the space of a config, or go on where an interrupted search stopped.

    The same as `hpsearch run`: the same trials, the same files in the run's folder, and each trial
    on disk before anyone hears of it. Trials run in processes of their own, so a script needs no
    `if __name__ == "__main__"`, and a notebook can call it in any cell or thread.

    Args:
        config: A YAML file, a dict with the same keys, or what `load_config` returned.
        name: The run's name. Default: that in the config, or the file's; a dict must have one.
        runs_dir: The folder that holds the runs.
        jobs: Trials at once; -1 is one per core. Default: run.jobs of the config.
        warm_start: A run whose trials the search begins with, as --warm-start.
        progress: True to show the progress, notes and warnings on stderr; or what to call, on
            another thread, with each new result that is on disk. Default: print nothing.
    Raises:
        UserError: a mistake in the config, the data or the objective; no trial ran.
        InVainError: no trial was complete, or too many failed in a row; `open_run` has them.
        MachineError: the disk, the record or the processes failed; nothing announced is lost.
        KeyboardInterrupt: Ctrl-C, or the notebook's stop button, once all processes have ended and
            the tables are written. The same call goes on.
    """
    refuse_while_importing()
    from hpsearch.cli.options import jobs_of
    from hpsearch.loop import search as run_loop

    if jobs is not None and jobs != -1 and not 1 <= jobs <= 10_000:
        raise UserError(f"jobs: {jobs} must be from 1 to 10000, or -1 for one per core.")
    path = Path(config) if isinstance(config, str | Path) else None
    if isinstance(config, Config):
        if name not in (None, config.name):
            raise UserError(f"the config was loaded with the name '{config.name}': give it there")
        loaded = config
    else:
        loaded = load_config(config, name)
    folder = folder_for(loaded, Path(runs_dir), path)
    loaded, notes = warm_started(loaded, folder, warm_start, Path(runs_dir))
    count = jobs_of(loaded, jobs)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if progress is True:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"{text}\n")

    for text in (*(f"note: {note}" for note in notes), *remarks(loaded, folder, count)):
        say(text)
    outcome = run_loop(
        loaded,
        folder,
        jobs=count,
        begin=lambda before, workers: _watching(loaded, before, workers, progress),
        warn=lambda text: say(f"warning: {text}"),
        may_exit=False,
    )
    if outcome.signal is not None:
        signal.raise_signal(outcome.signal)  # to whoever handled it before the search
    why = outcome.in_vain(folder)
    if why is not None:
        raise InVainError(why)
    return Results(loaded, folder, said)


@contextlib.contextmanager
def _watching(
    config: Config,
    before: list[Result],
    workers: Callable[[], Workers | None],
    progress: bool | Callable[[Result], None],
) -> Iterator[Watch]:
    """Give what to call with each new result."""
    if callable(progress):
        yield progress
        return
    from hpsearch.cli.progress import show_progress

    with show_progress(config, before, workers, quiet=not progress) as watch:
        yield watch
