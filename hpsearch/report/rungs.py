"""What halving did: how far each trial was trained, who was stopped where, and what that saved."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch.report.table import Column, Table, measure_text
from hpsearch.trial import Result, cost, joined, trials_text


def rungs_table(
    results: Sequence[Result], goal: str, metric: str, rungs: Sequence[int]
) -> Table | None:
    """Return one row per rung: how many trials reached it and went on, and at which score.

    `last_that_went_on` is the worst score that was let on, `best_stopped` the best that was not.
    None for a run without rungs.

    results: Those of all steps; a trial that budget.time ended on its way reached no rung.
    rungs: The epochs of each rung.
    """
    steps = [each for each in results if each.rung is not None and not each.ended_early]
    went_on = {(result.trial, (result.rung or 0) - 1) for result in steps}
    top = len(rungs) - 1
    rows = []
    for rung, epochs in enumerate(rungs if steps else ()):
        here = [result for result in steps if result.rung == rung]
        scored = sorted(
            (result for result in here if result.score is not None),
            key=lambda result: cost(result, goal),
        )
        on = [result.score for result in scored if (result.trial, rung) in went_on]
        stopped = [result.score for result in scored if (result.trial, rung) not in went_on]
        is_top = rung == top
        rows.append(
            (
                rung + 1,
                epochs,
                len(here),
                len(here) - len(scored),
                None if is_top else len(on),
                scored[0].score if scored else None,
                None if is_top or not on else on[-1],
                None if is_top or not stopped else stopped[0],
            )
        )
    text = measure_text(metric)
    columns = (
        *(Column("rung"), Column("epochs"), Column("trials"), Column("failed")),
        Column("went_on"),
        *(Column(name, text) for name in ("best", "last_that_went_on", "best_stopped")),
    )
    return Table(columns, tuple(rows)) if rows else None


def stops_table(results: Sequence[Result], goal: str, metric: str) -> Table | None:
    """Return one row per trial: its score at each rung, and where and in which place it stopped.

    None for a run without rungs.

    results: Those of all steps.
    """
    steps = [result for result in results if result.rung is not None]
    epochs: dict[int, int] = {}
    scores: dict[tuple[int, int], float | None] = {}
    costs: dict[int, list[float]] = {}
    for result in steps:
        rung = result.rung or 0
        epochs[rung] = max(epochs.get(rung, 0), result.budget or 0)
        if not result.ended_early:
            scores[result.trial, rung] = result.score
            costs.setdefault(rung, []).append(cost(result, goal))
    rows = []
    for last in joined(steps):
        rung = last.rung or 0
        others = costs.get(rung, [])
        place = sum(other < cost(last, goal) for other in others) + 1
        rows.append(
            (
                last.trial,
                *(scores.get((last.trial, each)) for each in sorted(epochs)),
                None if last.ended_early else last.budget,
                last.status
                if last.status != "complete"
                else last.ended_early or f"{place} of {len(others)}",
            )
        )
    text = measure_text(metric)
    columns = (
        Column("trial"),
        *(Column(f"after_{epochs[each]}", text) for each in sorted(epochs)),
        Column("trained_to"),
        Column("place_there"),
    )
    return Table(columns, tuple(rows)) if rows else None


def epochs_text(results: Sequence[Result], whole: int) -> str | None:
    """Say how many epochs a halving took and saved; None for a run without rungs.

    results: Those of all steps.
    whole: The epochs of a whole training.
    """
    steps = [result for result in results if result.rung is not None]
    if not steps:
        return None
    trials = len({result.trial for result in steps})
    to_the_end = sum(
        result.budget == whole and result.score is not None and not result.ended_early
        for result in steps
    )
    repeats = max(1, *(len(result.scores) for result in steps))
    spent, every = sum(result.epochs or 0 for result in steps), trials * whole * repeats
    took = f"{spent:,} epoch{'s' * (spent != 1)}"
    each = f" {repeats} times" if repeats > 1 else ""
    return (
        f"{to_the_end} of {trials_text(trials)} went to {whole} epochs; all took {took}, "
        f"{abs(1 - spent / every):.0%} {'less' if spent <= every else 'more'} than {every:,} for "
        f"every trial trained that far{each}"
    )
