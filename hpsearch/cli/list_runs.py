"""`hpsearch list`: all runs, and which of them are due for a retest."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from hpsearch.cli.options import (
    answer_option,
    for_runs,
    hint,
    json_option,
    print_json,
    runs_option,
    show_text,
    tell,
    terminal_width,
    verbose_option,
)

COLOURS = {"running": "cyan", "complete": "green", "interrupted": "yellow"}
"""Of each state on a terminal; all others are red."""


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    from hpsearch.fields import DURATION, seconds

    if not re.fullmatch(DURATION.pattern, value):
        raise click.BadParameter(f"{value!r} must be {DURATION.words}.", ctx, param)
    return timedelta(seconds=seconds(value))


@click.command("list", short_help="List the runs: state, best score, age, due for a retest.")
@click.option(
    "--older-than",
    callback=_duration,
    default="90d",
    show_default=True,
    help="Mark complete runs that are older as due for a retest.",
)
@click.option("--due", "only_due", is_flag=True, help="Only those that are due for a retest.")
@json_option
@runs_option
@answer_option
@verbose_option("all that changed since each run")
def list_runs(
    older_than: timedelta,
    only_due: bool,
    as_json: bool,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """List all runs, the newest last, with a mark (*) on those that are due for a retest.

    A run is due when its data, its code or a version that matters changed since it, or its last
    retest, was made, or when that is long ago.
    """
    from hpsearch.errors import UserError
    from hpsearch.overview import (
        UNREADABLE,
        due,
        entries,
        overview_table,
        plain_entry,
        problem_text,
    )
    from hpsearch.report.formats import fitted, plain_text
    from hpsearch.trial import sentence

    if not runs.is_dir():
        raise UserError(
            f"there is no folder {runs.absolute()} (runs are written where hpsearch is started: go "
            "there, or give --runs-dir)"
        )
    found, now = entries(runs), datetime.now(UTC)
    reasons = {each.name: due(each, found, now, older_than) for each in found}
    shown = [each for each in found if reasons[each.name] or not only_due]
    if as_json:
        print_json([plain_entry(each, reasons[each.name], now) for each in shown])
        return
    if not shown:
        click.echo("no run is due for a retest" if found else f"no runs in {runs}")
        return
    table = overview_table(shown, reasons, now)
    width = terminal_width()
    if not sys.stdout.isatty():
        click.echo(plain_text(table, width))
    else:
        narrow, _ = fitted(table.shortened(width), width)
        click.echo(_coloured(plain_text(narrow, width)))
    if quiet:
        return
    for each in shown:
        if each.state == UNREADABLE:
            show_text(f"{each.name} cannot be read: {problem_text(each)}", err=True)
        elif each.problem:
            show_text(sentence(each.problem), err=True)
    if verbose:
        for each in shown:
            tell({f"{each.name} {i}": change for i, change in enumerate(each.changes, start=1)})
    late = [name for name, reason in reasons.items() if reason]
    if not late or not sys.stdout.isatty():
        return
    retested = {each.parent for each in found if each.is_retest}
    commands = [f"hpsearch retest {n}{' --again' * (n in retested)}" for n in late[-3:]]
    hint(*(for_runs(command, runs) for command in commands))


def _coloured(text: str) -> str:
    """Colour the states, which are the second column."""
    from hpsearch.overview import STATES

    def one(match: re.Match[str]) -> str:
        return match[1] + click.style(match[2], fg=COLOURS.get(match[2], "red"))

    states = "|".join(STATES)
    return re.sub(rf"^(\S+ +)({states})\b", one, text, flags=re.MULTILINE)
