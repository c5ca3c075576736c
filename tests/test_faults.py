"""Faults of processes and signals, with the real command and real signals."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Command, without_seconds
from hpsearch.store import RunFolder

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks at processes through /proc"
)

CONFIG = """
objective: {trainer: mlp, epochs: 20}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  hidden_units: {type: int, min: 16, max: 64}
budget: {trials: 16}
"""

Start = Callable[..., "subprocess.Popen[str]"]


def as_in_a_terminal() -> None:
    """Undo what nohup and background jobs do, which is for a program to respect."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the real command in the background; nothing of it outlives the test."""
    (tmp_path / "search.yaml").write_text(CONFIG)
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=as_in_a_terminal,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(what: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def finished(folder: Path) -> int:
    record = folder / "trials.jsonl"
    return record.read_bytes().count(b"\n") if record.exists() else 0


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "hpsearch.child"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(number) for number in listed.stdout.split()]


def alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The table of the same search, left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "search.yaml").write_text(CONFIG)
    subprocess.run(
        [sys.executable, "-m", "hpsearch", "run", "search.yaml", "-q", "-j", "1"],
        cwd=folder,
        check=True,
        timeout=600,
    )
    return without_seconds(folder / "runs" / "search" / "trials.csv")


def test_any_number_of_jobs_gives_the_same_table(
    command: Command, tmp_path: Path, undisturbed: str
) -> None:
    (tmp_path / "search.yaml").write_text(CONFIG)
    assert command("run", "search.yaml", "-q", "-j", 4).returncode == 0
    assert without_seconds(tmp_path / "runs/search/trials.csv") == undisturbed


@pytest.mark.parametrize(
    ("number", "code", "jobs"),
    [
        (signal.SIGINT, 130, "1"),
        (signal.SIGINT, 130, "2"),
        (signal.SIGTERM, 143, "2"),
        (signal.SIGHUP, 129, "1"),
    ],
)
def test_a_signal_keeps_what_is_finished_and_the_same_command_goes_on(
    start: Start,
    command: Command,
    tmp_path: Path,
    undisturbed: str,
    number: signal.Signals,
    code: int,
    jobs: str,
) -> None:
    folder = tmp_path / "runs" / "search"
    process = start("run", "search.yaml", "-j", jobs)
    wait_for(lambda: finished(folder) >= 2)
    workers = children(process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == code, stderr
    assert "Stopped after" in stderr
    assert "rank" in stdout
    assert not any(alive(worker) for worker in workers)
    assert 2 <= finished(folder) < 16
    assert command("run", "search.yaml", "-q").returncode == 0
    assert without_seconds(folder / "trials.csv") == undisturbed


def test_killed_at_random_moments_it_resumes_to_the_same_table(
    start: Start, command: Command, tmp_path: Path, undisturbed: str
) -> None:
    folder = tmp_path / "runs" / "search"
    pause = random.Random(0)
    for _ in range(4):
        announced = finished(folder)
        process = start("run", "search.yaml", "-j", "2")
        time.sleep(pause.uniform(0.1, 1.2))  # the moment is the point of the test
        workers = children(process)
        process.kill()
        process.communicate()
        wait_for(lambda workers=workers: not any(alive(worker) for worker in workers))
        assert finished(folder) >= announced
    assert command("run", "search.yaml", "-q").returncode == 0
    assert without_seconds(folder / "trials.csv") == undisturbed


def test_a_trial_whose_process_is_killed_runs_again_to_the_same_result(
    start: Start, tmp_path: Path, undisturbed: str
) -> None:
    folder = tmp_path / "runs" / "search"
    # One trial may be hit by both kills: it is the next to run after the first.
    (tmp_path / "search.yaml").write_text(f"{CONFIG}trial: {{retries: 2}}\n")
    process = start("run", "search.yaml", "-j", "2")
    for done in (1, 4):
        wait_for(lambda done=done: finished(folder) >= done)
        for worker in children(process)[:1]:
            os.kill(worker, signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert without_seconds(folder / "trials.csv") == undisturbed
    assert any(result.attempts > 1 for result in RunFolder(folder).results())


def test_a_trial_whose_process_dies_each_time_is_crashed_and_the_rest_goes_on(
    start: Start, tmp_path: Path
) -> None:
    config = CONFIG.replace("trials: 16", "trials: 1").replace("epochs: 20", "epochs: 100000")
    (tmp_path / "search.yaml").write_text(config)
    process = start("run", "search.yaml", "-j", "2")
    for _ in range(2):  # the attempt, and the one retry
        wait_for(lambda: children(process))
        (worker,) = children(process)
        wait_for(lambda worker=worker: busy(worker))
        os.kill(worker, signal.SIGSEGV)
        wait_for(lambda worker=worker: not alive(worker))
    _, stderr = process.communicate(timeout=300)
    (result,) = RunFolder(tmp_path / "runs" / "search").results()
    assert result.status == "crashed"
    assert result.attempts == 2
    assert result.message is not None
    assert "SIGSEGV" in result.message
    assert process.returncode == 1
    assert "No trial was complete" in stderr


def busy(number: int) -> bool:
    """Tell whether a worker has its trial: start-up takes less than a second of processor time."""
    if not alive(number):
        return False
    fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12]) > 100


def test_a_trial_that_hangs_is_ended_at_its_timeout(start: Start, tmp_path: Path) -> None:
    (tmp_path / "stops.py").write_text(
        "import os, signal\n\ndef score(x, trial_dir):\n"
        "    (trial_dir / 'process').write_text(str(os.getpid()))\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"  # a stopped process ignores SIGTERM
    )
    (tmp_path / "search.yaml").write_text(
        'objective: {python: "stops.py:score"}\nmetric: {name: score, goal: minimize}\n'
        "parameters: {x: {min: 0, max: 1}}\nbudget: {trials: 2}\ntrial: {timeout: 2s}\n"
    )
    process = start("run", "search.yaml", "-j", "2")
    _, stderr = process.communicate(timeout=300)
    folder = RunFolder(tmp_path / "runs" / "search")
    results = folder.results()
    assert [result.status for result in results] == ["timeout", "timeout"]
    assert results[0].message == "not finished within 2 s"
    assert process.returncode == 1, stderr
    for result in results:
        assert not alive(int((folder.trial_folder(result.trial) / "process").read_text()))


def test_a_second_command_on_a_run_is_told_who_holds_it(
    start: Start, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "search.yaml").write_text(CONFIG.replace("trials: 16", "trials: 4000"))
    process = start("run", "search.yaml", "-j", "2")
    wait_for(lambda: finished(tmp_path / "runs" / "search") >= 1)
    second = command("run", "search.yaml")
    assert second.returncode == 2
    assert f"process {process.pid} on " in second.stderr
    assert process.poll() is None


def test_too_many_failures_in_a_row_end_the_search(start: Start, tmp_path: Path) -> None:
    config = CONFIG.replace("trials: 16", "trials: 9, failures: 2").replace("20}", "100000}")
    (tmp_path / "search.yaml").write_text(config + "trial: {timeout: 0.2s}\n")
    process = start("run", "search.yaml", "-j", "1")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "2 trials in a row failed. The first, trial 0:\nnot finished within 0.2 s" in stderr
    assert len(RunFolder(tmp_path / "runs" / "search").results()) == 2
