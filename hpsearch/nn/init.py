"""The first weights of a layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]
Initializer = Callable[[np.random.Generator, int, int, float], Weights]
"""(rng, n_in, n_out, scale) -> (n_in, n_out) float64 weights.

Always float64, whatever the network trains in: a float32 and a float64 network then draw the same
numbers and start equal to within a rounding.
"""


def he(rng: np.random.Generator, n_in: int, n_out: int, scale: float) -> Weights:
    """Keep the signal's variance through ReLU layers: normal, deviation scale · sqrt(2 / n_in).

    Source: He et al. 2015, arXiv:1502.01852, section 2.2.
    """
    return rng.standard_normal((n_in, n_out)) * (scale * math.sqrt(2 / n_in))


def xavier(rng: np.random.Generator, n_in: int, n_out: int, scale: float) -> Weights:
    """Keep the signal's variance through tanh layers: normal, deviation scale · sqrt(1 / n_in).

    Source: Glorot & Bengio 2010, section 4.2.1, in its fan-in form.
    """
    return rng.standard_normal((n_in, n_out)) * (scale * math.sqrt(1 / n_in))


def normal(rng: np.random.Generator, n_in: int, n_out: int, scale: float) -> Weights:
    """Take the same small deviation in every layer, 0.01 · scale, whatever its size."""
    return rng.standard_normal((n_in, n_out)) * (scale * 0.01)


def zeros(rng: np.random.Generator, n_in: int, n_out: int, scale: float) -> Weights:
    """Start at zero: every hidden unit stays a copy of its neighbours. Here to show that."""
    return np.zeros((n_in, n_out))


INITIALIZERS: dict[str, Initializer] = {
    "he": he,
    "xavier": xavier,
    "normal": normal,
    "zeros": zeros,
}
