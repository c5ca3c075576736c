from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from nn_helpers import a_loss, differences, relative

from hpsearch.nn import layers, model
from hpsearch.nn.gradcheck import gradient_check
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import ACTIVATIONS, Array, Step
from hpsearch.nn.losses import LOSSES, cross_entropy
from hpsearch.nn.model import Network
from hpsearch.nn.settings import Settings


def data(m: int = 12, inputs: int = 5, classes: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.standard_normal((m, inputs)), rng.integers(0, classes, m)


def network(seed: int = 0, outputs: int = 3, **settings: object) -> Network:
    settings = {"hidden_units": (4, 6), "dtype": "float64"} | settings
    rng = np.random.default_rng(seed)
    return Network(5, Settings(**settings), outputs, rng)  # type: ignore[arg-type]


def checked(loss: str = "cross_entropy", **settings: object) -> float:
    """The gradient check of a network whose β and γ are not those it starts with."""
    x, y = data()
    if loss == "mse":
        y = np.sin(y + x[:, 0])
    net = network(outputs=a_loss(loss).outputs, **settings)
    net.parameters += 0.3 * np.random.default_rng(1).standard_normal(net.parameters.shape)
    before = net.parameters.copy()
    result = gradient_check(net, a_loss(loss), x, y)
    np.testing.assert_array_equal(net.parameters, before)
    return result


@pytest.mark.parametrize("hidden_units", [4, (4, 6), (4, 6, 3)])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_whole_networks_gradient_is_right(
    loss: str, activation: str, batch_norm: bool, hidden_units: object
) -> None:
    settings = {"activation": activation, "batch_norm": batch_norm, "hidden_units": hidden_units}
    assert checked(loss, **settings) <= 1e-7


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_without_a_hidden_layer_is_right(loss: str) -> None:
    assert checked(loss, layers=0, hidden_units=8) <= 1e-7


def test_the_gradient_under_another_epsilon_of_batch_norm_is_right() -> None:
    assert checked(batch_norm_epsilon=0.5, activation="tanh") <= 1e-7


def test_the_gradient_check_drops_nothing() -> None:
    assert checked(keep_prob=0.5) <= 1e-7


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_under_dropout_by_fixed_masks_is_right(
    monkeypatch: pytest.MonkeyPatch, activation: str, batch_norm: bool
) -> None:
    """The training pass with masks that stay the same, against differences of its own loss."""
    masks = np.random.default_rng(4)

    def fixed(mask: Array, *_: object) -> Step:
        mask[...] = (masks.random(mask.shape) < 0.7) / 0.7
        return lambda: None

    monkeypatch.setattr(model, "draw_mask", fixed)
    x, y = data()
    net, loss = (
        network(activation=activation, batch_norm=batch_norm, keep_prob=0.7),
        a_loss("cross_entropy"),
    )
    net.parameters += 0.3 * np.random.default_rng(1).standard_normal(net.parameters.shape)
    batch = net.training_passes([len(x)], loss, np.random.default_rng(0))[len(x)]
    batch.targets[...] = loss.targets(y[None], net.dtype)[0]

    def mean_loss() -> float:
        batch.x[...] = x
        for step in batch.forward:
            step()
        return float(cross_entropy(batch.outputs, y).mean())

    mean_loss()
    for step in batch.backward:
        step()
    gradient = net.gradient.copy()
    assert relative(gradient, differences(mean_loss, net.parameters)) <= 1e-7
    other = network(activation=activation, batch_norm=batch_norm)  # and the masks did something
    other.parameters[...] = net.parameters
    plain = other.training_passes([len(x)], loss)[len(x)]
    plain.x[...], plain.targets[...] = x, loss.targets(y[None], net.dtype)[0]
    for step in (*plain.forward, *plain.backward):
        step()
    assert relative(gradient, other.gradient) > 0.01


def test_the_gradient_check_finds_a_wrong_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(a: Array, d_a: Array) -> tuple[Step, Step]:
        forward, _ = layers.hyperbolic_tangent(a, d_a)
        return forward, lambda: None  # as if the derivative were 1

    monkeypatch.setitem(ACTIVATIONS, "tanh", wrong)
    assert checked(activation="tanh") > 1e-3


def test_the_gradient_check_finds_a_bias_that_is_not_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(z: Array, b: Array, d_z: Array, d_b: Array) -> tuple[Step, Step]:
        forward, _ = layers.bias(z, b, d_z, d_b)
        return forward, lambda: d_b.__setitem__(slice(None), d_z[0])

    monkeypatch.setattr(model, "bias", wrong)
    assert checked(batch_norm=False) > 1e-3


def test_the_gradient_check_refuses_float32() -> None:
    with pytest.raises(ValueError, match="needs float64, the network is float32"):
        gradient_check(network(dtype="float32"), a_loss("cross_entropy"), *data())


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
    batch = net.training_passes([len(x)], a_loss("cross_entropy"))[len(x)]
    batch.x[...] = x
    for step in batch.forward:
        step()
    net.average(net.statistics[None, :])  # a bias-corrected average of one is that one
    ((_, logits),) = net.outputs(x)
    np.testing.assert_allclose(logits, batch.outputs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(cross_entropy(logits, y), cross_entropy(batch.outputs, y))


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_averages_of_many_steps_at_once_equal_one_after_the_other(beta: float) -> None:
    at_once, in_turn = (network(batch_norm_average=beta) for _ in range(2))
    history = np.random.default_rng(0).random((9, len(at_once.statistics)))
    at_once.average(history[:6])
    at_once.average(history[6:])
    average = np.zeros(history.shape[1])
    for row in history:
        average = beta * average + (1 - beta) * row
    in_turn.average((average / (1 - beta ** len(history)))[None, :])
    x, _ = data()
    np.testing.assert_allclose(at_once.probabilities(x), in_turn.probabilities(x), rtol=1e-12)


def test_the_pass_of_a_smaller_mini_batch_lies_in_the_memory_of_the_largest() -> None:
    passes = network().training_passes([3, 12], a_loss("cross_entropy"))
    assert passes[3].x.shape == (3, 5)
    assert passes[12].x.shape == (12, 5)
    for small, large in zip(passes[3][:3], passes[12][:3], strict=True):
        assert np.shares_memory(small, large)
        assert small.flags.c_contiguous


@pytest.mark.parametrize("m", [1, model.BLOCK - 1, model.BLOCK, model.BLOCK + 1, 2 * model.BLOCK])
def test_predictions_come_in_blocks_that_cover_every_example_once(m: int) -> None:
    net, x = network(), np.random.default_rng(0).standard_normal((m, 5))
    rows = [rows for rows, outputs in net.outputs(x) if outputs.shape[1] == rows.stop - rows.start]
    assert [i for part in rows for i in range(part.start, part.stop)] == list(range(m))
    assert net.predict(x).shape == (m,)


@pytest.mark.parametrize("keep_prob", [(0.5,), (0.5, 0.5, 0.5)])
def test_a_wrong_number_of_keep_probs_is_refused(keep_prob: object) -> None:
    with pytest.raises(ValueError, match=r"keep_prob lists \d layers, but there are 2 hidden ones"):
        network(keep_prob=keep_prob)


def test_a_wrong_number_of_hidden_units_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_units lists 2 layers, but layers is 3"):
        network(layers=3)


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
