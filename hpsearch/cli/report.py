"""`hpsearch report`: the leaderboard of one or several runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import (
    answer_option,
    complete_run,
    for_runs,
    hint_for,
    json_option,
    runs_option,
    show_text,
    tell,
    terminal_width,
    verbose_option,
)
from hpsearch.cli.pictures import write_page, write_picture
from hpsearch.cli.watch import watch_run

if TYPE_CHECKING:
    from hpsearch.report.table import Table
    from hpsearch.standings import Leading
    from hpsearch.store import RunFolder

PICTURE_NAMES = (
    "curves",
    "scatter",
    "parallel",
    "importance",
    "progress",
    "projection",
    "errors",
    "path",
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
@json_option
@runs_option
@answer_option
@verbose_option("where each run comes from")
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
    as_json: bool,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Show the leaderboard of RUN, by default the newest; several runs share one table.

    Reads the record only, so it also works while a run goes on. --json is --format json.
    """
    from dataclasses import replace

    from hpsearch.finding import find_run
    from hpsearch.report.formats import FORMATS
    from hpsearch.report.table import leaderboard, sort_table
    from hpsearch.report.tested import test_text
    from hpsearch.report.ties import ties_text

    if as_json:
        if name not in ("text", "json"):
            raise click.UsageError(f"--json is --format json, and --format {name} is another one")
        name = "json"

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
        write_page(folders[0], page or None, opened=opened, quiet=quiet)
        if not quiet and sys.stdout.isatty():
            _hint_after(folders[0], seen="--html")
        return
    if plot:
        write_picture(folders[0], plot, output, quiet=quiet)
        return
    if watch:
        watch_run(folders[0])
        if not quiet and sys.stdout.isatty():
            _hint_after(folders[0])
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
        _show_importance(folders, name, quiet=quiet)
        return
    if len(folders) == 1 and folders[0].has_acts():
        _show_story(folders[0], name)
        return
    # All is read before anything is shown: what cannot be read is one sentence and no table.
    limit = None if everything else top or (10 if name == "text" else None)
    read = [_read(folder, limit if sort is None else None) for folder in folders]
    tests = [test_text(folder.tests()) for folder in folders]
    table = leaderboard([each.run for each in read])
    if sort is not None:
        table = sort_table(table, sort)
    if not quiet:
        _warn_of_other_splits(folders)
    if name != "text":
        click.echo(FORMATS[name](replace(table, rows=table.rows[:limit])))
        return
    arguments = shlex.join([*names, "--all", *(["--sort", sort] if sort else [])])
    trials = sum(each.trials for each in read)
    show_table(table, limit, for_runs(arguments, runs), trials, quiet=quiet)
    if quiet:
        return
    ties = ties_text(table)
    if ties is not None:
        show_text(ties, err=True)
    _closing_words(read, tests)
    if verbose:
        for folder in folders:
            _tell_provenance(folder)
    if sys.stdout.isatty():
        _hint_after(*folders, complete=read[0].complete)


def _show_story(folder: RunFolder, name: str) -> None:
    """Show what became of a model that was trained by hand: its branches, then its acts."""
    from hpsearch.report.byhand import acts_table, branches_table, where_text
    from hpsearch.report.formats import FORMATS, plain_text
    from hpsearch.story import Story

    story = Story(folder.acts())
    if not story:
        click.echo("nothing happened yet")
        return
    if name != "text":
        click.echo(FORMATS[name](acts_table(story)))
        return
    width = terminal_width()
    click.echo(f"{folder.name}: {where_text(story)}")
    for table in (branches_table(story), acts_table(story)):
        if table.rows:
            click.echo()
            click.echo(plain_text(table, width))


def _show_rounds(folders: list[RunFolder], name: str) -> None:
    from hpsearch.errors import UserError
    from hpsearch.report.formats import FORMATS, plain_text
    from hpsearch.report.rounds import boxes_table, reasons, steps_table
    from hpsearch.runs import load_run
    from hpsearch.standings import trials_of

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
    if name == "text" and sys.stdout.isatty() and "because" in table.names:
        click.echo(plain_text(table.without([table.names.index("because")]), terminal_width()))
        click.echo()
        for reason in reasons(table):
            show_text(reason)
        return
    click.echo(FORMATS[name](table))


def _show_rungs(folders: list[RunFolder], name: str, limit: int | None) -> None:
    from dataclasses import replace

    from hpsearch.errors import UserError
    from hpsearch.report.formats import FORMATS, plain_text
    from hpsearch.report.rungs import epochs_text, rungs_table, stops_table
    from hpsearch.runs import load_run
    from hpsearch.standings import counted

    if len(folders) > 1:
        raise UserError("--rungs shows how one run trained its trials: name one")
    config = load_run(folders[0], with_data=False)
    results = counted(config, folders[0].results(curves=False))
    levels = config.rungs
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
    show_text(f"{epochs_text(results, levels[-1])}.", err=True)


