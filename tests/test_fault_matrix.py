"""Whatever the user's own code does costs one row: every fault with the real command."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import Command, without_seconds
from hpsearch.store import RunFolder
from hpsearch.trial import Result

# Trials 1 and 3 do what the fault says; 0, 2 and 4 are healthy.
CODE = """
import os, signal, sys, time


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__("two arguments")
        self.handle = open(os.devnull)


def score(kind, trial_dir):
    if kind == "healthy":
        return 0.5
{fault}
"""

CONFIG = """
objective: {python: "user.py:score"}
metric: {name: score, goal: minimize}
parameters: {kind: {values: [healthy, faulty]}}
seed: 3
budget: {trials: 5}
"""


@pytest.fixture
def faulty(command: Command, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run a search in which some trials do `fault`; give their results and the command's."""

    def run(fault: str, more: str = "", jobs: int = 1) -> tuple[list[Result], str]:
        code = CODE.replace("{fault}", textwrap.indent(textwrap.dedent(fault), "    "))
        (tmp_path / "user.py").write_text(code)
        (tmp_path / "faults.yaml").write_text(CONFIG + more)
        done = command("run", "faults.yaml", "-j", jobs)
        assert done.returncode == 0, done.stderr
        results = RunFolder(tmp_path / "runs/faults").results()
        assert len(results) == 5
        healthy = [result for result in results if result.params["kind"] == "healthy"]
        assert [result.score for result in healthy] == [0.5] * len(healthy)
        assert [result.trial for result in healthy] == [0, 2, 4]
        lost = [result for result in results if result.params["kind"] == "faulty"]
        return lost, done.stderr

    return run


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise ValueError('no such kernel')", ["ValueError: no such kernel", "user.py", "raise"]),
        ("raise Unpicklable(1, 2)", ["Unpicklable: two arguments"]),
        ("sys.exit(0)", ["SystemExit: 0"]),
        ("raise KeyboardInterrupt", ["KeyboardInterrupt"]),
        ("return float('nan')", ["'score' is not finite", "expected a finite number"]),
        ("return 'abc'", ["'abc'", "expected a number"]),
        ("return None", ["None", "expected a number"]),
        ("return {'accuracy': 1}", ["did not report 'score'", "it reported: accuracy"]),
        ("return lambda: 1", ["function", "expected a number"]),
    ],
)
def test_what_a_trial_raises_or_returns_is_a_failed_row(faulty, fault, words) -> None:  # type: ignore[no-untyped-def]
    lost, _ = faulty(fault)
    for result in lost:
        assert result.status == "failed"
        assert result.attempts == 1
        for word in words:
            assert word in result.message


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.kill(os.getpid(), 37)", "signal 37"),
    ],
)
def test_a_trial_whose_process_ends_is_crashed_after_its_retry(faulty, fault, words) -> None:  # type: ignore[no-untyped-def]
    lost, _ = faulty(fault, jobs=2)
    for result in lost:
        assert result.status == "crashed"
        assert result.attempts == 2
        assert words in result.message


def test_retries_are_as_many_as_the_config_says(faulty, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fault = """
        with open(os.path.join(os.path.dirname(__file__), "attempts"), "a") as file:
            file.write("x")
        os._exit(1)
    """
    lost, _ = faulty(fault, "trial: {retries: 0}\n")
    assert [result.attempts for result in lost] == [1] * len(lost)
    assert len((tmp_path / "attempts").read_text()) == len(lost)


HANGS = {
    "sleeps": "time.sleep(1000)",
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)",
    "is busy": "while True: pass",
}


@pytest.mark.parametrize("fault", HANGS.values(), ids=HANGS)
def test_a_trial_that_hangs_is_ended_and_a_timeout(faulty, fault: str) -> None:  # type: ignore[no-untyped-def]
    lost, _ = faulty(fault, "trial: {timeout: 1s}\n", jobs=2)
    assert {result.status for result in lost} == {"timeout"}
    assert "not finished within 1 s" in (lost[0].message or "")


