"""Successive halving: rungs, steps that add up to one training, and the epochs they take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command, without_seconds
from hpsearch.cli import cli
from hpsearch.history import History
from hpsearch.report.rungs import epochs_text
from hpsearch.scales import Linear, Real
from hpsearch.seeds import stream
from hpsearch.space import Space
from hpsearch.store import RunFolder
from hpsearch.strategies import Halving
from hpsearch.trial import Result, Trial, joined, of_one_rung, ranked

TRAINER = """
objective: {trainer: mlp, epochs: 9, layers: 1, hidden_units: 16, early_stopping: 4, decay: cosine}
data: {source: digits}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  keep_prob: {min: 0.5, max: 1}
"""

CODE = """
import json
from pathlib import Path

CALLS = Path(__file__).parent / "calls"

def told(kind, **given):
    with CALLS.open("a") as file:
        file.write(json.dumps({"kind": kind, **given}) + "\\n")

def curve(x, epoch):
    return (x - 0.3) ** 2 + 1 / epoch

def once(x, budget):
    told("once", x=x, budget=budget)
    return curve(x, budget)

def epochs(x):
    told("epochs", x=x)
    for epoch in range(1, 28):
        yield curve(x, epoch)

def goes_on(x, budget, start_epoch, trial_dir):
    told("goes_on", x=x, budget=budget, start_epoch=start_epoch)
    saved = trial_dir / "epochs"
    done = int(saved.read_text()) if start_epoch else 0
    assert done == start_epoch
    for epoch in range(start_epoch + 1, budget + 1):
        yield curve(x, epoch)
    saved.write_text(str(budget))

def blind(x):
    return x

def endless(x):
    epoch = 0
    while True:
        epoch += 1
        yield curve(x, epoch)

def uneven(x):
    for epoch in range(1, 2 + int(8 * x)):
        yield curve(x, epoch)

def longer(x, budget):
    for epoch in range(1, 2 * budget):
        yield curve(x, epoch)
"""

PROGRAM = """
import sys
x, budget, start = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for epoch in range(start + 1, budget + 1):
    print('{"loss": %r}' % ((x - 0.3) ** 2 + 1 / epoch), flush=True)
"""

USERS = """
objective: {{{objective}}}
metric: {{name: loss, goal: minimize}}
parameters: {{x: {{min: 0, max: 1}}}}
method: halving
budget: {{trials: 9}}
"""


@pytest.fixture
def users(tmp_path: Path, command: Command) -> Any:
    """Run a search of the user's own code, with epochs: 27; give its folder and the calls."""
    (tmp_path / "user.py").write_text(CODE)
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(objective: str, *arguments: str) -> tuple[RunFolder, list[dict[str, Any]]]:
        (tmp_path / "u.yaml").write_text(USERS.format(objective=f"{objective}, epochs: 27"))
        done = command("run", "u.yaml", "-q", "-j", 1, *arguments)
        assert done.returncode == 0, done.stderr
        calls = tmp_path / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return RunFolder(tmp_path / "runs" / "u"), [json.loads(line) for line in lines]

    return run


def rungs_of(results: list[Result]) -> dict[int | None, int]:
    return dict(Counter(result.budget for result in results))


# The rungs


@given(st.integers(2, 2000), st.integers(2, 10))
def test_rungs_rise_from_a_ninth_to_the_whole_training(longest: int, factor: int) -> None:
    rungs = Halving(max=longest, factor=factor).rungs()
    assert rungs[0] >= longest / 9
    assert rungs[-1] == longest
    assert list(rungs) == sorted(set(rungs))


def test_rungs_are_geometric_and_begin_where_they_are_told_to() -> None:
    assert Halving(max=27).rungs() == (3, 9, 27)
    assert Halving(max=81, min=1).rungs() == (1, 3, 9, 27, 81)
    assert Halving(max=30).rungs() == (4, 11, 30)
    assert Halving(max=31, min=10).rungs() == (10, 31)
    assert Halving(max=16, min=1, factor=2).rungs() == (1, 2, 4, 8, 16)
    assert Halving(max=2).rungs() == (1, 2)


