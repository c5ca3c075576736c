"""An experiment of MLflow's, with a run for each trial."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.export.base import Exported, epochs_of, started_at
from hpsearch.space import option_text
from hpsearch.trial import Result

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STATUSES = {"complete": "FINISHED", "timeout": "KILLED"}
"""MLflow's word for how a trial ended; FAILED for the others."""

LONGEST_TEXT = 4000
"""Characters of a tag, of which MLflow takes at most 5,000."""
MOST_METRICS, MOST_PARAMS = 1000, 100
"""How many of them MLflow takes at once."""


def write_mlflow(run: Exported, path: Path, place: Path) -> None:
    """Write the trials as the runs of an experiment in an SQLite file.

    A run has the parameters, every metric by epoch from 1, and `score`; its tags have the status,
    the message and the seed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export sends nothing anywhere
    from mlflow.tracking import MlflowClient

    for package in ("sqlalchemy", "alembic"):  # without which MLflow's own sentence is no help
        __import__(package)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=f"sqlite:///{path.absolute()}")
    artifacts = place.with_name(f"{place.stem}-artifacts").as_uri()
    config = run.config
    experiment = client.create_experiment(
        config.name,
        artifact_location=artifacts,
        tags={
            "mlflow.note.content": f"```yaml\n{_text(config.document.raw)}\n```",
            "metric": config.metric_name,
            "goal": config.goal,
            "ended": run.ended,
        },
    )
    for result in run.results:
        _write_trial(client, experiment, run, result)
    with contextlib.suppress(AttributeError):  # MLflow has no public way to close the file
        client._tracking_client.store.engine.dispose()


def _write_trial(client: MlflowClient, experiment: str, run: Exported, result: Result) -> None:
    from mlflow.entities import Metric, Param

    began = started_at(result)
    ended = round(1000 * (began + result.seconds))
    tags = {
        "hpsearch.trial": str(result.trial),
        "hpsearch.status": result.status,
        "hpsearch.seed": str(result.seed),
        **({} if result.message is None else {"hpsearch.message": _text(result.message)}),
    }
    if result.rung is not None:
        tags["hpsearch.rung"] = str(result.rung)
    created = client.create_run(
        experiment, start_time=round(1000 * began), tags=tags, run_name=f"trial {result.trial}"
    )
    identity = created.info.run_id
    given: dict[str, Any] = {**run.config.objective.constants, **result.params}
    params = [Param(_name(name), _param(value)) for name, value in given.items()]
    metrics = [
        Metric(_name(name), value, round(1000 * when), epoch)
        for epoch, when, values in epochs_of(result)
        for name, value in values.items()
    ]
    if result.score is not None:
        metrics.append(Metric("score", result.score, ended, result.budget or 0))
    for start in range(0, max(len(params), 1), MOST_PARAMS):
        client.log_batch(identity, params=params[start : start + MOST_PARAMS])
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(identity, metrics=metrics[start : start + MOST_METRICS])
    client.set_terminated(identity, STATUSES.get(result.status, "FAILED"), ended)


def _name(name: str) -> str:
    """Leave in a name what MLflow allows there."""
    return re.sub(r"[^\w\-. /:]", "_", name)


def _param(value: Any) -> str:
    return repr(value) if isinstance(value, float) else option_text(value)


def _text(value: str | bytes) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