def test_what_a_hanging_trial_started_is_ended_with_it(faulty, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fault = f"""
        import subprocess
        child = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(1000)"])
        trial_dir.joinpath("child").write_text(str(child.pid))
        time.sleep(1000)
    """
    lost, _ = faulty(fault, "trial: {timeout: 2s}\n", jobs=2)
    for result in lost:
        folder = RunFolder(tmp_path / "runs/faults").trial_folder(result.trial)
        number = int((folder / "child").read_text())
        deadline = time.monotonic() + 60
        while Path(f"/proc/{number}").exists() and "\nState:\tZ" not in status(number):
            assert time.monotonic() < deadline, "the trial's own child outlived it"
            time.sleep(0.05)


def status(number: int) -> str:
    try:
        return "\n" + Path(f"/proc/{number}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ"


def test_a_trial_that_needs_too_much_memory_is_crashed_and_says_memory(faulty) -> None:  # type: ignore[no-untyped-def]
    fault = """
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20)) * 16)
            time.sleep(0.002)
    """
    lost, _ = faulty(fault, "trial: {memory: 400M, retries: 0}\n")
    for result in lost:
        assert result.status == "crashed"
        assert "out of memory" in result.message
        assert "trial.memory is 400 MiB" in result.message


def test_megabytes_of_output_are_kept_in_bounds_and_disturb_nobody(  # type: ignore[no-untyped-def]
    faulty, tmp_path: Path
) -> None:
    lost, stderr = faulty("print('begin')\nprint('x' * 20_000_000)\nprint('end')\nreturn 1.0")
    assert {result.status for result in lost} == {"complete"}
    log = RunFolder(tmp_path / "runs/faults").trial_folder(lost[0].trial) / "log.txt"
    text = log.read_text()
    assert text.startswith("begin\nxxx")
    assert text.endswith("xxx\nend\n")
    assert len(text) < 1 << 20
    assert "xxx" not in stderr


def test_the_last_lines_printed_are_in_the_message_of_a_failed_trial(faulty) -> None:  # type: ignore[no-untyped-def]
    lost, _ = faulty("print('epoch 3: loss 17')\nraise ValueError('bad')")
    assert "epoch 3: loss 17" in lost[0].message


SIDE_EFFECTS = {
    "changes the folder": "os.chdir('/')",
    "closes its output": "sys.stdout.close(); os.close(2)",
    "takes its output away": "sys.stdout = sys.stderr = None",
    "changes the environment": "os.environ['PYTHONHASHSEED'] = 'x'; os.environ.pop('PATH', None)",
    "seeds NumPy": "numpy.random.seed(0)",
    "forks": "os.fork()",
    "closes its streams": "sys.stdout.close(); sys.stderr.close()",
    "reads its input": "assert sys.stdin.read() == ''",
    "writes to every descriptor": """
for number in range(3, 30):
    try:
        os.write(number, b'')
    except OSError:
        pass""",
}


@pytest.mark.parametrize("effect", SIDE_EFFECTS.values(), ids=SIDE_EFFECTS)
def test_what_a_trial_does_to_its_process_does_not_change_the_others(  # type: ignore[no-untyped-def]
    command: Command, tmp_path: Path, effect: str
) -> None:
    code = """
import os, random, sys
import numpy

FOLDER, PATH = os.getcwd(), os.environ.get("PATH")

def score(kind):
    assert os.getcwd() == FOLDER
    assert os.environ.get("PATH") == PATH
    print(kind, flush=True)
    os.write(2, b"heard\\n")
    drawn = random.random() + numpy.random.random()
    if kind == "faulty":
        EFFECT
    return drawn
"""
    (tmp_path / "user.py").write_text(code.replace("EFFECT", effect.replace("\n", "\n        ")))
    (tmp_path / "faults.yaml").write_text(CONFIG)
    done = command("run", "faults.yaml", "-q", "-j", 1)  # all in one process
    assert done.returncode == 0, done.stderr
    results = RunFolder(tmp_path / "runs/faults").results()
    assert [result.status for result in results] == ["complete"] * 5
    for result in results:
        alone = random.Random(result.seed).random(), np.random.RandomState(result.seed).random()
        assert result.score == sum(alone)
        log = (tmp_path / f"runs/faults/trials/{result.trial:04d}/log.txt").read_text()
        assert log.split()[1:] == ["heard"]


def test_patience_and_failures_end_a_search_whose_trials_crash(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "user.py").write_text("import os\ndef score(kind):\n    os._exit(1)\n")
    config = CONFIG.replace("trials: 5", "trials: 500, failures: 4")
    (tmp_path / "faults.yaml").write_text(config)
    done = command("run", "faults.yaml", "-j", "2")
    assert done.returncode == 1
    assert "4 trials in a row failed" in done.stderr
    assert "exit code 1" in done.stderr
    assert len(RunFolder(tmp_path / "runs/faults").results()) < 12


def test_a_full_disk_is_exit_code_3_and_the_same_command_completes_the_run(
    command: Command, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (small / "ballast").write_bytes(bytes(40_000))
        full = command("run", "tiny.yaml", "--runs-dir", small)
        assert full.returncode == 3
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        announced = len(RunFolder(small / "tiny").results())
        (small / "ballast").unlink()
        again = command("run", "tiny.yaml", "--runs-dir", small)
        assert again.returncode == 0, again.stderr
        results = RunFolder(small / "tiny").results()
        assert len(results) == 6 >= announced
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_log_that_finds_the_disk_full_is_exit_code_3(command: Command, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    options = ["-t", "tmpfs", "-o", "size=200k", "tmpfs", small]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (tmp_path / "user.py").write_text(
            "def score(kind):\n    print('x' * 150_000)\n    return 0.5\n"
        )
        (tmp_path / "faults.yaml").write_text(CONFIG)
        full = command("run", "faults.yaml", "--runs-dir", small)
        assert full.returncode == 3
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        assert len(RunFolder(small / "faults").results()) < 5
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        assert command("run", "faults.yaml", "--runs-dir", small, "-q").returncode == 0
        assert len(RunFolder(small / "faults").results()) == 5
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_run_folder_that_disappears_is_exit_code_3(command: Command, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "import shutil\ndef score(kind, seed):\n    shutil.rmtree('runs')\n    return 1.0\n"
    )
    (tmp_path / "faults.yaml").write_text(CONFIG.replace("trials: 5", "trials: 1"))
    done = command("run", "faults.yaml")
    assert done.returncode == 3
    assert "runs/faults" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_read_only_is_exit_code_3_with_its_path(
    command: Command, tmp_path: Path
) -> None:
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    options = ["-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", fixed]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting a read-only disk needs root")
    try:
        done = command("run", "tiny.yaml", "--runs-dir", fixed)
        assert done.returncode == 3
        assert f"{fixed}/tiny" in done.stderr
        assert "Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", fixed], check=True)


@pytest.mark.parametrize("arguments", [("run", "tiny.yaml"), ("--help",), ("--version",)])
def test_output_that_cannot_be_written_is_no_traceback(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command("--version")  # writes tiny.yaml
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hpsearch", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    if arguments[0] == "run":
        assert len(RunFolder(tmp_path / "runs/tiny").results()) == 6
        assert (tmp_path / "runs/tiny/trials.csv").exists()


def test_a_log_that_is_full_stops_no_search(command: Command, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command("--version")  # writes tiny.yaml
    with open("/dev/full", "w") as full:
        subprocess.run(
            [sys.executable, "-m", "hpsearch", "run", "tiny.yaml"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=full,
            check=False,
        )
    assert (tmp_path / "runs/tiny/best.yaml").exists()


def test_a_second_ctrl_c_ends_at_once_and_loses_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "import signal, time\n"
        "def score(kind):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    time.sleep(0.2)\n"
        "    return 0.5\n"
    )
    (tmp_path / "faults.yaml").write_text(CONFIG.replace("trials: 5", "trials: 8"))
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", "faults.yaml", "-q"], cwd=tmp_path
    )
    record = tmp_path / "runs/faults/trials.jsonl"
    while not (record.exists() and record.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    done = len(RunFolder(tmp_path / "runs/faults").results())
    assert done >= 1
    assert command("run", "faults.yaml", "-q").returncode == 0
    assert len(RunFolder(tmp_path / "runs/faults").results()) == 8


@pytest.mark.parametrize(
    "content",
    ['{"config": 5}', '{"config": {"folder": 5}}', "[1]", "not json", "", '{"sessions": [3]}'],
)
def test_a_damaged_provenance_is_a_sentence(
    answer: Command, tmp_path: Path, content: str, tiny_run: Path
) -> None:
    (tmp_path / "runs/tiny/provenance.json").write_text(content)
    assert answer("report", "tiny").returncode == 0
    ways = [("run", "tiny.yaml"), ("run", "runs/tiny/config.yaml"), ("resume", "tiny")]
    for arguments in ways if content == "not json" else ways[:1]:
        refused = answer(*arguments)
        assert refused.returncode == 3
        assert "provenance.json" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_config_edited_inside_its_run_is_refused(
    answer: Command, tmp_path: Path, tiny_run: Path
) -> None:
    config = tmp_path / "runs/tiny/config.yaml"
    config.write_text(config.read_text().replace("hidden_units", "batch_size"))
    for name in ("report", "refine", "resume"):
        refused = answer(name, "tiny")
        assert refused.returncode == 2
        assert "changed after its trials ran" in refused.stderr


def test_the_record_of_another_run_is_refused(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    (tmp_path / "other.yaml").write_text("seed: 5\n" + (tmp_path / "tiny.yaml").read_text())
    command("run", "other.yaml", "-q")
    stranger = (tmp_path / "runs/other/trials.jsonl").read_bytes()
    (tmp_path / "runs/tiny/trials.jsonl").write_bytes(stranger)
    refused = command("run", "tiny.yaml")
    assert refused.returncode == 3
    assert "belongs to another config" in refused.stderr


def test_a_search_with_patience_ends_although_a_worker_is_killed(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "user.py").write_text(
        "import os, time\n"
        "def score(kind, trial_dir):\n"
        "    if trial_dir.name == '0001' and not (trial_dir / 'once').exists():\n"
        "        (trial_dir / 'once').touch()\n"
        "        os._exit(1)\n"
        "    time.sleep(0.05)\n"
        "    return 0.5\n"
    )
    (tmp_path / "faults.yaml").write_text(CONFIG.replace("trials: 5", "patience: 5"))
    done = command("run", "faults.yaml", "-j", "2")
    assert done.returncode == 0, done.stderr
    results = RunFolder(tmp_path / "runs/faults").results()
    assert results[1].attempts == 2
    assert len(results) < 100


def test_a_run_can_be_gone_on_with_by_name(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    record = tmp_path / "runs/tiny/trials.jsonl"
    table = without_seconds(tmp_path / "runs/tiny/trials.csv")
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:2]))
    (tmp_path / "tiny.yaml").unlink()
    done = command("resume", "tiny")
    assert done.returncode == 0, done.stderr
    assert without_seconds(tmp_path / "runs/tiny/trials.csv") == table
    assert command("resume", "tinny").returncode == 2


def test_the_record_of_a_failure_is_whole_json(faulty, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    faulty("raise ValueError('\\udcff \\x00 \\n')")
    for line in (tmp_path / "runs/faults/trials.jsonl").read_bytes().splitlines():
        json.loads(line)
    assert os.listdir(tmp_path / "runs/faults/").count("trials.jsonl") == 1
