"""Event files for TensorBoard: the curves of each trial, and its table of hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.export.base import Exported, epochs_of, started_at
from hpsearch.scales import Integer, Real
from hpsearch.space import Axis, Choice, option_text
from hpsearch.trial import Result

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


def write_tensorboard(run: Exported, path: Path, place: Path) -> None:
    """Write a folder of event files: one for the space, and one in `trial-NNNN` for each trial.

    A trial has each metric by epoch from 1 and `score`, and in the table of hyperparameters its
    parameters and whether it succeeded. A list among the options of a choice is text.
    """
    from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb

    began = min(map(started_at, run.results))
    space = hparams_config_pb(
        [HParam(name, _domain(axis)) for name, axis in run.config.space.axes.items()],
        [Metric("score", display_name=run.config.metric_name)]
        + [Metric(name) for name in run.metrics],
        time_created_secs=began,
    )
    _write_events(path, [(began, 0, space)])
    for result in run.results:
        _write_events(path / f"trial-{result.trial:04d}", list(_events(run, result)))


def _events(run: Exported, result: Result) -> list[tuple[float, int, Summary]]:
    """Return when, at which epoch, and what."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    name = f"trial-{result.trial:04d}"
    began = started_at(result)
    params = {
        name: _value(axis, result.params[name])
        for name, axis in run.config.space.axes.items()
        if name in result.params
    }
    events = [(began, 0, hparams_pb(params, trial_id=name, start_time_secs=began))]
    epoch = 0
    for epoch, when, values in epochs_of(result):
        scalars = [Summary.Value(tag=tag, simple_value=each) for tag, each in values.items()]
        events.append((when, epoch, Summary(value=scalars)))
    ended = began + result.seconds
    if result.score is not None:
        score = Summary.Value(tag="score", simple_value=result.score)
        events.append((ended, epoch, Summary(value=[score])))
    events.append((ended, epoch, _end(result, ended)))
    return events


def _end(result: Result, ended: float) -> Summary:
    """Say in the table of hyperparameters how a trial ended."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    is_complete = result.status == "complete"
    told = plugin_data_pb2.SessionEndInfo(
        status=api_pb2.STATUS_SUCCESS if is_complete else api_pb2.STATUS_FAILURE,
        end_time_secs=ended,
    )
    content = plugin_data_pb2.HParamsPluginData(session_end_info=told)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _write_events(folder: Path, events: list[tuple[float, int, Summary]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir()
    writer = EventFileWriter(str(folder))
    try:
        for when, step, summary in events:
            writer.add_event(Event(wall_time=when, step=step, summary=summary))
    finally:
        writer.close()


def _domain(axis: Axis) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import Discrete, IntInterval, RealInterval

    if isinstance(axis, Choice):
        return Discrete([_value(axis, each) for each in axis.options])
    assert isinstance(axis, Real | Integer)
    if isinstance(axis, Integer):
        return IntInterval(int(axis.scale.min), int(axis.scale.max))
    return RealInterval(float(axis.scale.min), float(axis.scale.max))


def _value(axis: Axis, value: Any) -> bool | float | str:
    """Return a value as the table can hold it; the options of a choice are of one type there."""
    if not isinstance(axis, Choice):
        return float(value) if isinstance(axis, Real) else int(value)
    kinds = {type(option) for option in axis.options}
    if kinds <= {int, float}:
        return float(value)
    if kinds == {bool}:
        return bool(value)
    if kinds == {str}:
        return str(value)
    return option_text(value)