def test_hyperband_shares_the_trials_out_over_the_brackets() -> None:
    # Li et al. 2018, table 1, R = 81 and eta = 3: 81, 34, 15, 8 and 5 trials begin.
    hyperband = Halving(max=81, min=1, brackets=5)
    began = Counter(hyperband.begins_at(trial) for trial in range(143))
    assert began == {0: 81, 1: 34, 2: 15, 3: 8, 4: 5}


SPACE = Space({"x": Real(Linear(0, 1), "linear")})


def steps(halving: Halving, trials: int, score: Any) -> list[Result]:
    """Run one step after the other until no more goes on."""
    history = History("minimize", 0, trials)
    results: list[Result] = []
    while (
        suggestion := halving.suggest(
            SPACE, history, len(results), stream(0, "suggest", len(results))
        )
    ) is not None:
        stage = suggestion.stage
        assert stage is not None
        number = history.begun(len(results)) if stage.trial is None else stage.trial
        params = SPACE.params(suggestion.point)
        trial = Trial(
            number,
            params,
            suggestion.point,
            0,
            step=len(results),
            start=stage.start,
            until=stage.until,
            rung=stage.rung,
        )
        history.name(trial)
        results.append(
            Result(
                number,
                "complete",
                params,
                suggestion.point,
                0,
                stage.until,
                score(number, stage.until),
                epochs=stage.until - stage.start,
                note=suggestion.note,
                step=trial.step,
                start=stage.start,
                rung=stage.rung,
            )
        )
        history.add(results[-1])
    return results


def test_a_third_goes_on_from_each_rung_and_it_is_the_best_third() -> None:
    order = np.random.default_rng(0).permutation(81)
    results = steps(Halving(max=27, lag=1), 81, lambda number, until: order[number])
    reached = rungs_of(results)
    assert reached[3] == 81
    assert 27 <= reached[9] <= 27 + 12  # those let on early may be overtaken
    assert reached[9] // 3 <= reached[27] <= reached[9] // 3 + 8
    last = ranked(joined(results), "minimize")[:9]
    assert [order[result.trial] for result in last] == list(range(9))
    assert {result.budget for result in last} == {27}
    worst = steps(Halving(max=27, lag=1), 81, lambda number, until: number)
    assert rungs_of(worst) == {3: 81, 9: 27, 27: 9}
    assert {result.trial for result in worst if result.budget == 27} == set(range(9))


def test_each_step_goes_on_from_where_the_last_one_of_its_trial_ended() -> None:
    results = steps(Halving(max=27), 30, lambda number, until: (number % 7) + 1 / until)
    for trial in {result.trial for result in results}:
        own = [result for result in results if result.trial == trial]
        assert [result.start for result in own] == [0, 3, 9][: len(own)]
        assert [result.budget for result in own] == [3, 9, 27][: len(own)]
        assert len({result.unit for result in own}) == 1


def test_brackets_begin_at_higher_rungs_and_are_judged_by_themselves() -> None:
    halving = Halving(max=27, brackets=3)
    results = steps(halving, 34, lambda number, until: number)
    first = {result.trial: result.budget for result in reversed(results)}
    assert Counter(first.values()) == {3: 18, 9: 10, 27: 6}
    assert all(halving.rungs()[halving.begins_at(trial)] == first[trial] for trial in first)


def test_results_of_one_rung_are_those_of_the_highest_with_enough_trials() -> None:
    results = steps(Halving(max=27, lag=1), 27, lambda number, until: number + 100 / until)
    for fewest, budget, count in ((3, 27, 3), (4, 9, 9), (10, 3, 27), (1000, 3, 27)):
        found = of_one_rung(results, fewest)
        assert [result.trial for result in found] == list(range(27))
        scored = [result for result in found if result.score is not None]
        assert {result.budget for result in scored} == {budget}
        assert [result.trial for result in scored] == list(range(count))
        assert all(result.score == result.trial + 100 / budget for result in scored)


