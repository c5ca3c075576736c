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
    from hpsearch.trial import Result

CONFIG_NAME = "config.yaml"

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
    from dataclasses import replace

    from hpsearch.runs import open_config
    from hpsearch.store import RunFolder

    loaded = with_engine(open_config(config, name), engine, address)
    itself = RunFolder(config.absolute().parent)
    own = itself.exists() and itself.name == loaded.name and config.name == CONFIG_NAME
    folder = itself if own else RunFolder(runs / loaded.name)
    known = folder.exists() and (
        earlier is None or folder.provenance().get("warm_start") == Path(earlier).name
    )
    if known:  # what was learned is part of the run, whatever became of the other one since
        loaded = replace(loaded, earlier=folder.earlier())
    elif earlier is not None:
        learned = _learned(loaded, earlier, runs, quiet=quiet)
        loaded = replace(loaded, earlier=learned, earlier_run=Path(earlier).name)
    run_search(loaded, folder, jobs, quiet=quiet, verbose=verbose)


def _learned(config: Config, name: str, runs: Path, *, quiet: bool) -> tuple[Result, ...]:
    """Return the trials of another run that a search begins with, and say what differs."""
    from hpsearch.errors import UserError
    from hpsearch.runs import counted, load_run
    from hpsearch.store import find_run
    from hpsearch.warmstart import learned_from

    folder = find_run(runs, name)
    if folder.path.absolute() == (runs / config.name).absolute():
        raise UserError(f"the run {config.name} cannot begin with its own trials: give another one")
    before = load_run(folder, with_data=False)
    known = counted(before, folder.results(curves=False))
    found = learned_from(config, before, known)
    if not quiet:
        for note in found.notes:
            click.echo(f"note: {note}", err=True)
    return found.results


def run_search(
    config: Config, folder: RunFolder, jobs: int | None, *, quiet: bool, verbose: bool = False
) -> None:
    """Search, show how it goes, print the leaderboard, and end with the right exit code."""
    from hpsearch.cli.progress import show_progress
    from hpsearch.config import traps
    from hpsearch.loop import search
    from hpsearch.runs import changed_since_parent

    count = jobs_of(config, jobs)

    def warn(text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    if not quiet:
        for note in config.objective.notes():
            click.echo(f"note: {note}", err=True)
        key, most = config.strategy.at_once() or ("", count)
        if count > most:
            click.echo(
                f"note: method.{key} is {most}, so {most} of the {count} jobs are used; "
                f"method: {{name: {config.method}, {key}: {count}}} uses them all, and each trial "
                "then sees fewer results",
                err=True,
            )
        for name, text in traps(config):
            warn(f"{name}: {text}" if name else text)
        for source in changed_since_parent(config, folder):
            warn(f"{source} has changed since the run {config.parent}, so scores will differ")
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
    from hpsearch.report import leaderboard, ties_text
    from hpsearch.runs import repeats_text
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
    from hpsearch.refine import FEWEST
    from hpsearch.report import LUCK
    from hpsearch.runs import best_of_parent

    complete = [result for result in outcome.results if result.score is not None]
    if len(complete) > 1:
        click.echo(LUCK, err=True)
    parent = best_of_parent(config, folder)
    if parent is not None:
        name, number, score = parent
        click.echo(f"The best of {name} was {score:.4g} (trial {number}).", err=True)
    if config.space.axes and len(complete) >= FEWEST:
        name = folder.name
        commands = [f"refine {name}", f"report {name} --open", f"retest {name}"]
        if config.kind == "trainer":
            commands.append(f"evaluate {name}")
        hint(*(for_runs(f"hpsearch {each}", folder.path.parent) for each in commands))


def _exit_code(outcome: Outcome, folder: RunFolder) -> int:
    if outcome.signal is not None:
        return 128 + outcome.signal
    if outcome.failures:
        first = outcome.failures[0]
        click.echo(
            f"{len(outcome.failures)} trials in a row failed. The first, trial {first.trial}:\n"
            f"{first.message}\n"
            "They stay in the record. When the objective is mended, begin anew with --name, or go "
            f"on after them with budget.failures above {len(outcome.failures) + outcome.beyond}.",
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
