"""What several test files share: the real command, and small configs."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's two threads would fight for the cores

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

Command = Callable[..., "subprocess.CompletedProcess[str]"]

TINY = """
objective: {trainer: mlp, epochs: 2}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1e-1}
  hidden_units: {type: int, min: 4, max: 16}
budget: {trials: 6}
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the real command in an empty folder: command("run", "tiny.yaml", ...)."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def run(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hpsearch", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONWARNINGS": "error", **keywords},  # type: ignore[dict-item]
        )

    return run


def without_seconds(table: Path) -> str:
    """Return trials.csv without its last column, the only one that may differ."""
    return "\n".join(line.rsplit(",", 1)[0] for line in table.read_text().splitlines())


def drained(training: Any) -> tuple[list[Any], Any]:
    """What a generator yields, and what it returns."""
    epochs = []
    while True:
        try:
            epochs.append(next(training))
        except StopIteration as end:
            return epochs, end.value
