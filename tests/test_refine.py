from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT, Command
from hpsearch.cli import cli
from hpsearch.cli.refine import METHOD_NAMES
from hpsearch.config import Config, build_config, load_config
from hpsearch.errors import UserError
from hpsearch.objectives.mlp import load_split
from hpsearch.provenance import describe
from hpsearch.refine import refined
from hpsearch.scales import Integer, Real
from hpsearch.space import Choice, ends
from hpsearch.store import CONFIG, RunFolder
from hpsearch.strategies import STRATEGIES
from hpsearch.trial import Result, joined
from hpsearch.yamlfile import parse_yaml

HERE = Path()

EVERYTHING = """
name: everything
metric: {name: dev_error, optimal_error: 0.01}
objective: {trainer: mlp, epochs: 1, activation: tanh, dtype: float64}
data: {source: digits, split: {train: 0.5, dev: 0.3, test: 0.2}}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
  momentum:      {scale: linear, min: 0, max: 0.95}
  beta2:         {scale: one_minus_log, min: 0.9, max: 0.99999}
  epsilon:       {scale: log, min: 1e-9, max: 1}
  l2:            {scale: linear, min: 0, max: 10}
  init_scale:    {min: 0.01, max: 2}
  layers:        {type: int, min: 0, max: 100}
  hidden_units:  {type: int, scale: log, min: 1, max: 100000}
  batch_size:    {type: int, scale: log, min: 2, max: 898}
  optimizer:     {values: [adam, momentum, rmsprop], weights: [1, 2, 3]}
  batch_norm:    {values: [true, false]}
  decay:         inverse_time
  initializer:   he
budget: {trials: 9, patience: 5, time: 1h}
trial: {timeout: 5m}
run: {jobs: 2}
seed: 4
"""


def config_of(text: str) -> Config:
    return build_config(parse_yaml(text.encode(), "c.yaml"), None, "c", HERE)


@pytest.fixture(scope="module")
def everything() -> Config:
    return config_of(EVERYTHING)


def results_at(
    config: Config, points: Sequence[Sequence[float]], scores: Sequence[float] | None = None
) -> list[Result]:
    """Return complete trials at points of the unit cube; without scores the first is best."""
    values = scores or [i / 100 for i in range(len(points))]
    if not scores and config.goal == "maximize":
        values = [1 - value for value in values]
    return [
        Result(i, "complete", config.space.params(p), tuple(p), i, 1, score)
        for i, (p, score) in enumerate(zip(points, values, strict=True))
    ]


def child_of(config: Config, results: list[Result], *, top: int = 5) -> tuple[Config, str]:
    text = refined(config, results, HERE, name="child", top=top, trials=None)
    return build_config(parse_yaml(text.encode(), "child.yaml"), None, "x", HERE), text


def inside(child: Config, result: Result) -> bool:
    for name, value in result.params.items():
        axis = child.space.axes.get(name)
        if axis is None:
            if repr(child.constants[name]) != repr(value):
                return False
        elif isinstance(axis, Choice):
            if repr(value) not in map(repr, axis.options):
                return False
        else:
            low, high = ends(axis)
            if not low <= value <= high:
                return False
    return True


coordinates = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
clouds = st.lists(st.tuples(*[coordinates] * 11), min_size=3, max_size=8)


@settings(deadline=None, max_examples=60)
@given(clouds, st.integers(2, 6))
def test_whatever_the_trials_the_written_config_is_valid_and_holds_the_best_ones(
    everything: Config, cloud: list[tuple[float, ...]], top: int
) -> None:
    results = results_at(everything, cloud)
    child, text = child_of(everything, results[:5], top=top)  # patience: trial 5 ends the search
    for result in results[: min(top, 5)]:
        assert inside(child, result), text


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_refined_run_can_be_refined_again_and_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = config_of(EVERYTHING.replace("patience: 5, ", ""))
    for generation in range(4):
        if not config.space.axes:
            break
        results = results_at(config, rng.random((6, len(config.space.axes))).tolist())
        child, text = child_of(config, results)
        assert child.seed == config.seed + 1, generation
        assert all(inside(child, result) for result in results[:5]), text
        config = child


def test_what_is_not_searched_stays_as_it_was(everything: Config) -> None:
    child, _ = child_of(everything, results_at(everything, [(0.4,) * 11] * 5))
    assert child.name == "child"
    assert child.parent == "everything"
    assert child.metric.optimal_error == 0.01
    assert child.goal == "minimize"
    assert child.budget == everything.budget
    assert child.trial == everything.trial
    assert child.run == everything.run
    assert child.objective.constants.items() >= everything.objective.constants.items()
    assert child.constants["decay"] == "inverse_time"


