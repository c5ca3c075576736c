"""Two runs side by side: what differs in their configs, and what that gained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from hpsearch.config import Config
from hpsearch.errors import UserError
from hpsearch.intervals import LEVEL
from hpsearch.repeats import deviation
from hpsearch.report import Column, Table
from hpsearch.report.table import measure_text
from hpsearch.runs import load_run, measured_on, trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result, cost, plain, ranked
from hpsearch.yamlfile import dump


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    config: Config
    results: Sequence[Result]
    data: dict[str, Any]
    """What is known of the data it was measured on."""

    @property
    def complete(self) -> list[Result]:
        """The trials with a score, the best first."""
        return [each for each in ranked(self.results, self.config.goal) if each.score is not None]


def side_of(folder: RunFolder) -> Side:
    """Read a run; its data may be gone.

    Raises:
        UserError: its config or its record cannot be read.
    """
    config = load_run(folder, with_data=False)
    results = trials_of(config, folder.results(curves=False))
    return Side(config, results, measured_on(folder))


def differences(old: Side, new: Side) -> list[tuple[str, str | None, str | None]]:
    """Return (key, then, now) for every part of the configs that differs, in the config's order."""
    before, after = _described(old), _described(new)
    return [
        (place, _written(then), _written(now)) for place, then, now in _differing(before, after, "")
    ]


def _written(value: Any) -> str | None:
    return None if value is None else dump(plain(value))


def _described(side: Side) -> dict[str, Any]:
    """Return what a config says, section by section, with what it leaves to the defaults."""
    config = side.config
    identity = config.identity()
    data = {key: value for key, value in side.data.items() if key != "sha256"}
    source = config.objective.data_section(config.objective.folder()).get("source")
    return {
        "metric": identity["metric"],
        "objective": identity["objective"],
        "data": {"source": source, **({"bytes": side.data["sha256"][:12]} if data else {}), **data},
        "parameters": identity["parameters"],
        "constraints": identity.get("constraints", []),
        "method": identity["method"],
        "seed": identity["seed"],
        "budget": asdict(config.budget),
        "trial": identity["trial"],
    }


def _differing(old: Any, new: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differing(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif old != new:
        yield place, old, new


@dataclass(frozen=True)
class Gain:
    """What the second run has over the first; None where the scores cannot be compared."""

    best: float | None
    """How much lower the best cost is: positive is better, whichever way the score is."""
    low: float | None
    high: float | None
    """Its interval, where both bests were tried on several seeds."""
    text: str


def gain_of(old: Side, new: Side) -> Gain:
    """Say what the second run gained over the first.

    Raises:
        UserError: they are scored by different metrics.
    """
    a, b = old.config, new.config
    if (a.metric_name, a.goal) != (b.metric_name, b.goal):
        raise UserError(
            f"{a.name} is to {a.goal} {a.metric_name} and {b.name} to {b.goal} {b.metric_name}: "
            "their scores cannot be compared"
        )
    for side in (old, new):
        if not side.complete:
            return Gain(None, None, None, f"{side.config.name} has no complete trial yet")
    if old.data.get("sha256") != new.data.get("sha256"):
        return Gain(None, None, None, "measured on different data, so the scores say nothing")
    before, after = old.complete[0], new.complete[0]
    gain = cost(before, a.goal) - cost(after, a.goal)
    text = measure_text(a.metric_name)
    what = "the same best" if gain == 0 else f"{'better' if gain > 0 else 'worse'} by"
    said = f"the best of {b.name} is {what} {text(abs(gain)) if gain else 'score'}"
    if old.data != new.data:
        said += "; the data are split differently, so a small difference means nothing"
    half = _half_width(before.scores, after.scores)
    if half is None:
        return Gain(gain, None, None, f"{said}; with one seed for each, luck is part of it")
    certain = "more than the seeds explain" if abs(gain) > half else "within what the seeds explain"
    said += f", {certain} (+-{text(half)}, {LEVEL:.0%})"
    return Gain(gain, gain - half, gain + half, said)


def _half_width(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return half the interval of a difference of two means; None for fewer than two scores each.

    Source: Welch 1947, Biometrika 34, p. 28-35.
    """
    if len(a) < 2 or len(b) < 2:
        return None
    from scipy.special import stdtrit

    parts = [deviation(each) ** 2 / len(each) for each in (a, b)]
    if not sum(parts):
        return 0.0
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(each) - 1) for part, each in zip(parts, (a, b), strict=True)
    )
    return float(stdtrit(degrees, (1 + LEVEL) / 2)) * math.sqrt(sum(parts))


def config_table(old: Side, new: Side) -> Table:
    """Return one row for each part of the configs that differs."""
    names = _names(old, new)
    columns = tuple(Column(name) for name in ("key", *names))
    return Table(columns, tuple(differences(old, new)))


def figures_table(old: Side, new: Side) -> Table:
    """Return the two runs' figures: trials, best and median score, epochs and seconds."""
    text = measure_text(old.config.metric_name)
    rows: list[tuple[str, list[Any]]] = []
    sides = (old, new)
    rows.append(("trials", [str(len(each.results)) for each in sides]))
    rows.append(("complete", [str(len(each.complete)) for each in sides]))
    scores = [[each.score for each in side.complete if each.score is not None] for side in sides]
    rows.append(("best score", [text(each[0]) if each else None for each in scores]))
    rows.append(
        ("best trial", [str(each.complete[0].trial) if each.complete else None for each in sides])
    )
    rows.append(("median score", [text(median(each)) if each else None for each in scores]))
    epochs = [sum(each.epochs or 0 for each in side.results) for side in sides]
    if any(epochs):
        rows.append(("epochs", [str(each) for each in epochs]))
    seconds = [sum(each.seconds for each in side.results) for side in sides]
    rows.append(("seconds of training", [f"{each:.1f}" for each in seconds]))
    columns = tuple(Column(name) for name in ("figure", *_names(old, new)))
    return Table(columns, tuple((name, *values) for name, values in rows))


def _names(old: Side, new: Side) -> tuple[str, str]:
    return old.config.name, new.config.name
