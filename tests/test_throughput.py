"""Short trials: several are given to a child at once and synced together, and none is lost."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import without_seconds
from hpsearch import store
from hpsearch.config import Config, load_config
from hpsearch.errors import MachineError
from hpsearch.loop import search, supervise
from hpsearch.recorder import Recorder
from hpsearch.runner import BATCH, MOST, Pace, Work, run_trials, shared
from hpsearch.store import RECORD, RunFolder
from hpsearch.supervisor import Halt, Supervisor
from hpsearch.trial import Result, Trial, numbers_text

CODE = """
import os, signal, sys, time
from pathlib import Path

def note(x):
    with open({place!r}, "a") as file:
        file.write(f"{{x:g}} ")

def plain(x):
    return x * x

def faulty(x):
    note(x)
    if x % 3 == 0:
        print(f"this is {{x:g}}", "and more" * 20_000 if x == 9 else "")
    if x == 4:
        os._exit(7)
    if x == 7:
        print("the last words of 7", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if x == 10:
        raise ValueError("no ten")
    if x == 12:
        time.sleep(1000)
    if x == 14:
        os.close(2)
    return x

def waits(x):
    if x == 2:
        Path({place!r}).touch()
    while x == 0 and not Path({place!r}).exists():
        time.sleep(0.01)
    return x
"""

TEXT = """
objective: {{python: "user.py:{function}"}}
metric: {{name: loss, goal: minimize}}
parameters: {{x: {{min: 0, max: 100}}}}
budget: {{trials: {trials}}}
trial: {{timeout: {timeout}}}
run: {{sync: {sync}}}
"""


def written(
    folder: Path, function: str, trials: int = 500, *, timeout: str = "60s", sync: str = "group"
) -> Config:
    (folder / "user.py").write_text(CODE.format(place=str(folder / "place")))
    text = TEXT.format(function=function, trials=trials, timeout=timeout, sync=sync)
    (folder / "search.yaml").write_text(text)
    return load_config(folder / "search.yaml")


@contextlib.contextmanager
def supervisor(config: Config, folder: RunFolder) -> Iterator[Supervisor]:
    halt = Halt()
    with contextlib.closing(halt), contextlib.closing(supervise(config, folder, halt)) as found:
        yield found


def work(number: int) -> Work:
    return Trial(number, {"x": float(number)}, (number / 100,), number), None, 1


def test_what_a_trial_does_to_its_child_costs_no_other_one_of_its_batch(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with supervisor(written(tmp_path, "faulty", timeout="1s"), folder) as keeper:
        results = [result for result in keeper.run_all(list(map(work, range(20)))) if result]
    assert [result.trial for result in results] == list(range(20))
    statuses = {result.trial: result.status for result in results if result.status != "complete"}
    assert statuses == {4: "crashed", 7: "crashed", 10: "failed", 12: "timeout"}
    assert [r.score for r in results if r.score is not None] == [
        k for k in range(20) if k not in statuses
    ]
    assert (tmp_path / "place").read_text().split() == [f"{k}" for k in range(20)]  # each once
    messages = {result.trial: result.message or "" for result in results}
    assert "exit code 7" in messages[4]
    assert "SIGKILL" in messages[7]
    assert messages[7].endswith("The last it printed:\nthe last words of 7")
    logs = {k: folder.trial_folder(k) / "log.txt" for k in range(20)}
    printed = {k: path.read_text() for k, path in logs.items() if path.exists()}
    assert printed.keys() == {0, 3, 6, 7, 9, 12, 15, 18}
    assert all(text.startswith(f"this is {k}") for k, text in printed.items() if k != 7)
    assert len(printed[9]) > 160_000
    assert printed[18] == "this is 18 \n"


def test_trials_are_batched_only_while_they_are_short_and_none_fails() -> None:
    pace = Pace()
    assert (pace.size, pace.depth) == (1, 1)

    def after(seconds: float, score: float | None = 1.0) -> tuple[int, int]:
        result = Result(0, "complete" if score else "failed", {}, (), 0, None, score)
        for _ in range(60):
            pace.add(Result(**{**vars(result), "seconds": seconds}))
        return pace.size, pace.depth

    for seconds in (1e-5, 1e-4, 9e-4):
        size, depth = after(seconds)
        assert 1 < size <= MOST
        assert size * seconds <= BATCH
        assert depth == 2
    assert after(2e-3) == (1, 2)
    assert after(1.0) == (1, 1)
    assert after(1e-5) == (MOST, 2)
    assert after(1e-5, None) == (1, 1)


def test_few_trials_areshared_out_to_all_workers() -> None:
    works = list(map(work, range(7)))
    shares = list(shared(works, 4))
    assert sorted(len(each) for each in shares) == [1, 2, 2, 2]
    assert sorted(each[0].number for share in shares for each in share) == list(range(7))
    assert len(list(shared(works[:2], 4))) == 2
    assert list(shared(works, 0)) == []


def test_a_trial_is_dealt_out_as_soon_as_it_can_be_named(tmp_path: Path) -> None:
    known: set[int] = set()

    def named() -> Iterator[Work | None]:
        yield work(0)
        yield work(1)
        while 1 not in known:
            yield None
        yield work(2)  # trial 0 runs until this one has begun

    with supervisor(written(tmp_path, "waits"), RunFolder(tmp_path / "run")) as keeper:
        for result in run_trials(named(), keeper, 2):
            assert result is not None
            known.add(result.trial)
    assert known == {0, 1, 2}


def result(number: int) -> Result:
    return Result(number, "complete", {"x": 1.0}, (0.5,), 7, None, 1.0, {"loss": 1.0})


@pytest.mark.parametrize("each", [False, True])
def test_no_trial_is_announced_before_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: bool
) -> None:
    synced: list[bytes] = []
    path = tmp_path / "run" / RECORD
    sync = store._sync

    def noted(descriptor: int) -> None:
        content = path.read_bytes()
        sync(descriptor)
        synced.append(content)

    announced: list[int] = []

    def announce(result: Result) -> None:
        assert b'"trial":%d,' % result.trial in synced[-1]
        announced.append(result.trial)

    folder = RunFolder(tmp_path / "run")
    with folder.claim():
        monkeypatch.setattr(store, "_sync", noted)
        recorder = Recorder(folder, announce, lambda: None, each=each)
        for number in range(200):
            recorder.put(result(number))
        recorder.close()
    assert announced == list(range(200))
    assert (len(synced) == 200) if each else (len(synced) < 100)
    assert [found.trial for found in folder.results()] == announced


def test_a_disk_that_fails_stops_the_search_and_announces_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0

    def failing(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise OSError(28, "No space left on device")

    announced: list[int] = []
    stopped: list[bool] = []
    folder = RunFolder(tmp_path / "run")
    with folder.claim():
        monkeypatch.setattr(store, "_sync", failing)
        recorder = Recorder(
            folder, lambda r: announced.append(r.trial), lambda: stopped.append(True), each=True
        )
        for number in range(10):
            recorder.put(result(number))
        with pytest.raises(MachineError, match="No space left on device; nothing that"):
            recorder.close()
    assert announced == [0]
    assert stopped == [True]
    assert [found.trial for found in folder.results()] == [0]


PARENT = """
import contextlib, sys
from pathlib import Path
from hpsearch.config import load_config
from hpsearch.loop import search
from hpsearch.store import RunFolder

@contextlib.contextmanager
def begin(*_):
    yield lambda result: print(result.trial, flush=True)

search(load_config(Path("search.yaml")), RunFolder(Path("run")), jobs=2, begin=begin, warn=print)
"""


@pytest.mark.parametrize("sync", ["group", "each"])
def test_a_search_that_is_killed_has_every_trial_that_it_announced_and_goes_on(
    tmp_path: Path, sync: str
) -> None:
    config = written(tmp_path, "plain", 800, sync=sync)
    known: set[int] = set()
    for moment in (1, 100, 100):
        with subprocess.Popen(
            [sys.executable, "-c", PARENT], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            known |= {int(line) for line in itertools.islice(process.stdout, moment)}
            os.kill(process.pid, signal.SIGKILL)
            known |= {int(line) for line in process.stdout if line.endswith("\n")}
        recorded = {result.trial for result in RunFolder(tmp_path / "run").results()}
        assert known <= recorded

    def ended(name: str, jobs: int) -> Path:
        folder = RunFolder(tmp_path / name)
        silent = contextlib.nullcontext(lambda result: None)
        search(config, folder, jobs=jobs, begin=lambda *_: silent, warn=lambda text: None)
        return folder.path / "trials.csv"

    assert without_seconds(ended("run", 2)) == without_seconds(ended("alone", 1))
    assert len(RunFolder(tmp_path / "run").results()) == 800


def test_a_large_search_has_the_same_tables_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(tmp_path, "plain", 40)
    silent = contextlib.nullcontext(lambda result: None)
    folders = [RunFolder(tmp_path / name) for name in ("small", "large")]
    for folder, large in zip(folders, (10**9, 0), strict=True):
        monkeypatch.setattr(store, "LARGE", large)
        search(config, folder, jobs=2, begin=lambda *_: silent, warn=lambda text: None)
    small, large_one = (folder.path for folder in folders)
    assert without_seconds(small / "trials.csv") == without_seconds(large_one / "trials.csv")
    lines = [(path / "best.yaml").read_text().splitlines() for path in (small, large_one)]
    assert [line for line in lines[0] if "small" not in line] == [
        line for line in lines[1] if "large" not in line
    ]
    boards = [(path / "leaderboard.md").read_text().splitlines() for path in (small, large_one)]
    assert [line.rsplit("|", 2)[0] for line in boards[0]] == [
        line.rsplit("|", 2)[0] for line in boards[1]
    ]


def test_numbers_that_follow_each_other_are_listed_as_a_range() -> None:
    assert numbers_text([]) == ""
    assert numbers_text([3]) == "3"
    assert numbers_text([4, 3]) == "3, 4"
    assert numbers_text([12, 7, 8, 3, 9]) == "3, 7 to 9, 12"