def test_the_dev_set_is_the_parents_while_the_trials_are_new(everything: Config) -> None:
    child, _ = child_of(everything, results_at(everything, [(0.4,) * 11] * 5))
    assert child.objective.data == everything.objective.data
    assert child.seed != everything.seed
    grandchild, _ = child_of(child, results_at(child, [(0.4,) * len(child.space.axes)] * 5))
    assert grandchild.objective.data == everything.objective.data
    assert len({everything.seed, child.seed, grandchild.seed}) == 3


def test_the_largest_seed_has_a_successor_too() -> None:
    config = config_of(EVERYTHING.replace("seed: 4", f"seed: {2**63 - 1}"))
    child, _ = child_of(config, results_at(config, [(0.4,) * 11] * 5))
    assert child.seed != config.seed
    assert child.objective.data.seed == 2**63 - 1


@pytest.mark.parametrize("corner", [0.0, 1.0])
def test_bounds_widen_beyond_an_edge_but_never_beyond_what_the_setting_can_be(
    everything: Config, corner: float
) -> None:
    child, text = child_of(everything, results_at(everything, [(corner,) * 11, *[(0.5,) * 11] * 4]))
    bounds = {name: tuple(ends(axis)) for name, axis in child.space.axes.items()}
    if corner == 0:
        assert bounds["learning_rate"][0] < 1e-4
        assert bounds["momentum"][0] == 0
        assert bounds["l2"][0] == 0
        assert bounds["layers"][0] == 0
        assert bounds["hidden_units"][0] == 1
        assert bounds["batch_size"][0] == 2  # 1 has no variance for batch norm
        assert "min: 0  # kept: the best sits there, but it can go no further" in text
    else:
        assert bounds["learning_rate"][1] > 1
        assert 0.95 < bounds["momentum"][1] < 1
        assert 0.99999 < bounds["beta2"][1] < 1
        assert bounds["epsilon"][1] == 1
        assert bounds["layers"][1] == 100
        assert bounds["hidden_units"][1] == 100_000
        assert bounds["batch_size"][1] == 898  # the whole training set
        assert "-> 1" not in text.split("beta2:")[1].split("epsilon:")[0]
    assert text.count("widened, the best trial 0 sits on this edge") >= 2


def test_every_bound_of_the_written_config_says_why() -> None:
    config = load_config(ROOT / "configs" / "scales.yaml")
    _, text = child_of(config, results_at(config, [(0.5, 0.5, 0.5, 0.5, 0.1), *[(0.6,) * 5] * 4]))
    lines = text.splitlines()
    bounds = [line for line in lines if line.strip().startswith(("min:", "max:", "values:"))]
    assert len(bounds) == 10
    for line in bounds:
        assert "  # " in line
        assert " -> " in line or "kept: " in line
        assert "0, 1, 2, 3, 4" in line or "trial 0" in line or "the best sits there" in line
    assert "# 0.0001 -> " in text


def test_a_range_that_shrank_to_one_value_is_written_as_a_plain_value_with_its_reason() -> None:
    config = load_config(ROOT / "configs" / "choices.yaml")
    child, text = child_of(config, results_at(config, [(0.99, 0.1, 0.4, 0.1)] * 4))
    assert "  optimizer: adam  # [gradient_descent, momentum, rmsprop, adam] -> [adam]: " in text
    assert "  hidden_units: [64, 32]  # " in text
    assert child.constants["hidden_units"] == (64, 32)
    assert child.constants["batch_norm"] is True
    assert not child.space.axes


def test_a_goal_to_maximize_zooms_to_the_highest_scores() -> None:
    config = config_of(EVERYTHING.replace("name: dev_error, ", "name: dev_accuracy, "))
    assert config.goal == "maximize"
    low, high = [(0.2,) * 11] * 3, [(0.7,) * 11] * 3
    results = results_at(config, [*low, *high][:5], [0.1, 0.2, 0.15, 0.9, 0.8])
    child, _ = child_of(config, results, top=2)
    assert child.goal == "maximize"
    assert all(inside(child, result) for result in results[3:])
    assert not any(inside(child, result) for result in results[:3])


def test_trials_beyond_the_end_of_the_search_are_no_part_of_the_box(everything: Config) -> None:
    far = (0.99,) * 11
    results = results_at(everything, [*[(0.3,) * 11] * 9, far], [0.5] * 9 + [0.01])
    child, _ = child_of(everything, results)
    assert not inside(child, results[-1])


def test_only_the_best_trials_that_have_a_score_draw_the_box(everything: Config) -> None:
    good = results_at(everything, [(0.4,) * 11] * 4)
    lost = Result(4, "diverged", everything.space.params((0.99,) * 11), (0.99,) * 11, 4, 1, None)
    child, _ = child_of(everything, [*good, lost], top=50)
    assert all(inside(child, result) for result in good)
    assert not inside(child, lost)


