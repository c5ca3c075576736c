"""The learning curves of all trials over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from hpsearch.report.picture import (
    FEW,
    NONE_COMPLETE,
    Axis,
    Line,
    Lines,
    Marks,
    Panel,
    Picture,
    Points,
    Report,
    by_role,
    evenly,
    score_axis,
    short,
    whole_ticks,
)
from hpsearch.trial import Result

TITLE = "Learning curves"
MOST_CURVES = 200
MOST_EPOCHS = 60
MOST_METRICS = 8


def curves(report: Report) -> Picture:
    """Draw a panel for each metric; the one that is searched for comes first."""
    scored, lost, notes = report.thinned(MOST_CURVES)
    shown = [each for each in [*scored, *lost] if each.curve]
    if report.ranked and all(len(each) < 2 for trial in shown for each in trial.curve.values()):
        shown = []
    metric = report.run.metric
    names = list(dict.fromkeys([metric, *(name for each in shown for name in each.curve)]))
    panels = [_panel(report, shown, name) for name in names[:MOST_METRICS]]
    found = tuple(panel for panel in panels if panel is not None)
    if not found:
        return Picture(
            "curves",
            TITLE,
            "",
            (),
            missing="no trial has a curve: each was measured once, at its end"
            if report.ranked
            else NONE_COMPLETE,
        )
    longest = max(len(values) for each in shown for values in each.curve.values())
    if longest > MOST_EPOCHS:
        notes = (*notes, f"Of up to {longest:,} epochs at most {MOST_EPOCHS} a curve are drawn.")
    return Picture(
        "curves",
        TITLE,
        "All trials over each other. A curve that still gets better at its end asks for longer "
        "training, one that jumps up and down for a smaller learning rate, and one that hardly "
        "moves for a larger.",
        found,
        notes,
        choose=True,
    )


def _panel(report: Report, shown: Sequence[Result], name: str) -> Panel | None:
    ends: dict[str, list[tuple[float, float, int]]] = {"stopped": [], "lost": []}
    marks: list[Marks] = []
    last, values = 1, []
    longest = max((len(each.curve.get(name, ())) for each in shown), default=0)
    for role, group in by_role(report, shown).items():
        lines: list[Line] = []
        alone: list[tuple[float, float, int]] = []
        for each in group:
            line = _line(each, name)
            if line is None:
                continue
            lines.append(line)
            known = [value for value in line.y if value is not None]
            last = max(last, int(line.x[-1]))
            values += known
            if role == "lost":
                ends["lost"].append((*_end(line), each.trial))
            elif len(each.curve[name]) < longest:
                ends["stopped"].append((*_end(line), each.trial))
            else:
                alone += ((x, y, each.trial) for x, y in _alone(line))
        if lines:
            marks.append(Lines(role, tuple(lines)))
        if alone:
            marks.append(_ends(role, alone, "", "dot"))
    if not values:
        return None
    if ends["stopped"]:
        label = "stopped at a rung" if any(e.rung is not None for e in shown) else "ended early"
        marks.append(_ends("plain", ends["stopped"], label, "end"))
    if ends["lost"]:
        marks.append(_ends("lost", ends["lost"], "diverged, failed or cut short", "cross"))
    best = [mark for mark in marks if mark.role == "best"]
    marks = [*(mark for mark in marks if mark.role != "best"), *best]
    y, note = score_axis(name, values, _good_ends(report, shown, name))
    few = whole_ticks(last) if last <= FEW else None
    return Panel(name, Axis("epoch", 0.5, last + 0.5, few), y, tuple(marks), note)


def _good_ends(report: Report, shown: Sequence[Result], name: str) -> list[float]:
    """Return where the curves of the better half end, which a picture is looked at for."""
    good = {each.trial for each in report.good}
    lines = (_line(each, name) for each in shown if each.trial in good)
    return [_end(line)[1] for line in lines if line is not None]


def _line(result: Result, name: str) -> Line | None:
    """Return a trial's curve, thinned; None where it has no finite value."""
    curve = result.curve.get(name, ())
    places = evenly(range(len(curve)), MOST_EPOCHS)
    if not any(curve[i] is not None for i in places):
        return None
    values = (curve[i] for i in places)
    return Line(
        tuple(float(i + 1) for i in places),
        tuple(None if value is None else short(value) for value in values),
        result.trial,
    )


def _alone(line: Line) -> Iterator[tuple[float, float]]:
    """Yield the points that no line leads to: a curve of one epoch has nothing else."""
    around = (None, *line.y, None)
    for i, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        if y is not None and around[i] is None and around[i + 2] is None:
            yield x, y


def _end(line: Line) -> tuple[float, float]:
    """Return the last point that is finite."""
    x, y = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None][-1]
    return x, y


def _ends(
    role: str,
    ends: list[tuple[float, float, int]],
    label: str,
    shape: Literal["dot", "cross", "end"],
) -> Points:
    x, y, trials = zip(*ends, strict=True)
    return Points(role, x, y, trials, label, shape)
