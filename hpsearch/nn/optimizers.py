"""The update rules, on one flat vector that holds every parameter of the network.

A newcomer's rule is one small class with what `Rule` names, and one line in `OPTIMIZERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy import absolute, add, divide, greater, maximum, multiply, sqrt, subtract

from hpsearch.nn.layers import Array, Step

if TYPE_CHECKING:
    from hpsearch.nn.settings import Settings

CHUNK = 32_768
"""Parameters updated at a time: they, their gradient and moments fit a core's L2 cache together."""

AVERAGE_FLOOR = 1e13
"""Below this many times the smallest normal number a first moment is set to zero.

A moment that gets no fresh gradient shrinks in every step; below the smallest normal number of its
dtype it is denormal, and arithmetic with it 40 times slower.
"""

SQUARE_FLOOR = 1e3
"""The same for a second moment, which decays slowly and enters by its square root."""


class Rule(Protocol):
    """How one step changes the parameters."""

    @property
    def floors(self) -> tuple[float, ...]:
        """One number per moment, a vector as long as the parameters: see `AVERAGE_FLOOR`."""

    @property
    def betas(self) -> tuple[float, ...]:
        """The β of each moment."""

    def constants(self, rate: float, t: Array, start: Sequence[float]) -> tuple[Array | float, ...]:
        """Return what a step multiplies or adds: per name, one for all steps or one for each.

        rate: the learning rate. t: (steps,) float64, the numbers of the steps, from 1.
        start: per moment, how much of its start at zero was left before step 1: 1 unless its β
            has changed.
        """

    def bind(self, w: Array, g: Array, moments: Array, scratch: Array, constants: Array) -> Step:
        """Return the step that updates `w` from the gradient `g`.

        w, g, scratch: (n,). moments: (len(floors), n), zero before the first step.
        constants: the values of `constants` for the present step, to be read in each step.
        """


class GradientDescent:
    """w ← w - α g."""

    floors = ()
    betas = ()

    def __init__(self, settings: Settings) -> None:
        del settings  # nothing to tune beyond the learning rate

    def constants(self, rate: float, t: Array, start: Sequence[float]) -> tuple[Array | float, ...]:
        """α."""
        return (rate,)

    def bind(
        self,
        w: Array,
        g: Array,
        moments: Array,
        scratch: Array,
        constants: Array,
    ) -> Step:
        """As `Rule.bind`."""
        rate = constants[0, ...]

        def step() -> None:
            multiply(g, rate, scratch)
            subtract(w, scratch, w)

        return step


class Momentum:
    """v ← β v + (1 - β) g, w ← w - α v: the form in which tuning β does not rescale α.

    What is kept is v / (1 - β), which saves a pass; 1 - β enters with α.
    """

    floors = (AVERAGE_FLOOR,)

    def __init__(self, settings: Settings) -> None:
        self.beta = settings.momentum
        self.betas = (self.beta,)

    def constants(self, rate: float, t: Array, start: Sequence[float]) -> tuple[Array | float, ...]:
        """α (1 - β)."""
        return (rate * (1 - self.beta),)

    def bind(self, w: Array, g: Array, moments: Array, scratch: Array, constants: Array) -> Step:
        """As `Rule.bind`."""
        (v,) = moments
        rate = constants[0, ...]
        beta = np.array(self.beta, w.dtype)

        def step() -> None:
            multiply(v, beta, v)
            add(v, g, v)
            multiply(v, rate, scratch)
            subtract(w, scratch, w)

        return step


