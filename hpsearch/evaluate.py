"""The best setting of a run, trained once more: its model, and one look at the test set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hpsearch.config import Config
from hpsearch.derived import refresh_leaderboard
from hpsearch.errors import UserError
from hpsearch.final import Final, epochs_to_train, train_final
from hpsearch.finding import all_runs
from hpsearch.intervals import LEVEL
from hpsearch.model import Model, decode_model
from hpsearch.objectives.mlp import MLP
from hpsearch.provenance import versions
from hpsearch.report.table import Column, Table, measure_text
from hpsearch.report.tested import test_text
from hpsearch.runs import load_run
from hpsearch.standings import best_of
from hpsearch.store import MODEL, RunFolder
from hpsearch.trial import Result, plain

TRAIN, BOTH = "train", "train + dev"
"""What a final training learns from."""


def final_training(config: Config, folder: RunFolder, *, include_dev: bool) -> tuple[Final, Result]:
    """Train the best setting of a run once more; return the training and the trial.

    A data set in folds has no single training part, so its train and dev are always one.

    Raises:
        UserError: the run is not of the built-in network, or has no complete trial.
    """
    objective = trainer_of(config, "trains no model that it could keep")
    best, _ = best_of(config, folder)
    recorded = folder.measured_on().get("sha256")
    if recorded not in (None, objective.identity()["data"]["sha256"]):
        raise UserError(
            f"the data have changed since the run {folder.name}, so its setting cannot be trained "
            "as it was\nPut them back as they were, or see what still holds with: "
            f"hpsearch retest {folder.name}"
        )
    include_dev = include_dev or objective.data.folds is not None
    final = train_final(
        objective,
        config.space.given(best.params),
        best.seed,
        epochs_to_train(objective, best, include_dev=include_dev),
        include_dev=include_dev,
        about=_about(config, folder, best, include_dev=include_dev) | {"versions": versions()},
    )
    return final, best


def trainer_of(config: Config, what: str) -> MLP:
    """Return the built-in network; UserError for the user's own code, of which `what` is true."""
    if isinstance(config.objective, MLP):
        return config.objective
    raise UserError(
        f"the run {config.name} scores your own code (objective.{config.kind}), and hpsearch {what}"
        ".\nTrain and measure the best setting with your code: "
        f"hpsearch best {config.name} --format flags, env, json or yaml gives it."
    )


def model_of(folder: RunFolder) -> Model:
    """Return the model of a run's best trial: the file it keeps, or else one that is trained now.

    Raises:
        UserError: as `final_training`.
    """
    config = load_run(folder, with_data=False)
    trainer_of(config, "keeps no model of it")
    best, _ = best_of(config, folder)
    kept = folder.read(MODEL)
    if kept is not None:
        model = decode_model(kept, str(folder.path / MODEL))
        about = {key: value for key, value in model.about.items() if key != "versions"}
        if about in (_about(config, folder, best, include_dev=each) for each in (False, True)):
            return model
    final, _ = final_training(load_run(folder), folder, include_dev=False)
    folder.write(MODEL, final.model.encode())
    return final.model


def _about(config: Config, folder: RunFolder, best: Result, *, include_dev: bool) -> dict[str, Any]:
    """Return what a model tells of itself."""
    return {
        "run": config.name,
        "trial": best.trial,
        "params": {name: plain(value) for name, value in best.params.items()},
        "seed": best.seed,
        "metric": config.metric_name,
        "score": best.score,
        "trained_on": BOTH if include_dev else TRAIN,
        "data": folder.measured_on().get("sha256"),
    }


