"""What ends a search, and what a trial makes of it that runs just then."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import TINY, Command, drained, without_seconds
from hpsearch.child import run_trial
from hpsearch.config import load_config
from hpsearch.objectives import Context, Names, Objective
from hpsearch.standings import how_it_ended
from hpsearch.store import RunFolder

# The trial's own view: a deadline that has passed, and no clock to wait for.

CODE = """
from pathlib import Path

def plain(x):
    return {"loss": 0.5, "other": 1}

def epochs(x, trial_dir):
    try:
        for k in range(4):
            yield {"loss": 1 / (k + 1)}
    finally:
        (trial_dir / "closed").touch()

def late(x):
    yield {"other": 1.0}
    yield {"loss": float("nan")}
    yield {"loss": 0.25}
    yield {"loss": 0.125}

def iterator(x):
    return map(lambda k: 1 / (k + 1), range(4))

def unclean(x):
    try:
        yield 0.5
    finally:
        raise OSError("cannot be closed")
    yield 0.25
"""

PROGRAM = """
import json, os, subprocess, sys, time
from pathlib import Path
place, mode = Path(sys.argv[1]), sys.argv[2]
if mode == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode != "once":
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    (place / "processes").write_text(f"{os.getpid()} {helper.pid}")
    print(json.dumps({"loss": 1}), flush=True)
    print(json.dumps({"loss": 0.5}), flush=True)
    time.sleep(1000)
