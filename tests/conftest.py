"""What several test files share: the real command, and small configs."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's two threads would fight for the cores
# Each trial at once is a process to start: a search has one unless the test says otherwise.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings

from forked import Forks

for inherited in ("COLUMNS", "LINES"):  # what readline tells a process about its parent's terminal
    os.environ.pop(inherited, None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is.
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

ROOT = Path(__file__).parent.parent

STRICT = {"PYTHONWARNINGS": "error"}

Command = Callable[..., "subprocess.CompletedProcess[str]"]

TINY = """
objective: {trainer: mlp, epochs: 2}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1e-1}
  hidden_units: {type: int, min: 4, max: 16}
budget: {trials: 6}
run: {jobs: 1}
"""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than cores, as many tests wait; none beside this one for single tests."""
    single = bool(config.args) and all("::" in argument for argument in config.args)
    return 0 if single else min((os.cpu_count() or 1) + 1, 4)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks | None]:
    """What starts commands at once; None on a system where forking is not safe."""
    if not sys.platform.startswith("linux"):
        yield None
        return
    started = Forks({**os.environ, **STRICT})
    yield started
    started.end()


@pytest.fixture
def command(tmp_path: Path, forks: Forks | None) -> Command:
    """Run the real command in an empty folder: command("run", "tiny.yaml", ...)."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def run(*arguments: object, **keywords: str) -> subprocess.CompletedProcess[str]:
        words, environment = list(map(str, arguments)), {**os.environ, **STRICT, **keywords}
        if forks is not None and forks.fits(environment):
            return forks.run(words, tmp_path, 600)
        return subprocess.run(
            [sys.executable, "-m", "hpsearch", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the real command has run tiny.yaml to its end."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(TINY)
    arguments = [sys.executable, "-m", "hpsearch", "run", "tiny.yaml", "-q"]
    subprocess.run(arguments, cwd=folder, check=True, timeout=600)
    return folder


@pytest.fixture
def tiny_run(command: Command, tmp_path: Path, finished: Path) -> Path:
    """What command("run", "tiny.yaml") leaves, without its seconds; return runs/tiny."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(finished / "runs" / "tiny", folder)
    told = (folder / "provenance.json").read_text()
    (folder / "provenance.json").write_text(told.replace(str(finished), str(tmp_path)))
    return folder


@pytest.fixture
def answer(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command that begins no trial, in this process; a traceback fails the test."""
    from hpsearch.cli import cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        outcome = CliRunner().invoke(cli, words, catch_exceptions=False)
        return subprocess.CompletedProcess(words, outcome.exit_code, outcome.stdout, outcome.stderr)

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
