"""What an earlier run found, as another search can learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hpsearch.config import Config
from hpsearch.errors import UserError
from hpsearch.finding import find_run
from hpsearch.report.importance import comparable
from hpsearch.runs import load_run
from hpsearch.space import Axis, Choice, ends
from hpsearch.standings import counted
from hpsearch.store import RunFolder
from hpsearch.trial import Params, Result, none_complete_text


class Earlier(NamedTuple):
    """The trials of an earlier run in the space of a new one."""

    results: tuple[Result, ...]
    """With the numbers -n .. -1."""
    notes: tuple[str, ...]
    """Sentences on what differs between both."""


def warm_started(
    config: Config, folder: RunFolder, earlier: str | None, runs: Path
) -> tuple[Config, tuple[str, ...]]:
    """Return a config with the trials of another run that its search begins with, and notes.

    What was learned is part of the run, whatever became of the other one since.

    folder: Of the search.
    earlier: The other run, by its name under `runs` or its path; None for what is known already.
    Raises:
        UserError: no such run, or nothing can be learned from it.
    """
    known = folder.exists() and (
        earlier is None or folder.provenance().get("warm_start") == Path(earlier).name
    )
    if known:
        return replace(config, earlier=folder.earlier()), ()
    if earlier is None:
        return config, ()
    other = find_run(runs, earlier)
    if other.path.absolute() == folder.path.absolute():
        raise UserError(f"the run {config.name} cannot begin with its own trials: give another one")
    before = load_run(other, with_data=False)
    found = learned_from(config, before, counted(before, other.results(curves=False)))
    return replace(config, earlier=found.results, earlier_run=Path(earlier).name), found.notes


def learned_from(config: Config, run: Config, results: Sequence[Result]) -> Earlier:
    """Return the trials of a run as a search with another config can learn from them.

    Parameters go by their names. One that did not vary in the run has the value that it had there,
    or where nobody knows it the middle of its range here. A trial with a value that this search
    cannot reach is left out. Scores may differ by a constant, which is allowed for.

    config: Of the search that begins.
    run: Of the earlier run.
    results: All that counts of its record.
    Raises:
        UserError: the method learns nothing, the metrics differ, no parameter is common, or no
            complete trial is left.
    """
    if not config.learns:
        raise UserError(
            f"--warm-start is for methods that learn from results, and the method of "
            f"{config.name} is {config.method}\nTake method: bayes, zoom, or halving with one of "
            "them as propose."
        )
    measured = [f"{each.goal} {each.metric_name}" for each in (config, run)]
    if measured[0] != measured[1]:
        raise UserError(
            f"the run {run.name} is to {measured[1]} and {config.name} to {measured[0]}: there is "
            "nothing to learn from other scores"
        )
    axes, before = config.space.axes, run.space.axes
    common = [name for name in axes if name in before]
    if not common:
        raise UserError(
            f"the run {run.name} and {config.name} vary no common parameter: "
            f"{', '.join(before) or 'none'}, and {', '.join(axes) or 'none'}"
        )
    known = _constants(run)
    found = []
    outside = 0
    for result in comparable(results):
        params = {**known, **result.params}
        if all(_reaches(axis, params[name]) for name, axis in axes.items() if name in params):
            found.append(_moved(config, result, params))
        else:
            outside += 1
    if not any(result.score is not None for result in found):
        nothing = none_complete_text(run.name, results)
        differ = _differences(config, run, common, known)
        raise UserError(
            f"{nothing}\nThere is nothing to learn from it."
            if nothing
            else "\n".join(
                [
                    f"no complete trial of the run {run.name} lies in the space of {config.name}, "
                    "so there is nothing to learn from it",
                    *differ,
                ]
            )
        )
    numbered = tuple(
        replace(result, trial=number - len(found)) for number, result in enumerate(found)
    )
    return Earlier(numbered, tuple(_notes(config, run, common, known, len(found), outside)))


def _constants(run: Config) -> Params:
    """Return what did not vary in a run: constants, and the trainer's defaults."""
    settings = run.objective.SETTINGS
    defaults: dict[str, Any] = {} if settings is None else asdict(settings())
    return {**defaults, **run.objective.constants}


def _reaches(axis: Axis, value: Any) -> bool:
    if isinstance(axis, Choice):
        return any(repr(option) == repr(value) for option in axis.options)
    low, high = ends(axis)
    return isinstance(value, int | float) and low <= value <= high


def _middle(axis: Axis) -> str:
    return axis.text(axis.from_unit(np.asarray(0.5)).item())


def _moved(config: Config, result: Result, params: Params) -> Result:
    here = {name: value for name, value in params.items() if name in config.space.axes}
    return Result(
        result.trial,
        result.status,
        here,
        config.space.point(here),
        result.seed,
        None,
        result.score,
        scores=result.scores,
    )


def _notes(
    config: Config, run: Config, common: list[str], known: Params, count: int, outside: int
) -> list[str]:
    left = f", {outside} left out as they lie outside the ranges" if outside else ""
    notes = [f"{count} trials of {run.name} are known from the start{left}"]
    return [*notes, *_differences(config, run, common, known)]


def _differences(config: Config, run: Config, common: list[str], known: Params) -> list[str]:
    """Say of each parameter that is not the same in both how it differs."""
    axes, before = config.space.axes, run.space.axes
    notes = []
    for name in axes:
        if name not in before:
            what = (
                f"{name} was {known[name]}"
                if name in known and _reaches(axes[name], known[name])
                else f"{name} is taken for {_middle(axes[name])}, the middle"
            )
            notes.append(f"{name} does not vary in {run.name}: there {what}")
    notes += [f"{name} varies in {run.name} only" for name in before if name not in axes]
    for name in common:
        if axes[name] != before[name]:
            notes.append(f"{name} has another range in {run.name}, or another scale or type")
    return notes
