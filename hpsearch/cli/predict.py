"""`hpsearch predict`: what a model says of new examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.files import check_place, write_whole
from hpsearch.cli.options import (
    answer_option,
    complete_run,
    runs_option,
    tell,
    verbose_option,
)

if TYPE_CHECKING:
    from hpsearch.model import Model


@click.command(short_help="Predict new examples with the best model of a run.")
@click.argument("model", metavar="MODEL", shell_complete=complete_run)
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here, by its ending as CSV or JSON. Default: CSV, printed.",
)
@click.option("--ignore", multiple=True, metavar="COLUMN", help="A column of DATA to leave out.")
@runs_option
@answer_option
@verbose_option("where the model comes from")
def predict(
    model: str,
    data: Path,
    output: Path | None,
    ignore: tuple[str, ...],
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Predict every example in DATA: a label and the probability of each class, or a value.

    MODEL is a model.npz, or a run, whose best trial is then trained again if it has no model yet.
    DATA is of any format that training reads, with the columns of the training data, with or
    without the label.
    """
    from hpsearch.threads import use_one_thread

    use_one_thread()
    from hpsearch.predict import predictions
    from hpsearch.report.formats import FORMATS

    formats = {".csv": "csv", ".json": "json"}
    name = formats.get("" if output is None else output.suffix.lower())
    if output is not None and name is None:
        raise click.UsageError(f"{output}: a table is written as .csv or .json")
    if output is not None:
        check_place(output)
        if output.exists() and data.exists() and output.samefile(data):
            raise click.UsageError(
                f"{output} holds the data: write the predictions to another file"
            )
    learned = _model(model, runs)
    table, notes = predictions(learned, data, ignore)
    text = FORMATS[name or "csv"](table)
    if not quiet:
        for note in notes:
            click.echo(f"note: {note}", err=True)
    if verbose:
        tell(learned.about)
    if output is None:
        click.echo(text)
        return
    write_whole(output, f"{text}\n".encode())
    if not quiet:
        count = len(table.rows)
        click.echo(f"Wrote {count} prediction{'s' * (count != 1)} to {output}", err=True)


def _model(name: str, runs: Path) -> Model:
    """Return the model in a file of that name, or else of that run."""
    from hpsearch.evaluate import model_of
    from hpsearch.finding import find_run
    from hpsearch.model import load_model

    path = Path(name)
    if path.is_file() or path.suffix == ".npz":
        return load_model(path)
    return model_of(find_run(runs, name))
