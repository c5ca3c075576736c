"""Progress on stderr: a live display on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hpsearch.config import Config
    from hpsearch.engines import Workers
    from hpsearch.trial import Result

Watch = Callable[["Result"], None]

LINES = 10
"""A run that is not watched on a terminal says something about this often."""


class Best:
    """Counts results and remembers the best one."""

    def __init__(self, config: Config, before: list[Result]) -> None:
        self.config = config
        self.done = 0
        self.epochs = 0
        self.latest: dict[int, str] = {}
        """The status of the latest step of each trial."""
        self.best: Result | None = None
        for result in before:
            self.add(result)
        self.before = self.reached[0]
        self.started = time.monotonic()

    def add(self, result: Result) -> None:
        """Take one more result."""
        from hpsearch.trial import ranked

        self.done += 1
        self.epochs += result.epochs or 0
        self.latest[result.trial] = result.status
        known = [result] if self.best is None else [self.best, result]
        first = ranked(known, self.config.goal)[0]
        self.best = first if first.score is not None else None

    def text(self) -> str:
        """Say what is best so far, and with which setting."""
        from hpsearch.report.table import printable

        if self.best is None:
            return "no complete trial yet"
        setting = printable(self.config.space.text(self.best.params))
        name = self.config.metric_name
        return f"best {name} {self.best.score:.4g} (trial {self.best.trial}) {setting}".strip()

    @property
    def reached(self) -> tuple[int, int | None, str]:
        """How far the search is, of how much if that is known, and what is counted."""
        limit, epochs = self.config.limit, self.config.budget.epochs
        if limit is None and epochs is not None:
            return self.epochs, epochs, "epochs"
        return len(self.latest), limit, "trials"

    def text_of_reached(self) -> str:
        """Say how far the search is."""
        done, total, unit = self.reached
        went_on = self.done - len(self.latest)
        further = f", {went_on} steps further" if went_on else ""
        return f"{done}{f'/{total}' if total else ''} {unit}{further}"

    def left(self) -> str:
        """Say how long the rest will take, from the pace of this command."""
        done, total, unit = self.reached
        new = done - self.before
        if (
            total is None
            or new <= 0
            or done >= total
            or (self.config.in_steps and unit == "trials")
        ):
            return ""
        pace = (time.monotonic() - self.started) / new
        return f"{duration_text(pace * (total - done))} left"

    def lost(self) -> str:
        """Say how many trials ended without a score, and how: `2 diverged, 1 failed`."""
        statuses = Counter(self.latest.values())
        lost = {name: n for name, n in statuses.items() if name != "complete"}
        return ", ".join(f"{n} {name}" for name, n in lost.items())


def duration_text(seconds: float) -> str:
    """Write a duration in its two largest units."""
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // smaller}{smaller_name}"
    return f"{whole}s"


MOST_SHOWN = 12
"""Workers whose trials a live display shows; more are counted."""


def workers_text(workers: Workers) -> str:
    """Say how many workers an engine has."""
    many = "1 worker" if workers.alive == 1 else f"{workers.alive} workers"
    return f"{workers.engine}: {many}"


def running_lines(workers: Workers) -> list[str]:
    """Say of each worker which trials it has."""
    from hpsearch.trial import numbers_text

    lines = []
    for name, trials in sorted(workers.running.items()):
        listed = numbers_text(trials)
        kind = "trial" if len(trials) == 1 else "trials"
        lines.append(f"  {name}: {kind} {listed}" if trials else f"  {name}: waits")
    left_out = len(lines) - MOST_SHOWN
    return [*lines[:MOST_SHOWN], *([f"  and {left_out} more"] if left_out > 0 else [])]


@contextlib.contextmanager
def show_progress(
    config: Config,
    before: list[Result],
    workers: Callable[[], Workers | None],
    *,
    quiet: bool,
    verbose: bool = False,
) -> Iterator[Watch]:
    """Give what to call with each new result.

    workers: Tells who runs trials.
    verbose: Whether each result has a line of its own, and on a cluster what each worker has.
    """
    best = Best(config, before)
    if quiet:
        yield best.add
    elif sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        with _live(config, best, workers, verbose=verbose) as watch:
            yield watch
    elif verbose:
        yield _every(config, best, workers)
    else:
        yield _lines(config, best, workers)


def trial_text(config: Config, best: Best, result: Result) -> str:
    """Say how a trial ended, and how far the search is with it."""
    from hpsearch.report.table import printable

    score = "" if result.score is None else f" {config.metric_name} {result.score:.4g}"
    why = printable((result.message or "").partition("\n")[0])
    setting = printable(config.space.text(result.params))
    parts = [f"trial {result.trial} {result.status}{score}", why, setting]
    return f"{best.text_of_reached()}: {'; '.join(filter(None, parts))}"


def _every(config: Config, best: Best, workers: Callable[[], Workers | None]) -> Watch:
    def watch(result: Result) -> None:
        best.add(result)
        with contextlib.suppress(OSError):  # a full or closed log stops no search
            click.echo(trial_text(config, best, result), err=True)
            if (now := workers()) is not None:
                click.echo("\n".join([workers_text(now), *running_lines(now)]), err=True)

    return watch


def _lines(config: Config, best: Best, workers: Callable[[], Workers | None]) -> Watch:
    told = best.reached[0]

    def watch(result: Result) -> None:
        nonlocal told
        best.add(result)
        done, total, unit = best.reached
        every = max(1, (total or 100) // LINES)
        is_end = done == total and (unit == "epochs" or not config.in_steps)
        if done // every > told // every or is_end:
            told = done
            now = workers()
            shared = "" if now is None else workers_text(now)
            parts = [best.text_of_reached(), best.lost(), best.left(), shared]
            with contextlib.suppress(OSError):  # a full or closed log stops no search
                click.echo(f"{', '.join(filter(None, parts))}: {best.text()}", err=True)

    return watch


@contextlib.contextmanager
def _live(
    config: Config, best: Best, workers: Callable[[], Workers | None], *, verbose: bool
) -> Iterator[Watch]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True)
    done, total, unit = best.reached
    progress = Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("[yellow]{task.fields[lost]}"),
        console=console,
    )
    task = progress.add_task("", total=total, completed=done, left="", lost=best.lost())
    name, line = Text(config.name, style="bold"), Text(best.text())

    def shown() -> Group:
        """Return what is shown at this moment: workers come and go between two results."""
        now = workers()
        if now is None:
            return Group(name, progress, line)
        lines = [workers_text(now), *(running_lines(now) if verbose else ())]
        each = (Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in lines)
        return Group(name, progress, line, *each)

    with Live(get_renderable=shown, console=console, transient=True, refresh_per_second=5):

        def watch(result: Result) -> None:
            best.add(result)
            progress.update(task, completed=best.reached[0], left=best.left(), lost=best.lost())
            line.plain = best.text()
            if verbose:
                console.print(Text(trial_text(config, best, result)))

        yield watch