print(json.dumps({"loss": 0.25}), flush=True)
time.sleep(0.2)
(place / "saved").touch()
"""

HEAD = """
metric: {name: loss, goal: minimize}
parameters: {x: {min: 0.1, max: 1}}
"""

Late = Callable[..., "tuple[dict[str, Any], Path]"]


@pytest.fixture
def late(tmp_path: Path) -> Late:
    """Run one trial whose time is over before it begins; give its answer and its folder."""
    (tmp_path / "user.py").write_text(CODE)
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(objective: str, deadline: float | None = 0.0) -> tuple[dict[str, Any], Path]:
        (tmp_path / "late.yaml").write_text(f"objective: {{{objective}}}\n{HEAD}")
        built: Objective = load_config(tmp_path / "late.yaml").objective
        built.prepare(Names(("x",)))
        context = Context(
            number=0,
            seed=0,
            metric="loss",
            budget=built.epochs({"x": 0.5}),
            folder=tmp_path / "trial",
            deadline=None if deadline is None else time.monotonic() + deadline,
        )
        return run_trial(built, {"x": 0.5}, context), tmp_path / "trial"

    return run


@pytest.mark.parametrize(
    ("function", "curve", "message"),
    [
        ("epochs", [1.0], "ended by budget.time after 1 epoch"),
        ("epochs, epochs: 9", [1.0], "ended by budget.time after 1 of 9 epochs"),
        ("epochs, epochs: 1", [1.0, 0.5], "ended by budget.time after 2 epochs"),
        ("iterator", [1.0], "ended by budget.time after 1 epoch"),
        ("late", [None, 0.25], "ended by budget.time after 3 epochs"),
    ],
)
def test_a_function_that_yields_ends_at_its_next_epoch_with_a_score(
    late: Late, function: str, curve: list[float], message: str
) -> None:
    name, _, rest = function.partition(",")
    answer, _ = late(f'python: "user.py:{name}"{"," if rest else ""}{rest}')
    assert (answer["status"], answer["message"]) == ("complete", message)
    assert answer["curve"]["loss"] == curve
    assert answer["score"] == curve[-1]


def test_a_generator_is_closed_so_that_it_can_clean_up(late: Late) -> None:
    _, folder = late('python: "user.py:epochs"')
    assert (folder / "closed").exists()


def test_what_the_cleaning_up_raises_is_the_trials_failure(late: Late) -> None:
    answer, _ = late('python: "user.py:unclean"')
    assert answer["status"] == "failed"
    assert answer["message"].startswith("OSError: cannot be closed")


@pytest.mark.parametrize("rest", ["", ", epochs: 30"])
@pytest.mark.parametrize("deadline", [0.0, None])
def test_a_function_that_returns_finishes(late: Late, rest: str, deadline: float | None) -> None:
    answer, _ = late(f'python: "user.py:plain"{rest}', deadline)
    assert (answer["status"], answer["message"], answer["score"]) == ("complete", None, 0.5)
    assert answer["metrics"] == {"loss": 0.5, "other": 1}
    assert answer["curve"] == {"loss": [0.5], "other": [1]}


@pytest.mark.parametrize("deadline", [1000.0, None])
def test_a_deadline_that_has_not_come_changes_nothing(late: Late, deadline: float | None) -> None:
    answer, _ = late('python: "user.py:epochs"', deadline)
    assert (answer["message"], len(answer["curve"]["loss"])) == (None, 4)


@pytest.mark.parametrize("mode", ["kind", "stubborn"])
def test_a_program_that_reports_per_epoch_is_ended_with_all_that_it_started(
    late: Late, mode: str
) -> None:
    answer, folder = late(f'command: "python program.py {{trial_dir}} {mode}", epochs: 30')
    assert answer["status"] == "complete"
    assert answer["message"] == "ended by budget.time after 2 of 30 epochs"
    assert answer["curve"]["loss"] == [1, 0.5]
    assert answer["score"] == 0.5
    for number in map(int, (folder / "processes").read_text().split()):
        deadline = time.monotonic() + 30
        while not gone(number):
            assert time.monotonic() < deadline, "a process outlived its trial"
            time.sleep(0.01)


def gone(number: int) -> bool:
    """Tell whether a process has ended, though nobody may have asked how."""
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("rest", ["", ", epochs: 30"])
def test_a_program_that_reports_once_finishes_its_work(late: Late, rest: str) -> None:
    answer, folder = late(f'command: "python program.py {{trial_dir}} once"{rest}')
    assert (answer["status"], answer["message"], answer["score"]) == ("complete", None, 0.25)
    assert (folder / "saved").exists()


@pytest.mark.parametrize("folds", ["", ", folds: 3"])
def test_the_trainer_with_early_stopping_keeps_the_best_epoch_so_far(
    tmp_path: Path, folds: str
) -> None:
    (tmp_path / "stop.yaml").write_text(
        "objective: {trainer: mlp, epochs: 60, early_stopping: 50}\n"
        f"data: {{source: moons{folds}}}\nparameters: {{learning_rate: 0.5}}\n"
    )
    objective = load_config(tmp_path / "stop.yaml").objective
    context = Context(number=0, seed=3, metric="dev_error", budget=60, folder=tmp_path)
    whole, _ = drained(objective.evaluate({}, context))
    training = objective.evaluate({}, context)
    seen = [next(training) for _ in range(20)]
    assert seen == whole[:20]
    with pytest.raises(StopIteration) as end:
        training.send(True)
    kept = end.value.value
    if not folds:  # with folds each goes back to a best epoch of its own
        best = min(range(20), key=lambda k: (seen[k]["dev_error"], k))
        assert kept == {**seen[best], "best_epoch": best + 1}
    assert kept["dev_error"] <= min(epoch["dev_error"] for epoch in seen)
    assert 1 <= kept["best_epoch"] <= 20


@pytest.mark.parametrize("folds", ["", ", folds: 3"])
def test_the_trainer_without_early_stopping_keeps_the_last_epoch(
    tmp_path: Path, folds: str
) -> None:
    (tmp_path / "plain.yaml").write_text(
        "objective: {trainer: mlp, epochs: 9}\n"
        f"data: {{source: moons{folds}}}\nparameters: {{learning_rate: 0.5}}\n"
    )
    objective = load_config(tmp_path / "plain.yaml").objective
    context = Context(
        number=0, seed=3, metric="dev_error", budget=9, folder=tmp_path, deadline=time.monotonic()
    )
    answer = run_trial(objective, {}, context)
    assert answer["message"] == "ended by budget.time after 1 of 9 epochs"
    assert {name: [value] for name, value in answer["metrics"].items()} == answer["curve"]


# The real command. How many trials and epochs fit in the time is the machine's business.

SLOW = """
import time
from pathlib import Path

def train(x, trial_dir):
    try:
        for k in range(600):
            if Path("slow").exists():
                time.sleep(0.1)
            yield {"loss": x / (k + 1)}
    finally:
        (trial_dir / "closed").touch()

