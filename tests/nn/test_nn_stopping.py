"""Early stopping, on figures that are made up and on real trainings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nn_helpers import DEV, LINE, LINE_DEV, TRAIN, ended, trainer

from hpsearch.nn.optimizers import OPTIMIZERS
from hpsearch.nn.train import Examples, Trainer

Array = np.ndarray[Any, Any]


def with_dev_errors(errors: list[float], **settings: Any) -> tuple[Trainer, list[Array]]:
    """A training whose dev errors are these, one after the other, and its weights by epoch."""
    runner = trainer(epochs=len(errors), **settings)
    weights: list[Array] = []
    figures: Iterator[float] = iter(errors)

    def evaluate(examples: Examples) -> dict[str, float]:
        if examples.x is runner.examples.x:
            weights.append(runner.network.parameters.copy())
            return {"loss": 1.0, "error": 0.5}
        return {"loss": 1.0, "error": next(figures)}

    runner.evaluate = evaluate  # type: ignore[method-assign]
    return runner, weights


def expected(errors: list[float], patience: int) -> tuple[int, int]:
    """(epochs trained, best epoch), by the words of the documentation."""
    best = 1
    for epoch, error in enumerate(errors, start=1):
        if error < errors[best - 1]:
            best = epoch
        if epoch - best == patience:
            return epoch, best
    return len(errors), best


@given(
    errors=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=9),
    patience=st.integers(1, 12),
)
def test_training_ends_after_patience_and_goes_back_to_the_earliest_best_epoch(
    errors: list[float], patience: int
) -> None:
    runner, weights = with_dev_errors(errors, early_stopping=patience)
    history, returned = ended(runner, DEV)
    trained, best = expected(errors, patience)
    assert [epoch.epoch for epoch in history] == list(range(1, trained + 1))
    assert returned == history[best - 1]
    assert runner.epochs == best
    np.testing.assert_array_equal(runner.network.parameters, weights[best - 1])


@pytest.mark.parametrize(
    ("errors", "patience", "trained", "best"),
    [
        ([0.3, 0.2, 0.2, 0.2, 0.1], 2, 4, 2),  # equal is not lower: the earliest counts
        ([0.3, 0.4, 0.2, 0.3, 0.3, 0.3], 2, 5, 3),  # a lower error starts the count anew
        ([0.3, 0.4, 0.4], 1, 2, 1),
        ([0.4, 0.3, 0.2], 1, 3, 3),  # always better: the epochs run out, nothing to go back to
        ([0.2, 0.3, 0.4], 3, 3, 1),  # patience as long as the training: the best still counts
        ([0.2, 0.3, 0.4], 99, 3, 1),
        ([0.2], 1, 1, 1),
    ],
)
def test_patience_is_counted_as_by_hand(
    errors: list[float], patience: int, trained: int, best: int
) -> None:
    assert expected(errors, patience) == (trained, best)
    runner, _ = with_dev_errors(errors, early_stopping=patience)
    history, returned = ended(runner, DEV)
    assert (len(history), returned.epoch) == (trained, best)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_best_epoch_is_restored_bit_for_bit(optimizer: str, batch_norm: bool) -> None:
    """Figures that are returned are those of the network that is left."""
    settings: Any = {
        "optimizer": optimizer, "batch_norm": batch_norm, "learning_rate": 0.3, "epochs": 30,
        "keep_prob": 0.7, "hidden_units": 4,
    }  # fmt: skip
    runner = trainer(early_stopping=3, **settings)
    history, returned = ended(runner, DEV)
    assert returned.epoch < len(history) <= 30  # it did go back
    assert runner.evaluate(DEV) == returned.dev
    assert runner.evaluate(TRAIN) == returned.train
    alone = trainer(**settings)
    for _ in range(returned.epoch):
        alone.run_epoch()
    np.testing.assert_array_equal(runner.network.parameters, alone.network.parameters)
    np.testing.assert_array_equal(runner.network.averages, alone.network.averages)
    np.testing.assert_array_equal(runner.optimizer.moments, alone.optimizer.moments)
    runner.run_epoch()
    alone.run_epoch()  # and it goes on from there
    np.testing.assert_array_equal(runner.network.parameters, alone.network.parameters)


def test_when_the_epochs_run_out_the_best_one_counts_too() -> None:
    runner = trainer(early_stopping=50, epochs=12, learning_rate=0.3, hidden_units=4)
    history, returned = ended(runner, DEV)
    assert len(history) == 12
    best = min(history, key=lambda epoch: epoch.dev["error"])  # the first of equal ones
    assert returned == best
    assert returned.epoch < 12
    assert runner.evaluate(DEV) == returned.dev


def test_without_early_stopping_nothing_is_restored() -> None:
    runner = trainer(epochs=12, learning_rate=0.3, hidden_units=4)
    history, returned = ended(runner, DEV)
    assert returned == history[-1]
    assert runner.epochs == 12
    assert runner.evaluate(DEV) == returned.dev


def test_regression_is_judged_by_the_dev_loss() -> None:
    runner = trainer(
        LINE, loss="mse", early_stopping=4, epochs=60, learning_rate=0.1, hidden_units=32
    )
    history, returned = ended(runner, LINE_DEV)
    losses = [epoch.dev["loss"] for epoch in history]
    assert returned.dev["loss"] == min(losses)
    assert returned.epoch == 1 + losses.index(min(losses))
    assert len(history) == returned.epoch + 4 < 60
    assert runner.evaluate(LINE_DEV) == returned.dev


@pytest.mark.parametrize(("loss", "judge"), [("cross_entropy", "error"), ("mse", "loss")])
def test_nothing_but_its_judge_decides_on_the_best_epoch(loss: str, judge: str) -> None:
    data, dev = (TRAIN, DEV) if loss == "cross_entropy" else (LINE, LINE_DEV)
    runner = trainer(data, loss=loss, epochs=3, early_stopping=5)
    names = list(runner.evaluate(runner.checked(dev, "dev")))
    assert judge in names
    judged, falling, rising = iter([0.3, 0.2, 0.4]), iter([3.0, 2.0, 1.0]), iter([1.0, 2.0, 3.0])

    def evaluate(examples: Examples) -> dict[str, float]:
        if examples.x is runner.examples.x:
            return dict.fromkeys(names, 1.0)
        down, up = next(falling), next(rising)
        others = {name: up if i % 2 else down for i, name in enumerate(names)}
        return others | {judge: next(judged)}

    runner.evaluate = evaluate  # type: ignore[method-assign]
    assert ended(runner, dev)[1].epoch == 2


def test_a_training_that_diverges_returns_the_epoch_that_is_not_finite() -> None:
    runner = trainer(
        optimizer="gradient_descent", learning_rate=1e30, batch_norm=False, early_stopping=3
    )
    history, returned = ended(runner, DEV)
    assert len(history) == 1
    assert returned is history[0]
    assert not returned.finite
