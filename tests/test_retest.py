"""A retest tells luck from worth, and what is stale from what still holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import TINY, without_seconds
from honest_helpers import call, done, moved, refused
from hpsearch.config import Config, build_config
from hpsearch.data import DATASETS
from hpsearch.retest import compared, luck_text, order_text, verdict_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result
from hpsearch.yamlfile import parse_yaml

NOISY = """
objective: {python: "f.py:score"}
metric: {name: loss, goal: minimize}
parameters:
  kind: {values: [a, b, c]}
  rate: {scale: log, min: 1e-3, max: 1}
budget: {trials: 30}
"""
CODE = """
import random

WORTH = {"a": 0.1, "b": 0.2, "c": 0.4}


def score(kind, rate):
    return WORTH[kind] + random.gauss(0, NOISE)
"""


def write_code(folder: Path, noise: float, worth: str = "") -> None:
    code = CODE.replace("NOISE", str(noise))
    (folder / "f.py").write_text(
        code.replace('{"a": 0.1, "b": 0.2, "c": 0.4}', worth) if worth else code
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retest")
    write_code(folder, 0.05)
    (folder / "noisy.yaml").write_text(NOISY)
    (folder / "tiny.yaml").write_text(TINY)
    for name in ("noisy", "tiny"):
        done(folder, "run", f"{name}.yaml", "-q", "-j", 1)
    done(folder, "retest", "noisy", "-q", "-j", 1)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    return moved(made, tmp_path / "here")


def retested(folder: Path, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(folder, "retest", *arguments, "--json").stdout)
    return found


def test_the_best_settings_are_tried_again_exactly_on_seeds_of_their_own(made: Path) -> None:
    run, again = RunFolder(made / "runs" / "noisy"), RunFolder(made / "runs" / "noisy-retest")
    best = sorted(run.results(), key=lambda result: (result.score, result.trial))[:5]
    results = again.results()
    assert [each.params for each in results] == [each.params for each in best]
    assert [each.unit for each in results] == [each.unit for each in best]
    assert [each.note for each in results] == [{"trial": each.trial} for each in best]
    assert {len(each.scores) for each in results} == {5}
    assert len({each.seed for each in results}) == 1  # the same for all: pairs can be compared
    assert results[0].seed not in {each.seed for each in run.results()}


def test_the_luck_of_the_best_shows(made: Path) -> None:
    found = retested(made, "noisy")
    best = found["settings"][0]
    assert found["verdict"]["luck"] == pytest.approx(best["now"] - best["then"])
    assert found["verdict"]["luck"] > 0.02  # the best of 30 draws of noise 0.05
    shown = done(made, "retest", "noisy").stdout
    assert f"Trial {best['trial']} scored {best['then']:.4g} in the run and" in shown
    assert "of it was luck" in shown
    assert "Verdict: " in shown
    assert "Since the run" not in shown


def test_an_interrupted_retest_goes_on_to_the_same_table(here: Path) -> None:
    run = here / "runs" / "noisy-retest"
    whole, page = without_seconds(run / "trials.csv"), (run / "config.yaml").read_bytes()
    lines = (run / "trials.jsonl").read_bytes().splitlines(keepends=True)
    for command, kept in (
        (("retest", "noisy", "-j", 2), [lines[4], lines[0], lines[3][:40]]),
        (("resume", "noisy-retest", "-j", 1), [lines[2]]),
    ):
        (run / "trials.jsonl").write_bytes(b"".join(kept))
        done(here, *command, "-q")
        assert without_seconds(run / "trials.csv") == whole
        assert (run / "config.yaml").read_bytes() == page


def test_a_retest_that_is_killed_goes_on_to_the_same_table(here: Path) -> None:
    run = here / "runs" / "noisy-retest"
    whole = without_seconds(run / "trials.csv")
    shutil.rmtree(run)
    process = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "retest", "noisy", "-j", "1"],
        cwd=here,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("1/5 trials")  # on disk before it is shown
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(RunFolder(run).results()) >= 1
    done(here, "retest", "noisy", "-q")
    assert without_seconds(run / "trials.csv") == whole


def test_another_retest_has_other_seeds_and_a_name_of_its_own(here: Path) -> None:
    assert "To retest as things are now" in refused(here, "retest", "noisy", "--top", 2)
    again = retested(here, "noisy", "--again", "--top", 2)
    assert again["retest"] == "noisy-retest-2"
    first, second = (
        RunFolder(here / "runs" / name).results()[0] for name in ("noisy-retest", again["retest"])
    )
    assert first.params == second.params
    assert not set(first.scores) & set(second.scores)


def test_code_that_changed_makes_the_best_stale_and_is_named(here: Path) -> None:
    write_code(here, 0.001, '{"a": 0.9, "b": 0.2, "c": 0.4}')
    found = retested(here, "noisy", "--again", "--top", 12)
    assert found["changes"] == ["f.py changed"]
    verdict = found["verdict"]
    assert verdict["word"] == "stale"
    params = {each.trial: each.params for each in RunFolder(here / "runs" / "noisy").results()}
    assert params[verdict["use"]]["kind"] == "b"
    best = found["settings"][0]["trial"]
    assert f"use trial {verdict['use']} instead of trial {best}" in verdict["text"]


def test_a_setting_that_cannot_be_trained_any_more_is_stale(here: Path) -> None:
    worth = '{"a": (lambda: 1 / 0), "b": 0.2, "c": 0.4}'
    write_code(here, 0.001, worth)
    found = retested(here, "noisy", "--again", "--top", 12)
    assert found["verdict"]["word"] == "stale"
    assert "failed; use trial" in found["verdict"]["text"]
    write_code(here, 0.001, "{}")
    lost = call(here, "retest", "noisy", "--again", "--top", 3)
    assert lost.exit_code == 1
    assert "KeyError" in lost.stderr
    assert "Verdict: stale: none of the settings can be trained any more." in lost.stdout


def test_other_data_take_the_place_of_the_runs(here: Path) -> None:
    (here / "new.csv.gz").write_bytes(DATASETS["digits"].path.read_bytes())
    found = retested(here, "tiny", "--data", "new.csv.gz", "--top", 2, "--repeats", 2)
    config = (here / "runs" / "tiny-retest" / "config.yaml").read_text()
    assert "source: ../../new.csv.gz" in config.replace('"', "")
    assert "label: digit" in config
    assert [each["status"] for each in found["settings"]] == ["complete", "complete"]
    (here / "junk.bin").write_text("junk")
    (here / "bad.csv").write_text("a,b\n1,2\n")
    for arguments, sentence in (
        (("tiny", "--data", "junk.bin"), "--data: junk.bin: no reader for .bin"),
        (("tiny", "--data", "bad.csv"), "--data: bad.csv: no column 'digit'. Columns: a, b."),
        (("tiny", "--data", "runs"), "--data: runs is a folder"),
        (("noisy", "--data", "new.csv.gz"), "your own code reads its own data"),
        (("tiny", "--data", "lost.csv"), "--data: there is no file"),
        (("noisy-retest",), "is a retest itself"),
    ):
        assert sentence in refused(here, "retest", *arguments)


def test_the_hint_at_another_retest_keeps_the_options(here: Path) -> None:
    (here / "new.csv.gz").write_bytes(DATASETS["digits"].path.read_bytes())
    options = ["--top", 2, "--repeats", 2, "--data", "new.csv.gz"]
    first = done(here, "retest", "tiny", *options, "-v").stderr
    more = "hpsearch retest tiny --again --top 2 --repeats 10 --data new.csv.gz"
    assert f"  {more}\n" in first
    trial = json.loads(done(here, "retest", "tiny", *options, "--json").stdout)["settings"][0]
    assert f"  trial {trial['trial']}: {' '.join(map(repr, trial['scores']))}\n" in first
    again = "hpsearch retest tiny --again --top 3 --repeats 4\n"
    assert refused(here, "retest", "tiny", "--top", 3, "--repeats", 4).endswith(again)


def test_a_retest_is_refined_by_drawing_at_random_around_its_best(here: Path) -> None:
    done(here, "refine", "noisy-retest", "--write", "narrow.yaml")
    text = (here / "narrow.yaml").read_text()
    assert "method: random" in text
    assert "parent: noisy-retest" in text


# The verdict, from plain values


def config_of(goal: str) -> Config:
    text = (
        'objective: {python: "f.py:f"}\nparameters: {x: {min: 0, max: 1}}\n'
        f"metric: {{name: loss, goal: {goal}}}\n"
    )
    return build_config(parse_yaml(text.encode(), "c"), None, "c", Path(), with_data=False)


CONFIG = config_of("minimize")


def settings_of(scores: Sequence[Sequence[float]]) -> tuple[list[Result], list[Result]]:
    """Return the trials of a run, numbered from 10, and what a retest found."""
    before = [
        Result(10 + i, "complete", {"x": i / 9}, (i / 9,), 0, None, 0.01 * i)
        for i in range(len(scores))
    ]
    after = [
        replace(before[i], trial=i, score=sum(each) / len(each), scores=list(each))
        for i, each in enumerate(scores)
    ]
    return before, after


def verdict(scores: Sequence[Sequence[float]]) -> tuple[str, int | None]:
    found = verdict_of(compared(*settings_of(scores), "minimize"), CONFIG)
    return found.word, found.use


def test_the_three_verdicts() -> None:
    low, high, wide = [1.0, 1.1, 0.9], [2.0, 2.1, 1.9], [2.0, 0.1, 0.9]
    assert verdict([low, high, high]) == ("still best", 10)
    assert verdict([low, low, high]) == ("tied", 10)
    assert verdict([low, wide]) == ("tied", 10)
    assert verdict([high, low, low]) == ("stale", 11)
    assert verdict([[1.0], [0.5]]) == ("tied", 10)  # one seed each says nothing
    assert verdict([low]) == ("still best", 10)


def test_one_seed_tells_nothing_and_two_are_called_weak() -> None:
    for scores, word, words in (
        ([[1.0], [0.5]], "tied", "one seed cannot tell trial 11 from trial 10"),
        ([[1.0, 1.0], [0.5, 0.5]], "stale", "That is weak evidence, from 2 seeds each"),
        ([[0.5, 0.5], [1.0, 1.0]], "still best", "That is weak evidence, from 2 seeds each"),
    ):
        found = compared(*settings_of(scores), "minimize")
        said = verdict_of(found, CONFIG)
        assert (said.word, said.weak, said.seeds) == (word, True, len(scores[0]))
        assert words in said.text
    found = compared(*settings_of([[0.0]]), "minimize")
    luck = luck_text(found, verdict_of(found, CONFIG), CONFIG)
    assert luck == (
        "Trial 10 scored 0 in the run and 0 on 1 fresh seed: one seed cannot tell how much of it "
        "was luck."
    )
    three = compared(*settings_of([[1.0, 1.1, 0.9], [2.0, 2.1, 1.9]]), "minimize")
    assert not verdict_of(three, CONFIG).weak


def test_no_luck_is_claimed_of_the_seeds_that_were_tried_only() -> None:
    found = compared(*settings_of([[-1.0, -1.2, -0.8]]), "minimize")
    said = luck_text(found, verdict_of(found, CONFIG), CONFIG)
    assert said is not None
    assert said.endswith("on 3 fresh seeds: no luck shows in it on these.")


def test_the_interval_of_a_share_stays_within_0_and_1() -> None:
    settings = settings_of([[0.0, 0.3, 0.0], [1.0, 0.9, 1.0]])
    for name in ("dev_error", "dev_accuracy", "error", "accuracy"):
        low, high = compared(*settings, "minimize", name)
        assert low.now_interval.low == 0 < low.now_interval.high < 1
        assert 0 < high.now_interval.low < high.now_interval.high == 1
    assert compared(*settings, "minimize", "loss")[0].now_interval.low < 0


def test_differences_are_paired_so_that_what_seeds_share_cancels() -> None:
    shared = [5.0, 1.0, 9.0, 3.0]
    better = [each - 0.1 - 0.001 * i for i, each in enumerate(shared)]
    assert verdict([shared, better]) == ("stale", 11)
    assert verdict([shared, sorted(better)]) == ("tied", 10)


def test_two_seeds_that_agree_by_chance_decide_nothing() -> None:
    agree, scatter = [0.99, 1.01], [0.5, 2.0]
    assert verdict([[1.0, 1.02], agree, scatter]) == ("tied", 10)


@given(
    st.lists(
        st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_a_goal_to_maximize_is_the_mirror_image(scores: list[list[float]]) -> None:
    before, after = settings_of(scores)
    down = verdict_of(compared(before, after, "minimize"), CONFIG)
    turned = [
        [
            replace(each, score=-(each.score or 0.0), scores=[-s for s in each.scores])
            for each in some
        ]
        for some in (before, after)
    ]
    up = verdict_of(compared(*turned, "maximize"), config_of("maximize"))
    assert (up.word, up.use, up.text, up.luck) == (down.word, down.use, down.text, down.luck)


def test_luck_and_order_are_said_in_a_sentence() -> None:
    found = compared(*settings_of([[1.0, 1.2], [0.5, 0.7], [2.0, 2.2]]), "minimize")
    said = luck_text(found, verdict_of(found, CONFIG), CONFIG)
    assert said is not None
    assert said.startswith("Trial 10 scored 0 in the run and 1.1 (")
    assert said.endswith(
        "on 2 fresh seeds: 1.1 of it was luck, or is lost since, within what the seeds explain."
    )
    assert order_text(found) == (
        "Of the pairs with different scores then, 2 of 3 are still in that order."
    )
