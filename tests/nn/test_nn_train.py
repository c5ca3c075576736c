from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpsearch.nn import train as train_module
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import ACTIVATIONS
from hpsearch.nn.optimizers import OPTIMIZERS
from hpsearch.nn.schedules import SCHEDULES
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Epoch, Examples, Trainer, mini_batches, train


def clouds(m: int, seed: int = 1, dtype: str = "float32") -> Examples:
    """Three clouds of points in four dimensions that hardly overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, m)
    centres = 3 * np.eye(3, 4)
    return Examples((centres[y] + rng.standard_normal((m, 4)) / 2).astype(dtype), y)


TRAIN, DEV = clouds(100), clouds(40, seed=2)


def epochs(seed: int = 0, data: Examples = TRAIN, **settings: Any) -> list[Epoch]:
    settings = {"epochs": 4, "hidden_units": 8} | settings
    return list(train(Settings(**settings), data, DEV, 3, np.random.default_rng(seed)))


def trainer(data: Examples = TRAIN, **settings: Any) -> Trainer:
    settings = {"hidden_units": 8} | settings
    return Trainer(Settings(**settings), data, 3, np.random.default_rng(0))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(optimizer: str, batch_norm: bool) -> None:
    history = epochs(optimizer=optimizer, batch_norm=batch_norm, learning_rate=0.02, epochs=25)
    assert [epoch.epoch for epoch in history] == list(range(1, 26))
    assert all(epoch.finite for epoch in history)
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].train_error <= 0.02
    assert history[-1].dev_error <= 0.05


@pytest.mark.parametrize("initializer", [name for name in INITIALIZERS if name != "zeros"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns_from_every_start(activation: str, initializer: str) -> None:
    history = epochs(activation=activation, initializer=initializer, learning_rate=0.02, epochs=20)
    assert history[-1].dev_error <= 0.05


@pytest.mark.parametrize("decay", SCHEDULES)
def test_every_schedule_learns(decay: str) -> None:
    assert epochs(decay=decay, learning_rate=0.05, epochs=20)[-1].dev_error <= 0.05


def test_softmax_regression_learns() -> None:
    assert epochs(layers=0, learning_rate=0.05, epochs=20)[-1].dev_error <= 0.05


def test_the_learning_rate_follows_the_schedule() -> None:
    moved = []
    runner = trainer(
        optimizer="gradient_descent", batch_norm=False, batch_size=100,
        learning_rate=1e-4, decay="exponential", decay_rate=0.5, dtype="float64",
    )  # fmt: skip
    for _ in range(3):
        before = runner.network.parameters.copy()
        runner.run_epoch()
        moved.append(np.linalg.norm(runner.network.parameters - before))
    assert moved[1] / moved[0] == pytest.approx(0.5, rel=0.01)
    assert moved[2] / moved[1] == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_same_seed_gives_the_same_epochs_bit_for_bit(batch_norm: bool) -> None:
    first, again, other = (epochs(seed, batch_norm=batch_norm) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_float32_and_float64_agree() -> None:
    for single, double in zip(epochs(dtype="float32"), epochs(dtype="float64"), strict=True):
        assert astuple(single) == pytest.approx(astuple(double), rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_leaves_the_dtype_of_training(dtype: str) -> None:
    runner = trainer(clouds(70, dtype="float64"), dtype=dtype, l2=0.1)
    runner.run_epoch()
    network, optimizer = runner.network, runner.optimizer
    kept = (network.parameters, network.gradient, network.statistics)
    for array in (*kept, optimizer.moments, optimizer.current, network.probabilities(TRAIN.x)):
        assert array.dtype == dtype


def test_examples_are_copied_only_to_change_their_dtype() -> None:
    assert np.shares_memory(trainer().examples.x, TRAIN.x)
    assert not np.shares_memory(trainer(dtype="float64").examples.x, TRAIN.x)


def test_training_leaves_the_examples_as_they_are() -> None:
    x, y = TRAIN.x.copy(), TRAIN.y.copy()
    epochs()
    np.testing.assert_array_equal(TRAIN.x, x)
    np.testing.assert_array_equal(TRAIN.y, y)


def test_an_epochs_figures_are_those_of_the_networks_predictions() -> None:
    runner = trainer(l2=5.0)  # the loss reported has no L2 term
    runner.run_epoch()
    probabilities = runner.network.probabilities(DEV.x).astype(np.float64)
    loss, error = runner.evaluate(DEV)
    rows = np.arange(len(DEV.y))
    assert loss == pytest.approx(-np.log(probabilities[rows, DEV.y]).mean(), rel=1e-5)
    assert error == np.mean(probabilities.argmax(axis=1) != DEV.y)
    assert type(loss) is type(error) is float


@pytest.mark.parametrize("batch_norm", [False, True])
def test_evaluating_between_epochs_changes_nothing(batch_norm: bool) -> None:
    plain, watched = (trainer(batch_norm=batch_norm) for _ in range(2))
    for _ in range(3):
        plain.run_epoch()
        watched.run_epoch()
        watched.evaluate(DEV)
    np.testing.assert_array_equal(plain.network.parameters, watched.network.parameters)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restored_training_continues_bit_for_bit(optimizer: str) -> None:
    runner = trainer(optimizer=optimizer)
    runner.run_epoch()
    state = runner.state()
    runner.run_epoch()
    runner.run_epoch()
    expected, figures = runner.network.parameters.copy(), runner.evaluate(DEV)
    fresh = Trainer(runner.settings, TRAIN, 3, np.random.default_rng(99))
    for back in (runner, fresh):  # the state taken is a copy: it serves twice
        back.restore(state)
        back.run_epoch()
        back.run_epoch()
        assert back.epochs == 3
        np.testing.assert_array_equal(back.network.parameters, expected)
        assert back.evaluate(DEV) == figures


def test_l2_keeps_the_weights_small() -> None:
    norms = []
    for l2 in (0.0, 30.0):
        runner = trainer(l2=l2, batch_norm=False, learning_rate=0.01)
        for _ in range(20):
            runner.run_epoch()
        norms.append(sum(float((w**2).sum()) for w in runner.network.views.weights))
    assert norms[1] < norms[0] / 2


def test_l2_is_lambda_over_the_training_sets_size_times_each_weight() -> None:
    common: Any = {
        "optimizer": "gradient_descent", "learning_rate": 0.5, "batch_size": 1000,
        "dtype": "float64", "batch_norm": False,
    }  # fmt: skip
    without, decayed = trainer(**common), trainer(**common, l2=3.0)
    start = without.network.parameters.copy()
    weights = without.network.weights
    without.run_epoch()
    decayed.run_epoch()
    difference = decayed.network.parameters - without.network.parameters
    expected = -0.5 * 3.0 / len(TRAIN.y) * start[:weights]
    np.testing.assert_allclose(difference[:weights], expected, rtol=1e-9, atol=1e-14)
    assert not difference[weights:].any()


def test_zeros_never_break_the_symmetry() -> None:
    runner = trainer(initializer="zeros", activation="sigmoid", batch_norm=False, dtype="float64")
    for _ in range(3):
        runner.run_epoch()
    first, last = runner.network.views.weights
    assert first.any()
    assert last.any()
    np.testing.assert_allclose(first, first[:, :1].repeat(8, axis=1), rtol=1e-9)
    np.testing.assert_allclose(last, last[:1].repeat(8, axis=0), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_learning_rate_beyond_all_reason_ends_without_a_crash_or_warning(
    optimizer: str, batch_norm: bool, dtype: str
) -> None:
    for learning_rate in (1e10, 1e30, 1e300):
        history = epochs(
            optimizer=optimizer, batch_norm=batch_norm, learning_rate=learning_rate,
            dtype=dtype, l2=1.0,
        )  # fmt: skip
        assert all(epoch.finite for epoch in history[:-1])
        assert len(history) == 4 or not history[-1].finite
        assert all(0 <= epoch.train_error <= 1 for epoch in history)


def test_a_diverged_training_yields_that_epoch_and_stops() -> None:
    history = epochs(optimizer="gradient_descent", learning_rate=1e30, batch_norm=False, epochs=9)
    assert len(history) == 1
    assert not history[0].finite
    assert not math.isfinite(history[0].train_loss)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_inputs_beyond_all_reason_end_without_a_crash_or_warning(
    activation: str, batch_norm: bool, dtype: str
) -> None:
    for factor in (1e20, 1e38, 1e300, math.nan):
        data = Examples(TRAIN.x.astype(np.float64) * factor, TRAIN.y)
        history = epochs(data=data, activation=activation, batch_norm=batch_norm, dtype=dtype)
        assert all(epoch.finite for epoch in history[:-1])


def test_a_diverged_network_still_predicts_without_a_warning() -> None:
    runner = trainer(optimizer="gradient_descent", learning_rate=1e30, batch_norm=False)
    runner.run_epoch()
    runner.run_epoch()
    assert runner.network.predict(DEV.x).shape == DEV.y.shape
    assert runner.network.probabilities(DEV.x).shape == (len(DEV.y), 3)


@example(examples=33, batch_size=16, batch_norm=True)
@example(examples=3, batch_size=2, batch_norm=True)
@given(examples=st.integers(1, 300), batch_size=st.integers(1, 400), batch_norm=st.booleans())
def test_mini_batches_cover_every_example_once(
    examples: int, batch_size: int, batch_norm: bool
) -> None:
    if batch_norm and min(examples, batch_size) == 1:
        with pytest.raises(ValueError, match="has no variance for batch norm"):
            mini_batches(examples, batch_size, batch_norm)
        return
    plan = mini_batches(examples, batch_size, batch_norm)
    sizes = [size for size, count in plan for _ in range(count)]
    assert sum(sizes) == examples
    assert all(size == min(batch_size, examples) for size in sizes[:-1])
    assert sizes[-1] <= batch_size + batch_norm
    assert not (batch_norm and 1 in sizes)


@pytest.mark.parametrize("batch_size", [10, 16, 32, 100])
def test_an_epoch_shows_every_example_once_and_each_epoch_in_a_new_order(batch_size: int) -> None:
    data, seen = clouds(33), []
    runner = trainer(data, batch_size=batch_size)
    for batch, _ in runner._plan:
        batch.backward.append(lambda x=batch.x: seen.append(x.copy()))
    orders = []
    for _ in range(2):
        seen.clear()
        runner.run_epoch()
        orders.append(np.concatenate(seen))
        np.testing.assert_array_equal(np.sort(orders[-1], axis=0), np.sort(data.x, axis=0))
    assert (orders[0] != data.x).any()
    assert (orders[0] != orders[1]).any()


def test_moments_of_an_input_that_fell_silent_never_become_denormal() -> None:
    silent = Examples(TRAIN.x * np.array([0, 1, 1, 1], np.float32), TRAIN.y)
    runner = trainer(silent, batch_size=100)
    moments = runner.optimizer.moments[:, :8]  # of the weights of the input that is always 0
    moments[:] = 3 * np.finfo(np.float32).tiny
    runner.run_epoch()
    assert not moments.any()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_last_mini_batch_of_one_is_no_trouble(batch_norm: bool) -> None:
    history = epochs(data=clouds(33), batch_size=16, batch_norm=batch_norm)
    assert len(history) == 4
    assert history[-1].finite


def test_a_mini_batch_larger_than_the_training_set_is_the_whole_set() -> None:
    assert epochs(batch_size=5000) == epochs(batch_size=len(TRAIN.y))


def test_batches_of_one_train_without_batch_norm() -> None:
    assert epochs(batch_size=1, batch_norm=False)[-1].dev_error <= 0.05
    assert epochs(batch_size=1, layers=0)[-1].finite  # no hidden layer, nothing to normalise


def test_batch_norm_refuses_batches_of_one_and_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"a batch_size of 1 .* use 2 or more, or batch_norm: fal"):
        epochs(batch_size=1)
    with pytest.raises(ValueError, match="a training set of 1 has no variance for batch norm"):
        epochs(data=clouds(1))


def test_an_unusable_set_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"training set needs .* got 0 examples and 0 labels"):
        epochs(data=Examples(TRAIN.x[:0], TRAIN.y[:0]))
    with pytest.raises(ValueError, match=r"training set needs .* got 100 examples and 99 labels"):
        epochs(data=Examples(TRAIN.x, TRAIN.y[:-1]))
    with pytest.raises(ValueError, match=r"in \[1, 3\], but 3 classes are numbered 0 to 2"):
        epochs(data=Examples(TRAIN.x, TRAIN.y // 2 * 2 + 1))
    with pytest.raises(ValueError, match="dev set needs"):
        next(train(Settings(), TRAIN, Examples(DEV.x[:0], DEV.y[:0]), 3, np.random.default_rng()))


def test_bookkeeping_in_short_stretches_trains_the_same_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trainer(batch_size=7)
    monkeypatch.setattr(train_module, "STRETCH", 3)
    short = trainer(batch_size=7)
    for _ in range(2):
        whole.run_epoch()
        short.run_epoch()
    np.testing.assert_array_equal(whole.network.parameters, short.network.parameters)
    assert whole.evaluate(DEV) == pytest.approx(short.evaluate(DEV), rel=1e-5)


def test_any_memory_layout_and_integer_type_trains_the_same() -> None:
    odd = Examples(np.asfortranarray(TRAIN.x), TRAIN.y.astype(np.int8))
    assert epochs(data=odd) == epochs()
