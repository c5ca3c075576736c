"""`hpsearch export`: a run for the tools of others."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import complete_run, hint, runs_option

EXPORT_NAMES = ("csv", "parquet", "json", "mlflow", "tensorboard", "optuna")


@click.command(short_help="Write a run for MLflow, TensorBoard, Optuna or a table.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option("--to", type=click.Choice(EXPORT_NAMES), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    "place",
    type=click.Path(path_type=Path),
    help="Where. Default: a file or folder here that is called after the run.",
)
@click.option("--force", is_flag=True, help="Replace what an earlier export wrote there.")
@runs_option
def export(name: str | None, to: str, place: Path | None, force: bool, runs: Path) -> None:
    """Write RUN, by default the newest, for another tool, with its curves and its failed trials.

    csv, parquet and json are one file with a row for each trial. mlflow and optuna are SQLite
    files, tensorboard is a folder; each needs its extra: pip install 'hpsearch[optuna]'.
    """
    import shlex

    from hpsearch.export import EXPORTS, exported_of
    from hpsearch.export import export as write
    from hpsearch.finding import find_run

    folder, exporter = find_run(runs, name), EXPORTS[to]
    target = Path(f"{folder.name}{exporter.ending}") if place is None else place
    write(exported_of(folder), to, exporter, target, force=force)
    click.echo(f"Wrote {target}", err=True)
    if exporter.view is not None:
        hint(exporter.view.format(place=shlex.quote(str(target))))
