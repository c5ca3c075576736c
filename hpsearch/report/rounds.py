"""How a zoom came to its trials: each round's box, and why it is that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpsearch.report.table import Column, Table
from hpsearch.space import Space
from hpsearch.trial import Result, frozen


def boxes_table(space: Space, results: Iterable[Result]) -> Table | None:
    """Return one row per round and parameter: what it was drawn from, and why. None for no round.

    It is read from the record, where the first trial of a round keeps its box.
    """
    rows = tuple(
        (f"{note['round']} of {note['of']}", result.trial, *row)
        for result, note in _told(results, "box")
        for row in _sides(space, note["box"])
    )
    names = ("round", "first_trial", "parameter", "box", "because")
    return Table(tuple(map(Column, names)), rows) if rows else None


def reasons(boxes: Table) -> list[str]:
    """Return the reasons in a table of boxes as sentences: `2 of 2, momentum, layers: ...`.

    Parameters that share a reason in a round share its sentence.
    """
    names: dict[tuple[str, str], list[str]] = {}
    for round_, _, name, _, because in boxes.rows:
        names.setdefault((round_, because), []).append(name)
    return [f"{round_}, {', '.join(each)}: {because}" for (round_, because), each in names.items()]


def boxes(results: Iterable[Result]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each round of a zoom, as `2 of 5`, with its box: by parameter, and as plain data."""
    for _, note in _told(results, "box"):
        yield f"{note['round']} of {note['of']}", note["box"]


def steps_table(results: Iterable[Result]) -> Table | None:
    """Return one row per trial that was a step from another; None where there is none.

    Beside it stand the best trials of that time, whose spread was the width of the step.
    """
    rows = tuple(
        (result.trial, note["around"], ", ".join(map(str, note["best"])))
        for result, note in _told(results, "around")
    )
    names = ("trial", "step_from", "best_so_far")
    return Table(tuple(map(Column, names)), rows) if rows else None


def _told(results: Iterable[Result], key: str) -> Iterator[tuple[Result, dict[str, Any]]]:
    """Yield the trials whose note has a key, with the note, by number."""
    for result in sorted(results, key=lambda each: each.trial):
        if result.note is not None and key in result.note:
            yield result, result.note


def _sides(space: Space, box: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each parameter, what the round drew it from, and why."""
    for name, side in box.items():
        text = space.axes[name].text
        values = frozen(side["values"]) if "values" in side else (side["min"], side["max"])
        reasons = side["because"]
        same = len(set(reasons.values())) == 1
        because = (
            next(iter(reasons.values()))
            if same
            else "; ".join(f"{end}: {reason}" for end, reason in reasons.items())
        )
        yield name, (", " if "values" in side else " .. ").join(map(text, values)), because
