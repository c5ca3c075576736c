"""The index of a record: the same leaderboard without reading every line."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch import store
from hpsearch.config import Config, build_config
from hpsearch.provenance import describe
from hpsearch.report.table import leaderboard
from hpsearch.runs import open_folder
from hpsearch.standings import Leading, leading
from hpsearch.store import INDEX, RECORD, RunFolder
from hpsearch.trial import Result
from hpsearch.yamlfile import parse_yaml

TEXT = """
objective: {{python: "user.py:score"}}
metric: {{name: loss, goal: {goal}}}
parameters:
  x: {{min: 0, max: 1}}
  y: {{type: int, min: 1, max: 3}}
budget: {{trials: {trials}, failures: 1000}}
"""


def config(goal: str = "minimize", trials: int = 400) -> Config:
    text = TEXT.format(goal=goal, trials=trials).encode()
    return build_config(parse_yaml(text, "made-up"), None, "made-up", Path())


def made_up(number: int, rng: random.Random) -> Result:
    """Return a result whose score others have too, or one without a score."""
    x, y = rng.random(), rng.randint(1, 3)
    status = rng.choice(["complete"] * 5 + ["failed", "timeout"])
    loss = round(x * y, 1)
    metrics = {"loss": loss, **({"train_error": x} if rng.random() < 0.1 else {})}
    return Result(
        trial=number,
        status=status,
        params={"x": x, "y": y},
        unit=(x, (y - 0.5) / 3),
        seed=config().training_seed(number),
        budget=None,
        score=loss if status == "complete" else None,
        metrics=metrics if status == "complete" else {},
        message=None if status == "complete" else "no",
    )


def recorded(folder: RunFolder, results: list[Result], given: Config) -> RunFolder:
    """Write results in groups, as a search does."""
    with folder.claim():
        open_folder(given, folder)
        for first in range(0, len(results), 7):
            folder.append(*results[first : first + 7])
    folder.write_provenance({**describe(given), "sessions": []})
    return folder


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every record for a large one."""
    monkeypatch.setattr(store, "LARGE", 0)


def read_whole(given: Config, folder: RunFolder) -> Leading:
    return leading(given, folder, None)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize("budget", [150, 200, 250])
def test_the_first_rows_by_the_index_are_those_of_the_whole_record(
    tmp_path: Path, goal: str, budget: int
) -> None:
    given, rng = config(goal, budget), random.Random(budget)
    results = [made_up(number, rng) for number in range(200)]
    rng.shuffle(results)
    folder = recorded(RunFolder(tmp_path / "run"), results, given)
    whole = read_whole(given, folder)
    table = leaderboard([whole.run])
    for top in (1, 2, 10, 175):
        found = leading(given, folder, top)
        assert len(found.run.results) < len(whole.run.results) or top == 175
        assert (found.trials, found.ended) == (whole.trials, whole.ended)
        shown = leaderboard([found.run])
        assert shown.names == table.names
        assert shown.rows[:top] == table.rows[:top]


def test_a_small_record_is_read_whole(tmp_path: Path) -> None:
    given, rng = config(), random.Random(0)
    folder = recorded(RunFolder(tmp_path / "run"), [made_up(k, rng) for k in range(50)], given)
    assert len(leading(given, folder, 2).run.results) == 50
    assert not (folder.path / INDEX).exists()


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("harm", ["lost", "cut", "flipped", "of another length"])
def test_an_index_that_is_not_right_is_not_used(tmp_path: Path, harm: str) -> None:
    given, rng = config(), random.Random(1)
    folder = recorded(RunFolder(tmp_path / "run"), [made_up(k, rng) for k in range(50)], given)
    path = folder.path / INDEX
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), 97) if harm == "flipped" else [0]:
        if harm == "lost":
            path.unlink()
        elif harm == "cut":
            path.write_bytes(content[:-32])
        elif harm == "flipped":
            path.write_bytes(
                content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]
            )
        else:
            path.write_bytes(content + b"1")
        assert len(leading(given, folder, 2).run.results) == 50


@pytest.mark.usefixtures("large")
def test_a_line_that_a_report_shows_is_checked(tmp_path: Path) -> None:
    given, rng = config(), random.Random(2)
    results = [replace(made_up(k, rng), trial=k) for k in range(50)]
    folder = recorded(RunFolder(tmp_path / "run"), results, given)
    best = leading(given, folder, 1).run.results[0]
    record = folder.path / RECORD
    text = record.read_bytes()
    place = text.index(b'"trial":%d,' % best.trial)
    record.write_bytes(text.replace(text[place : place + 60], text[place : place + 59] + b"0"))
    with pytest.raises(store.MachineError, match="is damaged"):
        leading(given, folder, 1)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("torn", [True, False])
def test_the_next_command_mends_the_index(tmp_path: Path, torn: bool) -> None:
    given, rng = config(), random.Random(3)
    results = [made_up(number, rng) for number in range(60)]
    folder = recorded(RunFolder(tmp_path / "run"), results[:50], given)
    before = (folder.path / INDEX).read_bytes()
    if torn:
        record = folder.path / RECORD
        record.write_bytes(record.read_bytes()[:-3])
        results.append(results[49])
    else:
        (folder.path / INDEX).write_bytes(before[:100])
    with folder.claim():
        folder.append(*results[50:])
    found = leading(given, folder, 5)
    assert found.trials == 60
    assert len(found.run.results) < 60
    rows = leaderboard([read_whole(given, folder).run]).rows[:5]
    assert leaderboard([found.run]).rows[:5] == rows