def test_a_zoom_ranks_only_trials_of_one_rung_where_fewer_epochs_look_better() -> None:
    halving = Halving(max=27, propose="zoom", lag=1)
    results = steps(halving, 60, lambda number, until: until + number / 100)
    checked = set()
    for place, result in enumerate(results):
        if result.start or result.note is None:
            continue
        reached: dict[int, set[int]] = {}
        for before in results[:place]:
            reached.setdefault(before.rung or 0, set()).add(before.trial)
        rung = max(each for each, trials in reached.items() if len(trials) >= 5)
        assert set(result.note["best"]) <= reached[rung]
        checked.add(rung)
    assert checked == {0, 1, 2}


# The built-in trainer


def halved(tmp_path: Path, command: Command, budget: str, *arguments: object) -> RunFolder:
    (tmp_path / "h.yaml").write_text(f"{TRAINER}method: halving\nbudget: {budget}\n")
    done = command("run", "h.yaml", "-q", *arguments)
    assert done.returncode == 0, done.stderr
    return RunFolder(tmp_path / "runs" / "h")


def test_steps_add_up_to_the_training_that_was_never_interrupted(
    tmp_path: Path, command: Command
) -> None:
    folder = halved(tmp_path, command, "{trials: 9}")
    best = ranked(joined(folder.results()), "minimize")[0]
    assert best.budget == 9
    assert command("run", folder.path / "best.yaml", "-q").returncode == 0
    (again,) = RunFolder(tmp_path / "runs" / "h-best").results()
    assert (again.score, again.metrics) == (best.score, best.metrics)
    assert again.curve == best.curve
    assert again.epochs == best.epochs == len(best.curve["dev_error"])


def test_a_state_that_was_lost_costs_time_and_changes_nothing(
    tmp_path: Path, command: Command
) -> None:
    whole = halved(tmp_path, command, "{epochs: 60}", "--name", "whole", "-j", 2)
    del whole
    expected = without_seconds(tmp_path / "runs" / "whole" / "trials.csv")
    cut = halved(tmp_path, command, "{epochs: 20}")
    states = sorted((cut.path / "trials").glob("*/state.npz"))
    assert states
    states[0].unlink()
    for state in states[1:]:
        state.write_bytes(state.read_bytes()[:100])
    halved(tmp_path, command, "{epochs: 60}")
    assert without_seconds(cut.path / "trials.csv") == expected


def test_a_search_that_is_killed_comes_to_the_same_table(tmp_path: Path, command: Command) -> None:
    expected = without_seconds(halved(tmp_path, command, "{trials: 27}").path / "trials.csv")
    arguments = ["run", "h.yaml", "-q", "--name", "k", "-j", "2"]
    record = tmp_path / "runs" / "k" / "trials.jsonl"
    for lines in (3, 20):
        process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", *arguments], cwd=tmp_path, env={**os.environ}
        )
        while process.poll() is None and (
            not record.exists() or record.read_bytes().count(b"\n") < lines
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert command(*arguments).returncode == 0
    assert without_seconds(tmp_path / "runs" / "k" / "trials.csv") == expected


def test_folds_and_repeats_go_on_each_from_its_own_state(tmp_path: Path, command: Command) -> None:
    (tmp_path / "h.yaml").write_text(
        TRAINER.replace("{source: digits}", "{source: digits, split: {train: 600}, folds: 2}")
        + "trial: {repeats: 2}\nmethod: halving\nbudget: {trials: 9}\n"
    )
    done = command("run", "h.yaml", "-q")
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "runs" / "h")
    best = ranked(joined(folder.results()), "minimize")[0]
    assert best.budget == 9
    assert best.epochs is not None
    assert best.epochs <= 2 * 9
    assert command("run", folder.path / "best.yaml", "-q").returncode == 0
    (again,) = RunFolder(tmp_path / "runs" / "h-best").results()
    assert (again.score, again.scores) == (best.score, best.scores)


def test_the_states_of_trials_that_do_not_go_on_are_removed(
    tmp_path: Path, command: Command
) -> None:
    assert not (halved(tmp_path, command, "{trials: 9}").path / "trials").exists()


# The user's own code


def test_a_function_that_takes_a_budget_is_called_with_each_rung(users: Any) -> None:
    folder, calls = users('python: "user.py:once"')
    assert Counter(call["budget"] for call in calls) == rungs_of(folder.results())
    for result in folder.results():
        assert result.score == (result.params["x"] - 0.3) ** 2 + 1 / result.budget
        assert result.epochs == result.budget  # each step begins anew
    best = ranked(joined(folder.results()), "minimize")[0]
    assert best.epochs == 3 + 9 + 27


