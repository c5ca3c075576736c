"""How the learning rate falls from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """A rule for the learning rate of each epoch.

    factor: (decay_rate, epoch) -> what multiplies the first learning rate; epochs count from 0.
    default_rate: the decay_rate of who gives none.
    """

    factor: Callable[[float, int], float]
    default_rate: float

    def learning_rate(self, first: float, decay_rate: float | None, epoch: int) -> float:
        """Return the learning rate of `epoch`, counted from 0; may be infinite, never raises."""
        rate = self.default_rate if decay_rate is None else decay_rate
        return first * self.factor(rate, epoch)


def constant(decay_rate: float, epoch: int) -> float:
    """Return 1: the learning rate never changes."""
    return 1.0


def inverse_time(decay_rate: float, epoch: int) -> float:
    """Return 1 / (1 + decay_rate · epoch): half of it after 1 / decay_rate epochs."""
    return 1.0 / (1.0 + decay_rate * epoch)


def exponential(decay_rate: float, epoch: int) -> float:
    """Return decay_rate ** epoch: the same share is lost in every epoch."""
    with np.errstate(all="ignore"):  # a rate above 1 grows without end: infinite, not an error
        return float(np.float64(decay_rate) ** epoch)


def inverse_sqrt(decay_rate: float, epoch: int) -> float:
    """Return decay_rate / sqrt(epoch + 1).

    The textbook's k / sqrt(epoch) counts epochs from 1: the first has k times the learning rate.
    """
    return decay_rate / math.sqrt(epoch + 1)


SCHEDULES: dict[str, Schedule] = {
    "none": Schedule(constant, default_rate=1.0),
    "inverse_time": Schedule(inverse_time, default_rate=1.0),
    "exponential": Schedule(exponential, default_rate=0.95),
    "inverse_sqrt": Schedule(inverse_sqrt, default_rate=1.0),
}
