"""A run: its folder seen with its config. Opens one, tells whether it is a config's, and writes
the tables that are made from its record.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.config import Config, best_yaml, load_config, traps
from hpsearch.ending import Ending
from hpsearch.errors import DataError, MachineError, UserError
from hpsearch.objectives.mlp import MLP
from hpsearch.provenance import describe, versions
from hpsearch.report import (
    FORMATS,
    LUCK,
    Run,
    beliefs,
    boxes_table,
    csv_lines,
    csv_text,
    epochs_text,
    expected_table,
    importance_table,
    leaderboard,
    rungs_table,
    ties_text,
    trials_columns,
    trials_table,
)
from hpsearch.report.byhand import where_text
from hpsearch.report.importance import FEWEST
from hpsearch.report.table import measure_text
from hpsearch.space import Space
from hpsearch.store import BEST, CONFIG, LEADERBOARD, PROVENANCE, TABLE, RunFolder
from hpsearch.story import Story
from hpsearch.strategies import SEES_NOTHING, Halving
from hpsearch.trial import (
    Result,
    joined,
    none_complete_text,
    of_one_rung,
    ranked,
    trials_text,
)
from hpsearch.yamlfile import dump

if TYPE_CHECKING:
    from hpsearch.report.picture import Report


def run_of(config: Config, results: Sequence[Result]) -> Run:
    """Return what a leaderboard needs to know of a run."""
    metric = config.metric
    return Run(
        config.name, config.metric_name, config.goal, metric.optimal_error, config.space, results
    )


def report_of(folder: RunFolder) -> Report:
    """Read all that a page and its pictures tell of a run; also while the run goes on.

    Raises:
        UserError: the run has no finished trial yet, what is in its folder was written by a newer
            hpsearch, or the config was changed.
        MachineError: the record is damaged.
    """
    from hpsearch.report.picture import Report

    if folder.has_acts():
        return _report_by_hand(folder)
    config = load_run(folder, with_data=False)
    steps = counted(config, folder.results())
    results = joined(steps)
    check_begun(folder, results)
    return Report(
        run_of(config, results),
        steps,
        how_it_ended(config, folder, results),
        config.document.raw.decode(errors="replace"),
        folder.provenance(),
        rungs=rungs_of(config),
        tested=test_text(folder),
    )


def _report_by_hand(folder: RunFolder) -> Report:
    """As `report_of`: each branch of a model that was trained by hand is a result."""
    from hpsearch.report.picture import Report

    config, story = load_by_hand(folder, with_data=False), Story(folder.acts())
    results = []
    for branch in story.branches:
        way = story.path(branch.number)
        if not way:
            continue
        score = way[-1].get(story.metric)
        status = "complete" if score is not None else "diverged"
        curve = {name: story.curve(branch.number, name) for name in way[-1]}
        results.append(
            Result(
                *(branch.number, status, {}, (), story.seed, branch.epochs, score),
                metrics=dict(way[-1]),
                curve=curve,
                seconds=branch.seconds,
            )
        )
    if not results:
        raise UserError(f"the run {folder.name} has no epoch yet, so there is nothing to report")
    run = replace(run_of(config, results), space=Space({}))
    text = config.document.raw.decode(errors="replace")
    return Report(run, results, where_text(story), text, folder.provenance(), story=story)


def counted(config: Config, results: Sequence[Result]) -> list[Result]:
    """Leave out what ran beyond the trial, or the step, at which the budget ended the search."""
    ending = ending_of(config)
    for result in results:
        ending.add(result)
    if ending.reason is None:
        return list(results)
    return [result for result in results if result.order < ending.counted]


@dataclass(frozen=True)
class Leading:
    """The best of a run, and what is to be said of all of its trials."""

    run: Run
    """Its leaderboard has the same columns and the same first rows as that of all trials."""
    trials: int
    is_whole: bool
    """Whether all trials are there that the budget allows, and no others count."""
    lines: int
    """How many lines of the record count: more than trials, where these have several steps."""
    early: int
    """How many trials budget.time ended early."""
    ended: str
    """As `how_it_ended` says."""


def leading(config: Config, folder: RunFolder, top: int | None) -> Leading:
    """Return what the first rows of a run's leaderboard are made of, and how many trials it has.

    top: How many rows are wanted; None for all.

    Raises:
        UserError: the record was written by a newer hpsearch.
        MachineError: the record is damaged, where it was read.
    """
    found = None if top is None else _by_index(config, folder, top)
    if found is not None:
        return found
    return _of_all(config, folder, counted(config, folder.results(curves=False)))


def _of_all(config: Config, folder: RunFolder, results: Sequence[Result]) -> Leading:
    """Return what leads a run, from all that counts of its record."""
    trials = joined(results)
    early = sum(result.ended_early is not None for result in trials)
    ended = how_it_ended(config, folder, trials)
    return Leading(run_of(config, trials), len(trials), False, len(results), early, ended)


def _by_index(config: Config, folder: RunFolder, top: int) -> Leading | None:
    """Find the best trials of a large record without reading all of it; None if that is needed.

    It is where trials have several lines or scores, where it is to be judged at which trial
    patience or failures ended the search, and where a parameter may not vary after all.
    """
    budget = config.budget
    if config.in_steps or budget.patience is not None:
        return None
    sign = 1 if config.goal == "minimize" else -1
    found = folder.look(limit=config.limit, sign=sign, top=max(top, 2))
    if found is None or found.lost >= budget.failures:
        return None
    results = list(folder.lines(found.lines))
    for name in config.space.axes:
        if len({repr(result.params.get(name)) for result in results}) == 1:
            return None
    reason = _end(config, folder, "trials" if found.is_whole else None, found.trials)
    ended = _ending_text(config, reason, found.trials, found.early)
    trials, run = found.trials, run_of(config, results)
    return Leading(run, trials, found.is_whole, trials, found.early, ended)


def rungs_of(config: Config) -> tuple[int, ...]:
    """Return the epochs of each rung of a halving; none for another method."""
    return config.strategy.rungs() if isinstance(config.strategy, Halving) else ()


def trials_of(config: Config, results: Sequence[Result]) -> list[Result]:
    """Return one result for each trial that counts, by number."""
    return joined(counted(config, results))


def check_begun(folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise UserError where a run has no finished trial yet, with what to do about it."""
    if results:
        return
    if folder.is_being_written():
        raise UserError(
            f"the run {folder.name} has no finished trial yet: it is being written at this moment\n"
            f"To see its trials as they come: hpsearch report {folder.argument} --watch"
        )
    raise UserError(
        f"the run {folder.name} has no finished trial yet\n"
        f"To go on with it: hpsearch resume {folder.argument}"
    )


