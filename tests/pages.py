"""The blocks of the README and of the docs: files, commands, and what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

PROGRAMS = ("hpsearch", "python", "pip", "pytest", "dask", "ray", "mkdocs", "git", "cd", "mkdir")
"""A line that begins with one of these is for a shell."""

BLOCK = re.compile(
    r"(?:^`(?P<file>[\w.]+)`:\n\n)?^(?P<fence>`{3,})(?P<kind>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """What is between two fences."""

    page: str
    line: int
    kind: str
    text: str
    file: str | None
    """The name above it, where it is a file that the reader is to write."""

    @property
    def commands(self) -> list[str]:
        """The lines of a block that is for a shell, and of one that shows its answer the first."""
        lines = [line for line in self.text.splitlines() if line]
        if self.file is not None or self.kind in ("yaml", "python", "py"):
            return []
        if self.shown is not None:
            return [lines[0].removeprefix("$ ")]
        is_shell = all(line.split()[0] in PROGRAMS and line[0] != " " for line in lines)
        return lines if is_shell and not lines[0].startswith("hpsearch  ") else []

    @property
    def shown(self) -> str | None:
        """The answer that is shown under a command."""
        return self.text.partition("\n")[2] if self.text.startswith("$ ") else None

    @property
    def is_listing(self) -> bool:
        """Whether it is neither a file, nor YAML or Python, nor for a shell."""
        return self.file is None and self.kind not in ("yaml", "python", "py") and not self.commands


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("fence")) + 1
        yield Block(name, line, match["kind"], match["text"], match["file"])


ALL = [block for page in PAGES for block in blocks(page)]
