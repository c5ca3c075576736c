"""`hpsearch resume`: go on with a run, by its name."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import (
    complete_run,
    engine_options,
    jobs_option,
    quiet_option,
    runs_option,
    verbose_option,
    with_engine,
)


@click.command(short_help="Go on with a run that was interrupted.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@jobs_option
@engine_options
@runs_option
@quiet_option
@verbose_option("each trial as it ends")
def resume(
    name: str | None,
    jobs: int | None,
    engine: str | None,
    address: str | None,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Run what is missing of RUN, by default the newest, from the config that it keeps.

    The same as the command that began it.
    """
    from hpsearch.cli.run import run_search
    from hpsearch.finding import find_run
    from hpsearch.runs import load_run

    folder = find_run(runs, name)
    config = with_engine(load_run(folder), engine, address)
    run_search(config, folder, jobs, quiet=quiet, verbose=verbose)