def check_complete(folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise UserError where a run has no finished trial yet, or none with a score."""
    check_begun(folder, results)
    text = none_complete_text(folder.name, results)
    if text is not None:
        raise UserError(f"{text}\nAll of them, and why: hpsearch report {folder.argument} --all")


def best_of(config: Config, folder: RunFolder) -> tuple[Result, list[Result]]:
    """Return the best trial, with its curve, and all that count.

    Raises:
        UserError: there is none yet, or none has a score.
    """
    results = trials_of(config, folder.results())
    check_complete(folder, results)
    return ranked(results, config.goal)[0], results


def ending_of(config: Config) -> Ending:
    """Return what decides at which trial a config's search ends."""
    budget = config.budget
    trials = None if config.in_steps else config.limit
    return Ending(config.goal, trials, budget.patience, budget.failures)


def how_it_ended(config: Config, folder: RunFolder, results: Sequence[Result]) -> str:
    """Say which limit ended a run, or how far it has come.

    results: The trials that count, or all of the record.
    """
    early = sum(result.ended_early is not None for result in results)
    return _ending_text(config, end_of(config, folder, results), len(results), early)


def _ending_text(config: Config, reason: str | None, trials: int, early: int) -> str:
    text = _ends(config).get(reason or "")
    if text is None:
        of = "" if config.limit is None else f"{trials} of "
        text = f"not finished: {of}{trials_text(config.limit or trials)} so far"
    return f"{text}, with {trials_text(early)} cut short by time" if early else text


def end_of(config: Config, folder: RunFolder, results: Sequence[Result]) -> str | None:
    """Return which limit ended a run, as `Outcome.reason`; None for one that is not finished.

    results: The trials that count, or all of the record.
    """
    ending = ending_of(config)
    for result in sorted(results, key=lambda result: result.order):
        ending.add(result)
    trials = len({result.trial for result in results}) if config.in_steps else len(results)
    return _end(config, folder, ending.reason, trials)


def _end(config: Config, folder: RunFolder, by_record: str | None, trials: int) -> str | None:
    """Return which limit ended a run, as `end_of`.

    by_record: Which did so by the record alone; None where it does not tell.
    trials: How many there are.
    """
    sessions = folder.provenance().get("sessions") or [{}]
    reason: str | None = sessions[-1].get("ended")
    if not config.in_steps:
        from_record = ("trials", "patience", "failures")
        reason = by_record or (None if reason in from_record else reason)
    elif reason == "trials" and trials < (config.limit or 0):
        reason = None  # the budget was raised since
    unlimited = {"time": config.budget.time is None, "epochs": config.budget.epochs is None}
    return None if reason not in _ends(config) or unlimited.get(reason or "") else reason


def _ends(config: Config) -> dict[str, str]:
    """Say of each limit that it ended a run."""
    budget, unit = config.budget, "steps" if config.in_steps else "trials"
    return {
        "trials": f"ended by budget.trials ({config.limit})"
        if config.limit != config.size
        else f"the {config.method} is complete",
        "epochs": f"ended by budget.epochs ({budget.epochs})",
        "patience": f"ended by budget.patience ({budget.patience} {unit} without a gain)",
        "failures": f"ended by budget.failures ({budget.failures} in a row)",
        "time": f"ended by budget.time ({budget.time})",
        "space": "ended as there was nothing left to try",
    }


def load_run(folder: RunFolder, name: str | None = None, *, with_data: bool = True) -> Config:
    """Read the config of a run, which finds its data where the original did.

    name: The run's name instead of its folder's.

    with_data: False to leave the data unread: a report needs none.

    Raises:
        UserError: the data are gone, the config was damaged, or the run is no search.
    """
    if folder.has_acts():
        raise UserError(
            f"the run {folder.name} is one model that was trained by hand, and no search\n"
            f"Its story: hpsearch report {folder.name}. As a config that can be run: "
            f"hpsearch panda {folder.name} --write FILE"
        )
    return _load(folder, name, with_data=with_data)


def load_by_hand(folder: RunFolder, *, with_data: bool = True) -> Config:
    """Read the config of a run in which one model is trained by hand; as `load_run`."""
    if not folder.has_acts():
        raise UserError(
            f"the run {folder.name} is a search, and no model that is trained by hand\n"
            f"Its best setting, by hand from its first epoch: hpsearch panda CONFIG "
            f"--from {folder.name}"
        )
    return _load(folder, with_data=with_data)


def _load(folder: RunFolder, name: str | None = None, *, with_data: bool = True) -> Config:
    provenance = folder.provenance()
    where = Path(provenance["config"]["folder"]) if provenance else folder.path
    config = load_config(folder.path / CONFIG, name or folder.name, where, with_data=with_data)
    recorded = provenance["identity"].get("parameters") if provenance else None
    if name is None and recorded not in (None, config.identity()["parameters"]):
        changes = _differences(recorded, config.identity()["parameters"], "parameters")
        listed = "\n".join(f"    {change}" for change in changes)
        raise UserError(
            f"{folder.path / CONFIG} was changed after its trials ran:\n{listed}\n"
            "Put it back as it was, or run the changed file under another name."
        )
    return replace(config, earlier=folder.earlier()) if name is None else config


def open_config(path: Path, name: str | None = None) -> Config:
    """Read a config file; one that lies in its run's folder finds its data where the run did.

    Raises:
        UserError: anything wrong with the file or its data, with the place.
    """
    itself = RunFolder(path.absolute().parent)
    if path.name == CONFIG and (itself.has_record() or itself.has_acts()):
        return load_run(itself, name)
    return load_config(path, name)


def folder_for(config: Config, runs: Path, path: Path | None = None) -> RunFolder:
    """Return the folder that a search of a config writes, which need not exist yet.

    runs: The folder that holds the runs.
    path: The config's file; one that lies in its own run's folder is searched there.
    """
    if path is not None and path.name == CONFIG:
        itself = RunFolder(path.absolute().parent)
        if itself.exists() and itself.name == config.name:
            return itself
    return RunFolder(runs / config.name)


def remarks(config: Config, folder: RunFolder, jobs: int) -> Iterator[str]:
    """Yield notes and warnings on a search that is about to begin."""
    for note in config.objective.notes():
        yield f"note: {note}"
    key, most = config.strategy.at_once() or ("", jobs)
    if jobs > most:
        yield (
            f"note: method.{key} is {most}, so {most} of the {jobs} jobs are used; "
            f"method: {{name: {config.method}, {key}: {jobs}}} uses them all, and each trial "
            "then sees fewer results"
        )
    for name, text in traps(config):
        yield f"warning: {name}: {text}" if name else f"warning: {text}"
    for source in changed_since_parent(config, folder):
        yield (
            f"warning: {source} has changed since the run {config.parent}, so scores will differ"
        )


def open_folder(config: Config, folder: RunFolder) -> dict[str, Any]:
    """Make the folder this config's, or make sure that it is; return its provenance."""
    provenance = folder.provenance()
    if not folder.exists():
        provenance = describe(config)
        if config.earlier:
            folder.write_earlier(config.earlier)
        folder.write_provenance(provenance)
        folder.write(CONFIG, config.document.raw)  # last: a folder with a config is a run
        return provenance
    if "identity" not in provenance:
        raise MachineError(
            f"{folder.path / PROVENANCE} is missing or damaged, so it cannot be told whether the "
            "run belongs to this config; restore it, or choose another name with --name"
        )
    changes = list(_differences(provenance["identity"], config.identity()))
    if changes:
        listed = "\n".join(f"    {change}" for change in changes[:10])
        more = f"\n    and {len(changes) - 10} more" if len(changes) > 10 else ""
        raise UserError(
            f"{folder.path} holds a run of a different config:\n{listed}{more}\n"
            "Choose another name with --name, or delete that folder if you no longer need it."
        )
    if (folder.path / CONFIG).read_bytes() != config.document.raw:
        fresh = describe(config)
        provenance["config"] = fresh["config"]
        folder.write(CONFIG, config.document.raw)
    return provenance


def check_record(config: Config, folder: RunFolder, results: Sequence[Result]) -> None:
    """Raise MachineError when the record holds the trials of another config."""
    for result in results:
        seed = config.training_seed(result.trial)
        if result.seed != seed or not _fits(config, result):
            raise MachineError(
                f"{folder.path}: trial {result.trial} of the record belongs to another config; "
                "nothing was changed"
            )


def _fits(config: Config, result: Result) -> bool:
    """Tell whether a trial has the parameters that a setting of a config's space has."""
    space = config.space
    if not space.clauses or len(result.unit) != len(space.axes):
        return result.params.keys() == space.axes.keys()
    return result.params.keys() == space.params(result.unit).keys()


def changed_sources(config: Config, provenance: dict[str, Any]) -> list[str]:
    """Return the files that results depend on and that are others than when the run began."""
    before = provenance.get("sources", {})
    now = config.sources()
    return [name for name, content in now.items() if before.get(name, content) != content]


def changes_since(config: Config, folder: RunFolder) -> list[str]:
    """Return what of data, code and versions is not as it was when a run last ran, in words.

    config: The run's, whose data need not have been read.
    Raises:
        UserError: the data are gone.
    """
    provenance = folder.provenance()
    before, now = provenance.get("sources", {}), _sources_now(config)
    found = [f"{name} changed" for name in now if before.get(name, now[name]) != now[name]]
    found += [f"{name} is not there any more" for name in before if name not in now]
    last = (provenance.get("sessions") or [{}])[-1]
    old, new = last.get("versions") or {}, versions()
    found += [
        f"{name} {old[name]} -> {new[name]}"
        for name in AFFECTING
        if old.get(name) is not None and old[name] != new[name]
    ]
    return found


def _sources_now(config: Config) -> dict[str, str]:
    """Return the SHA-256 of every file that results depend on, as it is now."""
    if isinstance(config.objective, MLP):
        try:
            objective = replace(config.objective, data=config.objective.data.fingerprinted())
        except DataError as error:
            raise UserError(str(error)) from None
        return replace(config, objective=objective).sources()
    return config.sources()


AFFECTING = ("hpsearch", "python", "numpy")
"""Whose versions may change a result."""


def _differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield `place: old -> new` for every part in which two plain values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{place}.{key}".lstrip(".")
            if inner == "data.sha256" and old.get(key) != new.get(key):
                yield "the data file has changed since the run began"
            elif inner == "warm_start" and old.get(key) != new.get(key):
                yield "it began with other trials of an earlier run, or with none (--warm-start)"
            elif inner == "objective.numbers" and old.get(key) != new.get(key):
                yield "this version of hpsearch computes other numbers than the one it began with"
            elif inner != "order" or old.get("parameters") == new.get("parameters"):
                yield from _differences(old.get(key), new.get(key), inner)
    elif old != new:
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = "not there" if value is None else dump(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def measured_on(folder: RunFolder) -> dict[str, Any]:
    """Return what is known of the data that a run was measured on; empty without any."""
    identity = folder.provenance().get("identity")
    data = identity.get("data") if isinstance(identity, dict) else None
    return data if isinstance(data, dict) else {}


def best_of_parent(config: Config, folder: RunFolder) -> tuple[str, int, float] | None:
    """Return the name, best trial and best score of the run that a run refines, if it is there."""
    parent = RunFolder(folder.path.parent / config.parent) if config.parent else None
    if parent is None or not parent.exists() or not config.space.axes:
        return None
    measured = parent.provenance().get("identity", {}).get("metric")
    if measured != {"name": config.metric_name, "goal": config.goal}:
        return None
    best = ranked(joined(parent.results(curves=False)), config.goal)[:1]
    if not best or best[0].score is None:
        return None
    return parent.name, best[0].trial, best[0].score


def changed_since_parent(config: Config, folder: RunFolder) -> list[str]:
    """Return the files that are others than when the run that this one comes from began."""
    if not config.parent:
        return []
    sources = RunFolder(folder.path.parent / config.parent).provenance().get("sources", {})
    before = {Path(name).name: content for name, content in sources.items()}
    now = {Path(name).name: content for name, content in config.sources().items()}
    return [name for name, content in now.items() if before.get(name, content) != content]


def write_tables(config: Config, folder: RunFolder) -> Leading:
    """Write every file of the run folder that is made from the record; return what leads it."""
    found = None
    constants = dict(config.constants)
    if isinstance(config.strategy, SEES_NOTHING):  # the boxes of others are made of all trials
        found = _by_index(config, folder, LISTED)
    if found is None:
        results = counted(config, folder.results(curves=False))
        found = _of_all(config, folder, results)
        table = csv_text(trials_table(config.space, constants, found.run.results))
        folder.write(TABLE, table + "\n")
        _write_leaderboard(config, folder, results, found)
    else:
        kinds = sorted(found.run.results, key=lambda result: result.trial)
        names, row = trials_columns(config.space, constants, kinds)
        rows = map(row, folder.in_order(config.limit if found.is_whole else None))
        folder.write(TABLE, csv_lines(itertools.chain([names], rows)))
        _write_leaderboard(config, folder, found.run.results, found)
    best = ranked(found.run.results, config.goal)[:1]
    if not best or best[0].score is None:
        folder.remove(BEST)
    else:
        folder.write(BEST, best_yaml(config, best[0], folder.path, found.trials))
    return found


LISTED = 1000
"""How many rows leaderboard.md has where the record is large."""


def refresh_leaderboard(config: Config, folder: RunFolder) -> None:
    """Write leaderboard.md anew."""
    found = None
    if isinstance(config.strategy, SEES_NOTHING):
        found = _by_index(config, folder, LISTED)
    if found is not None:
        _write_leaderboard(config, folder, found.run.results, found)
        return
    results = counted(config, folder.results(curves=False))
    _write_leaderboard(config, folder, results, _of_all(config, folder, results))


def _write_leaderboard(
    config: Config, folder: RunFolder, results: Sequence[Result], found: Leading
) -> None:
    folder.write(LEADERBOARD, leaderboard_page(config, results, found, test_text(folder)))


def test_text(folder: RunFolder) -> str | None:
    """Say how often the test set was opened and what was last seen; None where it never was."""
    tests = folder.tests()
    if not tests:
        return None
    last = tests[-1]
    days = [each["date"][:10] for each in tests]
    often = f"once, on {days[0]}" if len(days) == 1 else f"{len(days)} times, last on {days[-1]}"
    name = last["metric"].removeprefix("dev_")
    name = name if name in last["test"] else next(iter(last["test"]))
    figure, text = last["test"][name], measure_text(f"test_{name}")
    value, low, high = (
        "-" if figure[key] is None else text(figure[key]) for key in ("value", "low", "high")
    )
    return (
        f"The test set was opened {often}: trial {last['trial']}, trained on {last['trained_on']}, "
        f"has test_{name} {value} ({low} to {high}, {last['level']:.0%})."
    )


def leaderboard_page(
    config: Config, results: Sequence[Result], found: Leading, tested: str | None = None
) -> str:
    """Write leaderboard.md; `tested` is what `test_text` says.

    results: All that counts of the record, or where that is large the results of `found`.
    """
    trials = found.run.results
    table = leaderboard([found.run])
    more = found.trials - LISTED if len(trials) < found.trials else 0
    if more > 0:
        table = replace(table, rows=table.rows[:LISTED])
    ties = ties_text(table)
    boxes = boxes_table(config.space, trials)
    levels = rungs_of(config)
    rungs = rungs_table(results, config.goal, config.metric_name, levels)
    lines = [
        f"# Leaderboard of {config.name}",
        "",
        f"{found.trials} trials, seed {config.seed}, ranked by {config.metric_name} "
        f"({config.goal}{repeats_text(config)}); {found.ended}.",
        "",
        FORMATS["markdown"](table),
        "",
        *((f"And {more} more, which are in {TABLE}.", "") if more > 0 else ()),
        *((ties, "") if ties else ()),
        *(("## Rounds", "", FORMATS["markdown"](boxes), "") if boxes else ()),
        *(("## Rungs", "", FORMATS["markdown"](rungs), "") if rungs else ()),
        *((f"{epochs_text(results, levels[-1])}.", "") if rungs else ()),
        *_importance(config, results),
        LUCK,
        *(("", tested) if tested else ()),
    ]
    return "\n".join(lines) + "\n"


def _importance(config: Config, results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines on what the model believes, where the search went by a model."""
    by_model = config.method == "bayes" or getattr(config.strategy, "propose", None) == "bayes"
    found = beliefs(config.space, comparable(results), config.goal) if by_model else []
    if found:
        yield from ("## Importance", "", FORMATS["markdown"](importance_table(found)), "")
        expected = expected_table(config.space, found, config.metric_name)
        yield from (IMPORTANCE, "", FORMATS["markdown"](expected), "", EXPECTED, "")


def repeats_text(config: Config) -> str:
    """Say how many scores one score is the mean of; nothing where it is one."""
    repeats = config.trial.repeats
    return f", the mean of {repeats} repeats" if repeats > 1 else ""


def comparable(results: Sequence[Result]) -> list[Result]:
    """Return the results that a model of a run is made of: under halving those of one rung."""
    return of_one_rung(results, FEWEST)


IMPORTANCE = (
    "By a Gaussian process of the scores. The importance is a parameter's share of what changing "
    "one parameter alone changes, on average over the whole space; the length scale tells over how "
    "much of its range the score stays alike."
)
OTHER_IMPORTANCE = (
    "The page (report --html) measures something else: how much worse a random forest predicts the "
    "rank of a trial once the values of a parameter are shuffled."
)
EXPECTED = (
    "What is expected where one parameter has this value and the others are as in the best five "
    "settings; low and high are one standard deviation away."
)
