"""How the learning rate changes from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hpsearch.nn.settings import Settings


@dataclass(frozen=True)
class Schedule:
    """A rule for the learning rate of each epoch after the warm-up.

    factor: (decay_rate, epoch, settings) -> what multiplies the learning rate; epochs count from
        0, the first after the warm-up. May be infinite, never raises.
    default_rate: the decay_rate of who gives none; None where it is not used.
    """

    factor: Callable[[float, int, Settings], float]
    default_rate: float | None


def learning_rate(settings: Settings, epoch: int) -> float:
    """Return the learning rate of `epoch`, counted from 0.

    During the warm-up it rises in equal steps, and reaches `settings.learning_rate` after it: with
    a warm-up of 4 epochs it is 1/5, 2/5, 3/5 and 4/5 of that. Then the schedule begins.
    """
    if epoch < settings.warmup:
        return settings.learning_rate * (epoch + 1) / (settings.warmup + 1)
    schedule = SCHEDULES[settings.decay]
    rate = settings.decay_rate or schedule.default_rate or 1.0
    return settings.learning_rate * schedule.factor(rate, epoch - settings.warmup, settings)


def constant(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return 1: the learning rate never changes."""
    return 1.0


def inverse_time(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return 1 / (1 + decay_rate · epoch): half of it after 1 / decay_rate epochs."""
    return 1.0 / (1.0 + decay_rate * epoch)


def exponential(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return decay_rate ** epoch: the same share is lost in every epoch."""
    with np.errstate(all="ignore"):  # a rate above 1 grows without end: infinite, not an error
        return float(np.float64(decay_rate) ** epoch)


def staircase(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return decay_rate ** (epoch // decay_epochs): a step down every `decay_epochs` epochs."""
    return exponential(decay_rate, epoch // settings.decay_epochs, settings)


def inverse_sqrt(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return decay_rate / sqrt(epoch + 1).

    The textbook's k / sqrt(epoch) counts epochs from 1: the first has k times the learning rate.
    """
    return decay_rate / math.sqrt(epoch + 1)


def cosine(decay_rate: float, epoch: int, settings: Settings) -> float:
    """Return (1 + cos(π · epoch / epochs)) / 2: half a wave, from 1 to nearly 0 at the end.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
    """
    length = max(settings.epochs - settings.warmup, 1)
    return (1 + math.cos(math.pi * min(epoch / length, 1))) / 2


SCHEDULES: dict[str, Schedule] = {
    "none": Schedule(constant, default_rate=None),
    "inverse_time": Schedule(inverse_time, default_rate=1.0),
    "exponential": Schedule(exponential, default_rate=0.95),
    "staircase": Schedule(staircase, default_rate=0.5),
    "inverse_sqrt": Schedule(inverse_sqrt, default_rate=1.0),
    "cosine": Schedule(cosine, default_rate=None),
}
