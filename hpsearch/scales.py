"""Scales: how a number in [0, 1] becomes a value, so that equal steps mean equal effects.

To add a scale, write one class with the methods of `Scale` and one line in SCALES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hpsearch.lazily import Lazily

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
else:  # a value is written without it
    np = Lazily("numpy")
    Array = Any


class Scale(Protocol):
    """An interval of numbers and its map to and from the unit interval."""

    @property
    def min(self) -> float:
        """The lower end."""

    @property
    def max(self) -> float:
        """The upper end."""

    def at(self, u: Array) -> Array:
        """Map u, also beyond [0, 1], along the scale; rounding may miss an end by an ulp."""

    def to_unit(self, value: Array) -> Array:
        """Map values in [min, max] to [0, 1]: the inverse of `at`."""

    def integers(self) -> tuple[Scale, bool]:
        """Return the scale whose intervals between whole numbers are the integers' shares.

        The flag says whether an integer owns the interval below it (True) or above it.
        """

    def text(self, value: float) -> str:
        """Write a value for a person, with the digits that matter on this scale."""

    def tidy(self, value: float, *, up: bool) -> float:
        """Round a value up or down to the digits that matter on this scale."""

    def ticks(self) -> list[float]:
        """Return the values in [min, max], in order, that an axis of this scale is marked with."""


def _directed(value: float, exponent: int, *, up: bool) -> float:
    """Round to a whole multiple of 10 ** exponent, in decimal, so that 0.3 stays 0.3."""
    import decimal

    rounding = decimal.ROUND_CEILING if up else decimal.ROUND_FLOOR
    step = decimal.Decimal(1).scaleb(exponent)
    with decimal.localcontext() as context:
        context.prec = 400
        return float((decimal.Decimal(repr(value)) / step).to_integral_value(rounding) * step)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


FEWEST_TICKS, MOST_TICKS = 3, 6


def _round_steps(low: float, high: float) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten in [low, high], at most six."""
    exponent = _magnitude(high - low) - 1
    steps = (float(f"{m}e{e}") for e in range(exponent, exponent + 3) for m in (1, 2, 5))
    step = next(each for each in steps if (high - low) / each <= MOST_TICKS - 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _round_ratios(low: float, high: float) -> list[float]:
    """Return round numbers in [low, high] for a log axis: powers of ten, where there are enough."""
    lowest, highest = _magnitude(low), _magnitude(high)
    for mantissas in ((1,), (1, 2, 5), range(1, 10)):
        found = [
            value
            for e in range(lowest, highest + 1)
            for m in mantissas
            if low * (1 - 1e-9) <= (value := float(f"{m}e{e}")) <= high * (1 + 1e-9)
        ]
        if len(found) >= FEWEST_TICKS:
            return found[:: -(-len(found) // MOST_TICKS)]
    return _round_steps(low, high)


@dataclass(frozen=True)
class Linear:
    """Equal differences are equal steps: 10 to 20 is as wide as 20 to 30.

    min, max: both ends, both reachable, in the parameter's own unit; ValueError unless min < max.
    """

    min: float
    max: float

    def __post_init__(self) -> None:
        if not self.min < self.max:
            raise ValueError(f"a linear scale needs min < max, got {self.min:g} and {self.max:g}")
        if not math.isfinite(self.max - self.min):
            raise ValueError(f"the range from {self.min} to {self.max} is too wide")

    def at(self, u: Array) -> Array:
        """Map u along the scale; 0 is min and 1 is max."""
        return self.min + u * (self.max - self.min)

    def to_unit(self, value: Array) -> Array:
        """Map values to [0, 1]."""
        return (value - self.min) / (self.max - self.min)

    def integers(self) -> tuple[Scale, bool]:
        """Give every integer from min to max the same width."""
        return Linear(self.min, self.max + 1), False

    def text(self, value: float) -> str:
        """Write four significant digits."""
        return f"{value:.4g}"

    def tidy(self, value: float, *, up: bool) -> float:
        """Round to thousandths of the range."""
        return _directed(value, _magnitude(self.max - self.min) - 3, up=up)

    def ticks(self) -> list[float]:
        """Return three to six round numbers."""
        return _round_steps(self.min, self.max)


@dataclass(frozen=True)
class Log:
    """Equal ratios are equal steps: 1e-4 to 1e-3 is as wide as 1e-3 to 1e-2.

    min, max: both ends, both reachable, in the parameter's own unit; ValueError unless
    0 < min < max.
    """

    min: float
    max: float

    def __post_init__(self) -> None:
        if not 0 < self.min < self.max:
            raise ValueError(f"a log scale needs 0 < min < max, got {self.min:g} and {self.max:g}")

    def at(self, u: Array) -> Array:
        """Map u along the scale; 0 is min and 1 is max."""
        low, high = math.log10(self.min), math.log10(self.max)
        return np.asarray(10.0 ** (low + u * (high - low)))

    def to_unit(self, value: Array) -> Array:
        """Map values to [0, 1]."""
        low, high = math.log10(self.min), math.log10(self.max)
        return np.asarray((np.log10(value) - low) / (high - low))

    def integers(self) -> tuple[Scale, bool]:
        """Give integer k the width log(k + 1) - log(k), so that each decade gets its share."""
        return Log(self.min, self.max + 1), False

    def text(self, value: float) -> str:
        """Write three significant digits."""
        return f"{value:.3g}"

    def tidy(self, value: float, *, up: bool) -> float:
        """Round to three significant digits."""
        return _directed(value, _magnitude(value) - 2, up=up)

    def ticks(self) -> list[float]:
        """Return powers of ten, or round numbers between them: 0.0001, 0.001, 0.01."""
        return _round_ratios(self.min, self.max)


@dataclass(frozen=True)
class OneMinusLog:
    """1 - value is on a log scale: 0.9 to 0.99 is as wide as 0.99 to 0.999.

    For β of an exponentially weighted average, which looks back over about 1 / (1 - β) steps.
    min, max: both ends, both reachable; ValueError unless min < max < 1.
    """

    min: float
    max: float

    def __post_init__(self) -> None:
        if not self.min < self.max < 1:
            raise ValueError(
                f"a one_minus_log scale needs min < max < 1, got {self.min:g} and {self.max:g}"
            )

    def at(self, u: Array) -> Array:
        """Map u along the scale; 0 is min and 1 is max."""
        low, high = math.log10(1 - self.min), math.log10(1 - self.max)
        return np.asarray(1 - 10.0 ** (low + u * (high - low)))

    def to_unit(self, value: Array) -> Array:
        """Map values to [0, 1]."""
        low, high = math.log10(1 - self.min), math.log10(1 - self.max)
        return np.asarray((np.log10(1 - value) - low) / (high - low))

    def integers(self) -> tuple[Scale, bool]:
        """Give integer k <= 0 the width log(2 - k) - log(1 - k), the mirror image of Log's."""
        return OneMinusLog(self.min - 1, self.max), True

    def text(self, value: float) -> str:
        """Write three significant digits of 1 - value, the quantity that matters."""
        distance = 1 - value
        if distance <= 0:
            return "1"
        return f"{value:.{max(3, 2 - _magnitude(distance))}f}".rstrip("0").rstrip(".")

    def tidy(self, value: float, *, up: bool) -> float:
        """Round to three significant digits of 1 - value."""
        return _directed(value, _magnitude(1 - value) - 2, up=up)

    def ticks(self) -> list[float]:
        """Return values at round distances from 1: 0.9, 0.99, 0.999."""
        distances = _round_ratios(1 - self.max, 1 - self.min)
        return [float(f"{1 - each:.15g}") for each in reversed(distances)]


SCALES: dict[str, Callable[[float, float], Scale]] = {
    "linear": Linear,
    "log": Log,
    "one_minus_log": OneMinusLog,
}

ALIASES = {"1-beta": "one_minus_log"}

REFUSED = {
    "reverse_log": "scale 'reverse_log' mirrors a log scale within its range, so what it means for "
    "one value depends on where the range ends; say one_minus_log, which always means 1 - value "
    "on a log scale.",
    "inv_log_uniform": "scale 'inv_log_uniform' draws 1/x log-uniformly, which is the same as "
    "drawing x log-uniformly; say log (or one_minus_log for a β near 1).",
}
"""Other tools' scales that would be a trap here, each with the sentence that says why."""


@dataclass(frozen=True)
class Real:
    """A real-valued hyperparameter on its scale."""

    scale: Scale
    name: str
    """The scale's key in SCALES."""

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to values in [min, max]; 0 and 1 give the ends exactly."""
        low, high = self.scale.min, self.scale.max
        inside = np.minimum(np.maximum(self.scale.at(u), low), high)  # rounding may overshoot
        return np.where(u <= 0, low, np.where(u >= 1, high, inside))

    def value(self, u: float) -> float:
        """Map one u as `from_unit` does, several times as fast."""
        low, high = float(self.scale.min), float(self.scale.max)
        if 0 < u < 1:
            return min(max(float(self.scale.at(np.asarray(u))), low), high)
        return low if u <= 0 else high

    def to_unit(self, value: Any) -> float:
        """Map a value in [min, max] to [0, 1]."""
        return float(np.clip(self.scale.to_unit(np.asarray(value, np.float64)), 0, 1))

    def snap(self, u: Array) -> Array:
        """Return coordinates as they are: each has a value of its own."""
        return u

    def text(self, value: Any) -> str:
        """Write a value for a person."""
        return self.scale.text(float(value))

    def spec(self) -> dict[str, Any]:
        """Return the mapping that a config says it with."""
        return {"scale": self.name, "min": float(self.scale.min), "max": float(self.scale.max)}


@dataclass(frozen=True)
class Integer:
    """A whole-numbered hyperparameter: every integer of [min, max], both ends included.

    On a linear scale all are equally likely; on the others each by its width on the scale.
    """

    scale: Scale
    name: str

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to whole numbers in [min, max] (int64)."""
        cells, below = self.scale.integers()
        places = cells.at(u)
        whole = np.ceil(places) if below else np.floor(places)
        return np.clip(whole, self.scale.min, self.scale.max).astype(np.int64)

    def value(self, u: float) -> int:
        """Map one u as `from_unit` does."""
        return int(self.from_unit(np.asarray(u)))

    def to_unit(self, value: Any) -> float:
        """Map a whole number to the middle of its share of [0, 1]."""
        return float(self._middle(np.asarray(value)))

    def snap(self, u: Array) -> Array:
        """Map coordinates, of any shape, to the middles of the shares that they lie in."""
        return self._middle(self.from_unit(u))

    def _middle(self, whole: npt.NDArray[Any]) -> Array:
        cells, below = self.scale.integers()
        ends = (whole - 1, whole) if below else (whole, whole + 1)
        low, high = (cells.to_unit(end.astype(np.float64)) for end in ends)
        return np.asarray((low + high) / 2)

    def text(self, value: Any) -> str:
        """Write a value for a person."""
        return str(value)

    def spec(self) -> dict[str, Any]:
        """Return the mapping that a config says it with."""
        ends = {"min": int(self.scale.min), "max": int(self.scale.max)}
        return {"type": "int", "scale": self.name, **ends}
