"""`hpsearch run` as a user meets it: the real command in an empty folder."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, TINY, Command, without_seconds
from hpsearch.config import load_config
from hpsearch.loop import history_of, suggest
from hpsearch.runs import load_run
from hpsearch.seeds import trial_seed
from hpsearch.store import RunFolder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_folder_that_tells_everything(command: Command, tmp_path: Path) -> None:
    done = command("run", "tiny.yaml", "-j", "2")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "tiny"
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "trials.jsonl",
        "trials.csv",
        "leaderboard.md",
        "best.yaml",
        "provenance.json",
        "outline.json",
    }
    assert (folder / "config.yaml").read_bytes() == (tmp_path / "tiny.yaml").read_bytes()
    table = rows(folder)
    assert [row["trial"] for row in table] == [str(number) for number in range(6)]
    assert list(table[0])[:3] == ["trial", "status", "score"]
    assert list(table[0])[-1] == "seconds"
    assert {"train_loss", "train_error", "dev_loss", "dev_error"} <= set(table[0])
    provenance = json.loads((folder / "provenance.json").read_text())
    (session,) = provenance["sessions"]
    assert {"command", "versions", "host", "cores", "git"} <= set(session)
    assert len(provenance["sources"]["digits"]) == len(provenance["config"]["sha256"]) == 64


def test_the_leaderboard_goes_to_stdout_and_the_rest_to_stderr(command: Command) -> None:
    done = command("run", "tiny.yaml")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["rank", "trial", "score"]
    assert "\x1b" not in done.stdout + done.stderr
    assert "6/6 trials" in done.stderr
    assert "Wrote runs/tiny/" in done.stderr
    assert "hpsearch refine tiny" in done.stderr


def test_quiet_says_nothing(command: Command) -> None:
    done = command("run", "tiny.yaml", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_record_has_the_curve_of_each_metric(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    for result in RunFolder(tmp_path / "runs" / "tiny").results():
        assert result.budget == 2
        for name in ("train_loss", "train_error", "dev_loss", "dev_error"):
            assert len(result.curve[name]) == 2
            assert result.curve[name][-1] == result.metrics[name]
        assert result.score == result.metrics["dev_error"]


def test_a_trial_depends_on_the_seed_and_its_number_alone(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    config = load_config(tmp_path / "tiny.yaml")
    for result in RunFolder(tmp_path / "runs" / "tiny").results():
        trial = suggest(config, history_of(config), result.trial)
        assert trial is not None
        assert trial.params == result.params
        assert result.seed == trial_seed(0, result.trial)


def test_the_same_command_again_says_that_it_is_complete(command: Command, tmp_path: Path) -> None:
    command("run", "tiny.yaml")
    before = (tmp_path / "runs/tiny/trials.jsonl").read_bytes()
    again = command("run", "tiny.yaml")
    assert again.returncode == 0
    assert "complete already: 6 trials" in again.stderr
    assert (tmp_path / "runs/tiny/trials.jsonl").read_bytes() == before


def test_more_trials_extend_a_run_and_the_first_stay(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    folder = tmp_path / "runs" / "tiny"
    before = (folder / "trials.jsonl").read_bytes()
    (tmp_path / "tiny.yaml").write_text(TINY.replace("trials: 6", "trials: 9"))
    assert command("run", "tiny.yaml", "-q").returncode == 0
    assert (folder / "trials.jsonl").read_bytes().startswith(before)
    assert len(rows(folder)) == 9
    (tmp_path / "tiny.yaml").write_text(TINY.replace("trials: 6", "trials: 9"))
    assert command("run", "tiny.yaml", "-q", "-n", "whole").returncode == 0
    whole = without_seconds(tmp_path / "runs/whole/trials.csv")
    assert without_seconds(folder / "trials.csv") == whole


def test_a_different_config_of_the_same_name_is_refused_with_the_way_out(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    folder = tmp_path / "runs" / "tiny"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "tiny.yaml").write_text(TINY.replace("max: 1e-1", "max: 1"))
    refused = command("run", "tiny.yaml")
    assert refused.returncode == 2
    assert "parameters.learning_rate.max: 0.1 -> 1.0" in refused.stderr
    assert "--name" in refused.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_comments_and_jobs_do_not_make_a_config_different(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.replace("jobs: 1}", "jobs: 2}  # a comment"))
    assert command("run", "tiny.yaml", "-q").returncode == 0


def test_data_that_changed_are_noticed(command: Command, tmp_path: Path) -> None:
    shutil.copy(ROOT / "configs/wine.csv", tmp_path)
    config = (ROOT / "configs/csv.yaml").read_text().replace("trials: 12", "trials: 2")
    (tmp_path / "csv.yaml").write_text(config)
    assert command("run", "csv.yaml", "-q").returncode == 0
    lines = (tmp_path / "wine.csv").read_text().splitlines()
    (tmp_path / "wine.csv").write_text("\n".join(lines[:-1]) + "\n")
    changed = command("run", "csv.yaml")
    assert changed.returncode == 2
    assert "the data file has changed" in changed.stderr


def test_the_best_config_reproduces_the_best_trial_to_the_last_bit(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    results = RunFolder(tmp_path / "runs/tiny").results()
    best = min(results, key=lambda result: (result.score, result.trial))
    assert command("run", "runs/tiny/best.yaml", "-q").returncode == 0
    (again,) = RunFolder(tmp_path / "runs/tiny-best").results()
    assert again.metrics == best.metrics
    assert again.curve == best.curve


def test_a_run_goes_on_from_its_own_config(command: Command, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    command("run", "configs/csv.yaml", "-q")
    folder = tmp_path / "runs/csv"
    before = (folder / "trials.csv").read_text()
    record = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "trials.jsonl").write_bytes(b"".join(record[:5]))
    assert command("run", "runs/csv/config.yaml", "-q").returncode == 0
    assert len(before.splitlines()) == 13
    assert without_seconds(folder / "trials.csv").splitlines()[1].startswith("0,complete")
    assert len(RunFolder(folder).results()) == 12


def test_a_torn_record_is_healed_with_a_word(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    folder = tmp_path / "runs" / "tiny"
    table = without_seconds(folder / "trials.csv")
    record = folder / "trials.jsonl"
    record.write_bytes(record.read_bytes()[:-9])
    healed = command("run", "tiny.yaml")
    assert healed.returncode == 0
    assert "torn" in healed.stderr
    assert without_seconds(folder / "trials.csv") == table


def test_a_damaged_record_is_exit_code_3_with_its_line(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    record = tmp_path / "runs/tiny/trials.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([lines[0], lines[1].replace(b"complete", b"failed"), *lines[2:]]))
    for arguments in (("run", "tiny.yaml"), ("report", "tiny")):
        refused = command(*arguments)
        assert refused.returncode == 3
        assert "trials.jsonl:2:" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_smaller_budget_says_that_more_trials_are_in_the_record(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY.replace("trials: 6", "trials: 4"))
    fewer = command("run", "tiny.yaml")
    assert fewer.returncode == 0
    assert "The record has 2 trials more" in fewer.stderr
    assert len(rows(tmp_path / "runs/tiny")) == 4


def test_a_config_without_a_run_folder_of_its_own_is_found_from_inside_it(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "hpsearch", "run", "config.yaml"],
        cwd=tmp_path / "runs/tiny",
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert "complete already: 6 trials" in again.stderr
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tiny"}


def test_more_jobs_than_trials_are_no_problem(command: Command, tmp_path: Path) -> None:
    assert command("run", "tiny.yaml", "-q", "-j", "10000").returncode == 0
    assert len(rows(tmp_path / "runs/tiny")) == 6


def test_best_says_when_the_data_changed_since(command: Command, tmp_path: Path) -> None:
    shutil.copy(ROOT / "configs/wine.csv", tmp_path)
    config = (ROOT / "configs/csv.yaml").read_text().replace("trials: 12", "trials: 2")
    (tmp_path / "csv.yaml").write_text(config)
    command("run", "csv.yaml", "-q")
    lines = (tmp_path / "wine.csv").read_text().splitlines()
    (tmp_path / "wine.csv").write_text("\n".join(lines[:-5]) + "\n")
    changed = command("run", "runs/csv/best.yaml")
    assert changed.returncode == 0
    assert "wine.csv has changed since the run csv" in changed.stderr


def test_a_search_under_nohup_survives_the_hangup(command: Command, tmp_path: Path) -> None:
    command("--version")  # writes tiny.yaml
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'hpsearch', 'run', 'tiny.yaml', '-q'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    record = tmp_path / "runs/tiny/trials.jsonl"
    while process.poll() is None and not (record.exists() and record.stat().st_size):
        time.sleep(0.005)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    assert len(rows(tmp_path / "runs/tiny")) == 6


def test_ctrl_c_while_the_users_code_is_imported_is_130_and_writes_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(60)\n"
        "def score(x):\n    return x\n"
    )
    (tmp_path / "slow.yaml").write_text(
        "objective: {python: 'slow.py:score'}\nmetric: {name: score, goal: minimize}\n"
        "parameters: {x: {min: 0, max: 1}}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", "slow.yaml"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (tmp_path / "importing").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert not (tmp_path / "runs").exists()


DIVERGING = """
objective: {trainer: mlp, epochs: 3, optimizer: gradient_descent, batch_norm: false}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e10, max: 1e30}
budget: {trials: 3}
"""


def test_divergence_is_a_result_and_nothing_on_the_terminal_warns(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "wild.yaml").write_text(DIVERGING)
    done = command("run", "wild.yaml")
    assert done.returncode == 1
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "smaller learning_rate" in done.stderr
    results = RunFolder(tmp_path / "runs/wild").results()
    assert [result.status for result in results] == ["diverged"] * 3
    assert [result.score for result in results] == [None] * 3
    assert not (tmp_path / "runs/wild/best.yaml").exists()


def test_diverged_trials_rank_last(command: Command, tmp_path: Path) -> None:
    mixed = DIVERGING.replace("min: 1e10", "min: 1e-2").replace("trials: 3", "trials: 8")
    (tmp_path / "mixed.yaml").write_text(mixed)
    done = command("run", "mixed.yaml")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.partition("----")[2].splitlines()[1:]
    statuses = [line.split()[-2] for line in rows if line.strip()]
    assert set(statuses) == {"complete", "diverged"}
    assert statuses == sorted(statuses)


def test_the_time_budget_ends_a_search_that_has_no_number_of_trials(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "timed.yaml").write_text(TINY.replace("trials: 6", "time: 2s"))
    done = command("run", "timed.yaml")
    assert done.returncode == 0, done.stderr
    assert "budget.time" in done.stderr
    count = len(rows(tmp_path / "runs/timed"))
    assert count > 0
    assert command("run", "timed.yaml").returncode == 0
    assert len(rows(tmp_path / "runs/timed")) == count


def test_patience_ends_a_search_at_the_same_trial_for_any_number_of_jobs(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "patient.yaml").write_text(TINY.replace("trials: 6", "patience: 4"))
    tables = []
    for jobs in (1, 3):
        done = command("run", "patient.yaml", "-j", jobs, "-n", f"p{jobs}")
        assert "budget.patience" in done.stderr
        tables.append(without_seconds(tmp_path / f"runs/p{jobs}/trials.csv"))
    assert tables[0] == tables[1]


def test_maximizing_accuracy_is_minimizing_error(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    (tmp_path / "accuracy.yaml").write_text("metric: dev_accuracy\n" + TINY)
    command("run", "accuracy.yaml", "-q")
    boards = [
        command("report", name, "-f", "csv", "-a").stdout.splitlines()
        for name in ("tiny", "accuracy")
    ]
    order = [[line.split(",")[1] for line in board[1:]] for board in boards]
    assert order[0] == order[1]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "configs").glob("*.yaml")))
def test_every_shipped_config_opens_with_three_lines_and_runs(
    command: Command, tmp_path: Path, name: str
) -> None:
    text = (ROOT / "configs" / name).read_text()
    opening = text.splitlines()[:4]
    assert [line.startswith("# ") for line in opening] == [True, True, True, False]
    assert f"hpsearch run configs/{name}" in opening[2]
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    done = command("run", f"configs/{name}")
    assert done.returncode == 0, done.stderr
    config = load_run(RunFolder(tmp_path / "runs" / Path(name).stem))
    trials = len(rows(tmp_path / "runs" / Path(name).stem))
    assert trials == config.limit or (config.limit is None and trials >= 10)


def test_the_main_job_reaches_97_percent(command: Command, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    assert command("run", "configs/digits.yaml", "-q").returncode == 0
    assert min(float(row["dev_error"]) for row in rows(tmp_path / "runs/digits")) <= 0.03


def test_a_folder_that_cannot_be_written_is_exit_code_3(command: Command, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    refused = command("run", "tiny.yaml")
    assert refused.returncode in (2, 3)
    assert "Traceback" not in refused.stderr
    assert "runs" in refused.stderr


def test_the_run_completes_without_home_locale_temporary_folder_and_terminal(
    command: Command, tmp_path: Path
) -> None:
    nowhere = "/nonexistent"
    done = command("run", "tiny.yaml", LC_ALL="C", HOME=nowhere, TMPDIR=nowhere, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "runs/tiny")) == 6


def test_a_clock_that_jumps_back_changes_nothing(command: Command, tmp_path: Path) -> None:
    command("run", "tiny.yaml", "-q", "-n", "steady")
    record = tmp_path / "runs/tiny/trials.jsonl"
    code = """
