"""`hpsearch report`: the leaderboard of one or several runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import complete_run, for_runs, runs_option, terminal_width
from hpsearch.cli.pictures import write_page, write_picture
from hpsearch.cli.watch import watch_run

if TYPE_CHECKING:
    from hpsearch.report import Table
    from hpsearch.runs import Leading
    from hpsearch.store import RunFolder

PICTURE_NAMES = (
    "curves",
    "scatter",
    "parallel",
    "importance",
    "progress",
    "projection",
    "errors",
)
FORMAT_NAMES = ("text", "markdown", "csv", "json", "latex", "html-table")


@click.command(short_help="Show the leaderboard of one or several runs.")
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
@click.option(
    "-l", "--lineage", is_flag=True, help="RUN, the runs it refines and those that refine it."
)
@click.option("--rounds", is_flag=True, help="How zoom came to its trials: each box, and why.")
@click.option("--rungs", is_flag=True, help="Halving: who was stopped where, and what that saved.")
@click.option(
    "--importance", is_flag=True, help="How much each parameter matters, and what to expect of it."
)
@click.option(
    "--html",
    "page",
    metavar="[FILE]",
    is_flag=False,
    flag_value="",
    help="Write everything as one page with pictures. Default: report.html in the run's folder.",
)
@click.option("--open", "opened", is_flag=True, help="Write that page, and open it in the browser.")
@click.option("--plot", type=click.Choice(PICTURE_NAMES), help="Write one picture: see --output.")
@click.option("-o", "--output", help="The file of --plot: its ending is .png, .svg or .html.")
@click.option("-w", "--watch", is_flag=True, help="Show the leaderboard while the run goes on.")
@runs_option
def report(
    names: tuple[str, ...],
    top: int | None,
    everything: bool,
    sort: str | None,
    name: str,
    lineage: bool,
    rounds: bool,
    rungs: bool,
    importance: bool,
    page: str | None,
    opened: bool,
    plot: str | None,
    output: str | None,
    watch: bool,
    runs: Path,
) -> None:
    """Show the leaderboard of RUN, by default the newest; several runs share one table.

    Reads the record only, so it also works while a run goes on.
    """
    from dataclasses import replace

    from hpsearch.report import FORMATS, leaderboard, sort_table, ties_text
    from hpsearch.runs import test_text
    from hpsearch.store import find_run

    asked = {
        "--lineage": lineage,
        "--rounds": rounds,
        "--rungs": rungs,
        "--importance": importance,
        "--html": page is not None or opened,
        "--plot": plot is not None,
        "--watch": watch,
    }
    chosen = [option for option, given in asked.items() if given]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} are several reports: choose one")
    if output is not None and plot is None:
        raise click.UsageError("--output is the file of --plot: say which picture")
    folders = [find_run(runs, each) for each in dict.fromkeys(names) or (None,)]
    if asked["--html"] or plot or watch:
        if len(folders) > 1:
            raise click.UsageError(f"{chosen[0]} shows one run: name one")
        if top or everything or sort or name != "text":
            raise click.UsageError(f"{chosen[0]} takes no --top, --all, --sort or --format")
    if asked["--html"]:
        write_page(folders[0], page or None, opened=opened)
        return
    if plot:
        write_picture(folders[0], plot, output)
        return
    if watch:
        watch_run(folders[0])
        return
    if lineage:
        _show_lineage(folders, name)
        return
    if rounds:
        _show_rounds(folders, name)
        return
    if rungs:
        _show_rungs(folders, name, None if everything else top or 10)
        return
    if importance:
        _show_importance(folders, name)
        return
    limit = None if everything else top or (10 if name == "text" else None)
    read = [_read(folder, limit if sort is None else None) for folder in folders]
    table = leaderboard([each.run for each in read])
    _warn_of_other_splits(folders)
    if sort is not None:
        table = sort_table(table, sort)
    if name == "text":
        arguments = shlex.join([*names, "--all", *(["--sort", sort] if sort else [])])
        trials = sum(each.trials for each in read)
        show_table(table, limit, for_runs(arguments, runs), trials)
        ties = ties_text(table)
        if ties is not None:
            click.echo(ties, err=True)
        _closing_words(read, list(map(test_text, folders)))
        return
    click.echo(FORMATS[name](replace(table, rows=table.rows[:limit])))


def _show_rounds(folders: list[RunFolder], name: str) -> None:
    from hpsearch.errors import UserError
    from hpsearch.report import FORMATS, boxes_table, steps_table
    from hpsearch.runs import load_run, trials_of

    if len(folders) > 1:
        raise UserError("--rounds shows how one run came to its trials: name one")
    config = load_run(folders[0], with_data=False)
    results = trials_of(config, folders[0].results(curves=False))
    table = boxes_table(config.space, results) or steps_table(results)
    if table is None:
        raise UserError(
            f"the run {config.name} has no rounds so far: its method is {config.method}, and only "
            "zoom goes by rounds, from its second on"
        )
    click.echo(FORMATS[name](table))


def _show_rungs(folders: list[RunFolder], name: str, limit: int | None) -> None:
    from dataclasses import replace

    from hpsearch.errors import UserError
    from hpsearch.report import FORMATS, epochs_text, rungs_table, stops_table
    from hpsearch.report.formats import plain_text
    from hpsearch.runs import counted, load_run, rungs_of

    if len(folders) > 1:
        raise UserError("--rungs shows how one run trained its trials: name one")
    config = load_run(folders[0], with_data=False)
    results = counted(config, folders[0].results(curves=False))
    levels = rungs_of(config)
    rungs = rungs_table(results, config.goal, config.metric_name, levels)
    stops = stops_table(results, config.goal, config.metric_name)
    if rungs is None or stops is None:
        raise UserError(
            f"the run {config.name} has no rungs: its method is {config.method}, and only halving "
            "stops trials at some"
        )
    if name != "text":
        click.echo(FORMATS[name](stops))
        return
    width = terminal_width()
    click.echo(plain_text(rungs, width))
    click.echo()
    shown = replace(stops, rows=stops.rows[:limit])
    click.echo(plain_text(shown, width))
    more = len(stops.rows) - len(shown.rows)
    if more:
        click.echo(f"... and {more} more: --all", err=True)
    click.echo(f"{epochs_text(results, levels[-1])}.", err=True)


def _show_importance(folders: list[RunFolder], name: str) -> None:
    from hpsearch.errors import UserError
    from hpsearch.report import (
        FORMATS,
        beliefs,
        beliefs_table,
        expected_table,
        importance_table,
    )
    from hpsearch.report.formats import plain_text
    from hpsearch.runs import comparable, counted, load_run

    if len(folders) > 1:
        raise UserError("--importance is about the parameters of one run: name one")
    config = load_run(folders[0], with_data=False)
    results = comparable(counted(config, folders[0].results(curves=False)))
    found = beliefs(config.space, results, config.goal)
    if not found:
        raise UserError(
            f"the run {config.name} has too few complete trials with different scores to tell "
            "which parameters matter: 5 are needed, and a parameter that varies"
        )
    if name != "text":
        click.echo(FORMATS[name](beliefs_table(found, config.metric_name)))
        return
    width = terminal_width()
    click.echo(plain_text(importance_table(found), width))
    click.echo()
    click.echo(plain_text(expected_table(config.space, found, config.metric_name), width))


def _show_lineage(folders: list[RunFolder], name: str) -> None:
    from hpsearch.errors import UserError
    from hpsearch.lineage import family, family_table, ranges_table
    from hpsearch.report import FORMATS
    from hpsearch.report.formats import plain_text

    if len(folders) > 1:
        raise UserError("--lineage shows the family of one run: name one")
    members = family(folders[0])
    if name != "text":
        click.echo(FORMATS[name](family_table(members)))
        return
    width = terminal_width()
    click.echo(plain_text(family_table(members), width))
    ranges = ranges_table(members)
    if ranges.rows:
        click.echo()
        click.echo(plain_text(ranges, width))


def _read(folder: RunFolder, top: int | None) -> Leading:
    """Return what the first rows of a run's leaderboard are made of; None for all rows."""
    from dataclasses import replace

    from hpsearch.runs import leading, load_run, measured_on

    config = load_run(folder, with_data=False)
    found = leading(config, folder, top)
    data = measured_on(folder).get("sha256")
    run = replace(found.run, constants=config.objective.constants, data=data)
    return replace(found, run=run)


