"""Of a run's record: which trials count, which of them lead, and what ended the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.ending import Ending
from hpsearch.errors import UserError
from hpsearch.outline import Outline, Searched, decode
from hpsearch.report.table import Run
from hpsearch.store import CONFIG, OUTLINE, RunFolder
from hpsearch.trial import Result, joined, none_complete_text, ranked, trials_text

if TYPE_CHECKING:
    from hpsearch.config import Config


FEWEST_TO_REFINE = 3
"""Complete trials below which a box around the best says nothing."""


def outline_of(folder: RunFolder) -> Outline:
    """Return what a leaderboard needs to know of a run's config.

    Without reading that, where what is kept of it holds.

    Raises:
        UserError, MachineError: as `runs.load_run`, for a report, does.
    """
    kept = None if folder.has_acts() else _kept(folder)
    if kept is not None:
        folder.earlier()  # which a run that was damaged has not
        return kept
    from hpsearch.runs import load_run

    return load_run(folder, with_data=False).outline


def keep_outline(config: Config, folder: RunFolder) -> None:
    """Have a run's next reports find what they need to know of its config."""
    if _kept(folder) is None:
        line = config.outline.encode(_origin(folder))
        if line is not None:
            folder.write(OUTLINE, line)


def _kept(folder: RunFolder) -> Outline | None:
    """Return the outline that lies in a run's folder, where it is that of the config there."""
    return decode(folder.read(OUTLINE), _origin(folder))


def _origin(folder: RunFolder) -> dict[str, Any]:
    """Return all that a run's config is made of when it is read for a report."""
    provenance = folder.provenance()
    return {
        "name": folder.name,
        "config": (folder.read(CONFIG) or b"").decode(errors="surrogateescape"),
        "folder": provenance.get("config", {}).get("folder"),
        "parameters": provenance.get("identity", {}).get("parameters"),
    }


def run_of(config: Searched, results: Sequence[Result]) -> Run:
    """Return what a leaderboard needs to know of a run."""
    return Run(
        config.name, config.metric_name, config.goal, config.optimal_error, config.space, results
    )


def counted(config: Searched, results: Sequence[Result]) -> list[Result]:
    """Leave out what ran beyond the trial, or the step, at which the budget ended the search."""
    ending = ending_of(config)
    for result in results:
        ending.add(result)
    if ending.reason is None:
        return list(results)
    return [result for result in results if result.order < ending.counted]


@dataclass(frozen=True)
class Leading:
    """The best of a run, and what is to be said of all of its trials."""

    run: Run
    """Its leaderboard has the same columns and the same first rows as that of all trials."""
    trials: int
    complete: int
    """How many of them have a score."""
    is_whole: bool
    """Whether all trials are there that the budget allows, and no others count."""
    lines: int
    """How many lines of the record count: more than trials, where these have several steps."""
    early: int
    """How many trials budget.time ended early."""
    ended: str
    """As `how_it_ended` says."""


def leading(config: Searched, folder: RunFolder, top: int | None) -> Leading:
    """Return what the first rows of a run's leaderboard are made of, and how many trials it has.

    top: How many rows are wanted; None for all.

    Raises:
        UserError: the record was written by a newer hpsearch.
        MachineError: the record is damaged, where it was read.
    """
    found = None if top is None else by_index(config, folder, top)
    if found is not None:
        return found
    return of_all(config, folder, counted(config, folder.results(curves=False)))


def of_all(config: Searched, folder: RunFolder, results: Sequence[Result]) -> Leading:
    """Return what leads a run, from all that counts of its record."""
    trials = joined(results)
    early = sum(result.ended_early is not None for result in trials)
    ended = how_it_ended(config, folder, trials)
    complete = sum(result.score is not None for result in trials)
    run = run_of(config, trials)
    return Leading(run, len(trials), complete, False, len(results), early, ended)


def by_index(config: Searched, folder: RunFolder, top: int) -> Leading | None:
    """Find the best trials of a large record without reading all of it; None if that is needed.

    It is where trials have several lines or scores, where it is to be judged at which trial
    patience or failures ended the search, and where a parameter may not vary after all.
    """
    budget = config.budget
    if config.in_steps or budget.patience is not None:
        return None
    sign = 1 if config.goal == "minimize" else -1
    found = folder.look(limit=config.limit, sign=sign, top=max(top, 2))
    if found is None or found.lost >= budget.failures:
        return None
    results = list(folder.lines(found.lines))
    for name in config.space.axes:
        if len({repr(result.params.get(name)) for result in results}) == 1:
            return None
    reason = _end(config, folder, "trials" if found.is_whole else None, found.trials)
    ended = _ending_text(config, reason, found.trials, found.early)
    trials, run = found.trials, run_of(config, results)
    complete = trials - found.lost
    return Leading(run, trials, complete, found.is_whole, trials, found.early, ended)


