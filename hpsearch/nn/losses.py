"""Softmax and cross-entropy, from logits laid out (classes, m)."""

from __future__ import annotations

import numpy as np
from numpy import divide, dot, exp, maximum, subtract

from hpsearch.nn.layers import Array, Step


def _exponential_shares(z: Array, row: Array, weights: Array) -> None:
    """Replace z: (classes, m) by exp(z) / (weights @ exp(z)); `row`: (m,) is scratch.

    The shift by each example's maximum changes nothing but the range: exp cannot overflow.
    """
    maximum.reduce(z, axis=0, out=row)
    subtract(z, row, z)
    exp(z, z)
    dot(weights, z, row)
    divide(z, row, z)


def softmax(logits: Array) -> Array:
    """Turn logits: (classes, m) into probabilities of the same shape and dtype.

    Each column sums to 1. An infinite or NaN logit makes its whole column NaN.
    """
    probabilities = logits.copy()
    row = np.empty(logits.shape[1], logits.dtype)
    _exponential_shares(probabilities, row, np.ones(len(logits), logits.dtype))
    return probabilities


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return each example's loss, minus the logarithm of its label's probability.

    Args:
        logits: (classes, m). The logarithms of probabilities are logits too.
        labels: (m,) integers in [0, classes).
    Returns:
        (m,) losses in the dtype of the logits; finite however small the probability.
    """
    shifted = logits - logits.max(axis=0)
    losses: Array = np.log(np.exp(shifted).sum(axis=0))
    losses -= shifted[labels, np.arange(len(labels))]
    return losses


def softmax_cross_entropy_gradient(logits: Array, positions: Array) -> Step:
    """Return the step that replaces logits by the derivative of the mean cross-entropy.

    The derivative is (probability - 1 at the label, 0 elsewhere) / m.

    Args:
        logits: (classes, m), contiguous.
        positions: (m,) int64, read in each step. Where the labels are in the flattened logits: that
            of the example in column j is label · m + j.
    """
    classes, m = logits.shape
    flat = logits.reshape(-1)
    row = np.empty(m, logits.dtype)
    weights = np.full(classes, m, logits.dtype)  # brings the division by m in for nothing
    share = np.array(1 / m, logits.dtype)

    def step() -> None:
        _exponential_shares(logits, row, weights)
        flat[positions] -= share

    return step
