"""`objective.changes`: a schedule by hand in a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import Command, drained
from hpsearch.config import config_schema, load_config
from hpsearch.objectives import Context
from hpsearch.yamlfile import parse_yaml

TEXT = """\
objective:
  trainer: mlp
  epochs: 10
  changes: CHANGES
data: {source: moons}
parameters: {hidden_units: 4}
"""
GOOD = "[{after: 2, learning_rate: 0.01, keep_prob: 0.9}, {after: 6, batch_size: 8, epochs: 8}]"


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ("3", "4:12", "objective.changes must be a list"),
        ("[3]", "4:13", "objective.changes[0] must be a mapping"),
        ("[{learning_rate: 1}]", "4:13", "objective.changes[0] needs the key 'after'"),
        ("[{after: 1, learning_rat: 1}]", "4:24", "Did you mean 'learning_rate'?"),
        ("[{after: 1, layers: 1}]", "4:24", "unknown key 'layers' in objective.changes[0]"),
        ("[{after: 1, momentum: 1}]", "4:34", "must be a number at least 0 and below 1, found 1"),
        ("[{after: -1, l2: 1}]", "4:21", "must be a whole number at least 0"),
        ("[{after: 3, l2: 1}, {after: 3, l2: 0}]", "4:3", "in the order of their epochs"),
        ("[{after: 10, l2: 1}]", "4:3", "come too late: training ends at 10"),
        ("[{after: 3, epochs: 2}]", "4:3", "cannot make epochs 2"),
        ("[{after: 3, batch_size: 9999}]", "4:3", "after epoch 3: batch_size can be 9999"),
        ("[{after: 3, keep_prob: [1, 1]}]", "4:3", "after epoch 3: keep_prob lists 2 layers"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    answer: Command, tmp_path: Path, changes: str, place: str, words: str
) -> None:
    (tmp_path / "my.yaml").write_text(TEXT.replace("CHANGES", changes))
    done = answer("run", "my.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith(f"my.yaml:{place}: ")
    assert words in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_changed_hyperparameter_does_not_vary(answer: Command, tmp_path: Path) -> None:
    text = "objective: {trainer: mlp}\ndata: {source: moons}\nparameters: {changes: []}\n"
    (tmp_path / "my.yaml").write_text(text)
    done = answer("run", "my.yaml")
    assert done.returncode == 2
    assert "unknown key 'changes' in parameters" in done.stderr


def test_the_schema_knows_changes() -> None:
    jsonschema.validate(
        parse_yaml(TEXT.replace("CHANGES", GOOD).encode(), "").value, config_schema()
    )
    wrong = parse_yaml(TEXT.replace("CHANGES", "[{after: 1, layers: 1}]").encode(), "").value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, config_schema())


def test_a_training_in_steps_comes_to_what_one_without_an_end_in_between_does(
    tmp_path: Path,
) -> None:
    (tmp_path / "my.yaml").write_text(TEXT.replace("CHANGES", GOOD))
    objective = load_config(tmp_path / "my.yaml").objective
    assert objective.epochs({}) == 8

    def context(**step: Any) -> Context:
        return Context(number=0, seed=5, metric="dev_error", budget=8, folder=tmp_path, **step)

    whole, end = drained(objective.evaluate({}, context()))
    assert len(whole) == 8
    assert end == whole[-1]
    found: list[Any] = []
    for start, until in ((0, 2), (2, 5), (5, 6), (6, 8)):
        training = objective.evaluate({}, context(start=start, until=until, in_steps=True))
        found.append(next(training))
        for _ in range(until - start - 1):
            found.append(training.send(None))
        with pytest.raises(StopIteration):
            training.send(True)
    assert found == whole


def test_a_functions_changes_name_its_parameters(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def score(rate):\n    changes = yield rate\n")
    config = (
        "metric: {name: a, goal: minimize}\n"
        'objective: {python: "train.py:score", changes: CHANGES}\n'
        "parameters: {rate: 1}\n"
    )
    for changes, words in (
        ("[{rate: 2}]", "changes need 'after'"),
        ("[{after: 1, rat: 2}]", "after epoch 1: there is no parameter 'rat'"),
        ("[{after: 2, epochs: 3}]", "epochs, which ends it, can only be 2"),
    ):
        (tmp_path / "own.yaml").write_text(config.replace("CHANGES", changes))
        done = answer("run", "own.yaml")
        assert done.returncode == 2
        assert done.stderr.startswith("own.yaml:2:")
        assert words in done.stderr
