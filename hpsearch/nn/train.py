"""Training, one epoch after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from hpsearch.nn.augment import Augmenter, Image
from hpsearch.nn.changes import Changes
from hpsearch.nn.layers import Array
from hpsearch.nn.losses import LOSSES, Figures
from hpsearch.nn.model import Network, TrainingPass
from hpsearch.nn.optimizers import Optimizer
from hpsearch.nn.schedules import learning_rate
from hpsearch.nn.settings import Settings

NO_CHANGES = Changes()

STRETCH = 100
"""Steps between two bookkeepings. Bounds the tables of a long epoch; with β from 0.7 on no moment
becomes denormal in between, see `Optimizer.flush`."""

TARGETS = 2**20
"""Numbers in a stretch's table of targets: with many classes a stretch is shorter."""


class Examples(NamedTuple):
    """A data set: x: (m, n) floats, already normalised; y: (m,) labels from 0, or real numbers.

    Labels may also be one-hot, (m, classes). x may be mapped from a file: in the training's dtype
    it is only read, a mini-batch at a time; in another it is copied whole.
    """

    x: Array
    y: Array


@dataclass(frozen=True)
class Epoch:
    """How good the network is after an epoch, on the whole sets and without regularisation."""

    epoch: int
    """From 1."""
    train: Figures
    """The loss, and all else that `Loss.measure` reports."""
    dev: Figures

    @property
    def finite(self) -> bool:
        """False once the training has diverged."""
        return math.isfinite(self.train["loss"]) and math.isfinite(self.dev["loss"])

    @property
    def metrics(self) -> Figures:
        """Every figure by name, as in train_loss and dev_error."""
        return {
            f"{part}_{name}": value
            for part, figures in (("train", self.train), ("dev", self.dev))
            for name, value in figures.items()
        }


def train(trainer: Trainer, dev: Examples) -> Generator[Epoch, None, Epoch]:
    """Train a network, yield its figures after each epoch, and return those it ends with.

    Without early stopping these are the last epoch's. With it, training ends after as many epochs
    without a lower dev error (dev loss for regression) as `early_stopping` says, and the network
    goes back to the best epoch, the earliest of equal ones. Whoever consumes the epochs may end
    sooner: budgets and time limits are not known here. A training that diverges yields the epoch
    with the loss that is not finite, and ends. A restored trainer goes on from its epoch.

    Raises:
        ValueError: When the first epoch is asked for: as `Trainer`, for dev.
    """
    patience, judge = trainer.settings.early_stopping, trainer.loss.judge
    dev = trainer.checked(dev, "dev")
    now: Epoch | None = None
    while not trainer.at_end and not _waited(trainer, patience):
        trainer.run_epoch()
        now = trainer.figures(dev)
        if patience and (trainer.best is None or now.dev[judge] < trainer.best[0].dev[judge]):
            trainer.best = now, trainer.state() | {"best": None}
        yield now
        if not now.finite:
            return now
    if trainer.best is None:
        return now or trainer.figures(dev)
    best, state = trainer.best
    trainer.restore(state)
    return best


def _waited(trainer: Trainer, patience: int | None) -> bool:
    """Tell whether there were as many epochs without a better one as early stopping waits for."""
    if patience is None or trainer.best is None:
        return False
    return trainer.epochs - trainer.best[0].epoch >= patience


