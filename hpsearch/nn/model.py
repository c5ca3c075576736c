"""The network: its parameters, its training step and its predictions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import (
    ACTIVATIONS,
    EPSILON,
    Activation,
    Array,
    Step,
    batch_norm,
    bias,
    dense,
    dense_logits,
)
from hpsearch.nn.losses import softmax, softmax_cross_entropy_gradient
from hpsearch.nn.settings import Settings

AVERAGE_BETA = 0.9
"""The β of the averages of batch mean and variance: they look back over about 10 mini-batches.

Weights move while they are averaged, so a longer memory describes a network that is gone.
"""

BLOCK = 512
"""Examples predicted at a time, so that the activations stay in the cache."""


class Parameters(NamedTuple):
    """Views into one flat vector, or into its gradient, in the order of the vector."""

    weights: list[Array]
    """Per layer (n_in, n_out)."""
    biases: list[Array]
    """Per layer (n_out,). Under batch norm a hidden layer's β, which takes the bias's place."""
    gammas: list[Array]
    """Per hidden layer (n_out,) under batch norm; else none."""


class TrainingPass(NamedTuple):
    """The arrays and steps of one mini-batch size."""

    x: Array
    """(m, inputs). To be filled with the examples of the mini-batch."""
    positions: Array
    """(m,) int64. To be filled with the labels: see `softmax_cross_entropy_gradient`."""
    logits: Array
    """(classes, m). After `forward` the logits; `backward` works on it in place."""
    forward: list[Step]
    backward: list[Step]
    """After these the network's `gradient` is that of the mean cross-entropy."""