def test_a_function_that_yields_is_ended_at_each_rung(users: Any) -> None:
    folder, calls = users('python: "user.py:epochs"')
    assert len(calls) == len(folder.results())
    for result in folder.results():
        assert result.score == (result.params["x"] - 0.3) ** 2 + 1 / result.budget
        assert len(result.curve["loss"]) == result.epochs == result.budget
    for trial in joined(folder.results()):
        assert len(trial.curve["loss"]) == trial.budget


def test_a_function_that_takes_start_epoch_goes_on_from_what_it_saved(users: Any) -> None:
    folder, calls = users('python: "user.py:goes_on"')
    assert {(call["start_epoch"], call["budget"]) for call in calls} == {(0, 3), (3, 9), (9, 27)}
    for trial in joined(folder.results()):
        x = trial.params["x"]
        expected = [(x - 0.3) ** 2 + 1 / epoch for epoch in range(1, (trial.budget or 0) + 1)]
        assert trial.curve["loss"] == expected
        assert trial.epochs == trial.budget


def test_a_program_gets_its_budget_and_where_to_go_on(users: Any) -> None:
    folder, _ = users('command: "python program.py {x} {budget} {start_epoch}"')
    for trial in joined(folder.results()):
        assert trial.score == (trial.params["x"] - 0.3) ** 2 + 1 / (trial.budget or 0)
        assert len(trial.curve["loss"]) == trial.budget == trial.epochs


def test_a_program_that_prints_each_epoch_is_ended_at_each_rung(users: Any) -> None:
    folder, _ = users('command: "python program.py {x} 27 0"')
    assert {result.budget for result in folder.results()} == {3, 9, 27}
    for result in folder.results():
        assert len(result.curve["loss"]) == result.budget


def test_a_function_that_cannot_be_ended_early_is_a_mistake(
    users: Any, command: Command, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="neither takes a 'budget' nor yields"):
        users('python: "user.py:blind"')
    done = command("run", "u.yaml")
    assert done.returncode == 2
    assert "u.yaml:2" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_program_that_reports_once_fails_and_is_told_why(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "one.py").write_text("print(0.5)")
    text = USERS.format(objective='command: "python one.py {x}", epochs: 27')
    text = text.replace("goal: minimize", 'goal: minimize, pattern: "(.*)"')
    (tmp_path / "u.yaml").write_text(text.replace("trials: 9", "trials: 9, failures: 2"))
    done = command("run", "u.yaml", "-q", "-j", 1)
    assert done.returncode == 1
    assert "reported 'loss' once, at its end, and halving ends trials after some" in done.stderr


# budget.epochs


def test_no_trial_begins_that_could_go_beyond_the_epochs(tmp_path: Path, command: Command) -> None:
    (tmp_path / "e.yaml").write_text(f"{TRAINER}budget: {{epochs: 40}}\n")
    tables = []
    for jobs in (1, 3):
        done = command("run", "e.yaml", "-j", jobs, "--name", f"e{jobs}")
        assert done.returncode == 0, done.stderr
        assert "ended by budget.epochs (40)" in done.stderr
        results = RunFolder(tmp_path / "runs" / f"e{jobs}").results()
        spent = [result.epochs or 0 for result in results]
        assert sum(spent) <= 40 < sum(spent) + 9  # early stopping leaves room for more
        tables.append(without_seconds(tmp_path / "runs" / f"e{jobs}" / "trials.csv"))
    assert tables[0] == tables[1]
    again = command("run", "e.yaml", "--name", "e1")
    assert "The run was complete already" in again.stderr
    assert without_seconds(tmp_path / "runs" / "e1" / "trials.csv") == tables[0]


