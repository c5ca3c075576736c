"""The search space: parameter names to axes, settings to and from the unit cube."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol

from hpsearch.errors import UserError
from hpsearch.expressions import Expression, ExpressionError
from hpsearch.lazily import Lazily
from hpsearch.scales import SCALES, Array, Integer, Real
from hpsearch.trial import Params, frozen, plain

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = Lazily("numpy")

Point = tuple[float, ...]
"""A place in the unit cube: one coordinate in [0, 1] per varied parameter, in their order."""


_PLACES = 2**53 + 1
"""Coordinates that may be drawn: at equal steps, with both ends."""
DRAWS = 100_000
"""Points drawn before the constraints are taken to allow none."""
COUNTED = 10_000
"""Combinations up to which settings are counted one by one."""


class Axis(Protocol):
    """One varied parameter's map between [0, 1] and its values."""

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to values."""

    def value(self, u: float) -> Any:
        """Map one u as `from_unit` does, to a plain Python value."""

    def to_unit(self, value: Any) -> float:
        """Map a value to a coordinate that `from_unit` maps back to it."""

    def snap(self, u: Array) -> Array:
        """Map coordinates, of any shape, to the one that `to_unit` gives for the value of each."""

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

    @cached_property
    def _edges(self) -> Array:
        """The upper ends of the options' shares of [0, 1]; shape (options,)."""
        weights = np.asarray(self.weights or [1.0] * len(self.options), dtype=np.float64)
        return np.asarray(np.cumsum(weights / weights.sum()))

    def from_unit(self, u: Array) -> npt.NDArray[Any]:
        """Map u in [0, 1], of any shape, to options (an object array)."""
        index = self._index(u)
        drawn: npt.NDArray[Any] = self._array[np.atleast_1d(index)].reshape(np.shape(index))
        return drawn

    def value(self, u: float) -> Any:
        """Map one u as `from_unit` does."""
        return self.from_unit(np.asarray(u)).item()

    def _index(self, u: Array) -> npt.NDArray[np.intp]:
        return np.minimum(self._edges.searchsorted(u, side="right"), self._last)

    @cached_property
    def _last(self) -> int:
        """The last option that can be drawn."""
        weights = self.weights or (1.0,) * len(self.options)
        return max(i for i, weight in enumerate(weights) if weight > 0)

    @cached_property
    def _array(self) -> npt.NDArray[Any]:
        options = np.empty(len(self.options), dtype=object)
        options[:] = self.options  # element by element: an option may itself be a tuple
        return options

    def to_unit(self, value: Any) -> float:
        """Map an option to the middle of its share."""
        index = [repr(option) for option in self.options].index(repr(value))
        return float(self._middles[index])

    def snap(self, u: Array) -> Array:
        """Map coordinates, of any shape, to the middles of the shares that they lie in."""
        return np.asarray(self._middles[self._index(u)])

    @cached_property
    def _middles(self) -> Array:
        return (np.concatenate([[0.0], self._edges[:-1]]) + self._edges) / 2

    def text(self, value: Any) -> str:
        """Write an option for a person."""
        return option_text(value)

    def spec(self) -> dict[str, Any]:
        """Return the mapping that a config says it with."""
        weights = {} if self.weights is None else {"weights": list(self.weights)}
        return {"values": [plain(option) for option in self.options], **weights}


def axis_of(spec: Mapping[str, Any]) -> Axis:
    """Return the axis of which `spec()` is this mapping.

    Raises:
        ValueError, KeyError, TypeError: it is that of none.
    """
    if "values" in spec:
        weights = spec.get("weights")
        return Choice(tuple(map(frozen, spec["values"])), weights and tuple(weights))
    kind = Integer if spec.get("type") == "int" else Real
    return kind(SCALES[spec["scale"]](spec["min"], spec["max"]), spec["scale"])