@pytest.mark.parametrize(
    ("complete", "lost", "words"),
    [
        (0, 0, "has no finished trial yet"),
        (0, 4, "no trial of the run everything is complete"),
        (2, 2, "has 2 complete trials of 4, and a refinement needs at least 3"),
    ],
)
def test_too_few_complete_trials_are_refused_in_a_sentence(
    everything: Config, complete: int, lost: int, words: str
) -> None:
    points = [(0.5,) * 11] * (complete + lost)
    results = results_at(everything, points)
    results[complete:] = [
        Result(r.trial, "failed", r.params, r.unit, 0, 1, None) for r in results[complete:]
    ]
    with pytest.raises(UserError, match=words):
        child_of(everything, results)


def test_a_run_in_which_nothing_varies_has_nothing_to_refine() -> None:
    config = config_of("objective: {trainer: mlp}\ndata: {source: digits}\nparameters: {l2: 0}\n")
    with pytest.raises(UserError, match="nothing varies in the run c"):
        child_of(config, results_at(config, [()] * 5))


# The command


Refine = Callable[..., Invocation]


@pytest.fixture
def refine(tmp_path: Path) -> Refine:
    def run(*arguments: object) -> Invocation:
        words = ["refine", "--runs-dir", str(tmp_path / "runs"), *map(str, arguments)]
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    return run


def store(folder: RunFolder, config: Config, text: str, results: list[Result]) -> None:
    with folder.claim():
        folder.write_provenance(describe(config))
        folder.write(CONFIG, text)
        for result in results:
            folder.append(result)


def stored(tmp_path: Path, count: int = 5, status: str = "complete") -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "everything")
    config = config_of(EVERYTHING)
    results = results_at(config, [(0.2 + i / 10,) * 11 for i in range(count)])
    if status != "complete":
        results = [Result(r.trial, status, r.params, r.unit, 0, 1, None) for r in results]
    store(folder, config, EVERYTHING, results)
    return folder


def test_write_writes_the_narrowed_config_and_runs_nothing(tmp_path: Path, refine: Refine) -> None:
    stored(tmp_path)
    target = tmp_path / "narrow.yaml"
    outcome = refine("everything", "--write", target, "--trials", 3)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout == ""
    assert f"hpsearch run {target}" in outcome.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["everything"]
    child = load_config(target)
    assert child.parent == "everything"
    assert child.name == "everything-refined"
    assert child.budget.trials == 3


def test_write_never_replaces_a_file(tmp_path: Path, refine: Refine) -> None:
    stored(tmp_path)
    target = tmp_path / "mine.yaml"
    target.write_text("precious")
    outcome = refine("--write", target)
    assert outcome.exit_code == 2
    assert "exists already" in outcome.stderr
    assert target.read_text() == "precious"


def test_write_into_a_folder_that_is_not_there_is_refused(tmp_path: Path, refine: Refine) -> None:
    stored(tmp_path)
    outcome = refine("--write", tmp_path / "no" / "where.yaml")
    assert outcome.exit_code == 2
    assert "where.yaml: there is no folder" in outcome.stderr


@pytest.mark.parametrize("options", [[], ["--write", "x.yaml"]])
@pytest.mark.parametrize("name", ["../evil", "a b", ""])
def test_a_name_that_cannot_name_a_run_is_refused_and_nothing_written(
    tmp_path: Path, refine: Refine, monkeypatch: pytest.MonkeyPatch, name: str, options: list[str]
) -> None:
    stored(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = refine("--name", name, *options)
    assert outcome.exit_code == 2
    assert "cannot name a run" in outcome.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("count", "status", "words"),
    [
        (2, "complete", "a refinement needs at least 3"),
        (5, "failed", "no trial of the run everything is complete"),
        (0, "complete", "has no finished trial yet"),
    ],
)
def test_a_run_that_cannot_be_refined_is_exit_code_2_and_nothing_is_written(
    tmp_path: Path, refine: Refine, count: int, status: str, words: str
) -> None:
    stored(tmp_path, count, status)
    before = sorted(tmp_path.rglob("*"))
    outcome = refine()
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert words in outcome.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_run_is_answered_with_the_nearest_name(tmp_path: Path, refine: Refine) -> None:
    stored(tmp_path)
    outcome = refine("evrything")
    assert outcome.exit_code == 2
    assert "Did you mean 'everything'?" in outcome.stderr


def test_data_that_are_gone_are_named(tmp_path: Path, refine: Refine) -> None:
    (tmp_path / "d").mkdir()
    shutil.copy(ROOT / "configs" / "wine.csv", tmp_path / "d")
    shutil.copy(ROOT / "configs" / "csv.yaml", tmp_path / "d")
    config = load_config(tmp_path / "d" / "csv.yaml")
    text = (tmp_path / "d" / "csv.yaml").read_text()
    results = results_at(config, [(0.5,) * 3] * 4)
    store(RunFolder(tmp_path / "runs" / "wine"), config, text, results)
    (tmp_path / "d" / "wine.csv").unlink()
    outcome = refine()
    assert outcome.exit_code == 2
    assert "wine.csv" in outcome.stderr


