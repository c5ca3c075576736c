"""`hpsearch gradcheck`: every part of every layer, and a fault that is found."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from conftest import Command
from hpsearch.nn import model as model_module
from hpsearch.nn.gradcheck import gradient_check, gradient_check_by_layer
from hpsearch.nn.layers import Array, Step, batch_norm
from hpsearch.nn.losses import LOSSES
from hpsearch.nn.model import Network
from hpsearch.nn.settings import Settings

CONFIG = """\
objective: {trainer: mlp, layers: 2, keep_prob: 0.5}
data: {source: moons}
parameters:
  hidden_units: {type: int, min: 4, max: 8}
"""


def rows(text: str) -> dict[tuple[str, str], tuple[float, str]]:
    found = re.findall(r"^ +(\d) +(\w+) +\d+ +\d+ +(\S+) +(\w+)$", text, re.MULTILINE)
    return {(layer, part): (float(size), verdict) for layer, part, size, verdict in found}


@pytest.mark.parametrize(
    "given", [[], ["batch_norm=false"], ["activation=tanh", "layers=3"], ["layers=0"]]
)
def test_each_part_of_each_layer_is_right(
    answer: Command, tmp_path: Path, given: list[str]
) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG)
    done = answer("gradcheck", "my.yaml", *(word for each in given for word in ("--set", each)))
    assert done.returncode == 0, done.stdout
    found = rows(done.stdout)
    assert all(size <= 1e-7 and verdict == "right" for size, verdict in found.values())
    hidden = 0 if given == ["layers=0"] else 3 if "layers=3" in given else 2
    parts = ["weights", "bias"] if "batch_norm=false" in given else ["weights", "gamma", "beta"]
    expected = {(str(layer), part) for layer in range(1, hidden + 1) for part in parts}
    assert set(found) == expected | {(str(hidden + 1), part) for part in ("weights", "bias")}
    assert done.stdout.splitlines()[-1].startswith("Passed: the largest difference is ")


def test_regression_and_folds_are_checked_too(answer: Command, tmp_path: Path) -> None:
    text = CONFIG.replace("mlp,", "mlp, loss: mse,").replace("source: moons", "source: digits")
    (tmp_path / "my.yaml").write_text(text.replace("digits", "digits, folds: 3"))
    assert answer("gradcheck", "my.yaml").returncode == 0


def test_a_wrong_derivative_is_found_in_its_layer(
    answer: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arrays: Array, epsilon: float) -> tuple[Step, Step]:
        forward, backward = batch_norm(*arrays, epsilon=epsilon)

        def faulty() -> None:
            backward()
            arrays[7][...] *= 1.01  # dγ

        return forward, faulty

    monkeypatch.setattr(model_module, "batch_norm", wrong)
    (tmp_path / "my.yaml").write_text(CONFIG)
    done = answer("gradcheck", "my.yaml")
    assert done.returncode == 1
    found = rows(done.stdout)
    assert {part for (_, part), (_, verdict) in found.items() if verdict == "wrong"} == {"gamma"}
    assert "FAILED: the gradient is wrong" in done.stdout
    assert "in the gamma of layer" in done.stdout


def test_the_users_own_code_has_no_gradient_to_check(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "metric: {name: a, goal: minimize}\nobjective: {command: 'echo {x}'}\nparameters: {x: 1}\n"
    )
    done = answer("gradcheck", "own.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("own.yaml:2:22: gradcheck is for the built-in network")


def test_a_setting_that_cannot_be_is_refused(answer: Command, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(CONFIG)
    done = answer("gradcheck", "my.yaml", "--set", "hidden_units=[3, 4, 5]")
    assert done.returncode == 2
    assert "hidden_units lists 3 layers, but layers is 2" in done.stderr


def test_all_parts_together_are_the_whole_gradient() -> None:
    rng = np.random.default_rng(0)
    settings = Settings(hidden_units=4, layers=2, dtype="float64", activation="tanh")
    x, y = rng.normal(size=(12, 5)), rng.integers(0, 3, size=12)
    loss = LOSSES["cross_entropy"](settings, y, 3)
    network = Network(5, settings, 3, rng)
    before = network.parameters.copy()
    parts = gradient_check_by_layer(network, loss, x, y, rng, most=10)
    assert sum(part.parameters for part in parts) == len(network.parameters)
    assert all(part.checked == min(10, part.parameters) for part in parts)
    assert max(part.difference for part in parts) <= 1e-7
    assert gradient_check(network, loss, x, y) <= 1e-7
    np.testing.assert_array_equal(network.parameters, before)
