"""All runs of a folder: how far each came, how old it is, and whether it is due for a retest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hpsearch.changed import changes_since
from hpsearch.config import Config
from hpsearch.errors import HpsearchError
from hpsearch.finding import all_runs
from hpsearch.report.table import Column, Table, measure_text
from hpsearch.runs import load_by_hand, load_run
from hpsearch.standings import end_of, trials_of
from hpsearch.store import RunFolder
from hpsearch.story import Story
from hpsearch.strategies import Listed
from hpsearch.trial import Result, none_complete_text, ranked

UNREADABLE = "unreadable"
STATES = ("running", "complete", "interrupted", "failed", UNREADABLE)
LONGEST = 40
"""Letters of the column `due`; all of a reason is told elsewhere."""


@dataclass(frozen=True)
class Entry:
    """One run."""

    name: str
    state: str
    """One of STATES."""
    trials: int
    metric: str | None
    best: float | None
    best_trial: int | None
    last: datetime | None
    """When its last trial ended, or else when it was begun."""
    parent: str | None
    is_retest: bool
    changes: tuple[str, ...]
    """What of data, code and versions changed since."""
    problem: str | None = None
    """Why it cannot be read, or that no trial is complete."""
    by_hand: bool = False
    """Whether it is one model that was trained by hand, which no retest can repeat."""


def entries(runs: Path) -> list[Entry]:
    """Return all runs of a folder, the newest last; one that cannot be read hides no other.

    Those that cannot be read come last of all, as their age is not known.
    """
    found = [_entry(folder) for folder in all_runs(runs)]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda each: (each.state == UNREADABLE, each.last or never, each.name))


def _entry(folder: RunFolder) -> Entry:
    try:
        if folder.has_acts():
            return _by_hand(folder)
        config = load_run(folder, with_data=False)
        results = trials_of(config, folder.results(curves=False))
    except HpsearchError as error:
        why = str(error).partition("\n")[0]
        return Entry(folder.name, UNREADABLE, 0, None, None, None, None, None, False, (), why)
    best = next((each for each in ranked(results, config.goal) if each.score is not None), None)
    return Entry(
        name=folder.name,
        state=_state(config, folder, results, best),
        trials=len(results),
        metric=config.metric_name,
        best=None if best is None else best.score,
        best_trial=None if best is None else best.trial,
        last=_last(folder, results),
        parent=config.parent,
        is_retest=isinstance(config.strategy, Listed),
        changes=tuple(_changes(config, folder)),
        problem=none_complete_text(folder.name, results),
    )


def _by_hand(folder: RunFolder) -> Entry:
    """Return the entry of a model that is trained by hand, whose branches count as trials."""
    config, story = load_by_hand(folder, with_data=False), Story(folder.acts())
    curve = story.curve() if story else []
    state = "complete" if story and story.finished else "interrupted"
    return Entry(
        name=folder.name,
        state="running" if folder.is_being_written() else state,
        trials=len(story.branches),
        metric=config.metric_name,
        best=curve[-1] if curve else None,
        best_trial=story.current if curve else None,
        last=_last(folder, ()),
        parent=config.parent,
        is_retest=False,
        changes=(),
        by_hand=True,
    )


def _state(
    config: Config, folder: RunFolder, results: Sequence[Result], best: Result | None
) -> str:
    if folder.is_being_written():
        return "running"
    reason = end_of(config, folder, results)
    if reason is None:
        return "interrupted"
    return "failed" if reason == "failures" or best is None else "complete"


def _changes(config: Config, folder: RunFolder) -> list[str]:
    try:
        return changes_since(config, folder)
    except HpsearchError as error:
        return [str(error).partition("\n")[0]]


def _last(folder: RunFolder, results: Sequence[Result]) -> datetime | None:
    """Return when a run's last trial ended, or else when its last command began."""
    starts = [each.get("started") for each in folder.provenance().get("sessions", [])]
    moments = [(start, 0.0) for start in starts if start]
    moments += [(each.started, each.seconds) for each in results if each.started]
    found = []
    for start, seconds in moments:
        try:
            moment = datetime.fromisoformat(start)
        except ValueError:
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found.append(aware + timedelta(seconds=seconds))
    return max(found, default=None)


def due(entry: Entry, every: Sequence[Entry], now: datetime, older_than: timedelta) -> str | None:
    """Say why a run should be retested; None where it need not be.

    A retest that is complete counts instead of the run: then it is the retest that can be too old.
    """
    if entry.is_retest or entry.by_hand or entry.state != "complete":
        return None
    retests = [
        each
        for each in every
        if each.is_retest and each.parent == entry.name and each.state == "complete"
    ]
    latest = max([entry, *retests], key=lambda each: each.last or datetime.min.replace(tzinfo=UTC))
    if latest.changes:
        more = f" and {len(latest.changes) - 1} more" if len(latest.changes) > 1 else ""
        return latest.changes[0] + more
    if latest.last is not None and now - latest.last > older_than:
        return f"older than {age_text(older_than)}"
    return None


def age_text(age: timedelta) -> str:
    """Write an age in its largest unit: 5s, 12m, 3h, 40d."""
    seconds = max(0, int(age.total_seconds()))
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"


def overview_table(
    found: Sequence[Entry], reasons: Mapping[str, str | None], now: datetime
) -> Table:
    """Return one row per run; `reasons` say why one is due for a retest."""
    texts = {each.best: measure_text(each.metric or "") for each in found}
    columns = (
        Column("run"),
        Column("state"),
        Column("trials"),
        Column("best", lambda best: texts[best](best)),
        Column("age"),
        Column("parent", spare=2),
        Column("due", spare=1),
        Column("metric", spare=3),
    )
    rows = tuple(
        (
            each.name,
            each.state,
            each.trials,
            each.best,
            None if each.last is None else age_text(now - each.last),
            each.parent,
            _due_text(each, reasons[each.name]),
            each.metric,
        )
        for each in found
    )
    return Table(columns, rows)


def _due_text(entry: Entry, reason: str | None) -> str | None:
    """Return what the column `due` says: why a run is due, or else what is wrong with it."""
    if reason is None and entry.problem is None:
        return None
    text = f"* {reason}" if reason else f"! {problem_text(entry)}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def problem_text(entry: Entry) -> str:
    """Say what is wrong with a run, without the folder that the table names anyway."""
    text = entry.problem or ""
    before, between, rest = text.partition(f"{entry.name}/")
    return rest if between and " " not in before else text


def plain_entry(entry: Entry, reason: str | None, now: datetime) -> dict[str, Any]:
    """Return a run as plain data, for a script."""
    return {
        "run": entry.name,
        "state": entry.state,
        "trials": entry.trials,
        "metric": entry.metric,
        "best": entry.best,
        "best_trial": entry.best_trial,
        "last": None if entry.last is None else entry.last.isoformat(timespec="seconds"),
        "age_seconds": None if entry.last is None else (now - entry.last).total_seconds(),
        "parent": entry.parent,
        "retest": entry.is_retest,
        "due": reason,
        "problem": entry.problem,
    }
