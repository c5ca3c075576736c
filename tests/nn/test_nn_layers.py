from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nn_helpers import differences, relative

from hpsearch.nn.layers import (
    ACTIVATIONS,
    LEAK,
    batch_norm,
    bias,
    dense,
    dense_logits,
    draw_mask,
    dropout,
)

Array = np.ndarray[Any, Any]

FORMULAS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, LEAK * z),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


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
    assert relative(d, differences(loss, z)) <= 1e-7


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relus_derivative_is_1_above_zero_and_0_from_there_on_down(dtype: type) -> None:
    """It is found from the bits, so the ends of the number line are where it could go wrong."""
    limits = np.finfo(dtype)
    above = [limits.smallest_subnormal, limits.tiny, 1.0, limits.max, np.inf]
    z = np.array([[*above, 0.0, -0.0, *(-value for value in above)] * 5], dtype)
    d = np.full_like(z, 3)
    forward, backward = ACTIVATIONS["relu"](a := z.copy(), d)
    forward()
    np.testing.assert_array_equal(a, np.where(z > 0, z, 0))
    backward()
    np.testing.assert_array_equal(d, np.where(z > 0, 3, 0))


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
    assert relative(d_w, differences(loss, w)) <= 1e-7
    assert relative(d_x, differences(loss, x)) <= 1e-7


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
    assert relative(d_w, differences(loss, w)) <= 1e-7
    assert relative(d_b, differences(loss, b)) <= 1e-7
    assert relative(d_x, differences(loss, x)) <= 1e-7


def test_bias_is_added_and_its_derivative_is_a_sum() -> None:
    z, b, d_z = random((5, 3), (3,), (5, 3))
    expected, d, d_b = z + b, np.empty((5, 3)), np.empty(3)
    forward, backward = bias(z, b, d, d_b)
    forward()
    d[...] = d_z  # only now: until then it is scratch
    backward()
    close(z, expected)
    close(d_b, d_z.sum(axis=0))


def normalised(
    z: Array, gamma: Array, beta: Array, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    z, y, (mean, variance, unused) = z.copy(), np.empty_like(z), np.empty((3, z.shape[1]))
    d = np.empty_like(z)
    batch_norm(z, gamma, beta, y, mean, variance, d, unused, unused, epsilon)[0]()
    return y, mean, variance


@pytest.mark.parametrize("epsilon", [1e-5, 0.1, 1.0])
def test_batch_norm_agrees_with_differences(epsilon: float) -> None:
    z, gamma, beta, d_out = random((6, 3), (3,), (3,), (6, 3))

    def loss() -> float:
        return float((normalised(z, gamma, beta, epsilon)[0] * d_out).sum())

    d = np.empty((6, 3))
    y, z_copy, (mean, variance, d_gamma, d_beta) = np.empty((6, 3)), z.copy(), np.empty((4, 3))
    forward, backward = batch_norm(
        z_copy, gamma, beta, y, mean, variance, d, d_gamma, d_beta, epsilon
    )
    forward()
    d[...] = d_out
    backward()
    assert relative(d, differences(loss, z)) <= 1e-7
    assert relative(d_gamma, differences(loss, gamma)) <= 1e-7
    assert relative(d_beta, differences(loss, beta)) <= 1e-7


def test_batch_norm_gives_each_unit_mean_beta_and_spread_gamma() -> None:
    (z,) = random((50, 3))
    gamma, beta = np.array([1.0, 2.0, 0.5]), np.array([0.0, -1.0, 4.0])
    y, mean, variance = normalised(1e4 + 100 * z, gamma, beta)
    close(mean, 1e4 + 100 * z.mean(axis=0))
    np.testing.assert_allclose(variance, 1e4 * z.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(y.mean(axis=0), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), gamma, rtol=1e-8)


def test_batch_norm_of_float32_does_not_cancel_far_from_zero() -> None:
    (z,) = random((64, 2))
    z32 = (z + 1000).astype(np.float32)  # E[z²] - mean² would keep no correct digit
    gamma, beta = np.ones(2, np.float32), np.zeros(2, np.float32)
    y, d, (mean, variance) = np.empty_like(z32), np.empty_like(z32), np.empty((2, 2), np.float32)
    forward, _ = batch_norm(z32, gamma, beta, y, mean, variance, d, gamma, beta)
    forward()
    np.testing.assert_allclose(variance, z.var(axis=0), rtol=1e-3)


def test_batch_norm_refuses_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="a batch of one has no variance"):
        normalised(np.ones((1, 3)), np.ones(3), np.zeros(3))


