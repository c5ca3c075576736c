"""From the best trials to a smaller box around them, on each parameter's own scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hpsearch.scales import SCALES, Integer, Real
from hpsearch.space import Axis, Choice, Space, ends, option_text, values_within
from hpsearch.trial import Result

EDGE = 0.05
"""A best trial this close to an end of its range, in units of the range, is on the edge."""
SMALLEST = 0.1
"""The narrowest box on an axis: one zoom never trusts few trials more than that."""
HALVINGS = 7
"""How often a step beyond an edge is halved to find one that the parameter can take."""

Allowed = Callable[[str, Any], bool]
"""Tells whether a parameter may have a value at all: what a widened range must respect."""


@dataclass(frozen=True)
class Zoomed:
    """What became of one axis."""

    axis: Axis | None
    """The new axis; None when only one value is left."""
    value: Any
    """That value."""
    notes: dict[str, str]
    """For each key of the config's entry, what changed and which trials caused it."""
    left_out: str = ""
    """Why no trial in the box has the parameter any more; then it is to be left out."""


Seen = Sequence[tuple[int, Any]]
"""A trial and a value it had: of each of the best that has the parameter, once per repeat."""


def zoom(space: Space, best: Sequence[Result], allowed: Allowed) -> dict[str, Zoomed]:
    """Return the box around the best trials.

    On each axis it reaches from the lowest to the highest of them plus a margin, so an axis on
    which they agree gets narrow and one that does not matter stays wide. Where the very best sits
    on an edge of its range, the box goes on beyond that edge, as far as `allowed` lets it. All
    repeats of a parameter have one box. One that fewer than two of the best have keeps its range.

    Args:
        space: The space in which the trials were drawn.
        best: The best trials, best first; at least two.
        allowed: Whether a parameter may have a value.
    """
    boxes: dict[str, Zoomed] = {}
    for name, parts in space.entries.items():
        axis = space.axes[parts[0]]
        seen = [(r.trial, r.params[part]) for r in best for part in parts if part in r.params]
        if len({trial for trial, _ in seen}) < 2:
            key = "values" if isinstance(axis, Choice) else "min"
            boxes[name] = Zoomed(axis, None, {key: "kept: hardly any of the best trials has it"})
        elif isinstance(axis, Choice):
            boxes[name] = _zoom_choice(axis, seen)
        else:
            boxes[name] = _zoom_range(axis, name, seen, allowed)
        new = boxes[name]
        if new.axis is None and name in space.repeats:  # a list of equal values stays a list
            boxes[name] = Zoomed(Choice((new.value,)), None, new.notes)
    for name in space.entries:
        _leave_out(space, name, boxes)
    return boxes


def _leave_out(space: Space, name: str, boxes: dict[str, Zoomed]) -> None:
    """Mark a parameter whose condition nothing in the box meets."""
    for clause in space.clauses.get(space.entries[name][0], ()):
        other = clause.parameter
        if other not in boxes:
            continue
        _leave_out(space, other, boxes)
        new = boxes[other]
        can_be = (new.value,) if new.axis is None else values_within(new.axis)
        if new.left_out or not any(map(clause.met, can_be)):
            why = f"{other} is left out" if new.left_out else f"{other} is {_texts_of(new)}"
            boxes[name] = replace(boxes[name], left_out=why)


def _texts_of(new: Zoomed) -> str:
    if new.axis is None:
        return option_text(new.value)
    return " .. ".join(map(new.axis.text, ends(new.axis)))


def _zoom_choice(axis: Choice, seen: Seen) -> Zoomed:
    taken = {repr(value) for _, value in seen}
    kept = [i for i, option in enumerate(axis.options) if repr(option) in taken]
    options = tuple(axis.options[i] for i in kept)
    notes = {
        "values": f"{_texts(axis, axis.options)} -> {_texts(axis, options)}: "
        f"what the best trials {_listed(seen)} chose"
    }
    if len(options) == 1:
        return Zoomed(None, options[0], notes)
    if len(options) == len(axis.options):
        notes = {"values": f"kept: the best trials {_listed(seen)} chose each of them"}
    weights = None if axis.weights is None else tuple(axis.weights[i] for i in kept)
    return Zoomed(Choice(options, weights), None, notes)


