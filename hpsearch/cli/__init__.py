"""The command line: one file a command; this group turns errors into text and exit codes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click

from hpsearch import __version__
from hpsearch.cli.options import show_text
from hpsearch.errors import HpsearchError, MachineError

COMMANDS = {
    "init": "init",
    "run": "run",
    "resume": "resume",
    "refine": "refine",
    "report": "report",
    "list": "list_runs",
    "best": "best",
    "compare": "compare",
    "panda": "panda",
    "evaluate": "evaluate",
    "predict": "predict",
    "retest": "retest",
    "export": "export",
    "preview": "preview",
    "gradcheck": "gradcheck",
    "schema": "schema",
}
"""The file here of each command, and its name there, in the order in which they are used."""


class Commands(Mapping[str, click.Command]):
    """The commands by name; each is imported when it is first looked up."""

    def __getitem__(self, name: str) -> click.Command:
        place = COMMANDS[name]
        command: click.Command = getattr(import_module(f"hpsearch.cli.{place}"), place)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Group(click.Group):
    """Ends with an error's text and its exit code, never with a traceback of a user's mistake."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except HpsearchError as error:
            with contextlib.suppress(OSError):  # a log that is full changes no exit code
                if error.has_place:  # its caret points at a letter of the line above
                    click.echo(str(error), err=True)
                else:
                    show_text(f"hpsearch: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:  # while the config or the user's code is being loaded
            ctx.exit(130)

    def main(self, *arguments: Any, **keywords: Any) -> Any:
        """Be a command; an output that cannot be written is a sentence too, also for --help."""
        try:
            return super().main(*arguments, **keywords)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output left, as `head` does
                sys.exit(1)
            place = f"{error.filename}: " if error.filename else ""
            with contextlib.suppress(OSError):
                click.echo(f"hpsearch: {place}{error.strerror or error}", err=True)
            sys.exit(MachineError.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which they are used."""
        return list(self.commands)


@click.group(
    cls=Group,
    commands=Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: hpsearch run configs/digits.yaml",
)
@click.version_option(__version__, prog_name="hpsearch")
def cli() -> None:
    """Hyperparameter search from one YAML file, with an honest leaderboard."""


def _open_closed_streams() -> None:
    """Give a command started with closed standard streams empty ones.

    Otherwise the next file that is opened, the record say, would become the standard output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115  as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def main() -> None:
    """Be the command `hpsearch`."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter it has not is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    cli(prog_name="hpsearch")
