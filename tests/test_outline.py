"""What is kept of a run's config for its reports: the same reports, without reading the config."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation

from conftest import ROOT, Command
from hpsearch import outline, store
from hpsearch.cli import cli
from hpsearch.config import Config, build_config, load_config
from hpsearch.provenance import describe
from hpsearch.runs import load_run, open_folder
from hpsearch.standings import keep_outline, outline_of
from hpsearch.store import CONFIG, OUTLINE, PROVENANCE, RunFolder
from hpsearch.trial import Result
from hpsearch.yamlfile import parse_yaml

PARAMETERS = """
parameters:
  rate: {scale: log, min: 1e-4, max: 1}
  momentum: {scale: one_minus_log, min: 0.9, max: 0.999}
  width: {type: int, min: 1, max: 300}
  kind: {values: [plain, "a,b", true, 2.5, [64, 32], null], weights: [1, 1, 2, 1, 1, 1]}
  depth: {type: int, min: 1, max: 2}
  units: {type: int, min: 2, max: 9, repeat: depth}
  extra: {min: 0, max: 1, when: {kind: plain}}
  fixed: 0.25
constraints: ["rate * width <= 200"]
"""
OWN = 'objective: {python: "user.py:score", epochs: 9}\n'
LOSS = "metric: {name: loss, goal: minimize}\n"
NETWORK = """
name: other
metric: {optimal_error: 0.2}
objective: {trainer: mlp, epochs: 9}
data: {source: digits, folds: 3}
parameters:
  learning_rate: {scale: log, min: 1e-4, max: 1}
"""
GRID = """
method: grid
parameters:
  kind: {values: [a, b]}
  width: {type: int, min: 1, max: 20}
