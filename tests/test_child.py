"""What a trial's process makes of whatever a trial does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hpsearch.child import run_trial
from hpsearch.objectives import OBJECTIVES, Context
from hpsearch.objectives.mlp import MLP


class Epochs(MLP):
    """An objective that yields given epochs, then raises what it is given."""

    def __init__(self, *epochs: Mapping[str, float], error: BaseException | None = None) -> None:
        self.given, self.error = epochs, error

    def evaluate(self, params: dict[str, Any], context: Context) -> Iterator[Mapping[str, float]]:
        yield from self.given
        if self.error:
            raise self.error


def answer(*epochs: Mapping[str, float], error: BaseException | None = None) -> dict[str, Any]:
    context = Context(number=0, seed=0, metric="loss", budget=None, folder=Path())
    found = run_trial(Epochs(*epochs, error=error), {}, context)
    json.dumps(found, allow_nan=False)
    return found


def test_the_last_epoch_counts_and_all_make_the_curve() -> None:
    found = answer({"loss": 2.0}, {"loss": 1.0})
    assert found["status"] == "complete"
    assert found["metrics"] == {"loss": 1.0}
    assert found["curve"] == {"loss": [2.0, 1.0]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_metric_that_is_not_finite_ends_the_trial_as_diverged(value: float) -> None:
    found = answer({"loss": 2.0}, {"loss": value}, {"loss": 1.0})
    assert found["status"] == "diverged"
    assert found["curve"] == {"loss": [2.0, None]}
    assert "loss was no longer finite after epoch 2" in found["message"]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such layer"), "ValueError: no such layer"),
        (SystemExit(0), "SystemExit: 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MemoryError(), "MemoryError"),
        (UnprintableError(), "UnprintableError"),
    ],
)
def test_whatever_a_trial_raises_is_its_result(error: BaseException, words: str) -> None:
    found = answer({"loss": 1.0}, error=error)
    assert found["status"] == "failed"
    assert found["message"].startswith(words)
    assert "in evaluate" in found["message"]


def test_a_child_imports_what_its_own_kind_of_objective_needs_and_no_more() -> None:
    code = (
        "import sys, hpsearch.child\n"
        "from hpsearch.objectives import objective_class\n"
        "objective_class(sys.argv[1])\n"
        "print(*sorted({'numpy', 'pydantic', 'yaml', 'joblib', 'click'} & set(sys.modules)))"
    )
    needed = {
        kind: subprocess.run(
            [sys.executable, "-c", code, kind], check=True, capture_output=True, text=True
        ).stdout.split()
        for kind in OBJECTIVES
    }
    assert needed == {"trainer": ["numpy"], "python": [], "command": []}
