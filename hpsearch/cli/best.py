"""`hpsearch best`: the best setting, for a pipe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from hpsearch.cli.files import check_place, write_whole
from hpsearch.cli.options import (
    answer_option,
    complete_run,
    hint_for,
    runs_option,
    tell,
    verbose_option,
)

SETTING_FORMAT_NAMES = ("yaml", "json", "flags", "env")


@click.command(short_help="Print the best setting of a run, for a pipe.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "-f",
    "--format",
    "written",
    type=click.Choice(SETTING_FORMAT_NAMES),
    default="yaml",
    show_default=True,
    help="How it is written; flags are --name value pairs.",
)
@click.option("--json", "as_json", is_flag=True, help="As --format json.")
@click.option(
    "--model",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the trained network here too, as .npz for `hpsearch predict`.",
)
@runs_option
@answer_option
@verbose_option("the trial, its score and its other figures")
def best(
    name: str | None,
    written: str,
    as_json: bool,
    model: Path | None,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Print the best setting of RUN, by default the newest, with its constants, and nothing else.

    \b
      python train.py $(hpsearch best digits --format flags)
    """
    from hpsearch.threads import use_one_thread

    use_one_thread()
    from hpsearch.config import settled
    from hpsearch.errors import UserError
    from hpsearch.finding import find_run
    from hpsearch.report.settings import SETTING_FORMATS
    from hpsearch.runs import load_run
    from hpsearch.standings import best_of

    folder = find_run(runs, name)
    config, tested = load_run(folder, with_data=False), bool(folder.tests())
    result, results = best_of(config, folder)
    setting = {**config.objective.constants, **settled(config, result.params)}
    text = SETTING_FORMATS["json" if as_json else written](setting)
    if model is not None:
        from hpsearch.evaluate import model_of

        if model.suffix != ".npz":
            raise UserError(f"--model: {model} must end in .npz, which is what it is")
        check_place(model)
        write_whole(model, model_of(folder).encode())
    click.echo(text)
    if quiet:
        return
    if verbose or sys.stdout.isatty():
        click.echo(
            f"Trial {result.trial}, the best of {len(results)}: {config.metric_name} "
            f"{result.score:.4g}.",
            err=True,
        )
    if verbose:
        tell({**result.metrics, "seed": result.seed, "seconds": result.seconds})
    if sys.stdout.isatty():
        name = shlex.quote(folder.name)
        commands = [f"retest {name}"]
        if config.kind == "trainer" and not tested:
            commands.append(f"evaluate {name}")
        hint_for(folder, *commands)