class Network:
    """A fully connected network: hidden layers, and a softmax over the classes.

    A hidden layer is z = a w, then batch norm or a bias, then the activation. The parameters are
    one vector, weights first, so that an optimizer sees one array and L2 one slice of it.

    Args:
        inputs: Features of an example.
        settings: Layers, activation, batch norm, initializer and dtype.
        classes: Number of classes.
        rng: Draws the first weights, layer by layer.
    Raises:
        ValueError: `settings.hidden_units` and `settings.layers` disagree.

    Attributes:
        parameters, gradient: (n,). Every parameter of the network, and the derivative of the loss.
        views, gradient_views: The same by layer.
        weights: How many parameters are weights; they come first.
        statistics: Batch mean and variance of every hidden layer, written by each training step.
        averages, averaged: Their running averages, not yet corrected for the start at zero, and
            over how many steps.
    """

    def __init__(
        self, inputs: int, settings: Settings, classes: int, rng: np.random.Generator
    ) -> None:
        self.sizes = (inputs, *settings.widths, classes)
        self.dtype: np.dtype[Any] = np.dtype(settings.dtype)
        self._activation = ACTIVATIONS[settings.activation]
        self._hidden = self.sizes[1:-1]
        self._normed = self._hidden if settings.batch_norm else ()
        self.weights = sum(n_in * n_out for n_in, n_out in pairwise(self.sizes))
        count = self.weights + sum(self.sizes[1:]) + sum(self._normed)
        self.parameters = np.zeros(count, self.dtype)
        self.gradient = np.zeros(count, self.dtype)
        self.views = self._by_layer(self.parameters)
        self.gradient_views = self._by_layer(self.gradient)
        draw = INITIALIZERS[settings.initializer]
        for w in self.views.weights:
            n_in, n_out = w.shape
            w[...] = draw(rng, n_in, n_out, settings.init_scale)
        for gamma in self.views.gammas:
            gamma[...] = 1

        self.statistics = np.zeros(2 * sum(self._normed), self.dtype)
        self.averages = np.zeros_like(self.statistics)
        self.averaged = 0
        self._test_weights, self._test_biases = self._test_parameters()
        # Of the sizes of blocks few recur: the full one, and the rests of training and dev set.
        self._test_pass = lru_cache(maxsize=4)(
            partial(
                _test_pass, ACTIVATIONS[settings.activation], self._test_weights, self._test_biases
            )
        )

    def _by_layer(self, flat: Array) -> Parameters:
        shapes: list[tuple[int, ...]] = [*pairwise(self.sizes)]
        shapes += [(n,) for n in (*self.sizes[1:], *self._normed)]
        ends = [*accumulate((int(np.prod(shape)) for shape in shapes), initial=0)]
        parts = [
            flat[start:end].reshape(shape)
            for (start, end), shape in zip(pairwise(ends), shapes, strict=True)
        ]
        layers = len(self.sizes) - 1
        return Parameters(parts[:layers], parts[layers : 2 * layers], parts[2 * layers :])

    def _mean_and_variance(self, flat: Array) -> list[Array]:
        """View the statistics of all layers as a (2, n) array of each: its mean and variance."""
        ends = accumulate((2 * n for n in self._normed), initial=0)
        return [flat[start:end].reshape(2, -1) for start, end in pairwise(ends)]

    def training_pass(self, m: int) -> TrainingPass:
        """Build the steps for mini-batches of m examples, with arrays of their own.

        Raises:
            ValueError: m is 1 under batch norm.
        """
        (weights, biases, gammas), grads = self.views, self.gradient_views
        statistics = self._mean_and_variance(self.statistics)
        x = np.empty((m, self.sizes[0]), self.dtype)
        layers: list[tuple[Step, Step]] = []
        a, d_a = x, None
        for i, n in enumerate(self._hidden):
            z, d = np.empty((2, m, n), self.dtype)
            layers.append(dense(a, weights[i], z, d, grads.weights[i], d_a))
            if gammas:
                y = np.empty_like(z)
                mean, variance = statistics[i]
                d_gamma, d_beta = grads.gammas[i], grads.biases[i]
                layers.append(
                    batch_norm(z, gammas[i], biases[i], y, mean, variance, d, d_gamma, d_beta)
                )
            else:
                y = z
                layers.append(bias(z, biases[i], d, grads.biases[i]))
            layers.append(self._activation(y, d))
            a, d_a = y, d
        logits = np.empty((self.sizes[-1], m), self.dtype)
        positions = np.empty(m, np.int64)
        layers.append(
            dense_logits(
                a, weights[-1], biases[-1], logits, grads.weights[-1], grads.biases[-1], d_a
            )
        )
        return TrainingPass(
            x,
            positions,
            logits,
            forward=[forward for forward, _ in layers],
            backward=[
                softmax_cross_entropy_gradient(logits, positions),
                *(backward for _, backward in reversed(layers)),
            ],
        )

    def average(self, history: Array) -> None:
        """Carry the batch statistics of some steps, one row each, into the running averages.

        An exponentially weighted average of many steps is one product with their weights.
        """
        steps = len(history)
        shares = (1 - AVERAGE_BETA) * AVERAGE_BETA ** np.arange(steps - 1, -1, -1.0)
        self.averages *= AVERAGE_BETA**steps
        self.averages += np.dot(shares.astype(self.dtype), history)
        self.averaged += steps

    @np.errstate(all="ignore")
    def predict(self, x: Array) -> Array:
        """Return the most probable label of each example of x: (m, inputs), as (m,) int64."""
        return np.concatenate([logits.argmax(axis=0) for _, logits in self.logits(x)])

    @np.errstate(all="ignore")
    def probabilities(self, x: Array) -> Array:
        """Return the probability of each class, (m, classes), for x: (m, inputs)."""
        return np.concatenate([softmax(logits).T for _, logits in self.logits(x)])

    def logits(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Predict in blocks: yield the rows of x and their logits, (classes, rows) each.

        Batch norm takes its averages, so an example's logits do not depend on the others. The
        logits' array is used again for the next block.

        Raises:
            ValueError: x has another number of features than the network.
        """
        if x.shape[1:] != self.sizes[:1]:
            raise ValueError(f"the network takes {self.sizes[0]} inputs, got x of shape {x.shape}")
        self._fold()
        for start in range(0, len(x), BLOCK):
            rows = slice(start, min(start + BLOCK, len(x)))
            x_in, logits, steps = self._test_pass(rows.stop - start)
            np.copyto(x_in, x[rows], casting="same_kind")
            for step in steps:
                step()
            yield rows, logits

    def _test_parameters(self) -> tuple[list[Array], list[Array]]:
        """Weights and biases for prediction: under batch norm copies, which `_fold` fills."""
        weights, biases, gammas = self.views
        if not gammas:
            return weights, biases
        return (
            [*(np.empty_like(w) for w in weights[:-1]), weights[-1]],
            [*(np.empty_like(b) for b in biases[:-1]), biases[-1]],
        )

    def _fold(self) -> None:
        """Fold batch norm into weights and biases: with fixed mean and variance it is linear."""
        weights, biases, gammas = self.views
        averages = self.averages / ((1 - AVERAGE_BETA**self.averaged) or 1.0)
        for i, (mean, variance) in enumerate(self._mean_and_variance(averages)):
            if not self.averaged:  # before the first step z is left as it is
                variance[...] = 1
            scale = gammas[i] / np.sqrt(variance + EPSILON)
            np.multiply(weights[i], scale, self._test_weights[i])
            np.subtract(biases[i], mean * scale, self._test_biases[i])


def _test_pass(
    activation: Activation, weights: list[Array], biases: list[Array], m: int
) -> tuple[Array, Array, list[Step]]:
    """Build the prediction of m examples: its input, its logits and its steps."""
    dtype = weights[0].dtype
    x = a = np.empty((m, len(weights[0])), dtype)
    steps: list[Step] = []
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        z = np.empty((m, len(b)), dtype)
        forward, _ = activation(z, z)  # no backward, so no derivative
        steps += [partial(np.dot, a, w, z), partial(np.add, z, b, z), forward]
        a = z
    w, b = weights[-1].T, biases[-1][:, None]
    logits = np.empty((len(b), m), dtype)
    steps += [partial(np.dot, w, a.T, logits), partial(np.add, logits, b, logits)]
    return x, logits, steps
