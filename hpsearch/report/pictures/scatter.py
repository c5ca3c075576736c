"""The score against each parameter, on the parameter's own scale."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.report.picture import (
    ABSENT,
    NONE_COMPLETE,
    Axis,
    Boxes,
    Marks,
    Panel,
    Picture,
    Points,
    Report,
    by_role,
    parameter_axis,
    score_axis,
    short,
)
from hpsearch.report.rounds import boxes
from hpsearch.space import Choice
from hpsearch.trial import Result

TITLE = "Score against each parameter"


def scatter(report: Report) -> Picture:
    """Draw a panel for each varied parameter, the most important first, zoom's boxes over it."""
    if not report.run.space.axes:
        return Picture("scatter", TITLE, "", (), missing="no parameter varies")
    scored, lost, notes = report.drawn
    if not scored:
        return Picture("scatter", TITLE, "", (), missing=NONE_COMPLETE)
    y, note = score_axis(
        report.run.metric,
        [each.score for each in scored if each.score is not None],
        [each.score for each in report.good if each.score is not None],
    )
    panels = tuple(_panel(report, name, scored, lost, y) for name in report.parameters)
    if any(isinstance(mark, Boxes) for panel in panels for mark in panel.marks):
        notes = (*notes, "Shaded: what each round of zoom was drawn from, the later the darker.")
    return Picture(
        "scatter",
        TITLE,
        "Each on its own scale. Best trials away from both ends say that the range is good, best "
        "trials at an end that it should move; no pattern, that the parameter hardly matters.",
        panels,
        (*notes, *((note,) if note else ())),
    )


def _panel(report: Report, name: str, scored: list[Result], lost: list[Result], y: Axis) -> Panel:
    axis = report.run.space.axes[name]
    absent = any(name not in each.params for each in [*scored, *lost])
    marks: list[Marks] = []
    bands = list(_bands(report, name))
    if bands:
        low, high, texts = zip(*bands, strict=True)
        marks.append(Boxes("box", low, high, texts, "rounds of zoom"))
    best_is_high = report.run.goal == "maximize"
    inside = 0.03 * (y.high - y.low)
    edge = y.low + inside if best_is_high else y.high - inside
    for role, group in by_role(report, [*lost, *scored]).items():
        places = [report.places[name].get(each.trial) for each in group]
        x = tuple(ABSENT if each is None else each for each in places)
        heights = tuple(edge if each.score is None else short(each.score) for each in group)
        trials = tuple(each.trial for each in group)
        label = "no score (at the edge)" if role == "lost" else ""
        marks.append(Points(role, x, heights, trials, label, "cross" if role == "lost" else "dot"))
    return Panel(name, parameter_axis(name, axis, absent=absent), y, tuple(marks))


def _bands(report: Report, name: str) -> Iterator[tuple[float, float, str]]:
    """Yield what each round drew the parameter from, where that is not all of its axis."""
    axis = report.run.space.axes[name]
    for label, box in boxes(report.run.results):
        side = box.get(name)
        if side is None or isinstance(axis, Choice):
            continue
        yield short(axis.to_unit(side["min"])), short(axis.to_unit(side["max"])), f"round {label}"
