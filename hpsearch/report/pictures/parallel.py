"""Each trial as a line through all parameters."""

from __future__ import annotations

from hpsearch.report.picture import (
    ABSENT,
    NONE_COMPLETE,
    Axis,
    Line,
    Lines,
    Panel,
    Picture,
    Report,
    by_role,
    parameter_axis,
)
from hpsearch.report.table import measure_text
from hpsearch.trial import Result

TITLE = "Parallel coordinates"
MOST_LINES = 400
MOST_PARAMETERS = 12


def parallel(report: Report) -> Picture:
    """Draw one upright axis per parameter, the most important beside the score."""
    names = report.parameters[:MOST_PARAMETERS]
    if not names:
        return Picture("parallel", TITLE, "", (), missing="no parameter varies")
    scored, _, notes = report.thinned(MOST_LINES)
    if not scored:
        return Picture("parallel", TITLE, "", (), missing=NONE_COMPLETE)
    if len(report.parameters) > len(names):
        notes = (*notes, f"The {len(names)} most important parameters of {len(report.parameters)}.")
    names.reverse()
    space = report.run.space
    text = measure_text(report.run.metric)

    last = max(1, len(scored) - 1)
    rank = {each.trial: round(1 - i / last, 4) for i, each in enumerate(scored)}

    def heights(each: Result) -> tuple[float, ...]:
        places = [report.places[name].get(each.trial) for name in names]
        # By rank, as good scores lie close together, and their lines are the ones to tell apart.
        return (*(ABSENT if at is None else at for at in places), rank[each.trial])

    score_ticks = tuple(
        (rank[scored[i].trial], text(scored[i].score))
        for i in dict.fromkeys(
            round(share * (len(scored) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)
        )
    )
    axes = [
        parameter_axis(name, space.axes[name], absent=any(name not in e.params for e in scored))
        for name in names
    ]
    axes.append(Axis(f"{report.run.metric}, by rank", 0, 1, score_ticks))
    uprights = tuple(axes)
    xs = tuple(float(i) for i in range(len(uprights)))
    marks = tuple(
        Lines(role, tuple(Line(xs, heights(each), each.trial) for each in group))
        for role, group in by_role(report, scored).items()
    )
    lowest = min(axis.low for axis in uprights)
    return Picture(
        "parallel",
        TITLE,
        "Each trial is a line through its values, on the parameters' own scales, to its score at "
        "the right, the best on top. Where the lines of the best trials meet, a value matters; a "
        "click in the legend hides a group.",
        (
            Panel(
                "",
                Axis(
                    "",
                    -0.3,
                    len(uprights) - 0.5,
                    tuple((float(i), each.label) for i, each in enumerate(uprights)),
                    letters=20,
                ),
                Axis("", lowest, 1.06, ()),
                marks,
                uprights=uprights,
            ),
        ),
        notes,
        wide=True,
    )
