"""`hpsearch preview`: what a config would do, before it does it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hpsearch.cli.options import config_argument, terminal_width


@click.command(short_help="Check CONFIG and show what would run; write nothing.")
@config_argument
@click.option(
    "-n",
    "--trials",
    type=click.IntRange(min=1, max=10_000),
    default=10,
    show_default=True,
    help="How many of the first trials to show.",
)
def preview(config: Path, trials: int) -> None:
    """Check CONFIG and its data, and show what would run; nothing is written.

    Shows the first trials, a histogram of each parameter's draws along its own scale, and what is
    probably not meant.
    """
    from hpsearch.config import traps
    from hpsearch.loop import check_objective
    from hpsearch.preview import draws_table, first_trials, summary
    from hpsearch.runs import open_config

    loaded = open_config(config)
    check_objective(loaded)
    for note in loaded.objective.notes():
        click.echo(f"note: {note}", err=True)
    first = first_trials(loaded, trials, terminal_width())  # may find a mistake: before any print
    click.echo(summary(loaded))
    if loaded.space.axes:
        click.echo()
        click.echo(draws_table(loaded, unicode=_prints_blocks()))
    click.echo()
    click.echo(first)
    found = list(traps(loaded))
    if found:
        click.echo()
        for name, text in found:
            click.echo(f"warning: {name}: {text}" if name else f"warning: {text}")


def _prints_blocks() -> bool:
    """Tell whether the terminal's encoding has the block characters of a histogram."""
    from hpsearch.preview import BLOCKS

    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
