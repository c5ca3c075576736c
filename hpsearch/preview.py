"""What a config would do, as text: its trials, and where its draws fall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hpsearch.config import Config
from hpsearch.report import Column, Table
from hpsearch.report.formats import plain_text
from hpsearch.scales import Integer, Real
from hpsearch.search import suggest
from hpsearch.space import Axis, Choice

DRAWS = 10_000
BINS = 20
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*#@"


def summary(config: Config) -> str:
    """Say in a few lines what would run on what."""
    from hpsearch.objectives.mlp import load_split

    split = load_split(config.objective.data)
    sizes = [len(part.y) for part in (split.train, split.dev, split.test)]
    limit = config.budget.limit
    return "\n".join(
        [
            f"{config.name}: {limit or 'unlimited'} trials by {config.method} search, "
            f"to {config.goal} {config.metric.name}, seed {config.seed}",
            f"{config.data.source}: {sum(sizes)} examples (train {sizes[0]}, dev {sizes[1]}, "
            f"test {sizes[2]}), {len(split.features)} features, {len(split.classes)} classes",
        ]
    )


def first_trials(config: Config, count: int) -> str:
    """Return the table of the first trials that would run."""
    space = config.space
    limit = config.budget.limit
    rows = []
    for number in range(count if limit is None else min(count, limit)):
        trial = suggest(config, [], number)
        if trial is None:  # the strategy waits for results from here on
            break
        rows.append((number, *trial.params.values(), trial.seed))
    columns = (
        Column("trial"),
        *(Column(name, axis.text) for name, axis in space.axes.items()),
        Column("seed"),
    )
    return plain_text(Table(columns, tuple(rows)))


def draws_table(config: Config, *, unicode: bool) -> str:
    """Return a histogram of each parameter's draws along its own scale, with its shares.

    unicode: Whether block characters can be printed.
    """
    u = (np.arange(DRAWS) + 0.5) / DRAWS
    rows = []
    for name, axis in config.space.axes.items():
        low, bars, high = _histogram(axis, u, BLOCKS if unicode else ASCII)
        rows.append((name, _kind(axis), low, bars, high, _shares(axis, u)))
    names = ("parameter", "scale", "from", "draws along the scale", "to", "shares")
    return plain_text(Table(tuple(map(Column, names)), tuple(rows)), width=10_000)


def _kind(axis: Axis) -> str:
    if isinstance(axis, Choice):
        return "choice"
    assert isinstance(axis, Real | Integer)
    return f"{axis.name} int" if isinstance(axis, Integer) else axis.name


def _histogram(axis: Axis, u: np.ndarray, marks: str) -> tuple[str, str, str]:
    values = axis.from_unit(u)
    if isinstance(axis, Choice):
        counts = [sum(1 for v in values if repr(v) == repr(o)) for o in axis.options]
        return axis.text(axis.options[0]), _bars(counts, marks), axis.text(axis.options[-1])
    assert isinstance(axis, Real | Integer)
    places = np.array([axis.to_unit(value) for value in values[:: max(1, len(values) // 2000)]])
    low, high = axis.scale.min, axis.scale.max
    bins = BINS
    if isinstance(axis, Integer) and high - low + 1 <= BINS:
        counts = [int(np.sum(values == k)) for k in range(int(low), int(high) + 1)]
        return axis.text(int(low)), _bars(counts, marks), axis.text(int(high))
    counts = np.histogram(places, bins=bins, range=(0, 1))[0].tolist()
    ends = (int(low), int(high)) if isinstance(axis, Integer) else (low, high)
    return axis.text(ends[0]), _bars(counts, marks), axis.text(ends[1])


def _bars(counts: Sequence[int], marks: str) -> str:
    tallest = max(counts)
    return "".join(marks[int(np.ceil(n / tallest * (len(marks) - 1)))] for n in counts)


def _shares(axis: Axis, u: np.ndarray) -> str:
    """Say how the draws are shared out: by option, by decade, or by half."""
    values = axis.from_unit(u)
    if isinstance(axis, Choice):
        parts = [
            f"{axis.text(option)} {np.mean([repr(v) == repr(option) for v in values]):.0%}"
            for option in axis.options[:6]
        ]
        return ", ".join(parts) + (", ..." if len(axis.options) > 6 else "")
    assert isinstance(axis, Real | Integer)
    numbers = values.astype(float)
    middle = float(np.median(numbers))
    text = axis.text(int(middle) if isinstance(axis, Integer) else middle)
    return f"half below {text}, half above"
