"""`hpsearch export`: each format, read back with the library that it is for."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command
from hpsearch.cli.export import EXPORT_NAMES
from hpsearch.config import load_config
from hpsearch.export import EXPORTS, Exported
from hpsearch.export.files import full_table
from hpsearch.runs import open_folder
from hpsearch.scales import SCALES
from hpsearch.standings import trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result

CONFIG = """
metric: {name: acc, goal: maximize}
objective: {command: "train {rate} {beta} {units} {kind} {mixed} {fixed}", epochs: 3}
parameters:
  rate: {scale: log, min: 1e-4, max: 1}
  beta: {scale: one_minus_log, min: 0.9, max: 0.999}
  units: {type: int, scale: log, min: 1, max: 64}
  kind: {values: [adam, sgd]}
  mixed: {values: [[64, 32], none, 2.5, true, 1]}
  late: {scale: linear, min: 0, max: 1, when: {kind: adam}}
  fixed: 3
budget: {trials: 6}
"""

POINTS = [
    (0.0, 0.0, 0.0, 0.25, 0.1, 0.5),
    (1.0, 1.0, 1.0, 0.75, 0.3, 0.5),
    (0.5, 0.5, 0.5, 0.25, 0.5, 1.0),
    (0.3, 0.7, 0.2, 0.75, 0.7, 0.5),
    (0.6, 0.1, 0.9, 0.25, 0.9, 0.0),
]
STATUSES = ["complete", "complete", "failed", "timeout", "diverged"]


@pytest.fixture
def run(tmp_path: Path) -> Exported:
    """Record what five trials came to, two of which have a score."""
    (tmp_path / "train").write_text("")
    text = CONFIG.replace("{fixed}", "{fixed} {late}")
    (tmp_path / "mix.yaml").write_text(text.replace('command: "train', 'command: "sh train'))
    config = load_config(tmp_path / "mix.yaml")
    folder = RunFolder(tmp_path / "runs" / "mix")
    with folder.claim():
        provenance = open_folder(config, folder)
        provenance["sessions"].append({"started": "2026-01-01T10:00:00+00:00", "ended": "signal"})
        folder.write_provenance(provenance)
        for number, (point, status) in enumerate(zip(POINTS, STATUSES, strict=True)):
            curve = [0.5 + number / 10, None if status == "diverged" else 0.7, 0.9]
            is_complete = status == "complete"
            result = Result(
                trial=number,
                status=status,
                params=config.space.params(point),
                unit=point,
                seed=config.training_seed(number),
                budget=3,
                score=0.75 + number if is_complete else None,
                metrics={"acc": 0.75 + number if is_complete else None, "a@5 %": 1.0},
                curve={"acc": curve, "a@5 %": [0.1, 0.2, 1.0]},
                started=f"2026-01-01T10:00:0{number}.250+00:00",
                seconds=1.5,
                message=None if is_complete else f"=why {status}\nat length",
                epochs=3,
            )
            folder.append(result)
    return Exported(config, trials_of(config, folder.results()), "so far")


@pytest.fixture
def exported(run: Exported, answer: Command, tmp_path: Path) -> Any:
    """Export the run, and return where it is."""

    def export(to: str) -> Path:
        before = set(tmp_path.iterdir())
        done = answer("export", "mix", "--to", to)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        place = tmp_path / f"mix{EXPORTS[to].ending}"
        assert f"Wrote {place.name}" in done.stderr
        assert set(tmp_path.iterdir()) - before == {place}
        return place

    return export


def test_the_commands_names_are_those_of_the_table() -> None:
    assert list(EXPORTS) == list(EXPORT_NAMES)


def test_csv_has_every_trial_with_its_curve_and_why_it_failed(run: Exported, exported: Any) -> None:
    with exported("csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == STATUSES
    assert [float(row["rate"]) for row in rows] == [each.params["rate"] for each in run.results]
    assert [row["late"] for row in rows] == ["0.5", "", "1.0", "", "0.0"]
    assert json.loads(rows[4]["curve_acc"]) == [0.9, None, 0.9]
    assert rows[2]["message"] == "'=why failed\nat length"
    assert rows[0]["score"] == "0.75"
    assert rows[2]["score"] == ""


def test_parquet_reads_back_as_it_was(run: Exported, exported: Any) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(exported("parquet")).to_pydict()
    wanted = full_table(run)
    assert list(table) == list(wanted.names)
    assert table["rate"] == [each.params["rate"] for each in run.results]
    assert table["curve_acc"][4] == [0.9, None, 0.9]
    assert table["mixed"] == ["[64, 32]", '"none"', "2.5", "true", "1"]
    assert table["score"] == [0.75, 1.75, None, None, None]


def test_json_has_all_that_the_record_has(run: Exported, exported: Any) -> None:
    content = json.loads(exported("json").read_text())
    assert content["config"]["metric"] == {"name": "acc", "goal": "maximize"}
    assert content["parameters"] == json.loads(json.dumps(run.config.space.spec()))
    first = content["trials"][0]
    assert Result(**{**first, "params": run.results[0].params, "unit": POINTS[0]}) == run.results[0]
    assert first["params"]["mixed"] == [64, 32]


def test_an_optuna_study_has_true_distributions_states_and_curves(
    run: Exported, exported: Any
) -> None:
    optuna = pytest.importorskip("optuna")
    place = exported("optuna")
    study = optuna.load_study(study_name="mix", storage=f"sqlite:///{place}")
    trials = study.trials
    states = optuna.trial.TrialState
    assert [trial.state for trial in trials] == [states.COMPLETE] * 2 + [states.FAIL] * 3
    assert study.direction.name == "MAXIMIZE"
    assert study.best_trial.number == 1
    assert study.user_attrs["constants"] == {"fixed": 3}
    distributions = optuna.distributions
    known = trials[0].distributions
    assert known["rate"] == distributions.FloatDistribution(1e-4, 1, log=True)
    assert known["1-beta"] == distributions.FloatDistribution(1 - 0.999, 1 - 0.9, log=True)
    assert known["units"] == distributions.IntDistribution(1, 64, log=True)
    assert known["late"] == distributions.FloatDistribution(0, 1)
    assert known["kind"] == distributions.CategoricalDistribution(["adam", "sgd"])
    assert len(known["mixed"].choices) == 5
    assert "late" not in trials[1].params
    for trial, result in zip(trials, run.results, strict=True):
        assert trial.params["rate"] == result.params["rate"]
        assert 1 - trial.params["1-beta"] == pytest.approx(result.params["beta"], abs=1e-15)
        assert trial.user_attrs["status"] == result.status
        assert trial.user_attrs["message"] == result.message
        assert (trial.datetime_complete - trial.datetime_start).total_seconds() == 1.5
    assert trials[3].intermediate_values == {1: 0.8, 2: 0.7, 3: 0.9}
    assert trials[4].intermediate_values == {1: 0.9, 3: 0.9}


def test_a_search_goes_on_in_optuna_where_it_ended_here(run: Exported, exported: Any) -> None:
    optuna = pytest.importorskip("optuna")
    place = exported("optuna")
    study = optuna.load_study(study_name="mix", storage=f"sqlite:///{place}")
    trial = study.ask(dict(study.trials[0].distributions))
    study.tell(trial, 3.0)
    assert study.best_trial.number == 5
    assert 1 - trial.params["1-beta"] <= 0.999


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("whole", [False, True])
def test_every_scale_has_its_distribution_in_optuna(name: str, whole: bool) -> None:
    pytest.importorskip("optuna")
    from hpsearch.export.optuna import _converted
    from hpsearch.scales import Integer, Real

    low, high = {"one_minus_log": (-9, 0)}.get(name, (1, 10))
    axis = (Integer if whole else Real)(SCALES[name](low, high), name)
    for value in (low, high):
        converted, distribution = _converted(axis, value)
        assert distribution._contains(converted)
        assert distribution.log == (name != "linear")


def test_trials_that_halving_stopped_are_pruned_in_optuna(run: Exported, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    from dataclasses import replace

    low, high = (replace(each, rung=i) for i, each in enumerate(run.results[:2]))
    EXPORTS["optuna"].write(
        Exported(run.config, [low, high], "so far"), tmp_path / "x.db", tmp_path / "x.db"
    )
    study = optuna.load_study(study_name="mix", storage=f"sqlite:///{tmp_path}/x.db")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]


def test_tensorboard_reads_the_curves_and_the_table_of_hyperparameters(
    run: Exported, exported: Any
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.util.tensor_util import make_ndarray

    place = exported("tensorboard")
    reader = EventMultiplexer().AddRunsFromDirectory(str(place)).Reload()
    names = [f"trial-{number:04d}" for number in range(5)]
    assert sorted(reader.Runs()) == [".", *names]

    def scalars(name: str, tag: str) -> list[tuple[int, float]]:
        found = reader.Tensors(name, tag)
        return [(each.step, round(float(make_ndarray(each.tensor_proto)), 6)) for each in found]

    assert scalars(names[3], "acc") == [(1, 0.8), (2, 0.7), (3, 0.9)]
    assert [step for step, _ in scalars(names[4], "acc")] == [1, 3]
    assert scalars(names[1], "score") == [(3, 1.75)]

    def content(name: str, tag: str) -> bytes:
        return reader.SummaryMetadata(name, tag).plugin_data.content

    space = metadata.parse_experiment_plugin_data(content(".", metadata.EXPERIMENT_TAG))
    domains = {each.name: each for each in space.hparam_infos}
    assert domains["beta"].domain_interval.max_value == 0.999
    assert len(domains["mixed"].domain_discrete) == 5
    ends = [
        metadata.parse_session_end_info_plugin_data(content(name, metadata.SESSION_END_INFO_TAG))
        for name in names
    ]
    success, failure = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    assert [each.status for each in ends] == [success] * 2 + [failure] * 3
    for name, result in zip(names, run.results, strict=True):
        start = metadata.parse_session_start_info_plugin_data(
            content(name, metadata.SESSION_START_INFO_TAG)
        )
        assert start.hparams["rate"].number_value == result.params["rate"]
        assert ("late" in start.hparams) == ("late" in result.params)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow for SQLAlchemy
def test_an_mlflow_experiment_has_a_run_for_each_trial(run: Exported, exported: Any) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    place = exported("mlflow")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{place}")
    experiment = client.get_experiment_by_name("mix")
    runs = {each.info.run_name: each for each in client.search_runs([experiment.experiment_id])}
    assert [runs[f"trial {n}"].info.status for n in range(5)] == [
        *("FINISHED", "FINISHED", "FAILED", "KILLED", "FAILED")
    ]
    for result in run.results:
        found = runs[f"trial {result.trial}"]
        assert float(found.data.params["rate"]) == result.params["rate"]
        assert found.data.params["fixed"] == "3"
        assert found.data.tags["hpsearch.status"] == result.status
        assert found.data.tags.get("hpsearch.message") == result.message
        assert found.data.metrics.get("score") == result.score
        assert found.info.end_time - found.info.start_time == 1500
    history = client.get_metric_history(runs["trial 3"].info.run_id, "acc")
    assert sorted((each.step, each.value) for each in history) == [(1, 0.8), (2, 0.7), (3, 0.9)]
    assert "a_5 _" in runs["trial 0"].data.metrics


MISSING = [
    ("parquet", "pyarrow"),
    ("mlflow", "mlflow"),
    ("tensorboard", "tensorboard"),
    ("optuna", "optuna"),
]


@pytest.mark.parametrize(("to", "package"), MISSING)
def test_a_missing_extra_is_a_sentence_and_nothing_is_written(
    run: Exported, answer: Command, monkeypatch: pytest.MonkeyPatch, to: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    before = sorted(Path().rglob("*"))
    refused = answer("export", "mix", "--to", to)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"hpsearch: --to {to} needs {package}: pip install 'hpsearch[{to}]'\n"
    )
    assert sorted(Path().rglob("*")) == before


def test_what_is_there_is_replaced_only_by_force(run: Exported, answer: Command) -> None:
    place = Path("mix.csv")
    place.write_text("mine")
    refused = answer("export", "mix", "--to", "csv")
    assert refused.returncode == 2
    assert (
        "mix.csv exists already: name another place, or replace it with --force" in refused.stderr
    )
    assert place.read_text() == "mine"
    assert answer("export", "mix", "--to", "csv", "--force").returncode == 0
    assert place.read_text().startswith("trial,status,score")


def test_a_folder_is_replaced_only_if_an_export_made_it(run: Exported, answer: Command) -> None:
    pytest.importorskip("tensorboard")
    export = ("export", "mix", "--to", "tensorboard", "-o", "board")
    for force in ((), ("--force",)):
        assert answer(*export, *force).returncode == 0
    assert answer(*export).returncode == 2
    Path("board", "thesis.tex").write_text("years of work")
    refused = answer(*export, "--force")
    assert refused.returncode == 2
    assert "has other files than events.out.tfevents.* in it" in refused.stderr
    assert Path("board", "thesis.tex").exists()


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("runs", "runs is a folder: name a file in it"),
        ("no/where.csv", "there is no folder no"),
        ("runs/mix/trials.jsonl", "belongs to a run and is not replaced"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    run: Exported, answer: Command, place: str, sentence: str
) -> None:
    record = Path("runs/mix/trials.jsonl").read_bytes()
    refused = answer("export", "mix", "--to", "csv", "-o", place, "--force")
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert Path("runs/mix/trials.jsonl").read_bytes() == record


def test_an_export_that_fails_leaves_what_was_there(
    run: Exported, answer: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def fail(run: Exported, path: Path, place: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    Path("mix.csv").write_text("mine")
    monkeypatch.setitem(EXPORTS, "csv", replace(EXPORTS["csv"], write=fail))
    failed = answer("export", "mix", "--to", "csv", "--force")
    assert (failed.returncode, failed.stderr) == (3, "hpsearch: mix.csv: No space left on device\n")
    assert Path("mix.csv").read_text() == "mine"
    assert not list(Path().glob(".mix*"))


def test_a_run_without_a_finished_trial_has_nothing_to_export(
    run: Exported, answer: Command
) -> None:
    Path("runs/mix/trials.jsonl").write_bytes(b"")
    refused = answer("export", "mix", "--to", "csv")
    assert refused.returncode == 2
    assert "has no finished trial yet" in refused.stderr


def test_the_page_names_every_export_with_its_file_and_its_extra() -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name, exporter in EXPORTS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"`NAME{exporter.ending}" in row
        if name not in ("csv", "json"):
            assert f"`hpsearch[{name}]`" in row
            assert f"\n{name} = [" in extras
        if exporter.view is not None:
            assert exporter.view.format(place=f"NAME{exporter.ending}") in row
