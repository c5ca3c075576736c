from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nn_helpers import (
    DEV,
    LINE,
    LINE_DEV,
    TRAIN,
    a_loss,
    after,
    clouds,
    digits,
    ended,
    epochs,
    trainer,
)

from hpsearch.nn import train as train_module
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import ACTIVATIONS
from hpsearch.nn.losses import LOSSES
from hpsearch.nn.model import Network
from hpsearch.nn.optimizers import OPTIMIZERS
from hpsearch.nn.schedules import SCHEDULES
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples, mini_batches, train


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns(optimizer: str, batch_norm: bool) -> None:
    history = epochs(optimizer=optimizer, batch_norm=batch_norm, learning_rate=0.02, epochs=25)
    assert [epoch.epoch for epoch in history] == list(range(1, 26))
    assert all(epoch.finite for epoch in history)
    assert history[-1].train["loss"] < history[0].train["loss"]
    assert history[-1].train["error"] <= 0.02
    assert history[-1].dev["error"] <= 0.05


@pytest.mark.parametrize("initializer", [name for name in INITIALIZERS if name != "zeros"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns_from_every_start(activation: str, initializer: str) -> None:
    history = epochs(activation=activation, initializer=initializer, learning_rate=0.02, epochs=20)
    assert history[-1].dev["error"] <= 0.05


@pytest.mark.parametrize("decay", SCHEDULES)
def test_every_schedule_learns(decay: str) -> None:
    assert epochs(decay=decay, learning_rate=0.05, epochs=20)[-1].dev["error"] <= 0.05


def test_softmax_regression_learns() -> None:
    assert epochs(layers=0, learning_rate=0.05, epochs=20)[-1].dev["error"] <= 0.05


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
        assert single.epoch == double.epoch
        assert single.metrics == pytest.approx(double.metrics, rel=1e-3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_float32_and_float64_end_with_the_same_dev_accuracy_within_noise(batch_norm: bool) -> None:
    """On the digits, the mean over three seeds; the seeds themselves differ by more."""
    train_set, dev = digits()
    means = []
    for dtype in ("float32", "float64"):
        runs = [
            trainer(
                train_set, seed, classes=10, hidden_units=64, batch_norm=batch_norm,
                dtype=dtype,
            )
            for seed in range(3)
        ]  # fmt: skip
        for run in runs:
            after(run, 25)
        last = [run.evaluate(dev)["accuracy"] for run in runs]
        assert min(last) >= 0.94
        means.append(np.mean(last))
    assert abs(means[0] - means[1]) <= 0.01


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
    runner = trainer(l2=5.0, class_weights="balanced", label_smoothing=0.2, keep_prob=0.5)
    runner.run_epoch()  # the loss reported has no L2 term, no weights, no smoothing, no dropout
    probabilities = runner.network.probabilities(DEV.x).astype(np.float64)
    figures = runner.evaluate(DEV)
    rows = np.arange(len(DEV.y))
    assert figures["loss"] == pytest.approx(-np.log(probabilities[rows, DEV.y]).mean(), rel=1e-5)
    assert figures["error"] == np.mean(probabilities.argmax(axis=1) != DEV.y)
    assert figures["accuracy"] == pytest.approx(1 - figures["error"], rel=1e-12)
    assert {type(value) for value in figures.values()} == {float}


def test_an_epochs_metrics_name_every_figure_of_both_sets() -> None:
    epoch = epochs()[0]
    assert set(epoch.metrics) == {
        f"{part}_{name}"
        for part in ("train", "dev")
        for name in ("loss", "error", "accuracy", "macro_f1")
    }
    assert epoch.metrics["train_loss"] == epoch.train["loss"]
    assert epoch.metrics["dev_error"] == epoch.dev["error"]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_names_its_judge_and_reports_it(loss: str) -> None:
    chosen = a_loss(loss)
    outputs, y = np.ones((chosen.outputs, 1)), np.zeros(1, int if loss != "mse" else float)
    figures = chosen.measure([(outputs, y)])
    assert next(iter(figures)) == "loss"
    assert chosen.judge in figures


def test_train_returns_the_last_epoch_it_yields() -> None:
    history, last = ended(trainer(epochs=3), DEV)
    assert [epoch.epoch for epoch in history] == [1, 2, 3]
    assert last == history[-1]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_regression(optimizer: str, batch_norm: bool) -> None:
    runner = trainer(
        LINE, loss="mse", classes=0, hidden_units=32, optimizer=optimizer,
        batch_norm=batch_norm, learning_rate=0.02, epochs=80, batch_size=16,
    )  # fmt: skip
    history, last = ended(runner, LINE_DEV)
    assert set(last.dev) == {"loss", "rmse", "mae", "r2"}
    assert last.train["loss"] < history[0].train["loss"]
    assert last.train["r2"] >= 0.8
    assert last.dev["r2"] >= 0.5
    outputs = np.concatenate([z[0].copy() for _, z in runner.network.outputs(LINE_DEV.x)])
    assert last.dev["loss"] == pytest.approx(np.mean((outputs - LINE_DEV.y) ** 2), rel=1e-5)


def test_one_hot_labels_train_the_same_network_bit_for_bit() -> None:
    one_hot = Examples(TRAIN.x, np.eye(3)[TRAIN.y])
    whole, same = trainer(), trainer(one_hot)
    np.testing.assert_array_equal(after(whole, 2), after(same, 2))
    assert epochs(data=one_hot, dev=Examples(DEV.x, np.eye(3, dtype=int)[DEV.y])) == epochs()


def test_float_labels_are_refused_and_regression_refuses_integers() -> None:
    with pytest.raises(ValueError, match="labels must be whole numbers, got float64"):
        trainer(LINE)
    with pytest.raises(
        ValueError, match="training set needs one real number per example, all finite: got int"
    ):
        trainer(loss="mse")
    with pytest.raises(
        ValueError, match="dev set needs one real number per example, all finite: got int64"
    ):
        next(train(trainer(LINE, loss="mse"), DEV))
    with pytest.raises(ValueError, match="labels must be whole numbers, got float64"):
        next(train(trainer(), LINE_DEV))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_evaluating_between_epochs_changes_nothing(batch_norm: bool) -> None:
    plain, watched = (trainer(batch_norm=batch_norm) for _ in range(2))
    for _ in range(3):
        plain.run_epoch()
        watched.run_epoch()
        watched.evaluate(DEV)
    np.testing.assert_array_equal(plain.network.parameters, watched.network.parameters)


def test_l2_keeps_the_weights_small() -> None:
    norms = []
    for l2 in (0.0, 30.0):
        runner = trainer(l2=l2, batch_norm=False, learning_rate=0.01)
        for _ in range(20):
            runner.run_epoch()
        norms.append(sum(float((w**2).sum()) for w in runner.network.views.weights))
    assert norms[1] < norms[0] / 2


def test_equal_class_weights_train_as_none() -> None:
    plain, equal = (after(trainer(class_weights=w), 3) for w in ("none", (5.0, 5.0, 5.0)))
    np.testing.assert_allclose(equal, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("class_weights", ["balanced", (1.0, 10.0)])
def test_class_weights_find_a_rare_class_that_plain_training_misses(class_weights: Any) -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.05).astype(int)
    data = Examples((rng.standard_normal((400, 4)) + y[:, None] * [1, 0, 0, 0]).astype("f"), y)
    found = []
    for weights in ("none", class_weights):
        runner = trainer(data, classes=2, layers=0, class_weights=weights, learning_rate=0.02)
        after(runner, 20)
        found.append((runner.network.predict(data.x)[y == 1] == 1).mean())
    assert found[0] <= 0.2
    assert found[1] >= found[0] + 0.1


def test_a_wrong_number_of_class_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="lists 2 weights, but there are 3 classes"):
        trainer(class_weights=(1.0, 2.0))


def test_label_smoothing_keeps_a_network_from_being_sure() -> None:
    surest = []
    for smoothing in (0.0, 0.3):
        runner = trainer(label_smoothing=smoothing, learning_rate=0.02)
        after(runner, 40)
        surest.append(runner.network.probabilities(TRAIN.x).max(axis=1).mean())
        assert runner.evaluate(DEV)["error"] <= 0.05
    assert surest[0] >= 0.97
    assert surest[1] == pytest.approx(0.7 + 0.3 / 3, abs=0.05)  # the smoothed target itself


def test_clip_norm_bounds_how_far_a_step_can_go() -> None:
    common: Any = {"optimizer": "gradient_descent", "learning_rate": 1.0, "batch_size": 100}
    for limit in (0.01, 0.1):
        runner = trainer(**common, clip_norm=limit, dtype="float64", init_scale=3.0)
        before = runner.network.parameters.copy()
        moved = np.linalg.norm(after(runner, 1) - before)
        assert moved == pytest.approx(limit, rel=1e-9)
    free, clipped = trainer(**common), trainer(**common, clip_norm=1e6)
    np.testing.assert_array_equal(after(free, 3), after(clipped, 3))


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
        assert all(0 <= epoch.train["error"] <= 1 for epoch in history)


def test_a_diverged_training_yields_that_epoch_and_stops() -> None:
    history = epochs(optimizer="gradient_descent", learning_rate=1e30, batch_norm=False, epochs=9)
    assert len(history) == 1
    assert not history[0].finite
    assert not math.isfinite(history[0].train["loss"])


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
    runner = trainer(silent, batch_size=100)  # one step per epoch
    moments = runner.optimizer.moments[:, :8]  # of the weights of the input that is always 0
    after(runner, train_module.STRETCH - 1)
    moments[:] = 3 * np.finfo(np.float32).tiny
    runner.run_epoch()
    assert not moments.any()


@pytest.mark.parametrize("every_steps", [25, 700])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_moment_is_ever_denormal_when_a_fifth_of_the_inputs_is_rare(
    optimizer: str, every_steps: int
) -> None:
    """Looked at in every single step, in epochs of few steps and of more than one stretch."""
    m, rng = 4 * every_steps, np.random.default_rng(0)
    x = rng.standard_normal((m, 10)).astype(np.float32)
    x[:, :2] = 0
    x[:2, 0] = x[1:3, 1] = 1  # each in one or two examples of all
    runner = trainer(Examples(x, (x[:, 5] > 0).astype(int)), classes=2,
                     optimizer=optimizer, batch_size=4)  # fmt: skip
    tiny, moments, denormal, steps = np.finfo(np.float32).tiny, runner.optimizer.moments, [], []

    def watch() -> None:
        size = np.abs(moments)
        denormal.append(np.count_nonzero((size > 0) & (size < tiny)))
        steps.append(1)

    runner.optimizer.steps.append(watch)
    if every_steps == 25:  # silent from now on
        after(runner, 2)
        runner.examples.x[:, :2] = 0
    after(runner, 2800 // every_steps)
    assert len(steps) >= 2800
    assert max(denormal) == 0


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_last_mini_batch_of_one_is_no_trouble(batch_norm: bool) -> None:
    history = epochs(data=clouds(33), batch_size=16, batch_norm=batch_norm)
    assert len(history) == 4
    assert history[-1].finite


def test_a_mini_batch_larger_than_the_training_set_is_the_whole_set() -> None:
    assert epochs(batch_size=5000) == epochs(batch_size=len(TRAIN.y))


def test_batches_of_one_train_without_batch_norm() -> None:
    assert epochs(batch_size=1, batch_norm=False)[-1].dev["error"] <= 0.05
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
        next(train(trainer(), Examples(DEV.x[:0], DEV.y[:0])))
    with pytest.raises(ValueError, match="labels of the dev set lie in"):
        next(train(trainer(), Examples(DEV.x, DEV.y + 1)))


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


def test_the_table_of_targets_is_bounded_however_many_classes_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    data = Examples(rng.standard_normal((600, 4)).astype("f"), np.arange(600) % 2000)
    runner = trainer(data, classes=2000, layers=0)
    sizes, targets = [], runner.loss.targets
    monkeypatch.setattr(
        runner.loss, "targets",
        lambda y, dtype: (sizes.append(y.size * 2000), targets(y, dtype))[1],
    )  # fmt: skip
    runner.run_epoch()
    assert sum(sizes) == 600 * 2000
    assert len(sizes) == 3  # two stretches, then the mini-batch of the rest
    assert max(sizes) <= train_module.TARGETS


def test_a_mini_batch_with_more_targets_than_a_table_should_have_still_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trainer(dtype="float64")
    monkeypatch.setattr(train_module, "TARGETS", 1)
    single = trainer(dtype="float64")
    np.testing.assert_array_equal(after(whole, 2), after(single, 2))


def test_mapped_examples_train_bit_for_bit_as_in_memory_and_are_not_copied(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3000, 50)).astype(np.float32), rng.integers(0, 3, 3000)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        runner = trainer(Examples(mapped, y))
        runner.run_epoch()
        figures = runner.evaluate(runner.examples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2
    assert np.shares_memory(runner.examples.x, mapped)
    plain = trainer(Examples(x, y))
    np.testing.assert_array_equal(after(plain, 1), runner.network.parameters)
    assert plain.evaluate(plain.examples) == figures


FRUGAL: dict[str, dict[str, Any]] = {
    "default": {},
    "without batch norm": {"batch_norm": False},
    "dropout": {"keep_prob": 0.5},
    "clipped, decayed": {"clip_norm": 1.0, "l2": 0.1},
    "weighted, smoothed": {"class_weights": "balanced", "label_smoothing": 0.1},
    **{name: {"optimizer": name} for name in OPTIMIZERS},
    **{name: {"activation": name} for name in ACTIVATIONS},
}


@pytest.mark.parametrize("case", FRUGAL)
def test_a_training_step_allocates_nothing(case: str) -> None:
    """What an epoch takes is its tables, and they do not depend on the network's widths.

    A narrow and a wide network have the same tables: the order, the targets, the optimizer's
    constants. Any array that a step made would be of the size of a mini-batch's inputs, of its
    activations or of a chunk of weights: in the wide network 32 x 1,024 numbers or more. NumPy
    tells tracemalloc about every array, also about those that are dropped at once, so the peak
    shows a single one of them. The third epoch of ten steps is looked at, not the tenth, which has
    the 100th step, when moments are flushed.
    """
    m, classes, rng = 320, 10, np.random.default_rng(0)
    y, peaks = rng.integers(0, classes, m), []
    for units in (8, 1024):
        data = Examples(rng.standard_normal((m, units)).astype(np.float32), y)
        runner = trainer(data, classes=classes, hidden_units=units, **FRUGAL[case])
        after(runner, 2)
        tracemalloc.start()
        try:
            runner.run_epoch()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    activations = 32 * 1024 * 4
    assert peaks[1] - peaks[0] < activations / 8  # the average of the statistics: 2 x 1,024
    # In absolute numbers: less than two copies of the targets, and what functions and views take.
    assert peaks[0] < 2 * (m * classes * 4) + 20_000


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_training_pass_holds_little_more_than_its_activations(
    layers: int, batch_norm: bool
) -> None:
    """Per hidden unit and example z, and under batch norm what it makes of z: all are needed on
    the way back. Beside these it has the inputs, the outputs and their targets, and three arrays
    of one layer, however deep it is: the derivative of a layer and of the one below it (only one
    with a single layer) and the zeros of ReLU. So a deep network needs at most two mini-batches of
    activations and the inputs, and a fixed number of single layers.
    """
    m, inputs, units, outputs = 256, 40, 130 + layers, 3  # a width of its own: no zeros kept yet
    settings = Settings(layers=layers, hidden_units=units, batch_norm=batch_norm)
    net = Network(inputs, settings, outputs, np.random.default_rng(0))
    loss = a_loss("cross_entropy")
    tracemalloc.start()
    try:
        passes = net.training_passes([m, m // 2], loss, np.random.default_rng(0))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert passes
    layer = m * units
    arrays = m * inputs + (1 + batch_norm) * layers * layer + 3 * layer + 2 * m * outputs
    zeros_of_the_half = layer / 2
    vectors = 2 * layers * (2 * m + 5 * units) + 4 * m  # ones, means, deviations: of both sizes
    slack = 3e4 + layers * 1e4  # bytes: the functions themselves
    assert held <= 4 * (arrays + zeros_of_the_half + vectors) + slack
    assert peak <= held + slack
