"""From results to tables: plain columns and rows, not yet in any format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.diagnosis import SHORT_VERDICTS, diagnose
from hpsearch.errors import UserError, nearest
from hpsearch.repeats import standard_error
from hpsearch.report.ties import tied
from hpsearch.space import Space, option_text
from hpsearch.trial import Params, Result, cost, ranked, standing

Text = Callable[[Any], str]

LUCK = (
    "The best of many trials is partly luck on the dev set: expect it to do a little worse on new "
    "data."
)


def number_text(value: Any) -> str:
    """Write a measured number with four significant digits, a missing one as a dash."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def share_text(value: Any) -> str:
    """Write an error or accuracy with four decimals, so that a column of them lines up.

    What is no share, as it lies beyond 0 and 1 or is smaller than one example of many thousands
    could make it, is written as any number.
    """
    if value == 0:
        return "0"
    return (
        f"{value:.4f}" if isinstance(value, float) and 0.0001 <= value <= 1 else number_text(value)
    )


def is_share(name: str) -> bool:
    """Tell whether a metric of that name is a share, of the examples say."""
    return name.endswith(("_error", "_accuracy")) or name in ("error", "accuracy")


def measure_text(name: str) -> Text:
    """Return how a metric of that name is written for a person."""
    return share_text if name.endswith(("_error", "_accuracy")) else number_text


def _error_of(text: Text) -> Text:
    """Write the standard error of a share as the share, of another score with two digits."""
    if text is share_text:
        return text
    return lambda value: f"{value:.2g}" if value < 100 else number_text(value)


def _seconds_text(value: Any) -> str:
    return f"{value:.2f}"


