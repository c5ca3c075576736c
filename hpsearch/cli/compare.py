"""`hpsearch compare`: what differs between two runs, and what that gained."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from hpsearch.cli.options import (
    answer_option,
    complete_run,
    hint_for,
    json_option,
    print_json,
    runs_option,
    show_text,
    tell,
    terminal_width,
    verbose_option,
)


@click.command(short_help="Show what differs between two runs, and what that gained.")
@click.argument("old", metavar="RUN", shell_complete=complete_run)
@click.argument("new", metavar="RUN", shell_complete=complete_run)
@json_option
@runs_option
@answer_option
@verbose_option("where and when each run was made")
def compare(old: str, new: str, as_json: bool, runs: Path, quiet: bool, verbose: bool) -> None:
    """Show what differs in the configs of two runs, and what the second gained over the first."""
    from dataclasses import asdict

    from hpsearch.compare import (
        config_table,
        differences,
        figures_of,
        figures_table,
        gain_of,
        notes_of,
        side_of,
    )
    from hpsearch.finding import find_run
    from hpsearch.report.formats import plain_text

    folders = find_run(runs, old), find_run(runs, new)
    first, second = map(side_of, folders)
    gain = gain_of(first, second)
    notes = notes_of(first, second)
    if as_json:
        print_json(
            {
                "runs": [first.config.name, second.config.name],
                "metrics": [first.config.metric_name, second.config.metric_name],
                "differences": [
                    {"key": each.key, "values": [each.then, each.now]}
                    for each in differences(first, second)
                ],
                "figures": {
                    name: list(values) for name, values in figures_of(first, second).items()
                },
                "gain": asdict(gain),
                "notes": notes,
            }
        )
        return
    width = terminal_width()
    table = config_table(first, second)
    if table.rows:
        click.echo(plain_text(table.shortened(width, whole=1), width))
    else:
        click.echo("The configs are the same.")
    click.echo()
    click.echo(plain_text(figures_table(first, second), width))
    click.echo()
    for text in (f"{gain.text[0].upper()}{gain.text[1:]}.", *notes):
        show_text(text)
    if quiet:
        return
    if verbose:
        for folder in folders:
            last = (folder.provenance().get("sessions") or [{}])[-1]
            tell({folder.name: folder.path, "started": last.get("started")})
    if gain.best is not None:
        hint_for(folders[0], shlex.join(["report", *(each.name for each in folders)]))
    else:
        hint_for(folders[1], shlex.join(["report", folders[1].name]))
