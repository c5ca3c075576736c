"""`hpsearch init`: a config to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from hpsearch.cli.files import write_new
from hpsearch.cli.options import hint


@click.command(short_help="Write a starter config: for your CSV, function or program.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--csv", "table", type=click.Path(path_type=Path), help="A table to learn from.")
@click.option("--label", help="The column of --csv to learn. Default: a guess, which it says.")
@click.option("--python", "target", metavar="FILE.py[:FUNCTION]", help="A function that measures.")
@click.option("--command", help="A program that measures: 'python train.py'.")
def init(
    file: Path | None,
    table: Path | None,
    label: str | None,
    target: str | None,
    command: str | None,
) -> None:
    """Write a config to FILE that can be run as it is, with a comment on every choice.

    By default it trains the built-in network on handwritten digits. Code is read and never run:
    for --command the options that it declares with argparse or click.
    """
    from hpsearch.config import build_config
    from hpsearch.errors import UserError
    from hpsearch.yamlfile import parse_yaml

    given = {"--csv": table, "--python": target, "--command": command}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} are several searches: choose one")
    if label is not None and table is None:
        raise click.UsageError("--label names a column of --csv")
    path = file or Path(f"{_stem(table, target, command)}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"'{path}': the name of a config ends with .yaml")
    if path.exists():
        raise UserError(f"{path} exists already; name another file: hpsearch init FILE.yaml")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    problem: UserError | None = None
    for text in _texts(path.parent, table, label, target, command):
        try:
            build_config(parse_yaml(text.encode(), str(path)), None, path.stem, path.parent)
        except UserError as error:
            problem = problem or error
        else:
            break
    else:
        assert problem is not None
        raise problem
    write_new(path, text)
    click.echo(text, nl=False)
    click.echo(f"Wrote {path}", err=True)
    name = shlex.quote(str(path))
    hint(f"hpsearch preview {name}", f"hpsearch run {name}")


def _stem(table: Path | None, target: str | None, command: str | None) -> str:
    """Return what a config is called by default."""
    import re

    name = "search"
    if table is not None:
        name = table.name.partition(".")[0]
    elif target is not None:
        name = Path(target.partition(":")[0]).stem
    elif command is not None:
        script = re.search(r"([\w-]+)\.py\b", command)
        name = script[1] if script else name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return name if re.match(r"[A-Za-z0-9]", name) else "search"


def _texts(
    folder: Path, table: Path | None, label: str | None, target: str | None, command: str | None
) -> list[str]:
    """Return the config, and what is tried where the data do not allow it."""
    from hpsearch.starter import command_config, csv_config, network_config, python_config

    if target is not None:
        return [python_config(target, folder)]
    if command is not None:
        return [command_config(command, folder, Path.cwd())]
    if table is None:
        return [network_config()]
    text = csv_config(table, label, folder)
    rare = "  stratify: false  # a class is too rare to be in every part\nparameters:"
    return [text, text.replace("\nparameters:", f"\n{rare}", 1)]
