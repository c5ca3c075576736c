"""Training, one epoch after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hpsearch.nn.layers import Array
from hpsearch.nn.losses import cross_entropy
from hpsearch.nn.model import Network, TrainingPass
from hpsearch.nn.optimizers import Optimizer
from hpsearch.nn.schedules import SCHEDULES
from hpsearch.nn.settings import Settings

STRETCH = 500
"""Steps between two bookkeepings. Bounds the tables of a long epoch; few moments become denormal
in between."""


class Examples(NamedTuple):
    """A data set: x: (m, n) floats, already normalised; y: (m,) int64 labels from 0."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Epoch:
    """How good the network is after an epoch, on the whole sets and without the L2 term."""

    epoch: int
    """From 1."""
    train_loss: float
    """Mean cross-entropy."""
    train_error: float
    """Share of wrong predictions."""
    dev_loss: float
    dev_error: float

    @property
    def finite(self) -> bool:
        """False once the training has diverged."""
        return math.isfinite(self.train_loss) and math.isfinite(self.dev_loss)


def train(
    settings: Settings, train: Examples, dev: Examples, classes: int, rng: np.random.Generator
) -> Iterator[Epoch]:
    """Train a network and yield its figures after each epoch.

    Whoever consumes the epochs decides when to stop: early stopping, budgets and time limits are
    not known here. A training that diverges yields the epoch with the loss that is not finite, and
    ends. The same settings, data and state of `rng` give the same figures, bit for bit.

    Raises:
        ValueError: When the first epoch is asked for: as `Trainer`, also for dev.
    """
    trainer = Trainer(settings, train, classes, rng)
    _check(dev, classes, "dev")
    for _ in range(settings.epochs):
        trainer.run_epoch()
        figures = (*trainer.evaluate(trainer.examples), *trainer.evaluate(dev))
        epoch = Epoch(trainer.epochs, *figures)
        yield epoch
        if not epoch.finite:
            return


class Trainer:
    """A network in training; `train` is a loop around it.

    Args:
        settings: Every hyperparameter.
        examples: The training set.
        classes: Number of classes.
        rng: Draws the first weights, then the order of each epoch's examples.
    Raises:
        ValueError: No examples, x and y of different length, a label outside [0, classes), or
            mini-batches of one example under batch norm, which have no variance.

    Attributes:
        network: As trained so far.
        examples: The training set in the training's dtype, copied only if it was in another.
        epochs: How many were run.
    """

    def __init__(
        self, settings: Settings, examples: Examples, classes: int, rng: np.random.Generator
    ) -> None:
        _check(examples, classes, "training")
        self.settings = settings
        self.epochs = 0
        self._rng = rng
        with np.errstate(all="ignore"):
            x = np.ascontiguousarray(examples.x, settings.dtype)
            self.examples = Examples(x, np.asarray(examples.y, np.int64))
            m, inputs = x.shape
            self.network = Network(inputs, settings, classes, rng)
            self.optimizer = Optimizer(
                settings,
                self.network.parameters,
                self.network.gradient,
                self.network.weights,
                settings.l2 / m,
            )
        plan = mini_batches(m, settings.batch_size, settings.batch_norm and bool(settings.widths))
        self._plan = [(self.network.training_pass(size), count) for size, count in plan]
        longest = max(min(count, STRETCH) for _, count in plan)
        self._history = np.empty((longest, len(self.network.statistics)), self.network.dtype)

    def run_epoch(self) -> None:
        """Show the network every training example once, in a new random order."""
        schedule = SCHEDULES[self.settings.decay]
        rate = schedule.learning_rate(
            self.settings.learning_rate, self.settings.decay_rate, self.epochs
        )
        order = self._rng.permutation(len(self.examples.x))
        with np.errstate(all="ignore"):  # what overflows becomes a loss that is not finite
            for batch, count in self._plan:
                m = len(batch.x)
                rows, order = np.split(order, [m * count])
                for start in range(0, count, STRETCH):
                    self._run(batch, rows.reshape(count, m)[start : start + STRETCH], rate)
        self.epochs += 1

    def _run(self, batch: TrainingPass, order: Array, rate: float) -> None:
        """Run one step for each row of `order`: (steps, m), the examples of its mini-batch."""
        x, positions, _, forward, backward = batch
        steps = [*forward, *backward, *self.optimizer.steps]
        gather, copy = self.examples.x.take, np.copyto
        current, statistics = self.optimizer.current, self.network.statistics
        labels = self.examples.y[order] * len(x) + np.arange(len(x))
        constants = self.optimizer.constants(rate, len(order))
        history = self._history[: len(order)]
        for chosen, where, row, kept in zip(order, labels, constants, history, strict=True):
            gather(chosen, 0, x, "clip")  # the default mode would go through a buffer: 3x slower
            copy(positions, where)
            copy(current, row)
            for step in steps:
                step()
            copy(kept, statistics)
        self.network.average(history)
        self.optimizer.flush()

    def state(self) -> dict[str, Any]:
        """Copy all that the next epoch depends on, apart from settings and examples."""
        return {
            "epochs": self.epochs,
            "parameters": self.network.parameters.copy(),
            "averages": self.network.averages.copy(),
            "averaged": self.network.averaged,
            "moments": self.optimizer.moments.copy(),
            "taken": self.optimizer.taken,
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`: training continues from there bit for bit.

        The settings may have changed since, but not the network's shape or the optimizer.
        """
        self.epochs = state["epochs"]
        self.network.parameters[...] = state["parameters"]
        self.network.averages[...] = state["averages"]
        self.network.averaged = state["averaged"]
        self.optimizer.moments[...] = state["moments"]
        self.optimizer.taken = state["taken"]
        self._rng.bit_generator.state = state["rng"]

    def evaluate(self, examples: Examples) -> tuple[float, float]:
        """Return the mean cross-entropy and the share of wrong predictions on `examples`."""
        loss, wrong = 0.0, 0
        with np.errstate(all="ignore"):
            for rows, logits in self.network.logits(examples.x):
                labels = examples.y[rows]
                loss += float(cross_entropy(logits, labels).sum(dtype=np.float64))
                wrong += int(np.count_nonzero(logits.argmax(axis=0) != labels))
        return loss / len(examples.y), wrong / len(examples.y)


def mini_batches(examples: int, batch_size: int, batch_norm: bool) -> list[tuple[int, int]]:
    """Partition an epoch: return (size, count) pairs, in order, that cover every example once.

    The last mini-batch may be smaller. Under batch norm a last single example joins those before.

    Raises:
        ValueError: Batch norm, and `batch_size` or `examples` is 1.
    """
    if batch_norm and min(examples, batch_size) == 1:
        what = "a training set" if examples == 1 else "a batch_size"
        raise ValueError(
            f"{what} of 1 has no variance for batch norm: use 2 or more, or batch_norm: false"
        )
    size = min(batch_size, examples)
    count, rest = divmod(examples, size)
    if batch_norm and rest == 1:
        count, rest = count - 1, size + 1
    return [(size, count) for size, count in ((size, count), (rest, 1)) if size and count]


def _check(examples: Examples, classes: int, name: str) -> None:
    """Raise ValueError when `examples` cannot be trained on or evaluated."""
    x, y = examples
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(
            f"the {name} set needs a label for each example, and one example or more: "
            f"got {len(x)} examples and {len(y)} labels"
        )
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"labels of the {name} set lie in [{y.min()}, {y.max()}], "
            f"but {classes} classes are numbered 0 to {classes - 1}"
        )
