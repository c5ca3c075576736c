"""Train error against dev error: which trials suffer from bias, and which from variance."""

from __future__ import annotations

from hpsearch.diagnosis import NOTABLE_GAP
from hpsearch.report.picture import (
    NONE_COMPLETE,
    Line,
    Lines,
    Marks,
    Panel,
    Picture,
    Points,
    Report,
    by_role,
    score_axis,
    short,
)

TITLE = "Bias and variance of each trial"


def errors(report: Report) -> Picture:
    """Draw each trial at its train and dev error, and the limits of the diagnosis."""
    scored, _, notes = report.drawn
    known = {
        each.trial: (short(train), short(dev))
        for each in scored
        if (train := each.metrics.get("train_error")) is not None
        and (dev := each.metrics.get("dev_error")) is not None
    }
    if not known:
        return Picture(
            "errors",
            TITLE,
            "",
            (),
            missing="the objective does not report train_error and dev_error"
            if report.ranked
            else NONE_COMPLETE,
        )
    good = [known[each.trial] for each in report.good if each.trial in known]
    x, _ = score_axis(
        "train_error", [train for train, _ in known.values()], [train for train, _ in good]
    )
    y, _ = score_axis("dev_error", [dev for _, dev in known.values()], [dev for _, dev in good])
    biased = report.run.optimal_error + NOTABLE_GAP
    marks: list[Marks] = [
        Lines("plain", (Line((biased, biased), (y.low, y.high)),), "bias to the right of it"),
        Lines(
            "plain",
            (Line((x.low, x.high), (x.low + NOTABLE_GAP, x.high + NOTABLE_GAP)),),
            "variance above it",
        ),
    ]
    for role, group in by_role(report, [each for each in scored if each.trial in known]).items():
        places = [known[each.trial] for each in group]
        trials = tuple(each.trial for each in group)
        marks.append(Points(role, tuple(a for a, _ in places), tuple(b for _, b in places), trials))
    return Picture(
        "errors",
        TITLE,
        "To the right of the upright line the training set itself is not learned (bias); above the "
        f"slanted one the dev set is more than {NOTABLE_GAP:.0%} worse than the training set "
        "(variance).",
        (Panel("", x, y, tuple(marks)),),
        notes,
    )
