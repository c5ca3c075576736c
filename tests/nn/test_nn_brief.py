"""The figures and sentences that the trainer must reproduce, each as a test of that name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nn_helpers import TRAIN, a_loss, after, digits, trainer

from hpsearch.nn import model
from hpsearch.nn.layers import ACTIVATIONS, Step, batch_norm
from hpsearch.nn.losses import cross_entropy, softmax
from hpsearch.nn.model import Network
from hpsearch.nn.optimizers import Optimizer
from hpsearch.nn.schedules import learning_rate
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Examples

Array = np.ndarray[Any, Any]


def network(inputs: int, outputs: int = 3, seed: int = 0, **settings: Any) -> Network:
    chosen = Settings(**{"dtype": "float64"} | settings)
    return Network(inputs, chosen, outputs, np.random.default_rng(seed))


def minimise(
    name: str, w: Array, slope: Callable[[Array], Array], steps: int, rate: float, **settings: Any
) -> None:
    """Take `steps` steps on w in place; `slope` gives its gradient."""
    chosen, gradient = Settings(optimizer=name, **settings), np.empty_like(w)
    optimizer = Optimizer(chosen, w, gradient, weights=len(w))
    for row in optimizer.constants(rate, steps):
        gradient[:], optimizer.current[:] = slope(w), row
        for step in optimizer.steps:
            step()


def test_softmax_of_5_2_minus1_3_is_842_042_002_114() -> None:
    probabilities = softmax(np.array([[5.0], [2.0], [-1.0], [3.0]]))
    np.testing.assert_allclose(probabilities[:, 0], [0.842, 0.042, 0.002, 0.114], atol=5e-4)


def test_label_1_with_probabilities_3_2_1_4_costs_1_609() -> None:
    logits = np.log(np.array([[0.3], [0.2], [0.1], [0.4]]))
    assert cross_entropy(logits, np.array([1]))[0] == pytest.approx(1.609, abs=5e-4)
    one_hot = np.array([[0, 1, 0, 0]])
    assert cross_entropy(logits, one_hot)[0] == cross_entropy(logits, np.array([1]))[0]
    figures = a_loss("cross_entropy", classes=4).measure([(logits, np.array([1]))])
    assert figures["loss"] == pytest.approx(1.609, abs=5e-4)


@given(z=st.floats(-700, 700))
def test_two_classes_are_logistic_regression(z: float) -> None:
    assert softmax(np.array([[z], [0.0]]))[0, 0] == pytest.approx(1 / (1 + math.exp(-z)))


def test_two_classes_train_as_logistic_regression() -> None:
    """The difference of the two columns moves as the single weight vector of the formula.

    Each column gets half of what moves the difference, so the rate of the formula is twice as
    high: w = w₁ - w₀, dw₁ = xᵀ(p - y) / m = -dw₀.
    """
    rng = np.random.default_rng(0)
    x, y, rate = rng.standard_normal((50, 4)), rng.integers(0, 2, 50), 0.3
    runner = trainer(
        Examples(x, y), classes=2, layers=0, optimizer="gradient_descent", dtype="float64",
        learning_rate=rate, batch_size=50,
    )  # fmt: skip
    (weights,), (bias,), _ = runner.network.views
    w, b = weights[:, 1] - weights[:, 0], bias[1] - bias[0]
    for _ in range(5):
        runner.run_epoch()
        p = 1 / (1 + np.exp(-(x @ w + b)))
        w, b = w - 2 * rate * x.T @ (p - y) / 50, b - 2 * rate * (p - y).mean()
    np.testing.assert_allclose(weights[:, 1] - weights[:, 0], w, rtol=1e-10)
    np.testing.assert_allclose(bias[1] - bias[0], b, rtol=1e-10)


def test_a_network_without_hidden_layers_is_softmax_regression() -> None:
    rng = np.random.default_rng(0)
    x, y, rate = rng.standard_normal((40, 4)), rng.integers(0, 3, 40), 0.5
    runner = trainer(
        Examples(x, y), layers=0, optimizer="gradient_descent", dtype="float64",
        learning_rate=rate, batch_size=40,
    )  # fmt: skip
    (w,), (b,), gammas = (list(map(np.copy, part)) for part in runner.network.views)
    assert gammas == []  # batch norm is of hidden layers
    for _ in range(4):
        p = np.exp(x @ w + b)
        p /= p.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(runner.network.probabilities(x), p, rtol=1e-10)
        runner.run_epoch()
        d = (p - np.eye(3)[y]) / 40
        w, b = w - rate * x.T @ d, b - rate * d.sum(axis=0)


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_gamma_root_of_variance_and_beta_mean_undo_batch_norm(epsilon: float) -> None:
    z = np.random.default_rng(7).standard_normal((8, 4)) * [1, 2, 3, 4] + 5
    gamma, beta = np.sqrt(z.var(axis=0) + epsilon), z.mean(axis=0)
    y, d, (mean, variance, unused) = np.empty((8, 4)), np.empty((8, 4)), np.empty((3, 4))
    batch_norm(z.copy(), gamma, beta, y, mean, variance, d, unused, unused, epsilon)[0]()
    np.testing.assert_allclose(y, z, rtol=1e-12)


@given(shift=st.floats(-100, 100))
def test_a_bias_before_batch_norm_would_be_removed_by_the_mean(shift: float) -> None:
    z = np.random.default_rng(7).standard_normal((8, 4))
    results = []
    for array in (z.copy(), z + shift):
        y, d, (mean, variance, unused) = np.empty((8, 4)), np.empty((8, 4)), np.empty((3, 4))
        batch_norm(array, np.ones(4), np.zeros(4), y, mean, variance, d, unused, unused)[0]()
        results.append(y)
    np.testing.assert_allclose(results[0], results[1], atol=1e-10)
    # so a hidden layer has no bias beside γ and β: 5 x 4 weights, then 4 x 3 and 3 biases
    assert len(network(5, hidden_units=4).parameters) == 20 + 2 * 4 + 12 + 3
    assert len(network(5, hidden_units=4, batch_norm=False).parameters) == 20 + 4 + 12 + 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_one_example_is_predicted_as_within_a_batch(
    monkeypatch: pytest.MonkeyPatch, batch_norm: bool, dtype: str
) -> None:
    monkeypatch.setattr(model, "BLOCK", 16)
    net = network(5, hidden_units=(4, 6), batch_norm=batch_norm, dtype=dtype, keep_prob=0.5)
    net.average(np.random.default_rng(0).random((7, len(net.statistics))).astype(dtype))
    x = np.random.default_rng(5).standard_normal((37, 5))  # two blocks and a rest
    together = net.probabilities(x)
    alone = np.concatenate([net.probabilities(x[i : i + 1]) for i in range(len(x))])
    assert together.dtype == alone.dtype == dtype
    np.testing.assert_allclose(alone, together, rtol=10 * np.finfo(dtype).eps, atol=1e-7)
    np.testing.assert_array_equal(net.predict(x), together.argmax(axis=1))


def test_zeros_never_break_the_symmetry() -> None:
    runner = trainer(initializer="zeros", activation="sigmoid", batch_norm=False, dtype="float64")
    after(runner, 3)
    first, last = runner.network.views.weights
    assert first.any()
    assert last.any()
    np.testing.assert_allclose(first, first[:, :1].repeat(8, axis=1), rtol=1e-9)
    np.testing.assert_allclose(last, last[:1].repeat(8, axis=0), rtol=1e-9)


def variances(monkeypatch: pytest.MonkeyPatch, activation: str, initializer: str) -> Array:
    """The variance of the activations of each of 20 layers of 256 units; median of 5 networks.

    The inputs are small: tanh keeps what is in its straight part, and squeezes what is not.
    """
    real, seen = ACTIVATIONS[activation], []

    def recording(a: Array, d_a: Array) -> tuple[Step, Step]:
        seen.append(a)
        return real(a, d_a)

    result = []
    for seed in range(5):
        seen.clear()
        with monkeypatch.context() as patch:
            patch.setitem(ACTIVATIONS, activation, recording)
            net = network(
                256, 3, seed, layers=20, hidden_units=256, batch_norm=False,
                activation=activation, initializer=initializer,
            )  # fmt: skip
            batch = net.training_passes([100], a_loss("cross_entropy"))[100]
        batch.x[...] = 0.1 * np.random.default_rng(seed).standard_normal((100, 256))
        for step in batch.forward:
            step()
        result.append([a.var() for a in seen])
    return np.median(result, axis=0)


@pytest.mark.parametrize(("activation", "initializer"), [("tanh", "xavier"), ("relu", "he")])
def test_xavier_for_tanh_and_he_for_relu_keep_the_variance_over_20_layers(
    monkeypatch: pytest.MonkeyPatch, activation: str, initializer: str
) -> None:
    kept = variances(monkeypatch, activation, initializer)
    assert len(kept) == 20
    assert (kept / kept[0] >= 0.5).all()
    assert (kept / kept[0] <= 2).all()
    lost = variances(monkeypatch, activation, "normal")
    # 256 · 0.01² = 0.0256 of it is left by each layer, half of that by relu
    assert lost[1] / lost[0] <= 0.05
    assert lost[-1] / lost[0] <= 0.05**19


def test_xavier_loses_half_of_the_variance_in_each_layer_of_relu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = variances(monkeypatch, "relu", "xavier")
    assert kept[-1] / kept[0] == pytest.approx(0.5**19, rel=0.5)


def test_normal_weights_need_batch_norm_in_a_deep_network() -> None:
    train_set, dev = digits()
    errors = []
    for batch_norm_on in (False, True):
        runner = trainer(
            train_set, classes=10, layers=5, hidden_units=32, initializer="normal",
            optimizer="gradient_descent", learning_rate=0.3, batch_norm=batch_norm_on,
        )  # fmt: skip
        after(runner, 10)
        errors.append(runner.evaluate(dev)["error"])
    assert errors[0] >= 0.8  # no signal comes through: hardly better than guessing
    assert errors[1] <= 0.2


@pytest.mark.parametrize(
    ("beta", "steps"), [(0.9, 10), (0.9005, 10.05), (0.999, 1000), (0.9995, 2000)]
)
def test_an_average_looks_back_over_1_over_1_minus_beta_steps(beta: float, steps: float) -> None:
    """What grows by 1 per step, the average shows late: by the mean age of what it holds.

    The present value is of age 1.
    """
    count = round(60 * steps)
    net = network(1, hidden_units=1, batch_norm_average=beta)
    ramp = np.arange(1.0, count + 1)
    net.average(np.stack([ramp, ramp], axis=1))
    late = 1 + count - net.averages[0]
    assert late == pytest.approx(steps, rel=1e-3)


@pytest.mark.parametrize("beta", [0.9, 0.98])
def test_momentum_reaches_two_thirds_of_a_new_gradient_after_1_over_1_minus_beta_steps(
    beta: float,
) -> None:
    steps = round(1 / (1 - beta))
    far, farther = np.zeros(1), np.zeros(1)
    minimise("momentum", far, np.ones_like, steps - 1, 1.0, momentum=beta)
    minimise("momentum", farther, np.ones_like, steps, 1.0, momentum=beta)
    assert (far - farther)[0] == pytest.approx(1 - 1 / math.e, abs=0.03)  # the last step


@given(value=st.floats(-100, 100), beta=st.floats(0, 0.999))
def test_the_correction_gives_the_right_average_from_the_first_step_on(
    value: float, beta: float
) -> None:
    """Without it an average that starts at zero would be too small by 1 - βᵗ."""
    net = network(1, hidden_units=1, batch_norm_average=beta, activation="tanh")
    for _ in range(3):
        net.average(np.array([[value, 4.0]]))
        ((w, b), _) = net._folded()
        scale = w[0, 0] / net.views.weights[0][0, 0]
        assert scale == pytest.approx(1 / math.sqrt(4 + 1e-5), rel=1e-9)
        assert b[0] == pytest.approx(-value * scale, rel=1e-9, abs=1e-12)


def test_gradient_descent_on_the_smallest_example_gives_0_1_and_4_99999() -> None:
    w = np.zeros(1)
    minimise("gradient_descent", w, lambda w: 2 * w - 10, 1, rate=0.01)  # J = w² - 10 w + 25
    assert w[0] == pytest.approx(0.1)
    minimise("gradient_descent", w, lambda w: 2 * w - 10, 999, rate=0.01)
    assert w[0] == pytest.approx(4.99999, abs=1e-5)


def test_momentums_beta_does_not_rescale_the_learning_rate() -> None:
    """One gradient moves the weight by α times itself in the end, whatever β is."""
    for beta in (0.0, 0.5, 0.9, 0.99):
        w, given_gradients = np.zeros(1), iter([np.ones(1), *[np.zeros(1)] * 3000])
        minimise("momentum", w, lambda _, g=given_gradients: next(g), 3000, 0.01, momentum=beta)
        assert w[0] == pytest.approx(-0.01, rel=1e-6)
    for beta in (0.0, 0.5, 0.9):  # and a constant one moves it as gradient descent does
        w = np.zeros(1)
        minimise("momentum", w, np.ones_like, 1000, 0.01, momentum=beta)
        start = w.copy()
        minimise("momentum", w, np.ones_like, 1000, 0.01, momentum=beta)
        assert (w - start)[0] == pytest.approx(-1000 * 0.01, rel=0.01)


def test_momentum_is_beta_v_plus_1_minus_beta_g() -> None:
    rng, beta, v = np.random.default_rng(0), 0.7, 0.0
    gradients = rng.standard_normal(6)
    w, right, feed = np.zeros(1), 0.0, iter(gradients)
    minimise("momentum", w, lambda _: np.array([next(feed)]), 6, 0.1, momentum=beta)
    for g in gradients:
        v = beta * v + (1 - beta) * g
        right -= 0.1 * v
    assert w[0] == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize(
    ("decay", "epoch", "expected"),
    [
        ("inverse_time", 3, 0.2 / (1 + 3)),
        ("exponential", 3, 0.95**3 * 0.2),
        ("inverse_sqrt", 3, 0.2 / math.sqrt(4)),  # k / sqrt(epoch), epochs from 1
        ("staircase", 10, 0.1),
    ],
)
def test_the_learning_rate_decays_by_the_textbooks_formulas(
    decay: str, epoch: int, expected: float
) -> None:
    settings = Settings(learning_rate=0.2, decay=decay)
    assert learning_rate(settings, epoch) == pytest.approx(expected, rel=1e-12)


NARROWER: dict[str, dict[str, Any]] = {
    "5 x 64 relu": {"layers": 5, "activation": "relu", "initializer": "he"},
    "3 x 64 sigmoid": {"layers": 3, "activation": "sigmoid", "initializer": "xavier"},
}


@pytest.mark.parametrize(("case", "wider"), [("5 x 64 relu", 1), ("3 x 64 sigmoid", 3)])
def test_batch_norm_widens_the_range_of_learning_rates_that_train(case: str, wider: int) -> None:
    """Gradient descent on the digits: rates half a decade apart, of which some reach a dev error
    below 10% within ten epochs, in the median of three seeds. With ReLU 3 such rates become 4 or 5
    (the highest is a matter of rounding), with sigmoid 2 become 6.

    wider: how many more rates there must be, half a decade each.
    """
    train_set, dev = digits()
    train_well = {}
    for batch_norm_on in (False, True):
        errors = []
        for half in range(-4, 5):  # 0.01 to 100; below, ten epochs are too few for both
            runners = [
                trainer(
                    train_set, seed, classes=10, hidden_units=64, batch_norm=batch_norm_on,
                    optimizer="gradient_descent", learning_rate=10 ** (half / 2),
                    **NARROWER[case],
                )
                for seed in range(3)
            ]  # fmt: skip
            for runner in runners:
                after(runner, 10)
            errors.append(np.median([runner.evaluate(dev)["error"] for runner in runners]))
        train_well[batch_norm_on] = sum(error < 0.1 for error in errors)
    assert train_well[False] >= 1
    assert train_well[True] >= train_well[False] + wider


def test_l2_is_of_the_weights_alone_and_lambda_over_2m() -> None:
    """λ / (2m) Σ ||W||² has the slope λ / m W: that times α goes in a step, none of the biases."""
    common: Any = {
        "optimizer": "gradient_descent", "learning_rate": 0.5, "batch_size": 1000,
        "dtype": "float64", "batch_norm": False,
    }  # fmt: skip
    without, decayed = trainer(**common), trainer(**common, l2=3.0)
    start, weights = without.network.parameters.copy(), without.network.weights
    difference = after(decayed, 1) - after(without, 1)
    expected = -0.5 * 3.0 / len(TRAIN.y) * start[:weights]
    np.testing.assert_allclose(difference[:weights], expected, rtol=1e-9, atol=1e-14)
    assert not difference[weights:].any()
