"""The way of a model that was trained by hand, with the branches that were left."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.report.picture import (
    Axis,
    Line,
    Lines,
    Marks,
    Panel,
    Picture,
    Points,
    Report,
    score_axis,
    short,
)
from hpsearch.story import Branch, Story

TITLE = "The way of the model"
MOST_METRICS = 8


def path(report: Report) -> Picture:
    """Draw a panel for each metric; the one that decides comes first."""
    story = report.story
    if story is None or not any(branch.metrics for branch in story.branches):
        return Picture("path", TITLE, "", (), missing="no epoch was trained by hand")
    names = dict.fromkeys(
        [story.metric, *(n for branch in story.branches for each in branch.metrics for n in each)]
    )
    panels = [_panel(story, name) for name in [*names][:MOST_METRICS]]
    return Picture(
        "path",
        TITLE,
        "The thick line is the model there is now; the others are branches that it left, or that "
        "were kept beside it. A square is an act: what it did to the curve shows after it.",
        tuple(panel for panel in panels if panel is not None),
        choose=True,
    )


def _panel(story: Story, name: str) -> Panel | None:
    ways = {branch.number: story.curve(branch.number, name) for branch in story.branches}
    values = [value for way in ways.values() for value in way if value is not None]
    if not values:
        return None
    marks: list[Marks] = []
    for state, label in ((True, "branches that were left"), (False, "branches that were kept")):
        lines = [
            _line(ways[branch.number], max(shared, 1), branch.number)
            for branch in story.branches
            if branch.number != story.current and branch.left is state
            if (shared := _shared(story, branch)) < branch.epochs and branch.metrics
        ]
        if lines:
            marks.append(Lines("rest" if state else "middle", tuple(lines), label))
    present = ways[story.current]
    marks.append(Lines("best", (_line(present, 1, story.current),), "the model"))
    places = [
        (told.epoch, ways[told.branch][told.epoch - 1])
        for told in story.acts
        if 0 < told.epoch <= len(ways[told.branch])
    ]
    known = [(float(epoch), short(value)) for epoch, value in places if value is not None]
    if known:
        x, y = zip(*known, strict=True)
        marks.append(Points("plain", x, y, label="acts", shape="square"))
    axis, note = score_axis(name, values, [each for each in present[-1:] if each is not None])
    last = max(len(way) for way in ways.values())
    return Panel(name, Axis("epoch", 0.5, last + 0.5), axis, tuple(marks), note)


def _shared(story: Story, branch: Branch) -> int:
    """Return up to which epoch a branch need not be drawn: its parent or the model has it."""
    own = range(branch.start + 1, min(branch.epochs, story.epoch) + 1)
    return branch.start + sum(story.home(epoch) == branch.number for epoch in own)


def _line(way: Sequence[float | None], first: int, number: int) -> Line:
    """Return a curve from an epoch on."""
    values = way[first - 1 :]
    return Line(
        tuple(float(epoch) for epoch in range(first, first + len(values))),
        tuple(None if value is None else short(value) for value in values),
        number,
    )
