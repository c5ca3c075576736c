"""The test set is opened once, and what is said of it is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TINY
from honest_helpers import call, done, moved, refused
from hpsearch.data import DataSource, prepare_final
from hpsearch.evaluate import figures_table
from hpsearch.model import load_model
from hpsearch.objectives.mlp import MLP, load_split
from hpsearch.runs import load_run
from hpsearch.seeds import stream
from hpsearch.standings import best_of
from hpsearch.store import RunFolder

STOPPING = TINY.replace("epochs: 2", "epochs: 12, early_stopping: 2").replace(
    "trials: 6", "trials: 3"
)
FOLDS = TINY.replace("source: digits", "source: digits, folds: 3").replace("trials: 6", "trials: 3")
NO_TEST = TINY.replace("source: digits", "source: digits, split: {train: 0.8, dev: 0.2}")
OWN = """
objective: {python: "f.py:score"}
metric: {name: loss, goal: minimize}
parameters: {rate: {min: 0, max: 1}}
budget: {trials: 3}
"""
DIVERGING = TINY.replace("{scale: log, min: 1e-4, max: 1e-1}", "1e30").replace(
    "epochs: 2", "epochs: 2, batch_norm: false, optimizer: gradient_descent"
)
CONFIGS = {
    "tiny": TINY,
    "stopping": STOPPING,
    "folds": FOLDS,
    "none": NO_TEST.replace("trials: 6", "trials: 2"),
    "halving": TINY.replace("epochs: 2", "epochs: 3") + "method: halving\n",
    "own": OWN,
    "wild": DIVERGING.replace("trials: 6", "trials: 2"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "f.py").write_text("def score(rate):\n    return rate\n")
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text)
        code = call(folder, "run", f"{name}.yaml", "-q", "-j", 1).exit_code
        assert code == (1 if name == "wild" else 0), name
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """Return a folder with runs that a test may open the test set of."""
    return moved(made, tmp_path / "here")


def evaluated(folder: Path, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done(folder, "evaluate", *arguments, "--json").stdout)
    return found


@pytest.mark.parametrize("name", ["tiny", "stopping", "halving"])
def test_the_setting_that_is_trained_again_comes_to_the_trials_score_bit_for_bit(
    here: Path, name: str
) -> None:
    found = evaluated(here, name)
    folder = RunFolder(here / "runs" / name)
    best, _ = best_of(load_run(folder, with_data=False), folder)
    assert found["trial"] == best.trial
    assert found["dev"]["error"] == found["score"] == best.score
    assert found["dev"]["loss"] == best.metrics["dev_loss"]
    assert found["trained_on"] == "train"


def source_of(run: RunFolder) -> DataSource:
    """The data of a run of the built-in trainer."""
    objective = load_run(run).objective
    assert isinstance(objective, MLP)
    return objective.data


def test_what_is_said_of_the_test_set_is_what_the_model_does_on_it(here: Path) -> None:
    found = evaluated(here, "tiny")
    run = RunFolder(here / "runs" / "tiny")
    (split,) = load_split(source_of(run))
    model = load_model(run.path / "model.npz")
    answers = model.predict(split.test.x).argmax(axis=1)
    wrong = int((answers != split.test.y).sum())
    error = found["test"]["error"]
    assert error["value"] == wrong / len(split.test.y)
    assert error["low"] < error["value"] < error["high"]
    assert found["test"]["accuracy"]["value"] == pytest.approx(1 - error["value"])
    for figure in found["test"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_a_second_look_needs_again_and_the_report_says_how_often(here: Path) -> None:
    first = evaluated(here, "tiny")
    error = refused(here, "evaluate", "tiny")
    assert "The test set was opened once, on 20" in error
    assert "hpsearch evaluate tiny --again" in error
    again = evaluated(here, "tiny", "--again")
    assert (first["opened"], again["opened"]) == (1, 2)
    assert {**again, "date": "", "opened": 1} == {**first, "date": ""}
    page = (here / "runs" / "tiny" / "leaderboard.md").read_text()
    assert "The test set was opened 2 times, last on 20" in page
    done(here, "resume", "tiny", "-q")
    assert (here / "runs" / "tiny" / "leaderboard.md").read_text() == page
    lines = (here / "runs" / "tiny" / "test.jsonl").read_bytes().splitlines()
    assert len(lines) == 2


def test_with_dev_among_the_training_data_there_are_more_examples_and_no_dev_figures(
    here: Path,
) -> None:
    found = evaluated(here, "stopping", "--include-dev")
    (split,) = load_split(source_of(RunFolder(here / "runs" / "stopping")))
    assert found["examples"]["train"] == len(split.train.y) + len(split.dev.y)
    assert found["examples"]["test"] == len(split.test.y)
    assert (found["dev"], found["trained_on"]) == ({}, "train + dev")
    best = RunFolder(here / "runs" / "stopping").results()[found["trial"]]
    assert found["epochs"] == best.metrics["best_epoch"] < 12  # nothing is left to stop it by
    assert found["test"]["error"]["value"] < 0.5


def test_train_and_dev_are_normalised_as_one_and_test_stays_the_same_examples(here: Path) -> None:
    source = source_of(RunFolder(here / "runs" / "tiny"))
    (plain,) = load_split(source)
    same, encoding = prepare_final(source, stream, include_dev=False)
    joined, _ = prepare_final(source, stream, include_dev=True)
    for part in ("train", "dev", "test"):
        assert np.array_equal(getattr(same, part).x, getattr(plain, part).x)
    assert np.array_equal(encoding.inputs.mean, plain.mean)
    assert np.array_equal(joined.test.y, plain.test.y)
    for learned in (joined.train.x, plain.train.x):
        assert abs(learned.mean(dtype=np.float64)) < 1e-6  # all pixels of an image as one
    assert not np.array_equal(joined.test.x, plain.test.x)


def test_folds_are_trained_on_together(here: Path) -> None:
    found = evaluated(here, "folds")
    assert found["trained_on"] == "train + dev"
    assert found["examples"] == {"train": 1438, "test": 359}


def test_a_model_is_made_when_it_is_asked_for_and_the_same_each_time(here: Path) -> None:
    run = here / "runs" / "tiny"
    assert not (run / "model.npz").exists()
    done(here, "best", "tiny", "--model", "a.npz")
    made = (run / "model.npz").read_bytes()
    (run / "model.npz").unlink()
    evaluated(here, "tiny")
    assert (run / "model.npz").read_bytes() == made == (here / "a.npz").read_bytes()


def test_the_table_begins_with_the_figure_that_the_search_went_by(here: Path) -> None:
    found = evaluated(here, "tiny")
    table = figures_table(found)
    assert table.rows[0][0] == "error"
    values = (
        found["dev"]["error"],
        *(found["test"]["error"][key] for key in ("value", "low", "high")),
    )
    assert list(table.rows[0][1:]) == [f"{value:.4f}" for value in values]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "the run none has no test set: its config gives the test part nothing"),
        ("own", "the run own scores your own code (objective.python), and hpsearch knows no test"),
        ("wild", "no trial of the run wild is complete (2 diverged); trial 0 diverged: train_loss"),
        ("nothing", "there is no run 'nothing'"),
    ],
)
def test_what_cannot_be_measured_gets_a_sentence(made: Path, name: str, sentence: str) -> None:
    assert sentence in refused(made, "evaluate", name)
    if name in ("none", "own", "wild"):
        assert not (made / "runs" / name / "test.jsonl").exists()


def test_an_empty_run_has_no_best_and_nothing_else_is_said(here: Path) -> None:
    (here / "runs" / "tiny" / "trials.jsonl").write_bytes(b"")
    for command in ("evaluate", "best", "retest", "report"):
        assert refused(here, command, "tiny") == (
            "hpsearch: the run tiny has no finished trial yet\n"
            "To go on with it: hpsearch resume tiny\n"
        )
    other = moved(here / "runs", here / "elsewhere")
    assert f"hpsearch resume {other / 'tiny'}" in refused(here, "best", other / "tiny")


def test_a_run_that_is_not_finished_is_warned_of_below_what_was_measured(here: Path) -> None:
    record = here / "runs" / "tiny" / "trials.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:3]))
    found = done(here, "evaluate", "tiny")
    warning = "warning: tiny is not finished: 3 of 6 trials so far"
    assert warning in found.stderr
    assert found.output.index("Wilson") < found.output.index(warning)
    assert "hpsearch predict tiny data.csv" in found.stderr


def test_a_run_that_goes_on_is_left_alone(here: Path) -> None:
    run = RunFolder(here / "runs" / "tiny")
    provenance = run.provenance()
    provenance["sessions"][-1]["ended"] = None
    run.write_provenance(provenance)
    with run.claim():
        assert "is being written by process" in refused(here, "evaluate", "tiny")
        assert "goes on in another process" in refused(here, "retest", "tiny")
        listed = json.loads(done(here, "list", "--json").stdout)
        assert {each["run"]: each["state"] for each in listed}["tiny"] == "running"
        done(here, "best", "tiny")


def test_data_that_changed_are_not_taken_for_those_of_the_run(here: Path) -> None:
    rows = ["x,y,kind"] + [f"{i % 7},{i % 5},{'ab'[i % 7 > 3]}" for i in range(60)]
    (here / "d.csv").write_text("\n".join(rows))
    text = TINY.replace("source: digits", "source: d.csv, label: kind")
    (here / "csv.yaml").write_text(text.replace("trials: 6", "trials: 2"))
    done(here, "run", "csv.yaml", "-q", "-j", 1)
    (here / "d.csv").write_text("\n".join([*rows, "1,1,a"]))
    assert "the data have changed since the run csv" in refused(here, "evaluate", "csv")
    assert "hpsearch retest csv" in refused(here, "best", "csv", "--model", "m.npz")


def test_a_newer_test_jsonl_is_one_sentence_before_anything_is_shown_or_done(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(here / "runs" / "tiny")
    with monkeypatch.context() as newer, run.claim():
        newer.setattr("hpsearch.store.TESTS_FORMAT", 9)
        run.add_test({"opened": 1})
    for arguments in (
        ["report"],
        ["report", "--html"],
        ["report", "--json"],
        ["report", "--watch"],
        *(["evaluate"], ["best"], ["retest"]),
    ):
        told = refused(here, arguments[0], "tiny", *arguments[1:])
        assert "test.jsonl has format 9, and this hpsearch reads up to 1: upgrade" in told
    assert not (run.path / "report.html").exists()
    assert not (here / "runs" / "tiny-retest").exists()


def test_a_newer_versions_files_are_refused_and_damage_is_named(here: Path) -> None:
    evaluated(here, "tiny")
    path = here / "runs" / "tiny" / "test.jsonl"
    line = path.read_bytes()
    path.write_bytes(line.replace(b'"opened":1', b'"opened":0') + line)
    found = call(here, "evaluate", "tiny", "--again")
    assert (found.exit_code, "test.jsonl:1: this line is damaged" in found.stderr) == (3, True)
    path.unlink()
    provenance = here / "runs" / "tiny" / "provenance.json"
    provenance.write_text(provenance.read_text().replace('"format": 1', '"format": 9', 1))
    for command in ("evaluate", "best", "retest"):
        assert "provenance.json has format 9" in refused(here, command, "tiny")
