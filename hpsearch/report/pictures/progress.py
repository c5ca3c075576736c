"""The best score so far, against the number of trials and against time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

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
    score_axis,
    short,
    whole_ticks,
)
from hpsearch.trial import Result, cost

TITLE = "Best score so far"


def progress(report: Report) -> Picture:
    """Draw the best score so far after each trial, and after each hour or second."""
    compared = comparable(report.ranked)
    if not compared:
        return Picture("progress", TITLE, "", (), missing=NONE_COMPLETE)
    run = report.run
    scored, _, notes = report.drawn
    drawn = [each for each in scored if each.score is not None]
    y, note = score_axis(
        run.metric,
        [each.score for each in drawn if each.score is not None],
        [each.score for each in report.good if each.score is not None],
    )
    by_number = sorted(compared, key=lambda each: each.trial)
    at = [float(each.trial + 1) for each in by_number]
    last = max(each.trial for each in run.results) + 1.0
    few = whole_ticks(int(last)) if last <= FEW else None
    places = {each.trial: each.trial + 1.0 for each in drawn}
    panels = [
        Panel(
            "against trials",
            Axis("trials", 0, 1.03 * last, few),
            y,
            (*_points(report, drawn, places), _steps(by_number, at, run.goal, last)),
            note,
        )
    ]
    ends = busy_seconds(report.steps)
    if ends:
        final = {each.trial: ends[each.order] for each in _last_steps(report.steps)}
        by_time = sorted(compared, key=lambda each: (final[each.trial], each.trial))
        longest = max(ends.values())
        unit, name = _unit(longest)
        times = [short(final[each.trial] / unit) for each in by_time]
        places = {each.trial: short(final[each.trial] / unit) for each in drawn}
        longest = longest / unit
        panels.append(
            Panel(
                "against time",
                Axis(f"{name} in which trials ran", 0, 1.03 * longest or 1),
                y,
                (*_points(report, drawn, places), _steps(by_time, times, run.goal, longest)),
                note,
            )
        )
    if len(compared) < len(report.ranked):
        notes = (*notes, "The line goes by the trials that reached the highest rung.")
    return Picture(
        "progress",
        TITLE,
        "A line that has been flat for long says that more trials of this kind will hardly help: "
        "refine the ranges, or change what is searched.",
        tuple(panels),
        notes,
    )


def comparable(best_first: Sequence[Result]) -> list[Result]:
    """Return the trials whose scores can be compared with the best one's: those of its rung."""
    return [
        each
        for each in best_first
        if each.rung == best_first[0].rung
        and (each.rung is None or (each.ended_early is None) == (best_first[0].ended_early is None))
    ]


def best_so_far(results: Sequence[Result], goal: str) -> list[float]:
    """Return the best score among the first so many, for each of them: never worse than before."""
    best: list[float] = []
    lowest = float("inf")
    for each in results:
        lowest = min(lowest, cost(each, goal))
        best.append(lowest if goal == "minimize" else -lowest)
    return best


def busy_seconds(steps: Sequence[Result]) -> dict[int, float]:
    """Return when each step ended, counting only the time in which any step ran.

    So a night between two sessions is no flat line. Empty where the record does not say when they
    began.
    """
    spans: list[tuple[float, float, int]] = []
    for each in steps:
        try:
            start = datetime.fromisoformat(each.started).timestamp()
        except ValueError:
            return {}
        spans.append((start, start + each.seconds, each.order))
    spans.sort()
    ended: dict[int, float] = {}
    idle, reached = (spans[0][0], spans[0][0]) if spans else (0.0, 0.0)
    for start, end, order in spans:
        if start > reached:
            idle += start - reached
        reached = max(reached, end)
        ended[order] = end - idle
    return ended


def _last_steps(steps: Sequence[Result]) -> list[Result]:
    last = {each.trial: each for each in sorted(steps, key=lambda each: each.order)}
    return list(last.values())


def _unit(seconds: float) -> tuple[float, str]:
    if seconds >= 2 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if seconds >= 2 * 60 else (1.0, "seconds")


def _points(report: Report, drawn: Sequence[Result], places: dict[int, float]) -> list[Marks]:
    return [
        Points(
            role,
            tuple(places[each.trial] for each in group),
            tuple(short(each.score) for each in group if each.score is not None),
            tuple(each.trial for each in group),
        )
        for role, group in by_role(report, drawn).items()
    ]


def _steps(results: Sequence[Result], at: Sequence[float], goal: str, last: float) -> Lines:
    """Draw a staircase: a corner where the best changes, and a flat piece to the end."""
    x: list[float] = []
    y: list[float] = []
    for place, best in zip(at, best_so_far(results, goal), strict=True):
        if not y or short(best) != y[-1]:
            x += [place, place] if y else [place]
            y += [y[-1], short(best)] if y else [short(best)]
    return Lines("best", (Line((*x, short(last)), (*y, y[-1])),), "best so far")
