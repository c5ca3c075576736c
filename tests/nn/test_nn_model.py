from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from hpsearch.nn import layers, model
from hpsearch.nn.gradcheck import gradient_check
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import ACTIVATIONS, Array, Step
from hpsearch.nn.losses import cross_entropy
from hpsearch.nn.model import AVERAGE_BETA, Network
from hpsearch.nn.settings import Settings


def data(m: int = 12, inputs: int = 5, classes: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((m, inputs)), rng.integers(0, classes, m)


def network(seed: int = 0, **settings: object) -> Network:
    settings = {"hidden_units": (4, 6), "dtype": "float64"} | settings
    return Network(5, Settings(**settings), 3, np.random.default_rng(seed))  # type: ignore[arg-type]


@pytest.mark.parametrize("hidden_units", [4, (4, 6, 3)])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_whole_networks_gradient_is_right(
    activation: str, batch_norm: bool, hidden_units: object
) -> None:
    net = network(activation=activation, batch_norm=batch_norm, hidden_units=hidden_units)
    rng = np.random.default_rng(1)
    net.parameters += 0.3 * rng.standard_normal(net.parameters.shape)  # γ and β too
    before = net.parameters.copy()
    assert gradient_check(net, *data()) <= 1e-7
    np.testing.assert_array_equal(net.parameters, before)


def test_softmax_regressions_gradient_is_right() -> None:
    assert gradient_check(network(layers=0, hidden_units=8), *data()) <= 1e-7


def test_the_gradient_check_finds_a_wrong_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(a: Array, d_a: Array) -> tuple[Step, Step]:
        forward, _ = layers.hyperbolic_tangent(a, d_a)
        return forward, lambda: None  # as if the derivative were 1

    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    assert gradient_check(network(activation="tanh"), *data()) > 1e-3


def test_the_gradient_check_refuses_float32() -> None:
    with pytest.raises(ValueError, match="needs float64, the network is float32"):
        gradient_check(network(dtype="float32"), *data())


@pytest.mark.parametrize("batch_norm", [False, True])
def test_parameters_are_one_vector_with_the_weights_first(batch_norm: bool) -> None:
    net = network(batch_norm=batch_norm)
    parts = [part for parts in net.views for part in parts]
    np.testing.assert_array_equal(np.concatenate([p.ravel() for p in parts]), net.parameters)
    assert all(np.shares_memory(part, net.parameters) for part in parts)
    assert [w.shape for w in net.views.weights] == [(5, 4), (4, 6), (6, 3)]
    assert [b.shape for b in net.views.biases] == [(4,), (6,), (3,)]
    assert [g.shape for g in net.views.gammas] == ([(4,), (6,)] if batch_norm else [])
    assert net.weights == sum(w.size for w in net.views.weights)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_float32_and_float64_start_equal(initializer: str) -> None:
    single, double = (network(dtype=d, initializer=initializer) for d in ("float32", "float64"))
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))


def test_untrained_batch_norm_leaves_its_input_nearly_as_it_is() -> None:
    x, _ = data()
    plain, normed = network(batch_norm=False), network(batch_norm=True)
    np.testing.assert_allclose(plain.probabilities(x), normed.probabilities(x), atol=1e-4)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_predictions_follow_the_formulas(activation: str, batch_norm: bool) -> None:
    """With the averages equal to the statistics of x, prediction is the training's forward pass."""
    x, y = data()
    net = network(batch_norm=batch_norm, activation=activation)
    batch = net.training_pass(len(x))
    batch.x[...] = x
    for step in batch.forward:
        step()
    net.average(net.statistics[None, :])  # a bias-corrected average of one is that one
    ((_, logits),) = net.logits(x)
    np.testing.assert_allclose(logits, batch.logits, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cross_entropy(logits, y), cross_entropy(batch.logits, y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_one_example_is_predicted_as_within_a_batch(
    monkeypatch: pytest.MonkeyPatch, batch_norm: bool, dtype: str
) -> None:
    monkeypatch.setattr(model, "BLOCK", 16)
    net = network(batch_norm=batch_norm, dtype=dtype)
    net.average(np.random.default_rng(0).random((7, len(net.statistics))).astype(dtype))
    x, _ = data(m=37)  # two blocks and a rest
    together = net.probabilities(x)
    alone = np.concatenate([net.probabilities(x[i : i + 1]) for i in range(len(x))])
    assert together.dtype == alone.dtype == dtype
    np.testing.assert_allclose(alone, together, rtol=10 * np.finfo(dtype).eps, atol=1e-7)
    np.testing.assert_array_equal(net.predict(x), together.argmax(axis=1))


def test_averages_of_many_steps_at_once_equal_one_after_the_other() -> None:
    at_once, in_turn = network(), network()
    history = np.random.default_rng(0).random((9, len(at_once.statistics)))
    at_once.average(history[:6])
    at_once.average(history[6:])
    average = np.zeros(history.shape[1])
    for row in history:
        average = AVERAGE_BETA * average + (1 - AVERAGE_BETA) * row
    in_turn.average((average / (1 - AVERAGE_BETA ** len(history)))[None, :])
    x, _ = data()
    np.testing.assert_allclose(at_once.probabilities(x), in_turn.probabilities(x), rtol=1e-12)


def test_examples_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes 5 inputs, got x of shape \(12, 1\)"):
        network().predict(data(inputs=1)[0])


def test_a_network_is_freed_as_soon_as_it_is_dropped() -> None:
    """Trials follow each other by the hundred: their arrays must not wait for a collection."""
    net = network()
    net.predict(data()[0])
    gc.disable()
    try:
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()