@dataclass(frozen=True)
class Column:
    """A column's name, and how a person reads its cells; files get the cells as they are."""

    name: str
    text: Text = number_text
    spare: int = 0
    """Where a terminal is too narrow, the column with the highest is left out first; 0 never."""
    title: str | None = None
    """What it is called on a terminal; its name if None."""
    on_terminal: bool = True
    """False for what is said otherwise there."""


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain values."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def without(self, places: Collection[int]) -> Table:
        """Return the table without the columns at `places`, counted from 0."""
        kept = [i for i in range(len(self.columns)) if i not in places]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return Table(tuple(self.columns[i] for i in kept), rows)

    def for_terminal(self) -> Table:
        """Return the table as a terminal shows it: some columns left out, some renamed."""
        table = self.without([i for i, each in enumerate(self.columns) if not each.on_terminal])
        columns = (replace(each, name=each.title or each.name) for each in table.columns)
        return Table(tuple(columns), table.rows)

    def shortened(self, width: int, whole: int = 0) -> Table:
        """Return the table with long texts cut, so that it is no wider than `width` if possible.

        The widest columns give way first; none is cut below a few letters.

        whole: So many columns from the left are not cut.
        """
        cells = [list(self.names), *self.texts()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        limits = list(widths)
        while sum(limits) + 2 * (len(limits) - 1) > width and max(limits[whole:]) > SHORTEST:
            limits[limits.index(max(limits[whole:]), whole)] -= 1
        rows = tuple(
            tuple(_cut(cell, limit) for cell, limit in zip(row, limits, strict=True))
            for row in self.rows
        )
        return Table(self.columns, rows)

    def texts(self) -> list[list[str]]:
        """Return the cells as a person reads them."""
        return [
            [
                "-" if cell is None else printable(column.text(cell))
                for column, cell in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]


SHORTEST = 8
"""Letters that a cut text keeps at least."""


def _cut(cell: Any, limit: int) -> Any:
    """Cut a text to so many letters; numbers stay."""
    if not isinstance(cell, str) or len(cell) <= limit:
        return cell
    return f"{cell[: limit - 3]}..."


def printable(text: str) -> str:
    """Show control characters, which could break a line or steer a terminal, as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True)
class Run:
    """What a leaderboard needs to know of one run."""

    name: str
    metric: str
    goal: str
    optimal_error: float
    space: Space
    results: Sequence[Result]
    constants: Params = field(default_factory=dict)
    """Settings that do not vary here, but may in a run beside it."""
    data: str | None = None
    """The SHA-256 of the data, where they are known."""


def trials_table(space: Space, constants: dict[str, Any], results: Iterable[Result]) -> Table:
    """One row per trial, by number: all that is known of it, `seconds` last.

    With repeats the standard error of the score stands beside it. Where trials are trained in steps
    `trained_to` is the epoch that each was trained to, and `epochs` counts what that took.

    Only `seconds` may differ between two runs of one config, unless budget.time ended trials in
    them: then the column `ended_early` says which, and after how many epochs.
    """
    ordered = sorted(results, key=lambda result: result.trial)
    names, row = trials_columns(space, constants, ordered)
    return Table(tuple(Column(name) for name in names), tuple(map(row, ordered)))


def trials_columns(
    space: Space, constants: dict[str, Any], ordered: Sequence[Result]
) -> tuple[list[str], Callable[[Result], tuple[Any, ...]]]:
    """Return the names of the columns of `trials_table`, and what makes a row.

    ordered: All trials by number, or one of each kind that there is.
    """
    repeated = ["score_error"] if any(result.scores for result in ordered) else []
    early = ["ended_early"] if any(result.ended_early for result in ordered) else []
    counts = [*_rungs(ordered), *_counted(ordered, {*space.names, *constants})]
    taken = {"trial", "status", "score", *repeated, *counts, "seconds", *early}
    taken |= {*space.names, *constants}
    reported = dict.fromkeys(name for result in ordered for name in result.metrics)
    metrics = [name for name in reported if name not in taken]  # a program may echo its settings
    names = ["trial", "status", "score", *repeated, *counts, *metrics, *space.names, *constants]
    names += [*early, "seconds"]

    def row(result: Result) -> tuple[Any, ...]:
        return (
            result.trial,
            result.status,
            result.score,
            *(_score_error(result) for _ in repeated),
            *(_trained_to(result) if name == TRAINED_TO else result.epochs for name in counts),
            *(result.metrics.get(name) for name in metrics),
            *(result.params.get(name) for name in space.names),
            *constants.values(),
            *(result.ended_early for _ in early),
            result.seconds,
        )

    return names, row


TRAINED_TO = "trained_to"


def _rungs(results: Iterable[Result]) -> list[str]:
    """Return the column of the epochs that trials were trained to, if they differ by rung."""
    return [TRAINED_TO] if any(result.rung is not None for result in results) else []


def _trained_to(result: Result) -> int | None:
    """Return the epochs of the rung that a trial reached; None where time ended it before."""
    return None if result.ended_early else result.budget


def _counted(results: Iterable[Result], names: Collection[str]) -> list[str]:
    """Return the column of the epochs that trials took, where any were counted.

    names: Those of the settings; one of them may be called `epochs`.
    """
    known = any(result.epochs is not None for result in results)
    return ["epochs"] if known and "epochs" not in names else []


def leaderboard(runs: Sequence[Run]) -> Table:
    """The trials of one or several runs, best first; those without a score last.

    Columns: rank, (run,) trial, score, (score_error and tied where there are repeats,) (trained_to
    where there are rungs: a higher one stands first,) the varied parameters, train and dev error
    and the diagnosis where the objective reports them, else the training set's figure where the
    score is the dev set's, (status,) seconds.

    Raises:
        UserError: the runs are not scored by the same metric on the same data.
    """
    first = runs[0]
    for run in runs[1:]:
        if (run.metric, run.goal) != (first.metric, first.goal):
            raise UserError(
                f"runs with different metrics have no common ranking: {first.name} is to "
                f"{first.goal} {first.metric}, {run.name} to {run.goal} {run.metric}"
            )
        if run.data != first.data:
            raise UserError(
                f"the runs {first.name} and {run.name} were measured on different data, so their "
                "scores have no common ranking; report them one by one"
            )
    params = _varied(runs)
    reported = {name for run in runs for result in run.results for name in result.metrics}
    errors = [name for name in ("train_error", "dev_error") if name in reported]
    part, _, figure = first.metric.partition("_")
    beside = [f"train_{figure}"] if part == "dev" and not errors else []
    beside = [name for name in beside if name in reported]
    score_text = measure_text(first.metric)
    repeated = any(result.scores for run in runs for result in run.results)
    rungs = _rungs(result for run in runs for result in run.results)
    has_status = any(result.status != "complete" for run in runs for result in run.results)
    columns = (
        Column("rank"),
        *((Column("run"),) if len(runs) > 1 else ()),
        Column("trial"),
        Column("score", score_text),
        *((Column("score_error", _error_of(score_text), title="±"),) if repeated else ()),
        *((Column("tied", _tied_text, on_terminal=False),) if repeated else ()),
        *((Column(TRAINED_TO, title="epochs"),) if rungs else ()),
        *(Column(name, text, spare=1) for name, text in params.items()),
        *(Column(name, share_text, spare=5 if name == first.metric else 3) for name in errors),
        *(Column(name, measure_text(name), spare=3) for name in beside),
        *((Column("diagnosis", SHORT_VERDICTS.__getitem__, 2),) if len(errors) == 2 else ()),
        *((Column("status"),) if has_status else ()),
        Column("seconds", _seconds_text, spare=4),
    )
    pairs = [(run, result) for run in runs for result in ranked(run.results, run.goal)]
    # Each run has rungs of its own, or none: what went furthest in one stands beside the other's.
    furthest = {
        run.name: min((standing(each, run.goal)[0] for each in run.results), default=0)
        for run in runs
    }

    def place(pair: tuple[Run, Result]) -> tuple[float, float]:
        run, result = pair
        level, by = standing(result, run.goal)
        return (level if result.score is None else level - furthest[run.name]), by

    pairs.sort(key=place)
    costs = [
        cost(result, run.goal)
        for run, result in pairs
        if result.score is not None and place((run, result))[0] == 0
    ]
    same = tied(costs, [result.scores for _, result in pairs[: len(costs)]]) if repeated else []
    rows = []
    for rank, (run, result) in enumerate(pairs, start=1):
        rows.append(
            (
                rank if result.score is not None else None,
                *((run.name,) if len(runs) > 1 else ()),
                result.trial,
                result.score,
                *((_score_error(result),) if repeated else ()),
                *((same[rank - 1] if rank <= len(same) else None,) if repeated else ()),
                *((_trained_to(result),) if rungs else ()),
                *(_setting(run, result, name) for name in params),
                *(result.metrics.get(name) for name in [*errors, *beside]),
                *((_verdict(run, result),) if len(errors) == 2 else ()),
                *((result.status,) if has_status else ()),
                result.seconds,
            )
        )
    return Table(columns, tuple(rows))


def _tied_text(value: bool) -> str:
    return "with the best" if value else "no"


def _score_error(result: Result) -> float | None:
    return None if result.score is None else standard_error(result.scores)


def _varied(runs: Sequence[Run]) -> dict[str, Text]:
    """Return the parameters that vary, with the way to write each; constant columns are hidden."""
    texts: dict[str, Text] = {}
    for run in runs:
        for name, axis in run.space.axes.items():
            texts.setdefault(name, axis.text)
    for name in list(texts):
        given = {repr(_setting(run, result, name)) for run in runs for result in run.results}
        if len(given) == 1 and sum(len(run.results) for run in runs) > 1:
            del texts[name]
        elif any(name not in run.space.axes for run in runs):
            texts[name] = option_text
    return texts


def _setting(run: Run, result: Result, name: str) -> Any:
    return result.params.get(name, run.constants.get(name))


def _verdict(run: Run, result: Result) -> str | None:
    train, dev = result.metrics.get("train_error"), result.metrics.get("dev_error")
    if result.status != "complete" or train is None or dev is None:
        return None
    return diagnose(train, dev, run.optimal_error).verdict


def sort_table(table: Table, by: str) -> Table:
    """Sort by a column, ascending; `-name` descending; empty cells last; ranks stay as they are.

    The column is no longer left out where a terminal is too narrow.

    Raises:
        UserError: no such column.
    """
    name, descending = by.removeprefix("-"), by.startswith("-")
    if name not in table.names:
        meant = nearest(name, list(table.names))
        hint = f"Did you mean '{meant}'? " if meant else ""
        raise UserError(
            f"there is no column '{name}' to sort by\n{hint}Columns: {', '.join(table.names)}."
        )
    index = table.names.index(name)
    filled = [row for row in table.rows if row[index] is not None]
    empty = [row for row in table.rows if row[index] is None]
    texts = any(not isinstance(row[index], int | float) for row in filled)
    filled.sort(key=lambda row: str(row[index]) if texts else row[index], reverse=descending)
    columns = list(table.columns)
    columns[index] = replace(columns[index], spare=0)
    return Table(tuple(columns), (*filled, *empty))
