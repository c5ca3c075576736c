"""`hpsearch run`: search the space of a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import (
    complete_run,
    config_argument,
    engine_options,
    for_runs,
    hint,
    jobs_of,
    jobs_option,
    quiet_option,
    runs_option,
    verbose_option,
    with_engine,
)

if TYPE_CHECKING:
    from hpsearch.config import Config
    from hpsearch.loop import Outcome
    from hpsearch.store import RunFolder

TOP = 10
"""How many rows of the leaderboard a finished run prints."""


@click.command(short_help="Search the space in CONFIG and write runs/NAME/.")
@config_argument
@click.option("-n", "--name", help="The run's name. Default: the config's name, or its file's.")
@click.option(
    "-w",
    "--warm-start",
    "earlier",
    metavar="RUN",
    shell_complete=complete_run,
    help="Begin with what the trials of RUN tell; for bayes, zoom, and halving with one.",
)
@jobs_option
@engine_options
@runs_option
@quiet_option
@verbose_option("each trial as it ends")
def run(
    config: Path,
    name: str | None,
    earlier: str | None,
    jobs: int | None,
    engine: str | None,
    address: str | None,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Search the space in CONFIG and write runs/NAME/.

    The same command again goes on where an interrupted run stopped, or says that it is complete.
    """
    from hpsearch.runs import folder_for, open_config
    from hpsearch.warmstart import warm_started

    loaded = with_engine(open_config(config, name), engine, address)
    folder = folder_for(loaded, runs, config)
    loaded, notes = warm_started(loaded, folder, earlier, runs)
    if not quiet:
        for note in notes:
            click.echo(f"note: {note}", err=True)
    run_search(loaded, folder, jobs, quiet=quiet, verbose=verbose)


def run_search(
    config: Config, folder: RunFolder, jobs: int | None, *, quiet: bool, verbose: bool = False
) -> None:
    """Search, show how it goes, print the leaderboard, and end with the right exit code."""
    from hpsearch.cli.progress import show_progress
    from hpsearch.loop import search
    from hpsearch.runs import remarks

    count = jobs_of(config, jobs)

    def warn(text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    if not quiet:
        for remark in remarks(config, folder, count):
            click.echo(remark, err=True)
    outcome = search(
        config,
        folder,
        jobs=count,
        begin=lambda before, workers: show_progress(
            config, before, workers, quiet=quiet, verbose=verbose
        ),
        warn=warn,
    )
    if not quiet:
        _show_leaderboard(config, outcome, folder)
    click.get_current_context().exit(_exit_code(outcome, folder))


def _show_leaderboard(config: Config, outcome: Outcome, folder: RunFolder) -> None:
    from hpsearch.cli.report import show_table
    from hpsearch.derived import repeats_text
    from hpsearch.report.table import leaderboard
    from hpsearch.report.ties import ties_text
    from hpsearch.trial import trials_text

    ties = None
    if outcome.results:
        table = leaderboard([outcome.found.run])
        arguments = for_runs(f"{folder.name} --all", folder.path.parent)
        show_table(table, TOP, arguments, outcome.found.trials)
        click.echo()
        ties = ties_text(table)
    if ties is not None:
        click.echo(ties, err=True)
    done = trials_text(outcome.found.trials)
    if outcome.signal is not None:
        command = f"hpsearch resume {for_runs(folder.name, folder.path.parent)}"
        click.echo(
            f"Stopped after {done}, kept in {folder.path}/. To go on:\n  {command}", err=True
        )
        return
    scored = f"{done}, scored by {config.metric_name} ({config.goal}{repeats_text(config)})"
    if outcome.reason != "trials" or outcome.found.early or config.limit == config.size:
        scored += f", {outcome.found.ended}"
    if outcome.new:
        click.echo(f"{scored}. Wrote {folder.path}/", err=True)
    else:
        before = "complete" if outcome.reason != "failures" else "over"
        click.echo(f"The run was {before} already: {scored}, in {folder.path}/", err=True)
    if outcome.beyond:
        click.echo(
            f"The record has {trials_text(outcome.beyond)} more, beyond the end of this budget.",
            err=True,
        )
    _closing_words(config, outcome, folder)


def _closing_words(config: Config, outcome: Outcome, folder: RunFolder) -> None:
    """Say what the best is worth, and what to do next."""
    from hpsearch.report.table import LUCK
    from hpsearch.standings import FEWEST_TO_REFINE, best_of_parent

    complete = [result for result in outcome.results if result.score is not None]
    if len(complete) > 1:
        click.echo(LUCK, err=True)
    parent = best_of_parent(config, folder)
    if parent is not None:
        name, number, score = parent
        click.echo(f"The best of {name} was {score:.4g} (trial {number}).", err=True)
    if config.space.axes and len(complete) >= FEWEST_TO_REFINE:
        name = folder.name
        commands = [f"refine {name}", f"report {name} --open", f"retest {name}"]
        if config.kind == "trainer":
            commands.append(f"evaluate {name}")
        hint(*(for_runs(f"hpsearch {each}", folder.path.parent) for each in commands))


def _exit_code(outcome: Outcome, folder: RunFolder) -> int:
    if outcome.signal is not None:
        return 128 + outcome.signal
    why = outcome.in_vain(folder)
    if why is not None:
        click.echo(why, err=True)
        return 1
    return 0
