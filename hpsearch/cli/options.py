"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

RUNS = Path("runs")

config_argument = click.argument(
    "config", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)

runs_option = click.option(
    "--runs-dir",
    "runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="The folder that holds the runs.",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no closing words.")


class Jobs(click.ParamType):
    """A number of trials at once: at least 1, or -1 for one per core."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read the number."""
        try:
            jobs = int(str(value))
        except ValueError:
            jobs = 0
        if jobs < 1 and jobs != -1:
            self.fail(f"{value!r} must be at least 1, or -1 for one per core.", param, ctx)
        return jobs


jobs_option = click.option(
    "-j", "--jobs", type=Jobs(), help="Trials at once; -1 is one per core. Default: run.jobs."
)


def complete_run(
    ctx: click.Context,
    param: click.Parameter,
    incomplete: str,  # noqa: ARG001  click's protocol
) -> list[CompletionItem]:
    """Complete the names of the runs that there are."""
    from click.shell_completion import CompletionItem

    runs = Path(ctx.params.get("runs") or RUNS)
    names = sorted(path.parent.name for path in runs.glob("*/config.yaml"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
