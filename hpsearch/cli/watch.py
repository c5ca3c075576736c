"""`hpsearch report --watch`: what a run that goes on in another terminal has found so far."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import threading
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, Group

    from hpsearch.cli.progress import Best
    from hpsearch.config import Config
    from hpsearch.report.table import Table
    from hpsearch.store import RunFolder
    from hpsearch.trial import Result

SECONDS = 0.5
"""Between two looks at the record."""
CURVE = 6
"""Lines of the curve."""
FEWEST_ROWS = 3


class Watched:
    """A run's record, of which only what is new is read at each look."""

    def __init__(self, folder: RunFolder) -> None:
        from hpsearch.cli.progress import Best
        from hpsearch.runs import load_run
        from hpsearch.standings import check_begun

        self.folder = folder
        self.config: Config = load_run(folder, with_data=False)
        self.results: dict[int, Result] = {}
        self.known = 0
        self.look()
        if not self.results and not self.goes_on():
            check_begun(folder, [])
        self.best: Best = Best(self.config, list(self.results.values()))

    def look(self) -> list[Result]:
        """Read what is new, and return it."""
        record = self.folder.read_record(curves=False, since=self.known)
        self.known = record.whole
        fresh = [each for each in record.results if each.order not in self.results]
        self.results.update((each.order, each) for each in fresh)
        return fresh

    def goes_on(self) -> bool:
        """Tell whether the run is still at work."""
        from hpsearch.provenance import goes_on

        sessions = self.folder.provenance().get("sessions") or []
        return any(map(goes_on, sessions[-1:]))

    def trials(self) -> list[Result]:
        """Return a result for each trial so far."""
        from hpsearch.standings import trials_of

        return trials_of(self.config, list(self.results.values()))

    def ended(self) -> str:
        """Say how the run ended."""
        from hpsearch.standings import how_it_ended

        return how_it_ended(self.config, self.folder, self.trials())

    def found(self, *, goes_on: bool) -> str:
        """Say what is best so far, or of a run that has ended that nothing is."""
        from hpsearch.trial import none_complete_text, sentence

        nothing = None if goes_on else none_complete_text(self.folder.name, self.trials())
        return self.best.text() if nothing is None else sentence(nothing)


def watch_run(folder: RunFolder) -> None:
    """Show a run until it ends or Ctrl-C is pressed: on a terminal live, elsewhere in lines."""
    watched = Watched(folder)
    folder.tests()  # what is newer is refused here, and not by the hint at the end
    if sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        _live(watched)
    else:
        _lines(watched)


def _lines(watched: Watched) -> None:
    """Print a line when there is a better trial or a tenth more; at the end the leaderboard."""
    from hpsearch.cli.options import for_runs
    from hpsearch.cli.report import show_table
    from hpsearch.report.table import leaderboard
    from hpsearch.standings import run_of

    told: tuple[int, int | None] | None = None
    try:
        while True:
            more = watched.goes_on()  # asked first: what is written until then is read below
            for each in watched.look():
                watched.best.add(each)
            best = watched.best
            done, total, _ = best.reached
            now = (done * 10 // (total or 100), best.best.trial if best.best else None)
            if now != told:
                told = now
                parts = [best.text_of_reached(), best.lost(), best.left() if more else ""]
                click.echo(f"{', '.join(filter(None, parts))}: {best.text()}")
                sys.stdout.flush()
            if not more:
                break
            threading.Event().wait(SECONDS)
    except KeyboardInterrupt:
        return
    click.echo(watched.ended())
    if watched.best.best is None:
        click.echo(watched.found(goes_on=False))
    if not watched.results:
        return
    arguments = for_runs(shlex.join([watched.folder.name, "--all"]), watched.folder.path.parent)
    show_table(leaderboard([run_of(watched.config, watched.trials())]), 10, arguments)


def _live(watched: Watched) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        shown = None
        try:
            while True:
                more = watched.goes_on()
                for each in watched.look():
                    watched.best.add(each)
                state = (len(watched.results), more, shutil.get_terminal_size())
                if state != shown:
                    shown = state
                    live.update(_view(watched, console, more), refresh=True)
                if not more:
                    return
                threading.Event().wait(SECONDS)
        except KeyboardInterrupt:
            return


def _view(watched: Watched, console: Console, goes_on: bool) -> Group:
    """Return what the terminal shows."""
    from rich.console import Group
    from rich.text import Text

    from hpsearch.report.table import leaderboard
    from hpsearch.standings import run_of

    width, height = console.size
    unicode = "utf" in console.encoding.lower()
    config, best, trials = watched.config, watched.best, watched.trials()
    parts = [best.text_of_reached(), best.lost(), best.left() if goes_on else watched.ended()]
    lines: list[Text] = [
        Text.assemble((config.name, "bold"), "  ", ", ".join(filter(None, parts)), overflow="fold"),
        Text(watched.found(goes_on=goes_on), style="green" if best.best else "", overflow="fold"),
    ]
    left = height - 2 * len(lines) - 2
    curve = _curve(config, trials, width, unicode) if left > CURVE + FEWEST_ROWS + 4 else []
    rows = left - len(curve) - 2
    if trials and rows > 0:
        table = leaderboard([run_of(config, trials)])
        lines += [Text(), *map(Text, _board(table, rows, width))]
    if curve:
        lines += [Text(), *map(Text, curve)]
    hint = "Ctrl-C leaves this view; the run goes on." if goes_on else ""
    return Group(*lines, *([Text(hint, style="dim")] if hint else []))


def _board(table: Table, rows: int, width: int) -> list[str]:
    """Return the leaderboard's first rows, no wider than the terminal."""
    from dataclasses import replace

    from hpsearch.report.formats import fitted, plain_text

    narrow, _ = fitted(replace(table, rows=table.rows[:rows]), width)
    text = plain_text(narrow, width).splitlines()
    return [line[:width] for line in text[: rows + 2]]


def _curve(config: Config, trials: list[Result], width: int, unicode: bool) -> list[str]:
    """Return the best score so far as a curve, with a heading; nothing before the first score."""
    from hpsearch.report.pictures.progress import best_so_far, comparable
    from hpsearch.report.table import measure_text
    from hpsearch.report.terminal import curve_text
    from hpsearch.trial import ranked

    scored = comparable([each for each in ranked(trials, config.goal) if each.score is not None])
    if not scored:
        return []
    values = best_so_far(sorted(scored, key=lambda each: each.trial), config.goal)
    text = measure_text(config.metric_name)
    heading = f"best {config.metric_name} so far, trial by trial"[:width]
    return [heading, *curve_text(values, text, width, CURVE, unicode=unicode)]