import datetime, sys
import hpsearch.provenance, hpsearch.supervisor
from hpsearch.__main__ import main

class Jumping(datetime.datetime):
    hours = 0

    @classmethod
    def now(cls, zone=None):
        cls.hours += 1
        return datetime.datetime.now(zone) - datetime.timedelta(hours=cls.hours)

hpsearch.provenance.datetime = hpsearch.supervisor.datetime = Jumping
sys.argv = ["hpsearch", "run", "tiny.yaml", "-q"]
main()
"""
    for kept in (0, 3):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
        assert done.returncode == 0
        table = without_seconds(tmp_path / "runs/tiny/trials.csv")
        assert table == without_seconds(tmp_path / "runs/steady/trials.csv")
        lines = record.read_bytes().splitlines(keepends=True)
        record.write_bytes(b"".join(lines[:3]) if not kept else b"".join(lines))


def test_the_run_completes_with_closed_streams(command: Command, tmp_path: Path) -> None:
    command("--version")  # writes tiny.yaml
    closed = f"{sys.executable} -m hpsearch run tiny.yaml <&- >&- 2>&-"
    assert subprocess.run(closed, shell=True, cwd=tmp_path, check=False).returncode == 0
    assert len(rows(tmp_path / "runs/tiny")) == 6
    assert len(RunFolder(tmp_path / "runs/tiny").results()) == 6


def test_a_module_in_the_users_folder_does_not_shadow_the_standard_library(
    command: Command, tmp_path: Path
) -> None:
    command("--version")  # writes tiny.yaml
    (tmp_path / "queue.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    program = Path(sys.executable).with_name("hpsearch")
    if not program.exists():
        pytest.skip("hpsearch is not installed as a program")
    done = subprocess.run([program, "run", "tiny.yaml", "-q"], cwd=tmp_path, check=False)
    assert done.returncode == 0
