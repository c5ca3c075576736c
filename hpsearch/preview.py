"""What a config would do, as text: its trials, and where its draws fall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from hpsearch.config import Config
from hpsearch.loop import history_of, suggest
from hpsearch.report.formats import fitted, plain_text
from hpsearch.report.table import Column, Table
from hpsearch.scales import Integer, Real
from hpsearch.space import Axis, Choice
from hpsearch.trial import Trial

DRAWS = 1_000
BINS = 10
BLOCKS = "·▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#@"
"""The first mark stands for nothing: a blank would be cut off at an end of the cell."""


def summary(config: Config) -> str:
    """Say in a few lines what would run on what."""
    limit, repeats = config.limit, config.trial.repeats
    amount = f"{limit or 'unlimited'} trials"
    if config.budget.epochs is not None:
        within = f"{config.budget.epochs:,} epochs"
        amount = within if limit is None else f"{amount} within {within}"
    return "\n".join(
        [
            f"{config.name}: {amount} by {config.method} search, "
            f"{f'each on {repeats} seeds, ' if repeats > 1 else ''}"
            f"to {config.goal} {config.metric_name}, seed {config.seed}",
            config.objective.about(),
        ]
    )


def first_trials(config: Config, count: int, width: int) -> str:
    """Return the table of the first trials that would run, for a terminal of that width."""
    limit = config.limit
    trials = islice(_suggestions(config), count if limit is None else min(count, limit))
    columns = (
        Column("trial"),
        *(Column(name, axis.text, spare=1) for name, axis in config.space.axes.items()),
        Column("seed", spare=2),
    )
    rows = tuple(
        (trial.number, *map(trial.params.get, config.space.axes), trial.seed) for trial in trials
    )
    narrow, left_out = fitted(Table(columns, rows), width)
    hint = f"\nLeft out to fit {width} columns: {', '.join(left_out)}" if left_out else ""
    wanted = count if limit is None else min(count, limit)
    if len(rows) < wanted:
        hint += "\nWhat later trials try depends on the results of these."
    return plain_text(narrow, width) + hint


def draws_table(config: Config, *, unicode: bool) -> str:
    """Return a histogram of where the first suggestions fall along each parameter's own scale.

    Beside a range stand the values that cut its scale into quarters, beside a choice each option's
    share of the suggestions.

    unicode: Whether block characters can be printed.
    """
    trials = list(islice(_suggestions(config), DRAWS))
    marks = BLOCKS if unicode else ASCII
    rows = []
    for place, (name, axis) in enumerate(config.space.axes.items()):
        those = [trial for trial in trials if name in trial.params]
        if isinstance(axis, Choice):
            drawn = [repr(trial.params[name]) for trial in those]
            counts = [drawn.count(repr(option)) for option in axis.options]
            shares = zip(map(axis.text, axis.options), counts, strict=True)
            total = max(len(those), 1)
            meaning = " | ".join(f"{text} {count / total:.0%}" for text, count in shares)
        else:
            unit = [trial.unit[place] for trial in those]
            counts = np.histogram(unit, BINS, (0, 1))[0].tolist()
            quarters = axis.from_unit(np.linspace(0, 1, 5)).tolist()
            meaning = " | ".join(map(axis.text, quarters))
        rows.append((name, _kind(axis), _bars(counts, marks), meaning))
    names = ("parameter", "scale", f"{len(trials):,} draws", "quarters of the range, or shares")
    return plain_text(Table(tuple(map(Column, names)), tuple(rows)), width=10_000)


def _suggestions(config: Config) -> Iterator[Trial]:
    """Yield trial after trial until the strategy waits for a result or has nothing left."""
    number, history = 0, history_of(config)
    while (trial := suggest(config, history, number)) is not None:
        yield trial
        number += 1


def _kind(axis: Axis) -> str:
    if isinstance(axis, Choice):
        return "choice"
    assert isinstance(axis, Real | Integer)
    return f"{axis.name} int" if isinstance(axis, Integer) else axis.name


def _bars(counts: Sequence[int], marks: str) -> str:
    return "".join(marks[-(-count * (len(marks) - 1) // max(1, *counts))] for count in counts)