class Trainer:
    """A network in training; `train` is a loop around it.

    Args:
        settings: Every hyperparameter.
        examples: The training set.
        classes: Number of classes; without meaning for regression.
        rng: Draws the first weights, then each epoch's order, changes of images and dropout masks.
        loss: A key of LOSSES.
        image: Height, width and channels of the examples, where they are images.
        changes: What becomes of the settings on the way.
    Raises:
        ValueError: No examples, x and y of different length, y that the loss cannot take, or
            mini-batches of one example under batch norm, which have no variance; also as Network
            and Augmenter.

    Attributes:
        settings: Those of the last epoch that was run.
        network: As trained so far.
        loss: What it is trained to lower and measured by.
        examples: The training set in the training's dtype, copied only if it was in another.
        epochs: How many were run.
        best: The best epoch so far and the state after it, where `train` stops early.
    """

    def __init__(
        self,
        settings: Settings,
        examples: Examples,
        classes: int,
        rng: np.random.Generator,
        *,
        loss: str = "cross_entropy",
        image: Image | None = None,
        changes: Changes = NO_CHANGES,
    ) -> None:
        _check_lengths(examples, "training")
        self.settings = self._first = settings
        self.changes = changes
        self.epochs = 0
        self.best: tuple[Epoch, dict[str, Any]] | None = None
        self._rng, self._loss, self._classes, self._image = rng, loss, classes, image
        with np.errstate(all="ignore"):
            self.loss = LOSSES[loss](settings, examples.y, classes)
            x = np.ascontiguousarray(examples.x, settings.dtype)
            self.examples = Examples(x, self.loss.check(examples.y, "training"))
            m, inputs = x.shape
            self.network = Network(inputs, settings, self.loss.outputs, rng)
            self.optimizer = Optimizer(
                settings,
                self.network.parameters,
                self.network.gradient,
                self.network.weights,
                settings.l2 / m,
            )
        self._arrange()

    def _arrange(self) -> None:
        """Make what an epoch needs beside the network and the optimizer."""
        settings, rng, (x, _) = self.settings, self._rng, self.examples
        changes_images = settings.horizontal_flip or settings.shift
        self._augmenter = Augmenter(settings, x, self._image, rng) if changes_images else None
        plan = mini_batches(
            len(x), settings.batch_size, settings.batch_norm and bool(settings.widths)
        )
        passes = self.network.training_passes((size for size, _ in plan), self.loss, rng)
        self._plan = [(passes[size], count) for size, count in plan]
        self._stretch = max(1, min(STRETCH, TARGETS // (plan[0][0] * self.loss.outputs)))
        longest = min(plan[0][1], self._stretch)
        self._history = np.empty((longest, len(self.network.statistics)), self.network.dtype)

    @property
    def at_end(self) -> bool:
        """Whether as many epochs were run as the settings that now hold say."""
        return self.epochs >= self.changes.within(self._first, self.epochs).epochs

    def _take(self, settings: Settings, *, kept: bool) -> None:
        """Go on with other settings; `kept` tells whether the optimizer's memory was made by them.

        Raises:
            ValueError: as at the beginning.
        """
        if settings == self.settings:
            return
        self.settings = settings
        decay = settings.l2 / len(self.examples.x)
        with np.errstate(all="ignore"):
            self.loss = LOSSES[self._loss](settings, self.examples.y, self._classes)
            self.network.drop(settings)
            (self.optimizer.turn if kept else self.optimizer.change)(settings, decay)
        self._arrange()

    def run_epoch(self) -> None:
        """Show the network every training example once, in a new random order."""
        self._take(self.changes.within(self._first, self.epochs), kept=False)
        rate = learning_rate(self.settings, self.epochs)
        order = self._rng.permutation(len(self.examples.x))
        taken = self.optimizer.taken
        shown = steps = 0
        with np.errstate(all="ignore"):  # what overflows becomes a loss that is not finite
            constants = self.optimizer.constants(rate, sum(count for _, count in self._plan))
            for batch, count in self._plan:
                m = len(batch.x)
                for start in range(0, count, self._stretch):
                    length = min(self._stretch, count - start)
                    rows = order[shown : shown + length * m].reshape(length, m)
                    self._run(batch, rows, constants[steps : steps + length])
                    if (taken + steps) // STRETCH < (taken + steps + length) // STRETCH:
                        self.optimizer.flush()
                    shown += length * m
                    steps += length
        self.epochs += 1

    def _run(self, batch: TrainingPass, order: Array, constants: Array) -> None:
        """Run one step for each row of `order`: (steps, m), the examples of its mini-batch."""
        steps = [*batch.forward, *batch.backward, *self.optimizer.steps]
        show, copy = self._gatherer(batch.x, order), np.copyto
        wanted, current, statistics = batch.targets, self.optimizer.current, self.network.statistics
        targets = self.loss.targets(self.examples.y[order], self.network.dtype)
        history = self._history[: len(order)]
        for chosen, target, row, kept in zip(order, targets, constants, history, strict=True):
            show(chosen)
            copy(wanted, target)
            copy(current, row)
            for step in steps:
                step()
            copy(kept, statistics)
        self.network.average(history)

    def _gatherer(self, x: Array, order: Array) -> Callable[[Array], None]:
        """Return the function that fills x with the examples of a mini-batch, given a row."""
        if self._augmenter is not None:
            return self._augmenter.gatherer(x, order)
        take = self.examples.x.take

        def gather(chosen: Array) -> None:
            take(chosen, 0, x, "clip")  # the default mode would go through a buffer: 3x slower

        return gather

    def state(self) -> dict[str, Any]:
        """Copy all that the next epoch depends on, apart from settings and examples.

        Early stopping's best epoch is `best`: its figures and its own state, or None.
        """
        return {
            "epochs": self.epochs,
            "parameters": self.network.parameters.copy(),
            "averages": self.network.averages.copy(),
            "averaged": self.network.averaged,
            "moments": self.optimizer.moments.copy(),
            "taken": self.optimizer.taken,
            "since": self.optimizer.since,
            "start": [*self.optimizer.start],
            "rng": self._rng.bit_generator.state,
            "best": None if self.best is None else (asdict(self.best[0]), self.best[1]),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`: training continues from there bit for bit.

        The settings may have changed since, but not the network's shape or the optimizer; what
        `changes` says of the epochs before it is as it was.

        Raises:
            ValueError: the state is of another network or optimizer; nothing was changed.
        """
        arrays = {
            "parameters": self.network.parameters,
            "averages": self.network.averages,
            "moments": self.optimizer.moments,
        }
        for name, array in arrays.items():
            if state[name].shape != array.shape:
                raise ValueError(
                    f"the state is of another network or optimizer: its {name} have shape "
                    f"{state[name].shape}, here it is {array.shape}"
                )
        self._take(self.changes.within(self._first, state["epochs"] - 1), kept=True)
        for name, array in arrays.items():
            array[...] = state[name]
        self.epochs = state["epochs"]
        self.network.averaged = state["averaged"]
        self.optimizer.taken, self.optimizer.since = state["taken"], state["since"]
        self.optimizer.start = [*state["start"]]
        self._rng.bit_generator.state = state["rng"]
        best = state["best"]
        self.best = None if best is None else (Epoch(**best[0]), best[1])

    def figures(self, dev: Examples) -> Epoch:
        """Measure the network on the training set and on `dev`, as it comes from `checked`."""
        return Epoch(self.epochs, self.evaluate(self.examples), self.evaluate(dev))

    def checked(self, examples: Examples, name: str) -> Examples:
        """Return a set as `evaluate` takes it; ValueError, which calls it `name`."""
        _check_lengths(examples, name)
        return Examples(examples.x, self.loss.check(examples.y, name))

    def evaluate(self, examples: Examples) -> Figures:
        """Measure the network on `examples`, as they come from `checked`: see `Loss.measure`."""
        with np.errstate(all="ignore"):
            blocks = self.network.outputs(examples.x)
            return self.loss.measure((outputs, examples.y[rows]) for rows, outputs in blocks)


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


def _check_lengths(examples: Examples, name: str) -> None:
    """Raise ValueError when there is nothing in `examples`, or x and y do not belong together."""
    x, y = examples
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(
            f"the {name} set needs a label for each example, and one example or more: "
            f"got {len(x)} examples and {len(y)} labels"
        )
