"""`hpsearch compare`: what differs between two runs, and what that gained."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import (
    complete_run,
    for_runs,
    hint,
    json_option,
    print_json,
    quiet_option,
    runs_option,
    show_text,
    terminal_width,
)


@click.command(short_help="Show what differs between two runs, and what that gained.")
@click.argument("old", metavar="RUN", shell_complete=complete_run)
@click.argument("new", metavar="RUN", shell_complete=complete_run)
@json_option
@runs_option
@quiet_option
def compare(old: str, new: str, as_json: bool, runs: Path, quiet: bool) -> None:
    """Show what differs in the configs of two runs, and what the second gained over the first."""
    from dataclasses import asdict

    from hpsearch.compare import config_table, differences, figures_table, gain_of, side_of
    from hpsearch.report.formats import plain_text
    from hpsearch.store import find_run

    first, second = side_of(find_run(runs, old)), side_of(find_run(runs, new))
    gain = gain_of(first, second)
    if as_json:
        figures = figures_table(first, second)
        print_json(
            {
                "runs": [first.config.name, second.config.name],
                "differences": [
                    {"key": key, "values": [then, now]}
                    for key, then, now in differences(first, second)
                ],
                "figures": {row[0]: list(row[1:]) for row in figures.rows},
                "gain": asdict(gain),
            }
        )
        return
    width = terminal_width()
    table = config_table(first, second)
    if table.rows:
        click.echo(plain_text(table.shortened(width), width))
    else:
        click.echo("The configs are the same.")
    click.echo()
    click.echo(plain_text(figures_table(first, second), width))
    click.echo()
    show_text(f"{gain.text[0].upper()}{gain.text[1:]}.")
    if not quiet:
        hint(for_runs(f"hpsearch report {first.config.name} {second.config.name}", runs))
