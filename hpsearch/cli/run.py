"""`hpsearch run`: search the space of a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import (
    config_argument,
    for_runs,
    jobs_option,
    quiet_option,
    runs_option,
)

if TYPE_CHECKING:
    from hpsearch.config import Config
    from hpsearch.search import Outcome
    from hpsearch.store import RunFolder

TOP = 10
"""How many rows of the leaderboard a finished run prints."""


@click.command(short_help="Search the space in CONFIG and write runs/NAME/.")
@config_argument
@click.option("-n", "--name", help="The run's name. Default: the config's name, or its file's.")
@jobs_option
@runs_option
@quiet_option
def run(config: Path, name: str | None, jobs: int | None, runs: Path, quiet: bool) -> None:
    """Search the space in CONFIG and write runs/NAME/.

    The same command again goes on where an interrupted run stopped, or says that it is complete.
    """
    from hpsearch.config import load_config
    from hpsearch.search import load_run
    from hpsearch.store import CONFIG, RunFolder

    itself = RunFolder(config.parent)
    if config.name == CONFIG and itself.exists() and itself.provenance() and name is None:
        run_search(load_run(itself), config.read_bytes(), itself, jobs, quiet=quiet)
        return
    loaded = load_config(config, name)
    run_search(loaded, config.read_bytes(), RunFolder(runs / loaded.name), jobs, quiet=quiet)


def run_search(
    config: Config, raw: bytes, folder: RunFolder, jobs: int | None, *, quiet: bool
) -> None:
    """Search, show how it goes, print the leaderboard, and end with the right exit code."""
    from hpsearch.cli.progress import show_progress
    from hpsearch.runner import core_count
    from hpsearch.search import search

    count = config.run.jobs if jobs is None else jobs

    def warn(text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    if not quiet:
        for name, text in config.traps():
            warn(f"{name}: {text}" if name else text)
    outcome = search(
        config,
        raw,
        folder,
        jobs=core_count() if count == -1 else count,
        begin=lambda before: show_progress(config, before, quiet=quiet),
        warn=warn,
    )
    if not quiet:
        _show_leaderboard(config, outcome, folder)
    click.get_current_context().exit(_exit_code(outcome, folder))


def _show_leaderboard(config: Config, outcome: Outcome, folder: RunFolder) -> None:
    from hpsearch.cli.report import show_table
    from hpsearch.report import leaderboard
    from hpsearch.search import LUCK, run_of

    if outcome.results:
        table = leaderboard([run_of(config, outcome.results)])
        show_table(table, TOP, for_runs(f"{folder.name} --all", folder.path.parent))
        click.echo()
    done = len(outcome.results)
    if outcome.signal is not None:
        click.echo(
            f"Stopped after {done} trials, which are kept in {folder.path}. "
            f"To go on: hpsearch run {folder.path / 'config.yaml'}",
            err=True,
        )
        return
    if outcome.new == 0:
        click.echo(f"The run was complete already: {done} trials in {folder.path}.", err=True)
    else:
        ended = {
            "trials": "",
            "time": f", ended by budget.time ({config.budget.time})",
            "patience": f", ended by budget.patience ({config.budget.patience} without a gain)",
            "failures": ", ended by budget.failures",
        }[outcome.reason]
        click.echo(f"{done} trials{ended}. Wrote {folder.path}/", err=True)
    if any(result.score is not None for result in outcome.results):
        if done > 1:
            click.echo(LUCK, err=True)
        if config.space.axes:
            target = for_runs(folder.name, folder.path.parent)
            click.echo(f"Next: hpsearch refine {target}", err=True)


def _exit_code(outcome: Outcome, folder: RunFolder) -> int:
    if outcome.signal is not None:
        return 128 + outcome.signal
    if outcome.failures:
        first = outcome.failures[0]
        click.echo(
            f"{len(outcome.failures)} trials in a row failed. The first, trial {first.trial}:\n"
            f"{first.message}",
            err=True,
        )
        return 1
    if not any(result.score is not None for result in outcome.results):
        first_lost = next(iter(outcome.results), None)
        why = f" Trial {first_lost.trial} {first_lost.status}: " if first_lost else ""
        detail = (first_lost.message or "") if first_lost else ""
        click.echo(f"No trial was complete.{why}{detail}", err=True)
        if any(result.status == "diverged" for result in outcome.results):
            click.echo("Diverged training usually needs a smaller learning_rate.", err=True)
        click.echo(f"The record is in {folder.path}/", err=True)
        return 1
    return 0
