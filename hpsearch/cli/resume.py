"""`hpsearch resume`: go on with a run, by its name."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import (
    complete_run,
    jobs_option,
    quiet_option,
    runs_option,
    verbose_option,
)


@click.command(short_help="Go on with a run that was interrupted.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@jobs_option
@runs_option
@quiet_option
@verbose_option("each trial as it ends")
def resume(name: str | None, jobs: int | None, runs: Path, quiet: bool, verbose: bool) -> None:
    """Run what is missing of RUN, by default the newest, from the config that it keeps.

    The same as the command that began it.
    """
    from hpsearch.cli.run import run_search
    from hpsearch.runs import load_run
    from hpsearch.store import find_run

    folder = find_run(runs, name)
    run_search(load_run(folder), folder, jobs, quiet=quiet, verbose=verbose)