def _warn_of_other_splits(folders: list[RunFolder]) -> None:
    """Say when runs were judged on different dev sets, although on the same data."""
    from hpsearch.runs import measured_on

    splits = {str(sorted(measured_on(folder).items())) for folder in folders}
    if len(splits) > 1:
        click.echo(
            "warning: these runs split the data differently (data.seed or data.split), so small "
            "differences between their scores mean nothing",
            err=True,
        )


def show_table(table: Table, top: int | None, arguments: str, trials: int | None = None) -> None:
    """Print the first rows; on a terminal as wide as that is, saying what else there is.

    arguments: What `hpsearch report` needs to show all rows.
    trials: How many rows there are in all, where the table lacks some.
    """
    from dataclasses import replace

    from hpsearch.report.formats import fitted, plain_text

    if not table.rows:
        click.echo("no finished trial yet")
        return
    width = terminal_width()
    first = replace(table, rows=table.rows[:top])
    if not sys.stdout.isatty():
        _echo(plain_text(first, width))
        return
    narrow, left_out = fitted(first, width)
    _echo(plain_text(narrow, width))
    more = (len(table.rows) if trials is None else trials) - len(first.rows)
    if more:
        click.echo(f"... and {more} more: hpsearch report {arguments}", err=True)
    if left_out:
        click.echo(f"Left out to fit {width} columns: {', '.join(left_out)}", err=True)


def _echo(text: str) -> None:
    """Print a table, on a terminal that has no ± too."""
    try:
        "±".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        text = text.replace(" ±", "+-")
    click.echo(text)


def _closing_words(read: Sequence[Leading], tests: Sequence[str | None]) -> None:
    """Say on a terminal what the table is of, how each run ended, and what the test set said."""
    if sys.stdout.isatty():
        names = ", ".join(f"{each.run.name} ({each.trials} trials)" for each in read)
        first = read[0].run
        click.echo(f"{names}: the score is {first.metric}, to {first.goal}", err=True)
        for each in read:
            click.echo(f"{each.run.name}: {each.ended}", err=True)
    for text in filter(None, tests):
        click.echo(text, err=True)
