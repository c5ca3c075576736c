"""Warm start: a search that knows from its first trial on what an earlier run found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import Command, without_seconds
from hpsearch.history import History
from hpsearch.scales import Linear, Real
from hpsearch.seeds import stream
from hpsearch.space import Space
from hpsearch.store import EARLIER, RunFolder
from hpsearch.strategies import Zoom
from hpsearch.strategies.zoom import CANDIDATES
from hpsearch.trial import Result

CODE = """
def score(rate, size, kind="a", depth=2):
    return (rate - 0.7) ** 2 + (size - 12) ** 2 / 100 + (kind == "b") + abs(depth - 2)
"""

BEFORE = """
objective: {python: "f.py:score"}
metric: {name: loss, goal: minimize}
parameters:
  rate: {min: 0, max: 1}
  size: {type: int, min: 1, max: 20}
  kind: {values: [a, b]}
method: sobol
budget: {trials: 30}
"""

AFTER = """
objective: {python: "f.py:score"}
metric: {name: loss, goal: minimize}
parameters:
  rate: {min: 0, max: 1}
  size: {type: int, min: 1, max: 20}
  kind: {values: [a, b]}
method: METHOD
seed: 3
budget: {trials: 6}
"""


@pytest.fixture
def before(tmp_path: Path, command: Command) -> Path:
    """Return the folder of the runs, with one called `before`."""
    (tmp_path / "f.py").write_text(CODE)
    (tmp_path / "before.yaml").write_text(BEFORE)
    assert command("run", "before.yaml", "-q").returncode == 0
    return tmp_path / "runs"


def begin(tmp_path: Path, command: Command, text: str, *arguments: object) -> tuple[int, str]:
    (tmp_path / "after.yaml").write_text(text)
    done = command("run", "after.yaml", "--warm-start", "before", *arguments)
    return done.returncode, done.stderr


@pytest.mark.parametrize("method", ["bayes", "zoom"])
def test_the_first_trials_are_where_the_earlier_run_was_good(
    tmp_path: Path, command: Command, before: Path, method: str
) -> None:
    code, text = begin(tmp_path, command, AFTER.replace("METHOD", f"{{name: {method}, lag: 2}}"))
    assert code == 0, text
    assert "30 trials of before are known from the start" in text
    results = RunFolder(before / "after").results()
    assert [result.trial for result in results] == list(range(6))
    assert sum((result.score or 0) < 0.3 for result in results) >= 5
    assert {result.trial for result in RunFolder(before / "after").earlier()} == set(range(-30, 0))


def test_jobs_and_interruptions_leave_the_table_as_it_is(
    tmp_path: Path, command: Command, before: Path
) -> None:
    text = AFTER.replace("METHOD", "bayes").replace("trials: 6", "trials: 12")
    tables = []
    for jobs in (1, 3):
        code, said = begin(tmp_path, command, text, "-q", "-j", jobs, "--name", f"j{jobs}")
        assert code == 0, said
        tables.append(without_seconds(before / f"j{jobs}" / "trials.csv"))
    assert tables[0] == tables[1]
    record = before / "j3" / "trials.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:4]))
    shutil.rmtree(before / "before")  # what it told is kept with the run
    assert command("resume", "j3", "-q").returncode == 0
    assert without_seconds(before / "j3" / "trials.csv") == tables[0]
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:4]))
    assert command("run", "after.yaml", "-q", "--name", "j3", "-w", "before").returncode == 0
    assert without_seconds(before / "j3" / "trials.csv") == tables[0]


def test_a_run_that_began_otherwise_is_not_gone_on_with(
    tmp_path: Path, command: Command, before: Path
) -> None:
    (tmp_path / "after.yaml").write_text(AFTER.replace("METHOD", "bayes"))
    assert command("run", "after.yaml", "-q").returncode == 0
    done = command("run", "after.yaml", "-w", "before")
    assert done.returncode == 2
    assert "it began with other trials of an earlier run, or with none" in done.stderr
    assert not (before / "after" / EARLIER).exists()


def test_what_differs_is_said_and_what_is_common_is_used(
    tmp_path: Path, command: Command, before: Path
) -> None:
    text = AFTER.replace("METHOD", "bayes").replace("  kind: {values: [a, b]}\n", "")
    text = text.replace("max: 1}", "max: 0.8}").replace(
        "  size", "  depth: {type: int, min: 1, max: 3}\n  size"
    )
    code, said = begin(tmp_path, command, text)
    assert code == 0, said
    earlier = RunFolder(before / "after").earlier()
    left_out = 30 - len(earlier)
    assert 0 < left_out < 30
    assert all(result.params["rate"] <= 0.8 for result in earlier)
    assert f"{len(earlier)} trials of before are known from the start, {left_out} left out" in said
    assert "kind varies in before only" in said
    assert "rate has another range in before" in said
    assert "depth does not vary in before: there depth is taken for 2, the middle" in said


def test_a_constant_of_the_earlier_run_is_where_its_trials_lie(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "f.py").write_text(CODE)
    (tmp_path / "before.yaml").write_text(BEFORE.replace("method", "  depth: 3\nmethod"))
    assert command("run", "before.yaml", "-q").returncode == 0
    text = AFTER.replace("METHOD", "bayes").replace(
        "  size", "  depth: {type: int, min: 1, max: 3}\n  size"
    )
    code, said = begin(tmp_path, command, text)
    assert code == 0, said
    assert "depth does not vary in before: there depth was 3" in said
    assert {r.params["depth"] for r in RunFolder(tmp_path / "runs" / "after").earlier()} == {3}


def test_halving_learns_from_a_halving_by_the_trials_of_one_rung(
    tmp_path: Path, command: Command
) -> None:
    config = """