def test_the_real_command_runs_the_child_of_a_child_on_the_same_dev_set(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copy(ROOT / "configs" / "wine.csv", tmp_path / "sub")
    text = (ROOT / "configs" / "csv.yaml").read_text()
    text = text.replace("epochs: 20", "epochs: 1").replace("trials: 12", "trials: 5")
    (tmp_path / "sub" / "csv.yaml").write_text(text)
    assert command("run", "sub/csv.yaml", "-q").returncode == 0
    first = command("refine")
    assert first.returncode == 0, first.stderr
    assert "parent: csv\n" in first.stdout
    assert "Wrote runs/csv-refined/" in first.stderr
    second = command("refine", "-q", "--top", "2", "--trials", "4")
    assert second.returncode == 0, second.stderr
    assert (second.stdout, second.stderr) == ("", "")

    folders = [tmp_path / "runs" / name for name in ("csv", "csv-refined", "csv-refined-2")]
    kept = [json.loads((folder / "provenance.json").read_text()) for folder in folders]
    assert [each["parent"] for each in kept] == [None, "csv", "csv-refined"]
    configs = [load_config(folder / CONFIG) for folder in folders[1:]]
    configs.insert(0, load_config(tmp_path / "sub" / "csv.yaml"))
    splits = [load_split(config.objective.data)[0] for config in configs]
    for split in splits[1:]:
        assert np.array_equal(split.dev.x, splits[0].dev.x)
        assert np.array_equal(split.dev.y, splits[0].dev.y)
    runs = [RunFolder(folder).results() for folder in folders]
    assert [len(results) for results in runs] == [5, 5, 4]
    seeds = [result.seed for results in runs for result in results]
    assert len(set(seeds)) == len(seeds)
    for results, config in zip(runs[1:], configs[1:], strict=True):
        assert all(inside(config, result) for result in results)

    again = command("run", "runs/csv-refined/config.yaml")
    assert "complete already" in again.stderr


def test_a_config_written_elsewhere_finds_the_data_and_runs(
    command: Command, tmp_path: Path
) -> None:
    for folder in ("sub", "other"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "configs" / "wine.csv", tmp_path / "sub")
    text = (ROOT / "configs" / "csv.yaml").read_text().replace("epochs: 20", "epochs: 1")
    (tmp_path / "sub" / "csv.yaml").write_text(text)
    config = load_config(tmp_path / "sub" / "csv.yaml")
    results = results_at(config, [(0.5,) * 3] * 4)
    store(RunFolder(tmp_path / "runs" / "wine"), config, text, results)
    done = command("refine", "wine", "--write", "other/new.yaml", "--name", "again", "--trials", 1)
    assert done.returncode == 0, done.stderr
    assert "../sub/wine.csv" in (tmp_path / "other" / "new.yaml").read_text()
    done = command("run", "other/new.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "again" / "trials.csv").is_file()


def test_a_widened_mini_batch_stays_within_the_training_set() -> None:
    config = config_of(EVERYTHING.replace("max: 898", "max: 800"))
    size = len(load_split(config.objective.data)[0].train.y)
    child, _ = child_of(config, results_at(config, [(1.0,) * 11, *[(0.9,) * 11] * 3]))
    axis = child.space.axes["batch_size"]
    assert isinstance(axis, Integer | Real)
    assert 800 < axis.scale.max <= size


def test_the_same_refinement_again_goes_on_rather_than_making_another(
    command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    assert command("refine", "tiny", "-q").returncode == 0
    again = command("refine", "tiny")
    assert again.returncode == 0
    assert "complete already" in again.stderr
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"tiny", "tiny-refined"}
    assert "The best of tiny was " in again.stderr


def test_the_command_offers_every_method() -> None:
    assert set(METHOD_NAMES) == set(STRATEGIES)


@pytest.mark.parametrize("method", STRATEGIES)
def test_a_refinement_can_search_in_another_way(
    method: str, command: Command, tmp_path: Path, tiny_run: Path
) -> None:
    outcome = command("refine", "tiny", "-q", "--method", method, "--trials", "9")
    assert outcome.returncode == 0, outcome.stderr
    child = load_config(tmp_path / "runs" / "tiny-refined" / CONFIG, with_data=False)
    assert child.method == method
    assert child.parent == "tiny"
    results = joined(RunFolder(tmp_path / "runs" / "tiny-refined").results())
    assert len(results) == 9
    if method == "grid":
        assert len({result.params["learning_rate"] for result in results}) == 3
