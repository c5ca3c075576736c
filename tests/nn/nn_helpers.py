"""Data sets and short trainings that the tests of the trainer share."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import hpsearch.data
from hpsearch.nn.losses import LOSSES, Loss
from hpsearch.nn.settings import Settings
from hpsearch.nn.train import Epoch, Examples, Trainer, train

Array = np.ndarray[Any, Any]

IMAGE = (8, 8, 1)
"""Of the shipped digits."""


def clouds(m: int, seed: int = 1, dtype: str = "float32") -> Examples:
    """Three clouds of points in four dimensions that hardly overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, m)
    centres = 3 * np.eye(3, 4)
    return Examples((centres[y] + rng.standard_normal((m, 4)) / 2).astype(dtype), y)


def slope(m: int, seed: int = 3) -> Examples:
    """A smooth function of four inputs, for regression, with a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, 4))
    y = x[:, 0] - 2 * x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(m)
    return Examples(x.astype("float32"), y)


TRAIN, DEV = clouds(100), clouds(40, seed=2)
LINE, LINE_DEV = slope(120), slope(50, seed=4)


@lru_cache(maxsize=1)
def digits() -> tuple[Examples, Examples]:
    """The shipped digits: 1,078 to learn from and 359 to judge by, normalised by the former."""
    path = Path(hpsearch.data.__file__).with_name("digits.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",", skiprows=1)
    table = table[np.random.default_rng(0).permutation(len(table))]
    x, y = table[:, :-1], table[:, -1].astype(np.int64)
    mean, std = x[:1078].mean(axis=0), x[:1078].std(axis=0)
    x = ((x - mean) / np.where(std == 0, 1, std)).astype(np.float32)
    return Examples(x[:1078], y[:1078]), Examples(x[1078:1437], y[1078:1437])


def trainer(
    data: Examples = TRAIN,
    seed: int = 0,
    loss: str = "cross_entropy",
    image: tuple[int, int, int] | None = None,
    classes: int = 3,
    **settings: Any,
) -> Trainer:
    chosen = Settings(**{"hidden_units": 8} | settings)
    return Trainer(chosen, data, classes, np.random.default_rng(seed), loss=loss, image=image)


def epochs(
    seed: int = 0, data: Examples = TRAIN, dev: Examples = DEV, **settings: Any
) -> list[Epoch]:
    return list(train(trainer(data, seed, **{"epochs": 4} | settings), dev))


def ended(runner: Trainer, dev: Examples) -> tuple[list[Epoch], Epoch]:
    """Train to the end: every epoch, and what the training returned."""
    history, training = [], train(runner, dev)
    while True:
        try:
            history.append(next(training))
        except StopIteration as stop:
            return history, stop.value


def after(runner: Trainer, count: int) -> Array:
    """Run `count` epochs and return a copy of the parameters."""
    for _ in range(count):
        runner.run_epoch()
    return runner.network.parameters.copy()


def a_loss(name: str, y: Array | None = None, classes: int = 3, **settings: Any) -> Loss:
    """A loss whose training set is y, by default one example of every class."""
    if y is None:
        y = np.arange(classes) if name == "cross_entropy" else np.zeros(1)
    return LOSSES[name](Settings(**settings), y, classes)


def differences(loss: Any, array: Array, step: float = 1e-6) -> Array:
    """The derivative of `loss()` by each element of `array`, which it reads."""
    result = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        result[index] = (above - loss()) / (2 * step)
        array[index] = value
    return result


def relative(g: Array, other: Array) -> float:
    """||g - g̃|| / (||g|| + ||g̃||)."""
    norm = np.linalg.norm
    return float(norm(g - other) / (norm(g) + norm(other)))