objective: {trainer: mlp, epochs: 9, hidden_units: 8}
data: {source: digits}
parameters: {learning_rate: {scale: log, min: 1e-4, max: 1}}
method: {name: halving, propose: zoom}
budget: {trials: 12}
"""
    (tmp_path / "before.yaml").write_text(config)
    assert command("run", "before.yaml", "-q").returncode == 0
    code, said = begin(tmp_path, command, config.replace("budget", "seed: 1\nbudget"), "-q")
    assert code == 0, said
    earlier = RunFolder(tmp_path / "runs" / "after").earlier()
    assert len(earlier) == 12
    assert 1 <= sum(result.score is not None for result in earlier) <= 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (AFTER.replace("METHOD", "random"), "--warm-start is for methods that learn"),
        (AFTER.replace("METHOD", "halving\n").replace('score"', 'score", epochs: 3'), "that learn"),
        (AFTER.replace("METHOD", "bayes").replace("minimize", "maximize"), "is to minimize loss"),
        (
            AFTER.replace("METHOD", "bayes").replace("min: 0, max: 1", "min: 2, max: 3"),
            "no complete trial of the run before lies in the space of after, so there is nothing "
            "to learn from it\nrate has another range",
        ),
        (
            'objective: {python: "f.py:other"}\nmetric: {name: loss, goal: minimize}\n'
            "parameters: {width: {min: 0, max: 1}}\nmethod: bayes\n",
            "vary no common parameter",
        ),
    ],
)
def test_a_run_that_tells_nothing_gets_a_sentence_and_nothing_is_written(
    tmp_path: Path, command: Command, before: Path, text: str, message: str
) -> None:
    code, said = begin(tmp_path, command, text)
    assert code == 2
    assert message in said
    assert not (before / "after").exists()


def test_a_run_that_is_not_there_and_the_run_itself_get_a_sentence(
    tmp_path: Path, command: Command, before: Path
) -> None:
    (tmp_path / "after.yaml").write_text(AFTER.replace("METHOD", "bayes"))
    done = command("run", "after.yaml", "-w", "befor")
    assert (done.returncode, "Did you mean 'before'?" in done.stderr) == (2, True)
    done = command("run", "after.yaml", "-w", "before", "--name", "before")
    assert (done.returncode, "cannot begin with its own trials" in done.stderr) == (2, True)


def test_a_run_of_failures_gets_a_sentence_that_says_so(tmp_path: Path, command: Command) -> None:
    (tmp_path / "f.py").write_text("def score(**given):\n    raise ValueError('no')\n")
    (tmp_path / "before.yaml").write_text(BEFORE.replace("trials: 30", "trials: 2"))
    assert command("run", "before.yaml", "-q").returncode == 1
    code, said = begin(tmp_path, command, AFTER.replace("METHOD", "bayes"))
    assert code == 2
    assert "no trial of the run before is complete (2 failed)" in said
    assert not (tmp_path / "runs" / "after").exists()


def test_zoom_ranks_an_earlier_run_with_its_own_trials_only_until_it_has_enough() -> None:
    space = Space({"x": Real(Linear(0, 1), "linear")})

    def trial(number: int, x: float, score: float) -> Result:
        return Result(number, "complete", {"x": x}, (x,), 0, None, score)

    # The earlier scores are lower by a constant, at the other end of the range.
    earlier = [trial(number, 0.9, -10.0) for number in range(-20, 0)]
    for count, expected in ((CANDIDATES - 1, -1), (CANDIDATES, 1)):
        own = [trial(number, 0.1, 1.0 + number) for number in range(count)]
        history = History("minimize", 0, None, earlier)
        suggestions = [
            Zoom().propose(space, history, 30, stream(0, "suggest", k), [*earlier, *own], ())
            for k in range(20)
        ]
        around = [each.note["around"] for each in suggestions if each.note is not None]
        assert len(around) > 10
        assert {1 if number >= 0 else -1 for number in around} == {expected}
