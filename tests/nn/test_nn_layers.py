from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hpsearch.nn.layers import (
    ACTIVATIONS,
    EPSILON,
    LEAK,
    batch_norm,
    bias,
    dense,
    dense_logits,
)

Array = np.ndarray[Any, Any]

FORMULAS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, LEAK * z),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def differences(loss: Callable[[], float], array: Array, step: float = 1e-6) -> Array:
    """The derivative of `loss` by each element of `array`, which it reads."""
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        result[index] = (above - loss()) / (2 * step)
        array[index] = value
    return result


def close(actual: Array, expected: Array) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-8)


def random(*shapes: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_follows_its_formula_and_its_derivative(name: str) -> None:
    z, d_out = random((6, 5), (6, 5))
    z += 0.01 * np.sign(z)  # away from the kink at 0

    def loss() -> float:
        a = z.copy()
        ACTIVATIONS[name](a, a)[0]()
        return float((a * d_out).sum())

    a, d = z.copy(), d_out.copy()
    forward, backward = ACTIVATIONS[name](a, d)
    forward()
    close(a, FORMULAS[name](z))
    backward()
    close(d, differences(loss, z))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_take_extreme_values_pass_nan_on_and_keep_the_dtype(
    name: str, dtype: type
) -> None:
    a = np.array([[1e30, -1e30, 0, np.nan]], dtype)
    forward, _ = ACTIVATIONS[name](a, np.ones_like(a))
    forward()
    assert a.dtype == dtype
    assert np.isfinite(a[0, :3]).all()
    assert np.isnan(a[0, 3])


def test_dense_agrees_with_differences() -> None:
    x, w, d_z = random((5, 3), (3, 4), (5, 4))
    z, d_w, d_x = np.empty((5, 4)), np.empty((3, 4)), np.empty((5, 3))
    forward, backward = dense(x, w, z, d_z, d_w, d_x)

    def loss() -> float:
        forward()
        return float((z * d_z).sum())

    forward()
    close(z, x @ w)
    backward()
    close(d_w, differences(loss, w))
    close(d_x, differences(loss, x))


def test_dense_logits_agree_with_differences_and_put_classes_first() -> None:
    x, w, b, d_logits = random((5, 3), (3, 4), (4,), (4, 5))
    logits, d_w, d_b, d_x = np.empty((4, 5)), np.empty((3, 4)), np.empty(4), np.empty((5, 3))
    forward, backward = dense_logits(x, w, b, logits, d_w, d_b, d_x)

    def loss() -> float:
        forward()
        return float((logits * d_logits).sum())

    forward()
    close(logits.T, x @ w + b)
    logits[...] = d_logits
    backward()
    close(d_w, differences(loss, w))
    close(d_b, differences(loss, b))
    close(d_x, differences(loss, x))


def test_bias_is_added_and_its_derivative_is_a_sum() -> None:
    z, b, d_z = random((5, 3), (3,), (5, 3))
    expected, d_b = z + b, np.empty(3)
    forward, backward = bias(z, b, d_z, d_b)
    forward()
    backward()
    close(z, expected)
    close(d_b, d_z.sum(axis=0))


def normalised(z: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    z, y, (mean, variance, unused) = z.copy(), np.empty_like(z), np.empty((3, z.shape[1]))
    batch_norm(z, gamma, beta, y, mean, variance, np.empty_like(z), unused, unused)[0]()
    return y, mean, variance


def test_batch_norm_agrees_with_differences() -> None:
    z, gamma, beta, d_out = random((6, 3), (3,), (3,), (6, 3))

    def loss() -> float:
        return float((normalised(z, gamma, beta)[0] * d_out).sum())

    d = d_out.copy()
    y, z_copy, (mean, variance, d_gamma, d_beta) = np.empty((6, 3)), z.copy(), np.empty((4, 3))
    forward, backward = batch_norm(z_copy, gamma, beta, y, mean, variance, d, d_gamma, d_beta)
    forward()
    backward()
    close(d, differences(loss, z))
    close(d_gamma, differences(loss, gamma))
    close(d_beta, differences(loss, beta))


def test_batch_norm_gives_each_unit_mean_beta_and_spread_gamma() -> None:
    (z,) = random((50, 3))
    gamma, beta = np.array([1.0, 2.0, 0.5]), np.array([0.0, -1.0, 4.0])
    y, mean, variance = normalised(1e4 + 100 * z, gamma, beta)
    close(mean, 1e4 + 100 * z.mean(axis=0))
    np.testing.assert_allclose(variance, 1e4 * z.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(y.mean(axis=0), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), gamma, rtol=1e-8)


def test_gamma_root_of_variance_and_beta_mean_undo_batch_norm() -> None:
    (z,) = random((8, 4))
    y, _, _ = normalised(z, np.sqrt(z.var(axis=0) + EPSILON), z.mean(axis=0))
    np.testing.assert_allclose(y, z, rtol=1e-12)


def test_batch_norm_of_float32_does_not_cancel_far_from_zero() -> None:
    (z,) = random((64, 2))
    z32 = (z + 1000).astype(np.float32)  # E[z²] - mean² would keep no correct digit
    gamma, beta = np.ones(2, np.float32), np.zeros(2, np.float32)
    y, mean, variance = np.empty_like(z32), *np.empty((2, 2), np.float32)
    forward, _ = batch_norm(z32, gamma, beta, y, mean, variance, y, gamma, beta)
    forward()
    np.testing.assert_allclose(variance, z.var(axis=0), rtol=1e-3)


def test_batch_norm_refuses_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="a batch of one has no variance"):
        normalised(np.ones((1, 3)), np.ones(3), np.zeros(3))
