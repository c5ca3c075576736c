"""`hpsearch evaluate`: the test set, once."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from hpsearch.cli.options import (
    complete_run,
    hint_for,
    json_option,
    print_json,
    quiet_option,
    runs_option,
    show_text,
    tell,
    terminal_width,
    verbose_option,
)


@click.command(short_help="Measure the best setting of a run on the test set, once.")
@click.argument("name", required=False, metavar="[RUN]", shell_complete=complete_run)
@click.option(
    "--include-dev",
    is_flag=True,
    help="Train on train and dev together: more data, and no dev figures.",
)
@click.option("--again", is_flag=True, help="Open a test set that was opened before.")
@json_option
@runs_option
@quiet_option
@verbose_option("the setting, hashes and versions")
def evaluate(
    name: str | None,
    include_dev: bool,
    again: bool,
    as_json: bool,
    runs: Path,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train the best setting of RUN again, by default the newest, and measure it on the test set.

    What was seen is kept in the run (test.jsonl), and the report says how often it was looked at.
    The model is kept as model.npz, for `hpsearch predict RUN`.
    """
    from hpsearch.threads import use_one_thread

    use_one_thread()
    from hpsearch.evaluate import figures_table, open_test_set, warnings
    from hpsearch.finding import find_run
    from hpsearch.report.formats import plain_text
    from hpsearch.runs import load_run
    from hpsearch.standings import end_of, how_it_ended

    folder = find_run(runs, name)
    config = load_run(folder)
    found = open_test_set(config, folder, include_dev=include_dev, again=again)
    if as_json:
        print_json(found)
    elif not quiet:
        sizes = found["examples"]
        count = found["opened"]
        times = "for the first time" if count == 1 else f"{count} times by now"
        show_text(
            f"Trial {found['trial']} of {folder.name}, trained again on {found['trained_on']} "
            f"({sizes['train']} examples, {found['epochs']} epochs), measured on the test set "
            f"({sizes['test']} examples), which was opened {times}."
        )
        click.echo()
        click.echo(plain_text(figures_table(found), terminal_width()))
    if quiet:
        return
    if not as_json:
        show_text(
            f"low to high: the {found['level']:.0%} interval; Wilson's for error and accuracy, "
            "else bootstrap.",
            err=True,
        )
    results = folder.results(curves=False)
    if end_of(config, folder, results) is None:
        ended = how_it_ended(config, folder, results)
        _warn(f"{folder.name} is {ended}: a setting that it finds later is not what was measured")
    for text in warnings(config, folder, found):
        _warn(text)
    if not as_json:
        if verbose:
            tell({**found["params"], **found["sha256"], **found["versions"]})
        hint_for(folder, f"predict {shlex.quote(folder.name)} data.csv -o predictions.csv")


def _warn(text: str) -> None:
    show_text(f"warning: {text}", err=True)
