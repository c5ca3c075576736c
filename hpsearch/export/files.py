"""One file with a row for each trial, its curves in columns of their own: CSV, Parquet, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch.export.base import Exported
from hpsearch.report.formats import csv_text
from hpsearch.report.table import Column, Table, trials_table
from hpsearch.trial import plain


def full_table(run: Exported) -> Table:
    """The columns of trials.csv, then message, started, seed, and `curve_NAME` for each metric.

    A curve is a list with one value for each epoch, None where it was not finite.
    """
    table = trials_table(run.config.space, dict(run.config.constants), run.results)
    curves = list(dict.fromkeys(name for each in run.results for name in each.curve))
    more = ("message", "started", "seed", *(f"curve_{name}" for name in curves))
    rows = [
        (*row, each.message, each.started, each.seed, *(each.curve.get(name) for name in curves))
        for row, each in zip(table.rows, run.results, strict=True)
    ]
    return Table((*table.columns, *map(Column, more)), tuple(rows))


def write_csv(run: Exported, path: Path, place: Path) -> None:
    """Write one line for each trial; a curve is a JSON list in its cell."""
    path.write_bytes(csv_text(full_table(run)).encode() + b"\n")


def write_parquet(run: Exported, path: Path, place: Path) -> None:
    """Write one row for each trial; a curve is a list of numbers.

    A parameter whose options are of several types is text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = full_table(run)
    columns = {}
    for i, name in enumerate(table.names):
        values = [plain(row[i]) for row in table.rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.array([None if v is None else json.dumps(v) for v in values])
    pq.write_table(pa.table(columns), path)


def write_json(run: Exported, path: Path, place: Path) -> None:
    """Write one object: the config, its space, and all that the record has of each trial."""
    config = run.config
    content: dict[str, Any] = {
        "name": config.name,
        "metric": config.metric_name,
        "goal": config.goal,
        "seed": config.seed,
        "ended": run.ended,
        "parameters": config.space.spec(),
        "constants": {name: plain(each) for name, each in config.objective.constants.items()},
        "config": config.document.value,
        "trials": [asdict(result) for result in run.results],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_bytes(text.encode() + b"\n")
