"""What the tests of evaluate, predict, retest and list share: commands, a terminal, small runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pyte
from click.testing import CliRunner
from click.testing import Result as Invocation

from hpsearch.cli import cli


def call(folder: Path, *arguments: object) -> Invocation:
    """Run a command in this process, in a folder."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


def done(folder: Path, *arguments: object) -> Invocation:
    """Run a command that must succeed."""
    found = call(folder, *arguments)
    assert found.exit_code == 0, found.stderr
    return found


def refused(folder: Path, *arguments: object) -> str:
    """Run a command that is a mistake; return its sentence."""
    found = call(folder, *arguments)
    assert (found.exit_code, found.stdout) == (2, ""), found.output
    assert "Traceback" not in found.stderr
    return found.stderr


def moved(made: Path, folder: Path) -> Path:
    """Copy a folder with runs and all that they refer to; return where the copy is."""
    shutil.copytree(made, folder)
    for path in folder.glob("runs/*/provenance.json"):
        path.write_text(path.read_text().replace(str(made), str(folder)))
    return folder


def on_screen(
    folder: Path,
    *arguments: object,
    columns: int = 80,
    lines: int = 200,
    code: int = 0,
    **environment: str,
) -> tuple[list[str], bytes]:
    """Run a command in a terminal; return the lines that it shows, and its bytes.

    code: What it must end with.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    known = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *map(str, arguments)],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**known, "TERM": "xterm-256color", **environment},
    )
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while data := os.read(master, 1 << 16):
            seen += data
    os.close(master)
    assert process.wait(60) == code, seen.decode()
    screen = pyte.Screen(columns, lines)
    pyte.ByteStream(screen).feed(seen)
    return [line.rstrip() for line in screen.display if line.strip()], seen
