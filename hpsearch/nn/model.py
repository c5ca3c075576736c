"""The network: its parameters, its training step and its predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from hpsearch.nn.blas import warm_up
from hpsearch.nn.init import INITIALIZERS
from hpsearch.nn.layers import (
    ACTIVATIONS,
    Array,
    Step,
    batch_norm,
    bias,
    dense,
    dense_logits,
    draw_mask,
    dropout,
)
from hpsearch.nn.losses import Loss, softmax
from hpsearch.nn.settings import Settings

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
    targets: Array
    """(outputs, m). To be filled with what the loss makes of their y: see `Loss.targets`."""
    outputs: Array
    """(outputs, m). After `forward` the outputs; `backward` works on it in place."""
    forward: list[Step]
    backward: list[Step]
    """After these the network's `gradient` is that of the mean loss."""


class Network:
    """A fully connected network: hidden layers, then linear outputs (logits for classes).

    A hidden layer is z = a w, then batch norm or a bias, then the activation, then dropout. The
    parameters are one vector, weights first, so that an optimizer sees one array and L2 one slice
    of it.

    Args:
        inputs: Features of an example.
        settings: Layers, activation, batch norm, dropout, initializer and dtype.
        outputs: Number of outputs: the classes, or 1 for regression.
        rng: Draws the first weights, layer by layer.
    Raises:
        ValueError: `settings.hidden_units` or `keep_prob` and `settings.layers` disagree.

    Attributes:
        parameters, gradient: (n,). Every parameter of the network, and the derivative of the loss.
        views, gradient_views: The same by layer.
        weights: How many parameters are weights; they come first.
        statistics: Batch mean and variance of every hidden layer, written by each training step.
        averages, averaged: Their running averages, not yet corrected for the start at zero, and
            over how many steps.
    """

    def __init__(
        self, inputs: int, settings: Settings, outputs: int, rng: np.random.Generator
    ) -> None:
        self.sizes = (inputs, *settings.widths, outputs)
        self.dtype: np.dtype[Any] = np.dtype(settings.dtype)
        warm_up(self.dtype)
        self._activation = ACTIVATIONS[settings.activation]
        self._hidden = self.sizes[1:-1]
        self._normed = self._hidden if settings.batch_norm else ()
        self._keep_probs = settings.keep_probs
        self._epsilon, self._beta = settings.batch_norm_epsilon, settings.batch_norm_average
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
        self._shares = np.empty(0, self.dtype)

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

    def drop(self, settings: Settings) -> None:
        """Take another `keep_prob` for the training passes that are built from now on."""
        self._keep_probs = settings.keep_probs

    def training_passes(
        self, sizes: Iterable[int], loss: Loss, rng: np.random.Generator | None = None
    ) -> dict[int, TrainingPass]:
        """Build the steps for mini-batches of each size; their arrays share their memory.

        loss: What `backward` starts from.
        rng: Draws the dropout masks; without it nothing is dropped.
        Raises:
            ValueError: a size is 1 under batch norm.
        """
        buffers = Buffers(self.dtype)
        return {
            m: self._training_pass(m, loss, rng, buffers.allocator())
            for m in sorted(sizes, reverse=True)
        }

    def _training_pass(
        self, m: int, loss: Loss, rng: np.random.Generator | None, empty: Callable[..., Array]
    ) -> TrainingPass:
        (weights, biases, gammas), grads = self.views, self.gradient_views
        statistics = self._mean_and_variance(self.statistics)
        x = empty(m, self.sizes[0])
        # A layer's derivative is read to make that of the layer below it, then never again.
        derivatives = [empty(m * max(self._hidden)) for _ in self._hidden[:2]]
        layers: list[tuple[Step, Step]] = []
        a, d_a = x, None
        for i, n in enumerate(self._hidden):
            z, d = empty(m, n), derivatives[i % 2][: m * n].reshape(m, n)
            layers.append(dense(a, weights[i], z, d, grads.weights[i], d_a))
            if gammas:
                y = empty(m, n)
                mean, variance = statistics[i]
                d_gamma, d_beta = grads.gammas[i], grads.biases[i]
                arrays = (z, gammas[i], biases[i], y, mean, variance, d, d_gamma, d_beta)
                layers.append(batch_norm(*arrays, epsilon=self._epsilon))
            else:
                y = z
                layers.append(bias(z, biases[i], d, grads.biases[i]))
            layers.append(self._activation(y, d))
            a, d_a = y, d
            if rng is not None and self._keep_probs[i] < 1:
                a, mask = empty(m, n), empty(m, n)
                draw = draw_mask(mask, d, self._keep_probs[i], rng)
                layers.append(dropout(y, a, d, mask, draw))
        outputs, targets = empty(self.sizes[-1], m), empty(self.sizes[-1], m)
        layers.append(
            dense_logits(
                a, weights[-1], biases[-1], outputs, grads.weights[-1], grads.biases[-1], d_a
            )
        )
        return TrainingPass(
            x,
            targets,
            outputs,
            forward=[forward for forward, _ in layers],
            backward=[
                loss.gradient(outputs, targets),
                *(backward for _, backward in reversed(layers)),
            ],
        )

    def average(self, history: Array) -> None:
        """Carry the batch statistics of some steps, one row each, into the running averages.

        An exponentially weighted average of many steps is one product with their weights.
        """
        steps, beta = len(history), self._beta
        if steps > len(self._shares):
            self._shares = ((1 - beta) * beta ** np.arange(steps - 1, -1, -1.0)).astype(self.dtype)
        self.averages *= beta**steps
        self.averages += self._shares[-steps:].dot(history)
        self.averaged += steps

    @np.errstate(all="ignore")
    def predict(self, x: Array) -> Array:
        """Return the most probable label of each example of x: (m, inputs), as (m,) int64."""
        return np.concatenate([logits.argmax(axis=0) for _, logits in self.outputs(x)])

    @np.errstate(all="ignore")
    def probabilities(self, x: Array) -> Array:
        """Return the probability of each class, (m, classes), for x: (m, inputs)."""
        return np.concatenate([softmax(logits).T for _, logits in self.outputs(x)])

    def outputs(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Predict in blocks: yield the rows of x and their outputs, (outputs, rows) each.

        Batch norm takes its averages, so an example's outputs do not depend on the others. The
        array of the outputs is used again for the next block.

        Raises:
            ValueError: x has another number of features than the network.
        """
        if x.shape[1:] != self.sizes[:1]:
            raise ValueError(f"the network takes {self.sizes[0]} inputs, got x of shape {x.shape}")
        *hidden, (w_last, b_last) = self._folded()
        last_transposed, b_column = w_last.T, b_last[:, None]
        block = min(BLOCK, len(x))
        space = np.empty((2, block * max(self._hidden, default=0)), self.dtype)
        logits = np.empty(len(b_last) * block, self.dtype)
        for start in range(0, len(x), BLOCK):
            a = np.asarray(x[start : start + BLOCK], self.dtype)
            rows = len(a)
            for i, (w, b) in enumerate(hidden):
                z = space[i % 2, : rows * len(b)].reshape(rows, len(b))
                np.dot(a, w, z)
                np.add(z, b, z)
                self._activation(z, z)[0]()  # no backward, so no derivative
                a = z
            outputs = logits[: rows * len(b_last)].reshape(len(b_last), rows)
            np.dot(last_transposed, a.T, outputs)
            np.add(outputs, b_column, outputs)
            yield slice(start, start + rows), outputs

    def _folded(self) -> list[tuple[Array, Array]]:
        """Return weights and bias of each layer for prediction.

        Under batch norm they differ from those in training: with fixed mean and variance it is
        linear, so it goes into them.
        """
        weights, biases, gammas = self.views
        layers = [*zip(weights, biases, strict=True)]
        averages = self.averages / ((1 - self._beta**self.averaged) or 1.0)
        for i, (mean, variance) in enumerate(self._mean_and_variance(averages)):
            if not self.averaged:  # before the first step z is left as it is
                variance[...] = 1
            scale = gammas[i] / np.sqrt(variance + self.dtype.type(self._epsilon))
            layers[i] = weights[i] * scale, biases[i] - mean * scale
        return layers


class Buffers:
    """Arrays that mini-batches of several sizes use by turns: the largest comes first."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._flat: list[Array] = []

    def allocator(self) -> Callable[..., Array]:
        """Return a function as `numpy.empty`, for one size of mini-batch.

        Its n-th array lies in the memory of the n-th array of the first size.
        """
        flat = iter(self._flat) if self._flat else None

        def empty(*shape: int) -> Array:
            if flat is None:
                self._flat.append(np.empty(prod(shape), self._dtype))
            part = self._flat[-1] if flat is None else next(flat)
            return part[: prod(shape)].reshape(shape)

        return empty
