"""Two runs side by side: what differs in their configs, and what that gained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any, NamedTuple

from hpsearch.config import Config
from hpsearch.intervals import LEVEL
from hpsearch.repeats import deviation
from hpsearch.report.table import Column, Table, measure_text
from hpsearch.runs import load_run
from hpsearch.standings import check_begun, trials_of
from hpsearch.store import RunFolder
from hpsearch.trial import Result, cost, none_complete_text, plain, ranked, standing
from hpsearch.yamlfile import dump

HASH_SHOWN = 12
"""Letters of a hash that a person is shown."""


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    config: Config
    results: Sequence[Result]
    data: Mapping[str, Any]
    """What is known of the data it was measured on."""
    sources: Mapping[str, str]
    """The SHA-256 of each file that its results depend on, by name."""
    warm_start: str | None
    """The run whose trials it knew from the start."""

    @property
    def complete(self) -> list[Result]:
        """The trials with a score, the best first."""
        return [each for each in ranked(self.results, self.config.goal) if each.score is not None]

    @property
    def scores(self) -> list[float]:
        """The scores that can be compared with the best one's, which comes first."""
        goal, complete = self.config.goal, self.complete
        return [
            each.score
            for each in complete
            if each.score is not None and standing(each, goal)[0] == standing(complete[0], goal)[0]
        ]


def side_of(folder: RunFolder) -> Side:
    """Read a run; its data may be gone.

    Raises:
        UserError: its config or its record cannot be read, or it has no finished trial.
    """
    config = load_run(folder, with_data=False)
    results = trials_of(config, folder.results(curves=False))
    check_begun(folder, results)
    provenance = folder.provenance()
    return Side(
        config,
        results,
        folder.measured_on(),
        provenance.get("sources", {}),
        provenance.get("warm_start"),
    )


class Difference(NamedTuple):
    """One key of the configs in which they differ."""

    key: str
    then: Any
    """Plain data; None where it has none."""
    now: Any


def differences(old: Side, new: Side) -> list[Difference]:
    """Return every part of the configs that differs, in the config's order."""
    before, after = _described(old), _described(new)
    if old.data.get("sha256") == new.data.get("sha256"):  # the same bytes, wherever they are
        for each in (before, after):
            each["data"].pop("source", None)
    if old.config.method != new.config.method:  # then what one leaves to its defaults says little
        for side, each in ((old, before), (new, after)):
            each["method"] = _chosen(side.config.strategy, each["method"])
    return list(_differing(before, after, ""))


def _described(side: Side) -> dict[str, Any]:
    """Return what a config says, section by section, with what it leaves to the defaults."""
    config = side.config
    identity = config.identity()
    objective = {key: each for key, each in identity["objective"].items() if key != "numbers"}
    source = config.objective.data_section(config.objective.folder()).get("source")
    method = {
        key: each
        for key, each in identity["method"].items()
        if key != "trials" or hasattr(config.strategy, key)  # which is else budget.trials
    }
    described = {
        "metric": identity["metric"],
        "objective": objective,
        "data": {"source": source, **side.data},
        "parameters": identity["parameters"],
        "constraints": identity.get("constraints", []),
        "method": method,
        "seed": identity["seed"],
        "budget": asdict(config.budget),
        "trial": asdict(config.trial),
        "warm_start": side.warm_start,
    }
    return {key: _plain(each) for key, each in described.items()}


def _plain(value: Any) -> Any:
    """Turn tuples into lists, also inside of mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return plain(value)


def _chosen(strategy: Any, method: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's name and those of its keys that are not the defaults."""
    usual = {each.name: _plain(each.default) for each in fields(strategy)}
    return {
        key: each for key, each in method.items() if key == "name" or usual.get(key, ()) != each
    }


