"""What a search tried of two parameters, and what a grid of as many trials would have tried."""

from __future__ import annotations

import math
from itertools import combinations

from hpsearch.report.picture import (
    Marks,
    Panel,
    Picture,
    Points,
    Report,
    by_role,
    parameter_axis,
)
from hpsearch.space import Choice
from hpsearch.trial import Result, trials_text

TITLE = "Two parameters at a time, and a grid"
MOST_PARAMETERS = 7
"""The pairs of so many parameters can be chosen: 21."""


def projection(report: Report) -> Picture:
    """Draw a panel for each pair of parameters; the two most important ones come first."""
    names = report.parameters
    if len(names) < 2:
        return Picture("projection", TITLE, "", (), missing="fewer than two parameters vary")
    chosen = names[:MOST_PARAMETERS]
    scored, lost, notes = report.thinned(500)
    shown = [*lost, *scored]
    if len(names) > len(chosen):
        notes = (*notes, f"The pairs of the {len(chosen)} most important parameters.")
    return Picture(
        "projection",
        TITLE,
        "Every trial at its values of two parameters; hollow squares are where a grid of as many "
        "trials over all parameters would have been. Where only some parameters matter, a random "
        "search tries many values of those, and a grid tries few, again and again.",
        tuple(_panel(report, x, y, shown) for x, y in combinations(chosen, 2)),
        notes,
        choose=True,
    )


def grid_side(trials: int, parameters: int) -> int:
    """Return how many values of each parameter a grid of at most so many trials has."""
    return max(1, int(math.pow(trials, 1 / parameters) + 1e-9))


def _panel(report: Report, x: str, y: str, shown: list[Result]) -> Panel:
    axes = report.run.space.axes
    both = [each for each in shown if x in each.params and y in each.params]
    marks: list[Marks] = []
    side = grid_side(len(report.run.results), len(axes))
    columns, rows = (_grid_places(report, name, side) for name in (x, y))
    marks.append(
        Points(
            "grid",
            tuple(at for at in columns for _ in rows),
            tuple(at for _ in columns for at in rows),
            label="a grid of as many trials",
            shape="square",
        )
    )
    for role, group in by_role(report, both).items():
        places = [(report.places[x][each.trial], report.places[y][each.trial]) for each in group]
        marks.append(
            Points(
                role,
                tuple(a for a, _ in places),
                tuple(b for _, b in places),
                tuple(each.trial for each in group),
                shape="cross" if role == "lost" else "dot",
            )
        )
    return Panel(
        f"{x} and {y}",
        parameter_axis(x, axes[x]),
        parameter_axis(y, axes[y]),
        tuple(marks),
        _tried(report, x, y, side),
    )


def _grid_places(report: Report, name: str, side: int) -> tuple[float, ...]:
    """Return the places at even distances, both ends included; a choice has its options."""
    axis = report.run.space.axes[name]
    if isinstance(axis, Choice):
        return tuple(axis.to_unit(option) for option in axis.options[:side])
    return tuple(i / (side - 1) for i in range(side)) if side > 1 else (0.5,)


def _tried(report: Report, x: str, y: str, side: int) -> str:
    """Say how many values were tried, and how many a grid would have tried."""
    count = len(report.run.space.axes)
    return (
        f"The {trials_text(len(report.run.results))} tried {report.tried[x]:,} "
        f"value{'s' * (report.tried[x] != 1)} of {x} and {report.tried[y]:,} of {y}; a "
        f"grid of as many over the {count} parameters tries at most {side} of each."
    )
