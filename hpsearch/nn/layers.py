"""The layers of the network, each a function from its arrays to its two steps.

A layer is given the arrays it reads and writes, all allocated by the caller, and returns `forward`
and `backward`, two functions without arguments. They work in place wherever a value is not needed
again, which is what each docstring says about its arrays. In a batch of m examples an array is
(m, units), and `d_z` holds the derivative of the loss by `z`.

All arrays of a layer have one dtype; constants are 0-d arrays of it, because NumPy then neither
promotes anything nor converts a Python number in each call. Products call the method `dot` of an
array, which costs half as much as the function of that name and less than `@`. A row is spread over
a whole array before the two are combined: left to itself a ufunc does the same in a buffer, which
it allocates in every call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy import (
    add,
    bitwise_and,
    copyto,
    divide,
    greater,
    less,
    maximum,
    multiply,
    negative,
    right_shift,
    sqrt,
    subtract,
    tanh,
)

Array: TypeAlias = npt.NDArray[Any]
Step: TypeAlias = Callable[[], object]
Activation: TypeAlias = Callable[[Array, Array], tuple[Step, Step]]
"""(a, d_a) -> (forward, backward), both (m, n).

forward: `a` holds pre-activations and receives activations.
backward: `d_a` is multiplied by the derivative, which is found from the activations; `a` is lost.
"""

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
    x_dot, x_t_dot, d_z_dot, w_t = x.dot, x.T.dot, d_z.dot, w.T

    def forward() -> None:
        x_dot(w, z)

    def backward() -> None:
        x_t_dot(d_z, d_w)
        if d_x is not None:
            d_z_dot(w_t, d_x)

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
    w_t_dot, x_t_dot, d_dot, d_t_dot = w_t.dot, x_t.dot, logits.dot, d_logits_t.dot
    ones = np.ones(len(x), x.dtype)
    biases = np.empty_like(logits)

    def forward() -> None:
        w_t_dot(x_t, logits)
        copyto(biases, b_column)
        add(logits, biases, logits)

    def backward() -> None:
        x_t_dot(d_logits_t, d_w)
        d_dot(ones, d_b)
        if d_x is not None:
            d_t_dot(w_t, d_x)

    return forward, backward


def bias(z: Array, b: Array, d_z: Array, d_b: Array) -> tuple[Step, Step]:
    """Add b: (n,) to z: (m, n) in place; `backward` sums d_z over the batch into d_b.

    d_z: (m, n). Scratch in `forward`.
    """
    sum_over_batch = np.ones(len(z), z.dtype).dot

    def forward() -> None:
        copyto(d_z, b)
        add(z, d_z, z)

    def backward() -> None:
        sum_over_batch(d_z, d_b)

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
    epsilon: float = 1e-5,
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
        d: (m, n). Holds d_y before `backward` and d_z after it; scratch in `forward`.
        d_gamma, d_beta: (n,). Written by `backward`.
        epsilon: Added to the variance, in the unit of z squared.
    Raises:
        ValueError: m is 1; its variance is zero and every output would be beta.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1 (variance divides by m); the
        derivatives of its section 3 are here collected into their closed form.
    """
    m, n = z.shape
    if m == 1:
        raise ValueError("batch norm needs 2 examples or more: a batch of one has no variance")
    sum_over_batch = np.ones(m, z.dtype).dot
    mean_over_batch = np.full(m, 1 / m, z.dtype).dot
    share = np.array(1 / m, z.dtype)
    small = np.array(epsilon, z.dtype)
    deviation, scale, row = np.empty((3, n), z.dtype)

    def forward() -> None:
        mean_over_batch(z, mean)
        copyto(d, mean)
        subtract(z, d, z)
        multiply(z, z, y)  # of the centred z: E[z²] - mean² would cancel
        mean_over_batch(y, variance)
        add(variance, small, deviation)
        sqrt(deviation, deviation)
        divide(gamma, deviation, scale)
        copyto(d, scale)
        multiply(z, d, y)
        copyto(d, beta)
        add(y, d, y)

    def backward() -> None:
        # With u = z_norm: d_z = scale · (d_y - mean(d_y) - u · mean(d_y · u)).
        sum_over_batch(d, d_beta)
        multiply(d, z, y)
        sum_over_batch(y, d_gamma)
        divide(d_gamma, deviation, d_gamma)
        multiply(d_gamma, share, row)
        divide(row, deviation, row)
        copyto(y, row)
        multiply(z, y, z)
        subtract(d, z, d)
        multiply(d_beta, share, row)
        copyto(y, row)
        subtract(d, y, d)
        copyto(y, scale)
        multiply(d, y, d)

    return forward, backward


@lru_cache(maxsize=16)
def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Zeros that everybody may read: against a scalar, maximum is 3 to 5 times slower."""
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros


def relu(a: Array, d_a: Array) -> tuple[Step, Step]:
    """max(z, 0); its derivative at 0 is taken to be 0.

    The derivative works on the bits. Read as an integer, a number above 0 is above 0, so the sign
    of its negative, spread over all bits, keeps what it is combined with; that of 0 removes it.
    Three passes over integers take 0.8 of the time of comparing and multiplying.
    """
    zeros = _zeros(a.shape, a.dtype)
    integer = np.dtype(f"i{a.itemsize}")
    bits, d_bits = a.view(integer), d_a.view(integer)
    sign = np.array(8 * a.itemsize - 1, integer)

    def forward() -> None:
        maximum(a, zeros, out=a)

    def backward() -> None:
        negative(bits, bits)
        right_shift(bits, sign, bits)
        bitwise_and(d_bits, bits, d_bits)

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


def dropout(a: Array, kept: Array, d_kept: Array, mask: Array, draw: Step) -> tuple[Step, Step]:
    """Switch units off by a mask, the same one forward and backward (inverted dropout).

    Args:
        a: (m, n). Activations; left as they are, since their derivative is found from them.
        kept: (m, n). Receives a times mask.
        d_kept: (m, n). Multiplied by the mask in `backward`.
        mask: (m, n). 0 for a unit that is off, 1 / keep_prob for one that is kept, so that what a
            unit sends is the same on average, and prediction needs no factor.
        draw: Fills the mask before each forward step: see `draw_mask`. d_kept is free by then.
    Source: Srivastava et al. 2014, section 10, the form that scales while training.
    """

    def forward() -> None:
        draw()
        multiply(a, mask, kept)

    def backward() -> None:
        multiply(d_kept, mask, d_kept)

    return forward, backward


def draw_mask(mask: Array, numbers: Array, keep_prob: float, rng: np.random.Generator) -> Step:
    """Return the step that fills a dropout mask with 0 and 1 / keep_prob.

    numbers: Of the shape and dtype of `mask`, scratch.
    """
    on = np.empty(mask.shape, bool)
    limit, factor = np.array(keep_prob, mask.dtype), np.array(1 / keep_prob, mask.dtype)
    draw = partial(rng.random, dtype=mask.dtype.type, out=numbers)

    def step() -> None:
        draw()
        less(numbers, limit, on)
        copyto(mask, on)  # and scaled after: two plain passes beat one of floats by booleans
        multiply(mask, factor, mask)

    return step
