"""A setting tried on several seeds: `trial: {repeats: 3}`."""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import TINY, Command, without_seconds
from hpsearch.child import _repeated
from hpsearch.config import load_config
from hpsearch.config.writer import refined_yaml
from hpsearch.objectives import Context
from hpsearch.objectives.mlp import MLP
from hpsearch.repeats import mean, merged, standard_error
from hpsearch.seeds import repeat_seeds
from hpsearch.store import RunFolder
from hpsearch.trial import Result

finite = st.floats(allow_nan=False, allow_infinity=False)


def answer(*losses: float, status: str = "complete", message: str | None = None) -> dict[str, Any]:
    """Return what a repeat answers whose loss fell like this."""
    return {
        "status": status,
        "score": losses[-1] if status == "complete" else None,
        "metrics": {"loss": losses[-1]},
        "curve": {"loss": list(losses)},
        "seconds": 0.5,
        "message": message,
    }


# The mean


@given(st.lists(finite, min_size=1, max_size=10))
def test_the_score_is_the_mean_of_the_scores_and_within_them(scores: list[float]) -> None:
    found = merged([answer(score) for score in scores], "loss")
    assert found["scores"] == scores
    assert found["score"] == found["metrics"]["loss"]
    assert min(scores) <= found["score"] <= max(scores)
    if max(map(abs, scores)) < 1e300:
        bound = 1e-15 * max(map(abs, scores))
        assert found["score"] == pytest.approx(statistics.fmean(scores), abs=bound, rel=0)
    assert mean(scores[::-1]) == found["score"]


@given(finite, st.integers(2, 100))
def test_equal_scores_have_themselves_as_mean_and_no_error(score: float, count: int) -> None:
    assert mean([score] * count) == score
    assert standard_error([score] * count) == 0


@given(st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=10))
def test_the_error_is_the_standard_deviation_over_the_root_of_their_number(
    scores: list[float],
) -> None:
    expected = statistics.stdev(scores) / math.sqrt(len(scores))
    scale = max(map(abs, scores))
    assert standard_error(scores) == pytest.approx(expected, rel=1e-9, abs=1e-12 * scale)


def test_one_score_has_no_error_nor_has_one_beyond_all_numbers() -> None:
    assert standard_error([0.5]) is None
    assert standard_error([]) is None
    assert standard_error([-1.7e308, 1.7e308]) is None


def test_the_curve_is_the_mean_over_the_repeats_that_reached_an_epoch() -> None:
    found = merged([answer(4.0, 2.0), answer(2.0, 1.0, 0.5), answer(3.0)], "loss")
    assert found["curve"] == {"loss": [3.0, 1.5, 0.5]}
    assert found["metrics"] == {"loss": (2.0 + 0.5 + 3.0) / 3}
    assert found["seconds"] == 1.5


def test_what_not_every_repeat_reports_has_no_mean() -> None:
    other = answer(1.0)
    other["metrics"] |= {"extra": 1.0, "odd": None}
    third = answer(2.0)
    third["metrics"] |= {"odd": 1.0}
    found = merged([other, third], "loss")
    assert found["metrics"] == {"loss": 1.5, "odd": None}


def test_a_repeat_that_is_not_complete_makes_the_trial_what_it_is() -> None:
    lost = answer(9.0, status="diverged", message="why")
    found = merged([answer(1.0), lost], "loss")
    assert (found["status"], found["score"], found["message"]) == ("diverged", None, "why")
    assert found["scores"] == [1.0]
    assert found["metrics"] == {"loss": 9.0}


def test_a_repeat_that_was_cut_short_counts_only_where_it_is_the_only_one() -> None:
    short = answer(9.0, message="ended early")
    several = merged([answer(1.0), answer(2.0), short], "loss")
    assert (several["score"], several["scores"]) == (1.5, [1.0, 2.0])
    assert several["message"] == "ended early"
    alone = merged([short], "loss")
    assert (alone["score"], alone["scores"]) == (9.0, [9.0])


# In the process that runs trials


class BySeed(MLP):
    """Yields the seed's loss, or fails where that is no number; notes what it was told."""

    def __init__(self, losses: Mapping[int, Any]) -> None:
        self.losses = losses
        self.seen: list[tuple[int, str, float]] = []

    def evaluate(self, params: dict[str, Any], context: Context) -> Iterator[Mapping[str, float]]:
        self.seen.append((context.seed, context.folder.name, random.random()))
        loss = self.losses[context.seed]
        if isinstance(loss, BaseException):
            raise loss
        yield {"loss": loss}


def repeated(objective: BySeed) -> dict[str, Any]:
    request = {
        "number": 3,
        "params": {},
        "seeds": list(objective.losses),
        "budget": None,
        "folder": "trials/0003",
        "deadline": None,
        "start": 0,
        "until": None,
        "in_steps": False,
    }
    return _repeated(objective, request, "loss")


