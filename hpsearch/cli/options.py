"""Options and arguments that several commands share."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hpsearch.config import Config
    from hpsearch.store import RunFolder

Command = TypeVar("Command", bound=Callable[..., Any])

RUNS = Path("runs")

config_argument = click.argument("config", type=click.Path(path_type=Path))

runs_option = click.option(
    "--runs-dir",
    "runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="The folder that holds the runs.",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")

answer_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print the answer alone: no note, no hint."
)


def verbose_option(what: str) -> Callable[[Command], Command]:
    """Add --verbose, which says `what` on stderr."""
    return click.option("-v", "--verbose", is_flag=True, help=f"Say more: {what}.")


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, at full precision, for a script."
)


def print_json(value: Any) -> None:
    """Print plain data for a script."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def show_text(text: str, *, err: bool = False) -> None:
    """Print sentences; on a terminal broken where it ends, but never within a command."""
    if (sys.stderr if err else sys.stdout).isatty():
        text = "\n".join(each for line in text.split("\n") for each in _broken(line))
    click.echo(text, err=err)


def _broken(line: str) -> list[str]:
    """Break a line between its words; a command at its end gets a line of its own."""
    width = terminal_width()
    if len(line) <= width:
        return [line]
    words, colon, command = line.partition(": hpsearch ")
    end = [f"  hpsearch {command}"] if colon else []
    rest = f"{words}:" if colon else line
    indent = " " * (len(rest) - len(rest.lstrip()))
    parts = textwrap.wrap(
        rest, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [*parts, *end]


def hint(*commands: str) -> None:
    """Say on stderr which commands come next."""
    click.echo("\n  ".join(["Next:", *commands]), err=True)


def hint_for(folder: RunFolder, *commands: str) -> None:
    """Say which commands come next for a run, each of which finds it wherever it is."""
    hint(*(for_runs(f"hpsearch {each}", folder.path.parent) for each in commands))


def tell(facts: Mapping[str, Any]) -> None:
    """Say on stderr what --verbose adds: a line for each fact that is known."""
    for name, value in facts.items():
        if value not in (None, "", {}, []):
            click.echo(f"  {name}: {value}", err=True)


def _check_jobs(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value != -1 and not 1 <= value <= 10_000:
        raise click.BadParameter(
            f"{value} must be from 1 to 10000, or -1 for one per core.", ctx, param
        )
    return value


jobs_option = click.option(
    "-j",
    "--jobs",
    type=int,
    callback=_check_jobs,
    help="Trials at once; -1 is one per core. Default: run.jobs.",
)


setting_option = click.option(
    "-s",
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A hyperparameter to begin with. Default: the middle of its scale.",
)


def settings_from(given: tuple[str, ...]) -> dict[str, str]:
    """Return what `setting_option` was given, as it was typed, by name."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.UsageError(
                f"--set takes NAME=VALUE, such as learning_rate=0.01, not '{text}'"
            )
        found[name.strip()] = value.strip()
    return found


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --engine and --address, which are given to the command as `engine` and `address`."""
    for option in (
        click.option("--address", help="Where the cluster is. Default: run.address."),
        click.option("--engine", help="What runs the trials. Default: run.engine."),
    ):
        command = option(command)
    return command


def with_engine(config: Config, engine: str | None, address: str | None) -> Config:
    """Return the config with another engine, of which nothing else of a run depends.

    An engine that is named anew has no address but a given one.

    Raises:
        UserError: there is no such engine, or the address is not one of it.
    """
    from dataclasses import replace

    from hpsearch.engines import ENGINES, address_problem
    from hpsearch.errors import UserError, nearest

    run = config.run
    if engine is not None and engine not in ENGINES:
        meant = nearest(engine, [*ENGINES])
        hint = f"\nDid you mean '{meant}'?" if meant else ""
        raise UserError(f"--engine must be one of {', '.join(ENGINES)}, found '{engine}'{hint}")
    if engine is not None and engine != run.engine:
        run = replace(run, engine=engine, address=None)
    if address is not None:
        run = replace(run, address=address)
    problem = address_problem(run.engine, run.address)
    if problem is not None:
        raise UserError(f"--address: {problem[0]}\n{problem[1]}".rstrip())
    return replace(config, run=run)


def jobs_of(config: Config, jobs: int | None) -> int:
    """Return how many trials run at once; -1 is left to a cluster, which knows its workers."""
    from hpsearch.engines import is_cluster
    from hpsearch.engines.local import core_count

    count = config.run.jobs if jobs is None else jobs
    return core_count() if count == -1 and not is_cluster(config.run.engine) else count


def complete_run(
    ctx: click.Context,
    param: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """Complete the names of the runs that there are."""
    from click.shell_completion import CompletionItem

    runs = Path(ctx.params.get("runs") or RUNS)
    names = sorted(path.parent.name for path in runs.glob("*/config.yaml"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def for_runs(arguments: str, runs: Path) -> str:
    """Complete a command that is named in a hint, so that it finds the same runs."""
    if runs.absolute() == RUNS.absolute():
        return arguments
    return f"{arguments} --runs-dir {shlex.quote(str(runs))}"


def terminal_width() -> int:
    """Return the columns of the terminal, or what reads well where there is none."""
    from hpsearch.report.formats import DEFAULT_WIDTH

    return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