def _differing(old: Any, new: Any, place: str) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differing(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Difference(place, old, new)


def notes_of(old: Side, new: Side) -> list[str]:
    """Return sentences on what beside the configs differs, or is not seen in the scores."""
    notes = []
    numbers = [side.config.identity()["objective"].get("numbers") for side in (old, new)]
    if numbers[0] != numbers[1] and None not in numbers:
        notes.append("Versions of hpsearch that compute other numbers made these runs.")
    if old.config.kind != "trainer":
        changed = [name for name, sha in old.sources.items() if new.sources.get(name, sha) != sha]
        notes += [f"{name} was changed between these runs." for name in changed]
    notes += [
        f"{side.config.name} began with what the run {side.warm_start} had found (warm start): "
        "its own trials are not all that went into it."
        for side in (old, new)
        if side.warm_start is not None
    ]
    return notes


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
    """Say what the second run gained over the first."""
    a, b = old.config, new.config
    if (a.metric_name, a.goal) != (b.metric_name, b.goal):
        return _incomparable(
            f"{a.name} is to {a.goal} {a.metric_name} and {b.name} to {b.goal} {b.metric_name}"
        )
    for side in (old, new):
        nothing = none_complete_text(side.config.name, side.results)
        if nothing is not None:
            return _incomparable(nothing)
    if old.data.get("sha256") != new.data.get("sha256"):
        return _incomparable("the runs were measured on different data")
    before, after = old.complete[0], new.complete[0]
    gain = cost(before, a.goal) - cost(after, a.goal)
    text = measure_text(a.metric_name)
    if gain:
        said = f"the best of {b.name} is {'better' if gain > 0 else 'worse'} by {text(abs(gain))}"
    else:
        said = f"both bests have the same score, {text(after.score)}"
    half = _half_width(before.scores, after.scores)
    if half is None:
        said += "; with one seed for each, luck is part of it"
    else:
        certain = abs(gain) > half
        said += f" (+-{text(half)}, {LEVEL:.0%}), "
        said += "more than the seeds explain" if certain else "within what the seeds explain"
    if old.data != new.data:
        said += "; the data are split differently, so a small difference means nothing"
    if half is None:
        return Gain(gain, None, None, said)
    return Gain(gain, gain - half, gain + half, said)


def _incomparable(reason: str) -> Gain:
    return Gain(None, None, None, f"the scores cannot be compared: {reason}")


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
    """Return one row for each part of the configs that differs, as it is written in a config."""
    rows = tuple(
        (each.key, *(_written(each.key, value) for value in (each.then, each.now)))
        for each in differences(old, new)
    )
    return Table((Column("key"), *_columns(old, new)), rows)


def _written(key: str, value: Any) -> str | None:
    if key == "data.sha256" and value is not None:
        return str(value)[:HASH_SHOWN]
    return value if value is None or isinstance(value, str) else dump(value)


def figures_of(old: Side, new: Side) -> dict[str, tuple[Any, Any]]:
    """Return the figures of both runs by name, at full precision; None where there is none.

    trials, complete: How many there are, and how many have a score.
    best_score, best_trial: Of the best.
    median_score: Of the trials that can be compared with the best.
    epochs: In all trials together; only where some are counted.
    seconds: Of all trials together.
    """
    before, after = _figures(old), _figures(new)
    if not before["epochs"] and not after["epochs"]:
        del before["epochs"]
    return {name: (value, after[name]) for name, value in before.items()}


def _figures(side: Side) -> dict[str, Any]:
    scores, complete = side.scores, side.complete
    return {
        "trials": len(side.results),
        "complete": len(complete),
        "best_score": scores[0] if scores else None,
        "best_trial": complete[0].trial if complete else None,
        "median_score": median(scores) if scores else None,
        "epochs": sum(each.epochs or 0 for each in side.results),
        "seconds": round(math.fsum(each.seconds for each in side.results), 6),
    }


def figures_table(old: Side, new: Side) -> Table:
    """Return the figures of both runs as a person reads them, a row for each."""

    def written(name: str, side: Side, value: Any) -> str | None:
        if value is None:
            return None
        if name.endswith("_score"):
            return measure_text(side.config.metric_name)(value)
        return f"{value:.1f}" if name == "seconds" else f"{value:,}"

    rows = tuple(
        (
            name.replace("_", " ") if name != "seconds" else "seconds of training",
            *(written(name, side, each) for side, each in zip((old, new), values, strict=True)),
        )
        for name, values in figures_of(old, new).items()
    )
    return Table((Column("figure"), *_columns(old, new)), rows)


def _columns(old: Side, new: Side) -> tuple[Column, Column]:
    return Column(old.config.name), Column(new.config.name)