class RMSprop:
    """s ← β₂ s + (1 - β₂) g², w ← w - α g / (sqrt(s) + ε).

    What is kept is s / (1 - β₂), which saves a pass; α and ε are divided by sqrt(1 - β₂) instead.

    Source: Hinton's lecture 6e, 2012, with ε outside the root.
    """

    floors = (SQUARE_FLOOR,)

    def __init__(self, settings: Settings) -> None:
        self.beta, self.epsilon = settings.beta2, settings.epsilon
        self.betas = (self.beta,)

    def constants(self, rate: float, t: Array, start: Sequence[float]) -> tuple[Array | float, ...]:
        """α / sqrt(1 - β₂) and ε / sqrt(1 - β₂)."""
        root = float(np.sqrt(1 - self.beta))
        return rate / root, self.epsilon / root

    def bind(self, w: Array, g: Array, moments: Array, scratch: Array, constants: Array) -> Step:
        """As `Rule.bind`."""
        (s,) = moments
        rate, epsilon = constants[0, ...], constants[1, ...]
        beta = np.array(self.beta, w.dtype)

        def step() -> None:
            multiply(s, beta, s)
            multiply(g, g, scratch)
            add(s, scratch, s)
            sqrt(s, scratch)
            add(scratch, epsilon, scratch)
            divide(g, scratch, scratch)
            multiply(scratch, rate, scratch)
            subtract(w, scratch, w)

        return step