def open_test_set(
    config: Config, folder: RunFolder, *, include_dev: bool, again: bool
) -> dict[str, Any]:
    """Measure the best setting on the test set, and write down that it was looked at.

    Returns what was recorded.

    Raises:
        UserError: there is no test set, no complete trial, it was opened before and not `again`, or
            the run is being written.
        MachineError: it could not be recorded; then nothing of it is known either.
    """
    objective = trainer_of(config, "knows no test set of it")
    best, _ = best_of(config, folder)
    _check_has_test(config, objective)
    with folder.claim():
        before = folder.tests()
        if before and not again:
            raise UserError(
                f"{test_text(before)}\nA test set says the truth once: settings that are chosen by "
                "it are no longer judged by it. To open it again, which the report will count: "
                f"hpsearch evaluate {config.name} --again"
            )
        final, _ = final_training(config, folder, include_dev=include_dev)
        figures = final.on_test(config.seed)
        model = final.model.encode()
        found = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "opened": len(before) + 1,
            "trial": best.trial,
            "params": final.model.about["params"],
            "seed": best.seed,
            "trained_on": final.model.about["trained_on"],
            "examples": {"train": len(final.split.train.y), "test": len(final.split.test.y)},
            "epochs": final.epochs,
            "metric": config.metric_name,
            "score": best.score,
            "dev": {name: _finite(value) for name, value in final.dev.items()},
            "test": {
                name: {
                    "value": _finite(figure.value),
                    "low": _finite(figure.interval.low),
                    "high": _finite(figure.interval.high),
                }
                for name, figure in figures.items()
            },
            "level": LEVEL,
            "sha256": {
                "config": hashlib.sha256(config.document.raw).hexdigest(),
                "data": objective.identity()["data"]["sha256"],
                "model": hashlib.sha256(model).hexdigest(),
            },
            "versions": versions(),
        }
        folder.add_test(found)
        folder.write(MODEL, model)
        refresh_leaderboard(config, folder)
    return found


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _check_has_test(config: Config, objective: MLP) -> None:
    source = objective.data
    if dict(source.fractions).get("test") or "test" in dict(source.parts()):
        return
    raise UserError(
        f"the run {config.name} has no test set: its config gives the test part nothing\n"
        "Give it a share before the search, as in data: {split: {train: 0.6, dev: 0.2, test: 0.2}},"
        " or a file: data: {source: {train: ..., test: ...}}; then search under another name."
    )


def figures_table(found: dict[str, Any]) -> Table:
    """Return one row per figure: on the dev set, and on the test set with its interval."""
    chosen = found["metric"].removeprefix("dev_")
    names = sorted(found["test"], key=lambda name: name != chosen)
    rows = []
    for name in names:
        test, text = found["test"][name], measure_text(f"dev_{name}")
        row = (found["dev"].get(name), test["value"], test["low"], test["high"])
        rows.append((name, *(None if value is None else text(value) for value in row)))
    columns = [Column(name) for name in ("figure", "dev", "test", "low", "high")]
    return Table(tuple(columns), tuple(rows))


def warnings(config: Config, folder: RunFolder, found: dict[str, Any]) -> Iterator[str]:
    """Yield what else there is to know of an opening of the test set."""
    own = config.metric_name.removeprefix("dev_")
    again, trials = found["dev"].get(own), config.trial.repeats
    if (
        config.metric_name.startswith("dev_")
        and trials == 1
        and again not in (None, found["score"])
    ):
        yield (
            f"trained again the setting comes to {config.metric_name} {again:.6g}, and trial "
            f"{found['trial']} had {found['score']:.6g}: the machine or the versions differ, or "
            "budget.time cut it short"
        )
    others = [
        other.name
        for other in sorted(all_runs(folder.path.absolute().parent), key=lambda each: each.name)
        if other.name != folder.name
        and other.measured_on() == folder.measured_on()
        and _has_tests(other)
    ]
    if others:
        yield (
            f"the same test set was opened for {', '.join(others)} too: the more often it is looked"
            " at, the less it says"
        )


def _has_tests(folder: RunFolder) -> bool:
    try:
        return bool(folder.tests())
    except Exception:  # a damaged one hides no other
        return False
