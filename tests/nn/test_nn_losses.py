from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpsearch.nn.losses import cross_entropy, softmax, softmax_cross_entropy_gradient

columns = arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 5)),
                 elements=st.floats(-1e4, 1e4))  # fmt: skip


def gradient(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    d_logits, m = logits.copy(), len(labels)
    softmax_cross_entropy_gradient(d_logits, labels * m + np.arange(m))()
    return d_logits


def test_softmax_gives_the_textbooks_figures() -> None:
    probabilities = softmax(np.array([[5.0], [2.0], [-1.0], [3.0]]))
    np.testing.assert_allclose(probabilities[:, 0], [0.842, 0.042, 0.002, 0.114], atol=5e-4)


def test_the_loss_is_minus_the_logarithm_of_the_labels_probability() -> None:
    logits = np.log(np.array([[0.3], [0.2], [0.1], [0.4]]))
    assert cross_entropy(logits, np.array([1]))[0] == pytest.approx(1.609, abs=5e-4)


@given(logits=columns, shift=st.floats(-1e4, 1e4))
def test_softmax_is_a_distribution_that_no_shift_changes(logits: np.ndarray, shift: float) -> None:
    probabilities = softmax(logits)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(softmax(logits + shift), probabilities, rtol=1e-9, atol=1e-12)


@given(z=st.floats(-700, 700))
def test_two_classes_are_logistic_regression(z: float) -> None:
    assert softmax(np.array([[z], [0.0]]))[0, 0] == pytest.approx(1 / (1 + math.exp(-z)))


@given(logits=columns, data=st.data())
def test_the_gradient_is_probability_minus_one_hot_over_m(
    logits: np.ndarray, data: st.DataObject
) -> None:
    classes, m = logits.shape
    labels = data.draw(arrays(np.int64, m, elements=st.integers(0, classes - 1)))
    expected = (softmax(logits) - (np.arange(classes)[:, None] == labels)) / m
    np.testing.assert_allclose(gradient(logits, labels), expected, rtol=1e-12, atol=1e-15)


def test_the_gradient_agrees_with_centred_differences_of_the_mean_loss() -> None:
    rng = np.random.default_rng(0)
    logits, labels, step = rng.standard_normal((4, 3)), np.array([0, 3, 1]), 1e-6
    for index in np.ndindex(logits.shape):
        move = np.zeros_like(logits)
        move[index] = step
        above, below = (cross_entropy(z, labels).mean() for z in (logits + move, logits - move))
        assert gradient(logits, labels)[index] == pytest.approx((above - below) / (2 * step))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_stay_finite_and_keep_their_dtype(dtype: type) -> None:
    logits, labels = np.array([[1e30, 0], [-1e30, 1e4]], dtype), np.array([1, 0])
    losses = cross_entropy(logits, labels)
    assert losses.dtype == softmax(logits).dtype == gradient(logits, labels).dtype == dtype
    np.testing.assert_allclose(losses, [2e30, 1e4], rtol=1e-6)
    np.testing.assert_array_equal(softmax(logits), [[1, 0], [0, 1]])