class Adam:
    """Momentum and RMSprop together, each corrected for its start at zero.

    What is kept is m / (1 - β₁) and v / (1 - β₂). With c = sqrt((1 - β₂) / (1 - β₂ᵗ)) the update
    α m̂ / (sqrt(v̂) + ε) is then α (1 - β₁) / ((1 - β₁ᵗ) c) · m / (sqrt(v) + ε / c): all corrections
    are in two numbers per step. Where a β changes on the way, the product of the β of all steps
    stands in the place of βᵗ.

    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    floors = (AVERAGE_FLOOR, SQUARE_FLOOR)

    def __init__(self, settings: Settings) -> None:
        self.beta1, self.beta2 = settings.momentum, settings.beta2
        self.epsilon = settings.epsilon
        self.betas = (self.beta1, self.beta2)

    def constants(self, rate: float, t: Array, start: Sequence[float]) -> tuple[Array | float, ...]:
        """The step size and ε / c."""
        left1, left2 = start
        correction = np.sqrt((1 - self.beta2) / (1 - left2 * self.beta2**t))
        return (
            rate * (1 - self.beta1) / (1 - left1 * self.beta1**t) / correction,
            self.epsilon / correction,
        )

    def bind(self, w: Array, g: Array, moments: Array, scratch: Array, constants: Array) -> Step:
        """As `Rule.bind`."""
        m, v = moments
        rate, epsilon = constants[0, ...], constants[1, ...]
        beta1, beta2 = np.array(self.beta1, w.dtype), np.array(self.beta2, w.dtype)

        def step() -> None:
            multiply(m, beta1, m)
            add(m, g, m)
            multiply(v, beta2, v)
            multiply(g, g, scratch)
            add(v, scratch, v)
            sqrt(v, scratch)
            add(scratch, epsilon, scratch)
            divide(m, scratch, scratch)
            multiply(scratch, rate, scratch)
            subtract(w, scratch, w)

        return step


OPTIMIZERS: dict[str, Callable[[Settings], Rule]] = {
    "gradient_descent": GradientDescent,
    "momentum": Momentum,
    "rmsprop": RMSprop,
    "adam": Adam,
}


class Optimizer:
    """The rule of `settings` applied to a whole network, chunk by chunk.

    Args:
        settings: Which rule, its hyperparameters, and `clip_norm`, which is of the gradient before
            L2 is added to it.
        parameters, gradient: (n,). One contiguous vector each, the weights first.
        weights: How many parameters are weights, which alone L2 decays.
        decay: λ / m, what L2 adds to the gradient of a weight per unit of that weight.

    Attributes:
        moments: (number of the rule's moments, n). Its memory.
        current: The rule's constants of the present step: whoever runs a step copies a row of
            `constants` here, then calls every one of `steps`.
        steps: The updates of all chunks.
        taken: How many steps `constants` has handed out.
        since, start: How many there were when a β last changed, and how much of each moment's start
            at zero was left then.
    """

    def __init__(
        self,
        settings: Settings,
        parameters: Array,
        gradient: Array,
        weights: int,
        decay: float = 0.0,
    ) -> None:
        self._rule = OPTIMIZERS[settings.optimizer](settings)
        self._parameters, self._gradient, self._weights = parameters, gradient, weights
        dtype = parameters.dtype
        self.moments = np.zeros((len(self._rule.floors), len(parameters)), dtype)
        self.taken = self.since = 0
        self.start: list[float] = [1.0] * len(self.moments)
        self.current = np.empty(len(self._rule.constants(0.0, np.ones(1), self.start)), dtype)
        self.steps = self._bound(settings, decay)

    def _bound(self, settings: Settings, decay: float) -> list[Step]:
        """Return the updates of all chunks."""
        parameters, gradient, weights = self._parameters, self._gradient, self._weights
        steps: list[Step] = []
        if settings.clip_norm is not None:
            steps.append(_clip(gradient, settings.clip_norm))
        scratch = np.empty(min(CHUNK, len(parameters)), parameters.dtype)
        for start in range(0, len(parameters), CHUNK):
            w, g = parameters[start : start + CHUNK], gradient[start : start + CHUNK]
            if decay and start < weights:
                end = weights - start
                steps.append(_l2(w[:end], g[:end], scratch[: len(w[:end])], decay))
            moments = self.moments[:, start : start + CHUNK]
            steps.append(self._rule.bind(w, g, moments, scratch[: len(w)], self.current))
        return steps

    def change(self, settings: Settings, decay: float) -> None:
        """Go on with other hyperparameters of the same rule: each average stays what it is.

        What is kept is an average divided by 1 - β, so it is kept anew where β changes.
        """
        before = self._rule.betas
        self.turn(settings, decay)
        for i, (old, new) in enumerate(zip(before, self._rule.betas, strict=True)):
            if old != new:
                self.moments[i] *= self.moments.dtype.type((1 - old) / (1 - new))
        if before != self._rule.betas:
            steps = self.taken - self.since
            left = zip(self.start, before, strict=True)
            self.start, self.since = [share * beta**steps for share, beta in left], self.taken

    def turn(self, settings: Settings, decay: float) -> None:
        """Take other hyperparameters, those that the moments were made with."""
        self._rule = OPTIMIZERS[settings.optimizer](settings)
        self.steps = self._bound(settings, decay)

    def constants(self, rate: float, count: int) -> Array:
        """Return the constants of the next `count` steps at learning rate `rate`, one row each."""
        first = self.taken - self.since + 1
        t = np.arange(first, first + count, dtype=np.float64)
        self.taken += count
        table = np.empty((count, len(self.current)), self.current.dtype)
        for column, values in enumerate(self._rule.constants(rate, t, self.start)):
            table[:, column] = values
        return table

    def flush(self) -> None:
        """Set to zero the moments that are about to become denormal; see `AVERAGE_FLOOR`."""
        tiny = np.finfo(self.moments.dtype).tiny
        scratch = np.empty(min(CHUNK, self.moments.shape[1]), self.moments.dtype)
        for moment, floor in zip(self.moments, self._rule.floors, strict=True):
            for start in range(0, len(moment), CHUNK):
                part = moment[start : start + CHUNK]
                size = absolute(part, scratch[: len(part)])
                multiply(part, greater(size, floor * tiny), part)


def _l2(w: Array, g: Array, scratch: Array, decay: float) -> Step:
    """Return the step that adds decay · w to the gradient."""
    factor = np.array(decay, w.dtype)

    def step() -> None:
        multiply(w, factor, scratch)
        add(g, scratch, g)

    return step


def _clip(g: Array, limit: float) -> Step:
    """Return the step that shortens the gradient to the norm `limit` where it is longer.

    A norm whose square is beyond the dtype (1.8e19 for float32) is infinite: that step is left out.

    Source: Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.
    """
    longest, factor = np.array(limit, g.dtype), np.empty((), g.dtype)

    def step() -> None:
        g.dot(g, factor)
        sqrt(factor, factor)
        maximum(factor, longest, out=factor)
        divide(longest, factor, factor)
        multiply(g, factor, g)

    return step