@pytest.mark.parametrize("function", ["endless", "longer", "blind"])
def test_code_that_goes_beyond_its_epochs_takes_no_more_of_the_budget(
    users: Any, command: Command, tmp_path: Path, function: str
) -> None:
    text = USERS.replace("method: halving\n", "").replace("trials: 9", "epochs: 100")
    (tmp_path / "b.yaml").write_text(
        text.format(objective=f'python: "user.py:{function}", epochs: 27')
    )
    assert command("run", "b.yaml", "-q").returncode == 0
    results = RunFolder(tmp_path / "runs" / "b").results()
    assert [result.epochs for result in results] == [27, 27, 27]


@pytest.mark.parametrize(
    "changes",
    [
        ("trials: 9", "trials: 2"),
        ("min: 0, max: 1", "type: int, min: 0, max: 3"),
        ("{min: 0, max: 1}", "0.5"),
    ],
)
def test_the_best_of_few_trials_is_still_trained_to_the_end(
    users: Any, command: Command, tmp_path: Path, changes: tuple[str, str]
) -> None:
    text = USERS.format(objective='python: "user.py:epochs", epochs: 27')
    (tmp_path / "few.yaml").write_text(text.replace(*changes))
    assert command("run", "few.yaml", "-q").returncode == 0
    best = ranked(joined(RunFolder(tmp_path / "runs" / "few").results()), "minimize")[0]
    assert best.budget == 27
    said = command("report", "few", "--rungs").stderr
    assert said.startswith("1 of ")
    assert "went to 27 epochs" in said


def test_a_hole_in_the_record_changes_nothing_about_where_the_epochs_end(
    users: Any, command: Command, tmp_path: Path
) -> None:
    objective = 'python: "user.py:uneven", epochs: 9'
    text = USERS.replace("method: halving\n", "").replace("trials: 9", "epochs: 40")
    (tmp_path / "hole.yaml").write_text(text.format(objective=objective))
    assert command("run", "hole.yaml", "-q").returncode == 0
    folder = tmp_path / "runs" / "hole"
    expected = without_seconds(folder / "trials.csv")
    lines = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 6
    for hole in (0, len(lines) - 2):
        (folder / "trials.jsonl").write_bytes(b"".join([*lines[:hole], *lines[hole + 1 :]]))
        assert command("run", "hole.yaml", "-q", "-j", 3).returncode == 0
        assert without_seconds(folder / "trials.csv") == expected


def test_patience_and_time_end_a_halving(tmp_path: Path, command: Command) -> None:
    halved(tmp_path, command, "{trials: 200, patience: 12}")
    assert "budget.patience" in (tmp_path / "runs" / "h" / "leaderboard.md").read_text()
    folder = halved(tmp_path, command, "{trials: 100000, time: 1s}", "--name", "t")
    page = (tmp_path / "runs" / "t" / "leaderboard.md").read_text()
    assert "budget.time" in page
    assert folder


# Mistakes


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("{name: halving, min: 12}", "", "method.min is 12, more than the 9 epochs"),
        (
            "{name: halving, max: 12}",
            "",
            "method.max is 12, more than objective.epochs, which is 9",
        ),
        ("{name: halving, min: 9}", "", "halving has nothing to shorten"),
        (
            "{name: halving, brackets: 4}",
            "",
            "method.brackets is 4, more than the 3 rungs (1, 3, 9",
        ),
        ("{name: halving, lag: 0}", "", "method.lag must be"),
        ("{name: halving, eta: 3}", "", "hpsearch calls it 'factor'"),
        ("hyperband", "", "hpsearch calls it 'halving'"),
        (
            "{name: halving, propose: grid}",
            "",
            "method.propose must be one of sobol, random, zoom, bayes",
        ),
        ("halving", "  epochs: {type: int, min: 2, max: 9}\n", "epochs cannot vary under halving"),
    ],
)
def test_a_mistake_gets_a_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, more: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = TRAINER.replace(", epochs: 9", "") if more else TRAINER
    Path("h.yaml").write_text(f"{text}{more}method: {method}\n")
    done = CliRunner().invoke(cli, ["run", "h.yaml"])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "h.yaml:" in done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{TRAINER}budget: {{epochs: 8}}\n", "budget.epochs is 8, and one trial already takes 9"),
        (
            f"{TRAINER}method: {{name: halving, min: 3}}\nbudget: {{epochs: 2}}\n",
            "one trial already takes 3",
        ),
        (
            'objective: {command: "echo {x}"}\nmetric: {name: loss, goal: minimize}\n'
            "parameters: {x: {min: 0, max: 1}}\nbudget: {epochs: 8}\n",
            "the objective does not say how many a trial has",
        ),
        (
            'objective: {command: "echo {x}"}\nmetric: {name: loss, goal: minimize}\n'
            "parameters: {x: {min: 0, max: 1}}\nmethod: halving\n",
            "halving needs objective.epochs",
        ),
    ],
)
def test_epochs_that_are_not_known_or_too_few_get_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("h.yaml").write_text(text)
    done = CliRunner().invoke(cli, ["run", "h.yaml"])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not Path("runs").exists()


