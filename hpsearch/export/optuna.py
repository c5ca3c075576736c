"""A study of Optuna's, with true distributions, that a search there can go on from."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.export.base import Exported, epochs_of, started_at
from hpsearch.scales import Integer, Real
from hpsearch.space import Axis, Choice
from hpsearch.trial import Result, plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def write_optuna(run: Exported, path: Path, place: Path) -> None:
    """Write the trials as a study in an SQLite file.

    A parameter `p` on the scale one_minus_log, which Optuna has not, is `1-p` on a log scale. A
    list among the options of a choice is JSON text. Intermediate values are the metric's, by epoch
    from 1. A trial that halving stopped below the last rung is pruned, one without a score failed.
    """
    import optuna
    from optuna.storages import RDBStorage
    from optuna.study import StudyDirection

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = RDBStorage(f"sqlite:///{path.absolute()}")
    try:
        goal = StudyDirection[run.config.goal.upper()]
        study = optuna.create_study(storage=storage, study_name=run.config.name, direction=goal)
        study.set_user_attr("metric", run.config.metric_name)
        study.set_user_attr("ended", run.ended)
        constants = {name: plain(each) for name, each in run.config.objective.constants.items()}
        study.set_user_attr("constants", constants)
        top = max((each.rung or 0 for each in run.results), default=0)
        study.add_trials([_trial(run, result, top) for result in run.results])
    finally:
        optuna.logging.set_verbosity(before)
        storage.remove_session()
        storage.engine.dispose()


def _trial(run: Exported, result: Result, top: int) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    state = TrialState.COMPLETE if result.score is not None else TrialState.FAIL
    if result.score is not None and result.rung is not None and result.rung < top:
        state = TrialState.PRUNED
    params, distributions = {}, {}
    for name, axis in run.config.space.axes.items():
        if name in result.params:
            key = f"1-{name}" if _is_mirrored(axis) else name
            params[key], distributions[key] = _converted(axis, result.params[name])
    metric = run.config.metric_name
    frozen = create_trial(
        state=state,
        value=result.score,
        params=params,
        distributions=distributions,
        intermediate_values={
            epoch: values[metric] for epoch, _, values in epochs_of(result) if metric in values
        },
        user_attrs={
            "trial": result.trial,
            "status": result.status,
            "message": result.message,
            "seconds": result.seconds,
            "seed": result.seed,
            "params": {name: plain(value) for name, value in result.params.items()},
            "metrics": result.metrics,
        },
    )
    began = datetime.fromtimestamp(started_at(result), UTC).astimezone().replace(tzinfo=None)
    frozen.datetime_start = began  # Optuna's times are local and naive
    frozen.datetime_complete = began + timedelta(seconds=result.seconds)
    return frozen


def _is_mirrored(axis: Axis) -> bool:
    return isinstance(axis, Real | Integer) and axis.name == "one_minus_log"


def _converted(axis: Axis, value: Any) -> tuple[Any, BaseDistribution]:
    """Return a value as Optuna has it, and the distribution that it is of."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(axis, Choice):
        options = [_option(each) for each in axis.options]
        if len(set(options)) < len(options):  # 1 and true are equal there
            return json.dumps(plain(value)), CategoricalDistribution(
                [json.dumps(plain(each)) for each in axis.options]
            )
        return _option(value), CategoricalDistribution(options)
    assert isinstance(axis, Real | Integer)
    low, high = axis.scale.min, axis.scale.max
    if _is_mirrored(axis):  # subtraction rounds in order, so the value stays within
        low, high, value = 1 - high, 1 - low, 1 - value
    log = {"linear": False, "log": True, "one_minus_log": True}[axis.name]
    if isinstance(axis, Integer):
        return int(value), IntDistribution(int(low), int(high), log=log)
    return float(value), FloatDistribution(float(low), float(high), log=log)


def _option(value: Any) -> Any:
    return json.dumps(plain(value)) if isinstance(value, tuple) else value