"""
KINDS = {
    "failed trials": OWN + PARAMETERS + LOSS + "budget: {trials: 40}",
    "maximize": OWN + PARAMETERS + "metric: {name: accuracy, goal: maximize}",
    "patience": OWN + PARAMETERS + LOSS + "budget: {trials: 90, patience: 7}",
    "failures": OWN + PARAMETERS + LOSS + "budget: {trials: 90, failures: 2}",
    "open end": OWN + PARAMETERS + LOSS + "budget: {time: 3h}",
    "repeats": OWN + PARAMETERS + LOSS + "trial: {repeats: 3}",
    "halving": OWN + PARAMETERS + LOSS + "method: halving\nbudget: {trials: 9}",
    "grid": OWN + GRID + LOSS,
    "folds": NETWORK,
}


def made_up(config: Config, count: int) -> Iterator[Result]:
    """Yield results with ties, failures, repeats and rungs, where the config has any."""
    rng = random.Random(count)
    space = config.space
    for number in range(count):
        point = tuple(rng.random() for _ in space.axes)
        status = rng.choice(["complete"] * 4 + ["failed", "diverged", "timeout"])
        score = round(rng.random(), 1)
        scores = [score, score + 0.1, score + 0.2] if config.trial.repeats > 1 else []
        names = [config.metric_name, "train_error", "dev_error"]
        result = Result(
            number,
            status,
            space.params(point),
            point,
            config.training_seed(number),
            9,
            score if status == "complete" else None,
            dict.fromkeys(names, score) if status == "complete" else {},
            {"loss": [score]},
            seconds=rng.random(),
            message=None if status == "complete" else "why",
            scores=scores if status == "complete" else [],
        )
        if config.in_steps:
            result = replace(result, step=number, rung=number % 2, epochs=4)
        yield result


def recorded(folder: RunFolder, config: Config, count: int = 30) -> RunFolder:
    """Write a run as a search does."""
    with folder.claim():
        open_folder(config, folder)
        keep_outline(config, folder)
        folder.append(*made_up(config, count))
    session = {"started": "2026-01-01T00:00:00+00:00", "ended": "time"}
    folder.write_provenance({**describe(config), "sessions": [session]})
    return folder


def made(text: str, folder: RunFolder) -> RunFolder:
    config = build_config(
        parse_yaml(text.encode(), "made-up"), folder.name, "made-up", Path(), with_data=False
    )
    return recorded(folder, config)


def told(folder: RunFolder, *arguments: str) -> Invocation:
    return CliRunner().invoke(cli, ["report", str(folder.path), *arguments])


def test_the_outline_of_every_config_is_read_as_it_was_written() -> None:
    paths = sorted((ROOT / "configs").rglob("*.yaml"))
    assert len(paths) > 20
    for path in paths:
        made = load_config(path, with_data=False).outline
        line = made.encode({"name": path.stem})
        assert line is not None, path
        assert outline.decode(line, {"name": path.stem}) == made, path
        assert outline.decode(line, {"name": "another"}) is None


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_by_the_outline_is_letter_by_letter_the_one_by_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, large: bool
) -> None:
    if large:
        monkeypatch.setattr(store, "LARGE", 0)
    folder = made(KINDS[kind], RunFolder(tmp_path / "run"))
    ways = ([], ["--json"], ["--all"], ["--sort", "-seconds"], ["-t", "3", "-f", "csv"], ["-v"])
    with monkeypatch.context() as without:
        without.setattr("hpsearch.runs.load_config", None)  # so that the config is not read
        quick = [told(folder, *way) for way in ways]
    folder.remove(OUTLINE)
    slow = [told(folder, *way) for way in ways]
    assert all(each.exit_code == 0 for each in slow)
    assert [each.stdout for each in quick] == [each.stdout for each in slow]
    assert [each.stderr for each in quick] == [each.stderr for each in slow]


def test_a_search_keeps_the_outline_of_its_config(tiny_run: Path) -> None:
    folder = RunFolder(tiny_run)
    made = load_run(folder, with_data=False).outline
    kept = json.loads((tiny_run / OUTLINE).read_bytes())
    assert outline.decode((tiny_run / OUTLINE).read_bytes(), kept["of"]) == made


def harmed(folder: RunFolder, harm: str) -> None:
    path = folder.path / OUTLINE
    content = path.read_bytes()
    if harm == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "changed":
        path.write_bytes(content.replace(b'"limit":40', b'"limit":41'))
    elif harm == "of another version":
        line = store.unsealed(content, 1, "")
        path.write_bytes(store.sealed({"format": 1, **line, "version": "0.0.1", "limit": 41}))
    elif harm == "of a newer format":
        line = store.unsealed(content, 1, "")
        path.write_bytes(store.sealed({"format": 2, **line, "limit": 41}))
    elif harm == "of other content":
        line = store.unsealed(content, 1, "")
        path.write_bytes(store.sealed({"format": 1, **line, "axes": {"rate": {"scale": "no"}}}))
    else:
        path.unlink()


@pytest.mark.parametrize(
    "harm",
    [
        *("torn", "empty", "changed", "of another version"),
        *("of a newer format", "of other content", "lost"),
    ],
)
def test_an_outline_that_is_not_right_is_not_believed(tmp_path: Path, harm: str) -> None:
    folder = made(KINDS["failed trials"], RunFolder(tmp_path / "run"))
    before = told(folder), outline_of(folder)
    harmed(folder, harm)
    after = told(folder), outline_of(folder)
    assert after[1] == before[1]
    assert (after[0].exit_code, after[0].output) == (0, before[0].output)


def test_a_config_that_was_changed_since_is_read(tmp_path: Path) -> None:
    folder = made(KINDS["failed trials"], RunFolder(tmp_path / "run"))
    config = folder.path / CONFIG
    text = config.read_text()
    config.write_text(text.replace("trials: 40", "trials: 5"))
    assert outline_of(folder).limit == 5
    config.write_text(text.replace("max: 300", "max: 301"))
    assert "was changed after its trials ran" in told(folder).stderr
    config.write_text(text.replace("scale: log", "scale: lug"))
    answer = told(folder)
    assert answer.exit_code == 2
    assert "Did you mean 'log'?" in answer.stderr
    config.unlink()
    assert told(folder).exit_code == 2


def test_a_run_that_was_renamed_has_its_new_name_in_its_reports(tmp_path: Path) -> None:
    folder = made(KINDS["failed trials"], RunFolder(tmp_path / "run"))
    moved = RunFolder(folder.path.rename(tmp_path / "moved"))
    assert outline_of(moved).name == "moved"


def test_other_parameters_in_the_provenance_are_found_to_differ_from_the_config(
    tmp_path: Path,
) -> None:
    folder = made(KINDS["failed trials"], RunFolder(tmp_path / "run"))
    path = folder.path / PROVENANCE
    path.write_text(path.read_text().replace('"max": 300', '"max": 299'))
    assert "was changed after its trials ran" in told(folder).stderr


def test_a_resumed_search_keeps_the_outline_of_its_new_budget(
    command: Command, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "runs" / "run")
    given = build_config(
        parse_yaml(KINDS["failed trials"].encode(), "made-up"), "run", "run", Path()
    )
    recorded(folder, given)
    text = KINDS["failed trials"].replace("trials: 40", "trials: 35")
    longer = build_config(parse_yaml(text.encode(), "made-up"), "run", "run", Path())
    with folder.claim():
        open_folder(longer, folder)
        keep_outline(longer, folder)
    assert json.loads((folder.path / OUTLINE).read_bytes())["limit"] == 35
    assert outline_of(folder) == longer.outline


def test_a_report_of_a_finished_run_imports_nothing_heavy(finished: Path) -> None:
    code = (
        "import sys\nfrom hpsearch.cli import cli\n"
        "cli(['report', 'tiny'], standalone_mode=False)\n"
        "heavy = {'pydantic', 'numpy', 'scipy', 'yaml', 'tabulate', 'rich', 'joblib', 'psutil'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("rank")
    assert done.stderr.splitlines()[-1] == "[]"