def plain(x, trial_dir):
    if Path("slow").exists():
        time.sleep(4)
    (trial_dir / "closed").touch()
    return x
"""

SLOW_PROGRAM = """
import json, sys, time
for k in range(600):
    time.sleep(0.1)
    print(json.dumps({"loss": float(sys.argv[1]) / (k + 1)}), flush=True)
"""

SLOW_PROGRAM_ONCE = """
import json, sys, time
time.sleep(4)
print(json.dumps({"loss": float(sys.argv[1])}))
"""

TIMED = {
    "trainer": "objective: {trainer: mlp, epochs: 100000}\ndata: {source: digits}\n"
    "parameters: {learning_rate: {scale: log, min: 1e-4, max: 1e-2}}\n",
    "generator": f"objective: {{python: 'slow.py:train', epochs: 600}}\n{HEAD}",
    "function": f"objective: {{python: 'slow.py:plain', epochs: 600}}\n{HEAD}",
    "program": f"objective: {{command: 'python slow_program.py {{x}}', epochs: 600}}\n{HEAD}",
    "program-once": f"objective: {{command: 'python once.py {{x}}', epochs: 600}}\n{HEAD}",
}
CUT_SHORT = {"trainer", "generator", "program"}


def write_timed(folder: Path, name: str, budget: str) -> str:
    (folder / "slow").touch()
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow_program.py").write_text(SLOW_PROGRAM)
    (folder / "once.py").write_text(SLOW_PROGRAM_ONCE)
    (folder / f"{name}.yaml").write_text(TIMED[name] + f"budget: {{{budget}}}\n")
    return f"{name}.yaml"


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", TIMED)
def test_time_ends_running_trials_at_their_next_epoch_and_the_record_says_so(
    command: Command, tmp_path: Path, name: str
) -> None:
    done = command("run", write_timed(tmp_path, name, "time: 3s"), "-j", 2)
    assert done.returncode == 0, done.stderr
    assert "ended by budget.time (3s)" in done.stderr
    folder = tmp_path / "runs" / name
    results = RunFolder(folder).results()
    assert {result.status for result in results} == {"complete"}
    assert "ended by budget.time (3s)" in (folder / "leaderboard.md").read_text()
    (session,) = json.loads((folder / "provenance.json").read_text())["sessions"]
    assert session["ended"] == "time"
    if name not in CUT_SHORT:
        assert [result.message for result in results] == [None] * len(results)
        assert "ended_early" not in table(folder)[0]
        return
    assert f"with {len(results)} trial" in done.stderr
    for result, row in zip(results, table(folder), strict=True):
        curve = next(iter(result.curve.values()))
        said = f"ended by budget.time after {len(curve)} of {result.budget} epochs"
        assert result.message == row["ended_early"] == said
        assert result.score == result.curve["dev_error" if name == "trainer" else "loss"][-1]
    assert results[0].message in (folder / "best.yaml").read_text() or len(results) > 1
    assert re.search(r"That trial ended by budget\.time", (folder / "best.yaml").read_text())


def test_more_time_goes_on_and_the_trials_that_were_cut_short_stay(
    command: Command, tmp_path: Path
) -> None:
    config = write_timed(tmp_path, "generator", "time: 3s")
    assert command("run", config, "-q", "-j", 2).returncode == 0
    folder = tmp_path / "runs/generator"
    before = (folder / "trials.jsonl").read_bytes()
    first = table(folder)
    again = command("run", config)
    assert "complete already" in again.stderr
    assert "ended by budget.time (3s)" in again.stderr
    assert (folder / "trials.jsonl").read_bytes() == before

    write_timed(tmp_path, "generator", f"time: 1h, trials: {len(first) + 3}")
    (tmp_path / "slow").unlink()
    more = command("run", config, "-j", 2)
    assert more.returncode == 0, more.stderr
    assert (folder / "trials.jsonl").read_bytes().startswith(before)
    rows = table(folder)
    assert rows[: len(first)] == first
    assert [row["ended_early"] for row in rows[len(first) :]] == [""] * 3
    board = (folder / "leaderboard.md").read_text()
    assert f"ended by budget.trials ({len(rows)}), with {len(first)} trial" in board
    sessions = json.loads((folder / "provenance.json").read_text())["sessions"]
    assert [session["ended"] for session in sessions] == ["time", "trials"]


def test_time_that_is_not_over_changes_no_byte(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    (tmp_path / "timed.yaml").write_text(TINY.replace("trials: 6", "trials: 6, time: 1h"))
    assert command("run", "timed.yaml", "-q").returncode == 0
    tables = [without_seconds(tmp_path / f"runs/{name}/trials.csv") for name in ("tiny", "timed")]
    assert tables[0] == tables[1]
    assert "ended_early" not in tables[0]


# The report names what ended the run

COUNTING = f"objective: {{python: 'user.py:score'}}\n{HEAD}"


@pytest.mark.parametrize(
    ("budget", "code", "words"),
    [
        ("trials: 3", "return x", "ended by budget.trials (3)"),
        ("patience: 2", "return 0.5", "ended by budget.patience (2 trials without a gain)"),
        ("failures: 2", "raise ValueError('no')", "ended by budget.failures (2 in a row)"),
    ],
)
@pytest.mark.parametrize("jobs", [1, 4])
def test_the_leaderboard_names_the_limit_that_ended_the_run(
    command: Command, tmp_path: Path, budget: str, code: str, words: str, jobs: int
) -> None:
    (tmp_path / "user.py").write_text(f"def score(x):\n    {code}\n")
    (tmp_path / "named.yaml").write_text(f"{COUNTING}budget: {{{budget}}}\n")
    command("run", "named.yaml", "-q", "-j", jobs)
    assert f"; {words}.\n" in (tmp_path / "runs/named/leaderboard.md").read_text()


def test_a_run_that_goes_on_or_was_stopped_is_not_finished(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    folder = RunFolder(tmp_path / "runs/tiny")
    config = load_config(tmp_path / "tiny.yaml")
    assert how_it_ended(config, folder, folder.results()) == "ended by budget.trials (6)"
    said = how_it_ended(config, folder, folder.results()[:4])
    assert said == "not finished: 4 of 6 trials so far"
    (tmp_path / "open.yaml").write_text(TINY.replace("trials: 6", "time: 1h"))
    unlimited = load_config(tmp_path / "open.yaml")
    assert how_it_ended(unlimited, folder, folder.results()[:1]) == "not finished: 1 trial so far"


# An objective that is broken


def test_a_run_that_ended_by_failures_says_so_again_and_how_to_go_on(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "user.py").write_text("def score(x):\n    raise ValueError('no such file')\n")
    config = f"{COUNTING}budget: {{trials: 300, failures: 3}}\n"
    (tmp_path / "broken.yaml").write_text(config)
    broken = command("run", "broken.yaml", "-j", 4)
    assert broken.returncode == 1
    record = (tmp_path / "runs/broken/trials.jsonl").read_bytes()
    (tmp_path / "user.py").write_text("def score(x):\n    return x\n")
    again = command("resume", "broken", "-j", 4)
    assert again.returncode == 1
    assert "The run was over already" in again.stderr
    assert "ended by budget.failures (3 in a row)" in again.stderr
    assert (tmp_path / "runs/broken/trials.jsonl").read_bytes() == record
    for done in (broken, again):
        assert "3 trials in a row failed. The first, trial 0:\nValueError: no such file" in (
            done.stderr
        )
        assert "begin anew with --name" in done.stderr

    found = re.search(r"go on after them with budget\.failures above (\d+)", again.stderr)
    assert found
    assert int(found[1]) == record.count(b"\n") < 299
    more = config.replace("failures: 3", f"failures: {int(found[1]) + 1}")
    (tmp_path / "broken.yaml").write_text(more)
    mended = command("run", "broken.yaml", "-j", 4)
    assert mended.returncode == 0, mended.stderr
    statuses = [row["status"] for row in table(tmp_path / "runs/broken")]
    lost = record.count(b"\n")
    assert statuses == ["failed"] * lost + ["complete"] * (300 - lost)


def test_the_first_failure_is_shown_to_the_quiet_too(command: Command, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text("def score(x):\n    raise ValueError('no such file')\n")
    (tmp_path / "broken.yaml").write_text(f"{COUNTING}budget: {{failures: 2}}\n")
    done = command("run", "broken.yaml", "-q", "-j", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "2 trials in a row failed. The first, trial 0:\nValueError: no such file" in done.stderr