def test_each_repeat_gets_its_seed_its_folder_and_its_own_global_generators() -> None:
    objective = BySeed({7: 1.0, 8: 2.0, 9: 6.0})
    found = repeated(objective)
    assert (found["score"], found["scores"]) == (3.0, [1.0, 2.0, 6.0])
    assert objective.seen == [
        (seed, f"repeat-{number}", random.Random(seed).random())
        for number, seed in enumerate((7, 8, 9), start=1)
    ]


def test_a_single_repeat_is_answered_as_it_was_before_there_were_repeats() -> None:
    objective = BySeed({7: 1.0})
    found = repeated(objective)
    assert objective.seen == [(7, "0003", random.Random(7).random())]
    assert "scores" not in found


@pytest.mark.parametrize(
    ("loss", "status", "words"),
    [
        (math.nan, "diverged", "loss was no longer finite after epoch 1"),
        (ValueError("no such layer"), "failed", "ValueError: no such layer"),
    ],
)
def test_the_first_repeat_that_goes_wrong_is_the_last_and_is_named(
    loss: Any, status: str, words: str
) -> None:
    objective = BySeed({7: 1.0, 8: loss, 9: 6.0})
    found = repeated(objective)
    assert (found["status"], found["score"], found["scores"]) == (status, None, [1.0])
    assert found["message"].startswith(f"repeat 2 of 3 (seed 8): {words}")
    assert [seed for seed, *_ in objective.seen] == [7, 8]


# With the real command

CODE = """
import os, random, sys


def score(x, kind, seed, trial_dir):
    (trial_dir / str(seed)).touch()
    os.chdir(trial_dir)
    if trial_dir.name == "repeat-2":
        if kind == "raises":
            raise ValueError("in the second")
        if kind == "dies":
            os._exit(3)
    for epoch in range(3):
        yield {"cost": x + epoch + random.random(), "seed": seed}
"""
PYTHON = """
metric: {name: cost, goal: minimize}
objective: {python: "user.py:score"}
parameters:
  x: {min: 0, max: 1}
  kind: {values: [healthy, raises, dies], weights: [4, 1, 1]}
budget: {trials: 12}
"""
PROGRAM = """
import json, random, sys

x, kind, seed, folder = sys.argv[1:]
if kind != "healthy" and folder.endswith("repeat-2"):
    print("going down", file=sys.stderr)
    sys.exit(3)
for epoch in range(3):
    print(json.dumps({"cost": float(x) + random.Random(int(seed)).random() / (epoch + 1)}))
"""
COMMAND = PYTHON.replace(
    '{python: "user.py:score"}', '{command: "python program.py {x} {kind} {seed} {trial_dir}"}'
)
KINDS = {"mlp": TINY, "python": PYTHON, "command": COMMAND}
REPEATS = "trial: {repeats: 3}\n"


def write(folder: Path, kind: str, more: str = REPEATS, name: str = "search") -> None:
    (folder / "user.py").write_text(CODE)
    (folder / "program.py").write_text(PROGRAM)
    (folder / f"{name}.yaml").write_text(KINDS[kind] + more)


def untimed(folder: Path) -> list[Result]:
    """Return the record without what a clock says."""
    results = RunFolder(folder).results()
    return [replace(result, started="", seconds=0.0) for result in results]


@pytest.mark.parametrize("kind", KINDS)
def test_every_objective_is_tried_on_each_seed_and_the_best_config_repeats_its_score(
    command: Command, tmp_path: Path, kind: str
) -> None:
    write(tmp_path, kind)
    done = command("run", "search.yaml")
    assert done.returncode == 0, done.stderr
    results = untimed(tmp_path / "runs/search")
    complete = [result for result in results if result.status == "complete"]
    assert len(complete) >= 5
    for result in complete:
        assert len(result.scores) == 3
        assert len(set(result.scores)) > 1
        assert result.score == mean(result.scores)
    for result in results:
        if result.status == "failed":
            seed = repeat_seeds(result.seed, 3)[1]
            assert result.message is not None
            assert result.message.startswith(f"repeat 2 of 3 (seed {seed}): ")
            assert len(result.scores) == 1
            assert result.score is None
    if kind != "mlp":
        assert any(result.status == "failed" for result in results)
    if kind == "python":
        assert {2} == {result.attempts for result in results if result.status == "crashed"}
        seeds = statistics.fmean(repeat_seeds(complete[0].seed, 3))
        assert complete[0].metrics["seed"] == seeds
        folder = tmp_path / f"runs/search/trials/{complete[0].trial:04d}"
        made = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*"))]
        own = enumerate(repeat_seeds(complete[0].seed, 3), start=1)
        assert made == [f"repeat-{number}/{seed}" for number, seed in own]
    assert "the mean of 3 repeats" in done.stderr

    best = min(complete, key=lambda result: (result.score, result.trial))
    again = command("run", "runs/search/best.yaml", "-q")
    assert again.returncode == 0, again.stderr
    (repeat,) = untimed(tmp_path / "runs/search-best")
    assert repeat.scores == best.scores
    assert repeat.metrics == best.metrics
    assert repeat.curve == best.curve


