"""A command in a terminal of its own, whose screen can be read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte

PATIENCE = 60
"""Seconds after which something that should happen has failed."""


class Terminal:
    """A running command and its screen."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, size: tuple[int, int]):
        self.process, self.descriptor = process, descriptor
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)

    def _read(self, seconds: float) -> bool:
        """Take what the command wrote; return False at its end."""
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if not ready:
            return True
        try:
            part = os.read(self.descriptor, 1 << 16)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.stream.feed(part)
        return bool(part)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without the spaces after them."""
        return [line.rstrip() for line in self.screen.display]

    def until(self, condition: Callable[[str], bool]) -> list[str]:
        """Read on until the screen is as it should be, and return it."""
        end = time.monotonic() + PATIENCE
        while not condition("\n".join(self.lines)):
            assert time.monotonic() < end, "\n".join(self.lines)
            assert self._read(0.1) or condition("\n".join(self.lines)), "\n".join(self.lines)
        return self.lines

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.descriptor, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + PATIENCE
        while self._read(0.1):
            assert time.monotonic() < end, "\n".join(self.lines)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def terminal(
    *arguments: object, folder: Path, columns: int = 80, rows: int = 24, **environment: str
) -> Iterator[Terminal]:
    """Run hpsearch in a terminal of that size."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    without = {name: each for name, each in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *map(str, arguments)],
        cwd=folder,
        stdin=child,
        stdout=child,
        stderr=child,
        env={**without, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        start_new_session=True,
    )
    os.close(child)
    try:
        yield Terminal(process, parent, (columns, rows))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(parent)
