"""From the entries of `parameters` to a space: their repeats, conditions and the constraints."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from hpsearch.config.definitions import MOST_REPEATS
from hpsearch.config.reading import Sections, found, key_path, one_of, short
from hpsearch.errors import nearest
from hpsearch.expressions import Expression, ExpressionError
from hpsearch.scales import Array, Integer, Real
from hpsearch.space import (
    COUNTED,
    Among,
    AtLeast,
    Axis,
    Choice,
    Clause,
    Point,
    Space,
    ends,
    values_within,
)
from hpsearch.trial import Params, frozen
from hpsearch.yamlfile import Place, dump

CORNERS = 256
"""Corners of the space at which each constraint is tried."""
TRIED = 20_000
"""Draws after which constraints that none of them satisfied are refused."""
BLOCK = 500
"""Draws at a time: at so many each constraint is tried, however early one satisfies all."""


def build_space(sections: Sections, entries: Mapping[str, Axis], constants: Params) -> Space:
    """Build the space of the parameters, with `repeat`, `when` and the section `constraints`.

    Args:
        sections: Of the config.
        entries: The axis of each varied parameter, a repeated one's once.
        constants: All that does not vary, by name.
    Raises:
        UserError: a repeat that is no whole number, a condition on what is no parameter or on
            itself, a constraint that cannot be read or that nothing satisfies; with the place.
    """
    repeats: dict[str, tuple[str, ...]] = {}
    words: dict[str, Params] = {}
    for name in entries:
        given = sections.at(("parameters", name))
        words[name] = {key: given[key] for key in ("repeat", "when") if key in given}
        if words[name].get("repeat") is None:
            continue
        count = _repeats(sections, name, words[name]["repeat"], entries, constants)
        repeats[name] = tuple(f"{name}_{number}" for number in range(1, count + 1))
        for part in repeats[name]:
            if part in entries or part in constants:
                raise sections.document.error(
                    ("parameters", name, "repeat"),
                    f"{name} is repeated as {part}, which is a parameter of its own",
                    "Rename one of them.",
                )
    axes = {part: axis for name, axis in entries.items() for part in repeats.get(name, (name,))}
    clauses: dict[str, tuple[Clause, ...]] = {}
    for name, own in words.items():
        conditions = tuple(_conditions(sections, name, axes, repeats, constants))
        counter = own.get("repeat")
        for number, part in enumerate(repeats.get(name, (name,)), start=1):
            counted = (AtLeast(counter, number),) if isinstance(counter, str) else ()
            clauses[part] = (*conditions, *counted)
        if name in repeats:
            counted = (AtLeast(counter, 0),) if isinstance(counter, str) else ()
            clauses[name] = (*conditions, *counted)
    clauses = {name: each for name, each in clauses.items() if each}
    _refuse_circles(sections, clauses, words)
    space = Space(axes, clauses, repeats, constants, (), {k: v for k, v in words.items() if v})
    return _constrained(sections, space)


def _repeats(
    sections: Sections,
    name: str,
    repeat: Any,
    entries: Mapping[str, Axis],
    constants: Params,
) -> int:
    """Return how many repeats there can be at most."""
    if isinstance(repeat, int):
        return repeat
    place: Place = ("parameters", name, "repeat")
    label = key_path(place)
    if repeat not in entries and constants.get(repeat) is None:
        meant = nearest(repeat, [*entries])
        raise sections.document.error(
            place,
            f"{label} must be a whole number or a parameter that counts, found {found(repeat)}",
            f"Did you mean '{meant}'?" if meant else f"Give {repeat} a value under parameters.",
        )
    axis = entries.get(repeat)
    can_be = (constants[repeat],) if axis is None else tuple(ends(axis))
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in can_be)
    if repeat == name:
        raise sections.document.error(
            place, f"{label} names {name} itself", "Name the parameter that counts its repeats."
        )
    if isinstance(axis, Real) or not whole:
        raise sections.document.error(
            place,
            f"{label} must name a parameter of whole numbers, and {repeat} is none",
            f"Write: {repeat}: {{type: int, min: 1, max: 3}}" if isinstance(axis, Real) else "",
        )
    if isinstance(sections.at(("parameters", repeat)), dict) and "repeat" in sections.at(
        ("parameters", repeat)
    ):
        raise sections.document.error(place, f"{label}: {repeat} is repeated itself")
    if min(can_be) < 0 or not 1 <= max(can_be) <= MOST_REPEATS:
        raise sections.document.error(
            place,
            f"{label}: {repeat} can be {min(can_be)} to {max(can_be)}, "
            f"but there can be 0 to {MOST_REPEATS} repeats, and at least 1 at the most",
        )
    return int(max(can_be))


def _conditions(
    sections: Sections,
    name: str,
    axes: Mapping[str, Axis],
    repeats: Mapping[str, tuple[str, ...]],
    constants: Params,
) -> Iterator[Clause]:
    """Yield what the key `when` of a parameter says."""
    given = sections.at(("parameters", name)).get("when") or {}
    for other, wanted in given.items():
        place: Place = ("parameters", name, "when", other)
        label = key_path(place)
        if other in repeats:
            raise sections.document.error(
                place,
                f"{label}: {other} is repeated, so it is a list",
                f"Name one of its repeats: {repeats[other][0]}.",
                at_key=True,
            )
        if other not in axes and other not in constants:
            known = [each for each in dict.fromkeys([*axes, *constants]) if each != name]
            meant = nearest(other, known)
            hint = f"Did you mean '{meant}'? " if meant else ""
            listed = ", ".join(each for each in axes if each != name)
            raise sections.document.error(
                place,
                f"{label} is a condition on '{other}', which is no parameter",
                f"{hint}Those that vary: {listed or 'none'}.",
                at_key=True,
            )
        values = tuple(frozen(each) for each in (wanted if isinstance(wanted, list) else [wanted]))
        if not values:
            raise sections.document.error(place, f"{label} lists no value")
        if other in axes:
            for index, value in enumerate(values):
                at = (*place, index) if isinstance(wanted, list) else place
                _check_reachable(sections, at, label, axes[other], value)
        yield Among(other, values)


def _check_reachable(sections: Sections, place: Place, label: str, axis: Axis, value: Any) -> None:
    """Refuse a condition on a value that the other parameter never has."""
    if isinstance(axis, Choice):
        if Among("", axis.options).met(value):
            return
        meant = nearest(value, [each for each in axis.options if isinstance(each, str)])
        raise sections.document.error(
            place,
            f"{label} must be {one_of([dump(each) for each in axis.options])}, "
            f"found {found(value)}",
            f"Did you mean '{meant}'?" if meant else "",
        )
    if isinstance(axis, Real):
        raise sections.document.error(
            place,
            f"{label} asks for one value of a range of real numbers, which hardly any trial has",
            "Conditions are on choices and whole numbers.",
        )
    assert isinstance(axis, Integer)
    low, high = ends(axis)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or value != int(value):
        raise sections.document.error(
            place, f"{label} must be a whole number from {low} to {high}, found {found(value)}"
        )


def _refuse_circles(
    sections: Sections, clauses: Mapping[str, tuple[Clause, ...]], words: Mapping[str, Params]
) -> None:
    """Refuse parameters that are each there only if the other one is."""

    def follow(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            owner = next((each for each in words if name in (each, *_parts(each))), name)
            key = "when" if "when" in words.get(owner, {}) else "repeat"
            raise sections.document.error(
                ("parameters", owner, key),
                f"the conditions go round in a circle: {circle}",
                "Remove one of them: some parameter must be there without the others.",
            )
        for clause in clauses.get(name, ()):
            follow(clause.parameter, (*way, name))

    def _parts(name: str) -> Iterable[str]:
        return (f"{name}_{number}" for number in range(1, MOST_REPEATS + 1))

    for name in clauses:
        follow(name, ())


def _constrained(sections: Sections, space: Space) -> Space:
    """Add the section `constraints` to a space, after trying each on it."""
    constraints = []
    texts = sections.at(("constraints",)) or []
    for index, text in enumerate(texts):
        place: Place = ("constraints", index)
        try:
            expression = Expression.parse(text)
            expression.check_names({*space.axes, *space.repeats, *space.constants})
        except ExpressionError as error:
            raise _wrong(sections, place, error) from None
        constraints.append(expression)
    if not constraints:
        return space
    constrained = Space(
        space.axes, space.clauses, space.repeats, space.constants, tuple(constraints), space.words
    )
    _try_out(sections, constrained)
    return constrained


def _wrong(sections: Sections, place: Place, error: ExpressionError) -> Exception:
    where = f", at character {error.column}" if error.column else ""
    hint = error.hint or "A constraint compares parameters, such as: layers * units <= 300."
    return sections.document.error(place, f"{key_path(place)}{where}: {error}", hint)


def _try_out(sections: Sections, space: Space) -> None:
    """Refuse constraints that fail somewhere in the space, or that nothing satisfies.

    Few settings are all tried; of many, the corners of what a constraint names, and draws, one of
    which must satisfy all: trials are drawn in the same way.
    """

    def hold(params: Params) -> list[bool]:
        values = space.named(params)
        return [
            _holds(sections, ("constraints", index), each, values)
            for index, each in enumerate(space.constraints)
        ]

    satisfied, looked = [0] * len(space.constraints), 0
    for point in _corners(space):
        hold(space.params(point))
    for block in _blocks(space):
        all_hold = False
        for params in space.settings_at(block):
            holds = hold(params)
            satisfied = [count + each for count, each in zip(satisfied, holds, strict=True)]
            all_hold = all_hold or all(holds)
            looked += 1
        if all_hold:
            return
    never = [index for index, count in enumerate(satisfied) if not count]
    place: Place = ("constraints", never[0]) if never else ("constraints",)
    few = looked == TRIED
    what = f"{'hardly any' if few else 'no'} setting satisfies "
    what += (
        f"{key_path(place)}: {short(space.constraints[never[0]].text)}"
        if never
        else "all constraints together"
    )
    raise sections.document.error(
        place,
        f"{what} (none of {looked:,} that were tried)",
        "Loosen it, or move the ranges of the parameters that it names.",
    )


def _holds(sections: Sections, place: Place, constraint: Expression, values: Params) -> bool:
    try:
        return constraint.holds(values) is not False
    except ExpressionError as error:
        raise _wrong(sections, place, error) from None


def _corners(space: Space) -> Iterator[Point]:
    """Yield points at which what a constraint names is at the ends of its axes."""
    named = {
        part
        for each in space.constraints
        for name in each.names
        for part in space.repeats.get(name, (name,))
    }
    ends_of_named = ((0.0, 1.0) if name in named else (0.5,) for name in space.axes)
    yield from itertools.islice(itertools.product(*ends_of_named), CORNERS)


def _blocks(space: Space) -> Iterator[Array]:
    """Yield points, (count, axes): of every setting where there are few, else draws."""
    axes = space.axes.values()
    if Space(space.axes).settings() <= COUNTED:
        values = ([axis.to_unit(value) for value in values_within(axis)] for axis in axes)
        yield np.array([*itertools.product(*values)], np.float64).reshape(-1, len(axes))
        return
    rng = np.random.default_rng(0)
    for _ in range(TRIED // BLOCK):
        yield rng.random((BLOCK, len(axes)))
