"""`hpsearch report --watch`, looked at in a terminal of 80 x 24, and through a pipe."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from honest_helpers import on_screen
from hpsearch.store import CONFIG, RECORD, RunFolder
from hpsearch.trial import Result
from terminal import terminal

TEXT = """\
metric: {name: dev_error, goal: minimize}
objective: {trainer: mlp, epochs: 3}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  optimizer:     {values: [adam, momentum]}
budget: {trials: 8}
"""


def result(number: int) -> Result:
    score = 0.5 / (number + 1)
    params = {"learning_rate": 0.001 * (number + 1), "optimizer": "adam"}
    metrics = {"train_error": score / 2, "dev_error": score}
    return Result(number, "complete", params, (0.5, 0.5), 7, 3, score, metrics, seconds=0.5)


class Going:
    """A run that goes on in this process, trial by trial as a test says."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.session: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": platform.node(),
            "pid": os.getpid(),
            "ended": None,
        }
        folder.write(CONFIG, TEXT)
        self._tell()

    def _tell(self) -> None:
        self.folder.write_provenance(
            {
                "config": {"folder": str(self.folder.path)},
                "identity": {},
                "sources": {},
                "sessions": [self.session],
            }
        )

    def trials(self, *numbers: int) -> None:
        for number in numbers:
            self.folder.append(result(number))

    def end(self, **known: Any) -> None:
        """As a run does at its end, or as it looks when its process is gone."""
        self.session.update(known)
        self._tell()


@pytest.fixture
def going(tmp_path: Path) -> Any:
    folder = RunFolder(tmp_path / "runs" / "a")
    with folder.claim():
        yield Going(folder)


def test_a_terminal_shows_the_leaderboard_and_the_best_so_far_until_the_run_ends(
    going: Going, tmp_path: Path
) -> None:
    going.trials(0, 1)
    before = (going.folder.path / RECORD).read_bytes()
    with terminal("report", "a", "--watch", folder=tmp_path) as screen:
        lines = screen.until(lambda text: "2/8 trials" in text and "Ctrl-C" in text)
        assert lines[0].startswith("a  2/8 trials")
        assert lines[1].startswith("best dev_error 0.25 (trial 1)")
        assert any(line.split()[:3] == ["1", "1", "0.2500"] for line in lines)
        assert "best dev_error so far, trial by trial" in lines
        assert any("█" in line for line in lines)
        assert max(map(len, lines)) <= 80
        assert (going.folder.path / RECORD).read_bytes() == before  # it only reads
        going.trials(*range(2, 8))
        lines = screen.until(lambda text: "8/8 trials" in text)
        assert lines[1].startswith("best dev_error 0.0625 (trial 7)")
        assert lines[0].startswith("a  ")  # all of it fits: nothing has scrolled away
        going.end(ended="trials")
        lines = screen.until(lambda text: "ended by budget.trials (8)" in text)
        assert screen.end() == 0
        assert "Ctrl-C" not in "\n".join(screen.lines)


def test_ctrl_c_leaves_the_view_and_the_run_alone(going: Going, tmp_path: Path) -> None:
    going.trials(0)
    with terminal("report", "a", "--watch", folder=tmp_path) as screen:
        screen.until(lambda text: "1/8 trials" in text)
        screen.press("\x03")
        assert screen.end() == 0
        assert "Traceback" not in "\n".join(screen.lines)
    going.trials(1)


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (20, 5), (200, 60)])
def test_any_terminal_is_enough(going: Going, tmp_path: Path, columns: int, rows: int) -> None:
    going.trials(*range(8))
    going.end(ended="trials")
    size = {"columns": columns, "rows": rows}
    with terminal("report", "a", "--watch", folder=tmp_path, **size) as screen:  # type: ignore[arg-type]
        assert screen.end() == 0
        assert "Traceback" not in "\n".join(screen.lines)


def test_a_terminal_without_blocks_gets_plain_letters(going: Going, tmp_path: Path) -> None:
    going.trials(*range(8))
    going.end(ended="trials")
    with terminal(
        "report", "a", "--watch", folder=tmp_path, PYTHONIOENCODING="ascii:backslashreplace"
    ) as screen:
        assert screen.end() == 0
        assert any("###" in line for line in screen.lines)
        assert all(map(str.isascii, screen.lines))


def watched(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpsearch", "report", "a", "--watch"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_pipe_gets_plain_lines_and_the_leaderboard_at_the_end(
    going: Going, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hpsearch", "report", "a", "--watch"]
    going.trials(0, 1)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("2/8 trials: best dev_error 0.25 (trial 1)")
        going.trials(*range(2, 8))
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("8/8 trials"):  # it may have looked in between
            lines.append(process.stdout.readline())
            assert lines[-1]
        going.end(ended="trials")
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "\x1b" not in rest
    assert "ended by budget.trials (8)" in rest
    assert rest.splitlines()[-1].split()[:3] == ["8", "0", "0.5000"]


def test_rows_that_watching_leaves_out_are_named_with_the_command_that_shows_them(
    going: Going, tmp_path: Path
) -> None:
    going.folder.write(CONFIG, TEXT.replace("trials: 8", "trials: 12"))
    going.trials(*range(12))
    going.end(ended="trials")
    lines, _ = on_screen(tmp_path, "report", "a", "--watch", TERM="dumb")
    assert "... and 2 more: hpsearch report a --all" in lines


def test_a_run_whose_process_is_gone_has_ended(going: Going, tmp_path: Path) -> None:
    going.trials(0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    going.end(pid=dead.pid)
    done = watched(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not finished: 1 of 8 trials so far" in done.stdout


def test_a_process_that_began_later_is_not_the_runs(going: Going, tmp_path: Path) -> None:
    going.trials(0)
    going.end(started="2001-01-01T00:00:00+00:00")
    assert watched(tmp_path).returncode == 0


def test_a_torn_last_line_is_read_once_it_is_whole(going: Going) -> None:
    from hpsearch.lines import encode

    going.trials(0, 1)
    line = encode(result(2))
    record = going.folder.path / RECORD
    with record.open("ab") as file:
        file.write(line[:40])
    first = going.folder.read_record()
    assert [each.trial for each in first.results] == [0, 1]
    assert first.torn == 40
    with record.open("ab") as file:
        file.write(line[40:])
    then = going.folder.read_record(since=first.whole)
    assert [each.trial for each in then.results] == [2]
    assert then.whole == record.stat().st_size
