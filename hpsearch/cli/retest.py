"""`hpsearch retest`: the best settings of a run again, on fresh seeds and as things are now."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import (
    complete_run,
    engine_options,
    for_runs,
    hint_for,
    jobs_of,
    jobs_option,
    json_option,
    print_json,
    quiet_option,
    runs_option,
    show_text,
    tell,
    terminal_width,
    verbose_option,
    with_engine,
)

if TYPE_CHECKING:
    from hpsearch.config import Config
    from hpsearch.retest import Again
    from hpsearch.store import RunFolder
    from hpsearch.trial import Result


@click.command(short_help="Try the best settings again: what was luck, what is stale.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "-t",
    "--top",
    type=click.IntRange(min=1, max=100),
    default=5,
    show_default=True,
    help="How many of the best settings.",
)
@click.option(
    "-r",
    "--repeats",
    type=click.IntRange(min=1, max=100),
    default=5,
    show_default=True,
    help="Fresh seeds for each setting, the same for all.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A file to train and judge on instead of the run's data.",
)
@click.option("--again", is_flag=True, help="Another retest, after one that is complete.")
@jobs_option
@engine_options
@json_option
@runs_option
@quiet_option
@verbose_option("every seed's score, and each trial as it ends")
def retest(
    name: str | None,
    top: int,
    repeats: int,
    data: Path | None,
    again: bool,
    jobs: int | None,
    engine: str | None,
    address: str | None,
    as_json: bool,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Try the best settings of RUN, by default the newest, on fresh seeds, data and code as now.

    The results are a run of their own, RUN-retest: interrupted, the same command goes on with it.
    """
    from hpsearch.changed import changes_since
    from hpsearch.finding import find_run
    from hpsearch.retest import FEWEST_SEEDS, compared, last_number, retest_config
    from hpsearch.runs import load_run

    folder = find_run(runs, name)
    tested = bool(folder.tests())  # asked first: what is newer is refused before any work
    number = max(1, last_number(folder) + again)
    config, chosen = retest_config(
        folder, folder.path.parent, number=number, top=top, repeats=repeats, data=data
    )
    config = with_engine(config, engine, address)
    changes = changes_since(load_run(folder, with_data=False), folder) if data is None else []
    given = {"--top": top, "--repeats": repeats, "--data": data}
    results, new, code = _run(config, folder, jobs, given, quiet=quiet or as_json, verbose=verbose)
    found = compared(chosen, results, config.goal, config.metric_name)
    if code > 1:
        click.echo(f"Stopped; kept in {folder.path.parent / config.name}/.", err=True)
        hint_for(folder, _command(folder, given))
    elif as_json:
        print_json(_plain(found, config, changes))
    elif not quiet:
        _show(found, chosen, config, changes)
        if verbose:
            tell({f"trial {each.trial}": " ".join(map(repr, each.scores)) for each in found})
        if not new:
            click.echo(f"{config.name} was complete already.", err=True)
        commands = [] if new else [_command(folder, given, again=True)]
        if repeats < FEWEST_SEEDS:
            commands = [_command(folder, given | {"--repeats": MORE_SEEDS}, again=True)]
        commands.append(f"report {shlex.quote(config.name)}")
        if config.kind == "trainer" and not tested:
            commands.append(f"evaluate {shlex.quote(folder.name)}")
        hint_for(folder, *commands)
    click.get_current_context().exit(code)


MORE_SEEDS = 10
"""What is proposed where fewer were too few."""


def _command(folder: RunFolder, given: Mapping[str, Any], *, again: bool = False) -> str:
    """Return the retest with the options of this one, without `hpsearch` and the folder of runs."""
    usual = {each.opts[-1]: each.default for each in retest.params}
    words = ["retest", folder.name, *(["--again"] if again else [])]
    for option, value in given.items():
        if value is not None and value != usual[option]:
            words += [option, str(value)]
    return shlex.join(words)


def _run(
    config: Config,
    folder: RunFolder,
    jobs: int | None,
    given: Mapping[str, Any],
    *,
    quiet: bool,
    verbose: bool,
) -> tuple[Sequence[Result], int, int]:
    """Run what is missing of the retest; return its results, how many are new, the exit code."""
    from hpsearch.cli.progress import show_progress
    from hpsearch.errors import UserError
    from hpsearch.loop import search
    from hpsearch.store import CONFIG, RunFolder

    target = RunFolder(folder.path.parent / config.name)
    if target.exists() and (
        target.read(CONFIG) != config.document.raw
        or target.provenance().get("identity") != config.identity()
    ):
        command = for_runs(_command(folder, given, again=True), folder.path.parent)
        raise UserError(
            f"{target.path} is a retest of other settings, or on other data or another version of "
            f"the code\nTo retest as things are now: hpsearch {command}"
        )

    def warn(text: str) -> None:
        click.echo(f"warning: {text}", err=True)

    outcome = search(
        config,
        target,
        jobs=jobs_of(config, jobs),
        begin=lambda before, workers: show_progress(
            config, before, workers, quiet=quiet, verbose=verbose
        ),
        warn=warn,
    )
    if outcome.signal is not None:
        return outcome.results, outcome.new, 128 + outcome.signal
    lost = [result for result in outcome.results if result.score is None]
    if lost and len(lost) == len(outcome.results):
        click.echo(f"Setting 0 {lost[0].status}: {lost[0].message}", err=True)
        return outcome.results, outcome.new, 1
    return outcome.results, outcome.new, 0


def _show(
    found: Sequence[Again],
    chosen: Sequence[Result],
    config: Config,
    changes: Sequence[str],
) -> None:
    from hpsearch.report.formats import fitted, plain_text
    from hpsearch.retest import luck_text, order_text, retest_table, verdict_of

    width = terminal_width()
    narrow, left_out = fitted(retest_table(found, chosen, config), width)
    verdict = verdict_of(found, config)
    click.echo(plain_text(narrow, width))
    click.echo()
    lines = [
        luck_text(found, verdict, config),
        order_text(found),
        f"Since the run: {', '.join(changes)}." if changes else None,
        f"Verdict: {verdict.text}.",
    ]
    for line in filter(None, lines):
        show_text(line)
    if left_out:
        show_text(f"Left out to fit {width} columns: {', '.join(left_out)}", err=True)


def _plain(found: Sequence[Again], config: Config, changes: Sequence[str]) -> dict[str, Any]:
    """Return all of it as plain data."""
    from dataclasses import asdict

    from hpsearch.retest import verdict_of

    def finite(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return [finite(each) for each in value]
        return None if value in (math.inf, -math.inf) else value

    return {
        "run": config.parent,
        "retest": config.name,
        "verdict": asdict(verdict_of(found, config)),
        "changes": list(changes),
        "settings": [
            {name: finite(value) for name, value in asdict(each).items()} for each in found
        ],
    }
