"""`hpsearch report`: the leaderboard of one or several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import complete_run, runs_option

if TYPE_CHECKING:
    from hpsearch.report import Table

FORMAT_NAMES = ("text", "markdown", "csv", "json", "latex", "html-table")


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=complete_run)
@click.option(
    "-t", "--top", type=click.IntRange(min=1), help="Only the first rows. Default: 10 in text."
)
@click.option("-a", "--all", "everything", is_flag=True, help="All rows.")
@click.option("-s", "--sort", metavar="COLUMN", help="Sort by a column; -COLUMN is descending.")
@click.option(
    "-f",
    "--format",
    "name",
    type=click.Choice(FORMAT_NAMES),
    default="text",
    show_default=True,
    help="How the table is written.",
)
@runs_option
def report(
    names: tuple[str, ...],
    top: int | None,
    everything: bool,
    sort: str | None,
    name: str,
    runs: Path,
) -> None:
    """Show the leaderboard of RUN, by default the newest; several runs share one table.

    Reads the record only, so it also works while a run goes on.
    """
    from hpsearch.report import FORMATS, leaderboard, sort_table
    from hpsearch.search import counted, load_run, run_of
    from hpsearch.store import find_run

    folders = [find_run(runs, each) for each in names or (None,)]
    shown = []
    for folder in folders:
        config = load_run(folder, with_data=False)
        shown.append(run_of(config, counted(config, folder.results())))
    table = leaderboard(shown)
    if sort is not None:
        table = sort_table(table, sort)
    if name == "text":
        show_table(table, None if everything else top or 10)
        _closing_words(len(table.rows), [folder.name for folder in folders])
        return
    from hpsearch.report import Table

    limit = None if everything else top
    click.echo(FORMATS[name](Table(table.columns, table.rows[:limit])))


def show_table(table: Table, top: int | None) -> None:
    """Print the first rows, as wide as the terminal is."""
    import shutil

    from hpsearch.report import Table
    from hpsearch.report.formats import DEFAULT_WIDTH, plain_text

    width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
    text = plain_text(Table(table.columns, table.rows[:top]), width)
    click.echo(text if table.rows else "no finished trial yet")
    left = len(table.rows) - (len(table.rows) if top is None else top)
    if left > 0 and sys.stdout.isatty():
        click.echo(f"... and {left} more: hpsearch report --all", err=True)


def _closing_words(rows: int, names: list[str]) -> None:
    if rows and sys.stdout.isatty():
        click.echo(f"Runs: {', '.join(names)}", err=True)