def _show_importance(folders: list[RunFolder], name: str, *, quiet: bool) -> None:
    from hpsearch.errors import UserError
    from hpsearch.report.formats import FORMATS, plain_text
    from hpsearch.report.importance import (
        EXPECTED,
        IMPORTANCE,
        OTHER_IMPORTANCE,
        beliefs,
        beliefs_table,
        comparable,
        expected_table,
        importance_table,
        rung_text,
    )
    from hpsearch.runs import load_run
    from hpsearch.standings import counted

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
    if not quiet:
        for text in (rung_text(results), IMPORTANCE, EXPECTED, OTHER_IMPORTANCE):
            if text is not None:
                show_text(text, err=True)


def _show_lineage(folders: list[RunFolder], name: str) -> None:
    from hpsearch.errors import UserError
    from hpsearch.lineage import family, family_table, ranges_table
    from hpsearch.report.formats import FORMATS, plain_text

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

    from hpsearch.standings import check_begun, leading, outline_of

    outline = outline_of(folder)
    found = leading(outline, folder, top)
    check_begun(folder, found.run.results)
    data = folder.measured_on().get("sha256")
    run = replace(found.run, constants=outline.fixed, data=data)
    return replace(found, run=run)


def _warn_of_other_splits(folders: list[RunFolder]) -> None:
    """Say when runs were judged on different dev sets, although on the same data."""

    splits = {str(sorted(folder.measured_on().items())) for folder in folders}
    if len(splits) > 1:
        show_text(
            "warning: these runs split the data differently (data.seed or data.split), so small "
            "differences between their scores mean nothing",
            err=True,
        )


def show_table(
    table: Table,
    top: int | None,
    arguments: str,
    trials: int | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Print the first rows; on a terminal as wide as that is, saying what else there is.

    arguments: What `hpsearch report` needs to show all rows.
    trials: How many rows there are in all, where the table lacks some.
    quiet: Whether not to say so.
    """
    from dataclasses import replace

    from hpsearch.report.formats import fitted, plain_text

    width = terminal_width()
    first = replace(table, rows=table.rows[:top])
    if not sys.stdout.isatty():
        _echo(plain_text(first, width))
        return
    narrow, left_out = fitted(first, width)
    _echo(plain_text(narrow, width))
    if quiet:
        return
    more = (len(table.rows) if trials is None else trials) - len(first.rows)
    if more:
        show_text(f"... and {more} more: hpsearch report {arguments}", err=True)
    if left_out:
        show_text(f"Left out to fit {width} columns: {', '.join(left_out)}", err=True)


def _echo(text: str) -> None:
    """Print a table, on a terminal that has no ± too."""
    try:
        "±".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        text = text.replace(" ±", "+-")
    click.echo(text)


def _closing_words(read: Sequence[Leading], tests: Sequence[str | None]) -> None:
    """Say on a terminal what the table is of, how each run ended, and what the test set said.

    Everywhere where no trial of a run is complete, and what the test set said.
    """
    from hpsearch.trial import none_complete_text, sentence, trials_text

    if sys.stdout.isatty():
        names = ", ".join(f"{each.run.name} ({trials_text(each.trials)})" for each in read)
        first = read[0].run
        show_text(f"{names}: the score is {first.metric}, to {first.goal}", err=True)
        for each in read:
            show_text(f"{each.run.name}: {each.ended}", err=True)
    lost = [none_complete_text(each.run.name, each.run.results) for each in read]
    for text in filter(None, [*lost, *tests]):
        show_text(sentence(text), err=True)


def _tell_provenance(folder: RunFolder) -> None:
    """Say where a run comes from: its config, data, and the last command that wrote it."""

    provenance = folder.provenance()
    last = (provenance.get("sessions") or [{}])[-1]
    versions = (last.get("versions") or {}).items()
    click.echo(f"{folder.name}, in {folder.path}:", err=True)
    tell(
        {
            "config": provenance.get("config", {}).get("path"),
            "parent": provenance.get("parent"),
            "warm start": provenance.get("warm_start"),
            "data, SHA-256": folder.measured_on().get("sha256"),
            "command": shlex.join(map(str, last.get("command") or ())),
            "started": last.get("started"),
            "host": last.get("host"),
            "versions": ", ".join(f"{name} {each}" for name, each in versions if each),
            "git": (last.get("git") or {}).get("commit"),
        }
    )


def _hint_after(*folders: RunFolder, complete: int | None = None, seen: str = "") -> None:
    """Say which commands come next after a look at one or several runs.

    complete: How many trials of the first have a score, where that is known.
    seen: What was just looked at.
    """
    from hpsearch.standings import FEWEST_TO_REFINE, leading, outline_of

    first, *others = folders
    if others:
        hint_for(first, shlex.join(["compare", first.name, others[0].name]))
        return
    outline = outline_of(first)
    if complete is None:
        complete = leading(outline, first, 1).complete
    name = shlex.quote(first.name)
    commands = []
    if outline.space.axes and complete >= FEWEST_TO_REFINE:
        commands.append(f"refine {name}")
    commands.append(f"report {name} --html" if seen != "--html" else f"retest {name}")
    if complete and outline.kind == "trainer" and not first.tests():
        commands.append(f"evaluate {name}")
    if complete or seen != "--html":
        hint_for(first, *commands)