def _texts(axis: Axis, values: Sequence[Any]) -> str:
    return "[" + ", ".join(axis.text(value) for value in values) + "]"


def _listed(seen: Seen) -> str:
    return ", ".join(dict.fromkeys(str(trial) for trial, _ in seen))


def _zoom_range(axis: Axis, name: str, seen: Seen, allowed: Allowed) -> Zoomed:
    assert isinstance(axis, Real | Integer)
    units = [axis.to_unit(value) for _, value in seen]
    very_best = [value for trial, value in seen if trial == seen[0][0]]
    margin = (max(units) - min(units)) / len(units)
    low, high = min(units) - margin, max(units) + margin
    lacking = SMALLEST - (high - low)
    if lacking > 0:
        low, high = low - lacking / 2, high + lacking / 2
    step = max((min(high, 1) - max(low, 0)) / 4, EDGE)
    bounds: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for end, unit, old in (("min", low, axis.scale.min), ("max", high, axis.scale.max)):
        at_edge = any(_on_edge(axis, value, end) for value in very_best)
        value = _beyond(axis, name, step, end, allowed) if at_edge else None
        if value is None:
            value = _inside(axis, unit, end)
        bounds[end] = value
        notes[end] = _note(axis, end, old, value, seen, at_edge)
    if bounds["min"] == bounds["max"]:
        text = f"{axis.text(axis.scale.min)} .. {axis.text(axis.scale.max)} -> "
        text += f"{axis.text(bounds['min'])}: the best trials {_listed(seen)} agree"
        return Zoomed(None, bounds["min"], {"values": text})
    scale = SCALES[axis.name](bounds["min"], bounds["max"])
    new: Axis = Integer(scale, axis.name) if isinstance(axis, Integer) else Real(scale, axis.name)
    return Zoomed(new, None, notes)


def _on_edge(axis: Real | Integer, value: Any, end: str) -> bool:
    if isinstance(axis, Integer):
        return bool(value == (axis.scale.min if end == "min" else axis.scale.max))
    unit = axis.to_unit(value)
    return unit < EDGE if end == "min" else unit > 1 - EDGE


def _inside(axis: Real | Integer, unit: float, end: str) -> Any:
    """Return the range's value at a coordinate, a real one rounded outward to a few digits."""
    old_low, old_high = axis.scale.min, axis.scale.max
    value = axis.from_unit(np.asarray(min(max(unit, 0.0), 1.0))).item()
    if isinstance(axis, Integer) or value in (old_low, old_high):
        return value
    return min(max(axis.scale.tidy(value, up=end == "max"), old_low), old_high)


def _beyond(axis: Real | Integer, name: str, step: float, end: str, allowed: Allowed) -> Any:
    """Return a value a step beyond the old end, or less where the parameter cannot go so far.

    None where it cannot go beyond at all.
    """
    low, high = axis.scale.min, axis.scale.max
    for halvings in range(HALVINGS):
        try:
            value = _outward(axis, step / 2**halvings, end)
            SCALES[axis.name](*((value, high) if end == "min" else (low, value)))
        except (ValueError, OverflowError):  # beyond the scale or beyond what a number can be
            continue
        if low <= value <= high:
            return None
        if allowed(name, value):
            return value
    return None


def _outward(axis: Real | Integer, distance: float, end: str) -> Any:
    """Return the value at a distance beyond an end; for integers the next one at least."""
    with np.errstate(over="ignore", under="ignore"):
        value = float(axis.scale.at(np.asarray(-distance if end == "min" else 1 + distance)))
    if isinstance(axis, Real):
        return axis.scale.tidy(value, up=end == "max")
    if end == "min":
        return int(min(round(value), axis.scale.min - 1))
    return int(max(round(value), axis.scale.max + 1))


def _note(axis: Real | Integer, end: str, old: float, new: Any, seen: Seen, at_edge: bool) -> str:
    change = f"{axis.text(old)} -> {axis.text(new)}"
    lower = end == "min"
    if new == old:
        reason = (
            "the best sits there, but it can go no further"
            if at_edge
            else (f"the best trials {_listed(seen)} spread that far")
        )
        return f"kept: {reason}"
    if (new < old) == lower:
        return f"{change}: widened, the best trial {seen[0][0]} sits on this edge"
    return f"{change}: the best trials {_listed(seen)} are {'above' if lower else 'below'}"