@pytest.mark.parametrize("kind", ["mlp", "command"])
def test_the_first_repeat_is_the_trial_that_a_run_without_repeats_has(
    command: Command, tmp_path: Path, kind: str
) -> None:
    write(tmp_path, kind, "", "plain")
    write(tmp_path, kind, "trial: {repeats: 1}\n", "one")
    write(tmp_path, kind)
    for name in ("plain", "one", "search"):
        assert command("run", f"{name}.yaml", "-q").returncode == 0
    plain, one, three = (untimed(tmp_path / "runs" / name) for name in ("plain", "one", "search"))
    assert plain == one
    table = without_seconds(tmp_path / "runs/plain/trials.csv")
    assert without_seconds(tmp_path / "runs/one/trials.csv") == table
    assert "score_error" not in table
    record = (tmp_path / "runs/one/trials.jsonl").read_text()
    assert '"scores"' not in record
    provenance = json.loads((tmp_path / "runs/one/provenance.json").read_text())
    assert "repeats" not in provenance["identity"]["trial"]
    for single, several in zip(plain, three, strict=True):
        assert single.seed == several.seed
        if several.status == "complete":
            assert several.scores[0] == single.score


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_jobs_and_any_interruption_give_the_same_tables(
    command: Command, tmp_path: Path, kind: str
) -> None:
    write(tmp_path, kind)
    assert command("run", "search.yaml", "-q", "-j", 1).returncode == 0
    whole = untimed(tmp_path / "runs/search")
    table = without_seconds(tmp_path / "runs/search/trials.csv")
    assert table.splitlines()[0].split(",")[:4] == ["trial", "status", "score", "score_error"]
    assert command("run", "search.yaml", "-q", "-j", 4, "-n", "four").returncode == 0
    assert untimed(tmp_path / "runs/four") == whole
    assert without_seconds(tmp_path / "runs/four/trials.csv") == table

    killed = tmp_path / "runs/killed"
    record = killed / "trials.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", "search.yaml", "-q", "-j", "1", "-n", "killed"],
        cwd=tmp_path,
    )
    while process.poll() is None and not (record.exists() and record.stat().st_size):
        time.sleep(0.005)
    process.kill()
    process.wait()
    record.write_bytes(record.read_bytes()[:-9])  # and its last line is torn
    assert command("run", "search.yaml", "-q", "-n", "killed").returncode == 0
    assert untimed(killed) == whole
    assert without_seconds(killed / "trials.csv") == table


def test_a_fixed_seed_gives_every_trial_the_same_seeds(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "python", "trial: {repeats: 2, seed: 5}\n")
    assert command("run", "search.yaml", "-q").returncode == 0
    complete = [each for each in untimed(tmp_path / "runs/search") if each.score is not None]
    assert {each.metrics["seed"] for each in complete} == {statistics.fmean(repeat_seeds(5, 2))}


def test_the_timeout_holds_for_all_repeats_together(command: Command, tmp_path: Path) -> None:
    code = "import time\n\ndef score(x):\n    time.sleep(0.8)\n    return x\n"
    write(tmp_path, "python", "trial: {repeats: 100, timeout: 2s}\n")
    (tmp_path / "user.py").write_text(code)
    config = (tmp_path / "search.yaml").read_text()
    kind = next(line for line in config.splitlines() if "kind:" in line)
    text = config.replace(f"{kind}\n", "").replace("trials: 12", "trials: 1")
    (tmp_path / "search.yaml").write_text(text)
    command("run", "search.yaml", "-q")
    (result,) = RunFolder(tmp_path / "runs/search").results()
    assert (result.status, result.scores) == ("timeout", [])


def test_another_number_of_repeats_is_another_config(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "mlp")
    assert command("run", "search.yaml", "-q").returncode == 0
    write(tmp_path, "mlp", "trial: {repeats: 4}\n")
    refused = command("run", "search.yaml")
    assert refused.returncode == 2
    assert "trial.repeats: 3 -> 4" in refused.stderr


def test_what_early_stopping_goes_back_to_is_the_mean_too(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "mlp")
    text = TINY.replace("epochs: 2", "epochs: 12, early_stopping: 1, optimizer: momentum")
    (tmp_path / "search.yaml").write_text(text + REPEATS)
    assert command("run", "search.yaml", "-q").returncode == 0
    results = untimed(tmp_path / "runs/search")
    for result in results:
        best_epoch = result.metrics["best_epoch"]
        assert best_epoch is not None
        assert 3 * best_epoch == pytest.approx(round(3 * best_epoch))
        assert result.score == result.metrics["dev_error"] == mean(result.scores)


def test_preview_says_on_how_many_seeds_and_a_refined_config_keeps_them(
    command: Command, tmp_path: Path
) -> None:
    write(tmp_path, "mlp")
    assert (
        "6 trials by random search, each on 3 seeds, to" in command("preview", "search.yaml").stdout
    )
    assert "seeds" not in command("preview", "tiny.yaml").stdout.splitlines()[0]
    config = load_config(tmp_path / "search.yaml")
    refined = refined_yaml(config, {}, tmp_path, name="r", best=[], trials=None)
    assert "trial: {repeats: 3}" in refined
