"""What is made from a run's record: the tables of its folder, and all that a page tells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hpsearch.config import Config, best_yaml
from hpsearch.errors import UserError
from hpsearch.report.byhand import where_text
from hpsearch.report.formats import FORMATS, csv_lines, csv_text
from hpsearch.report.importance import (
    EXPECTED,
    IMPORTANCE,
    Belief,
    beliefs,
    comparable,
    expected_table,
    importance_table,
    rung_text,
)
from hpsearch.report.rounds import boxes_table
from hpsearch.report.rungs import epochs_text, rungs_table
from hpsearch.report.table import LUCK, leaderboard, trials_columns, trials_table
from hpsearch.report.tested import test_text
from hpsearch.report.ties import ties_text
from hpsearch.runs import load_by_hand, load_run
from hpsearch.space import Space
from hpsearch.standings import (
    Leading,
    by_index,
    check_begun,
    counted,
    how_it_ended,
    of_all,
    run_of,
)
from hpsearch.store import BEST, LEADERBOARD, TABLE, RunFolder
from hpsearch.story import Story
from hpsearch.strategies import SEES_NOTHING
from hpsearch.trial import Result, joined, ranked

if TYPE_CHECKING:
    from hpsearch.report.picture import Report


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
    found, of_rung = model_beliefs(config, steps)
    return Report(
        run_of(config, results),
        steps,
        how_it_ended(config, folder, results),
        config.document.raw.decode(errors="replace"),
        folder.provenance(),
        rungs=config.rungs,
        beliefs=found,
        of_rung=of_rung,
        tested=test_text(folder.tests()),
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


def write_tables(config: Config, folder: RunFolder) -> Leading:
    """Write every file of the run folder that is made from the record; return what leads it."""
    found = None
    constants = dict(config.constants)
    if isinstance(config.strategy, SEES_NOTHING):  # the boxes of others are made of all trials
        found = by_index(config, folder, LISTED)
    if found is None:
        results = counted(config, folder.results(curves=False))
        found = of_all(config, folder, results)
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
        found = by_index(config, folder, LISTED)
    if found is not None:
        _write_leaderboard(config, folder, found.run.results, found)
        return
    results = counted(config, folder.results(curves=False))
    _write_leaderboard(config, folder, results, of_all(config, folder, results))


def _write_leaderboard(
    config: Config, folder: RunFolder, results: Sequence[Result], found: Leading
) -> None:
    folder.write(LEADERBOARD, leaderboard_page(config, results, found, test_text(folder.tests())))


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
    levels = config.rungs
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
    found, rung = model_beliefs(config, results)
    if found:
        yield from ("## Importance", "", FORMATS["markdown"](importance_table(found)), "")
        yield from (rung, "") if rung else ()
        expected = expected_table(config.space, found, config.metric_name)
        yield from (IMPORTANCE, "", FORMATS["markdown"](expected), "", EXPECTED, "")


def model_beliefs(config: Config, results: Sequence[Result]) -> tuple[list[Belief], str | None]:
    """Return what the model says of each parameter, and `rung_text`; nothing without a model.

    results: All that counts of the record.
    """
    if "bayes" not in (config.method, getattr(config.strategy, "propose", None)):
        return [], None
    of_one = comparable(results)
    return beliefs(config.space, of_one, config.goal), rung_text(of_one)


def repeats_text(config: Config) -> str:
    """Say how many scores one score is the mean of; nothing where it is one."""
    repeats = config.trial.repeats
    return f", the mean of {repeats} repeats" if repeats > 1 else ""