def mask_drawer(
    mask: Array, keep_prob: float, seed: int = 0
) -> tuple[Callable[[], object], np.random.Generator]:
    rng = np.random.default_rng(seed)
    return draw_mask(mask, np.empty_like(mask), keep_prob, rng), rng


def test_dropout_with_a_fixed_mask_agrees_with_differences() -> None:
    a, d_out, mask, kept = *random((6, 5), (6, 5)), np.empty((6, 5)), np.empty((6, 5))
    mask_drawer(mask, 0.5)[0]()
    assert 0 < np.count_nonzero(mask) < mask.size
    d = d_out.copy()
    forward, backward = dropout(a, kept, d, mask, lambda: None)

    def loss() -> float:
        forward()
        return float((kept * d_out).sum())

    backward()
    assert relative(d, differences(loss, a)) <= 1e-7
    assert not d[mask == 0].any()


def test_dropout_draws_before_each_forward_step_and_keeps_that_mask_for_the_way_back() -> None:
    a, mask, kept = np.ones((40, 25)), np.empty((40, 25)), np.empty((40, 25))
    d = np.ones_like(a)
    forward, backward = dropout(a, kept, d, mask, mask_drawer(mask, 0.5)[0])
    seen = []
    for _ in range(3):
        forward()
        d[...] = 1
        backward()
        np.testing.assert_array_equal(d, kept)
        assert (a == 1).all()  # its derivative is found from it: left as it is
        seen.append(kept.copy())
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(keep_prob=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_masks_keep_their_share_of_units_and_the_expectation(
    dtype: type, keep_prob: float, seed: int
) -> None:
    mask = np.full((101, 97), np.nan, dtype)
    mask_drawer(mask, keep_prob, seed)[0]()
    on = mask != 0
    np.testing.assert_allclose(mask[on], 1 / keep_prob, rtol=np.finfo(dtype).eps)
    # 6 standard errors: fails by chance once in 5e8 draws, of which hypothesis makes a hundred
    error = np.sqrt(keep_prob * (1 - keep_prob) / mask.size)
    assert abs(on.mean() - keep_prob) <= 6 * error
    assert abs(mask.mean(dtype=np.float64) - 1) <= 6 * error / keep_prob


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masks_keep_their_share_of_a_million_units(dtype: type) -> None:
    mask = np.empty((1000, 1000), dtype)
    for keep_prob in (0.001, 0.5, 0.9, 0.999):
        mask_drawer(mask, keep_prob)[0]()
        error = np.sqrt(keep_prob * (1 - keep_prob) / mask.size)
        assert abs((mask != 0).mean() - keep_prob) <= 5 * error  # 5 standard errors, a fixed seed
        rows, columns = (mask != 0).mean(axis=1), (mask != 0).mean(axis=0)
        for shares in (rows, columns):  # each unit and each example on its own
            assert abs(shares.std() / np.sqrt(keep_prob * (1 - keep_prob) / 1000) - 1) <= 0.15


def test_masks_repeat_with_the_seed_and_differ_without() -> None:
    first, again, other = np.empty((3, 20, 30))
    for mask, seed in ((first, 1), (again, 1), (other, 2)):
        mask_drawer(mask, 0.5, seed)[0]()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