def option_text(value: Any) -> str:
    """Write any setting's value for a person: lists as 64-32, truth as in YAML."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, tuple | list):
        return "-".join(option_text(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Clause(Protocol):
    """What must hold of another parameter for one to be there."""

    @property
    def parameter(self) -> str:
        """The other parameter; where it is not there itself, the clause does not hold."""

    def met(self, value: Any) -> bool:
        """Tell whether it holds for a value of the other parameter."""


@dataclass(frozen=True)
class Among:
    """The other parameter has one of some values: `when: {optimizer: [adam, rmsprop]}`."""

    parameter: str
    values: tuple[Any, ...]

    def met(self, value: Any) -> bool:
        """Compare as a config does: 1 and 1.0 are one value, 1 and true are two."""
        return any(
            value == each and isinstance(value, bool) == isinstance(each, bool)
            for each in self.values
        )


@dataclass(frozen=True)
class AtLeast:
    """The other parameter counts repeats, and this is one of them: `repeat: layers`."""

    parameter: str
    number: int

    def met(self, value: Any) -> bool:
        """Compare numbers."""
        return bool(value >= self.number)


@dataclass(frozen=True)
class Space:
    """What varies, in the config's order.

    A repeated parameter has an axis for each repeat: `hidden_units` is `hidden_units_1` and so on.
    A point has a coordinate on every axis; a setting has only the parameters that are there, given
    the values of the others.
    """

    axes: dict[str, Axis]
    clauses: dict[str, tuple[Clause, ...]] = field(default_factory=dict)
    """For each parameter that is not always there, when it is; also for a repeated one's name."""
    repeats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """For each repeated parameter the axes of its repeats."""
    constants: Params = field(default_factory=dict)
    """What does not vary but may be named by a clause or a constraint."""
    constraints: tuple[Expression, ...] = ()
    """What must hold of a setting; one that names a parameter which is not there does not count."""
    words: dict[str, Params] = field(default_factory=dict)
    """The keys `repeat` and `when` of each parameter that has them, as the config says them: plain
    data."""

    @property
    def names(self) -> tuple[str, ...]:
        """The varied parameters, each repeat by its own name."""
        return tuple(self.axes)

    @cached_property
    def _owners(self) -> dict[str, str]:
        """The name in the config of each axis that is a repeat."""
        return {part: name for name, parts in self.repeats.items() for part in parts}

    @property
    def entries(self) -> dict[str, tuple[str, ...]]:
        """The parameters as the config names them, and the axes of each."""
        names = dict.fromkeys(self._owners.get(axis, axis) for axis in self.axes)
        return {name: self.repeats.get(name, (name,)) for name in names}

    def spec(self) -> dict[str, dict[str, Any]]:
        """Return the mapping that a config says each parameter with."""
        return {
            name: {**self.axes[parts[0]].spec(), **self.words.get(name, {})}
            for name, parts in self.entries.items()
        }

    def reach(self) -> dict[str, tuple[Any, ...]]:
        """Return, for each parameter as the config names it, the values that bound it.

        With a fixed number of repeats these are lists; one of each repeat counts like a single
        value where another parameter says how many there are.
        """
        bounds: dict[str, tuple[Any, ...]] = {}
        for name, parts in self.entries.items():
            values = tuple(ends(self.axes[parts[0]]))
            fixed = name in self.repeats and not isinstance(self.words[name]["repeat"], str)
            bounds[name] = tuple((value,) * len(parts) for value in values) if fixed else values
        return bounds

    def draw(self, rng: np.random.Generator) -> Point:
        """Draw one point that the constraints allow.

        Raises:
            UserError: none was found.
        """
        for _ in range(DRAWS):
            point = self._uniform(rng)
            if not self.constraints or self.allows(point):
                return point
        raise UserError(
            f"the constraints allow none of {DRAWS:,} settings drawn from the space; loosen them, "
            "or narrow the ranges to where they hold"
        )

    def _uniform(self, rng: np.random.Generator) -> Point:
        """Draw one point of the closed unit cube: unlike rng.random(), 1 is reachable as 0 is.

        As rng.integers(0, 2**53 + 1), several times as fast: Lemire 2019, arXiv:1805.10941.
        """
        raw = rng.bit_generator.random_raw
        point = []
        for _ in self.axes:
            place, rest = divmod(raw() * _PLACES, 2**64)
            while rest < 2**64 % _PLACES:
                place, rest = divmod(raw() * _PLACES, 2**64)
            point.append(place / 2**53)
        return tuple(point)

    def params(self, point: Sequence[float]) -> Params:
        """Map a point of the unit cube to a setting, as plain Python values."""
        pairs = zip(self.axes.items(), point, strict=True)
        values = {name: axis.value(u) for (name, axis), u in pairs}
        return self._present(values)

    def settings_at(self, points: Array) -> Iterator[Params]:
        """Yield the setting at each of many points: (count, axes), faster than one by one."""
        columns = [
            axis.from_unit(points[:, i]).tolist() for i, axis in enumerate(self.axes.values())
        ]
        for row in zip(*columns, strict=True):
            yield self._present(dict(zip(self.axes, row, strict=True)))

    def _present(self, values: Params) -> Params:
        """Leave out the parameters that are not there, given the values of all."""
        if not self.clauses:
            return values
        everything = {**self.constants, **values}
        return {name: value for name, value in values.items() if self._is_there(name, everything)}

    def there(self, points: Array) -> npt.NDArray[np.bool_]:
        """Tell which parameters the settings at many points have: (count, axes) for both."""
        axes = list(self.axes)

        def met(clause: Clause) -> npt.NDArray[np.bool_]:
            if clause.parameter not in self.axes:
                return np.full(len(points), clause.met(self.constants[clause.parameter]))
            values = self.axes[clause.parameter].from_unit(points[:, axes.index(clause.parameter)])
            return np.array([clause.met(value) for value in values.tolist()], dtype=bool)

        @cache
        def is_there(name: str) -> npt.NDArray[np.bool_]:
            found = np.ones(len(points), dtype=bool)
            for clause in self.clauses.get(name, ()):
                found &= met(clause) & is_there(clause.parameter)
            return found

        if not self.clauses:
            return np.ones(points.shape, dtype=bool)
        return np.stack([is_there(name) for name in axes], axis=1)

    def is_always_there(self, name: str) -> bool:
        """Tell whether every setting has a parameter, under its name in the config."""
        for clause in self.clauses.get(name, ()):
            axis = self.axes.get(clause.parameter)
            values = (self.constants[clause.parameter],) if axis is None else ends(axis)
            if not all(map(clause.met, values)) or not self.is_always_there(clause.parameter):
                return False
            if isinstance(axis, Integer) and isinstance(clause, Among):
                return False
        return True

    def unused(self) -> Iterator[tuple[str, str]]:
        """Yield (parameter, why) for those that no setting has, since a constant forbids it."""
        for name in self.entries:
            for clause in self.clauses.get(name, ()):
                value = self.constants.get(clause.parameter)
                if clause.parameter in self.constants and not clause.met(value):
                    yield name, f"no trial has it: {clause.parameter} is {option_text(value)}"

    def _is_there(self, name: str, values: Params) -> bool:
        """Tell whether a parameter is there, given the values of all."""
        return all(
            clause.met(values[clause.parameter]) and self._is_there(clause.parameter, values)
            for clause in self.clauses.get(name, ())
        )

    def point(self, params: Params) -> Point:
        """Map a setting to a point that `params` maps back to it.

        A parameter that is not there has the middle of its axis.
        """
        return tuple(
            axis.to_unit(params[name]) if name in params else 0.5
            for name, axis in self.axes.items()
        )

    def given(self, params: Params) -> Params:
        """Return what an objective is given: the setting, and a list for each repeated parameter.

        The repeats are in it by their own names too.
        """
        if not self.repeats:
            return params
        everything = {**self.constants, **params}
        lists = {
            name: tuple(params[part] for part in parts if part in params)
            for name, parts in self.repeats.items()
            if all(
                clause.parameter in everything and clause.met(everything[clause.parameter])
                for clause in self.clauses.get(name, ())
            )
        }
        return {**params, **lists}

    def named(self, params: Params) -> Params:
        """Return what a constraint can name: a setting and the constants.

        An empty list has no maximum, so a parameter repeated no times is not there.
        """
        empty = {name for name in self.repeats if f"{name}_1" not in params}
        given = {**self.constants, **self.given(params)}
        return {name: value for name, value in given.items() if name not in empty}

    def allows(self, point: Sequence[float]) -> bool:
        """Tell whether the constraints hold at a point."""
        return not self.constraints or self.satisfies(self.params(point))

    def satisfies(self, params: Params) -> bool:
        """Tell whether the constraints hold for a setting; one that fails, does not."""
        values = self.named(params)
        try:
            return all(each.holds(values) is not False for each in self.constraints)
        except ExpressionError:  # a division by zero that no end of a range showed
            return False

    def text(self, params: Params) -> str:
        """Write a setting on one line for a person."""
        return " ".join(
            f"{name}={axis.text(params[name])}"
            for name, axis in self.axes.items()
            if name in params
        )

    def settings(self) -> float:
        """Count the distinct settings; infinite when anything is real-valued.

        With conditions or constraints, of more than 10,000 combinations all are counted.
        """
        count = math.prod(_settings(axis) for axis in self.axes.values())
        if count > COUNTED or not (self.clauses or self.constraints):
            return count
        values = (
            [axis.to_unit(value) for value in values_within(axis)] for axis in self.axes.values()
        )
        settings = (self.params(point) for point in itertools.product(*values))
        return len({repr(params) for params in settings if self.satisfies(params)})


def _settings(axis: Axis) -> float:
    if isinstance(axis, Integer):
        return axis.scale.max - axis.scale.min + 1
    return len(axis.options) if isinstance(axis, Choice) else math.inf


def values_within(axis: Axis) -> Sequence[Any]:
    """Return all values of an axis that has not infinitely many; none of one that has."""
    if isinstance(axis, Choice):
        return axis.options
    if isinstance(axis, Integer):
        return range(int(axis.scale.min), int(axis.scale.max) + 1)
    return ()


def ends(axis: Axis) -> Iterable[Any]:
    """Return the values that bound an axis: both ends of a range, or every option."""
    if isinstance(axis, Choice):
        return axis.options
    if isinstance(axis, Integer):
        return (int(axis.scale.min), int(axis.scale.max))
    assert isinstance(axis, Real)
    return (float(axis.scale.min), float(axis.scale.max))
