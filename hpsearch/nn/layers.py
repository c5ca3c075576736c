"""The layers of the network, each a function from its arrays to its two steps.

A layer is given the arrays it reads and writes, all allocated by the caller, and returns `forward`
and `backward`, two functions without arguments. They work in place wherever a value is not needed
again, which is what each docstring says about its arrays. In a batch of m examples an array is
(m, units), and `d_z` holds the derivative of the loss by `z`.

All arrays of a layer have one dtype; constants are 0-d arrays of it, because NumPy then neither
promotes anything nor converts a Python number in each call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy import add, copyto, divide, dot, greater, maximum, multiply, sqrt, subtract, tanh

Array: TypeAlias = npt.NDArray[Any]
Step: TypeAlias = Callable[[], None]
Activation: TypeAlias = Callable[[Array, Array], tuple[Step, Step]]
"""(a, d_a) -> (forward, backward), both (m, n).

forward: `a` holds pre-activations and receives activations.
backward: `d_a` is multiplied by the derivative, which is found from the activations; `a` is lost.
"""

EPSILON = 1e-5
"""Added to a variance by batch norm, in the unit of z squared."""

LEAK = 0.01
"""The slope of leaky ReLU below zero."""


def dense(
    x: Array, w: Array, z: Array, d_z: Array, d_w: Array, d_x: Array | None
) -> tuple[Step, Step]:
    """Multiply by weights, z = x w, without a bias.

    Args:
        x: (m, n_in). The input.
        w: (n_in, n_out). The weights.
        z: (m, n_out). Receives the output.
        d_z, d_w, d_x: Shaped as z, w and x. `backward` reads the first and writes the others; the
            first layer has no use for d_x and passes None.
    """
    x_t, w_t = x.T, w.T

    def forward() -> None:
        dot(x, w, z)

    def backward() -> None:
        dot(x_t, d_z, d_w)
        if d_x is not None:
            dot(d_z, w_t, d_x)

    return forward, backward


def dense_logits(
    x: Array, w: Array, b: Array, logits: Array, d_w: Array, d_b: Array, d_x: Array | None
) -> tuple[Step, Step]:
    """Compute the last layer, logits = (x w + b)ᵀ: `dense` with a bias and a transposed result.

    Classes come first because the softmax works across the few classes: its maximum, sum and
    division then run along rows as long as the batch, not along ten numbers at a time.

    Args:
        x: (m, n_in). The input.
        w: (n_in, classes). The weights.
        b: (classes,). The bias.
        logits: (classes, m). Receives the output; `backward` expects its derivative there.
        d_w, d_b, d_x: Shaped as w, b and x, written by `backward`; d_x None as in `dense`.
    """
    x_t, w_t, b_column, d_logits_t = x.T, w.T, b[:, None], logits.T
    ones = np.ones(len(x), x.dtype)

    def forward() -> None:
        dot(w_t, x_t, logits)
        add(logits, b_column, logits)

    def backward() -> None:
        dot(x_t, d_logits_t, d_w)
        dot(logits, ones, d_b)
        if d_x is not None:
            dot(d_logits_t, w_t, d_x)

    return forward, backward


def bias(z: Array, b: Array, d_z: Array, d_b: Array) -> tuple[Step, Step]:
    """Add b: (n,) to z: (m, n) in place; `backward` sums d_z over the batch into d_b."""
    ones = np.ones(len(z), z.dtype)

    def forward() -> None:
        add(z, b, z)

    def backward() -> None:
        dot(ones, d_z, d_b)

    return forward, backward


def batch_norm(
    z: Array,
    gamma: Array,
    beta: Array,
    y: Array,
    mean: Array,
    variance: Array,
    d: Array,
    d_gamma: Array,
    d_beta: Array,
) -> tuple[Step, Step]:
    """Give each of n units mean beta and spread gamma over a batch of m examples.

    Sums over the batch are products with a vector, several times faster than `sum(axis=0)`. The
    normalised z is never formed: gamma / sqrt(variance + ε) is one factor per unit.

    Args:
        z: (m, n). Pre-activations; `forward` centres them in place, `backward` destroys them.
        gamma, beta: (n,). Learned scale and shift; this beta is not momentum's.
        y: (m, n). Receives the output. `backward` uses it as scratch: by then neither the layer
            above nor the activation, which works on y in place, needs it any more.
        mean, variance: (n,). Receive the batch's, for the averages that prediction uses.
        d: (m, n). Holds d_y before `backward` and d_z after it.
        d_gamma, d_beta: (n,). Written by `backward`.
    Raises:
        ValueError: m is 1; its variance is zero and every output would be beta.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1 (variance divides by m); the
        derivatives of its section 3 are here collected into their closed form.
    """
    m, n = z.shape
    if m == 1:
        raise ValueError("batch norm needs 2 examples or more: a batch of one has no variance")
    ones = np.ones(m, z.dtype)
    shares = np.full(m, 1 / m, z.dtype)
    share = np.array(1 / m, z.dtype)
    epsilon = np.array(EPSILON, z.dtype)
    deviation, scale, row = np.empty((3, n), z.dtype)

    def forward() -> None:
        dot(shares, z, mean)
        subtract(z, mean, z)
        multiply(z, z, y)  # of the centred z: E[z²] - mean² would cancel
        dot(shares, y, variance)
        add(variance, epsilon, deviation)
        sqrt(deviation, deviation)
        divide(gamma, deviation, scale)
        multiply(z, scale, y)
        add(y, beta, y)

    def backward() -> None:
        # With u = z_norm: d_z = scale · (d_y - mean(d_y) - u · mean(d_y · u)).
        dot(ones, d, d_beta)
        multiply(d, z, y)
        dot(ones, y, d_gamma)
        divide(d_gamma, deviation, d_gamma)
        multiply(d_gamma, share, row)
        divide(row, deviation, row)
        multiply(z, row, z)
        subtract(d, z, d)
        multiply(d_beta, share, row)
        subtract(d, row, d)
        multiply(d, scale, d)

    return forward, backward


def relu(a: Array, d_a: Array) -> tuple[Step, Step]:
    """max(z, 0); its derivative at 0 is taken to be 0."""
    zeros = np.zeros_like(a)  # a whole array: against a scalar, maximum is 3 to 5 times slower
    zero = np.array(0, a.dtype)
    positive = np.empty(a.shape, bool)

    def forward() -> None:
        maximum(a, zeros, out=a)

    def backward() -> None:
        greater(a, zero, positive)
        copyto(a, positive)  # two plain passes beat one multiplication of floats by booleans
        multiply(d_a, a, d_a)

    return forward, backward


def leaky_relu(a: Array, d_a: Array) -> tuple[Step, Step]:
    """max(z, 0.01 z); its derivative at 0 is taken to be 0.01.

    Source: Maas, Hannun & Ng 2013, section 2.
    """
    leak = np.array(LEAK, a.dtype)
    rest = np.array(1 - LEAK, a.dtype)
    zero = np.array(0, a.dtype)
    small = np.empty_like(a)
    positive = np.empty(a.shape, bool)

    def forward() -> None:
        multiply(a, leak, small)
        maximum(a, small, out=a)

    def backward() -> None:
        greater(a, zero, positive)  # a has the sign of z
        copyto(a, positive)
        multiply(a, rest, a)
        add(a, leak, a)
        multiply(d_a, a, d_a)

    return forward, backward


def hyperbolic_tangent(a: Array, d_a: Array) -> tuple[Step, Step]:
    """tanh(z), whose derivative is 1 - a²."""
    one = np.array(1, a.dtype)

    def forward() -> None:
        tanh(a, a)

    def backward() -> None:
        multiply(a, a, a)
        subtract(one, a, a)
        multiply(d_a, a, d_a)

    return forward, backward


def sigmoid(a: Array, d_a: Array) -> tuple[Step, Step]:
    """1 / (1 + exp(-z)), whose derivative is a - a²."""
    half = np.array(0.5, a.dtype)
    square = np.empty_like(a)

    def forward() -> None:
        multiply(a, half, a)  # (1 + tanh(z / 2)) / 2: the same function, and it cannot overflow
        tanh(a, a)
        multiply(a, half, a)
        add(a, half, a)

    def backward() -> None:
        multiply(a, a, square)
        subtract(a, square, a)
        multiply(d_a, a, d_a)

    return forward, backward


ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": hyperbolic_tangent,
    "sigmoid": sigmoid,
}
