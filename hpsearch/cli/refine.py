"""`hpsearch refine`: zoom into the region around the best trials of a run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from hpsearch.cli.options import (
    complete_run,
    for_runs,
    jobs_option,
    quiet_option,
    runs_option,
)


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
def refine(
    name: str | None,
    top: int,
    trials: int | None,
    new_name: str | None,
    write: Path | None,
    jobs: int | None,
    runs: Path,
    quiet: bool,
) -> None:
    """Search again in the smaller box around the best trials of RUN, by default the newest.

    The new run's config says for each bound what it was, what it is now, and which trials caused
    it. Where the best trial sits on an edge of its range, the range moves beyond that edge.
    """
    from hpsearch.cli.run import run_search
    from hpsearch.config import build_config
    from hpsearch.refine import refined
    from hpsearch.search import load_run
    from hpsearch.store import CONFIG, RunFolder, find_run
    from hpsearch.yamlfile import parse_yaml

    folder = find_run(runs, name)
    child = _free_name(runs, folder.name) if new_name is None else _checked(new_name)
    target = RunFolder(runs / child)
    place = write.parent if write else target.path
    text = refined(load_run(folder), folder.results(), place, name=child, top=top, trials=trials)
    raw = text.encode()
    document = parse_yaml(raw, str(write or target.path / CONFIG))
    if write:
        _check_place(write)
        build_config(document, child, child, place)
        _write(write, text)
        if not quiet:
            command = for_runs(f"hpsearch run {shlex.quote(str(write))}", runs)
            click.echo(f"Wrote {write}. To run it: {command}", err=True)
        return
    config = build_config(document, child, child, place)
    if not quiet:
        click.echo(text)
    run_search(config, raw, target, jobs, quiet=quiet)


def _free_name(runs: Path, parent: str) -> str:
    """Return `NAME-refined`, `NAME-refined-2` and so on: the first that is free."""
    stem = re.sub(r"-refined(-[0-9]+)?$", "", parent)[:80]
    number, name = 1, f"{stem}-refined"
    while (runs / name).exists():
        number += 1
        name = f"{stem}-refined-{number}"
    return name


def _checked(name: str) -> str:
    from hpsearch.errors import UserError
    from hpsearch.fields import RUN_NAME

    if not re.fullmatch(RUN_NAME.pattern, name):
        raise UserError(f"'{name}' cannot name a run: it needs {RUN_NAME.words}")
    return name


def _check_place(path: Path) -> None:
    from hpsearch.errors import UserError

    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")


def _write(path: Path, text: str) -> None:
    from hpsearch.errors import UserError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} exists already; choose another file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