# What a person sees


def test_what_was_saved_counts_every_repeat_and_is_told_when_it_is_nothing() -> None:
    results = steps(Halving(max=27, lag=1), 9, lambda number, until: number)
    assert epochs_text(results, 27) == (
        "1 of 9 trials went to 27 epochs; all took 63 epochs, "
        "74% less than 243 for every trial trained that far"
    )
    twice = [
        replace(each, epochs=2 * (each.epochs or 0), scores=[each.score or 0] * 2)
        for each in results
    ]
    assert epochs_text(twice, 27) == (
        "1 of 9 trials went to 27 epochs; all took 126 epochs, "
        "74% less than 486 for every trial trained that far 2 times"
    )
    anew = [replace(each, epochs=each.budget) for each in results if each.trial == 0]
    assert epochs_text(anew, 27) == (
        "1 of 1 trial went to 27 epochs; all took 39 epochs, "
        "44% more than 27 for every trial trained that far"
    )


def test_the_reports_say_who_was_stopped_where_and_what_it_saved(
    tmp_path: Path, command: Command
) -> None:
    folder = halved(tmp_path, command, "{trials: 12}")
    shown = command("report", "h", "--rungs", "--all")
    assert shown.returncode == 0
    results = folder.results()
    reached = rungs_of(results)
    rungs, stops = shown.stdout.split("\n\n")
    assert [line.split()[:3] for line in rungs.splitlines()[2:]] == [
        ["1", "1", "12"],
        ["2", "3", str(reached[3])],
        ["3", "9", str(reached[9])],
    ]
    assert len(stops.splitlines()) == 2 + 12
    spent = sum(result.epochs or 0 for result in results)
    assert f"all took {spent} epochs" in shown.stderr
    page = (folder.path / "leaderboard.md").read_text()
    assert "## Rungs" in page
    assert f"all took {spent} epochs" in page
    board = command("report", "h", "--format", "json")
    rows = json.loads(board.stdout)
    trained = [row["trained_to"] for row in rows]
    assert trained == sorted(trained, reverse=True)
    other = command("run", "tiny.yaml", "-q")
    assert other.returncode == 0
    none = command("report", "tiny", "--rungs")
    assert none.returncode == 2
    assert "only halving" in none.stderr


def test_a_halving_is_refined_around_those_trained_furthest(
    tmp_path: Path, command: Command
) -> None:
    halved(tmp_path, command, "{trials: 12}")
    done = command("refine", "h", "--trials", "6", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "h-refined" / "best.yaml").exists()


@pytest.mark.parametrize("propose", ["bayes", "zoom"])
def test_a_model_in_halving_gives_the_same_table_for_any_jobs(
    tmp_path: Path, command: Command, propose: str
) -> None:
    text = (
        f"{TRAINER}method: {{name: halving, propose: {propose}, lag: 3}}\nbudget: {{trials: 24}}\n"
    )
    (tmp_path / "m.yaml").write_text(text)
    for jobs in (1, 3):
        done = command("run", "m.yaml", "-q", "-j", jobs, "--name", f"m{jobs}")
        assert done.returncode == 0, done.stderr
    tables = [without_seconds(tmp_path / "runs" / f"m{j}" / "trials.csv") for j in (1, 3)]
    assert tables[0] == tables[1]
    page = (tmp_path / "runs" / "m1" / "leaderboard.md").read_text()
    assert ("The scores are those after" in page) == (propose == "bayes")
