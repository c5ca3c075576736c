"""The search space: parameter names to axes, settings to and from the unit cube."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hpsearch.scales import Array, Integer, Real
from hpsearch.trial import Params, plain

Point = tuple[float, ...]
"""A place in the unit cube: one coordinate in [0, 1] per varied parameter, in their order."""


class Axis(Protocol):
    """One varied parameter's map between [0, 1] and its values."""

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to values."""

    def to_unit(self, value: Any) -> float:
        """Map a value to a coordinate that `from_unit` maps back to it."""

    def text(self, value: Any) -> str:
        """Write a value for a person."""

    def spec(self) -> dict[str, Any]:
        """Return the mapping that a config says this axis with."""


@dataclass(frozen=True)
class Choice:
    """Options without an order, equally likely unless weighted.

    options: at least one, no two equal (True and 1 are two).
    weights: one per option, not negative, not all 0; None makes all equal. An option of weight 0
        is never drawn.
    """

    options: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("values needs at least one option")
        seen: set[str] = set()
        for option in self.options:
            if repr(option) in seen:
                raise ValueError(f"the option {option!r} is given twice")
            seen.add(repr(option))
        if self.weights is not None:
            if len(self.weights) != len(self.options):
                raise ValueError(
                    f"{len(self.options)} options need as many weights, got {len(self.weights)}"
                )
            total = math.fsum(self.weights)
            if min(self.weights) < 0 or not 0 < total < math.inf:
                raise ValueError("weights must not be negative, and not all 0")

    @property
    def _edges(self) -> Array:
        """The upper ends of the options' shares of [0, 1]; shape (options,)."""
        weights = np.asarray(self.weights or [1.0] * len(self.options), dtype=np.float64)
        return np.asarray(np.cumsum(weights / weights.sum()))

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to options (an object array)."""
        weights = self.weights or (1.0,) * len(self.options)
        last = max(i for i, weight in enumerate(weights) if weight > 0)
        index = np.minimum(np.searchsorted(self._edges, u, side="right"), last)
        options = np.empty(len(self.options), dtype=object)
        options[:] = self.options  # element by element: an option may itself be a tuple
        drawn: npt.NDArray[Any] = options[np.atleast_1d(index)].reshape(np.shape(index))
        return drawn

    def to_unit(self, value: Any) -> float:
        """Map an option to the middle of its share."""
        index = [repr(option) for option in self.options].index(repr(value))
        edges = self._edges
        return float(((edges[index - 1] if index else 0.0) + edges[index]) / 2)

    def text(self, value: Any) -> str:
        """Write an option for a person."""
        return option_text(value)

    def spec(self) -> dict[str, Any]:
        """Return the mapping that a config says it with."""
        weights = {} if self.weights is None else {"weights": list(self.weights)}
        return {"values": [plain(option) for option in self.options], **weights}


def option_text(value: Any) -> str:
    """Write any setting's value for a person: lists as 64-32, truth as in YAML."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, tuple | list):
        return "-".join(option_text(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Space:
    """What varies, in the config's order."""

    axes: dict[str, Axis]

    @property
    def names(self) -> tuple[str, ...]:
        """The varied parameters."""
        return tuple(self.axes)

    def draw(self, rng: np.random.Generator) -> Point:
        """Draw one point of the closed unit cube: unlike rng.random(), 1 is reachable as 0 is."""
        steps = rng.integers(0, 2**53, size=len(self.axes), endpoint=True)
        return tuple(float(step) / 2**53 for step in steps)

    def params(self, point: Sequence[float]) -> Params:
        """Map a point of the unit cube to a setting, as plain Python values."""
        pairs = zip(self.axes.items(), point, strict=True)
        return {name: axis.from_unit(np.asarray(u)).item() for (name, axis), u in pairs}

    def point(self, params: Params) -> Point:
        """Map a setting to a point that `params` maps back to it."""
        return tuple(axis.to_unit(params[name]) for name, axis in self.axes.items())

    def text(self, params: Params) -> str:
        """Write a setting on one line for a person."""
        return " ".join(f"{name}={axis.text(params[name])}" for name, axis in self.axes.items())

    def allows(self, point: Sequence[float]) -> bool:
        """Tell whether the setting at a point may be tried."""
        return True

    def settings(self) -> float:
        """Count the distinct settings; infinite when anything is real-valued."""
        return math.prod(_settings(axis) for axis in self.axes.values())


def _settings(axis: Axis) -> float:
    if isinstance(axis, Integer):
        return axis.scale.max - axis.scale.min + 1
    return len(axis.options) if isinstance(axis, Choice) else math.inf


def ends(axis: Axis) -> Iterable[Any]:
    """Return the values that bound an axis: both ends of a range, or every option."""
    if isinstance(axis, Choice):
        return axis.options
    if isinstance(axis, Integer):
        return (int(axis.scale.min), int(axis.scale.max))
    assert isinstance(axis, Real)
    return (float(axis.scale.min), float(axis.scale.max))
