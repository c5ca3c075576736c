"""`hpsearch refine`: zoom into the region around the best trials of a run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.files import write_new
from hpsearch.cli.options import (
    complete_run,
    for_runs,
    jobs_option,
    quiet_option,
    runs_option,
    verbose_option,
)

if TYPE_CHECKING:
    from hpsearch.config import Config


METHOD_NAMES = ("random", "grid", "sobol", "zoom", "bayes", "halving")


@click.command(short_help="Search the smaller box around the best trials of a run.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "-t",
    "--top",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="How many of the best trials the box is drawn around.",
)
@click.option("--trials", type=click.IntRange(min=1), help="Trials of the new run.")
@click.option(
    "-m",
    "--method",
    type=click.Choice(METHOD_NAMES),
    help="How the new run searches. Default: as RUN did.",
)
@click.option("-n", "--name", "new_name", help="The new run's name. Default: RUN-refined.")
@click.option(
    "-w",
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the narrowed config to this file, and run nothing.",
)
@jobs_option
@runs_option
@quiet_option
@verbose_option("each trial as it ends")
def refine(
    name: str | None,
    top: int,
    trials: int | None,
    method: str | None,
    new_name: str | None,
    write: Path | None,
    jobs: int | None,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Search again in the smaller box around the best trials of RUN, by default the newest.

    The new run's config says for each bound what it was, what it is now, and which trials caused
    it. Where the best trial sits on an edge of its range, the range moves beyond that edge.
    """
    from hpsearch.cli.run import run_search
    from hpsearch.config import build_config
    from hpsearch.finding import find_run
    from hpsearch.refine import refined
    from hpsearch.runs import load_run
    from hpsearch.store import CONFIG, RunFolder
    from hpsearch.yamlfile import parse_yaml

    folder = find_run(runs, name)
    parent, results = load_run(folder), folder.results(curves=False)

    def narrowed(child: str) -> Config:
        place = write.parent if write else runs / child
        text = refined(parent, results, place, name=child, top=top, trials=trials, method=method)
        document = parse_yaml(text.encode(), str(write or runs / child / CONFIG))
        return build_config(document, child, child, place)

    if new_name is not None:
        config = narrowed(_checked(new_name))
    else:
        config = next(each for each in map(narrowed, _names(folder.name)) if _fits(each, runs))
    if method == "grid" and config.size and config.budget.trials:
        _check_fits(config.size, config.budget.trials)
    text = config.document.raw.decode()
    if write:
        write_new(write, text)
        if not quiet:
            command = for_runs(f"hpsearch run {shlex.quote(str(write))}", runs)
            click.echo(f"Wrote {write}. To run it:\n  {command}", err=True)
        return
    target = RunFolder(runs / config.name)
    if not quiet and not target.exists():
        click.echo(text)
    run_search(config, target, jobs, quiet=quiet, verbose=verbose)


def _check_fits(size: int, trials: int) -> None:
    """Refuse to begin a grid that the budget would cut short, which tries one corner only."""
    from hpsearch.errors import UserError

    if size > trials:
        raise UserError(
            f"a grid of the narrowed space has {size:,} settings, more than {trials:,} trials\n"
            f"Give --trials {size}, or take --method sobol, which spreads any number of trials."
        )


def _names(parent: str) -> Iterator[str]:
    """Yield `NAME-refined`, `NAME-refined-2` and so on."""
    stem = re.sub(r"-refined(-[0-9]+)?$", "", parent)[:80]
    yield f"{stem}-refined"
    for number in itertools.count(2):
        yield f"{stem}-refined-{number}"


def _fits(config: Config, runs: Path) -> bool:
    """Tell whether a name is free, or is this very refinement's, which then goes on."""
    from hpsearch.store import CONFIG

    folder = runs / config.name
    try:
        return (folder / CONFIG).read_bytes() == config.document.raw
    except OSError:
        return not folder.exists()


def _checked(name: str) -> str:
    from hpsearch.errors import UserError
    from hpsearch.fields import RUN_NAME

    if not re.fullmatch(RUN_NAME.pattern, name):
        raise UserError(f"'{name}' cannot name a run: it needs {RUN_NAME.words}")
    return name