def trials_of(config: Searched, results: Sequence[Result]) -> list[Result]:
    """Return one result for each trial that counts, by number."""
    return joined(counted(config, results))


def check_begun(folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise UserError where a run has no finished trial yet, with what to do about it."""
    if results:
        return
    if folder.is_being_written():
        raise UserError(
            f"the run {folder.name} has no finished trial yet: it is being written at this moment\n"
            f"To see its trials as they come: hpsearch report {folder.argument} --watch"
        )
    raise UserError(
        f"the run {folder.name} has no finished trial yet\n"
        f"To go on with it: hpsearch resume {folder.argument}"
    )


def check_complete(folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise UserError where a run has no finished trial yet, or none with a score."""
    check_begun(folder, results)
    text = none_complete_text(folder.name, results)
    if text is not None:
        raise UserError(f"{text}\nAll of them, and why: hpsearch report {folder.argument} --all")


def best_of(config: Searched, folder: RunFolder) -> tuple[Result, list[Result]]:
    """Return the best trial, with its curve, and all that count.

    Raises:
        UserError: there is none yet, or none has a score.
    """
    results = trials_of(config, folder.results())
    check_complete(folder, results)
    return ranked(results, config.goal)[0], results


def best_of_parent(config: Config, folder: RunFolder) -> tuple[str, int, float] | None:
    """Return the name, best trial and best score of the run that a run refines, if it is there."""
    parent = RunFolder(folder.path.parent / config.parent) if config.parent else None
    if parent is None or not parent.exists() or not config.space.axes:
        return None
    measured = parent.provenance().get("identity", {}).get("metric")
    if measured != {"name": config.metric_name, "goal": config.goal}:
        return None
    best = ranked(joined(parent.results(curves=False)), config.goal)[:1]
    if not best or best[0].score is None:
        return None
    return parent.name, best[0].trial, best[0].score


def ending_of(config: Searched) -> Ending:
    """Return what decides at which trial a config's search ends."""
    budget = config.budget
    trials = None if config.in_steps else config.limit
    return Ending(config.goal, trials, budget.patience, budget.failures)


def how_it_ended(config: Searched, folder: RunFolder, results: Sequence[Result]) -> str:
    """Say which limit ended a run, or how far it has come.

    results: The trials that count, or all of the record.
    """
    early = sum(result.ended_early is not None for result in results)
    return _ending_text(config, end_of(config, folder, results), len(results), early)


def _ending_text(config: Searched, reason: str | None, trials: int, early: int) -> str:
    text = _ends(config).get(reason or "")
    if text is None:
        of = "" if config.limit is None else f"{trials} of "
        text = f"not finished: {of}{trials_text(config.limit or trials)} so far"
    return f"{text}, with {trials_text(early)} cut short by time" if early else text


def end_of(config: Searched, folder: RunFolder, results: Sequence[Result]) -> str | None:
    """Return which limit ended a run, as `Outcome.reason`; None for one that is not finished.

    results: The trials that count, or all of the record.
    """
    ending = ending_of(config)
    for result in sorted(results, key=lambda result: result.order):
        ending.add(result)
    trials = len({result.trial for result in results}) if config.in_steps else len(results)
    return _end(config, folder, ending.reason, trials)


def _end(config: Searched, folder: RunFolder, by_record: str | None, trials: int) -> str | None:
    """Return which limit ended a run, as `end_of`.

    by_record: Which did so by the record alone; None where it does not tell.
    trials: How many there are.
    """
    sessions = folder.provenance().get("sessions") or [{}]
    reason: str | None = sessions[-1].get("ended")
    if not config.in_steps:
        from_record = ("trials", "patience", "failures")
        reason = by_record or (None if reason in from_record else reason)
    elif reason == "trials" and trials < (config.limit or 0):
        reason = None  # the budget was raised since
    unlimited = {"time": config.budget.time is None, "epochs": config.budget.epochs is None}
    return None if reason not in _ends(config) or unlimited.get(reason or "") else reason


def _ends(config: Searched) -> dict[str, str]:
    """Say of each limit that it ended a run."""
    budget, unit = config.budget, "steps" if config.in_steps else "trials"
    return {
        "trials": f"ended by budget.trials ({config.limit})"
        if config.limit != config.size
        else f"the {config.method} is complete",
        "epochs": f"ended by budget.epochs ({budget.epochs})",
        "patience": f"ended by budget.patience ({budget.patience} {unit} without a gain)",
        "failures": f"ended by budget.failures ({budget.failures} in a row)",
        "time": f"ended by budget.time ({budget.time})",
        "space": "ended as there was nothing left to try",
    }
