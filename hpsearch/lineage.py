"""The runs of one family: a coarse search, the finer ones that refine it, and what each gained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.config import Config
from hpsearch.errors import HpsearchError
from hpsearch.finding import all_runs
from hpsearch.report.table import Column, Table, measure_text
from hpsearch.runs import load_run
from hpsearch.space import Choice, ends
from hpsearch.standings import trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result, cost, ranked


@dataclass(frozen=True)
class Member:
    """One run of a family."""

    config: Config
    results: Sequence[Result]
    depth: int
    """How many refinements led to it from the run that the family begins with."""

    @property
    def best(self) -> Result | None:
        """The best trial; None where none is complete."""
        first = ranked(self.results, self.config.goal)[:1]
        return first[0] if first and first[0].score is not None else None


def family(folder: RunFolder) -> list[Member]:
    """Return all runs that descend from the one that a run descends from, parents first.

    Runs beside it that cannot be read belong to no family.

    Raises:
        UserError: the run itself cannot be read.
    """
    found = {folder.name: load_run(folder, with_data=False)}
    for other in all_runs(folder.path.absolute().parent):
        if other.name not in found:
            try:
                found[other.name] = load_run(other, with_data=False)
            except HpsearchError:
                continue
    first = folder.name
    seen = {first}
    while (parent := found[first].parent) in found and parent not in seen:
        seen.add(parent)
        first = parent
    places = {name: RunFolder(folder.path.parent / name) for name in found}
    return [
        Member(found[name], trials_of(found[name], places[name].results(curves=False)), depth)
        for name, depth in _descendants(first, found)
    ]


def _descendants(first: str, found: dict[str, Config]) -> Iterator[tuple[str, int]]:
    """Yield the names of a run and of all that refine it, with their depth."""
    waiting, seen = [(first, 0)], set[str]()
    while waiting:
        name, depth = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield name, depth
        children = sorted((each for each in found if found[each].parent == name), reverse=True)
        waiting += [(child, depth + 1) for child in children]


def family_table(members: Sequence[Member]) -> Table:
    """Return one row per run: its trials, its best, and what that gains over its parent's best.

    A gain is positive where the score is better, whichever way that is.
    """
    metrics = {member.config.metric_name for member in members}
    best = {member.config.name: member.best for member in members}
    rows = []
    for member in members:
        config, own = member.config, member.best
        before = best.get(config.parent or "")
        comparable = own is not None and before is not None and len(metrics) == 1
        gain = None
        if comparable and own is not None and before is not None:
            gain = cost(before, config.goal) - cost(own, config.goal)
        rows.append(
            (
                config.name,
                config.parent,
                config.method,
                len(member.results),
                *((None, None) if own is None else (own.trial, own.score)),
                gain,
            )
        )
    depths = {member.config.name: ". " * member.depth + member.config.name for member in members}
    text = measure_text(members[0].config.metric_name)
    columns = (
        Column("run", depths.__getitem__),
        Column("parent", spare=1),
        Column("method"),
        Column("trials"),
        Column("best_trial"),
        Column("best_score", text),
        Column("gain", lambda gain: ("-" if gain < 0 else "+") + text(abs(gain))),
    )
    return Table(columns, tuple(rows))


def ranges_table(members: Sequence[Member]) -> Table:
    """Return one row per parameter: its range in each run, coarse first."""
    names = dict.fromkeys(name for member in members for name in member.config.space.entries)
    rows = tuple((name, *(_range(member, name) for member in members)) for name in names)
    columns = (Column("parameter"), *(Column(member.config.name) for member in members))
    return Table(columns, rows)


def _range(member: Member, name: str) -> str | None:
    """Write what a parameter can be in a run; None where the run does not have it."""
    space, constants = member.config.space, member.config.objective.constants
    parts = space.entries.get(name)
    if parts is None:
        return str(constants[name]) if name in constants else None
    axis = space.axes[parts[0]]
    separator = ", " if isinstance(axis, Choice) else " .. "
    return separator.join(map(axis.text, ends(axis)))
